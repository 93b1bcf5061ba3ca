package people

import (
	"context"
	"slices"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
)

// Inspect opens the store of a server that has stopped: it returns all records
// of the given jobs, oldest first, and the invariants that do not hold.
func Inspect(o store.Options, jobs map[int64]bool) (records map[int64][]Record, broken []string, err error) {
	ctx := context.Background()
	st, err := store.Open(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	defer st.Close()
	violations, err := st.Check(ctx, time.Now())
	if err != nil {
		return nil, nil, err
	}
	for _, v := range violations {
		broken = append(broken, v.String())
	}
	records = map[int64][]Record{}
	for id := range jobs {
		if records[id], err = recordsOf(ctx, st, id); err != nil {
			return nil, nil, err
		}
	}
	return records, broken, nil
}

func recordsOf(ctx context.Context, st *store.Store, jobID int64) (records []Record, err error) {
	for before := (jadwal.RunKey{}); ; {
		runs, err := st.Runs(ctx, jobID, before, jadwal.MaxPage)
		if err != nil {
			return nil, err
		}
		for _, r := range runs {
			records = append(records, Record{
				key: r.Key, through: r.ThroughAt, state: r.State, reason: r.Reason, version: r.Version,
				attempts: r.Attempts, startedAt: r.StartedAt, finishedAt: r.FinishedAt,
			})
			before = r.Key
		}
		if len(runs) < jadwal.MaxPage {
			slices.Reverse(records)
			return records, nil
		}
	}
}
