package people

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

// A Ledger is what all the clients together know to be true, and what they found
// to be wrong on the way.
type Ledger struct {
	mu         sync.Mutex
	stories    []*story
	confirmed  map[string]int // calls that were answered with success, by kind
	unknown    int            // calls whose answer was lost
	complaints []string
	settle     time.Duration // after a lost answer, until what was asked for is stored or never will be
}

// Complain notes something wrong.
func (l *Ledger) Complain(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.complaints = append(l.complaints, fmt.Sprintf(format, args...))
}

// Count counts a call that was answered with success.
func (l *Ledger) Count(kind string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.confirmed[kind]++
}

// lost counts a call whose answer did not come. One that found nobody
// listening had no effect for certain.
func (l *Ledger) lost(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !errors.Is(err, syscall.ECONNREFUSED) {
		l.unknown++
	}
}

// author makes jobs and changes them, one call after another. What is its own
// nobody else touches, so it always knows what must be true of it: when an
// answer was lost, it reads which of the two possible states came about.
type author struct {
	*Ledger
	client *harness.Client
	sink   string // URL
	name   string
	rng    *rand.Rand
	stop   <-chan struct{}
	pause  time.Duration // between two calls, at most

	jobs []*story // alive, and not those that end by themselves: they are left alone
	made int
}

// jobView is as much of a job in an answer as is looked at.
type jobView struct {
	ID     int64
	State  string
	NextAt time.Time `json:"next_at"`
	Target struct{ URL string }
}

func (a *author) stopped() bool {
	select {
	case <-a.stop:
		return true
	default:
		return false
	}
}

// run works until stop is closed, with at most limit jobs alive.
func (a *author) run(limit int) {
	for !a.stopped() {
		time.Sleep(time.Duration(a.rng.Int64N(int64(a.pause))))
		if len(a.jobs) == 0 || len(a.jobs) < limit && a.rng.IntN(3) == 0 {
			a.create()
			continue
		}
		i := a.rng.IntN(len(a.jobs))
		s := a.jobs[i]
		c := s.last()
		switch n := a.rng.IntN(14); {
		case n < 4:
			a.edit(s)
		case n < 6 && !c.paused:
			c.kind, c.paused = "pause", true
			a.change(s, "POST", "/pause", map[string]string{"reason": "why not"}, c)
		case n < 8 && c.paused:
			c.kind, c.paused = "resume", false
			a.change(s, "POST", "/resume", map[string]string{"catchup": []string{"none", "latest", "all"}[a.rng.IntN(3)]}, c)
		case n == 8 && len(a.jobs) > limit/2:
			c.kind, c.deleted = "delete", true
			a.change(s, "DELETE", "", nil, c)
		case n < 11:
			a.runNow(s)
		case n == 11:
			a.repeatNewest(s)
		case n > 11:
			a.cancelNewest(s)
		}
		if s.last().deleted {
			a.jobs = append(a.jobs[:i], a.jobs[i+1:]...)
		}
	}
}

// call makes one call about a job, and notes it for the job's story.
func (a *author) call(s *story, method, path string, body, out any) (harness.Answer, error) {
	t := try{what: method + " " + path, sent: time.Now()}
	answer, err := a.client.Call(method, path, body, out)
	t.ended = time.Now()
	switch {
	case err != nil:
		t.came = err.Error()
	case answer.OK():
		t.came = fmt.Sprint(answer.Status)
	default:
		t.came = fmt.Sprintf("%d %s", answer.Status, answer.Code())
	}
	s.tries = append(s.tries, t)
	return answer, err
}

// create makes a job: of every twelve one that runs once, one that may run a
// few times, and one that fails until it is paused for that.
func (a *author) create() {
	switch a.rng.IntN(12) {
	case 0:
		at := time.Now().UTC().Truncate(time.Millisecond).Add(time.Duration(200+a.rng.IntN(4000)) * time.Millisecond)
		a.createJob(story{at: at}, draw(a.rng, 0))
	case 1:
		a.createJob(story{most: 2 + a.rng.IntN(4)}, draw(a.rng, 0))
	case 2:
		t := draw(a.rng, 0)
		t.overlap, t.slots, t.catchup = "skip", 1, "latest" // so that no two of its runs are unfinished
		a.createJob(story{failures: 2 + a.rng.IntN(2)}, t)
	default:
		a.createJob(story{}, draw(a.rng, 0))
	}
}

// createJob makes the job of a story that says how it ends by itself.
func (a *author) createJob(as story, t terms) {
	a.made++
	s := &as
	s.name, s.cancels = fmt.Sprintf("%s-%d", a.name, a.made), map[string]time.Time{}
	base := fmt.Sprintf("%s/j/%s/%d", a.sink, s.name, t.marker)
	url := drawURL(a.rng, base)
	if s.failures > 0 {
		url = base + "?status=404" // which is not tried again
	}
	body := t.body(url)
	body["name"] = s.name
	switch {
	case !s.at.IsZero():
		t.every = 0
		body["schedules"] = []any{map[string]string{"at": s.at.Format(time.RFC3339Nano)}}
	case s.most > 0:
		body["max_runs"] = s.most
	case s.failures > 0:
		body["pause_after_failures"] = s.failures
	}
	c := change{kind: "create", sent: time.Now(), terms: t}
	var view jobView
	answer, err := a.call(s, "POST", "/job", body, &view)
	switch {
	case err == nil && answer.Status == 201:
		c.acked = time.Now()
		s.first = view.NextAt
		a.Count("create")
	case err == nil && answer.Status < 500:
		a.Complain("job %s could not be made: %v", s.name, answer)
		return
	default:
		a.lost(err)
		found, ok := a.read(s, "/job/"+s.name, &view)
		if !ok || !found {
			return
		}
		if view.Target.URL != url {
			a.Complain("job %s was found with another target: %s", s.name, view.Target.URL)
		}
		c.acked = time.Now()
	}
	s.id = view.ID
	s.changes = []change{c}
	a.mu.Lock()
	a.stories = append(a.stories, s)
	a.mu.Unlock()
	if !s.ends() {
		a.jobs = append(a.jobs, s)
	}
}

func (a *author) edit(s *story) {
	c := s.last()
	c.kind, c.terms = "edit", draw(a.rng, c.marker+1)
	a.change(s, "PATCH", "", c.body(drawURL(a.rng, fmt.Sprintf("%s/j/%s/%d", a.sink, s.name, c.marker))), c)
}

// runNow asks for a run beside the schedule. One that was confirmed must be on
// record in the end.
func (a *author) runNow(s *story) {
	a.ask(s, "run", fmt.Sprintf("/job/%d/run", s.id))
}

// repeatNewest asks for another run like the newest one that has ended.
func (a *author) repeatNewest(s *story) {
	var runs []runView
	if answer, err := a.call(s, "GET", fmt.Sprintf("/job/%d/run?limit=1&state=failed,succeeded", s.id), nil, &runs); err == nil && answer.OK() && len(runs) > 0 {
		a.ask(s, "retry", "/run/"+runs[0].ID+"/retry")
	}
}

func (a *author) ask(s *story, kind, path string) {
	var run runView
	answer, err := a.call(s, "POST", path, nil, &run)
	switch {
	case err == nil && answer.OK():
		s.asked = append(s.asked, run.ID)
		a.Count(kind)
	case err == nil && answer.Status < 500:
		a.Complain("a %s of job %s was refused: %v", kind, s.name, answer)
	default:
		a.lost(err)
	}
}

// cancelNewest cancels the newest run of a job, whatever it is doing. That it
// has ended by then is no complaint.
func (a *author) cancelNewest(s *story) {
	var runs []runView
	if answer, err := a.call(s, "GET", fmt.Sprintf("/job/%d/run?limit=1", s.id), nil, &runs); err != nil || !answer.OK() || len(runs) == 0 {
		return
	}
	id := runs[0].ID
	if s.cancels[id].IsZero() {
		s.cancels[id] = time.Now()
	}
	answer, err := a.call(s, "POST", "/run/"+id+"/cancel", nil, nil)
	switch {
	case err != nil:
		a.lost(err)
	case answer.OK():
		a.Count("cancel")
	}
}

// change makes a call that changes a job into the state of c, and notes in its
// story what came of it. When the answer was lost, it reads the job: a change
// that was not stored has not happened. One that was stored is not in force
// for that yet; so the call is repeated until it is answered, since no answer
// to a change comes before the change is in force. A deletion cannot be
// repeated: it is in force at the next start at the latest.
func (a *author) change(s *story, method, path string, body any, c change) {
	before := s.last()
	c.sent, c.seen, c.acked = time.Now(), time.Time{}, time.Time{}
	s.changes = append(s.changes, c)
	mine := &s.changes[len(s.changes)-1]
	for {
		answer, err := a.call(s, method, fmt.Sprintf("/job/%d%s", s.id, path), body, nil)
		switch {
		case err == nil && answer.OK():
			mine.acked = time.Now()
			a.Count(c.kind)
			return
		case err == nil && answer.Code() == "not_yet_applied":
			a.Count("not yet applied")
		case err == nil && answer.Status == 404 && c.deleted && !mine.seen.IsZero():
			return
		case err == nil && answer.Status < 500:
			a.Complain("%s of job %s was refused: %v", c.kind, s.name, answer)
			s.changes = s.changes[:len(s.changes)-1]
			return
		default:
			a.lost(err)
		}
		var view jobView
		found, ok := a.read(s, fmt.Sprintf("/job/%d", s.id), &view)
		state := func(c change) bool {
			if !found || c.deleted {
				return found != c.deleted
			}
			return (view.State == "paused") == c.paused && markerOf(strings.TrimPrefix(view.Target.URL, a.sink)) == c.marker
		}
		switch {
		case !ok:
			return // it stays unknown
		case state(c):
			if mine.seen.IsZero() {
				mine.seen = time.Now()
			}
			if time.Since(mine.seen) > time.Minute {
				a.Complain("%s of job %s is stored and not in force a minute later", c.kind, s.name)
				return
			}
		case mine.seen.IsZero() && state(before):
			s.changes = s.changes[:len(s.changes)-1]
			return
		default:
			a.Complain("job %s is neither as before the lost answer to %s nor as after it: found %v, %s, %s", s.name, c.kind, found, view.State, view.Target.URL)
			return
		}
	}
}

// read gets a job as soon as there is a server again, and what was asked for before is settled. ok is false when there
// was no answer that tells.
func (a *author) read(s *story, path string, view *jobView) (found, ok bool) {
	time.Sleep(a.settle)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		answer, err := a.client.Call("GET", path, nil, view)
		switch {
		case err != nil || answer.Status >= 500:
			continue
		case answer.OK():
			s.tries = append(s.tries, try{"GET " + path, time.Now(), time.Now(), view.State + " " + view.Target.URL})
			return true, true
		case answer.Status == 404:
			s.tries = append(s.tries, try{"GET " + path, time.Now(), time.Now(), "404"})
			return false, true
		}
		a.Complain("GET %s: %v", path, answer)
		return false, false
	}
	a.Complain("GET %s: no answer for a minute", path)
	return false, false
}
