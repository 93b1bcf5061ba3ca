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
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
	"github.com/teknohole/jadwal/internal/target"
	"github.com/teknohole/jadwal/schedule"
)

// A world is a store, a receiver and an engine that come and go, for tests
// that run inside a bubble of fake time.
type world struct {
	t     *testing.T
	dir   string
	st    *store.Store
	eng   *Engine
	stop  context.CancelFunc
	ended chan error
	owner jadwal.User
	sink  *sink
	log   *strings.Builder
	drain time.Duration
	wrap  func(Store) Store
}

// sink is an HTTP server in the process, behind pipes, that remembers every
// delivery.
type sink struct {
	mu       sync.Mutex
	got      []delivery
	takes    func(delivery) time.Duration // how long an answer takes
	status   func(delivery) int
	closed   chan struct{}
	inFlight int
	most     map[string]int // at once, by job
	now      map[string]int
}

type delivery struct {
	run, job   string
	attempt    int
	redelivery bool
	epoch      int
	at, due    time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir(), sink: &sink{closed: make(chan struct{}), most: map[string]int{}, now: map[string]int{}}, drain: 30 * time.Second}
	w.open()
	owner, err := w.st.CreateUser(t.Context(), jadwal.Actor{}, jadwal.NewUser{Username: "root", Email: "root@example.com", IsSuperuser: true}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.owner = owner
	t.Cleanup(func() {
		if w.eng != nil {
			w.quit()
		}
		w.st.Close()
		close(w.sink.closed)
	})
	return w
}

func (w *world) open() {
	w.t.Helper()
	st, err := store.Open(context.Background(), store.Options{Dir: w.dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.st = st
}

// run starts an engine.
func (w *world) run() {
	var st Store = w.st
	if w.wrap != nil {
		st = w.wrap(st)
	}
	http := target.New(target.Options{Version: "test", DialContext: w.sink.dial})
	w.eng = New(Options{Store: st, Target: http, Log: slog.New(slog.NewTextHandler(logWriter{w.t}, &slog.HandlerOptions{Level: slog.LevelWarn})), DrainTimeout: w.drain})
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
	w.eng = nil
}

// logWriter passes the engine's warnings on to the test.
type logWriter struct{ t *testing.T }

func (l logWriter) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func (s *sink) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	go s.serve(server)
	return client, nil
}

// serve answers the requests of one connection, one after the other. It is no
// http.Server so that it needs no listener and costs little.
func (s *sink) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		d := delivery{run: req.Header.Get("Jadwal-Run-Id"), job: req.Header.Get("Jadwal-Job"), at: time.Now().UTC()}
		d.attempt, _ = strconv.Atoi(req.Header.Get("Jadwal-Attempt"))
		d.epoch, _ = strconv.Atoi(req.Header.Get("Jadwal-Epoch"))
		d.redelivery = req.Header.Get("Jadwal-Redelivery") == "possible"
		d.due, _ = time.Parse(time.RFC3339, req.Header.Get("Jadwal-Due-At"))
		s.mu.Lock()
		s.got = append(s.got, d)
		s.now[d.job]++
		s.most[d.job] = max(s.most[d.job], s.now[d.job])
		takes, status := s.takes, s.status
		s.mu.Unlock()
		if takes != nil {
			if wait := takes(d); wait > 0 {
				gone := make(chan struct{})
				go func() { // notices that the caller hangs up
					r.Peek(1)
					close(gone)
				}()
				select {
				case <-time.After(wait):
				case <-gone:
				}
			}
		}
		s.mu.Lock()
		s.now[d.job]--
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

func (w *world) check(id int64, want string) {
	w.t.Helper()
	if got := tell(w.runs(id)); got != want {
		w.t.Errorf("runs of job %d:\n got  %s\n want %s", id, got, want)
	}
}
