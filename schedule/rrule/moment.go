package rrule

import (
	"slices"
	"strings"
	"time"

	"github.com/teknohole/jadwal/schedule"
)

// The years that DTSTART and the other dates may lie in: those of the
// Gregorian calendar that four digits can write.
const (
	minYear = 1583
	maxYear = 9999
)

type momentKind uint8

const (
	absent  momentKind = iota
	instant            // with Z: wall holds Unix seconds
	local              // a local time in the rule's zone, in wall seconds
	date               // a local day, as its midnight in wall seconds
)

// moment is a DATE or DATE-TIME (RFC 5545 sections 3.3.4, 3.3.5).
type moment struct {
	kind    momentKind
	wall    int64
	implied bool // the anchor, not written in the text
}

const (
	dateLayout    = "20060102"
	localLayout   = "20060102T150405"
	instantLayout = "20060102T150405Z"
)

// readMoment reads 20260105, 20260105T090000 or 20260105T090000Z.
func readMoment(part, text string) (moment, error) {
	text = strings.ToUpper(text)
	m := moment{kind: local}
	clock := strings.TrimSuffix(text, "Z")
	switch {
	case len(text) == len(dateLayout):
		m.kind = date
		clock = text + "T000000"
	case clock != text:
		m.kind = instant
	}
	malformed := refuse(part, codeSyntax, "%s must be a date 20260105 or a time 20260105T090000 (local) or 20260105T090000Z (UTC), got %s", part, quote(text))
	if len(clock) != len(localLayout) || clock[8] != 'T' {
		return m, malformed
	}
	day, ok1 := digits(clock[:8])
	second, ok2 := digits(clock[9:])
	if !ok1 || !ok2 {
		return m, malformed
	}
	year, month, d := day/10000, day/100%100, day%100
	if year < minYear {
		return m, refuse(part, codeRange, "%s must be in the years %d to %d, got %s", part, minYear, maxYear, quote(text))
	}
	if month < 1 || month > 12 || d < 1 || d > daysIn(year, month) {
		return m, refuse(part, codeRange, "%s names a date that does not exist, %s", part, quote(text))
	}
	h, min, s := second/10000, second/100%100, second%100
	if s == 60 {
		s = 59 // a leap second is taken as the one before (RFC 5545 section 3.3.12)
	}
	if h > 23 || min > 59 || s > 59 {
		return m, refuse(part, codeRange, "%s names a time of day that does not exist, %s", part, quote(text))
	}
	m.wall = int64(dayOf(year, month, d))*daySeconds + int64(h*3600+min*60+s)
	return m, nil
}

func (m moment) text() string {
	at := time.Unix(m.wall, 0).UTC()
	switch m.kind {
	case date:
		return at.Format(dateLayout)
	case local:
		return at.Format(localLayout)
	}
	return at.Format(instantLayout)
}

// wallAt gives the wall time in zone.
func (m moment) wallAt(zone *time.Location) int64 {
	if m.kind == instant {
		return m.wall + offsetAt(zone, m.wall)
	}
	return m.wall
}

// first gives the instant from which a rule may fire when m is its DTSTART: a
// local time that happens twice is the first of them, and one that does not
// exist is the first instant after the gap or, with gap shift, the same
// distance into it as RFC 5545 section 3.3.5 has it.
func (m moment) first(p *placement) int64 {
	if m.kind == instant {
		return m.wall
	}
	one := *p
	one.fixed, one.overlap = true, overlapFirst
	if one.gap == gapSkip {
		one.gap = gapRunAfter
	}
	at, n := one.images(m.wall)
	if n == 0 {
		// A day that the zone left out: the instant at which it would have been.
		return m.wall - offsetAt(p.zone, m.wall-reach)
	}
	return at[0]
}

// end gives the last instant of m when it is UNTIL: a date counts to its end,
// a local time that happens twice to the second of them.
func (m moment) end(p *placement) int64 {
	switch m.kind {
	case instant:
		return m.wall
	case date:
		m.wall += daySeconds - 1
	}
	one := *p
	one.fixed, one.overlap, one.gap = true, overlapBoth, gapShift
	at, n := one.images(m.wall)
	if n == 0 {
		return m.wall - offsetAt(p.zone, m.wall-reach)
	}
	return at[n-1]
}

// readBegin reads DTSTART, which also decides the rule's zone.
func (s *spec) readBegin(l line) error {
	m, zone, err := s.readZoned(l, l.value)
	if err != nil {
		return err
	}
	switch {
	case zone != nil:
		s.zone, s.tzid = zone, l.tzid
	case m.kind == instant:
		s.zone = time.UTC
	}
	s.begin = m
	return nil
}

// readDates reads EXDATE or RDATE. Their local times are in the rule's zone
// or, with a TZID of their own, in that one.
func (s *spec) readDates(l line, list *[]moment) error {
	values, err := split(l.name, l.value)
	if err != nil {
		return err
	}
	if len(*list)+len(values) > maxList {
		return refuse(l.name, codeTooLong, "%s has %d values, at most %d are allowed", l.name, len(*list)+len(values), maxList)
	}
	for _, value := range values {
		m, zone, err := s.readZoned(l, value)
		if err != nil {
			return err
		}
		if zone != nil && zone.String() != s.zone.String() {
			elsewhere := placement{zone: zone, table: schedule.OffsetsOf(zone), fixed: true, gap: gapShift, overlap: overlapFirst}
			at, n := elsewhere.images(m.wall)
			if n == 0 {
				return refuse(l.name, codeRange, "%s names a day that %s left out, %s", l.name, l.tzid, quote(value))
			}
			m = moment{kind: instant, wall: at[0]}
		}
		if m.kind == local && s.zone == time.UTC {
			m.kind = instant
		}
		*list = append(*list, m)
	}
	return nil
}

// readZoned reads one value of a line and checks it against the parameters.
// The zone is nil unless the line has a TZID.
func (s *spec) readZoned(l line, value string) (moment, *time.Location, error) {
	var zone *time.Location
	if value == "" {
		return moment{}, nil, refuse(l.name, codeMissing, "%s has no value", l.name)
	}
	switch l.valueType {
	case "", "DATE", "DATE-TIME":
	case "PERIOD":
		return moment{}, nil, refuse(l.name, codeUnknown, "%s;VALUE=PERIOD is not supported: an occurrence has no length; write the starts alone", l.name)
	default:
		return moment{}, nil, refuse(l.name, codeUnknown, "%s must have VALUE=DATE or VALUE=DATE-TIME, got %s", l.name, quote(l.valueType))
	}
	m, err := readMoment(l.name, value)
	if err != nil {
		return m, nil, err
	}
	if l.valueType == "DATE" && m.kind != date {
		return m, nil, refuse(l.name, codeConflict, "%s;VALUE=DATE must be a date such as 20260105, got %s", l.name, quote(value))
	}
	if l.valueType == "DATE-TIME" && m.kind == date || l.valueType == "" && m.kind == date {
		return m, nil, refuse(l.name, codeConflict, "%s is a date without a time, %s; write %s;VALUE=DATE:%s if that is meant", l.name, quote(value), l.name, value)
	}
	if l.tzid == "" {
		return m, nil, nil
	}
	if m.kind == instant {
		return m, nil, refuse(l.name, codeConflict, "%s has both a TZID and a time in UTC, %s; leave one out", l.name, quote(value))
	}
	if m.kind == date {
		return m, nil, refuse(l.name, codeConflict, "%s has both a TZID and VALUE=DATE; a date has no zone", l.name)
	}
	if zone, err = s.findZone(l.tzid); err != nil {
		return m, nil, refuse(l.name, codeUnknown, "%s has an unknown TZID %s; it must be a name such as Asia/Jakarta", l.name, quote(l.tzid))
	}
	return m, zone, nil
}

// findZone looks up a TZID among the names of the embedded zone database.
func (s *spec) findZone(name string) (*time.Location, error) {
	if name == s.zone.String() {
		return s.zone, nil
	}
	return schedule.LoadZone(name)
}

func sortMoments(list []moment) []moment {
	slices.SortFunc(list, func(a, b moment) int {
		if a.kind != b.kind {
			return int(a.kind) - int(b.kind)
		}
		return int(a.wall - b.wall)
	})
	return slices.Compact(list)
}
