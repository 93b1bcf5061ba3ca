package jadwal

import (
	"errors"
	"regexp"
	"slices"
	"time"

	"github.com/teknohole/jadwal/schedule"
	"github.com/teknohole/jadwal/schedule/rrule"
)

// JobState says whether a job's schedules fire.
type JobState string

// The states of a job.
const (
	JobEnabled   JobState = "enabled"
	JobPaused    JobState = "paused"
	JobCompleted JobState = "completed" // no instant is left: the end, the last `at`, or max_runs was reached
)

// JobStates are all of them.
var JobStates = []JobState{JobEnabled, JobPaused, JobCompleted}

// Definition is a job as its owner wrote it: what to call, and when. It is
// stored as JSON, for every version that ever applied. Field names are those of
// the API.
type Definition struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Tags        []string        `json:"tags"`
	Schedules   []schedule.Spec `json:"schedules"`
	Timezone    string          `json:"timezone"`
	StartAt     *time.Time      `json:"start_at"` // no instant before it; what `every` counts from
	EndAt       *time.Time      `json:"end_at"`   // no instant after it
	DST         schedule.DST    `json:"dst"`
	Target      Target          `json:"target"`
	Timeout     Duration        `json:"timeout"`
	Output      Output          `json:"output"`
	Overlap     Overlap         `json:"overlap"`

	MaxRuns            int             `json:"max_runs"` // planned instants that start before the job is completed; 0: no limit
	Jitter             Duration        `json:"jitter"`   // how much later than its instant a run starts at most
	Retry              Retry           `json:"retry"`
	MaxConcurrent      int             `json:"max_concurrent"` // runs at once
	Catchup            Catchup         `json:"catchup"`
	CatchupWindow      *Duration       `json:"catchup_window"` // how late an instant may start; nil: as Rules says
	AfterCompletion    AfterCompletion `json:"after_completion"`
	PauseAfterFailures int             `json:"pause_after_failures"` // failed runs in a row that pause the job; 0: never
}

// Job is a definition with its state. Answers and decisions are made from it.
type Job struct {
	ID            int64
	OwnerID       int64
	Definition    Definition
	State         JobState
	PauseReason   string
	PausedBy      int64     // the user who paused it; 0: the server
	PauseUntil    time.Time // when it is resumed by itself; zero: never
	Version       int64     // raised by every change of definition or state; the ETag
	EgressLimited bool      // inherited from a deleted user who was no superuser: that user's egress rules until the next edit
	NextAt        time.Time // the cursor: the next planned instant without a durable record; zero: none
	LastRun       *LastRun
	Started       int // planned instants that started or were queued, of all versions
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// DueSince is when j's cursor fell due, if it has by now; else the zero time.
// What is due and at the cursor has no record yet: it has just started, or
// waits for room, for its target's host or for a server.
func (j *Job) DueSince(now time.Time) time.Time {
	if j.State != JobEnabled || j.NextAt.IsZero() || j.NextAt.After(now) {
		return time.Time{}
	}
	due := j.NextAt
	if j.Definition.Jitter > 0 {
		plan, err := j.Definition.Plan(j.CreatedAt, j.ID)
		if err != nil {
			return time.Time{}
		}
		if due = j.Definition.Rules(plan, j.ID).DueAt(due); due.After(now) {
			return time.Time{}
		}
	}
	return due
}

// LastRun is the newest finished run of a job, kept beside the cursor so that
// it outlives retention.
type LastRun struct {
	Key        RunKey
	State      RunState
	ReadyAt    time.Time // see Run
	StartedAt  time.Time
	FinishedAt time.Time
}

// JobVersion is a definition and state that a job has, or had. Its instants are
// those after EffectiveAt, up to the next version's.
type JobVersion struct {
	Version     int64
	State       JobState
	Definition  Definition
	EffectiveAt time.Time // until the engine has applied it: when it was asked for
}

// Why the server pauses a job by itself.
const (
	PauseFailures     = "failures"      // as many runs failed in a row as pause_after_failures says
	PauseOwnerDeleted = "owner_deleted" // its owner was deleted, and whoever did that owns it now
)

// MaxLateAt is how late an `at` may be when its job is created, if it is the
// job's only schedule: it then runs at once. Any other is refused: beside it,
// instants of before the job's creation would count.
const MaxLateAt = time.Hour

var tagPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._:-]{0,62}$`)

// reservedNames are job names that the API's paths need for themselves.
var reservedNames = []string{"bulk"}

// DefaultDefinition is what the members that a user leaves out stand for.
func DefaultDefinition() Definition {
	return Definition{
		Tags:      []string{},
		Schedules: []schedule.Spec{},
		Timezone:  "UTC",
		Target:    Target{Type: "http", Method: "POST", Headers: map[string]string{}, Expect: Expect{Status: DefaultStatus}},
		Timeout:   Duration(DefaultTimeout),
		Output:    DefaultOutput,
		Overlap:   OverlapSkip,
		DST:       schedule.DST{Gap: schedule.GapRunAfter, Overlap: schedule.OverlapAuto},

		Retry:           DefaultRetry,
		MaxConcurrent:   1,
		Catchup:         CatchupLatest,
		AfterCompletion: CompletionKeep,
	}
}

// isName tells whether s is a name as jobs and secrets have them.
func isName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z':
		case i > 0 && (c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 63
}

// CheckJobName returns what is wrong with a job's name, nil when it is valid.
func CheckJobName(s string) *FieldError {
	switch {
	case s == "":
		return &FieldError{"name", "required", "name is required"}
	case !isName(s):
		return &FieldError{"name", "invalid", "name must be 1 to 63 lower-case letters, digits, dots, underscores or hyphens and begin with a letter"}
	case slices.Contains(reservedNames, s):
		return &FieldError{"name", "reserved", "name " + s + " is reserved; choose another"}
	}
	return nil
}

// Validate returns everything that is wrong with d as an *Error with
// CodeValidation, nil when it may be stored. It looks at no clock: whether an
// `at` lies in the past is for First and CheckEdit.
func (d *Definition) Validate() error {
	var wrong []FieldError
	add := func(e *FieldError) {
		if e != nil {
			wrong = append(wrong, *e)
		}
	}
	add(CheckJobName(d.Name))
	if len(d.Description) > MaxDescription {
		add(fieldError("description", "too_long", "description must have at most %d bytes, got %d", MaxDescription, len(d.Description)))
	}
	wrong = append(wrong, checkTags(d.Tags)...)
	_, unplanned := d.plan(time.Unix(0, 0), 0)
	wrong = append(wrong, unplanned...)
	if len(d.Target.Headers) <= MaxHeaders { // or the errors would be as many as they are
		wrong = append(wrong, d.Templates().Wrong()...)
	}
	wrong = append(wrong, d.Target.check()...)
	if t := time.Duration(d.Timeout); t < MinTimeout || t > MaxTimeout {
		add(fieldError("timeout", "out_of_range", "timeout must be from %s to %s, got %s", Duration(MinTimeout), Duration(MaxTimeout), d.Timeout))
	}
	wrong = append(wrong, d.Output.check()...)
	wrong = append(wrong, d.checkPolicies()...)
	if len(wrong) == 0 {
		return nil
	}
	return InvalidFields(wrong...)
}

// ValidTag tells whether a job may have a tag.
func ValidTag(tag string) bool { return tagPattern.MatchString(tag) }

func checkTags(tags []string) (wrong []FieldError) {
	if len(tags) > MaxTags {
		return []FieldError{*fieldError("tags", "too_many", "a job has at most %d tags, got %d", MaxTags, len(tags))}
	}
	for i, tag := range tags {
		field := indexed("tags", i)
		switch {
		case !ValidTag(tag):
			wrong = append(wrong, *fieldError(field, "invalid", "a tag must be 1 to 63 lower-case letters, digits, dots, underscores, colons or hyphens and begin with a letter or digit"))
		case slices.Contains(tags[:i], tag):
			wrong = append(wrong, *fieldError(field, "duplicate", "tag %s is there twice", tag))
		}
	}
	return wrong
}

// Plan compiles d's schedules for the job with that id; created is when it was
// created: what `every` counts from when there is no StartAt. The error is an *Error with CodeValidation.
func (d *Definition) Plan(created time.Time, id int64) (*schedule.Plan, error) {
	plan, wrong := d.plan(created, id)
	if wrong != nil {
		return nil, InvalidFields(wrong...)
	}
	return plan, nil
}

// plan is Plan with everything that is wrong; what is wrong with schedules whose
// zone is not known either is what would be in UTC, which skips no local time.
func (d *Definition) plan(created time.Time, id int64) (*schedule.Plan, []FieldError) {
	zone, unknown := schedule.LoadZone(d.Timezone)
	if unknown != nil {
		zone = time.UTC
	}
	cfg := schedule.Config{Specs: d.Schedules, Zone: zone, Seed: seed(id), Anchor: created, DST: d.DST, RRule: recur}
	if d.StartAt != nil {
		cfg.Anchor, cfg.StartAt = *d.StartAt, *d.StartAt
	}
	if d.EndAt != nil {
		cfg.EndAt = *d.EndAt
	}
	plan, err := schedule.Compile(cfg)
	if unknown != nil || err != nil {
		return nil, append(scheduleFields(unknown), scheduleFields(err)...)
	}
	return plan, nil
}

// recur makes the source of an rrule.
func recur(text string, zone *time.Location, anchor time.Time, dst schedule.DST) (schedule.Source, error) {
	rule, err := rrule.Parse(text, zone, anchor, string(dst.Gap), string(dst.Overlap))
	if e, ok := errors.AsType[*rrule.Error](err); ok {
		return nil, &schedule.Error{Code: e.Code, Message: e.Message}
	}
	return rule, err
}

// scheduleFields are the parts that package schedule found wrong.
func scheduleFields(err error) (fields []FieldError) {
	if err == nil {
		return nil
	}
	if all, ok := errors.AsType[schedule.Errors](err); ok {
		for _, e := range all {
			fields = append(fields, FieldError(*e))
		}
		return fields
	}
	if e, ok := errors.AsType[*schedule.Error](err); ok {
		return []FieldError{FieldError(*e)}
	}
	return []FieldError{{"schedules", "invalid", err.Error()}}
}

// First returns the first instant of a job that is created at now: its cursor.
// That is the next planned instant, or its only schedule's `at` that is at most
// MaxLateAt old and runs at once; the zero time for a job without schedules. The error is
// an *Error with CodeValidation: it names the `at` that is too old, or says
// that nothing is planned any more.
func (d *Definition) First(now time.Time, id int64) (time.Time, error) {
	var wrong []FieldError
	first := time.Time{}
	err := d.eachAt(func(i int, at time.Time, last time.Time) {
		switch {
		case last.After(now):
		case now.Sub(last) > MaxLateAt:
			wrong = append(wrong, *fieldError(indexed("schedules", i)+".at", "in_past",
				"at lies more than an hour in the past; it would never run"))
		case len(d.Schedules) > 1:
			wrong = append(wrong, *fieldError(indexed("schedules", i)+".at", "in_past",
				"at lies in the past; it runs at once only as the only schedule of its job"))
		case first.IsZero() || at.Before(first):
			first = at
		}
	})
	if err != nil {
		return time.Time{}, err
	}
	if len(wrong) > 0 {
		return time.Time{}, InvalidFields(wrong...)
	}
	if !first.IsZero() {
		return first, nil
	}
	plan, err := d.Plan(now, id)
	if err != nil {
		return time.Time{}, err
	}
	next, ok := plan.Next(now)
	if !ok && len(d.Schedules) > 0 {
		return time.Time{}, Invalid("schedules", "never", "the schedules plan no instant after now; look at end_at and at the rules' ends")
	}
	return next, nil
}

// CheckEdit refuses an `at` that an edit at now brings in and that has passed:
// an edit plans only what is still to come. Those that the job had before may
// stay. The error is an *Error with CodeValidation.
func (d *Definition) CheckEdit(before *Definition, now time.Time) error {
	var had []time.Time
	if err := before.eachAt(func(_ int, at, _ time.Time) { had = append(had, at) }); err != nil {
		return err
	}
	var wrong []FieldError
	err := d.eachAt(func(i int, at, last time.Time) {
		if !last.After(now) && !slices.ContainsFunc(had, at.Equal) {
			wrong = append(wrong, *fieldError(indexed("schedules", i)+".at", "in_past", "at lies in the past; an edit plans only what is still to come"))
		}
	})
	if err == nil && len(wrong) > 0 {
		err = InvalidFields(wrong...)
	}
	return err
}

// StateAfterEdit is the state of a job that was in state before, once d is its
// definition at now: a paused job stays paused; any other is enabled, or
// completed when its schedules plan nothing any more.
func (d *Definition) StateAfterEdit(before JobState, anchor, now time.Time, id int64) (JobState, error) {
	switch {
	case before == JobPaused:
		return JobPaused, nil
	case len(d.Schedules) == 0:
		return JobEnabled, nil
	}
	plan, err := d.Plan(anchor, id)
	if err != nil {
		return "", err
	}
	if _, ok := plan.Next(now); !ok {
		return JobCompleted, nil
	}
	return JobEnabled, nil
}

// eachAt calls visit with the index of each `at` schedule, its instant, and the
// last one: they differ only for a local time that comes twice.
func (d *Definition) eachAt(visit func(i int, first, last time.Time)) error {
	for i, spec := range d.Schedules {
		if spec.At == "" {
			continue
		}
		one := Definition{Timezone: d.Timezone, DST: d.DST, StartAt: d.StartAt, EndAt: d.EndAt, Schedules: []schedule.Spec{spec}}
		plan, err := one.Plan(time.Time{}, 0)
		if err != nil {
			return err
		}
		first, ok := plan.Next(time.Time{}.Add(-time.Hour))
		if !ok {
			continue // outside of start_at and end_at
		}
		last, _ := plan.Prev(time.Date(10000, 1, 2, 0, 0, 0, 0, time.UTC))
		visit(i, first, last)
	}
	return nil
}
