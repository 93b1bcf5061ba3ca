package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// What clients of one user may ask for, each of which takes effect at one
// instant between its call and its answer.
const (
	opMe         = iota // GET /user/me with a session's access token
	opList              // GET /user with it, which superusers may
	opRefresh           // with a session's token of a generation
	opLogout            // of a session
	opEndSession        // by a superuser
	opKeyMe             // GET /user/me with the API key
	opKeyList           // GET /user with it
	opDeleteKey
	opPromote
	opDemote
	opDisable
	opEnable
	opDelete
)

var opNames = []string{"me", "list", "refresh", "logout", "end of session", "me by key", "list by key", "delete key", "promote", "demote", "disable", "enable", "delete"}

// observation is what a client asked, when, and what it was answered.
type observation struct {
	op         int
	session    int // which of the user's, where it matters
	generation int // of the token that was sent
	status     int
	successor  int // generation of the refresh token that was answered
	called     time.Duration
	returned   time.Duration
}

func (o observation) String() string {
	return fmt.Sprintf("%9.3f to %9.3f ms  %-15s session %d, generation %d: %d, generation %d", float64(o.called.Microseconds())/1000, float64(o.returned.Microseconds())/1000,
		opNames[o.op], o.session, o.generation, o.status, o.successor)
}

// account is what the server should know of a user.
type account struct {
	gone, disabled, super, noKey bool
	sessions                     [2]int // the generation of each, which begins at 1; 0: it is dead
}

// after is the user after something was asked when it was a, and whether what
// was observed is what must be answered then. The grace of a rotation never
// ends here: the clock stands.
func (a account) after(o observation) (next account, right bool) {
	next = a
	generation := &next.sessions[o.session]
	switch o.op {
	case opMe, opList:
		return a, o.status == listed(*generation != 0, o.op == opMe || a.super)
	case opKeyMe, opKeyList:
		return a, o.status == listed(!a.gone && !a.disabled && !a.noKey, o.op == opKeyMe || a.super)
	case opRefresh:
		switch {
		case *generation == 0 || o.generation > *generation:
			return a, o.status == 401
		case o.generation == *generation:
			*generation++
		case o.generation < *generation-1:
			*generation = 0 // theft
			return next, o.status == 401
		}
		return next, o.status == 200 && o.successor == *generation
	case opLogout:
		if *generation == 0 { // it may have lived when it was called
			return a, o.status == 200 || o.status == 401
		}
		*generation = 0
		return next, o.status == 200
	case opEndSession:
		there := *generation != 0
		*generation = 0
		return next, o.status == found(there)
	case opDeleteKey:
		there := !a.noKey && !a.gone
		next.noKey = true
		return next, o.status == found(there)
	case opPromote, opDemote:
		next.super = o.op == opPromote
	case opDisable:
		next.disabled, next.sessions = true, [2]int{}
	case opEnable:
		next.disabled = false
	case opDelete:
		next = account{gone: true, noKey: true}
	}
	if a.gone {
		return a, o.status == 404
	}
	return next, o.status == 200
}

func listed(alive, may bool) int {
	switch {
	case !alive:
		return 401
	case !may:
		return 403
	}
	return 200
}

func found(there bool) int {
	if there {
		return 200
	}
	return 404
}

// maxObservations is how many the search can hold.
const maxObservations = 128

// place is how far the search for an order has got.
type place struct {
	done [maxObservations / 64]uint64
	at   account
}

// inSomeOrder looks for an order of what was observed in which each answer is
// right, and nothing comes before what was answered before it was called
// (J. Wing and C. Gong, "Testing and Verifying Concurrent Objects", 1993; with
// the places remembered that lead nowhere, as G. Lowe has it in "Testing for
// Linearizability", 2017). It returns nil, or the longest part of such an order
// and what could not come next.
func inSomeOrder(from account, all []observation) (best, stuck []observation) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b observation) int { return int(a.called - b.called) })
	seen := map[place]bool{}
	var order []observation
	var walk func(p place) bool
	walk = func(p place) bool {
		if len(order) == len(all) {
			return true
		}
		if seen[p] {
			return false
		}
		seen[p] = true
		soonest := time.Duration(1<<63 - 1)
		for i, o := range all {
			if p.done[i/64]>>(i%64)&1 == 0 {
				soonest = min(soonest, o.returned)
			}
		}
		var next []int // what may come next
		for i, o := range all {
			if p.done[i/64]>>(i%64)&1 == 0 && o.called <= soonest {
				next = append(next, i)
			}
		}
		step := func(i int, to account) bool {
			q := p
			q.done[i/64] |= 1 << (i % 64)
			q.at = to
			order = append(order, all[i])
			if walk(q) {
				return true
			}
			order = order[:len(order)-1]
			return false
		}
		for _, i := range next { // what is right and changes nothing may as well come now
			if to, right := p.at.after(all[i]); right && to == p.at {
				return step(i, to)
			}
		}
		if len(order) > len(best) || stuck == nil {
			best, stuck = slices.Clone(order), nil
			for _, i := range next {
				stuck = append(stuck, all[i])
			}
		}
		for _, i := range next {
			if to, right := p.at.after(all[i]); right && step(i, to) {
				return true
			}
		}
		return false
	}
	if walk(place{at: from}) {
		return nil, nil
	}
	return best, stuck
}

// The search itself: what cannot have happened is found, and what can is not.
func TestInSomeOrder(t *testing.T) {
	start := account{super: true, sessions: [2]int{1, 1}}
	ms := time.Millisecond
	for _, c := range []struct {
		rule string
		all  []observation
		can  bool
	}{
		{"nothing", nil, true},
		{"a dead token after the logout", []observation{{op: opLogout, status: 200, called: 0, returned: ms}, {op: opMe, status: 401, called: 2 * ms, returned: 3 * ms}}, true},
		{"a live token after the logout", []observation{{op: opLogout, status: 200, called: 0, returned: ms}, {op: opMe, status: 200, called: 2 * ms, returned: 3 * ms}}, false},
		{"a live token during the logout", []observation{{op: opLogout, status: 200, called: 0, returned: 3 * ms}, {op: opMe, status: 200, called: ms, returned: 2 * ms}}, true},
		{"a dead token and then a live one during the logout", []observation{
			{op: opLogout, status: 200, called: 0, returned: 9 * ms}, {op: opMe, status: 401, called: ms, returned: 2 * ms}, {op: opMe, status: 200, called: 3 * ms, returned: 4 * ms}}, false},
		{"a refresh that a logout overtook, whose token is dead", []observation{
			{op: opRefresh, generation: 1, successor: 2, status: 200, called: 0, returned: 9 * ms}, {op: opLogout, status: 200, called: ms, returned: 2 * ms}, {op: opRefresh, generation: 2, status: 401, called: 10 * ms, returned: 11 * ms}}, true},
		{"a refresh after a logout", []observation{{op: opLogout, status: 200, called: 0, returned: ms}, {op: opRefresh, generation: 1, successor: 2, status: 200, called: 2 * ms, returned: 3 * ms}}, false},
		{"two successors of one token", []observation{
			{op: opRefresh, generation: 1, successor: 2, status: 200, called: 0, returned: 9 * ms}, {op: opRefresh, generation: 1, successor: 3, status: 200, called: 0, returned: 9 * ms}}, false},
		{"one successor of one token, twice", []observation{
			{op: opRefresh, generation: 1, successor: 2, status: 200, called: 0, returned: 9 * ms}, {op: opRefresh, generation: 1, successor: 2, status: 200, called: 0, returned: 9 * ms}}, true},
		{"a key that survives its user", []observation{{op: opDelete, status: 200, called: 0, returned: ms}, {op: opKeyMe, status: 200, called: 2 * ms, returned: 3 * ms}}, false},
		{"a key that lives again with its user, and a session that does not", []observation{
			{op: opDisable, status: 200, called: 0, returned: ms}, {op: opKeyMe, status: 401, called: 2 * ms, returned: 3 * ms}, {op: opEnable, status: 200, called: 4 * ms, returned: 5 * ms},
			{op: opKeyMe, status: 200, called: 6 * ms, returned: 7 * ms}, {op: opMe, status: 401, called: 6 * ms, returned: 7 * ms}}, true},
		{"a session that lives again", []observation{
			{op: opDisable, status: 200, called: 0, returned: ms}, {op: opEnable, status: 200, called: 4 * ms, returned: 5 * ms}, {op: opMe, status: 200, called: 6 * ms, returned: 7 * ms}}, false},
		{"a demoted user who lists users", []observation{{op: opDemote, status: 200, called: 0, returned: ms}, {op: opList, status: 200, called: 2 * ms, returned: 3 * ms}}, false},
		{"a user who is deleted twice", []observation{{op: opDelete, status: 200, called: 0, returned: 9 * ms}, {op: opDelete, status: 200, called: 0, returned: 9 * ms}}, false},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if best, stuck := inSomeOrder(start, c.all); (stuck == nil && len(best) == 0) != c.can {
				t.Errorf("got %v, then one of %v", best, stuck)
			}
		})
	}
}

// lines writes observations for a person.
func lines(all []observation) string {
	var b strings.Builder
	for _, o := range all {
		fmt.Fprintln(&b, o)
	}
	return b.String()
}
