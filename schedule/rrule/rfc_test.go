package rrule

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal/schedule"
)

// example is one of the RFC's, for one zone.
type example struct {
	name, text string
	want       []time.Time
	endless    bool
}

var rfcZones = []string{"America/New_York", "Europe/Berlin", "Asia/Jakarta", "Australia/Lord_Howe"}

func rfcExamples(t *testing.T, zoneName string) []example {
	t.Helper()
	file, err := os.ReadFile("testdata/rfc5545.txt")
	if err != nil {
		t.Fatal(err)
	}
	zone := mustZone(t, zoneName)
	var all []example
	for block := range strings.SplitSeq(string(file), "\n\n") {
		var ex example
		var text []string
		want := ""
		for line := range strings.SplitSeq(strings.TrimRight(block, "\n"), "\n") {
			switch answer, isAnswer := strings.CutPrefix(line, "=> "); {
			case strings.HasPrefix(line, "#"):
			case isAnswer:
				if own, ok := strings.CutPrefix(answer, zoneName+" "); ok {
					want = own
				} else if want == "" {
					want = answer
				}
			case ex.name == "":
				ex.name = line
			default:
				text = append(text, strings.ReplaceAll(line, "ZONE", zoneName))
			}
		}
		if ex.name == "" {
			continue
		}
		ex.text = strings.Join(text, "\r\n")
		want, ex.endless = strings.CutSuffix(want, " ...")
		ex.want = dates(t, want, zone)
		all = append(all, ex)
	}
	if len(all) != 44 {
		t.Fatalf("read %d examples, want 44", len(all))
	}
	return all
}

// dates reads "1997-09 2-4,9 at 09:00,10:00; 1997-10 1".
func dates(t *testing.T, text string, zone *time.Location) []time.Time {
	t.Helper()
	var all []time.Time
	for month := range strings.SplitSeq(text, "; ") {
		month, times, ok := strings.Cut(month, " at ")
		if !ok {
			times = "09:00"
		}
		month, days, _ := strings.Cut(month, " ")
		for span := range strings.SplitSeq(days, ",") {
			from, to, ok := strings.Cut(span, "-")
			if !ok {
				to = from
			}
			first, err1 := strconv.Atoi(from)
			last, err2 := strconv.Atoi(to)
			if err1 != nil || err2 != nil {
				t.Fatalf("%q is no span of days", span)
			}
			for d := first; d <= last; d++ {
				for clock := range strings.SplitSeq(times, ",") {
					at, err := time.ParseInLocation("2006-01-2 15:04", month+"-"+strconv.Itoa(d)+" "+clock, zone)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, at)
				}
			}
		}
	}
	return all
}

func mustZone(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := schedule.LoadZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestRFCExamples(t *testing.T) {
	for _, zone := range rfcZones {
		for _, ex := range rfcExamples(t, zone) {
			t.Run(zone+": "+ex.name, func(t *testing.T) {
				rule, err := Parse(ex.text, time.UTC, time.Time{}, "", "")
				if err != nil {
					t.Fatal(err)
				}
				at := ex.want[0].AddDate(-1, 0, 0)
				for i, want := range ex.want {
					next, ok := rule.Next(at)
					if !ok || !next.Equal(want) {
						t.Fatalf("occurrence %d is %v, %v; want %v", i+1, next.In(want.Location()), ok, want)
					}
					at = next
				}
				next, ok := rule.Next(at)
				if ok != ex.endless {
					t.Fatalf("after the last comes %v, %v", next, ok)
				}
				if !ok {
					next = at.AddDate(1, 0, 0)
				}
				for i := len(ex.want) - 1; i >= 0; i-- {
					prev, ok := rule.Prev(next)
					if !ok || !prev.Equal(ex.want[i]) {
						t.Fatalf("backwards, occurrence %d is %v, %v; want %v", i+1, prev, ok, ex.want[i])
					}
					next = prev
				}
				if prev, ok := rule.Prev(next); ok {
					t.Fatalf("before the first comes %v", prev)
				}
			})
		}
	}
}
