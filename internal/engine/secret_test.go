package engine

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/target"
)

// Each attempt is filled in with what is stored when it begins.
func TestWhatFillsAnAttemptIn(t *testing.T) {
	scenario(t, "with the secret's value of the moment, and not at all without it", func(t *testing.T, w *world) {
		by := jadwal.Actor{User: w.owner}
		secret, err := w.st.CreateSecret(t.Context(), by, jadwal.Secret{Name: "token", Origins: []string{"http://sink.example"}}, "canary-1", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		def := definitionOf("a", "* * * * *")
		def.Target.Body = jadwal.RawJSON(`"{{secret \"token\"}} {{run.attempt}} {{run.due_at \"%H:%M\"}}"`)
		job, err := w.create(def, time.Now().UTC())
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var sent []string
		w.hear = func(c target.Call) {
			values, err := c.Secrets(t.Context(), c.Job.Target.Secrets)
			if err != nil {
				t.Error(err)
			}
			filled, _ := c.Templates.Fill(jadwal.Values{RunID: c.Key.ID(), Attempt: c.Attempt, DueAt: c.DueAt}, c.OwnerID, values)
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, string(filled.Body))
		}
		w.run()
		until("00:01:30")
		next := "canary-2"
		if _, err := w.st.UpdateSecret(t.Context(), by, secret.ID, &next, nil, time.Now()); err != nil {
			t.Fatal(err)
		}
		until("00:02:30")
		if _, err := w.st.UpdateSecret(t.Context(), by, secret.ID, &next, []string{"http://elsewhere.example"}, time.Now()); err != nil {
			t.Fatal(err)
		}
		until("00:03:30")
		var got []string
		for _, r := range w.runs(job.ID) {
			got = append(got, string(r.State)+" "+string(r.Reason)+" "+r.Message)
		}
		want := "succeeded  |succeeded  |failed target_refused target.body, at byte 1: secret token may not be sent to http://sink.example; its origins are http://elsewhere.example"
		if all := strings.Join(got, "|"); all != want {
			t.Errorf("got  %s\nwant %s", all, want)
		}
		mu.Lock()
		defer mu.Unlock()
		if all := strings.Join(sent, "|"); all != "canary-1 1 00:01|canary-2 1 00:02|" {
			t.Errorf("sent %s", all)
		}
		if n := len(w.sink.deliveries()); n != 2 {
			t.Errorf("%d deliveries", n)
		}
	})
}
