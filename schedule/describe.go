package schedule

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Lang is a language of descriptions.
type Lang string

// The languages.
const (
	English    Lang = "en"
	Indonesian Lang = "id"
)

// Describe returns the plan in plain words, in English for every unknown
// language: "At 02:30 every day", "Setiap hari pukul 02.30". The zone is not
// part of it. Expressions that are too odd to say well are given by field.
func (p *Plan) Describe(lang Lang) string {
	t := tongueOf(lang)
	var parts []string
	for _, src := range p.sources {
		switch s := src.(type) {
		case *cronSource:
			parts = append(parts, s.Cron.Describe(lang))
		case *everySource:
			parts = append(parts, fmt.Sprintf(t.everyFrom, t.duration(s.step), instantText(s.anchor)))
		case *atSource:
			text := fmt.Sprintf(t.once, t.localTime(s.first, p.loc))
			if s.second != s.first {
				text += " " + t.and + " " + t.localTime(s.second, p.loc)
			}
			parts = append(parts, text)
		case *foreignSource:
			if d, ok := s.Source.(interface{ Describe(lang string) string }); ok {
				parts = append(parts, d.Describe(string(t.lang)))
			} else {
				parts = append(parts, t.byRule)
			}
		}
	}
	if len(parts) == 0 {
		return t.byHand
	}
	for i, part := range parts[1:] {
		parts[i+1] = strings.ToLower(part[:1]) + part[1:]
	}
	text := strings.Join(parts, "; ")
	if p.start > minMilli {
		text += ", " + t.from + " " + instantText(p.start)
	}
	if p.end < maxMilli {
		text += ", " + t.until + " " + instantText(p.end)
	}
	return text
}

// instantText is an instant in RFC 3339, UTC, with milliseconds if it has any.
func instantText(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.999Z07:00")
}

// Describe returns the expression in plain words.
func (c Cron) Describe(lang Lang) string {
	t := tongueOf(lang)
	clock, head, ok := c.timeWords(t)
	days, daysOK := c.dayWords(t)
	if !ok || !daysOK {
		return c.fieldWords(t)
	}
	var text string
	switch {
	case clock != "" && days == "":
		text = t.atEveryDay(clock)
	case clock != "":
		text = t.atDays(clock, days)
	case days == "":
		text = head
	default:
		if months, ok := strings.CutPrefix(days, t.everyDayIn); ok {
			text = head + t.in + months
		} else {
			text = head + " " + days
		}
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// fieldWords lists the fields.
func (c Cron) fieldWords(t *tongue) string {
	words := strings.Fields(c.String())
	first := 6 - len(words)
	parts := make([]string, len(words))
	for i, word := range words {
		parts[i] = t.fields[first+i] + " " + word
	}
	text := strings.Join(parts, "; ")
	if c.flags&(domStar|dowStar) == 0 {
		text += " (" + t.either + ")"
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// maxClocks is how many times of day are named one by one.
const maxClocks = 6

// timeWords returns either clock times ("02:30 and 14:00") or a phrase ("every
// 5 minutes"). It reports false when there is no good one.
func (c Cron) timeWords(t *tongue) (clock, head string, ok bool) {
	nS, nM, nH := bits.OnesCount64(c.second), bits.OnesCount64(c.minute), bits.OnesCount32(c.hour)
	fullS, fullM, fullH := nS == 60, nM == 60, nH == 24
	hours := uint64(c.hour)
	if nS*nM*nH <= maxClocks {
		return c.clocks(t), "", true
	}
	if c.second == 1 && c.minute == 1 {
		n := stepOf(hours, &fields[fieldHour])
		lo, hi := bits.TrailingZeros64(hours), bits.Len64(hours)-1
		switch {
		case fullH:
			return "", t.every[fieldHour], true
		case n > 1 && 24%n == 0:
			return "", fmt.Sprintf(t.everyN[fieldHour], n), true
		case hi-lo+1 == nH:
			return "", fmt.Sprintf(t.hourly, t.clock(lo, 0), t.clock(hi, 0)), true
		}
	}
	unit, set, full := fieldMinute, c.minute, fullM
	if c.second != 1 {
		unit, set, full = fieldSecond, c.second, fullS
	}
	listed := false
	if n := stepOf(set, &fields[unit]); full {
		head = t.every[unit]
	} else if n > 1 && 60%n == 0 {
		head = fmt.Sprintf(t.everyN[unit], n)
	} else {
		text, ok := t.set(set, strconv.Itoa)
		if !ok {
			return "", "", false
		}
		head, listed = t.at(unit, set)+" "+text, true
	}
	if unit == fieldSecond {
		switch {
		case fullM && listed:
			head, listed = head+" "+t.of+t.every[fieldMinute], false
		case !fullM:
			text, ok := t.set(c.minute, strconv.Itoa)
			if !ok {
				return "", "", false
			}
			head, listed = head+" "+t.within(listed, fieldMinute, c.minute)+" "+text, true
		}
	}
	switch {
	case fullH && listed:
		head += " " + t.of + t.every[fieldHour]
	case !fullH:
		text, ok := t.set(hours, strconv.Itoa)
		if !ok {
			return "", "", false
		}
		head += " " + t.within(listed, fieldHour, hours) + " " + text
	}
	return "", head, true
}

// clocks names every time of day.
func (c Cron) clocks(t *tongue) string {
	var all []string
	for sod, ok := c.nextTime(0); ok; {
		text := t.clock(sod/3600, sod/60%60)
		if c.second != 1 {
			text += t.clockSep + fmt.Sprintf("%02d", sod%60)
		}
		all = append(all, text)
		if sod++; sod == secondsPerDay {
			break
		}
		sod, ok = c.nextTime(sod)
	}
	return t.join(all)
}

// dayWords returns which days, "" for every day. It reports false when there is
// no good phrase.
func (c Cron) dayWords(t *tongue) (string, bool) {
	months, ok := "", true
	if c.month != allMonths {
		months, ok = t.set(uint64(c.month), func(m int) string { return t.months[m-1] })
	}
	if c.flags&(everyDay|weekdayOnly) != 0 {
		if c.flags&everyDay != 0 {
			return "", ok
		}
		return t.onWeekdays(c.dow), ok
	}
	domParts, domOK := c.domWords(t)
	dowParts, nthParts := c.dowWords(t)
	ok = ok && domOK
	domAll := c.dom == allDoms
	dowAll := c.dow == allWeekdays
	either := c.flags&(domStar|dowStar) == 0
	if either && (domAll || dowAll) || domAll && dowAll {
		return t.everyDayIn + months, ok
	}
	ofMonths := t.ofEveryMonth
	if months != "" {
		ofMonths = t.ofMonth + months
	}
	// Parts that count within a month name it; bare weekdays do not need to.
	inMonth := func(parts []string) string { return t.on + t.join(parts) + ofMonths }
	bare := func() string {
		if months != "" {
			return t.onWeekdays(c.dow) + t.in + months
		}
		return t.onWeekdays(c.dow)
	}
	switch {
	case dowAll:
		return inMonth(domParts), ok
	case domAll && c.dow == 0:
		return inMonth(nthParts), ok
	case domAll && c.nth == 0:
		return bare(), ok
	case domAll:
		return t.onWeekdays(c.dow) + " " + t.and + " " + inMonth(nthParts), ok && months == ""
	case either && months == "":
		text := inMonth(domParts)
		if c.dow != 0 {
			text += " " + t.or + " " + t.onWeekdays(c.dow)
		}
		if c.nth != 0 {
			text += " " + t.or + " " + inMonth(nthParts)
		}
		return text, ok
	case either:
		return inMonth(domParts) + " " + t.or + " " + inMonth(append(dowParts, nthParts...)), ok
	case c.nth == 0:
		return inMonth(domParts) + t.thatAre + t.weekdayList(c.dow, t.or), ok && c.near == 0 && c.last == 0 && c.flags&lastWeekday == 0
	}
	return "", false
}

// domWords names the days of the month.
func (c Cron) domWords(t *tongue) (parts []string, ok bool) {
	ok = true
	if c.dom != 0 {
		var text string
		if text, ok = t.set(uint64(c.dom), strconv.Itoa); bits.OnesCount32(c.dom) > 1 {
			parts = append(parts, t.dayPlural+" "+text)
		} else {
			parts = append(parts, t.daySingular+" "+text)
		}
	}
	for set := c.near; set != 0; set &= set - 1 {
		parts = append(parts, fmt.Sprintf(t.nearest, bits.TrailingZeros32(set)))
	}
	for set := c.last; set != 0; set &= set - 1 {
		switch n := bits.TrailingZeros32(set); n {
		case 0:
			parts = append(parts, t.lastDay)
		case 1:
			parts = append(parts, t.lastButOne)
		default:
			parts = append(parts, fmt.Sprintf(t.beforeLast, n))
		}
	}
	if c.flags&lastWeekday != 0 {
		parts = append(parts, t.lastWorkday)
	}
	return parts, ok && len(parts) <= maxParts
}

// dowWords names the weekdays, and the ones that count within a month.
func (c Cron) dowWords(t *tongue) (week, nth []string) {
	if c.dow != 0 {
		week = append(week, t.everyOf+t.weekdayList(c.dow, t.and))
	}
	for set := c.nth; set != 0; set &= set - 1 {
		bit := bits.TrailingZeros64(set)
		nth = append(nth, fmt.Sprintf(t.nth, t.ordinals[bit/7], t.days[bit%7]))
	}
	return week, nth
}
