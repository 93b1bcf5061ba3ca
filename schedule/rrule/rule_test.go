package rrule

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestStringIsCanonical(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a rule alone stays alone", "RRULE:FREQ=DAILY", "FREQ=DAILY"},
		{"defaults go, order is fixed, lists are sorted", "wkst=mo;byhour=17,9,9;interval=01;freq=daily", "FREQ=DAILY;BYHOUR=9,17"},
		{"what counts from the end comes last", "FREQ=MONTHLY;BYMONTHDAY=-1,15,-2,+1;BYSETPOS=-1,1", "FREQ=MONTHLY;BYMONTHDAY=1,15,-2,-1;BYSETPOS=1,-1"},
		{"weekdays go by ordinal, then by the week", "FREQ=MONTHLY;BYDAY=-1FR,SU,+2MO,MO,1FR", "FREQ=MONTHLY;BYDAY=MO,SU,1FR,2MO,-1FR"},
		{"a leap second is the second before", "FREQ=MINUTELY;BYSECOND=60,59", "FREQ=MINUTELY;BYSECOND=59"},
		{"every part", "FREQ=YEARLY;INTERVAL=2;COUNT=3;WKST=SU;BYSETPOS=1;BYSECOND=0;BYMINUTE=0;BYHOUR=0;BYDAY=MO;BYMONTHDAY=1,2,3,4,5,6,7;BYYEARDAY=1,2,3,4,5,6,7;BYWEEKNO=1,2;BYMONTH=1",
			"FREQ=YEARLY;INTERVAL=2;COUNT=3;BYMONTH=1;BYWEEKNO=1,2;BYYEARDAY=1,2,3,4,5,6,7;BYMONTHDAY=1,2,3,4,5,6,7;BYDAY=MO;BYHOUR=0;BYMINUTE=0;BYSECOND=0;BYSETPOS=1;WKST=SU"},
		{"UNTIL keeps its form", "FREQ=DAILY;UNTIL=20270101t000000z", "FREQ=DAILY;UNTIL=20270101T000000Z"},
		{"a local UNTIL", "FREQ=DAILY;UNTIL=20270101T000000", "FREQ=DAILY;UNTIL=20270101T000000"},
		{"a DTSTART with a zone", "dtstart;tzid=\"Asia/Jakarta\":20260105T090000\nFREQ=DAILY", "DTSTART;TZID=Asia/Jakarta:20260105T090000\nRRULE:FREQ=DAILY"},
		{"a DTSTART in UTC", "RRULE:FREQ=DAILY\r\nDTSTART:20260105T090000Z", "DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY"},
		{"a DTSTART that is a date", "DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=DAILY", "DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=DAILY"},
		{"folded lines", "RRULE:FREQ=DAILY;\r\n BYHOUR=9,\n\t17", "FREQ=DAILY;BYHOUR=9,17"},
		{"dates are gathered, sorted and told apart", "RRULE:FREQ=DAILY\nEXDATE:20260108T090000,20260107T090000\nEXDATE:20260107T090000\nEXDATE;VALUE=DATE:20260201\nRDATE;TZID=Asia/Jakarta:20260301T120000",
			"RRULE:FREQ=DAILY\nEXDATE:20260107T090000,20260108T090000\nEXDATE;VALUE=DATE:20260201\nRDATE:20260301T050000Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rule, err := Parse(c.text, mustZone(t, "Europe/Berlin"), anchor, "", "")
			if err != nil {
				t.Fatal(err)
			}
			if got := rule.String(); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			again, err := Parse(c.want, mustZone(t, "Europe/Berlin"), anchor, "", "")
			if err != nil || again.String() != c.want {
				t.Errorf("parsed again it is %v, %v", again, err)
			}
		})
	}
}

// TestMeaning fixes what RFC 5545 leaves open; the wanted times are local ones.
func TestMeaning(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"without DTSTART the anchor gives what the rule leaves open", "FREQ=MONTHLY", "2026-01-05T09:00 2026-02-05T09:00"},
		{"a DTSTART that does not fit the rule is no occurrence", "DTSTART:20260105T090000\nRRULE:FREQ=WEEKLY;BYDAY=FR;COUNT=2", "2026-01-09T09:00 2026-01-16T09:00 end"},
		{"BYWEEKNO alone is DTSTART's weekday in that week", "DTSTART:20260105T090000\nRRULE:FREQ=YEARLY;BYWEEKNO=20", "2026-05-11T09:00 2027-05-17T09:00"},
		{"week 1 may begin in December", "DTSTART:20260101T090000\nRRULE:FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO", "2027-01-04T09:00 2028-01-03T09:00 2029-01-01T09:00 2029-12-31T09:00 2030-12-30T09:00"},
		{"every other year of weeks counts the weeks' own years", "DTSTART:20240101T090000\nRRULE:FREQ=YEARLY;INTERVAL=2;BYWEEKNO=1;BYDAY=MO", "2024-01-01T09:00 2025-12-29T09:00 2028-01-03T09:00"},
		{"the last week of the year is week 53 only where there is one", "DTSTART:20260101T090000\nRRULE:FREQ=YEARLY;BYWEEKNO=53;BYDAY=FR", "2027-01-01T09:00 2032-12-31T09:00"},
		{"BYMONTHDAY in a yearly rule is of every month", "DTSTART:20260105T090000\nRRULE:FREQ=YEARLY;BYMONTHDAY=1;COUNT=2", "2026-02-01T09:00 2026-03-01T09:00 end"},
		{"an ordinal in a yearly rule with BYMONTH is of each month", "DTSTART:20260105T090000\nRRULE:FREQ=YEARLY;BYMONTH=3,4;BYDAY=1MO,-1FR;COUNT=4", "2026-03-02T09:00 2026-03-27T09:00 2026-04-06T09:00 2026-04-24T09:00 end"},
		{"an ordinal in a yearly rule without BYMONTH is of the year", "DTSTART:20260105T090000\nRRULE:FREQ=YEARLY;BYDAY=1TU,-1FR;COUNT=4", "2026-01-06T09:00 2026-12-25T09:00 2027-01-05T09:00 2027-12-31T09:00 end"},
		{"plain weekdays and ordinals are united", "DTSTART:20260105T090000\nRRULE:FREQ=MONTHLY;BYDAY=MO,1FR;COUNT=4", "2026-01-05T09:00 2026-01-12T09:00 2026-01-19T09:00 2026-01-26T09:00 end"},
		{"31 leaves out the shorter months", "DTSTART:20260131T090000\nRRULE:FREQ=MONTHLY;COUNT=3", "2026-01-31T09:00 2026-03-31T09:00 2026-05-31T09:00 end"},
		{"February 29 waits for leap years", "DTSTART:20240229T090000\nRRULE:FREQ=YEARLY;COUNT=3", "2024-02-29T09:00 2028-02-29T09:00 2032-02-29T09:00 end"},
		{"BYSETPOS counts within the whole first week, not from DTSTART", "DTSTART:20260107T090000\nRRULE:FREQ=WEEKLY;BYDAY=MO,TH;BYSETPOS=1", "2026-01-12T09:00 2026-01-19T09:00"},
		{"BYSETPOS counts times, not days", "DTSTART:20260105T090000\nRRULE:FREQ=WEEKLY;BYDAY=MO,TU;BYHOUR=9,18;BYSETPOS=2,-2", "2026-01-05T18:00 2026-01-06T09:00 2026-01-12T18:00"},
		{"UNTIL as a date counts to its end", "DTSTART:20260105T090000\nRRULE:FREQ=DAILY;UNTIL=20260106", "2026-01-05T09:00 2026-01-06T09:00 end"},
		{"UNTIL is inclusive", "DTSTART:20260105T090000\nRRULE:FREQ=DAILY;UNTIL=20260106T020000Z", "2026-01-05T09:00 2026-01-06T09:00 end"},
		{"COUNT counts before EXDATE", "DTSTART:20260105T090000\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:20260106T090000", "2026-01-05T09:00 2026-01-07T09:00 end"},
		{"EXDATE as a date removes the local day", "DTSTART:20260105T230000\nRRULE:FREQ=HOURLY;INTERVAL=6\nEXDATE;VALUE=DATE:20260106", "2026-01-05T23:00 2026-01-07T05:00"},
		{"EXDATE removes an RDATE too", "DTSTART:20260105T090000\nRRULE:FREQ=DAILY;COUNT=1\nRDATE:20260110T090000,20260111T090000\nEXDATE:20260110T090000", "2026-01-05T09:00 2026-01-11T09:00 end"},
		{"RDATE as a date takes DTSTART's time", "DTSTART:20260105T090000\nRRULE:FREQ=DAILY;COUNT=1\nRDATE;VALUE=DATE:20260201", "2026-01-05T09:00 2026-02-01T09:00 end"},
		{"RDATE is not bound by DTSTART, and doubles are one", "DTSTART:20260105T090000\nRRULE:FREQ=DAILY;COUNT=1\nRDATE:20260101T000000,20260105T090000", "2026-01-01T00:00 2026-01-05T09:00 end"},
		{"RDATE with a zone of its own", "DTSTART:20260105T090000\nRRULE:FREQ=DAILY;COUNT=1\nRDATE;TZID=America/New_York:20260201T090000", "2026-01-05T09:00 2026-02-01T21:00 end"},
		{"a DTSTART in UTC puts the rule into UTC", "DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY;BYHOUR=10;COUNT=1", "2026-01-05T17:00 end"},
		{"a TZID puts the rule into its zone", "DTSTART;TZID=Europe/Berlin:20260105T090000\nRRULE:FREQ=DAILY;BYHOUR=10;COUNT=1", "2026-01-05T16:00 end"},
		{"a DTSTART that is a date begins at midnight", "DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=DAILY;COUNT=2", "2026-01-05T00:00 2026-01-06T00:00 end"},
		{"an interval beyond the calendar leaves the first", "DTSTART:20260105T090000\nRRULE:FREQ=YEARLY;INTERVAL=1000000000", "2026-01-05T09:00 end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			zone := mustZone(t, "Asia/Jakarta")
			rule, err := Parse(c.text, zone, time.Date(2026, 1, 5, 9, 0, 0, 7, zone), "", "")
			if err != nil {
				t.Fatal(err)
			}
			at := time.Date(1990, 1, 1, 0, 0, 0, 0, zone)
			for want := range strings.FieldsSeq(c.want) {
				next, ok := rule.Next(at)
				got := next.In(zone).Format("2006-01-02T15:04")
				if want == "end" {
					if ok {
						t.Fatalf("after %v comes %s", at, got)
					}
				} else if !ok || got != want {
					t.Fatalf("after %v comes %s, %v; want %s", at, got, ok, want)
				}
				at = next
			}
		})
	}
}

func TestResultsAreUTCAndWholeSeconds(t *testing.T) {
	rule := mustParse(t, "FREQ=SECONDLY", "Asia/Jakarta", "", "")
	for _, c := range []struct{ at, next, prev string }{
		{"2026-06-01T00:00:00Z", "2026-06-01T00:00:01Z", "2026-05-31T23:59:59Z"},
		{"2026-06-01T00:00:00.5Z", "2026-06-01T00:00:01Z", "2026-06-01T00:00:00Z"},
		{"2026-06-01T07:00:00.999999999+07:00", "2026-06-01T00:00:01Z", "2026-06-01T00:00:00Z"},
	} {
		at, err := time.Parse(time.RFC3339Nano, c.at)
		if err != nil {
			t.Fatal(err)
		}
		next, _ := rule.Next(at)
		prev, _ := rule.Prev(at)
		if next.Format(time.RFC3339Nano) != c.next || prev.Format(time.RFC3339Nano) != c.prev {
			t.Errorf("around %s: %v and %v", c.at, prev, next)
		}
	}
}

func TestTheEndsOfTime(t *testing.T) {
	rule := mustParse(t, "FREQ=DAILY", "America/New_York", "", "")
	for _, at := range []time.Time{{}, time.Unix(math.MinInt64, 0), time.Unix(-1<<40, 5)} {
		if next, ok := rule.Next(at); !ok || !next.Equal(anchor) {
			t.Errorf("after %v comes %v, %v", at, next, ok)
		}
		if prev, ok := rule.Prev(at); ok {
			t.Errorf("before %v comes %v", at, prev)
		}
	}
	for _, at := range []time.Time{time.Unix(math.MaxInt64, 0), time.Unix(1<<40, 5)} {
		if next, ok := rule.Next(at); ok {
			t.Errorf("after %v comes %v", at, next)
		}
		if prev, ok := rule.Prev(at); !ok || prev.Year() != 9999 {
			t.Errorf("before %v comes %v, %v", at, prev, ok)
		}
	}
}

// TestFarYears walks over every year's end to 9999: the standard library gives
// eras that end too early there.
func TestFarYears(t *testing.T) {
	for _, zone := range []string{"America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"} {
		rule := mustParse(t, "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=31;BYHOUR=0,12,23", zone, "", "")
		n := 0
		var last time.Time
		for at, ok := rule.Next(anchor); ok; at, ok = rule.Next(at) {
			n++
			last = at
		}
		back := 0
		for at, ok := rule.Prev(last.Add(1)); ok; at, ok = rule.Prev(at) {
			back++
		}
		if n < 3*(9999-2026) || back != n {
			t.Errorf("%s: %d occurrences forward, %d backward, the last %v", zone, n, back, last)
		}
	}
}

// TestWorstCases runs the rules that would be slow for a search by trial: each
// has no occurrence, few, or 100,000 to count.
func TestWorstCases(t *testing.T) {
	count := ";COUNT=100000"
	for _, c := range []struct {
		rule  string
		fires bool
	}{
		{"FREQ=HOURLY;INTERVAL=168;BYDAY=TU", false},
		{"FREQ=SECONDLY;INTERVAL=604800;BYDAY=SU", false},
		{"FREQ=SECONDLY;INTERVAL=86399;BYHOUR=2;BYMINUTE=0;BYSECOND=0;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO", false},
		{"FREQ=WEEKLY;BYDAY=MO;BYSETPOS=" + numbers(2, 366), false},
		{"FREQ=YEARLY;BYDAY=MO;BYSETPOS=" + numbers(54, 366), false},
		{"FREQ=YEARLY;BYWEEKNO=" + numbers(1, 53) + ";BYSETPOS=366;BYDAY=MO", false},
		{"FREQ=YEARLY;BYWEEKNO=20;BYMONTH=1", false},
		{"FREQ=SECONDLY" + count, true},
		{"FREQ=DAILY" + count, true},
		{"FREQ=YEARLY;COUNT=400", true},
		{"FREQ=MONTHLY;BYDAY=-1FR;COUNT=4000", true},
		{"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;COUNT=90", true},
		{"FREQ=SECONDLY;INTERVAL=86399;BYHOUR=2;BYMINUTE=0;BYSECOND=0" + count, true},
		{"FREQ=SECONDLY;INTERVAL=43201;BYHOUR=2;BYMINUTE=0;BYSECOND=0;BYDAY=MO;BYMONTH=1" + count, false},
		{"FREQ=YEARLY;BYYEARDAY=" + numbers(1, 366) + ";BYSETPOS=" + numbers(-366, -1) + ";BYHOUR=" + numbers(0, 23) + ";BYMINUTE=" + numbers(0, 59) + ";COUNT=2000", true},
	} {
		rule, err := Parse(c.rule, mustZone(t, "America/New_York"), anchor, "shift", "second")
		if fires := err == nil; fires != c.fires {
			t.Errorf("%s: %v", c.rule, err)
		}
		if err != nil {
			continue
		}
		for _, year := range []int{1, 2100, 9000, 20000} {
			at := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
			if next, ok := rule.Next(at); ok && !next.After(at) {
				t.Errorf("%s: after %v comes %v", c.rule, at, next)
			}
			if prev, ok := rule.Prev(at); ok && !prev.Before(at) {
				t.Errorf("%s: before %v comes %v", c.rule, at, prev)
			}
		}
	}
}

func TestNextAndPrevDoNotAllocate(t *testing.T) {
	at := time.Date(2036, 3, 8, 12, 0, 0, 0, time.UTC)
	for _, text := range []string{
		"FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=MINUTELY;INTERVAL=15",
		"FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "FREQ=YEARLY;BYWEEKNO=20",
	} {
		rule := mustParse(t, text, "America/New_York", "", "")
		if n := testing.AllocsPerRun(100, func() { rule.Next(at); rule.Prev(at) }); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}
