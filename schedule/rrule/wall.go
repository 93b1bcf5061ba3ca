package rrule

import (
	"math"
	"sort"
)

// frequency is FREQ. Those from daily down place times by arithmetic on days
// and ticks; weekly, monthly and yearly have periods of several days.
type frequency uint8

const (
	secondly frequency = iota
	minutely
	hourly
	daily
	weekly
	monthly
	yearly
)

// unit is the length in seconds of a tick, the period of the frequencies up
// to daily. Coarser ones tick in days too: their period is a set of days.
func (f frequency) unit() int {
	switch f {
	case secondly:
		return 1
	case minutely:
		return 60
	case hourly:
		return 3600
	}
	return daySeconds
}

// pattern is a rule on the wall clock, without a zone and without a beginning:
// the endless, regular set of wall seconds that FREQ, INTERVAL and the BYxxx
// parts make once DTSTART has fixed what they leave open. It never changes.
type pattern struct {
	freq     frequency
	interval int64
	phase    int64 // a period (or tick) that fires; the others are multiples of interval away
	days     dayFilter
	limit    clock    // which ticks of a day may fire
	inner    clock    // what a tick expands to, in seconds from its start
	picked   []int    // with BYSETPOS up to daily: what is left of inner, ascending
	sets     bool     // BYSETPOS from weekly on: next and prev go by whole periods
	setPos   [2][]int // its positions from the front and from the end, ascending
	residues []uint64 // bit i: some tick of limit is i modulo interval; nil unless 1 < interval <= ticks a day
	minDay   int      // searches stop beyond these two, both inclusive
	maxDay   int
}

// next gives the first wall second of the pattern at or after w.
func (p *pattern) next(w int64) (int64, bool) {
	day := int(floorDiv(w, daySeconds))
	second := int(w - int64(day)*daySeconds)
	if day < p.minDay {
		day, second = p.minDay, 0
	}
	if p.hopeless() {
		return 0, false
	}
	if p.sets {
		return p.nextInSet(day, second)
	}
	for {
		found, ok := p.nextDay(day)
		if !ok {
			return 0, false
		}
		if found > day {
			day, second = found, 0
		}
		if s, ok := p.nextInDay(day, second); ok {
			return int64(day)*daySeconds + int64(s), true
		}
		day, second = day+1, 0
	}
}

// prev gives the last wall second of the pattern at or before w.
func (p *pattern) prev(w int64) (int64, bool) {
	day := int(floorDiv(w, daySeconds))
	second := int(w - int64(day)*daySeconds)
	if day > p.maxDay {
		day, second = p.maxDay, daySeconds-1
	}
	if p.hopeless() {
		return 0, false
	}
	if p.sets {
		return p.prevInSet(day, second)
	}
	for {
		found, ok := p.prevDay(day)
		if !ok {
			return 0, false
		}
		if found < day {
			day, second = found, daySeconds-1
		}
		if s, ok := p.prevInDay(day, second); ok {
			return int64(day)*daySeconds + int64(s), true
		}
		day, second = day-1, daySeconds-1
	}
}

// hopeless tells whether BYSETPOS asks only for positions that no period has.
func (p *pattern) hopeless() bool {
	return p.sets && len(p.setPos[0])+len(p.setPos[1]) == 0 || p.picked != nil && len(p.picked) == 0
}

// nextDay gives the first day from day on that passes the filter and lies in
// a period that INTERVAL selects. A day of ticks may still turn out to have
// none at a wanted time.
func (p *pattern) nextDay(day int) (int, bool) {
	for {
		day = p.align(day)
		if day > p.maxDay {
			return 0, false
		}
		year, month, d := civil(day)
		mask := p.days.month(year, month) >> (d - 1)
		if mask == 0 {
			day += daysIn(year, month) - d + 1
			continue
		}
		for ; mask&1 == 0; mask >>= 1 {
			day++
		}
		if p.align(day) == day {
			return day, day <= p.maxDay
		}
	}
}

func (p *pattern) prevDay(day int) (int, bool) {
	for {
		day = p.alignDown(day)
		if day < p.minDay {
			return 0, false
		}
		year, month, d := civil(day)
		mask := p.days.month(year, month) << (32 - d)
		if mask == 0 {
			day -= d
			continue
		}
		for ; mask>>31 == 0; mask <<= 1 {
			day--
		}
		if p.alignDown(day) == day {
			return day, day >= p.minDay
		}
	}
}

// align gives day when its period is one that INTERVAL selects, otherwise a
// later day such that no day in between is selected.
func (p *pattern) align(day int) int {
	if p.interval == 1 {
		return day
	}
	if p.freq < daily {
		ticks := int64(daySeconds / p.freq.unit())
		wait := mod(p.phase-int64(day)*ticks, p.interval)
		switch {
		case p.residues != nil && !p.hasResidue(wait):
			return day + 1
		case p.residues == nil && wait >= ticks:
			return day + int(wait/ticks)
		case p.residues == nil && !p.limited(int(wait)):
			return day + 1
		}
		return day
	}
	period := p.periodOf(day)
	off := mod(period-p.phase, p.interval)
	if off == 0 {
		return day
	}
	return p.startOf(period + p.interval - off)
}

// alignDown gives day, or an earlier one such that no day in between is selected.
func (p *pattern) alignDown(day int) int {
	if p.interval == 1 {
		return day
	}
	if p.freq < daily {
		if p.align(day) == day {
			return day
		}
		if p.residues != nil {
			return day - 1
		}
		// The last tick before this day, and the day that holds it.
		ticks := int64(daySeconds / p.freq.unit())
		start := int64(day) * ticks
		return min(day-1, int(floorDiv(start-1-mod(start-1-p.phase, p.interval), ticks)))
	}
	period := p.periodOf(day)
	off := mod(period-p.phase, p.interval)
	if off == 0 {
		return day
	}
	if before := period - off + 1; before > p.periodOf(p.minDay) {
		return p.startOf(before) - 1
	}
	return p.minDay - 1
}

// hasResidue tells whether some allowed tick is wait modulo the interval,
// wait being how far into the day the first tick of the phase lies.
func (p *pattern) hasResidue(wait int64) bool { return p.residues[wait>>6]>>(wait&63)&1 == 1 }

func (p *pattern) limited(tick int) bool {
	s := tick * p.freq.unit()
	at, ok := p.limit.next(s)
	return ok && at == s
}

// periodOf numbers the periods of daily and coarser frequencies. With
// BYWEEKNO a year is that of its weeks.
func (p *pattern) periodOf(day int) int64 {
	switch p.freq {
	case daily:
		return int64(day)
	case weekly:
		return int64(floorDiv(day+3-p.days.wkst, 7))
	}
	if p.freq == yearly && p.days.weeks != nil {
		return int64(weekYear(day, p.days.wkst))
	}
	year, month, _ := civil(day)
	if p.freq == yearly {
		return int64(year)
	}
	return int64(year)*12 + int64(month) - 1
}

// startOf gives the first day of a period, or one beyond maxDay.
func (p *pattern) startOf(period int64) int {
	switch {
	case p.freq == daily:
		return int(period)
	case p.freq == weekly:
		return int(period)*7 - 3 + p.days.wkst
	case p.freq == monthly:
		return dayOf(int(period/12), int(period%12)+1, 1)
	case p.days.weeks != nil:
		return weekYearStart(int(period), p.days.wkst)
	}
	return dayOf(int(period), 1, 1)
}

// nextInDay gives the first second of a day that passed nextDay, from s on.
func (p *pattern) nextInDay(day, s int) (int, bool) {
	unit := p.freq.unit()
	tick := s / unit
	if at, ok := p.nextTick(day, tick); !ok {
		return 0, false
	} else if at > tick {
		tick, s = at, at*unit
	}
	if inside, ok := p.nextInner(s - tick*unit); ok {
		return tick*unit + inside, true
	}
	tick, ok := p.nextTick(day, tick+1)
	if !ok {
		return 0, false
	}
	inside, _ := p.nextInner(0)
	return tick*unit + inside, true
}

func (p *pattern) prevInDay(day, s int) (int, bool) {
	unit := p.freq.unit()
	tick := s / unit
	if at, ok := p.prevTick(day, tick); !ok {
		return 0, false
	} else if at < tick {
		tick, s = at, at*unit+unit-1
	}
	if inside, ok := p.prevInner(s - tick*unit); ok {
		return tick*unit + inside, true
	}
	tick, ok := p.prevTick(day, tick-1)
	if !ok {
		return 0, false
	}
	inside, _ := p.prevInner(unit - 1)
	return tick*unit + inside, true
}

// nextTick gives the first tick of the day from tick on that the limits and
// the interval select. Every turn of the loop moves at least one tick.
func (p *pattern) nextTick(day, tick int) (int, bool) {
	if p.freq >= daily {
		return 0, tick == 0
	}
	unit := p.freq.unit()
	ticks := daySeconds / unit
	for tick < ticks {
		s, ok := p.limit.next(tick * unit)
		if !ok {
			return 0, false
		}
		tick = s / unit
		wait := mod(p.phase-int64(day)*int64(ticks)-int64(tick), p.interval)
		if wait == 0 {
			return tick, true
		}
		tick += int(wait)
	}
	return 0, false
}

func (p *pattern) prevTick(day, tick int) (int, bool) {
	if p.freq >= daily {
		return 0, tick == 0
	}
	unit := p.freq.unit()
	ticks := daySeconds / unit
	for tick >= 0 {
		s, ok := p.limit.prev(tick * unit)
		if !ok {
			return 0, false
		}
		tick = s / unit
		back := mod(int64(day)*int64(ticks)+int64(tick)-p.phase, p.interval)
		if back == 0 {
			return tick, true
		}
		tick -= int(back)
	}
	return 0, false
}

func (p *pattern) nextInner(s int) (int, bool) {
	if p.picked == nil {
		return p.inner.next(s)
	}
	i := sort.SearchInts(p.picked, s)
	if i == len(p.picked) {
		return 0, false
	}
	return p.picked[i], true
}

func (p *pattern) prevInner(s int) (int, bool) {
	if p.picked == nil {
		return p.inner.prev(s)
	}
	i := sort.SearchInts(p.picked, s+1)
	if i == 0 {
		return 0, false
	}
	return p.picked[i-1], true
}

// periodDays are the days of one period that pass the filter, ascending. The
// longest period is a year of 53 weeks.
type periodDays struct {
	n   int
	day [372]int32
}

func (p *pattern) collect(period int64, set *periodDays) {
	set.n = 0
	end := p.startOf(period + 1)
	for day := p.startOf(period); day < end; {
		year, month, d := civil(day)
		mask := p.days.month(year, month) >> (d - 1)
		stop := min(end, day+daysIn(year, month)-d+1)
		for ; day < stop; day, mask = day+1, mask>>1 {
			if mask&1 == 1 {
				set.day[set.n] = int32(day)
				set.n++
			}
		}
	}
}

// position gives the wall second at a BYSETPOS value in the set of one period:
// 1 is the first, -1 the last (RFC 5545 section 3.3.10). Positions that the set
// does not have lie at the end of time that they are beyond.
func (p *pattern) position(set *periodDays, pos int) int64 {
	times := p.inner.size()
	i := pos - 1
	if pos < 0 {
		i = set.n*times + pos
	}
	if i < 0 {
		return math.MinInt64
	}
	if i >= set.n*times {
		return math.MaxInt64
	}
	return int64(set.day[i/times])*daySeconds + int64(p.inner.at(i%times))
}

func (p *pattern) nextInSet(day, second int) (int64, bool) {
	from := int64(day)*daySeconds + int64(second)
	period := p.periodOf(day)
	period += mod(p.phase-period, p.interval)
	var set periodDays
	for ; p.startOf(period) <= p.maxDay; period += p.interval {
		p.collect(period, &set)
		best := int64(math.MaxInt64)
		for _, list := range p.setPos {
			i := sort.Search(len(list), func(i int) bool { return p.position(&set, list[i]) >= from })
			if i < len(list) {
				best = min(best, p.position(&set, list[i]))
			}
		}
		if best != math.MaxInt64 {
			return best, best < int64(p.maxDay+1)*daySeconds
		}
	}
	return 0, false
}

func (p *pattern) prevInSet(day, second int) (int64, bool) {
	from := int64(day)*daySeconds + int64(second)
	period := p.periodOf(day)
	period -= mod(period-p.phase, p.interval)
	var set periodDays
	for ; period >= p.periodOf(p.minDay); period -= p.interval {
		p.collect(period, &set)
		best := int64(math.MinInt64)
		for _, list := range p.setPos {
			i := sort.Search(len(list), func(i int) bool { return p.position(&set, list[i]) > from })
			if i > 0 {
				best = max(best, p.position(&set, list[i-1]))
			}
		}
		if best != math.MinInt64 {
			return best, best >= int64(p.minDay)*daySeconds
		}
	}
	return 0, false
}
