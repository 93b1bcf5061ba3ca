package rrule

import (
	"time"

	"github.com/teknohole/jadwal/schedule"
)

// search is the state of one search: its cost, and the last stretch looked at,
// in which the zone's offset does not change.
type search struct {
	work
	era schedule.Span
}

// untabled is what a stretch costs, in steps, for which there is no table.
const untabled = 100

// at gives the stretch that holds t.
func (k *search) at(p *placement, t int64) *schedule.Span {
	if t < k.era.Start || t >= k.era.End {
		k.steps++
		if t >= schedule.OffsetsEnd {
			k.steps += untabled
		}
		k.era = p.table.At(t)
	}
	return &k.era
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
	table   schedule.Offsets // of zone
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

// horizon is how far a search goes, in seconds: 100 years, as for cron.
const horizon = 36525 * daySeconds

// next gives the first instant from t up to limit. k may come from a search
// that this one goes on from.
func (p *placement) next(k *search, t, limit int64) (int64, bool) {
	t, limit = max(t, p.start), min(limit, p.last)
	for t <= limit {
		e := *k.at(p, t)
		lost, hasLost := p.nextLost(k, &e, t)
		w := t + e.Offset
		var nominal int64
		var found, repeat bool
		for {
			nominal, found = p.pattern.next(&k.work, w, limit+e.Offset+reach)
			if !found || nominal-e.Offset >= e.End || hasLost && nominal-e.Offset >= lost {
				break
			}
			first := nominal-e.After >= e.End
			second := nominal-e.Before < e.Start
			if p.accepts(first, second) {
				break
			}
			if first {
				// What follows in this era is all on a first pass too.
				repeat = true
				break
			}
			w = e.Start + e.Before
		}
		switch {
		case hasLost && lost < e.End && (!found || repeat || nominal-e.Offset >= lost):
			return lost, lost <= limit
		case found && !repeat && nominal-e.Offset < e.End:
			return nominal - e.Offset, nominal-e.Offset <= limit
		case repeat || t+e.Offset > e.End+e.After:
			t = e.End // wall times before w come again
		case !found:
			return 0, false
		default:
			t = max(e.End, nominal-reach)
		}
	}
	return 0, false
}

// prev gives the last instant from t down to limit.
func (p *placement) prev(k *search, t, limit int64) (int64, bool) {
	t, limit = min(t, p.last), max(limit, p.start)
	for t >= limit {
		e := *k.at(p, t)
		lost, hasLost := p.prevLost(k, &e, t)
		w := t + e.Offset
		var nominal int64
		var found, in bool
		for {
			nominal, found = p.pattern.prev(&k.work, w, limit+e.Offset-reach)
			in = found && nominal-e.Offset >= e.Start
			if !in {
				break
			}
			first := nominal-e.After >= e.End
			second := nominal-e.Before < e.Start
			if p.accepts(first, second) {
				break
			}
			if second {
				in = false
				break
			}
			w = e.End + e.After - 1
		}
		switch {
		case in && (!hasLost || nominal-e.Offset >= lost):
			return nominal - e.Offset, nominal-e.Offset >= limit
		case hasLost:
			return lost, lost >= limit
		case t+e.Offset < e.Start+e.Before || found && nominal-e.Offset >= e.Start:
			t = e.Start - 1 // wall times after w were there before
		case !found:
			return 0, false
		default:
			t = min(e.Start-1, nominal+reach)
		}
	}
	return 0, false
}

// lostRanges gives the wall times between era e and the one before it that no
// clock showed, without the days that are missing as a whole.
func lostRanges(e *schedule.Span) [2][2]int64 {
	from, to := e.Start+e.Before, e.Start+e.Offset
	firstDay := from + mod(-from, daySeconds)
	lastDay := to - mod(to, daySeconds)
	if firstDay < lastDay {
		return [2][2]int64{{from, firstDay}, {lastDay, to}}
	}
	return [2][2]int64{{from, to}}
}

// nextLost gives the first instant at or after t that stands for a wall time
// lost at the start of e.
func (p *placement) nextLost(k *search, e *schedule.Span, t int64) (int64, bool) {
	if !p.fixed || p.gap == gapSkip || e.Before >= e.Offset {
		return 0, false
	}
	if p.gap == gapRunAfter && t > e.Start {
		return 0, false
	}
	for _, r := range lostRanges(e) {
		from := r[0]
		if p.gap == gapShift {
			from = max(from, t+e.Before)
		}
		if w, ok := p.pattern.next(&k.work, from, r[1]-1); ok {
			if p.gap == gapRunAfter {
				return e.Start, true
			}
			return w - e.Before, true
		}
	}
	return 0, false
}

// prevLost gives the last instant at or before t that stands for a wall time
// lost at the start of e.
func (p *placement) prevLost(k *search, e *schedule.Span, t int64) (int64, bool) {
	if !p.fixed || p.gap == gapSkip || e.Before >= e.Offset {
		return 0, false
	}
	ranges := lostRanges(e)
	for i := len(ranges) - 1; i >= 0; i-- {
		to := ranges[i][1] - 1
		if p.gap == gapShift {
			to = min(to, t+e.Before)
		}
		if w, ok := p.pattern.prev(&k.work, to, ranges[i][0]); ok {
			if p.gap == gapRunAfter {
				return e.Start, true
			}
			return w - e.Before, true
		}
	}
	return 0, false
}

// images gives the instants, none to two, at which a single wall time fires.
func (p *placement) images(w int64) (at [2]int64, n int) {
	one := placement{
		pattern: single(w), zone: p.zone, table: p.table, fixed: p.fixed, gap: p.gap, overlap: p.overlap,
		start: w - 2*reach, last: w + 2*reach,
	}
	var k search
	for t := one.start; n < 2; n++ {
		i, ok := one.next(&k, t, one.last)
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
