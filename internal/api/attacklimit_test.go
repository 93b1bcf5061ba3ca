package api

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// signIn tries to sign in from an address that a trusted proxy names.
func (s *server) signIn(from, identifier, password string) *response {
	s.t.Helper()
	return s.do("POST", "/login", fmt.Sprintf(`{"identifier":%q,"password":%q}`, identifier, password), "X-Forwarded-For", from)
}

// guess signs in wrongly n times from an address.
func (s *server) guess(n int, from, identifier string) {
	s.t.Helper()
	for i := range n {
		if r := s.signIn(from, identifier, "a wrong guess"); r.status != 401 || r.code != "invalid_credentials" {
			s.t.Fatalf("guess %d: got %s", i+1, r.body)
		}
	}
}

// limited checks a refusal for too many failures.
func limited(t *testing.T, r *response) {
	t.Helper()
	wait, err := strconv.Atoi(r.header.Get("Retry-After"))
	if r.status != 429 || r.code != "rate_limited" || err != nil || wait < 1 || wait > 5 {
		t.Errorf("got %s, Retry-After %q", r.body, r.header.Get("Retry-After"))
	}
}

// good checks a sign-in.
func good(t *testing.T, r *response) {
	t.Helper()
	if r.status != 200 {
		t.Errorf("got %s", r.body)
	}
}

// attackLimits is about guessing, and about locking others out by guessing. The
// clock stands, so that nothing is forgiven meanwhile.
func attackLimits(g *siege) {
	g.s.stop()
	root := g.person("root", true)
	next := 0
	victim := func(s *server) (name, address string) { // and an attacker's address nobody has used
		next++
		name = fmt.Sprintf("victim%d", next)
		s.addUser(name, userPassword, name+"@example.com", false, false)
		return name, fmt.Sprintf("198.51.100.%d", next)
	}
	const home = "203.0.113.200" // where victims are
	g.holds("a victim is let in from another address while one that guesses is not", func(t *testing.T, s *server) {
		name, from := victim(s)
		s.guess(10, from, name)
		limited(t, s.signIn(from, name, "a wrong guess"))
		limited(t, s.signIn(from, name, userPassword))
		good(t, s.signIn(home, name, userPassword))
	})
	g.holds("a victim is let in while guesses come from many addresses", func(t *testing.T, s *server) {
		name, _ := victim(s)
		for i := range 6 {
			s.guess(10, fmt.Sprintf("192.0.2.%d", 50+i), name)
		}
		good(t, s.signIn(home, name, userPassword))
	})
	g.holds("a victim is let in while 200 guesses from one address are under way", func(t *testing.T, s *server) {
		const name, from = "dear", "198.51.100.98"
		s.addUser(name, userPassword, "dear@example.com", false, false)
		var fns []func()
		for range 200 {
			fns = append(fns, func() {
				if r := s.signIn(from, name, "a wrong guess"); r.status != 401 && r.status != 429 && r.status != 503 {
					t.Errorf("got %s", r.body)
				}
			})
		}
		fns = append(fns, func() {
			time.Sleep(20 * time.Millisecond)
			good(t, s.signIn(home, name, userPassword))
		})
		atOnce(fns...)
	})
	g.holds("200 guesses at once are checked no more often than ten in a row", func(t *testing.T, s *server) {
		name, from := victim(s)
		checked := make(chan bool, 200)
		var fns []func()
		for range 200 {
			fns = append(fns, func() {
				if s.signIn(from, name, "a wrong guess").status == 401 {
					checked <- true
				}
			})
		}
		atOnce(fns...)
		if len(checked) > 10 {
			t.Errorf("%d were", len(checked))
		}
	})
	g.holds("sessions and refreshes of who is guessed at go on, from the same address too", func(t *testing.T, s *server) {
		c := s.asUser("busy", false)
		s.guess(10, "198.51.100.99", "busy")
		good(t, c.do("GET", "/user/me", "", "X-Forwarded-For", "198.51.100.99"))
		good(t, s.do("POST", "/refresh/token", `{"refresh_token":"`+c.refresh+`"}`, "X-Forwarded-For", "198.51.100.99"))
	})
	g.holds("one address has 30 guesses, whatever names it tries", func(t *testing.T, s *server) {
		name, from := victim(s)
		for i := range 30 {
			s.guess(1, from, fmt.Sprintf("nobody%d", i))
		}
		limited(t, s.signIn(from, "another", "a wrong guess"))
		limited(t, s.signIn(from, name, userPassword))
		good(t, s.signIn(home, name, userPassword))
	})
	g.holds("the addresses of an IPv6 network of 64 bits are one", func(t *testing.T, s *server) {
		name, _ := victim(s)
		for i := range 30 {
			s.guess(1, fmt.Sprintf("2001:db8:1:2:%x::%x", i*77, i), fmt.Sprintf("nobody%d", i))
		}
		limited(t, s.signIn("2001:db8:1:2:ffff:ffff:ffff:ffff", "another", "a wrong guess"))
		limited(t, s.signIn("2001:db8:1:2::", name, userPassword))
		good(t, s.signIn("2001:db8:1:3::1", name, userPassword))
	})
	g.holds("an IPv6 network has ten guesses at an account", func(t *testing.T, s *server) {
		name, _ := victim(s)
		for i := range 10 {
			s.guess(1, fmt.Sprintf("2001:db8:7:7::%x", i), name)
		}
		limited(t, s.signIn("2001:db8:7:7:1::", name, userPassword))
		good(t, s.signIn("2001:db8:7:8::", name, userPassword))
	})
	g.holds("an IPv4 address in IPv6 is the IPv4 address", func(t *testing.T, s *server) {
		name, from := victim(s)
		s.guess(5, from, name)
		s.guess(5, "::ffff:"+from, name)
		limited(t, s.signIn(from, name, userPassword))
		limited(t, s.signIn("::ffff:"+from, name, userPassword))
	})
	g.holds("IPv4 addresses in IPv6 are not one network", func(t *testing.T, s *server) {
		name, from := victim(s)
		s.guess(10, "::ffff:"+from, name)
		good(t, s.signIn("::ffff:203.0.113.77", name, userPassword))
	})
	for rule, write := range map[string]func(name string) string{
		"capitals":        strings.ToUpper,
		"the email":       func(name string) string { return name + "@example.com" },
		"email, capitals": func(name string) string { return strings.ToUpper(name + "@example.com") },
	} {
		g.holds("an account has ten guesses, half of them by "+rule, func(t *testing.T, s *server) {
			name, from := victim(s)
			s.guess(5, from, name)
			s.guess(5, from, write(name))
			limited(t, s.signIn(from, name, userPassword))
			limited(t, s.signIn(from, write(name), userPassword))
		})
	}
	g.holds("guesses of the present password with a token count with those at the door", func(t *testing.T, s *server) {
		c := s.asUser("inside", false)
		change := func(password string) *response {
			return c.do("POST", "/user/me/password", fmt.Sprintf(`{"current_password":%q,"new_password":"another one"}`, password), "X-Forwarded-For", "198.51.100.150")
		}
		for range 6 {
			if r := change("a wrong guess"); r.status != 403 || r.code != "wrong_password" {
				t.Fatalf("got %s", r.body)
			}
		}
		s.guess(4, "198.51.100.150", "inside")
		limited(t, change(userPassword))
		limited(t, s.signIn("198.51.100.150", "inside", userPassword))
		good(t, s.signIn(home, "inside", userPassword))
	})
	g.holds("a right password in between forgives nothing", func(t *testing.T, s *server) {
		name, from := victim(s)
		s.guess(9, from, name)
		good(t, s.signIn(from, name, userPassword))
		s.guess(1, from, name)
		limited(t, s.signIn(from, name, userPassword))
	})
	g.holds("right passwords are not counted", func(t *testing.T, s *server) {
		name, from := victim(s)
		for range 15 {
			good(t, s.signIn(from, name, userPassword))
		}
	})
	g.holds("one guess is forgiven every 5 s, and no more", func(t *testing.T, s *server) {
		name, from := victim(s)
		s.guess(10, from, name)
		for range 2 {
			s.pass(5 * time.Second)
			s.guess(1, from, name)
			limited(t, s.signIn(from, name, "a wrong guess"))
		}
	})
	g.holds("names that are there, are not, are disabled and are deleted are answered alike, before the limit and beyond", func(t *testing.T, s *server) {
		there, _ := victim(s)
		off, gone := s.asUser("off", false), s.asUser("gone", false)
		root.as(t).do("POST", "/user/"+off.id()+"/disable", "")
		root.as(t).do("DELETE", "/user/"+gone.id(), "")
		var first, last string
		for i, name := range []string{there, "nobody-at-all", "off", "gone", "not a name", "@", strings.Repeat("x", 300)} {
			from := fmt.Sprintf("192.0.2.%d", 150+i)
			password := userPassword
			if name == there {
				password = "a wrong guess"
			}
			for range 9 {
				s.signIn(from, name, password)
			}
			tenth, eleventh := s.signIn(from, name, password), s.signIn(from, name, password)
			limited(t, eleventh)
			if i == 0 {
				first, last = cutTimestamp(tenth.body), cutTimestamp(eleventh.body)
			}
			if tenth.status != 401 || cutTimestamp(tenth.body) != first || cutTimestamp(eleventh.body) != last || eleventh.header.Get("Retry-After") != "5" {
				t.Errorf("%.40s: got %s and %s", name, tenth.body, eleventh.body)
			}
		}
	})
	for rule, field := range map[string]string{
		"addresses that the client writes to the left": "10.9.N.1, 198.51.100.210", "nonsense that the client writes to the left": "xN, 198.51.100.211", "empty hops": ", ,N,,198.51.100.212",
		"a port to the left": "10.9.N.1:80, 198.51.100.213", "a loopback address to the left": "127.0.0.1, 10.9.N.1, 198.51.100.214",
	} {
		g.holds("X-Forwarded-For with "+rule+" is the last hop that is not trusted", func(t *testing.T, s *server) {
			name, _ := victim(s)
			for i := range 10 {
				s.guess(1, strings.Replace(field, "N", fmt.Sprint(i), 1), name)
			}
			limited(t, s.signIn(strings.Replace(field, "N", "99", 1), name, userPassword))
		})
	}
	g.holds("addresses that cannot be read are the proxy's own", func(t *testing.T, s *server) {
		name, _ := victim(s)
		for i := range 10 {
			s.guess(1, fmt.Sprintf("unknown%d", i), name)
		}
		limited(t, s.signIn("_hidden", name, userPassword))
		good(t, s.signIn(home, name, userPassword))
	})
}

// attackLimitsDirectly is the same without a proxy: whatever a client says of
// its address, it has one.
func attackLimitsDirectly(g *siege) {
	g.s.stop()
	g.s.addUser("victim", userPassword, "victim@example.com", false, false)
	spoofed := func(i int) [][]string {
		at := fmt.Sprintf("203.0.113.%d", i)
		return [][]string{
			{"X-Forwarded-For", at}, {"Forwarded", "for=" + at}, {"X-Real-IP", at}, {"True-Client-IP", at}, {"CF-Connecting-IP", at}, {"X-Client-IP", at}, {"X-Cluster-Client-IP", at},
			{"Via", "1.1 " + at}, {"X-Forwarded-For", "127.0.0.1"}, {"X-Originating-IP", at},
		}
	}
	const body = `{"identifier":"victim","password":"a wrong guess"}`
	g.holds("ten guesses, each with another address in another field, are ten", func(t *testing.T, s *server) {
		for i, header := range spoofed(1) {
			if r := s.do("POST", "/login", body, header...); r.status != 401 {
				t.Errorf("guess %d: got %s", i, r.body)
			}
		}
		limited(t, s.do("POST", "/login", body))
	})
	for i, header := range spoofed(77) {
		g.holds(fmt.Sprintf("%s: %s makes nobody another", header[0], header[1]), func(t *testing.T, s *server) {
			before := s.digest()
			limited(t, s.do("POST", "/login", strings.Replace(body, "a wrong guess", userPassword, 1), append(header, "X-Request-Id", fmt.Sprint(i))...))
			if s.digest() != before {
				t.Error("the database has changed")
			}
		})
	}
}
