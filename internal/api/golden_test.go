package api

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A transcript is requests and answers as clients see them, with everything
// that differs from run to run replaced.
type transcript struct {
	t *testing.T
	b bytes.Buffer
}

var normal = []struct {
	pattern *regexp.Regexp
	text    string
}{
	{regexp.MustCompile(`"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`), `"timestamp":"<whole seconds>"`},
	{regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"`), `"<six decimals>"`},
	{regexp.MustCompile(`jd[rw]_[0-9A-Za-z]{49}`), `<secret>`},
	{regexp.MustCompile(`"request_id":"[0-9a-v]+"`), `"request_id":"<request>"`},
	{regexp.MustCompile(`cursor=\d+\.`), `cursor=<time>.`},
	{regexp.MustCompile(`\b\d{15,19}\b`), `<session>`},
	{regexp.MustCompile(`("id":"|/key/|with id )[0-9A-Za-z]{11}\b`), `$1<key>`},
	{regexp.MustCompile(`eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9\.[\w-]+\.[\w-]{43}`), `<token>`},
}

// tell adds a request, its body as the reader should see it, and its answer.
func (tr *transcript) tell(what, request, body string, r *response) *response {
	fmt.Fprintf(&tr.b, "# %s\n%s\n", what, request)
	if body != "" {
		fmt.Fprintf(&tr.b, "%s\n", body)
	}
	fmt.Fprintf(&tr.b, "-> %d\n", r.status)
	for _, name := range []string{"Www-Authenticate", "Allow", "Retry-After", "Vary", "Etag", "Location", "Link", "X-Total-Count"} {
		if v := r.header.Get(name); v != "" {
			fmt.Fprintf(&tr.b, "%s: %s\n", name, v)
		}
	}
	fmt.Fprintf(&tr.b, "%s\n", r.body)
	return r
}

// check compares with the golden file.
func (tr *transcript) check(name string) {
	tr.t.Helper()
	got := tr.b.Bytes()
	for _, n := range normal {
		got = n.pattern.ReplaceAll(got, []byte(n.text))
	}
	file := filepath.Join("testdata", name)
	if *update {
		writeFile(tr.t, file, got)
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		tr.t.Fatal(err)
	}
	a, b := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			tr.t.Fatalf("%s, line %d:\ngot  %s\nwant %s", file, i+1, a[i], b[i])
		}
	}
	if len(a) != len(b) {
		tr.t.Fatalf("%s has %d lines, not %d", file, len(b), len(a))
	}
}

// TestContractTranscript is every endpoint of the contract, with its payloads
// and messages, byte for byte.
func TestContractTranscript(t *testing.T) {
	s := newServer(t)
	tr := &transcript{t: t}
	admin := &session{s: s}
	do := func(what, method, target, body string) *response {
		return tr.tell(what, method+" "+target, body, admin.do(method, target, body))
	}
	do("The API is up", "GET", "/", "")
	do("Wrong password", "POST", "/login", `{"identifier": "admin", "password": "wrong"}`)
	r := do("Sign in by name", "POST", "/login", `{"identifier": "admin", "password": "admin123"}`)
	admin.access, admin.refresh = r.text("access_token"), r.text("refresh_token")
	do("Sign in by email, in another case", "POST", "/login", `{"identifier": "Admin@TEKNOHOLE.com", "password": "admin123"}`)
	r = tr.tell("Trade the refresh token", "POST /refresh/token", `{"refresh_token": "<token>"}`,
		admin.do("POST", "/refresh/token", `{"refresh_token": "`+admin.refresh+`"}`))
	admin.access, admin.refresh = r.text("access_token"), r.text("refresh_token")
	do("A refresh token that is none", "POST", "/refresh/token", `{"refresh_token": "nonsense"}`)
	do("Who am I", "GET", "/user/me", "")
	do("Change the email", "PATCH", "/user/me", `{"email": "root@teknohole.com"}`)
	do("Change nothing", "PATCH", "/user/me", `{}`)
	do("Demote the last superuser", "PATCH", "/user/me", `{"is_superuser": false}`)
	do("An unknown member", "PATCH", "/user/me", `{"password": "secret123"}`)
	do("Create a user", "POST", "/user", `{"username": "arbath", "password": "arbath123", "email": "arbath@teknohole.com", "is_superuser": false}`)
	do("The name is taken, in any case", "POST", "/user", `{"username": "ARBATH", "password": "arbath123", "email": "other@teknohole.com"}`)
	do("The email is taken, in any case", "POST", "/user", `{"username": "other", "password": "arbath123", "email": "Arbath@Teknohole.com"}`)
	do("Several things are wrong", "POST", "/user", `{"username": "", "password": "short", "email": "nobody"}`)
	do("All users", "GET", "/user", "")
	do("Delete oneself", "DELETE", "/user/1", "")
	do("Delete a user", "DELETE", "/user/2", "")
	do("Delete nobody", "DELETE", "/user/2", "")
	do("An id that is none", "DELETE", "/user/02", "")
	do("A path that is none", "GET", "/users", "")
	do("A method that is none", "PUT", "/user/me", "{}")
	tr.tell("Sign out", "POST /logout", `{"refresh_token": "<token>"}`, admin.do("POST", "/logout", `{"refresh_token": "`+admin.refresh+`"}`))
	do("Signed out", "GET", "/user/me", "")
	admin.access = ""
	do("Without a token", "GET", "/user/me", "")
	tr.check("contract.txt")
}

// TestEveryContractCallWithoutRights tells that the three calls for superusers
// answer 403 to anybody else, whatever the id or the body.
func TestSuperuserCallsAreForbiddenToOthersWhateverTheySend(t *testing.T) {
	s := newServer(t)
	arbath := s.asUser("arbath", false)
	before := s.digest()
	for _, c := range []struct{ method, target, body, contentType string }{
		{"GET", "/user", "", ""},
		{"GET", "/user?x=1", "", ""},
		{"POST", "/user", `{"username":"x","password":"xxxxxxxxx1","email":"x@example.com"}`, "application/json"},
		{"POST", "/user", `{`, "application/json"},
		{"POST", "/user", `{}`, "text/plain"},
		{"POST", "/user", strings.Repeat("x", 2<<20), "application/json"},
		{"DELETE", "/user/1", "", ""},
		{"DELETE", "/user/01", "", ""},
		{"DELETE", "/user/abc", "", ""},
		{"DELETE", "/user/999", "", ""},
		{"DELETE", "/user/2", "", ""},
	} {
		var header []string
		if c.contentType != "" {
			header = []string{"Content-Type", c.contentType}
		}
		if r := arbath.do(c.method, c.target, c.body, header...); r.status != 403 || r.code != "forbidden" {
			t.Errorf("%s %s: got %d %s", c.method, c.target, r.status, r.body)
		}
	}
	if s.digest() != before {
		t.Error("the database has changed")
	}
}

func claimsOf(t testing.TB, token string) (header, claims string) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no token", token)
	}
	var texts [2]string
	for i := range texts {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(b)
	}
	return texts[0], texts[1]
}

func sortedNames[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
