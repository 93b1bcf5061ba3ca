package rrule

import (
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal/schedule"
)

// maxSearch bounds a Next or a Prev, in steps: 100 years hold 1200 months, or as
// many weeks that every fifth is. It is well below 100 µs.
const maxSearch = 2500

// costly are rules that were made to take long: their occurrences are far
// apart, or end, while their parts nearly always meet.
var costly = []string{
	"FREQ=SECONDLY;INTERVAL=999983;BYHOUR=9;BYMINUTE=" + numbers(0, 23),
	"FREQ=SECONDLY;INTERVAL=999983;BYHOUR=9;BYMINUTE=0;BYSECOND=0",
	"FREQ=SECONDLY;INTERVAL=86399;BYHOUR=2,3,4,5,6,7,8,9",
	"FREQ=SECONDLY;INTERVAL=86399;BYHOUR=8,9;BYDAY=MO",
	"FREQ=SECONDLY;INTERVAL=86401;BYHOUR=9;BYMINUTE=" + numbers(0, 20),
	"FREQ=SECONDLY;INTERVAL=86460;BYHOUR=9;BYDAY=MO",
	"FREQ=SECONDLY;INTERVAL=11;BYHOUR=0,6,12,18;BYMINUTE=0,11,22,33,44,55,7,18,29;BYSECOND=0,11,22,33,44,55,1,12,23",
	"FREQ=SECONDLY;INTERVAL=13;BYHOUR=" + numbers(0, 11) + ";BYMINUTE=" + numbers(0, 29) + ";BYSECOND=0",
	"FREQ=SECONDLY;INTERVAL=1000000000",
	"FREQ=MINUTELY;INTERVAL=1439;BYHOUR=9;BYMINUTE=0",
	"FREQ=MINUTELY;INTERVAL=525601;BYHOUR=9,10",
	"FREQ=HOURLY;INTERVAL=8761;BYHOUR=9",
	"FREQ=HOURLY;INTERVAL=25;BYHOUR=9;BYMONTH=1;BYDAY=MO",
	"FREQ=DAILY;INTERVAL=73;BYMONTHDAY=5",
	"FREQ=DAILY;INTERVAL=1461;BYMONTH=1",
	"FREQ=WEEKLY;INTERVAL=5;BYMONTH=2;BYDAY=SA,SU;BYSETPOS=2",
	"FREQ=MONTHLY;BYMONTHDAY=29,28;BYMONTH=2;BYDAY=SU,MO;BYSETPOS=2",
	"FREQ=YEARLY;BYWEEKNO=" + numbers(1, 53) + ";BYYEARDAY=366;BYDAY=SU;BYSETPOS=1",
	"FREQ=YEARLY;BYYEARDAY=366;BYDAY=SU",
	"FREQ=YEARLY;INTERVAL=4;BYYEARDAY=-1;BYDAY=SU",
	"DTSTART:19900101T000000\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU;BYHOUR=2;BYMINUTE=30;BYSECOND=0",
	"DTSTART:19900101T000000\nRRULE:FREQ=MINUTELY;BYMONTH=3;BYMONTHDAY=8,9,10,11,12,13,14;BYDAY=SU;BYHOUR=2",
	"DTSTART:15830101T090000\nRRULE:FREQ=YEARLY;INTERVAL=1000",
}

func TestEverySearchIsBoundedInSteps(t *testing.T) {
	worst, found := 0, 0
	check := func(name string, rule *Rule) {
		for _, year := range []int{1900, 1975, 2026, 2049} {
			at := time.Date(year, 3, 1, 12, 0, 0, 0, time.UTC).Unix()
			for range 4 {
				var forth, back search
				next, ok := rule.from(&forth, at+1)
				rule.upTo(&back, at)
				if most := max(forth.steps, back.steps); most > maxSearch {
					t.Errorf("%s\nfrom %d it takes %d steps forward, %d backward", name, at, forth.steps, back.steps)
				} else {
					worst = max(worst, most)
				}
				if !ok || next > schedule.OffsetsEnd-horizon {
					break
				}
				at = next
				found++
			}
		}
	}
	for _, text := range costly {
		for _, gap := range []string{"", "skip", "shift"} {
			for _, overlap := range []string{"", "second"} {
				rule, err := Parse(text, mustZone(t, "America/New_York"), anchor, gap, overlap)
				if err != nil {
					if err.(*Error).Code != codeNever {
						t.Errorf("%s: %v", text, err)
					}
					continue
				}
				check(text, rule)
			}
		}
	}
	for seed := range uint64(300) {
		r := newRand(seed)
		o, _ := randomOracle(r, t)
		o.interval = 1 + r.IntN([]int{100, 10_000, 2_000_000}[r.IntN(3)])
		if rule, err := Parse(o.text(), nil, time.Time{}, o.gap, o.overlap); err == nil {
			check(o.text(), rule)
		}
	}
	t.Logf("at most %d steps in a search; %d occurrences found", worst, found)
	if found < 1000 {
		t.Errorf("only %d occurrences were found", found)
	}
}

func TestParsingIsBoundedInSteps(t *testing.T) {
	for _, text := range append([]string{
		"FREQ=SECONDLY;COUNT=100000", "FREQ=DAILY;COUNT=100000", "FREQ=SECONDLY;INTERVAL=7;COUNT=100000", "FREQ=YEARLY;COUNT=100000",
		"FREQ=YEARLY;BYDAY=MO,TU;BYSETPOS=1,-1;COUNT=100000", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;COUNT=100000", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
	}, costly...) {
		s, err := read(text, mustZone(t, "America/New_York"))
		if err != nil {
			t.Fatal(err)
		}
		if s.begin.kind == absent {
			s.begin = moment{kind: instant, wall: anchor.Unix(), implied: true}
		}
		s.beginWall = s.begin.wallAt(s.zone)
		var k search
		compile(&k, s, gapShift, overlapSecond)
		if k.steps > maxSteps+2*maxSearch {
			t.Errorf("%s takes %d steps", text, k.steps)
		}
	}
}

// TestStrideIsWhatTicksSay compares with a walk from tick to tick.
func TestStrideIsWhatTicksSay(t *testing.T) {
	r := newRand(1)
	intervals := []int64{2, 3, 7, 24, 25, 61, 97, 1439, 1440, 1441, 3601, 86399, 86400, 86401, 86460, 90000, 604800, 999983}
	bitmaps, lists, plain := 0, 0, 0
	for range 400 {
		p := pattern{freq: frequency(r.IntN(4)), interval: intervals[r.IntN(len(intervals))], phase: r.Int64N(1 << 40), limit: clock{1, 1, 1}}
		switch {
		case p.freq == hourly:
			p.limit.hours = uint32(r.IntN(allHours) + 1)
		case p.freq == minutely:
			p.limit = clock{uint32(1 << r.IntN(24)), uint64(r.Int64N(allSixty) + 1), 1}
		case p.freq == secondly && r.IntN(3) > 0:
			p.limit = clock{uint32(3 << r.IntN(23)), 1 << r.IntN(60), uint64(r.Int64N(allSixty) + 1)}
		case p.freq == secondly:
			p.limit = clock{allHours, allSixty, allSixty}
		}
		s, ok := newStride(&p)
		if !ok {
			t.Fatalf("%+v is refused", p)
		}
		if s != nil {
			bitmaps, lists, plain = bitmaps+b2i(s.bits != nil), lists+b2i(s.days != nil), plain+b2i(s.cycle == 0)
		}
		for range 20 {
			from := r.IntN(80_000) - 20_000
			if s != nil && s.days != nil && r.IntN(2) == 0 {
				from = int(s.days[r.IntN(len(s.days))]) - r.IntN(32)
			}
			window := ^uint32(0)
			if s != nil {
				window = s.window(&work{}, from)
			}
			for i := range 32 {
				_, want := p.nextTick(&work{}, from+i, 0)
				if p.freq == daily {
					want = mod(int64(from+i)-p.phase, p.interval) == 0
				}
				if got := window>>i&1 == 1; got != want {
					t.Fatalf("%+v: day %d is %v, want %v", p, from+i, got, want)
				}
			}
		}
	}
	if bitmaps < 20 || lists < 5 || plain < 20 {
		t.Errorf("%d tables of bits, %d lists, %d plain ones", bitmaps, lists, plain)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestCountIsWhatStepsSay compares counting by days and months with stepping.
func TestCountIsWhatStepsSay(t *testing.T) {
	checked := 0
	for seed := range uint64(400) {
		r := newRand(seed)
		o, _ := randomOracle(r, t)
		o.count, o.until = 0, time.Time{}
		endless, err := Parse(o.text(), nil, time.Time{}, o.gap, o.overlap)
		if err != nil {
			continue
		}
		o.count = 2 + r.IntN(3000)
		rule, err := Parse(o.text(), nil, time.Time{}, o.gap, o.overlap)
		if err != nil {
			if err.(*Error).Code != codeCostly {
				t.Fatalf("%s: %v", o.text(), err)
			}
			continue
		}
		at, last := time.Unix(rule.place.start-1, 0), time.Time{}
		for range o.count {
			next, ok := endless.Next(at)
			if !ok {
				break
			}
			at, last = next, next
		}
		if rule.place.last != last.Unix() {
			t.Fatalf("%s, gap %s, overlap %s: the last is %v, want %v", o.text(), o.gap, o.overlap, time.Unix(rule.place.last, 0).In(o.zone), last.In(o.zone))
		}
		checked++
	}
	if checked < 200 {
		t.Errorf("only %d rules were counted", checked)
	}
}

func TestCountMeetsTimesThatAClockChangeShifts(t *testing.T) {
	// 02:15 does not exist on October 4 and runs at 02:45, after 02:40.
	rule := mustParse(t, "DTSTART:20261003T000000\nRRULE:FREQ=DAILY;BYHOUR=2;BYMINUTE=15,40;BYSECOND=0;COUNT=6", "Australia/Lord_Howe", "shift", "")
	if last := time.Unix(rule.place.last, 0).In(rule.place.zone).Format("01-02 15:04"); last != "10-05 02:40" {
		t.Errorf("the last is %s", last)
	}
}

func TestAHundredYearsAreTheHorizon(t *testing.T) {
	rule := mustParse(t, "DTSTART:20000101T000000\nRRULE:FREQ=YEARLY;INTERVAL=101\nRDATE:20500101T000000,23000101T000000", "UTC", "", "")
	var got []string
	at := time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	for next, ok := rule.Next(at); ok; next, ok = rule.Next(at) {
		got, at = append(got, next.Format("2006")), next
		if len(got) > 4 {
			break
		}
	}
	if list := strings.Join(got, " "); !strings.HasPrefix(list, "2000 2050 2101") {
		t.Errorf("the years are %s", list)
	}
	if next, ok := mustParse(t, "DTSTART:20000101T000000\nRRULE:FREQ=YEARLY;INTERVAL=101", "UTC", "", "").Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); ok {
		t.Errorf("a hundred and one years later comes %v", next)
	}
}
