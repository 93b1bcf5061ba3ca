package people

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/harness"
)

// registrar makes and deletes users and remembers who must be there.
type registrar struct {
	*Ledger
	client *harness.Client
	rng    *rand.Rand
	stop   <-chan struct{}

	users map[string]int64 // by name, those that certainly exist
	gone  map[string]bool  // those that certainly do not
	made  int
}

type userView struct {
	ID       int64
	Username string
}

func (r *registrar) run() {
	for {
		select {
		case <-r.stop:
			return
		case <-time.After(time.Duration(20+r.rng.IntN(100)) * time.Millisecond):
		}
		if len(r.users) < 3 || r.rng.IntN(3) > 0 {
			r.create()
		} else {
			r.delete()
		}
	}
}

func (r *registrar) create() {
	r.made++
	name := fmt.Sprintf("person-%d", r.made)
	var u userView
	a, err := r.client.Call("POST", "/user", map[string]any{"username": name, "email": name + "@example.com", "password": "a long enough one"}, &u)
	switch {
	case err == nil && a.Status == 201:
		r.users[name] = u.ID
		r.Count("create user")
	case err == nil && a.Status < 500:
		r.Complain("user %s could not be made: %v", name, a)
	default:
		r.settle(name, err)
	}
}

func (r *registrar) delete() {
	for name, id := range r.users {
		if name == "admin" {
			continue
		}
		delete(r.users, name)
		a, err := r.client.Call("DELETE", fmt.Sprintf("/user/%d", id), nil, nil)
		switch {
		case err == nil && a.OK():
			r.gone[name] = true
			r.Count("delete user")
		case err == nil && a.Status < 500:
			r.Complain("user %s could not be deleted: %v", name, a)
		default:
			r.settle(name, err)
		}
		return
	}
}

// settle finds out whether a user exists after an answer was lost.
func (r *registrar) settle(name string, err error) {
	r.lost(err)
	time.Sleep(r.Ledger.settle)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		now, err := r.list()
		if err != nil {
			continue
		}
		if id, ok := now[name]; ok {
			r.users[name] = id
		} else {
			r.gone[name] = true
		}
		return
	}
	r.Complain("the list of users: no answer for a minute")
}

func (r *registrar) list() (map[string]int64, error) {
	var all []userView
	a, err := r.client.Call("GET", "/user", nil, &all)
	if err == nil && !a.OK() {
		err = fmt.Errorf("%v", a)
	}
	users := map[string]int64{}
	for _, u := range all {
		users[u.Username] = u.ID
	}
	return users, err
}

// verdict compares who is there with who must be.
func (r *registrar) verdict() {
	now, err := r.list()
	if err != nil {
		r.Complain("the list of users: %v", err)
		return
	}
	for name, id := range r.users {
		if now[name] != id {
			r.Complain("user %s (id %d) was confirmed and is gone", name, id)
		}
	}
	for name := range r.gone {
		if now[name] != 0 {
			r.Complain("user %s was deleted and is there", name)
		}
	}
}

// keeper keeps one session alive by refreshing it all the time: a confirmed
// rotation must survive, and one whose answer was lost can be had again.
type keeper struct {
	*Ledger
	client *harness.Client
	stop   <-chan struct{}
}

func (k *keeper) run() {
	for {
		select {
		case <-k.stop:
			return
		case <-time.After(15 * time.Millisecond):
		}
		var t harness.Tokens
		a, err := k.client.Call("POST", "/refresh/token", map[string]string{"refresh_token": k.client.Refresh}, &t)
		switch {
		case err != nil || a.Status >= 500:
			k.lost(err) // the same token again: within the grace, its successor is the same
		case a.OK():
			k.client.Access, k.client.Refresh = t.Access, t.Refresh
			k.Count("refresh")
		default:
			k.Complain("a session died with its newest token: %v", a)
			return
		}
	}
}

// observer looks at final records while they are fresh, to see later that
// they never changed, and at cursors, to see that they never go back.
type observer struct {
	*Ledger
	client *harness.Client
	rng    *rand.Rand
	stop   <-chan struct{}
	jobs   []*story // never changed, so their records can all be read in the end

	seen    map[jadwal.RunKey]Record
	cursors map[int64]time.Time // the next_at of each job
}

func (o *observer) run() {
	o.seen, o.cursors = map[jadwal.RunKey]Record{}, map[int64]time.Time{}
	for {
		select {
		case <-o.stop:
			return
		case <-time.After(30 * time.Millisecond):
		}
		s := o.jobs[o.rng.IntN(len(o.jobs))]
		var page []runView
		a, err := o.client.Call("GET", fmt.Sprintf("/job/%d/run?limit=5", s.id), nil, &page)
		if err != nil || a.Status >= 500 {
			continue
		}
		if !a.OK() {
			o.Complain("the runs of job %s: %v", s.name, a)
		}
		for _, v := range page {
			r, err := v.record()
			if err != nil {
				o.Complain("job %s: %v", s.name, err)
			}
			if r.state.Final() {
				o.seen[r.key] = r
			}
		}
		o.lookAtCursor(s)
	}
}

func (o *observer) lookAtCursor(s *story) {
	var view jobView
	a, err := o.client.Call("GET", fmt.Sprintf("/job/%d", s.id), nil, &view)
	if err != nil || !a.OK() {
		return
	}
	if was := o.cursors[s.id]; view.NextAt.Before(was) {
		o.Complain("I6: the cursor of job %s went back from %s to %s", s.name, clock(was), clock(view.NextAt))
	}
	o.cursors[s.id] = view.NextAt
}

// verdict compares what was seen with what there is in the end.
func (o *observer) verdict(live map[int64][]Record) {
	for key, was := range o.seen {
		records := live[key.JobID]
		i := slices.IndexFunc(records, func(r Record) bool { return r.key == key })
		if i < 0 {
			o.Complain("I3: a final record is gone: %v", was)
		} else if records[i] != was {
			o.Complain("I3: a final record changed: it was %+v and is %+v", was, records[i])
		}
	}
}

// admit makes a user who stays. An error means that nobody knows whether there
// is one.
func (r *registrar) admit(name string) error {
	a, err := r.client.Call("POST", "/user", map[string]any{"username": name, "email": name + "@example.com", "password": harness.AdminPassword}, nil)
	if err == nil && !a.OK() {
		err = fmt.Errorf("user %s could not be made: %v", name, a)
	}
	return err
}
