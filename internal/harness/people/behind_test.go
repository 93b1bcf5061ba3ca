package people

import (
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

func TestJudgeBehind(t *testing.T) {
	const ran, missed, skipped = jadwal.RunSucceeded, jadwal.RunMissed, jadwal.RunSkipped
	plain := &story{name: "x", id: 7, changes: []change{madeAt(0, 0.1)}}
	resumed := &story{name: "x", id: 7, changes: []change{
		madeAt(0, 0.1), {kind: "pause", sent: at(2.5), acked: at(2.6), paused: true}, {kind: "resume", sent: at(59), acked: at(60)},
	}}
	late := func(due, started, finished float64) Record {
		r := rec(due, ran)
		r.startedAt, r.finishedAt = at(started), at(finished)
		return r
	}
	gone := func(from, through, recorded float64) Record {
		r := stretch(from, through, missed)
		r.startedAt, r.finishedAt = time.Time{}, at(recorded)
		return r
	}
	for _, tt := range []struct {
		rule    string
		s       *story
		records []Record
		well    float64 // for at most so long
		behind  float64
		fine    bool
	}{
		{"on time", plain, []Record{late(1, 1, 1)}, 99, 0, true},
		{"a little late", plain, []Record{late(1, 9, 9)}, 99, 8, true},
		{"late by more than a lease and its grace", plain, []Record{late(1, 17, 17)}, 99, 16, false},
		{"as late, and its server was disturbed", plain, []Record{late(1, 17, 17)}, 6, 16, true},
		{"missed, and that recorded late", plain, []Record{gone(1, 9, 18)}, 99, 17, false},
		{"skipped, and that recorded with what came later", plain, []Record{stretch(1, 50, skipped)}, 99, 0, true},
		{"as late, since another run went on", plain, []Record{late(1, 1, 18), late(2, 19, 20)}, 99, 1, true},
		{"as late, long after another run", plain, []Record{late(1, 1, 3), late(2, 19, 20)}, 99, 16, false},
		{"late through a pause", resumed, []Record{late(3, 61, 62)}, 99, 1, true},
		{"late after a pause", resumed, []Record{late(3, 77, 78)}, 99, 17, false},
		{"during the pause, by an answer that was on its way", resumed, []Record{late(1, 59.5, 62)}, 99, 0, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			var got tally
			bad := tt.s.judgeBehind(tt.records, func(_ int64, from, to time.Time) time.Duration {
				return min(to.Sub(from), time.Duration(tt.well*float64(time.Second)))
			}, &got)
			if (len(bad) == 0) != tt.fine || got.behind != time.Duration(tt.behind*float64(time.Second)) {
				t.Errorf("behind %v, complaints: %q", got.behind, bad)
			}
		})
	}
}
