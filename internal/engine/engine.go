// Package engine fires jobs. One goroutine owns all of its state: hints,
// answers of the store, results of attempts and the clock come in as events,
// the pure rules of the root package decide, and attempts, commits and reads
// go out to goroutines of their own.
//
// A job's durable state is its cursor, the next planned instant without a
// durable record. The engine fires at the instant without having written
// anything, and records afterwards, by moving the cursor from exactly that
// instant to the next. A cursor never passes an instant without a record, so
// nothing is lost when the process dies: the next one finds the cursor where
// it was, and fires again under the same run id.
package engine

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/target"
)

// Store is what the engine needs of a store. Instants are Unix microseconds,
// UTC. Every method may be called from any goroutine.
type Store interface {
	// Begin returns the shards that the engine has from its start, each in an
	// epoch higher than that of any owner before.
	Begin(ctx context.Context) (*jadwal.Holding, error)

	// Load returns the cursors with from <= NextAt < to of jobs of those shards
	// with an id up to through, by NextAt.
	Load(ctx context.Context, shards jadwal.ShardSet, from, to, through int64) ([]jadwal.Due, error)

	// Poll returns, of those shards, the jobs with an id above after, as far as
	// they fall due before to, and the unapplied changes, among them the ends of
	// pauses that last until now.
	Poll(ctx context.Context, shards jadwal.ShardSet, now time.Time, after, to int64) (jadwal.News, error)

	// Cursors returns where those jobs stand.
	Cursors(ctx context.Context, ids []int64) ([]jadwal.Cursor, error)

	// OpenCursors returns where the jobs of those shards stand that have open
	// runs, the oldest open run first.
	OpenCursors(ctx context.Context, shards jadwal.ShardSet) ([]jadwal.Cursor, error)

	// Definitions returns the jobs as they are stored, without deleted ones.
	// It stops when they exceed about so many bytes: considered tells how many
	// of the ids it got through, at least one.
	Definitions(ctx context.Context, ids []int64, bytes int) (jobs []jadwal.Job, considered int, err error)

	// Commit records outcomes, at most one a job, in one transaction, and
	// returns one verdict each. An error with CodeUnavailable may pass; on any
	// error nothing was recorded, as far as the store knows.
	Commit(ctx context.Context, now time.Time, batch []*jadwal.Outcome) ([]jadwal.Verdict, error)

	// UserByID returns a live user, without a query.
	UserByID(id int64) (jadwal.User, bool)

	// Signer returns what the requests of a job are signed with, without a query;
	// nil: nothing.
	Signer(jobID, ownerID int64) *jadwal.Signer

	// OpenSecrets returns the values of secrets, by the names that a job has for
	// them, in any order; one that is gone has no owner.
	OpenSecrets(ctx context.Context, ids []jadwal.SecretID) ([]jadwal.SecretValue, error)

	// Subscribe asks for hints, given after each commit in its order.
	Subscribe(func(jadwal.Hint))
}

// Target makes one attempt of a run, and returns when it has ended or ctx is
// done.
type Target interface {
	Do(ctx context.Context, call target.Call) target.Result
}

// Options of an Engine. Store, Target and Log are required.
type Options struct {
	Store        Store
	Target       Target
	Log          *slog.Logger
	InFlight     int           // attempts at once; 0: 4096. At most half of the process's limit of open files.
	PerHost      int           // attempts at once to one host; 0: 256
	DrainTimeout time.Duration // for running attempts when the engine stops; 0: 30 s
	Fires        int           // planned instants that an owner who is no superuser may start a minute; 0: any number

	// Lost is told, from the engine's goroutine, that it has forfeited all its
	// shards: a commit was fenced off, or its answer was lost. Nil: the store is
	// not shared, so that neither can be.
	Lost func()
}

const (
	window           = 30 * time.Second // how far ahead cursors are held in memory
	reload           = window / 2       // what is left of it when the next one is loaded
	poll             = time.Second      // how long a lost hint can cost at most
	spillAfter       = time.Second      // what runs longer is stored as an open run
	fallRows         = 8192             // entries taken out of the timetable in one turn
	fetchRows        = 500              // definitions read at once
	fetchBytes       = 16 << 20
	cacheBytes       = 64 << 20 // of definitions kept in memory
	batchRows        = 1000     // a plain run counts two: its outcome and its record
	batchBytes       = 4 << 20
	linger           = 5 * time.Millisecond // a batch waits at most so long for company
	crowdLinger      = 10 * linger          // or so long, while a crowd of attempts is in flight
	crowd            = 100
	maxSpares        = 256             // goroutines that wait for another attempt
	maxUnrecorded    = 10_000          // results not yet committed: more stop new starts
	maxOutputBytes   = 64 << 20        // of results not yet committed
	maxUnrecordedAge = time.Second     // of the oldest one
	maxFold          = time.Minute     // skipped instants of one long run are recorded together
	doubtFor         = time.Minute     // a job whose outcome the store refuses rests so long
	lastBreath       = 5 * time.Second // for the last commits, after the drain timeout
)

// Counts tells what an engine did since it was made.
type Counts struct {
	Started     int64 // attempts
	Redelivered int64 // attempts that an earlier process may have made already
	Recorded    int64 // outcomes committed
	Rejected    int64 // outcomes that somebody else had recorded: dropped
	Failed      int64 // commits and reads of the store that failed
}

// An Engine fires jobs. Make one with New and call Run once.
type Engine struct {
	o      Options
	log    *slog.Logger
	shards shards

	attempts  context.Context          // of all attempts
	orders    chan func(now time.Time) // of who hands out shards
	over      chan struct{}            // closed: Run has ended
	trusted   atomic.Pointer[time.Time]
	released  func(jadwal.ShardSet) // is told what Yield asked for
	spare     chan attempt          // to goroutines that have ended one
	spares    atomic.Int32          // how many of them wait
	hints     chan jadwal.Hint
	hintsLost atomic.Bool
	results   chan result
	answers   chan func(now time.Time) // of the store, to be called by the owner
	calls     int                      // goroutines that will still answer

	jobs   map[int64]*job // those that are more than an entry in the timetable
	idle   queue[*job]    // those that may leave jobs
	times  timetable
	due    fair                 // fallen due, definition unknown
	hosts  hosts                // and what waits for one
	slots  slots                // for what is staged, ready and in flight
	fires  *jadwal.Meter[int64] // planned instants that start, by owner; nil: no limit
	stage  []staged             // being looked up
	ready  queue[ready]
	cached *cache

	templates jadwal.TemplateCache

	flights  queue[*flight] // memory only ones, by start
	inFlight int
	clock    wallClock
	began    time.Time            // with the monotonic clock
	step     func() time.Duration // how far a test has set the wall clock; nil: it has not
	confirm  time.Duration        // until the clock is to be read again; 0: no matter
	again    bool                 // slots became free for what waits: the next turn comes at once
	turning  bool                 // false while shards arrive: the changes found with them are applied first
	stopping bool
	stopAt   time.Time // when draining gives up
	cutOff   bool      // it has, with attempts under way

	reads    reads
	commits  commits
	metrics  metrics
	counters struct{ started, redelivered, recorded, rejected, failed atomic.Int64 }
}

// New makes an engine.
func New(o Options) *Engine {
	if o.InFlight == 0 {
		o.InFlight = 4096
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil && files.Cur/2 < uint64(o.InFlight) {
		o.InFlight = max(1, int(files.Cur/2))
	}
	if o.PerHost == 0 {
		o.PerHost = 256
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = 30 * time.Second
	}
	return &Engine{
		o:       o,
		log:     o.Log,
		orders:  make(chan func(time.Time)),
		over:    make(chan struct{}),
		hints:   make(chan jadwal.Hint, 1024),
		spare:   make(chan attempt),
		results: make(chan result, o.InFlight),
		answers: make(chan func(time.Time), 8),
		jobs:    map[int64]*job{},
		hosts:   newHosts(o.PerHost, o.Log),
		slots:   newSlots(o.InFlight),
		fires:   jadwal.NewMeter[int64](jadwal.PerMinute(o.Fires)),
		metrics: newMetrics(),
		cached:  newCache(cacheBytes),
	}
}

// Counts returns what the engine did so far. It may be called from anywhere.
func (e *Engine) Counts() Counts {
	c := &e.counters
	return Counts{c.started.Load(), c.redelivered.Load(), c.recorded.Load(), c.rejected.Load(), c.failed.Load()}
}

// Run fires until ctx ends. Then nothing new starts, running attempts may end
// within the drain timeout, what still runs after that is left as an open run
// for the next process, and everything is committed. Its error is that the
// store could not be read at the start, or not be written at the end; then the
// next process fires again what was not recorded.
func (e *Engine) Run(ctx context.Context) error {
	defer close(e.over)
	e.o.Store.Subscribe(e.hint)
	// The store and the attempts outlive ctx: it only says when to stop.
	store, closeStore := context.WithCancel(context.WithoutCancel(ctx))
	defer closeStore()
	var abandon context.CancelFunc
	e.attempts, abandon = context.WithCancel(store)
	defer abandon()
	if err := e.start(store); err != nil {
		return err
	}
	stop := ctx.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-stop:
			stop = nil
			e.stop(e.now())
		case order := <-e.orders:
			order(e.now())
		case h := <-e.hints:
			e.hinted(h)
		case r := <-e.results:
			e.ended(r, e.now())
		case answer := <-e.answers:
			e.calls--
			answer(e.now())
		case <-timer.C:
		}
		e.takeResults()
		now := e.now()
		e.turn(store, now)
		if e.stopping {
			if done, err := e.drained(now); done {
				abandon()
				closeStore()
				e.outlast()
				return err
			}
		}
		timer.Reset(e.sleep(now))
	}
}

// now is what the wall clock shows.
func (e *Engine) now() time.Time {
	if e.step == nil {
		return time.Now()
	}
	return time.Now().Add(e.step())
}

// start takes on what the engine has from the beginning.
func (e *Engine) start(ctx context.Context) error {
	held, err := e.o.Store.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin as owner: %w", err)
	}
	e.began = time.Now()
	now := e.now()
	e.reads.begin(now)
	e.gain(held, now)
	return nil
}

// takeResults handles what has come in meanwhile, so that a burst of results
// costs one turn.
func (e *Engine) takeResults() {
	for range 256 {
		select {
		case r := <-e.results:
			e.ended(r, e.now())
		case h := <-e.hints:
			e.hinted(h)
		default:
			return
		}
	}
}

// turn does all that can be done now.
func (e *Engine) turn(ctx context.Context, now time.Time) {
	e.confirm = e.clock.observe(now, time.Since(e.began))
	e.spillLong(now)
	e.fall(now)
	e.read(ctx, now)
	e.hosts.sweep(now)
	e.fill(ctx, now)
	e.again = e.dispatch(now) && e.due.len()+e.hosts.roomy.len() > 0
	e.commit(ctx, now)
	e.release()
	e.forget()
	e.metrics.turned(e, now)
}

// sleep returns how long nothing will be to do unless an event comes in. It is
// never longer than a second, so that a jump of the wall clock is noticed.
func (e *Engine) sleep(now time.Time) time.Duration {
	wake := now.Add(poll)
	earlier := func(t time.Time) {
		if t.Before(wake) {
			wake = t
		}
	}
	if e.again {
		return 0
	}
	if at, ok := e.times.next(); ok && e.turning && !e.stopping && e.confirm == 0 {
		earlier(time.UnixMicro(at))
	}
	if e.flights.len() > 0 {
		earlier(e.flights.at(0).began.Add(spillAfter))
	}
	if e.confirm > 0 {
		earlier(now.Add(e.confirm))
	}
	earlier(e.reads.wake(now))
	if at, ok := e.commits.wake(); ok {
		earlier(at)
	}
	if e.stopping && now.Before(e.stopAt) {
		earlier(e.stopAt)
	}
	return max(0, wake.Sub(now))
}

// hint is called by the store's writer and never blocks it.
func (e *Engine) hint(h jadwal.Hint) {
	select {
	case e.hints <- h:
	default:
		e.hintsLost.Store(true)
	}
}

// hinted takes a hint for what it is worth: ids of new jobs rise one by one,
// so that a gap means a lost hint.
func (e *Engine) hinted(h jadwal.Hint) {
	if h.Changed {
		e.reads.news = true
	}
	if h.Created == nil {
		return
	}
	if h.Created.JobID != e.reads.seen+1 || !e.turning {
		e.reads.news = e.reads.news || h.Created.JobID > e.reads.seen
		return
	}
	e.created(*h.Created)
}

// created takes in a job that was not known.
func (e *Engine) created(d jadwal.Due) {
	if d.JobID <= e.reads.seen {
		return
	}
	e.reads.seen = d.JobID
	if d.At > 0 && d.At < e.reads.loadedTo && e.shards.held.HasJob(d.JobID) {
		e.times.add(d)
	}
}
