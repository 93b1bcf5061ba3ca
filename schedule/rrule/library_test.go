package rrule

import (
	"slices"
	"strings"
	"testing"
	"time"

	library "github.com/teambition/rrule-go"
)

// TestAgreesWithALibrary compares random rules in UTC, from daily on, with
// another implementation. explained lists where the two differ by intent.
func TestAgreesWithALibrary(t *testing.T) {
	explained := map[string]func(o *oracle) bool{
		"BYWEEKNO without a day: DTSTART's weekday here, seven days there": func(o *oracle) bool {
			return o.lists["BYWEEKNO"] != nil && o.byDay == nil && o.lists["BYMONTHDAY"] == nil && o.lists["BYYEARDAY"] == nil
		},
		"the year of a week that spans two: the week's here, the day's there": func(o *oracle) bool {
			return o.lists["BYWEEKNO"] != nil && (o.interval > 1 || o.lists["BYSETPOS"] != nil)
		},
		"negative week numbers at the turn of the year": func(o *oracle) bool {
			for _, n := range o.lists["BYWEEKNO"] {
				if n < 0 {
					return true
				}
			}
			return false
		},
		"plain weekdays beside ordinals: either here, both at once there": func(o *oracle) bool {
			plain := 0
			for _, day := range o.byDay {
				if len(day) == 2 {
					plain++
				}
			}
			return plain > 0 && plain < len(o.byDay)
		},
		"a value that is listed twice: once here, twice there": func(o *oracle) bool {
			for _, list := range o.lists {
				for i, n := range list {
					if slices.Contains(list[:i], n) {
						return true
					}
				}
			}
			return false
		},
		"BYSETPOS in the first week: of the whole week here, from DTSTART there": func(o *oracle) bool {
			return o.freq == "WEEKLY" && o.lists["BYSETPOS"] != nil
		},
	}
	seen := map[string]int{}
	compared := 0
	for seed := range uint64(900) {
		o, days := randomOracle(newRand(seed), t)
		if o.finerThanDay() || panics(o) {
			continue
		}
		o.zone = time.UTC
		text := strings.Replace(o.text(), ";TZID=UTC:", ":", 1)
		rule, err := Parse(text, nil, time.Time{}, "", "")
		theirs, theirErr := library.StrToRRuleSet(text)
		if theirErr != nil {
			t.Fatalf("%s: %v", text, theirErr)
		}
		var reasons []string // all that apply: which of them made the difference is not known
		for name, applies := range explained {
			if applies(o) {
				reasons = append(reasons, name)
			}
		}
		iterate := theirs.Iterator()
		at, end := time.Time{}, o.begin.AddDate(0, 0, days)
		for range 300 {
			want, more := iterate()
			var got time.Time
			ok := false
			if err == nil {
				got, ok = rule.Next(at)
			}
			if ok && got.After(end) || !ok && err == nil && !more {
				break
			}
			if !more && !ok {
				break
			}
			if ok != more || !got.Equal(want) {
				if reasons == nil {
					t.Fatalf("seed %d: %s\nafter %v comes %v, %v (%v); the library has %v, %v", seed, text, at, got, ok, err, want, more)
				}
				for _, name := range reasons {
					seen[name]++
				}
				break
			}
			at = got
		}
		compared++
	}
	t.Logf("%d rules compared; explained: %v", compared, seen)
	for reason := range explained {
		if seen[reason] == 0 {
			t.Errorf("nothing differs for %q any more", reason)
		}
	}
}

// panics tells whether the library does: it looks for weekday 53 of a month
// beyond the end of its tables.
func panics(o *oracle) bool {
	for _, day := range o.byDay {
		if len(strings.Trim(day[:len(day)-2], "-")) > 1 && o.lists["BYMONTH"] != nil {
			return true
		}
	}
	return false
}

var benchRules = []string{
	"FREQ=DAILY", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR", "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
	"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "FREQ=MINUTELY;INTERVAL=15",
}

// BenchmarkNext asks for one occurrence ten years after DTSTART and reports how
// many times as long the library takes.
func BenchmarkNext(b *testing.B) {
	zone := mustZone(b, "America/New_York")
	begin := time.Date(2016, 1, 1, 9, 0, 0, 0, zone)
	at := begin.AddDate(10, 0, 0)
	for _, text := range benchRules {
		rule, err := Parse(text, zone, begin, "", "")
		if err != nil {
			b.Fatal(err)
		}
		option, err := library.StrToROption(text)
		if err != nil {
			b.Fatal(err)
		}
		option.Dtstart = begin
		theirs, err := library.NewRRule(*option)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			start := time.Now()
			theirs.After(at, false)
			once := time.Since(start)
			b.ResetTimer()
			for b.Loop() {
				rule.Next(at)
			}
			b.ReportMetric(float64(once)/(float64(b.Elapsed())/float64(b.N)), "times-faster")
		})
	}
}

// BenchmarkParse reports how many times as long the library takes.
func BenchmarkParse(b *testing.B) {
	for _, text := range benchRules {
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(text, time.UTC, anchor, "", ""); err != nil {
					b.Fatal(err)
				}
			}
			ours := float64(b.Elapsed()) / float64(b.N)
			b.StopTimer()
			start := time.Now()
			for range 1000 {
				if _, err := library.StrToRRule(text); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(time.Since(start))/1000/ours, "times-faster")
		})
	}
}
