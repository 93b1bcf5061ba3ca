package jadwal

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/teknohole/jadwal/schedule"
)

// JobState says whether a job's schedules fire.
type JobState string

// The states of a job.
const (
	JobEnabled   JobState = "enabled"
	JobPaused    JobState = "paused"
	JobCompleted JobState = "completed" // no instant is left: the end, the last `at`, or max_runs was reached
)

// Definition is a job as its owner wrote it: what to call, and when. It is
// stored whole, as JSON, for every version that ever applied. Field names are
// those of the API.
type Definition struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Tags        []string        `json:"tags"`
	Schedules   []schedule.Spec `json:"schedules"`
	Timezone    string          `json:"timezone"`
	Target      Target          `json:"target"`
	Timeout     Duration        `json:"timeout"`
	Overlap     Overlap         `json:"overlap"`
}

// Target is what a run calls.
type Target struct {
	Type    string            `json:"type"` // "http"
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    RawJSON           `json:"body"` // a JSON string is sent as its text, anything else as JSON; null: no body
}

// RawJSON is one JSON value, kept as it was written.
type RawJSON []byte

// Overlap says what happens to an instant while an earlier run is unfinished.
type Overlap string

// The overlap policies.
const OverlapSkip Overlap = "skip"

// Job is a definition with its state. Answers and decisions are made from it.
type Job struct {
	ID            int64
	OwnerID       int64
	Definition    Definition
	State         JobState
	PauseReason   string
	Version       int64     // raised by every change of definition or state; the ETag
	EgressLimited bool      // inherited from a deleted user who was no superuser: that user's egress rules until the next edit
	NextAt        time.Time // the cursor: the next planned instant without a durable record; zero: none
	LastRun       *LastRun
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// LastRun is the newest finished run of a job, kept beside the cursor so that
// it outlives retention.
type LastRun struct {
	Key        RunKey
	State      RunState
	StartedAt  time.Time
	FinishedAt time.Time
}

// Duration is a span of time that reads and writes as Go's text ("1h30m").
type Duration time.Duration

// MarshalText writes d as Go prints it ("30s", "1h30m0s" as "1h30m").
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads Go's duration syntax.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 90s or 1h30m", clip(string(text), 64))
	}
	*d = Duration(v)
	return nil
}

// String is d without the zero units that time.Duration prints at the end.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n]
}

// MarshalJSON writes r as it is; empty is null.
func (r RawJSON) MarshalJSON() ([]byte, error) {
	if len(r) == 0 {
		return []byte("null"), nil
	}
	return r, nil
}

// UnmarshalJSON keeps the value; null is empty.
func (r *RawJSON) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		*r = nil
		return nil
	}
	*r = slices.Clone(b)
	return nil
}

var (
	jobNamePattern = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,62}$`)
	tagPattern     = regexp.MustCompile(`^[a-z0-9][a-z0-9._:-]{0,62}$`)
)
