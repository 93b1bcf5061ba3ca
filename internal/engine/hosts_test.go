package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

func (w *world) user(name string) jadwal.User {
	w.t.Helper()
	u, err := w.st.CreateUser(context.Background(), w.actor(), jadwal.NewUser{Username: name, Email: name + "@example.com", PasswordHash: "none", IsSuperuser: true}, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

// jobOf stores a job of an owner that calls a host.
func (w *world) jobOf(owner jadwal.User, name, host string, schedules ...string) jadwal.Job {
	w.t.Helper()
	now := time.Now().UTC()
	def := definitionOf(name, schedules...)
	def.Target.URL = "http://" + host + "/"
	plan, err := def.Plan(now, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	next, _ := plan.Next(now)
	job, err := w.st.CreateJob(context.Background(), w.actor(), jadwal.Job{OwnerID: owner.ID, Definition: def, State: jadwal.JobEnabled, NextAt: next}, now)
	if err != nil {
		w.t.Fatal(err)
	}
	return job
}

// lateness returns how late the runs of a job started that did.
func (w *world) lateness(id int64) (worst time.Duration, started int) {
	w.t.Helper()
	for _, r := range w.runs(id) {
		if !r.StartedAt.IsZero() {
			started++
			worst = max(worst, r.Lateness())
		}
	}
	return worst, started
}

// refuse makes connections to some hosts fail. Those that are there break.
func (s *sink) refuse(hosts ...string) {
	s.hangUp()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deaf = hosts
}

func (s *sink) refuses(address string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.deaf {
		if strings.HasPrefix(address, h+":") {
			s.refused++
			return true
		}
	}
	return false
}

var errRefused = &net.OpError{Op: "dial", Err: errors.New("connection refused")}

func TestOwnersTakeTurns(t *testing.T) {
	scenario(t, "one user's backlog of slow runs does not delay another user's job", func(t *testing.T, w *world) {
		greedy, other := w.user("greedy"), w.user("other")
		for i := range 3000 {
			w.jobOf(greedy, fmt.Sprintf("j%d", i), fmt.Sprintf("h%d.example", i%50), "0 1 * * *")
		}
		single := w.jobOf(other, "single", "other.example", "33 0 1 * * *", "7 2 1 * * *")
		w.slots = 90
		w.sink.set(10 * time.Second)
		w.run()
		until("01:05:00")
		if worst, n := w.lateness(single.ID); n != 2 || worst != 0 {
			t.Errorf("%d runs, the latest %s late", n, worst)
		}
		if n := len(w.sink.deliveries()); n < 80*30 || n > 90*31 {
			t.Errorf("%d deliveries: the slots are not used", n)
		}
		until("01:07:00")
		if n := len(w.sink.deliveries()); n != 3002 {
			t.Errorf("%d deliveries, want 3002", n)
		}
	})
	scenario(t, "nor does its place behind them at the same instant", func(t *testing.T, w *world) {
		greedy, other := w.user("greedy"), w.user("other")
		for i := range 3000 {
			w.jobOf(greedy, fmt.Sprintf("j%d", i), fmt.Sprintf("h%d.example", i%50), "0 1 * * *")
		}
		single := w.jobOf(other, "single", "other.example", "0 1 * * *")
		w.slots = 90
		w.sink.set(10 * time.Second)
		w.run()
		until("01:00:20")
		if worst, n := w.lateness(single.ID); n != 1 || worst != 0 {
			t.Errorf("%d runs, the latest %s late", n, worst)
		}
		until("01:07:00")
	})
}

func TestHostLimits(t *testing.T) {
	scenario(t, "a host gets no more at once than its share, all runs in the end, and nobody else waits", func(t *testing.T, w *world) {
		var crowd []jadwal.Job
		for i := range 500 {
			crowd = append(crowd, w.jobOf(w.owner, fmt.Sprintf("j%d", i), "crowded.example", "0 1 * * *"))
		}
		other := w.jobOf(w.owner, "other", "quiet.example", "0 1 * * *", "30 0 1 * * *")
		w.perHost = 20
		w.sink.set(2 * time.Second)
		w.run()
		until("01:00:50")
		if worst, n := w.lateness(other.ID); n != 2 || worst != 0 {
			t.Errorf("%d runs of the other, the latest %s late", n, worst)
		}
		if most := w.sink.mostAt["crowded.example"]; most != 20 {
			t.Errorf("%d at once", most)
		}
		for i, j := range crowd {
			if worst, n := w.lateness(j.ID); n != 1 || worst > 48*time.Second {
				t.Errorf("job %d: %d runs, %s late", i, n, worst)
			}
		}
	})
	scenario(t, "two users share a crowded host", func(t *testing.T, w *world) {
		greedy, other := w.user("greedy"), w.user("other")
		for i := range 500 {
			w.jobOf(greedy, fmt.Sprintf("j%d", i), "crowded.example", "0 1 * * *")
		}
		single := w.jobOf(other, "single", "crowded.example", "5 0 1 * * *")
		w.perHost = 20
		w.sink.set(2 * time.Second)
		w.run()
		until("01:00:20")
		if worst, n := w.lateness(single.ID); n != 1 || worst > 2*time.Second {
			t.Errorf("%d runs, %s late", n, worst)
		}
		until("01:01:00")
	})
	scenario(t, "a job that was as busy as it may be waits for its host in one entry: a second one would be taken for its cursor", func(t *testing.T, w *world) {
		other := w.user("other")
		w.jobOf(w.owner, "secondly", "crowded.example", "every 1s")
		blocker, long := w.jobOf(w.owner, "blocker", "crowded.example", "0 1 * * *"), w.jobOf(other, "long", "crowded.example", "0 1 * * *")
		w.perHost = 1
		w.sink.takes = func(d delivery) time.Duration {
			switch {
			case d.job == "blocker":
				return 2 * time.Second
			case d.job == "long":
				return 5 * time.Second
			case d.at.Before(midnight.Add(2 * time.Second)):
				return 12900 * time.Millisecond
			}
			return 100 * time.Millisecond
		}
		w.run()
		until("00:00:13")
		time.Sleep(950 * time.Millisecond) // it has ended, and its next instant is in the timetable again
		w.ask(blocker.ID)
		time.Sleep(550 * time.Millisecond)
		w.ask(long.ID)
		until("00:00:30")
		if c := w.eng.Counts(); c.Rejected != 0 {
			t.Errorf("%d outcomes were of another cursor", c.Rejected)
		}
	})
	scenario(t, "a host that answers 503 is called less and less at once, and more when it is well", func(t *testing.T, w *world) {
		for i := range 400 {
			w.jobOf(w.owner, fmt.Sprintf("j%d", i), "busy.example", "* * * * *")
		}
		w.perHost = 64
		w.sink.set(100 * time.Millisecond)
		w.sink.status = func(delivery) int { return 503 }
		w.run()
		until("00:01:30")
		w.sink.mu.Lock()
		w.sink.mostAt["busy.example"] = 0
		w.sink.mu.Unlock()
		until("00:02:30")
		if most := w.sink.mostAt["busy.example"]; most > 2 {
			t.Errorf("%d at once while it answers 503", most)
		}
		w.sink.mu.Lock()
		w.sink.status = nil
		w.sink.mu.Unlock()
		until("00:20:30")
		if most := w.sink.mostAt["busy.example"]; most != 64 {
			t.Errorf("%d at once after it is well", most)
		}
	})
}

func TestCircuit(t *testing.T) {
	scenario(t, "a dead host rests, a healthy one is never late, and what was missed says why", func(t *testing.T, w *world) {
		dead := w.jobOf(w.owner, "dead", "dead.example", "every 5s")
		well := w.jobOf(w.owner, "well", "well.example", "every 1s")
		w.run()
		until("00:00:31")
		w.sink.refuse("dead.example")
		until("00:10:02")
		for _, r := range w.runs(dead.ID)[6:11] { // those at :35 to :55
			if r.State != jadwal.RunFailed || r.Reason != jadwal.ReasonNetwork {
				t.Errorf("before the circuit opened: %s", tell([]jadwal.Run{r}))
			}
		}
		w.sink.mu.Lock()
		refused := w.sink.refused
		w.sink.mu.Unlock()
		// Five until it opens, and probes after 1 s, 2, 4 … and then each minute.
		if refused < 15 || refused > 22 {
			t.Errorf("the dead host was tried %d times in 9.5 minutes", refused)
		}
		stored, err := w.st.Job(t.Context(), dead.ID)
		if err != nil || stored.NextAt.After(time.Now()) {
			t.Errorf("the cursor moved to %s while it waited, %v", stored.NextAt, err)
		}
		w.sink.refuse()
		until("00:12:02")
		count := map[string]int{}
		for _, r := range w.runs(dead.ID) {
			count[string(r.State)+" "+string(r.Reason)]++
			if r.Reason == jadwal.ReasonOverload {
				t.Errorf("missed for another reason: %s", tell([]jadwal.Run{r}))
			}
		}
		if count["missed circuit_open"] < 5 || count["failed network"] != refused {
			t.Errorf("outcomes are %v", count)
		}
		runs := w.runs(dead.ID)
		if last := runs[len(runs)-1]; last.State != jadwal.RunSucceeded || last.Lateness() != 0 {
			t.Errorf("after it came back: %s, %s late", tell([]jadwal.Run{last}), last.Lateness())
		}
		if worst, n := w.lateness(well.ID); worst != 0 || n < 721 {
			t.Errorf("the healthy host's job: %d runs, the latest %s late", n, worst)
		}
	})
	scenario(t, "a thousand jobs on a dead host are tried one by one, and run when it is back", func(t *testing.T, w *world) {
		var jobs []jadwal.Job
		for i := range 1000 {
			jobs = append(jobs, w.jobOf(w.owner, fmt.Sprintf("j%d", i), "dead.example", "0 1 * * *"))
		}
		w.sink.refuse("dead.example")
		w.perHost = 10
		w.run()
		until("01:05:00")
		if w.sink.refused > 10+12 {
			t.Errorf("it was tried %d times", w.sink.refused)
		}
		failed := w.sink.refused
		w.sink.refuse()
		until("01:07:00")
		succeeded := 0
		for _, j := range jobs {
			for _, r := range w.runs(j.ID) {
				if r.State == jadwal.RunSucceeded {
					succeeded++
				}
			}
		}
		if succeeded != 1000-failed {
			t.Errorf("%d succeeded, %d failed", succeeded, failed)
		}
	})
	scenario(t, "an edit while its host rests takes the job to another one", func(t *testing.T, w *world) {
		job := w.jobOf(w.owner, "moved", "dead.example", "every 2s")
		w.sink.refuse("dead.example")
		w.run()
		until("00:03:01")
		w.apply(job.ID, func(j *jadwal.Job) { j.Definition.Target.URL = "http://well.example/" })
		until("00:03:30")
		runs := w.runs(job.ID)
		if last := runs[len(runs)-1]; last.State != jadwal.RunSucceeded || last.Lateness() != 0 {
			t.Errorf("after the edit: %s, %s late", tell([]jadwal.Run{last}), last.Lateness())
		}
	})
	scenario(t, "without rights what falls due is skipped at once, though its host rests", func(t *testing.T, w *world) {
		w.jobOf(w.owner, "patient", "dead.example", "every 2s")
		job := w.jobOf(w.owner, "barred", "dead.example", "10 5 0 * * *")
		asked := w.jobOf(w.owner, "asked", "dead.example", "0 1 * * *")
		w.sink.refuse("dead.example")
		w.run()
		until("00:05:05")
		w.fault.on(func(f *faults) { f.barred = true })
		until("00:05:10")
		w.check(job.ID, "00:05:10 skipped owner_disabled")
		w.ask(asked.ID)
		time.Sleep(2 * linger)
		w.check(asked.ID, "00:05:10.010 skipped owner_disabled")
	})
	scenario(t, "a job whose host rests can be deleted", func(t *testing.T, w *world) {
		job := w.jobOf(w.owner, "gone", "dead.example", "every 2s")
		w.sink.refuse("dead.example")
		w.run()
		until("00:03:01")
		w.remove(job.ID)
		for _, r := range w.runs(job.ID) {
			if r.Reason == jadwal.ReasonOverload {
				t.Errorf("%s", tell([]jadwal.Run{r}))
			}
		}
	})
	scenario(t, "a restart while a host rests loses nothing", func(t *testing.T, w *world) {
		job := w.jobOf(w.owner, "patient", "dead.example", "every 2s")
		w.sink.refuse("dead.example")
		w.run()
		until("00:03:01")
		w.quit()
		w.restart()
		until("00:05:01")
		w.kill()
		w.sink.refuse()
		w.restart()
		until("00:05:11")
		runs := w.runs(job.ID)
		if last := runs[len(runs)-1]; last.State != jadwal.RunSucceeded {
			t.Errorf("in the end: %s", tell([]jadwal.Run{last}))
		}
	})
}

func TestParkedEntries(t *testing.T) {
	now := time.Unix(0, 0)
	crowded := func() *hosts {
		s := newHosts(1, slog.New(slog.DiscardHandler))
		s.begin("a", now)
		return &s
	}
	due := func(id int64) jadwal.Due { return jadwal.Due{JobID: id, OwnerID: 1} }
	t.Run("what comes later does not overtake what is parked", func(t *testing.T) {
		s := crowded()
		s.admit("a", due(1), nil, now)
		s.end(s.known["a"], signAnswered, now, now)
		if s.admit("a", due(2), nil, now) {
			t.Error("it did")
		}
		for want := range int64(2) {
			h, d, ok := s.next(now, anybody)
			if !ok || d.JobID != want+1 {
				t.Fatalf("got %+v, %v", d, ok)
			}
			if _, d, ok := s.next(now, anybody); ok {
				t.Fatalf("%+v came out beyond the room", d)
			}
			s.arrived(h)
			if !s.admit("a", d, h, now) {
				t.Fatal("what was parked is not admitted")
			}
		}
		if s.parked != 0 {
			t.Errorf("%d are parked", s.parked)
		}
	})
	t.Run("an entry whose owner is not admitted stays", func(t *testing.T) {
		s := crowded()
		s.admit("a", due(1), nil, now)
		s.end(s.known["a"], signAnswered, now, now)
		if _, d, ok := s.next(now, func(int64) bool { return false }); ok {
			t.Fatalf("got %+v", d)
		}
		if _, _, ok := s.next(now, anybody); !ok {
			t.Error("it is lost")
		}
	})
	t.Run("the sweep finds that a rest is over", func(t *testing.T) {
		s := newHosts(16, slog.New(slog.DiscardHandler))
		for range patience {
			s.end(s.begin("a", now), signSilent, now, now)
		}
		s.admit("a", due(1), nil, now)
		if _, _, ok := s.next(now, anybody); ok {
			t.Error("it rests no longer")
		}
		if _, _, ok := s.next(now.Add(firstRest), anybody); ok {
			t.Error("it was looked at without a cause")
		}
		s.sweep(now.Add(firstRest))
		if _, _, ok := s.next(now.Add(firstRest), anybody); !ok {
			t.Error("it is not probed")
		}
	})
	t.Run("rests between which something waited are one", func(t *testing.T) {
		s := newHosts(16, slog.New(slog.DiscardHandler))
		at := func(sec int) time.Time { return now.Add(time.Duration(sec) * time.Second) }
		die := func(sec int) {
			for range patience {
				s.end(s.begin("a", at(sec)), signSilent, at(sec), at(sec))
			}
		}
		check := func(sec, from, to int) {
			t.Helper()
			f, u, ok := s.rest("a", at(sec))
			if !ok || !f.Equal(at(from)) || !u.Equal(at(to)) {
				t.Errorf("at %d: from %s to %s, %v", sec, f.Sub(now), u.Sub(now), ok)
			}
		}
		if _, _, ok := s.rest("a", at(0)); ok {
			t.Error("it never rested")
		}
		die(10)
		check(12, 10, 12)
		s.admit("a", due(1), nil, at(10))
		s.end(s.begin("a", at(15)), signAnswered, at(15), at(15))
		check(16, 10, 15)
		die(20)
		check(21, 10, 21)
		s.end(s.begin("a", at(22)), signAnswered, at(22), at(22))
		s.next(at(22), anybody)
		die(30)
		check(31, 30, 31)
	})
}

func TestHostsAreForgotten(t *testing.T) {
	now := time.Unix(0, 0)
	s := newHosts(16, slog.New(slog.DiscardHandler))
	for i := range 100 {
		h := s.begin(fmt.Sprint(i), now)
		told := signAnswered
		if i%2 == 0 {
			told = signSilent
		}
		s.end(h, told, now, now)
	}
	s.admit("parked", jadwal.Due{JobID: 1}, nil, now)
	for range 20 { // nothing in flight of them ends
		s.begin("parked", now)
	}
	s.admit("parked", jadwal.Due{JobID: 1}, nil, now)
	for _, tt := range []struct {
		rule  string
		after time.Duration
		want  int
	}{
		{"one that is as new is forgotten at once", time.Second, 51},
		{"one that did not answer is remembered", hostMemory, 51},
		{"for a while", hostMemory + time.Second, 1},
		{"one that somebody waits for is never forgotten", 100 * hostMemory, 1},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s.sweep(now.Add(tt.after))
			if len(s.known) != tt.want {
				t.Errorf("%d hosts, want %d", len(s.known), tt.want)
			}
		})
	}
	t.Run("of many that did not answer not all are remembered", func(t *testing.T) {
		for i := range 2 * hostsInMind {
			s.end(s.begin(fmt.Sprint(i), now), signSilent, now, now)
		}
		s.sweep(now.Add(101 * hostMemory))
		if len(s.known) > hostsInMind {
			t.Errorf("%d hosts", len(s.known))
		}
	})
}
