package api

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// attackRefreshTokens is about refresh tokens that are none, where one is asked
// for.
func attackRefreshTokens(g *siege) {
	s, key := g.s, g.s.signingKey()
	ani, budi := g.person("ani", false), g.person("budi", false)
	g.know("ani's key", &session{s: s, access: ani.do("POST", "/key", `{"name":"k","scopes":["job:read"]}`).text("key")})
	if r := ani.renew(); r.status != 200 { // generation 2
		g.t.Fatalf("got %s", r.body)
	}
	g.know("ani", ani)
	header, claims := claimsOf(g.t, ani.refresh)
	_, access := claimsOf(g.t, ani.access)
	part := strings.Split(ani.refresh, ".")
	sid := numberIn(g.t, claims, `"sid":"`)
	with := func(pairs ...string) string {
		text := claims
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(text, pairs[i]) {
				g.t.Fatalf("%s is not in %s", pairs[i], text)
			}
			text = strings.Replace(text, pairs[i], pairs[i+1], 1)
		}
		return forge(key, header, text)
	}
	generation := func(n string) string {
		return with(`"jti":"`+sid+`.2"`, `"jti":"`+sid+`.`+n+`"`, `"gen":2`, `"gen":`+n)
	}
	var all []attack
	for rule, token := range map[string]string{
		"an access token": ani.access,
		"an access token's claims of the other use": forge(key, header, strings.Replace(access, `"use":"access"`, `"use":"refresh"`, 1)),
		"an API key":                                   g.people["ani's key"].access,
		"alg none":                                     base64url(`{"typ":"JWT","alg":"none"}`) + "." + part[1] + ".",
		"alg HS512 in the header":                      forge(key, `{"typ":"JWT","alg":"HS512"}`, claims),
		"a kid":                                        forge(key, `{"typ":"JWT","alg":"HS256","kid":"1"}`, claims),
		"another installation's secret":                forge([]byte("the secret of another, 32 bytes!"), header, claims),
		"without a signature":                          part[0] + "." + part[1] + ".",
		"a signature with padding":                     ani.refresh + "=",
		"a line's end behind it":                       ani.refresh + `\n`,
		"a space before it":                            " " + ani.refresh,
		"a NUL behind it":                              ani.refresh + `\u0000`,
		"the scheme before it":                         "Bearer " + ani.refresh,
		"a generation that was never given out":        generation("3"),
		"a generation far ahead":                       generation("9223372036854775807"),
		"a generation of zero":                         generation("0"),
		"a generation below zero":                      generation("-1"),
		"a generation that jti does not tell":          with(`"gen":2`, `"gen":1`),
		"a session that jti does not tell":             with(`"jti":"`+sid, `"jti":"4711`),
		"no generation":                                with(`,"gen":2`, ``),
		"a session that there is not":                  strings.NewReplacer().Replace(with(`"sid":"`+sid, `"sid":"4711`, `"jti":"`+sid, `"jti":"4711`)),
		"exp in the past":                              with(`"exp":`+numberIn(g.t, claims, `"exp":`), `"exp":1000000000`),
		"exp as text":                                  with(`"exp":`+numberIn(g.t, claims, `"exp":`), `"exp":"4102444800"`),
		"exp beyond any number":                        with(`"exp":`+numberIn(g.t, claims, `"exp":`), `"exp":9223372036854775808`),
		"a claim more":                                 with(`"gen":2`, `"gen":2,"sub":1`),
		"five parts":                                   strings.Join([]string{part[0], "", part[1], part[2], part[2]}, "."),
		"a million bytes":                              strings.Repeat("x", 1_000_000),
		"another session's claims, signed for neither": part[0] + "." + strings.Split(budi.refresh, ".")[1] + "." + part[2],
	} {
		all = append(all, attack{rule: "to refresh: " + rule, method: "POST", target: "/refresh/token", body: `{"refresh_token":"` + token + `"}`, status: 401, code: "invalid_token"})
		if !strings.HasPrefix(rule, "a generation that was never") && !strings.HasPrefix(rule, "a generation far") { // on another node it could have been given out
			all = append(all, attack{rule: "to sign out: " + rule, as: "ani", method: "POST", target: "/logout", body: `{"refresh_token":"` + token + `"}`, status: 401, code: "invalid_token"})
		}
	}
	all = append(all,
		attack{rule: "to sign out: another user's", as: "ani", method: "POST", target: "/logout", body: `{"refresh_token":"` + budi.refresh + `"}`, status: 403, code: "forbidden"},
		attack{rule: "a refresh token that signs in itself", method: "POST", target: "/logout", header: []string{"Authorization", "Bearer " + ani.refresh}, body: `{"refresh_token":"` + ani.refresh + `"}`, status: 401, code: "invalid_token"},
		attack{rule: "a refresh token in the Authorization field alone", method: "POST", target: "/refresh/token", header: []string{"Authorization", "Bearer " + ani.refresh}, body: `{}`, status: 400, code: "validation_failed", field: "refresh_token"},
		attack{rule: "a refresh token in a cookie", method: "POST", target: "/refresh/token", header: []string{"Cookie", "refresh_token=" + ani.refresh}, body: `{}`, status: 400, code: "validation_failed", field: "refresh_token"},
		attack{rule: "a refresh token in the query", method: "POST", target: "/refresh/token?refresh_token=" + ani.refresh, body: `{}`, status: 400, code: "validation_failed", field: "refresh_token"},
		attack{rule: "two refresh tokens", method: "POST", target: "/refresh/token", body: `{"refresh_token":["` + ani.refresh + `","` + budi.refresh + `"]}`, status: 400, code: "validation_failed", field: "refresh_token"},
	)
	g.refused(all...)
	g.holds("after all of this the session is as it was", func(t *testing.T, s *server) {
		for _, c := range []*session{ani, budi} {
			if r := c.as(t).do("GET", "/user/me", ""); r.status != 200 {
				t.Errorf("got %s", r.body)
			}
			if r := c.as(t).renew(); r.status != 200 {
				t.Errorf("got %s", r.body)
			}
		}
	})
}

// trade trades a refresh token, whoever has it.
func (s *server) trade(token string) *response {
	s.t.Helper()
	return s.do("POST", "/refresh/token", `{"refresh_token":"`+token+`"}`)
}

// atOnce calls each of fns from a goroutine of its own, and waits.
func atOnce(fns ...func()) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, fn := range fns {
		wg.Go(func() { <-start; fn() })
	}
	close(start)
	wg.Wait()
}

// attackRotation is about refresh tokens that were good once, and about many
// who use one at the same time.
func attackRotation(g *siege) {
	root := g.person("root", true)
	generations := func(s *server, c *session) string {
		return s.column("SELECT generation FROM session WHERE user_id = (SELECT user_id FROM session WHERE id = " + numberIn(g.t, second(claimsOf(g.t, c.refresh)), `"sid":"`) + ")")
	}
	thefts := func(s *server) string { return s.column("SELECT count(*) FROM audit WHERE action = 'session.theft'") }
	dead := func(t *testing.T, c *session) {
		t.Helper()
		if r := c.as(t).do("GET", "/user/me", ""); r.status != 401 || r.code != "invalid_token" {
			t.Errorf("the access token: got %s", r.body)
		}
		if r := c.s.in(t).trade(c.refresh); r.status != 401 || r.code != "invalid_token" {
			t.Errorf("the refresh token: got %s", r.body)
		}
	}
	g.holds("200 refreshes of one token at once: one family, one successor, nobody locked out", func(t *testing.T, s *server) {
		c := s.asUser("many", false)
		got := make([]*response, 200)
		all := make([]func(), len(got))
		for i := range got {
			all[i] = func() { got[i] = s.trade(c.refresh) }
		}
		atOnce(all...)
		for _, r := range got {
			if r.status != 200 || r.text("refresh_token") != got[0].text("refresh_token") {
				t.Fatalf("got %s, and %s", r.body, got[0].body)
			}
			if r := (&session{s, r.text("access_token"), ""}).do("GET", "/user/me", ""); r.status != 200 {
				t.Fatalf("an access token of it: %s", r.body)
			}
		}
		if got := generations(s, c); got != "2\n" {
			t.Errorf("there are the generations %q", got)
		}
		if r := s.trade(got[0].text("refresh_token")); r.status != 200 {
			t.Errorf("the successor: %s", r.body)
		}
		if thefts(s) != "0\n" {
			t.Error("it was taken for theft")
		}
	})
	g.holds("20 chains of refreshes at once, each client with the newest token it got: nobody is locked out", func(t *testing.T, s *server) {
		c := s.asUser("chains", false)
		token := c.refresh
		for range 5 {
			got := make([]*response, 20)
			all := make([]func(), len(got))
			for i := range got {
				all[i] = func() { got[i] = s.trade(token) }
			}
			atOnce(all...)
			for _, r := range got {
				if r.status != 200 || r.text("refresh_token") != got[0].text("refresh_token") {
					t.Fatalf("got %s, and %s", r.body, got[0].body)
				}
			}
			token = got[0].text("refresh_token")
		}
		if got := generations(s, c); got != "6\n" {
			t.Errorf("there are the generations %q", got)
		}
	})
	for _, c := range []struct {
		rule  string
		after time.Duration
		good  bool
	}{
		{"at once it gets the same successor", 0, true},
		{"after 30 s sharp it gets the same successor", 30 * time.Second, true},
		{"a microsecond later the session dies", 30*time.Second + time.Microsecond, false},
		{"after a day the session dies", 24 * time.Hour, false},
	} {
		g.holds("a token that was traded is sent again: "+c.rule, func(t *testing.T, s *server) {
			s.stop()
			defer func() { s.clock.stands = time.Time{}; s.pass(-c.after) }()
			who := s.asUser(fmt.Sprintf("again%d", g.n), false)
			first := who.refresh
			who.renew()
			before := thefts(s)
			s.pass(c.after)
			r := s.trade(first)
			if c.good {
				if r.status != 200 || r.text("refresh_token") != who.refresh {
					t.Errorf("got %s", r.body)
				}
				if r := s.trade(who.refresh); r.status != 200 {
					t.Errorf("the successor: %s", r.body)
				}
				return
			}
			if r.status != 401 || r.code != "invalid_token" {
				t.Errorf("got %s", r.body)
			}
			dead(t, who)
			if thefts(s) == before {
				t.Error("it was not audited")
			}
			audited := thefts(s)
			s.trade(first)
			if thefts(s) != audited {
				t.Error("it was audited again")
			}
		})
	}
	g.holds("a token two generations old is theft within the 30 s too", func(t *testing.T, s *server) {
		c := s.asUser("old", false)
		first := c.refresh
		c.renew()
		c.renew()
		if r := s.trade(first); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
		dead(t, c)
	})
	g.holds("who steals a token and is the first to use it is found out when its owner comes", func(t *testing.T, s *server) {
		owner := s.asUser("owner", false)
		thief := &session{s, owner.access, owner.refresh}
		thief.renew()
		s.pass(31 * time.Second)
		defer s.pass(-31 * time.Second)
		if r := s.trade(owner.refresh); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
		dead(t, thief)
		dead(t, owner)
	})
	g.holds("a thief who goes on with the successor that both have is found out when either uses an older one", func(t *testing.T, s *server) {
		owner := s.asUser("owner2", false)
		first := owner.refresh
		owner.renew()
		thief := &session{s, "", s.trade(first).text("refresh_token")}
		if thief.refresh != owner.refresh {
			t.Fatal("there are two successors")
		}
		thief.renew()
		thief.renew()
		if r := s.trade(owner.refresh); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
		dead(t, thief)
	})
	g.holds("40 uses of a stolen token and of its successor at once: the session ends, once", func(t *testing.T, s *server) {
		c := s.asUser("both", false)
		first := c.refresh
		c.renew()
		s.pass(31 * time.Second)
		defer s.pass(-31 * time.Second)
		before := thefts(s)
		var all []func()
		for i := range 40 {
			all = append(all, func() {
				token := c.refresh
				if i%2 == 0 {
					token = first
				}
				switch r := s.trade(token); {
				case r.status == 401 && r.code == "invalid_token":
				case r.status == 200 && token == c.refresh:
				default:
					t.Errorf("got %s", r.body)
				}
			})
		}
		atOnce(all...)
		dead(t, c)
		if after := thefts(s); after != fmt.Sprintln(int(before[0]-'0')+1) && len(before) == 2 {
			t.Errorf("audited %q, before %q", after, before)
		}
	})
	for what, end := range map[string]func(s *server, c *session, id string) *response{
		"a logout": func(_ *server, c *session, _ string) *response {
			return c.do("POST", "/logout", `{"refresh_token":"`+c.refresh+`"}`)
		},
		"the end of the session": func(s *server, _ *session, id string) *response {
			return root.as(s.t).do("DELETE", "/session/"+root.as(s.t).do("GET", "/session?user="+id, "").text("0.id"), "")
		},
		"the end of the user": func(s *server, _ *session, id string) *response { return root.as(s.t).do("DELETE", "/user/"+id, "") },
		"the user's being disabled": func(s *server, _ *session, id string) *response {
			return root.as(s.t).do("POST", "/user/"+id+"/disable", "")
		},
		"a reset of the user's password": func(s *server, _ *session, id string) *response {
			return s.do("POST", "/user/password/reset", `{"code":"`+root.as(s.t).do("POST", "/user/"+id+"/password/reset", "").text("code")+`","new_password":"another one"}`)
		},
	} {
		g.holds("refreshes at the time of "+what+": when that is answered no token lives, old or new", func(t *testing.T, s *server) {
			for round := range 4 {
				c := s.asUser(strings.ReplaceAll(strings.NewReplacer("'", "", " ", "-").Replace(what)+fmt.Sprint(round), "--", "-"), false)
				id := c.id()
				got := make([]*response, 8)
				var ended *response
				all := []func(){func() { ended = end(s, c, id) }}
				for i := range got {
					all = append(all, func() { got[i] = s.trade(c.refresh) })
				}
				atOnce(all...)
				if ended.status != 200 {
					t.Errorf("got %s", ended.body)
				}
				dead(t, c)
				for _, r := range got {
					switch {
					case r.status == 200:
						dead(t, &session{s, r.text("access_token"), r.text("refresh_token")})
					case r.status != 401 || r.code != "invalid_token":
						t.Errorf("got %s", r.body)
					}
				}
			}
		})
	}
	g.holds("a refresh during a change of the password: this session goes on, others are dead", func(t *testing.T, s *server) {
		s.addUser("changes", userPassword, "changes@example.com", false, false)
		c, other := s.login("changes", userPassword), s.login("changes", userPassword)
		var changed, mine, theirs *response
		atOnce(
			func() {
				changed = c.do("POST", "/user/me/password", `{"current_password":"`+userPassword+`","new_password":"another one"}`)
			},
			func() { mine = s.trade(c.refresh) },
			func() { theirs = s.trade(other.refresh) },
		)
		if changed.status != 200 || mine.status != 200 {
			t.Fatalf("got %s, %s", changed.body, mine.body)
		}
		if r := s.trade(mine.text("refresh_token")); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
		dead(t, other)
		if theirs.status == 200 {
			dead(t, &session{s, theirs.text("access_token"), theirs.text("refresh_token")})
		}
	})
	g.holds("refreshes by many users at once do not mix", func(t *testing.T, s *server) {
		var all []func()
		for i := range 30 {
			c := s.asUser(fmt.Sprintf("mix%d", i), false)
			for range 3 {
				all = append(all, func() {
					r := s.trade(c.refresh)
					if who := (&session{s, r.text("access_token"), ""}).do("GET", "/user/me", "").text("username"); who != fmt.Sprintf("mix%d", i) {
						t.Errorf("%d is %s", i, who)
					}
				})
			}
		}
		atOnce(all...)
	})
}

func second(_, b string) string { return b }
