package main

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

// ledger is what all the clients together know to be true, and what they found
// to be wrong on the way.
type ledger struct {
	mu         sync.Mutex
	stories    []*story
	confirmed  map[string]int // calls that were answered with success, by kind
	unknown    int            // calls whose answer was lost
	complaints []string
}

func (l *ledger) complain(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.complaints = append(l.complaints, fmt.Sprintf(format, args...))
}

func (l *ledger) count(kind string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.confirmed[kind]++
}

// lost counts a call whose answer did not come. One that found nobody
// listening had no effect for certain.
func (l *ledger) lost(err error) {
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
	*ledger
	client *harness.Client
	sink   string // URL
	name   string
	rng    *rand.Rand
	stop   <-chan struct{}
	pause  time.Duration // between two calls, at most

	jobs []*story // alive, and not those that run once: they are left alone
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
		switch n := a.rng.IntN(12); {
		case n < 4:
			a.edit(s)
		case n < 6 && !s.last().paused:
			a.change(s, "pause", "POST", "/pause", map[string]string{"reason": "why not"}, change{paused: true})
		case n < 8 && s.last().paused:
			a.change(s, "resume", "POST", "/resume", nil, change{})
		case n == 8 && len(a.jobs) > limit/2:
			a.change(s, "delete", "DELETE", "", nil, change{deleted: true})
		case n == 10:
			a.runNow(s)
		case n == 11:
			a.cancelNewest(s)
		}
		if s.last().deleted {
			a.jobs = append(a.jobs[:i], a.jobs[i+1:]...)
		}
	}
}

// url is the target of an edit. Some answer late, some badly.
func (a *author) url(name string, marker int) string {
	url := fmt.Sprintf("%s/j/%s/%d", a.sink, name, marker)
	switch a.rng.IntN(8) {
	case 0:
		url += fmt.Sprintf("?delay=%dms", 50+a.rng.IntN(400))
	case 1:
		url += fmt.Sprintf("?delay=%dms", 1100+a.rng.IntN(1500)) // longer than the second after which a run is open
	case 2:
		url += "?status=500"
	}
	return url
}

func (a *author) create() {
	every := time.Duration(1+a.rng.IntN(3)) * time.Second
	if a.rng.IntN(6) == 0 {
		at := time.Now().UTC().Truncate(time.Millisecond).Add(time.Duration(200+a.rng.IntN(4000)) * time.Millisecond)
		a.createJob(0, at)
		return
	}
	a.createJob(every, time.Time{})
}

func (a *author) createJob(every time.Duration, at time.Time) {
	a.made++
	s := &story{name: fmt.Sprintf("%s-%d", a.name, a.made), at: at}
	spec := map[string]string{"every": every.String()}
	if !at.IsZero() {
		spec = map[string]string{"at": at.Format(time.RFC3339Nano)}
	}
	url := a.url(s.name, 0)
	c := change{kind: "create", sent: time.Now(), every: every}
	var view jobView
	answer, err := a.client.Call("POST", "/job", map[string]any{
		"name": s.name, "schedules": []any{spec}, "timeout": "10s",
		"retry":  map[string]any{"max_attempts": 2, "min_backoff": "1s", "max_backoff": "1s"},
		"target": map[string]any{"type": "http", "method": "POST", "url": url, "body": map[string]int{"n": a.made}},
	}, &view)
	switch {
	case err == nil && answer.Status == 201:
		c.acked = time.Now()
		s.first = view.NextAt
		a.count("create")
	case err == nil && answer.Status < 500:
		a.complain("job %s could not be made: %v", s.name, answer)
		return
	default:
		a.lost(err)
		found, ok := a.read("/job/"+s.name, &view)
		if !ok || !found {
			return
		}
		if view.Target.URL != url {
			a.complain("job %s was found with another target: %s", s.name, view.Target.URL)
		}
		c.acked = time.Now()
	}
	s.id = view.ID
	s.changes = []change{c}
	a.mu.Lock()
	a.stories = append(a.stories, s)
	a.mu.Unlock()
	if at.IsZero() {
		a.jobs = append(a.jobs, s)
	}
}

func (a *author) edit(s *story) {
	every := time.Duration(1+a.rng.IntN(3)) * time.Second
	marker := s.last().marker + 1
	a.change(s, "edit", "PATCH", "", map[string]any{
		"schedules": []any{map[string]string{"every": every.String()}},
		"target":    map[string]string{"url": a.url(s.name, marker)},
	}, change{marker: marker, every: every})
}

// runNow asks for a run beside the schedule. One that was confirmed must be on
// record in the end.
func (a *author) runNow(s *story) {
	var run runView
	answer, err := a.client.Call("POST", fmt.Sprintf("/job/%d/run", s.id), nil, &run)
	switch {
	case err == nil && answer.OK():
		s.asked = append(s.asked, run.ID)
		a.count("run")
	case err == nil && answer.Status < 500:
		a.complain("a run of job %s was refused: %v", s.name, answer)
	default:
		a.lost(err)
	}
}

// cancelNewest cancels the newest run of a job, whatever it is doing. That it
// has ended by then is no complaint.
func (a *author) cancelNewest(s *story) {
	var runs []runView
	if answer, err := a.client.Call("GET", fmt.Sprintf("/job/%d/run?limit=1", s.id), nil, &runs); err != nil || !answer.OK() || len(runs) == 0 {
		return
	}
	answer, err := a.client.Call("POST", "/run/"+runs[0].ID+"/cancel", nil, nil)
	switch {
	case err != nil:
		a.lost(err)
	case answer.OK():
		a.count("cancel")
	}
}

// change makes one call that changes a job, and notes in its story what came of it.
func (a *author) change(s *story, kind, method, path string, body any, c change) {
	before := s.last()
	if kind != "edit" {
		c.marker, c.every = before.marker, before.every
	} else {
		c.paused = before.paused
	}
	c.kind, c.sent = kind, time.Now()
	s.changes = append(s.changes, c)
	mine := &s.changes[len(s.changes)-1]

	answer, err := a.client.Call(method, fmt.Sprintf("/job/%d%s", s.id, path), body, nil)
	switch {
	case err == nil && answer.OK():
		mine.acked = time.Now()
		a.count(kind)
		return
	case err == nil && answer.Code() == "not_yet_applied":
		a.count("not yet applied") // stored and certain, but from when on is open
		return
	case err == nil && answer.Status < 500:
		a.complain("%s of job %s was refused: %v", kind, s.name, answer)
		s.changes = s.changes[:len(s.changes)-1]
		return
	}
	a.lost(err)
	var view jobView
	found, ok := a.read(fmt.Sprintf("/job/%d", s.id), &view)
	if !ok {
		return // the end: it stays unknown
	}
	state := func(c change) bool {
		if !found || c.deleted {
			return found != c.deleted
		}
		return (view.State == "paused") == c.paused && markerOf(strings.TrimPrefix(view.Target.URL, a.sink)) == c.marker
	}
	switch {
	case state(c):
		mine.acked = time.Now()
	case state(before):
		s.changes = s.changes[:len(s.changes)-1]
	default:
		a.complain("job %s is neither as before the lost answer to %s nor as after it: found %v, %s, %s", s.name, kind, found, view.State, view.Target.URL)
	}
}

// read gets a job as soon as there is a server again. ok is false when the end
// came before.
func (a *author) read(path string, view *jobView) (found, ok bool) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		answer, err := a.client.Call("GET", path, nil, view)
		if err != nil || answer.Status >= 500 {
			continue
		}
		if answer.OK() {
			return true, true
		}
		if answer.Status == 404 {
			return false, true
		}
		a.complain("GET %s: %v", path, answer)
		return false, false
	}
	a.complain("GET %s: no answer for a minute", path)
	return false, false
}
