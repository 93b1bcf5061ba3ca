package schedule

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var all = flag.Bool("all", false, "every change of every zone, not a sample")

// The oracle below knows nothing of the engine: it reads the clock of a zone
// second by second or minute by minute (time.Time.Date and Clock), writes down
// what it shows, and applies the rules of the package comment to that list.

// tick is one reading of the clock: the instant, and what the wall shows, both
// as seconds.
type tick struct{ unix, wall int64 }

// readClock reads the clock from one instant to another.
func readClock(loc *time.Location, from, to, step int64) []tick {
	ticks := make([]tick, 0, (to-from)/step+1)
	for u := from; u <= to; u += step {
		at := time.Unix(u, 0).In(loc)
		y, m, d := at.Date()
		h, mi, s := at.Clock()
		ticks = append(ticks, tick{u, time.Date(y, m, d, h, mi, s, 0, time.UTC).Unix()})
	}
	return ticks
}

// oracleJob is an expression with an own way to tell whether a wall matches.
type oracleJob struct {
	expr             string
	seconds, minutes [60]bool
	hours            [24]bool
	weekdays         [7]bool
	fixed            bool
	isFull           bool
}

func (j *oracleJob) matches(wall int64) bool {
	at := time.Unix(wall, 0).UTC()
	h, m, s := at.Clock()
	return j.seconds[s] && j.minutes[m] && j.hours[h] && (j.isFull || j.weekdays[at.Weekday()])
}

// fires applies the rules to the readings and returns the instants.
func (j *oracleJob) fires(ticks []tick, step int64, dst DST) []int64 {
	first, last := make(map[int64]int64), make(map[int64]int64)
	days := make(map[int64]bool)
	jumps := false
	for i, t := range ticks {
		days[t.wall/secondsADay] = true
		jumps = jumps || i > 0 && t.wall < ticks[i-1].wall
	}
	if jumps {
		for _, t := range ticks {
			if _, seen := first[t.wall]; !seen {
				first[t.wall] = t.unix
			}
			last[t.wall] = t.unix
		}
	}
	overlap := dst.Overlap
	if overlap == "" || overlap == OverlapAuto {
		overlap = OverlapBoth
		if j.fixed {
			overlap = OverlapFirst
		}
	}
	fired := make(map[int64]bool)
	for i, t := range ticks {
		if i > 0 && j.fixed && dst.Gap != GapSkip {
			for lost := ticks[i-1].wall + step; lost < t.wall; lost += step {
				if !days[lost/secondsADay] || !j.matches(lost) {
					continue
				}
				if dst.Gap == GapShift {
					fired[t.unix+lost-ticks[i-1].wall-step] = true
				} else {
					fired[t.unix] = true
				}
			}
		}
		if !j.matches(t.wall) {
			continue
		}
		if jumps && overlap == OverlapFirst && first[t.wall] != t.unix || jumps && overlap == OverlapSecond && last[t.wall] != t.unix {
			continue
		}
		fired[t.unix] = true
	}
	list := make([]int64, 0, len(fired))
	for u := range fired {
		list = append(list, u)
	}
	slices.Sort(list)
	return list
}

const secondsADay = 24 * 60 * 60

// changesOf returns the instants in the years from 1970 to 2037 at which the
// offset is another than a second before, found by reading the offset of every
// hour.
func changesOf(loc *time.Location) []int64 {
	offset := func(u int64) int {
		_, off := time.Unix(u, 0).In(loc).Zone()
		return off
	}
	var changes []int64
	end := time.Date(2038, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	const stride = 4 * 3600
	before := offset(0)
	for u := int64(stride); u < end; u += stride {
		now := offset(u)
		if now == before {
			continue
		}
		for v := u - stride + 1; v <= u; v++ {
			if offset(v) != before {
				changes = append(changes, v)
				before = offset(v)
			}
		}
	}
	return changes
}

// randomJob makes a job that likely has something to do near a wall.
func randomJob(r *rand.Rand, near int64, fixed, seconds bool) *oracleJob {
	j := &oracleJob{fixed: fixed, isFull: r.IntN(4) > 0}
	nearAt := time.Unix(near, 0).UTC()
	list := func(on []bool, near, n int) string {
		var parts []string
		for range 1 + r.IntN(n) {
			v := near
			if r.IntN(3) > 0 {
				v = r.IntN(len(on))
			}
			if w := v + r.IntN(4); r.IntN(4) == 0 && w < len(on) && w > v {
				parts = append(parts, fmt.Sprintf("%d-%d", v, w))
				for ; v <= w; v++ {
					on[v] = true
				}
			} else {
				parts = append(parts, fmt.Sprint(v))
				on[v] = true
			}
		}
		return strings.Join(parts, ",")
	}
	every := func(on []bool) string {
		n := 1 + r.IntN(len(on)/3)
		for v := 0; v < len(on); v += n {
			on[v] = true
		}
		if n == 1 {
			return "*"
		}
		return fmt.Sprintf("*/%d", n)
	}
	text := ""
	if seconds {
		text = list(j.seconds[:], r.IntN(60), 2) + " "
	} else {
		j.seconds[0] = true
	}
	if fixed {
		text += list(j.minutes[:], nearAt.Minute(), 4) + " " + list(j.hours[:], nearAt.Hour(), 3)
	} else if r.IntN(2) == 0 {
		text += every(j.minutes[:]) + " " + list(j.hours[:], nearAt.Hour(), 3)
	} else {
		text += list(j.minutes[:], nearAt.Minute(), 3) + " " + every(j.hours[:])
	}
	if j.isFull {
		j.expr = text + " * * *"
		return j
	}
	j.expr = text + " * * " + list(j.weekdays[:], int(nearAt.Weekday()), 3)
	return j
}

var allDST = func() (choices []DST) {
	for _, gap := range []Gap{"", GapRunAfter, GapSkip, GapShift} {
		for _, overlap := range []Overlap{"", OverlapFirst, OverlapSecond, OverlapBoth} {
			choices = append(choices, DST{gap, overlap})
		}
	}
	return choices
}()

// TestDSTOracle compares the engine with the oracle over the two days around
// changes of offset: a sample, or with -all every one of every zone.
func TestDSTOracle(t *testing.T) {
	names := ZoneNames()
	r := rand.New(rand.NewPCG(1, 2))
	if !*all {
		r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		names = append(names[:8:8], "America/New_York", "Australia/Lord_Howe", "Europe/Dublin", "Pacific/Apia", "Africa/Cairo",
			"Africa/Monrovia", "Antarctica/Troll", "Africa/Casablanca", "Pacific/Kwajalein", "America/Scoresbysund")
	}
	changes, compared := 0, 0
	for _, name := range names {
		loc := mustZone(t, name)
		list := changesOf(loc)
		if !*all && len(list) > 12 {
			r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			list = list[:12]
		}
		for _, change := range list {
			changes++
			compared += compareChange(t, r, name, loc, change)
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d zones, %d changes, %d schedules compared", len(names), changes, compared)
	if changes < 100 {
		t.Fatalf("only %d changes were looked at", changes)
	}
}

func compareChange(t *testing.T, r *rand.Rand, name string, loc *time.Location, change int64) (compared int) {
	const day = secondsADay
	before := readClock(loc, change-1, change, 1)
	lo, hi := before[0].wall+1, before[1].wall
	if hi < lo {
		lo, hi = hi, lo
	}
	step := int64(60)
	seconds := before[1].wall%60 != 0 || change%60 != 0 || (lo-hi)%60 != 0
	from, to := change-change%60-2*day, change-change%60+2*day
	if seconds || r.IntN(400) == 0 {
		step, seconds = 1, true
	}
	for _, u := range []int64{from, to} {
		seconds = seconds || readClock(loc, u, u, 1)[0].wall%60 != 0
	}
	if seconds {
		step = 1
	}
	ticks := readClock(loc, from, to, step)
	for i := range 2 {
		job := randomJob(r, lo+r.Int64N(hi-lo+1), i == 0, seconds)
		for _, dst := range allDST {
			if i == 1 && dst.Gap != "" && dst.Gap != GapShift {
				continue
			}
			p, err := Compile(Config{Specs: []Spec{{Cron: job.expr}}, Zone: loc, DST: dst})
			if err != nil {
				t.Errorf("%s: %v", job.expr, err)
				return compared
			}
			compared++
			start, end := change-day, change+day
			var want []int64
			for _, u := range job.fires(ticks, step, dst) {
				if u > start && u <= end {
					want = append(want, u)
				}
			}
			var got, back []int64
			for _, at := range p.Between(time.Unix(start, 0), time.Unix(end, 0), 1<<20) {
				got = append(got, at.Unix())
			}
			for at, ok := p.Prev(time.Unix(end+1, 0)); ok && at.Unix() > start; at, ok = p.Prev(at) {
				back = append(back, at.Unix())
			}
			slices.Reverse(back)
			if !slices.Equal(got, want) || !slices.Equal(back, want) {
				t.Errorf("%s %q dst %+v around %s:\nwant %v\nnext %v\nprev %v", name, job.expr, dst,
					time.Unix(change, 0).UTC().Format(time.RFC3339), local(want, loc), local(got, loc), local(back, loc))
				return compared
			}
		}
	}
	return compared
}

func local(list []int64, loc *time.Location) (texts []string) {
	for _, u := range list {
		texts = append(texts, time.Unix(u, 0).In(loc).Format("02T15:04:05-0700"))
	}
	return texts
}

// TestDSTTablesAgreeWithTheLocation reads the offset on both sides of every
// change, and now and then between.
func TestDSTTablesAgreeWithTheLocation(t *testing.T) {
	names := ZoneNames()
	r := rand.New(rand.NewPCG(3, 4))
	shortest := int64(far)
	for i, name := range names {
		if !*all && i%10 != 0 {
			continue
		}
		loc := mustZone(t, name)
		z := zoneOf(loc)
		if z == nil {
			continue // UTC has no table
		}
		check := func(u int64) {
			s := z.spanAt(u)
			if u < s.start || u >= s.end {
				t.Fatalf("%s: spanAt(%d) is %+v", name, u, s)
			}
			for _, side := range []struct{ at, off int64 }{{u, s.off}, {s.start - 1, s.before}, {s.start, s.off}, {s.end - 1, s.off}, {s.end, s.after}} {
				if _, off := time.Unix(side.at, 0).In(loc).Zone(); int64(off) != side.off {
					t.Fatalf("%s: spanAt(%d) is %+v, but the offset at %d is %d", name, u, s, side.at, off)
				}
			}
		}
		for _, c := range z.at {
			check(c - 1)
			check(c)
		}
		for range 300 {
			check(tableFrom - 1e9 + r.Int64N(tableTo+20e9-tableFrom))
		}
		for _, u := range []int64{tableFrom - 1, tableFrom, tableTo - 1, tableTo, minUnix, maxUnix} {
			check(u)
		}
		for i := 1; i < len(z.at); i++ {
			shortest = min(shortest, z.at[i]-z.at[i-1]-abs(int64(z.off[i]-z.off[i-1]))-abs(int64(z.off[i+2]-z.off[i+1])))
		}
		if *all {
			if list, n := changesOf(loc), 0; true {
				for _, c := range z.at {
					if c >= 0 && c < time.Date(2038, 1, 1, 0, 0, 0, 0, time.UTC).Unix() {
						if n >= len(list) || list[n] != c {
							t.Fatalf("%s: the table changes at %d, the location does not", name, c)
						}
						n++
					}
				}
				if n != len(list) {
					t.Fatalf("%s: the table has %d changes from 1970 to 2037, the location %d", name, n, len(list))
				}
			}
		}
	}
	// The rules look at one change at a time. That is right as long as no
	// change lies inside the walls that another one skips or repeats.
	if shortest <= 0 {
		t.Fatalf("two changes are closer than their shifts: %d s", shortest)
	}
	t.Logf("the least distance between two changes, less their shifts, is %d s", shortest)
}

func abs(n int64) int64 { return max(n, -n) }
