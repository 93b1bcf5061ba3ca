package protocol

// rules are the protocol; each switch is a mistake in it.
type rules struct {
	noFence        bool // a commit does not look for its node's row
	noCursor       bool // nor at where the cursor stands
	noAttempt      bool // nor at the rows of open runs
	earlyAnswer    bool // a change is answered when it is stored
	apiMovesCursor bool // a change sets the cursor at once
	advanceFirst   bool // the cursor passes an instant when its run starts
	hastyTakeover  bool // a node is taken for dead while its lease lasts
	noPredecessor  bool // an instant is decided while the one before is only in memory
	splitSpill     bool // the cursor moves in one commit, the open run comes in the next
	hastyHandover  bool // a shard is handed over with a commit on its way
	keptRow        bool // a node reloads after a lost answer and keeps its row
	learnsAgain    bool // a run by hand is taken in although its end is on its way
	startsYoung    bool // a version fires before it is stored
}

// model is what may happen: the rules and what is asked of the API.
type model struct {
	rules
	changes  []uint8 // at most one of them
	cancels  bool
	asks     bool
	retries  bool // a failure may pass
	policies bool // an instant may be skipped or queued

	steps []step
}

// step is one thing that may happen, and what is wrong with it.
type step struct {
	what  string
	node  int // -1: none
	run   int // -1: none
	rank  int // when all is well, the least comes first; 0: only if something fails
	to    state
	wrong string
}

// add adds a step that do carries out on a copy of s.
func (m *model) add(s *state, rank, node, run int, what string, do func(to *state) string) {
	m.steps = append(m.steps, step{what: what, node: node, run: run, rank: rank, to: *s})
	last := &m.steps[len(m.steps)-1]
	last.wrong = do(&last.to)
	if last.wrong == "" && last.to.version == s.version && place(last.to.next) < place(s.next) {
		last.wrong = "I6: the cursor went back"
	}
}

// fail adds a step that is a failure, of which only so many may be.
func (m *model) fail(s *state, node int, what string, do func(to *state) string) {
	if s.failures > 0 {
		m.add(s, 0, node, -1, what, func(to *state) string {
			to.failures--
			return do(to)
		})
	}
}

// place orders instants: none comes after all.
func place(instant uint8) uint8 { return (instant + 2) % 3 }

// after is the first instant after one; 0: none.
func after(instant uint8) uint8 { return (instant + 1) % 3 }

// attempt is the one that a row of open_run waits for or is in.
func attempt(row uint8) uint8 { return [...]uint8{0, 1, 1, 2, 2}[row] }

// running is the row of an attempt in progress.
func running(attempt uint8) uint8 { return 2 * attempt }

// fires tells whether a version plans instants to be run.
func (s *state) fires(version uint8) bool { return version == 0 || s.change == edit }

// next returns all that may happen in s.
func (m *model) next(s *state) []step {
	m.steps = m.steps[:0]
	if s.now < 2 {
		m.add(s, 90, -1, -1, "time passes: the next instant is due", func(to *state) string {
			to.now++
			return ""
		})
	}
	m.api(s)
	for i := range s.nodes {
		m.life(s, i)
		m.commit(s, i)
		n := &s.nodes[i]
		if n.row == gone && !m.noFence {
			continue // whatever it does, nobody will see it: its commits find no row
		}
		if n.owns == 1 && n.lost == 0 {
			m.own(s, i)
		}
	}
	return m.steps
}

func (m *model) api(s *state) {
	for _, kind := range m.changes {
		if s.change != noChange {
			break
		}
		m.add(s, 0, -1, -1, [...]string{"", "the API stores an edit", "the API stores a pause", "the API stores a delete"}[kind], func(to *state) string {
			to.change, to.changeWaits = kind, 1
			if m.earlyAnswer {
				to.changeAnswered = 1
			}
			if m.apiMovesCursor {
				to.changeWaits, to.changeAnswered, to.version, to.from, to.next = 0, 1, 1, s.now, 0
				if kind == edit {
					to.next = after(s.now)
				}
			}
			return ""
		})
	}
	if m.asks && s.open[asked] == noRow && s.recorded[asked] == 0 && s.change != remove {
		m.add(s, 0, -1, -1, "the API stores a run by hand", func(to *state) string {
			to.open[asked], to.askWaits = queued, 1
			if s.change != noChange {
				to.askedLater = 1
			}
			return ""
		})
	}
	for _, k := range []int{second, asked} {
		due := k == second && s.fires(s.version) && s.next != 0 && s.now == 2
		if m.cancels && s.cancelled == 0 && (due || s.open[k] != noRow) {
			m.add(s, 0, -1, k, "the API stores the cancel of", func(to *state) string {
				to.cancelled, to.cancelWaits = uint8(k)+1, 1
				if s.change != noChange {
					to.cancelLater = 1
				}
				return ""
			})
		}
	}
}

func name(k int) string { return [...]string{"1", "2", "by hand"}[k] }

// life is what happens to a node as a whole.
func (m *model) life(s *state, i int) {
	n, other := &s.nodes[i], &s.nodes[1-i]
	if n.row == valid {
		if n.up == 0 {
			m.add(s, 10, i, -1, "is dead, and its lease ends", func(to *state) string {
				to.nodes[i].row = expired
				return ""
			})
		} else {
			m.fail(s, i, "is paused past its lease", func(to *state) string {
				to.nodes[i].row, to.nodes[i].late = expired, 1
				return ""
			})
		}
	}
	if n.up == 0 && n.row != valid {
		m.add(s, 20, i, -1, "starts, under a new id", func(to *state) string {
			m.removeRow(to, i)
			to.nodes[i].up, to.nodes[i].row = 1, valid
			return ""
		})
	}
	if n.up == 0 {
		return
	}
	m.fail(s, i, "is killed", func(to *state) string {
		dead := node{row: n.row}
		if n.sending == travelling || n.sending == orphan || n.sending == twice || n.sending == old {
			dead.sending, dead.sent = orphan, n.sent
			if n.sending == old {
				dead.sending = old
			}
		}
		to.nodes[i] = dead
		return ""
	})
	if n.late == 1 && n.row == expired && n.lost == 0 {
		m.add(s, 11, i, -1, "renews its lease in time after all", func(to *state) string {
			to.nodes[i].row, to.nodes[i].late = valid, 0
			return ""
		})
	}
	if n.lost == 1 || n.row != valid {
		m.add(s, 12, i, -1, "removes its row and comes back under a new id", func(to *state) string {
			m.comeBack(to, i)
			return ""
		})
	}
	if n.row == valid && (other.row == expired || m.hastyTakeover && other.row == valid) {
		m.add(s, 13, i, -1, "removes the other's row", func(to *state) string {
			m.removeRow(to, 1-i)
			return ""
		})
	}
	if n.row == valid && n.owns == 0 && n.lost == 0 && (s.owner == nobody || int(s.owner) == i) {
		m.add(s, 14, i, -1, "takes the shard and loads it", func(to *state) string {
			to.owner, to.nodes[i].owns = uint8(i), 1
			to.load(i)
			return ""
		})
	}
	drained := n.out.any == 0 && n.sending == idle && n.flights == [keys]flight{}
	if n.owns == 1 && n.lost == 0 && n.row != gone && other.up == 1 && other.row == valid && other.owns == 0 && (drained || m.hastyHandover) {
		m.fail(s, i, "hands the shard over", func(to *state) string {
			to.owner = uint8(1 - i)
			to.nodes[i] = node{up: 1, late: n.late, row: n.row, sent: n.sent, sending: n.sending}
			return ""
		})
	}
}

// removeRow removes a node's row. The delete waits for a commit of that node
// that holds the row; one that comes later finds none.
func (m *model) removeRow(s *state, i int) {
	n := &s.nodes[i]
	n.row = gone
	if int(s.owner) == i {
		s.owner = nobody
	}
	if n.sending == orphan && n.lost == 0 {
		m.forsake(n)
	}
}

// forsake is the end of a commit that its node does not wait for and that
// finds no row.
func (m *model) forsake(n *node) {
	if m.noFence {
		n.sending = old
	} else {
		n.sending, n.sent = idle, outcome{}
	}
}

// comeBack is what a node does that does not know whether it is alive, or what
// became of its commit. It forgets all but its attempts in progress.
func (m *model) comeBack(s *state, i int) {
	n := &s.nodes[i]
	if m.keptRow && n.lost == 1 && n.row == valid {
		n.lost = 0
		if n.sending == unheard {
			n.sending, n.sent = idle, outcome{}
		}
		s.load(i)
		return
	}
	m.removeRow(s, i)
	n.row, n.owns, n.lost, n.late, n.settling = valid, 0, 0, 0, 0
	n.next, n.tail, n.open, n.out = 0, 0, [keys]uint8{}, outcome{}
	switch n.sending {
	case travelling, orphan, twice:
		m.forsake(n)
	case unheard:
		n.sending, n.sent = idle, outcome{}
	}
}

// load reads where the job stands. An attempt in progress goes on if the store
// expects it: in an open run, or at the cursor.
func (s *state) load(i int) {
	n := &s.nodes[i]
	same := n.version == s.version
	n.version, n.next, n.tail, n.open, n.out = s.version, s.next, s.next, s.open, outcome{}
	n.settling = s.changeWaits | s.cancelWaits | s.askWaits
	for k := range n.flights {
		f := &n.flights[k]
		switch {
		case f.attempt == 0:
		case s.open[k] != noRow && attempt(s.open[k]) == f.attempt:
			f.row, n.open[k] = s.open[k], noRow
		case s.open[k] == noRow && k != asked && same && s.next == uint8(k)+1:
			f.row, n.next = noRow, after(s.next)
		default:
			*f = flight{}
		}
	}
}

// commit is what happens to what a node has sent, or will send.
func (m *model) commit(s *state, i int) {
	n := &s.nodes[i]
	if n.up == 1 && n.lost == 0 && n.sending == idle && n.out.any == 1 && (n.row != gone || m.noFence) {
		m.add(s, 30, i, -1, "sends a commit", func(to *state) string {
			n := &to.nodes[i]
			n.sending, n.sent, n.out = travelling, n.out, outcome{}
			if m.splitSpill {
				split(&n.sent, &n.out)
			}
			return ""
		})
	}
	switch n.sending {
	case travelling:
		m.add(s, 1, i, -1, "is answered to its commit", func(to *state) string {
			to.nodes[i].sending, to.nodes[i].sent = idle, outcome{}
			return m.answer(to, i, n.sent)
		})
		m.fail(s, i, "loses the answer to its commit", func(to *state) string {
			to.nodes[i].sending, to.nodes[i].lost = unheard, 1
			_, wrong := m.write(to, i, n.sent)
			return wrong
		})
		m.fail(s, i, "loses its connection while the commit waits", func(to *state) string {
			to.nodes[i].sending, to.nodes[i].lost = orphan, 1
			return ""
		})
	case orphan, old:
		m.add(s, 1, i, -1, "is not there to see its commit carried out", func(to *state) string {
			_, wrong := m.write(to, i, n.sent)
			to.nodes[i].sending = unheard
			if n.lost == 0 {
				to.nodes[i].sending, to.nodes[i].sent = idle, outcome{}
			}
			return wrong
		})
	case twice:
		m.add(s, 1, i, -1, "is not told of its first commit", func(to *state) string {
			_, wrong := m.write(to, i, n.sent)
			to.nodes[i].sending = travelling
			return wrong
		})
		m.add(s, 2, i, -1, "is answered to its second commit, before the first", func(to *state) string {
			to.nodes[i].sending = orphan
			return m.answer(to, i, n.sent)
		})
	}
	if n.lost == 1 && (n.sending == orphan || n.sending == unheard) {
		m.add(s, 3, i, -1, "sends its commit again", func(to *state) string {
			n := &to.nodes[i]
			n.lost = 0
			if n.sending == orphan {
				n.sending = twice
			} else {
				n.sending = travelling
			}
			return ""
		})
	}
}

// split keeps the open runs of a commit that moves the cursor for the next one.
func split(sent, out *outcome) {
	if sent.at == sent.next || sent.applied != nothing {
		return
	}
	for k := range sent.ops {
		if p := &sent.ops[k]; p.from == noRow && p.to != noRow {
			if out.any == 0 {
				*out = outcome{any: 1, version: sent.version, at: sent.next, next: sent.next}
			}
			out.ops[k], *p = *p, op{}
		}
	}
}

type verdict uint8

const (
	accepted verdict = iota
	rejected
	fenced
)

// answer carries out a commit, and tells its node.
func (m *model) answer(s *state, i int, o outcome) string {
	v, wrong := m.write(s, i, o)
	n := &s.nodes[i]
	switch {
	case v == rejected && n.owns == 1:
		s.load(i)
	case v == fenced:
		n.owns, n.settling, n.next, n.tail, n.open, n.out = 0, 0, 0, 0, [keys]uint8{}, outcome{}
	}
	return wrong
}

// write is the commit statement.
func (m *model) write(s *state, i int, o outcome) (verdict, string) {
	if !m.noFence && s.nodes[i].row == gone {
		return fenced, ""
	}
	if !m.noCursor && (s.version != o.version || s.next != o.at) {
		return rejected, ""
	}
	for k, p := range o.ops {
		if !m.noAttempt && p.from != noRow && s.open[k] != p.from {
			return rejected, ""
		}
	}
	switch o.applied {
	case version:
		if s.changeWaits == 0 {
			return rejected, ""
		}
		s.changeWaits, s.changeAnswered, s.version, s.from = 0, 1, 1, o.from
	case cancel:
		if s.cancelWaits == 0 {
			return rejected, ""
		}
		s.cancelWaits, s.cancelAnswered = 0, 1
	case run:
		if s.askWaits == 0 {
			return rejected, ""
		}
		s.askWaits = 0
	}
	s.next = o.next
	for k, p := range o.ops {
		switch {
		case p.from != noRow && s.open[k] == noRow:
			// changed or removed by nobody: only without the look at attempts
		case p.to != noRow && p.from == noRow && s.open[k] != noRow:
			return accepted, "an open run is inserted twice"
		case p.to != noRow || p.from != noRow:
			s.open[k] = p.to
		}
		if p.record != noRecord {
			s.records[k] = p.record
			s.recorded[k] = min(s.recorded[k]+1, 2)
		}
	}
	return accepted, ""
}

// check tells what is wrong with a state.
func check(s *state) string {
	for k := range s.open {
		rows := s.recorded[k]
		if s.open[k] != noRow {
			rows++
		}
		instant := uint8(k) + 1
		decided := s.next == 0 || instant < s.next
		switch {
		case k == asked:
			decided = rows > 0
		case s.version == 1 && instant <= s.from:
			decided = true
		case s.version == 1 && !s.fires(1):
			decided = false
		}
		switch {
		case rows > 1:
			return "I2: run " + name(k) + " has two records"
		case decided && rows == 0:
			return "I1: run " + name(k) + " is lost"
		case !decided && rows > 0:
			return "I6: run " + name(k) + " is recorded, and the cursor is before it"
		case s.records[k] == ran && s.delivered[k] == 0:
			return "I5: run " + name(k) + " is recorded as run, and was not delivered"
		case s.newer[k] == 1 && s.version == 1 && instant <= s.from:
			return "I9: run " + name(k) + " was started as an instant of the new version, which begins after it"
		}
	}
	if a, b := &s.nodes[0], &s.nodes[1]; a.owns == 1 && b.owns == 1 && a.late == 0 && b.late == 0 && a.lost == 0 && b.lost == 0 {
		return "I8: two nodes own the shard, and neither was paused past its lease"
	}
	// A run that is due and has not started is gone if the version ended before.
	planned := s.version == 0 || s.fires(1) || s.cancelled <= s.from || s.cancelled == asked+1
	if s.cancelAnswered == 1 && s.recorded[s.cancelled-1] == 0 && planned {
		return "run " + name(int(s.cancelled-1)) + " goes on after the answer to its cancel"
	}
	return ""
}
