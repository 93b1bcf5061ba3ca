package schedule

import (
	"fmt"
	"math/bits"
	"time"
)

// Warning is something valid that is often not meant. Field is the path of the
// schedule, or "" for the plan; Code is for programs, Message for people.
type Warning struct{ Field, Code, Message string }

// The codes of a Warning.
const (
	WarnFrequent     = "frequent"      // more than once a minute
	WarnEveryMinute  = "every_minute"  // `* 2 * * *`: sixty times in one hour
	WarnUnevenStep   = "uneven_step"   // `*/7`: the last distance is shorter
	WarnEitherDay    = "either_day"    // both day fields are restricted: either matches
	WarnSomeMonths   = "some_months"   // some months have no such day
	WarnLeapYears    = "leap_years"    // February 29 alone
	WarnNoOccurrence = "no_occurrence" // no instant lies between the bounds
	WarnInPast       = "in_past"       // an `at` has passed
)

// Warnings returns what is valid and probably not meant, in the order of the
// schedules.
func (p *Plan) Warnings() []Warning {
	var all []Warning
	for i, src := range p.sources {
		add := func(code, format string, args ...any) {
			all = append(all, Warning{fmt.Sprintf("schedules[%d]", i), code, fmt.Sprintf(format, args...)})
		}
		switch s := src.(type) {
		case *everySource:
			if s.step < 60_000 {
				add(WarnFrequent, "fires more than once a minute: every %s", time.Duration(s.step)*time.Millisecond)
			}
		case *cronSource:
			s.warnTimes(add)
			s.warnDays(add)
		}
	}
	if _, ok := p.next(p.start - 1); !ok && len(p.sources) > 0 {
		all = append(all, Warning{"", WarnNoOccurrence, "no instant lies between start_at and end_at"})
	}
	return all
}

// Past returns a Warning for each `at` within the bounds of p that has passed
// at now.
func (p *Plan) Past(now time.Time) []Warning {
	var all []Warning
	for i, src := range p.sources {
		if at, ok := src.(*atSource); ok && at.first >= p.start && at.second <= min(p.end, milli(now)) {
			all = append(all, Warning{fmt.Sprintf("schedules[%d]", i), WarnInPast,
				"at lies in the past; a new job refuses it, or runs it at once when it is its only schedule and at most an hour late"})
		}
	}
	return all
}

func (c *Cron) warnTimes(add func(code, format string, args ...any)) {
	if n := bits.OnesCount64(c.second); n > 1 {
		add(WarnFrequent, "fires %d times a minute", n)
	} else if c.minute == allSeconds && c.flags&realMinute != 0 && bits.OnesCount32(c.hour) == 1 {
		h := bits.TrailingZeros32(c.hour)
		add(WarnEveryMinute, "fires 60 times, in every minute from %02d:00 to %02d:59; for once write minute 0 instead of *", h, h)
	}
	for _, part := range []struct {
		f   *field
		set uint64
		on  bool
	}{{&fields[fieldSecond], c.second, c.flags&realSecond != 0}, {&fields[fieldMinute], c.minute, c.flags&realMinute != 0}, {&fields[fieldHour], uint64(c.hour), c.flags&realHour != 0}} {
		if n := stepOf(part.set, part.f); part.on && n > 1 && part.f.size%n != 0 {
			last := bits.Len64(part.set) - 1
			add(WarnUnevenStep, "a step of %d does not divide %d: after %s %d comes 0 again, %d later", n, part.f.size, part.f.name, last, part.f.size-last)
		}
	}
}

// stepOf returns n where a set is every n-th value from 0, at least two of
// them, else 0.
func stepOf(set uint64, f *field) int {
	if set&1 == 0 || set == 1 {
		return 0
	}
	n := bits.TrailingZeros64(set &^ 1)
	if stepSet(f, 0, f.min+f.size-1, n) != set {
		return 0
	}
	return n
}

func (c *Cron) warnDays(add func(code, format string, args ...any)) {
	domSet := c.dom != 0 || c.near != 0 || c.last != 0 || c.flags&lastWeekday != 0
	both := c.flags&(domStar|dowStar) == 0
	if both {
		add(WarnEitherDay, "day of month and day of week are both restricted: a day that matches either of them counts, not only days that match both")
	}
	if !domSet && c.dow == 0 || c.flags&(everyDay|weekdayOnly) != 0 {
		return
	}
	// Which months of the set have no matching day, in a leap year and in
	// another one, whatever weekday the year begins with?
	never, leapOnly, without := true, true, ""
	for month := 1; month <= 12; month++ {
		if c.month>>month&1 == 0 {
			continue
		}
		always := true
		for year := 2000; year < 2028; year++ {
			has := c.days(year, month) != 0
			always = always && has
			if has && !(month == 2 && isLeap(year) && c.days(year, month) == 1<<29) {
				leapOnly = false
			}
			never = never && !has
		}
		if !always {
			if without != "" {
				without += ", "
			}
			without += time.Month(month).String()
		}
	}
	switch {
	case leapOnly && !never:
		add(WarnLeapYears, "fires on February 29 only: in leap years")
	case without != "":
		add(WarnSomeMonths, "some months have no such day, and it does not fire in them: not always in %s", without)
	}
}
