package store_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
	"github.com/teknohole/jadwal/internal/store/storetest"
	"github.com/teknohole/jadwal/schedule"
)

// callers is how many wait for the store at the same time in the benchmarks of
// writes: a commit that nobody shares costs a disk's sync.
const callers = 64

// perSecond runs op until b has enough, by that many callers, and reports how
// many were acknowledged a second.
func perSecond(b *testing.B, op func(caller int) error) {
	b.Helper()
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	for c := range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := op(c); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

func BenchmarkRotateSession(b *testing.B) {
	s := storetest.Open(b)
	by := jadwal.Actor{User: newUser(b, s, "admin", true)}
	now := time.Now()
	sessions := make([]jadwal.Session, callers)
	for i := range sessions {
		var err error
		if sessions[i], err = s.StartSession(b.Context(), by, now, now.Add(time.Hour), "hash"); err != nil {
			b.Fatal(err)
		}
	}
	perSecond(b, func(c int) error {
		n, r, err := s.RotateSession(b.Context(), sessions[c].ID, sessions[c].Generation, now)
		if err == nil && r != jadwal.RotationNext {
			err = fmt.Errorf("rotation %d", r)
		}
		sessions[c] = n
		return err
	})
}

func BenchmarkCreateJob(b *testing.B) {
	s := storetest.Open(b)
	by := jadwal.Actor{User: newUser(b, s, "admin", true)}
	now := time.Now()
	var n atomic.Int64
	perSecond(b, func(int) error {
		_, err := s.CreateJob(b.Context(), by, newJob(by.User.ID, fmt.Sprintf("job-%d", n.Add(1)), now.Add(time.Hour)), now)
		return err
	})
}

func BenchmarkIdentity(b *testing.B) {
	s := storetest.Open(b)
	by := jadwal.Actor{User: newUser(b, s, "admin", true)}
	now := time.Now()
	n, err := s.StartSession(b.Context(), by, now, now.Add(time.Hour), "hash")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, _, ok, _ := s.Identity(b.Context(), n.ID); !ok {
				b.Error("no session")
			}
		}
	})
}

func BenchmarkJobByName(b *testing.B) {
	s := storetest.Open(b)
	by := jadwal.Actor{User: newUser(b, s, "admin", true)}
	now := time.Now()
	for i := range 1000 {
		if _, err := s.CreateJob(b.Context(), by, newJob(by.User.ID, fmt.Sprintf("job-%d", i), now), now); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		if _, err := s.JobByName(b.Context(), by.User.ID, "job-500"); err != nil {
			b.Fatal(err)
		}
	}
}

// newUser stores a user as the operator does, with the password hash "hash".
func newUser(t testing.TB, s *store.Store, name string, superuser bool) jadwal.User {
	t.Helper()
	u, err := s.CreateUser(t.Context(), jadwal.Actor{}, jadwal.NewUser{
		Username: name, Email: name + "@example.com", PasswordHash: "hash", IsSuperuser: superuser,
	}, start)
	if err != nil {
		t.Fatalf("create user %s: %v", name, err)
	}
	return u
}

// start is when the stories of these tests begin.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newJob is a job as its owner would write it.
func newJob(owner int64, name string, next time.Time) jadwal.Job {
	return jadwal.Job{
		OwnerID: owner, State: jadwal.JobEnabled, NextAt: next,
		Definition: jadwal.Definition{
			Name: name, Tags: []string{"billing"},
			Schedules: []schedule.Spec{{Cron: "30 2 * * *"}},
			Timezone:  "Asia/Jakarta",
			Target: jadwal.Target{
				Type: "http", Method: "POST", URL: "https://example.com/hook?a=1&b=2",
				Headers: map[string]string{"X-Kind": "<invoice>"}, Body: jadwal.RawJSON(`{"n":1.50,"text":"a<b"}`),
			},
			Timeout: jadwal.Duration(30 * time.Second), Overlap: jadwal.OverlapSkip,
		},
	}
}
