package protocol

import (
	"flag"
	"strings"
	"testing"
)

var more = flag.Bool("more", false, "search with one more failure: minutes, and gigabytes of memory")

// Nothing is lost and nothing recorded twice, no cursor goes back, no two
// nodes own the job unless one was paused past its lease, nothing starts from a
// version that was answered to be over or is not stored yet, nothing starts
// again that is recorded, what is cancelled ends, and from wherever things stand
// they come to an end once nothing fails any more.
func TestProtocol(t *testing.T) {
	all := 0
	for _, c := range []struct {
		rule     string
		start    uint8
		failures uint8
		model    model
	}{
		{"two instants", first, 3, model{}},
		{"instants that are skipped and queued", first, 1, model{policies: true}},
		{"attempts that fail", first, 0, model{retries: true, policies: true}},
		{"an attempt that fails", second, 2, model{retries: true}},
		{"an edit", first, 2, model{changes: []uint8{edit}}},
		{"a pause", first, 2, model{changes: []uint8{pause}}},
		{"a delete", first, 2, model{changes: []uint8{remove}}},
		{"a cancel", first, 2, model{cancels: true}},
		{"an edit, a pause or a delete, and a cancel", second, 2, model{changes: []uint8{edit, pause, remove}, cancels: true}},
		{"an edit, a pause or a delete, and an attempt that fails", second, 2, model{changes: []uint8{edit, pause, remove}, retries: true}},
		{"a run by hand", second, 2, model{asks: true}},
		{"a run by hand, and its cancel", second, 1, model{asks: true, cancels: true}},
		{"a run by hand, and an edit, a pause or a delete", second, 1, model{asks: true, changes: []uint8{edit, pause, remove}}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			failures := c.failures
			if *more {
				failures = min(failures+1, 3)
			}
			x := search{model: c.model, start: c.start + 1, failures: failures, settle: 32}
			if wrong := x.run(); wrong != "" {
				t.Error(wrong)
			}
			t.Logf("%d states with up to %d failures", len(x.states), failures)
			all += len(x.states)
		})
	}
	t.Logf("%d states in all", all)
}

// Each rule of the protocol is needed: without it the search finds what goes
// wrong.
func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		mistake string
		model   model
		wrong   string
	}{
		{"no fence", model{rules: rules{noFence: true}, changes: []uint8{edit}}, "I9"},
		{"no compare-and-swap on the cursor", model{rules: rules{noCursor: true}}, "I2"},
		{"no compare-and-swap on the attempt", model{rules: rules{noAttempt: true}}, "I2"},
		{"a change is answered before it is applied", model{rules: rules{earlyAnswer: true}, changes: []uint8{edit}}, "I9"},
		{"the API moves the cursor", model{rules: rules{apiMovesCursor: true}, changes: []uint8{edit}}, "I1"},
		{"the cursor passes an instant when its run starts", model{rules: rules{advanceFirst: true}}, "I1"},
		{"a takeover that does not wait for the lease", model{rules: rules{hastyTakeover: true}}, "I8"},
		{"an instant is decided while the one before is only in memory", model{rules: rules{noPredecessor: true}}, "I1"},
		{"the open run comes in the commit after", model{rules: rules{splitSpill: true}}, "I1"},
		{"a shard is handed over with a commit on its way", model{rules: rules{hastyHandover: true}}, "I3"},
		{"a node keeps its row after a lost answer", model{rules: rules{keptRow: true}}, "I3"},
		{"a run by hand is taken in although its end is on its way", model{rules: rules{learnsAgain: true}, asks: true}, "I3"},
		{"a version fires before it is stored", model{rules: rules{startsYoung: true}, changes: []uint8{edit}}, "I9"},
	} {
		t.Run(c.mistake, func(t *testing.T) {
			x := search{model: c.model, start: 1, failures: 2, most: 1_000_000}
			wrong := x.run()
			if wrong == "" || !strings.HasPrefix(wrong, c.wrong) {
				t.Errorf("found %q in %d states", wrong, len(x.states))
			}
			t.Log(wrong)
		})
	}
}

// What comes of a start from a version that is not stored: the next owner begins
// the version later, and what was delivered is an instant of none.
func TestStartFromAVersionThatIsNotStored(t *testing.T) {
	m := model{rules: rules{startsYoung: true}, changes: []uint8{edit}}
	x := search{model: m, start: 1, failures: 1, most: 1_000_000, beyond: "starts from a version that is not stored"}
	wrong := x.run()
	if !strings.Contains(wrong, "an instant of the new version, which begins after it") {
		t.Errorf("found %q in %d states", wrong, len(x.states))
	}
	t.Log(wrong)
}
