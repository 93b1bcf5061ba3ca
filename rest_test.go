package jadwal

import (
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal/schedule"
)

// stretchesOf reads "12:00-12:04 missed server_down, 12:05 skipped overlap".
func stretchesOf(t *testing.T, s string) []Stretch {
	t.Helper()
	var all []Stretch
	for part := range strings.SplitSeq(s, ", ") {
		words := strings.Fields(part)
		from, through, ok := strings.Cut(words[0], "-")
		if !ok {
			through = from
		}
		all = append(all, Stretch{clock(t, from), clock(t, through), RunState(words[1]), Reason(words[2])})
	}
	return all
}

func TestRested(t *testing.T) {
	for _, tt := range []struct {
		rule, from, to, missed, want string
	}{
		{"what fell due during the rest is missed because of it", "12:00", "12:10", "12:01-12:09 missed overload", "12:01-12:09 missed circuit_open"},
		{"its first and last instants count", "12:01", "12:09", "12:01-12:09 missed overload", "12:01-12:09 missed circuit_open"},
		{"what fell due before it is not", "12:05:30", "12:10", "12:01-12:09 missed overload", "12:01-12:05 missed overload, 12:06-12:09 missed circuit_open"},
		{"what fell due after it is not", "12:00", "12:05:30", "12:01-12:09 missed overload", "12:01-12:05 missed circuit_open, 12:06-12:09 missed overload"},
		{"a stretch around it becomes three", "12:03", "12:05", "12:01-12:09 missed overload", "12:01-12:02 missed overload, 12:03-12:05 missed circuit_open, 12:06-12:09 missed overload"},
		{"a rest between two instants made nothing wait", "12:03:10", "12:03:50", "12:01-12:09 missed overload", "12:01-12:09 missed overload"},
		{"a single instant", "12:00", "12:10", "12:05 missed overload", "12:05 missed circuit_open"},
		{"a rest of another time changes nothing", "10:00", "11:00", "12:01-12:09 missed overload", "12:01-12:09 missed overload"},
		{"nor does one yet to come", "13:00", "14:00", "12:01-12:09 missed overload", "12:01-12:09 missed overload"},
		{"other reasons stay", "12:00", "12:10", "12:01 missed server_down, 12:02 skipped overlap, 12:03 missed overload", "12:01 missed server_down, 12:02 skipped overlap, 12:03 missed circuit_open"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got := Rested(minutely(t), stretchesOf(t, tt.missed), clock(t, tt.from), clock(t, tt.to))
			if s := tell(got, nil, time.Time{}, false); s != tt.want {
				t.Errorf("got  %s\nwant %s", s, tt.want)
			}
		})
	}
	t.Run("a plan with gaps is divided at its own instants", func(t *testing.T) {
		uneven := plan(t, schedule.Spec{Cron: "0,1,30 * * * *"})
		got := Rested(uneven, stretchesOf(t, "12:00-14:30 missed overload"), clock(t, "12:10"), clock(t, "13:20"))
		want := "12:00-12:01 missed overload, 12:30-13:01 missed circuit_open, 13:30-14:30 missed overload"
		if s := tell(got, nil, time.Time{}, false); s != want {
			t.Errorf("got  %s\nwant %s", s, want)
		}
	})
}
