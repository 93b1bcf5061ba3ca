package api

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

// storm is what many clients do with one user at the same time.
type storm struct {
	s        *server
	root     *session
	sessions [2]*session
	ids      [2]string // of the sessions
	key      *session
	keyID    string
	user     string // id

	began time.Time
	mu    sync.Mutex
	seen  []observation
}

// TestStorms has clients refresh, log out, delete, disable, demote and look at
// users together. Whatever they see must have been right in some order of what
// they asked for.
func TestStorms(t *testing.T) {
	const rounds, users = 3, 6
	s := newServer(t, idle)
	s.stop() // tokens and graces do not end
	root := s.asUser("root", true)
	seen := 0
	for round := range rounds {
		storms := make([]*storm, users)
		for i := range storms {
			storms[i] = newStorm(s, root, fmt.Sprintf("storm%d-%d", round, i))
		}
		var wg sync.WaitGroup
		for _, st := range storms {
			st.blow(&wg)
		}
		wg.Wait()
		for _, st := range storms {
			if len(st.seen) > maxObservations {
				t.Fatalf("%d observations are too many", len(st.seen))
			}
			if best, stuck := inSomeOrder(account{super: true, sessions: [2]int{1, 1}}, st.seen); stuck != nil {
				t.Errorf("user %s: in no order can these have been answered so:\n%s\nfurthest came\n%s\nthen none of\n%s", st.user, lines(st.seen), lines(best), lines(stuck))
			}
			seen += len(st.seen)
		}
	}
	t.Logf("%d answers", seen)
}

// newStorm makes a user, a superuser at first, with two sessions and a key.
func newStorm(s *server, root *session, name string) *storm {
	s.t.Helper()
	first := s.asUser(name, true)
	made := first.newKey(jadwal.Scopes...)
	st := &storm{s: s, root: root, key: &session{s: s, access: made.text("key")}, keyID: made.text("id"), user: first.id(), sessions: [2]*session{first}}
	user, _ := s.store.UserByID(mustInt(s.t, st.user))
	now := s.clock.now()
	n, err := s.store.StartSession(s.t.Context(), jadwal.Actor{User: user}, now, s.api.tokens.SessionEnd(now), hashOf(userPassword))
	if err != nil {
		s.t.Fatal(err)
	}
	access, refresh := s.api.tokens.Pair(n, now)
	st.sessions[1] = &session{s, access, refresh}
	for i, c := range st.sessions {
		st.ids[i] = numberIn(s.t, second(claimsOf(s.t, c.access)), `"sid":"`)
	}
	return st
}

func mustInt(t testing.TB, text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// blow starts the clients, each of which does one thing after another.
func (st *storm) blow(wg *sync.WaitGroup) {
	st.began = time.Now()
	client := func(times int, do func(i int)) {
		wg.Go(func() {
			for i := range times {
				time.Sleep(time.Duration(rand.IntN(15_000)) * time.Microsecond)
				do(i)
			}
		})
	}
	for i, c := range st.sessions {
		client(10, func(int) { st.observe(observation{op: opMe, session: i}, c, "GET", "/user/me", "") })
		client(8, func(int) { st.observe(observation{op: opList, session: i}, c, "GET", "/user", "") })
		for range 2 { // each with the newest token that it got
			token := c.refresh
			client(6, func(int) {
				generation := generationOf(st.s.t, token)
				r := st.observe(observation{op: opRefresh, session: i, generation: generation}, &session{s: st.s}, "POST", "/refresh/token", `{"refresh_token":"`+token+`"}`)
				if r.status == 200 {
					token = r.text("refresh_token")
				}
			})
		}
	}
	client(10, func(int) { st.observe(observation{op: opKeyMe}, st.key, "GET", "/user/me", "") })
	client(8, func(int) { st.observe(observation{op: opKeyList}, st.key, "GET", "/user", "") })
	client(6, func(i int) {
		st.observe(observation{op: opDemote - i%2}, st.root, "PATCH", "/user/"+st.user, fmt.Sprintf(`{"is_superuser":%t}`, i%2 == 1))
	})
	ends := []func(){
		func() {
			c := st.sessions[0]
			st.observe(observation{op: opLogout}, c, "POST", "/logout", `{"refresh_token":"`+c.refresh+`"}`)
		},
		func() {
			st.observe(observation{op: opEndSession, session: 1}, st.root, "DELETE", "/session/"+st.ids[1], "")
		},
		func() { st.observe(observation{op: opDeleteKey}, st.root, "DELETE", "/key/"+st.keyID, "") },
		func() {
			st.observe(observation{op: opDisable}, st.root, "POST", "/user/"+st.user+"/disable", "")
			st.observe(observation{op: opEnable}, st.root, "POST", "/user/"+st.user+"/enable", "")
		},
		func() { st.observe(observation{op: opDelete}, st.root, "DELETE", "/user/"+st.user, "") },
	}
	for _, end := range ends { // each at its own time, some not at all
		if rand.IntN(4) > 0 {
			wg.Go(func() {
				time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
				end()
			})
		}
	}
}

// observe asks and writes down what was answered, and when.
func (st *storm) observe(o observation, c *session, method, target, body string) *response {
	o.called = time.Since(st.began)
	r := c.do(method, target, body)
	o.returned, o.status = time.Since(st.began), r.status
	if o.op == opRefresh && r.status == 200 {
		o.successor = generationOf(st.s.t, r.text("refresh_token"))
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.seen = append(st.seen, o)
	return r
}

// generationOf is the generation of a refresh token.
func generationOf(t testing.TB, token string) int {
	_, claims := claimsOf(t, token)
	var c struct{ Gen int }
	if err := json.Unmarshal([]byte(claims), &c); err != nil {
		t.Error(err)
	}
	return c.Gen
}
