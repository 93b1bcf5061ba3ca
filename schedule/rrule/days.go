package rrule

import "math/bits"

// weekdayNum is one BYDAY value: a weekday, and which one of its month or
// year: n from the front (1 …), -n from the back, 0 for every one.
type weekdayNum struct{ weekday, n int }

// dayFilter decides which days a rule may fall on, before INTERVAL and
// BYSETPOS. Everything that RFC 5545's table (page 44) calls expand or limit
// for days comes down to this: of the period's days, keep those that pass
// every part that is present. What DTSTART has to add is in here already.
type dayFilter struct {
	any          bool   // every day passes
	months       uint16 // bit 1 to 12; 0: every month
	monthDays    uint32 // bit d-1: day d
	monthDaysEnd uint32 // bit d-1: day d counted from the end
	weekdays     uint8  // plain weekdays, bit 0 Monday
	ordinals     []weekdayNum
	ordinalYear  bool       // ordinals count within the year, not the month
	yearDays     *[2]bitset // from the front, from the end; bit 1 to 366
	weeks        *[2]uint64 // from the front, from the end; bit 1 to 53
	wkst         int
	years        *[yearKinds][12]uint32 // the months of each kind of year, where they take long to compute
}

type bitset [6]uint64

func (b *bitset) set(i int)      { b[i>>6] |= 1 << (i & 63) }
func (b *bitset) has(i int) bool { return b[i>>6]>>(i&63)&1 == 1 }

// yearKinds is how many kinds of years there are: by the weekday of January 1
// and by which of the year before, the year and the year after is a leap year.
// Nothing else decides which days of a year pass.
const yearKinds = 28

func yearKind(year int) int {
	kind := 4 * weekdayOf(dayOf(year, 1, 1))
	switch {
	case isLeap(year):
		kind++
	case isLeap(year - 1):
		kind += 2
	case isLeap(year + 1):
		kind += 3
	}
	return kind
}

// tabulate computes the months of every kind of year ahead, so that a search
// over many costs the same whatever the parts are.
func (f *dayFilter) tabulate() {
	if f.ordinals == nil && f.yearDays == nil && f.weeks == nil {
		return
	}
	var years [yearKinds][12]uint32
	var done [yearKinds]bool
	for year, left := 2000, yearKinds; left > 0; year++ { // all are there within 400 years
		kind := yearKind(year)
		if done[kind] {
			continue
		}
		for month := range 12 {
			years[kind][month] = f.compute(year, month+1)
		}
		done[kind] = true
		left--
	}
	f.years = &years
}

// monthFrom gives the first month of BYMONTH from a month on, or back with step -1.
func (f *dayFilter) monthFrom(year, month, step int) (int, int) {
	for f.months != 0 && f.months>>month&1 == 0 {
		if month += step; month < 1 || month > 12 {
			year, month = year+step, month-12*step
		}
	}
	return year, month
}

// month gives the days of a month that pass: bit 0 is its first day.
func (f *dayFilter) month(year, month int) uint32 {
	if f.months != 0 && f.months>>month&1 == 0 {
		return 0
	}
	if f.years != nil {
		return f.years[yearKind(year)][month-1]
	}
	return f.compute(year, month)
}

func (f *dayFilter) compute(year, month int) uint32 {
	length := daysIn(year, month)
	all := uint32(1)<<length - 1
	if f.any {
		return all
	}
	if f.months != 0 && f.months>>month&1 == 0 {
		return 0
	}
	if f.monthDays|f.monthDaysEnd != 0 {
		all &= f.monthDays | bits.Reverse32(f.monthDaysEnd)>>(32-length)
	}
	if all == 0 {
		return 0
	}
	first := dayOf(year, month, 1)
	if f.weekdays != 0 || f.ordinals != nil {
		all &= f.weekdaysOf(year, first, length)
	}
	if f.yearDays == nil && f.weeks == nil {
		return all
	}
	newYear := dayOf(year, 1, 1)
	for rest := all; rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros32(rest)
		if f.yearDays != nil && !f.hasYearDay(first+i-newYear+1, yearLength(year)) ||
			f.weeks != nil && !f.hasWeek(first+i) {
			all &^= 1 << i
		}
	}
	return all
}

// weekdaysOf gives the days of the month beginning on day first that pass BYDAY.
func (f *dayFilter) weekdaysOf(year, first, length int) uint32 {
	lead := weekdayOf(first)
	week := uint32(f.weekdays)>>lead | uint32(f.weekdays)<<(7-lead)&0x7f
	days := week | week<<7 | week<<14 | week<<21 | week<<28
	from, span := first, length
	if f.ordinalYear {
		from, span = dayOf(year, 1, 1), yearLength(year)
	}
	for _, o := range f.ordinals {
		// The nth such weekday of the span, as a day offset in it.
		at := mod(o.weekday-weekdayOf(from), 7) + 7*(o.n-1)
		if o.n < 0 {
			at = span - 1 - mod(weekdayOf(from+span-1)-o.weekday, 7) + 7*(o.n+1)
		}
		if at < 0 || at >= span {
			continue
		}
		if i := from + at - first; i >= 0 && i < length {
			days |= 1 << i
		}
	}
	return days
}

func (f *dayFilter) hasYearDay(yearDay, length int) bool {
	return f.yearDays[0].has(yearDay) || f.yearDays[1].has(length-yearDay+1)
}

func (f *dayFilter) hasWeek(day int) bool {
	year := weekYear(day, f.wkst)
	start := weekYearStart(year, f.wkst)
	week := (day-start)/7 + 1
	weeks := (weekYearStart(year+1, f.wkst) - start) / 7
	return f.weeks[0]>>week&1 == 1 || f.weeks[1]>>(weeks-week+1)&1 == 1
}
