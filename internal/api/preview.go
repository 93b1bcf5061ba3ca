package api

import (
	"context"
	"errors"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/schedule"
)

type previewInput struct {
	Body previewBody
}

// previewBody is a question about schedules that need not be anybody's.
type previewBody struct {
	Schedules []scheduleBody `json:"schedules" maxItems:"16"`
	Timezone  string         `json:"timezone,omitempty" example:"Asia/Jakarta"`
	StartAt   *instant       `json:"start_at,omitempty" doc:"No occurrence before it; an every counts from it, as in a job."`
	EndAt     *instant       `json:"end_at,omitempty" doc:"No occurrence after it."`
	From      instant        `json:"from,omitzero" doc:"The occurrences after this instant; left out: now. Without start_at an every counts from it."`
	DST       dstBody        `json:"dst,omitempty"`
	Count     int            `json:"count,omitempty" minimum:"1" maximum:"1000"`
}

func (b *previewBody) preset() { *b = previewBody{Timezone: "UTC", Count: 10}; b.DST.preset() }

// instant is a time in a body: RFC 3339 with an offset.
type instant time.Time

var errNoInstant = errors.New(`write an instant such as "2026-12-31T23:00:00Z"`)

// UnmarshalText reads RFC 3339 in the years 1 to 9999.
func (t *instant) UnmarshalText(text []byte) error {
	at, err := time.Parse(time.RFC3339Nano, string(text))
	if y := at.UTC().Year(); err != nil || y < 1 || y > 9999 {
		return errNoInstant
	}
	*t = instant(at.UTC())
	return nil
}

// MarshalText writes RFC 3339.
func (t instant) MarshalText() ([]byte, error) {
	return time.Time(t).AppendFormat(nil, time.RFC3339Nano), nil
}

// preview is what schedules mean.
type preview struct {
	Description description      `json:"description"`
	Occurrences []occurrenceView `json:"occurrences"`
	Warnings    []warningView    `json:"warnings" doc:"What is valid and often not meant."`
}

type description struct {
	English    string `json:"en" doc:"In English."`
	Indonesian string `json:"id" doc:"In Indonesian."`
}

type occurrenceView struct {
	At    stamp          `json:"at"`
	Local local          `json:"local" doc:"The same instant in the timezone."`
	Note  *schedule.Note `json:"note" enum:"moved,dropped,first_pass,second_pass" doc:"What a change of the clock does to it; null for nothing."`
}

type warningView struct {
	Field   string `json:"field"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// local is a time in an answer with the offset of its zone.
type local time.Time

// MarshalText writes ISO 8601 with six decimals and an offset.
func (t local) MarshalText() ([]byte, error) {
	return time.Time(t).AppendFormat(nil, "2006-01-02T15:04:05.000000Z07:00"), nil
}

// previewSchedule answers POST /schedule/preview. H stands for other values in
// each job; here it is that of no job.
func (s *Server) previewSchedule(ctx context.Context, in *previewInput) (*reply[preview], error) {
	body := &in.Body
	if body.Count < 1 || body.Count > jadwal.MaxPreview {
		return nil, jadwal.Invalid("count", "out_of_range", "count must be from 1 to %d, got %d", jadwal.MaxPreview, body.Count)
	}
	if len(body.Schedules) == 0 {
		return nil, jadwal.Invalid("schedules", "required", "schedules is required")
	}
	from := time.Time(body.From)
	if from.IsZero() {
		from = callOf(ctx).now
	}
	d := jadwal.Definition{
		Schedules: specs(body.Schedules), Timezone: body.Timezone, DST: schedule.DST(body.DST),
		StartAt: (*time.Time)(body.StartAt), EndAt: (*time.Time)(body.EndAt),
	}
	plan, err := d.Plan(from, 0)
	if err != nil {
		return nil, err
	}
	p := previewOf(plan, from, body.Count)
	for _, w := range plan.Past(callOf(ctx).now) {
		p.Warnings = append(p.Warnings, warningView(w))
	}
	return ok(p, "Preview of the schedules"), nil
}

// previewOf is what a plan means, and its next instants after from.
func previewOf(plan *schedule.Plan, from time.Time, count int) preview {
	p := preview{
		Description: description{plan.Describe(schedule.English), plan.Describe(schedule.Indonesian)},
		Occurrences: []occurrenceView{},
		Warnings:    []warningView{},
	}
	for _, o := range plan.Occurrences(from, count) {
		view := occurrenceView{At: stamp(o.At), Local: local(o.Local)}
		if o.Note != "" {
			view.Note = &o.Note
		}
		p.Occurrences = append(p.Occurrences, view)
	}
	for _, w := range plan.Warnings() {
		p.Warnings = append(p.Warnings, warningView(w))
	}
	return p
}

type nextInput struct {
	Job   jobRef     `path:"job"`
	From  queryTime  `query:"from"`
	Count occurrence `query:"count"`
}

// nextOfJob answers GET /job/{job}/next with what the job's schedules plan,
// whether it is enabled or not.
func (s *Server) nextOfJob(ctx context.Context, in *nextInput) (*reply[preview], error) {
	c := callOf(ctx)
	job, err := s.findJob(c, in.Job, jadwal.ActionReadJob)
	if err != nil {
		return nil, err
	}
	plan, err := job.Definition.Plan(job.CreatedAt, job.ID)
	if err != nil {
		return nil, err
	}
	p := previewOf(plan, in.From.or(c.now), in.Count.size())
	if job.State != jadwal.JobEnabled {
		return ok(p, "Next occurrences of job %s, which is %s", job.Definition.Name, job.State), nil
	}
	return ok(p, "Next occurrences of job %s", job.Definition.Name), nil
}
