package schedule

import "math/bits"

// Cron is a compiled cron expression: sets of local times, without a zone. Two
// Crons are equal (==) when they plan the same instants in every zone. The zero
// value plans nothing; ParseCron makes one.
type Cron struct {
	second, minute uint64 // bits 0-59
	nth            uint64 // fri#2: bit 7*(2-1)+5; 5L: bit 35+5
	hour           uint32 // bits 0-23
	dom            uint32 // bits 1-31
	near           uint32 // 15W: bit 15
	last           uint32 // L: bit 0; L-3: bit 3
	month          uint16 // bits 1-12
	flags          cronFlags
	dow            uint8 // bits 0-6, Sunday is 0
}

type cronFlags uint16

const (
	realSecond  cronFlags = 1 << iota // the field has a `*` or a step, so that the
	realMinute                        // schedule follows real time when the clock
	realHour                          // is moved
	domStar                           // the field begins with `*` or is `?`: it does
	dowStar                           // not count as restricted
	lastWeekday                       // LW
	everyDay                          // derived: every day matches
	weekdayOnly                       // derived: only the weekday decides
)

const (
	allSeconds  = 1<<60 - 1
	allHours    = 1<<24 - 1
	allDoms     = 1<<32 - 2
	allMonths   = 1<<13 - 2
	allWeekdays = 1<<7 - 1

	nthLast = 5 // the index of "last" among the weeks of nth
)

// derive sets the flags that follow from the rest.
func (c *Cron) derive() {
	c.flags &^= everyDay | weekdayOnly
	if c.month != allMonths || c.dom != allDoms || c.near != 0 || c.last != 0 || c.nth != 0 || c.flags&lastWeekday != 0 {
		return
	}
	switch either := c.flags&(domStar|dowStar) == 0; {
	case either || c.dow == allWeekdays:
		c.flags |= everyDay
	default:
		c.flags |= weekdayOnly
	}
}

// fixed reports whether the schedule is at fixed times: no `*` and no step in
// second, minute and hour.
func (c *Cron) fixed() bool { return c.flags&(realSecond|realMinute|realHour) == 0 }

// days returns the days of a month that match, as bits 1-31.
func (c *Cron) days(year, month int) uint32 {
	if c.month>>month&1 == 0 {
		return 0
	}
	n := daysIn(year, month)
	first := weekday(dayOf(year, month, 1))

	dom := c.dom
	if c.near != 0 || c.last != 0 || c.flags&lastWeekday != 0 {
		dom |= c.specialDays(n, first)
	}
	var dow uint32
	if c.dow != 0 {
		week := uint64(c.dow)
		week = (week>>first | week<<(7-first)) & allWeekdays // bit 0 is now the weekday of the first
		dow = uint32(week * 0x10204081 << 1)
	}
	for set := c.nth; set != 0; set &= set - 1 {
		bit := bits.TrailingZeros64(set)
		day := 1 + (bit%7-first+7)%7 + bit/7*7
		if bit/7 == nthLast {
			if day = 1 + (bit%7-first+7)%7 + 28; day > n {
				day -= 7
			}
		}
		if day <= n {
			dow |= 1 << day
		}
	}
	month31 := uint32(1)<<n<<1 - 2
	if c.flags&(domStar|dowStar) == 0 {
		return (dom | dow) & month31
	}
	return dom & dow & month31
}

// specialDays returns the days that L, L-3, 15W and LW mean in a month of n
// days that begins on weekday first.
func (c *Cron) specialDays(n, first int) uint32 {
	var set uint32
	for days := c.last; days != 0; days &= days - 1 {
		if day := n - bits.TrailingZeros32(days); day >= 1 {
			set |= 1 << day
		}
	}
	for days := c.near; days != 0; days &= days - 1 {
		day := bits.TrailingZeros32(days)
		if day > n {
			continue // the 31st of a month that has none: not that month
		}
		switch (first + day - 1) % 7 {
		case 6: // Saturday: the Friday before, unless that is another month
			if day--; day == 0 {
				day = 3
			}
		case 0: // Sunday: the Monday after, unless that is another month
			if day++; day > n {
				day -= 3
			}
		}
		set |= 1 << day
	}
	if c.flags&lastWeekday != 0 {
		day := n
		switch (first + n - 1) % 7 {
		case 6:
			day--
		case 0:
			day -= 2
		}
		set |= 1 << day
	}
	return set
}

// matchDay reports whether a day matches.
func (c *Cron) matchDay(day int64) bool {
	if c.flags&everyDay != 0 {
		return true
	}
	if c.flags&weekdayOnly != 0 {
		return c.dow>>weekday(day)&1 != 0
	}
	year, month, dom := civil(day)
	return c.days(year, month)>>dom&1 != 0
}

// nextDay returns the first matching day from day to limit.
func (c *Cron) nextDay(day, limit int64) (int64, bool) {
	if c.flags&everyDay != 0 {
		return day, day <= limit
	}
	if c.flags&weekdayOnly != 0 {
		wd := weekday(day)
		week := uint32(c.dow) | uint32(c.dow)<<7
		day += int64(bits.TrailingZeros32(week >> wd))
		return day, day <= limit
	}
	year, month, dom := civil(day)
	for {
		later := c.month >> month << month
		if later == 0 {
			year, month, dom = year+1, 1, 1
			if later = c.month; later == 0 {
				return 0, false
			}
		}
		if m := bits.TrailingZeros16(later); m != month {
			month, dom = m, 1
		}
		if set := c.days(year, month) >> dom << dom; set != 0 {
			day = dayOf(year, month, bits.TrailingZeros32(set))
			return day, day <= limit
		}
		if month, dom = month+1, 1; month > 12 {
			year, month = year+1, 1
		}
		if dayOf(year, month, 1) > limit {
			return 0, false
		}
	}
}

// prevDay returns the last matching day from limit to day.
func (c *Cron) prevDay(day, limit int64) (int64, bool) {
	if c.flags&everyDay != 0 {
		return day, day >= limit
	}
	if c.flags&weekdayOnly != 0 {
		wd := weekday(day)
		week := uint32(c.dow) | uint32(c.dow)<<7
		day -= int64(bits.LeadingZeros32(week << (31 - 7 - wd)))
		return day, day >= limit
	}
	year, month, dom := civil(day)
	for {
		earlier := c.month & (2<<month - 1)
		if earlier == 0 {
			year, month, dom = year-1, 12, 31
			if earlier = c.month; earlier == 0 {
				return 0, false
			}
		}
		if m := bits.Len16(earlier) - 1; m != month {
			month, dom = m, 31
		}
		if set := c.days(year, month) & (2<<dom - 1); set != 0 {
			day = dayOf(year, month, bits.Len32(set)-1)
			return day, day >= limit
		}
		if month, dom = month-1, 31; month < 1 {
			year, month = year-1, 12
		}
		if dayOf(year, month, 31) < limit {
			return 0, false
		}
	}
}

// nextTime returns the first matching second of a day from sod on.
func (c *Cron) nextTime(sod int) (int, bool) {
	h, m, s := sod/3600, sod/60%60, sod%60
	if c.hour>>h&1 != 0 {
		if c.minute>>m&1 != 0 {
			if set := c.second >> s << s; set != 0 {
				return h*3600 + m*60 + bits.TrailingZeros64(set), true
			}
		}
		if set := c.minute >> (m + 1) << (m + 1); set != 0 {
			return h*3600 + bits.TrailingZeros64(set)*60 + bits.TrailingZeros64(c.second), true
		}
	}
	if set := c.hour >> (h + 1) << (h + 1); set != 0 {
		return bits.TrailingZeros32(set)*3600 + bits.TrailingZeros64(c.minute)*60 + bits.TrailingZeros64(c.second), true
	}
	return 0, false
}

// prevTime returns the last matching second of a day up to sod.
func (c *Cron) prevTime(sod int) (int, bool) {
	h, m, s := sod/3600, sod/60%60, sod%60
	if c.hour>>h&1 != 0 {
		if c.minute>>m&1 != 0 {
			if set := c.second & (2<<s - 1); set != 0 {
				return h*3600 + m*60 + bits.Len64(set) - 1, true
			}
		}
		if set := c.minute & (1<<m - 1); set != 0 {
			return h*3600 + (bits.Len64(set)-1)*60 + bits.Len64(c.second) - 1, true
		}
	}
	if set := c.hour & (1<<h - 1); set != 0 {
		return (bits.Len32(set)-1)*3600 + (bits.Len64(c.minute)-1)*60 + bits.Len64(c.second) - 1, true
	}
	return 0, false
}

// nextWall returns the first matching wall from w to limit.
func (c *Cron) nextWall(w, limit int64) (int64, bool) {
	day := floorDiv(w, secondsPerDay)
	if c.matchDay(day) {
		if sod, ok := c.nextTime(int(w - day*secondsPerDay)); ok {
			w = day*secondsPerDay + int64(sod)
			return w, w <= limit
		}
	}
	day, ok := c.nextDay(day+1, floorDiv(limit, secondsPerDay))
	if !ok {
		return 0, false
	}
	sod, ok := c.nextTime(0)
	w = day*secondsPerDay + int64(sod)
	return w, ok && w <= limit
}

// prevWall returns the last matching wall from limit to w.
func (c *Cron) prevWall(w, limit int64) (int64, bool) {
	day := floorDiv(w, secondsPerDay)
	if c.matchDay(day) {
		if sod, ok := c.prevTime(int(w - day*secondsPerDay)); ok {
			w = day*secondsPerDay + int64(sod)
			return w, w >= limit
		}
	}
	day, ok := c.prevDay(day-1, floorDiv(limit, secondsPerDay))
	if !ok {
		return 0, false
	}
	sod, ok := c.prevTime(secondsPerDay - 1)
	w = day*secondsPerDay + int64(sod)
	return w, ok && w >= limit
}
