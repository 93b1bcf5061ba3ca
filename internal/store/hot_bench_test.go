package store_test

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
	"github.com/teknohole/jadwal/internal/store/storetest"
	"github.com/teknohole/jadwal/schedule"
)

// processorTime returns what this process has used (getrusage(2)).
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// pageFaults returns how often this process was given memory (getrusage(2), ru_minflt).
func pageFaults() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Minflt
}

// manyJobs stores n jobs that fall due as due says, and returns their ids.
func manyJobs(b testing.TB, s *store.Store, n int, due func(i int) time.Time) []int64 {
	b.Helper()
	ctx, now := context.Background(), time.Now().UTC()
	owner, err := s.CreateUser(ctx, jadwal.Actor{}, jadwal.NewUser{Username: "root", Email: "root@example.com", PasswordHash: "x", IsSuperuser: true}, now)
	if err != nil {
		b.Fatal(err)
	}
	ids := make([]int64, n)
	var wg sync.WaitGroup
	for part := range 64 {
		wg.Go(func() {
			for i := part; i < n; i += 64 {
				def := jadwal.DefaultDefinition()
				def.Name, def.Target.URL = fmt.Sprintf("j%d", i), "http://sink.example/"
				def.Schedules = []schedule.Spec{{Cron: "* * * * *"}}
				job, err := s.CreateJob(ctx, jadwal.Actor{User: owner}, jadwal.Job{OwnerID: owner.ID, Definition: def, State: jadwal.JobEnabled, NextAt: due(i)}, now)
				if err != nil {
					b.Error(err)
					return
				}
				ids[i] = job.ID
			}
		})
	}
	wg.Wait()
	return ids
}

// BenchmarkCommit records runs alone, 500 a batch: all jobs due at the same
// instant, and jobs due all over a minute. An operation is a run.
func BenchmarkCommit(b *testing.B) {
	const jobs, batch = 100_000, 500
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		due  func(i int) time.Time
	}{
		{"due at once", func(int) time.Time { return start }},
		{"due all over a minute", func(i int) time.Time { return start.Add(time.Duration(i*7919%60000) * time.Millisecond) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := storetest.Open(b)
			manyJobs(b, s, jobs, c.due)
			ctx := context.Background()
			window := func(from time.Time) []jadwal.Due {
				found, err := s.Load(ctx, jadwal.AllShards(), from.UnixMicro(), from.Add(time.Minute).UnixMicro(), 1<<62)
				if err != nil {
					b.Fatal(err)
				}
				return found
			}
			from := start
			due := window(from)
			used, faults := processorTime(), pageFaults()
			b.ResetTimer()
			for done := 0; done < b.N; done += batch {
				if len(due) < batch {
					b.StopTimer()
					from = from.Add(time.Minute)
					due = window(from)
					b.StartTimer()
				}
				out := make([]*jadwal.Outcome, batch)
				for i, d := range due[:batch] {
					at := time.UnixMicro(d.At).UTC()
					out[i] = &jadwal.Outcome{
						JobID: d.JobID, Version: d.Version, At: d.At, Next: d.At + 60e6, Started: 1,
						Records: []jadwal.Run{{
							Key: jadwal.RunKey{DueAt: d.At, JobID: d.JobID}, Version: 1, State: jadwal.RunSucceeded, Trigger: jadwal.TriggerSchedule,
							Attempts: 1, StartedAt: at, FinishedAt: at.Add(time.Millisecond), StatusCode: 200,
						}},
					}
				}
				due = due[batch:]
				verdicts, err := s.Commit(ctx, from, out)
				if err != nil {
					b.Fatal(err)
				}
				for _, v := range verdicts {
					if v != jadwal.Recorded {
						b.Fatal("rejected")
					}
				}
			}
			b.StopTimer()
			runs := float64((b.N + batch - 1) / batch * batch)
			b.ReportMetric(runs/b.Elapsed().Seconds(), "runs/s")
			b.ReportMetric(float64((processorTime()-used).Microseconds())/runs, "cpu-µs/run")
			b.ReportMetric(float64(pageFaults()-faults)/runs, "faults/run")
		})
	}
}
