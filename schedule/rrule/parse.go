package rrule

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	maxText = 4096 // bytes
	maxList = 366  // values
)

// spec is a rule as it was written, with its lists sorted and without doubles.
type spec struct {
	freq     frequency
	interval int
	count    int // 0: none
	until    moment
	lists    [listCount][]int // nil: absent
	byDay    []weekdayNum
	wkst     int

	zone      *time.Location
	begin     moment // DTSTART; absent: the anchor
	tzid      string // as DTSTART has it
	beginWall int64
	exdates   []moment
	rdates    []moment
}

// The BYxxx parts that are lists of plain numbers.
const (
	bySecond = iota
	byMinute
	byHour
	byMonthDay
	byYearDay
	byWeekNo
	byMonth
	bySetPos
	listCount
)

// listPart says what a list may hold: numbers from low to high and, when
// signed, their negatives, which count from the end.
type listPart struct {
	name      string
	low, high int
	signed    bool
}

var listParts = [listCount]listPart{
	bySecond:   {"BYSECOND", 0, 60, false},
	byMinute:   {"BYMINUTE", 0, 59, false},
	byHour:     {"BYHOUR", 0, 23, false},
	byMonthDay: {"BYMONTHDAY", 1, 31, true},
	byYearDay:  {"BYYEARDAY", 1, 366, true},
	byWeekNo:   {"BYWEEKNO", 1, 53, true},
	byMonth:    {"BYMONTH", 1, 12, false},
	bySetPos:   {"BYSETPOS", 1, 366, true},
}

func (p listPart) allowed() string {
	if p.signed {
		return fmt.Sprintf("%d to %d or -%d to -%d", p.low, p.high, p.high, p.low)
	}
	return fmt.Sprintf("%d to %d", p.low, p.high)
}

var (
	freqNames    = []string{"SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"}
	weekdayNames = []string{"MO", "TU", "WE", "TH", "FR", "SA", "SU"}
)

// Parse reads a recurrence: either the value of an RRULE alone (FREQ=…, with
// or without "RRULE:") or content lines DTSTART, RRULE, EXDATE and RDATE (RFC
// 5545 section 3.1; LF or CRLF, folded lines are joined).
//
// zone (nil: UTC) is that of local times without a TZID. A DTSTART with a TZID
// or a Z puts the whole rule into that zone instead. anchor, cut to whole
// seconds, is DTSTART where the text has none. gap (run_after, skip, shift) and
// overlap (auto, first, second, both) say what becomes of local times that a
// clock change leaves out or repeats; "" is the first of each.
//
// The error is always an *Error. A rule that can never fire is refused.
func Parse(text string, zone *time.Location, anchor time.Time, gap, overlap string) (*Rule, error) {
	switch gap {
	case "":
		gap = gapRunAfter
	case gapRunAfter, gapSkip, gapShift:
	default:
		return nil, refuse("gap", codeUnknown, "gap must be run_after, skip or shift, got %s", quote(gap))
	}
	switch overlap {
	case "":
		overlap = overlapAuto
	case overlapAuto, overlapFirst, overlapSecond, overlapBoth:
	default:
		return nil, refuse("overlap", codeUnknown, "overlap must be auto, first, second or both, got %s", quote(overlap))
	}
	if zone == nil {
		zone = time.UTC
	}
	s, err := read(text, zone)
	if err != nil {
		return nil, err
	}
	if s.begin.kind == absent {
		if year := anchor.In(s.zone).Year(); year < minYear || year > maxYear {
			return nil, refuse("DTSTART", codeMissing, "there is no DTSTART, and the anchor's year must be %d to %d to stand in for it, got %d", minYear, maxYear, year)
		}
		s.begin = moment{kind: instant, wall: anchor.Unix(), implied: true}
	}
	s.beginWall = s.begin.wallAt(s.zone)
	var k search
	rule, err := compile(&k, s, gap, overlap)
	if err != nil {
		return nil, err
	}
	return rule, nil
}

// line is one unfolded content line: NAME;PARAM=VALUE:VALUE.
type line struct {
	name, value string
	valueType   string // the VALUE parameter
	tzid        string
}

// read takes the text apart and checks everything that needs no calendar.
func read(text string, zone *time.Location) (spec, error) {
	s := spec{interval: 1, zone: zone}
	if len(text) > maxText {
		return s, refuse("", codeTooLong, "the text has %d bytes, at most %d are allowed", len(text), maxText)
	}
	for i := range len(text) {
		if c := text[i]; c > '~' || c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			return s, refuse("", codeSyntax, "byte %d of the text is 0x%02x; a recurrence is plain ASCII", i+1, c)
		}
	}
	unfold := strings.NewReplacer("\r\n ", "", "\r\n\t", "", "\n ", "", "\n\t", "", "\r\n", "\n")
	rule := ""
	var lines []line
	for raw := range strings.SplitSeq(unfold.Replace(strings.TrimSpace(text)), "\n") {
		raw = strings.TrimSpace(raw)
		if raw == "" {
			continue
		}
		l, err := readLine(raw)
		if err != nil {
			return s, err
		}
		switch l.name {
		case "RRULE":
			if rule != "" {
				return s, refuse("RRULE", codeRepeated, "there are two rules; give each a schedule of its own, their occurrences are united")
			}
			if rule = l.value; rule == "" {
				return s, refuse("RRULE", codeMissing, "the rule is empty; it needs at least FREQ, as in FREQ=DAILY")
			}
		case "DTSTART":
			if s.begin.kind != absent {
				return s, refuse("DTSTART", codeRepeated, "DTSTART is there twice")
			}
			// First of all, since its zone is that of the other lines.
			if err := s.readBegin(l); err != nil {
				return s, err
			}
		default:
			lines = append(lines, l)
		}
	}
	if rule == "" {
		if text = strings.TrimSpace(text); text == "" {
			return s, refuse("RRULE", codeMissing, "the text is empty; it needs at least FREQ, as in FREQ=DAILY")
		}
		return s, refuse("RRULE", codeMissing, "there is no RRULE; for single dates use `at` schedules")
	}
	if err := s.readRule(rule); err != nil {
		return s, err
	}
	for _, l := range lines {
		list := &s.exdates
		if l.name == "RDATE" {
			list = &s.rdates
		}
		if err := s.readDates(l, list); err != nil {
			return s, err
		}
	}
	s.exdates = sortMoments(s.exdates)
	s.rdates = sortMoments(s.rdates)
	return s, s.check()
}

// readLine takes a content line apart. A line that starts with a rule part is
// an RRULE without its name.
func readLine(raw string) (line, error) {
	end := strings.IndexAny(raw, ":;")
	if end < 0 || strings.Contains(raw[:end], "=") {
		if strings.Contains(raw, "=") {
			return line{name: "RRULE", value: raw}, nil
		}
		return line{}, refuse("RRULE", codeSyntax, "%s is neither a rule (FREQ=DAILY;…) nor a line DTSTART:…, RRULE:…, EXDATE:… or RDATE:…", quote(raw))
	}
	l := line{name: strings.ToUpper(raw[:end])}
	switch l.name {
	case "RRULE", "DTSTART", "EXDATE", "RDATE":
	case "EXRULE":
		return l, refuse("EXRULE", codeUnknown, "EXRULE is not part of RFC 5545 any more; use EXDATE for single dates")
	case "DTEND", "DURATION", "DUE":
		return l, refuse(l.name, codeUnknown, "%s has no meaning here: an occurrence is an instant, it has no length", l.name)
	default:
		return l, refuse("", codeUnknown, "%s is no line of a recurrence; allowed are DTSTART, RRULE, EXDATE and RDATE", quote(raw[:end]))
	}
	head, value, found := strings.Cut(raw[end:], ":")
	if !found {
		return l, refuse(l.name, codeSyntax, "%s has no colon before its value", l.name)
	}
	l.value = strings.TrimSpace(value)
	if head == "" {
		return l, nil
	}
	for param := range strings.SplitSeq(head[1:], ";") {
		name, value, _ := strings.Cut(param, "=")
		value = strings.Trim(value, `"`)
		into := &l.tzid
		switch strings.ToUpper(name) {
		case "TZID":
		case "VALUE":
			into, value = &l.valueType, strings.ToUpper(value)
		default:
			return l, refuse(l.name, codeUnknown, "%s cannot have the parameter %s; allowed are TZID and VALUE", l.name, quote(param))
		}
		if l.name == "RRULE" {
			return l, refuse(l.name, codeUnknown, "RRULE cannot have the parameter %s; the zone belongs to DTSTART", quote(param))
		}
		if value == "" {
			return l, refuse(l.name, codeMissing, "%s has an empty parameter %s", l.name, strings.ToUpper(name))
		}
		if *into != "" {
			return l, refuse(l.name, codeRepeated, "%s has the parameter %s twice", l.name, strings.ToUpper(name))
		}
		*into = value
	}
	return l, nil
}

// readRule reads the value of an RRULE.
func (s *spec) readRule(text string) error {
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ";") {
		name, value, found := strings.Cut(part, "=")
		name, value = strings.ToUpper(strings.TrimSpace(name)), strings.ToUpper(strings.TrimSpace(value))
		switch {
		case strings.TrimSpace(part) == "":
			return refuse("RRULE", codeSyntax, "there is an empty part before or after a semicolon")
		case !found:
			return refuse("RRULE", codeSyntax, "%s is not of the form NAME=VALUE", quote(part))
		case seen[name]:
			return refuse(name, codeRepeated, "%s is there twice; put all values into one list with commas", name)
		}
		seen[name] = true
		if err := s.readPart(name, value); err != nil {
			return err
		}
	}
	if !seen["FREQ"] {
		return refuse("FREQ", codeMissing, "FREQ is missing; it must be one of %s", strings.Join(freqNames, ", "))
	}
	return nil
}

func (s *spec) readPart(name, value string) error {
	if value == "" && slices.Contains(partNames, name) {
		return refuse(name, codeMissing, "%s has no value", name)
	}
	var err error
	switch name {
	case "FREQ":
		i := slices.Index(freqNames, value)
		if i < 0 {
			return refuse(name, codeUnknown, "FREQ must be one of %s, got %s", strings.Join(freqNames, ", "), quote(value))
		}
		s.freq = frequency(i)
	case "INTERVAL":
		s.interval, err = readNumber(name, value, 1, maxInterval)
	case "COUNT":
		s.count, err = readNumber(name, value, 1, maxCount)
	case "UNTIL":
		s.until, err = readMoment(name, value)
	case "WKST":
		if s.wkst = slices.Index(weekdayNames, value); s.wkst < 0 {
			return refuse(name, codeUnknown, "WKST must be one of %s, got %s", strings.Join(weekdayNames, ", "), quote(value))
		}
	case "BYDAY":
		s.byDay, err = readWeekdays(value)
	default:
		i := slices.IndexFunc(listParts[:], func(p listPart) bool { return p.name == name })
		if i < 0 {
			return unknownPart(name)
		}
		s.lists[i], err = readList(listParts[i], value)
	}
	return err
}

// maxInterval is more than thirty years of seconds.
const maxInterval = 1_000_000_000

var partNames = []string{"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY",
	"BYSECOND", "BYMINUTE", "BYHOUR", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS"}

func unknownPart(name string) error {
	switch name {
	case "RSCALE", "SKIP":
		return refuse(name, codeUnknown, "%s belongs to RFC 7529, which is not supported; dates are Gregorian, and those that do not exist are skipped", name)
	case "BYEASTER":
		return refuse(name, codeUnknown, "BYEASTER is not part of RFC 5545; list the dates with RDATE")
	case "BYWEEKDAY":
		return refuse(name, codeUnknown, "BYWEEKDAY is not part of RFC 5545; did you mean BYDAY?")
	case "DTSTART", "EXDATE", "RDATE", "TZID":
		return refuse(name, codeUnknown, "%s is not a part of the rule; write it on a line of its own, as in DTSTART;TZID=Asia/Jakarta:20260105T090000", name)
	}
	return refuse("RRULE", codeUnknown, "%s is no part of a rule; allowed are %s", quote(name), strings.Join(partNames, ", "))
}

// readNumber reads ASCII digits without a sign.
func readNumber(part, text string, low, high int) (int, error) {
	n, ok := digits(text)
	if !ok {
		return 0, refuse(part, codeSyntax, "%s must be a whole number from %d to %d, got %s", part, low, high, quote(text))
	}
	if n < low || n > high {
		return 0, refuse(part, codeRange, "%s must be %d to %d, got %s", part, low, high, quote(text))
	}
	return n, nil
}

// digits reads a decimal number; one beyond the range of interest reads as
// some number beyond it.
func digits(text string) (int, bool) {
	n := 0
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int(c-'0'), 1<<40)
	}
	return n, text != ""
}

func readList(part listPart, text string) ([]int, error) {
	values, err := split(part.name, text)
	if err != nil {
		return nil, err
	}
	list := make([]int, 0, len(values))
	for _, value := range values {
		number, negative := strings.TrimPrefix(value, "+"), false
		if part.signed && strings.HasPrefix(value, "-") {
			number, negative = value[1:], true
		}
		if !part.signed {
			number = value
		}
		n, ok := digits(number)
		if !ok {
			return nil, refuse(part.name, codeSyntax, "%s must be numbers %s with commas between, got %s", part.name, part.allowed(), quote(value))
		}
		if n < part.low || n > part.high {
			return nil, refuse(part.name, codeRange, "%s must be %s, got %s", part.name, part.allowed(), quote(value))
		}
		if negative {
			n = -n
		}
		if part.name == "BYSECOND" && n == 60 {
			n = 59 // a leap second is taken as the one before (RFC 5545 section 3.3.12)
		}
		list = append(list, n)
	}
	slices.SortFunc(list, compareSigned)
	return slices.Compact(list), nil
}

// compareSigned puts what counts from the front before what counts from the
// end, each in the order of the calendar: 1, 2, -2, -1.
func compareSigned(a, b int) int {
	if (a < 0) != (b < 0) {
		return b - a
	}
	return a - b
}

func readWeekdays(text string) ([]weekdayNum, error) {
	values, err := split("BYDAY", text)
	if err != nil {
		return nil, err
	}
	list := make([]weekdayNum, 0, len(values))
	for _, value := range values {
		at := max(len(value)-2, 0)
		weekday := slices.Index(weekdayNames, value[at:])
		if weekday < 0 {
			return nil, refuse("BYDAY", codeUnknown, "BYDAY must be weekdays %s, each with an ordinal before it if wanted (1MO, -1FR), got %s", strings.Join(weekdayNames, ", "), quote(value))
		}
		n := 0
		if ordinal := value[:at]; ordinal != "" {
			negative := ordinal[0] == '-'
			var ok bool
			if n, ok = digits(strings.TrimLeft(ordinal[:1], "+-") + ordinal[1:]); !ok {
				return nil, refuse("BYDAY", codeSyntax, "BYDAY must have a number before the weekday, as in 1MO or -1FR, got %s", quote(value))
			}
			if n < 1 || n > 53 {
				return nil, refuse("BYDAY", codeRange, "BYDAY must have an ordinal 1 to 53 or -53 to -1, got %s", quote(value))
			}
			if negative {
				n = -n
			}
		}
		list = append(list, weekdayNum{weekday, n})
	}
	slices.SortFunc(list, func(a, b weekdayNum) int {
		if a.n != b.n {
			return compareSigned(a.n, b.n)
		}
		return a.weekday - b.weekday
	})
	return slices.Compact(list), nil
}

// split takes a list apart at its commas.
func split(part, text string) ([]string, error) {
	if n := strings.Count(text, ",") + 1; n > maxList {
		return nil, refuse(part, codeTooLong, "%s has %d values, at most %d are allowed", part, n, maxList)
	}
	values := strings.Split(text, ",")
	for i, value := range values {
		if values[i] = strings.TrimSpace(value); values[i] == "" {
			return nil, refuse(part, codeSyntax, "%s has an empty value before or after a comma", part)
		}
	}
	return values, nil
}

// check refuses what RFC 5545 section 3.3.10 does not allow together.
func (s *spec) check() error {
	freq := freqNames[s.freq]
	if s.count > 0 && s.until.kind != absent {
		return refuse("UNTIL", codeConflict, "COUNT and UNTIL cannot be in the same rule")
	}
	if s.lists[byWeekNo] != nil && s.freq != yearly {
		return refuse("BYWEEKNO", codeConflict, "BYWEEKNO goes only with FREQ=YEARLY, not with %s", freq)
	}
	if s.lists[byYearDay] != nil && s.freq >= daily && s.freq != yearly {
		return refuse("BYYEARDAY", codeConflict, "BYYEARDAY does not go with FREQ=%s, only with YEARLY, HOURLY, MINUTELY and SECONDLY", freq)
	}
	if s.lists[byMonthDay] != nil && s.freq == weekly {
		return refuse("BYMONTHDAY", codeConflict, "BYMONTHDAY does not go with FREQ=WEEKLY; did you mean FREQ=DAILY or MONTHLY with BYDAY?")
	}
	for _, day := range s.byDay {
		if day.n == 0 {
			continue
		}
		if s.freq < monthly {
			return refuse("BYDAY", codeConflict, "BYDAY=%s has an ordinal, which goes only with FREQ=MONTHLY and YEARLY, not with %s", day.text(), freq)
		}
		if s.lists[byWeekNo] != nil {
			return refuse("BYDAY", codeConflict, "BYDAY=%s has an ordinal, which does not go with BYWEEKNO", day.text())
		}
	}
	if s.lists[bySetPos] != nil {
		others := s.byDay != nil
		for i, list := range s.lists {
			others = others || i != bySetPos && list != nil
		}
		if !others {
			return refuse("BYSETPOS", codeConflict, "BYSETPOS needs another BY part to choose from, as in FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1")
		}
	}
	if s.begin.kind == date {
		for _, i := range []int{byHour, byMinute, bySecond} {
			if s.lists[i] != nil {
				return refuse(listParts[i].name, codeConflict, "%s does not go with a DTSTART that is a date; give DTSTART a time, as in 20260105T090000", listParts[i].name)
			}
		}
	}
	return nil
}

// quote names an offending value, cut to 64 bytes.
func quote(text string) string {
	if len(text) > 64 {
		text = text[:61] + "..."
	}
	return fmt.Sprintf("%q", text)
}
