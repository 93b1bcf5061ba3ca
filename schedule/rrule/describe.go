package rrule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// language has the words of a description. A %s stands for what the name says,
// %d for a number.
type language struct {
	every, everyN        [7]string // by frequency
	period               [7]string // "of each …", by frequency
	weekdays             [7]string
	months               [12]string
	and                  string
	clock                string // between hour and minute
	at, inHours          string
	atMinutes, inMinutes string
	atSeconds, inSeconds string
	inMonths             string
	inWeeks              string
	onYearDays           string
	onMonthDays          string
	onDays, onEveryDay   string
	inEveryMonth         string
	only                 string // a further condition
	monthDay, lastDay    string
	fromEndDay           string
	yearDay, lastYearDay string
	fromEndYearDay       string
	week, lastWeek       string
	fromEndWeek          string
	nthDay, lastNthDay   string // weekday and number
	fromEndNthDay        string
	ofMonth, ofYear      string
	nth                  func(n int) string
	positions            string // which, of what
	last, fromEnd        string
	weekBegins           string
	counted              string
	from, until          string
	untilDate            string
	once, times          string
	except, exceptDays   string
	plus                 string
	byParts              string
}

var english = language{
	every:    [7]string{"Every second", "Every minute", "Every hour", "Every day", "Every week", "Every month", "Every year"},
	everyN:   [7]string{"Every %d seconds", "Every %d minutes", "Every %d hours", "Every %d days", "Every %d weeks", "Every %d months", "Every %d years"},
	period:   [7]string{"second", "minute", "hour", "day", "week", "month", "year"},
	weekdays: [7]string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"},
	months: [12]string{"January", "February", "March", "April", "May", "June", "July",
		"August", "September", "October", "November", "December"},
	and: "and", clock: ":",
	at: "at %s", inHours: "in hour %s", atMinutes: "at minute %s", inMinutes: "in minute %s",
	atSeconds: "at second %s", inSeconds: "in second %s",
	inMonths: "in %s", inWeeks: "in %s", onYearDays: "on %s", onMonthDays: "on %s", onDays: "on %s", onEveryDay: "on every %s", inEveryMonth: "in every month", only: "only %s",
	monthDay: "day %s", lastDay: "the last day of the month", fromEndDay: "the %s-to-last day of the month",
	yearDay: "day %s of the year", lastYearDay: "the last day of the year", fromEndYearDay: "the %s-to-last day of the year",
	week: "week %s of the year", lastWeek: "the last week of the year", fromEndWeek: "the %s-to-last week of the year",
	nthDay: "the %[2]s %[1]s %[3]s", lastNthDay: "the last %[1]s %[3]s", fromEndNthDay: "the %[2]s-to-last %[1]s %[3]s",
	ofMonth: "of the month", ofYear: "of the year",
	nth:       englishNth,
	positions: "of these only the %s of each %s", last: "last", fromEnd: "%s-to-last",
	weekBegins: "weeks beginning on %s", counted: "counted from %s",
	from: "from %s", until: "until %s", untilDate: "until the end of %s", once: "once", times: "%d times",
	except: "excepted times: %d", exceptDays: "excepted days: %d", plus: "added times: %d",
	byParts: "By the parts of the rule: %s",
}

var indonesian = language{
	every:    [7]string{"Setiap detik", "Setiap menit", "Setiap jam", "Setiap hari", "Setiap minggu", "Setiap bulan", "Setiap tahun"},
	everyN:   [7]string{"Setiap %d detik", "Setiap %d menit", "Setiap %d jam", "Setiap %d hari", "Setiap %d minggu", "Setiap %d bulan", "Setiap %d tahun"},
	period:   [7]string{"detik", "menit", "jam", "hari", "minggu", "bulan", "tahun"},
	weekdays: [7]string{"Senin", "Selasa", "Rabu", "Kamis", "Jumat", "Sabtu", "Minggu"},
	months: [12]string{"Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli",
		"Agustus", "September", "Oktober", "November", "Desember"},
	and: "dan", clock: ".",
	at: "pukul %s", inHours: "pada jam %s", atMinutes: "pada menit %s", inMinutes: "pada menit %s",
	atSeconds: "pada detik %s", inSeconds: "pada detik %s",
	inMonths: "pada bulan %s", inWeeks: "pada %s", onYearDays: "pada %s", onMonthDays: "pada %s", onDays: "pada hari %s", onEveryDay: "pada setiap hari %s", inEveryMonth: "pada setiap bulan", only: "hanya %s",
	monthDay: "tanggal %s", lastDay: "hari terakhir bulan itu", fromEndDay: "hari %s dari akhir bulan",
	yearDay: "hari ke-%s tahun itu", lastYearDay: "hari terakhir tahun itu", fromEndYearDay: "hari %s dari akhir tahun",
	week: "minggu ke-%s tahun itu", lastWeek: "minggu terakhir tahun itu", fromEndWeek: "minggu %s dari akhir tahun",
	nthDay: "%[1]s %[2]s %[3]s", lastNthDay: "%[1]s terakhir %[3]s", fromEndNthDay: "%[1]s %[2]s dari akhir %[3]s",
	ofMonth: "bulan itu", ofYear: "tahun itu",
	nth:       func(n int) string { return "ke-" + strconv.Itoa(n) },
	positions: "dari semua itu hanya yang %s setiap %s", last: "terakhir", fromEnd: "%s dari akhir",
	weekBegins: "minggu dimulai hari %s", counted: "dihitung dari %s",
	from: "mulai %s", until: "sampai %s", untilDate: "sampai akhir %s", once: "satu kali", times: "%d kali",
	except: "waktu yang dikecualikan: %d", exceptDays: "hari yang dikecualikan: %d", plus: "waktu tambahan: %d",
	byParts: "Menurut bagian aturan: %s",
}

func englishNth(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}

// mostWords is how many values a list may have to be said in words.
const mostWords = 12

// Describe says in one sentence when the rule fires, in English ("en", also
// for a language it does not know) or Indonesian ("id"). What DTSTART adds to
// the rule is said as if it were written there. A rule with long lists or with
// three kinds of days at once is given by its parts instead.
func (r *Rule) Describe(lang string) string {
	l := &english
	if lang == "id" {
		l = &indonesian
	}
	s := &r.spec
	words := []string{l.every[s.freq]}
	if s.interval > 1 {
		words[0] = fmt.Sprintf(l.everyN[s.freq], s.interval)
	}
	days, daysOK := l.days(&r.place.pattern, s)
	times, timesOK := l.clocks(&r.place.pattern, s)
	if !daysOK || !timesOK || len(s.lists[bySetPos]) > mostWords {
		text := strings.NewReplacer(";", "; ", "=", " ", ",", ", ").Replace(s.ruleText())
		return fmt.Sprintf(l.byParts, text) + l.tail(r, true)
	}
	limits := []string{}
	monthFirst := r.place.days.months != 0 || r.place.inEveryMonth()
	for i, day := range days {
		if s.freq > daily && (i == 0 || i == 1 && monthFirst) {
			words = append(words, day)
		} else {
			limits = append(limits, fmt.Sprintf(l.only, day))
		}
	}
	text := strings.Join(append(words, times.at...), " ")
	for _, limit := range times.only {
		limits = append(limits, fmt.Sprintf(l.only, limit))
	}
	for _, limit := range limits {
		text += ", " + limit
	}
	if positions := s.lists[bySetPos]; positions != nil {
		which := make([]string, len(positions))
		for i, n := range positions {
			which[i] = l.ordinal(n, "%s", l.last, l.fromEnd)
		}
		text += ", " + fmt.Sprintf(l.positions, l.list(which), l.period[s.freq])
	}
	return text + l.tail(r, s.interval > 1)
}

// tail says where the rule begins and ends, and its exceptions. counted asks
// for the beginning even when it is only the anchor.
func (l *language) tail(r *Rule, counted bool) string {
	s := &r.spec
	var parts []string
	weekly := s.freq == weekly && (s.interval > 1 || s.lists[bySetPos] != nil)
	if s.wkst != 0 && (weekly || s.lists[byWeekNo] != nil) {
		parts = append(parts, fmt.Sprintf(l.weekBegins, l.weekdays[s.wkst]))
	}
	begin := moment{kind: local, wall: s.beginWall}
	if !s.begin.implied {
		zone := ""
		if s.tzid != "" || s.begin.kind == instant {
			zone = " " + s.zone.String()
		}
		parts = append(parts, fmt.Sprintf(l.from, l.moment(begin)+zone))
	} else if counted {
		parts = append(parts, fmt.Sprintf(l.counted, l.moment(begin)))
	}
	switch {
	case s.until.kind == date:
		parts = append(parts, fmt.Sprintf(l.untilDate, l.moment(s.until)))
	case s.until.kind != absent:
		parts = append(parts, fmt.Sprintf(l.until, l.moment(s.until)))
	case s.count == 1:
		parts = append(parts, l.once)
	case s.count > 1:
		parts = append(parts, fmt.Sprintf(l.times, s.count))
	}
	exDays := 0
	for _, m := range s.exdates {
		if m.kind == date {
			exDays++
		}
	}
	if n := len(s.exdates) - exDays; n > 0 {
		parts = append(parts, fmt.Sprintf(l.except, n))
	}
	if exDays > 0 {
		parts = append(parts, fmt.Sprintf(l.exceptDays, exDays))
	}
	if n := len(s.rdates); n > 0 {
		parts = append(parts, fmt.Sprintf(l.plus, n))
	}
	if len(parts) == 0 {
		return ""
	}
	return ", " + strings.Join(parts, ", ")
}

// moment writes 2026-01-05, 2026-01-05 09:00 or, in UTC, with that after it.
func (l *language) moment(m moment) string {
	year, month, day := civil(int(floorDiv(m.wall, daySeconds)))
	text := fmt.Sprintf("%04d-%02d-%02d", year, month, day)
	if m.kind == date {
		return text
	}
	text += " " + l.time(int(mod(m.wall, daySeconds)))
	if m.kind == instant {
		text += " UTC"
	}
	return text
}

// time writes a time of day, with the seconds only when there are any.
func (l *language) time(second int) string {
	text := fmt.Sprintf("%02d%s%02d", second/3600, l.clock, second/60%60)
	if second%60 != 0 {
		text += fmt.Sprintf("%s%02d", l.clock, second%60)
	}
	return text
}

// days says which days the rule may fall on, one condition each; false when
// that is too much for a sentence.
func (l *language) days(p *pattern, s *spec) ([]string, bool) {
	f := &p.days
	var all []string
	add := func(format string, values []string) bool {
		all = append(all, fmt.Sprintf(format, l.list(values)))
		return len(values) <= mostWords
	}
	ok := true
	if f.months != 0 {
		var names []string
		for month := 1; month <= 12; month++ {
			if f.months>>month&1 == 1 {
				names = append(names, l.months[month-1])
			}
		}
		ok = add(l.inMonths, names)
	} else if p.inEveryMonth() {
		all = append(all, l.inEveryMonth)
	}
	kinds := 0
	signed := func(format string, list []int, one, last, fromEnd string) {
		if list == nil {
			return
		}
		kinds++
		values := make([]string, len(list))
		for i, n := range list {
			values[i] = l.ordinal(n, one, last, fromEnd)
		}
		ok = add(format, values) && ok
	}
	monthDays := s.lists[byMonthDay]
	if monthDays == nil && f.monthDays != 0 {
		_, _, d := civil(int(floorDiv(s.beginWall, daySeconds)))
		monthDays = []int{d}
	}
	signed(l.inWeeks, s.lists[byWeekNo], l.week, l.lastWeek, l.fromEndWeek)
	signed(l.onYearDays, s.lists[byYearDay], l.yearDay, l.lastYearDay, l.fromEndYearDay)
	signed(l.onMonthDays, monthDays, l.monthDay, l.lastDay, l.fromEndDay)
	if f.weekdays != 0 || f.ordinals != nil {
		kinds++
		scope := l.ofMonth
		if f.ordinalYear {
			scope = l.ofYear
		}
		var names []string
		for day, name := range l.weekdays {
			if f.weekdays>>day&1 == 1 {
				names = append(names, name)
			}
		}
		for _, o := range f.ordinals {
			switch {
			case o.n == -1:
				names = append(names, fmt.Sprintf(l.lastNthDay, l.weekdays[o.weekday], "", scope))
			case o.n < 0:
				names = append(names, fmt.Sprintf(l.fromEndNthDay, l.weekdays[o.weekday], l.nth(-o.n), scope))
			default:
				names = append(names, fmt.Sprintf(l.nthDay, l.weekdays[o.weekday], l.nth(o.n), scope))
			}
		}
		format := l.onDays
		if f.weekdays != 0 && s.freq > weekly && kinds == 1 {
			format = l.onEveryDay
		}
		ok = add(format, names) && ok
	}
	return all, ok && kinds <= 2
}

// inEveryMonth tells whether days of the month stand for those of all twelve,
// in a rule that goes by years.
func (p *pattern) inEveryMonth() bool {
	f := &p.days
	return p.freq == yearly && f.months == 0 && f.monthDays|f.monthDaysEnd != 0
}

// said is what a description says about times of day: those the rule expands
// to, and those it is limited to.
type said struct{ at, only []string }

func (l *language) clocks(p *pattern, s *spec) (said, bool) {
	var out said
	list := func(set uint64) []string {
		var values []string
		for i := range 64 {
			if set>>i&1 == 1 {
				values = append(values, strconv.Itoa(i))
			}
		}
		return values
	}
	ok := true
	add := func(into *[]string, format string, values []string) {
		ok = ok && len(values) <= mostWords
		*into = append(*into, fmt.Sprintf(format, l.list(values)))
	}
	if s.freq >= daily {
		if p.inner.size() > mostWords {
			return out, false
		}
		var values []string
		for i := range p.inner.size() {
			values = append(values, l.time(p.inner.at(i)))
		}
		add(&out.at, l.at, values)
		return out, ok
	}
	if s.freq == hourly {
		add(&out.at, l.atMinutes, list(p.inner.minutes))
	}
	if s.freq > secondly && p.inner.seconds != 1 {
		add(&out.at, l.atSeconds, list(p.inner.seconds))
	}
	if s.lists[byHour] != nil {
		values := list(uint64(p.limit.hours))
		ok = ok && len(values) <= 2*mostWords
		out.only = append(out.only, fmt.Sprintf(l.inHours, l.list(values)))
	}
	if s.freq < hourly && s.lists[byMinute] != nil {
		add(&out.only, l.inMinutes, list(p.limit.minutes))
	}
	if s.freq == secondly && s.lists[bySecond] != nil {
		add(&out.only, l.inSeconds, list(p.limit.seconds))
	}
	return out, ok
}

// ordinal says n by one, and what counts from the end by last (-1) or fromEnd.
func (l *language) ordinal(n int, one, last, fromEnd string) string {
	switch {
	case n == -1:
		return last
	case n < 0:
		return fmt.Sprintf(fromEnd, l.nth(-n))
	case one == "%s":
		return l.nth(n)
	}
	return fmt.Sprintf(one, strconv.Itoa(n))
}

// list joins values as a sentence does: a, b and c.
func (l *language) list(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	head := slices.Clone(values[:len(values)-1])
	return strings.Join(head, ", ") + " " + l.and + " " + values[len(values)-1]
}
