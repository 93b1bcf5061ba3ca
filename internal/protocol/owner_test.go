package protocol

// What a node does that owns the shard, or thinks so.

// outcome is the one that is not sent yet: whatever is decided is added to it.
func (n *node) outcome() *outcome {
	if n.out.any == 0 {
		n.out = outcome{any: 1, version: n.version, at: n.tail, next: n.tail}
	}
	return &n.out
}

// advance lets the cursor stand at the first instant that is not decided.
func (n *node) advance() {
	n.outcome().next = n.next
	n.tail = n.next
}

// store changes the row of an open run; from is what the store has.
func (n *node) store(k int, from, to uint8) {
	p := &n.outcome().ops[k]
	if *p == (op{}) {
		p.from = from
	}
	p.to = to
}

// record ends a run.
func (n *node) record(k int, from, how uint8) {
	p := &n.outcome().ops[k]
	if *p == (op{}) {
		p.from = from
	}
	p.to, p.record = noRow, how
}

// spill stores an attempt in progress as an open run, which frees the cursor.
func (n *node) spill(k int) {
	f := &n.flights[k]
	if f.attempt == 0 || f.row == running(f.attempt) {
		return
	}
	n.store(k, f.row, running(f.attempt))
	if f.row == noRow {
		n.advance()
	}
	f.row = running(f.attempt)
}

// spillUnstored is the predecessor rule.
func (n *node) spillUnstored() {
	for k := range n.flights {
		if n.flights[k].row == noRow {
			n.spill(k)
		}
	}
}

// begin starts an attempt.
func (s *state) begin(i, k int, f flight) string {
	n := &s.nodes[i]
	n.flights[k] = f
	s.delivered[k] = 1
	switch {
	case n.late == 1: // it cannot know
		return ""
	case s.changeAnswered == 1 && (n.version == 0 || s.change == remove):
		return "I9: run " + name(k) + " starts from the old version, after the answer to the change"
	case s.recorded[k] > 0:
		return "I3: run " + name(k) + " starts again after its record"
	}
	return ""
}

// young tells whether the version that the node has begun is not stored yet, for
// all that it knows: what the version plans waits until it is.
func (n *node) young() bool { return n.out.applied == version || n.sent.applied == version }

func (m *model) own(s *state, i int) {
	n := &s.nodes[i]
	if n.settling == 1 && s.changeWaits+s.cancelWaits+s.askWaits == 0 && n.sending == idle && n.out.applied == nothing {
		m.add(s, 15, i, -1, "finds nothing left to apply", func(to *state) string {
			to.nodes[i].settling = 0
			return ""
		})
	}
	if n.settling == 0 && n.next != 0 && n.next <= s.now && s.fires(n.version) && (!n.young() || m.startsYoung) {
		m.fire(s, i, int(n.next)-1)
	}
	for k := range n.flights {
		if f := n.flights[k]; f.attempt != 0 {
			m.inFlight(s, i, k, f)
		}
		held := n.version == 1 && s.change == pause && (k != asked || s.askedLater == 0)
		if n.settling == 0 && n.open[k] != noRow && !held && n.flights[k].attempt == 0 {
			m.add(s, 41, i, k, "starts again, or from the queue,", func(to *state) string {
				row := n.open[k]
				to.nodes[i].open[k] = noRow
				return to.begin(i, k, flight{attempt(row), row})
			})
		}
	}
	if n.out.applied == nothing && (n.sending == idle || n.sent.applied == nothing) {
		m.apply(s, i)
	}
}

// fire decides about the instant that is next: it starts, is skipped or queued.
func (m *model) fire(s *state, i, k int) {
	decide := func(rank int, what string, do func(to *state, n *node) string) {
		m.add(s, rank, i, k, what, func(to *state) string {
			n := &to.nodes[i]
			if !m.noPredecessor {
				n.spillUnstored()
			}
			n.next = after(n.next)
			return do(to, n)
		})
	}
	decide(42, "starts", func(to *state, n *node) string {
		switch {
		case m.advanceFirst:
			n.advance()
		case n.tail != uint8(k)+1:
			n.outcome().next = uint8(k) + 1
			n.tail = uint8(k) + 1
		}
		wrong := to.begin(i, k, flight{1, noRow})
		if n.version == 1 {
			to.newer[k] = 1
		}
		if n.version > to.version && wrong == "" {
			wrong = "I9: run " + name(k) + " starts from a version that is not stored"
		}
		return wrong
	})
	if !m.policies {
		return
	}
	decide(0, "skips", func(to *state, n *node) string {
		n.record(k, noRow, skipped)
		n.advance()
		return ""
	})
	decide(0, "queues", func(to *state, n *node) string {
		n.store(k, noRow, queued)
		n.open[k] = queued
		n.advance()
		return ""
	})
}

// inFlight is what becomes of an attempt in progress.
func (m *model) inFlight(s *state, i, k int, f flight) {
	m.add(s, 40, i, k, "gets the result of", func(to *state) string {
		n := &to.nodes[i]
		n.flights[k] = flight{}
		n.record(k, f.row, ran)
		if f.row == noRow {
			n.advance()
		}
		return ""
	})
	if f.attempt == 1 && m.retries {
		m.add(s, 0, i, k, "gets a failure that may pass of", func(to *state) string {
			n := &to.nodes[i]
			n.flights[k], n.open[k] = flight{}, waiting
			n.store(k, f.row, waiting)
			if f.row == noRow {
				n.advance()
			}
			return ""
		})
	}
	if f.row != running(f.attempt) {
		m.add(s, 0, i, k, "stores as running", func(to *state) string {
			to.nodes[i].spill(k)
			return ""
		})
	}
}

// apply carries out what the API has stored, in its order.
func (m *model) apply(s *state, i int) {
	n := &s.nodes[i]
	earlier := s.cancelWaits == 1 && s.cancelLater == 0 || s.askWaits == 1 && s.askedLater == 0
	if s.changeWaits == 1 && n.version == 0 && !earlier {
		m.add(s, 20, i, -1, "ends the version, and queues what is due", func(to *state) string {
			m.supersede(to, i, true)
			return ""
		})
		m.add(s, 0, i, -1, "ends the version, and skips what is due", func(to *state) string {
			m.supersede(to, i, false)
			return ""
		})
	}
	if s.askWaits == 1 && (s.askedLater == 0 || n.version == 1) {
		m.add(s, 19, i, -1, "learns of the run by hand", func(to *state) string {
			n := &to.nodes[i]
			onItsWay := n.out.ops[asked] != (op{}) || n.sent.ops[asked] != (op{})
			if n.open[asked] == noRow && n.flights[asked].attempt == 0 && (!onItsWay || m.learnsAgain) {
				n.open[asked] = s.open[asked]
			}
			n.outcome().applied = run
			return ""
		})
	}
	if s.cancelWaits == 1 && (s.cancelLater == 0 || n.version == 1) && !(s.askWaits == 1 && s.cancelled == asked+1) {
		k := int(s.cancelled) - 1
		m.add(s, 19, i, k, "cancels", func(to *state) string {
			n := &to.nodes[i]
			n.cancel(k, s.now, s.fires(n.version))
			n.outcome().applied = cancel
			return ""
		})
	}
}

// end cancels an attempt in progress or an open run, and tells whether there
// was one.
func (n *node) end(k int) bool {
	switch f := n.flights[k]; {
	case f.attempt != 0:
		n.flights[k] = flight{}
		n.record(k, f.row, cancelled)
		if f.row == noRow {
			n.advance()
		}
	case n.open[k] != noRow:
		n.record(k, n.open[k], cancelled)
		n.open[k] = noRow
	default:
		return false
	}
	return true
}

// cancel ends a run that is not final. One that is due and has not started is
// decided now, with all that is due.
func (n *node) cancel(k int, now uint8, fires bool) {
	if n.end(k) || k == asked || !fires || n.next == 0 || uint8(k)+1 < n.next {
		return
	}
	n.spillUnstored()
	for n.next != 0 && n.next <= now {
		if due := int(n.next) - 1; due == k {
			n.record(k, noRow, cancelled)
		} else {
			n.store(due, noRow, queued)
			n.open[due] = queued
		}
		n.next = after(n.next)
	}
	n.advance()
}

// supersede ends the first version and begins the second, in one outcome.
func (m *model) supersede(s *state, i int, hold bool) {
	n := &s.nodes[i]
	for k := range n.flights {
		if s.change == remove {
			n.end(k)
		} else {
			n.spill(k)
		}
	}
	for n.next != 0 && n.next <= s.now {
		k := int(n.next) - 1
		switch {
		case s.change == remove:
			n.record(k, noRow, cancelled)
		case hold:
			n.store(k, noRow, queued)
			n.open[k] = queued
		default:
			n.record(k, noRow, skipped)
		}
		n.next = after(n.next)
	}
	n.version, n.next = 1, 0
	o := &n.out
	if o.any == 0 {
		*o = outcome{any: 1, at: n.tail}
	}
	if s.change == edit {
		n.next = after(s.now)
	}
	o.applied, o.from = version, s.now
	n.advance()
}
