package schedule

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func compile(t testing.TB, cfg Config) *Plan {
	t.Helper()
	p, err := Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func texts(list []time.Time) string {
	var all []string
	for _, at := range list {
		all = append(all, at.Format("2006-01-02T15:04:05.999Z07:00"))
	}
	return strings.Join(all, " ")
}

func TestEvery(t *testing.T) {
	anchor := mustTime(t, "2027-03-14T00:00:00.250Z")
	p := compile(t, Config{Specs: []Spec{{Every: "6h"}}, Anchor: anchor, Zone: mustZone(t, "America/New_York")})
	for _, tc := range []struct{ rule, after, next, prev string }{
		{"before the anchor comes the anchor", "2020-01-01T00:00:00Z", "2027-03-14T00:00:00.25Z", ""},
		{"at the anchor comes the next", "2027-03-14T00:00:00.250Z", "2027-03-14T06:00:00.25Z", ""},
		{"a nanosecond before an instant", "2027-03-14T06:00:00.249999999Z", "2027-03-14T06:00:00.25Z", "2027-03-14T00:00:00.25Z"},
		{"a nanosecond after an instant", "2027-03-14T06:00:00.250000001Z", "2027-03-14T12:00:00.25Z", "2027-03-14T06:00:00.25Z"},
		{"the moved clock does not matter", "2027-03-14T11:00:00Z", "2027-03-14T12:00:00.25Z", "2027-03-14T06:00:00.25Z"},
		{"years later it is still in step", "2037-03-14T00:00:00Z", "2037-03-14T00:00:00.25Z", "2037-03-13T18:00:00.25Z"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			at := mustTime(t, tc.after)
			if next, ok := p.Next(at); !ok || texts([]time.Time{next}) != tc.next {
				t.Errorf("next is %s, want %s", next, tc.next)
			}
			prev, ok := p.Prev(at)
			if ok != (tc.prev != "") || ok && texts([]time.Time{prev}) != tc.prev {
				t.Errorf("prev is %s (%t), want %s", prev, ok, tc.prev)
			}
		})
	}
}

func TestEveryCountsFromTheStartWithoutAnAnchor(t *testing.T) {
	p := compile(t, Config{Specs: []Spec{{Every: "7s"}}, StartAt: mustTime(t, "2027-01-01T00:00:03Z")})
	if got := texts(p.Between(time.Time{}, mustTime(t, "2027-01-01T00:00:17Z"), 10)); got != "2027-01-01T00:00:03Z 2027-01-01T00:00:10Z 2027-01-01T00:00:17Z" {
		t.Error(got)
	}
	p = compile(t, Config{Specs: []Spec{{Every: "7s"}}})
	if next, _ := p.Next(time.Unix(0, 0)); !next.Equal(time.Unix(7, 0)) {
		t.Error(next)
	}
}

func TestAt(t *testing.T) {
	for _, tc := range []struct {
		rule, at, zone string
		dst            DST
		want           string
	}{
		{"an instant", "2026-12-31T23:00:00Z", "Asia/Jakarta", DST{}, "2026-12-31T23:00:00Z"},
		{"an instant with an offset and milliseconds", "2026-12-31T23:00:00.125+07:00", "UTC", DST{}, "2026-12-31T16:00:00.125Z"},
		{"more digits are fine when they are zeros", "2026-12-31T23:00:00.125000Z", "UTC", DST{}, "2026-12-31T23:00:00.125Z"},
		{"a local time", "2026-12-31T23:00:00", "Asia/Jakarta", DST{}, "2026-12-31T16:00:00Z"},
		{"a local time with a space and no seconds", "2026-12-31 23:00", "Asia/Jakarta", DST{}, "2026-12-31T16:00:00Z"},
		{"small letters", "2026-12-31t23:00:00z", "UTC", DST{}, "2026-12-31T23:00:00Z"},
		{"in a gap: right after it", "2027-03-14T02:30:00", "America/New_York", DST{}, "2027-03-14T07:00:00Z"},
		{"in a gap, shifted", "2027-03-14T02:30:00", "America/New_York", DST{Gap: GapShift}, "2027-03-14T07:30:00Z"},
		{"in a gap, shifted, in Berlin", "2027-03-28T02:30:00", "Europe/Berlin", DST{Gap: GapShift}, "2027-03-28T01:30:00Z"},
		{"in an overlap: the first pass", "2027-11-07T01:30:00", "America/New_York", DST{}, "2027-11-07T05:30:00Z"},
		{"in an overlap, second", "2027-11-07T01:30:00", "America/New_York", DST{Overlap: OverlapSecond}, "2027-11-07T06:30:00Z"},
		{"in an overlap, both", "2027-11-07T01:30:00", "America/New_York", DST{Overlap: OverlapBoth}, "2027-11-07T05:30:00Z 2027-11-07T06:30:00Z"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			p := compile(t, Config{Specs: []Spec{{At: tc.at}}, Zone: mustZone(t, tc.zone), DST: tc.dst})
			if got := texts(p.Between(time.Unix(0, 0), time.Unix(1<<33, 0), 10)); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			first, _ := p.Next(time.Time{})
			last, _ := p.Prev(time.Unix(1<<33, 0))
			if texts([]time.Time{first}) != strings.Fields(tc.want)[0] || !strings.HasSuffix(tc.want, texts([]time.Time{last})) {
				t.Errorf("first %s, last %s", first, last)
			}
			if _, ok := p.Next(last); ok {
				t.Error("something comes after the last")
			}
			if _, ok := p.Prev(first); ok {
				t.Error("something comes before the first")
			}
		})
	}
	t.Run("the offset may be larger than any on Earth", func(t *testing.T) {
		p := compile(t, Config{Specs: []Spec{{At: "2100-01-02T00:00:00"}}, Zone: time.FixedZone("far", 100*3600)})
		if at, _ := p.Next(time.Time{}); !at.Equal(mustTime(t, "2099-12-28T20:00:00Z")) {
			t.Error(at)
		}
	})
	t.Run("a day that does not exist is refused", func(t *testing.T) {
		e := refuse("at", "2011-12-30T12:00:00", mustZone(t, "Pacific/Apia"), DST{})
		if e == nil || e.Code != CodeNeverFires || !strings.Contains(e.Message, "clock skipped it") {
			t.Error(e)
		}
	})
}

func TestSeveralSchedulesAreUnitedWithoutDoubles(t *testing.T) {
	p := compile(t, Config{
		Specs:   []Spec{{Cron: "0 */6 * * *"}, {Cron: "0 12 * * *"}, {Every: "12h"}, {At: "2027-01-01T18:00:00Z"}, {At: "2027-01-01T19:30:00Z"}},
		Anchor:  mustTime(t, "2027-01-01T00:00:00Z"),
		StartAt: mustTime(t, "2027-01-01T06:00:00Z"),
		EndAt:   mustTime(t, "2027-01-02T06:00:00Z"),
	})
	want := "2027-01-01T06:00:00Z 2027-01-01T12:00:00Z 2027-01-01T18:00:00Z 2027-01-01T19:30:00Z 2027-01-02T00:00:00Z 2027-01-02T06:00:00Z"
	from, to := mustTime(t, "2026-01-01T00:00:00Z"), mustTime(t, "2028-01-01T00:00:00Z")
	got := p.Between(from, to, 100)
	if texts(got) != want {
		t.Errorf("got %s\nwant %s", texts(got), want)
	}
	if n := p.Count(from, to, 100); n != 6 {
		t.Errorf("counted %d", n)
	}
	if n := p.Count(from, to, 4); n != 4 || len(p.Between(from, to, 4)) != 4 {
		t.Errorf("the limit does not hold: %d", n)
	}
	var back []time.Time
	for at, ok := p.Prev(to); ok; at, ok = p.Prev(at) {
		back = append(back, at)
	}
	slices.Reverse(back)
	if texts(back) != want {
		t.Errorf("backwards %s", texts(back))
	}
	if got := texts(p.Between(got[1], got[3], 100)); got != "2027-01-01T18:00:00Z 2027-01-01T19:30:00Z" {
		t.Errorf("from is left out, to is included: got %s", got)
	}
	for _, at := range got {
		if at.Location() != time.UTC {
			t.Errorf("%s is not in UTC", at)
		}
	}
}

func TestBoundsAreIncludedToTheMillisecond(t *testing.T) {
	spec := []Spec{{Every: "1s"}}
	at := mustTime(t, "2027-01-01T00:00:00Z")
	for _, tc := range []struct {
		rule       string
		start, end time.Time
		want       string
	}{
		{"exactly on the instants", at, at.Add(time.Second), "2027-01-01T00:00:00Z 2027-01-01T00:00:01Z"},
		{"a nanosecond after the start", at.Add(1), at.Add(time.Second), "2027-01-01T00:00:01Z"},
		{"a nanosecond before the end", at, at.Add(time.Second - 1), "2027-01-01T00:00:00Z"},
		{"nothing between", at.Add(1), at.Add(2), ""},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			p, err := Compile(Config{Specs: spec, Anchor: at, StartAt: tc.start, EndAt: tc.end})
			if tc.want == "" {
				if e := asError(err); err == nil || e.Field != "end_at" {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := texts(p.Between(time.Time{}, at.Add(time.Hour), 10)); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestAnEmptyPlanHasNothing(t *testing.T) {
	p := compile(t, Config{})
	if _, ok := p.Next(time.Time{}); ok {
		t.Error("Next found something")
	}
	if _, ok := p.Prev(time.Now()); ok {
		t.Error("Prev found something")
	}
	if p.Describe(English) != "Only by hand" || len(p.Warnings()) != 0 || p.Occurrences(time.Time{}, 3) != nil {
		t.Error("an empty plan says something")
	}
}

func TestTheEdgesOfTheCalendar(t *testing.T) {
	for _, zone := range []string{"UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Kiritimati"} {
		for _, expr := range []string{"* * * * * *", "30 2 * * *", "0 0 29 2 *", "@yearly"} {
			p := compile(t, Config{Specs: []Spec{{Cron: expr}, {Every: "1s"}}, Zone: mustZone(t, zone)})
			q := compile(t, Config{Specs: []Spec{{Cron: expr}}, Zone: mustZone(t, zone)})
			for _, at := range []time.Time{time.Unix(math.MaxInt64>>1, 0), time.Unix(math.MinInt64>>1, 0), {}, time.Unix(minUnix, 0), time.Unix(maxUnix, 999e6), time.Unix(maxUnix+1, 0), time.Unix(minUnix-1, 0)} {
				checkAround(t, p, at)
				checkAround(t, q, at)
			}
			if at, ok := q.Next(time.Unix(math.MinInt64>>1, 0)); !ok || at.Year() > 5 {
				t.Errorf("%s %q: the first instant is %s (%t)", zone, expr, at, ok)
			}
			if at, ok := q.Prev(time.Unix(1<<40, 0)); !ok || at.Year() < 9995 {
				t.Errorf("%s %q: the last instant is %s (%t)", zone, expr, at, ok)
			}
		}
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	p := compile(t, Config{Specs: []Spec{{Cron: "30 2 * * *"}, {Cron: "*/5 9-17 L * fri#2"}, {Every: "90s"}, {At: "2027-01-01T00:00:00Z"}}, Zone: mustZone(t, "America/New_York"), DST: DST{Gap: GapShift}})
	at := mustTime(t, "2027-03-01T00:00:00Z")
	if n := testing.AllocsPerRun(100, func() {
		next, _ := p.Next(at)
		p.Prev(next)
		p.Count(at, at.AddDate(0, 1, 0), 10)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// ruleSource is a Source of another package: every full minute.
type ruleSource struct{}

func (ruleSource) Next(after time.Time) (time.Time, bool) {
	return after.Truncate(time.Minute).Add(time.Minute), true
}
func (ruleSource) Prev(before time.Time) (time.Time, bool) {
	return before.Add(-1).Truncate(time.Minute), true
}
func (ruleSource) Describe(lang string) string { return "rule in " + lang }

func TestRRuleComesFromTheConfig(t *testing.T) {
	zone := mustZone(t, "Asia/Jakarta")
	anchor := mustTime(t, "2027-01-01T00:00:00Z")
	cfg := Config{Specs: []Spec{{RRule: "FREQ=MINUTELY"}}, Zone: zone, Anchor: anchor, DST: DST{Gap: GapShift}}
	cfg.RRule = func(text string, z *time.Location, a time.Time, dst DST) (Source, error) {
		if text != "FREQ=MINUTELY" || z != zone || !a.Equal(anchor) || dst.Gap != GapShift {
			return nil, errors.New("the arguments are lost")
		}
		return ruleSource{}, nil
	}
	p := compile(t, cfg)
	checkAround(t, p, anchor)
	checkAround(t, p, anchor.Add(1))
	if next, ok := p.Next(anchor); !ok || !next.Equal(anchor.Add(time.Minute)) {
		t.Error(next)
	}
	if got := p.Describe(Indonesian); got != "rule in id" {
		t.Error(got)
	}
	cfg.Zone = nil
	cfg.Specs[0].RRule = "FREQ=MINUTELY;X"
	_, err := Compile(cfg)
	if e := asError(err); e.Field != "schedules[0].rrule" || e.Code != CodeInvalid || e.Message != "the arguments are lost" {
		t.Errorf("%+v", e)
	}
}

func TestARuleThatEndsAddsNothing(t *testing.T) {
	cfg := Config{Specs: []Spec{{RRule: "X"}, {At: "2027-01-01T00:00:00Z"}}}
	cfg.RRule = func(string, *time.Location, time.Time, DST) (Source, error) { return plainSource{}, nil }
	p := compile(t, cfg)
	if got := texts(p.Between(time.Time{}, time.Unix(1<<33, 0), 9)); got != "2027-01-01T00:00:00Z" {
		t.Error(got)
	}
	if at, ok := p.Prev(time.Unix(1<<33, 0)); !ok || at.Year() != 2027 {
		t.Error(at)
	}
}

func TestAGapOfMoreThanADayLosesOnlyTheDaysThatExist(t *testing.T) {
	// From 18:00 of one day to 06:00 of the next but one: no zone has done it.
	day := dayOf(2027, 6, 1) * secondsPerDay
	s := span{start: day + 18*3600, end: far, off: 36 * 3600, after: 36 * 3600}
	for expr, want := range map[string][]int64{
		"0 20 * * *":      {day + 20*3600},
		"0 3 * * *":       {day + 2*secondsPerDay + 3*3600},
		"0 12 * * *":      nil,
		"0 3,12,20 * * *": {day + 20*3600, day + 2*secondsPerDay + 3*3600},
	} {
		c := newCronSource(mustCron(t, expr), nil, DST{})
		var got, back []int64
		for w, ok := c.nextLost(&s, 0); ok; w, ok = c.nextLost(&s, w+1) {
			got = append(got, w)
		}
		for w, ok := c.prevLost(&s, far); ok; w, ok = c.prevLost(&s, w-1) {
			back = append(back, w)
		}
		slices.Reverse(back)
		if !slices.Equal(got, want) || !slices.Equal(back, want) {
			t.Errorf("%q: got %v, back %v, want %v", expr, got, back, want)
		}
	}
}

func TestCompileNamesEveryWrongPart(t *testing.T) {
	_, err := Compile(Config{
		Specs: []Spec{{Cron: "75 * * * *"}, {Every: "1h"}, {Every: "1x"}, {}, {Cron: "* * * * *", At: "2027-01-01T00:00:00Z"}},
		DST:   DST{Gap: "later", Overlap: "twice"},
	})
	errs, ok := errors.AsType[Errors](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	var got []string
	for _, e := range errs {
		got = append(got, e.Field+" "+e.Code)
	}
	want := "dst.gap unknown_option, dst.overlap unknown_option, schedules[0].cron out_of_range, schedules[2].every invalid, schedules[3] required, schedules[4] conflict"
	if strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
	if e, ok := errors.AsType[*Error](err); !ok || e.Field != "dst.gap" {
		t.Error("the list does not unwrap to its members")
	}
	if !strings.Contains(err.Error(), "schedules[0].cron: minute must be 0-59, got 75; ") {
		t.Error(err)
	}
	_, err = Compile(Config{Specs: []Spec{{Cron: "75 * * * *"}}})
	if e, ok := err.(*Error); !ok || *e != (Error{"schedules[0].cron", "out_of_range", "minute must be 0-59, got 75"}) {
		t.Errorf("got %v", err)
	}
	_, err = Compile(Config{Specs: make([]Spec, 17)})
	if e, ok := err.(*Error); !ok || e.Field != "schedules" || e.Code != CodeTooMany {
		t.Errorf("got %v", err)
	}
}

func TestJitter(t *testing.T) {
	at := mustTime(t, "2027-01-01T00:00:00Z")
	t.Run("is the same for the same job and instant, and spread over the whole", func(t *testing.T) {
		var buckets [10]int
		for job := range int64(10_000) {
			d := Jitter(time.Minute, job, at, time.Time{})
			if d != Jitter(time.Minute, job, at, at.Add(time.Hour)) || d < 0 || d > time.Minute || d%time.Millisecond != 0 {
				t.Fatalf("job %d: %s", job, d)
			}
			buckets[min(9, d/(6*time.Second))]++
		}
		for i, n := range buckets {
			if n < 850 || n > 1150 {
				t.Errorf("tenth %d holds %d of 10,000", i, n)
			}
		}
	})
	t.Run("stays below the distance to the next instant", func(t *testing.T) {
		for job := range int64(1000) {
			if d := Jitter(time.Hour, job, at, at.Add(2*time.Millisecond)); d >= 2*time.Millisecond {
				t.Fatal(d)
			}
		}
	})
	t.Run("is zero where there is no room", func(t *testing.T) {
		for _, d := range []time.Duration{Jitter(0, 1, at, time.Time{}), Jitter(-time.Second, 1, at, time.Time{}), Jitter(time.Hour, 1, at, at.Add(time.Millisecond)), Jitter(time.Microsecond, 1, at, time.Time{})} {
			if d != 0 {
				t.Error(d)
			}
		}
	})
	t.Run("differs from instant to instant", func(t *testing.T) {
		seen := map[time.Duration]bool{}
		for i := range 100 {
			seen[Jitter(time.Hour, 7, at.Add(time.Duration(i)*time.Minute), time.Time{})] = true
		}
		if len(seen) < 95 {
			t.Errorf("%d different ones of 100", len(seen))
		}
	})
}

func TestNotes(t *testing.T) {
	for _, tc := range []struct {
		rule, cron, zone string
		dst              DST
		after            string
		want             string
	}{
		{"a lost time is moved", "30 2 * * *", "America/New_York", DST{}, "2027-03-13T00:00:00Z", "13T02:30 , 14T03:00 moved, 15T02:30 "},
		{"a lost time is shifted", "30 2 * * *", "America/New_York", DST{Gap: GapShift}, "2027-03-13T00:00:00Z", "13T02:30 , 14T03:30 moved, 15T02:30 "},
		{"a skipped time is noted on the next", "30 2 * * *", "America/New_York", DST{Gap: GapSkip}, "2027-03-13T00:00:00Z", "13T02:30 , 15T02:30 dropped, 16T02:30 "},
		{"nothing is lost at other times", "30 4 * * *", "America/New_York", DST{}, "2027-03-13T00:00:00Z", "13T04:30 , 14T04:30 , 15T04:30 "},
		{"the first of two passes", "30 1 * * *", "America/New_York", DST{}, "2027-11-06T00:00:00Z", "06T01:30 , 07T01:30 first_pass, 08T01:30 "},
		{"the second of two passes", "30 1 * * *", "America/New_York", DST{Overlap: OverlapSecond}, "2027-11-06T00:00:00Z", "06T01:30 , 07T01:30 second_pass, 08T01:30 "},
		{"both passes", "0 * * * *", "America/New_York", DST{}, "2027-11-07T04:00:00Z", "07T01:00 first_pass, 07T01:00 second_pass, 07T02:00 "},
		{"every hour loses nothing in a gap", "30 * * * *", "America/New_York", DST{}, "2027-03-14T06:00:00Z", "14T01:30 , 14T03:30 , 14T04:30 "},
		{"every second hour may lose one", "0 */2 * * *", "America/New_York", DST{}, "2027-03-14T04:59:00Z", "14T00:00 , 14T04:00 dropped, 14T06:00 "},
		{"the missing day of Apia", "0 9 * * *", "Pacific/Apia", DST{}, "2011-12-29T12:00:00Z", "29T09:00 , 31T09:00 dropped, 01T09:00 "},
		{"a missing Friday", "0 9 * * fri", "Pacific/Apia", DST{}, "2011-12-22T12:00:00Z", "23T09:00 , 06T09:00 dropped, 13T09:00 "},
		{"no other day is missed", "0 9 * * mon", "Pacific/Apia", DST{}, "2011-12-22T12:00:00Z", "26T09:00 , 02T09:00 , 09T09:00 "},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			p := compile(t, Config{Specs: []Spec{{Cron: tc.cron}}, Zone: mustZone(t, tc.zone), DST: tc.dst})
			var got []string
			for _, o := range p.Occurrences(mustTime(t, tc.after), 3) {
				if !o.At.Equal(o.Local) || o.Local.Location().String() != tc.zone {
					t.Errorf("%s is not %s", o.Local, o.At)
				}
				got = append(got, fmt.Sprintf("%s %s", o.Local.Format("02T15:04"), o.Note))
				if (o.Note == "") != (o.Note.Text(English) == "") || (o.Note == "") != (o.Note.Text(Indonesian) == "") {
					t.Errorf("the note %q has the text %q", o.Note, o.Note.Text(English))
				}
			}
			if strings.Join(got, ", ") != tc.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), tc.want)
			}
		})
	}
}

func TestNotesOfOneInstant(t *testing.T) {
	for at, want := range map[string]Note{"2027-03-14T02:30:00": NoteMoved, "2027-03-14T03:00:00": "", "2027-11-07T01:30:00": NoteFirstPass} {
		p := compile(t, Config{Specs: []Spec{{At: at}}, Zone: mustZone(t, "America/New_York")})
		if o := p.Occurrences(time.Unix(0, 0), 2); len(o) != 1 || o[0].Note != want {
			t.Errorf("%s: %+v", at, o)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, tc := range []struct {
		spec Spec
		want string
	}{
		{Spec{Cron: "30 2 * * *"}, ""},
		{Spec{Cron: "* * * * *"}, ""},
		{Spec{Cron: "*/15 9-17 * * 1-5"}, ""},
		{Spec{Cron: "* 9-17 * * *"}, ""},
		{Spec{Cron: "*/10 * * * * *"}, "frequent"},
		{Spec{Every: "59s"}, "frequent"},
		{Spec{Every: "1m"}, ""},
		{Spec{Cron: "* 2 * * *"}, "every_minute"},
		{Spec{Cron: "*/7 * * * *"}, "uneven_step"},
		{Spec{Cron: "0 */5 * * *"}, "uneven_step"},
		{Spec{Cron: "*/45 */7 * * *"}, "uneven_step uneven_step"},
		{Spec{Cron: "0,20,40 * * * *"}, ""},
		{Spec{Cron: "0 0 13 * fri"}, "either_day"},
		{Spec{Cron: "0 0 */2 * fri"}, ""},
		{Spec{Cron: "0 0 31 * *"}, "some_months"},
		{Spec{Cron: "0 0 30 * *"}, "some_months"},
		{Spec{Cron: "0 0 29 * *"}, "some_months"},
		{Spec{Cron: "0 0 28 * *"}, ""},
		{Spec{Cron: "0 0 L * *"}, ""},
		{Spec{Cron: "0 0 31 1,3,5 *"}, ""},
		{Spec{Cron: "0 0 29 2 *"}, "leap_years"},
		{Spec{Cron: "0 0 * * fri#5"}, "some_months"},
		{Spec{Cron: "0 0 * * fri#4"}, ""},
		{Spec{Cron: "0 0 31 * fri"}, "either_day"},
		{Spec{At: "2027-01-01T00:00:00Z"}, ""},
	} {
		t.Run(tc.spec.Cron+tc.spec.Every+tc.spec.At, func(t *testing.T) {
			var got []string
			for _, w := range compile(t, Config{Specs: []Spec{tc.spec}}).Warnings() {
				got = append(got, w.Code)
				if w.Message == "" || w.Field != "schedules[0]" {
					t.Errorf("%+v", w)
				}
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("got %q, want %q", strings.Join(got, " "), tc.want)
			}
		})
	}
	t.Run("nothing lies between the bounds", func(t *testing.T) {
		p := compile(t, Config{Specs: []Spec{{Cron: "@yearly"}}, StartAt: mustTime(t, "2027-02-01T00:00:00Z"), EndAt: mustTime(t, "2027-03-01T00:00:00Z")})
		if w := p.Warnings(); len(w) != 1 || w[0].Code != WarnNoOccurrence {
			t.Errorf("%+v", w)
		}
	})
	t.Run("an at has passed", func(t *testing.T) {
		specs := []Spec{{Every: "1h"}, {At: "2027-02-01T00:00:00Z"}, {At: "2027-02-01T00:00:00.001Z"}, {At: "2026-12-31T00:00:00Z"}}
		p := compile(t, Config{Specs: specs, StartAt: mustTime(t, "2027-01-01T00:00:00Z")})
		if w := p.Past(mustTime(t, "2027-02-01T00:00:00Z")); len(w) != 1 || w[0].Code != WarnInPast || w[0].Field != "schedules[1]" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("an at that comes twice has not passed before its second time", func(t *testing.T) {
		p := compile(t, Config{Specs: []Spec{{At: "2027-11-07T01:30:00"}}, Zone: mustZone(t, "America/New_York"), DST: DST{Overlap: OverlapBoth}})
		if w := p.Past(mustTime(t, "2027-11-07T06:29:00Z")); len(w) != 0 {
			t.Errorf("%+v", w)
		}
		if w := p.Past(mustTime(t, "2027-11-07T06:30:00Z")); len(w) != 1 {
			t.Errorf("%+v", w)
		}
	})
}

func TestPlansAreMadeAndSharedByManyGoroutines(t *testing.T) {
	names := ZoneNames()
	at := mustTime(t, "2027-03-13T12:00:00Z")
	shared := compile(t, Config{Specs: []Spec{{Cron: "30 2 * * *"}}, Zone: mustZone(t, "America/New_York")})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 40 {
				loc, err := LoadZone(names[(i*5+j)%len(names)])
				if err != nil {
					t.Error(err)
					return
				}
				p, err := Compile(Config{Specs: []Spec{{Cron: "30 2 * * *"}}, Zone: loc})
				if err != nil {
					t.Error(err)
					return
				}
				if next, ok := p.Next(at); !ok || next.Sub(at) > 48*time.Hour {
					t.Errorf("%s: %s", loc, next)
				}
				if next, _ := shared.Next(at); !next.Equal(mustTime(t, "2027-03-14T07:00:00Z")) {
					t.Error(next)
				}
			}
		})
	}
	wg.Wait()
}

func TestZones(t *testing.T) {
	for _, name := range ZoneNames() {
		loc := mustZone(t, name)
		if loc != mustZone(t, name) {
			t.Errorf("%s is two locations", name)
		}
		if loc.String() != name {
			t.Errorf("%s is called %s", name, loc)
		}
	}
	if v := ZoneVersion(); len(v) != 5 || v[:2] != "20" {
		t.Errorf("the version is %q", v)
	}
	if n := len(ZoneNames()); n < 590 {
		t.Errorf("%d names", n)
	}
}
