package schedule

// A wall is a local time: the seconds since 1970-01-01T00:00:00 as the clock on
// the wall shows them, without any zone. A day is a count of days since then.

const (
	secondsPerDay = 86400

	// The calendar of this package: years 1 to 9999, in Unix seconds.
	minUnix = -62135596800 // 0001-01-01T00:00:00Z
	maxUnix = 253402300799 // 9999-12-31T23:59:59Z
)

// floorDiv returns a/b rounded down; b must be positive.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// civil returns the date of a day in the proleptic Gregorian calendar. The
// method is that of Neri and Schneider, "Euclidean affine functions and their
// application to calendar algorithms" (2023), section 6.
func civil(day int64) (year, month, dom int) {
	n := uint64(day+719468) + 146097*400 // days since 0000-03-01, moved to be positive
	n4 := 4*n + 3
	century := n4 / 146097
	rem := n4 % 146097 / 4
	p := uint64(4*rem+3) * 2939745
	yearOfCentury := p >> 32
	dayOfYear := (p & 0xffffffff) / 2939745 / 4
	q := 2141*dayOfYear + 197913
	m, d := q>>16, (q&0xffff)/2141
	y := int(100*century+yearOfCentury) - 400*400
	if dayOfYear >= 306 {
		return y + 1, int(m) - 12, int(d) + 1
	}
	return y, int(m), int(d) + 1
}

// dayOf returns the day of a date; the inverse of civil.
func dayOf(year, month, dom int) int64 {
	y := int64(year)
	if month <= 2 {
		y--
		month += 12
	}
	era := floorDiv(y, 400)
	yoe := y - era*400
	doy := int64(979*month-2919)/32 + int64(dom) - 1
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
}

// weekday returns the day's weekday, Sunday is 0.
func weekday(day int64) int {
	return int(uint64(day+4+7*200000000) % 7)
}

// isLeap reports whether year has a February 29.
func isLeap(year int) bool {
	return year%4 == 0 && (year%100 != 0 || year%400 == 0)
}

// daysIn returns the number of days of a month.
func daysIn(year, month int) int {
	if month == 2 {
		if isLeap(year) {
			return 29
		}
		return 28
	}
	return 30 + (month+month>>3)&1
}
