package engine

import (
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
	"github.com/teknohole/jadwal/internal/store/dirtest"
	"github.com/teknohole/jadwal/internal/store/storetest"
	"pgregory.net/rapid"
)

// Whatever is done to jobs, targets and the process, in whatever order: at a
// moment when nothing else happens, every instant becomes exactly what the
// model says, and every delivery is one that it expects, at the time that it
// expects.
func TestAnySequence(t *testing.T) {
	checks(t, 2000)
	sequences(t, false)
}

// At any moment, also right when something else happens, and with commits that
// fail or whose answer is lost: what is true in any order holds.
func TestAnySequenceOfRaces(t *testing.T) {
	checks(t, 2000)
	sequences(t, true)
}

// checks says how many sequences there are, and how long they are on average,
// unless a flag does. With -short they are a twentieth, and as long. On
// PostgreSQL each takes 20 times as long.
func checks(t *testing.T, n int) {
	if onServer(t) {
		n /= 100
	}
	steps := 12
	if testing.Short() { // of what is set rapid does a fifth then, with half of the steps
		n, steps = n/4, 2*steps
	}
	for name, value := range map[string]string{"rapid.checks": strconv.Itoa(n), "rapid.steps": strconv.Itoa(steps)} {
		given := false
		flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
		if f := flag.Lookup(name); !given {
			before := f.Value.String()
			if err := f.Value.Set(value); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := f.Value.Set(before); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// sequences runs them. What the first one that fails told is printed, whatever
// becomes of it: its failure may not come again when it is played again, since
// the order of goroutines is not drawn.
func sequences(t *testing.T, races bool) {
	var first []string
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the first sequence that failed:\n%s", strings.Join(first, "\n"))
		}
	})
	empty, url := dirtest.New(t), ""
	if onServer(t) {
		url = storetest.NewURL(t)
	} else {
		synctest.Test(t, func(t *testing.T) { storetest.OpenDir(t, empty) })
	}
	rapid.Check(t, func(t *rapid.T) {
		if url != "" {
			if err := storetest.Clean(url); err != nil {
				t.Fatal(err)
			}
		}
		s := &story{T: t}
		defer func() {
			if t.Failed() && first == nil {
				first = s.lines
			}
		}()
		sequenced(s, races, empty, url)
	})
}

// A story is a *rapid.T that keeps what is told.
type story struct {
	*rapid.T
	mu    sync.Mutex
	lines []string
}

func (s *story) keep(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

func (s *story) Log(args ...any) {
	s.keep(fmt.Sprint(args...))
	s.T.Log(args...)
}

func (s *story) Logf(format string, args ...any) {
	s.keep(fmt.Sprintf(format, args...))
	s.T.Logf(format, args...)
}

func (s *story) Error(args ...any) {
	s.keep(fmt.Sprint(args...))
	s.T.Error(args...)
}

func (s *story) Errorf(format string, args ...any) {
	s.keep(fmt.Sprintf(format, args...))
	s.T.Errorf(format, args...)
}

func (s *story) Fatal(args ...any) {
	s.keep(fmt.Sprint(args...))
	s.T.Fatal(args...)
}

func (s *story) Fatalf(format string, args ...any) {
	s.keep(fmt.Sprintf(format, args...))
	s.T.Fatalf(format, args...)
}

// A sequence is a world beside its model.
type sequence struct {
	t     *story
	w     *world
	m     *model
	races bool

	ended map[string]time.Duration // the names of versions, by when their end was answered
	final map[string]jadwal.Run
	facts map[string]bool // what has happened, of that which gives reasons

	seed  uint64         // of how long the ways to the store take
	calls map[string]int // that were made so far
}

// sequenced makes one, in a world that begins with a copy of that empty store:
// making its tables takes longer than most of what comes after. It is on the
// PostgreSQL database of that URL, which is clean, unless that is "".
func sequenced(t *story, races bool, empty, url string) {
	// Thousands of databases: in memory, where there is such a directory (shm_overview(7)).
	dir, err := os.MkdirTemp("/dev/shm", "sequence")
	if err != nil {
		if dir, err = os.MkdirTemp("", "sequence"); err != nil {
			t.Fatal(err)
		}
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, os.DirFS(empty)); err != nil {
		t.Fatal(err)
	}
	rapid.SyncTest(t.T, func(*rapid.T) {
		s := &sequence{t: t, w: newWorldIn(t, dir, url), m: &model{}, races: races, ended: map[string]time.Duration{}, final: map[string]jadwal.Run{}, facts: map[string]bool{}, calls: map[string]int{}}
		s.w.drain, s.w.timely = 2*time.Second, true
		s.seed = uint64(s.draw("seed of the ways to the store", 0, 1<<20))
		s.m.way = pick(s, "the longest way to the store", 0, time.Millisecond, 3*time.Millisecond)
		s.w.begin = func(f *faults) { f.barred, f.takes = s.m.barred, s.takes }
		s.listen()
		s.start()
		s.create()
		t.Repeat(map[string]func(*rapid.T){
			"create":      s.step(s.create),
			"edit":        s.step(s.edit),
			"pause":       s.step(s.pause),
			"resume":      s.step(s.resume),
			"resume 2":    s.step(s.resume),
			"run now":     s.step(s.runNow),
			"cancel":      s.step(s.cancel),
			"retry":       s.step(s.retry),
			"mood":        s.step(s.mood),
			"mood 2":      s.step(s.mood),
			"owner":       s.step(s.owner),
			"delete":      s.step(s.remove),
			"kill":        s.step(s.kill),
			"stop":        s.step(s.stop),
			"disk":        s.step(s.disk),
			"time":        s.step(func() {}),
			"a lot of it": s.step(func() { time.Sleep(time.Duration(s.draw("seconds", 1, 40)) * time.Second) }),
		})
		s.settle()
	})
}

func (s *sequence) draw(what string, from, to int) int {
	return rapid.IntRange(from, to).Draw(s.t.T, what)
}

func pick[T any](s *sequence, what string, from ...T) T {
	return rapid.SampledFrom(from).Draw(s.t.T, what)
}

func since() time.Duration { return time.Since(midnight) }

// tell writes down what is done, for who reads a failure.
func (s *sequence) tell(format string, args ...any) {
	s.t.Logf("%s "+format, append([]any{offset(since())}, args...)...)
}

// step is an action: some time passes, then something is done, then all is
// compared.
func (s *sequence) step(act func()) func(*rapid.T) {
	return func(*rapid.T) {
		unit := 100 * time.Millisecond
		if s.races {
			unit = pick(s, "unit", 50*time.Millisecond, time.Millisecond)
		}
		s.pass(time.Duration(s.draw("time", 1, 80)) * unit)
		act()
		s.pass(near)
		s.compare()
	}
}

// pass lets time pass, and then, unless it is to be a race, until nothing
// happens around.
func (s *sequence) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
	s.m.advance(since())
	for range 100 {
		if s.races || s.m.quiet() {
			return
		}
		time.Sleep(30 * time.Millisecond)
		synctest.Wait()
		s.m.advance(since())
	}
	for _, j := range s.m.sharp() {
		j.blurred = j.blurred || s.m.noisy(j) // a long queue of quick runs
	}
}

// listen lets the targets answer as their moods say.
func (s *sequence) listen() {
	answers := map[string]answer{}
	delivered := map[int]int{}
	name := func(d delivery) string { return fmt.Sprint(d.run, " ", d.attempt, " ", d.epoch) }
	s.w.sink.takes = func(d delivery) time.Duration {
		s.w.sink.mu.Lock()
		defer s.w.sink.mu.Unlock()
		j := s.m.jobs[indexOf(d.job)]
		delivered[j.index]++
		a := j.mood.answer(delivered[j.index], d.attempt)
		answers[name(d)] = a
		return a.takes
	}
	s.w.sink.status = func(d delivery) int {
		s.w.sink.mu.Lock()
		defer s.w.sink.mu.Unlock()
		return answers[name(d)].status
	}
}

// takes is how long the next way to the store or back takes: the answers of
// different calls overtake each other, and what else comes in. It depends on
// the call and on how many of the same came before, so that a sequence that is
// played again is the same again, as far as that can be.
func (s *sequence) takes(call string) time.Duration {
	s.w.sink.mu.Lock()
	defer s.w.sink.mu.Unlock()
	s.calls[call]++
	h := fnv.New64a()
	fmt.Fprint(h, s.seed, call, s.calls[call])
	return time.Duration(h.Sum64() % uint64(s.m.way+1))
}

// indexOf is the inverse of labelOf.
func indexOf(label string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(label[:strings.Index(label, ".")], "j"))
	return n
}

// rules draws what a definition says.
func (s *sequence) rules() modelRules {
	r := modelRules{
		period:   pick(s, "period", 1, 2, 5, 15, time.Duration(30)) * time.Second,
		overlap:  pick(s, "overlap", jadwal.OverlapSkip, jadwal.OverlapQueueOne, jadwal.OverlapQueueAll, jadwal.OverlapCancelRunning, jadwal.OverlapAllow),
		catchup:  pick(s, "catchup", jadwal.CatchupLatest, jadwal.CatchupNone, jadwal.CatchupAll),
		attempts: pick(s, "attempts", 1, 2, 3),
		backoff:  pick(s, "backoff", 1010, 2330, time.Duration(9470)) * time.Millisecond,
		maxRuns:  pick(s, "max_runs", 0, 0, 0, 1, 4),
		failing:  pick(s, "pause_after_failures", 0, 0, 0, 2),
		window:   pick(s, "window", 0, 0, 3, time.Duration(20)) * time.Second,
		slots:    1,
	}
	if r.overlap == jadwal.OverlapAllow {
		r.slots = 3
	}
	if s.races {
		r.jitter = pick(s, "jitter", 0, 0, 0, time.Duration(10)) * time.Second
	}
	return r
}

// definition is the definition that says so.
func (r modelRules) definition(label string) jadwal.Definition {
	cron := fmt.Sprintf("*/%d * * * * *", r.period/time.Second)
	if r.period == time.Second {
		cron = "* * * * * *"
	}
	d := definitionOf(label, cron)
	d.Target.URL = "http://" + strings.Split(label, ".")[0] + ".example/"
	d.Timeout, d.Jitter = jadwal.Duration(modelTimeout), jadwal.Duration(r.jitter)
	d.Overlap, d.MaxConcurrent, d.Catchup, d.MaxRuns, d.PauseAfterFailures = r.overlap, r.slots, r.catchup, r.maxRuns, r.failing
	d.Retry = jadwal.Retry{MaxAttempts: r.attempts, MinBackoff: jadwal.Duration(r.backoff), MaxBackoff: jadwal.Duration(r.backoff), Multiplier: 1, MaxDuration: jadwal.Duration(time.Hour)}
	if r.window > 0 {
		window := jadwal.Duration(r.window)
		d.CatchupWindow = &window
	}
	return d
}

// ruled is r as the model has to see it: without a window, none may be a minute
// late and all a day.
func (r modelRules) ruled() modelRules {
	switch {
	case r.window == 0 && r.catchup == jadwal.CatchupNone:
		r.window = time.Minute
	case r.window == 0 && r.catchup == jadwal.CatchupAll:
		r.window = 24 * time.Hour
	}
	return r
}

// must fails when the world does not do what was asked.
func (s *sequence) must(err error) {
	if err != nil {
		s.t.Fatalf("%v", err)
	}
}

// some is one of the jobs that are not deleted.
func (s *sequence) some() *modelJob {
	var living []*modelJob
	pending := 0
	for _, j := range s.m.jobs {
		pending += len(j.pending)
		if !j.deleted {
			living = append(living, j)
		}
	}
	if len(living) == 0 {
		s.t.Skip("there is no job")
	}
	if pending >= 5 {
		s.t.Skip("a server would need too long for all of them before it fires")
	}
	return living[s.draw("job", 0, len(living)-1)]
}

// changes has a change applied, in the model too: now, or when a server comes.
func (s *sequence) changes(j *modelJob, change int64, apply func()) {
	if !s.m.up {
		j.pending = append(j.pending, apply)
		return
	}
	s.w.applied(change)
	if !j.blurred {
		apply()
	}
}

func (s *sequence) create() {
	if len(s.m.jobs) == 4 {
		s.t.Skip("enough")
	}
	rules := s.rules()
	j := &modelJob{index: len(s.m.jobs), version: 1, stored: 1, state: jadwal.JobEnabled, rules: rules.ruled(), mood: pick(s, "mood", moods...), blurred: s.races}
	j.label = labelOf(j.index, 1)
	j.of = map[int64]modelRules{1: j.rules}
	s.tell("create %s, %s: %+v", j.label, j.mood, rules)
	s.m.jobs = append(s.m.jobs, j)
	job, err := s.w.create(rules.definition(j.label), time.Now())
	s.must(err)
	j.id, j.from, j.next = job.ID, since(), j.rules.after(since())
}

// update asks for another version of a job, as often as another change comes
// before it.
func (s *sequence) update(j *modelJob, catchup jadwal.Catchup, alter func(*jadwal.Job)) (version, change int64) {
	for {
		job, err := s.w.st.Job(context.Background(), j.id)
		s.must(err)
		from := job.Version
		alter(&job)
		job, change, err = s.w.st.ResumeJob(context.Background(), s.w.actor(), job, from, catchup, time.Now())
		if jadwal.CodeOf(err) == jadwal.CodeVersionMismatch {
			continue
		}
		s.must(err)
		if !j.blurred && from != j.stored {
			s.t.Fatalf("job %d was at version %d, not at %d", j.id, from, j.stored)
		}
		j.stored = job.Version
		return job.Version, change
	}
}

func (s *sequence) edit() {
	j := s.some()
	rules := s.rules()
	old, label := s.w.stored(j.id).Definition.Name, ""
	s.tell("edit %s to %+v", old, rules)
	state := jadwal.JobEnabled
	version, change := s.update(j, jadwal.CatchupNone, func(job *jadwal.Job) {
		if label = labelOf(j.index, job.Version+1); job.State == jadwal.JobPaused {
			state = jadwal.JobPaused
		} else {
			job.State, state = jadwal.JobEnabled, jadwal.JobEnabled
		}
		job.Definition = rules.definition(label)
	})
	ruled := rules.ruled()
	j.of[version] = ruled
	s.changes(j, change, func() { s.m.change(j, version, state, &ruled, jadwal.CatchupNone) })
	if s.m.up {
		s.ended[old] = since()
	}
}

func (s *sequence) pause() {
	j := s.some()
	if s.w.stored(j.id).State != jadwal.JobEnabled {
		s.t.Skip("it is not enabled")
	}
	s.tell("pause job %d", j.id)
	s.facts["paused"] = true
	until := time.Time{}
	if s.races && s.draw("until", 0, 1) == 1 {
		until = time.Now().Add(time.Duration(s.draw("for", 1, 90)) * 100 * time.Millisecond).UTC()
	}
	version, change := s.update(j, jadwal.CatchupNone, func(job *jadwal.Job) { job.State, job.PauseUntil = jadwal.JobPaused, until })
	j.of[version] = j.of[version-1]
	s.changes(j, change, func() { s.m.change(j, version, jadwal.JobPaused, nil, jadwal.CatchupNone) })
}

func (s *sequence) resume() {
	j := s.some()
	if s.w.stored(j.id).State != jadwal.JobPaused {
		s.t.Skip("it is not paused")
	}
	catchup := pick(s, "catchup", jadwal.CatchupNone, jadwal.CatchupLatest, jadwal.CatchupAll)
	s.tell("resume job %d with %s", j.id, catchup)
	version, change := s.update(j, catchup, resume)
	j.of[version] = j.of[version-1]
	s.changes(j, change, func() { s.m.change(j, version, jadwal.JobEnabled, nil, catchup) })
}

func (s *sequence) runNow() {
	j := s.some()
	s.tell("run job %d now", j.id)
	run, err := s.w.st.RunNow(context.Background(), s.w.actor(), j.id, time.Now())
	s.must(err)
	s.asked(j, run)
}

func (s *sequence) asked(j *modelJob, run jadwal.Run) {
	if !j.blurred {
		s.m.asks(j, time.UnixMicro(run.Key.DueAt).Sub(midnight), run.Key.N)
	}
}

// oneRun is one of the job's runs that are final, or not.
func (s *sequence) oneRun(j *modelJob, final bool) jadwal.RunKey {
	var keys []jadwal.RunKey
	if j.blurred {
		for _, r := range s.w.runs(j.id) {
			if r.State.Final() == final && r.ThroughAt.IsZero() {
				keys = append(keys, r.Key)
			}
		}
		if next := s.w.stored(j.id).NextAt; !final && !next.IsZero() && !next.After(time.Now()) {
			keys = append(keys, jadwal.RunKey{DueAt: next.UnixMicro(), JobID: j.id}) // it is in no table
		}
	} else {
		for _, r := range j.runs {
			single := r.state == jadwal.RunSucceeded || r.state == jadwal.RunFailed || r.state == jadwal.RunCancelled
			if r.final() == final && (single || !final) {
				keys = append(keys, jadwal.RunKey{DueAt: midnight.Add(r.due).UnixMicro(), JobID: j.id, N: r.n})
			}
		}
	}
	if len(keys) == 0 {
		s.t.Skip("there is no such run")
	}
	return keys[s.draw("run", 0, len(keys)-1)]
}

func (s *sequence) cancel() {
	j := s.some()
	key := s.oneRun(j, false)
	s.tell("cancel %s of job %d", clock(time.UnixMicro(key.DueAt)), j.id)
	s.facts["cancelled"] = true
	change, err := s.w.st.CancelRun(context.Background(), s.w.actor(), key, time.Now())
	if s.races && (jadwal.CodeOf(err) == jadwal.CodeConflict || jadwal.CodeOf(err) == jadwal.CodeNotFound) {
		return
	}
	s.must(err)
	s.changes(j, change, func() {
		for _, r := range j.runs {
			if midnight.Add(r.due).UnixMicro() == key.DueAt && r.n == key.N {
				s.m.cancel(j, r)
			}
		}
	})
}

func (s *sequence) retry() {
	j := s.some()
	key := s.oneRun(j, true)
	s.tell("repeat %s of job %d", clock(time.UnixMicro(key.DueAt)), j.id)
	run, err := s.w.st.RetryRun(context.Background(), s.w.actor(), key, time.Now())
	s.must(err)
	s.asked(j, run)
}

func (s *sequence) mood() {
	j := s.some()
	m := pick(s, "mood", moods...)
	s.tell("the target of job %d becomes %s", j.id, m)
	s.w.sink.mu.Lock()
	defer s.w.sink.mu.Unlock()
	j.mood = m
}

// cursors are the first instants that are not recorded.
func (s *sequence) cursors() map[int64]time.Duration {
	all := map[int64]time.Duration{}
	for _, j := range s.m.jobs {
		if next := s.w.stored(j.id).NextAt; !next.IsZero() {
			all[j.id] = next.Sub(midnight)
		}
	}
	return all
}

func (s *sequence) owner() {
	if !s.m.up {
		s.t.Skip("nobody is there to see it")
	}
	s.facts["barred"] = true
	s.tell("owners have rights: %v", s.m.barred)
	s.m.bar(!s.m.barred, s.cursors())
	s.w.fault.on(func(f *faults) { f.barred = s.m.barred })
}

func (s *sequence) remove() {
	j := s.some()
	old := s.w.stored(j.id).Definition.Name
	s.tell("delete job %d", j.id)
	s.facts["deleted"] = true
	change, err := s.w.st.DeleteJob(context.Background(), s.w.actor(), j.id, time.Now())
	s.must(err)
	s.changes(j, change, func() { s.m.remove(j) })
	if s.m.up {
		s.ended[old] = since()
	}
	j.deleted = true
}

func (s *sequence) start() {
	s.w.run()
	s.m.now = since()
	s.m.arrive()
	synctest.Wait()
}

func (s *sequence) restart() {
	s.tell("start")
	s.facts["down"] = true
	s.must(s.w.st.Close())
	s.w.open()
	s.start()
}

func (s *sequence) kill() {
	if !s.m.up {
		s.restart()
		return
	}
	s.tell("kill")
	s.w.kill()
	s.vanish()
	if s.draw("and start again at once", 0, 2) > 0 {
		s.pass(time.Duration(s.draw("outage", 1, 80)) * 100 * time.Millisecond)
		s.restart()
	}
}

func (s *sequence) stop() {
	if !s.m.up {
		s.restart()
		return
	}
	s.tell("stop")
	s.m.stopping = true
	s.w.quit()
	s.m.advance(since())
	for _, j := range s.m.sharp() {
		if at, f, _ := s.m.coming(j); s.m.now-j.touched < near || f != nil && at-s.m.now < near {
			j.blurred = true // did it end in time?
		}
		j.keep(true)
	}
	s.vanish()
}

func (s *sequence) vanish() {
	s.facts["down"] = true
	for _, lost := range s.m.vanish(s.cursors()) {
		s.t.Errorf("%s, is not recorded", lost)
	}
}

// disk lets the next commits fail, or their answers be lost: only when there
// are races anyway.
func (s *sequence) disk() {
	if !s.races || !s.m.up {
		s.t.Skip("nothing is exact then")
	}
	left := s.draw("commits", 1, 4)
	fail := func([]*jadwal.Outcome) error {
		if left--; left >= 0 {
			return unavailable()
		}
		return nil
	}
	before := s.draw("before", 0, 1) == 0
	s.tell("%d commits fail, before they are stored: %v", left, before)
	s.w.fault.on(func(f *faults) {
		if before {
			f.before = fail
		} else {
			f.after = fail
		}
	})
}

// settle ends all that hinders, and has everything come to its end.
func (s *sequence) settle() {
	if !s.m.up {
		s.pass(near)
		s.restart()
	}
	s.pass(near)
	if s.m.barred {
		s.owner()
	}
	s.w.fault.on(func(f *faults) { f.before, f.after = nil, nil })
	s.w.sink.mu.Lock()
	for _, j := range s.m.jobs {
		j.mood = "quick"
	}
	s.w.sink.mu.Unlock()
	s.pass(45 * time.Second)
	s.compare()
	for _, j := range s.m.jobs {
		if stored := s.w.stored(j.id); stored.State == jadwal.JobPaused || j.deleted {
			continue
		}
		for _, r := range s.w.runs(j.id) {
			if due := time.UnixMicro(r.Key.DueAt); !r.State.Final() && time.Since(due) > 40*time.Second {
				s.t.Errorf("%s of job %d is still %s", clock(due), j.id, r.State)
			}
		}
	}
	s.deliveries()
	if s.races { // on PostgreSQL it removes no run, since days of them go
		s.w.sweep(store.Retention{History: 20 * time.Second, Failures: 40 * time.Second})
	}
}

// compare holds what is stored to what the model says, and to what holds in
// any order.
func (s *sequence) compare() {
	for _, j := range s.m.jobs {
		s.lasting(j)
		if !j.blurred {
			s.exact(j)
		}
	}
}

// lasting: what is final does not change.
func (s *sequence) lasting(j *modelJob) {
	for _, r := range s.w.runs(j.id) {
		if before, ok := s.final[r.Key.ID()]; ok && !reflect.DeepEqual(before, r) {
			s.t.Errorf("a final record has changed:\n was %+v\n is  %+v", before, r)
		}
		if r.State.Final() {
			s.final[r.Key.ID()] = r
		}
		if why := s.impossible(j, r); why != "" {
			s.t.Errorf("job %d: %s, but %s", j.id, tell([]jadwal.Run{r}), why)
		}
	}
}

// impossible tells what of a run cannot be, whatever the order of events.
func (s *sequence) impossible(j *modelJob, r jadwal.Run) string {
	attempts, windows, policies := 0, false, ""
	for _, rules := range j.of {
		attempts, windows = max(attempts, rules.attempts), windows || rules.window > 0
		policies += string(rules.overlap) + " "
	}
	needs := map[jadwal.Reason]bool{
		"": true, jadwal.ReasonHTTPStatus: true, jadwal.ReasonTimeout: true, jadwal.ReasonOverload: s.races,
		jadwal.ReasonOverlap:       strings.Contains(policies, "skip") || strings.Contains(policies, "allow"),
		jadwal.ReasonQueueFull:     strings.Contains(policies, "queue"),
		jadwal.ReasonReplaced:      strings.Contains(policies, "cancel"),
		jadwal.ReasonPaused:        s.facts["paused"] || s.pausedByFailures(j),
		jadwal.ReasonOwnerDisabled: s.facts["barred"], jadwal.ReasonLost: s.facts["barred"] && s.facts["down"],
		jadwal.ReasonServerDown: s.facts["down"], jadwal.ReasonCatchupExpired: windows,
		jadwal.ReasonRequested: s.facts["cancelled"], jadwal.ReasonJobDeleted: s.facts["deleted"],
	}
	switch {
	case !needs[r.Reason]:
		return "nothing gave cause for it"
	case r.Attempts > attempts:
		return fmt.Sprintf("it had %d attempts of %d", r.Attempts, attempts)
	case r.Key.N != 0 && (r.State == jadwal.RunMissed || r.State == jadwal.RunSkipped && r.Reason != jadwal.ReasonOwnerDisabled):
		return "somebody asked for it"
	}
	return ""
}

func (s *sequence) pausedByFailures(j *modelJob) bool {
	for _, rules := range j.of {
		if rules.failing > 0 {
			return true
		}
	}
	return false
}

// exact compares run by run.
func (s *sequence) exact(j *modelJob) {
	type name struct {
		due time.Duration
		n   uint16
	}
	got := map[name]jadwal.Run{}
	for _, r := range s.w.runs(j.id) {
		due := time.UnixMicro(r.Key.DueAt).Sub(midnight)
		got[name{due, r.Key.N}] = r
		if !r.ThroughAt.IsZero() {
			for at := due; at <= r.ThroughAt.Sub(midnight); at += j.of[r.Version].period {
				got[name{at, 0}] = r
			}
		}
	}
	cursor := s.w.stored(j.id).NextAt
	for _, r := range j.runs {
		if r.flying && s.m.now-r.began >= time.Second {
			r.keep()
		}
		want := r.want()
		is, there := got[name{r.due, r.n}]
		delete(got, name{r.due, r.n})
		found := ""
		if there {
			found = describe(is.State, is.Reason, is.Version, is.Attempts)
		}
		switch {
		case found == want:
		case r.lazy && !there && !cursor.IsZero() && !midnight.Add(r.due).Before(cursor):
		case r.loose && is.State == jadwal.RunSkipped && (is.Reason == jadwal.ReasonOwnerDisabled || is.Reason == jadwal.ReasonOverlap || is.Reason == jadwal.ReasonQueueFull):
		default:
			s.t.Errorf("at %s, %s of job %d is %q, and must be %q", offset(s.m.now), offset(r.due), j.id, found, want)
		}
	}
	for n, r := range got {
		s.t.Errorf("at %s, %s of job %d is %s %s, and must not be", offset(s.m.now), offset(n.due), j.id, r.State, r.Reason)
	}
	state := s.w.stored(j.id).State
	if len(j.pending) == 0 && !j.deleted && state != j.state {
		s.t.Errorf("at %s, job %d is %s, and must be %s", offset(s.m.now), j.id, state, j.state)
	}
}

// deliveries compares what was sent.
func (s *sequence) deliveries() {
	got := map[int64]map[string][]time.Duration{}
	name := func(key jadwal.RunKey, attempt int, label string) string {
		return fmt.Sprintf("%s attempt %d of %s", key.ID(), attempt, label)
	}
	sent := map[int][]delivery{}
	for _, d := range s.w.sink.deliveries() {
		sent[indexOf(d.job)] = append(sent[indexOf(d.job)], d)
		at := d.at.Sub(midnight)
		if end, ok := s.ended[d.job]; ok && at > end {
			s.t.Errorf("%s was delivered %s after its end was answered", d.job, at-end)
		}
		j := s.m.jobs[indexOf(d.job)]
		if got[j.id] == nil {
			got[j.id] = map[string][]time.Duration{}
		}
		key, _ := jadwal.ParseRunID(d.run)
		got[j.id][name(key, d.attempt, d.job)] = append(got[j.id][name(key, d.attempt, d.job)], at)
	}
	for _, j := range s.m.jobs {
		most, slots := together(sent[j.index]), 0
		for _, rules := range j.of {
			slots = max(slots, rules.slots)
		}
		if most > slots {
			s.t.Errorf("job %d ran %d times at once", j.id, most)
		}
		if j.blurred {
			continue
		}
		for _, d := range j.deliveries {
			n := name(jadwal.RunKey{DueAt: midnight.Add(d.due).UnixMicro(), JobID: j.id, N: d.n}, d.attempt, d.label)
			at := got[j.id][n]
			if len(at) == 0 || (at[0]-d.at).Abs() > 2*near {
				s.t.Errorf("the delivery of %s, attempt %d of %s, is to come at %s, and came at %v", offset(d.due), d.attempt, d.label, offset(d.at), at)
				continue
			}
			if got[j.id][n] = at[1:]; len(at) == 1 {
				delete(got[j.id], n)
			}
		}
		for n, at := range got[j.id] {
			s.t.Errorf("job %d: %s was delivered at %v, and must not be", j.id, n, at)
		}
	}
}

// together is how many of the deliveries were under way at once, at most. One
// that begins when another ends does not count.
func together(all []delivery) (most int) {
	for _, a := range all {
		n := 0
		for _, b := range all {
			if !b.at.After(a.at) && (b.until.IsZero() || b.until.After(a.at)) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}
