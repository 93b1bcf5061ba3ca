package rrule

import (
	"math"
	"time"
)

// era is a stretch of instants, Unix seconds from start up to but not
// including end, in which a zone's offset (seconds east of UTC) does not
// change. The first begins at MinInt64, the last ends at MaxInt64.
type era struct {
	start, end, offset int64
}

func (e *era) holds(t int64) bool { return e.start <= t && t < e.end }

func eraAt(zone *time.Location, t int64) era {
	at := time.Unix(t, 0).In(zone)
	_, offset := at.Zone()
	e := era{math.MinInt64, math.MaxInt64, int64(offset)}
	start, end := at.ZoneBounds()
	if !start.IsZero() {
		e.start = start.Unix()
	}
	if !end.IsZero() {
		e.end = end.Unix()
	}
	// Beyond its table ZoneBounds takes every year to have 365 days, so that on
	// December 31 of a leap year (2040 is the first) it gives an end that is past.
	for e.end <= t {
		e.end += daySeconds
	}
	return e
}

func offsetAt(zone *time.Location, t int64) int64 {
	_, offset := time.Unix(t, 0).In(zone).Zone()
	return int64(offset)
}

// reach is further than any wall time is from UTC, or any transition moves
// the clock (24 hours, at the date line), in seconds.
const reach = 26 * 3600

// placement puts a pattern's wall times onto the line of instants.
//
// A fixed pattern (daily and coarser) says at which local times it fires: one
// that a clock change leaves out is dealt with as gap says, and one that
// happens twice fires on the first pass unless overlap says otherwise.
// Any other pattern follows the clock: it has nothing to make up in a gap, and
// fires on both passes unless overlap says otherwise. A local day that a zone
// left out as a whole (Apia, 2011-12-30) does not exist for either.
type placement struct {
	pattern
	zone    *time.Location
	fixed   bool
	gap     string // runAfter, skip or shift
	overlap string // first, second or both
	start   int64  // no instant is before start or after last, Unix seconds
	last    int64
}

// accepts tells whether a wall time fires in an era, which it may be in on a
// second pass, on a first pass that a second one follows, or on its only one.
func (p *placement) accepts(first, second bool) bool {
	switch p.overlap {
	case overlapFirst:
		return !second
	case overlapSecond:
		return !first
	}
	return true
}

// next gives the first instant at or after t. e is a cache of the last era
// looked at, for callers that go on from there.
func (p *placement) next(e *era, t int64) (int64, bool) {
	t = max(t, p.start)
	for t <= p.last {
		if !e.holds(t) {
			*e = eraAt(p.zone, t)
		}
		before, after := p.around(e, t)
		lost, hasLost := p.nextLost(e, before, t)
		w := t + e.offset
		var nominal int64
		var found, repeat bool
		for {
			nominal, found = p.pattern.next(w)
			if !found || nominal-e.offset >= e.end || hasLost && nominal-e.offset >= lost {
				break
			}
			if nominal >= e.end-reach+e.offset && after == unknown {
				after = offsetAt(p.zone, e.end)
			}
			first := after != unknown && nominal-after >= e.end
			second := before != unknown && nominal-before < e.start
			if p.accepts(first, second) {
				break
			}
			if first {
				// What follows in this era is all on a first pass too.
				repeat = true
				break
			}
			w = e.start + before
		}
		switch {
		case hasLost && lost < e.end && (!found || repeat || nominal-e.offset >= lost):
			return lost, lost <= p.last
		case found && !repeat && nominal-e.offset < e.end:
			return nominal - e.offset, nominal-e.offset <= p.last
		case e.end == math.MaxInt64:
			return 0, false
		}
		if after == unknown {
			after = offsetAt(p.zone, e.end)
		}
		switch {
		case repeat || t+e.offset > e.end+after:
			t = e.end // wall times before w come again
		case !found:
			return 0, false
		default:
			t = max(e.end, nominal-reach)
		}
	}
	return 0, false
}

// prev gives the last instant at or before t.
func (p *placement) prev(e *era, t int64) (int64, bool) {
	t = min(t, p.last)
	for t >= p.start {
		if !e.holds(t) {
			*e = eraAt(p.zone, t)
		}
		before, after := unknown, unknown
		if e.start != math.MinInt64 {
			before = offsetAt(p.zone, e.start-1)
		}
		if e.end != math.MaxInt64 && t >= e.end-reach {
			after = offsetAt(p.zone, e.end)
		}
		lost, hasLost := p.prevLost(e, before, t)
		w := t + e.offset
		var nominal int64
		var found, in bool
		for {
			nominal, found = p.pattern.prev(w)
			in = found && (e.start == math.MinInt64 || nominal-e.offset >= e.start)
			if !in {
				break
			}
			first := after != unknown && nominal-after >= e.end
			second := before != unknown && nominal-before < e.start
			if p.accepts(first, second) {
				break
			}
			if second {
				in = false
				break
			}
			w = e.end + after - 1
		}
		switch {
		case in && (!hasLost || nominal-e.offset >= lost):
			return nominal - e.offset, nominal-e.offset >= p.start
		case hasLost:
			return lost, lost >= p.start
		case e.start == math.MinInt64:
			return 0, false
		case t+e.offset < e.start+before || found && nominal-e.offset >= e.start:
			t = e.start - 1 // wall times after w were there before
		case !found:
			return 0, false
		default:
			t = min(e.start-1, nominal+reach)
		}
	}
	return 0, false
}

// unknown stands for an offset that was not looked up because nothing near
// enough needs it. No zone has it.
const unknown = int64(math.MinInt64)

// around gives the offsets before and after an era as far as t is near them.
func (p *placement) around(e *era, t int64) (before, after int64) {
	before, after = unknown, unknown
	if e.start != math.MinInt64 && t < e.start+reach {
		before = offsetAt(p.zone, e.start-1)
	}
	if e.end != math.MaxInt64 && t >= e.end-reach {
		after = offsetAt(p.zone, e.end)
	}
	return before, after
}

// lostRanges gives the wall times between era e and the one before it that no
// clock showed, without the days that are missing as a whole.
func lostRanges(e *era, before int64) [2][2]int64 {
	from, to := e.start+before, e.start+e.offset
	firstDay := from + mod(-from, daySeconds)
	lastDay := to - mod(to, daySeconds)
	if firstDay < lastDay {
		return [2][2]int64{{from, firstDay}, {lastDay, to}}
	}
	return [2][2]int64{{from, to}}
}

// nextLost gives the first instant at or after t that stands for a wall time
// lost at the start of e.
func (p *placement) nextLost(e *era, before, t int64) (int64, bool) {
	if !p.fixed || p.gap == gapSkip || before == unknown || before >= e.offset {
		return 0, false
	}
	if p.gap == gapRunAfter && t > e.start {
		return 0, false
	}
	for _, r := range lostRanges(e, before) {
		from := r[0]
		if p.gap == gapShift {
			from = max(from, t+before)
		}
		if w, ok := p.pattern.next(from); ok && w < r[1] {
			if p.gap == gapRunAfter {
				return e.start, true
			}
			return w - before, true
		}
	}
	return 0, false
}

// prevLost gives the last instant at or before t that stands for a wall time
// lost at the start of e.
func (p *placement) prevLost(e *era, before, t int64) (int64, bool) {
	if !p.fixed || p.gap == gapSkip || before == unknown || before >= e.offset {
		return 0, false
	}
	ranges := lostRanges(e, before)
	for i := len(ranges) - 1; i >= 0; i-- {
		to := ranges[i][1] - 1
		if p.gap == gapShift {
			to = min(to, t+before)
		}
		if w, ok := p.pattern.prev(to); ok && w >= ranges[i][0] {
			if p.gap == gapRunAfter {
				return e.start, true
			}
			return w - before, true
		}
	}
	return 0, false
}

// images gives the instants, none to two, at which a single wall time fires.
func (p *placement) images(w int64) (at [2]int64, n int) {
	one := placement{
		pattern: single(w), zone: p.zone, fixed: p.fixed, gap: p.gap, overlap: p.overlap,
		start: w - 2*reach, last: w + 2*reach,
	}
	var e era
	for t := one.start; n < 2; n++ {
		i, ok := one.next(&e, t)
		if !ok {
			break
		}
		at[n] = i
		t = i + 1
	}
	return at, n
}

// single is the pattern that has only the wall time w.
func single(w int64) pattern {
	day := floorDiv(w, daySeconds)
	s := int(w - day*daySeconds)
	return pattern{
		freq: daily, interval: 1, phase: day, days: dayFilter{any: true}, limit: midnight,
		inner:  clock{1 << (s / 3600), 1 << (s / 60 % 60), 1 << (s % 60)},
		minDay: int(day), maxDay: int(day),
	}
}

var midnight = clock{1, 1, 1}
