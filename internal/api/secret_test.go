package api

import (
	"strings"
	"testing"
)

// newSecret stores a secret of the caller's with the value "canary-" and its
// name.
func (c *session) newSecret(name string, origins ...string) *response {
	c.s.t.Helper()
	r := c.do("POST", "/secret", `{"name":"`+name+`","value":"canary-`+name+`","origins":["`+strings.Join(origins, `","`)+`"]}`)
	if r.status != 201 {
		c.s.t.Fatalf("got %s", r.body)
	}
	return r
}

func TestSecrets(t *testing.T) {
	s := newServer(t)
	admin, ani, budi := s.login("admin", adminPassword), s.asUser("ani", false), s.asUser("budi", false)
	silent := func(t *testing.T, r *response) {
		t.Helper()
		if strings.Contains(string(r.body), "canary") {
			t.Errorf("the value is told: %s", r.body)
		}
	}
	t.Run("one is stored, and its value told to nobody", func(t *testing.T) {
		r := ani.newSecret("token", "HTTPS://API.example.com:443", "http://10.0.0.5:8080")
		if r.message != "Secret token has been created successfully!" || r.text("version") != "1" || r.text("origins.0") != "https://api.example.com" || r.text("origins.1") != "http://10.0.0.5:8080" {
			t.Errorf("got %s", r.body)
		}
		if location := r.header.Get("Location"); location != "/secret/"+r.text("id") {
			t.Errorf("it is at %s", location)
		}
		silent(t, r)
		for _, path := range []string{"/secret", "/secret/token", "/secret/" + r.text("id")} {
			got := ani.do("GET", path, "")
			if got.status != 200 {
				t.Errorf("%s: %s", path, got.body)
			}
			silent(t, got)
		}
		if list := admin.do("GET", "/secret?user="+ani.id(), ""); list.text("0.name") != "token" {
			t.Errorf("a superuser: %s", list.body)
		}
	})
	t.Run("a job names it", func(t *testing.T) {
		r := ani.do("POST", "/job", `{"name":"uses","target":{"url":"https://api.example.com/{{run.id}}?k={{secret \"token\"}}","headers":{"X-Auth":"v1 {{secret \"token\"}}"},"body":{"t":"{{secret \"token\"}}"}}}`)
		if r.status != 201 || r.text("target.url") != `https://api.example.com/{{run.id}}?k={{secret "token"}}` {
			t.Fatalf("got %s", r.body)
		}
		silent(t, r)
		if r := ani.do("DELETE", "/secret/token", ""); r.status != 409 || r.message != "Secret token is used by the job uses: change or delete it first" {
			t.Errorf("got %s", r.body)
		}
	})
	for _, tt := range []struct{ rule, target, field, message string }{
		{"an unknown one is refused", `"url":"https://api.example.com/","body":"{{secret \"none\"}}"`, "target.body", `target.body, at byte 1: the job's owner has no secret none`},
		{"another user's is unknown", `"url":"https://api.example.com/a?{{secret \"budis\"}}"`, "target.url", `target.url, at byte 27: the job's owner has no secret budis`},
		{"one goes to its origins only", `"url":"https://evil.example.com/","headers":{"X-A":"{{secret \"token\"}}"}`, "target.headers.X-A", `target.headers.X-A, at byte 1: secret token may not be sent to https://evil.example.com; its origins are https://api.example.com, http://10.0.0.5:8080`},
		{"another port is another origin", `"url":"https://api.example.com:8443/","body":"{{secret \"token\"}}"`, "target.body", `may not be sent to https://api.example.com:8443`},
		{"another scheme, too", `"url":"http://api.example.com/","body":"{{secret \"token\"}}"`, "target.body", `may not be sent to http://api.example.com`},
		{"a host is not filled in", `"url":"https://{{secret \"token\"}}.example.com/"`, "target.url", "target.url, at byte 9: an expression stands in the path or the query only"},
		{"an unknown expression is refused, with its place", `"url":"https://api.example.com/","body":{"a":["{{run.id}}","x{{run.ix}}"]}`, "target.body", "target.body, at byte 22: run.ix is not known; there are run.id, run.attempt"},
		{"a header takes no line end", `"url":"https://api.example.com/","headers":{"X-A":"{{secret \"lines\"}}"}`, "target.headers.X-A", "header X-A cannot be filled in: what is filled in holds a line end"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s := s.in(t)
			if strings.Contains(tt.rule, "another user's") {
				budi.newSecret("budis", "https://api.example.com")
			}
			if strings.Contains(tt.target, "lines") {
				if r := ani.do("POST", "/secret", `{"name":"lines","value":"canary\nlines","origins":["https://api.example.com"]}`); r.status != 201 {
					t.Fatalf("got %s", r.body)
				}
			}
			before := s.digest()
			r := ani.do("POST", "/job", `{"name":"refused","target":{`+tt.target+`}}`)
			if r.status != 400 || r.text("errors.0.field") != tt.field || !strings.Contains(r.message, tt.message) {
				t.Errorf("got %s", r.body)
			}
			silent(t, r)
			if s.digest() != before {
				t.Error("the database has changed")
			}
		})
	}
	t.Run("another value, and other origins", func(t *testing.T) {
		r := ani.do("PATCH", "/secret/token", `{"value":"canary-again"}`)
		if r.status != 200 || r.text("version") != "2" || r.message != "Secret token updated successfully!" {
			t.Errorf("got %s", r.body)
		}
		silent(t, r)
		if r := ani.do("PATCH", "/secret/token", `{"origins":["https://api.example.com"]}`); r.status != 200 || r.text("version") != "2" || r.text("origins.1") != "" {
			t.Errorf("fewer: %s", r.body)
		}
		if r := ani.do("PATCH", "/secret/token", `{"origins":["https://api.example.com","https://evil.example.com"]}`); r.status != 400 || r.text("errors.0.field") != "value" || !strings.Contains(r.message, "must be sent again") {
			t.Errorf("a new one without the value: %s", r.body)
		}
		if r := ani.do("PATCH", "/secret/token", `{"origins":["https://other.example.com"],"value":"canary-3"}`); r.status != 200 || r.text("version") != "3" {
			t.Errorf("a new one with the value: %s", r.body)
		}
		if r := ani.do("PATCH", "/secret/token", `{}`); r.status != 200 || r.text("version") != "3" {
			t.Errorf("nothing: %s", r.body)
		}
		if r := ani.do("PATCH", "/job/uses", `{"description":"x"}`); r.status != 400 || r.text("errors.0.code") != "secret_origin" {
			t.Errorf("a job for the former origin, edited: %s", r.body)
		}
	})
	for _, tt := range []struct {
		rule, method, path, body string
		status                   int
		field                    string
	}{
		{"a name is unique", "POST", "/secret", `{"name":"token","value":"canary","origins":["https://a"]}`, 409, "name"},
		{"a name has a form", "POST", "/secret", `{"name":"No","value":"canary","origins":["https://a"]}`, 400, "name"},
		{"a value is required", "POST", "/secret", `{"name":"a","value":"","origins":["https://a"]}`, 400, "value"},
		{"three bytes are too few", "POST", "/secret", `{"name":"a","value":"abc","origins":["https://a"]}`, 400, "value"},
		{"64 KiB and one are too many", "POST", "/secret", `{"name":"a","value":"` + strings.Repeat("canary!!", 8192) + `x","origins":["https://a"]}`, 400, "value"},
		{"origins are required", "POST", "/secret", `{"name":"a","value":"canary","origins":[]}`, 400, "origins"},
		{"an origin has no path", "POST", "/secret", `{"name":"a","value":"canary","origins":["https://a/"]}`, 400, "origins[0]"},
		{"an origin has a scheme", "POST", "/secret", `{"name":"a","value":"canary","origins":["https://a","a.example.com"]}`, 400, "origins[1]"},
		{"an origin has no user", "POST", "/secret", `{"name":"a","value":"canary","origins":["https://u@a"]}`, 400, "origins[0]"},
		{"no wildcards", "POST", "/secret", `{"name":"a","value":"canary","origins":["https://*.example.com"]}`, 400, "origins[0]"},
		{"an origin comes once", "POST", "/secret", `{"name":"a","value":"canary","origins":["https://a","https://A:443"]}`, 400, "origins[1]"},
		{"another user's is not known", "GET", "/secret/1", "", 404, ""},
		{"nor changed", "PATCH", "/secret/1", `{"value":"canary"}`, 404, ""},
		{"nor deleted", "DELETE", "/secret/1", "", 404, ""},
		{"a reference has a form", "GET", "/secret/No", "", 400, "secret"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			who := ani
			if tt.path == "/secret/1" {
				who = budi
			}
			r := who.do(tt.method, tt.path, tt.body)
			if r.status != tt.status || r.text("errors.0.field") != tt.field {
				t.Errorf("got %s", r.body)
			}
			silent(t, r)
		})
	}
	t.Run("an editor brings in no secret of the owner's, and keeps what is there", func(t *testing.T) {
		ani.newSecret("shared", "https://api.example.com")
		ani.newSecret("hidden", "https://api.example.com")
		if r := ani.do("POST", "/job", `{"name":"joint","target":{"url":"https://api.example.com/","body":"{{secret \"shared\"}}"}}`); r.status != 201 {
			t.Fatalf("got %s", r.body)
		}
		id := ani.do("GET", "/job/joint", "").text("id")
		if r := ani.do("PUT", "/job/"+id+"/grant/"+budi.id(), `{"level":"editor"}`); r.status != 201 {
			t.Fatalf("got %s", r.body)
		}
		if r := budi.do("PATCH", "/job/"+id, `{"target":{"body":"x {{secret \"shared\"}}"}}`); r.status != 200 {
			t.Errorf("the one that is there: %s", r.body)
		}
		for _, name := range []string{"hidden", "none"} {
			r := budi.do("PATCH", "/job/"+id, `{"target":{"body":"{{secret \"`+name+`\"}}"}}`)
			if r.status != 400 || r.message != "target.body, at byte 1: only the job's owner can have it use secret "+name {
				t.Errorf("another: %s", r.body)
			}
		}
	})
	t.Run("a hundred a user", func(t *testing.T) {
		s := s.in(t)
		many := s.asUser("many", false)
		for i := range 100 {
			many.newSecret("s"+string(rune('a'+i/26))+string(rune('a'+i%26)), "https://a")
		}
		if r := many.do("POST", "/secret", `{"name":"one-more","value":"canary","origins":["https://a"]}`); r.status != 409 || r.code != "conflict" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("unused, it can go", func(t *testing.T) {
		if r := ani.do("DELETE", "/job/uses", ""); r.status != 200 {
			t.Fatalf("got %s", r.body)
		}
		if r := ani.do("DELETE", "/secret/token", ""); r.status != 200 || r.message != "Secret token has been deleted successfully!" {
			t.Errorf("got %s", r.body)
		}
		if r := ani.do("GET", "/secret/token", ""); r.status != 404 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("the audit log tells no value", func(t *testing.T) {
		r := admin.do("GET", "/audit?limit=500", "")
		silent(t, r)
		for _, action := range []string{"secret.create", "secret.update", "secret.delete"} {
			if !strings.Contains(string(r.body), action) {
				t.Errorf("%s is not in it", action)
			}
		}
		if text := s.log.String(); strings.Contains(text, "canary") {
			t.Error("the log tells it")
		}
	})
}
