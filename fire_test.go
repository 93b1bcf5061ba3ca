package jadwal

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal/schedule"
)

// clock reads "12:00", "12:00:05" or "12:00:05.5" of the day that these tests
// are about; "" is no time.
func clock(t *testing.T, s string) time.Time {
	t.Helper()
	if s == "" {
		return time.Time{}
	}
	if strings.Count(s, ":") == 1 {
		s += ":00"
	}
	at, err := time.Parse("2006-01-02 15:04:05.999999", "2027-03-01 "+s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func plan(t *testing.T, specs ...schedule.Spec) *schedule.Plan {
	t.Helper()
	d := Definition{Timezone: "UTC", Schedules: specs}
	p, err := d.Plan(clock(t, "00:00"), 7)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func minutely(t *testing.T) *schedule.Plan { return plan(t, schedule.Spec{Cron: "* * * * *"}) }

func onceAt(t *testing.T, at string) *schedule.Plan { return plan(t, spec(t, at)) }

func spec(t *testing.T, at string) schedule.Spec {
	t.Helper()
	return schedule.Spec{At: clock(t, at).Format(time.RFC3339)}
}

// rules reads "skip latest", "allow3 all window=5m jitter=30s max=2": an overlap
// policy (skip when there is none), a catch-up rule (latest when there is
// none), and so on.
func rules(t *testing.T, plan *schedule.Plan, policy string) Rules {
	t.Helper()
	d := Definition{Overlap: OverlapSkip, Catchup: CatchupLatest, MaxConcurrent: 1}
	for word := range strings.FieldsSeq(policy) {
		name, value, _ := strings.Cut(word, "=")
		var err error
		switch name {
		case "skip", "queue_one", "queue_all", "cancel_running":
			d.Overlap = Overlap(name)
		case "allow3":
			d.Overlap, d.MaxConcurrent = OverlapAllow, 3
		case "none", "latest", "all":
			d.Catchup = Catchup(name)
		case "window":
			d.CatchupWindow = new(Duration)
			err = d.CatchupWindow.UnmarshalText([]byte(value))
		case "jitter":
			err = d.Jitter.UnmarshalText([]byte(value))
		case "max":
			d.MaxRuns, err = strconv.Atoi(value)
		default:
			t.Fatalf("%q is no policy", word)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return d.Rules(plan, 7)
}

// standing reads "running queued=2 started=3 barred since=12:02 jump=12:00-12:03
// asked=11:59": that one waits too.
func standing(t *testing.T, cursor, s string) Standing {
	t.Helper()
	st := Standing{Cursor: clock(t, cursor), Since: clock(t, "10:00")}
	for word := range strings.FieldsSeq(s) {
		name, value, _ := strings.Cut(word, "=")
		n, _ := strconv.Atoi(value)
		switch name {
		case "running":
			st.Running = max(n, 1)
		case "queued":
			st.Queued = max(n, 1)
		case "asked":
			st.Asked = clock(t, value)
			st.Queued++
		case "started":
			st.Started = n
		case "barred":
			st.Barred = true
		case "usedup":
			st.UsedUp = true
		case "since":
			st.Since = clock(t, value)
		case "jump":
			from, to, _ := strings.Cut(value, "-")
			st.Jump = Jump{clock(t, from), clock(t, to)}
		default:
			t.Fatalf("%q is no standing", word)
		}
	}
	return st
}

func short(at time.Time) string {
	if at.Nanosecond() != 0 {
		return at.Format("15:04:05.999999")
	}
	return strings.TrimSuffix(at.Format("15:04:05"), ":00")
}

// tell writes a decision down: "12:00-12:02 missed overload, start 12:03, next 12:04".
func tell(stretches []Stretch, queue []time.Time, start time.Time, replace bool) string {
	var all []string
	if replace {
		all = append(all, "replace")
	}
	for _, s := range stretches {
		at := short(s.From)
		if !s.Through.Equal(s.From) {
			at += "-" + short(s.Through)
		}
		all = append(all, at+" "+string(s.State)+" "+string(s.Reason))
	}
	switch n := len(queue); {
	case n > 3:
		all = append(all, "queue "+strconv.Itoa(n)+": "+short(queue[0])+" to "+short(queue[n-1]))
	case n > 0:
		names := "queue"
		for _, at := range queue {
			names += " " + short(at)
		}
		all = append(all, names)
	}
	if !start.IsZero() {
		all = append(all, "start "+short(start))
	}
	return strings.Join(all, ", ")
}

func TestFire(t *testing.T) {
	every := minutely(t)
	once := onceAt(t, "12:00")
	few := plan(t, spec(t, "12:00"), spec(t, "12:01"), spec(t, "12:02"))
	text, err := os.ReadFile("testdata/firing.txt")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimRight(line, "\n"); line == "" || line[0] == '#' {
			continue
		}
		rows++
		c := append(strings.Split(line, " |"), "", "", "")
		for i := range c {
			c[i] = strings.TrimSpace(c[i])
		}
		rule, policy, cursor, now, how, want, wantNext := c[0], c[2], c[3], c[4], c[5], c[6], c[7]
		plan := map[string]*schedule.Plan{"every": every, "once": once, "few": few}[c[1]]
		t.Run(rule, func(t *testing.T) {
			d := rules(t, plan, policy).Fire(standing(t, cursor, how), clock(t, now))
			got, next := tell(d.Stretches, d.Queue, d.Start, d.Replace), ""
			if !d.Next.IsZero() {
				next = short(d.Next)
			}
			if got != want || next != wantNext {
				t.Errorf("\n got  %s, next %s\n want %s, next %s", got, next, want, wantNext)
			}
		})
	}
	if rows < 120 {
		t.Errorf("only %d rows were looked at", rows)
	}
}

func TestSettle(t *testing.T) {
	every := minutely(t)
	once := onceAt(t, "12:00")
	for _, c := range []struct {
		rule      string
		plan      *schedule.Plan
		policy    string
		state     JobState
		cursor    string
		effective string
		now       string
		how       string // of the standing; and "deleted", "until=12:00", "catchup=all"
		want      string
		from      string
	}{
		{"nothing is due: the next version begins now", every, "", JobEnabled, "12:01", "11:00", "12:00:30", "", "", "12:00:30"},
		{"what is due and has not started is held", every, "", JobEnabled, "12:00", "11:00", "12:00:30", "", "queue 12:00", "12:00:30"},
		{"of several that are due the newest is held", every, "", JobEnabled, "12:00", "11:00", "12:02:30", "", "12:00-12:01 missed overload, queue 12:02", "12:02:30"},
		{"all: all that are due are held", every, "all", JobEnabled, "12:00", "11:00", "12:02:30", "", "queue 12:00 12:01 12:02", "12:02:30"},
		{"none: what is too late is not held", every, "none window=5s", JobEnabled, "12:00", "11:00", "12:00:30", "", "12:00 missed catchup_expired", "12:00:30"},
		{"what is due while a run is unfinished is skipped", every, "", JobEnabled, "12:00", "11:00", "12:02:30", "running", "12:00-12:02 skipped overlap", "12:02:30"},
		{"what is due while a queue has room is held", every, "queue_all", JobEnabled, "12:00", "11:00", "12:00:30", "running queued=3", "queue 12:00", "12:00:30"},
		{"what is due under cancel_running is held and takes the place of the running one", every, "cancel_running", JobEnabled, "12:00", "11:00", "12:00:30", "running", "replace, queue 12:00", "12:00:30"},
		{"an instant whose jitter is not over is held: it is due, only its start is late", every, "jitter=59s", JobEnabled, "12:00", "11:00", "12:00:00.001", "", "queue 12:00", "12:00:00.001"},
		{"what is due when the job is deleted is cancelled", every, "", JobEnabled, "12:00", "11:00", "12:01:30", "deleted", "12:00 missed overload, 12:01 cancelled job_deleted", "12:01:30"},
		{"all that would be caught up when the job is deleted is cancelled", every, "all", JobEnabled, "12:00", "11:00", "12:01:30", "deleted", "12:00 cancelled job_deleted, 12:01 cancelled job_deleted", "12:01:30"},
		{"all that is due when the job is deleted is cancelled, beyond max_runs too: none of it starts", every, "max=2 all", JobEnabled, "12:00", "11:00", "12:02:30", "started=1 deleted", "12:00 cancelled job_deleted, 12:01 cancelled job_deleted, 12:02 cancelled job_deleted", "12:02:30"},
		{"nothing is left of a deleted job that is not due", every, "", JobEnabled, "12:01", "11:00", "12:00:30", "deleted", "", "12:00:30"},
		{"the instant that reaches max_runs is held, and the next version begins now", every, "max=2", JobEnabled, "12:00", "11:00", "12:03:30", "started=1", "12:00-12:02 missed overload, queue 12:03", "12:03:30"},
		{"when max_runs is reached the next version begins now", every, "max=2", JobEnabled, "", "11:00", "12:03:30", "started=2 running", "", "12:03:30"},
		{"a pause skips all that it lasted through", every, "", JobPaused, "", "11:00:30", "12:00:30", "", "11:01-12:00 skipped paused", "12:00:30"},
		{"a pause between two instants skips nothing", every, "", JobPaused, "", "11:00:30", "11:00:40", "", "", "11:00:40"},
		{"a pause that begins at an instant does not skip that one", every, "", JobPaused, "", "11:00", "11:01", "", "11:01 skipped paused", "11:01"},
		{"a deleted pause is recorded like any other", every, "", JobPaused, "", "11:00:30", "12:00:30", "deleted", "11:01-12:00 skipped paused", "12:00:30"},
		{"a pause that is resumed with latest lets its newest instant run", every, "", JobPaused, "", "11:00:30", "12:00:30", "catchup=latest", "11:01-11:59 skipped paused, queue 12:00", "12:00:30"},
		{"a pause of one instant that is resumed with latest skips nothing", every, "", JobPaused, "", "11:00:30", "11:01:30", "catchup=latest", "queue 11:01", "11:01:30"},
		{"a pause that is resumed with all lets all of them run", every, "", JobPaused, "", "11:00:30", "11:03:30", "catchup=all", "queue 11:01 11:02 11:03", "11:03:30"},
		{"a pause that is resumed with all lets a hundred run at most", every, "", JobPaused, "", "10:00:30", "12:00:30", "catchup=all", "10:01-10:20 skipped paused, queue 100: 10:21 to 12:00", "12:00:30"},
		{"a pause that is resumed with none skips all", every, "", JobPaused, "", "11:00:30", "11:03:30", "catchup=none", "11:01-11:03 skipped paused", "11:03:30"},
		{"a pause that is resumed with all lets no more run than max_runs leaves", every, "max=5", JobPaused, "", "11:00:30", "11:03:30", "catchup=all started=3", "11:01 skipped paused, queue 11:02 11:03", "11:03:30"},
		{"a pause that is resumed when max_runs is reached lets nothing run", every, "max=5", JobPaused, "", "11:00:30", "11:03:30", "catchup=all started=5", "11:01-11:03 skipped paused", "11:03:30"},
		{"a pause that is resumed in the empty gap between two instants holds nothing", every, "", JobPaused, "", "11:00:30", "11:00:40", "catchup=all", "", "11:00:40"},
		{"a pause until an instant does not skip that one", every, "", JobPaused, "", "11:00:30", "11:05:00.7", "until=11:05", "11:01-11:04 skipped paused", "11:04:59.999999"},
		{"a pause until an instant does not skip that one when it is ended right then", every, "", JobPaused, "", "11:00:30", "11:05", "until=11:05", "11:01-11:04 skipped paused", "11:04:59.999999"},
		{"a pause until a while ago ended then, whenever that is noticed", every, "", JobPaused, "", "11:00:30", "12:00", "until=11:05:30", "11:01-11:05 skipped paused", "11:05:29.999999"},
		{"a pause that is ended before its end lasted until now", every, "", JobPaused, "", "11:00:30", "11:02:30", "until=11:05", "11:01-11:02 skipped paused", "11:02:30"},
		{"a pause until before it began ends where it began", every, "", JobPaused, "", "11:00:30", "11:02:30", "until=10:00", "", "11:00:30"},
		{"jitter does not move what a pause skips", every, "jitter=59s", JobPaused, "", "11:00:30", "11:02:00.001", "", "11:01-11:02 skipped paused", "11:02:00.001"},
		{"a completed version has nothing to settle", once, "", JobCompleted, "", "12:00:01", "13:00", "", "", "13:00"},
		{"after a step back of the clock the next version begins after what is decided", every, "", JobEnabled, "12:10", "11:00", "12:00:30", "", "", "12:09"},
		{"after a step back of the clock the last instant is not planned again", once, "", JobEnabled, "", "11:00", "11:30", "", "", "12:00"},
		{"after a step back of the clock a version begins where the one before ended", every, "", JobPaused, "", "12:10", "12:00:30", "", "", "12:10"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			e := Ending{State: c.state, EffectiveAt: clock(t, c.effective), Now: clock(t, c.now)}
			how := ""
			for word := range strings.FieldsSeq(c.how) {
				switch name, value, _ := strings.Cut(word, "="); name {
				case "deleted":
					e.Deleted = true
				case "until":
					e.Until = clock(t, value)
				case "catchup":
					e.Catchup = Catchup(value)
				default:
					how += " " + word
				}
			}
			end := rules(t, c.plan, c.policy).Settle(standing(t, c.cursor, how), e)
			if got := tell(end.Stretches, end.Held, time.Time{}, end.Replace); got != c.want || short(end.From) != c.from {
				t.Errorf("\n got  %s, from %s\n want %s, from %s", got, short(end.From), c.want, c.from)
			}
		})
	}
}

// Every instant up to the decision has exactly one outcome, and none after it,
// whatever the policy and the standing.
func TestFireLeavesNoInstantOut(t *testing.T) {
	every := minutely(t)
	first := clock(t, "12:00")
	decisions := 0
	for _, overlap := range []string{"skip", "queue_one", "queue_all", "cancel_running", "allow3"} {
		for _, catchup := range []string{"none", "latest", "all", "latest window=90s", "all window=150s", "none window=5m"} {
			for _, extra := range []string{"", "max=4", "jitter=40s"} {
				r := rules(t, every, overlap+" "+catchup+" "+extra)
				for step := range 5 * 10 * 3 * 3 * 3 {
					s := Standing{
						Cursor: first, Since: first.Add(time.Duration(step%5)*time.Minute - 30*time.Second),
						Running: step / 50 % 3, Queued: step / 150 % 3, Started: step / 450 % 3,
						Jump: Jump{first.Add(90 * time.Second), first.Add(200 * time.Second)},
					}
					if s.Queued == 2 {
						s.Asked = first.Add(90 * time.Second)
					}
					now := first.Add(time.Duration(step/5%10)*time.Minute + time.Second)
					d := r.Fire(s, now)
					decisions++
					if d.Through.IsZero() {
						continue
					}
					of := map[time.Time]int{}
					for _, st := range d.Stretches {
						for at := st.From; !at.After(st.Through); at = at.Add(time.Minute) {
							of[at]++
						}
					}
					for _, at := range d.Queue {
						of[at]++
					}
					if !d.Start.IsZero() {
						of[d.Start]++
						if !d.Start.Equal(d.Through) {
							t.Fatalf("%+v %+v at %s: starts %s in spite of more behind it", r, s, now, d.Start)
						}
					}
					n := 0
					for at := s.Cursor; !at.After(d.Through); at = at.Add(time.Minute) {
						n++
						if of[at] != 1 {
							t.Fatalf("%+v %+v at %s: %s has %d outcomes in %+v", r, s, now, at, of[at], d)
						}
					}
					if n != len(of) || d.Through.After(now) {
						t.Fatalf("%+v %+v at %s: decided about what is not due: %+v", r, s, now, d)
					}
					runs := len(d.Queue)
					if !d.Start.IsZero() {
						runs++
					}
					if r.MaxRuns > 0 && s.Started+runs > r.MaxRuns || r.MaxRuns > 0 && (s.Started+runs == r.MaxRuns) != d.Next.IsZero() {
						t.Fatalf("%+v %+v at %s: the limit does not hold: %+v", r, s, now, d)
					}
					if !d.Next.IsZero() && !d.Next.Equal(d.Through.Add(time.Minute)) {
						t.Fatalf("%+v %+v at %s: next is %s", r, s, now, d.Next)
					}
				}
			}
		}
	}
	if decisions < 100_000 {
		t.Errorf("only %d decisions were looked at", decisions)
	}
}

func TestJitterRules(t *testing.T) {
	every := minutely(t)
	r := rules(t, every, "jitter=50s")
	moved := 0
	for i := range 60 {
		at := clock(t, "12:00").Add(time.Duration(i) * time.Minute)
		due := r.DueAt(at)
		if due.Before(at) || due.Sub(at) > 50*time.Second || !due.Equal(r.DueAt(at)) {
			t.Fatalf("the instant %s is due %s", at, due)
		}
		if due.After(at) {
			moved++
			if d := r.Fire(Standing{Cursor: at}, due.Add(-time.Millisecond)); !d.Start.IsZero() || !d.Next.Equal(at) {
				t.Errorf("a millisecond before its jitter is over: %+v", d)
			}
		}
		if d := r.Fire(Standing{Cursor: at}, due); !d.Start.Equal(at) {
			t.Errorf("when its jitter is over: %+v", d)
		}
		// The instant before the one whose jitter is not over is the newest.
		if got := r.Newest(at.Add(-time.Minute), due.Add(-time.Millisecond)); due.After(at) && !got.Equal(at.Add(-time.Minute)) {
			t.Errorf("the newest before %s is %s", due, got)
		}
	}
	if moved < 50 {
		t.Errorf("only %d of 60 instants are spread", moved)
	}
	// Lateness, and with it the window, counts from the jittered instant.
	late := rules(t, every, "jitter=50s none window=1s")
	at := clock(t, "12:00")
	if d := late.Fire(Standing{Cursor: at}, late.DueAt(at).Add(time.Second)); !d.Start.Equal(at) {
		t.Errorf("a second after its jitter: %+v", d)
	}
	if run := (Run{Key: RunKey{DueAt: at.UnixMicro()}, ReadyAt: at.Add(40 * time.Second), StartedAt: at.Add(41 * time.Second)}); run.Lateness() != time.Second {
		t.Errorf("lateness is %s", run.Lateness())
	}
}

func TestStretchRecord(t *testing.T) {
	now := clock(t, "13:00")
	one := Stretch{clock(t, "12:00"), clock(t, "12:00"), RunSkipped, ReasonOverlap}.Record(7, 3, now)
	if !one.ThroughAt.IsZero() || one.Key != (RunKey{DueAt: clock(t, "12:00").UnixMicro(), JobID: 7}) || one.Version != 3 || !one.FinishedAt.Equal(now) {
		t.Errorf("a single instant: %+v", one)
	}
	many := Stretch{clock(t, "12:00"), clock(t, "12:05"), RunMissed, ReasonServerDown}.Record(7, 3, now)
	if !many.ThroughAt.Equal(clock(t, "12:05")) || many.State != RunMissed || many.Reason != ReasonServerDown {
		t.Errorf("a range: %+v", many)
	}
}
