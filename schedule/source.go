package schedule

import "time"

// Source is a set of instants: what a Plan unites. Implementations are pure,
// bounded in time, and safe for concurrent use.
type Source interface {
	// Next returns the first instant strictly after its argument.
	Next(after time.Time) (time.Time, bool)
	// Prev returns the last instant strictly before its argument.
	Prev(before time.Time) (time.Time, bool)
}

// source is a Source over Unix milliseconds, without any conversion.
type source interface {
	next(after int64) (int64, bool)
	prev(before int64) (int64, bool)
}

const (
	minMilli = minUnix * 1000
	maxMilli = maxUnix*1000 + 999

	// horizon is how far a search goes, in seconds: 100 years. No expression
	// that fires at all pauses longer than the 40 years between two Sundays
	// on February 29 around the year 2100, twice that if one falls into a gap.
	horizon = 36525 * secondsPerDay
)

// cronSource is a cron expression in a zone.
type cronSource struct {
	Cron
	zone    *zone
	gap     gapRule
	overlap overlapRule
}

type gapRule uint8

const (
	gapNone  gapRule = iota // lost times are lost
	gapAfter                // lost times collapse into the first instant after the gap
	gapShift                // lost times keep their distance from the gap's start
)

type overlapRule uint8

const (
	overlapBoth overlapRule = iota
	overlapFirst
	overlapSecond
)

// newCronSource resolves the defaults of dst: they depend on whether the
// expression is at fixed times. The gap choices are about fixed times only.
func newCronSource(c Cron, z *zone, dst DST) *cronSource {
	s := &cronSource{Cron: c, zone: z}
	if c.fixed() {
		switch dst.Gap {
		case GapRunAfter, "":
			s.gap = gapAfter
		case GapShift:
			s.gap = gapShift
		}
	}
	switch dst.Overlap {
	case OverlapFirst:
		s.overlap = overlapFirst
	case OverlapSecond:
		s.overlap = overlapSecond
	case OverlapAuto, "":
		if c.fixed() {
			s.overlap = overlapFirst
		}
	}
	return s
}

// walls returns the walls that count in a span, from lo up to and excluding hi.
// Of walls that come twice it leaves out the pass that the overlap rule drops.
func (c *cronSource) walls(s *span) (lo, hi int64) {
	lo, hi = s.start+s.off, s.end+s.off
	switch {
	case c.overlap == overlapFirst && s.before > s.off:
		lo = s.start + s.before
	case c.overlap == overlapSecond && s.after < s.off:
		hi = s.end + s.after
	}
	return lo, hi
}

// nextLost returns the first matching wall of the span's gap from w on. A local
// day that does not exist loses nothing.
func (c *cronSource) nextLost(s *span, w int64) (int64, bool) {
	lo, dayLo, dayHi, hi := s.gap()
	w = max(w, lo)
	if w < dayLo {
		if found, ok := c.nextWall(w, dayLo-1); ok {
			return found, true
		}
	}
	if w = max(w, dayHi); w < hi {
		return c.nextWall(w, hi-1)
	}
	return 0, false
}

// prevLost returns the last matching wall of the span's gap up to w.
func (c *cronSource) prevLost(s *span, w int64) (int64, bool) {
	lo, dayLo, dayHi, hi := s.gap()
	w = min(w, hi-1)
	if w >= dayHi {
		if found, ok := c.prevWall(w, dayHi); ok {
			return found, true
		}
	}
	if w = min(w, dayLo-1); w >= lo {
		return c.prevWall(w, lo)
	}
	return 0, false
}

func (c *cronSource) next(after int64) (int64, bool) {
	u := floorDiv(after, 1000) + 1
	limit := min(u+horizon, maxUnix)
	for u <= limit {
		s := c.zone.spanAt(u)
		best := int64(far)
		if c.gap != gapNone && s.before < s.off {
			if c.gap == gapShift {
				if w, ok := c.nextLost(&s, u+s.before); ok {
					best = w - s.before
				}
			} else if u <= s.start {
				if _, ok := c.nextLost(&s, s.start+s.before); ok {
					return s.start * 1000, true
				}
			}
		}
		lo, hi := c.walls(&s)
		if w, ok := c.nextWall(max(lo, u+s.off), min(hi-1, limit+s.off)); ok {
			best = min(best, w-s.off)
		}
		if best <= limit {
			return best * 1000, true
		}
		u = s.end
	}
	return 0, false
}

func (c *cronSource) prev(before int64) (int64, bool) {
	u := floorDiv(before-1, 1000)
	limit := max(u-horizon, minUnix)
	for u >= limit {
		s := c.zone.spanAt(u)
		best := int64(-far)
		lo, hi := c.walls(&s)
		if w, ok := c.prevWall(min(hi-1, u+s.off), max(lo, limit+s.off)); ok {
			best = w - s.off
		}
		if c.gap != gapNone && s.before < s.off {
			if c.gap == gapShift {
				if w, ok := c.prevLost(&s, u+s.before); ok {
					best = max(best, w-s.before)
				}
			} else if s.start > best {
				if _, ok := c.prevLost(&s, s.start+s.off); ok {
					best = s.start
				}
			}
		}
		if best >= limit {
			return best * 1000, true
		}
		u = s.start - 1
	}
	return 0, false
}

// everySource is anchor + k × step for every k ≥ 0, in milliseconds.
type everySource struct{ anchor, step int64 }

func (e *everySource) next(after int64) (int64, bool) {
	if after < e.anchor {
		return e.anchor, true
	}
	if after > maxMilli {
		return 0, false
	}
	at := after + e.step - (after-e.anchor)%e.step
	return at, at <= maxMilli
}

func (e *everySource) prev(before int64) (int64, bool) {
	if before <= e.anchor {
		return 0, false
	}
	return before - 1 - (before-1-e.anchor)%e.step, true
}

// atSource is one instant, or the two that one local time means. It is moved
// when its local time does not exist.
type atSource struct {
	first, second int64
	moved         bool
}

func (a *atSource) next(after int64) (int64, bool) {
	if after < a.first {
		return a.first, true
	}
	return a.second, after < a.second
}

func (a *atSource) prev(before int64) (int64, bool) {
	if before > a.second {
		return a.second, true
	}
	return a.first, before > a.first
}

// foreignSource is a Source from another package. Its instants are rounded
// down to whole milliseconds.
type foreignSource struct{ Source }

func (f *foreignSource) next(after int64) (int64, bool) {
	at, ok := f.Source.Next(time.UnixMilli(after + 1).Add(-1))
	if !ok {
		return 0, false
	}
	return milli(at), true
}

func (f *foreignSource) prev(before int64) (int64, bool) {
	at, ok := f.Source.Prev(time.UnixMilli(before))
	if !ok {
		return 0, false
	}
	return milli(at), true
}

// milli returns t in Unix milliseconds, rounded down, held inside the calendar.
func milli(t time.Time) int64 {
	switch s := t.Unix(); {
	case s < minUnix:
		return minMilli - 1
	case s > maxUnix:
		return maxMilli + 1
	default:
		return s*1000 + int64(t.Nanosecond()/1e6)
	}
}

// milliUp is milli rounded up.
func milliUp(t time.Time) int64 {
	ms := milli(t)
	if ms >= minMilli && ms <= maxMilli && t.Nanosecond()%1e6 != 0 {
		ms++
	}
	return ms
}
