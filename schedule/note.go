package schedule

import "time"

// Occurrence is one instant of a Plan, for people.
type Occurrence struct {
	At    time.Time // UTC
	Local time.Time // the same instant in the plan's zone
	Note  Note      // what the moved clock does to it; "" for nothing
}

// Note says what a change of the clock does to an occurrence.
type Note string

// The notes. Where several are true, the first of this list is given.
const (
	NoteMoved      Note = "moved"       // a local time that the clock skips was moved here
	NoteDropped    Note = "dropped"     // a local time since the occurrence before does not exist and was left out
	NoteFirstPass  Note = "first_pass"  // this local time comes twice: this is the first
	NoteSecondPass Note = "second_pass" // this local time comes twice: this is the second
)

// Text returns the note as a sentence, "" for none.
func (n Note) Text(lang Lang) string {
	texts := map[Note][2]string{
		NoteMoved:      {"Moved here: its local time does not exist on this day.", "Dipindahkan ke sini: waktu setempatnya tidak ada pada hari ini."},
		NoteDropped:    {"A local time before this one does not exist and was left out.", "Sebelum ini ada waktu setempat yang tidak ada dan dilewati."},
		NoteFirstPass:  {"This local time comes twice; this is the first.", "Waktu setempat ini datang dua kali; ini yang pertama."},
		NoteSecondPass: {"This local time comes twice; this is the second.", "Waktu setempat ini datang dua kali; ini yang kedua."},
	}[n]
	if lang == Indonesian {
		return texts[1]
	}
	return texts[0]
}

// Occurrences returns the next n instants strictly after its argument, with
// notes; fewer when the plan ends.
func (p *Plan) Occurrences(after time.Time, n int) []Occurrence {
	var all []Occurrence
	from := max(milli(after), p.start-1)
	for len(all) < n {
		at, ok := p.next(from)
		if !ok {
			break
		}
		utc := time.UnixMilli(at).UTC()
		all = append(all, Occurrence{At: utc, Local: utc.In(p.loc), Note: p.note(from, at)})
		from = at
	}
	return all
}

// note finds the note of the instant at, given the one before it, in
// milliseconds.
func (p *Plan) note(from, at int64) Note {
	u := floorDiv(at, 1000)
	s := p.zone.spanAt(u)
	for _, src := range p.sources {
		switch src := src.(type) {
		case *cronSource:
			if at == u*1000 && src.movedTo(&s, u) {
				return NoteMoved
			}
		case *atSource:
			if src.moved && at == src.first {
				return NoteMoved
			}
		}
	}
	if p.dropped(s, floorDiv(from, 1000)) {
		return NoteDropped
	}
	switch {
	case u >= s.end+s.after-s.off:
		return NoteFirstPass
	case u < s.start+s.before-s.off:
		return NoteSecondPass
	}
	return ""
}

// movedTo reports whether a lost time of the gap at the span's start runs at u.
func (c *cronSource) movedTo(s *span, u int64) bool {
	switch {
	case c.gap == gapAfter && u == s.start:
		_, ok := c.nextLost(s, s.start+s.before)
		return ok
	case c.gap == gapShift && s.before < s.off:
		w, ok := c.nextLost(s, u+s.before)
		return ok && w == u+s.before
	}
	return false
}

// dropped reports whether a cron schedule lost a time, and nothing runs in its
// place, in a gap after from and up to the start of s.
func (p *Plan) dropped(s span, from int64) bool {
	const maxSpans = 200 // a century of changes
	for range maxSpans {
		if s.start <= from {
			return false
		}
		for _, src := range p.sources {
			if c, ok := src.(*cronSource); ok && c.drops(&s) {
				return true
			}
		}
		s = p.zone.spanAt(s.start - 1)
	}
	return false
}

// drops reports whether a local time in the gap at the span's start runs
// nowhere. A schedule of every hour loses nothing: real time goes on.
func (c *cronSource) drops(s *span) bool {
	if c.hour == allHours && !c.fixed() && c.flags&everyDay != 0 {
		return false
	}
	lo, dayLo, dayHi, hi := s.gap()
	if c.gap != gapNone {
		lo, hi = dayLo, dayHi // all others are moved
	}
	if lo >= hi {
		return false
	}
	_, ok := c.nextWall(lo, hi-1)
	return ok
}
