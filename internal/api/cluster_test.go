package api

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
	"github.com/teknohole/jadwal/internal/store/dirtest"
	"github.com/teknohole/jadwal/internal/store/pgtest"
	"github.com/teknohole/jadwal/internal/store/storetest"
)

// nodes are three servers on one PostgreSQL.
type nodes struct {
	t       *testing.T
	servers [3]*server
	root    *session // of the first server
	people  int
}

// newNodes starts them, each where one of urls says the database is. Those that
// listen hear of each other's changes; the others find them by polling.
func newNodes(t *testing.T, listen bool, urls ...string) *nodes {
	t.Helper()
	n, dir := &nodes{t: t}, dirtest.New(t)
	for i := range n.servers {
		n.servers[i] = serve(t, store.Options{URL: urls[i%len(urls)], Unsafe: true}, dir, idle)
		if listen {
			ctx, stop := context.WithCancel(context.Background())
			var heard sync.WaitGroup
			heard.Go(func() { n.servers[i].store.Listen(ctx) })
			t.Cleanup(func() { stop(); heard.Wait() })
		}
	}
	n.root = n.servers[0].asUser("root", true)
	return n
}

// person signs somebody in on the first server, and makes an API key; all
// servers know both.
func (n *nodes) person(superuser bool) (c, key *session, keyID string) {
	n.t.Helper()
	n.people++
	c = n.servers[0].asUser(fmt.Sprintf("person%d", n.people), superuser)
	made := c.newKey(jadwal.Scopes...)
	key = &session{s: c.s, access: made.text("key")}
	n.know(c, key)
	return c, key, made.text("id")
}

// know waits until all servers know who somebody is.
func (n *nodes) know(all ...*session) {
	n.t.Helper()
	for _, c := range all {
		for i := range n.servers {
			eventually(n.t, func() (*response, bool) {
				r := c.on(n.servers[i]).do("GET", "/user/me", "")
				return r, r.status == 200
			})
		}
	}
}

// on is a session as another server sees it.
func (c *session) on(s *server) *session { return &session{s, c.access, c.refresh} }

// Whatever is taken away on one server is gone on two others within a second,
// and no change is let through there after it was answered.
func TestWhatIsTakenAwayOnOneOfThreeServers(t *testing.T) {
	const times = 3
	dead := func(s *server, all ...*session) (r *response, gone bool) {
		for _, c := range all {
			if r = c.on(s).do("GET", "/user/me", ""); r.status != 401 {
				return r, false
			}
		}
		return r, true
	}
	// Each prepares what is there, and tells how it is taken away, who must not
	// change anything from then on, and what is to be seen of it on a server.
	for _, c := range []struct {
		what    string
		prepare func(n *nodes) (take func() *response, lost []*session, gone func(s *server) (*response, bool))
	}{
		{"a logout", func(n *nodes) (func() *response, []*session, func(*server) (*response, bool)) {
			c, _, _ := n.person(false)
			return func() *response { return c.do("POST", "/logout", `{"refresh_token":"`+c.refresh+`"}`) }, []*session{c}, func(s *server) (*response, bool) { return dead(s, c) }
		}},
		{"the end of a session", func(n *nodes) (func() *response, []*session, func(*server) (*response, bool)) {
			c, _, _ := n.person(false)
			id := c.do("GET", "/session", "").text("0.id")
			return func() *response { return n.root.do("DELETE", "/session/"+id, "") }, []*session{c}, func(s *server) (*response, bool) { return dead(s, c) }
		}},
		{"a refresh token that was stolen", func(n *nodes) (func() *response, []*session, func(*server) (*response, bool)) {
			c, _, _ := n.person(false)
			old := c.refresh
			c.renew()
			c.renew()
			return func() *response {
				if r := n.servers[0].trade(old); r.status != 401 {
					return r
				}
				return &response{status: 200}
			}, []*session{c}, func(s *server) (*response, bool) { return dead(s, c) }
		}},
		{"a change of the password", func(n *nodes) (func() *response, []*session, func(*server) (*response, bool)) {
			c, _, _ := n.person(false)
			other := n.servers[0].login(c.do("GET", "/user/me", "").text("username"), userPassword)
			n.know(other)
			return func() *response {
				return c.do("POST", "/user/me/password", `{"current_password":"`+userPassword+`","new_password":"another one"}`)
			}, []*session{other}, func(s *server) (*response, bool) { return dead(s, other) }
		}},
		{"a reset of the password", func(n *nodes) (func() *response, []*session, func(*server) (*response, bool)) {
			c, _, _ := n.person(false)
			code := n.root.do("POST", "/user/"+c.id()+"/password/reset", "").text("code")
			return func() *response {
				return n.servers[0].do("POST", "/user/password/reset", `{"code":"`+code+`","new_password":"another one"}`)
			}, []*session{c}, func(s *server) (*response, bool) { return dead(s, c) }
		}},
		{"a user who is disabled", func(n *nodes) (func() *response, []*session, func(*server) (*response, bool)) {
			c, key, _ := n.person(false)
			id := c.id()
			return func() *response { return n.root.do("POST", "/user/"+id+"/disable", "") }, []*session{c, key}, func(s *server) (*response, bool) { return dead(s, c, key) }
		}},
		{"a user who is deleted", func(n *nodes) (func() *response, []*session, func(*server) (*response, bool)) {
			c, key, _ := n.person(false)
			id := c.id()
			return func() *response { return n.root.do("DELETE", "/user/"+id, "") }, []*session{c, key}, func(s *server) (*response, bool) { return dead(s, c, key) }
		}},
		{"a key that is deleted", func(n *nodes) (func() *response, []*session, func(*server) (*response, bool)) {
			_, key, id := n.person(false)
			return func() *response { return n.root.do("DELETE", "/key/"+id, "") }, []*session{key}, func(s *server) (*response, bool) { return dead(s, key) }
		}},
		{"a superuser who is demoted", func(n *nodes) (func() *response, []*session, func(*server) (*response, bool)) {
			c, key, _ := n.person(true)
			id := c.id()
			return func() *response { return n.root.do("PATCH", "/user/"+id, `{"is_superuser":false}`) }, nil, func(s *server) (*response, bool) {
				if r := c.on(s).do("POST", "/user", newUserBody); r.status != 403 { // a change, which none lets through
					return r, false
				}
				for _, who := range []*session{c, key} {
					if r := who.on(s).do("GET", "/user", ""); r.status != 403 {
						return r, false
					}
				}
				return nil, true
			}
		}},
		{"a grant that is taken away", func(n *nodes) (func() *response, []*session, func(*server) (*response, bool)) {
			owner, _, _ := n.person(false)
			c, key, _ := n.person(false)
			job, id := owner.createJob("shared"), c.id()
			owner.grant(job, id, jadwal.LevelViewer)
			return func() *response { return owner.do("DELETE", "/job/"+job+"/grant/"+id, "") }, nil, func(s *server) (*response, bool) {
				for _, who := range []*session{c, key} {
					if r := who.on(s).do("GET", "/job/"+job, ""); r.status != 404 {
						return r, false
					}
				}
				return nil, true
			}
		}},
	} {
		for _, how := range []string{"hear", "poll"} {
			t.Run(c.what+", on servers that "+how, func(t *testing.T) {
				n := newNodes(t, how == "hear", storetest.NewURL(t))
				var took []time.Duration
				for range times {
					take, lost, gone := c.prepare(n)
					for _, s := range n.servers {
						if _, already := gone(s); already {
							t.Fatal("it is gone before it was taken away")
						}
					}
					if r := take(); r.status != 200 {
						t.Fatalf("got %s", r.body)
					}
					from := time.Now()
					if r, ok := gone(n.servers[0]); !ok {
						t.Fatalf("where it was taken away it is there: %s", r.body)
					}
					for _, who := range lost { // at once, whatever the other servers have heard
						for i, s := range n.servers {
							if r := who.on(s).do("POST", "/job", newJobBody); r.status != 401 && r.status != 403 {
								t.Errorf("server %d lets a change through: %s", i, r.body)
							}
							if who.refresh != "" {
								if r := s.trade(who.refresh); r.status != 401 {
									t.Errorf("server %d refreshes: %s", i, r.body)
								}
							}
						}
					}
					for _, s := range n.servers[1:] {
						eventually(t, func() (*response, bool) { return gone(s) })
					}
					took = append(took, time.Since(from))
				}
				slices.Sort(took)
				t.Logf("in force everywhere after %s at the median, %s at most", took[times/2].Round(time.Millisecond), took[times-1].Round(time.Millisecond))
				if took[times/2] > time.Second { // at the median: a machine that has much else to do stalls now and then
					t.Errorf("it took %s", took)
				}
			})
		}
	}
}

// A server that hears nothing of its database trusts nobody after 5 s, and the
// others go on; what was taken away meanwhile is so when it hears again.
func TestAServerThatIsCutOffTrustsNobody(t *testing.T) {
	url := storetest.NewURL(t)
	proxy := pgtest.NewProxy(t, url)
	n := newNodes(t, true, url, url, proxy.URL)
	c, key, _ := n.person(false)
	gone, goneKey, _ := n.person(false)
	goneID := gone.id()
	here, away := n.servers[0], n.servers[2]
	for _, who := range []*session{c, key, gone, goneKey} {
		if r := who.on(away).do("GET", "/user/me", ""); r.status != 200 {
			t.Fatalf("got %s", r.body)
		}
	}
	proxy.Mute.Store(true)
	cut := time.Now()
	if r := n.root.do("POST", "/user/"+goneID+"/disable", ""); r.status != 200 {
		t.Fatalf("got %s", r.body)
	}
	all := []*session{c, key, gone, goneKey}
	for _, who := range all {
		for r := who.on(away).do("GET", "/user/me", ""); r.status != 503; r = who.on(away).do("GET", "/user/me", "") {
			if r.status != 200 || time.Since(cut) > 6*time.Second {
				t.Fatalf("after %s: got %s", time.Since(cut), r.body)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	took := time.Since(cut)
	t.Logf("nobody is trusted %s after the cut", took.Round(time.Millisecond))
	if took > 5*time.Second+500*time.Millisecond { // of four requests, one after another
		t.Errorf("it took %s", took)
	}
	for _, who := range all[:2] {
		if r := who.on(here).do("GET", "/user/me", ""); r.status != 200 {
			t.Errorf("where the database is there: %s", r.body)
		}
	}
	proxy.Mute.Store(false)
	proxy.Cut()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		for _, who := range []*session{gone, goneKey} {
			if r := who.on(away).do("GET", "/user/me", ""); r.status != 503 && r.status != 401 {
				t.Fatalf("who was disabled meanwhile: got %s", r.body)
			}
		}
		if r := c.on(away).do("GET", "/user/me", ""); r.status == 200 {
			break
		} else if r.status != 503 || time.Now().After(end) {
			t.Fatalf("when it hears again: got %s", r.body)
		}
	}
	for _, who := range []*session{gone, goneKey} {
		if r := who.on(away).do("GET", "/user/me", ""); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
	}
}
