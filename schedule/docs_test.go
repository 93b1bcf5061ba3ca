package schedule

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestDocumentation checks the tables of docs/reference/schedules.md: what
// they say about expressions is what this package does.
func TestDocumentation(t *testing.T) {
	data, err := os.ReadFile("../docs/reference/schedules.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := map[string]int{}
	header := ""
	for line := range strings.SplitSeq(string(data), "\n") {
		if !strings.HasPrefix(line, "|") {
			header = ""
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if header == "" {
			header = cells[0] + "|" + cells[1]
			continue
		}
		if strings.HasPrefix(cells[0], "---") {
			continue
		}
		expr := strings.Trim(cells[0], "`")
		switch header {
		case "expression|in words":
			if got := mustCron(t, expr).Describe(English); got != cells[1] {
				t.Errorf("%s is %q", cells[0], got)
			}
		case "expression|refused with":
			if e := refuse("cron", expr, nil, DST{}); e == nil || e.Message != cells[1] {
				t.Errorf("%s is refused with %v", cells[0], e)
			}
		case "cron|zone":
			checkClockExample(t, expr, cells[1], cells[2], cells[3], cells[4])
		case "code|when":
			for _, code := range []string{WarnFrequent, WarnEveryMinute, WarnUnevenStep, WarnEitherDay, WarnSomeMonths, WarnLeapYears, WarnNoOccurrence, WarnInPast} {
				if expr == code {
					checked["known code"]++
				}
			}
		default:
			continue
		}
		checked[header]++
	}
	if checked["expression|in words"] < 10 || checked["expression|refused with"] < 5 || checked["cron|zone"] < 15 || checked["known code"] != 8 || checked["code|when"] != 8 {
		t.Errorf("too little was checked: %v", checked)
	}
}

func checkClockExample(t *testing.T, expr, zone, choice, day, want string) {
	t.Helper()
	loc := mustZone(t, zone)
	var dst DST
	switch name, value, _ := strings.Cut(choice, ": "); name {
	case "gap":
		dst.Gap = Gap(value)
	case "overlap":
		dst.Overlap = Overlap(value)
	}
	midnight, err := time.ParseInLocation(time.DateOnly, day, loc)
	if err != nil {
		t.Fatal(err)
	}
	p := compile(t, Config{Specs: []Spec{{Cron: expr}}, Zone: loc, DST: dst})
	var got []string
	for _, o := range p.Occurrences(midnight, strings.Count(want, ",")+1) {
		got = append(got, o.Local.Format("01-02 15:04 -07:00"))
	}
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("%s in %s, dst %q, on %s: %s", expr, zone, choice, day, text)
	}
}
