package engine

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
	"github.com/teknohole/jadwal/internal/store/dirtest"
	"github.com/teknohole/jadwal/internal/store/storetest"
	"github.com/teknohole/jadwal/internal/target"
	"github.com/teknohole/jadwal/schedule"
)

// A world is a store, a receiver and an engine that come and go, for tests
// that run inside a bubble of fake time.
type world struct {
	t       tester
	dir     string
	url     string
	st      *store.Store
	eng     *Engine
	stop    context.CancelFunc
	ended   chan error
	owner   jadwal.User
	sink    *sink
	drain   time.Duration
	slots   int
	fires   int // that an owner may start a minute; 0: any number
	perHost int
	fault   *faults
	bury    []func()
	timely  bool              // see faults
	begin   func(*faults)     // what is so from the start of each engine; nil: nothing
	made    func(*Engine)     // with an engine before it runs; nil: nothing
	hear    func(target.Call) // nil: nobody listens; it runs before each attempt

	stepped atomic.Int64 // how far the engine's wall clock was set, in nanoseconds
}

// A tester is a *testing.T, or a *rapid.T inside a bubble of its own.
type tester interface {
	Helper()
	Log(...any)
	Error(...any)
	Errorf(string, ...any)
	Fatal(...any)
	Fatalf(string, ...any)
	Cleanup(func())
	Context() context.Context
}

// sink is an HTTP server in the process, behind pipes, that remembers every
// delivery.
type sink struct {
	mu      sync.Mutex
	got     []delivery
	takes   func(delivery) time.Duration // how long an answer takes
	status  func(delivery) int
	open    []net.Conn
	most    map[string]int // at once, by job
	now     map[string]int
	mostAt  map[string]int // at once, by host
	nowAt   map[string]int
	deaf    []string // hosts that refuse connections
	refused int
}

type delivery struct {
	run, job   string
	attempt    int
	redelivery bool
	epoch      int
	at, until  time.Time // until it was answered, or its caller hung up; zero: not yet
}

func newWorld(t *testing.T) *world { return newWorldIn(t, dirtest.New(t), "") }

// newWorldIn is newWorld in a directory, or on the PostgreSQL database of that
// URL; "": SQLite.
func newWorldIn(t tester, dir, url string) *world {
	w := &world{t: t, dir: dir, url: url, sink: &sink{most: map[string]int{}, now: map[string]int{}, mostAt: map[string]int{}, nowAt: map[string]int{}}, drain: 30 * time.Second}
	w.open()
	owner, err := w.st.CreateUser(t.Context(), jadwal.Actor{}, jadwal.NewUser{Username: "root", Email: "root@example.com", PasswordHash: "none", IsSuperuser: true}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.owner = owner
	t.Cleanup(func() {
		if w.eng != nil {
			w.quit()
		}
		for _, wait := range w.bury {
			wait()
		}
		w.sound()
		w.st.Close()
		w.sink.hangUp()
	})
	return w
}

func (w *world) open() {
	w.t.Helper()
	open := store.Open
	if w.url != "" {
		open = store.OpenOffline // nobody else writes: the 12,000 looks an hour for other servers' accounts would find nothing
	}
	st, err := open(context.Background(), store.Options{Dir: w.dir, URL: w.url, Unsafe: w.url != "", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := storetest.Unlock(st); err != nil {
		w.t.Fatal(err)
	}
	w.st = st
}

// wire is a target whose calls are heard.
type wire struct {
	Target
	hear func(target.Call)
}

func (l wire) Do(ctx context.Context, call target.Call) target.Result {
	if l.hear != nil {
		l.hear(call)
	}
	return l.Target.Do(ctx, call)
}

// run starts an engine.
func (w *world) run() {
	w.fault = &faults{Store: w.st, timely: w.timely}
	if w.begin != nil {
		w.begin(w.fault)
	}
	http := target.New(target.Options{Version: "test", DialContext: w.fault.dial(w.sink)})
	w.eng = New(Options{Store: w.fault, Target: wire{http, w.hear}, InFlight: w.slots, PerHost: w.perHost, Fires: w.fires, Log: slog.New(slog.NewTextHandler(logWriter{w.t}, &slog.HandlerOptions{Level: slog.LevelWarn})), DrainTimeout: w.drain})
	w.eng.step = func() time.Duration { return time.Duration(w.stepped.Load()) }
	if w.made != nil {
		w.made(w.eng)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.stop, w.ended = cancel, make(chan error, 1)
	eng, ended := w.eng, w.ended
	go func() {
		err := eng.Run(ctx)
		http.Close()
		ended <- err
	}()
}

// quit stops the engine and waits until it has drained.
func (w *world) quit() {
	w.stop()
	if err := <-w.ended; err != nil {
		w.t.Errorf("engine ended with: %v", err)
	}
	w.idle()
	w.eng = nil
}

// idle holds an engine that has ended to its books: who has slots and room at
// hosts is staged or ready, and nobody else.
func (w *world) idle() {
	w.t.Helper()
	e := w.eng
	waiting := len(e.stage) + e.ready.len()
	if e.slots.taken != waiting {
		w.t.Errorf("%d slots are taken, %d entries are staged", e.slots.taken, waiting)
	}
	for name, h := range e.hosts.known {
		waiting -= h.coming
		if h.coming < 0 || h.inFlight < 0 {
			w.t.Errorf("host %s: %d in flight, %d coming", name, h.inFlight, h.coming)
		}
	}
	if waiting < 0 {
		w.t.Errorf("%d more are coming than are staged", -waiting)
	}
}

// kill ends the engine as kill -9 does: nothing more of it reaches the store,
// and its connections break.
func (w *world) kill() {
	w.fault.on(func(f *faults) { f.dead = true })
	w.sink.hangUp()
	w.stop()
	synctest.Wait()
	ended := w.ended
	w.bury = append(w.bury, func() { <-ended })
	w.eng = nil
}

// restart makes a new process on the same files.
func (w *world) restart() {
	w.t.Helper()
	if err := w.st.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.open()
	w.run()
}

// logWriter passes the engine's warnings on to the test, but for the last words
// of the dead.
type logWriter struct{ t tester }

func (l logWriter) Write(b []byte) (int, error) {
	if text := strings.TrimSpace(string(b)); !strings.Contains(text, errDead.Error()) {
		l.t.Log(text)
	}
	return len(b), nil
}

func (s *sink) dial(_ context.Context, _, address string) (net.Conn, error) {
	if s.refuses(address) {
		return nil, errRefused
	}
	client, server := net.Pipe()
	s.mu.Lock()
	s.open = append(s.open, server)
	s.mu.Unlock()
	go s.serve(server)
	return client, nil
}

// serve answers the requests of one connection, one after the other, and
// leaves one unanswered when its caller hangs up.
func (s *sink) serve(c net.Conn) {
	defer c.Close()
	requests := make(chan *http.Request)
	go func() {
		defer close(requests)
		for r := bufio.NewReader(c); ; {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			requests <- req
		}
	}()
	for req := range requests {
		d := delivery{run: req.Header.Get("Jadwal-Run-Id"), job: req.Header.Get("Jadwal-Job"), at: time.Now().UTC()}
		d.attempt, _ = strconv.Atoi(req.Header.Get("Jadwal-Attempt"))
		d.epoch, _ = strconv.Atoi(req.Header.Get("Jadwal-Epoch"))
		d.redelivery = req.Header.Get("Jadwal-Redelivery") == "possible"
		s.mu.Lock()
		i := len(s.got)
		s.got = append(s.got, d)
		s.now[d.job]++
		s.most[d.job] = max(s.most[d.job], s.now[d.job])
		s.nowAt[req.Host]++
		s.mostAt[req.Host] = max(s.mostAt[req.Host], s.nowAt[req.Host])
		takes, status := s.takes, s.status
		s.mu.Unlock()
		if takes != nil {
			select {
			case <-time.After(takes(d)):
			case <-requests: // it is closed: no caller sends two at once
			}
		}
		s.mu.Lock()
		s.got[i].until = time.Now().UTC()
		s.now[d.job]--
		s.nowAt[req.Host]--
		s.mu.Unlock()
		code := 200
		if status != nil {
			code = status(d)
		}
		if _, err := io.WriteString(c, "HTTP/1.1 "+strconv.Itoa(code)+" x\r\nContent-Length: 0\r\n\r\n"); err != nil {
			return
		}
	}
}

// hangUp breaks all connections.
func (s *sink) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.open {
		c.Close()
	}
	s.open = nil
}

// deliveries returns what has arrived so far.
func (s *sink) deliveries() []delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]delivery(nil), s.got...)
}

func (s *sink) set(takes time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takes = func(delivery) time.Duration { return takes }
}

func (w *world) actor() jadwal.Actor { return jadwal.Actor{User: w.owner} }

// job stores a job with those schedules: "* * * * *", "every 1s" or "at …".
func (w *world) job(name string, schedules ...string) jadwal.Job {
	w.t.Helper()
	now := time.Now().UTC()
	def := definitionOf(name, schedules...)
	job, err := w.create(def, now)
	if err != nil {
		w.t.Fatal(err)
	}
	return job
}

func (w *world) create(def jadwal.Definition, now time.Time) (jadwal.Job, error) {
	plan, err := def.Plan(now, 0)
	if err != nil {
		return jadwal.Job{}, err
	}
	next, _ := plan.Next(now)
	return w.st.CreateJob(context.Background(), w.actor(), jadwal.Job{OwnerID: w.owner.ID, Definition: def, State: jadwal.JobEnabled, NextAt: next}, now)
}

func definitionOf(name string, schedules ...string) jadwal.Definition {
	def := jadwal.Definition{
		Name:     name,
		Timezone: "UTC",
		Target:   jadwal.Target{Type: "http", Method: "POST", URL: "http://sink.example/"},
		Timeout:  jadwal.Duration(time.Hour),
		Overlap:  jadwal.OverlapSkip,
	}
	for _, s := range schedules {
		spec := schedule.Spec{Cron: s}
		if rest, ok := strings.CutPrefix(s, "every "); ok {
			spec = schedule.Spec{Every: rest}
		} else if rest, ok := strings.CutPrefix(s, "at "); ok {
			spec = schedule.Spec{At: rest}
		}
		def.Schedules = append(def.Schedules, spec)
	}
	return def
}

// update stores a new version and returns its change.
func (w *world) update(id int64, alter func(*jadwal.Job)) int64 {
	w.t.Helper()
	job, err := w.st.Job(context.Background(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	from := job.Version
	alter(&job)
	if !job.PauseUntil.IsZero() {
		w.timely = true
		w.fault.on(func(f *faults) { f.timely = true })
	}
	_, change, err := w.st.UpdateJob(context.Background(), w.actor(), job, from, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return change
}

// apply is update, and waits until it is applied.
func (w *world) apply(id int64, alter func(*jadwal.Job)) {
	w.t.Helper()
	w.applied(w.update(id, alter))
}

func (w *world) applied(change int64) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := w.st.WaitApplied(ctx, change); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) remove(id int64) {
	w.t.Helper()
	change, err := w.st.DeleteJob(context.Background(), w.actor(), id, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	w.applied(change)
}

// sound holds the store to its invariants, and what was delivered to what is
// recorded: every run that says so was delivered, and nothing is recorded
// under a run id that was not.
func (w *world) sound() {
	w.t.Helper()
	found, err := w.st.Check(context.Background(), time.Now())
	if err != nil {
		w.t.Error(err)
	}
	for _, v := range found {
		w.t.Error(v)
	}
	delivered := map[string]bool{}
	for _, d := range w.sink.deliveries() {
		delivered[d.run] = true
	}
	jobs, _, err := w.st.Jobs(context.Background(), store.JobQuery{Limit: 100000})
	if err != nil {
		w.t.Error(err)
	}
	for _, j := range jobs {
		for _, r := range w.runs(j.ID) {
			if (r.State == jadwal.RunSucceeded || r.Reason == jadwal.ReasonHTTPStatus) && !delivered[r.Key.ID()] {
				w.t.Errorf("run %s of job %d is recorded as %s and was never delivered", clock(time.UnixMicro(r.Key.DueAt)), j.ID, r.State)
			}
		}
	}
}

func pause(j *jadwal.Job)  { j.State = jadwal.JobPaused }
func resume(j *jadwal.Job) { j.State = jadwal.JobEnabled }

// runs returns the runs of a job, oldest first.
func (w *world) runs(id int64) []jadwal.Run {
	w.t.Helper()
	runs, err := w.st.Runs(context.Background(), id, jadwal.RunKey{}, 100000)
	if err != nil {
		w.t.Fatal(err)
	}
	for i, k := 0, len(runs)-1; i < k; i, k = i+1, k-1 {
		runs[i], runs[k] = runs[k], runs[i]
	}
	return runs
}

// tell writes runs down in short: "00:01 succeeded, 00:02-00:04 skipped overlap".
// Times are since the world's beginning, which in a bubble is midnight.
func tell(runs []jadwal.Run) string {
	var all []string
	for _, r := range runs {
		at := clock(time.UnixMicro(r.Key.DueAt))
		if !r.ThroughAt.IsZero() {
			at += "-" + clock(r.ThroughAt)
		}
		s := at + " " + string(r.State)
		if r.Reason != "" {
			s += " " + string(r.Reason)
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

func clock(t time.Time) string {
	t = t.UTC()
	if t.Second() == 0 && t.Nanosecond() == 0 {
		return t.Format("15:04")
	}
	return strings.TrimSuffix(t.Format("15:04:05.000"), ".000")
}

// check compares the runs of a job with what they should be, after the time
// that a commit may wait.
func (w *world) check(id int64, want string) {
	w.t.Helper()
	time.Sleep(2 * linger)
	synctest.Wait()
	if got := tell(w.runs(id)); got != want {
		w.t.Errorf("runs of job %d:\n got  %s\n want %s", id, got, want)
	}
}
