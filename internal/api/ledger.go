package api

import (
	"context"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
	"github.com/teknohole/jadwal/schedule"
)

// entryView is a planned instant in an answer.
type entryView struct {
	DueAt      stamp              `json:"due_at"`
	Local      local              `json:"local" doc:"The same instant in the job's timezone."`
	Version    int64              `json:"version" doc:"Of the job, that planned it."`
	State      jadwal.LedgerState `json:"state" enum:"planned,queued,running,cancelling,succeeded,failed,cancelled,skipped,missed,paused,unrecorded" doc:"Planned: to come. Paused: the job is, and the instant is skipped if it still is by then. Unrecorded: its record is too old to be kept."`
	Reason     *jadwal.Reason     `json:"reason" doc:"Why it ended so; null for a success and while it has not ended."`
	RunID      string             `json:"run_id" doc:"Its run; the record that stands for it; or the id that its run will have."`
	StartedAt  *stamp             `json:"started_at"`
	FinishedAt *stamp             `json:"finished_at"`
}

func viewEntry(e jadwal.LedgerEntry, jobID int64, zone *time.Location) entryView {
	v := entryView{
		DueAt: stamp(e.At), Local: local(e.At.In(zone)), Version: e.Version, State: e.State,
		RunID: jadwal.RunKey{DueAt: e.At.UnixMicro(), JobID: jobID}.ID(),
	}
	if e.Reason != "" {
		v.Reason = &e.Reason
	}
	if e.Run != nil {
		v.RunID, v.StartedAt, v.FinishedAt = e.Run.Key.ID(), stampOf(e.Run.StartedAt), stampOf(e.Run.FinishedAt)
	}
	return v
}

type ledgerInput struct {
	Job    jobRef    `path:"job"`
	From   queryTime `query:"from"`
	To     queryTime `query:"to"`
	Limit  limit     `query:"limit"`
	Cursor queryTime `query:"cursor"`
}

// ledgerDay is how far a ledger reaches when nobody says how far.
const ledgerDay = 24 * time.Hour

// getLedger answers GET /job/{job}/ledger with a page of the job's planned
// instants, in order.
func (s *Server) getLedger(ctx context.Context, in *ledgerInput) (*reply[[]entryView], error) {
	c := callOf(ctx)
	from := in.From.or(c.now.Add(-ledgerDay))
	later := c.now
	if from.After(later) {
		later = from
	}
	to := in.To.or(later.Add(ledgerDay))
	if !from.Before(to) {
		return nil, jadwal.Invalid("to", "out_of_range", "to must be later than from")
	}
	from = in.Cursor.or(from)
	job, err := s.findJob(c, in.Job, jadwal.ActionReadJob)
	if err != nil {
		return nil, err
	}
	zone, err := schedule.LoadZone(job.Definition.Timezone)
	if err != nil {
		return nil, err
	}
	ledger, err := s.store.Ledger(ctx, job.ID, from, in.Limit.size())
	if err != nil {
		return nil, err
	}
	entries, next, err := ledger.Entries(from, to, c.now, in.Limit.size())
	if err != nil {
		return nil, err
	}
	views := make([]entryView, len(entries))
	for i, e := range entries {
		views[i] = viewEntry(e, job.ID, zone)
	}
	r := ok(views, "Ledger of job %s", job.Definition.Name)
	if !next.IsZero() {
		linkNext(r, c, next.UTC().Format(time.RFC3339Nano))
	}
	return r, nil
}

type whyInput struct {
	Job jobRef       `path:"job"`
	At  requiredTime `query:"at"`
}

// whyView is what became of an instant, and by which evidence.
type whyView struct {
	Instant *entryView `json:"instant" doc:"Null when no version in force planned it."`
	Steps   []stepView `json:"steps" doc:"What was looked at, up to what decided."`
}

type stepView struct {
	Question string `json:"question" enum:"job_existed,planned,enabled,due,recorded,server_up,in_time,started,succeeded"`
	Yes      bool   `json:"yes"`
	Message  string `json:"message"`
}

// maxEarlier is how many runs are looked at that may have been in the way.
const maxEarlier = 50

// whyInstant answers GET /job/{job}/why with the evidence about one instant.
func (s *Server) whyInstant(ctx context.Context, in *whyInput) (*reply[whyView], error) {
	c, at := callOf(ctx), time.Time(in.At)
	if at.IsZero() {
		return nil, jadwal.Invalid("at", "required", "at is required: an instant such as 2026-12-31T23:00:00Z")
	}
	job, err := s.findJob(c, in.Job, jadwal.ActionReadJob)
	if err != nil {
		return nil, err
	}
	zone, err := schedule.LoadZone(job.Definition.Timezone)
	if err != nil {
		return nil, err
	}
	ledger, err := s.store.Ledger(ctx, job.ID, at, 1)
	if err != nil {
		return nil, err
	}
	earlier, _, err := s.store.ListRuns(ctx, store.RunQuery{JobIDs: []int64{job.ID}, To: at, Limit: maxEarlier})
	if err != nil {
		return nil, err
	}
	entry, steps, err := ledger.Why(at, c.now, earlier)
	if err != nil {
		return nil, err
	}
	v := whyView{Steps: make([]stepView, len(steps))}
	if !entry.At.IsZero() {
		e := viewEntry(entry, job.ID, zone)
		v.Instant = &e
	}
	for i, step := range steps {
		v.Steps[i] = stepView(step)
	}
	return ok(v, "%s", steps[len(steps)-1].Message), nil
}
