package jadwal

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal/schedule"
)

var ledgerStart = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// hour is so many hours after the job of these tests was created.
func hour(h float64) time.Time { return ledgerStart.Add(time.Duration(h * float64(time.Hour))) }

// ledgerVersion plans an instant every so often, from the job's creation on.
func ledgerVersion(n int64, state JobState, every string, effective float64) JobVersion {
	d := DefaultDefinition()
	d.Name = "report"
	d.Schedules = []schedule.Spec{{Every: every}}
	return JobVersion{Version: n, State: state, Definition: d, EffectiveAt: hour(effective)}
}

func ledgerRun(at, through float64, state RunState, reason Reason) Run {
	r := Run{Key: RunKey{DueAt: hour(at).UnixMicro(), JobID: 7}, Version: 1, State: state, Reason: reason, Trigger: TriggerSchedule}
	if through > at {
		r.ThroughAt = hour(through)
	}
	if state.Final() {
		r.FinishedAt = hour(through + 1.0/64)
	}
	switch state {
	case RunSucceeded, RunFailed, RunRunning:
		r.StartedAt, r.Attempts = hour(at+0.005), 1
	}
	return r
}

// tellEntries writes entries as "hour state reason".
func tellEntries(entries []LedgerEntry) string {
	var all []string
	for _, e := range entries {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%g %s %s", e.At.Sub(ledgerStart).Hours(), e.State, e.Reason)))
	}
	return strings.Join(all, ", ")
}

func TestLedgerEntries(t *testing.T) {
	one := []JobVersion{ledgerVersion(1, JobEnabled, "1h", 0)}
	for _, c := range []struct {
		rule          string
		l             Ledger
		from, to, now float64
		limit         int
		want          string
		next          float64 // 0: none
	}{
		{"a new job has only what is to come", Ledger{Versions: one, Version: 1, NextAt: hour(1)}, -24, 4, 0.5, 9, "1 planned, 2 planned, 3 planned", 0},
		{"from is included and to is not", Ledger{Versions: one, Version: 1, NextAt: hour(1)}, 2, 3, 0.5, 9, "2 planned", 0},
		{"what is recorded has its outcome, what is due is queued, and the rest is planned",
			Ledger{Versions: one, Version: 1, NextAt: hour(3), Records: []Run{ledgerRun(1, 0, RunSucceeded, ""), ledgerRun(2, 0, RunFailed, ReasonTimeout)}},
			0, 6, 4.5, 9, "1 succeeded, 2 failed timeout, 3 queued, 4 queued, 5 planned", 0},
		{"a range stands for each of its instants",
			Ledger{Versions: one, Version: 1, NextAt: hour(6), Records: []Run{ledgerRun(1, 0, RunSucceeded, ""), ledgerRun(2, 4, RunMissed, ReasonServerDown), ledgerRun(5, 0, RunSucceeded, "")}},
			0, 6, 5.5, 9, "1 succeeded, 2 missed server_down, 3 missed server_down, 4 missed server_down, 5 succeeded", 0},
		{"a range that began before stands for the rest of its instants",
			Ledger{Versions: one, Version: 1, NextAt: hour(6), Records: []Run{ledgerRun(1, 4, RunSkipped, ReasonOverlap), ledgerRun(5, 0, RunSucceeded, "")}},
			3, 6, 5.5, 9, "3 skipped overlap, 4 skipped overlap, 5 succeeded", 0},
		{"a page ends in the middle of a range", Ledger{Versions: one, Version: 1, NextAt: hour(6), Records: []Run{ledgerRun(1, 4, RunSkipped, ReasonOverlap)}},
			1, 6, 5.5, 2, "1 skipped overlap, 2 skipped overlap", 3},
		{"an open run is told by its state", Ledger{Versions: one, Version: 1, NextAt: hour(3), Records: []Run{ledgerRun(1, 0, RunRunning, ""), ledgerRun(2, 0, RunSkipped, ReasonOverlap)}},
			1, 4, 2.5, 9, "1 running, 2 skipped overlap, 3 planned", 0},
		{"before the versions that are kept only records are told", Ledger{Versions: []JobVersion{ledgerVersion(5, JobEnabled, "1h", 4.5)}, Version: 5, NextAt: hour(7), Records: []Run{ledgerRun(2, 2, RunFailed, ReasonTimeout), ledgerRun(5, 0, RunSucceeded, "")}},
			1, 8, 6.5, 9, "2 failed timeout, 5 succeeded, 6 unrecorded, 7 planned", 0},
		{"what has no record before the cursor is unrecorded", Ledger{Versions: one, Version: 1, NextAt: hour(4), Records: []Run{ledgerRun(3, 0, RunSucceeded, "")}},
			1, 5, 3.5, 9, "1 unrecorded, 2 unrecorded, 3 succeeded, 4 planned", 0},
		{"a pause holds what is due and what is to come",
			Ledger{Versions: []JobVersion{one[0], ledgerVersion(2, JobPaused, "1h", 1.5)}, Version: 2, Records: []Run{ledgerRun(1, 0, RunSucceeded, "")}},
			1, 5, 3.5, 9, "1 succeeded, 2 paused, 3 paused, 4 paused", 0},
		{"a pause that is over is skipped, and the plan goes on after it",
			Ledger{Versions: []JobVersion{one[0], ledgerVersion(2, JobPaused, "1h", 1.5), ledgerVersion(3, JobEnabled, "1h", 3.5)}, Version: 3, NextAt: hour(4),
				Records: []Run{ledgerRun(1, 0, RunSucceeded, ""), ledgerRun(2, 3, RunSkipped, ReasonPaused)}},
			1, 6, 3.7, 9, "1 succeeded, 2 skipped paused, 3 skipped paused, 4 planned, 5 planned", 0},
		{"each version plans until the next one takes effect, that instant included",
			Ledger{Versions: []JobVersion{one[0], ledgerVersion(2, JobEnabled, "30m", 2)}, Version: 2, NextAt: hour(2.5),
				Records: []Run{ledgerRun(1, 0, RunSucceeded, ""), ledgerRun(2, 0, RunSucceeded, "")}},
			1, 3.5, 2.2, 9, "1 succeeded, 2 succeeded, 2.5 planned, 3 planned", 0},
		{"a completed job plans nothing", Ledger{Versions: []JobVersion{one[0], ledgerVersion(2, JobCompleted, "1h", 1)}, Version: 2, Records: []Run{ledgerRun(1, 0, RunSucceeded, "")}},
			0, 9, 1.5, 9, "1 succeeded", 0},
		{"without a cursor nothing is to come", Ledger{Versions: one, Version: 1, Records: []Run{ledgerRun(1, 0, RunSucceeded, "")}}, 0, 9, 1.5, 9, "1 succeeded", 0},
		{"a record that no version planned is told all the same", Ledger{Versions: one, Version: 1, NextAt: hour(2), Records: []Run{ledgerRun(0.25, 0, RunFailed, ReasonNetwork), ledgerRun(1, 0, RunSucceeded, ""), ledgerRun(1.25, 0, RunSucceeded, "")}},
			0, 3, 1.5, 9, "0.25 failed network, 1 succeeded, 1.25 succeeded, 2 planned", 0},
		{"so is one at the end, but not one outside", Ledger{Versions: []JobVersion{ledgerVersion(1, JobCompleted, "1h", 0)}, Version: 1, Records: []Run{ledgerRun(1.25, 0, RunSucceeded, ""), ledgerRun(5, 0, RunSucceeded, "")}},
			0, 3, 1.5, 9, "1.25 succeeded", 0},
		{"a page that is full has no next when nothing follows", Ledger{Versions: one, Version: 1, NextAt: hour(1)}, 0, 3, 0.5, 2, "1 planned, 2 planned", 0},
		{"versions that are left out are on the next page", Ledger{Versions: one, Until: hour(2), Version: 9, NextAt: hour(50), Records: []Run{ledgerRun(1, 0, RunSucceeded, ""), ledgerRun(2, 0, RunSucceeded, "")}},
			0, 9, 8, 9, "1 succeeded, 2 succeeded", 2 + 1.0/3600e6},
	} {
		t.Run(c.rule, func(t *testing.T) {
			c.l.JobID, c.l.CreatedAt = 7, ledgerStart
			entries, next, err := c.l.Entries(hour(c.from), hour(c.to), hour(c.now), c.limit)
			if err != nil {
				t.Fatal(err)
			}
			if got := tellEntries(entries); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if c.next == 0 && !next.IsZero() || c.next != 0 && next.Sub(hour(c.next)).Abs() > time.Nanosecond*500 {
				t.Errorf("next is %v", next)
			}
		})
	}
	t.Run("an at that had just passed when the job was created is in it", func(t *testing.T) {
		v := ledgerVersion(1, JobEnabled, "1h", 0)
		v.Definition.Schedules = []schedule.Spec{{At: hour(-0.5).Format(time.RFC3339)}}
		l := Ledger{JobID: 7, CreatedAt: ledgerStart, Versions: []JobVersion{v}, Version: 1, Records: []Run{ledgerRun(-0.5, -0.5, RunSucceeded, "")}}
		entries, _, err := l.Entries(hour(-9), hour(2), hour(0.5), 9)
		if got := tellEntries(entries); err != nil || got != "-0.5 succeeded" {
			t.Errorf("got %s, %v", got, err)
		}
	})
	t.Run("pages of any size make the same whole", func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 4))
		for range 50 {
			l := Ledger{JobID: 7, CreatedAt: ledgerStart, Versions: one, Version: 1}
			at := 1.0
			for range 20 {
				n := float64(rng.IntN(4))
				l.Records = append(l.Records, ledgerRun(at, at+n, RunMissed, ReasonOverload))
				at += n + 1
			}
			l.NextAt = hour(at)
			whole, _, err := l.Entries(hour(0), hour(at+5), hour(at-0.5), 1000)
			if err != nil || len(whole) != int(at)+4 {
				t.Fatalf("got %d of %g, %v", len(whole), at, err)
			}
			var paged []LedgerEntry
			size := 1 + rng.IntN(7)
			for from := hour(0); !from.IsZero(); {
				var part []LedgerEntry
				part, from, err = l.Entries(from, hour(at+5), hour(at-0.5), size)
				if err != nil || len(part) > size {
					t.Fatalf("got %d, %v", len(part), err)
				}
				paged = append(paged, part...)
			}
			if tellEntries(paged) != tellEntries(whole) {
				t.Fatalf("%d a page: got %s\nwant %s", size, tellEntries(paged), tellEntries(whole))
			}
		}
	})
}

func TestWhy(t *testing.T) {
	one := []JobVersion{ledgerVersion(1, JobEnabled, "1h", 0)}
	with := func(records ...Run) Ledger {
		return Ledger{Versions: one, Version: 1, NextAt: hour(9), Records: records}
	}
	long := ledgerRun(1, 0, RunSucceeded, "")
	long.FinishedAt = hour(3.5)
	for _, c := range []struct {
		rule    string
		l       Ledger
		at, now float64
		earlier []Run
		want    string // the answers, and what the last one says
	}{
		{"before the job was created", with(), -2, 5, nil, "job_existed- The job was created at 2026-03-01T00:00:00.000Z, after this instant."},
		{"before the versions that are kept", Ledger{Versions: []JobVersion{ledgerVersion(5, JobEnabled, "1h", 4.5)}, Version: 5, NextAt: hour(9)}, 3, 8.5, nil,
			"job_existed+ recorded- Neither a record of it nor the version that was in force then is kept any more: history is kept for a limited time."},
		{"before the job was created, of which the first versions are not kept", Ledger{Versions: []JobVersion{ledgerVersion(5, JobEnabled, "1h", 4.5)}, Version: 5, NextAt: hour(9)}, -3, 8.5, nil,
			"job_existed- The job was created at 2026-03-01T00:00:00.000Z, after this instant."},
		{"between two instants", with(), 1.5, 5, nil,
			"job_existed+ planned- Its schedules do not have this instant. The one before is 2026-03-01T01:00:00.000Z. The one after is 2026-03-01T02:00:00.000Z."},
		{"to come", with(), 10, 8.5, nil, "job_existed+ planned+ enabled+ due- It is still to come."},
		{"due, and not decided", with(), 9, 9.1, nil, "job_existed+ planned+ enabled+ due+ recorded- It has not been decided yet: it waits to start, or has just started."},
		{"too long ago", with(), 2, 5, nil, "job_existed+ planned+ enabled+ due+ recorded- There is no record of it any more: history is kept for a limited time."},
		{"succeeded", with(ledgerRun(2, 0, RunSucceeded, "")), 2, 5, nil,
			"job_existed+ planned+ enabled+ due+ recorded+ server_up+ in_time+ started+ succeeded+ It succeeded at 2026-03-01T00:00:56.250Z."},
		{"failed", with(ledgerRun(2, 2, RunFailed, ReasonTimeout)), 2, 5, nil,
			"job_existed+ planned+ enabled+ due+ recorded+ server_up+ in_time+ started+ succeeded- It failed at 2026-03-01T02:00:56.250Z (timeout)."},
		{"still running", with(ledgerRun(2, 2, RunRunning, "")), 2, 5, nil,
			"job_existed+ planned+ enabled+ due+ recorded+ server_up+ in_time+ started+ succeeded- It is running."},
		{"waits to start", with(ledgerRun(2, 2, RunQueued, "")), 2, 5, nil, "job_existed+ planned+ enabled+ due+ recorded+ server_up+ started- It waits to start."},
		{"another run was in the way", with(ledgerRun(2, 4, RunSkipped, ReasonOverlap)), 3, 5, []Run{ledgerRun(2.5, 2.6, RunSucceeded, ""), long},
			"job_existed+ planned+ enabled+ due+ recorded+ server_up+ in_time- An earlier run was unfinished, and the rule overlap: skip leaves the instant out. It was run " + long.Key.ID() + "."},
		{"the run in the way is not kept any more", with(ledgerRun(2, 4, RunSkipped, ReasonOverlap)), 4, 5, []Run{long},
			"job_existed+ planned+ enabled+ due+ recorded+ server_up+ in_time- An earlier run was unfinished, and the rule overlap: skip leaves the instant out."},
		{"nobody was there", with(ledgerRun(2, 4, RunMissed, ReasonServerDown)), 3, 5, nil,
			"job_existed+ planned+ enabled+ due+ recorded+ server_up- Nobody was there to fire it. What to make up for was decided at 2026-03-01T04:00:56.250Z, by the rule catchup: latest."},
		{"the server was behind", with(ledgerRun(2, 4, RunMissed, ReasonOverload)), 3, 5, nil,
			"job_existed+ planned+ enabled+ due+ recorded+ server_up+ in_time- The server was behind, and when its turn came the rule catchup: latest left it out."},
		{"cancelled before it started", with(ledgerRun(2, 2, RunCancelled, ReasonJobDeleted)), 2, 5, nil,
			"job_existed+ planned+ enabled+ due+ recorded+ server_up+ started- It was cancelled before it started (job_deleted)."},
		{"paused then", with(ledgerRun(2, 4, RunSkipped, ReasonPaused)), 3, 5, nil, "job_existed+ planned+ enabled- The job was paused, and nothing made up for it."},
		{"paused now", Ledger{Versions: []JobVersion{one[0], ledgerVersion(2, JobPaused, "1h", 1.5)}, Version: 2}, 3, 5, nil,
			"job_existed+ planned+ enabled- The job is paused."},
		{"completed then", Ledger{Versions: []JobVersion{one[0], ledgerVersion(2, JobCompleted, "1h", 1.5)}, Version: 2}, 3, 5, nil,
			"job_existed+ planned+ enabled- The job was completed: nothing was left to come."},
	} {
		t.Run(c.rule, func(t *testing.T) {
			c.l.JobID, c.l.CreatedAt = 7, ledgerStart
			entry, steps, err := c.l.Why(hour(c.at), hour(c.now), c.earlier)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range steps {
				got = append(got, s.Question+map[bool]string{true: "+", false: "-"}[s.Yes])
			}
			if text := strings.Join(got, " ") + " " + steps[len(steps)-1].Message; text != c.want {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
			if planned := !strings.Contains(c.want, "planned-") && !strings.Contains(c.want, "existed-") && !strings.Contains(c.want, "completed") && !strings.Contains(c.want, "Neither"); planned != entry.At.Equal(hour(c.at)) {
				t.Errorf("got the entry %+v", entry)
			}
		})
	}
	t.Run("every reason of a record that did not start is explained", func(t *testing.T) {
		for _, reason := range Reasons {
			l := with(ledgerRun(2, 2, RunMissed, reason))
			l.JobID, l.CreatedAt = 7, ledgerStart
			_, steps, err := l.Why(hour(2), hour(5), nil)
			if err != nil || steps[len(steps)-1].Yes {
				t.Errorf("%s: %+v, %v", reason, steps, err)
			}
		}
	})
}
