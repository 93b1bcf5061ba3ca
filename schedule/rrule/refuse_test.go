package rrule

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
)

func numbers(from, to int) string {
	var list []string
	for i := from; i <= to; i++ {
		list = append(list, strconv.Itoa(i))
	}
	return strings.Join(list, ",")
}

var refusals = []struct{ text, part, code, message string }{
	// The whole.
	{"", "RRULE", codeMissing, "the text is empty; it needs at least FREQ, as in FREQ=DAILY"},
	{" \n\r\n ", "RRULE", codeMissing, "the text is empty; it needs at least FREQ, as in FREQ=DAILY"},
	{strings.Repeat("x", 4097), "", codeTooLong, "the text has 4097 bytes, at most 4096 are allowed"},
	{strings.Repeat("A", 1_000_000), "", codeTooLong, "the text has 1000000 bytes, at most 4096 are allowed"},
	{"FREQ=DAILY\x00", "", codeSyntax, "byte 11 of the text is 0x00; a recurrence is plain ASCII"},
	{"FREQ=DAILY;COUNT=٣", "", codeSyntax, "byte 18 of the text is 0xd9; a recurrence is plain ASCII"},
	{"\ufeffFREQ=DAILY", "", codeSyntax, "byte 1 of the text is 0xef; a recurrence is plain ASCII"},
	{"daily", "RRULE", codeSyntax, `"daily" is neither a rule (FREQ=DAILY;…) nor a line DTSTART:…, RRULE:…, EXDATE:… or RDATE:…`},
	{"RRULE", "RRULE", codeSyntax, `"RRULE" is neither a rule (FREQ=DAILY;…) nor a line DTSTART:…, RRULE:…, EXDATE:… or RDATE:…`},
	{"RRULE:", "RRULE", codeMissing, "the rule is empty; it needs at least FREQ, as in FREQ=DAILY"},
	{"DTSTART:20260105T090000", "RRULE", codeMissing, "there is no RRULE; for single dates use `at` schedules"},
	{"RDATE:20260105T090000Z", "RRULE", codeMissing, "there is no RRULE; for single dates use `at` schedules"},
	{"RRULE:FREQ=DAILY\nRRULE:FREQ=HOURLY", "RRULE", codeRepeated, "there are two rules; give each a schedule of its own, their occurrences are united"},
	{"FREQ=DAILY\nFREQ=HOURLY", "RRULE", codeRepeated, "there are two rules; give each a schedule of its own, their occurrences are united"},
	{"RRULE:FREQ=DAILY\nEXRULE:FREQ=HOURLY", "EXRULE", codeUnknown, "EXRULE is not part of RFC 5545 any more; use EXDATE for single dates"},
	{"RRULE:FREQ=DAILY\nDTEND:20260105T100000", "DTEND", codeUnknown, "DTEND has no meaning here: an occurrence is an instant, it has no length"},
	{"RRULE:FREQ=DAILY\nDURATION:PT1H", "DURATION", codeUnknown, "DURATION has no meaning here: an occurrence is an instant, it has no length"},
	{"BEGIN:VEVENT\nRRULE:FREQ=DAILY", "", codeUnknown, `"BEGIN" is no line of a recurrence; allowed are DTSTART, RRULE, EXDATE and RDATE`},
	{"RRULE;X-A=1:FREQ=DAILY", "RRULE", codeUnknown, `RRULE cannot have the parameter "X-A=1"; allowed are TZID and VALUE`},
	{"RRULE;TZID=Asia/Jakarta:FREQ=DAILY", "RRULE", codeUnknown, `RRULE cannot have the parameter "TZID=Asia/Jakarta"; the zone belongs to DTSTART`},
	{"RRULE;VALUE=RECUR", "RRULE", codeSyntax, "RRULE has no colon before its value"},

	// Parts.
	{"INTERVAL=2", "FREQ", codeMissing, "FREQ is missing; it must be one of SECONDLY, MINUTELY, HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY"},
	{"FREQ=", "FREQ", codeMissing, "FREQ has no value"},
	{"FREQ=FORTNIGHTLY", "FREQ", codeUnknown, `FREQ must be one of SECONDLY, MINUTELY, HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY, got "FORTNIGHTLY"`},
	{"FREQ=DAILY;FREQ=DAILY", "FREQ", codeRepeated, "FREQ is there twice; put all values into one list with commas"},
	{"FREQ=DAILY;BYHOUR=1;BYHOUR=2", "BYHOUR", codeRepeated, "BYHOUR is there twice; put all values into one list with commas"},
	{"FREQ=DAILY;", "RRULE", codeSyntax, "there is an empty part before or after a semicolon"},
	{"FREQ=DAILY;;COUNT=2", "RRULE", codeSyntax, "there is an empty part before or after a semicolon"},
	{"FREQ=DAILY;COUNT", "RRULE", codeSyntax, `"COUNT" is not of the form NAME=VALUE`},
	{"FREQ=DAILY;FOO=1", "RRULE", codeUnknown, `"FOO" is no part of a rule; allowed are FREQ, INTERVAL, COUNT, UNTIL, WKST, BYDAY, BYSECOND, BYMINUTE, BYHOUR, BYMONTHDAY, BYYEARDAY, BYWEEKNO, BYMONTH, BYSETPOS`},
	{"FREQ=DAILY;" + strings.Repeat("X", 100) + "=1", "RRULE", codeUnknown, `"` + strings.Repeat("X", 61) + `..." is no part of a rule; allowed are FREQ, INTERVAL, COUNT, UNTIL, WKST, BYDAY, BYSECOND, BYMINUTE, BYHOUR, BYMONTHDAY, BYYEARDAY, BYWEEKNO, BYMONTH, BYSETPOS`},
	{"FREQ=YEARLY;BYEASTER=0", "BYEASTER", codeUnknown, "BYEASTER is not part of RFC 5545; list the dates with RDATE"},
	{"FREQ=WEEKLY;BYWEEKDAY=MO", "BYWEEKDAY", codeUnknown, "BYWEEKDAY is not part of RFC 5545; did you mean BYDAY?"},
	{"FREQ=MONTHLY;SKIP=FORWARD", "SKIP", codeUnknown, "SKIP belongs to RFC 7529, which is not supported; dates are Gregorian, and those that do not exist are skipped"},
	{"RSCALE=CHINESE;FREQ=YEARLY", "RSCALE", codeUnknown, "RSCALE belongs to RFC 7529, which is not supported; dates are Gregorian, and those that do not exist are skipped"},
	{"FREQ=DAILY;DTSTART=20260105T090000", "DTSTART", codeUnknown, "DTSTART is not a part of the rule; write it on a line of its own, as in DTSTART;TZID=Asia/Jakarta:20260105T090000"},

	// Numbers.
	{"FREQ=DAILY;INTERVAL=0", "INTERVAL", codeRange, `INTERVAL must be 1 to 1000000000, got "0"`},
	{"FREQ=DAILY;INTERVAL=-1", "INTERVAL", codeSyntax, `INTERVAL must be a whole number from 1 to 1000000000, got "-1"`},
	{"FREQ=DAILY;INTERVAL=1.5", "INTERVAL", codeSyntax, `INTERVAL must be a whole number from 1 to 1000000000, got "1.5"`},
	{"FREQ=DAILY;INTERVAL=99999999999999999999", "INTERVAL", codeRange, `INTERVAL must be 1 to 1000000000, got "99999999999999999999"`},
	{"FREQ=DAILY;INTERVAL=", "INTERVAL", codeMissing, "INTERVAL has no value"},
	{"FREQ=DAILY;COUNT=0", "COUNT", codeRange, `COUNT must be 1 to 100000, got "0"`},
	{"FREQ=DAILY;COUNT=100001", "COUNT", codeRange, `COUNT must be 1 to 100000, got "100001"`},
	{"FREQ=DAILY;COUNT=ten", "COUNT", codeSyntax, `COUNT must be a whole number from 1 to 100000, got "TEN"`},
	{"FREQ=DAILY;COUNT=+3", "COUNT", codeSyntax, `COUNT must be a whole number from 1 to 100000, got "+3"`},
	{"FREQ=MINUTELY;BYSECOND=61", "BYSECOND", codeRange, `BYSECOND must be 0 to 60, got "61"`},
	{"FREQ=HOURLY;BYMINUTE=60", "BYMINUTE", codeRange, `BYMINUTE must be 0 to 59, got "60"`},
	{"FREQ=DAILY;BYHOUR=24", "BYHOUR", codeRange, `BYHOUR must be 0 to 23, got "24"`},
	{"FREQ=DAILY;BYHOUR=-1", "BYHOUR", codeSyntax, `BYHOUR must be numbers 0 to 23 with commas between, got "-1"`},
	{"FREQ=DAILY;BYHOUR=+1", "BYHOUR", codeSyntax, `BYHOUR must be numbers 0 to 23 with commas between, got "+1"`},
	{"FREQ=DAILY;BYHOUR=9-17", "BYHOUR", codeSyntax, `BYHOUR must be numbers 0 to 23 with commas between, got "9-17"`},
	{"FREQ=DAILY;BYHOUR=*", "BYHOUR", codeSyntax, `BYHOUR must be numbers 0 to 23 with commas between, got "*"`},
	{"FREQ=DAILY;BYHOUR=", "BYHOUR", codeMissing, "BYHOUR has no value"},
	{"FREQ=DAILY;BYHOUR=1,", "BYHOUR", codeSyntax, "BYHOUR has an empty value before or after a comma"},
	{"FREQ=DAILY;BYHOUR=,1", "BYHOUR", codeSyntax, "BYHOUR has an empty value before or after a comma"},
	{"FREQ=DAILY;BYHOUR=1,,2", "BYHOUR", codeSyntax, "BYHOUR has an empty value before or after a comma"},
	{"FREQ=DAILY;BYMONTH=0", "BYMONTH", codeRange, `BYMONTH must be 1 to 12, got "0"`},
	{"FREQ=DAILY;BYMONTH=13", "BYMONTH", codeRange, `BYMONTH must be 1 to 12, got "13"`},
	{"FREQ=DAILY;BYMONTH=JAN", "BYMONTH", codeSyntax, `BYMONTH must be numbers 1 to 12 with commas between, got "JAN"`},
	{"FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY", codeRange, `BYMONTHDAY must be 1 to 31 or -31 to -1, got "0"`},
	{"FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY", codeRange, `BYMONTHDAY must be 1 to 31 or -31 to -1, got "32"`},
	{"FREQ=MONTHLY;BYMONTHDAY=-32", "BYMONTHDAY", codeRange, `BYMONTHDAY must be 1 to 31 or -31 to -1, got "-32"`},
	{"FREQ=MONTHLY;BYMONTHDAY=--1", "BYMONTHDAY", codeSyntax, `BYMONTHDAY must be numbers 1 to 31 or -31 to -1 with commas between, got "--1"`},
	{"FREQ=MONTHLY;BYMONTHDAY=+-1", "BYMONTHDAY", codeSyntax, `BYMONTHDAY must be numbers 1 to 31 or -31 to -1 with commas between, got "+-1"`},
	{"FREQ=YEARLY;BYYEARDAY=367", "BYYEARDAY", codeRange, `BYYEARDAY must be 1 to 366 or -366 to -1, got "367"`},
	{"FREQ=YEARLY;BYYEARDAY=0", "BYYEARDAY", codeRange, `BYYEARDAY must be 1 to 366 or -366 to -1, got "0"`},
	{"FREQ=YEARLY;BYYEARDAY=" + numbers(1, 367), "BYYEARDAY", codeTooLong, "BYYEARDAY has 367 values, at most 366 are allowed"},
	{"FREQ=YEARLY;BYWEEKNO=54", "BYWEEKNO", codeRange, `BYWEEKNO must be 1 to 53 or -53 to -1, got "54"`},
	{"FREQ=YEARLY;BYWEEKNO=-54", "BYWEEKNO", codeRange, `BYWEEKNO must be 1 to 53 or -53 to -1, got "-54"`},
	{"FREQ=MONTHLY;BYDAY=MO;BYSETPOS=0", "BYSETPOS", codeRange, `BYSETPOS must be 1 to 366 or -366 to -1, got "0"`},
	{"FREQ=MONTHLY;BYDAY=MO;BYSETPOS=367", "BYSETPOS", codeRange, `BYSETPOS must be 1 to 366 or -366 to -1, got "367"`},

	// Weekdays.
	{"FREQ=WEEKLY;BYDAY=MON", "BYDAY", codeUnknown, `BYDAY must be weekdays MO, TU, WE, TH, FR, SA, SU, each with an ordinal before it if wanted (1MO, -1FR), got "MON"`},
	{"FREQ=WEEKLY;BYDAY=M", "BYDAY", codeUnknown, `BYDAY must be weekdays MO, TU, WE, TH, FR, SA, SU, each with an ordinal before it if wanted (1MO, -1FR), got "M"`},
	{"FREQ=WEEKLY;BYDAY=1", "BYDAY", codeUnknown, `BYDAY must be weekdays MO, TU, WE, TH, FR, SA, SU, each with an ordinal before it if wanted (1MO, -1FR), got "1"`},
	{"FREQ=MONTHLY;BYDAY=0MO", "BYDAY", codeRange, `BYDAY must have an ordinal 1 to 53 or -53 to -1, got "0MO"`},
	{"FREQ=MONTHLY;BYDAY=54MO", "BYDAY", codeRange, `BYDAY must have an ordinal 1 to 53 or -53 to -1, got "54MO"`},
	{"FREQ=MONTHLY;BYDAY=-MO", "BYDAY", codeSyntax, `BYDAY must have a number before the weekday, as in 1MO or -1FR, got "-MO"`},
	{"FREQ=MONTHLY;BYDAY=1.MO", "BYDAY", codeSyntax, `BYDAY must have a number before the weekday, as in 1MO or -1FR, got "1.MO"`},
	{"FREQ=MONTHLY;BYDAY=MO,,TU", "BYDAY", codeSyntax, "BYDAY has an empty value before or after a comma"},
	{"FREQ=MONTHLY;BYDAY=", "BYDAY", codeMissing, "BYDAY has no value"},
	{"FREQ=WEEKLY;WKST=MONDAY", "WKST", codeUnknown, `WKST must be one of MO, TU, WE, TH, FR, SA, SU, got "MONDAY"`},
	{"FREQ=WEEKLY;WKST=1MO", "WKST", codeUnknown, `WKST must be one of MO, TU, WE, TH, FR, SA, SU, got "1MO"`},

	// What does not go together.
	{"FREQ=DAILY;COUNT=2;UNTIL=20270101T000000Z", "UNTIL", codeConflict, "COUNT and UNTIL cannot be in the same rule"},
	{"FREQ=MONTHLY;BYWEEKNO=20", "BYWEEKNO", codeConflict, "BYWEEKNO goes only with FREQ=YEARLY, not with MONTHLY"},
	{"FREQ=HOURLY;BYWEEKNO=20", "BYWEEKNO", codeConflict, "BYWEEKNO goes only with FREQ=YEARLY, not with HOURLY"},
	{"FREQ=DAILY;BYYEARDAY=1", "BYYEARDAY", codeConflict, "BYYEARDAY does not go with FREQ=DAILY, only with YEARLY, HOURLY, MINUTELY and SECONDLY"},
	{"FREQ=WEEKLY;BYYEARDAY=1", "BYYEARDAY", codeConflict, "BYYEARDAY does not go with FREQ=WEEKLY, only with YEARLY, HOURLY, MINUTELY and SECONDLY"},
	{"FREQ=MONTHLY;BYYEARDAY=1", "BYYEARDAY", codeConflict, "BYYEARDAY does not go with FREQ=MONTHLY, only with YEARLY, HOURLY, MINUTELY and SECONDLY"},
	{"FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY", codeConflict, "BYMONTHDAY does not go with FREQ=WEEKLY; did you mean FREQ=DAILY or MONTHLY with BYDAY?"},
	{"FREQ=WEEKLY;BYDAY=1MO", "BYDAY", codeConflict, "BYDAY=1MO has an ordinal, which goes only with FREQ=MONTHLY and YEARLY, not with WEEKLY"},
	{"FREQ=DAILY;BYDAY=MO,-1FR", "BYDAY", codeConflict, "BYDAY=-1FR has an ordinal, which goes only with FREQ=MONTHLY and YEARLY, not with DAILY"},
	{"FREQ=YEARLY;BYWEEKNO=20;BYDAY=1MO", "BYDAY", codeConflict, "BYDAY=1MO has an ordinal, which does not go with BYWEEKNO"},
	{"FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS", codeConflict, "BYSETPOS needs another BY part to choose from, as in FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"},
	{"DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=DAILY;BYHOUR=9", "BYHOUR", codeConflict, "BYHOUR does not go with a DTSTART that is a date; give DTSTART a time, as in 20260105T090000"},
	{"DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=DAILY;BYSECOND=9", "BYSECOND", codeConflict, "BYSECOND does not go with a DTSTART that is a date; give DTSTART a time, as in 20260105T090000"},

	// Dates.
	{"FREQ=DAILY;UNTIL=", "UNTIL", codeMissing, "UNTIL has no value"},
	{"FREQ=DAILY;UNTIL=2027-01-01", "UNTIL", codeSyntax, `UNTIL must be a date 20260105 or a time 20260105T090000 (local) or 20260105T090000Z (UTC), got "2027-01-01"`},
	{"FREQ=DAILY;UNTIL=20270101T0000Z", "UNTIL", codeSyntax, `UNTIL must be a date 20260105 or a time 20260105T090000 (local) or 20260105T090000Z (UTC), got "20270101T0000Z"`},
	{"FREQ=DAILY;UNTIL=20270101T000000+0700", "UNTIL", codeSyntax, `UNTIL must be a date 20260105 or a time 20260105T090000 (local) or 20260105T090000Z (UTC), got "20270101T000000+0700"`},
	{"FREQ=DAILY;UNTIL=2027010x", "UNTIL", codeSyntax, `UNTIL must be a date 20260105 or a time 20260105T090000 (local) or 20260105T090000Z (UTC), got "2027010X"`},
	{"FREQ=DAILY;UNTIL=20270229", "UNTIL", codeRange, `UNTIL names a date that does not exist, "20270229"`},
	{"FREQ=DAILY;UNTIL=20271301", "UNTIL", codeRange, `UNTIL names a date that does not exist, "20271301"`},
	{"FREQ=DAILY;UNTIL=20270100", "UNTIL", codeRange, `UNTIL names a date that does not exist, "20270100"`},
	{"FREQ=DAILY;UNTIL=20270101T240000Z", "UNTIL", codeRange, `UNTIL names a time of day that does not exist, "20270101T240000Z"`},
	{"FREQ=DAILY;UNTIL=20270101T006000", "UNTIL", codeRange, `UNTIL names a time of day that does not exist, "20270101T006000"`},
	{"FREQ=DAILY;UNTIL=15820101", "UNTIL", codeRange, `UNTIL must be in the years 1583 to 9999, got "15820101"`},
	{"DTSTART:\nRRULE:FREQ=DAILY", "DTSTART", codeMissing, "DTSTART has no value"},
	{"DTSTART:20260105T090000\nDTSTART:20260105T090000\nRRULE:FREQ=DAILY", "DTSTART", codeRepeated, "DTSTART is there twice"},
	{"DTSTART:20260105\nRRULE:FREQ=DAILY", "DTSTART", codeConflict, `DTSTART is a date without a time, "20260105"; write DTSTART;VALUE=DATE:20260105 if that is meant`},
	{"DTSTART;VALUE=DATE-TIME:20260105\nRRULE:FREQ=DAILY", "DTSTART", codeConflict, `DTSTART is a date without a time, "20260105"; write DTSTART;VALUE=DATE:20260105 if that is meant`},
	{"DTSTART;VALUE=DATE:20260105T090000\nRRULE:FREQ=DAILY", "DTSTART", codeConflict, `DTSTART;VALUE=DATE must be a date such as 20260105, got "20260105T090000"`},
	{"DTSTART;VALUE=TIME:090000\nRRULE:FREQ=DAILY", "DTSTART", codeUnknown, `DTSTART must have VALUE=DATE or VALUE=DATE-TIME, got "TIME"`},
	{"DTSTART;VALUE=:20260105\nRRULE:FREQ=DAILY", "DTSTART", codeMissing, "DTSTART has an empty parameter VALUE"},
	{"DTSTART;TZID=:20260105T090000\nRRULE:FREQ=DAILY", "DTSTART", codeMissing, "DTSTART has an empty parameter TZID"},
	{"DTSTART;TZID=UTC;TZID=UTC:20260105T090000\nRRULE:FREQ=DAILY", "DTSTART", codeRepeated, "DTSTART has the parameter TZID twice"},
	{"DTSTART;TZID=Mars/Olympus:20260105T090000\nRRULE:FREQ=DAILY", "DTSTART", codeUnknown, `DTSTART has an unknown TZID "Mars/Olympus"; it must be a name such as Asia/Jakarta`},
	{"DTSTART;TZID=Local:20260105T090000\nRRULE:FREQ=DAILY", "DTSTART", codeUnknown, `DTSTART has an unknown TZID "Local"; it must be a name such as Asia/Jakarta`},
	{"DTSTART;TZID=../etc/passwd:20260105T090000\nRRULE:FREQ=DAILY", "DTSTART", codeUnknown, `DTSTART has an unknown TZID "../etc/passwd"; it must be a name such as Asia/Jakarta`},
	{"DTSTART;TZID=Asia/Jakarta:20260105T090000Z\nRRULE:FREQ=DAILY", "DTSTART", codeConflict, `DTSTART has both a TZID and a time in UTC, "20260105T090000Z"; leave one out`},
	{"DTSTART;TZID=Asia/Jakarta;VALUE=DATE:20260105\nRRULE:FREQ=DAILY", "DTSTART", codeConflict, "DTSTART has both a TZID and VALUE=DATE; a date has no zone"},
	{"DTSTART:20260105T090000,20260106T090000\nRRULE:FREQ=DAILY", "DTSTART", codeSyntax, `DTSTART must be a date 20260105 or a time 20260105T090000 (local) or 20260105T090000Z (UTC), got "20260105T090000,20260106T090000"`},
	{"DTSTART\nRRULE:FREQ=DAILY", "RRULE", codeSyntax, `"DTSTART" is neither a rule (FREQ=DAILY;…) nor a line DTSTART:…, RRULE:…, EXDATE:… or RDATE:…`},
	{"RRULE:FREQ=DAILY\nEXDATE:", "EXDATE", codeSyntax, "EXDATE has an empty value before or after a comma"},
	{"RRULE:FREQ=DAILY\nEXDATE:20260105", "EXDATE", codeConflict, `EXDATE is a date without a time, "20260105"; write EXDATE;VALUE=DATE:20260105 if that is meant`},
	{"RRULE:FREQ=DAILY\nRDATE;VALUE=PERIOD:20260105T090000Z/PT1H", "RDATE", codeUnknown, "RDATE;VALUE=PERIOD is not supported: an occurrence has no length; write the starts alone"},
	{"RRULE:FREQ=DAILY\nRDATE;TZID=Pacific/Apia:20111230T100000", "RDATE", codeRange, `RDATE names a day that Pacific/Apia left out, "20111230T100000"`},

	// Never.
	{"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "", codeNever, "the rule never fires: no date of the 100 years after its beginning fits all of FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"},
	{"FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "", codeNever, "the rule never fires: no date of the 100 years after its beginning fits all of FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30"},
	{"FREQ=SECONDLY;INTERVAL=2;BYSECOND=1", "", codeNever, "the rule never fires: no date of the 100 years after its beginning fits all of FREQ=SECONDLY;INTERVAL=2;BYSECOND=1"},
	{"FREQ=MINUTELY;INTERVAL=1440;BYHOUR=10", "", codeNever, "the rule never fires: no date of the 100 years after its beginning fits all of FREQ=MINUTELY;INTERVAL=1440;BYHOUR=10"},
	{"FREQ=DAILY;INTERVAL=7;BYDAY=TU", "", codeNever, "the rule never fires: no date of the 100 years after its beginning fits all of FREQ=DAILY;INTERVAL=7;BYDAY=TU"},
	{"FREQ=HOURLY;INTERVAL=168;BYDAY=TU", "", codeNever, "the rule never fires: no date of the 100 years after its beginning fits all of FREQ=HOURLY;INTERVAL=168;BYDAY=TU"},
	{"FREQ=MONTHLY;BYDAY=MO;BYSETPOS=6", "", codeNever, "the rule never fires: no date of the 100 years after its beginning fits all of FREQ=MONTHLY;BYDAY=MO;BYSETPOS=6"},
	{"FREQ=MONTHLY;BYDAY=6MO", "", codeNever, "the rule never fires: no date of the 100 years after its beginning fits all of FREQ=MONTHLY;BYDAY=6MO"},
	{"FREQ=SECONDLY;BYSECOND=1;BYSETPOS=2", "", codeNever, "the rule never fires: no date of the 100 years after its beginning fits all of FREQ=SECONDLY;BYSECOND=1;BYSETPOS=2"},
	{"FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29;WKST=SU", "", codeNever, "the rule never fires: no date of the 100 years after its beginning fits all of FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29;WKST=SU"},
	{"FREQ=YEARLY;BYMONTH=1;BYYEARDAY=100", "", codeNever, "the rule never fires: no date of the 100 years after its beginning fits all of FREQ=YEARLY;BYMONTH=1;BYYEARDAY=100"},
	{"FREQ=YEARLY;INTERVAL=101;BYMONTH=2;BYMONTHDAY=29", "", codeNever, "the rule never fires: no date of the 100 years after its beginning fits all of FREQ=YEARLY;INTERVAL=101;BYMONTH=2;BYMONTHDAY=29"},
	{"FREQ=SECONDLY;INTERVAL=999983;BYHOUR=3;BYMINUTE=7;BYSECOND=11", "", codeNever, "the rule never fires: no date of the 100 years after its beginning fits all of FREQ=SECONDLY;INTERVAL=999983;BYHOUR=3;BYMINUTE=7;BYSECOND=11"},
	{"FREQ=SECONDLY;INTERVAL=999983;BYHOUR=3", "INTERVAL", codeCostly, "INTERVAL=999983 with so many times of day takes too long to compute; take a multiple of 60, or fewer values in BYHOUR, BYMINUTE and BYSECOND"},
	{"FREQ=SECONDLY;INTERVAL=86401;BYHOUR=3,4", "INTERVAL", codeCostly, "INTERVAL=86401 with so many times of day takes too long to compute; take a multiple of 60, or fewer values in BYHOUR, BYMINUTE and BYSECOND"},
	{"FREQ=SECONDLY;INTERVAL=7;COUNT=100000", "COUNT", codeCostly, "COUNT=100000 of this rule takes too long to count; take a lower one, or UNTIL"},
	{"FREQ=YEARLY;BYDAY=MO,TU;BYSETPOS=1,-1;COUNT=100000", "COUNT", codeCostly, "COUNT=100000 of this rule takes too long to count; take a lower one, or UNTIL"},
	{"FREQ=YEARLY;COUNT=100000", "COUNT", codeCostly, "COUNT=100000 of this rule takes too long to count; take a lower one, or UNTIL"},
	{"FREQ=DAILY;UNTIL=20260101", "UNTIL", codeNever, "UNTIL=20260101 is before the first occurrence, 2026-01-05T09:00:00+07:00"},
	{"FREQ=DAILY;UNTIL=20260105T015959Z", "UNTIL", codeNever, "UNTIL=20260105T015959Z is before the first occurrence, 2026-01-05T09:00:00+07:00"},
	{"RRULE:FREQ=DAILY;COUNT=2\nEXDATE:20260105T090000,20260106T020000Z\nEXDATE;VALUE=DATE:20260106", "EXDATE", codeNever, "EXDATE removes every occurrence of the rule, so it never fires"},
	{"RRULE:FREQ=SECONDLY;UNTIL=20260105\nEXDATE;VALUE=DATE:20260105", "EXDATE", codeNever, "EXDATE removes every occurrence of the rule, so it never fires"},
}

func TestRefusals(t *testing.T) {
	zone := mustZone(t, "Asia/Jakarta")
	begin := time.Date(2026, 1, 5, 9, 0, 0, 0, zone)
	for _, c := range refusals {
		name := c.text
		if len(name) > 60 {
			name = name[:60]
		}
		t.Run(name, func(t *testing.T) {
			rule, err := Parse(c.text, zone, begin, "", "")
			var refusal *Error
			if !errors.As(err, &refusal) {
				t.Fatalf("got %v, %v; want a refusal", rule, err)
			}
			if refusal.Part != c.part || refusal.Code != c.code || refusal.Message != c.message {
				t.Errorf("got  %q %q %q\nwant %q %q %q", refusal.Part, refusal.Code, refusal.Message, c.part, c.code, c.message)
			}
			if err.Error() != c.message {
				t.Errorf("the error reads %q", err)
			}
		})
	}
	if len(refusals) < 120 {
		t.Errorf("there are %d refusals", len(refusals))
	}
}

func TestRefusedArguments(t *testing.T) {
	for _, c := range []struct {
		name, gap, overlap string
		anchor             time.Time
		message            string
	}{
		{"an unknown gap", "later", "", anchor, `gap must be run_after, skip or shift, got "later"`},
		{"an unknown overlap", "", "Auto", anchor, `overlap must be auto, first, second or both, got "Auto"`},
		{"no anchor and no DTSTART", "", "", time.Time{}, "there is no DTSTART, and the anchor's year must be 1583 to 9999 to stand in for it, got 1"},
		{"an anchor beyond the calendar", "", "", time.Unix(1<<55, 0), "there is no DTSTART, and the anchor's year must be 1583 to 9999 to stand in for it, got 1141709097"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Parse("FREQ=DAILY", nil, c.anchor, c.gap, c.overlap); err == nil || err.Error() != c.message {
				t.Errorf("got %v, want %s", err, c.message)
			}
		})
	}
}

func TestLists(t *testing.T) {
	text := "DTSTART:20260105T090000\nRRULE:FREQ=YEARLY"
	var dates []string
	for i := range 183 {
		dates = append(dates, time.Date(2027, 1, 1+i, 0, 0, 0, 0, time.UTC).Format("20060102"))
	}
	half := "\nRDATE;VALUE=DATE:" + strings.Join(dates, ",")
	if _, err := Parse(text+half+half, nil, anchor, "", ""); err != nil {
		t.Errorf("366 dates are refused: %v", err)
	}
	_, err := Parse(text+half+half+"\nRDATE:20300101T000000", nil, anchor, "", "")
	if want := "RDATE has 367 values, at most 366 are allowed"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
