package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/harness"
	"github.com/teknohole/jadwal/internal/store"
)

// batch is how many outcomes one commit records: as many as the engine sends
// at most.
const batch = 500

// benchStore measures the record alone: runs that succeeded, committed in this
// process in batches, as the engine would. Jobs that are due all over a minute
// have their cursors all over the database; the others are one stretch of it.
func benchStore(b *bench) error {
	first := time.Now().Add(time.Hour).Truncate(time.Second)
	for _, c := range []struct {
		name string
		due  func(i int) time.Time
	}{
		{"due all over a minute", func(i int) time.Time { return first.Add(time.Duration(i*7919%60000) * time.Millisecond) }},
		{"due at once", func(int) time.Time { return first }},
	} {
		if err := b.commits(c.name, first, c.due); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) commits(name string, first time.Time, due func(i int) time.Time) error {
	dir, err := b.prepare()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := b.fill(dir, "store", some, due); err != nil {
		return err
	}
	return onStore(dir, func(s *store.Store) error {
		var done total
		var written int64
		void := 0
		for day := -1; day < 3; day++ {
			from := first.AddDate(0, 0, day+1)
			dues, err := s.Load(context.Background(), jadwal.AllShards(), from.UnixMicro(), from.Add(time.Minute).UnixMicro(), 1<<62)
			if err != nil {
				return err
			}
			if len(dues) != some {
				return fmt.Errorf("%d jobs are due, not %d", len(dues), some)
			}
			machine := harness.ReadStolen()
			t, bytes, err := record(s, dues)
			if err != nil {
				return err
			}
			if harness.ReadStolen().Since(machine) > maxStolen {
				void++
				continue
			}
			if day >= 0 {
				done.ops, done.wall, done.cpu, written = done.ops+t.ops, done.wall+t.wall, done.cpu+t.cpu, written+bytes
			}
		}
		if done.ops == 0 {
			return errors.New("every turn was void")
		}
		report(fmt.Sprintf("runs recorded, %d a commit, %d jobs %s", batch, some, name), "40,000/s",
			[]side{{name: "the store alone"}}, []total{done}, void)
		fmt.Printf("  %d bytes written a run, log and file together\n", written/int64(done.ops))
		return nil
	})
}

// record commits that each job's run has succeeded, and is due again a day
// later. It returns what that took, and the bytes it wrote.
func record(s *store.Store, dues []jadwal.Due) (t total, written int64, err error) {
	bytes, err1 := ownWrites()
	used, err2 := ownCPU()
	if err := errors.Join(err1, err2); err != nil {
		return t, 0, err
	}
	begun := time.Now()
	for rest := dues; len(rest) > 0; rest = rest[min(batch, len(rest)):] {
		outcomes := make([]*jadwal.Outcome, min(batch, len(rest)))
		for i, d := range rest[:len(outcomes)] {
			at := time.UnixMicro(d.At).UTC()
			outcomes[i] = &jadwal.Outcome{
				JobID: d.JobID, Version: d.Version, At: d.At, Next: at.AddDate(0, 0, 1).UnixMicro(), Started: 1,
				Records: []jadwal.Run{{
					Key: jadwal.RunKey{DueAt: d.At, JobID: d.JobID}, Version: 1, State: jadwal.RunSucceeded, Trigger: jadwal.TriggerSchedule,
					Attempts: 1, StartedAt: at, FinishedAt: at.Add(time.Millisecond), StatusCode: 200,
				}},
			}
		}
		verdicts, err := s.Commit(context.Background(), time.UnixMicro(rest[0].At), outcomes)
		if err != nil {
			return t, 0, err
		}
		for i, v := range verdicts {
			if v != jadwal.Recorded {
				return t, 0, fmt.Errorf("the outcome of job %d was not recorded", outcomes[i].JobID)
			}
		}
	}
	t.ops, t.wall = len(dues), time.Since(begun)
	after, err1 := ownWrites()
	t.cpu, err2 = ownCPU()
	t.cpu -= used
	return t, after - bytes, errors.Join(err1, err2)
}

// ownWrites is how many bytes this process has written (proc_pid_io(5), wchar).
func ownWrites() (int64, error) {
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), "wchar: ")
	line, _, _ := strings.Cut(rest, "\n")
	return strconv.ParseInt(line, 10, 64)
}
