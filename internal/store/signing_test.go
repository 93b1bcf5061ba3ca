package store

import (
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store/pgtest"
)

func secretNamed(c string) string { return strings.Repeat(c, 64) }

// meetAs has a server meet the others and returns the letter of the secret
// that signs afterwards; "": it may not serve.
func meetAs(t *testing.T, s *Store, id, active, retiring string, replace bool, now time.Time) string {
	t.Helper()
	self := jadwal.SigningHolder{Active: secretNamed(active)}
	if retiring != "" {
		self.Retiring = secretNamed(retiring)
	}
	agreed, same, err := s.MeetSigning(t.Context(), id, self, replace, now)
	if err != nil {
		t.Fatal(err)
	}
	if !same {
		return ""
	}
	return agreed.Signs[:1]
}

func TestServersAgreeOnASecret(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	url := pgtest.Database(t, current)
	here, there := openURL(t, url), openURL(t, url)
	for _, step := range []struct {
		what               string
		server             *Store
		id, active, retire string
		want               string
	}{
		{"the first server's counts", here, "1", "a", "", "a"},
		{"one with another secret may not serve", there, "2", "b", "", ""},
		{"the second has the same", there, "2", "a", "", "a"},
		{"a new secret waits until the other server knows it", here, "1", "b", "a", "a"},
		{"and signs as soon as that one has met", there, "2", "b", "a", "b"},
		{"for both", here, "1", "b", "a", "b"},
		{"a server that starts with the old one alone may not serve", there, "3", "a", "", ""},
		{"one that is behind follows", there, "4", "a", "b", "b"},
	} {
		if got := meetAs(t, step.server, step.id, step.active, step.retire, true, now); got != step.want {
			t.Fatalf("%s: %q signs, want %q", step.what, got, step.want)
		}
	}
	t.Run("the change is told in the audit log, without the secret", func(t *testing.T) {
		var lines []string
		if err := here.read(t.Context(), func(tx *tx) error {
			return tx.query("SELECT actor, object, detail FROM audit WHERE action = 'signing.rotate'", func(r row) error {
				lines = append(lines, r.text(0)+" "+r.text(1)+" "+r.text(2))
				return nil
			})
		}); err != nil {
			t.Fatal(err)
		}
		if want := "server signing/bbbbbbbbbbbbbbbb " + `{"before":"signing/aaaaaaaaaaaaaaaa"}`; len(lines) != 1 || lines[0] != want {
			t.Errorf("got %q, want %q", lines, want)
		}
	})
	t.Run("a server that has ended holds nothing up", func(t *testing.T) {
		if got := meetAs(t, here, "1", "c", "b", false, now); got != "b" {
			t.Fatalf("%q signs", got)
		}
		for _, id := range []string{"2", "4"} {
			if err := there.LeaveSigning(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		if got := meetAs(t, here, "1", "c", "b", false, now); got != "c" {
			t.Errorf("%q signs", got)
		}
	})
	t.Run("nor does one that was not heard of for half a minute", func(t *testing.T) {
		meetAs(t, there, "5", "c", "", false, now)
		if err := here.write(t.Context(), laneAPI, func(tx *tx) error {
			_, err := tx.exec("UPDATE signing_holder SET seen_at = seen_at - 31000000 WHERE id = '5'")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got := meetAs(t, here, "1", "d", "c", false, now); got != "d" {
			t.Errorf("%q signs", got)
		}
	})
}

func TestOnSQLiteASecretIsReplaced(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	s := openSQLiteTest(t)
	for _, step := range []struct {
		what           string
		active, retire string
		replace        bool
		want           string
	}{
		{"the first one signs", "a", "", false, "a"},
		{"another one does not without a word", "b", "", false, ""},
		{"and does with it", "b", "", true, "b"},
		{"nobody is waited for", "c", "b", false, "c"},
	} {
		if got := meetAs(t, s, "1", step.active, step.retire, step.replace, now); got != step.want {
			t.Fatalf("%s: %q signs, want %q", step.what, got, step.want)
		}
	}
	agreed, _, err := s.MeetSigning(t.Context(), "1", jadwal.SigningHolder{Active: secretNamed("c")}, false, now.Add(time.Hour))
	if want := (jadwal.SigningRecord{Signs: secretNamed("c"), Before: secretNamed("b"), Since: now}); err != nil || agreed != want {
		t.Errorf("got %+v, %v, want %+v", agreed, err, want)
	}
}
