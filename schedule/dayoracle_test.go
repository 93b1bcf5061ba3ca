package schedule

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// dayMatches is the meaning of both day fields, read from the text for one day:
// no sets, no compiled form.
func dayMatches(dom, dow string, day time.Time) bool {
	last := time.Date(day.Year(), day.Month()+1, 0, 0, 0, 0, 0, time.UTC)
	weekend := func(at time.Time) bool { return at.Weekday() == time.Saturday || at.Weekday() == time.Sunday }
	any := func(field string, matches func(item string) bool) bool {
		for item := range strings.SplitSeq(field, ",") {
			if matches(item) {
				return true
			}
		}
		return false
	}
	number := func(text string) int { n, _ := strconv.Atoi(text); return n }
	spans := func(item string, v, lo, hi int) bool {
		base, step, stepped := strings.Cut(item, "/")
		from, to, isRange := strings.Cut(base, "-")
		a, b := number(from), number(to)
		switch {
		case base == "*":
			a, b = lo, hi
		case !isRange && stepped:
			b = hi
		case !isRange:
			b = a
		}
		n := 1
		if stepped {
			n = number(step)
		}
		for x, i := a, 0; ; x, i = x+1, i+1 {
			if x > hi {
				x = lo
			}
			if x == v && i%n == 0 {
				return true
			}
			if x == b {
				return false
			}
		}
	}
	onDom := any(dom, func(item string) bool {
		switch {
		case item == "?":
			return true
		case item == "L":
			return day.Equal(last)
		case item == "LW":
			at := last
			for weekend(at) {
				at = at.AddDate(0, 0, -1)
			}
			return day.Equal(at)
		case strings.HasPrefix(item, "L-"):
			return day.Equal(last.AddDate(0, 0, -number(item[2:]))) && last.Day() > number(item[2:])
		case strings.HasSuffix(item, "W"):
			n := number(strings.TrimSuffix(item, "W"))
			if n > last.Day() {
				return false
			}
			want := time.Date(day.Year(), day.Month(), n, 0, 0, 0, 0, time.UTC)
			for _, move := range []int{0, -1, 1, -2, 2} {
				if at := want.AddDate(0, 0, move); !weekend(at) && at.Month() == day.Month() {
					return day.Equal(at)
				}
			}
		}
		return spans(item, day.Day(), 1, 31)
	})
	onDow := any(dow, func(item string) bool {
		wd := int(day.Weekday())
		if name, n, ok := strings.Cut(item, "#"); ok {
			return number(name)%7 == wd && (day.Day()+6)/7 == number(n)
		}
		if name, ok := strings.CutSuffix(item, "L"); ok {
			return number(name)%7 == wd && day.Day()+7 > last.Day()
		}
		return item == "?" || spans(item, wd, 0, 6)
	})
	if strings.ContainsAny(dom[:1]+dow[:1], "*?") {
		return onDom && onDow
	}
	return onDom || onDow
}

// TestDaysOracle compares every form of the day fields with dayMatches, day by
// day.
func TestDaysOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	doms := []func() string{
		func() string { return strconv.Itoa(1 + r.IntN(31)) },
		func() string { return fmt.Sprintf("%d-%d", 1+r.IntN(31), 1+r.IntN(31)) },
		func() string { return fmt.Sprintf("%d-%d/%d", 1+r.IntN(31), 1+r.IntN(31), 1+r.IntN(9)) },
		func() string { return fmt.Sprintf("%d/%d", 1+r.IntN(31), 1+r.IntN(31)) },
		func() string { return "L" },
		func() string { return fmt.Sprintf("L-%d", 1+r.IntN(30)) },
		func() string { return fmt.Sprintf("%dW", 1+r.IntN(31)) },
		func() string { return "LW" },
	}
	dows := []func() string{
		func() string { return strconv.Itoa(r.IntN(7)) },
		func() string { return fmt.Sprintf("%d-%d", r.IntN(7), r.IntN(7)) },
		func() string { return fmt.Sprintf("%d-%d/%d", r.IntN(7), r.IntN(7), 1+r.IntN(4)) },
		func() string { return fmt.Sprintf("%d/%d", r.IntN(7), 1+r.IntN(4)) },
		func() string { return fmt.Sprintf("%dL", r.IntN(8)) },
		func() string { return fmt.Sprintf("%d#%d", r.IntN(8), 1+r.IntN(5)) },
	}
	field := func(forms []func() string, size int) string {
		var items []string
		switch r.IntN(6) {
		case 0:
			return "*"
		case 1:
			return "?"
		case 2:
			items = append(items, fmt.Sprintf("*/%d", 1+r.IntN(size)))
			if r.IntN(2) == 0 {
				return items[0]
			}
		}
		for range 1 + r.IntN(3) {
			items = append(items, forms[r.IntN(len(forms))]())
		}
		return strings.Join(items, ",")
	}
	compared := 0
	for range 2000 {
		dom, dow := field(doms, 31), field(dows, 7)
		from := time.Date(1990+r.IntN(120), time.Month(1+r.IntN(12)), 1, 0, 0, 0, 0, time.UTC)
		to := from.AddDate(1, 2, 0)
		p, err := Compile(Config{Specs: []Spec{{Cron: "0 0 " + dom + " * " + dow}}})
		if err != nil {
			if asError(err).Code == CodeNeverFires {
				continue
			}
			t.Fatalf("%s %s: %v", dom, dow, err)
		}
		var want []time.Time
		for day := from; !day.After(to); day = day.AddDate(0, 0, 1) {
			if day.After(from) && dayMatches(dom, dow, day) {
				want = append(want, day)
			}
		}
		var back []time.Time
		for at, ok := p.Prev(to.Add(1)); ok && at.After(from); at, ok = p.Prev(at) {
			back = append(back, at)
		}
		slices.Reverse(back)
		got := p.Between(from, to, 1000)
		if texts(got) != texts(want) || texts(back) != texts(want) {
			t.Fatalf("0 0 %s * %s from %s\nwant %s\n got %s\nback %s", dom, dow, from.Format(time.DateOnly), texts(want), texts(got), texts(back))
		}
		compared++
	}
	t.Logf("%d pairs of day fields compared", compared)
}
