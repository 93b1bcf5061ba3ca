package schedule

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/cronexpr"
	"github.com/robfig/cron/v3"
)

// The rules by which this package and a library may disagree. Every
// disagreement must be explained by one of them, and each explanation is
// checked, not only named.
const (
	// `*/2` begins with a star: it is ANDed with the other day field, as in
	// Vixie cron (crontab(5), NOTES). Both libraries take either. Explained
	// when this package agrees once the step is written without a star.
	ruleStarStep = "star_step"
	// A fixed time in a gap or an overlap: the libraries lose it in the one and
	// repeat it in the other. Explained when this package does the same once
	// dst asks for it.
	ruleFixedTimes = "fixed_times"
	// The library is wrong where the clock is moved: it loses a pass, or a
	// whole day whose midnight is skipped, or answers with a time that does
	// not match. Only allowed within 26 hours of a change, where
	// TestDSTOracle says what is right.
	ruleMovedClock = "moved_clock"
	// robfig steps over a day whose midnight is skipped and carries the odd
	// minutes along (Kathmandu, 1986-01-01, begins at 00:15). Only allowed
	// when there is such a day between the question and the answer.
	ruleNoMidnight = "no_midnight"
)

// randomExpr writes an expression that both libraries can read too; quartz
// adds L, W and #, which only cronexpr can.
func randomExpr(r *rand.Rand, quartz bool) string {
	value := func(f *field) string {
		hi := f.min + f.size - 1
		v := f.min + r.IntN(hi-f.min+1)
		if f.names != nil && r.IntN(3) == 0 {
			return f.names[v-f.min]
		}
		return fmt.Sprint(v)
	}
	item := func(f *field) string {
		hi := f.min + f.size - 1
		switch r.IntN(6) {
		case 0:
			return fmt.Sprintf("%d-%d", f.min+f.size/4, f.min+f.size/4+r.IntN(hi-f.min-f.size/4))
		case 1:
			return fmt.Sprintf("%d-%d/%d", f.min, f.min+r.IntN(hi-f.min)+1, 1+r.IntN(f.size/2))
		default:
			return value(f)
		}
	}
	words := make([]string, 6)
	for i := range fields {
		f := &fields[i]
		n := r.IntN(10)
		switch {
		case i == fieldSecond && n < 6:
			words[i] = "0"
		case i == fieldMonth && n < 7 || n < 3 || f.special && n < 6:
			words[i] = "*"
		case n == 9 && i != fieldMonth:
			words[i] = fmt.Sprintf("*/%d", 2+r.IntN(f.size/2))
		default:
			var parts []string
			for range 1 + r.IntN(3) {
				parts = append(parts, item(f))
			}
			words[i] = strings.Join(parts, ",")
		}
	}
	if quartz && r.IntN(2) == 0 {
		dom := []string{"L", "LW", "15W", "1W", "31W", fmt.Sprintf("%dW", 1+r.IntN(31)), "10,L", "3W,20"}
		dow := []string{"5L", "friL", "fri#2", fmt.Sprintf("%d#%d", r.IntN(7), 1+r.IntN(5)), fmt.Sprintf("%dL", r.IntN(7)), "mon,3#1"}
		switch r.IntN(3) {
		case 0:
			words[fieldDom] = dom[r.IntN(len(dom))]
		case 1:
			words[fieldDow] = dow[r.IntN(len(dow))]
		default:
			words[fieldDom], words[fieldDow] = dom[r.IntN(len(dom))], dow[r.IntN(len(dow))]
		}
	}
	return strings.Join(words, " ")
}

// withoutStars writes the steps of the day fields as ranges, and reports
// whether that could matter.
func withoutStars(expr string) (string, bool) {
	words := strings.Fields(expr)
	dom, dow := words[3], words[5]
	if !strings.HasPrefix(dom, "*/") && !strings.HasPrefix(dow, "*/") || dom == "*" || dow == "*" {
		return expr, false
	}
	words[3] = strings.Replace(dom, "*/", "1-31/", 1)
	words[5] = strings.Replace(dow, "*/", "0-6/", 1)
	return strings.Join(words, " "), true
}

// clockMoves reports whether a zone's offset changes within 26 hours.
func clockMoves(at time.Time, loc *time.Location) bool {
	_, before := at.Add(-26 * time.Hour).In(loc).Zone()
	_, now := at.In(loc).Zone()
	_, after := at.Add(26 * time.Hour).In(loc).Zone()
	return before != now || now != after
}

func TestAgreesWithOtherLibraries(t *testing.T) {
	const expressions = 100_000
	zones := []string{"UTC", "Asia/Jakarta", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo", "Asia/Kathmandu"}
	parser := cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	r := rand.New(rand.NewPCG(5, 6))
	counts := map[string]int{}
	compared, agreed := map[string]int{}, map[string]int{}
	begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	for i := range expressions {
		quartz := i%2 == 1
		expr := randomExpr(r, quartz)
		loc := mustZone(t, zones[r.IntN(len(zones))])
		plan, err := Compile(Config{Specs: []Spec{{Cron: expr}}, Zone: loc})
		if err != nil {
			if asError(err).Code == CodeNeverFires {
				counts[CodeNeverFires]++
				continue
			}
			t.Fatalf("%q: %v", expr, err)
		}
		var next func(time.Time) time.Time
		library := "robfig"
		if quartz {
			library = "cronexpr"
			theirs, err := cronexpr.Parse(expr + " *")
			if err != nil {
				t.Fatalf("%q: %v", expr, err)
			}
			next = func(at time.Time) time.Time { return theirs.Next(at.In(loc)) }
		} else {
			theirs, err := parser.Parse(expr)
			if err != nil {
				t.Fatalf("%q: %v", expr, err)
			}
			next = func(at time.Time) time.Time { return theirs.Next(at.In(loc)) }
		}
		at := time.Unix(begin+r.Int64N(40*365*86400), r.Int64N(1e9))
		if z := zoneOf(loc); z != nil && r.IntN(2) == 0 { // often shortly before a change of the clock
			if change := z.at[r.IntN(len(z.at))]; change > 1<<28 && change < 1<<31 { // cronexpr knows 1970 to 2099
				at = time.Unix(change-r.Int64N(36*3600), 0)
			}
		}
		for range 3 {
			ours, _ := plan.Next(at)
			got := next(at)
			compared[library]++
			if ours.Equal(got) {
				agreed[library]++
				at = ours
				continue
			}
			rule := explain(t, expr, loc, at, ours, got)
			if rule == "" {
				t.Fatalf("%s: %q in %s after %s: ours %s, theirs %s", library, expr, loc, at.In(loc).Format(time.RFC3339), ours.In(loc).Format(time.RFC3339), got.Format(time.RFC3339))
			}
			counts[library+" "+rule]++
			at = ours
		}
	}
	t.Logf("compared %v, agreed %v", compared, agreed)
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.Logf("%7d %s", counts[name], name)
	}
	for _, rule := range []string{ruleStarStep, ruleFixedTimes, ruleMovedClock} {
		if counts["robfig "+rule] == 0 || counts["cronexpr "+rule] == 0 {
			t.Errorf("the rule %s explained nothing", rule)
		}
	}
	for library := range compared {
		if agreed[library]*10 < compared[library]*8 {
			t.Errorf("%s: only %d of %d agree", library, agreed[library], compared[library])
		}
	}
}

// explain returns the rule that explains a disagreement, "" for none.
func explain(t *testing.T, expr string, loc *time.Location, at, ours, theirs time.Time) string {
	same := func(expr string, dst DST) bool {
		plan, err := Compile(Config{Specs: []Spec{{Cron: expr}}, Zone: loc, DST: dst})
		if err != nil {
			t.Fatalf("%q: %v", expr, err)
		}
		ours, _ = plan.Next(at)
		return ours.Equal(theirs)
	}
	plain, step := withoutStars(expr)
	switch {
	case step && same(plain, DST{}):
		return ruleStarStep
	case same(plain, DST{GapSkip, OverlapBoth}):
		return ruleFixedTimes
	}
	if !theirs.IsZero() && (clockMoves(ours, loc) || clockMoves(theirs, loc)) {
		return ruleMovedClock
	}
	if noMidnight(at, theirs, loc) {
		return ruleNoMidnight
	}
	return ""
}

// noMidnight reports whether a local day between two instants does not begin
// at midnight.
func noMidnight(from, to time.Time, loc *time.Location) bool {
	from = from.In(loc)
	for day := 0; day < 10*366; day++ {
		midnight := time.Date(from.Year(), from.Month(), from.Day()+day, 0, 0, 0, 0, loc)
		if midnight.After(to) {
			return false
		}
		if midnight.Hour() != 0 || midnight.Minute() != 0 {
			return true
		}
	}
	return false
}
