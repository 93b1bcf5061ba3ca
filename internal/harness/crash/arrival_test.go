package main

import (
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/harness"
)

func arrival(seconds float64, marker string, redelivery bool) harness.Delivery {
	due := at(float64(int(seconds)))
	return harness.Delivery{
		At: at(seconds), Answered: at(seconds + 0.003), Attempt: 1, Epoch: 1, Path: "/j/x/" + marker + "?delay=3ms", DueAt: due, Redelivery: redelivery,
		RunID: jadwal.RunKey{DueAt: due.UnixMicro(), JobID: 7}.ID(),
	}
}

// by is d as another process made it.
func by(epoch int64, d harness.Delivery) harness.Delivery {
	d.Epoch = epoch
	return d
}

// again is another attempt of d's run, so many seconds after t0.
func again(seconds float64, attempt int, d harness.Delivery) harness.Delivery {
	d.At, d.Answered, d.Attempt = at(seconds), at(seconds+0.003), attempt
	return d
}

// long is d with an answer so many seconds after t0; 0: none.
func long(until float64, d harness.Delivery) harness.Delivery {
	d.Answered = at(until)
	if until == 0 {
		d.Answered = time.Time{}
	}
	return d
}

// manual is d as a run that was asked for so many seconds after t0.
func manual(seconds float64, d harness.Delivery) harness.Delivery {
	d.DueAt = at(seconds)
	d.RunID = jadwal.RunKey{DueAt: d.DueAt.UnixMicro(), JobID: 7, N: 1}.ID()
	return d
}

func TestJudgeDelivery(t *testing.T) {
	s := &story{name: "x", id: 7, changes: []change{
		madeAt(0, 1),
		{kind: "edit", sent: at(10), acked: at(11), terms: terms{marker: 1, slots: 1}},
		{kind: "pause", sent: at(20), acked: at(21), terms: terms{marker: 1, slots: 1}, paused: true},
		{kind: "resume", sent: at(30), acked: at(31), terms: terms{marker: 1, slots: 1}},
		{kind: "edit", sent: at(40), terms: terms{marker: 2, slots: 1}}, // its answer never came
		{kind: "delete", sent: at(50), acked: at(51), terms: terms{marker: 2, slots: 1}, deleted: true},
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
		{"a redelivery from the old definition", 13, "0", true, false},
		{"while it was paused", 25, "1", false, false},
		{"a redelivery while it was paused", 25, "1", true, false},
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

func TestJudgeAskedWhilePaused(t *testing.T) {
	s := &story{name: "x", id: 7, changes: []change{
		madeAt(0, 1),
		{kind: "pause", sent: at(20), acked: at(21), paused: true},
		{kind: "edit", sent: at(22), acked: at(23), terms: terms{marker: 1}, paused: true},
	}}
	for _, tt := range []struct {
		rule   string
		asked  float64
		marker string
		fine   bool
	}{
		{"asked for during the pause", 24, "1", true},
		{"asked for during the pause, before the edit", 21.5, "1", true},
		{"asked for during the pause, from the definition before", 21.5, "0", false},
		{"asked for before the pause", 19, "1", false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if complaint := s.judgeDelivery(manual(tt.asked, arrival(25, tt.marker, false))); (complaint == "") != tt.fine {
				t.Errorf("complaint: %q", complaint)
			}
		})
	}
}

func TestEnforce(t *testing.T) {
	lives := []life{{started: at(0)}, {started: at(5)}, {started: at(9)}}
	s := &story{changes: []change{{seen: at(1), acked: at(2)}, {seen: at(3)}, {seen: at(6)}, {sent: at(7)}, {seen: at(10)}}}
	s.enforce(lives)
	for i, want := range []time.Time{at(2), at(5), at(9), {}, {}} {
		if got := s.changes[i].acked; !got.Equal(want) {
			t.Errorf("change %d is in force from %v, want %v", i, got, want)
		}
	}
}

func TestJudgeAttempts(t *testing.T) {
	one, two := arrival(1, "0", false), arrival(2, "0", false)
	for _, tt := range []struct {
		rule       string
		deliveries []harness.Delivery
		want       string
	}{
		{"a second attempt", []harness.Delivery{one, again(2, 2, one)}, ""},
		{"two runs", []harness.Delivery{one, two}, ""},
		{"another process makes it again", []harness.Delivery{one, by(2, again(2, 1, one))}, ""},
		{"one process makes it again", []harness.Delivery{one, again(2, 1, one)}, "twice"},
		{"an attempt too many", []harness.Delivery{one, again(2, 3, one)}, "of at most 2"},
		{"an attempt after the next one", []harness.Delivery{one, again(2, 2, one), by(2, again(3, 1, one))}, "came after"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			bad := strings.Join((&story{name: "x"}).judgeAttempts(tt.deliveries), "\n")
			if tt.want == "" && bad != "" || !strings.Contains(bad, tt.want) {
				t.Errorf("complaints: %q", bad)
			}
		})
	}
}

func TestJudgeCrowd(t *testing.T) {
	one := terms{slots: 1}
	two := terms{marker: 1, slots: 2, overlap: "allow"}
	replacing := terms{marker: 2, slots: 1, overlap: "cancel_running"}
	first := arrival(1, "0", false)
	s := &story{name: "x", id: 7, changes: []change{{terms: one}, {terms: two}, {terms: replacing, sent: at(5)}}}
	for _, tt := range []struct {
		rule       string
		cancelled  float64 // when the first run was asked to be; 0: never
		deliveries []harness.Delivery
		fine       bool
	}{
		{"one after the other", 0, []harness.Delivery{long(2, first), arrival(2, "0", false)}, true},
		{"two at once", 0, []harness.Delivery{long(2.1, first), arrival(2, "0", false)}, false},
		{"the first was never answered", 0, []harness.Delivery{long(0, first), arrival(2, "0", false)}, false},
		{"two where two may be", 0, []harness.Delivery{long(9, first), arrival(2, "1", false)}, true},
		{"three where two may be", 0, []harness.Delivery{long(9, first), long(9, arrival(2, "1", false)), arrival(3, "1", false)}, false},
		{"the first was cancelled before", 2, []harness.Delivery{long(9, first), arrival(2.1, "0", false)}, true},
		{"the first was cancelled later", 3, []harness.Delivery{long(9, first), arrival(2.1, "0", false)}, false},
		{"what was cancelled arrives late", 2, []harness.Delivery{long(9, arrival(2.1, "0", false)), long(9, again(2.2, 1, first))}, true},
		{"it takes the place of the first", 0, []harness.Delivery{long(9, arrival(1, "2", false)), arrival(2, "2", false)}, true},
		{"a rule that came meanwhile may have replaced the first", 0, []harness.Delivery{long(9, first), arrival(6, "0", false)}, true},
		{"the first belonged to a process that is gone", 0, []harness.Delivery{long(9, first), by(2, arrival(2, "0", false))}, true},
		{"a second attempt goes on", 0, []harness.Delivery{long(9, first), again(3, 2, arrival(2, "0", false))}, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s.cancels = map[string]time.Time{}
			if tt.cancelled > 0 {
				s.cancels[first.RunID] = at(tt.cancelled)
			}
			if bad := s.judgeCrowd(tt.deliveries); (len(bad) == 0) != tt.fine {
				t.Errorf("complaints: %q", bad)
			}
		})
	}
}

func TestJudgeEpochs(t *testing.T) {
	for _, tt := range []struct {
		rule       string
		deliveries []harness.Delivery
		fine       bool
	}{
		{"they rise", []harness.Delivery{arrival(1, "0", false), by(2, arrival(2, "0", false)), by(2, arrival(3, "0", false))}, true},
		{"the last of an old process arrives late", []harness.Delivery{by(2, arrival(2, "0", false)), arrival(2.3, "0", false)}, true},
		{"an old process goes on", []harness.Delivery{by(2, arrival(2, "0", false)), arrival(3, "0", false)}, false},
		{"none is told", []harness.Delivery{by(0, arrival(2, "0", false))}, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if bad := judgeEpochs(tt.deliveries); (len(bad) == 0) != tt.fine {
				t.Errorf("complaints: %q", bad)
			}
		})
	}
}

func TestErrorsIn(t *testing.T) {
	log := "Jadwal 1 · data\ntime=x level=WARN msg=late\ntime=x level=ERROR msg=\"an outcome\"\npanic: oh\n"
	if got := errorsIn(log); len(got) != 2 || !strings.Contains(got[0], "an outcome") || !strings.Contains(got[1], "oh") {
		t.Errorf("got %q", got)
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
			[]harness.Delivery{arrival(1.1, "0", false), by(2, arrival(1.9, "0", true))}, tally{deliveries: 2, redelivered: 1, most: 2}, ""},
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
