package rrule

import "sort"

// stride is what INTERVAL leaves of the days, for the frequencies up to daily:
// those that hold a tick which is both a multiple of the interval away from the
// phase and allowed by BYHOUR, BYMINUTE and BYSECOND. That repeats after a
// number of days, the cycle, since a tick is on day d at place s when d × ticks
// + s is the phase modulo the interval. Which days these are is known without
// stepping from tick to tick, in one of three forms.
type stride struct {
	ticks, interval, phase int64 // every multiple counts: no table is needed
	cycle                  int64
	bits                   []uint64 // bit i: day i modulo cycle; 64 more bits repeat the first
	days                   []int32  // the days modulo cycle, ascending
}

const (
	// maxBits bounds the table of bits: the cycle of the longest interval within a day.
	maxBits = daySeconds
	// maxDays bounds the list of days: one for each minute.
	maxDays = 1440
)

// newStride gives nil when every day holds such a tick. It is not ok when the
// table would be too large: SECONDLY with an INTERVAL of more than a day that
// is no whole number of minutes, and BYHOUR, BYMINUTE or BYSECOND with many values.
func newStride(p *pattern) (s *stride, ok bool) {
	unit := p.freq.unit()
	ticks := int64(daySeconds / unit)
	s = &stride{ticks: ticks, interval: p.interval, phase: p.phase}
	if p.interval == 1 {
		return nil, true
	}
	all := int64(p.limit.size()) == ticks
	switch {
	case all && p.interval <= ticks:
		return nil, true
	case all:
		return s, true
	}
	step := gcd(p.interval, ticks)
	s.cycle = p.interval / step
	// Day d holds place t when d × (ticks/step) is (phase-t)/step modulo cycle.
	inverse := inverse(ticks/step, s.cycle)
	if s.cycle <= maxBits {
		s.bits = make([]uint64, (s.cycle+63)/64+2)
	}
	for at, more := p.limit.next(0); more; at, more = p.limit.next(at + unit) {
		rest := p.phase - int64(at/unit)
		if mod(rest, step) != 0 {
			continue
		}
		day := mod(mod(rest/step, s.cycle)*inverse, s.cycle)
		if s.bits != nil {
			s.bits[day>>6] |= 1 << (day & 63)
			continue
		}
		if len(s.days) == maxDays {
			return nil, false
		}
		s.days = append(s.days, int32(day))
	}
	if s.bits != nil {
		return s.repeat(), true
	}
	sort.Slice(s.days, func(i, j int) bool { return s.days[i] < s.days[j] })
	return s, true
}

// repeat puts copies of the first bits after the last, so that a window never
// has to wrap. It gives nil when all bits are set.
func (s *stride) repeat() *stride {
	every := true
	for i := range s.cycle {
		every = every && s.bits[i>>6]>>(i&63)&1 == 1
	}
	if every {
		return nil
	}
	for i := s.cycle; i < int64(len(s.bits))*64; i++ {
		if from := i - s.cycle; s.bits[from>>6]>>(from&63)&1 == 1 {
			s.bits[i>>6] |= 1 << (i & 63)
		}
	}
	return s
}

// window gives the days from day on as bits.
func (s *stride) window(k *work, day int) (window uint32) {
	switch {
	case s.bits != nil:
		i := mod(int64(day), s.cycle)
		return uint32(s.bits[i>>6]>>(i&63) | s.bits[i>>6+1]<<1<<(63-i&63))
	case s.cycle == 0:
		for wait := mod(s.phase-int64(day)*s.ticks, s.interval); wait < 32*s.ticks; wait += s.interval {
			window |= 1 << (wait / s.ticks)
		}
	default:
		from := int32(mod(int64(day), s.cycle))
		i := sort.Search(len(s.days), func(i int) bool { return s.days[i] >= from })
		for ; i < len(s.days) && s.days[i] < from+32; i++ {
			window |= 1 << (s.days[i] - from)
		}
		for i = 0; i < len(s.days) && int64(s.days[i])+s.cycle < int64(from)+32; i++ {
			window |= 1 << (int64(s.days[i]) + s.cycle - int64(from))
		}
	}
	k.steps++
	return window
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// inverse gives x with a × x = 1 modulo m, for a and m without a common
// divisor (Knuth, TAOCP volume 2, section 4.5.2, exercise 15).
func inverse(a, m int64) int64 {
	x, y, r := int64(1), int64(0), m
	for a %= m; r != 0; {
		q := a / r
		a, r = r, a-q*r
		x, y = y, x-q*y
	}
	return mod(x, m)
}
