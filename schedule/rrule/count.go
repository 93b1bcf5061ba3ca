package rrule

import "math/bits"

// maxSteps bounds what counting out COUNT may cost, about a millisecond.
const maxSteps = 100_000

// stepCost is what a search for a single next occurrence costs beside its steps.
const stepCost = 8

// countTo gives the instant of occurrence count, or the last when there are
// fewer: at the end of the calendar, or before 100 years without any. first is
// the first. It is not ok when that takes more than maxSteps.
func (p *placement) countTo(k *search, first int64, count int) (last int64, ok bool) {
	k.steps = 0
	last = first
	for left := count - 1; left > 0; {
		if k.steps > maxSteps {
			return 0, false
		}
		if at, n := p.bulk(k, last, left); n > 0 {
			last, left = at, left-n
			continue
		}
		at, ok := p.next(k, last+1, last+horizon)
		if !ok {
			break
		}
		last = at
		left--
		k.steps += stepCost
	}
	return last, true
}

// bulk counts up to most occurrences after the one at an instant, by whole days
// and months, and gives the last of them and their number. That is none where a
// clock change is near, and for patterns whose days are not all alike.
func (p *placement) bulk(k *search, after int64, most int) (last int64, n int) {
	times, ok := p.times()
	if !ok {
		return after, 0
	}
	e := k.at(p, after)
	w := after + e.Offset
	day := int(floorDiv(w, daySeconds))
	end := min(int(floorDiv(e.End+min(e.Offset, e.After), daySeconds)), p.maxDay+1)
	if w < e.Start+e.Offset+max(e.Before-e.Offset, e.Offset-e.Before) || day >= end {
		return after, 0
	}
	per := times.size()
	had := times.rank(int(mod(w, daySeconds)))
	if most <= per-had {
		return int64(day)*daySeconds + int64(times.at(had+most-1)) - e.Offset, most
	}
	final := int64(times.at(per - 1))
	n, w = per-had, int64(day)*daySeconds+final
	for day++; k.steps <= maxSteps; {
		if day = p.align(day); day >= end || int64(day)*daySeconds-w > horizon {
			break
		}
		k.steps++
		year, month, d := civil(day)
		stop := min(end, day+daysIn(year, month)-d+1)
		if p.interval > 1 && p.freq > daily {
			stop = min(stop, p.startOf(p.periodOf(day)+1))
		}
		mask := p.days.month(year, month) >> (d - 1)
		if mask != 0 && p.stride != nil {
			mask &= p.stride.window(&k.work, day)
		}
		mask &= 1<<(stop-day) - 1
		if count := bits.OnesCount32(mask) * per; n+count >= most {
			i := most - n - 1
			w = int64(day+nthBit(uint64(mask), i/per))*daySeconds + int64(times.at(i%per))
			return w - e.Offset, most
		} else if count > 0 {
			n += count
			w = int64(day+bits.Len32(mask)-1)*daySeconds + final
		}
		day = stop
	}
	return w - e.Offset, n
}

// times gives the times of day at which the pattern fires, when they are the
// same on every day on which it does.
func (p *pattern) times() (clock, bool) {
	if p.sets || p.picked != nil || p.freq < daily && p.interval > 1 {
		return clock{}, false
	}
	switch p.freq {
	case secondly:
		return p.limit, true
	case minutely:
		return clock{p.limit.hours, p.limit.minutes, p.inner.seconds}, true
	case hourly:
		return clock{p.limit.hours, p.inner.minutes, p.inner.seconds}, true
	}
	return p.inner, true
}

// fold makes an INTERVAL that divides the minute, hour or day a limit on
// seconds, minutes or hours, which leaves an interval of one.
func (p *pattern) fold() {
	size := int64(60)
	if p.freq == hourly {
		size = 24
	}
	if p.freq >= daily || size%p.interval != 0 {
		return
	}
	var set uint64
	for i := mod(p.phase, p.interval); i < size; i += p.interval {
		set |= 1 << i
	}
	limit := p.limit
	switch p.freq {
	case secondly:
		limit.seconds &= set
	case minutely:
		limit.minutes &= set
	default:
		limit.hours &= uint32(set)
	}
	if limit.size() > 0 { // else it never fires, which the search will find
		p.limit, p.interval = limit, 1
	}
}

// rank is the number of members up to and including s.
func (c clock) rank(s int) int {
	h, m, sec := s/3600, s/60%60, s%60
	seconds, minutes := bits.OnesCount64(c.seconds), bits.OnesCount64(c.minutes)
	n := bits.OnesCount32(c.hours&(1<<h-1)) * minutes * seconds
	if c.hours>>h&1 == 1 {
		n += bits.OnesCount64(c.minutes&(1<<m-1)) * seconds
		if c.minutes>>m&1 == 1 {
			n += bits.OnesCount64(c.seconds & (2<<sec - 1))
		}
	}
	return n
}
