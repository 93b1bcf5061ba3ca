package jadwal

import (
	"encoding/base32"
	"encoding/binary"
	"time"
)

// RunState is where a run stands. An open run is queued, running or
// cancelling; a run in history is one of the final states.
type RunState string

// The states of a run.
const (
	RunQueued     RunState = "queued"
	RunRunning    RunState = "running"
	RunCancelling RunState = "cancelling"

	RunSucceeded RunState = "succeeded"
	RunFailed    RunState = "failed"
	RunCancelled RunState = "cancelled"
	RunSkipped   RunState = "skipped"
	RunMissed    RunState = "missed"
)

// Final tells whether s never changes again.
func (s RunState) Final() bool {
	switch s {
	case RunSucceeded, RunFailed, RunCancelled, RunSkipped, RunMissed:
		return true
	}
	return false
}

// Reason says why a run ended as it did; "" for a success.
type Reason string

// Every reason there is, with the state that it belongs to.
const (
	ReasonOverlap       Reason = "overlap"        // skipped: an earlier run was unfinished
	ReasonPaused        Reason = "paused"         // skipped: the job was paused
	ReasonOwnerDisabled Reason = "owner_disabled" // skipped: the owner has no rights any more; cancelled: it waited for another attempt then
	ReasonQueueFull     Reason = "queue_full"     // skipped
	ReasonQuota         Reason = "quota"          // skipped: the owner's runs of a minute were used up

	ReasonServerDown     Reason = "server_down"     // missed: nobody was there to fire it
	ReasonOverload       Reason = "overload"        // missed: the server was behind
	ReasonCircuitOpen    Reason = "circuit_open"    // missed: the target's host was given a rest
	ReasonCatchupExpired Reason = "catchup_expired" // missed: older than the catch-up window
	ReasonClockJump      Reason = "clock_jump"      // missed: the wall clock jumped over it

	ReasonTimeout       Reason = "timeout"        // failed: no answer in time
	ReasonExitStatus    Reason = "exit_status"    // failed: a command ended with a non-zero status
	ReasonHTTPStatus    Reason = "http_status"    // failed: the target answered, but not as expected
	ReasonNetwork       Reason = "network"        // failed: no connection, or it broke
	ReasonLost          Reason = "lost"           // failed: whoever ran it vanished
	ReasonTargetRefused Reason = "target_refused" // failed: the address may not be called, or what is to be sent cannot be made

	ReasonRequested  Reason = "requested"   // cancelled: somebody asked for it
	ReasonJobDeleted Reason = "job_deleted" // cancelled
	ReasonReplaced   Reason = "replaced"    // cancelled: overlap cancel_running
)

// RunStates, Reasons and Triggers are all there are.
var (
	RunStates = []RunState{RunQueued, RunRunning, RunCancelling, RunSucceeded, RunFailed, RunCancelled, RunSkipped, RunMissed}
	Reasons   = []Reason{
		ReasonOverlap, ReasonPaused, ReasonOwnerDisabled, ReasonQueueFull, ReasonQuota,
		ReasonServerDown, ReasonOverload, ReasonCircuitOpen, ReasonCatchupExpired, ReasonClockJump,
		ReasonTimeout, ReasonExitStatus, ReasonHTTPStatus, ReasonNetwork, ReasonLost, ReasonTargetRefused,
		ReasonRequested, ReasonJobDeleted, ReasonReplaced,
	}
	Triggers = []Trigger{TriggerSchedule, TriggerManual, TriggerRetry, TriggerBackfill}
)

// Trigger says what made a run.
type Trigger string

// The triggers.
const (
	TriggerSchedule Trigger = "schedule"
	TriggerManual   Trigger = "manual"
	TriggerRetry    Trigger = "retry"
	TriggerBackfill Trigger = "backfill"
)

// RunKey names a run: the instant it was due (Unix microseconds, UTC), its
// job, and n: 0 for the planned run, 1 and up for manual runs, retries of a
// finished run and backfill.
type RunKey struct {
	DueAt int64
	JobID int64
	N     uint16
}

var runEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// runIDLength is the length of a run id: 18 bytes in base32hex (RFC 4648,
// section 7, in lower case) without padding.
const runIDLength = 29

// ID is the run's name everywhere outside: a pure function of the key, the
// same at every delivery, and sorting by time.
func (k RunKey) ID() string {
	var raw [18]byte
	binary.BigEndian.PutUint64(raw[0:], uint64(k.DueAt))
	binary.BigEndian.PutUint64(raw[8:], uint64(k.JobID))
	binary.BigEndian.PutUint16(raw[16:], k.N)
	return runEncoding.EncodeToString(raw[:])
}

// ParseRunID is the inverse of RunKey.ID. It accepts nothing that ID does not
// write.
func ParseRunID(id string) (RunKey, bool) {
	if len(id) != runIDLength {
		return RunKey{}, false
	}
	raw, err := runEncoding.DecodeString(id)
	if err != nil || len(raw) != 18 {
		return RunKey{}, false
	}
	k := RunKey{
		DueAt: int64(binary.BigEndian.Uint64(raw[0:])),
		JobID: int64(binary.BigEndian.Uint64(raw[8:])),
		N:     binary.BigEndian.Uint16(raw[16:]),
	}
	return k, k.DueAt >= 0 && k.JobID > 0 && k.ID() == id
}

// Run is one run: in history (a final state) or open. Times are UTC; zero
// times are unknown or not yet. ThroughAt is set on a range: the record of all
// the instants that Version plans from DueAt to ThroughAt, with one outcome.
type Run struct {
	Key           RunKey
	ThroughAt     time.Time
	Version       int64
	State         RunState
	Reason        Reason
	Trigger       Trigger
	Attempts      int
	ReadyAt       time.Time // with jitter: when it was to start; zero: at its instant
	StartedAt     time.Time // of the first attempt
	FinishedAt    time.Time
	NextAttemptAt time.Time // of a queued run that has failed: when it is attempted again, at the earliest
	RetryOf       RunKey    // the finished run that this one repeats; zero: none
	StatusCode    int       // the target's HTTP status; 0: none
	Message       string    // what went wrong, for a person; "" for a success
	Output        []byte    // the beginning of what the target answered, as kept
}

// Lateness is how long after it was to start a run started: after its instant
// and jitter. It is 0 when the run did not start.
func (r Run) Lateness() time.Duration {
	switch {
	case r.StartedAt.IsZero():
		return 0
	case r.ReadyAt.IsZero():
		return r.StartedAt.Sub(time.UnixMicro(r.Key.DueAt))
	}
	return r.StartedAt.Sub(r.ReadyAt)
}

// Attempt is an attempt of a run that another one follows; the last one is the
// run's own record.
type Attempt struct {
	Key        RunKey
	Attempt    int
	Version    int64 // of the definition that it ran under
	Reason     Reason
	StatusCode int
	Message    string
	StartedAt  time.Time
	FinishedAt time.Time
}
