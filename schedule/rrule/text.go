package rrule

import (
	"strconv"
	"strings"
)

// String gives the rule in canonical form: parts in a fixed order, lists
// sorted, defaults left out. Parsed again with the same zone, anchor, gap and
// overlap, it is the same rule. It is one line unless there is a DTSTART, an
// EXDATE or an RDATE.
func (r *Rule) String() string {
	s := &r.spec
	var lines []string
	if !s.begin.implied {
		switch {
		case s.begin.kind == date:
			lines = append(lines, "DTSTART;VALUE=DATE:"+s.begin.text())
		case s.tzid != "":
			lines = append(lines, "DTSTART;TZID="+s.tzid+":"+s.begin.text())
		default:
			lines = append(lines, "DTSTART:"+s.begin.text())
		}
	}
	lines = append(lines, "RRULE:"+s.ruleText())
	lines = append(lines, s.dateLines("EXDATE", s.exdates)...)
	lines = append(lines, s.dateLines("RDATE", s.rdates)...)
	if len(lines) == 1 {
		return s.ruleText()
	}
	return strings.Join(lines, "\n")
}

// ruleText is the RRULE's value.
func (s *spec) ruleText() string {
	parts := []string{"FREQ=" + freqNames[s.freq]}
	add := func(name, value string) { parts = append(parts, name+"="+value) }
	if s.interval != 1 {
		add("INTERVAL", strconv.Itoa(s.interval))
	}
	if s.count > 0 {
		add("COUNT", strconv.Itoa(s.count))
	}
	if s.until.kind != absent {
		add("UNTIL", s.until.text())
	}
	for _, i := range []int{byMonth, byWeekNo, byYearDay, byMonthDay} {
		if s.lists[i] != nil {
			add(listParts[i].name, joinInts(s.lists[i]))
		}
	}
	if s.byDay != nil {
		days := make([]string, len(s.byDay))
		for i, day := range s.byDay {
			days[i] = day.text()
		}
		add("BYDAY", strings.Join(days, ","))
	}
	for _, i := range []int{byHour, byMinute, bySecond, bySetPos} {
		if s.lists[i] != nil {
			add(listParts[i].name, joinInts(s.lists[i]))
		}
	}
	if s.wkst != 0 {
		add("WKST", weekdayNames[s.wkst])
	}
	return strings.Join(parts, ";")
}

// dateLines gives one line for each kind of value that the list holds.
func (s *spec) dateLines(name string, list []moment) []string {
	var lines []string
	for len(list) > 0 {
		kind := list[0].kind
		var values []string
		for len(list) > 0 && list[0].kind == kind {
			values = append(values, list[0].text())
			list = list[1:]
		}
		head := name
		if kind == date {
			head += ";VALUE=DATE"
		} else if kind == local && s.tzid != "" {
			head += ";TZID=" + s.tzid
		}
		lines = append(lines, head+":"+strings.Join(values, ","))
	}
	return lines
}

func (d weekdayNum) text() string {
	if d.n == 0 {
		return weekdayNames[d.weekday]
	}
	return strconv.Itoa(d.n) + weekdayNames[d.weekday]
}

func joinInts(list []int) string {
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, ",")
}
