package api

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/teknohole/jadwal"
)

// The pages tell of every action that is audited and every scope that there is,
// and of no other.
func TestTheAuditPageKnowsEveryAction(t *testing.T) {
	files, err := os.ReadDir("../store")
	if err != nil {
		t.Fatal(err)
	}
	const pattern = `((?:session|user|key|signature-key|secret|job|run|grant|signing)\.[a-z]+)`
	written := map[string]bool{}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile("../store/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"`+pattern+`"`).FindAllStringSubmatch(string(text), -1) {
			written[m[1]] = true
		}
	}
	for _, kind := range []jadwal.ChangeKind{jadwal.ChangeEdit, jadwal.ChangePause, jadwal.ChangeResume} {
		written["job."+string(kind)] = true
	}
	page := inPage(t, "audit.md", `\x60`+pattern+`\x60`)
	told := sortedNames(written)
	if !slices.Equal(page, told) {
		t.Errorf("the page has %v, the store writes %v", page, told)
	}
	if known := slices.Sorted(slices.Values(jadwal.AuditActions)); !slices.Equal(known, told) {
		t.Errorf("there are %v, the store writes %v", known, told)
	}
}

func TestTheKeyPageKnowsEveryScope(t *testing.T) {
	var want []string
	for _, scope := range jadwal.Scopes {
		want = append(want, string(scope))
	}
	slices.Sort(want)
	if got := inPage(t, "keys.md", `(?m)^\| \x60([a-z]+:[a-z]+)\x60 \|`); !slices.Equal(got, want) {
		t.Errorf("the page has %v, there are %v", got, want)
	}
}

// inPage is what a pattern's group finds in a page of the reference, sorted.
func inPage(t *testing.T, name, pattern string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/reference/" + name)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
		found[m[1]] = true
	}
	return sortedNames(found)
}
