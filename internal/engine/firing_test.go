package engine

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store/storetest"
)

// A firingRow is a line of testdata/firing.txt.
type firingRow struct {
	rule, plan, policy       string
	schedules                []string
	cursor, now, since       time.Duration
	running, queued, started int
	asked                    time.Duration // when somebody asked for one more, that waits; 0: none
	barred                   bool
	usedUp                   bool
	jumpFrom, jumpTo, lost   time.Duration // lost is what the jump left out
	want                     string
}

// Each firing rule that the pure function is held to holds for an engine over
// its store: what is due waits for the only slot until now, and what has
// become of every instant is read from the store then.
func TestFiringRules(t *testing.T) {
	text, err := os.ReadFile("../../testdata/firing.txt")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimRight(line, "\n"); line == "" || line[0] == '#' {
			continue
		}
		r := readRow(t, line)
		if r.cursor == 0 && !strings.Contains(line, "| 00:00 |") || r.cursor%time.Minute != 0 || r.plan != "every" && r.cursor != 12*time.Hour {
			continue // no store has such a cursor
		}
		rows++
		scenario(t, r.rule, func(t *testing.T, w *world) { r.run(t, w) })
	}
	if rows < 115 {
		t.Errorf("only %d rows were looked at", rows)
	}
}

// hour reads "12:00", "12:00:05" or "12:00:05.5".
func hour(t *testing.T, s string) time.Duration {
	t.Helper()
	if s == "" {
		return 0
	}
	if strings.Count(s, ":") == 1 {
		s += ":00"
	}
	at, err := time.Parse("15:04:05.999999", s)
	if err != nil {
		t.Fatal(err)
	}
	return at.Sub(at.Truncate(24 * time.Hour))
}

func readRow(t *testing.T, line string) firingRow {
	t.Helper()
	c := append(strings.Split(line, " |"), "", "", "")
	for i := range c {
		c[i] = strings.TrimSpace(c[i])
	}
	r := firingRow{rule: c[0], plan: c[1], policy: c[2], cursor: hour(t, c[3]), now: hour(t, c[4]), since: hour(t, "10:00"), want: c[6]}
	switch r.plan {
	case "once":
		r.schedules = []string{"at 2000-01-01T12:00:00Z"}
	case "few":
		r.schedules = []string{"at 2000-01-01T12:00:00Z", "at 2000-01-01T12:01:00Z", "at 2000-01-01T12:02:00Z"}
	default:
		r.schedules = []string{"* * * * *"}
	}
	for word := range strings.FieldsSeq(c[5]) {
		name, value, _ := strings.Cut(word, "=")
		n, _ := strconv.Atoi(value)
		switch name {
		case "running":
			r.running = max(n, 1)
		case "queued":
			r.queued = max(n, 1)
		case "asked":
			r.asked = hour(t, value)
		case "started":
			r.started = n
		case "barred":
			r.barred = true
		case "usedup":
			r.usedUp = true
		case "since":
			r.since = hour(t, value)
		case "jump":
			from, to, _ := strings.Cut(value, "-")
			r.jumpFrom, r.jumpTo = hour(t, from), hour(t, to)
		}
	}
	if r.jumpTo < r.since {
		r.jumpFrom, r.jumpTo = 0, 0
	}
	r.lost = r.jumpTo - r.jumpFrom
	return r
}

// define reads a policy: "queue_one all window=5m max=2".
func (r *firingRow) define(d *jadwal.Definition) {
	d.Catchup, d.MaxConcurrent = jadwal.CatchupLatest, 1
	for word := range strings.FieldsSeq(r.policy) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "allow3":
			d.Overlap, d.MaxConcurrent = jadwal.OverlapAllow, 3
		case "none", "latest", "all":
			d.Catchup = jadwal.Catchup(name)
		case "window":
			d.CatchupWindow = new(jadwal.Duration)
			if err := d.CatchupWindow.UnmarshalText([]byte(value)); err != nil {
				panic(err)
			}
		case "jitter":
			if err := d.Jitter.UnmarshalText([]byte(value)); err != nil {
				panic(err)
			}
		case "max":
			d.MaxRuns, _ = strconv.Atoi(value)
		default:
			d.Overlap = jadwal.Overlap(name)
		}
	}
}

// open has the job begin with unfinished runs: of the instants before the
// cursor, or, when its plan has none, some that somebody asked for.
func (r *firingRow) open(t *testing.T, w *world) jadwal.Job {
	t.Helper()
	def := definitionOf("job", r.schedules...)
	def.Timeout = jadwal.Duration(24 * time.Hour)
	r.define(&def)
	n := r.running + r.queued
	created := midnight.Add(r.cursor - time.Duration(n)*time.Minute - 30*time.Second)
	job, err := w.create(def, created)
	if err != nil {
		t.Fatal(err)
	}
	o := jadwal.Outcome{JobID: job.ID, Version: 1, At: job.NextAt.UnixMicro(), Next: midnight.Add(r.cursor).UnixMicro(), Started: r.started}
	for i := range n {
		due := midnight.Add(r.cursor - time.Duration(n-i)*time.Minute)
		run := jadwal.OpenRun{Key: jadwal.RunKey{DueAt: due.UnixMicro(), JobID: job.ID}, Version: 1, State: jadwal.RunQueued, Trigger: jadwal.TriggerSchedule, ReadyAt: due.Add(48 * time.Hour)}
		if r.plan != "every" {
			run.Key.N, run.Trigger = 1, jadwal.TriggerManual
		}
		if i < r.running {
			run.State, run.Attempt, run.StartedAt, run.ReadyAt = jadwal.RunRunning, 1, due, due
		}
		o.Opens = append(o.Opens, run)
	}
	if due := midnight.Add(r.asked); r.asked != 0 {
		run := jadwal.OpenRun{Key: jadwal.RunKey{DueAt: due.UnixMicro(), JobID: job.ID, N: 1}, Version: 1, State: jadwal.RunQueued, Trigger: jadwal.TriggerManual, ReadyAt: due}
		if r.running == 0 {
			run.ReadyAt = due.Add(48 * time.Hour)
		}
		o.Opens = append(o.Opens, run)
	}
	if w.url != "" {
		if err := storetest.Own(w.st); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := w.st.Commit(context.Background(), created, []*jadwal.Outcome{&o}); err != nil || v[0] != jadwal.Recorded {
		t.Fatal(v, err)
	}
	return job
}

func (r *firingRow) run(t *testing.T, w *world) {
	from := max(r.since, min(r.cursor, r.now)-20*time.Second)
	if r.jumpTo > 0 {
		from = min(from, r.jumpFrom-10*time.Second)
	}
	sleep := func(to time.Duration) { time.Sleep(time.Until(midnight.Add(to))); synctest.Wait() }
	now := r.now - r.lost // on the clock that does not jump
	w.drain, w.slots = time.Second, r.running+1
	w.sink.takes = func(d delivery) time.Duration {
		if d.job == "blocker" {
			return now - since()
		}
		return 24 * time.Hour
	}
	job := r.open(t, w)
	// Nobody is there until then: not even a store, which looks at its files and
	// for what the operator's commands do each second.
	if err := w.st.Close(); err != nil {
		t.Fatal(err)
	}
	sleep(from)
	w.open()
	if r.now > r.cursor {
		w.ask(w.with("blocker", "at 2001-01-01T00:00:00Z", func(d *jadwal.Definition) { d.Timeout = jadwal.Duration(24 * time.Hour) }).ID)
	}
	if r.usedUp {
		w.made = func(e *Engine) {
			e.fires = jadwal.NewMeter[int64](jadwal.Quota{Most: 1, Window: 24 * time.Hour})
			e.fires.Count(w.owner.ID, 1, time.Now())
		}
	}
	w.run()
	synctest.Wait()
	w.fault.on(func(f *faults) { f.barred, f.normal = r.barred, r.usedUp })
	if r.jumpTo > 0 {
		sleep(r.jumpFrom)
		w.job("before", "0 0 1 1 *") // the engine reads its clock
		synctest.Wait()
		w.set(r.lost)
		w.job("after", "0 0 1 1 *")
	}
	sleep(now)
	got := map[time.Duration]string{}
	want, through := r.wanted()
	look := func() bool {
		for _, run := range w.runs(job.ID) {
			if run.Key.N != 0 {
				continue
			}
			at := time.UnixMicro(run.Key.DueAt).Sub(midnight)
			last := at
			if !run.ThroughAt.IsZero() {
				last = run.ThroughAt.Sub(midnight)
			}
			for ; at <= last; at += time.Minute {
				got[at] = strings.TrimSpace(string(run.State) + " " + string(run.Reason))
			}
		}
		for at := r.cursor; len(want) > 0 && at <= through; at += time.Minute {
			if got[at] == "" {
				return false
			}
		}
		return true
	}
	for range 90 { // what runs for less than a second is not stored, nor what is skipped meanwhile
		if time.Sleep(2 * linger); look() {
			break
		}
		time.Sleep(time.Second)
	}
	for at := r.cursor; len(want) == 0 && at <= r.now || at <= through; at += time.Minute {
		is := got[at]
		if want[at] == "queued" && is == "running" {
			is = "queued" // it was the first of the queue
		}
		if is != want[at] {
			t.Errorf("%s is %q, and must be %q", offset(at), got[at], want[at])
		}
	}
	if turn := strings.HasPrefix(r.want, "replace") && !strings.Contains(r.want, "start"); r.asked != 0 && r.running > 0 {
		asked := jadwal.RunKey{DueAt: midnight.Add(r.asked).UnixMicro(), JobID: job.ID, N: 1}.ID()
		if sent := slices.ContainsFunc(w.sink.deliveries(), func(d delivery) bool { return d.run == asked }); sent != turn {
			t.Errorf("what somebody asked for has started: %v", sent)
		}
	}
	if strings.HasPrefix(r.want, "replace") {
		for i := range r.running + r.queued {
			at := r.cursor - time.Duration(i+1)*time.Minute
			if got[at] != "cancelled replaced" {
				t.Errorf("%s is %q, and must be replaced", offset(at), got[at])
			}
		}
	}
	if start, ok := strings.CutPrefix(r.want[strings.LastIndex(r.want, ",")+1:], "start "); ok || strings.HasPrefix(start, " start ") {
		for _, run := range w.runs(job.ID) {
			if at := time.UnixMicro(run.Key.DueAt).Sub(midnight); at == through && run.Key.N == 0 {
				if late := run.StartedAt.Sub(midnight.Add(r.now)); late < 0 || late > 0 && r.lost == 0 || late > 2*time.Second {
					t.Errorf("it started %s after %s", late, offset(r.now))
				}
			}
		}
	}
	w.quit()
	w.set(0)
	time.Sleep(r.lost) // until what is recorded is due
}

// wanted reads what becomes of instants: "12:00-12:02 missed overload, start
// 12:03". through is the last of them.
func (r *firingRow) wanted() (want map[time.Duration]string, through time.Duration) {
	want = map[time.Duration]string{}
	put := func(from, to, outcome string) {
		t := &testing.T{}
		for at := hour(t, from); at <= hour(t, to); at += time.Minute {
			want[at] = outcome
			through = max(through, at)
		}
	}
	for part := range strings.SplitSeq(r.want, ", ") {
		words := strings.Fields(part)
		switch {
		case len(words) < 2:
		case words[0] == "start":
			put(words[1], words[1], "running")
		case words[0] == "queue" && len(words) == 5 && words[3] == "to":
			put(words[2], words[4], "queued")
		case words[0] == "queue":
			for _, at := range words[1:] {
				put(at, at, "queued")
			}
		default:
			from, to, ranged := strings.Cut(words[0], "-")
			if !ranged {
				to = from
			}
			put(from, to, words[1]+" "+words[2])
		}
	}
	return want, through
}

// promises names tests of what the page about firing promises, and of each of
// its sections: a reader goes from a rule to where it is shown.
var promises = map[string][]string{
	"Recorded.":                      {"TestAnySequence", "TestFiringRules", "restarts lose and double nothing"},
	"At least once, under one name.": {"TestKillAtEveryCommit", "kills lose nothing and repeat only what was not recorded, under its own run id"},
	"What was answered is stored.":   {"TestAnySequenceOfRaces", "an edit that a killed process did not apply is applied by the next"},
	"Edits win.":                     {"TestEdit", "TestPause", "TestDelete", "TestAnySequenceOfRaces"},
	"One at a time.":                 {"TestOverlap", "TestAnySequence", "all: one at a time, and a kill in between loses none"},
	"On time.":                       {"TestOneJobAMinuteForADay", "every instant starts after its own jitter, late by nothing, under its own name"},

	"What becomes of what is due": {"TestFiringRules", "TestCatchup", "TestClockSteps", "TestMaxRuns", "TestOwnerDisabled"},
	"Retries":                     {"TestRetry", "TestPauseAfterFailures"},
	"Late":                        {"TestFairness", "TestHostLimits", "TestCircuit", "TestFaults"},
	"Several servers":             {"TestShards", "forfeited shards are fired again by the next owner, and recorded once", "nothing starts after the moment until which the engine is trusted"},
	"Doubled":                     {"a run that a kill interrupts is made again at once, as the same attempt of the same run"},
}

func TestEveryPromiseHasItsTests(t *testing.T) {
	page, err := os.ReadFile("../../docs/explanation/firing.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	source := ""
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source += string(text)
	}
	elsewhere := []string{"What is promised", "The states of a run", "Reasons", "Success"} // the page's own test, and the target's
	found := 0
	for _, m := range regexp.MustCompile(`(?m)^(?:\d+\. \*\*(.+?)\*\*|## (.+)$)`).FindAllStringSubmatch(string(page), -1) {
		rule := m[1] + m[2]
		if slices.Contains(elsewhere, rule) {
			continue
		}
		if found++; len(promises[rule]) == 0 {
			t.Errorf("no test is named for %q", rule)
		}
		for _, name := range promises[rule] {
			if !strings.Contains(source, "func "+name+"(") && !strings.Contains(source, "scenario(t, "+strconv.Quote(name)) {
				t.Errorf("%s: there is no test %q", rule, name)
			}
		}
	}
	if found != len(promises) {
		t.Errorf("%d rules are on the page, tests are named for %d", found, len(promises))
	}
}
