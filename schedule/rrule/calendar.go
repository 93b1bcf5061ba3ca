package rrule

import "math/bits"

// Days are counted from 1970-01-01 (day 0) in the proleptic Gregorian
// calendar; weekdays are 0 (Monday) to 6 (Sunday), as ISO 8601 orders them.
// Wall seconds are what a clock on the wall shows, counted as if it were UTC.

const daySeconds = 86400

// epoch is 1970-01-01 in days since 0000-03-01, where leap days end a year.
const epoch = 719468

// dayOf gives the day of a date from year 1 on. The month may be 1 to 12.
func dayOf(year, month, day int) int {
	if month < 3 {
		year--
		month += 12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - epoch
}

// civil is the reverse of dayOf.
func civil(n int) (year, month, day int) {
	n += epoch
	cycle := n / 146097
	n %= 146097
	century := min(n/36524, 3)
	n -= century * 36524
	four := n / 1461
	n %= 1461
	single := min(n/365, 3)
	n -= single * 365
	year = 400*cycle + 100*century + 4*four + single
	month = (5*n+2)/153 + 3
	day = n - (153*(month-3)+2)/5 + 1
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, day
}

func isLeap(year int) bool {
	return year%4 == 0 && (year%100 != 0 || year%400 == 0)
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if isLeap(year) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

func yearLength(year int) int {
	if isLeap(year) {
		return 366
	}
	return 365
}

func weekdayOf(day int) int { return mod(day+3, 7) }

// weekOf gives the first day of the week that holds day, when weeks begin on wkst.
func weekOf(day, wkst int) int { return day - mod(weekdayOf(day)-wkst, 7) }

// weekYearStart gives the first day of week 1 of year: the first week with at
// least four days in it (RFC 5545 section 3.3.10, BYWEEKNO), so the one that
// holds January 4.
func weekYearStart(year, wkst int) int { return weekOf(dayOf(year, 1, 4), wkst) }

// weekYear gives the year whose week holds day: that of the week's fourth day.
func weekYear(day, wkst int) int {
	year, _, _ := civil(weekOf(day, wkst) + 3)
	return year
}

// mod and floorDiv round down, where Go's operators round to zero. b > 0.
func mod[T int | int64](a, b T) T {
	if a %= b; a < 0 {
		a += b
	}
	return a
}

func floorDiv[T int | int64](a, b T) T { return (a - mod(a, b)) / b }

// clock is a set of times of day: every combination of its hours, minutes and
// seconds, each a bit. None of the three is ever empty.
type clock struct {
	hours            uint32
	minutes, seconds uint64
}

const (
	allHours = 1<<24 - 1
	allSixty = 1<<60 - 1
)

// next gives the first member at or after s, in seconds of the day.
func (c clock) next(s int) (int, bool) {
	if s >= daySeconds {
		return 0, false
	}
	h, m, sec := s/3600, s/60%60, s%60
	if c.hours>>h&1 == 1 {
		if c.minutes>>m&1 == 1 {
			if rest := c.seconds >> sec; rest != 0 {
				return s + bits.TrailingZeros64(rest), true
			}
		}
		if rest := c.minutes >> (m + 1); rest != 0 {
			return h*3600 + (m+1+bits.TrailingZeros64(rest))*60 + bits.TrailingZeros64(c.seconds), true
		}
	}
	rest := c.hours >> (h + 1)
	if rest == 0 {
		return 0, false
	}
	return (h+1+bits.TrailingZeros32(rest))*3600 + bits.TrailingZeros64(c.minutes)*60 + bits.TrailingZeros64(c.seconds), true
}

// prev gives the last member at or before s, in seconds of the day.
func (c clock) prev(s int) (int, bool) {
	if s < 0 {
		return 0, false
	}
	h, m, sec := s/3600, s/60%60, s%60
	if c.hours>>h&1 == 1 {
		if c.minutes>>m&1 == 1 {
			if rest := c.seconds & (1<<(sec+1) - 1); rest != 0 {
				return h*3600 + m*60 + bits.Len64(rest) - 1, true
			}
		}
		if rest := c.minutes & (1<<m - 1); rest != 0 {
			return h*3600 + (bits.Len64(rest)-1)*60 + bits.Len64(c.seconds) - 1, true
		}
	}
	rest := c.hours & (1<<h - 1)
	if rest == 0 {
		return 0, false
	}
	return (bits.Len32(rest)-1)*3600 + (bits.Len64(c.minutes)-1)*60 + bits.Len64(c.seconds) - 1, true
}

// size is the number of members.
func (c clock) size() int {
	return bits.OnesCount32(c.hours) * bits.OnesCount64(c.minutes) * bits.OnesCount64(c.seconds)
}

// at gives member i, counted from 0 in order; 0 <= i < size.
func (c clock) at(i int) int {
	seconds := bits.OnesCount64(c.seconds)
	minutes := bits.OnesCount64(c.minutes)
	return nthBit(uint64(c.hours), i/(minutes*seconds))*3600 +
		nthBit(c.minutes, i/seconds%minutes)*60 + nthBit(c.seconds, i%seconds)
}

func nthBit(set uint64, n int) int {
	for ; n > 0; n-- {
		set &= set - 1
	}
	return bits.TrailingZeros64(set)
}
