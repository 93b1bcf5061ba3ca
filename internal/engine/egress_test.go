package engine

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/target"
)

// Only what a superuser owns, and has not merely inherited, goes everywhere.
func TestWhoseEgressRulesApply(t *testing.T) {
	scenario(t, "by owner and by what was inherited", func(t *testing.T, w *world) {
		now := time.Now().UTC()
		normal, err := w.st.CreateUser(t.Context(), w.actor(), jadwal.NewUser{Username: "ani", Email: "ani@example.com", PasswordHash: "none"}, now)
		if err != nil {
			t.Fatal(err)
		}
		type egress struct{ limited, inherited bool }
		want := map[string]egress{}
		for _, tt := range []struct {
			owner              jadwal.User
			inherited, limited bool
		}{
			{w.owner, false, false},
			{w.owner, true, true},
			{normal, false, true},
			{normal, true, true},
		} {
			name := fmt.Sprintf("%s-%v", tt.owner.Username, tt.inherited)
			want[name] = egress{tt.limited, tt.inherited && tt.owner.IsSuperuser}
			if _, err := w.st.CreateJob(t.Context(), w.actor(), jadwal.Job{
				OwnerID: tt.owner.ID, Definition: definitionOf(name, "* * * * *"), State: jadwal.JobEnabled,
				EgressLimited: tt.inherited, NextAt: midnight.Add(time.Minute),
			}, now); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		got := map[string]egress{}
		w.hear = func(c target.Call) {
			mu.Lock()
			defer mu.Unlock()
			got[c.Job.Name] = egress{c.Limited, c.Inherited}
		}
		w.run()
		until("00:01:01")
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for name, egress := range want {
			if is, called := got[name]; !called || is != egress {
				t.Errorf("%s: called %v, %+v, want %+v", name, called, is, egress)
			}
		}
	})
}

// Rights count at the moment of each attempt: what is taken away between two of
// them, of one run too, does not help the second.
func TestEgressRulesOfAnOwnerWhoLosesRights(t *testing.T) {
	scenario(t, "the owner is no superuser any more", func(t *testing.T, w *world) {
		now := time.Now().UTC()
		owner, err := w.st.CreateUser(t.Context(), w.actor(), jadwal.NewUser{Username: "sri", Email: "sri@example.com", PasswordHash: "none", IsSuperuser: true}, now)
		if err != nil {
			t.Fatal(err)
		}
		def := definitionOf("tick", "* * * * *")
		def.Retry = jadwal.DefaultRetry
		def.Retry.MinBackoff = jadwal.Duration(20 * time.Second)
		if _, err := w.st.CreateJob(t.Context(), jadwal.Actor{User: owner}, jadwal.Job{
			OwnerID: owner.ID, Definition: def, State: jadwal.JobEnabled, NextAt: midnight.Add(time.Minute),
		}, now); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		got := ""
		w.hear = func(c target.Call) {
			mu.Lock()
			defer mu.Unlock()
			got += fmt.Sprintf("attempt %d limited %v, ", c.Attempt, c.Limited)
		}
		w.answers(503, 503, 200)
		w.run()
		until("00:01:10")
		if _, err := w.st.UpdateUser(t.Context(), w.actor(), owner.ID, jadwal.UserPatch{IsSuperuser: new(false)}, time.Now()); err != nil {
			t.Fatal(err)
		}
		until("00:01:50")
		if _, err := w.st.UpdateUser(t.Context(), w.actor(), owner.ID, jadwal.UserPatch{IsSuperuser: new(true)}, time.Now()); err != nil {
			t.Fatal(err)
		}
		until("00:02:30")
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if want := "attempt 1 limited false, attempt 2 limited true, attempt 3 limited false, "; got != want {
			t.Errorf("got %s", got)
		}
	})
}
