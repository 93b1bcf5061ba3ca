package engine

import (
	"errors"
	"time"
)

// stop lets nothing new start.
func (e *Engine) stop(now time.Time) {
	e.stopping = true
	e.stopAt = now.Add(e.o.DrainTimeout)
}

// drained tells whether the engine may end. Attempts have until stopAt to
// end; those that do not are stored as open runs, and made again by the next
// process. What cannot be committed some seconds later is given up: the next
// process repeats it.
func (e *Engine) drained(now time.Time) (bool, error) {
	switch {
	case e.inFlight > 0 && now.Before(e.stopAt):
		return false, nil
	case e.inFlight > 0 && !e.cutOff:
		e.cutOff = true
		e.log.Warn("some attempts took too long and were cut off; the next start, or another server, makes them again", "attempts", e.inFlight, "allowed", e.o.DrainTimeout.String())
	}
	e.spillAll(now)
	if e.commits.empty() && !e.asking() {
		return true, nil
	}
	if now.Before(e.stopAt.Add(lastBreath)) {
		return false, nil
	}
	return true, errors.New("the last outcomes could not be recorded")
}

// asking tells whether outcomes are held back until the store has answered.
func (e *Engine) asking() bool {
	for _, j := range e.jobs {
		if j.asked != nil {
			return true
		}
	}
	return false
}

// outlast waits until nothing that was started is left. The store's answers and
// the results mean nothing any more.
func (e *Engine) outlast() {
	for e.calls > 0 || e.inFlight > 0 {
		select {
		case <-e.answers:
			e.calls--
		case r := <-e.results:
			e.inFlight--
			e.slots.give(r.flight.owner)
		}
	}
}
