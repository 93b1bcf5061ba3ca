package engine

import (
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
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
