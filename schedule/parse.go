package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// field describes one of the six fields of a cron expression.
type field struct {
	name     string
	min, max int // what a number may be; of the weekday, 7 is Sunday too
	size     int // how many different values there are
	hashMax  int // H without a range goes from min to here
	names    []string
	special  bool // a day field: ? L W # have a meaning
}

const (
	fieldSecond = iota
	fieldMinute
	fieldHour
	fieldDom
	fieldMonth
	fieldDow
)

var (
	monthNames = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
	dayNames   = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

	fields = [6]field{
		{name: "second", max: 59, size: 60, hashMax: 59},
		{name: "minute", max: 59, size: 60, hashMax: 59},
		{name: "hour", max: 23, size: 24, hashMax: 23},
		{name: "day of month", min: 1, max: 31, size: 31, hashMax: 28, special: true},
		{name: "month", min: 1, max: 12, size: 12, hashMax: 12, names: monthNames},
		{name: "day of week", max: 7, size: 7, hashMax: 6, names: dayNames, special: true},
	}

	macros = []struct{ name, expr string }{
		{"@yearly", "0 0 1 1 *"},
		{"@annually", "0 0 1 1 *"},
		{"@monthly", "0 0 1 * *"},
		{"@weekly", "0 0 * * 0"},
		{"@daily", "0 0 * * *"},
		{"@midnight", "0 0 * * *"},
		{"@hourly", "0 * * * *"},
	}
)

// maxCronLen is longer than every expression that String writes.
const maxCronLen = 1024

// ParseCron compiles a cron expression of five fields (minute, hour, day of
// month, month, day of week), of six (a second first), or a macro from @yearly
// to @hourly. H is spread by seed. The error is an *Error whose Field is "cron".
//
// The forms are those of crontab(5), and of Quartz for ? L W #, and of Jenkins
// for H. Ranges may wrap (22-2, fri-mon). When both day fields are restricted
// either may match; a field that begins with `*` does not count as restricted.
func ParseCron(expr string, seed uint64) (Cron, error) {
	c, err := parseCron(expr, seed)
	if err != nil {
		err.Field = "cron"
		return Cron{}, err
	}
	return c, nil
}

func parseCron(expr string, seed uint64) (Cron, *Error) {
	if len(expr) > maxCronLen {
		return Cron{}, errorf(CodeTooLong, "cron must have at most %d characters, got %d", maxCronLen, len(expr))
	}
	for i := range len(expr) {
		if c := expr[i]; c != '\t' && (c < ' ' || c > '~') {
			return Cron{}, errorf(CodeInvalid, "cron must be plain ASCII in one line, got %s at position %d", quote(charAt(expr, i)), i+1)
		}
	}
	words := strings.Fields(expr)
	if len(words) > 0 && words[0][0] == '@' {
		macro, err := expandMacro(words)
		if err != nil {
			return Cron{}, err
		}
		words = strings.Fields(macro)
	}
	if err := checkCount(expr, words); err != nil {
		return Cron{}, err
	}
	p := cronParser{seed: seed}
	if len(words) == 5 {
		p.c.second = 1
		words = append([]string{""}, words...)
	}
	for i, word := range words {
		if word == "" {
			continue
		}
		if err := p.field(i, word); err != nil {
			return Cron{}, err
		}
	}
	p.c.derive()
	if day2000 := dayOf(2000, 1, 1); p.c.flags&(everyDay|weekdayOnly) == 0 {
		if _, ok := p.c.nextDay(day2000, day2000+horizon/secondsPerDay); !ok {
			return Cron{}, errorf(CodeNeverFires, "cron never fires: no month of %s has a day that matches day of month %s and day of week %s; L is the last day of every month",
				quote(words[fieldMonth]), quote(words[fieldDom]), quote(words[fieldDow]))
		}
	}
	return p.c, nil
}

// charAt returns the whole character that begins at byte i.
func charAt(text string, i int) string {
	_, size := utf8.DecodeRuneInString(text[i:])
	return text[i : i+size]
}

func expandMacro(words []string) (string, *Error) {
	name := strings.ToLower(words[0])
	switch name {
	case "@every":
		hint := ""
		if len(words) == 2 {
			hint = fmt.Sprintf(`: {"every": %s}`, quote(words[1]))
		}
		return "", errorf(CodeUnsupported, "@every is no cron expression; use a schedule of its own%s", hint)
	case "@reboot":
		return "", errorf(CodeUnsupported, "@reboot is not supported: a server of many nodes has no boot that a job could belong to; use a cron, every or at schedule")
	}
	all := make([]string, len(macros))
	for i, m := range macros {
		if all[i] = m.name; m.name == name {
			if len(words) > 1 {
				return "", errorf(CodeTooMany, "%s stands alone, got %s after it", m.name, quote(strings.Join(words[1:], " ")))
			}
			return m.expr, nil
		}
	}
	if near := nearest(name, all); near != "" {
		return "", errorf(CodeInvalid, "unknown macro %s: did you mean %s?", quote(words[0]), near)
	}
	return "", errorf(CodeInvalid, "unknown macro %s: it must be one of %s", quote(words[0]), strings.Join(all, " "))
}

const cronFields = "5 fields (minute, hour, day of month, month, day of week) or 6 (second first)"

func checkCount(expr string, words []string) *Error {
	n := len(words)
	if n == 0 {
		return errorf(CodeRequired, "cron is empty: it needs %s", cronFields)
	}
	if name, _, ok := strings.Cut(words[0], "="); ok && (strings.EqualFold(name, "TZ") || strings.EqualFold(name, "CRON_TZ")) {
		return errorf(CodeUnsupported, "%s is not part of cron: set the job's timezone instead", quote(words[0]))
	}
	if n == 5 || n == 6 {
		return nil
	}
	code, hint := CodeTooFew, ""
	_, notDuration := time.ParseDuration(strings.Join(words, ""))
	switch {
	case strings.Contains(expr, ", ") || strings.Contains(expr, " ,"):
		hint = "; a list has no spaces: 1,2,3"
	case notDuration == nil:
		hint = fmt.Sprintf(`; for a fixed distance use {"every": %s}`, quote(strings.Join(words, "")))
	case strings.EqualFold(words[0], "every") && n > 1:
		hint = `; for a fixed distance use {"every": "15m"}`
	case n == 4:
		hint = "; for every day of the week add a *"
	case n == 7 && strings.Trim(words[6], "0123456789*?,-/") == "":
		hint = "; there is no year field: use start_at and end_at"
	case n >= 7:
		hint = "; the command is no part of it"
	}
	if n > 6 {
		code = CodeTooMany
	}
	return errorf(code, "cron needs %s, got %d%s", cronFields, n, hint)
}

// cronParser collects the fields of one expression.
type cronParser struct {
	c    Cron
	seed uint64
}

// field parses field i of six.
func (p *cronParser) field(i int, text string) *Error {
	f := &fields[i]
	star := text[0] == '*'
	if text == "?" && f.special {
		text, star = "*", true
	}
	var set uint64
	real := false
	for item := range strings.SplitSeq(text, ",") {
		if item == "" {
			return errorf(CodeInvalid, "%s has an empty place in its list: %s; a list has neither spaces nor doubled commas: 1,2,3", f.name, quote(text))
		}
		if f.special {
			done, err := p.specialItem(i, item)
			if err != nil {
				return err
			}
			if done {
				continue
			}
		}
		bits, step, err := p.item(i, item)
		if err != nil {
			return err
		}
		set |= bits
		real = real || step || item == "*"
	}
	switch i {
	case fieldSecond:
		p.c.second = set
		p.set(realSecond, real)
	case fieldMinute:
		p.c.minute = set
		p.set(realMinute, real)
	case fieldHour:
		p.c.hour = uint32(set)
		p.set(realHour, real)
	case fieldDom:
		p.c.dom = uint32(set)
		p.set(domStar, star)
	case fieldMonth:
		p.c.month = uint16(set)
	case fieldDow:
		p.c.dow = uint8(set)
		p.set(dowStar, star)
	}
	return nil
}

func (p *cronParser) set(flag cronFlags, on bool) {
	if on {
		p.c.flags |= flag
	}
}

// item parses *, a value, a range, H, each with or without a step.
func (p *cronParser) item(i int, item string) (set uint64, step bool, e *Error) {
	f := &fields[i]
	base, stepText, step := strings.Cut(item, "/")
	n := 1
	if step {
		if n, e = f.step(stepText, item); e != nil {
			return 0, false, e
		}
	}
	lo, hi := f.min, f.min+f.size-1
	switch {
	case base == "*":
	case base[:min(1, len(base))] == "H" || base[:min(1, len(base))] == "h":
		if lo, hi, e = p.hash(i, base, item, step, n); e != nil {
			return 0, false, e
		}
	default:
		// A dash leads a negative number, it does not make a range.
		loText, hiText, isRange := base, "", false
		if at := strings.IndexByte(base, '-'); at > 0 {
			loText, hiText, isRange = base[:at], base[at+1:], true
		}
		if lo, e = f.value(loText, item); e != nil {
			return 0, false, e
		}
		switch {
		case isRange:
			if hi, e = f.value(hiText, item); e != nil {
				return 0, false, e
			}
			if lo == f.min+f.size { // Sunday as 7 begins the week when it begins a range
				if lo = f.min; hi == f.min+f.size {
					hi = f.min
				}
			}
			if hi < lo {
				hi += f.size
			}
		case step:
			if lo == f.min+f.size {
				lo = f.min
			}
		default:
			hi = lo
		}
	}
	for v := lo; v <= hi; v += n {
		set |= 1 << ((v-f.min)%f.size + f.min)
	}
	return set, step, nil
}

// hash resolves H, H(0-29) and, when stepped, the start of H/15: it returns the
// range that is left.
func (p *cronParser) hash(i int, base, item string, stepped bool, step int) (lo, hi int, e *Error) {
	f := &fields[i]
	lo, hi = f.min, f.hashMax
	if inner := base[1:]; inner != "" {
		if inner[0] != '(' || inner[len(inner)-1] != ')' {
			return 0, 0, f.invalid(base, item)
		}
		loText, hiText, ok := strings.Cut(inner[1:len(inner)-1], "-")
		if !ok {
			return 0, 0, errorf(CodeInvalid, "%s: H takes a range, such as H(%d-%d), got %s", f.name, f.min, f.hashMax, quote(item))
		}
		if lo, e = f.value(loText, item); e != nil {
			return 0, 0, e
		}
		if hi, e = f.value(hiText, item); e != nil {
			return 0, 0, e
		}
		if hi = min(hi, f.min+f.size-1); hi < lo {
			return 0, 0, errorf(CodeOutOfRange, "%s: the range of H must not wrap, got %s", f.name, quote(item))
		}
	}
	spread := hi - lo + 1
	if stepped {
		spread = min(spread, step)
	}
	lo += int(mix(p.seed+uint64(i+1)*0x9e3779b97f4a7c15) % uint64(spread))
	if !stepped {
		hi = lo
	}
	return lo, hi, nil
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// step parses what follows the slash.
func (f *field) step(text, item string) (int, *Error) {
	n, ok := number(text)
	switch {
	case !ok:
		return 0, errorf(CodeInvalid, "the step of %s must be a number, got %s in %s", f.name, quote(text), quote(item))
	case n == 0:
		return 0, errorf(CodeOutOfRange, "the step of %s must be at least 1, got 0 in %s", f.name, quote(item))
	case n > f.max:
		hint := ""
		switch f.name {
		case "second":
			hint = fmt.Sprintf(`; for a fixed distance use {"every": "%ds"}`, min(n, 99999))
		case "minute":
			hint = fmt.Sprintf(`; for a fixed distance use {"every": "%dm"}`, min(n, 99999))
		case "hour":
			hint = fmt.Sprintf(`; for a fixed distance use {"every": "%dh"}`, min(n, 99999))
		}
		return 0, errorf(CodeOutOfRange, "the step of %s must be 1-%d, got %s in %s%s", f.name, f.max, shown(text), quote(item), hint)
	}
	return n, nil
}

// value parses a number or a name.
func (f *field) value(text, item string) (int, *Error) {
	if n, ok := number(text); ok {
		if n < f.min || n > f.max {
			return 0, errorf(CodeOutOfRange, "%s must be %d-%d, got %s", f.name, f.min, f.max, shown(text))
		}
		return n, nil
	}
	if text != "" && text[0] == '-' {
		if _, ok := number(text[1:]); ok {
			return 0, errorf(CodeOutOfRange, "%s must be %d-%d, got %s", f.name, f.min, f.max, shown(text))
		}
	}
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.min + i, nil
		}
	}
	return 0, f.invalid(text, item)
}

// number parses ASCII digits; what is too large for every field is 1<<30.
func number(text string) (int, bool) {
	if text == "" {
		return 0, false
	}
	n := 0
	for i := range len(text) {
		d := int(text[i]) - '0'
		if d < 0 || d > 9 {
			return 0, false
		}
		n = min(n*10+d, 1<<30)
	}
	return n, true
}

// shown is a number as an error names it.
func shown(text string) string {
	if len(text) > maxQuoted {
		return text[:maxQuoted] + "…"
	}
	return text
}

// invalid explains why text is no value of the field.
func (f *field) invalid(text, item string) *Error {
	allowed := strconv.Itoa(f.min) + "-" + strconv.Itoa(f.max)
	if f.names != nil {
		allowed += " or " + f.names[0] + "-" + f.names[len(f.names)-1]
	}
	place := ""
	if text != item {
		place = " in " + quote(item)
	}
	got := quote(text)
	if text == "" {
		got = "nothing"
	}
	hint := ""
	lower := strings.ToLower(text)
	for _, name := range f.names {
		if len(lower) > 3 && strings.HasPrefix(lower, name) && strings.Trim(lower, "abcdefghijklmnopqrstuvwxyz") == "" {
			hint = ": did you mean " + name + "?"
		}
	}
	if near := nearest(lower, f.names); hint == "" && near != "" && len(lower) >= 3 {
		hint = ": did you mean " + near + "?"
	}
	switch {
	case hint != "":
	case strings.ContainsAny(text, "?"):
		hint = "; ? is for the two day fields"
	case strings.ContainsAny(text, "lL#wW") && !f.special && isSpecial(text):
		hint = "; L, W and # are for the two day fields"
	case strings.Contains(text, "."):
		hint = "; a range is written with a dash"
	case strings.Contains(text, ";"):
		hint = "; a list is written with commas"
	}
	return errorf(CodeInvalid, "%s must be %s, got %s%s%s", f.name, allowed, got, place, hint)
}
