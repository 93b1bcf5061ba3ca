package engine

import (
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/target"
)

// A pace is how fast a host may be called: how many attempts at once, and,
// while it does not answer at all, when it is tried again.
//
// The limit eases off and recovers as TCP does (RFC 5681, section 3.1): halved
// by an answer 429 or 503 and by an attempt that takes too long, once for all
// that were in flight together; one more for as many other answers as it is
// high. After a rest it begins at freshLimit, and up to half of the most each
// answer raises it by one.
//
// After patience attempts in a row without any answer the host's circuit
// opens: it is given a rest. When that is over, one attempt probes it; the
// first answer of any attempt closes the circuit, and a silent probe makes the
// next rest twice as long.
type pace struct {
	most  int
	limit float64
	slow  float64   // below it each answer raises the limit by one
	eased time.Time // what began before has had its effect on the limit

	silent  int       // attempts in a row without an answer
	opened  time.Time // since when the circuit is open; zero: it is closed
	rest    time.Duration
	probeAt time.Time // when the next probe may start
}

const (
	patience   = 5
	firstRest  = time.Second
	longRest   = time.Minute // not longer than probeFor
	probeFor   = time.Minute // after that a probe that has not ended is not waited for
	freshLimit = 8           // attempts at once after the circuit has closed
)

func newPace(most int) pace { return pace{most: most, limit: float64(most), slow: float64(most)} }

// A sign is what an attempt tells about its host.
type sign uint8

const (
	signNone     sign = iota
	signSilent        // no connection, or one that broke before an answer
	signTimeout       // no answer in time
	signSlow          // an answer that took too long to end
	signBusy          // 429 or 503
	signAnswered      // any other answer
)

// readSign returns what a result tells.
func readSign(r target.Result) sign {
	switch {
	case r.Reach == target.Silent && r.Reason == jadwal.ReasonTimeout:
		return signTimeout
	case r.Reach == target.Silent:
		return signSilent
	case r.Reach != target.Answered || r.State == jadwal.RunCancelled:
		return signNone
	case r.Reason == jadwal.ReasonTimeout:
		return signSlow
	case r.StatusCode == 429 || r.StatusCode == 503:
		return signBusy
	}
	return signAnswered
}

// isOpen tells whether the host is given a rest.
func (p *pace) isOpen() bool { return !p.opened.IsZero() }

// room is how many attempts may start, given how many are in flight or about
// to be.
func (p *pace) room(now time.Time, inFlight, coming int) int {
	switch {
	case !p.isOpen():
		return max(0, int(p.limit)-inFlight-coming)
	case coming > 0 || now.Before(p.probeAt) && p.probeAt.Sub(now) <= probeFor:
		return 0
	}
	return 1 // also when the wall clock went back
}

// begin takes note of an attempt that starts.
func (p *pace) begin(now time.Time) {
	if p.isOpen() {
		p.probeAt = now.Add(probeFor)
	}
}

// end takes in what an attempt that began at a time tells.
func (p *pace) end(s sign, began, now time.Time) {
	switch s {
	case signNone:
		if p.isOpen() && !began.Before(p.opened) {
			p.probeAt = now.Add(p.rest) // it told nothing
		}
	case signSilent:
		p.fail(began, now)
	case signTimeout:
		p.ease(began, now)
		p.fail(began, now)
	case signSlow, signBusy:
		p.answer()
		p.ease(began, now)
	case signAnswered:
		p.answer()
		p.grow()
	}
}

func (p *pace) fail(began, now time.Time) {
	switch {
	case !p.isOpen():
		if p.silent++; p.silent >= patience {
			p.opened, p.rest = now, firstRest
			p.probeAt = now.Add(p.rest)
		}
	case !began.Before(p.opened): // a probe
		p.rest = min(2*p.rest, longRest)
		p.probeAt = now.Add(p.rest)
	}
}

func (p *pace) answer() {
	p.silent = 0
	if p.isOpen() {
		p.opened = time.Time{}
		p.limit = min(p.limit, freshLimit)
		p.slow = float64(p.most) / 2
	}
}

func (p *pace) ease(began, now time.Time) {
	if p.isOpen() || began.Before(p.eased) && !p.eased.After(now) {
		return
	}
	p.limit = max(1, p.limit/2)
	p.slow, p.eased = p.limit, now
}

func (p *pace) grow() {
	if p.limit < p.slow {
		p.limit++
	} else {
		p.limit += 1 / p.limit
	}
	p.limit = min(p.limit, float64(p.most))
}

// asNew tells whether nothing would be lost with p.
func (p *pace) asNew() bool {
	return !p.isOpen() && p.silent == 0 && p.limit >= float64(p.most)
}
