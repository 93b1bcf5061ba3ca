package schedule

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// asError returns err as an *Error of its own.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		own := *e
		return &own
	}
	return &Error{Code: CodeInvalid, Message: err.Error()}
}

// parseEvery reads a duration of at least a second, in whole milliseconds.
func parseEvery(text string) (int64, *Error) {
	const maxLen = 64
	if len(text) > maxLen {
		return 0, errorf(CodeTooLong, "every must have at most %d characters, got %d", maxLen, len(text))
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, everyHint(text)
	case d < time.Second:
		return 0, errorf(CodeOutOfRange, "every must be at least 1s, got %s", quote(text))
	case d%time.Millisecond != 0:
		return 0, errorf(CodeOutOfRange, "every must be in whole milliseconds, got %s", quote(text))
	}
	return d.Milliseconds(), nil
}

// everyHint explains why text is no duration.
func everyHint(text string) *Error {
	hint := `a duration is a number and a unit (s, m, h), such as "90s", "15m" or "1h30m"`
	trimmed := strings.TrimSpace(text)
	if len(trimmed) > 10 && trimmed[0] <= '9' && strings.Trim(trimmed, "0123456789.hmnsu") == "" {
		return errorf(CodeOutOfRange, "every must be at most 2562047h (292 years), got %s", quote(text))
	}
	if n, err := strconv.Atoi(trimmed); err == nil && n > 0 {
		hint = "the unit is missing: did you mean " + quote(trimmed+"s") + "?"
	} else if compact := strings.ToLower(strings.Join(strings.Fields(text), "")); isDuration(compact) {
		hint = "did you mean " + quote(compact) + "?"
	} else if n, unit := leadingNumber(trimmed); n > 0 && n < 10000 {
		switch strings.ToLower(strings.TrimSpace(unit)) {
		case "d", "day", "days":
			hint = "days are not of one length: did you mean " + quote(strconv.Itoa(24*n)+"h") + ", or a cron schedule?"
		case "w", "week", "weeks":
			hint = "weeks are not of one length: did you mean " + quote(strconv.Itoa(168*n)+"h") + ", or a cron schedule?"
		case "min", "mins", "minute", "minutes":
			hint = "did you mean " + quote(strconv.Itoa(n)+"m") + "?"
		case "sec", "secs", "second", "seconds":
			hint = "did you mean " + quote(strconv.Itoa(n)+"s") + "?"
		case "hr", "hrs", "hour", "hours":
			hint = "did you mean " + quote(strconv.Itoa(n)+"h") + "?"
		case "month", "months", "mo":
			hint = `months are not of one length: use a cron schedule, such as "0 0 1 * *"`
		}
	} else if strings.HasPrefix(strings.ToUpper(trimmed), "PT") {
		if isDuration(strings.ToLower(trimmed[2:])) {
			hint = "did you mean " + quote(strings.ToLower(trimmed[2:])) + "?"
		}
	}
	return errorf(CodeInvalid, "every is no duration: got %s; %s", quote(text), hint)
}

func isDuration(text string) bool {
	d, err := time.ParseDuration(text)
	return err == nil && d > 0
}

// leadingNumber splits text after its leading ASCII digits.
func leadingNumber(text string) (int, string) {
	i := 0
	for i < len(text) && i < 9 && text[i] >= '0' && text[i] <= '9' {
		i++
	}
	n, _ := strconv.Atoi(text[:i])
	return n, text[i:]
}

// parseAt reads an instant, or a local time in a zone.
func parseAt(text string, z *zone, dst DST) (atSource, *Error) {
	const maxLen = 40
	if len(text) > maxLen {
		return atSource{}, errorf(CodeTooLong, "at must have at most %d characters, got %d", maxLen, len(text))
	}
	wall, ms, offset, local, e := readTime(text)
	if e != nil {
		return atSource{}, e
	}
	at := atSource{first: wall - offset, second: wall - offset}
	if local {
		if at, e = instants(wall, z, dst, text); e != nil {
			return atSource{}, e
		}
	}
	if at.first < minUnix || at.second > maxUnix {
		return atSource{}, errorf(CodeOutOfRange, "at must be in the years 0001 to 9999 UTC, got %s", quote(text))
	}
	at.first, at.second = at.first*1000+ms, at.second*1000+ms
	return at, nil
}

// instants returns what a wall means in a zone, in seconds.
func instants(wall int64, z *zone, dst DST, text string) (atSource, *Error) {
	// From a span that begins well before the wall to one that begins well
	// after it, every wall between is in a span or in a gap.
	const reach = 36 * 3600 // no change of offset is larger
	s := z.spanAt(wall)
	for s.start+s.off > wall-reach {
		s = z.spanAt(s.start - 1)
	}
	found := make([]int64, 0, 2)
	var lost span
	for s.start+s.off < wall+reach {
		if wall >= s.start+s.off && wall < s.end+s.off {
			found = append(found, wall-s.off)
		}
		if lo, _, _, hi := s.gap(); wall >= lo && wall < hi {
			lost = s
		}
		if s.end >= far {
			break
		}
		s = z.spanAt(s.end)
	}
	if len(found) > 0 {
		first, last := found[0], found[len(found)-1]
		switch dst.Overlap {
		case OverlapBoth:
			return atSource{first: first, second: last}, nil
		case OverlapSecond:
			return atSource{first: last, second: last}, nil
		}
		return atSource{first: first, second: first}, nil
	}
	at := lost.start
	if dst.Gap == GapShift {
		at = wall - lost.before
	}
	if _, dayLo, dayHi, _ := lost.gap(); wall >= dayLo && wall < dayHi {
		return atSource{}, errorf(CodeNeverFires, "the day of %s does not exist in the zone: its clock skipped it", quote(text))
	}
	if dst.Gap == GapSkip {
		return atSource{}, errorf(CodeNeverFires, "%s does not exist in the zone: the clock skips it, and dst.gap is skip", quote(text))
	}
	return atSource{first: at, second: at, moved: true}, nil
}

const atForms = `"2026-12-31T23:00:00Z", "2026-12-31T23:00:00+07:00", or "2026-12-31T23:00:00" in the job's zone`

// readTime reads RFC 3339 with or without an offset, with `T` or a space, and
// with or without seconds. The wall and the offset are in seconds.
func readTime(text string) (wall, ms, offset int64, local bool, e *Error) {
	bad := errorf(CodeInvalid, "at is no time: got %s; write %s", quote(text), atForms)
	rest := text
	number := func(digits int, before string) int {
		if len(rest) < len(before)+digits || rest[:len(before)] != before {
			rest = "!"
			return -1
		}
		n := 0
		for _, c := range []byte(rest[len(before) : len(before)+digits]) {
			if c < '0' || c > '9' {
				rest = "!"
				return -1
			}
			n = n*10 + int(c-'0')
		}
		rest = rest[len(before)+digits:]
		return n
	}
	year, month, day := number(4, ""), number(2, "-"), number(2, "-")
	if day >= 0 && rest == "" {
		return 0, 0, 0, false, errorf(CodeInvalid, "at needs a time of day: got %s; did you mean %s?", quote(text), quote(text+"T00:00:00"))
	}
	if rest == "" || rest[0] != 'T' && rest[0] != 't' && rest[0] != ' ' {
		return 0, 0, 0, false, bad
	}
	rest = rest[1:]
	hour, minute, second := number(2, ""), number(2, ":"), 0
	if rest != "" && rest[0] == ':' {
		second = number(2, ":")
	}
	if rest != "" && rest[0] == '.' {
		digits := 1
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		fraction := rest[1:digits]
		if fraction == "" || strings.Trim(fraction[min(3, len(fraction)):], "0") != "" {
			return 0, 0, 0, false, errorf(CodeInvalid, "at must be in whole milliseconds, got %s", quote(text))
		}
		n, _ := strconv.Atoi((fraction + "00")[:3])
		ms, rest = int64(n), rest[digits:]
	}
	switch {
	case rest == "":
		local = true
	case rest == "Z" || rest == "z":
	case rest[0] == '+' || rest[0] == '-':
		sign := int64(1)
		if rest[0] == '-' {
			sign = -1
		}
		rest = rest[1:]
		h, m := number(2, ""), number(2, ":")
		if rest != "" {
			return 0, 0, 0, false, bad
		}
		if h > 23 || m > 59 {
			return 0, 0, 0, false, errorf(CodeOutOfRange, "the offset of at must be within 23:59, got %s", quote(text))
		}
		offset = sign * int64(h*3600+m*60)
	default:
		return 0, 0, 0, false, bad
	}
	for _, part := range []struct {
		name        string
		got, lo, hi int
	}{{"year", year, 1, 9999}, {"month", month, 1, 12}, {"day", day, 1, 31}, {"hour", hour, 0, 23}, {"minute", minute, 0, 59}, {"second", second, 0, 59}} {
		if part.got < part.lo || part.got > part.hi {
			return 0, 0, 0, false, errorf(CodeOutOfRange, "the %s of at must be %d-%d, got %d in %s", part.name, part.lo, part.hi, part.got, quote(text))
		}
	}
	if n := daysIn(year, month); day > n {
		return 0, 0, 0, false, errorf(CodeOutOfRange, "there is no such day: got %s, a month of %d days", quote(text), n)
	}
	wall = dayOf(year, month, day)*secondsPerDay + int64(hour*3600+minute*60+second)
	return wall, ms, offset, local, nil
}
