package api

import (
	"bufio"
	"context"
	stdjson "encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
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

func TestPublicEndpointsIgnoreAnAuthorizationField(t *testing.T) {
	s := newServer(t)
	c := s.login("admin", adminPassword)
	for _, field := range []string{"Bearer nonsense", "Basic x", "", "Bearer " + c.access} {
		if r := s.do("GET", "/", "", "Authorization", field, "Authorization", field); r.status != 200 {
			t.Errorf("GET / with %q: %s", field, r.body)
		}
		if r := s.do("POST", "/login", `{"identifier":"admin","password":"admin123"}`, "Authorization", field); r.status != 200 {
			t.Errorf("POST /login with %q: %s", field, r.body)
		}
		r := s.do("POST", "/refresh/token", `{"refresh_token":"`+c.refresh+`"}`, "Authorization", field)
		if r.status != 200 {
			t.Errorf("POST /refresh/token with %q: %s", field, r.body)
		}
		c.refresh = r.text("refresh_token")
	}
}

func TestRootIsTheSameForEverybody(t *testing.T) {
	s := newServer(t)
	for _, header := range [][]string{nil, {"Accept", "text/html"}, {"Sec-Fetch-Mode", "navigate", "Accept", "text/html"}, {"Accept", "nothing/at-all"}} {
		r := s.do("GET", "/?x=y", "", header...)
		if r.status != 200 || r.header.Get("Vary") != "Accept, Sec-Fetch-Mode" || r.data != nil {
			t.Errorf("%q: got %d %q %s", header, r.status, r.header, r.body)
		}
	}
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

func TestForwardingHeadersCountOnlyFromATrustedProxy(t *testing.T) {
	for _, c := range []struct {
		rule    string
		trusted []string
		peer    string
		header  []string
		want    string
	}{
		{"nobody is trusted", nil, "192.0.2.1:5", []string{"203.0.113.5"}, "192.0.2.1"},
		{"the peer is not trusted", []string{"10.0.0.0/8"}, "192.0.2.1:5", []string{"203.0.113.5"}, "192.0.2.1"},
		{"the peer is trusted", []string{"192.0.2.0/24"}, "192.0.2.1:5", []string{"203.0.113.5"}, "203.0.113.5"},
		{"the last hop that is not trusted counts", []string{"192.0.2.0/24"}, "192.0.2.1:5", []string{"198.51.100.1, 203.0.113.5"}, "203.0.113.5"},
		{"trusted hops are passed over", []string{"192.0.2.0/24", "10.0.0.0/8"}, "192.0.2.1:5", []string{"198.51.100.1, 203.0.113.5, 10.1.1.1"}, "203.0.113.5"},
		{"several fields are one list", []string{"192.0.2.0/24"}, "192.0.2.1:5", []string{"198.51.100.1", "203.0.113.5"}, "203.0.113.5"},
		{"nonsense ends the list", []string{"192.0.2.0/24", "10.0.0.0/8"}, "192.0.2.1:5", []string{"198.51.100.1, unknown, 10.1.1.1"}, "10.1.1.1"},
		{"without the field it is the proxy", []string{"192.0.2.0/24"}, "192.0.2.1:5", nil, "192.0.2.1"},
		{"an IPv4 address in IPv6 is the IPv4 one", []string{"192.0.2.0/24"}, "[::ffff:192.0.2.1]:5", []string{"::ffff:203.0.113.5"}, "203.0.113.5"},
		{"a zone does not tell clients apart", nil, "[fe80::1%eth0]:5", nil, "fe80::1"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			o := settings{}
			trusting(c.trusted...)(&o)
			r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.header}}
			if got := (&call{server: New(o.api), request: r}).source(); got.String() != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
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
	t.Run("without an access token it is 401 and revokes nothing", func(t *testing.T) {
		c := s.login("arbath", "arbath123")
		if r := s.do("POST", "/logout", `{"refresh_token":"`+c.refresh+`"}`); r.status != 401 || r.code != "unauthenticated" {
			t.Errorf("got %s", r.body)
		}
		alive(t, c, true)
	})
}

func TestPatchMe(t *testing.T) {
	s := newServer(t)
	admin, arbath := s.login("admin", adminPassword), s.asUser("arbath", false)
	t.Run("a new user was updated when it was created", func(t *testing.T) {
		r := arbath.do("GET", "/user/me", "")
		if r.text("created_at") != r.text("updated_at") {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("an empty patch changes nothing", func(t *testing.T) {
		before, digest := arbath.do("GET", "/user/me", ""), s.digest()
		r := arbath.do("PATCH", "/user/me", `{}`)
		if r.status != 200 || r.message != "Profile updated successfully!" || fmt.Sprint(r.data) != fmt.Sprint(before.data) || s.digest() != digest {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("the same value sets updated_at", func(t *testing.T) {
		before := arbath.do("GET", "/user/me", "")
		r := arbath.do("PATCH", "/user/me", `{"username":"arbath"}`)
		if r.status != 200 || r.text("updated_at") <= before.text("updated_at") || r.text("created_at") != before.text("created_at") {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("changes that follow each other have later and later times", func(t *testing.T) {
		last := ""
		for i := range 20 {
			r := arbath.do("PATCH", "/user/me", fmt.Sprintf(`{"email":"arbath%d@example.com"}`, i))
			if at := r.text("updated_at"); at <= last {
				t.Errorf("%s is not after %s", at, last)
			} else {
				last = at
			}
		}
	})
	t.Run("sessions survive a change of name and email, and the welcome is to the new name", func(t *testing.T) {
		if r := arbath.do("PATCH", "/user/me", `{"username":"Arbath.2","email":"new@example.com"}`); r.status != 200 || r.text("username") != "Arbath.2" || r.text("email") != "new@example.com" {
			t.Errorf("got %s", r.body)
		}
		if r := arbath.do("GET", "/user/me", ""); r.message != "Welcome Arbath.2!" || r.text("username") != "Arbath.2" {
			t.Errorf("got %s", r.body)
		}
		if r := arbath.renew(); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
		s.login("ARBATH.2", userPassword)
		s.login("NEW@example.com", userPassword)
	})
	t.Run("a taken name or email, in any case, changes nothing at all", func(t *testing.T) {
		before := s.digest()
		for body, field := range map[string]string{
			`{"username":"ADMIN","email":"free@example.com"}`:         "username",
			`{"username":"free","email":"ADMIN@teknohole.com"}`:       "email",
			`{"email":"admin@teknohole.com"}`:                         "email",
			`{"username":"free","email":"no"}`:                        "email",
			`{"username":"free name","email":"free@example.com"}`:     "username",
			`{"username":"free","is_superuser":false,"password":"x"}`: "password",
			`{"username":"free","id":1}`:                              "id",
		} {
			r := arbath.do("PATCH", "/user/me", body)
			if r.status != 400 || r.code != "validation_failed" || r.text("errors.0.field") != field {
				t.Errorf("%s: got %s", body, r.body)
			}
		}
		if s.digest() != before {
			t.Error("the database has changed")
		}
	})
	t.Run("who is no superuser cannot become one", func(t *testing.T) {
		before := s.digest()
		if r := arbath.do("PATCH", "/user/me", `{"is_superuser":true,"username":"free"}`); r.status != 403 || r.code != "forbidden" {
			t.Errorf("got %s", r.body)
		}
		if s.digest() != before {
			t.Error("the database has changed")
		}
		if r := arbath.do("PATCH", "/user/me", `{"is_superuser":false}`); r.status != 200 {
			t.Errorf("the unchanged value: %s", r.body)
		}
	})
	t.Run("the last superuser cannot be demoted, the last but one can", func(t *testing.T) {
		if r := admin.do("PATCH", "/user/me", `{"is_superuser":false}`); r.status != 403 || r.code != "last_superuser" {
			t.Errorf("got %s", r.body)
		}
		other := s.asUser("other", true)
		if r := other.do("PATCH", "/user/me", `{"is_superuser":false}`); r.status != 200 || r.text("is_superuser") != "false" {
			t.Errorf("got %s", r.body)
		}
		if r := other.do("GET", "/user", ""); r.status != 403 {
			t.Errorf("rights outlive the demotion: %s", r.body)
		}
	})
}

func TestCreateUser(t *testing.T) {
	s := newServer(t)
	admin := s.login("admin", adminPassword)
	t.Run("only is_superuser may be left out", func(t *testing.T) {
		r := admin.do("POST", "/user", `{"username":"a","password":"a-password","email":"a@x"}`)
		if r.status != 201 || r.message != "User a has been created successfully!" || r.text("is_superuser") != "false" {
			t.Errorf("got %s", r.body)
		}
		if names := sortedNames(r.data.(map[string]any)); strings.Join(names, " ") != "created_at email id is_superuser updated_at username" {
			t.Error(names)
		}
		if strings.Contains(string(r.body), "password") {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("names, emails and passwords at their limits are fine and are kept as sent", func(t *testing.T) {
		for i, body := range []string{
			`{"username":"` + strings.Repeat("N", 64) + `","password":"12345679","email":"Limit1@Example.COM"}`,
			`{"username":"0._-","password":"` + strings.Repeat("é", 512) + `","email":"` + strings.Repeat("l", 64) + "@" + strings.Repeat("d.", 90) + `x"}`,
			`{"username":"arbath","password":"arbath123","email":"!#$%&'*+-/=?^_{|}~.x@127.0.0.1"}`,
			`{"username":"spaces","password":" ` + "\\t" + ` leading and trailing  ","email":"s@local"}`,
			`{"username":"quotes","password":"\"\\\u2028\ud83d\ude00\r\n","email":"q@local"}`,
		} {
			if r := admin.do("POST", "/user", body); r.status != 201 {
				t.Errorf("%d: got %s", i, r.body)
			}
		}
		s.login("limit1@example.com", "12345679")
		s.login("spaces", " \t leading and trailing  ")
		if r := s.do("POST", "/login", `{"identifier":"spaces","password":"leading and trailing"}`); r.status != 401 {
			t.Errorf("a password was trimmed: %s", r.body)
		}
		if r := s.do("POST", "/login", `{"identifier":"quotes","password":"\"\\\u2028\ud83d\ude00\r\n"}`); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("ids are never used again", func(t *testing.T) {
		r := admin.do("POST", "/user", `{"username":"last","password":"last-password","email":"last@x"}`)
		first := r.text("id")
		admin.do("DELETE", "/user/"+first, "")
		r = admin.do("POST", "/user", `{"username":"last","password":"last-password","email":"last@x"}`)
		if r.status != 201 || r.text("id") == first {
			t.Errorf("got %s after id %s", r.body, first)
		}
	})
	t.Run("of many at once with one name exactly one is created", func(t *testing.T) {
		var wg sync.WaitGroup
		got := make([]*response, 6)
		for i := range got {
			wg.Go(func() {
				got[i] = admin.do("POST", "/user", fmt.Sprintf(`{"username":"%s","password":"race-password","email":"race%d@x"}`, []string{"race", "RACE"}[i%2], i))
			})
		}
		wg.Wait()
		made := 0
		for _, r := range got {
			switch {
			case r.status == 201:
				made++
			case r.status != 400 || r.text("errors.0.code") != "taken":
				t.Errorf("got %s", r.body)
			}
		}
		if made != 1 {
			t.Errorf("%d were created", made)
		}
	})
}

func TestDeleteUser(t *testing.T) {
	s := newServer(t)
	admin, other := s.login("admin", adminPassword), s.asUser("other", true)
	for target, want := range map[string]int{
		"/user/1": 403, "/user/999": 404, "/user/0": 404, "/user/9223372036854775807": 404, "/user/99999999999999999999999": 404,
		"/user/01": 400, "/user/+2": 400, "/user/-2": 400, "/user/2.0": 400, "/user/%32": 400, "/user/2%20": 400, "/user/0x2": 400, "/user/two": 400, "/user/٢": 400,
	} {
		if r := admin.do("DELETE", target, ""); r.status != want {
			t.Errorf("%s: got %d %s", target, r.status, r.body)
		}
	}
	if r := admin.do("DELETE", "/user/1", ""); r.code != "own_account" {
		t.Errorf("got %s", r.body)
	}
	r := admin.do("DELETE", "/user/2?anything", "")
	if r.status != 200 || r.message != "User with id 2 has been deleted successfully!" || r.data != nil {
		t.Errorf("got %s", r.body)
	}
	if r := other.do("GET", "/user/me", ""); r.status != 401 {
		t.Errorf("the tokens of a deleted user live: %s", r.body)
	}
	if r := admin.do("DELETE", "/user/2", ""); r.status != 404 || r.code != "not_found" {
		t.Errorf("got %s", r.body)
	}
}

// Two superusers that demote or delete each other at once: one always stays.
func TestTheLastSuperuserStaysWhateverHappensAtOnce(t *testing.T) {
	s := newServer(t)
	first := s.login("admin", adminPassword)
	for round := range 8 {
		name := fmt.Sprintf("second%d", round)
		second := s.asUser(name, true)
		id := second.do("GET", "/user/me", "").text("id")
		var wg sync.WaitGroup
		var got [2]*response
		wg.Go(func() { got[0] = first.do("PATCH", "/user/me", `{"is_superuser":false}`) })
		if round%2 == 0 {
			wg.Go(func() { got[1] = second.do("PATCH", "/user/me", `{"is_superuser":false}`) })
		} else {
			wg.Go(func() { got[1] = first.do("DELETE", "/user/"+id, "") })
		}
		wg.Wait()
		users, err := s.store.Users(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		var left []jadwal.User
		for _, u := range users {
			if u.IsSuperuser {
				left = append(left, u)
			}
		}
		if len(left) != 1 {
			t.Fatalf("round %d: %d superusers are left: %s %s", round, len(left), got[0].body, got[1].body)
		}
		if left[0].Username == name {
			first = second
		}
	}
}

func TestHEADWorksWhereGETDoes(t *testing.T) {
	s := newServer(t)
	admin := s.login("admin", adminPassword)
	for _, target := range []string{"/", "/user/me", "/user", "/job", "/openapi.json", "/docs", "/nothing"} {
		head := admin.do("HEAD", target, "")
		req, _ := http.NewRequest("GET", s.http.URL+target, nil)
		req.Header.Set("Authorization", "Bearer "+admin.access)
		get, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		get.Body.Close()
		if head.status != get.StatusCode || head.header.Get("Content-Length") != fmt.Sprint(get.ContentLength) || head.header.Get("Content-Type") != get.Header.Get("Content-Type") {
			t.Errorf("%s: HEAD %d %q, GET %d %q", target, head.status, head.header, get.StatusCode, get.Header)
		}
	}
	if r := s.do("HEAD", "/login", ""); r.status != 405 || r.header.Get("Allow") != "POST" {
		t.Errorf("got %d %q", r.status, r.header)
	}
}

func TestABodyThatIsTooSlowIsAnswered(t *testing.T) {
	s := newServer(t, readTimeout(300*time.Millisecond))
	r := s.raw("POST", "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	if r.status != 408 || r.code != "request_timeout" || !r.closes {
		t.Errorf("got %d %q %s", r.status, r.header, r.body)
	}
}

func TestABodyThatEndsEarlyIsAnswered(t *testing.T) {
	s := newServer(t)
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	conn.(*net.TCPConn).CloseWrite()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	if r := checkEnvelope(t, resp, body, "/login"); r.status != 400 || r.code != "malformed" {
		t.Errorf("got %s", r.body)
	}
}

func TestAPanicIsEnvelopedAndLogged(t *testing.T) {
	s := newServer(t)
	s.api.router.literal["/boom"] = &resource{allow: "GET", routes: []*route{{
		method: "GET", action: jadwal.ActionPublic, input: &input{body: -1},
		serve: func(*Server, *call, []byte) (*answer, error) { panic("the secret reason") },
	}}}
	r := s.do("GET", "/boom", "")
	if r.status != 500 || r.code != "internal" || strings.Contains(string(r.body), "secret") {
		t.Errorf("got %s", r.body)
	}
	if log := s.log.String(); !strings.Contains(log, "the secret reason") || !strings.Contains(log, r.header.Get("X-Request-Id")) {
		t.Errorf("the log has %s", log)
	}
}

func TestAFailureIsEnvelopedAndLogged(t *testing.T) {
	s := newServer(t)
	for name, serve := range map[string]func(*Server, *call, []byte) (*answer, error){
		"/error":  func(*Server, *call, []byte) (*answer, error) { return nil, fmt.Errorf("the secret reason") },
		"/encode": func(*Server, *call, []byte) (*answer, error) { return &answer{status: 200, data: make(chan int)}, nil },
	} {
		s.api.router.literal[name] = &resource{allow: "GET", routes: []*route{{method: "GET", action: jadwal.ActionPublic, input: &input{body: -1}, serve: serve}}}
		r := s.do("GET", name, "")
		if r.status != 500 || r.code != "internal" || strings.Contains(string(r.body), "secret") || strings.Contains(string(r.body), "chan") {
			t.Errorf("got %s", r.body)
		}
		if !strings.Contains(s.log.String(), r.header.Get("X-Request-Id")) {
			t.Errorf("the log has %s", s.log.String())
		}
	}
}

func TestErrorsAndTheirHeaders(t *testing.T) {
	for _, c := range []struct {
		rule   string
		err    error
		status int
		code   jadwal.Code
		header string
		value  string
	}{
		{"a wait is told in whole seconds, rounded up", &jadwal.Error{Code: jadwal.CodeRateLimited, RetryAfter: 1500 * time.Millisecond}, 429, jadwal.CodeRateLimited, "Retry-After", "2"},
		{"a wait is at least a second", &jadwal.Error{Code: jadwal.CodeBusy}, 503, jadwal.CodeBusy, "Retry-After", "1"},
		{"an error may be wrapped", fmt.Errorf("store: %w", &jadwal.Error{Code: jadwal.CodeUnavailable, RetryAfter: time.Second}), 503, jadwal.CodeUnavailable, "Retry-After", "1"},
		{"a client that has gone is no failure", fmt.Errorf("read: %w", context.Canceled), 503, jadwal.CodeUnavailable, "Retry-After", "1"},
		{"a token that was sent is told to be wrong", errBadToken, 401, jadwal.CodeInvalidToken, "Www-Authenticate", `Bearer realm="jadwal", error="invalid_token"`},
		{"wrong credentials are no token", errInvalidLogin, 401, jadwal.CodeInvalidLogin, "Www-Authenticate", `Bearer realm="jadwal"`},
		{"a code that nobody knows is a failure", jadwal.Errorf("new_code", "x"), 500, jadwal.CodeInternal, "", ""},
		{"any other error is a failure", io.ErrUnexpectedEOF, 500, jadwal.CodeInternal, "", ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			a, internal := refuse(c.err)
			if a.status != c.status || a.data.(*problem).Code != c.code || internal != (c.status == 500) {
				t.Errorf("got %+v, %v", a, internal)
			}
			if c.header != "" && a.header.Get(c.header) != c.value {
				t.Errorf("got %q", a.header)
			}
		})
	}
}

// The table of statuses knows every code that there is, and no other.
func TestEveryCodeHasAStatus(t *testing.T) {
	for code, status := range statuses {
		if http.StatusText(status) == "" || status < 400 {
			t.Errorf("%s is %d", code, status)
		}
		if a, _ := refuse(jadwal.Errorf(code, "x")); a.status != status {
			t.Errorf("%s is answered with %d, not %d", code, a.status, status)
		}
	}
	source, err := os.ReadFile("../../error.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`Code\w+ +Code += "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		if statuses[jadwal.Code(m[1])] == 0 {
			t.Errorf("%s has no status", m[1])
		}
	}
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
