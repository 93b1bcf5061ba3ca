package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
)

// counted tells how many of a job's instants ended in each way.
func (w *world) counted(id int64) map[string]int {
	all := map[string]int{}
	for _, r := range w.runs(id) {
		n := 1
		if !r.ThroughAt.IsZero() {
			n += int(r.ThroughAt.Sub(time.UnixMicro(r.Key.DueAt)) / time.Second)
		}
		all[string(r.State)+" "+string(r.Reason)] += n
	}
	return all
}

func TestQuotaOfFires(t *testing.T) {
	user := func(t *testing.T, w *world, name string) jadwal.User {
		t.Helper()
		u, err := w.st.CreateUser(t.Context(), w.actor(), jadwal.NewUser{Username: name, Email: name + "@example.com", PasswordHash: "none"}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	job := func(t *testing.T, w *world, owner jadwal.User, name string, schedules ...string) int64 {
		t.Helper()
		def := definitionOf(name, schedules...)
		j, err := w.st.CreateJob(t.Context(), w.actor(), jadwal.Job{OwnerID: owner.ID, Definition: def, State: jadwal.JobEnabled}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return j.ID
	}
	scenario(t, "what is above it is recorded as skipped, and everybody has a quota of their own", func(t *testing.T, w *world) {
		w.fires = 12
		ani, budi := user(t, w, "ani"), user(t, w, "budi")
		w.run()
		first, second := job(t, w, ani, "first", "* * * * * *"), job(t, w, ani, "second", "* * * * * *")
		other, root := job(t, w, budi, "other", "*/5 * * * * *"), job(t, w, w.owner, "root", "* * * * * *")
		until("00:03:00")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		a, b := w.counted(first), w.counted(second)
		// 12 at once, and one each 5 s in three minutes and ten seconds.
		if started := a["succeeded "] + b["succeeded "]; started < 12+37 || started > 12+39 {
			t.Errorf("%d started: %v, %v", started, a, b)
		}
		for _, got := range []map[string]int{a, b} {
			total := 0
			for _, n := range got {
				total += n
			}
			if total < 189 || got["succeeded "]+got["skipped quota"] != total {
				t.Errorf("of %d instants not all started or were skipped for the quota: %v", total, got)
			}
		}
		if got := w.counted(other); len(got) != 1 || got["succeeded "] < 37 {
			t.Errorf("another owner, as many as the quota is: %v", got)
		}
		if got := w.counted(root); len(got) != 1 || got["succeeded "] < 189 {
			t.Errorf("a superuser: %v", got)
		}
	})
	scenario(t, "what somebody asks for starts, and a retry is the same run", func(t *testing.T, w *world) {
		w.fires = 1
		ani := user(t, w, "ani")
		w.run()
		id := job(t, w, ani, "a", "0 * * * * *")
		until("00:01:01")
		w.ask(id)
		time.Sleep(2 * time.Second)
		until("00:02:01")
		if got := w.counted(id); got["succeeded "] != 3 {
			t.Errorf("got %v", got)
		}
	})
	scenario(t, "what is queued counts", func(t *testing.T, w *world) {
		w.fires = 4
		ani := user(t, w, "ani")
		w.sink.takes = func(delivery) time.Duration { return 30 * time.Second }
		w.run()
		def := definitionOf("a", "* * * * * *")
		def.Overlap, def.Timeout = jadwal.OverlapQueueAll, jadwal.Duration(time.Minute)
		j, err := w.st.CreateJob(t.Context(), w.actor(), jadwal.Job{OwnerID: ani.ID, Definition: def, State: jadwal.JobEnabled}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		until("00:00:20")
		if got := w.counted(j.ID); got["running "]+got["queued "] != 5 || got["skipped quota"] < 14 {
			t.Errorf("got %v", got)
		}
	})
	scenario(t, "after a restart it is counted anew", func(t *testing.T, w *world) {
		w.fires = 1
		ani := user(t, w, "ani")
		w.run()
		id := job(t, w, ani, "a", "*/2 * * * * *")
		until("00:00:05")
		w.quit()
		w.run()
		until("00:00:11")
		if got := w.counted(id); got["succeeded "] != 2 || got["skipped quota"] < 2 {
			t.Errorf("got %v", got)
		}
	})
}
