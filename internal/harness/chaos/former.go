package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
)

// former plays a node that others have replaced and that has not noticed: it
// sends outcomes of jobs from exactly where they stand, so that nothing but the
// fence refuses them.
type former struct {
	st      *store.Store
	stop    context.CancelFunc
	done    chan struct{}
	refused int
	wrong   []string
}

func haunt(url string) (*former, error) {
	ctx, stop := context.WithCancel(context.Background())
	st, err := store.OpenOffline(ctx, store.Options{URL: url, Log: silent})
	if err != nil {
		stop()
		return nil, err
	}
	f := &former{st: st, stop: stop, done: make(chan struct{})}
	id, err := st.Join(ctx, jadwal.Node{Address: "a former node", StartedAt: time.Now()}, time.Second)
	if err == nil {
		err = st.Leave(ctx, id)
	}
	if err != nil {
		stop()
		return nil, errors.Join(err, st.Close())
	}
	go f.run(ctx)
	return f, nil
}

func (f *former) run(ctx context.Context) {
	defer close(f.done)
	for ctx.Err() == nil && len(f.wrong) < 3 {
		time.Sleep(300 * time.Millisecond)
		now := time.Now()
		soon, err := f.st.Load(ctx, jadwal.AllShards(), now.UnixMicro(), now.Add(10*time.Second).UnixMicro(), 1<<62)
		if err != nil || len(soon) == 0 {
			continue // the database is away
		}
		last := soon[len(soon)-1] // nobody records it so soon
		_, err = f.st.Commit(ctx, now, []*jadwal.Outcome{{
			JobID: last.JobID, Version: last.Version, At: last.At, Next: last.At + 1, Started: 1,
			Records: []jadwal.Run{{
				Key: jadwal.RunKey{DueAt: last.At, JobID: last.JobID}, Version: last.Version, State: jadwal.RunSucceeded, Trigger: jadwal.TriggerSchedule,
				Attempts: 1, StartedAt: now, FinishedAt: now, Message: "from a former node",
			}},
		}})
		switch {
		case errors.Is(err, jadwal.ErrFenced):
			f.refused++
		case err == nil:
			f.wrong = append(f.wrong, fmt.Sprintf("I2: no fence: a batch of a node that had been removed was taken, of job %d", last.JobID))
		}
	}
}

// leave ends it and returns what was wrong. That it was never refused is: then
// nothing was tried.
func (f *former) leave() []string {
	f.stop()
	<-f.done
	if f.refused == 0 {
		f.wrong = append(f.wrong, "no batch of a former node was refused")
	}
	if err := f.st.Close(); err != nil {
		f.wrong = append(f.wrong, err.Error())
	}
	return f.wrong
}
