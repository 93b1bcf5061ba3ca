package schedule

import "strings"

// isSpecial reports whether text is made of digits and L, W, #, - alone.
func isSpecial(text string) bool { return strings.Trim(text, "0123456789lLwW#-") == "" }

// specialItem parses L L-3 15W LW of the day of month, and 5L fri#2 of the day
// of week. It reports false for everything else.
func (p *cronParser) specialItem(i int, item string) (bool, *Error) {
	if i == fieldDom {
		return p.domItem(strings.ToUpper(item), item)
	}
	return p.dowItem(item)
}

func (p *cronParser) domItem(upper, item string) (bool, *Error) {
	f := &fields[fieldDom]
	day, nearDay := strings.CutSuffix(upper, "W")
	back, fromEnd := strings.CutPrefix(upper, "L-")
	switch {
	case upper == "L":
		p.c.last |= 1
	case upper == "LW" || upper == "WL":
		p.c.flags |= lastWeekday
	case upper == "W":
		return false, errorf(CodeInvalid, "day of month: W needs a day before it, such as 15W, got %s", quote(item))
	case fromEnd && nearDay:
		return false, errorf(CodeUnsupported, "day of month: L-n and W cannot be joined, got %s; LW is the last weekday (Monday to Friday) of the month", quote(item))
	case fromEnd:
		n, ok := number(back)
		if !ok || n < 1 || n > 30 {
			return false, errorf(CodeOutOfRange, "day of month: L-n needs n from 1 to 30, got %s", quote(item))
		}
		p.c.last |= 1 << n
	case nearDay:
		n, ok := number(day)
		if !ok {
			return false, errorf(CodeInvalid, "day of month: W follows one day, such as 15W, got %s", quote(item))
		}
		if n < 1 || n > 31 {
			return false, errorf(CodeOutOfRange, "day of month must be 1-31, got %s in %s", shown(day), quote(item))
		}
		p.c.near |= 1 << n
	case strings.Contains(upper, "#"):
		return false, errorf(CodeUnsupported, "day of month: # is for the day of week, got %s", quote(item))
	case strings.HasPrefix(upper, "W"):
		if n, ok := number(upper[1:]); ok {
			return false, errorf(CodeInvalid, "day of month: W follows its day: did you mean %dW?", min(n, 99))
		}
		return false, f.invalid(item, item)
	case isSpecial(upper) && strings.Contains(upper, "L"):
		return false, errorf(CodeInvalid, "day of month: L is the last day, L-3 three days before it, got %s", quote(item))
	default:
		return false, nil
	}
	return true, nil
}

func (p *cronParser) dowItem(item string) (bool, *Error) {
	f := &fields[fieldDow]
	if item == "L" || item == "l" {
		return false, errorf(CodeUnsupported, "day of week: L alone means different days elsewhere; write friL for the last Friday of the month, or sat for every Saturday")
	}
	if at := strings.IndexByte(item, '#'); at >= 0 {
		dayText, nthText := item[:at], item[at+1:]
		n, ok := number(nthText)
		if strings.EqualFold(nthText, "L") {
			return false, errorf(CodeUnsupported, "day of week: the last one of a month is written %sL, got %s", shown(dayText), quote(item))
		}
		if !ok || n < 1 || n > 5 {
			return false, errorf(CodeOutOfRange, "day of week: # needs a number from 1 to 5, got %s", quote(item))
		}
		day, err := f.value(dayText, item)
		if err != nil {
			return false, err
		}
		p.c.nth |= 1 << (7*(n-1) + day%7)
		return true, nil
	}
	if dayText := item[:len(item)-1]; item[len(item)-1]|0x20 == 'l' {
		day, err := f.value(dayText, item)
		if err != nil {
			return false, err
		}
		p.c.nth |= 1 << (7*nthLast + day%7)
		return true, nil
	}
	if dayText, ok := strings.CutSuffix(strings.ToUpper(item), "W"); ok {
		if _, ok := number(dayText); ok {
			return false, errorf(CodeUnsupported, "day of week: W is for the day of month, got %s; Monday to Friday are mon-fri", quote(item))
		}
	}
	return false, nil
}
