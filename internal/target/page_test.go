package target

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/teknohole/jadwal"
)

// TestPage checks docs/reference/target.md: its headers are those that are sent.
func TestPage(t *testing.T) {
	text, err := os.ReadFile("../../docs/reference/target.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## The headers\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Za-z-]+)` \\|").FindAllStringSubmatch(section, -1) {
		listed = append(listed, m[1])
	}
	slices.Sort(listed)

	var sent []string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		sent = slices.Sorted(maps.Keys(r.Header))
	}))
	defer srv.Close()
	c := callTo(srv.URL)
	c.Redelivery, c.Job.Target.Body = true, jadwal.RawJSON(`{"month": 202611}`)
	if r := newHTTP(t, Options{}).Do(t.Context(), c); r.State != jadwal.RunSucceeded {
		t.Fatalf("%+v", r)
	}
	if !slices.Equal(listed, sent) {
		t.Errorf("the page lists %v, sent are %v", listed, sent)
	}
}
