package people

import (
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

var t0 = time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)

// at is t0 and so many seconds.
func at(seconds float64) time.Time { return t0.Add(time.Duration(seconds * float64(time.Second))) }

func rec(seconds float64, state jadwal.RunState) Record {
	return Record{key: jadwal.RunKey{DueAt: at(seconds).UnixMicro(), JobID: 7}, state: state, startedAt: at(seconds), finishedAt: at(seconds)}
}

func stretch(from, through float64, state jadwal.RunState) Record {
	r := rec(from, state)
	r.through = at(through)
	return r
}

func madeAt(sent, acked float64) change {
	return change{kind: "create", sent: at(sent), acked: at(acked), terms: terms{every: time.Second, slots: 1}}
}

func TestJudgeRecords(t *testing.T) {
	const ran, missed, failed = jadwal.RunSucceeded, jadwal.RunMissed, jadwal.RunFailed
	steady := &story{name: "x", id: 7, first: at(1), changes: []change{madeAt(0, 0.1)}}
	edited := &story{name: "x", id: 7, first: at(1), changes: []change{madeAt(0, 0.1), {kind: "edit", sent: at(2.5), acked: at(2.6), terms: terms{every: 2 * time.Second}}}}
	paused := &story{name: "x", id: 7, first: at(1), changes: []change{madeAt(0, 0.1), {kind: "pause", sent: at(2.5), acked: at(2.6), terms: terms{every: time.Second}, paused: true}}}
	twice := &story{name: "x", id: 7, first: at(1), most: 2, state: "completed", changes: []change{madeAt(0, 0.1)}}
	endless := &story{name: "x", id: 7, first: at(1), most: 2, state: "enabled", changes: []change{madeAt(0, 0.1)}}
	fuse := &story{name: "x", id: 7, first: at(1), failures: 2, state: "paused", changes: []change{madeAt(0, 0.1)}}
	once := &story{name: "x", id: 7, at: at(3), state: "completed", changes: []change{{kind: "create", sent: at(0), acked: at(0.1)}}}
	for _, tt := range []struct {
		rule    string
		s       *story
		records []Record
		now     float64
		want    string // part of the only complaint; "": none
	}{
		{"every instant has its record", steady, []Record{rec(1, ran), rec(2, ran), rec(3, ran)}, 3.5, ""},
		{"a stretch stands for all its instants", steady, []Record{rec(1, ran), stretch(2, 9, missed), rec(10, ran)}, 10.5, ""},
		{"an instant without a record is a loss", steady, []Record{rec(1, ran), rec(3, ran)}, 3.5, "2s between"},
		{"an instant lost before a stretch", steady, []Record{rec(1, ran), stretch(3, 9, missed), rec(10, ran)}, 10.5, "2s between"},
		{"the first instant lost", steady, []Record{rec(2, ran), rec(3, ran)}, 3.5, "the first instant was"},
		{"a record twice", steady, []Record{rec(1, ran), rec(2, ran), rec(2, ran), rec(3, ran)}, 3.5, "recorded twice"},
		{"a record within a stretch", steady, []Record{rec(1, ran), stretch(2, 4, missed), rec(4, ran), rec(5, ran)}, 5.5, "recorded twice"},
		{"an instant that was never planned", steady, []Record{rec(1, ran), rec(1.5, ran), rec(2, ran)}, 2.5, "planned every 1s"},
		{"a job that fell silent", steady, []Record{rec(1, ran), rec(2, ran)}, 9, "behind"},
		{"a job that never began", steady, nil, 9, "nothing is recorded"},
		{"a new job need not have begun", steady, nil, 1.2, ""},
		{"a run that stays open", steady, []Record{rec(1, jadwal.RunRunning), stretch(2, 100, jadwal.RunSkipped)}, 101, "still open"},
		{"a run of just now may be open", steady, []Record{rec(1, ran), rec(2, jadwal.RunRunning)}, 3.5, ""},
		{"a paused job's run is held", paused, []Record{rec(1, ran), rec(2, jadwal.RunQueued)}, 60, ""},
		{"after an edit the gap may be as long as both periods", edited, []Record{rec(1, ran), rec(2, ran), rec(5, ran)}, 6, ""},
		{"after an edit a longer gap is a loss", edited, []Record{rec(1, ran), rec(2, ran), rec(7, ran)}, 8, "a gap of 5s"},
		{"an edited job's first instant counts too", edited, []Record{rec(2, ran), rec(4, ran)}, 5, "the first instant was"},
		{"a paused job may be silent", paused, []Record{rec(1, ran), rec(2, ran)}, 60, ""},
		{"what runs once ran once", once, []Record{rec(3, ran)}, 9, ""},
		{"what runs once was lost", once, nil, 9, "runs once"},
		{"what runs once ran at another time", once, []Record{rec(4, ran)}, 9, "runs once"},
		{"a limit of runs is reached, and the job is silent", twice, []Record{rec(1, ran), stretch(2, 4, missed), rec(5, ran)}, 60, ""},
		{"more runs than the limit", twice, []Record{rec(1, ran), rec(2, ran), rec(3, ran)}, 60, "of at most 2"},
		{"fewer runs than the limit", twice, []Record{rec(1, ran)}, 60, "behind"},
		{"a limit of runs is reached, and the job goes on", endless, []Record{rec(1, ran), rec(2, ran)}, 60, "should be completed"},
		{"paused for its failures", fuse, []Record{rec(1, failed), stretch(2, 4, missed), rec(5, failed)}, 60, ""},
		{"one more failed just then", fuse, []Record{rec(1, failed), rec(2, failed), rec(3, failed)}, 60, ""},
		{"it went on after its failures", fuse, []Record{rec(1, failed), rec(2, failed), rec(3, failed), rec(4, failed), rec(5, failed)}, 60, "was to be paused after"},
		{"what runs once ran twice", once, []Record{rec(3, ran), rec(4, ran)}, 9, "runs once"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			bad := tt.s.judgeRecords(tt.records, nil, at(tt.now))
			if tt.want == "" && len(bad) > 0 {
				t.Errorf("complaints: %q", bad)
			}
			if tt.want != "" && !strings.Contains(strings.Join(bad, "\n"), tt.want) {
				t.Errorf("complaints: %q", bad)
			}
		})
	}
}
