package main

import (
	"slices"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/harness"
)

func TestWatch(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	owned := func(node, epoch int64) *jadwal.Cluster {
		c := &jadwal.Cluster{}
		c.Shards[7] = jadwal.ShardOwner{Node: node, Epoch: epoch}
		return c
	}
	for _, tt := range []struct {
		rule   string
		before *jadwal.Cluster
		after  *jadwal.Cluster
		fine   bool
	}{
		{"nothing happens", owned(1, 3), owned(1, 3), true},
		{"a shard changes hands in the next epoch", owned(1, 3), owned(2, 4), true},
		{"a shard is given back", owned(1, 3), owned(0, 3), true},
		{"an epoch goes back", owned(1, 3), owned(1, 2), false},
		{"another owner in the same epoch", owned(1, 3), owned(2, 3), false},
		{"a new owner in the same epoch", owned(0, 3), owned(2, 3), false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			w := &watcher{}
			w.take(tt.before, at)
			w.take(tt.after, at.Add(time.Second))
			if (len(w.wrong) == 0) != tt.fine {
				t.Errorf("wrong: %q", w.wrong)
			}
		})
	}
	w := &watcher{}
	w.take(owned(1, 3), at)
	w.take(owned(2, 4), at.Add(10*time.Second))
	for _, tt := range []struct {
		rule    string
		epoch   int64
		seconds int
		want    bool
	}{
		{"the owner, before", 3, 5, false},
		{"the former owner", 3, 11, true},
		{"the new owner", 4, 11, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			d := harness.Delivery{At: at.Add(time.Duration(tt.seconds) * time.Second), Epoch: tt.epoch, RunID: jadwal.RunKey{DueAt: at.UnixMicro(), JobID: 7 + jadwal.Shards}.ID()}
			if got := w.replaced(d, true); got != tt.want {
				t.Errorf("replaced: %v", got)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	w := &watcher{}
	w.since[7] = []term{{3, at, at}, {4, at.Add(10 * time.Second), at.Add(10100 * time.Millisecond)}}
	arrived := func(n int, epoch int64, after time.Duration) []harness.Delivery {
		return slices.Repeat([]harness.Delivery{{At: at.Add(after), Epoch: epoch, RunID: jadwal.RunKey{DueAt: at.UnixMicro(), JobID: 7}.ID()}}, n)
	}
	continued := []time.Time{at.Add(12 * time.Second)}
	for _, tt := range []struct {
		rule       string
		deliveries []harness.Delivery
		wrong      int
	}{
		{"the owner's", arrived(9, 4, 12*time.Second), 0},
		{"what was sent just before", arrived(9, 3, 10500*time.Millisecond), 0},
		{"the former owner's, which was not stopped", arrived(1, 3, 11*time.Second), 1},
		{"the former owner's, when it goes on", arrived(inHand, 3, 12100*time.Millisecond), 0},
		{"more than it can have had in hand", arrived(inHand+2, 3, 12100*time.Millisecond), 2},
		{"long after it went on", arrived(1, 3, 15*time.Second), 1},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if wrong := w.judge(tt.deliveries, continued); len(wrong) != tt.wrong {
				t.Errorf("wrong: %q", wrong)
			}
		})
	}
}

func TestUnexplained(t *testing.T) {
	for _, tt := range []struct {
		rule string
		line string
		want bool
	}{
		{"a panic", "panic: runtime error", true},
		{"an outcome that was dropped", `level=ERROR msg="an outcome was already recorded by somebody else and is dropped"`, true},
		{"the database is away", `level=ERROR msg="database unavailable" during=read`, false},
		{"no error", `level=WARN msg="not ready"`, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := unexplained(tt.line); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestLateness(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	arrived := func(run string, due, came time.Duration) harness.Delivery {
		return harness.Delivery{RunID: run, DueAt: at.Add(due), At: at.Add(came)}
	}
	late, again := lateness([]harness.Delivery{
		arrived("a", 0, time.Second), arrived("b", 10*time.Second, 13*time.Second), arrived("c", 11*time.Second, 12*time.Second),
		arrived("a", 0, 14*time.Second), arrived("d", 20*time.Second, 21*time.Second),
	}, at.Add(10*time.Second), at.Add(20*time.Second))
	if len(late) != 2 || late[0] != time.Second || late[1] != 3*time.Second || again != 1 {
		t.Errorf("late %v, again %d", late, again)
	}
}
