package main

import (
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/harness"
)

var t0 = time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)

// at is t0 and so many seconds.
func at(seconds float64) time.Time { return t0.Add(time.Duration(seconds * float64(time.Second))) }

func rec(seconds float64, state jadwal.RunState) record {
	return record{key: jadwal.RunKey{DueAt: at(seconds).UnixMicro(), JobID: 7}, state: state}
}

func stretch(from, through float64, state jadwal.RunState) record {
	r := rec(from, state)
	r.through = at(through)
	return r
}

func madeAt(sent, acked float64) change {
	return change{kind: "create", sent: at(sent), acked: at(acked), every: time.Second}
}

func TestJudgeRecords(t *testing.T) {
	const ran, missed = jadwal.RunSucceeded, jadwal.RunMissed
	steady := &story{name: "x", id: 7, first: at(1), changes: []change{madeAt(0, 0.1)}}
	edited := &story{name: "x", id: 7, first: at(1), changes: []change{madeAt(0, 0.1), {kind: "edit", sent: at(2.5), acked: at(2.6), every: 2 * time.Second}}}
	paused := &story{name: "x", id: 7, first: at(1), changes: []change{madeAt(0, 0.1), {kind: "pause", sent: at(2.5), acked: at(2.6), every: time.Second, paused: true}}}
	once := &story{name: "x", id: 7, at: at(3), changes: []change{{kind: "create", sent: at(0), acked: at(0.1)}}}
	for _, tt := range []struct {
		rule    string
		s       *story
		records []record
		now     float64
		want    string // part of the only complaint; "": none
	}{
		{"every instant has its record", steady, []record{rec(1, ran), rec(2, ran), rec(3, ran)}, 3.5, ""},
		{"a stretch stands for all its instants", steady, []record{rec(1, ran), stretch(2, 9, missed), rec(10, ran)}, 10.5, ""},
		{"an instant without a record is a loss", steady, []record{rec(1, ran), rec(3, ran)}, 3.5, "2s between"},
		{"an instant lost before a stretch", steady, []record{rec(1, ran), stretch(3, 9, missed), rec(10, ran)}, 10.5, "2s between"},
		{"the first instant lost", steady, []record{rec(2, ran), rec(3, ran)}, 3.5, "the first instant was"},
		{"a record twice", steady, []record{rec(1, ran), rec(2, ran), rec(2, ran), rec(3, ran)}, 3.5, "recorded twice"},
		{"a record within a stretch", steady, []record{rec(1, ran), stretch(2, 4, missed), rec(4, ran), rec(5, ran)}, 5.5, "recorded twice"},
		{"an instant that was never planned", steady, []record{rec(1, ran), rec(1.5, ran), rec(2, ran)}, 2.5, "planned every 1s"},
		{"a job that fell silent", steady, []record{rec(1, ran), rec(2, ran)}, 9, "behind"},
		{"a job that never began", steady, nil, 9, "nothing is recorded"},
		{"a new job need not have begun", steady, nil, 1.2, ""},
		{"a run that stays open", steady, []record{rec(1, jadwal.RunRunning), stretch(2, 100, jadwal.RunSkipped)}, 101, "still open"},
		{"a run of just now may be open", steady, []record{rec(1, ran), rec(2, jadwal.RunRunning)}, 3.5, ""},
		{"a paused job's run is held", paused, []record{rec(1, ran), rec(2, jadwal.RunQueued)}, 60, ""},
		{"after an edit the gap may be as long as both periods", edited, []record{rec(1, ran), rec(2, ran), rec(5, ran)}, 6, ""},
		{"after an edit a longer gap is a loss", edited, []record{rec(1, ran), rec(2, ran), rec(7, ran)}, 8, "a gap of 5s"},
		{"an edited job's first instant counts too", edited, []record{rec(2, ran), rec(4, ran)}, 5, "the first instant was"},
		{"a paused job may be silent", paused, []record{rec(1, ran), rec(2, ran)}, 60, ""},
		{"what runs once ran once", once, []record{rec(3, ran)}, 9, ""},
		{"what runs once was lost", once, nil, 9, "runs once"},
		{"what runs once ran at another time", once, []record{rec(4, ran)}, 9, "runs once"},
		{"what runs once ran twice", once, []record{rec(3, ran), rec(4, ran)}, 9, "runs once"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			bad := tt.s.judgeRecords(tt.records, at(tt.now))
			if tt.want == "" && len(bad) > 0 {
				t.Errorf("complaints: %q", bad)
			}
			if tt.want != "" && !strings.Contains(strings.Join(bad, "\n"), tt.want) {
				t.Errorf("complaints: %q", bad)
			}
		})
	}
}

func arrival(seconds float64, marker string, redelivery bool) harness.Delivery {
	due := at(float64(int(seconds)))
	return harness.Delivery{
		At: at(seconds), Path: "/j/x/" + marker + "?delay=3ms", DueAt: due, Redelivery: redelivery,
		RunID: jadwal.RunKey{DueAt: due.UnixMicro(), JobID: 7}.ID(),
	}
}

func TestJudgeDelivery(t *testing.T) {
	s := &story{name: "x", id: 7, changes: []change{
		madeAt(0, 1),
		{kind: "edit", sent: at(10), acked: at(11), marker: 1},
		{kind: "pause", sent: at(20), acked: at(21), marker: 1, paused: true},
		{kind: "resume", sent: at(30), acked: at(31), marker: 1},
		{kind: "edit", sent: at(40), marker: 2}, // its answer never came
		{kind: "delete", sent: at(50), acked: at(51), marker: 2, deleted: true},
	}}
	for _, tt := range []struct {
		rule       string
		seconds    float64
		marker     string
		redelivery bool
		fine       bool
	}{
		{"from the only definition", 5, "0", false, true},
		{"from the new definition before the answer", 10.5, "1", false, true},
		{"from the old definition before the answer", 10.5, "0", false, true},
		{"from the old definition, sent just before the answer", 11.2, "0", false, true},
		{"from the new definition before it was sent", 9, "1", false, false},
		{"from the old definition long after the answer", 13, "0", false, false},
		{"a redelivery from the old definition", 13, "0", true, true},
		{"while it was paused", 25, "1", false, false},
		{"a redelivery while it was paused", 25, "1", true, true},
		{"resumed before the answer", 30.1, "1", false, true},
		{"after an edit without an answer: the new definition", 45, "2", false, true},
		{"after an edit without an answer: the old definition", 45, "1", false, true},
		{"deleted", 55, "2", false, false},
		{"a redelivery after it was deleted", 55, "2", true, false},
		{"a definition that never was", 5, "9", false, false},
		{"a path that is not the job's", 5, "x", false, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if complaint := s.judgeDelivery(arrival(tt.seconds, tt.marker, tt.redelivery)); (complaint == "") != tt.fine {
				t.Errorf("complaint: %q", complaint)
			}
		})
	}
}

func TestJudgeDeliveries(t *testing.T) {
	const ran, missed = jadwal.RunSucceeded, jadwal.RunMissed
	s := &story{name: "x", id: 7, changes: []change{madeAt(0, 0.1)}}
	other := arrival(1.1, "0", false)
	other.RunID = jadwal.RunKey{DueAt: at(1).UnixMicro(), JobID: 8}.ID()
	for _, tt := range []struct {
		rule       string
		records    []record
		deliveries []harness.Delivery
		want       tally
		complaint  string
	}{
		{"each run was delivered once", []record{rec(1, ran), rec(2, jadwal.RunFailed)},
			[]harness.Delivery{arrival(1.1, "0", false), arrival(2.1, "0", false)}, tally{deliveries: 2, most: 1}, ""},
		{"a run may be delivered again", []record{rec(1, ran)},
			[]harness.Delivery{arrival(1.1, "0", false), arrival(1.9, "0", true)}, tally{deliveries: 2, redelivered: 1, most: 2}, ""},
		{"delivered, then recorded as missed within a stretch", []record{stretch(1, 5, missed)},
			[]harness.Delivery{arrival(3.1, "0", false)}, tally{deliveries: 1, most: 1, missed: 1}, ""},
		{"recorded and never delivered", []record{rec(1, ran), rec(2, ran)},
			[]harness.Delivery{arrival(1.1, "0", false)}, tally{deliveries: 1, most: 1}, "never delivered"},
		{"delivered and never recorded", []record{rec(1, ran)},
			[]harness.Delivery{arrival(1.1, "0", false), arrival(2.1, "0", false)}, tally{deliveries: 2, most: 1}, "not recorded"},
		{"delivered at the very end and not recorded yet", nil, []harness.Delivery{arrival(9.1, "0", false)}, tally{deliveries: 1, most: 1}, ""},
		{"what is missed need not be delivered", []record{rec(1, missed)}, nil, tally{}, ""},
		{"delivered under another job's name", nil, []harness.Delivery{other}, tally{deliveries: 1, most: 1}, "delivered as run"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			var got tally
			bad := strings.Join(s.judgeDeliveries(tt.records, tt.deliveries, at(10), &got), "\n")
			if tt.complaint == "" && bad != "" || !strings.Contains(bad, tt.complaint) {
				t.Errorf("complaints: %q", bad)
			}
			if got != tt.want {
				t.Errorf("got %+v", got)
			}
		})
	}
}
