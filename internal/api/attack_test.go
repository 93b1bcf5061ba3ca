package api

import (
	"bufio"
	stdjson "encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// attack is a request of somebody who means harm. It must be refused as it
// says, and must change nothing.
type attack struct {
	rule   string
	as     string // whose access token or key it has, by its name in the siege; "": none
	method string
	target string
	body   string
	header []string // pairs; a Content-Type replaces the usual one
	status int
	code   string
	field  string // of the first of errors
}

// siege is the attacks on one server.
type siege struct {
	s       *server
	t       *testing.T
	people  map[string]*session // who is signed in, and keys
	secrets []string            // what no answer may repeat
	n       int                 // cases
}

// attacks are the subjects of the suite, each with a server of its own.
var attacks = []struct {
	subject string
	options []serverOption
	run     func(*siege)
}{
	{"tokens", []serverOption{idle}, attackTokens},
	{"claims", []serverOption{idle}, attackClaims},
	{"refresh tokens", []serverOption{idle}, attackRefreshTokens},
	{"rotation", []serverOption{idle}, attackRotation},
	{"members", []serverOption{idle}, attackMembers},
	{"privilege", nil, attackPrivilege},
	{"bodies", []serverOption{idle}, attackBodies},
	{"requests", []serverOption{idle}, attackRequests},
	{"keys", []serverOption{idle}, attackKeys},
	{"grants", nil, attackGrants},
	{"limits behind a proxy", []serverOption{idle, trusting("127.0.0.1/32")}, attackLimits},
	{"limits without a proxy", []serverOption{idle}, attackLimitsDirectly},
}

// leastAttacks is how many cases there must be.
const leastAttacks = 250

func TestAttacks(t *testing.T) {
	total, subjects := 0, 0
	for _, a := range attacks {
		t.Run(a.subject, func(t *testing.T) {
			s := newServer(t, a.options...)
			g := &siege{s: s, t: t, people: map[string]*session{}, secrets: []string{adminPassword, userPassword}}
			a.run(g)
			if log := s.log.String(); strings.Contains(log, "request failed") || strings.Contains(log, "panic") {
				t.Errorf("the log has %.2000s", log)
			}
			for _, secret := range g.secrets {
				if strings.Contains(s.log.String(), secret) {
					t.Errorf("the log has %s", secret)
				}
			}
			t.Logf("%d cases", g.n)
			total, subjects = total+g.n, subjects+1
		})
	}
	if subjects == len(attacks) && total < leastAttacks {
		t.Errorf("there are only %d cases", total)
	}
	t.Logf("%d cases", total)
}

// person has somebody signed in under a name of the siege's.
func (g *siege) person(name string, superuser bool) *session {
	c := g.s.asUser(name, superuser)
	g.know(name, c)
	return c
}

// know makes somebody's credentials those of attacks under that name.
func (g *siege) know(name string, c *session) {
	g.people[name] = c
	for _, secret := range []string{c.access, c.refresh} {
		if secret != "" {
			g.secrets = append(g.secrets, secret)
		}
	}
}

// refused makes the attacks, each of which is a case.
func (g *siege) refused(all ...attack) {
	g.t.Helper()
	before := g.s.digest()
	for _, a := range all {
		g.n++
		g.t.Run(a.rule, func(t *testing.T) {
			token := ""
			if a.as != "" {
				token = g.people[a.as].access
			}
			r := g.s.in(t).send(a.method, a.target, a.body, token, a.header)
			g.check(t, a, r)
			if after := g.s.digest(); after != before {
				t.Error("the database has changed")
				before = after
			}
		})
	}
}

// check holds an answer to what is said of the attack; that it is in the
// envelope, with the header fields of its status and no other, is looked at
// already.
func (g *siege) check(t *testing.T, a attack, r *response) {
	t.Helper()
	if r.status != a.status || r.code != a.code || r.text("errors.0.field") != a.field {
		t.Errorf("got %d %s of %q, want %d %s of %q: %.500s", r.status, r.code, r.text("errors.0.field"), a.status, a.code, a.field, r.body)
	}
	challenge := ""
	switch {
	case a.code == "invalid_token":
		challenge = `Bearer realm="jadwal", error="invalid_token"`
	case a.status == 401:
		challenge = `Bearer realm="jadwal"`
	case a.code == "insufficient_scope":
		challenge = r.header.Get("Www-Authenticate") // looked at already
	}
	if got := r.header.Get("Www-Authenticate"); got != challenge {
		t.Errorf("got WWW-Authenticate %q, want %q", got, challenge)
	}
	for _, secret := range g.secrets {
		if strings.Contains(string(r.body), secret) {
			t.Errorf("the answer repeats %s: %.500s", secret, r.body)
		}
	}
	if len(r.body) > 2000 && len(a.target) < 1000 {
		t.Errorf("the answer is long: %d bytes", len(r.body))
	}
}

// holds is a case of several requests.
func (g *siege) holds(rule string, fn func(t *testing.T, s *server)) {
	g.t.Helper()
	g.n++
	g.t.Run(rule, func(t *testing.T) { fn(t, g.s.in(t)) })
}

// as is c with its failures told to t.
func (c *session) as(t testing.TB) *session { return &session{c.s.in(t), c.access, c.refresh} }

// exchange sends bytes over a connection and returns the statuses of all
// answers until the server closes it, or says no more for a while.
func (s *server) exchange(sent string) (statuses []int, closed bool) {
	s.t.Helper()
	return s.answers(sent, 200*time.Millisecond)
}

// answers is exchange that waits so long for each answer behind the first.
func (s *server) answers(sent string, more time.Duration) (statuses []int, closed bool) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	go io.WriteString(conn, sent)
	answers := bufio.NewReader(conn)
	method, _, _ := strings.Cut(sent, " ")
	for wait := 10 * time.Second; ; wait = more {
		conn.SetReadDeadline(time.Now().Add(wait))
		resp, err := http.ReadResponse(answers, &http.Request{Method: method})
		method = ""
		if err != nil {
			timeout, ok := err.(net.Error)
			return statuses, !ok || !timeout.Timeout()
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			s.t.Fatalf("%.200q: %v", sent, err)
		}
		if resp.Header.Get("Content-Type") == "application/json" && len(body) > 0 {
			var e struct{ Status int }
			if err := stdjson.Unmarshal(body, &e); err != nil || e.Status != resp.StatusCode {
				s.t.Errorf("%.200q: got %d %s (%v)", sent, resp.StatusCode, body, err)
			}
		} else if resp.StatusCode < 400 { // not what net/http refuses itself
			s.t.Errorf("%.200q: got %d %s", sent, resp.StatusCode, body)
		}
		statuses = append(statuses, resp.StatusCode)
	}
}

// held sends a request of which the server has read the header, and knows who
// asks, before what happens meanwhile; then the body.
func (c *session) held(method, target, body string, meanwhile func()) (status int) {
	c.s.t.Helper()
	conn, err := net.Dial("tcp", c.s.addr)
	if err != nil {
		c.s.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		method, target, c.access, len(body))
	answers := bufio.NewReader(conn)
	if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		c.s.t.Fatalf("%s: %q %v", target, line, err)
	}
	answers.ReadString('\n')
	meanwhile()
	io.WriteString(conn, body)
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		c.s.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
