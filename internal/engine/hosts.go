package engine

import (
	"log/slog"
	"time"

	"github.com/teknohole/jadwal"
)

// hosts are the hosts that targets are on, as far as something is known of
// them: who is called now, who waits for one, and how fast each may be called.
// What waits for a host is parked as bare entries, the cursors unmoved.
type hosts struct {
	most   int // attempts at once to one host
	log    *slog.Logger
	known  map[string]*host
	parked int          // entries, of all hosts
	roomy  queue[*host] // with parked entries, and maybe room for one
	swept  time.Time
}

// A host is named by its origin: scheme, host and port.
type host struct {
	name     string
	pace     pace
	inFlight int
	coming   int // entries that were taken out of parked and not yet decided about
	parked   fair
	inRoomy  bool
	used     time.Time // when an attempt last ended or an entry was parked

	// The last rest that its circuit was given, or several, if something was
	// parked from the first to the last. ended is zero while it lasts.
	rested, ended time.Time
}

const (
	sweepEach   = time.Second      // how often hosts are looked at without a cause
	hostMemory  = 10 * time.Minute // what is known of a host that nobody calls is kept so long
	hostsInMind = 10_000           // and of at most so many
	roomyTries  = 64               // hosts looked at for one entry
)

func newHosts(most int, log *slog.Logger) hosts {
	return hosts{most: most, log: log, known: map[string]*host{}}
}

func (s *hosts) host(name string) *host {
	h := s.known[name]
	if h == nil {
		h = &host{name: name, pace: newPace(s.most)}
		s.known[name] = h
	}
	return h
}

func (h *host) room(now time.Time) int { return h.pace.room(now, h.inFlight, h.coming) }

// admit tells whether an entry for a host may be decided about now, and parks
// it if not. from is the host that it was parked at before, nil if it was not:
// it does not overtake those that are.
func (s *hosts) admit(name string, d jadwal.Due, from *host, now time.Time) bool {
	h := s.host(name)
	if h.room(now) > 0 && (from == h || h.parked.len() == 0) {
		return true
	}
	h.parked.push(d)
	h.used = now
	s.parked++
	s.look(h)
	return false
}

// look puts h among the hosts that may have room for what is parked there.
func (s *hosts) look(h *host) {
	if !h.inRoomy && h.parked.len() > 0 {
		h.inRoomy = true
		s.roomy.push(h)
	}
}

// next takes out the next entry whose host has room and whose owner is
// admitted. It counts as coming until arrived is called.
func (s *hosts) next(now time.Time, admits func(owner int64) bool) (*host, jadwal.Due, bool) {
	for range min(s.roomy.len(), roomyTries) {
		h := s.roomy.pop()
		if h.parked.len() == 0 || h.room(now) == 0 {
			h.inRoomy = false // an attempt that ends, or the sweep, brings it back
			continue
		}
		d, ok := h.parked.pop(admits)
		s.roomy.push(h)
		if ok {
			h.coming++
			s.parked--
			return h, d, true
		}
	}
	return nil, jadwal.Due{}, false
}

// keep drops the parked entries that keeps does not want.
func (s *hosts) keep(keeps func(jadwal.Due) bool) {
	s.parked = 0
	for _, h := range s.known {
		h.parked.keep(keeps)
		s.parked += h.parked.len()
	}
}

// arrived is called when an entry of next is decided about or dropped.
func (s *hosts) arrived(h *host) {
	if h != nil {
		h.coming--
		s.look(h)
	}
}

// begin takes note of an attempt that starts.
func (s *hosts) begin(name string, now time.Time) *host {
	h := s.host(name)
	h.inFlight++
	h.pace.begin(now)
	return h
}

// end takes in what an attempt tells of its host.
func (s *hosts) end(h *host, told sign, began, now time.Time) {
	h.inFlight--
	h.used = now
	before := h.pace.isOpen()
	h.pace.end(told, began, now)
	switch after := h.pace.isOpen(); {
	case after && !before:
		if h.rested.IsZero() || h.parked.len() == 0 {
			h.rested = now
		}
		h.ended = time.Time{}
		s.log.Warn("a host does not answer and is given a rest", "host", h.name, "attempts without an answer", h.pace.silent)
	case before && !after:
		h.ended = now
		s.log.Info("a host answers again", "host", h.name, "rested for", now.Sub(h.rested).Round(time.Millisecond).String(), "runs that wait", h.parked.len())
	}
	s.look(h)
}

// rest returns when a host was last given a rest, as it is known at now; false
// if it was not.
func (s *hosts) rest(name string, now time.Time) (from, to time.Time, ok bool) {
	h := s.known[name]
	if h == nil || h.rested.IsZero() {
		return from, to, false
	}
	if h.ended.IsZero() {
		return h.rested, now, true
	}
	return h.rested, h.ended, true
}

// sweep looks at all hosts once a second: rests end, and hosts that nobody
// calls any more are forgotten.
func (s *hosts) sweep(now time.Time) {
	if d := now.Sub(s.swept); d >= 0 && d < sweepEach {
		return
	}
	s.swept = now
	for name, h := range s.known {
		switch {
		case h.inFlight+h.coming+h.parked.len() > 0 || h.inRoomy:
			s.look(h)
		case h.pace.asNew() || now.Sub(h.used) > hostMemory || len(s.known) > hostsInMind:
			delete(s.known, name)
		}
	}
}
