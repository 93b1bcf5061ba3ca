package rrule

import (
	"strings"
	"testing"
	"time"
)

// TestDaylightSaving has for each row the occurrences from a local midnight on.
func TestDaylightSaving(t *testing.T) {
	for _, c := range []struct {
		name, rule, zone, gap, overlap, from string
		want                                 string // local times with offsets
	}{
		{
			"a time in the gap runs at the first instant after it",
			"FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "America/New_York", "", "", "2026-03-07",
			"2026-03-07T02:30:00-05:00 2026-03-08T03:00:00-04:00 2026-03-09T02:30:00-04:00",
		},
		{
			"and in Berlin as in New York",
			"FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "Europe/Berlin", "", "", "2026-03-28",
			"2026-03-28T02:30:00+01:00 2026-03-29T03:00:00+02:00 2026-03-30T02:30:00+02:00",
		},
		{
			"several lost times collapse into one",
			"FREQ=DAILY;BYHOUR=2;BYMINUTE=10,30,50", "America/New_York", "", "", "2026-03-08",
			"2026-03-08T03:00:00-04:00 2026-03-09T02:10:00-04:00 2026-03-09T02:30:00-04:00",
		},
		{
			"and with a real occurrence at the end of the gap",
			"FREQ=DAILY;BYHOUR=2,3", "America/New_York", "", "", "2026-03-08",
			"2026-03-08T03:00:00-04:00 2026-03-09T02:00:00-04:00 2026-03-09T03:00:00-04:00",
		},
		{
			"gap skip leaves it out",
			"FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "America/New_York", "skip", "", "2026-03-07",
			"2026-03-07T02:30:00-05:00 2026-03-09T02:30:00-04:00",
		},
		{
			"gap shift moves it by the gap's length, as RFC 5545 section 3.3.5 has it",
			"FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "America/New_York", "shift", "", "2026-03-07",
			"2026-03-07T02:30:00-05:00 2026-03-08T03:30:00-04:00 2026-03-09T02:30:00-04:00",
		},
		{
			"gap shift merges in order with what is there",
			"FREQ=DAILY;BYHOUR=2,3;BYMINUTE=15,45", "America/New_York", "shift", "", "2026-03-08",
			"2026-03-08T03:15:00-04:00 2026-03-08T03:45:00-04:00 2026-03-09T02:15:00-04:00",
		},
		{
			"Lord Howe's half hour",
			"FREQ=DAILY;BYHOUR=2;BYMINUTE=15", "Australia/Lord_Howe", "", "", "2026-10-03",
			"2026-10-03T02:15:00+10:30 2026-10-04T02:30:00+11:00 2026-10-05T02:15:00+11:00",
		},
		{
			"Lord Howe's half hour, shifted",
			"FREQ=DAILY;BYHOUR=2;BYMINUTE=15", "Australia/Lord_Howe", "shift", "", "2026-10-03",
			"2026-10-03T02:15:00+10:30 2026-10-04T02:45:00+11:00 2026-10-05T02:15:00+11:00",
		},
		{
			"what is shifted may come after what is there",
			"FREQ=DAILY;BYHOUR=2;BYMINUTE=10,35", "Australia/Lord_Howe", "shift", "", "2026-10-04",
			"2026-10-04T02:35:00+11:00 2026-10-04T02:40:00+11:00 2026-10-05T02:10:00+11:00 2026-10-05T02:35:00+11:00",
		},
		{
			"a gap at midnight",
			"FREQ=DAILY;BYHOUR=0", "America/Sao_Paulo", "", "", "2018-11-03",
			"2018-11-03T00:00:00-03:00 2018-11-04T01:00:00-02:00 2018-11-05T00:00:00-02:00",
		},
		{
			"a day that does not exist is left out, whatever the choice",
			"FREQ=DAILY;BYHOUR=10", "Pacific/Apia", "shift", "", "2011-12-29",
			"2011-12-29T10:00:00-10:00 2011-12-31T10:00:00+14:00",
		},
		{
			"a day that does not exist is not made up for",
			"FREQ=DAILY;BYHOUR=10", "Pacific/Apia", "run_after", "", "2011-12-29",
			"2011-12-29T10:00:00-10:00 2011-12-31T10:00:00+14:00",
		},
		{
			"a fixed time that happens twice runs on the first pass",
			"FREQ=DAILY;BYHOUR=1;BYMINUTE=30", "America/New_York", "", "", "2026-10-31",
			"2026-10-31T01:30:00-04:00 2026-11-01T01:30:00-04:00 2026-11-02T01:30:00-05:00",
		},
		{
			"also in Lord Howe",
			"FREQ=DAILY;BYHOUR=1;BYMINUTE=45", "Australia/Lord_Howe", "", "", "2026-04-04",
			"2026-04-04T01:45:00+11:00 2026-04-05T01:45:00+11:00 2026-04-06T01:45:00+10:30",
		},
		{
			"overlap second",
			"FREQ=DAILY;BYHOUR=1;BYMINUTE=30", "America/New_York", "", "second", "2026-10-31",
			"2026-10-31T01:30:00-04:00 2026-11-01T01:30:00-05:00 2026-11-02T01:30:00-05:00",
		},
		{
			"overlap both",
			"FREQ=DAILY;BYHOUR=1;BYMINUTE=30", "America/New_York", "", "both", "2026-11-01",
			"2026-11-01T01:30:00-04:00 2026-11-01T01:30:00-05:00 2026-11-02T01:30:00-05:00",
		},
		{
			"overlap both, when the next is a year away",
			"FREQ=YEARLY;BYMONTH=11;BYMONTHDAY=1;BYHOUR=1;BYMINUTE=30", "America/New_York", "", "both", "2026-10-31",
			"2026-11-01T01:30:00-04:00 2026-11-01T01:30:00-05:00 2027-11-01T01:30:00-04:00",
		},
		{
			"Dublin, whose winter time is the daylight saving one",
			"FREQ=DAILY;BYHOUR=1;BYMINUTE=30", "Europe/Dublin", "", "", "2026-10-24",
			"2026-10-24T01:30:00+01:00 2026-10-25T01:30:00+01:00 2026-10-26T01:30:00Z",
		},
		{
			"an overlap that brings back the day before (Goose Bay, 00:01 to 23:01)",
			"FREQ=DAILY;BYHOUR=0,23;BYMINUTE=0,30", "America/Goose_Bay", "", "both", "2010-11-06",
			"2010-11-06T00:00:00-03:00 2010-11-06T00:30:00-03:00 2010-11-06T23:00:00-03:00 2010-11-06T23:30:00-03:00 " +
				"2010-11-07T00:00:00-03:00 2010-11-06T23:30:00-04:00 2010-11-07T00:00:00-04:00 2010-11-07T00:30:00-04:00",
		},
		{
			"hourly follows the clock: nothing extra in the gap",
			"FREQ=HOURLY", "America/New_York", "", "", "2026-03-08",
			"2026-03-08T00:00:00-05:00 2026-03-08T01:00:00-05:00 2026-03-08T03:00:00-04:00 2026-03-08T04:00:00-04:00",
		},
		{
			"hourly runs on both passes",
			"FREQ=HOURLY", "America/New_York", "", "", "2026-11-01",
			"2026-11-01T00:00:00-04:00 2026-11-01T01:00:00-04:00 2026-11-01T01:00:00-05:00 2026-11-01T02:00:00-05:00",
		},
		{
			"hourly at minute 15 in Lord Howe has no 02:15 when 02:00 becomes 02:30",
			"FREQ=HOURLY;BYMINUTE=15", "Australia/Lord_Howe", "", "", "2026-10-04",
			"2026-10-04T00:15:00+10:30 2026-10-04T01:15:00+10:30 2026-10-04T03:15:00+11:00",
		},
		{
			"hourly with overlap first",
			"FREQ=HOURLY", "America/New_York", "", "first", "2026-11-01",
			"2026-11-01T00:00:00-04:00 2026-11-01T01:00:00-04:00 2026-11-01T02:00:00-05:00",
		},
		{
			"minutely runs on both passes, in the order of time",
			"FREQ=MINUTELY;INTERVAL=20;BYHOUR=1", "America/New_York", "", "", "2026-11-01",
			"2026-11-01T01:00:00-04:00 2026-11-01T01:20:00-04:00 2026-11-01T01:40:00-04:00 " +
				"2026-11-01T01:00:00-05:00 2026-11-01T01:20:00-05:00 2026-11-01T01:40:00-05:00",
		},
		{
			"three hours are three hours of the wall clock",
			"FREQ=HOURLY;INTERVAL=3", "America/New_York", "", "", "2026-03-07T22:00:00",
			"2026-03-08T00:00:00-05:00 2026-03-08T03:00:00-04:00 2026-03-08T06:00:00-04:00",
		},
		{
			"COUNT does not count what gap skip leaves out",
			"DTSTART:20260306T023000\nRRULE:FREQ=DAILY;COUNT=3", "America/New_York", "skip", "", "2026-03-01",
			"2026-03-06T02:30:00-05:00 2026-03-07T02:30:00-05:00 2026-03-09T02:30:00-04:00 end",
		},
		{
			"COUNT counts both passes",
			"DTSTART:20261031T013000\nRRULE:FREQ=DAILY;COUNT=3", "America/New_York", "", "both", "2026-10-01",
			"2026-10-31T01:30:00-04:00 2026-11-01T01:30:00-04:00 2026-11-01T01:30:00-05:00 end",
		},
		{
			"a local UNTIL includes both passes of its time",
			"DTSTART:20261031T013000\nRRULE:FREQ=DAILY;UNTIL=20261101T013000", "America/New_York", "", "second", "2026-10-01",
			"2026-10-31T01:30:00-04:00 2026-11-01T01:30:00-05:00 end",
		},
		{
			"a local UNTIL in a gap includes what was moved",
			"DTSTART:20260307T023000\nRRULE:FREQ=DAILY;UNTIL=20260308T023000", "America/New_York", "shift", "", "2026-03-01",
			"2026-03-07T02:30:00-05:00 2026-03-08T03:30:00-04:00 end",
		},
		{
			"EXDATE removes what its local time became",
			"DTSTART:20260307T023000\nRRULE:FREQ=DAILY\nEXDATE:20260308T023000", "America/New_York", "", "", "2026-03-01",
			"2026-03-07T02:30:00-05:00 2026-03-09T02:30:00-04:00",
		},
		{
			"EXDATE in UTC removes one of two passes",
			"DTSTART:20261101T000000\nRRULE:FREQ=HOURLY\nEXDATE:20261101T050000Z", "America/New_York", "", "", "2026-11-01",
			"2026-11-01T00:00:00-04:00 2026-11-01T01:00:00-05:00 2026-11-01T02:00:00-05:00",
		},
		{
			"a DTSTART in a gap begins right after it",
			"DTSTART:20260308T023000\nRRULE:FREQ=DAILY", "America/New_York", "", "", "2026-03-01",
			"2026-03-08T03:00:00-04:00 2026-03-09T02:30:00-04:00",
		},
		{
			"a DTSTART in a gap that is left out begins on the next day",
			"DTSTART:20260308T023000\nRRULE:FREQ=DAILY", "America/New_York", "skip", "", "2026-03-01",
			"2026-03-09T02:30:00-04:00",
		},
		{
			"a DTSTART on a day that does not exist begins on the next",
			"DTSTART:20111230T100000\nRRULE:FREQ=DAILY", "Pacific/Apia", "", "", "2011-12-01",
			"2011-12-31T10:00:00+14:00 2012-01-01T10:00:00+14:00",
		},
		{
			"RDATE in a gap runs right after it, and nothing doubles",
			"DTSTART:20260307T030000\nRRULE:FREQ=DAILY\nRDATE:20260308T023000", "America/New_York", "", "", "2026-03-07",
			"2026-03-07T03:00:00-05:00 2026-03-08T03:00:00-04:00 2026-03-09T03:00:00-04:00",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			zone := mustZone(t, c.zone)
			layout := "2006-01-02T15:04:05"
			from, err := time.ParseInLocation(layout[:len(c.from)], c.from, zone)
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Date(2009, 12, 1, 0, 0, 0, 0, zone)
			rule, err := Parse(c.rule, zone, begin, c.gap, c.overlap)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Fields(c.want)
			var seen []time.Time
			at := from.Add(-1)
			for _, text := range want {
				next, ok := rule.Next(at)
				if text == "end" {
					if ok {
						t.Fatalf("there is %v after the end", next.In(zone))
					}
					break
				}
				if got := next.In(zone).Format(time.RFC3339); !ok || got != text {
					t.Fatalf("after %v comes %s, %v; want %s", at.In(zone), got, ok, text)
				}
				seen = append(seen, next)
				at = next
			}
			at = at.Add(1)
			for i := len(seen) - 1; i >= 0; i-- {
				prev, ok := rule.Prev(at)
				if !ok || !prev.Equal(seen[i]) {
					t.Fatalf("before %v comes %v, %v; want %v", at.In(zone), prev.In(zone), ok, seen[i].In(zone))
				}
				at = prev
			}
		})
	}
}
