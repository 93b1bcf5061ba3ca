package people

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/harness"
)

func (v runView) record() (Record, error) {
	key, ok := jadwal.ParseRunID(v.ID)
	if !ok {
		return Record{}, fmt.Errorf("%q is no run id", v.ID)
	}
	if !v.DueAt.Equal(time.UnixMicro(key.DueAt)) {
		return Record{}, fmt.Errorf("run %s says that it was due at %v", v.ID, v.DueAt)
	}
	r := Record{key: key, state: jadwal.RunState(v.State), reason: jadwal.Reason(v.Reason), version: v.Version, attempts: v.Attempts}
	for _, t := range []struct {
		from *time.Time
		to   *time.Time
	}{{v.ThroughAt, &r.through}, {v.StartedAt, &r.startedAt}, {v.FinishedAt, &r.finishedAt}} {
		if t.from != nil {
			*t.to = *t.from
		}
	}
	return r, nil
}

// Summary is all there is to judge when the last server has stopped.
type Summary struct {
	Title      string // what was done, in a few words
	Lives      []Life
	Lasted     time.Duration
	Now        time.Time          // when the live records were read
	Live       map[int64][]Record // through the API
	Deleted    map[int64][]Record // from the store: the API does not list a deleted job's
	Broken     []string           // invariants; as every complaint about one, each begins with its name
	Errors     []string           // what the servers logged as such
	Deliveries []harness.Delivery

	// Nodes: epochs are a shard's. Stale tells whether a delivery came from a node
	// that another one had replaced, which it could not notice: it was stopped.
	// Well tells for how long at most without a break, from one moment to another,
	// the node that had a job was well.
	Nodes bool
	Stale func(harness.Delivery) bool
	Well  func(jobID int64, from, to time.Time) time.Duration
}

// Verdict judges, prints, and returns an error when anything is wrong.
func (p *People) Verdict(s Summary) error {
	bad := slices.Concat(p.complaints, s.Broken, s.Errors)
	if !s.Nodes {
		bad = append(bad, judgeEpochs(s.Deliveries)...)
	}
	arrived := map[string][]harness.Delivery{}
	for _, d := range s.Deliveries {
		arrived[d.Job] = append(arrived[d.Job], d)
	}
	var told []string
	var t tally
	states := map[string]int{}
	lateness := []time.Duration{}
	for _, story := range p.stories {
		var wrong []string
		story.stale = s.Stale
		if s.Nodes {
			wrong = judgeEpochs(story.fresh(arrived[story.name]))
		} else {
			story.enforce(s.Lives)
		}
		records := s.Live[story.id]
		if story.last().deleted {
			records = s.Deleted[story.id]
		} else {
			planned := slices.DeleteFunc(slices.Clone(records), func(r Record) bool { return r.key.N > 0 })
			wrong = append(wrong, story.judgeRecords(planned, arrived[story.name], s.Now)...)
		}
		if s.Nodes {
			wrong = append(wrong, story.judgeBehind(records, s.Well, &t)...)
		}
		wrong = append(wrong, story.judgeAsked(records, arrived[story.name], s.Now)...)
		wrong = append(wrong, story.judgeDeliveries(records, arrived[story.name], s.Now, &t)...)
		if len(wrong) > 0 {
			bad = append(bad, wrong...)
			told = append(told, story.tell(records, arrived[story.name], s.Lives))
		}
		for _, r := range records {
			state := string(r.state)
			if r.reason != "" {
				state += " (" + string(r.reason) + ")"
			}
			states[state]++
			if !r.startedAt.IsZero() {
				lateness = append(lateness, r.startedAt.Sub(r.due()))
			}
		}
	}
	var restarts []time.Duration
	for _, l := range s.Lives {
		if !l.Ready.IsZero() {
			restarts = append(restarts, l.Ready.Sub(l.Started))
		}
	}
	slices.Sort(restarts)
	slices.Sort(lateness)
	fmt.Printf("%s in %v\n", s.Title, s.Lasted.Round(time.Second))
	if len(restarts) > 0 {
		fmt.Printf("  ready again after %v (median), %v (worst)\n", percentile(restarts, 50).Round(time.Millisecond), percentile(restarts, 100).Round(time.Millisecond))
	}
	fmt.Printf("  confirmed: %s; %d answers were lost\n", counts(p.confirmed), p.unknown)
	fmt.Printf("  recorded:  %s\n", counts(states))
	fmt.Printf("  delivered: %d, of them again: %d, at most %d times one run; delivered and then recorded as missed or skipped: %d\n",
		t.deliveries, t.redelivered, t.most, t.missed)
	if s.Nodes {
		fmt.Printf("  two at once, across nodes: %d; from a node that was stopped past its lease: %d\n", t.twice, t.stale)
	}
	fmt.Printf("  lateness, with outages, pauses, and waits for other runs: %v (median), %v (99 %%), %v (worst)\n",
		percentile(lateness, 50), percentile(lateness, 99), percentile(lateness, 100))
	if s.Nodes {
		fmt.Printf("  behind with nothing to wait for: %v at most, and %v while one node that nobody disturbed had the job (of %v)\n",
			t.behind.Round(time.Millisecond), t.alone.Round(time.Millisecond), mostBehind)
	}
	broken := func(rules ...string) (n int) {
		for _, b := range bad {
			if rule, _, _ := strings.Cut(b, ":"); slices.Contains(rules, rule) {
				n++
			}
		}
		return n
	}
	fmt.Printf("  lost: %d; recorded twice, or changed: %d; started from a version whose successor was acknowledged: %d; behind, or never ended: %d\n",
		broken("I1", "I5"), broken("I2", "I3"), broken("I9"), broken("I10"))
	if len(bad) == 0 {
		fmt.Println("  wrong:     nothing")
		return nil
	}
	for _, b := range bad[:min(len(bad), 30)] {
		fmt.Println("  WRONG:", b)
	}
	for _, text := range told[:min(len(told), 5)] {
		fmt.Print(text)
	}
	return errors.New(fmt.Sprint(len(bad), " things are wrong"))
}

// percentile returns the element of sorted that p percent are at most as big as.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*p/100]
}

// counts prints "3 create, 2 edit", the biggest first.
func counts(m map[string]int) string {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(m[b], m[a]), strings.Compare(a, b))
	})
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = fmt.Sprintf("%d %s", m[k], k)
	}
	return strings.Join(parts, ", ")
}
