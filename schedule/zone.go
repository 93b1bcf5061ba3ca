package schedule

import (
	"math"
	"sync"
	"time"
)

// far is beyond every instant and leaves room to add offsets.
const far = math.MaxInt64 / 4

// span is a stretch of time with one offset from UTC: the Unix seconds from
// start up to and excluding end, and the offsets, in seconds east, before it,
// in it and after it.
type span struct {
	start, end         int64
	before, off, after int64
}

// gap returns the walls that the change at the span's start skipped, from lo up
// to and excluding hi, of which those from dayLo up to and excluding dayHi are
// on days that do not exist at all. All are equal when nothing was skipped.
func (s *span) gap() (lo, dayLo, dayHi, hi int64) {
	lo, hi = s.start+s.before, s.start+s.off
	if lo >= hi {
		return lo, lo, lo, lo
	}
	dayLo = -floorDiv(-lo, secondsPerDay) * secondsPerDay
	dayHi = floorDiv(hi, secondsPerDay) * secondsPerDay
	if dayLo >= dayHi {
		return lo, hi, hi, hi
	}
	return lo, dayLo, dayHi, hi
}

// zone is a location's changes of offset as a table. Instants outside the table
// are asked of the location itself. A nil *zone is UTC.
type zone struct {
	loc  *time.Location
	at   []int64  // the changes, ascending, after tableFrom and before tableTo
	off  []int32  // off[0] is in force before tableFrom, off[i+1] before at[i], then the last, then that at tableTo
	page []uint16 // for each 2^pageBits seconds from tableFrom on: the first change after its start
}

const (
	pageBits  = 25
	tableFrom = -2208988800 // 1900-01-01T00:00:00Z
	tableTo   = 5680281600  // 2150-01-01T00:00:00Z
)

// zones keeps the table of every location that was asked for, at most
// maxZones: it saves each plan some kilobytes and the time to build them.
var zones struct {
	sync.RWMutex
	tables map[*time.Location]*zone
}

const maxZones = 2048

// zoneOf returns the table of a location; nil for UTC.
func zoneOf(loc *time.Location) *zone {
	if loc == nil || loc == time.UTC {
		return nil
	}
	zones.RLock()
	z := zones.tables[loc]
	zones.RUnlock()
	if z != nil {
		return z
	}
	z = newZone(loc)
	zones.Lock()
	defer zones.Unlock()
	if known := zones.tables[loc]; known != nil {
		return known
	}
	if zones.tables == nil {
		zones.tables = make(map[*time.Location]*zone)
	}
	if len(zones.tables) < maxZones {
		zones.tables[loc] = z
	}
	return z
}

func newZone(loc *time.Location) *zone {
	z := &zone{loc: loc}
	z.off = append(z.off, int32(offsetAt(loc, tableFrom-1)), int32(offsetAt(loc, tableFrom)))
	for at := nextChange(loc, tableFrom, tableTo); at < tableTo; at = nextChange(loc, at, tableTo) {
		z.at = append(z.at, at)
		z.off = append(z.off, int32(offsetAt(loc, at)))
	}
	z.off = append(z.off, int32(offsetAt(loc, tableTo)))
	i := 0
	for start := int64(tableFrom); start < tableTo; start += 1 << pageBits {
		for i < len(z.at) && z.at[i] <= start {
			i++
		}
		z.page = append(z.page, uint16(i))
	}
	return z
}

func offsetAt(loc *time.Location, unix int64) int64 {
	_, off := time.Unix(unix, 0).In(loc).Zone()
	return int64(off)
}

// nextChange returns the first change of offset after unix, or limit.
func nextChange(loc *time.Location, unix, limit int64) int64 {
	off := offsetAt(loc, unix)
	for unix < limit {
		_, end := time.Unix(unix, 0).In(loc).ZoneBounds()
		if end.IsZero() {
			return limit
		}
		// Where a rule and no list makes the changes, time.Location takes a
		// year for 365 days: on the last day of a leap year the end may lie
		// in the past. Some hours further it is right again.
		next := max(end.Unix(), unix+6*3600)
		if now := offsetAt(loc, next); now != off {
			return min(limit, firstOther(loc, unix, next, off))
		}
		unix = next
	}
	return limit
}

// firstOther returns the first instant in (from, to] whose offset is not off,
// given that there is one change there.
func firstOther(loc *time.Location, from, to, off int64) int64 {
	if offsetAt(loc, to-1) == off {
		return to
	}
	for from+1 < to {
		if mid := from + (to-from)/2; offsetAt(loc, mid) == off {
			from = mid
		} else {
			to = mid
		}
	}
	return to
}

// prevChange returns the last change of offset at or before unix, or limit.
func prevChange(loc *time.Location, unix, limit int64) int64 {
	off := offsetAt(loc, unix)
	for unix > limit {
		start, _ := time.Unix(unix, 0).In(loc).ZoneBounds()
		if start.IsZero() {
			return limit
		}
		prev := min(start.Unix()-1, unix-1)
		if offsetAt(loc, prev) != off {
			return max(limit, prev+1)
		}
		unix = prev
	}
	return limit
}

// spanAt returns the span that holds an instant.
func (z *zone) spanAt(unix int64) span {
	if z == nil {
		return span{start: -far, end: far}
	}
	if unix < tableFrom || unix >= tableTo {
		return z.spanBeyond(unix)
	}
	i := int(z.page[(unix-tableFrom)>>pageBits])
	for i < len(z.at) && z.at[i] <= unix {
		i++
	}
	s := span{
		start: tableFrom, end: tableTo,
		before: int64(z.off[i]), off: int64(z.off[i+1]), after: int64(z.off[i+2]),
	}
	if i > 0 {
		s.start = z.at[i-1]
	}
	if i < len(z.at) {
		s.end = z.at[i]
	}
	return s
}

// spanBeyond is spanAt by asking the location. The span may be cut short where
// nothing changes; then the offsets on both sides are equal.
func (z *zone) spanBeyond(unix int64) span {
	const reach = 2 * 366 * secondsPerDay
	s := span{start: prevChange(z.loc, unix, unix-reach), end: nextChange(z.loc, unix, unix+reach), off: offsetAt(z.loc, unix)}
	s.before, s.after = offsetAt(z.loc, s.start-1), offsetAt(z.loc, s.end)
	return s
}

// OffsetsEnd is the end of the tables, in Unix seconds: the year 2150. A stretch
// beyond it takes some microseconds to find.
const OffsetsEnd = tableTo

// Offsets is a table of a location's offsets from UTC. It never changes.
type Offsets struct{ zone *zone }

// Span is a stretch of time with one offset: Unix seconds from Start up to and
// excluding End, and the offsets, in seconds east of UTC, before it, in it and
// after it. Where nothing changes at an end, the offsets on both sides are equal.
type Span struct{ Start, End, Before, Offset, After int64 }

// OffsetsOf returns the table of a location.
func OffsetsOf(loc *time.Location) Offsets { return Offsets{zoneOf(loc)} }

// At returns the stretch that holds an instant of the years 1 to 9999, in Unix seconds.
func (o Offsets) At(unix int64) Span {
	s := o.zone.spanAt(unix)
	return Span{s.start, s.end, s.before, s.off, s.after}
}
