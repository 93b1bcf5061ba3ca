package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strconv"

	"zombiezen.com/go/sqlite/sqlitex"
)

// The steps of the schema, in the order of their names. A step that was ever
// released is never edited.
//
//go:embed migrations
var migrationFiles embed.FS

// migrations returns the text of each step for a database, sqlite or postgres;
// the schema's version is how many of them it has had. Each database counts for
// itself: what is needed on one only is no step of the other.
func migrations(database string) ([]string, error) {
	names, err := fs.Glob(migrationFiles, "migrations/"+database+"/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	steps := make([]string, 0, len(names))
	for _, name := range names {
		text, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, string(text))
	}
	return steps, nil
}

// migrate brings the schema up to date, each step in a transaction of its own,
// or, when it may not, refuses an older one. A newer one is always refused.
func migrate(ctx context.Context, c *conn, allowed bool) error {
	steps, err := migrations("sqlite")
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		done, err := migrateStep(c, steps, allowed)
		if done || err != nil {
			return err
		}
	}
}

// migrateStep applies the next step and tells whether there was none left.
func migrateStep(c *conn, steps []string, allowed bool) (done bool, err error) {
	t := &tx{c: c}
	if _, err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return false, err
	}
	defer c.rollback()
	version, err := schemaVersion(t)
	if err != nil {
		return false, err
	}
	switch {
	case version > len(steps):
		return false, fmt.Errorf("its schema is version %d, and this jadwal knows only up to %d: use the newer jadwal that wrote it", version, len(steps))
	case version == len(steps):
		return true, nil
	case !allowed:
		return false, fmt.Errorf("its schema is version %d, this jadwal needs %d, and a server is using it: stop that server first", version, len(steps))
	}
	if err := sqlitex.ExecuteScript(c.raw, steps[version], nil); err != nil {
		return false, fmt.Errorf("migration %d: %w", version+1, err)
	}
	if _, err := t.exec("INSERT INTO meta (key, value) VALUES ('schema', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value", strconv.Itoa(version+1)); err != nil {
		return false, fmt.Errorf("migration %d: %w", version+1, err)
	}
	_, err = t.exec("COMMIT")
	return false, err
}

// schemaVersion is how many steps the schema has had; 0: an empty database.
func schemaVersion(t *tx) (int, error) {
	var foreign string
	ours := false
	err := t.query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'", func(r row) error {
		foreign = r.text(0)
		ours = ours || foreign == "meta"
		return nil
	})
	if err != nil {
		return 0, err
	}
	if !ours && foreign != "" {
		return 0, fmt.Errorf("it has a table %q and is not a database of jadwal", foreign)
	}
	if !ours {
		return 0, nil
	}
	value := ""
	if _, err := t.one("SELECT value FROM meta WHERE key = 'schema'", func(r row) { value = r.text(0) }); err != nil {
		return 0, err
	}
	version, err := strconv.Atoi(value)
	if err != nil || version < 1 {
		return 0, fmt.Errorf("its schema version %q is not a number", value)
	}
	return version, nil
}
