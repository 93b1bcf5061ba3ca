package jadwal

import (
	"errors"
	"time"
)

// Due is one cursor that falls due: all that the engine holds in memory of a
// job that has not started yet. At is in Unix microseconds, UTC.
type Due struct {
	JobID   int64
	OwnerID int64
	At      int64
	Version int64
}

// ChangeKind is what somebody asked of a job.
type ChangeKind string

// The kinds of changes. An edit covers everything that makes a new version
// whose instants count from now on: a new definition, a new owner.
const (
	ChangeCreate ChangeKind = "create" // on PostgreSQL: no window has the job before
	ChangeEdit   ChangeKind = "edit"
	ChangePause  ChangeKind = "pause"
	ChangeResume ChangeKind = "resume"
	ChangeDelete ChangeKind = "delete"
	ChangeRun    ChangeKind = "run"    // an open run was added
	ChangeCancel ChangeKind = "cancel" // a run is to end
)

// Change is a request to the owner of a job's shard, stored in the transaction
// that made the new version, and gone when it is applied.
type Change struct {
	ID      int64
	JobID   int64
	Kind    ChangeKind
	Version int64     // of the job, after the change
	At      int64     // when it was asked for, Unix microseconds
	Run     RunKey    // of ChangeRun and ChangeCancel
	Catchup Catchup   // of ChangeResume; "": none
	Until   time.Time // of ChangeResume: when the pause ended by itself
}

// Hint tells the engine where to look. It is for speed only: the tables are
// the truth.
type Hint struct {
	Created *Due // a new job's cursor
	Changed bool // there are unapplied changes
}

// OpenRun is a run that is not final and is stored so that it survives the
// process: queued, running or cancelling.
type OpenRun struct {
	Key       RunKey
	Version   int64 // of the definition that its attempt runs under
	State     RunState
	Trigger   Trigger
	Attempt   int       // the running one, or the last one that ended; 0: none yet
	ReadyAt   time.Time // a queued run starts no earlier
	StartedAt time.Time // of the first attempt; zero: not yet
	RetryOf   RunKey    // the finished run that it repeats; zero: none
}

// Begun tells whether r has had an attempt, so that it counts as running.
func (r OpenRun) Begun() bool { return r.Attempt > 0 }

// HeldBy tells whether a job of that state and version holds r: a pause holds
// whatever starts by itself, and what somebody asked for before it began.
func (r OpenRun) HeldBy(state JobState, version int64) bool {
	asked := r.Trigger == TriggerManual || r.Trigger == TriggerRetry
	return state == JobPaused && (!asked || r.Version < version)
}

// Cursor is where a job stands in the store: its next planned instant without
// a durable record, and what of it is open. NextAt is in Unix microseconds,
// UTC; 0: none.
type Cursor struct {
	JobID   int64
	OwnerID int64
	Version int64
	Stored  int64 // the job's latest version: changes up to it wait when it is above Version
	NextAt  int64
	Started int       // planned instants that started or were queued
	Open    []OpenRun // oldest first
}

// PendingChange is a change with all that is needed to apply it: where the job
// stands, the version in force until now, and the one after the change.
type PendingChange struct {
	Change
	Cursor      Cursor
	Old         Job       // Definition, State and Version as of Cursor.Version
	EffectiveAt time.Time // of Old: its instants lie strictly after this
	New         Job
}

// News is what the store learned since the engine last asked.
type News struct {
	Created []Due           // cursors of new jobs that fall due before what was asked for
	Seen    int64           // the highest job id there is
	Changes []PendingChange // the oldest one of each job, oldest first
}

// Outcome is all that became of one job since its last outcome: one step of
// its cursor, from exactly (Version, At) to Next, with what was decided on the
// way. It is recorded whole or not at all. Instants are Unix microseconds,
// UTC; 0: none.
type Outcome struct {
	JobID   int64
	Version int64
	At      int64
	Next    int64
	Started int       // planned instants that started, or were queued, for the first time
	Records []Run     // appended to history
	Opens   []OpenRun // inserted
	Begins  []Begin   // open runs that moved on: an attempt has begun, or they wait for the next
	Closes  []Close   // open runs that end; their records are among Records
	Tried   []Attempt // attempts that another one follows
	Applied *Applied  // the change that this outcome applies

	// PauseAfter pauses the job when so many of its runs have failed in a row;
	// 0: never.
	PauseAfter int

	// PausedAs is the version that pauses it: the store sets it with the verdict
	// Paused.
	PausedAs int64

	// Complete asks for the job's end: no instant is left and nothing is open.
	// It makes a new version in state completed, unless a change is waiting,
	// which then decides.
	Complete bool

	// Remove deletes the job when it is completed.
	Remove bool
}

// Begin turns an open run into Run, of the same key, provided that its stored
// attempt and state are still Attempt and State: a run that waits for its next
// attempt and one that makes the attempt before differ in the state alone.
type Begin struct {
	Attempt int
	State   RunState
	Run     OpenRun
}

// Close removes an open run, provided that its stored attempt and state are
// still Attempt and State.
type Close struct {
	Key     RunKey
	Attempt int
	State   RunState
}

// Applied marks a change as applied: the cursor takes on Version and OwnerID,
// and the version's own instants count strictly after EffectiveAt. Version 0:
// the change makes no version.
type Applied struct {
	ChangeID    int64
	Version     int64
	OwnerID     int64
	EffectiveAt time.Time
}

// Verdict is what the store did with an Outcome.
type Verdict uint8

// The verdicts.
const (
	Recorded  Verdict = iota
	Completed         // recorded, and the job is completed: its version is one higher
	Rejected          // nothing written: somebody else moved the cursor or an open run
	Paused            // recorded, and the job is paused for its failures: a change says so
)

// What may become of a batch of outcomes besides verdicts.
var (
	// ErrUnknown says that the answer to a commit was lost, so that it cannot
	// be told from here whether it is stored. It comes with CodeUnavailable.
	ErrUnknown = errors.New("the answer to a commit was lost")

	// ErrFenced says that this node owns nothing any more: nothing was written,
	// and nothing that it does from now on will be.
	ErrFenced = errors.New("another node has taken over")
)
