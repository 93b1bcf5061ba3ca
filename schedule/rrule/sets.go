package rrule

import (
	"math"
	"math/bits"
	"sort"
)

// periodDays are the days of one period that pass the filter, month by month.
// The longest period is a year of 53 weeks, which may touch 14 months.
type periodDays struct {
	n, months int
	first     [14]int    // the day that bit 0 of a mask is
	mask      [14]uint32 // the days that pass
}

func (p *pattern) collect(k *work, period int64, set *periodDays) {
	set.n, set.months = 0, 0
	end := p.startOf(period + 1)
	for day := p.startOf(period); day < end; {
		k.steps++
		year, month, d := civil(day)
		mask := p.days.month(year, month) >> (d - 1)
		next := day + daysIn(year, month) - d + 1
		if next > end {
			mask &= 1<<(end-day) - 1
		}
		if mask != 0 {
			set.first[set.months], set.mask[set.months] = day, mask
			set.months++
			set.n += bits.OnesCount32(mask)
		}
		day = next
	}
}

// day gives day i of the set, counted from 0; i < set.n.
func (set *periodDays) day(i int) int {
	m := 0
	for n := bits.OnesCount32(set.mask[0]); i >= n; n = bits.OnesCount32(set.mask[m]) {
		i -= n
		m++
	}
	return set.first[m] + nthBit(uint64(set.mask[m]), i)
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
	return int64(set.day(i/times))*daySeconds + int64(p.inner.at(i%times))
}

// least is the size from which on a set has any of the positions.
func (p *pattern) least() int {
	least := math.MaxInt
	if list := p.setPos[0]; len(list) > 0 {
		least = list[0]
	}
	if list := p.setPos[1]; len(list) > 0 {
		least = min(least, -list[len(list)-1])
	}
	return least
}

func (p *pattern) nextInSet(k *work, day, second, last int) (int64, bool) {
	from := int64(day)*daySeconds + int64(second)
	period := p.periodOf(day)
	period += mod(p.phase-period, p.interval)
	least, times := p.least(), p.inner.size()
	var set periodDays
	for ; p.startOf(period) <= last; period += p.interval {
		p.collect(k, period, &set)
		if set.n*times < least {
			continue
		}
		best := int64(math.MaxInt64)
		for _, list := range p.setPos {
			i := sort.Search(len(list), func(i int) bool { return p.position(&set, list[i]) >= from })
			if i < len(list) {
				best = min(best, p.position(&set, list[i]))
			}
		}
		if best != math.MaxInt64 {
			return best, best < int64(last+1)*daySeconds
		}
	}
	return 0, false
}

func (p *pattern) prevInSet(k *work, day, second, first int) (int64, bool) {
	from := int64(day)*daySeconds + int64(second)
	period := p.periodOf(day)
	period -= mod(period-p.phase, p.interval)
	least, times := p.least(), p.inner.size()
	var set periodDays
	for ; period >= p.periodOf(first); period -= p.interval {
		p.collect(k, period, &set)
		if set.n*times < least {
			continue
		}
		best := int64(math.MinInt64)
		for _, list := range p.setPos {
			i := sort.Search(len(list), func(i int) bool { return p.position(&set, list[i]) > from })
			if i > 0 {
				best = max(best, p.position(&set, list[i-1]))
			}
		}
		if best != math.MinInt64 {
			return best, best >= int64(first)*daySeconds
		}
	}
	return 0, false
}
