package jadwal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/teknohole/jadwal"

// room is a package, or all packages under a directory ("dir/..."), and what of
// this module it may import. Pure rooms import nothing else but the standard
// library. Tests may import what they like.
type room struct {
	dir     string
	pure    bool
	imports []string
}

// rooms is the import rule, drawn in ARCHITECTURE.md. The first match counts.
var rooms = []room{
	{"schedule", true, nil},
	{"schedule/rrule", true, []string{"schedule"}},
	{".", true, []string{"schedule", "schedule/rrule"}},
	{"internal/auth", false, []string{"."}},
	{"internal/config", false, []string{"."}},
	{"internal/target", true, []string{"."}},
	{"internal/vault", true, []string{"."}},
	{"internal/store", false, []string{".", "schedule", "internal/vault"}},
	{"internal/store/dirtest", false, nil},
	{"internal/pgserver", true, nil},
	{"internal/store/pgtest", false, []string{"internal/pgserver"}},
	{"internal/store/storetest", false, []string{".", "schedule", "internal/store", "internal/store/dirtest", "internal/store/pgtest", "internal/vault"}},
	{"internal/engine", true, []string{".", "schedule", "internal/target"}},
	{"internal/node", true, []string{"."}},
	{"internal/api", false, []string{".", "schedule", "internal/auth", "internal/store"}},
	{"internal/harness/...", false, []string{".", "internal/auth", "internal/store", "internal/harness", "internal/harness/people", "internal/pgserver"}},
	{"cmd/jadwal", false, []string{".", "schedule", "internal/api", "internal/auth", "internal/config", "internal/engine", "internal/node", "internal/store", "internal/target", "internal/vault"}},
}

// strangers returns what the package in dir imports against the rule, and
// whether the rule knows the package at all.
func strangers(dir string, imports []string) (bad []string, known bool) {
	i := slices.IndexFunc(rooms, func(r room) bool {
		under, all := strings.CutSuffix(r.dir, "/...")
		return r.dir == dir || all && (dir == under || strings.HasPrefix(dir, under+"/"))
	})
	if i < 0 {
		return nil, false
	}
	for _, name := range imports {
		local, ours := strings.CutPrefix(name+"/", module+"/")
		local = path.Clean(local)
		first, _, _ := strings.Cut(name, "/")
		switch {
		case ours && !slices.Contains(rooms[i].imports, local):
			bad = append(bad, name)
		case !ours && rooms[i].pure && strings.Contains(first, "."):
			bad = append(bad, name)
		}
	}
	return bad, true
}

func TestImports(t *testing.T) {
	found := importsOf(t)
	for _, dir := range slices.Sorted(maps.Keys(found)) {
		bad, known := strangers(dir, found[dir])
		if !known {
			t.Errorf("package %s has no place in the import rule", dir)
		}
		for _, name := range bad {
			t.Errorf("package %s must not import %s", dir, name)
		}
	}
	if len(found) < 5 {
		t.Errorf("only the packages %v were found", found)
	}

	t.Run("engine and api do not even know each other by way of others", func(t *testing.T) {
		for from, to := range map[string]string{"internal/engine": "internal/api", "internal/api": "internal/engine"} {
			reached := map[string]bool{from: true}
			for next := []string{from}; len(next) > 0; next = next[1:] {
				for _, name := range found[next[0]] {
					local, ours := strings.CutPrefix(name, module+"/")
					if ours && !reached[local] {
						reached[local] = true
						next = append(next, local)
					}
				}
			}
			if reached[to] {
				t.Errorf("%s reaches %s", from, to)
			}
		}
	})
	for _, tt := range []struct {
		rule, dir, imports string
		known, bad         bool
	}{
		{"schedule imports the standard library", "schedule", "time", true, false},
		{"schedule imports nothing of ours", "schedule", module, true, true},
		{"schedule imports no library", "schedule", "golang.org/x/text", true, true},
		{"the root imports no package under internal", ".", module + "/internal/store", true, true},
		{"api does not import engine", "internal/api", module + "/internal/engine", true, true},
		{"engine does not import store", "internal/engine", module + "/internal/store", true, true},
		{"config knows of settings only", "internal/config", module + "/internal/target", true, true},
		{"api imports store", "internal/api", module + "/internal/store", true, false},
		{"store may use a library", "internal/store", "zombiezen.com/go/sqlite", true, false},
		{"store does not use its test's room", "internal/store", module + "/internal/store/storetest", true, true},
		{"a harness in its own directory", "internal/harness/crash", module + "/internal/harness", true, false},
		{"the server knows of no harness", "cmd/jadwal", module + "/internal/harness", true, true},
		{"a package that nobody planned", "internal/util", "time", false, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			bad, known := strangers(tt.dir, []string{tt.imports})
			if known != tt.known || len(bad) > 0 != tt.bad {
				t.Errorf("known %v, against the rule %v", known, bad)
			}
		})
	}
}

// importsOf returns what each package of the module imports outside its tests.
func importsOf(t *testing.T) map[string][]string {
	found := map[string][]string{}
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() && name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "node_modules") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(name))
		found[dir] = append(found[dir], []string{}...)
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			found[dir] = append(found[dir], imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
