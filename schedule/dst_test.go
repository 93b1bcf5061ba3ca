package schedule

import (
	"testing"
	"time"
)

func mustZone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := LoadZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func mustTime(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestDaylightSaving: from the instant `after`, the next ones are `want`.
func TestDaylightSaving(t *testing.T) {
	for _, tc := range []struct {
		rule, cron, zone string
		dst              DST
		after            string
		want             []string
	}{
		{"02:30 does not exist on the spring day: right after the gap", "30 2 * * *", "America/New_York", DST{},
			"2027-03-13T12:00:00-05:00", []string{"2027-03-14T03:00:00-04:00", "2027-03-15T02:30:00-04:00"}},
		{"several lost times collapse into one", "0,15,30,45 2 * * *", "America/New_York", DST{},
			"2027-03-13T12:00:00-05:00", []string{"2027-03-14T03:00:00-04:00", "2027-03-15T02:00:00-04:00"}},
		{"a lost time and a planned one at the same instant are one", "0 2,3 * * *", "Europe/Berlin", DST{},
			"2027-03-27T12:00:00+01:00", []string{"2027-03-28T03:00:00+02:00", "2027-03-29T02:00:00+02:00"}},
		{"gap skip leaves the day out", "30 2 * * *", "Europe/Berlin", DST{Gap: GapSkip},
			"2027-03-27T12:00:00+01:00", []string{"2027-03-29T02:30:00+02:00"}},
		{"gap shift keeps the distance from the gap's start", "10,40 2 * * *", "Europe/Berlin", DST{Gap: GapShift},
			"2027-03-27T12:00:00+01:00", []string{"2027-03-28T03:10:00+02:00", "2027-03-28T03:40:00+02:00", "2027-03-29T02:10:00+02:00"}},
		{"gap shift mixes with times after the gap", "20 2,3 * * *", "Europe/Berlin", DST{Gap: GapShift},
			"2027-03-27T12:00:00+01:00", []string{"2027-03-28T03:20:00+02:00", "2027-03-29T02:20:00+02:00"}},
		{"a star in the hour follows real time: nothing extra in the gap", "30 * * * *", "America/New_York", DST{},
			"2027-03-14T00:45:00-05:00", []string{"2027-03-14T01:30:00-05:00", "2027-03-14T03:30:00-04:00"}},
		{"a step follows real time", "*/30 2 * * *", "America/New_York", DST{},
			"2027-03-13T12:00:00-05:00", []string{"2027-03-15T02:00:00-04:00"}},
		{"a fixed time in the overlap runs on the first pass", "30 1 * * *", "America/New_York", DST{},
			"2027-11-06T12:00:00-04:00", []string{"2027-11-07T01:30:00-04:00", "2027-11-08T01:30:00-05:00"}},
		{"overlap second", "30 1 * * *", "America/New_York", DST{Overlap: OverlapSecond},
			"2027-11-06T12:00:00-04:00", []string{"2027-11-07T01:30:00-05:00", "2027-11-08T01:30:00-05:00"}},
		{"overlap both", "30 1 * * *", "America/New_York", DST{Overlap: OverlapBoth},
			"2027-11-06T12:00:00-04:00", []string{"2027-11-07T01:30:00-04:00", "2027-11-07T01:30:00-05:00", "2027-11-08T01:30:00-05:00"}},
		{"a range is fixed: the first pass only", "0 1-2 * * *", "America/New_York", DST{},
			"2027-11-06T12:00:00-04:00", []string{"2027-11-07T01:00:00-04:00", "2027-11-07T02:00:00-05:00"}},
		{"a star runs on both passes", "0 * * * *", "America/New_York", DST{},
			"2027-11-07T00:30:00-04:00", []string{"2027-11-07T01:00:00-04:00", "2027-11-07T01:00:00-05:00", "2027-11-07T02:00:00-05:00"}},
		{"a star runs on the first pass if told so", "*/30 * * * *", "America/New_York", DST{Overlap: OverlapFirst},
			"2027-11-07T00:45:00-04:00", []string{"2027-11-07T01:00:00-04:00", "2027-11-07T01:30:00-04:00", "2027-11-07T02:00:00-05:00"}},
		{"half an hour of Lord Howe is lost", "15 2 * * *", "Australia/Lord_Howe", DST{},
			"2027-10-02T12:00:00+10:30", []string{"2027-10-03T02:30:00+11:00", "2027-10-04T02:15:00+11:00"}},
		{"half an hour of Lord Howe comes twice", "45 1 * * *", "Australia/Lord_Howe", DST{},
			"2027-04-03T12:00:00+11:00", []string{"2027-04-04T01:45:00+11:00", "2027-04-05T01:45:00+10:30"}},
		{"Dublin's winter time is its negative daylight saving", "30 1 * * *", "Europe/Dublin", DST{},
			"2027-03-27T12:00:00Z", []string{"2027-03-28T02:00:00+01:00", "2027-03-29T01:30:00+01:00"}},
		{"a gap over midnight: the day begins at one", "0 0 * * *", "Africa/Cairo", DST{},
			"2027-04-29T12:00:00+02:00", []string{"2027-04-30T01:00:00+03:00", "2027-05-01T00:00:00+03:00"}},
		{"Apia had no 2011-12-30: its time is left out", "30 2 * * *", "Pacific/Apia", DST{},
			"2011-12-28T12:00:00-10:00", []string{"2011-12-29T02:30:00-10:00", "2011-12-31T02:30:00+14:00"}},
		{"Apia had no 2011-12-30: nothing is shifted", "30 2 * * *", "Pacific/Apia", DST{Gap: GapShift},
			"2011-12-29T12:00:00-10:00", []string{"2011-12-31T02:30:00+14:00"}},
		{"Apia had no Friday that week", "0 9 * * fri", "Pacific/Apia", DST{},
			"2011-12-28T12:00:00-10:00", []string{"2012-01-06T09:00:00+14:00"}},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			p, err := Compile(Config{Specs: []Spec{{Cron: tc.cron}}, Zone: mustZone(t, tc.zone), DST: tc.dst})
			if err != nil {
				t.Fatal(err)
			}
			at := mustTime(t, tc.after)
			for _, want := range tc.want {
				next, ok := p.Next(at)
				if !ok || !next.Equal(mustTime(t, want)) {
					t.Fatalf("after %s comes %s (%t), want %s", at, next.In(p.loc), ok, want)
				}
				if back, ok := p.Prev(next.Add(time.Millisecond)); !ok || !back.Equal(next) {
					t.Fatalf("before %s + 1 ms comes %s", next, back)
				}
				at = next
			}
			for i := len(tc.want) - 2; i >= 0; i-- {
				prev, ok := p.Prev(at)
				if !ok || !prev.Equal(mustTime(t, tc.want[i])) {
					t.Fatalf("before %s comes %s (%t), want %s", at, prev.In(p.loc), ok, tc.want[i])
				}
				at = prev
			}
		})
	}
}
