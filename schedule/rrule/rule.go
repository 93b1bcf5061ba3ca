package rrule

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sort"
	"time"

	"github.com/teknohole/jadwal/schedule"
)

// The choices for local times that a clock change leaves out or repeats. The
// empty string is the first of each.
const (
	gapRunAfter   = "run_after"
	gapSkip       = "skip"
	gapShift      = "shift"
	overlapAuto   = "auto"
	overlapFirst  = "first"
	overlapSecond = "second"
	overlapBoth   = "both"
)

// maxCount bounds COUNT, which is the only part that has to be counted out.
const maxCount = 100_000

// Rule is a compiled recurrence rule with its zone and its exceptions. It does
// not change; any number of goroutines may use it.
type Rule struct {
	spec   spec
	place  placement
	extra  []int64 // RDATE, Unix seconds, ascending
	except []int64 // EXDATE, Unix seconds, ascending
	noDays []int   // EXDATE;VALUE=DATE, local days, ascending
}

// Next gives the first occurrence strictly after a time, in UTC and in whole
// seconds. It is false when there is none up to the year 9999, or none of RRULE
// in the 100 years after that time (or after DTSTART, if that is later).
func (r *Rule) Next(after time.Time) (time.Time, bool) {
	t := after.Unix()
	if t == math.MaxInt64 {
		return time.Time{}, false
	}
	var k search
	at, ok := r.from(&k, t+1)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(at, 0).UTC(), true
}

// from gives the first occurrence at or after t.
func (r *Rule) from(k *search, t int64) (int64, bool) {
	limit := min(max(t, r.place.start), lastSecond) + horizon
	for {
		at, ok := r.place.next(k, t, limit)
		i := sort.Search(len(r.extra), func(i int) bool { return r.extra[i] >= t })
		if i < len(r.extra) && (!ok || r.extra[i] < at) {
			at, ok = r.extra[i], true
		}
		if !ok {
			return 0, false
		}
		_, to, excluded := r.excluded(k, at)
		if !excluded {
			return at, true
		}
		t = to
	}
}

// Prev gives the last occurrence strictly before a time, in UTC and in whole
// seconds. It is false when there is none, or none of RRULE in the 100 years
// before that time (or before UNTIL or the last of COUNT, if that is earlier).
func (r *Rule) Prev(before time.Time) (time.Time, bool) {
	t := before.Unix()
	if before.Nanosecond() == 0 {
		if t == math.MinInt64 {
			return time.Time{}, false
		}
		t--
	}
	var k search
	at, ok := r.upTo(&k, t)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(at, 0).UTC(), true
}

// upTo gives the last occurrence at or before t.
func (r *Rule) upTo(k *search, t int64) (int64, bool) {
	limit := max(min(t, r.place.last), r.place.start) - horizon
	for {
		at, ok := r.place.prev(k, t, limit)
		i := sort.Search(len(r.extra), func(i int) bool { return r.extra[i] > t })
		if i > 0 && (!ok || r.extra[i-1] > at) {
			at, ok = r.extra[i-1], true
		}
		if !ok {
			return 0, false
		}
		from, _, excluded := r.excluded(k, at)
		if !excluded {
			return at, true
		}
		t = from - 1
	}
}

// excluded tells whether EXDATE removes an instant, and then the whole stretch
// around it that is removed with it: from up to but not including to.
func (r *Rule) excluded(k *search, at int64) (from, to int64, yes bool) {
	if _, found := slices.BinarySearch(r.except, at); found {
		return at, at + 1, true
	}
	if len(r.noDays) == 0 {
		return 0, 0, false
	}
	e := k.at(&r.place, at)
	day := floorDiv(at+e.Offset, daySeconds)
	if _, found := slices.BinarySearch(r.noDays, int(day)); !found {
		return 0, 0, false
	}
	start := day*daySeconds - e.Offset
	return max(e.Start, start), min(e.End, start+daySeconds), true
}

// compile makes the rule that s describes. DTSTART is known by now: wall is
// its local time in the zone, in wall seconds.
func compile(k *search, s spec, gap, overlap string) (*Rule, error) {
	pattern, ok := newPattern(&s)
	if !ok {
		return nil, refuse("INTERVAL", codeCostly, "INTERVAL=%d with so many times of day takes too long to compute; take a multiple of 60, or fewer values in BYHOUR, BYMINUTE and BYSECOND", s.interval)
	}
	p := placement{
		pattern: pattern, zone: s.zone, table: schedule.OffsetsOf(s.zone), fixed: s.freq >= daily, gap: gap, overlap: overlap,
		last: lastSecond,
	}
	if overlap == overlapAuto {
		p.overlap = overlapBoth
		if p.fixed {
			p.overlap = overlapFirst
		}
	}
	p.start = s.begin.first(&p)
	p.minDay = int(floorDiv(p.start, daySeconds)) - 2
	if s.until.kind != absent {
		p.last = min(p.last, s.until.end(&p))
	}

	first, ok := p.next(k, p.start, p.start+horizon)
	if !ok {
		p.last = lastSecond
		if s.until.kind != absent {
			first, ok = p.next(k, p.start, p.start+horizon)
		}
		if ok {
			return nil, refuse("UNTIL", codeNever, "UNTIL=%s is before the first occurrence, %s", s.until.text(), time.Unix(first, 0).In(s.zone).Format(time.RFC3339))
		}
		return nil, refuse("", codeNever, "the rule never fires: no date of the 100 years after its beginning fits all of %s", s.ruleText())
	}
	if s.count > 0 {
		if p.last, ok = p.countTo(k, first, s.count); !ok {
			return nil, refuse("COUNT", codeCostly, "COUNT=%d of this rule takes too long to count; take a lower one, or UNTIL", s.count)
		}
	}

	r := &Rule{spec: s, place: p}
	fixed := p
	fixed.fixed = true
	if overlap == overlapAuto {
		fixed.overlap = overlapFirst
	}
	for _, v := range s.rdates {
		switch v.kind {
		case date:
			r.extra = appendImages(r.extra, &fixed, v.wall+mod(s.beginWall, daySeconds))
		case local:
			r.extra = appendImages(r.extra, &fixed, v.wall)
		default:
			r.extra = append(r.extra, v.wall)
		}
	}
	for _, v := range s.exdates {
		switch v.kind {
		case date:
			r.noDays = append(r.noDays, int(v.wall/daySeconds))
		case local:
			r.except = appendImages(r.except, &p, v.wall)
		default:
			r.except = append(r.except, v.wall)
		}
	}
	slices.Sort(r.extra)
	slices.Sort(r.except)
	slices.Sort(r.noDays)
	if _, ok := r.from(k, math.MinInt64); !ok {
		return nil, refuse("EXDATE", codeNever, "EXDATE removes every occurrence of the rule, so it never fires")
	}
	return r, nil
}

func appendImages(list []int64, p *placement, wall int64) []int64 {
	at, n := p.images(wall)
	return append(list, at[:n]...)
}

// lastSecond is the end of the year 9999, the last that a DATE-TIME can hold
// (RFC 5545 section 3.3.5), less a day so that no zone leaves that year.
var lastSecond = int64(dayOf(9999, 12, 31))*daySeconds - 1

// newPattern applies RFC 5545's table (section 3.3.10, page 44): a part for a
// period shorter than FREQ expands, any other limits, and what no part says
// comes from DTSTART.
func newPattern(s *spec) (pattern, bool) {
	begin := s.beginWall
	day := int(floorDiv(begin, daySeconds))
	second := int(mod(begin, daySeconds))
	p := pattern{
		freq:     s.freq,
		interval: int64(s.interval),
		days:     newDayFilter(s, day),
		limit:    midnight,
		inner:    midnight,
		maxDay:   dayOf(9999, 12, 31),
		minDay:   dayOf(1, 1, 1),
	}

	hours := uint32(bitsOf(s.lists[byHour], allHours))
	minutes := bitsOf(s.lists[byMinute], allSixty)
	seconds := bitsOf(s.lists[bySecond], allSixty)
	derive := func(list []int, all, own uint64) uint64 {
		if list != nil {
			return all
		}
		return own
	}
	ownHours := uint32(derive(s.lists[byHour], uint64(hours), 1<<(second/3600)))
	ownMinutes := derive(s.lists[byMinute], minutes, 1<<(second/60%60))
	ownSeconds := derive(s.lists[bySecond], seconds, 1<<(second%60))
	switch s.freq {
	case secondly:
		p.limit = clock{hours, minutes, seconds}
	case minutely:
		p.limit = clock{hours, minutes, 1}
		p.inner = clock{1, 1, ownSeconds}
	case hourly:
		p.limit = clock{hours, 1, 1}
		p.inner = clock{1, ownMinutes, ownSeconds}
	default:
		p.inner = clock{ownHours, ownMinutes, ownSeconds}
	}

	if s.freq < daily {
		p.phase = floorDiv(begin, int64(s.freq.unit()))
	} else {
		p.phase = p.periodOf(day)
	}
	if s.freq <= daily {
		p.fold()
		var ok bool
		if p.stride, ok = newStride(&p); !ok {
			return p, false
		}
	}
	p.days.tabulate()
	if setPos := s.lists[bySetPos]; setPos != nil {
		if s.freq >= weekly {
			p.sets = true
			p.setPos = reachable(setPos, p.inner.size()*[]int{weekly: bits.OnesCount8(p.days.weekdays), monthly: 31, yearly: 371}[s.freq])
		} else {
			p.picked = pick(p.inner, setPos)
		}
	}
	return p, true
}

// pick applies BYSETPOS to what one tick expands to. The result is not nil.
func pick(inner clock, setPos []int) []int {
	picked := []int{}
	for _, pos := range setPos {
		i := pos - 1
		if pos < 0 {
			i = inner.size() + pos
		}
		if i >= 0 && i < inner.size() {
			picked = append(picked, inner.at(i))
		}
	}
	slices.Sort(picked)
	return slices.Compact(picked)
}

// reachable parts positions into those from the front and those from the end,
// without any that no set of that size has.
func reachable(setPos []int, size int) (parted [2][]int) {
	for _, pos := range setPos {
		switch {
		case max(pos, -pos) > size:
		case pos > 0:
			parted[0] = append(parted[0], pos)
		default:
			parted[1] = append(parted[1], pos)
		}
	}
	return parted
}

// newDayFilter gathers the parts that speak of days. DTSTART adds a day only
// where no part does (RFC 5545 section 3.3.10: "the appropriate minute, hour,
// day, or month would have been retrieved from the DTSTART property").
func newDayFilter(s *spec, begin int) dayFilter {
	_, month, d := civil(begin)
	f := dayFilter{
		months:   uint16(bitsOf(s.lists[byMonth], 0)),
		wkst:     s.wkst,
		weeks:    signedBits(s.lists[byWeekNo]),
		yearDays: signedBitset(s.lists[byYearDay]),
	}
	if days := signedBits(s.lists[byMonthDay]); days != nil {
		f.monthDays, f.monthDaysEnd = uint32(days[0]>>1), uint32(days[1]>>1)
	}
	for _, day := range s.byDay {
		if day.n == 0 {
			f.weekdays |= 1 << day.weekday
		} else {
			f.ordinals = append(f.ordinals, day)
		}
	}
	f.ordinalYear = s.freq == yearly && f.months == 0
	if !f.ordinalYear { // no month has a sixth
		f.ordinals = slices.DeleteFunc(f.ordinals, func(o weekdayNum) bool { return max(o.n, -o.n) > 5 })
	}

	named := s.byDay != nil || s.lists[byMonthDay] != nil || s.lists[byYearDay] != nil
	switch {
	case named || s.freq <= daily:
	case s.freq == weekly, f.weeks != nil:
		f.weekdays = 1 << weekdayOf(begin)
	default:
		f.monthDays = 1 << (d - 1)
		if s.freq == yearly && f.months == 0 {
			f.months = 1 << month
		}
	}
	f.any = f.months == 0 && f.monthDays|f.monthDaysEnd == 0 && f.weekdays == 0 &&
		f.ordinals == nil && f.yearDays == nil && f.weeks == nil
	return f
}

// bitsOf makes a set of a list, or gives all when there is no list.
func bitsOf(list []int, all uint64) uint64 {
	if list == nil {
		return all
	}
	var set uint64
	for _, v := range list {
		set |= 1 << v
	}
	return set
}

// signedBits makes two sets of a list: what counts from the front and what
// counts from the end. It gives nil when there is no list.
func signedBits(list []int) *[2]uint64 {
	if list == nil {
		return nil
	}
	var sets [2]uint64
	for _, v := range list {
		if v > 0 {
			sets[0] |= 1 << v
		} else {
			sets[1] |= 1 << -v
		}
	}
	return &sets
}

func signedBitset(list []int) *[2]bitset {
	if list == nil {
		return nil
	}
	var sets [2]bitset
	for _, v := range list {
		if v > 0 {
			sets[0].set(v)
		} else {
			sets[1].set(-v)
		}
	}
	return &sets
}

// Error is a refusal of a rule's text. Part names what is wrong, as RFC 5545
// writes it (BYDAY, DTSTART, …; empty for the whole), Code is for programs,
// Message is one sentence for a person.
type Error struct {
	Part, Code, Message string
}

func (e *Error) Error() string { return e.Message }

// The codes of Error.
const (
	codeSyntax   = "syntax"       // it cannot be read
	codeRange    = "out_of_range" // a number or date beyond its limits
	codeUnknown  = "unknown"      // a name that means nothing here
	codeMissing  = "missing"      // something required is not there
	codeRepeated = "duplicate"    // twice where once is allowed
	codeConflict = "conflict"     // two parts that exclude each other
	codeTooLong  = "too_long"     // the text or a list
	codeCostly   = "too_costly"   // it would take too long to compute
	codeNever    = "never_fires"  // well-formed, but without occurrences
)

func refuse(part, code, format string, args ...any) *Error {
	return &Error{part, code, fmt.Sprintf(format, args...)}
}
