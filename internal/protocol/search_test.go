package protocol

import (
	"fmt"
	"strings"
)

// search goes through all states that can be reached, those that take fewer
// steps first.
type search struct {
	model
	states   []packed
	from     []uint32 // which state each was reached from
	index    []uint32 // open addressing by hash; 0: free, else one more than the state's place
	most     int      // states
	failures uint8    // at most 3
	start    uint8    // instant
	settle   int      // of so many states one is looked at for a way out; 0: none
	beyond   string   // a step that is wrong in this way is taken, to see what comes of it; "": none
}

// visit returns whether p is new.
func (x *search) visit(p packed, from uint32) bool {
	if 2*len(x.states) >= len(x.index) {
		x.grow()
	}
	at := x.slot(p)
	if x.index[at] != 0 {
		return false
	}
	x.states, x.from = append(x.states, p), append(x.from, from)
	x.index[at] = uint32(len(x.states))
	return true
}

// slot is where p is, or would be.
func (x *search) slot(p packed) uint64 {
	mask := uint64(len(x.index) - 1)
	hash := uint64(0)
	for _, word := range p {
		hash = (hash ^ word) * 0x9e3779b97f4a7c15
		hash ^= hash >> 29
	}
	at := hash & mask
	for x.index[at] != 0 && x.states[x.index[at]-1] != p {
		at = (at + 1) & mask
	}
	return at
}

func (x *search) grow() {
	x.index = make([]uint32, max(1<<16, 2*len(x.index)))
	for i, p := range x.states {
		x.index[x.slot(p)] = uint32(i + 1)
	}
}

// start is a job at rest whose cursor stands at instant at, in the future; what
// was before is recorded. One node owns it, the other is up.
func start(failures, at uint8) state {
	s := state{failures: failures, now: at - 1, next: at}
	if at == 2 {
		s.records[first], s.recorded[first] = skipped, 1
	}
	s.nodes[0] = node{up: 1, row: valid, owns: 1, next: at, tail: at}
	s.nodes[1] = node{up: 1, row: valid}
	return s
}

// run searches. It returns what is wrong, with a shortest way there; "" when
// nothing is.
func (x *search) run() string {
	s := start(x.failures, x.start)
	x.visit(s.pack(), 0)
	for i := 0; i < len(x.states); i++ {
		s := unpack(x.states[i])
		for _, st := range x.next(&s) {
			if st.wrong != "" && (x.beyond == "" || !strings.Contains(st.wrong, x.beyond)) {
				return x.trace(i, st.to.pack(), st.wrong)
			}
			if !x.visit(st.to.pack(), uint32(i)) {
				continue
			}
			if wrong := check(&st.to); wrong != "" {
				return x.trace(i, st.to.pack(), wrong)
			}
		}
		if x.settle > 0 && i%x.settle == 0 {
			if wrong := x.wayOut(s); wrong != "" {
				return x.trace(i, packed{}, wrong)
			}
		}
		if x.most > 0 && len(x.states) > x.most {
			return fmt.Sprintf("there are more than %d states", x.most)
		}
	}
	return ""
}

// wayOut lets nothing fail any more: then every instant must get its record,
// every change its answer, and nothing stays open but what a pause holds.
func (x *search) wayOut(s state) string {
	for range 100 {
		best := -1
		steps := x.next(&s)
		for i, st := range steps {
			if st.rank > 0 && (best < 0 || st.rank < steps[best].rank) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		if wrong := steps[best].wrong; wrong != "" {
			return wrong
		}
		s = steps[best].to
		if wrong := check(&s); wrong != "" {
			return wrong
		}
	}
	for k := range s.open {
		held := s.version == 1 && s.change == pause && (k != asked || s.askedLater == 0)
		if s.open[k] != noRow && !held {
			return "run " + name(k) + " never ends"
		}
	}
	if s.changeWaits+s.cancelWaits+s.askWaits > 0 || s.now < 2 || s.fires(s.version) && s.next != 0 {
		return fmt.Sprintf("it comes to a stop: %+v", s)
	}
	return ""
}

// trace tells how to get from the start to place i and from there to last.
func (x *search) trace(i int, last packed, wrong string) string {
	way := []packed{}
	if last != (packed{}) {
		way = append(way, last)
	}
	for ; i > 0; i = int(x.from[i]) {
		way = append(way, x.states[i])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, after %d steps of %d states:\n", wrong, len(way), len(x.states))
	s := start(x.failures, x.start)
	for n := len(way) - 1; n >= 0; n-- {
		for _, st := range x.next(&s) {
			if st.to.pack() == way[n] {
				b.WriteString("  ")
				if st.node >= 0 {
					fmt.Fprintf(&b, "node %c ", 'A'+st.node)
				}
				b.WriteString(st.what)
				if st.run >= 0 {
					b.WriteString(" run " + name(st.run))
				}
				b.WriteString("\n")
				s = st.to
				break
			}
		}
	}
	return b.String()
}
