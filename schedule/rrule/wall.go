package rrule

import (
	"math/bits"
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
	stride   *stride  // up to daily: the days that INTERVAL leaves; nil: all
	limit    clock    // which ticks of a day may fire
	inner    clock    // what a tick expands to, in seconds from its start
	picked   []int    // with BYSETPOS up to daily: what is left of inner, ascending
	sets     bool     // BYSETPOS from weekly on: next and prev go by whole periods
	setPos   [2][]int // its positions from the front and from the end, ascending
	minDay   int      // searches stop beyond these two, both inclusive
	maxDay   int
}

// work counts what a search costs, in steps of some ten nanoseconds each: a
// look at a month, at a period, at a stretch of ticks or of one offset.
type work struct{ steps int }

// next gives the first wall second of the pattern from w up to limit.
func (p *pattern) next(k *work, w, limit int64) (int64, bool) {
	day := int(floorDiv(w, daySeconds))
	second := int(w - int64(day)*daySeconds)
	if day < p.minDay {
		day, second = p.minDay, 0
	}
	if p.hopeless() || w > limit {
		return 0, false
	}
	last := min(p.maxDay, int(floorDiv(limit, daySeconds)))
	if p.sets {
		at, ok := p.nextInSet(k, day, second, last)
		return at, ok && at <= limit
	}
	for {
		found, ok := p.nextDay(k, day, last)
		if !ok {
			return 0, false
		}
		if found > day {
			day, second = found, 0
		}
		if s, ok := p.nextInDay(k, day, second); ok {
			at := int64(day)*daySeconds + int64(s)
			return at, at <= limit
		}
		day, second = day+1, 0
	}
}

// prev gives the last wall second of the pattern from w down to limit.
func (p *pattern) prev(k *work, w, limit int64) (int64, bool) {
	day := int(floorDiv(w, daySeconds))
	second := int(w - int64(day)*daySeconds)
	if day > p.maxDay {
		day, second = p.maxDay, daySeconds-1
	}
	if p.hopeless() || w < limit {
		return 0, false
	}
	first := max(p.minDay, int(floorDiv(limit, daySeconds)))
	if p.sets {
		at, ok := p.prevInSet(k, day, second, first)
		return at, ok && at >= limit
	}
	for {
		found, ok := p.prevDay(k, day, first)
		if !ok {
			return 0, false
		}
		if found < day {
			day, second = found, daySeconds-1
		}
		if s, ok := p.prevInDay(k, day, second); ok {
			at := int64(day)*daySeconds + int64(s)
			return at, at >= limit
		}
		day, second = day-1, daySeconds-1
	}
}

// hopeless tells whether BYSETPOS asks only for positions that no period has.
func (p *pattern) hopeless() bool {
	return p.sets && len(p.setPos[0])+len(p.setPos[1]) == 0 || p.picked != nil && len(p.picked) == 0
}

// nextDay gives the first day from day up to last that passes the filter and
// that INTERVAL selects. It looks at each month or period at most once.
func (p *pattern) nextDay(k *work, day, last int) (int, bool) {
	for {
		day = p.align(day)
		if day > last {
			return 0, false
		}
		k.steps++
		year, month, d := civil(day)
		if y, m := p.days.monthFrom(year, month, 1); m != month {
			day = dayOf(y, m, 1)
			continue
		}
		mask := p.days.month(year, month) >> (d - 1)
		if mask != 0 && p.stride != nil {
			mask &= p.stride.window(k, day)
		}
		if mask == 0 {
			day += daysIn(year, month) - d + 1
			continue
		}
		day += bits.TrailingZeros32(mask)
		if p.align(day) == day {
			return day, day <= last
		}
	}
}

func (p *pattern) prevDay(k *work, day, first int) (int, bool) {
	for {
		day = p.alignDown(day)
		if day < first {
			return 0, false
		}
		k.steps++
		year, month, d := civil(day)
		if y, m := p.days.monthFrom(year, month, -1); m != month {
			day = dayOf(y, m, daysIn(y, m))
			continue
		}
		mask := p.days.month(year, month) << (32 - d)
		if mask != 0 && p.stride != nil {
			mask &= p.stride.window(k, day-31)
		}
		if mask == 0 {
			day -= d
			continue
		}
		day -= bits.LeadingZeros32(mask)
		if p.alignDown(day) == day {
			return day, day >= first
		}
	}
}

// align gives day when its period is one that INTERVAL selects, otherwise the
// first day of the next period that is. Up to daily, stride does it.
func (p *pattern) align(day int) int {
	if p.interval == 1 || p.freq <= daily {
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
	if p.interval == 1 || p.freq <= daily {
		return day
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
func (p *pattern) nextInDay(k *work, day, s int) (int, bool) {
	unit := p.freq.unit()
	tick := s / unit
	if at, ok := p.nextTick(k, day, tick); !ok {
		return 0, false
	} else if at > tick {
		tick, s = at, at*unit
	}
	if inside, ok := p.nextInner(s - tick*unit); ok {
		return tick*unit + inside, true
	}
	tick, ok := p.nextTick(k, day, tick+1)
	if !ok {
		return 0, false
	}
	inside, _ := p.nextInner(0)
	return tick*unit + inside, true
}

func (p *pattern) prevInDay(k *work, day, s int) (int, bool) {
	unit := p.freq.unit()
	tick := s / unit
	if at, ok := p.prevTick(k, day, tick); !ok {
		return 0, false
	} else if at < tick {
		tick, s = at, at*unit+unit-1
	}
	if inside, ok := p.prevInner(s - tick*unit); ok {
		return tick*unit + inside, true
	}
	tick, ok := p.prevTick(k, day, tick-1)
	if !ok {
		return 0, false
	}
	inside, _ := p.prevInner(unit - 1)
	return tick*unit + inside, true
}

// nextTick gives the first tick of the day from tick on that the limits and
// the interval select. Every turn of the loop moves at least one tick.
func (p *pattern) nextTick(k *work, day, tick int) (int, bool) {
	if p.freq >= daily {
		return 0, tick == 0
	}
	unit := p.freq.unit()
	ticks := daySeconds / unit
	for tick < ticks {
		k.steps++
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

func (p *pattern) prevTick(k *work, day, tick int) (int, bool) {
	if p.freq >= daily {
		return 0, tick == 0
	}
	unit := p.freq.unit()
	ticks := daySeconds / unit
	for tick >= 0 {
		k.steps++
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
