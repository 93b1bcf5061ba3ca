package schedule

import (
	"testing"
	"time"
)

var fuzzExprs = []string{
	"* * * * *", "*/5 9-17 * * 1-5", "0 0 29 2 *", "15,45 22-2 * * fri-mon", "0 12 L-3,15W,LW * *", "H H(0-7) * * *", "H/15 * * * *",
	"30 0 0 1 1 ?", "0 0 */2 * sun#5,5L", "@daily", "@hourly", "5-59/10 */23 */31 2 */7", "0-59 0-23 1-31 1-12 0-7", "0 0 31W 8,10 *",
	"*/7,3 H(3-9)/2,17 LW,1-7/3 jan-mar,11 7#1,3L", "59 59 23 31 12 *", "0 2,3 * * *", "* 2 * * *",
}

// FuzzParseCron: nothing panics, and what is accepted is written and read back
// as the same thing.
func FuzzParseCron(f *testing.F) {
	for i, expr := range fuzzExprs {
		f.Add(expr, uint64(i))
	}
	for _, expr := range []string{"", "@every 5m", "0 0 30 2 *", "* * * * * * *", "H(5-1) * * * *", "1,,2 * * * *", "0 0 * * fri#6", "\xff * * * *"} {
		f.Add(expr, uint64(1))
	}
	f.Fuzz(func(t *testing.T, expr string, seed uint64) {
		c, err := ParseCron(expr, seed)
		if err != nil {
			if e := asError(err); e.Field != "cron" || e.Code == "" || e.Message == "" || len(e.Message) > 600 {
				t.Fatalf("%q: %+v", expr, e)
			}
			return
		}
		again, err := ParseCron(c.String(), seed+1)
		if err != nil || again != c {
			t.Fatalf("%q is written %q: %+v, %v", expr, c.String(), again, err)
		}
		if c.Describe(English) == "" || c.Describe(Indonesian) == "" {
			t.Fatalf("%q has no description", expr)
		}
	})
}

var fuzzZones = []string{"UTC", "Asia/Jakarta", "America/New_York", "Europe/Berlin", "Europe/Dublin", "Australia/Lord_Howe", "Pacific/Apia",
	"Africa/Cairo", "Africa/Casablanca", "Antarctica/Troll", "America/Nuuk", "Asia/Gaza", "Africa/Monrovia", "America/Havana", "Pacific/Kwajalein"}

// FuzzNext: Next is strictly after and never passes over what Prev finds, and
// both are monotone.
func FuzzNext(f *testing.F) {
	for i, expr := range fuzzExprs {
		f.Add(expr, uint8(i), uint8(i*5), int64(1_800_000_000_000+i*86_400_000), uint16(i*100))
	}
	f.Add("30 2 * * *", uint8(2), uint8(0), int64(1_805_000_000_000), uint16(100))
	f.Add("0 9 * * fri", uint8(6), uint8(2), int64(1_325_000_000_000), uint16(100))
	f.Add("0 0 29 2 */7", uint8(3), uint8(1), int64(4_102_444_800_000), uint16(9))
	f.Add("* * * * * *", uint8(4), uint8(3), int64(maxMilli), uint16(0))
	f.Add("* * * * * *", uint8(4), uint8(3), int64(minMilli), uint16(0))
	f.Fuzz(func(t *testing.T, expr string, zoneIndex, choice uint8, ms int64, later uint16) {
		loc := mustZone(t, fuzzZones[int(zoneIndex)%len(fuzzZones)])
		dst := allDST[int(choice)%len(allDST)]
		p, err := Compile(Config{Specs: []Spec{{Cron: expr}}, Zone: loc, DST: dst, Seed: uint64(choice)})
		if err != nil {
			return
		}
		at := time.UnixMilli(ms)
		checkAround(t, p, at)
		next, ok := p.Next(at)
		next2, ok2 := p.Next(at.Add(time.Duration(later) * time.Second))
		if ok && ok2 && next2.Before(next) {
			t.Fatalf("Next is not monotone: %s, then %s", next, next2)
		}
	})
}

// checkAround holds what must be true of Next and Prev around any instant.
func checkAround(t *testing.T, p *Plan, at time.Time) {
	t.Helper()
	next, ok := p.Next(at)
	if ok {
		if !next.After(at) {
			t.Fatalf("Next(%s) = %s", at, next)
		}
		if back, ok := p.Prev(next.Add(time.Millisecond)); !ok || !back.Equal(next) {
			t.Fatalf("Next(%s) = %s, but the one before %s + 1 ms is %s", at, next, next, back)
		}
		if before, ok := p.Prev(next); ok {
			if before.After(at) {
				t.Fatalf("Next(%s) = %s passes over %s", at, next, before)
			}
			if again, ok := p.Next(before); !ok || !again.Equal(next) {
				t.Fatalf("Prev(%s) = %s, but Next of that is %s", next, before, again)
			}
		}
	}
	prev, ok := p.Prev(at)
	if ok {
		if !prev.Before(at) {
			t.Fatalf("Prev(%s) = %s", at, prev)
		}
		if again, ok := p.Next(prev.Add(-time.Millisecond)); !ok || !again.Equal(prev) {
			t.Fatalf("Prev(%s) = %s, but the one after that - 1 ms is %s", at, prev, again)
		}
	}
}

// FuzzEveryAndAt: nothing panics, and what is accepted has an instant.
func FuzzEveryAndAt(f *testing.F) {
	for _, text := range []string{"90s", "1h30m", "1.5s", "2026-12-31T23:00:00Z", "2027-03-28 02:30", "2027-10-31T02:30:00.250", "2011-12-30T12:00", "9999-12-31T23:59:59.999-01:00", "0001-01-01T00:00:00"} {
		f.Add(text, uint8(0), uint8(0), int64(0))
		f.Add(text, uint8(6), uint8(7), int64(1<<40))
	}
	f.Fuzz(func(t *testing.T, text string, zoneIndex, choice uint8, anchor int64) {
		loc := mustZone(t, fuzzZones[int(zoneIndex)%len(fuzzZones)])
		cfg := Config{Zone: loc, DST: allDST[int(choice)%len(allDST)], Anchor: time.UnixMilli(anchor)}
		for _, spec := range []Spec{{Every: text}, {At: text}} {
			cfg.Specs = []Spec{spec}
			p, err := Compile(cfg)
			if err != nil {
				continue
			}
			for _, at := range []time.Time{time.UnixMilli(anchor), time.Unix(0, 0), time.Unix(1<<31, 1)} {
				checkAround(t, p, at)
			}
			p.Describe(Indonesian)
		}
	})
}
