package jadwal

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
	ChangeEdit   ChangeKind = "edit"
	ChangePause  ChangeKind = "pause"
	ChangeResume ChangeKind = "resume"
	ChangeDelete ChangeKind = "delete"
)

// Change is a request to the owner of a job's shard, stored in the transaction
// that made the new version, and gone when it is applied.
type Change struct {
	ID      int64
	JobID   int64
	Kind    ChangeKind
	Version int64 // of the job, after the change
	At      int64 // when it was asked for, Unix microseconds
}

// Hint tells the engine where to look. It is for speed only: the tables are
// the truth.
type Hint struct {
	Created *Due // a new job's cursor
	Changed bool // there are unapplied changes
}
