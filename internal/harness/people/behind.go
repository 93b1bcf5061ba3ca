package people

import (
	"fmt"
	"time"

	"github.com/teknohole/jadwal"
)

// mostBehind is how long an enabled job may be behind whose server is well: a
// lease, and its grace, which is long enough for a machine that does much else.
const mostBehind = jadwal.LeaseFor + 9*time.Second

// behind returns from when to when a run, or a range of missed instants, was due
// and nothing but the server kept it from being decided about: the job was as it
// was then, enabled, and none of its other runs was unfinished. False: that is
// not known, or there was no such time.
func (s *story) behind(r Record, records []Record) (from, to time.Time, ok bool) {
	from, to = r.due(), r.startedAt
	if r.state == jadwal.RunMissed {
		to = r.finishedAt
	}
	if to.IsZero() || r.state == jadwal.RunSkipped {
		return from, to, false
	}
	for _, c := range s.changes {
		switch {
		case c.sent.After(to):
		case c.acked.IsZero() || c.acked.After(to):
			return from, to, false
		default:
			from = latest(from, c.acked)
		}
	}
	for _, o := range records {
		switch {
		case o.key == r.key || o.startedAt.IsZero() || o.startedAt.After(to):
		case o.finishedAt.IsZero():
			return from, to, false
		case !o.finishedAt.After(to):
			from = latest(from, o.finishedAt)
		}
	}
	return from, to, from.Before(to)
}

// judgeBehind holds the job to I10: it is not behind for longer than a lease
// and its grace. Each time that its server is disturbed, that begins anew: well
// is the longest stretch without (see Summary). There is no circuit here, since
// the target always answers, and no limit is reached.
func (s *story) judgeBehind(records []Record, well func(jobID int64, from, to time.Time) time.Duration, t *tally) []string {
	var bad []string
	for _, r := range records {
		from, to, ok := s.behind(r, records)
		if !ok {
			continue
		}
		t.behind = max(t.behind, to.Sub(from))
		alone := well(s.id, from, to)
		if t.alone = max(t.alone, alone); alone > mostBehind {
			bad = append(bad, fmt.Sprintf("I10: job %s: was behind from %s to %s, of that %v without a break while its server was well: %v", s.name, clock(from), clock(to), alone, r))
		}
	}
	return bad
}
