package schedule

import (
	"fmt"
	"math/bits"
	"strings"
	"time"
)

// tongue is the words of one language. Phrases that follow others begin with
// their own space. Arrays of three are indexed by field: second, minute, hour.
type tongue struct {
	lang             Lang
	and, or, to      string
	clockSep         string
	every, everyN    [3]string
	atOne, atMany    [3]string // "at minute", "at minutes"
	ofOne, ofMany    [3]string // "of hour": after a list
	inOne, inMany    [3]string // "during hour": after an "every"
	of               string
	hourly           string // every hour from … to …
	on, onDay        string
	fromDay          string // leads a single range of weekdays
	in, everyDayIn   string
	ofEveryMonth     string
	ofMonth          string
	thatAre, everyOf string
	daySingular      string
	dayPlural        string
	nearest          string
	lastDay          string
	lastButOne       string
	beforeLast       string
	lastWorkday      string
	nth              string
	ordinals         [6]string
	days             [7]string
	months           [12]string
	fields           [6]string
	either           string
	everyFrom, once  string
	byRule, byHand   string
	from, until      string
	units            [5]string // hour, minute, second, millisecond, and the ending of the plural
}

func tongueOf(lang Lang) *tongue {
	if lang == Indonesian {
		return &indonesian
	}
	return &english
}

var english = tongue{
	lang: English, and: "and", or: "or", to: "to", clockSep: ":",
	every:  [3]string{"every second", "every minute", "every hour"},
	everyN: [3]string{"every %d seconds", "every %d minutes", "every %d hours"},
	atOne:  [3]string{"at second", "at minute", "at hour"},
	atMany: [3]string{"at seconds", "at minutes", "at hours"},
	ofOne:  [3]string{"of second", "of minute", "of hour"},
	ofMany: [3]string{"of seconds", "of minutes", "of hours"},
	inOne:  [3]string{"during second", "during minute", "during hour"},
	inMany: [3]string{"during seconds", "during minutes", "during hours"},
	of:     "of ", hourly: "every hour from %s to %s",
	on: "on ", onDay: "on ", fromDay: "from ", in: " in ", everyDayIn: "every day in ",
	ofEveryMonth: " of every month", ofMonth: " of ", thatAre: ", when it is a ", everyOf: "every ",
	daySingular: "day", dayPlural: "days",
	nearest:    "the weekday (Monday to Friday) nearest to day %d",
	lastDay:    "the last day",
	lastButOne: "the day before the last day", beforeLast: "the day %d days before the last day",
	lastWorkday: "the last weekday (Monday to Friday)",
	nth:         "the %[1]s %[2]s",
	ordinals:    [6]string{"first", "second", "third", "fourth", "fifth", "last"},
	days:        [7]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"},
	months:      [12]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
	fields:      [6]string{"second", "minute", "hour", "day of month", "month", "day of week"},
	either:      "either day matches",
	everyFrom:   "Every %s, counted from %s", once: "Once, at %s",
	byRule: "By an RFC 5545 rule", byHand: "Only by hand", from: "from", until: "until",
	units: [5]string{"hour", "minute", "second", "millisecond", "s"},
}

var indonesian = tongue{
	lang: Indonesian, and: "dan", or: "atau", to: "sampai", clockSep: ".",
	every:  [3]string{"setiap detik", "setiap menit", "setiap jam"},
	everyN: [3]string{"setiap %d detik", "setiap %d menit", "setiap %d jam"},
	atOne:  [3]string{"pada detik", "pada menit", "pada jam"},
	atMany: [3]string{"pada detik", "pada menit", "pada jam"},
	ofOne:  [3]string{"pada detik", "pada menit", "pada jam"},
	ofMany: [3]string{"pada detik", "pada menit", "pada jam"},
	inOne:  [3]string{"selama detik", "selama menit", "selama jam"},
	inMany: [3]string{"selama detik", "selama menit", "selama jam"},
	of:     "", hourly: "setiap jam dari pukul %s sampai %s",
	on: "pada ", onDay: "setiap hari ", fromDay: "setiap hari ", in: " pada bulan ", everyDayIn: "setiap hari pada bulan ",
	ofEveryMonth: " setiap bulan", ofMonth: " bulan ", thatAre: ", jika jatuh pada hari ", everyOf: "setiap hari ",
	daySingular: "tanggal", dayPlural: "tanggal",
	nearest:    "hari kerja (Senin sampai Jumat) terdekat dengan tanggal %d",
	lastDay:    "hari terakhir",
	lastButOne: "hari sebelum hari terakhir", beforeLast: "hari ke-%d sebelum hari terakhir",
	lastWorkday: "hari kerja (Senin sampai Jumat) terakhir",
	nth:         "%[2]s %[1]s",
	ordinals:    [6]string{"pertama", "kedua", "ketiga", "keempat", "kelima", "terakhir"},
	days:        [7]string{"Minggu", "Senin", "Selasa", "Rabu", "Kamis", "Jumat", "Sabtu"},
	months:      [12]string{"Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September", "Oktober", "November", "Desember"},
	fields:      [6]string{"detik", "menit", "jam", "tanggal", "bulan", "hari"},
	either:      "cukup salah satu dari tanggal dan hari yang cocok",
	everyFrom:   "Setiap %s, dihitung dari %s", once: "Sekali, pada %s",
	byRule: "Menurut aturan RFC 5545", byHand: "Hanya secara manual", from: "mulai", until: "sampai",
	units: [5]string{"jam", "menit", "detik", "milidetik", ""},
}

func (t *tongue) clock(hour, minute int) string {
	return fmt.Sprintf("%02d%s%02d", hour, t.clockSep, minute)
}

func (t *tongue) atEveryDay(clock string) string {
	if t.lang == Indonesian {
		return "setiap hari pukul " + clock
	}
	return "at " + clock + " every day"
}

func (t *tongue) atDays(clock, days string) string {
	if t.lang == Indonesian {
		return days + " pukul " + clock
	}
	return "at " + clock + " " + days
}

func (t *tongue) at(unit int, set uint64) string {
	if bits.OnesCount64(set) > 1 {
		return t.atMany[unit]
	}
	return t.atOne[unit]
}

// within leads the values of the next larger unit.
func (t *tongue) within(listed bool, unit int, set uint64) string {
	one, many := &t.inOne, &t.inMany
	if listed {
		one, many = &t.ofOne, &t.ofMany
	}
	if bits.OnesCount64(set) > 1 {
		return many[unit]
	}
	return one[unit]
}

// maxParts is how many values and ranges a phrase lists.
const maxParts = 8

// set names values: "1", "1 and 15", "9 to 17", "1, 3, 5 … 31". It reports
// false when there are too many parts.
func (t *tongue) set(set uint64, name func(int) string) (string, bool) {
	lo, hi := bits.TrailingZeros64(set), bits.Len64(set)-1
	if n := bits.OnesCount64(set); n >= 5 && (hi-lo)%(n-1) == 0 {
		step := (hi - lo) / (n - 1)
		even := true
		for v := lo; v <= hi; v += step {
			even = even && set>>v&1 != 0
		}
		if even && step > 1 {
			return name(lo) + ", " + name(lo+step) + ", " + name(lo+2*step) + " … " + name(hi), true
		}
	}
	var parts []string
	for set != 0 {
		lo := bits.TrailingZeros64(set)
		n := bits.TrailingZeros64(^(set >> lo))
		if n <= 2 {
			n = 1
			parts = append(parts, name(lo))
		} else {
			parts = append(parts, name(lo)+" "+t.to+" "+name(lo+n-1))
		}
		set &^= (1<<n - 1) << lo
	}
	return t.join(parts), len(parts) <= maxParts
}

func (t *tongue) join(parts []string) string { return joinWith(parts, t.and) }

func joinWith(parts []string, word string) string {
	last := len(parts) - 1
	if last <= 0 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:last], ", ") + " " + word + " " + parts[last]
}

// onWeekdays names weekdays after "on", or after "from" for one range.
func (t *tongue) onWeekdays(dow uint8) string {
	text := t.weekdayList(dow, t.and)
	if strings.Contains(text, " "+t.to+" ") && !strings.Contains(text, ",") && !strings.Contains(text, " "+t.and+" ") {
		return t.fromDay + text
	}
	return t.onDay + text
}

// weekdayList names weekdays in the order of a week that begins on Monday.
func (t *tongue) weekdayList(dow uint8, word string) string {
	week := uint64(dow>>1&0x3f | dow&1<<6)
	var parts []string
	for week != 0 {
		lo := bits.TrailingZeros64(week)
		n := bits.TrailingZeros64(^(week >> lo))
		if n <= 2 {
			n = 1
			parts = append(parts, t.days[(lo+1)%7])
		} else {
			parts = append(parts, t.days[(lo+1)%7]+" "+t.to+" "+t.days[(lo+n)%7])
		}
		week &^= (1<<n - 1) << lo
	}
	return joinWith(parts, word)
}

// duration names milliseconds: "1 hour 30 minutes".
func (t *tongue) duration(ms int64) string {
	var parts []string
	for i, size := range []int64{3600_000, 60_000, 1000, 1} {
		if n := ms / size; n > 0 {
			unit := t.units[i]
			if n != 1 {
				unit += t.units[4]
			}
			parts = append(parts, fmt.Sprintf("%d %s", n, unit))
			ms %= size
		}
	}
	if len(parts) == 1 && t.lang == English {
		return strings.TrimPrefix(parts[0], "1 ")
	}
	return strings.Join(parts, " ")
}

func (t *tongue) localTime(ms int64, loc *time.Location) string {
	layout := "2006-01-02 15:04:05.999 -07:00"
	if t.lang == Indonesian {
		layout = "2006-01-02 15.04.05,999 -07:00"
	}
	return time.UnixMilli(ms).In(loc).Format(layout)
}
