package store

import (
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"zombiezen.com/go/sqlite/sqlitex"
)

//go:embed migrations/sqlite/*.sql
var migrations embed.FS

// step is one migration. Steps only go forward, are never edited once
// released, and each runs in a transaction of its own.
type step struct {
	number int
	name   string
	text   string
}

// steps returns the embedded migrations in order. Their names begin with
// their numbers, 0001 and up, without a gap.
func steps() ([]step, error) {
	names, err := fs.Glob(migrations, "migrations/sqlite/*.sql")
	if err != nil {
		return nil, err
	}
	var all []step
	for i, name := range names { // fs.Glob sorts
		base := name[strings.LastIndexByte(name, '/')+1:]
		number, err := strconv.Atoi(base[:4])
		if err != nil || number != i+1 {
			return nil, fmt.Errorf("migration %s: expected number %04d", base, i+1)
		}
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, step{number, base, string(text)})
	}
	return all, nil
}

// migrate brings the schema up to date. The number of the last step is kept in
// user_version. A database whose number is higher was made by a newer Jadwal
// and is refused.
func migrate(c *conn) error {
	all, err := steps()
	if err != nil {
		return err
	}
	for {
		done, err := migrateOne(c, all)
		if err != nil || done {
			return err
		}
	}
}

func migrateOne(c *conn, all []step) (done bool, err error) {
	end, err := sqlitex.ImmediateTransaction(c.raw) // the lock: another process waits here
	if err != nil {
		return false, fmt.Errorf("database: %w", err)
	}
	defer end(&err)
	var at int
	if _, err := (&tx{c: c}).one("PRAGMA user_version", func(r row) { at = int(r.int(0)) }); err != nil {
		return false, fmt.Errorf("database: %w", err)
	}
	switch {
	case at > len(all):
		return false, fmt.Errorf("the database has schema %d and this Jadwal knows %d: it was made by a newer Jadwal; start that one", at, len(all))
	case at == len(all):
		return true, nil
	}
	next := all[at]
	if err := sqlitex.ExecuteScript(c.raw, next.text, nil); err != nil {
		return false, fmt.Errorf("migration %s: %w", next.name, err)
	}
	if err := sqlitex.ExecuteTransient(c.raw, fmt.Sprintf("PRAGMA user_version = %d", next.number), nil); err != nil {
		return false, fmt.Errorf("migration %s: %w", next.name, err)
	}
	return false, nil
}
