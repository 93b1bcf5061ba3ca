package store

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

func TestAQuotaOfJobs(t *testing.T) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) { testAQuotaOfJobs(t, open(t)) })
	}
}

func testAQuotaOfJobs(t *testing.T, s *Store) {
	s.maxJobs = 5
	ctx, now := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
	user := func(name string, superuser bool) jadwal.User {
		u, err := s.CreateUser(ctx, jadwal.Actor{}, jadwal.NewUser{Username: name, Email: name + "@x", PasswordHash: "h", IsSuperuser: superuser}, now)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	create := func(owner jadwal.User, name string, state jadwal.JobState) (jadwal.Job, error) {
		def := jadwal.Definition{Name: name, Timezone: "UTC", Target: jadwal.Target{Type: "http", Method: "POST", URL: "https://example.com/"}}
		return s.CreateJob(context.Background(), jadwal.Actor{User: owner}, jadwal.Job{OwnerID: owner.ID, Definition: def, State: state, NextAt: now.Add(time.Hour)}, now)
	}
	admin, ani, budi := user("admin", true), user("ani", false), user("budi", false)

	var wg sync.WaitGroup
	var mu sync.Mutex
	made, refused := []jadwal.Job{}, 0
	for i := range 20 {
		wg.Go(func() {
			job, err := create(ani, fmt.Sprint("job", i), jadwal.JobEnabled)
			mu.Lock()
			defer mu.Unlock()
			switch jadwal.CodeOf(err) {
			case "":
				made = append(made, job)
			case jadwal.CodeQuotaExceeded:
				refused++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(made) != 5 || refused != 15 {
		t.Fatalf("of 20 at once %d were made and %d refused", len(made), refused)
	}
	code := func(what string, err error, want jadwal.Code) {
		t.Helper()
		if got := jadwal.CodeOf(err); got != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := create(ani, "paused", jadwal.JobPaused)
	code("a paused one", err, jadwal.CodeQuotaExceeded)
	other, err := create(budi, "other", jadwal.JobEnabled)
	code("another user", err, "")
	_, _, err = s.HandOver(ctx, jadwal.Actor{User: budi}, other.ID, ani.ID, now)
	code("one that is given to who has no room", err, jadwal.CodeQuotaExceeded)
	if job, err := s.Job(ctx, other.ID); err != nil || job.OwnerID != budi.ID {
		t.Errorf("it was given away: %+v, %v", job, err)
	}
	_, _, err = s.HandOver(ctx, jadwal.Actor{User: ani}, made[0].ID, budi.ID, now)
	code("one that is given away", err, "")
	_, err = create(ani, "instead", jadwal.JobEnabled)
	code("one instead of it", err, "")
	_, err = s.DeleteJob(ctx, jadwal.Actor{User: ani}, made[1].ID, now)
	code("a deletion", err, "")
	_, err = create(ani, "again", jadwal.JobEnabled)
	code("one instead of what was deleted", err, "")
	for i := range 7 {
		_, err = create(admin, fmt.Sprint("mine", i), jadwal.JobEnabled)
		code("a superuser's", err, "")
	}
	_, _, err = s.HandOver(ctx, jadwal.Actor{User: budi}, other.ID, admin.ID, now)
	code("one that is given to a superuser", err, "")
}
