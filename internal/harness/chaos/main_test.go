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
			w := &watcher{seen: map[int64]time.Time{}}
			w.take(tt.before, at)
			w.take(tt.after, at.Add(time.Second))
			if (len(w.wrong) == 0) != tt.fine {
				t.Errorf("wrong: %q", w.wrong)
			}
		})
	}
	w := &watcher{seen: map[int64]time.Time{}}
	w.take(owned(1, 3), at)
	w.take(owned(2, 4), at.Add(10*time.Second))
	for _, tt := range []struct {
		rule    string
		epoch   int64
		seconds int
		want    bool
	}{
		{"the owner, before", 3, 5, false},
		{"the former owner", 3, 12, true},
		{"the new owner", 4, 12, false},
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
	w.terms[7] = []term{
		{epoch: 3, address: "former", from: at, to: at, until: at.Add(10100 * time.Millisecond)},
		{epoch: 4, address: "other", from: at.Add(10 * time.Second), to: at.Add(10100 * time.Millisecond)},
	}
	arrived := func(n int, epoch int64, after time.Duration) []harness.Delivery {
		return slices.Repeat([]harness.Delivery{{At: at.Add(after), Epoch: epoch, RunID: jadwal.RunKey{DueAt: at.UnixMicro(), JobID: 7}.ID()}}, n)
	}
	continued := []awoken{{"former", at.Add(12 * time.Second)}, {"other", at.Add(20 * time.Second)}}
	for _, tt := range []struct {
		rule       string
		deliveries []harness.Delivery
		wrong      int
	}{
		{"the owner's", arrived(9, 4, 12*time.Second), 0},
		{"what was sent just before", arrived(9, 3, 11*time.Second), 0},
		{"the former owner's, which was not stopped", arrived(1, 3, 11500*time.Millisecond), 1},
		{"the former owner's, when it goes on", arrived(inHand, 3, 12100*time.Millisecond), 0},
		{"more than it can have had in hand", arrived(inHand+2, 3, 12100*time.Millisecond), 2},
		{"long after it went on", arrived(1, 3, 15*time.Second), 1},
		{"the former owner's, when another node goes on", arrived(1, 3, 20100*time.Millisecond), 1},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if wrong := w.judge(tt.deliveries, continued); len(wrong) != tt.wrong {
				t.Errorf("wrong: %q", wrong)
			}
		})
	}
}

func TestWell(t *testing.T) {
	t0 := time.Unix(1_800_000_000, 0)
	at := func(seconds int) time.Time { return t0.Add(time.Duration(seconds) * time.Second) }
	w := &watcher{}
	w.terms[7] = []term{
		{epoch: 3, address: "a", from: at(0), to: at(1), until: at(20)},
		{epoch: 4, address: "b", from: at(20), to: at(22)},
	}
	strikes := []strike{{database, "", at(10), at(12)}, {stop, "b", at(30), at(35)}, {cut, "a", at(25), at(25)}}
	for _, tt := range []struct {
		rule     string
		from, to int
		want     int
	}{
		{"nothing happens", 2, 8, 6},
		{"not before the term has begun for certain", 0, 8, 7},
		{"until the database is disturbed", 4, 11, 6},
		{"the longest stretch: after the database", 4, 20, 8},
		{"while the database is disturbed", 10, 12, 0},
		{"from one owner to the next", 15, 25, 5},
		{"another node is disturbed", 23, 28, 5},
		{"until the owner is disturbed", 26, 34, 4},
		{"nobody's", 20, 22, 0},
		{"for good", 36, 100, 64},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := w.well(7+jadwal.Shards, at(tt.from), at(tt.to), strikes); got != time.Duration(tt.want)*time.Second {
				t.Errorf("got %v, want %ds", got, tt.want)
			}
		})
	}
}

func TestHasty(t *testing.T) {
	t0 := time.Unix(1_800_000_000, 0)
	at := func(seconds float64) time.Time { return t0.Add(time.Duration(seconds * float64(time.Second))) }
	cluster := func(now float64, nodes ...jadwal.Node) *jadwal.Cluster {
		return &jadwal.Cluster{Now: at(now), Nodes: nodes}
	}
	node := func(id int64, until float64) jadwal.Node {
		return jadwal.Node{ID: id, Address: "a", LeaseUntil: at(until)}
	}
	for _, tt := range []struct {
		rule    string
		strikes []strike
		awake   float64
		lease   float64
		wrong   int
	}{
		{"it leaves by itself", nil, 0, 16, 0},
		{"killed, and its lease has ended", []strike{{kill, "a", at(4), at(20)}}, 0, 10, 0},
		{"killed, and its lease lasts", []strike{{kill, "a", at(4), at(20)}}, 0, 14, 1},
		{"another one was killed", []strike{{kill, "b", at(4), at(20)}}, 0, 14, 0},
		{"killed before it was this node", []strike{{kill, "a", at(0), at(2)}}, 0, 14, 0},
		{"stopped, and its lease lasts", []strike{{stop, "a", at(4), at(20)}}, 19, 14, 1},
		{"it went on and left by itself", []strike{{stop, "a", at(4), at(20)}}, 9, 14, 0},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			w := &watcher{seen: map[int64]time.Time{}}
			w.take(cluster(3, node(1, 8)), at(3))
			w.take(cluster(9.5, node(1, tt.lease)), at(9.5))
			w.take(cluster(10, node(2, 16)), at(10))
			if wrong := w.hasty(tt.strikes, []awoken{{"a", at(tt.awake)}}); len(wrong) != tt.wrong {
				t.Errorf("wrong: %q", wrong)
			}
		})
	}
}

func TestUnexplained(t *testing.T) {
	at := time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)
	strikes := []strike{{database, "", at, at.Add(2 * time.Second)}, {cut, "a", at.Add(time.Minute), at.Add(time.Minute)}}
	for _, tt := range []struct {
		rule    string
		line    string
		address string
		want    bool
	}{
		{"a panic", "panic: runtime error", "a", true},
		{"an outcome that was dropped", `time=2027-01-01T12:00:01.000Z level=ERROR msg="an outcome was already recorded by somebody else and is dropped"`, "a", true},
		{"the database is away", `time=2027-01-01T12:00:01.000Z level=ERROR msg="database unavailable" during=read`, "a", false},
		{"the database was away a moment ago", `time=2027-01-01T12:00:09.000Z level=ERROR msg="database unavailable" during=read`, "a", false},
		{"the database is not away any more", `time=2027-01-01T12:00:30.000Z level=ERROR msg="database unavailable" during=read`, "a", true},
		{"the way to it was cut", `time=2027-01-01T12:01:00.500Z level=ERROR msg="database unavailable" during=read`, "a", false},
		{"another node's way to it was cut", `time=2027-01-01T12:01:00.500Z level=ERROR msg="database unavailable" during=read`, "b", true},
		{"a cut is too short for a lease to end", `time=2027-01-01T12:01:00.500Z level=ERROR msg="this node's lease has ended: it begins again as a new one"`, "a", true},
		{"no error", `time=2027-01-01T12:00:30.000Z level=WARN msg="not ready"`, "a", false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := unexplained(tt.line, tt.address, strikes); got != tt.want {
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
