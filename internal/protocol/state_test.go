// Package protocol searches all that can happen to a job on two nodes that
// share a database, in a model of the rules by which jobs fire.
// docs/explanation/protocol.md says what it covers and what it found.
package protocol

import "slices"

// The runs of the model's job: the planned instants 1 and 2, and one that
// somebody asks for.
const (
	first = iota
	second
	asked
	keys
)

// Rows of open_run: none, or queued or running in an attempt.
const (
	noRow    = iota
	queued   // never begun
	running1 // attempt 1
	waiting  // attempt 1 has failed; attempt 2 is to come
	running2
)

// How a record ends a run.
const (
	noRecord = iota
	ran
	skipped
	cancelled
)

// The change that makes a version.
const (
	noChange = iota
	edit
	pause
	remove
)

// What an outcome marks as applied.
const (
	nothing = iota
	version
	cancel
	run
)

// Rows of the nodes' table.
const (
	gone    = iota
	valid   // its lease lasts
	expired // it does not, and nobody has removed the row yet
)

// Where a commit is that was sent.
const (
	idle       = iota
	travelling // the node waits for the answer
	orphan     // nobody does; it may still be carried out
	old        // the same, and its node's row is gone
	unheard    // it was carried out, and the answer was lost
	twice      // it was sent again while the first one may still be carried out
)

// nobody owns the shard.
const nobody = 2

// op is what becomes of a run in an outcome: its row from, which must be
// there, becomes to, or ends with a record.
type op struct{ from, to, record uint8 }

// outcome is what one commit writes about the job.
type outcome struct {
	any, version, at, next uint8
	applied, from          uint8 // from: of the version that begins
	ops                    [keys]op
}

// flight is an attempt in progress. row is what is stored of it, or will be by
// an outcome that was made.
type flight struct{ attempt, row uint8 }

// node is a process: what it holds in memory, and its row.
type node struct {
	up, owns            uint8
	lost                uint8 // it does not know what became of its commit
	late                uint8 // it was paused past its lease and has not noticed
	settling            uint8 // what the API had stored when it loaded comes before any start
	row                 uint8
	version, next, tail uint8 // next: not decided; tail: where the cursor will be
	flights             [keys]flight
	open                [keys]uint8 // known and not in flight here
	out, sent           outcome
	sending             uint8
}

// state is everything: the clock, the tables, two nodes. Instants are 1 and 2,
// 0 is none. Versions are 0 and 1.
type state struct {
	failures      uint8 // how many there may still be
	now           uint8
	version, next uint8 // the cursor
	from          uint8 // the second version plans what is after this
	records       [keys]uint8
	recorded      [keys]uint8 // how often
	open          [keys]uint8
	delivered     [keys]uint8
	newer         [keys]uint8 // it was started as an instant of the second version
	owner         uint8

	change, changeWaits, changeAnswered      uint8
	cancelled                                uint8 // one more than the run that is to be cancelled
	cancelWaits, cancelLater, cancelAnswered uint8 // later: asked for after the change
	askedLater, askWaits                     uint8

	nodes [2]node
}

// packed is a state in 40 bytes: the nodes in two words each, the rest in one.
type packed [5]uint64

// codec packs or unpacks, field by field.
type codec struct {
	p    packed
	at   uint // bits
	read bool
}

func (c *codec) field(v *uint8, width uint) {
	if c.at%64+width > 64 {
		c.at += 64 - c.at%64
	}
	word, shift := c.at/64, c.at%64
	if c.read {
		*v = uint8(c.p[word] >> shift & (1<<width - 1))
	} else {
		c.p[word] |= uint64(*v) << shift
	}
	c.at += width
}

func (c *codec) outcome(o *outcome) {
	c.field(&o.any, 1)
	c.field(&o.version, 1)
	c.field(&o.at, 2)
	c.field(&o.next, 2)
	c.field(&o.applied, 2)
	c.field(&o.from, 2)
	for k := range o.ops {
		c.field(&o.ops[k].from, 3)
		c.field(&o.ops[k].to, 3)
		c.field(&o.ops[k].record, 2)
	}
}

func (c *codec) node(n *node) {
	c.field(&n.up, 1)
	c.field(&n.owns, 1)
	c.field(&n.lost, 1)
	c.field(&n.late, 1)
	c.field(&n.settling, 1)
	c.field(&n.row, 2)
	c.field(&n.version, 1)
	c.field(&n.next, 2)
	c.field(&n.tail, 2)
	for k := range n.flights {
		c.field(&n.flights[k].attempt, 2)
		c.field(&n.flights[k].row, 3)
		c.field(&n.open[k], 3)
	}
	c.outcome(&n.out)
	c.outcome(&n.sent)
	c.field(&n.sending, 3)
}

func (c *codec) state(s *state) {
	for i := range s.nodes {
		c.at = uint(i) * 128
		c.node(&s.nodes[i])
		if c.at > uint(i+1)*128 {
			panic("a node does not fit")
		}
	}
	c.at = 256
	c.field(&s.owner, 2)
	c.field(&s.failures, 2)
	c.field(&s.now, 2)
	c.field(&s.version, 1)
	c.field(&s.next, 2)
	c.field(&s.from, 2)
	for k := range s.open {
		c.field(&s.records[k], 2)
		c.field(&s.recorded[k], 2)
		c.field(&s.open[k], 3)
		c.field(&s.delivered[k], 1)
		c.field(&s.newer[k], 1)
	}
	c.field(&s.change, 2)
	c.field(&s.changeWaits, 1)
	c.field(&s.changeAnswered, 1)
	c.field(&s.cancelled, 2)
	c.field(&s.cancelWaits, 1)
	c.field(&s.cancelLater, 1)
	c.field(&s.cancelAnswered, 1)
	c.field(&s.askedLater, 1)
	c.field(&s.askWaits, 1)
}

// pack gives states that differ only in which node is which the same name.
func (s *state) pack() packed {
	var c codec
	c.state(s)
	order := slices.Compare(c.p[0:2], c.p[2:4])
	if order > 0 {
		c.p[0], c.p[1], c.p[2], c.p[3] = c.p[2], c.p[3], c.p[0], c.p[1]
	}
	if s.owner != nobody && (order > 0 || order == 0 && s.owner == 1) {
		c.p[4] ^= 1 // the owner's bits come first
	}
	return c.p
}

func unpack(p packed) (s state) {
	c := codec{p: p, read: true}
	c.state(&s)
	return s
}
