package people

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

// tell returns all that is known of a job in the order in which it happened:
// what was asked of it, what reached its target, the lives of the server from
// a little before the job was made, and in the end its records.
func (s *story) tell(records []Record, deliveries []harness.Delivery, lives []Life) string {
	type line struct {
		at   time.Time
		text string
	}
	var lines []line
	add := func(at time.Time, format string, args ...any) {
		lines = append(lines, line{at, fmt.Sprintf(format, args...)})
	}
	for _, c := range s.changes {
		add(c.sent, "%s: %v", c.kind, c)
		if !c.acked.IsZero() {
			add(c.acked, "%s is in force: %v", c.kind, c)
		}
	}
	for _, t := range s.tries {
		add(t.sent, "  %s sent", t.what)
		add(t.ended, "  %s answered: %s", t.what, t.came)
	}
	for _, d := range deliveries {
		add(d.At, "delivered: %v, epoch %d, answered %s", d, d.Epoch, clock(d.Answered))
	}
	begin, end := s.changes[0].sent.Add(-time.Second), s.changes[0].sent.Add(10*time.Second)
	for _, l := range lines {
		end = latest(end, l.at)
	}
	for _, l := range lives {
		if (l.Gone.IsZero() || l.Gone.After(begin)) && l.Started.Before(end) {
			add(l.Started, "server %v", l)
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
	var b strings.Builder
	fmt.Fprintf(&b, "  the story of job %s (id %d):\n", s.name, s.id)
	for _, l := range lines {
		fmt.Fprintf(&b, "    %s %s\n", clock(l.at), l.text)
	}
	for _, r := range records {
		fmt.Fprintf(&b, "    record: %v, version %d, attempts %d, started %s, finished %s\n", r, r.version, r.attempts, clock(r.startedAt), clock(r.finishedAt))
	}
	return b.String()
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// String tells of the state that a change led to.
func (c change) String() string {
	text := c.terms.String()
	if c.paused {
		text += ", paused"
	}
	if c.deleted {
		text += ", deleted"
	}
	return text
}
