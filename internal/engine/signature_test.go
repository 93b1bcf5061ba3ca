package engine

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/target"
)

// Each attempt is signed with what is in force when it begins.
func TestWhatSignsAnAttempt(t *testing.T) {
	scenario(t, "by the owner's keys, by the job's own, by none", func(t *testing.T, w *world) {
		job := w.job("a", "* * * * *").ID
		key := func(letter string) []byte { return []byte(strings.Repeat(letter, jadwal.SignatureKeyBytes)) }
		var mu sync.Mutex
		var got []string
		w.hear = func(c target.Call) {
			_, signature := c.Signer.Sign("id", midnight, nil)
			for _, letter := range []string{"a", "b", "j"} {
				var one *jadwal.Signer
				_, by := one.With(key(letter), time.Time{}).Sign("id", midnight, nil)
				signature = strings.ReplaceAll(signature, by, letter)
			}
			mu.Lock()
			defer mu.Unlock()
			got = append(got, signature)
		}
		put := func(of jadwal.SignatureHolder, letter string) jadwal.SignatureKey {
			k, err := w.st.CreateSignatureKey(t.Context(), jadwal.Actor{User: w.owner}, of, key(letter), time.Hour, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		w.run()
		until("00:01:30")
		put(jadwal.SignatureHolder{UserID: w.owner.ID}, "a")
		until("00:02:30")
		put(jadwal.SignatureHolder{UserID: w.owner.ID}, "b")
		until("00:03:30")
		own := put(jadwal.SignatureHolder{JobID: job}, "j")
		until("00:04:30")
		if err := w.st.DeleteSignatureKey(t.Context(), jadwal.Actor{User: w.owner}, own.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		until("00:05:30")
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if all := strings.Join(got, ","); all != ",a,b a,j,b a" {
			t.Errorf("signed with %q", all)
		}
	})
}
