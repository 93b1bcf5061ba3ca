package api

import (
	stdjson "encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestTokens(t *testing.T) {
	s := newServer(t)
	admin := s.login("admin", adminPassword)

	t.Run("the header is the one fixed text and the claims have their types", func(t *testing.T) {
		for _, token := range []string{admin.access, admin.refresh} {
			header, claims := claimsOf(t, token)
			if header != `{"typ":"JWT","alg":"HS256"}` {
				t.Error(header)
			}
			var c map[string]any
			if err := stdjson.Unmarshal([]byte(claims), &c); err != nil {
				t.Fatal(err)
			}
			for name, kind := range map[string]string{"sub": "float64", "iat": "float64", "exp": "float64", "jti": "string"} {
				if got := fmt.Sprintf("%T", c[name]); got != kind {
					t.Errorf("%s is %s", name, got)
				}
			}
			if c["sub"] != 1.0 {
				t.Errorf("sub is %v", c["sub"])
			}
		}
	})
	t.Run("no two tokens of one second are alike", func(t *testing.T) {
		seen := map[string]bool{}
		for range 5 {
			c := s.login("admin", adminPassword)
			for _, token := range []string{c.access, c.refresh} {
				if seen[token] {
					t.Error("a token came twice")
				}
				seen[token] = true
			}
		}
	})
	t.Run("the scheme matches in any case", func(t *testing.T) {
		for _, scheme := range []string{"Bearer", "bearer", "BEARER", "bEaReR"} {
			if r := s.do("GET", "/user/me", "", "Authorization", scheme+" "+admin.access); r.status != 200 {
				t.Errorf("%s: %s", scheme, r.body)
			}
		}
	})
	for rule, c := range map[string]struct {
		header []string
		code   string
	}{
		"no token is no token":                         {nil, "unauthenticated"},
		"another scheme is no token":                   {[]string{"Authorization", "Basic YTpi"}, "unauthenticated"},
		"the scheme alone is no token":                 {[]string{"Authorization", "Bearer"}, "unauthenticated"},
		"an empty field is no token":                   {[]string{"Authorization", ""}, "unauthenticated"},
		"a token without its scheme is no token":       {[]string{"Authorization", admin.access}, "unauthenticated"},
		"a refresh token is no access token":           {[]string{"Authorization", "Bearer " + admin.refresh}, "invalid_token"},
		"nonsense is not valid":                        {[]string{"Authorization", "Bearer x.y.z"}, "invalid_token"},
		"two fields are not one":                       {[]string{"Authorization", "Bearer " + admin.access, "Authorization", "Bearer " + admin.access}, "invalid_token"},
		"two tokens are not one":                       {[]string{"Authorization", "Bearer " + admin.access + "," + admin.access}, "invalid_token"},
		"a token with a tail is not valid":             {[]string{"Authorization", "Bearer " + admin.access + "="}, "invalid_token"},
		"a token whose signature was cut is not valid": {[]string{"Authorization", "Bearer " + admin.access[:len(admin.access)-1]}, "invalid_token"},
		"a token of no algorithm is not valid":         {[]string{"Authorization", "Bearer eyJhbGciOiJub25lIn0." + strings.Split(admin.access, ".")[1] + "."}, "invalid_token"},
	} {
		t.Run(rule, func(t *testing.T) {
			if r := s.do("GET", "/user/me", "", c.header...); r.status != 401 || r.code != c.code {
				t.Errorf("got %d %s", r.status, r.body)
			}
		})
	}
	t.Run("a query is never read for credentials", func(t *testing.T) {
		if r := s.do("GET", "/user/me?access_token="+admin.access, ""); r.status != 401 || r.code != "unauthenticated" {
			t.Errorf("got %d %s", r.status, r.body)
		}
	})
	t.Run("an access token lives for 15 minutes", func(t *testing.T) {
		c := s.login("admin", adminPassword)
		s.pass(14 * time.Minute)
		if r := c.do("GET", "/user/me", ""); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
		s.pass(time.Minute + time.Second)
		if r := c.do("GET", "/user/me", ""); r.status != 401 || r.code != "invalid_token" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a session ends after 30 days, however often it is refreshed", func(t *testing.T) {
		c := s.login("admin", adminPassword)
		for range 4 {
			s.pass(7*24*time.Hour - time.Minute)
			if r := c.renew(); r.status != 200 {
				t.Fatalf("got %s", r.body)
			}
		}
		s.pass(2*24*time.Hour + time.Hour)
		if r := c.renew(); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
	})
}

// renew trades the refresh token.
func (c *session) renew() *response {
	c.s.t.Helper()
	r := c.s.do("POST", "/refresh/token", `{"refresh_token":"`+c.refresh+`"}`)
	if r.status == 200 {
		c.access, c.refresh = r.text("access_token"), r.text("refresh_token")
	}
	return r
}

func TestFailedLogins(t *testing.T) {
	s := newServer(t)
	wrong := s.do("POST", "/login", `{"identifier":"admin","password":"wrong-password"}`)
	nobody := s.do("POST", "/login", `{"identifier":"nobody","password":"wrong-password"}`)
	if wrong.status != 401 || wrong.message != "Invalid credentials" || wrong.code != "invalid_credentials" {
		t.Errorf("got %d %s", wrong.status, wrong.body)
	}
	if a, b := cutTimestamp(wrong.body), cutTimestamp(nobody.body); a != b {
		t.Errorf("a wrong password and an unknown name differ:\n%s\n%s", a, b)
	}
	for _, identifier := range []string{"admin ", " admin", "admin\\u0000", "admin'--", "%", "ａｄｍｉｎ", strings.Repeat("a", 100_000)} {
		if r := s.do("POST", "/login", `{"identifier":"`+identifier+`","password":"admin123"}`); r.status != 401 {
			t.Errorf("%.40q: got %d", identifier, r.status)
		}
	}
	for _, password := range []string{"admin123 ", " admin123", "Admin123", "admin123\\u0000", strings.Repeat("a", 100_000)} {
		if r := s.do("POST", "/login", `{"identifier":"admin","password":"`+password+`"}`, "X-Forwarded-For", "203.0.113.9"); r.status != 401 && r.status != 429 {
			t.Errorf("%.40q: got %d", password, r.status)
		}
	}
}

func cutTimestamp(body []byte) string {
	before, after, _ := strings.Cut(string(body), `"timestamp":"`)
	_, after, _ = strings.Cut(after, `"`)
	return before + after
}

func TestFailedLoginsAreLimited(t *testing.T) {
	s := newServer(t, trusting("127.0.0.1/32"))
	s.stop() // hashing takes as long as a few failures take to be forgotten
	live := s.login("admin", adminPassword)
	try := func(source, identifier, password string) *response {
		return s.do("POST", "/login", fmt.Sprintf(`{"identifier":%q,"password":%q}`, identifier, password), "X-Forwarded-For", source)
	}
	var bodies []string
	for _, name := range []string{"admin", "nobody"} {
		refused := false
		for i := range 12 {
			r := try("203.0.113.5", name, "wrong-password")
			if i < 10 && r.status != 401 {
				t.Fatalf("%s, failure %d: got %d", name, i+1, r.status)
			}
			if r.status == 429 {
				refused = true
				if wait := r.header.Get("Retry-After"); wait < "1" || wait > "5" || len(wait) != 1 {
					t.Errorf("Retry-After is %s", wait)
				}
				bodies = append(bodies, cutTimestamp(r.body))
				break
			}
		}
		if !refused {
			t.Errorf("%s is not limited", name)
		}
	}
	if len(bodies) == 2 && bodies[0] != bodies[1] {
		t.Errorf("names that do not exist are told apart:\n%s\n%s", bodies[0], bodies[1])
	}
	if r := try("203.0.113.5", "ADMIN", adminPassword); r.status != 429 {
		t.Errorf("another case of the name is another account: %d", r.status)
	}
	if r := try("203.0.113.5", "admin@teknohole.com", adminPassword); r.status != 429 {
		t.Errorf("the email of an account is another account: %d", r.status)
	}
	if r := try("203.0.113.6", "admin", adminPassword); r.status != 200 {
		t.Errorf("another source notices: %s", r.body)
	}
	if r := live.do("GET", "/user/me", "", "X-Forwarded-For", "203.0.113.5"); r.status != 200 {
		t.Errorf("a live session notices: %s", r.body)
	}
	if r := live.renew(); r.status != 200 {
		t.Errorf("a refresh notices: %s", r.body)
	}
	s.pass(6 * time.Second)
	if r := try("203.0.113.5", "admin", adminPassword); r.status != 200 {
		t.Errorf("it does not pass: %s", r.body)
	}
}

func TestBootstrapCredential(t *testing.T) {
	s := newServer(t)
	s.addUser("first", "first-password", "first@example.com", true, true)
	body := `{"identifier":"first","password":"first-password"}`
	if r := s.do("POST", "/login", body); r.status != 200 {
		t.Errorf("from this machine: %s", r.body)
	}
	wrong := cutTimestamp(s.do("POST", "/login", `{"identifier":"first","password":"wrong-password"}`).body)
	for _, header := range [][]string{
		{"Forwarded", "for=127.0.0.1"}, {"X-Forwarded-For", "127.0.0.1"}, {"X-Forwarded-Proto", "https"}, {"X-Real-IP", "127.0.0.1"},
		{"Via", "1.1 proxy"}, {"Origin", "http://evil.example"}, {"Origin", "null"},
	} {
		if r := s.do("POST", "/login", body, header...); r.status != 401 || cutTimestamp(r.body) != wrong {
			t.Errorf("%q: got %s", header, r.body)
		}
	}
	r := s.raw("POST", fmt.Sprintf("POST /login HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	if r.status != 401 || cutTimestamp(r.body) != wrong {
		t.Errorf("by another host name: got %s", r.body)
	}
}

func TestRefresh(t *testing.T) {
	s := newServer(t)
	reuse := func(token string) *response {
		return s.do("POST", "/refresh/token", `{"refresh_token":"`+token+`"}`)
	}
	t.Run("it gives a new pair and leaves the old access token alive", func(t *testing.T) {
		c := s.login("admin", adminPassword)
		old := *c
		if r := c.renew(); r.status != 200 || r.message != "Refresh success!" || c.access == old.access || c.refresh == old.refresh {
			t.Errorf("got %s", r.body)
		}
		for _, token := range []*session{&old, c} {
			if r := token.do("GET", "/user/me", ""); r.status != 200 {
				t.Errorf("got %s", r.body)
			}
		}
	})
	t.Run("the token before the last gets the same successor for 30 seconds", func(t *testing.T) {
		c := s.login("admin", adminPassword)
		first := c.refresh
		c.renew()
		s.pass(29 * time.Second)
		r := reuse(first)
		if r.status != 200 || r.text("refresh_token") != c.refresh {
			t.Errorf("got %s", r.body)
		}
		if r := (&session{s, r.text("access_token"), ""}).do("GET", "/user/me", ""); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
		if r := c.renew(); r.status != 200 {
			t.Errorf("the successor: %s", r.body)
		}
	})
	t.Run("after 30 seconds it is theft and the session dies", func(t *testing.T) {
		c := s.login("admin", adminPassword)
		first := c.refresh
		c.renew()
		s.pass(31 * time.Second)
		if r := reuse(first); r.status != 401 || r.code != "invalid_token" {
			t.Errorf("got %s", r.body)
		}
		if r := c.do("GET", "/user/me", ""); r.status != 401 {
			t.Errorf("the access token lives: %s", r.body)
		}
		if r := c.renew(); r.status != 401 {
			t.Errorf("the successor lives: %s", r.body)
		}
	})
	t.Run("anything older is theft at once", func(t *testing.T) {
		c := s.login("admin", adminPassword)
		first := c.refresh
		c.renew()
		c.renew()
		if r := reuse(first); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
		if r := c.renew(); r.status != 401 {
			t.Errorf("the session lives: %s", r.body)
		}
	})
	t.Run("theft ends no other session", func(t *testing.T) {
		c, other := s.login("admin", adminPassword), s.login("admin", adminPassword)
		first := c.refresh
		c.renew()
		c.renew()
		reuse(first)
		if r := other.do("GET", "/user/me", ""); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("what is no live refresh token of ours is 401", func(t *testing.T) {
		c := s.login("admin", adminPassword)
		expired := s.login("admin", adminPassword)
		s.pass(7*24*time.Hour + time.Second)
		for _, token := range []string{"x", "a.b.c", c.access, expired.refresh, c.refresh + "x", strings.Repeat("a", 100_000)} {
			if r := reuse(token); r.status != 401 || r.code != "invalid_token" {
				t.Errorf("%.40s: got %d", token, r.status)
			}
		}
	})
	t.Run("parallel refreshes of one token get one successor", func(t *testing.T) {
		c := s.login("admin", adminPassword)
		var wg sync.WaitGroup
		got := make([]*response, 8)
		for i := range got {
			wg.Go(func() { got[i] = reuse(c.refresh) })
		}
		wg.Wait()
		for _, r := range got {
			if r.status != 200 || r.text("refresh_token") != got[0].text("refresh_token") {
				t.Errorf("got %s", r.body)
			}
		}
	})
	t.Run("a deleted user's refresh token is dead", func(t *testing.T) {
		admin, c := s.login("admin", adminPassword), s.asUser("gone", false)
		if r := admin.do("DELETE", "/user/"+c.do("GET", "/user/me", "").text("id"), ""); r.status != 200 {
			t.Fatalf("got %s", r.body)
		}
		if r := c.renew(); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
		if r := c.do("GET", "/user/me", ""); r.status != 401 || r.code != "invalid_token" {
			t.Errorf("got %s", r.body)
		}
		if r := s.do("POST", "/login", `{"identifier":"gone","password":"user-password"}`); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
	})
}

func TestLogout(t *testing.T) {
	s := newServer(t)
	s.addUser("arbath", "arbath123", "arbath@teknohole.com", false, false)
	out := func(c *session, token string) *response {
		return c.do("POST", "/logout", `{"refresh_token":"`+token+`"}`)
	}
	alive := func(t *testing.T, c *session, want bool) {
		t.Helper()
		if r := c.do("GET", "/user/me", ""); (r.status == 200) != want {
			t.Errorf("access token: got %s", r.body)
		}
		if r := c.renew(); (r.status == 200) != want {
			t.Errorf("refresh token: got %s", r.body)
		}
	}
	t.Run("both tokens are dead before the answer leaves", func(t *testing.T) {
		c := s.login("arbath", "arbath123")
		r := out(c, c.refresh)
		if r.status != 200 || r.message != "Logout successful!" || r.data != nil {
			t.Errorf("got %s", r.body)
		}
		alive(t, c, false)
	})
	t.Run("another user's token is 403 and revokes nothing", func(t *testing.T) {
		c, admin := s.login("arbath", "arbath123"), s.login("admin", adminPassword)
		if r := out(c, admin.refresh); r.status != 403 || r.code != "forbidden" {
			t.Errorf("got %s", r.body)
		}
		alive(t, c, true)
		alive(t, admin, true)
	})
	t.Run("malformed, unknown, expired or an access token: 401, and nothing is revoked", func(t *testing.T) {
		dead := s.login("arbath", "arbath123")
		out(dead, dead.refresh)
		c := s.login("arbath", "arbath123")
		for _, token := range []string{"x", c.access, dead.refresh} {
			if r := out(c, token); r.status != 401 || r.code != "invalid_token" {
				t.Errorf("got %s", r.body)
			}
		}
		alive(t, c, true)
	})
	t.Run("another session of the caller's: both die", func(t *testing.T) {
		a, b, third := s.login("arbath", "arbath123"), s.login("arbath", "arbath123"), s.login("arbath", "arbath123")
		if r := out(a, b.refresh); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
		alive(t, a, false)
		alive(t, b, false)
		alive(t, third, true)
	})
	t.Run("an old token of the same session: the session dies", func(t *testing.T) {
		c := s.login("arbath", "arbath123")
		old := c.refresh
		c.renew()
		c.renew()
		if r := out(c, old); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
		alive(t, c, false)
	})
	t.Run("an expired token is 401 and revokes nothing", func(t *testing.T) {
		old := s.login("arbath", "arbath123")
		s.pass(7*24*time.Hour + time.Second)
		c := s.login("arbath", "arbath123")
		if r := out(c, old.refresh); r.status != 401 || r.code != "invalid_token" {
			t.Errorf("got %s", r.body)
		}
		alive(t, c, true)
	})
	t.Run("without an access token it is 401 and revokes nothing", func(t *testing.T) {
		c := s.login("arbath", "arbath123")
		if r := s.do("POST", "/logout", `{"refresh_token":"`+c.refresh+`"}`); r.status != 401 || r.code != "unauthenticated" {
			t.Errorf("got %s", r.body)
		}
		alive(t, c, true)
	})
}

func TestADisabledUserIsNobody(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	wrong := cutTimestamp(s.do("POST", "/login", `{"identifier":"arbath","password":"wrong-password"}`).body)
	s.execute("UPDATE account SET disabled_at = 1 WHERE username = 'arbath'")
	if r := s.do("POST", "/login", `{"identifier":"arbath","password":"user-password"}`); r.status != 401 || cutTimestamp(r.body) != wrong {
		t.Errorf("got %s", r.body)
	}
	eventually(t, func() (*response, bool) { // another process wrote: the server looks each second
		r := c.do("GET", "/user/me", "")
		return r, r.status == 401
	})
	if r := c.renew(); r.status != 401 {
		t.Errorf("got %s", r.body)
	}
}

// More sign-ins at once than the hasher queues are told to come back, whether
// or not there is such a user: a name that is unknown costs a hash as well.
func TestSignInsBeyondTheQueueAreToldToComeBack(t *testing.T) {
	s := newServer(t, trusting("127.0.0.1/32"))
	if r := s.login("admin", adminPassword).do("POST", "/user", `{"username":"ani","password":"admin123","email":"ani@example.com"}`); r.status != 201 {
		t.Fatalf("got %s", r.body)
	}
	for name, answer := range map[string]int{"ani": 200, "nobody": 401} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			var wg sync.WaitGroup
			var done, busy atomic.Int32
			for i := range 40 * runtime.GOMAXPROCS(0) {
				wg.Go(func() {
					r := s.do("POST", "/login", `{"identifier":"`+name+`","password":"admin123"}`, "X-Forwarded-For", fmt.Sprintf("2001:db8:%x::1", i))
					switch {
					case r.status == answer:
						done.Add(1)
					case r.status == 503 && r.code == "busy" && r.header.Get("Retry-After") == "1":
						busy.Add(1)
					default:
						t.Errorf("got %s", r.body)
					}
				})
			}
			wg.Wait()
			if done.Load() == 0 || busy.Load() == 0 {
				t.Errorf("%d were checked, %d were told to come back", done.Load(), busy.Load())
			}
		})
	}
}
