package engine

import (
	"time"

	"github.com/teknohole/jadwal"
)

const (
	maxDrift  = 250 * time.Millisecond // a jump that is not larger does not count
	confirmed = 3                      // so many readings tell of the same jump before it does
	confirms  = 100 * time.Millisecond // between two of them
)

// A wallClock watches the wall clock beside the monotonic one. After a jump
// forward, or a suspension, which the monotonic clock leaves out, what fell
// due meanwhile was missed because of it. After a jump back nothing is to be
// done: what is due waits until the wall clock is there again.
type wallClock struct {
	last     jadwal.Jump
	wall     time.Time     // of the last reading that was believed
	mono     time.Duration // of the same
	to       time.Time     // where a jump that is not believed yet led
	readings int           // that told of it
	nextAt   time.Duration // of the next reading of it
}

// doubtful tells whether the wall clock may have jumped: nothing is decided
// until that is known.
func (c *wallClock) doubtful() bool { return c.readings > 0 }

// observe takes a reading of both clocks, mono since any fixed moment. It
// returns when the next one is needed; 0: with the next event.
func (c *wallClock) observe(wall time.Time, mono time.Duration) time.Duration {
	wall = wall.Round(0)
	if c.wall.IsZero() {
		c.wall, c.mono = wall, mono
		return 0
	}
	drift := wall.Sub(c.wall) - (mono - c.mono)
	if drift.Abs() <= maxDrift {
		// Slow drift is no jump: every reading is compared with the last.
		c.wall, c.mono, c.readings = wall, mono, 0
		return 0
	}
	if c.readings > 0 && mono < c.nextAt {
		return c.nextAt - mono
	}
	if c.readings == 0 {
		c.to = wall
	}
	if c.readings++; c.readings < confirmed {
		c.nextAt = mono + confirms
		return confirms
	}
	if drift > 0 {
		c.last = jadwal.Jump{From: c.wall, To: c.to}
	}
	c.wall, c.mono, c.readings = wall, mono, 0
	return 0
}
