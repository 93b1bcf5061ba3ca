package people

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// terms are what a definition says, as far as anybody looks at it. marker is
// part of the target's path, so that each delivery tells which definition it
// comes from.
type terms struct {
	marker  int
	every   time.Duration
	overlap string
	slots   int // runs at once
	catchup string
}

// attempts is how often a run may be attempted, by every definition.
const attempts = 2

func (t terms) String() string {
	return fmt.Sprintf("definition %d, every %v, overlap %s, %d at once, catch-up %s", t.marker, t.every, t.overlap, t.slots, t.catchup)
}

// queues tells whether runs may wait for others, as long as those take.
func (t terms) queues() bool {
	return t.overlap == "queue_one" || t.overlap == "queue_all" || t.catchup == "all"
}

// draw draws a definition. Half of them are the default, which most jobs have.
func draw(rng *rand.Rand, marker int) terms {
	t := terms{marker: marker, every: time.Duration(1+rng.IntN(3)) * time.Second, overlap: "skip", slots: 1, catchup: "latest"}
	switch rng.IntN(10) {
	case 0:
		t.overlap = "queue_one"
	case 1:
		t.overlap = "queue_all"
	case 2, 3:
		t.overlap = "cancel_running"
	case 4:
		t.overlap, t.slots = "allow", 2+rng.IntN(2)
	}
	switch rng.IntN(8) {
	case 0:
		t.catchup = "none"
	case 1:
		t.catchup = "all"
	}
	return t
}

// drawURL draws a target below base: some answer late, some badly.
func drawURL(rng *rand.Rand, base string) string {
	switch rng.IntN(8) {
	case 0:
		return fmt.Sprintf("%s?delay=%dms", base, 50+rng.IntN(400))
	case 1:
		return fmt.Sprintf("%s?delay=%dms", base, 1100+rng.IntN(1500)) // longer than the second after which a run is open
	case 2:
		return base + "?status=500"
	}
	return base
}

// body is the part of a request that says t, for a target.
func (t terms) body(url string) map[string]any {
	return map[string]any{
		"schedules": []any{map[string]string{"every": t.every.String()}},
		"target":    map[string]any{"type": "http", "method": "POST", "url": url},
		"overlap":   t.overlap, "max_concurrent": t.slots, "catchup": t.catchup,
		"timeout": "10s",
		"retry":   map[string]any{"max_attempts": attempts, "min_backoff": "1s", "max_backoff": "1s"},
	}
}
