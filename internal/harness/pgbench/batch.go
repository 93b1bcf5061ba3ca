package main

import (
	"slices"

	"github.com/teknohole/jadwal"
)

// columns are the arguments of a statement over many rows: one array each.
type columns struct {
	// of each cursor
	id, version, at, next, started                []int64
	keep, failures                                []int64
	lastDue, lastN, lastBegan, lastEnd, lastReady []int64
	lastState                                     []string

	// of each record
	due, job, n, through, runVersion, attempts []int64
	ready, began, end, status                  []int64
	state, reason, trigger, message, retryOf   []string
}

func micro(t interface {
	UnixMicro() int64
	IsZero() bool
}) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// transpose makes columns of outcomes, which it sorts by job so that two
// commits lock their rows in the same order.
func (c *columns) transpose(batch []*jadwal.Outcome) {
	slices.SortFunc(batch, func(a, b *jadwal.Outcome) int { return int(a.JobID - b.JobID) })
	*c = columns{
		id: c.id[:0], version: c.version[:0], at: c.at[:0], next: c.next[:0], started: c.started[:0],
		keep: c.keep[:0], failures: c.failures[:0], lastDue: c.lastDue[:0], lastN: c.lastN[:0],
		lastBegan: c.lastBegan[:0], lastEnd: c.lastEnd[:0], lastReady: c.lastReady[:0], lastState: c.lastState[:0],
		due: c.due[:0], job: c.job[:0], n: c.n[:0], through: c.through[:0], runVersion: c.runVersion[:0], attempts: c.attempts[:0],
		ready: c.ready[:0], began: c.began[:0], end: c.end[:0], status: c.status[:0],
		state: c.state[:0], reason: c.reason[:0], trigger: c.trigger[:0], message: c.message[:0], retryOf: c.retryOf[:0],
	}
	for _, o := range batch {
		c.id, c.version = append(c.id, o.JobID), append(c.version, o.Version)
		c.at, c.next = append(c.at, o.At), append(c.next, o.Next)
		c.started = append(c.started, int64(o.Started))
		last := &o.Records[len(o.Records)-1]
		c.keep, c.failures = append(c.keep, 0), append(c.failures, 0)
		c.lastDue, c.lastN = append(c.lastDue, last.Key.DueAt), append(c.lastN, int64(last.Key.N))
		c.lastBegan, c.lastEnd = append(c.lastBegan, micro(last.StartedAt)), append(c.lastEnd, micro(last.FinishedAt))
		c.lastReady, c.lastState = append(c.lastReady, micro(last.ReadyAt)), append(c.lastState, string(last.State))
		for i := range o.Records {
			r := &o.Records[i]
			c.due, c.job, c.n = append(c.due, r.Key.DueAt), append(c.job, r.Key.JobID), append(c.n, int64(r.Key.N))
			c.through, c.runVersion = append(c.through, micro(r.ThroughAt)), append(c.runVersion, r.Version)
			c.attempts, c.ready = append(c.attempts, int64(r.Attempts)), append(c.ready, micro(r.ReadyAt))
			c.began, c.end = append(c.began, micro(r.StartedAt)), append(c.end, micro(r.FinishedAt))
			c.status, c.message = append(c.status, int64(r.StatusCode)), append(c.message, r.Message)
			c.state, c.reason = append(c.state, string(r.State)), append(c.reason, string(r.Reason))
			c.trigger = append(c.trigger, string(r.Trigger))
			retry := ""
			if r.RetryOf != (jadwal.RunKey{}) {
				retry = r.RetryOf.ID()
			}
			c.retryOf = append(c.retryOf, retry)
		}
	}
}
