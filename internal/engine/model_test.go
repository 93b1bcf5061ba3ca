package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/teknohole/jadwal"
)

// A model says what must become of every instant and run, by the rules of
// docs/explanation/firing.md and nothing else: it looks at instants one by one,
// knows no ranges, no store and no commits, and shares no code with what it is
// compared with. Times are since midnight. It is exact as long as no two events
// of a job come so close that their order is open; a job of which that
// happened is blurred, and only held to what is true in any order.
type model struct {
	now      time.Duration
	up       bool          // a server is there
	stopping bool          // and lets nothing new start
	since    time.Duration // when it came
	barred   bool          // owners have no rights
	way      time.Duration // to the store, at most: what starts after an answer may have to ask it
	jobs     []*modelJob
}

// near is how close two events must be for their order to be open.
const near = 60 * time.Millisecond

// modelRules are the members of a definition that the model knows. Its
// instants are the multiples of period.
type modelRules struct {
	period, window, backoff           time.Duration
	overlap                           jadwal.Overlap
	catchup                           jadwal.Catchup
	slots, maxRuns, attempts, failing int
	jitter                            time.Duration // the model is not told of a job that has any
}

type modelJob struct {
	index      int
	id         int64
	label      string // the name, which tells the version in every delivery
	rules      modelRules
	of         map[int64]modelRules // by version
	state      jadwal.JobState      // as the server has applied it
	version    int64
	stored     int64 // the version that was last answered
	deleted    bool
	from       time.Duration // when the version began
	next       time.Duration // the first undecided instant; 0: none
	started    int
	failures   int // in a row
	runs       []*modelRun
	pending    []func() // changes that wait for a server
	mood       mood
	delivered  int // deliveries so far
	deliveries []modelDelivery
	touched    time.Duration // when something last happened of itself
	landed     bool          // that was an answer
	row        int           // so many starts in a row each came right after an answer
	blurred    bool
}

type modelRun struct {
	due       time.Duration
	n         uint16
	state     jadwal.RunState // queued or running while it is open
	reason    jadwal.Reason
	loose     bool // it may as well have been the other reason that was true
	version   int64
	attempts  int
	ready     time.Duration // of a queued run
	kept      bool          // it would survive the server
	row       modelRow      // as what
	flying    bool
	began     time.Duration
	ends      time.Duration
	end       answer
	rules     modelRules // of the attempt
	lazy      bool       // skipped while the job was full, which may be recorded later
	redeliver bool       // it ran when the server vanished
}

// A modelRow is what is stored of an open run.
type modelRow struct {
	state    jadwal.RunState
	attempts int
	version  int64
	ready    time.Duration
}

type modelDelivery struct {
	at      time.Duration
	due     time.Duration
	n       uint16
	attempt int
	label   string
}

// A mood is how a target answers. No answer comes at once, so that what a
// server reads when it starts is there before.
type mood string

var moods = []mood{"quick", "slow", "long", "broken", "missing", "flaky", "stuck"}

// modelTimeout is that of every job.
const modelTimeout = 10300 * time.Millisecond

type answer struct {
	takes  time.Duration
	status int
}

// answer is that to the n-th delivery of a job, which is an attempt of so high a
// number. Answers and silence take turns, so that no host's circuit opens.
func (m mood) answer(n, attempt int) answer {
	switch m {
	case "slow":
		return answer{takes: 1370 * time.Millisecond, status: 200}
	case "long":
		return answer{takes: 7610 * time.Millisecond, status: 200}
	case "broken":
		return answer{takes: 130 * time.Millisecond, status: 500}
	case "missing":
		return answer{takes: 130 * time.Millisecond, status: 404}
	case "flaky":
		return answer{takes: 270 * time.Millisecond, status: []int{200, 500}[attempt%2]}
	case "stuck":
		if n%2 == 1 && n < 10 {
			return answer{takes: time.Hour, status: 200}
		}
		return answer{takes: 130 * time.Millisecond, status: 500}
	}
	return answer{takes: 130 * time.Millisecond, status: 200}
}

func (r *modelRun) final() bool { return r.state.Final() }
func (r *modelRun) begun() bool { return r.attempts > 0 }

func (j *modelJob) running() (n int) {
	for _, r := range j.runs {
		if !r.final() && r.begun() {
			n++
		}
	}
	return n
}

func (j *modelJob) queued() (n int) {
	for _, r := range j.runs {
		if !r.final() && !r.begun() {
			n++
		}
	}
	return n
}

func (j *modelJob) put(r *modelRun) *modelRun {
	i, _ := slices.BinarySearchFunc(j.runs, r, func(a, b *modelRun) int {
		if a.due != b.due {
			return int(a.due - b.due)
		}
		return int(a.n) - int(b.n)
	})
	j.runs = slices.Insert(j.runs, i, r)
	return r
}

// sharp are the jobs that are not blurred.
func (m *model) sharp() (all []*modelJob) {
	for _, j := range m.jobs {
		if !j.blurred {
			all = append(all, j)
		}
	}
	return all
}

// happens takes note of an event of j that nobody asked for. Answers that come
// together may come in any order, unless they pause the job.
func (j *modelJob) happens(at time.Duration, answer bool) {
	alike := answer && j.landed && at == j.touched && j.rules.failing == 0
	j.blurred = j.blurred || at-j.touched < near && !alike
	j.touched, j.landed = at, answer
}

// after is the first instant after a time.
func (rules *modelRules) after(t time.Duration) time.Duration {
	return (t/rules.period + 1) * rules.period
}

// coming returns the next event of j, and carries it out when asked to; 0:
// there is none.
func (m *model) coming(j *modelJob) (at time.Duration, happen func(), answer bool) {
	if !m.up || j.blurred {
		return 0, nil, false
	}
	first := func(t time.Duration, f func(), is bool) {
		if at == 0 || t < at {
			at, happen, answer = t, f, is
		}
	}
	for _, r := range j.runs {
		switch {
		case r.flying:
			first(r.ends, func() { m.ended(j, r) }, true)
		case !m.stopping && r.state == jadwal.RunQueued && r.begun() && r.ready >= m.now && !j.holds(r):
			first(r.ready, func() { m.kick(j) }, false)
		}
	}
	if _, full, _ := j.busy(); j.next != 0 && (!m.stopping || full) {
		first(j.next, func() { m.decide(j, false) }, false)
	}
	return at, happen, answer
}

// advance lets time pass.
func (m *model) advance(to time.Duration) {
	for {
		var job *modelJob
		var at time.Duration
		var happen func()
		var answer bool
		for _, j := range m.jobs {
			if t, f, is := m.coming(j); f != nil && t <= to && (job == nil || t < at) {
				job, at, happen, answer = j, t, f, is
			}
		}
		if job == nil {
			m.now = max(m.now, to)
			return
		}
		m.now = max(m.now, at)
		job.happens(m.now, answer)
		happen()
	}
}

// quiet tells whether nothing happens around a time that is not far off, so
// that what is asked for then has one outcome.
func (m *model) quiet() bool {
	if of := m.now % time.Second; !m.up && (of < near || of > time.Second-6*near) {
		return false // a server that comes has changes to apply before it fires
	}
	return !slices.ContainsFunc(m.sharp(), m.noisy)
}

// noisy tells whether something of j happens around now.
func (m *model) noisy(j *modelJob) bool {
	if at, f, _ := m.coming(j); m.now-j.touched < near || f != nil && at-m.now < 2*near {
		return true
	}
	if j.state == jadwal.JobPaused && j.rules.after(m.now)-m.now < 2*near {
		return true // what is asked for now may be in force before the instant that is skipped, or after it
	}
	return slices.ContainsFunc(j.runs, func(r *modelRun) bool {
		stored := r.began + time.Second - m.now
		return r.flying && r.row.state != jadwal.RunRunning && stored.Abs() < 2*near
	})
}

// decide says what becomes of all instants that are due: an owner without
// rights skips them, a job as busy as it may be skips or queues them, the
// catch-up rule chooses those that run, and the others are missed. held: what
// would start is queued.
func (m *model) decide(j *modelJob, held bool) {
	var due []time.Duration
	for at := j.next; at != 0 && at <= m.now; at += j.rules.period {
		due = append(due, at)
	}
	if len(due) == 0 {
		return
	}
	j.keep(false)
	j.next = j.rules.after(m.now)
	one := func(at time.Duration, state jadwal.RunState, reason jadwal.Reason) *modelRun {
		return j.put(&modelRun{due: at, state: state, reason: reason, version: j.version})
	}
	unfinished, queued := j.running()+j.queued(), j.queued()
	room, full, reason := j.busy()
	if m.barred || full {
		if m.barred {
			reason = jadwal.ReasonOwnerDisabled
		}
		for _, at := range due {
			r := one(at, jadwal.RunSkipped, reason)
			r.lazy, r.loose = full, full && m.barred
		}
		return
	}
	limit := 1
	if j.rules.catchup == jadwal.CatchupAll {
		limit = jadwal.MaxCatchup
	}
	var runs []time.Duration
	for i, at := range slices.Backward(due) {
		young := j.rules.window == 0 || m.now-at <= j.rules.window
		switch {
		case len(runs) < limit && young:
			runs = append([]time.Duration{at}, runs...)
		case !young && (j.rules.catchup == jadwal.CatchupAll || i == len(due)-1):
			one(at, jadwal.RunMissed, jadwal.ReasonCatchupExpired)
		case at < m.since:
			one(at, jadwal.RunMissed, jadwal.ReasonServerDown)
		default:
			one(at, jadwal.RunMissed, jadwal.ReasonOverload)
		}
	}
	for len(runs) > room {
		one(runs[len(runs)-1], jadwal.RunSkipped, jadwal.ReasonQueueFull)
		runs = runs[:len(runs)-1]
	}
	if left := j.rules.maxRuns - j.started; j.rules.maxRuns > 0 && len(runs) >= left {
		runs = runs[:left]
		j.next = 0
		j.runs = slices.DeleteFunc(j.runs, func(r *modelRun) bool { return r.n == 0 && r.due > runs[left-1] && r.due >= due[0] })
	}
	replace := j.rules.overlap == jadwal.OverlapCancelRunning && unfinished > 0
	// What somebody asked for before goes first, unless such a run has begun.
	waits := func(r *modelRun) bool { return !r.final() && r.n > 0 && !r.begun() && r.due < due[len(due)-1] }
	turn := slices.ContainsFunc(j.runs, waits) && !slices.ContainsFunc(j.runs, func(r *modelRun) bool { return !r.final() && r.n > 0 && r.begun() })
	for _, r := range j.runs {
		if replace && len(runs) > 0 && !r.final() && (r.begun() || r.n == 0) {
			r.over(jadwal.RunCancelled, jadwal.ReasonReplaced)
		}
	}
	start := len(runs) == 1 && (replace && !turn || !replace && unfinished < j.rules.slots && queued == 0)
	for _, at := range runs {
		r := one(at, jadwal.RunQueued, "")
		r.ready = at
		j.started++
		switch {
		case held:
		case start:
			m.launch(j, r)
		default:
			r.keep()
		}
	}
	if !held {
		m.kick(j)
	}
}

// busy tells whether j is as busy as it may be, for what reason what falls due is
// skipped then, and how many more may wait.
func (j *modelJob) busy() (room int, full bool, reason jadwal.Reason) {
	unfinished := j.running() + j.queued()
	switch j.rules.overlap {
	case jadwal.OverlapSkip, jadwal.OverlapAllow:
		return jadwal.MaxCatchup, unfinished >= j.rules.slots, jadwal.ReasonOverlap
	case jadwal.OverlapQueueOne:
		room = 2 - unfinished
	case jadwal.OverlapQueueAll:
		room = 1 + jadwal.MaxQueued - unfinished
	}
	if unfinished == 0 || j.rules.overlap == jadwal.OverlapCancelRunning {
		return jadwal.MaxCatchup, false, ""
	}
	return room, room <= 0, jadwal.ReasonQueueFull
}

// keep stores what is in flight: all of it, or what is in no table yet.
func (j *modelJob) keep(all bool) {
	for _, r := range j.runs {
		if r.flying && (all || !r.kept) {
			r.keep()
		}
	}
}

// keep makes the row of r what r is. An attempt that is made again has its row.
func (r *modelRun) keep() {
	if r.flying && r.row.state == jadwal.RunRunning && r.row.attempts == r.attempts {
		return
	}
	r.kept, r.row = true, modelRow{r.state, r.attempts, r.version, r.ready}
}

// over ends r.
func (r *modelRun) over(state jadwal.RunState, reason jadwal.Reason) {
	if !r.flying && r.kept {
		r.attempts, r.version = r.row.attempts, r.row.version
	}
	r.state, r.reason, r.flying = state, reason, false
}

// holds tells whether a pause keeps r from starting: whatever starts by itself,
// and what was asked for before it.
func (j *modelJob) holds(r *modelRun) bool {
	return j.state == jadwal.JobPaused && (r.n == 0 || r.version < j.version)
}

// kick starts what may start: first what ran when the server vanished, then
// what waited for another attempt, then, while there is room, what waits for
// its turn, each the oldest first.
func (m *model) kick(j *modelJob) {
	for m.up && !m.stopping {
		var best *modelRun
		rank := 3
		for _, r := range j.runs {
			of := 2
			switch {
			case r.final() || r.flying || j.holds(r):
				continue
			case r.redeliver:
				of = 0
			case r.begun():
				if of = 1; r.ready > m.now {
					continue
				}
			case j.running() >= j.rules.slots:
				continue
			}
			if of < rank {
				best, rank = r, of
			}
		}
		if best == nil {
			break
		}
		if m.barred {
			switch {
			case best.redeliver:
				best.over(jadwal.RunFailed, jadwal.ReasonLost)
				m.failed(j, j.rules.failing)
			case best.begun():
				best.over(jadwal.RunCancelled, jadwal.ReasonOwnerDisabled)
			default:
				best.over(jadwal.RunSkipped, jadwal.ReasonOwnerDisabled)
			}
			continue
		}
		m.launch(j, best)
	}
	m.complete(j)
}

func (m *model) launch(j *modelJob, r *modelRun) {
	if !r.redeliver {
		r.attempts++
	}
	r.redeliver, r.flying, r.state, r.began, r.rules, r.version = false, true, jadwal.RunRunning, m.now, j.rules, j.version
	if j.row++; !j.landed || j.touched != m.now {
		j.row = 0
	}
	j.blurred = j.blurred || time.Duration(2*j.row)*m.way > near/2 // each is later by a way there and back
	j.delivered++
	if j.mood == "stuck" && len(j.deliveries) > 0 && m.now-j.deliveries[len(j.deliveries)-1].at < near {
		j.blurred = true // which of them comes first?
	}
	r.end = j.mood.answer(j.delivered, r.attempts)
	r.ends = m.now + min(r.end.takes, modelTimeout)
	j.deliveries = append(j.deliveries, modelDelivery{m.now, r.due, r.n, r.attempts, j.label})
}

// ended takes in an answer, or that none came.
func (m *model) ended(j *modelJob, r *modelRun) {
	silent := r.end.takes > modelTimeout
	switch {
	case (silent || r.end.status == 500) && r.attempts < r.rules.attempts:
		r.state, r.flying, r.ready = jadwal.RunQueued, false, m.now+r.rules.backoff
		r.keep()
	case silent:
		r.over(jadwal.RunFailed, jadwal.ReasonTimeout)
	case r.end.status != 200:
		r.over(jadwal.RunFailed, jadwal.ReasonHTTPStatus)
	default:
		r.over(jadwal.RunSucceeded, "")
		j.failures = 0
	}
	if r.state == jadwal.RunFailed {
		m.failed(j, r.rules.failing)
	}
	m.kick(j)
}

// failed counts a run of j that has failed. So many in a row pause the job, a
// moment later.
func (m *model) failed(j *modelJob, most int) {
	if j.failures++; most == 0 || j.failures < most {
		return
	}
	if j.failures = 0; j.state != jadwal.JobEnabled {
		return
	}
	j.blurred = j.blurred || m.stopping
	j.stored++
	m.change(j, j.stored, jadwal.JobPaused, nil, jadwal.CatchupNone)
}

// complete ends a job of which nothing is left to come.
func (m *model) complete(j *modelJob) {
	if m.up && j.state == jadwal.JobEnabled && !j.deleted && j.next == 0 && j.running()+j.queued() == 0 && len(j.pending) == 0 {
		j.state = jadwal.JobCompleted
		j.stored++
		j.version = j.stored
		j.of[j.version] = j.rules
	}
}

// offset is a time as a clock shows it.
func offset(d time.Duration) string { return clock(midnight.Add(d)) }

// want returns what the store must have of a run; "": nothing.
func (r *modelRun) want() string {
	switch {
	case r.flying && !r.kept:
		return ""
	case r.flying:
		return describe(r.row.state, "", r.row.version, r.row.attempts)
	}
	return describe(r.state, r.reason, r.version, r.attempts)
}

func describe(state jadwal.RunState, reason jadwal.Reason, version int64, attempts int) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s", state, reason)) + fmt.Sprintf(" under version %d after %d attempts", version, attempts)
}
