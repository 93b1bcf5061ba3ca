package schedule

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// describeInputs are what testdata/describe.txt holds, besides plans of other
// kinds: one expression of every shape.
var describeInputs = []string{
	"30 2 * * *", "0 0 * * *", "0 2,14 * * *", "0,30 9,17 * * *", "15 30 9 * * *", "0,30 0 12 * * *",
	"* * * * *", "*/5 * * * *", "*/7 * * * *", "0 * * * *", "30 * * * *", "5,12,33 * * * *", "10-20 * * * *", "0-10,30 * * * *", "5-50/15 * * * *",
	"0 */2 * * *", "0 */5 * * *", "30 */2 * * *", "0 9-17 * * *", "0 1,3,7,9,12,15,18 * * *", "*/5 9-17 * * *", "* 2 * * *", "0-29 2,3 * * *", "15 9-17 * * *",
	"* * * * * *", "*/10 * * * * *", "15 * * * * *", "15,45 * * * * *", "* 5 * * * *", "*/10 0-4 * * * *", "15 */5 * * * *", "15 * 9-17 * * *", "* * 3 * * *", "*/20 15 8 * * *", "5 0-9 1,2 * * *",
	"0 9 * * 1", "0 9 * * 1-5", "0 9 * * sat,sun", "0 9 * * mon,wed,fri", "0 9 * * fri-mon", "*/15 * * * 1-5", "0 9 * * 0-6",
	"0 0 1 * *", "0 0 1,15 * *", "0 0 1-7 * *", "0 0 */2 * *", "0 0 1,2,4,7,11,16,22,29 * *", "0 0 L * *", "0 0 L-1 * *", "0 0 L-3 * *", "0 0 LW * *", "0 0 15W * *", "0 0 1,15W,L * *",
	"0 0 * * fri#2", "0 0 * * 5L", "0 0 * * mon#1,mon#3", "0 0 * * mon,fri#2", "0 0 * 3 mon,fri#2",
	"0 0 1 1 *", "0 0 * 2 *", "0 0 * jun-aug *", "0 0 * */3 *", "*/5 * * 12 *", "0 9 * 1,7 1-5", "0 0 29 2 *", "0 0 L 2 *", "0 0 * 5 sun#2",
	"0 0 13 * fri", "0 0 13 3 fri", "0 0 1,15 * 3#2,5L", "0 0 1 * mon,fri#2", "0 0 L * mon,fri#2", "0 0 1 6 mon,fri#2", "0 0 1-31 * fri", "0 0 1-31 6 fri",
	"0 0 */2 * fri", "0 0 1-7 * */6", "0 0 */10,L * fri", "0 0 */2 * fri#2", "0 0 */2 6 */2",
	"1,4,9,16,25,36,49,51,53,58 * * * *", "0 0 1,3,4,6,7,9,10,12,13,15,16,18,20 * *", "1,4,9,16,25,36,49,51,53,58 0 0 13 * fri",
}

// TestDescriptions compares with testdata/describe.txt: an expression, then
// both languages, indented.
func TestDescriptions(t *testing.T) {
	var out strings.Builder
	for _, expr := range describeInputs {
		c := mustCron(t, expr)
		fmt.Fprintf(&out, "%s\n\t%s\n\t%s\n", expr, c.Describe(English), c.Describe(Indonesian))
	}
	anchor := mustTime(t, "2027-01-01T00:00:00Z")
	for _, cfg := range []Config{
		{Specs: []Spec{{Every: "6h"}}},
		{Specs: []Spec{{Every: "1h"}}},
		{Specs: []Spec{{Every: "1h30m"}}},
		{Specs: []Spec{{Every: "1m1.5s"}}},
		{Specs: []Spec{{At: "2027-05-01T09:30:00"}}},
		{Specs: []Spec{{At: "2027-05-01T09:30:00.250Z"}}},
		{Specs: []Spec{{At: "2027-11-07T01:30:00"}}, DST: DST{Overlap: OverlapBoth}},
		{Specs: []Spec{{Cron: "30 2 * * *"}, {Every: "6h"}}},
		{Specs: []Spec{{Cron: "30 2 * * *"}}, StartAt: anchor},
		{Specs: []Spec{{Cron: "30 2 * * *"}}, EndAt: anchor.Add(time.Millisecond)},
		{Specs: []Spec{{Cron: "30 2 * * *"}, {Cron: "0 9 L * *"}}, StartAt: anchor, EndAt: anchor.AddDate(1, 0, 0)},
		{Specs: []Spec{{RRule: "X"}}, RRule: func(string, *time.Location, time.Time, DST) (Source, error) { return plainSource{}, nil }},
		{},
	} {
		cfg.Anchor, cfg.Zone = anchor, mustZone(t, "America/New_York")
		p := compile(t, cfg)
		fmt.Fprintf(&out, "%+v\n\t%s\n\t%s\n", cfg.Specs, p.Describe(English), p.Describe(Indonesian))
	}
	const file = "testdata/describe.txt"
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, wanted := strings.Split(out.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(got), len(wanted)) {
		if i >= len(got) || i >= len(wanted) || got[i] != wanted[i] {
			t.Fatalf("%s differs from line %d on:\n%s", file, i+1, strings.Join(got[min(i, len(got)-1):min(i+3, len(got))], "\n"))
		}
	}
}

type plainSource struct{}

func (plainSource) Next(time.Time) (time.Time, bool) { return time.Time{}, false }
func (plainSource) Prev(time.Time) (time.Time, bool) { return time.Time{}, false }

// TestDescriptionsTellExpressionsApart: two expressions with one description
// plan the same instants, in both languages. A phrase that left something out
// would be caught here.
func TestDescriptionsTellExpressionsApart(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, lang := range []Lang{English, Indonesian} {
		known := map[string]Cron{}
		add := func(c Cron) {
			text := c.Describe(lang)
			if other, ok := known[text]; ok && !sameInstants(c, other) {
				t.Fatalf("%q and %q are both %q", c, other, text)
			}
			known[text] = c
		}
		for _, expr := range describeInputs {
			add(mustCron(t, expr))
		}
		for range 60_000 {
			expr := randomExpr(r, true)
			if r.IntN(2) == 0 { // simple ones collide more often
				words := strings.Fields(expr)
				for i := range words {
					if words[i] == "*" || r.IntN(3) == 0 {
						words[i] = []string{"0", "*/2", "*", "1,L", "1-3", "1,2"}[[6]int{r.IntN(2), r.IntN(3), r.IntN(3), 1 + r.IntN(5), 4, 4 + r.IntN(2)}[i]]
					}
				}
				expr = strings.Join(words, " ")
			}
			if c, err := ParseCron(expr, 0); err == nil {
				add(c)
			}
		}
		t.Logf("%s: %d different descriptions", lang, len(known))
	}
}

// sameInstants compares the times of day and the days of 28 years and of the
// years around 2100.
func sameInstants(a, b Cron) bool {
	if a.second != b.second || a.minute != b.minute || a.hour != b.hour {
		return false
	}
	for year := 2000; year < 2028; year++ {
		for month := 1; month <= 12; month++ {
			if a.days(year, month) != b.days(year, month) {
				return false
			}
		}
	}
	return true
}
