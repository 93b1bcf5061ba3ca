package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/harness"
	"github.com/teknohole/jadwal/internal/harness/people"
	"github.com/teknohole/jadwal/internal/store"
)

// former plays an owner of all jobs that was replaced and has not noticed: it
// sends outcomes from where jobs stood a moment ago, into the database of the
// running server. Each must be rejected, since that instant, or that attempt,
// is somebody else's by then.
type former struct {
	*people.Ledger
	st   *store.Store
	stop chan struct{}
	done chan struct{}

	stood map[int64]jadwal.Cursor          // by job: at an instant that may have passed
	open  map[jadwal.RunKey]jadwal.OpenRun // at an attempt that may have ended
}

// haunt lets a former owner act until leave is called. A server must be
// running: it holds the lock that would be taken for a moment otherwise.
func haunt(l *people.Ledger, data string) (*former, error) {
	st, err := store.OpenOffline(context.Background(), store.Options{Dir: data, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	f := &former{
		Ledger: l, st: st, stop: make(chan struct{}), done: make(chan struct{}),
		stood: map[int64]jadwal.Cursor{}, open: map[jadwal.RunKey]jadwal.OpenRun{},
	}
	go f.run()
	return f, nil
}

func (f *former) leave() error {
	close(f.stop)
	<-f.done
	return f.st.Close()
}

func (f *former) run() {
	defer close(f.done)
	for {
		select {
		case <-f.stop:
			return
		case <-time.After(15 * time.Millisecond):
		}
		cursors, err := f.st.OpenCursors(context.Background(), jadwal.AllShards())
		if err != nil {
			f.refused("read", err)
			continue
		}
		now := map[jadwal.RunKey]jadwal.OpenRun{}
		for _, c := range cursors {
			for _, r := range c.Open {
				now[r.Key] = r
				if was, ok := f.open[r.Key]; ok && (was.Attempt != r.Attempt || was.State != r.State) {
					f.send(late(c, was))
				}
			}
		}
		for key, was := range f.open {
			if _, ok := now[key]; ok {
				continue
			}
			stands, err := f.st.Cursors(context.Background(), []int64{key.JobID})
			if err != nil {
				f.refused("read", err)
			} else if len(stands) == 1 {
				f.send(late(stands[0], was))
			}
		}
		for _, c := range cursors {
			was := f.stood[c.JobID]
			if was.NextAt != 0 && was.Version == c.Version && was.NextAt != c.NextAt { // a new version's may stand there once more
				f.send(&jadwal.Outcome{
					JobID: c.JobID, Version: c.Version, At: was.NextAt, Next: c.NextAt,
					Records: []jadwal.Run{ended(jadwal.RunKey{DueAt: was.NextAt, JobID: c.JobID}, c.Version, 1)},
				})
			}
			f.stood[c.JobID] = c
		}
		f.open = now
	}
}

// late is the outcome of an attempt that is not the present one any more, with
// the cursor where it stands now.
func late(c jadwal.Cursor, was jadwal.OpenRun) *jadwal.Outcome {
	return &jadwal.Outcome{
		JobID: c.JobID, Version: c.Version, At: c.NextAt, Next: c.NextAt,
		Closes:  []jadwal.Close{{Key: was.Key, Attempt: was.Attempt, State: was.State}},
		Records: []jadwal.Run{ended(was.Key, was.Version, max(1, was.Attempt))},
	}
}

func ended(key jadwal.RunKey, version int64, attempts int) jadwal.Run {
	now := time.Now()
	return jadwal.Run{
		Key: key, Version: version, State: jadwal.RunSucceeded, Trigger: jadwal.TriggerSchedule,
		Attempts: attempts, StartedAt: now, FinishedAt: now, Message: "from a former owner",
	}
}

func (f *former) send(o *jadwal.Outcome) {
	verdicts, err := f.st.Commit(context.Background(), time.Now(), []*jadwal.Outcome{o})
	switch {
	case err != nil:
		f.refused(fmt.Sprintf("an outcome of job %d", o.JobID), err)
	case verdicts[0] != jadwal.Rejected:
		f.Complain("an outcome of a former owner was recorded: %+v", *o)
	default:
		f.Count("late outcome rejected")
	}
}

// refused notes an error of the store that is no matter of the server having
// the database for long.
func (f *former) refused(what string, err error) {
	if code := jadwal.CodeOf(err); code != jadwal.CodeUnavailable && code != jadwal.CodeBusy {
		f.Complain("a former owner's store: %s: %v", what, err)
	}
}

// haunted is a server with a former owner of its jobs now and then.
type haunted struct {
	*harness.Server
	*people.Ledger
	former *former
}

// round is called while the server is running, before its kill number i: a
// former owner acts from every fourth one to the next.
func (h *haunted) round(i int) (err error) {
	switch {
	case h.former == nil && i%4 == 0:
		h.former, err = haunt(h.Ledger, h.Data())
	case h.former != nil && i%4 != 0:
		err = h.former.leave()
		h.former = nil
	}
	return err
}
