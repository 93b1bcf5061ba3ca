package schedule

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unsafe"
)

func mustCron(t testing.TB, expr string) Cron {
	t.Helper()
	c, err := ParseCron(expr, 42)
	if err != nil {
		t.Fatalf("%q: %v", expr, err)
	}
	return c
}

func TestForms(t *testing.T) {
	for _, tc := range []struct{ rule, expr, same string }{
		{"five fields fire at second 0", "5 4 * * *", "0 5 4 * * *"},
		{"space around and between is free", "  5\t4  * *   *  ", "5 4 * * *"},
		{"leading zeros are decimal", "05 09 08 01 *", "5 9 8 1 *"},
		{"@yearly is the first of January", "@yearly", "0 0 1 1 *"},
		{"@annually is @yearly", "@annually", "@yearly"},
		{"@monthly is the first", "@monthly", "0 0 1 * *"},
		{"@weekly is Sunday", "@weekly", "0 0 * * sun"},
		{"@daily is midnight", "@daily", "0 0 * * *"},
		{"@midnight is @daily", "@Midnight", "@daily"},
		{"@hourly is minute 0", "@hourly", "0 * * * *"},
		{"names are of any case", "0 0 * JAN,Feb Mon", "0 0 * 1,2 1"},
		{"names make ranges", "0 0 * jan-mar mon-fri", "0 0 * 1-3 1-5"},
		{"Sunday is 7 too", "0 0 * * 7", "0 0 * * 0"},
		{"a range may end on Sunday as 7", "0 0 * * 5-7", "0 0 * * 0,5,6"},
		{"a range may begin on Sunday as 7", "0 0 * * 7-2", "0 0 * * 0-2"},
		{"7-7 is Sunday", "0 0 * * 7-7", "0 0 * * 0"},
		{"0-7 is the whole week", "0 0 * * 0-7", "0 0 * * 0-6"},
		{"a range of hours wraps", "0 22-2 * * *", "0 0,1,2,22,23 * * *"},
		{"a range of minutes wraps", "58-1 * * * *", "0,1,58,59 * * * *"},
		{"a range of weekdays wraps", "0 0 * * fri-mon", "0 0 * * 5,6,0,1"},
		{"a range of weekdays wraps to Sunday", "0 0 * * sat-sun", "0 0 * * 0,6"},
		{"a range of months wraps", "0 0 1 nov-feb *", "0 0 1 11,12,1,2 *"},
		{"a range of days wraps after the 31st", "0 0 30-2 * *", "0 0 30,31,1,2 * *"},
		{"a step counts on over the wrap", "0 22-4/2 * * *", "0 0-4/2,22 * * *"},
		{"a value with a step goes to the end", "5/15 * * * *", "5-50/15 * * * *"},
		{"a weekday with a step goes to Saturday", "0 0 * * 1/2", "0 0 * * 1,3,5"},
		{"Sunday as 7 with a step begins the week", "0 0 * * 7/3", "0 0 * * 0,3,6"},
		{"a step of a range", "10-30/10 * * * *", "10-39/10 * * * *"},
		{"lists join everything", "0,30-32,*/30 * * * *", "0-30/30,30,31,32 * * * *"},
		{"? is a star", "0 0 ? * ?", "0 0 * * *"},
		{"? beside a restricted field", "0 0 ? * mon", "0 0 * * mon"},
		{"L and W of any case", "0 0 l,lw,15w,l-3 * *", "0 0 L,WL,15W,L-3 * *"},
		{"last weekdays by name", "0 0 * * friL", "0 0 * * 5L"},
		{"Sunday as 7 with L", "0 0 * * 7L", "0 0 * * 0L"},
		{"Sunday as 7 with #", "0 0 * * 7#1", "0 0 * * sun#1"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			if a, b := mustCron(t, tc.expr), mustCron(t, tc.same); a != b {
				t.Errorf("%q is %q, %q is %q", tc.expr, a, tc.same, b)
			}
		})
	}
}

// TestFollowsRealTime: which expressions are at fixed times.
func TestFixedTimes(t *testing.T) {
	for expr, fixed := range map[string]bool{
		"30 2 * * *": true, "0-59 0-23 * * *": true, "0,30 1-5 * * *": true, "H H * * *": true, "30 2 */2 */2 */2": true, "@daily": true,
		"* 2 * * *": false, "0 * * * *": false, "0-30/10 2 * * *": false, "5/20 2 * * *": false, "0,*/30 2 * * *": false,
		"0 1-5/2 * * *": false, "H/15 2 * * *": false, "* 30 2 * * *": false, "*/10 30 2 * * *": false, "@hourly": false, "0-59/1 2 * * *": false,
	} {
		if c := mustCron(t, expr); c.fixed() != fixed {
			t.Errorf("%q: fixed is %t", expr, c.fixed())
		}
	}
}

func TestEitherDayMatches(t *testing.T) {
	for _, tc := range []struct {
		rule, expr string
		want       string // days of March 2027, which begins on a Monday
	}{
		{"both restricted: either", "0 0 13 * fri", "5 12 13 19 26"},
		{"a star: the other one alone", "0 0 13 * *", "13"},
		{"a star with a step is ANDed", "0 0 */2 * fri", "5 19"},
		{"a star with a step on the weekday is ANDed", "0 0 1-9 * */2", "2 4 6 7 9"},
		{"a list that begins with a star is ANDed", "0 0 */10,12 * fri", "12"},
		{"a list that holds a star elsewhere is not", "0 0 12,*/10 * fri", "1 5 11 12 19 21 26 31"},
		{"a full range counts as restricted: every day", "0 0 1-31 * fri", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31"},
		{"L", "0 0 L * *", "31"},
		{"L-3", "0 0 L-3 * *", "28"},
		{"LW", "0 0 LW * *", "31"},
		{"13W is Friday the 12th", "0 0 13W * *", "12"},
		{"14W is Monday the 15th", "0 0 14W * *", "15"},
		{"fri#2", "0 0 * * fri#2", "12"},
		{"mon#5", "0 0 * * mon#5", "29"},
		{"5L", "0 0 * * 5L", "26"},
		{"L or a weekday", "0 0 L * fri#1", "5 31"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			p, err := Compile(Config{Specs: []Spec{{Cron: tc.expr}}})
			if err != nil {
				t.Fatal(err)
			}
			var days []string
			for _, at := range p.Between(mustTime(t, "2027-02-28T12:00:00Z"), mustTime(t, "2027-03-31T12:00:00Z"), 100) {
				days = append(days, fmt.Sprint(at.Day()))
			}
			if got := strings.Join(days, " "); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestNearestWeekdayStaysInItsMonth(t *testing.T) {
	for expr, want := range map[string]string{
		"0 0 1W 5 *":  "2027-05-03", // Saturday the first
		"0 0 1W 8 *":  "2027-08-02", // Sunday the first
		"0 0 31W 1 *": "2027-01-29", // Sunday the last
		"0 0 LW 2 *":  "2027-02-26", // Sunday the last
		"0 0 31W 7 *": "2027-07-30", // Saturday the last
		"0 0 29W 2 *": "2028-02-29", // 2027 has none
	} {
		p, err := Compile(Config{Specs: []Spec{{Cron: expr}}})
		if err != nil {
			t.Fatal(err)
		}
		if at, _ := p.Next(mustTime(t, "2027-01-01T00:00:00Z")); at.Format(time.DateOnly) != want {
			t.Errorf("%q: got %s, want %s", expr, at.Format(time.DateOnly), want)
		}
	}
}

func TestHashSpreadsEvenlyAndStays(t *testing.T) {
	var minutes [60]int
	for seed := range uint64(60_000) {
		c, err := ParseCron("H H(0-7) H * *", seed)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := ParseCron("H H(0-7) H * *", seed)
		if c != again {
			t.Fatalf("seed %d gives %s, then %s", seed, c, again)
		}
		p := Plan{sources: []source{newCronSource(c, nil, DST{})}, start: minMilli, end: maxMilli}
		at, _ := p.Next(time.Unix(0, 0))
		if minutes[at.Minute()]++; at.Hour() > 7 || at.Day() > 28 {
			t.Fatalf("seed %d gives %s", seed, c)
		}
	}
	for m, n := range minutes {
		if n < 800 || n > 1200 {
			t.Errorf("minute %d was chosen %d times of 60,000", m, n)
		}
	}
}

func TestHashWithAStepKeepsItsDistance(t *testing.T) {
	for seed := range uint64(100) {
		c, err := ParseCron("H/15 * * * *", seed)
		if err != nil {
			t.Fatal(err)
		}
		var n, first int
		for m := 59; m >= 0; m-- {
			if c.minute>>m&1 != 0 {
				n, first = n+1, m
			}
		}
		if n != 4 || first > 14 || c.minute != stepSet(&fields[fieldMinute], first, 59, 15) {
			t.Fatalf("seed %d gives %s", seed, c)
		}
	}
}

func TestCompiledFormIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Cron{}); n > 48 {
		t.Errorf("a Cron has %d bytes", n)
	}
	if n := unsafe.Sizeof(cronSource{}); n > 64 {
		t.Errorf("a cron source has %d bytes", n)
	}
}

func TestRandomExpressionsAreReadBack(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 20_000 {
		expr := randomExpr(r, true)
		c, err := ParseCron(expr, 0)
		if err != nil {
			continue
		}
		if again := mustCron(t, c.String()); again != c {
			t.Fatalf("%q is written %q, which is read as %+v, not %+v", expr, c, again, c)
		}
	}
}
