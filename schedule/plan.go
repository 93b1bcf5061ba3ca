package schedule

import (
	"fmt"
	"time"
)

// Spec is one schedule as a user wrote it: exactly one member is set.
type Spec struct {
	Cron  string `json:"cron,omitempty"`  // see ParseCron
	Every string `json:"every,omitempty"` // a Go duration of at least a second: "90s", "1h30m"
	At    string `json:"at,omitempty"`    // RFC 3339 with an offset, or without: a local time of the zone
	RRule string `json:"rrule,omitempty"` // RFC 5545
}

// Gap says what happens to a fixed local time that the clock skips.
type Gap string

// The choices for a gap. The default is GapRunAfter.
const (
	GapRunAfter Gap = "run_after" // once at the first instant after the gap, however many times were lost
	GapSkip     Gap = "skip"      // not at all
	GapShift    Gap = "shift"     // later by the gap's length: 02:30 becomes 03:30
)

// Overlap says what happens to a local time that comes twice.
type Overlap string

// The choices for an overlap. The default is OverlapAuto.
const (
	OverlapAuto   Overlap = "auto"   // fixed times on the first pass, all others on both
	OverlapFirst  Overlap = "first"  // on the first pass
	OverlapSecond Overlap = "second" // on the second pass
	OverlapBoth   Overlap = "both"   // on both passes
)

// DST chooses how schedules behave when the clock is moved. The zero value is
// run_after and auto. The choice for a gap is about fixed times only.
type DST struct {
	Gap     Gap     `json:"gap"`
	Overlap Overlap `json:"overlap"`
}

// MaxSpecs is how many schedules a Plan may unite.
const MaxSpecs = 16

// Config is what Compile makes a Plan of.
type Config struct {
	Specs   []Spec         // 0 to MaxSpecs; without any the Plan is empty
	Zone    *time.Location // of cron, rrule and local `at`; nil is UTC
	Seed    uint64         // what H is spread by: a hash of the job's id
	Anchor  time.Time      // of `every` and rrule; zero: StartAt, else 1970-01-01T00:00:00Z
	StartAt time.Time      // no instant before it; zero: no bound
	EndAt   time.Time      // no instant after it; zero: no bound
	DST     DST

	// RRule makes the Source of an rrule. Without it an rrule is refused.
	RRule func(text string, zone *time.Location, anchor time.Time, dst DST) (Source, error)
}

// Plan is the united instants of a job's schedules. It never changes and is
// safe for concurrent use.
type Plan struct {
	start, end int64 // Unix milliseconds, both included
	sources    []source
	loc        *time.Location
	zone       *zone
}

// Compile makes a Plan. Its error is an *Error, or Errors when several parts
// are wrong; each names the Field it is about, such as "schedules[0].cron".
func Compile(cfg Config) (*Plan, error) {
	var errs Errors
	p := &Plan{start: minMilli, end: maxMilli, loc: cfg.Zone}
	if p.loc == nil {
		p.loc = time.UTC
	}
	p.zone = zoneOf(p.loc)
	if !cfg.StartAt.IsZero() {
		p.start = max(p.start, milliUp(cfg.StartAt))
	}
	if !cfg.EndAt.IsZero() {
		p.end = min(p.end, milli(cfg.EndAt))
		if p.end < p.start {
			errs = append(errs, &Error{"end_at", CodeOutOfRange, "end_at must not be before start_at"})
		}
	}
	errs = append(errs, cfg.DST.check()...)
	if n := len(cfg.Specs); n > MaxSpecs {
		errs = append(errs, &Error{"schedules", CodeTooMany, fmt.Sprintf("a job has at most %d schedules, got %d", MaxSpecs, n)})
		cfg.Specs = nil
	}
	if cfg.Anchor.IsZero() {
		if cfg.Anchor = cfg.StartAt; cfg.Anchor.IsZero() {
			cfg.Anchor = time.Unix(0, 0).UTC()
		}
	}
	for i, spec := range cfg.Specs {
		src, member, err := cfg.compile(spec, p.zone)
		if err != nil {
			err.Field = fmt.Sprintf("schedules[%d]", i)
			if member != "" {
				err.Field += "." + member
			}
			errs = append(errs, err)
			continue
		}
		p.sources = append(p.sources, src)
	}
	switch len(errs) {
	case 0:
		return p, nil
	case 1:
		return nil, errs[0]
	default:
		return nil, errs
	}
}

// compile makes the source of one spec and returns the member it is under.
func (cfg *Config) compile(spec Spec, z *zone) (source, string, *Error) {
	set, member := 0, ""
	for _, m := range []struct{ name, text string }{{"cron", spec.Cron}, {"every", spec.Every}, {"at", spec.At}, {"rrule", spec.RRule}} {
		if m.text != "" {
			set++
			member = m.name
		}
	}
	switch {
	case set == 0:
		return nil, "", errorf(CodeRequired, "a schedule needs one of cron, every, at, rrule")
	case set > 1:
		return nil, "", errorf(CodeConflict, "a schedule has exactly one of cron, every, at, rrule, got %d; write several schedules instead", set)
	}
	src, err := cfg.compileMember(spec, member, z)
	return src, member, err
}

func (cfg *Config) compileMember(spec Spec, member string, z *zone) (source, *Error) {
	switch member {
	case "cron":
		c, err := parseCron(spec.Cron, cfg.Seed)
		if err != nil {
			return nil, err
		}
		return newCronSource(c, z, cfg.DST), nil
	case "every":
		step, err := parseEvery(spec.Every)
		if err != nil {
			return nil, err
		}
		return &everySource{milli(cfg.Anchor), step}, nil
	case "at":
		at, err := parseAt(spec.At, z, cfg.DST)
		if err != nil {
			return nil, err
		}
		return &at, nil
	}
	if cfg.RRule == nil {
		return nil, errorf(CodeUnsupported, "rrule is not available here; use cron, every or at")
	}
	src, err := cfg.RRule(spec.RRule, cfg.Zone, cfg.Anchor, cfg.DST)
	if err != nil {
		return nil, asError(err)
	}
	return &foreignSource{src}, nil
}

// check refuses unknown choices.
func (d DST) check() (errs Errors) {
	switch d.Gap {
	case "", GapRunAfter, GapSkip, GapShift:
	default:
		errs = append(errs, &Error{"dst.gap", CodeUnknownOption, "gap must be run_after, skip or shift, got " + quote(string(d.Gap))})
	}
	switch d.Overlap {
	case "", OverlapAuto, OverlapFirst, OverlapSecond, OverlapBoth:
	default:
		errs = append(errs, &Error{"dst.overlap", CodeUnknownOption, "overlap must be auto, first, second or both, got " + quote(string(d.Overlap))})
	}
	return errs
}

// Next returns the first instant strictly after its argument, in UTC. It does
// not allocate. A search ends, with false, at the year 9999 or after 100 years
// without an instant of a cron schedule or of a rule.
func (p *Plan) Next(after time.Time) (time.Time, bool) {
	at, ok := p.next(milli(after))
	if !ok {
		return time.Time{}, false
	}
	return time.UnixMilli(at).UTC(), true
}

func (p *Plan) next(after int64) (int64, bool) {
	after = max(after, p.start-1)
	best := int64(far)
	for _, s := range p.sources {
		if at, ok := s.next(after); ok && at < best {
			best = at
		}
	}
	return best, best <= p.end
}

// Prev returns the last instant strictly before its argument, in UTC. It does
// not allocate. A search ends, with false, at the year 1 or after 100 years
// without an instant of a cron schedule or of a rule.
func (p *Plan) Prev(before time.Time) (time.Time, bool) {
	at, ok := p.prev(milliUp(before))
	if !ok {
		return time.Time{}, false
	}
	return time.UnixMilli(at).UTC(), true
}

func (p *Plan) prev(before int64) (int64, bool) {
	before = min(before, p.end+1)
	best := int64(-far)
	for _, s := range p.sources {
		if at, ok := s.prev(before); ok && at > best {
			best = at
		}
	}
	return best, best >= p.start
}

// Between returns the instants after from, up to and including to, ascending,
// in UTC, and no more than limit of them.
func (p *Plan) Between(from, to time.Time, limit int) []time.Time {
	var all []time.Time
	last := milli(to)
	for at, ok := p.next(milli(from)); ok && at <= last && len(all) < limit; at, ok = p.next(at) {
		all = append(all, time.UnixMilli(at).UTC())
	}
	return all
}

// Count returns how many instants lie after from, up to and including to; it
// stops counting at limit.
func (p *Plan) Count(from, to time.Time, limit int) int {
	n := 0
	last := milli(to)
	for at, ok := p.next(milli(from)); ok && at <= last && n < limit; at, ok = p.next(at) {
		n++
	}
	return n
}
