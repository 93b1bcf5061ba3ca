package rrule

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var randomRules = flag.Int("rules", 80, "how many random rules the oracle judges")

// oracle is the recurrence written down once more, as slowly and plainly as it
// goes: it looks at every day and every second of a window and asks of each
// whether every part allows it. It shares no code with the package.
type oracle struct {
	freq     string
	interval int
	lists    map[string][]int
	byDay    []string // "MO", "-1FR"
	wkst     time.Weekday
	zone     *time.Location
	begin    time.Time // DTSTART as a wall time, in UTC
	gap      string
	overlap  string
	count    int
	until    time.Time // an instant; zero: none

	offsets map[int64][]int64 // by day: the offsets of that day and its neighbours
}

var oracleDays = map[string]time.Weekday{
	"SU": time.Sunday, "MO": time.Monday, "TU": time.Tuesday, "WE": time.Wednesday,
	"TH": time.Thursday, "FR": time.Friday, "SA": time.Saturday,
}

func (o *oracle) finerThanDay() bool {
	return o.freq == "HOURLY" || o.freq == "MINUTELY" || o.freq == "SECONDLY"
}

func (o *oracle) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "DTSTART;TZID=%s:%s\nRRULE:FREQ=%s;INTERVAL=%d", o.zone, o.begin.Format("20060102T150405"), o.freq, o.interval)
	for _, name := range []string{"BYMONTH", "BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYHOUR", "BYMINUTE", "BYSECOND", "BYSETPOS"} {
		if list, ok := o.lists[name]; ok {
			fmt.Fprintf(&b, ";%s=%s", name, strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ","), "[]"))
		}
	}
	if o.byDay != nil {
		fmt.Fprintf(&b, ";BYDAY=%s", strings.Join(o.byDay, ","))
	}
	for name, day := range oracleDays {
		if day == o.wkst {
			fmt.Fprintf(&b, ";WKST=%s", name)
		}
	}
	if o.count > 0 {
		fmt.Fprintf(&b, ";COUNT=%d", o.count)
	}
	if !o.until.IsZero() {
		fmt.Fprintf(&b, ";UNTIL=%s", o.until.UTC().Format("20060102T150405Z"))
	}
	return b.String()
}

// weekStart steps back to the first day of the week.
func (o *oracle) weekStart(day time.Time) time.Time {
	for day.Weekday() != o.wkst {
		day = day.AddDate(0, 0, -1)
	}
	return day
}

// week gives the year that a day's week belongs to (the one with most of its
// days) and its number in it.
func (o *oracle) week(day time.Time) (year, number int) {
	start := o.weekStart(day)
	owner := func(start time.Time) int {
		in := map[int]int{}
		for i := range 7 {
			in[start.AddDate(0, 0, i).Year()]++
		}
		for year, days := range in {
			if days >= 4 {
				return year
			}
		}
		panic("a week without a year")
	}
	year = owner(start)
	for owner(start) == year {
		number++
		start = start.AddDate(0, 0, -7)
	}
	return year, number
}

// period names the interval of FREQ that a wall time is in, by counting.
func (o *oracle) period(w time.Time) int {
	switch o.freq {
	case "YEARLY":
		if _, ok := o.lists["BYWEEKNO"]; ok {
			year, _ := o.week(w.Truncate(24 * time.Hour))
			return year
		}
		return w.Year()
	case "MONTHLY":
		return w.Year()*12 + int(w.Month())
	case "WEEKLY":
		return int(o.weekStart(w.Truncate(24*time.Hour)).Unix()) / 86400 / 7 // always the same weekday after 1970
	case "DAILY":
		return int(w.Unix() / 86400)
	case "HOURLY":
		return int(w.Unix() / 3600)
	case "MINUTELY":
		return int(w.Unix() / 60)
	}
	return int(w.Unix())
}

func has(list []int, n, length int) bool {
	return slices.Contains(list, n) || slices.Contains(list, n-length-1)
}

func (o *oracle) allowsDay(day time.Time) bool {
	year, month, d := day.Date()
	lastOfMonth := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
	lastOfYear := time.Date(year, 12, 31, 0, 0, 0, 0, time.UTC).YearDay()
	if list, ok := o.lists["BYMONTH"]; ok && !slices.Contains(list, int(month)) {
		return false
	}
	if list, ok := o.lists["BYMONTHDAY"]; ok && !has(list, d, lastOfMonth) {
		return false
	}
	if list, ok := o.lists["BYYEARDAY"]; ok && !has(list, day.YearDay(), lastOfYear) {
		return false
	}
	if list, ok := o.lists["BYWEEKNO"]; ok {
		weekYear, number := o.week(day)
		last := 0
		for d := time.Date(weekYear, 12, 1, 0, 0, 0, 0, time.UTC); ; d = d.AddDate(0, 0, 1) {
			y, n := o.week(d)
			if y != weekYear {
				break
			}
			last = n
		}
		if !has(list, number, last) {
			return false
		}
	}
	if o.byDay != nil {
		fits := false
		for _, text := range o.byDay {
			if oracleDays[text[len(text)-2:]] != day.Weekday() {
				continue
			}
			n := 0
			if fmt.Sscanf(text[:len(text)-2], "%d", &n); n == 0 {
				fits = true
				continue
			}
			// Count such weekdays from the near end of the month or year.
			inside := func(other time.Time) bool {
				_, months := o.lists["BYMONTH"]
				return other.Year() == year && (other.Month() == month || o.freq == "YEARLY" && !months)
			}
			step, nth := -7, 0
			if n < 0 {
				step = 7
			}
			for other := day; inside(other); other = other.AddDate(0, 0, step) {
				nth++
			}
			fits = fits || nth == max(n, -n)
		}
		if !fits {
			return false
		}
	}
	// What DTSTART says where no part does.
	_, a := o.lists["BYMONTHDAY"]
	_, b := o.lists["BYYEARDAY"]
	_, c := o.lists["BYWEEKNO"]
	_, m := o.lists["BYMONTH"]
	if a || b || o.byDay != nil || o.finerThanDay() || o.freq == "DAILY" {
		return true
	}
	if o.freq == "WEEKLY" || c {
		return day.Weekday() == o.begin.Weekday()
	}
	return d == o.begin.Day() && (o.freq == "MONTHLY" || m || month == o.begin.Month())
}

// allowsTime judges one of hour, minute and second; finest is the frequency
// that has one period for each of them.
func (o *oracle) allowsTime(part string, n, begin int, running bool) bool {
	if list, ok := o.lists[part]; ok {
		return slices.Contains(list, n)
	}
	return running || n == begin
}

// wallTimes gives every wall time from one day to another.
func (o *oracle) wallTimes(from, to time.Time) []time.Time {
	var all []time.Time
	for day := from; day.Before(to); day = day.AddDate(0, 0, 1) {
		if !o.allowsDay(day) {
			continue
		}
		for h := range 24 {
			if !o.allowsTime("BYHOUR", h, o.begin.Hour(), o.finerThanDay()) {
				continue
			}
			for m := range 60 {
				if !o.allowsTime("BYMINUTE", m, o.begin.Minute(), o.freq == "MINUTELY" || o.freq == "SECONDLY") {
					continue
				}
				for s := range 60 {
					w := day.Add(time.Duration(h*3600+m*60+s) * time.Second)
					if o.allowsTime("BYSECOND", s, o.begin.Second(), o.freq == "SECONDLY") &&
						(o.period(w)-o.period(o.begin))%o.interval == 0 {
						all = append(all, w)
					}
				}
			}
		}
	}
	positions, ok := o.lists["BYSETPOS"]
	if !ok {
		return all
	}
	var chosen []time.Time
	for len(all) > 0 {
		n := 0
		for n < len(all) && o.period(all[n]) == o.period(all[0]) {
			n++
		}
		for i := range n {
			if has(positions, i+1, n) {
				chosen = append(chosen, all[i])
			}
		}
		all = all[n:]
	}
	return chosen
}

// zoneOffsets gives every offset in force within two days of a wall time.
func (o *oracle) zoneOffsets(w int64) []int64 {
	day := w / 86400
	if found, ok := o.offsets[day]; ok {
		return found
	}
	var found []int64
	for t := day*86400 - 2*86400; t < day*86400+3*86400; t += 900 {
		_, offset := time.Unix(t, 0).In(o.zone).Zone()
		if !slices.Contains(found, int64(offset)) {
			found = append(found, int64(offset))
		}
	}
	o.offsets[day] = found
	return found
}

// instants gives the Unix seconds at which a wall time fires.
func (o *oracle) instants(wall time.Time) []int64 {
	w := wall.Unix()
	shows := func(t int64) int64 {
		_, offset := time.Unix(t, 0).In(o.zone).Zone()
		return t + int64(offset)
	}
	var at []int64
	for _, offset := range o.zoneOffsets(w) {
		if shows(w-offset) == w {
			at = append(at, w-offset)
		}
	}
	slices.Sort(at)
	if len(at) == 2 {
		choice := o.overlap
		if choice == "auto" && o.finerThanDay() || choice == "both" {
			return at
		}
		if choice == "second" {
			return at[1:]
		}
		return at[:1]
	}
	if len(at) == 1 || o.finerThanDay() || o.gap == "skip" {
		return at
	}
	// It was left out. Look for the moment at which the clock jumped over it,
	// unless the whole day is missing.
	midnight := w - w%86400
	dayExists := false
	jump := int64(0)
	for t := w - 40*3600; t < w+40*3600; t += 60 {
		s := shows(t)
		dayExists = dayExists || s >= midnight && s < midnight+86400
		if s < w && shows(t+60) > w {
			jump = t + 1
			for shows(jump) < w {
				jump++
			}
		}
	}
	if !dayExists {
		return nil
	}
	if o.gap == "shift" {
		return []int64{w - (shows(jump-1) - jump + 1)}
	}
	return []int64{jump}
}

// occurrences gives all of them in a window of days that starts with DTSTART.
// The rule may know more after the window.
func (o *oracle) occurrences(days int) []int64 {
	beginDay := o.begin.Truncate(24 * time.Hour)
	from, to := beginDay.AddDate(0, 0, -2), beginDay.AddDate(0, 0, days)
	if _, ok := o.lists["BYSETPOS"]; ok && !o.finerThanDay() && o.freq != "DAILY" {
		// Positions count within whole periods.
		from = time.Date(beginDay.Year()-1, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, -20)
		to = to.AddDate(1, 0, 20)
	}
	start := o.start()
	var all []int64
	for _, wall := range o.wallTimes(from, to) {
		for _, t := range o.instants(wall) {
			if t >= start && (o.until.IsZero() || t <= o.until.Unix()) {
				all = append(all, t)
			}
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if o.count > 0 && len(all) > o.count {
		all = all[:o.count]
	}
	return all
}

// start is the instant of DTSTART: of two the first, in a gap after it.
func (o *oracle) start() int64 {
	as := *o
	as.freq, as.overlap = "DAILY", "first"
	if as.gap == "skip" {
		as.gap = "run_after"
	}
	return as.instants(o.begin)[0]
}

// oracleZones and days near their changes, so that most windows hold one.
var oracleZones = []struct{ zone, day string }{
	{"UTC", "2024-02-20"},
	{"America/New_York", "2026-03-06"}, {"America/New_York", "2026-10-30"},
	{"Europe/Berlin", "2026-03-27"}, {"Europe/Berlin", "2026-10-23"},
	{"Australia/Lord_Howe", "2026-10-02"}, {"Australia/Lord_Howe", "2026-04-03"},
	{"Asia/Jakarta", "2027-12-28"},
	{"Europe/Dublin", "2025-10-24"}, {"Europe/Dublin", "2026-03-27"},
	{"America/Sao_Paulo", "2018-11-02"}, {"America/Sao_Paulo", "2018-02-16"},
	{"Pacific/Apia", "2011-12-27"},
	{"America/Goose_Bay", "2010-11-05"}, {"America/Goose_Bay", "2010-03-12"},
	{"America/New_York", "2040-12-29"}, {"Europe/Berlin", "2044-12-29"}, // beyond the zones' tables
	{"Asia/Kathmandu", "1985-12-30"}, {"Africa/Casablanca", "2026-02-13"},
}

func randomOracle(r *rand.Rand, t testing.TB) (*oracle, int) {
	o := &oracle{lists: map[string][]int{}, offsets: map[int64][]int64{}}
	freqs := []string{"YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"}
	windows := []int{3000, 1200, 900, 500, 60, 6, 3}
	f := r.IntN(len(freqs))
	o.freq = freqs[f]
	o.interval = []int{1, 1, 1, 2, 3, 4, 5, 7, 11, 25, 45, 90, 1441, 3601}[r.IntN(min(14, 6+f+max(0, f-3)))]
	o.wkst = time.Weekday(r.IntN(7))
	z := oracleZones[r.IntN(len(oracleZones))]
	o.zone = mustZone(t, z.zone)
	day, err := time.Parse("2006-01-02", z.day)
	if err != nil {
		t.Fatal(err)
	}
	if f < 4 {
		day = day.AddDate(0, 0, -r.IntN(windows[f]/2))
	}
	o.begin = day.Add(time.Duration(r.IntN(4*12)*300) * time.Second)
	if r.IntN(4) == 0 {
		o.begin = day.Add(time.Duration(r.IntN(86400)) * time.Second)
	}
	o.gap = []string{"run_after", "skip", "shift"}[r.IntN(3)]
	o.overlap = []string{"auto", "first", "second", "both"}[r.IntN(4)]

	some := func(name string, chance, low, high, most int, signed bool) {
		if r.IntN(chance) != 0 {
			return
		}
		var list []int
		for range 1 + r.IntN(most) {
			n := low + r.IntN(high-low+1)
			if signed && r.IntN(3) == 0 {
				n = -n
			}
			list = append(list, n)
		}
		o.lists[name] = list
	}
	some("BYMONTH", 4, 1, 12, 6, false)
	if o.freq == "YEARLY" {
		some("BYWEEKNO", 4, 1, 53, 8, true)
	}
	if o.freq == "YEARLY" || o.finerThanDay() {
		some("BYYEARDAY", 6, 1, 366, 60, true)
	}
	if o.freq != "WEEKLY" {
		some("BYMONTHDAY", 4, 1, 31, 8, true)
	}
	if r.IntN(2) == 0 {
		names := []string{"SU", "MO", "TU", "WE", "TH", "FR", "SA"}
		_, weeks := o.lists["BYWEEKNO"]
		for range 1 + r.IntN(4) {
			text := names[r.IntN(7)]
			if (o.freq == "MONTHLY" || o.freq == "YEARLY" && !weeks) && r.IntN(2) == 0 {
				n := 1 + r.IntN(5)
				if o.freq == "YEARLY" && r.IntN(2) == 0 {
					n = 1 + r.IntN(53)
				}
				text = fmt.Sprint([]int{n, -n}[r.IntN(2)]) + text
			}
			o.byDay = append(o.byDay, text)
		}
	}
	some("BYHOUR", 3, 0, 4, 3, false) // where clocks change
	if o.freq == "SECONDLY" {
		some("BYMINUTE", 2, 0, 59, 5, false)
		some("BYSECOND", 2, 0, 59, 5, false)
	} else {
		some("BYMINUTE", 3, 0, 59, 4, false)
		some("BYSECOND", 6, 0, 59, 3, false)
	}
	if len(o.lists) > 0 || o.byDay != nil {
		some("BYSETPOS", 4, 1, 5, 3, true)
	}
	switch r.IntN(6) {
	case 0:
		o.count = 1 + r.IntN(40)
	case 1:
		o.until = o.begin.Add(time.Duration(r.IntN(windows[f]*86400)) * time.Second)
	}
	return o, windows[f]
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 5545)) }

func TestRandomRulesAgreeWithAnOracle(t *testing.T) {
	checked, empty, total := 0, 0, 0
	for seed := range *randomRules {
		r := newRand(uint64(seed))
		o, days := randomOracle(r, t)
		want := o.occurrences(days)
		rule, err := Parse(o.text(), nil, time.Time{}, o.gap, o.overlap)
		if err != nil {
			if refusal := (*Error)(nil); len(want) == 0 && errors.As(err, &refusal) && refusal.Code == codeNever {
				empty++
				continue
			}
			t.Fatalf("seed %d: %s\n%v, but the oracle knows %d occurrences", seed, o.text(), err, len(want))
		}
		end := o.begin.AddDate(0, 0, days-2).Unix()
		agree(t, fmt.Sprintf("seed %d, gap %s, overlap %s:\n%s", seed, o.gap, o.overlap, o.text()), rule, want, end, r)
		checked++
		total += len(want)
	}
	t.Logf("%d rules agree over %d occurrences, %d are empty", checked, total, empty)
	if checked < empty {
		t.Errorf("only %d rules had occurrences, %d had none", checked, empty)
	}
}

// agree walks a rule forward and backward over the occurrences up to end, and
// jumps into the middle.
func agree(t *testing.T, name string, rule *Rule, want []int64, end int64, r *rand.Rand) {
	t.Helper()
	for len(want) > 0 && want[len(want)-1] > end {
		want = want[:len(want)-1]
	}
	show := func(unix int64) string {
		return time.Unix(unix, 0).In(rule.place.zone).Format(time.RFC3339)
	}
	if len(want) > 3000 {
		at := r.IntN(len(want) - 3000)
		checkEnds := want[at : at+3000]
		want = checkEnds
	} else if prev, ok := rule.Prev(time.Unix(min(end, rule.place.start), 0)); ok {
		t.Fatalf("%s\nthere is %v before the start", name, prev)
	}
	if len(want) == 0 {
		if next, ok := rule.Next(time.Unix(0, 0)); ok && next.Unix() <= end {
			t.Fatalf("%s\nthe oracle has none up to %s, the rule %s", name, show(end), show(next.Unix()))
		}
		return
	}
	at := time.Unix(want[0]-1, 999_999_999)
	for i, unix := range want {
		next, ok := rule.Next(at)
		if !ok || next.Unix() != unix {
			t.Fatalf("%s\noccurrence %d after %s is %s, %v; want %s", name, i, at.In(rule.place.zone), show(next.Unix()), ok, show(unix))
		}
		at = next
	}
	if next, ok := rule.Next(at); ok && next.Unix() <= end && len(want) < 3000 {
		t.Fatalf("%s\nafter the last, %s, comes %s", name, show(at.Unix()), show(next.Unix()))
	}
	at = at.Add(time.Nanosecond)
	for i := len(want) - 1; i >= 0; i-- {
		prev, ok := rule.Prev(at)
		if !ok || prev.Unix() != want[i] {
			t.Fatalf("%s\nbackwards, the one before %s is %s, %v; want %s", name, at.In(rule.place.zone), show(prev.Unix()), ok, show(want[i]))
		}
		at = prev
	}
	for range 20 {
		jump := want[0] + r.Int64N(want[len(want)-1]-want[0]+1)
		i, _ := slices.BinarySearch(want, jump)
		if next, ok := rule.Next(time.Unix(jump-1, 0)); !ok || next.Unix() != want[i] {
			t.Fatalf("%s\nnot before %s comes %s, %v; want %s", name, show(jump), show(next.Unix()), ok, show(want[i]))
		}
		i, found := slices.BinarySearch(want, jump)
		if !found {
			i--
		}
		if prev, ok := rule.Prev(time.Unix(jump+1, 0)); !ok || prev.Unix() != want[i] {
			t.Fatalf("%s\nnot after %s comes %s, %v; want %s", name, show(jump), show(prev.Unix()), ok, show(want[i]))
		}
	}
}
