package jadwal

import (
	"reflect"
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

func onceAt(t *testing.T, at string) *schedule.Plan {
	return plan(t, schedule.Spec{At: clock(t, at).Format(time.RFC3339)})
}

// stretches reads "12:00-12:04 missed server_down, 12:05 skipped overlap".
func stretches(t *testing.T, s string) []Stretch {
	t.Helper()
	var all []Stretch
	for part := range strings.SplitSeq(s, ", ") {
		f := strings.Fields(part)
		if len(f) == 0 {
			continue
		}
		from, through, ok := strings.Cut(f[0], "-")
		if !ok {
			through = from
		}
		all = append(all, Stretch{clock(t, from), clock(t, through), RunState(f[1]), Reason(f[2])})
	}
	return all
}

func TestFire(t *testing.T) {
	every := minutely(t)
	once := onceAt(t, "12:00")
	for _, c := range []struct {
		rule         string
		plan         *schedule.Plan
		cursor, now  string
		since        string
		busy, barred bool
		records      string
		start, next  string
	}{
		{"an instant starts exactly when it is reached", every, "12:00", "12:00", "11:00", false, false, "", "12:00", "12:01"},
		{"a microsecond before its instant nothing starts", every, "12:00", "11:59:59.999999", "11:00", false, false, "", "", "12:00"},
		{"without a cursor nothing starts", every, "", "12:00", "11:00", false, false, "", "", ""},
		{"a late instant starts, however late, when no later one is due", once, "12:00", "23:59", "23:58", false, false, "", "12:00", ""},
		{"the last instant leaves no cursor", once, "12:00", "12:00", "11:00", false, false, "", "12:00", ""},
		{"of several that are due the newest starts and the others are missed", every, "12:00", "12:03:30", "11:00", false, false, "12:00-12:02 missed overload", "12:03", "12:04"},
		{"one missed instant is no range", every, "12:00", "12:01", "11:00", false, false, "12:00 missed overload", "12:01", "12:02"},
		{"missed while nobody was there: the server was down", every, "12:00", "12:05:30", "12:05:10", false, false, "12:00-12:04 missed server_down", "12:05", "12:06"},
		{"missed before and after somebody came: two reasons", every, "12:00", "12:05:30", "12:02:30", false, false, "12:00-12:02 missed server_down, 12:03-12:04 missed overload", "12:05", "12:06"},
		{"who came at an instant was there for it", every, "12:00", "12:05:30", "12:03", false, false, "12:00-12:02 missed server_down, 12:03-12:04 missed overload", "12:05", "12:06"},
		{"an unfinished run skips what falls due", every, "12:00", "12:00", "11:00", true, false, "12:00 skipped overlap", "", "12:01"},
		{"an unfinished run skips all that is due, as one range", every, "12:00", "12:04:59", "11:00", true, false, "12:00-12:04 skipped overlap", "", "12:05"},
		{"without rights everything is skipped", every, "12:00", "12:01", "11:00", false, true, "12:00-12:01 skipped owner_disabled", "", "12:02"},
		{"without rights comes before overlap", every, "12:00", "12:00", "11:00", true, true, "12:00 skipped owner_disabled", "", "12:01"},
		{"a cursor that the plan does not know starts, and the plan goes on from there", once, "13:00", "13:00:01", "11:00", false, false, "", "13:00", ""},
		{"a cursor that the plan does not know is missed when the plan is further", every, "12:00:30", "12:02", "11:00", false, false, "12:00:30-12:01 missed overload", "12:02", "12:03"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got := Fire(c.plan, Standing{clock(t, c.cursor), c.busy, c.barred, clock(t, c.since)}, clock(t, c.now))
			want := Decision{stretches(t, c.records), clock(t, c.start), clock(t, c.next)}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestSettle(t *testing.T) {
	every := minutely(t)
	once := onceAt(t, "12:00")
	for _, c := range []struct {
		rule          string
		plan          *schedule.Plan
		state         JobState
		cursor        string
		effective     string
		now           string
		busy, deleted bool
		records       string
		held, from    string
	}{
		{"nothing is due: the next version begins now", every, JobEnabled, "12:01", "11:00", "12:00:30", false, false, "", "", "12:00:30"},
		{"what is due and has not started is held", every, JobEnabled, "12:00", "11:00", "12:00:30", false, false, "", "12:00", "12:00:30"},
		{"of several that are due the newest is held", every, JobEnabled, "12:00", "11:00", "12:02:30", false, false, "12:00-12:01 missed overload", "12:02", "12:02:30"},
		{"what is due while a run is unfinished is skipped", every, JobEnabled, "12:00", "11:00", "12:02:30", true, false, "12:00-12:02 skipped overlap", "", "12:02:30"},
		{"what is due when the job is deleted is cancelled", every, JobEnabled, "12:00", "11:00", "12:01:30", false, true, "12:00 missed overload, 12:01 cancelled job_deleted", "", "12:01:30"},
		{"nothing is left of a deleted job that is not due", every, JobEnabled, "12:01", "11:00", "12:00:30", false, true, "", "", "12:00:30"},
		{"a pause skips all that it lasted through", every, JobPaused, "", "11:00:30", "12:00:30", false, false, "11:01-12:00 skipped paused", "", "12:00:30"},
		{"a pause between two instants skips nothing", every, JobPaused, "", "11:00:30", "11:00:40", false, false, "", "", "11:00:40"},
		{"a pause that begins at an instant does not skip that one", every, JobPaused, "", "11:00", "11:01", false, false, "11:01 skipped paused", "", "11:01"},
		{"a deleted pause is recorded like any other", every, JobPaused, "", "11:00:30", "12:00:30", false, true, "11:01-12:00 skipped paused", "", "12:00:30"},
		{"a completed version has nothing to settle", once, JobCompleted, "", "12:00:01", "13:00", false, false, "", "", "13:00"},
		{"after a step back of the clock the next version begins after what is decided", every, JobEnabled, "12:10", "11:00", "12:00:30", false, false, "", "", "12:09"},
		{"after a step back of the clock the last instant is not planned again", once, JobEnabled, "", "11:00", "11:30", false, false, "", "", "12:00"},
		{"after a step back of the clock a version begins where the one before ended", every, JobPaused, "", "12:10", "12:00:30", false, false, "", "", "12:10"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			s := Standing{Cursor: clock(t, c.cursor), Busy: c.busy, Since: clock(t, "10:00")}
			got := Settle(c.plan, c.state, s, clock(t, c.effective), clock(t, c.now), c.deleted)
			want := Settlement{stretches(t, c.records), clock(t, c.held), clock(t, c.from)}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// Every instant up to the decision has exactly one outcome, and none after it,
// whatever the standing.
func TestFireLeavesNoInstantOut(t *testing.T) {
	every := minutely(t)
	first := clock(t, "12:00")
	for k := range 5 {
		for now := range 10 {
			for since := range 10 {
				for _, busy := range []bool{false, true} {
					s := Standing{Cursor: first.Add(time.Duration(k) * time.Minute), Busy: busy, Since: first.Add(time.Duration(since)*time.Minute - 30*time.Second)}
					d := Fire(every, s, first.Add(time.Duration(now)*time.Minute+time.Second))
					at := s.Cursor
					for _, r := range d.Stretches {
						if !r.From.Equal(at) {
							t.Fatalf("%+v at minute %d: stretch begins at %s, want %s", s, now, r.From, at)
						}
						at = r.Through.Add(time.Minute)
					}
					if !d.Start.IsZero() {
						if !d.Start.Equal(at) {
							t.Fatalf("%+v at minute %d: starts %s, want %s", s, now, d.Start, at)
						}
						at = at.Add(time.Minute)
					}
					if !d.Next.Equal(at) {
						t.Fatalf("%+v at minute %d: next is %s, want %s", s, now, d.Next, at)
					}
				}
			}
		}
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
