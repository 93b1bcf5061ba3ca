package api

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/schedule"
)

// jobBody is a job as a client writes it.
type jobBody struct {
	Name        string          `json:"name" doc:"Unique among the owner's jobs." example:"invoice-nightly" pattern:"^[a-z][a-z0-9._-]{0,62}$"`
	Description string          `json:"description,omitempty" maxLength:"4096"`
	Tags        []string        `json:"tags,omitempty" maxItems:"32"`
	Schedules   []scheduleBody  `json:"schedules,omitempty" doc:"When to run: the instants of all of them together." maxItems:"16"`
	Timezone    string          `json:"timezone,omitempty" doc:"An IANA name, for cron, rrule and an at without an offset." example:"Asia/Jakarta"`
	StartAt     *instant        `json:"start_at,omitempty" doc:"No occurrence before it; an every counts from it."`
	EndAt       *instant        `json:"end_at,omitempty" doc:"No occurrence after it."`
	DST         dstBody         `json:"dst,omitempty" doc:"What becomes of local times that the clock skips or repeats."`
	Target      targetBody      `json:"target"`
	Timeout     jadwal.Duration `json:"timeout,omitempty" doc:"Of one attempt, from 1s to 24h." example:"30s"`
	Output      outputBody      `json:"output,omitempty" doc:"How much of the target's answer is kept with a run."`
	Overlap     jadwal.Overlap  `json:"overlap,omitempty" doc:"What happens to an instant while an earlier run is unfinished." enum:"skip,queue_one,queue_all,cancel_running,allow"`

	MaxRuns            int                    `json:"max_runs,omitempty" doc:"How many planned instants start before the job is completed; 0: no limit." minimum:"0"`
	Jitter             jadwal.Duration        `json:"jitter,omitempty" doc:"How much later than its instant a run starts at most; the same instant always by the same span, and never as late as the next one." example:"0s"`
	Retry              retryBody              `json:"retry,omitempty" doc:"When a run is attempted again: after network errors, timeouts, and the statuses 408, 425, 429 and 5xx."`
	MaxConcurrent      int                    `json:"max_concurrent,omitempty" doc:"Runs at once: 2 to 100 with overlap allow, else 1." minimum:"1" maximum:"100"`
	Catchup            jadwal.Catchup         `json:"catchup,omitempty" doc:"What becomes of instants that could not start when they were due." enum:"none,latest,all"`
	CatchupWindow      *jadwal.Duration       `json:"catchup_window,omitempty" doc:"How late an instant may start. Null: 1m with none, any time with latest, 24h with all." example:"1h"`
	AfterCompletion    jadwal.AfterCompletion `json:"after_completion,omitempty" doc:"What becomes of the job when it is completed." enum:"keep,delete"`
	PauseAfterFailures int                    `json:"pause_after_failures,omitempty" doc:"How many failed runs in a row pause the job; 0: never." minimum:"0" maximum:"1000"`

	readOnly
}

// outputBody is how much is kept of answers.
type outputBody struct {
	Success int `json:"success,omitempty" doc:"Bytes, from the beginning, of a run that succeeds." minimum:"0" maximum:"65536"`
	Failure int `json:"failure,omitempty" doc:"Bytes, from the beginning, of a run that fails." minimum:"0" maximum:"65536"`
}

func (b *outputBody) preset() { *b = outputBody(jadwal.DefaultOutput) }

// retryBody is a retry policy as a client writes it.
type retryBody struct {
	MaxAttempts int             `json:"max_attempts,omitempty" doc:"In all, the first one included." minimum:"1" maximum:"100"`
	MinBackoff  jadwal.Duration `json:"min_backoff,omitempty" doc:"Before the second attempt." example:"10s"`
	MaxBackoff  jadwal.Duration `json:"max_backoff,omitempty" doc:"Before any attempt, at most, unless the target asks for more (Retry-After)." example:"1h"`
	Multiplier  float64         `json:"multiplier,omitempty" doc:"Of the backoff, from one attempt to the next." minimum:"1" maximum:"10"`
	MaxDuration jadwal.Duration `json:"max_duration,omitempty" doc:"From the first attempt to the last; what a target asks for beyond it ends the run." example:"24h"`
}

func (b *retryBody) preset() { *b = retryBody(jadwal.DefaultRetry) }

// scheduleBody is one schedule; exactly one member is set.
type scheduleBody struct {
	Cron  string `json:"cron,omitempty" doc:"A cron expression of five fields, or six with seconds first." example:"30 2 * * *"`
	Every string `json:"every,omitempty" doc:"A duration of at least a second, counted from start_at, else from the job's creation." example:"6h"`
	At    string `json:"at,omitempty" doc:"An instant in RFC 3339, or a local time of the timezone." example:"2026-12-31T23:00:00Z"`
	RRule string `json:"rrule,omitempty" doc:"A recurrence rule of RFC 5545." example:"FREQ=MONTHLY;BYDAY=-1FR"`
}

// dstBody says what becomes of local times when the clock is moved.
type dstBody struct {
	Gap     schedule.Gap     `json:"gap,omitempty" doc:"Of a time that the clock skips." enum:"run_after,skip,shift"`
	Overlap schedule.Overlap `json:"overlap,omitempty" doc:"Of a time that comes twice." enum:"auto,first,second,both"`
}

func (b *dstBody) preset() { *b = dstBody{schedule.GapRunAfter, schedule.OverlapAuto} }

func specs(bodies []scheduleBody) []schedule.Spec {
	all := make([]schedule.Spec, len(bodies))
	for i, b := range bodies {
		all[i] = schedule.Spec(b)
	}
	return all
}

func scheduleBodies(specs []schedule.Spec) []scheduleBody {
	all := make([]scheduleBody, len(specs))
	for i, s := range specs {
		all[i] = scheduleBody(s)
	}
	return all
}

// targetBody is a target as a client writes it.
type targetBody struct {
	Type    string            `json:"type,omitempty" enum:"http"`
	Method  string            `json:"method,omitempty" enum:"GET,HEAD,POST,PUT,PATCH,DELETE"`
	URL     string            `json:"url" example:"https://example.com/invoices" maxLength:"2048"`
	Headers map[string]string `json:"headers,omitempty" doc:"Values of Authorization, Cookie, *-Key and *-Token headers are never shown again, unless they only name a secret."`
	Body    jadwal.RawJSON    `json:"body,omitzero" doc:"A string is sent as its text, anything else as JSON."`

	SecretHeaders *[]string `json:"secret_headers,omitempty" doc:"The names of the secret headers that keep their values though headers does not have them."`

	Expect    expectBody `json:"expect,omitempty" doc:"What the target must answer for a run to have succeeded."`
	Redirects int        `json:"redirects,omitempty" doc:"How many redirects an attempt follows. Secret headers are not sent to another origin." minimum:"0" maximum:"10"`
	TLS       tlsBody    `json:"tls,omitempty" doc:"Of https: whom to trust, and who calls."`
}

// tlsBody is how a target of https is called.
type tlsBody struct {
	CA         string `json:"ca,omitempty" doc:"The certificates of the authorities that are trusted, in PEM, instead of the machine's; empty: the machine's." maxLength:"65536"`
	MinVersion string `json:"min_version,omitempty" doc:"The oldest version of TLS that is spoken." enum:"1.2,1.3"`
	ClientCert string `json:"client_cert,omitempty" doc:"A certificate that the server shows to the target, in PEM, with the chain behind it." maxLength:"16384"`
	ClientKey  string `json:"client_key,omitempty" doc:"Its private key, in PEM. Never shown again." maxLength:"16384"`

	HasClientKey *bool `json:"has_client_key,omitempty" doc:"True: the client key stays, though client_key does not have it. False: there is none unless client_key has one."`
}

func tlsBodyOf(t jadwal.TargetTLS) tlsBody {
	if t.MinVersion == "" {
		t.MinVersion = jadwal.DefaultMinTLS
	}
	return tlsBody{CA: t.CA, MinVersion: t.MinVersion, ClientCert: t.ClientCert, ClientKey: t.ClientKey}
}

func (b tlsBody) tls() jadwal.TargetTLS {
	if b.MinVersion == jadwal.DefaultMinTLS {
		b.MinVersion = ""
	}
	return jadwal.TargetTLS{CA: b.CA, MinVersion: b.MinVersion, ClientCert: b.ClientCert, ClientKey: b.ClientKey}
}

// expectBody is what a target must answer.
type expectBody struct {
	Status string `json:"status,omitempty" doc:"Statuses, separated by commas: single ones, ranges, classes." example:"200-204,404" maxLength:"128"`
	Body   string `json:"body,omitempty" doc:"A text that the first 64 KiB of the answer must hold; between slashes a regular expression (RE2) that they must match." example:"\"ok\":true" maxLength:"256"`
}

func (b *expectBody) preset() { *b = expectBody{Status: jadwal.DefaultStatus} }

func targetBodyOf(t jadwal.Target) targetBody {
	return targetBody{
		Type: t.Type, Method: t.Method, URL: t.URL, Headers: t.Headers, Body: t.Body,
		Expect: expectBody(t.Expect), Redirects: t.Redirects, TLS: tlsBodyOf(t.TLS),
	}
}

func (b targetBody) target() jadwal.Target {
	return jadwal.Target{
		Type: b.Type, Method: b.Method, URL: b.URL, Headers: b.Headers, Body: b.Body,
		Expect: jadwal.Expect(b.Expect), Redirects: b.Redirects, TLS: b.TLS.tls(),
	}
}

func (b *jobBody) preset() { *b = bodyOf(jadwal.DefaultDefinition()) }

// bodyOf is the body that would make d.
func bodyOf(d jadwal.Definition) jobBody {
	return jobBody{
		Name: d.Name, Description: d.Description, Tags: d.Tags, Schedules: scheduleBodies(d.Schedules),
		Timezone: d.Timezone, StartAt: (*instant)(d.StartAt), EndAt: (*instant)(d.EndAt), DST: dstBody(d.DST),
		Target: targetBodyOf(d.Target), Timeout: d.Timeout, Output: outputBody(d.Output), Overlap: d.Overlap,
		MaxRuns: d.MaxRuns, Jitter: d.Jitter, Retry: retryBody(d.Retry), MaxConcurrent: d.MaxConcurrent,
		Catchup: d.Catchup, CatchupWindow: d.CatchupWindow, AfterCompletion: d.AfterCompletion, PauseAfterFailures: d.PauseAfterFailures,
	}
}

func (b *jobBody) definition() jadwal.Definition {
	d := jadwal.Definition{
		Name: b.Name, Description: b.Description, Tags: b.Tags, Schedules: specs(b.Schedules),
		Timezone: b.Timezone, StartAt: (*time.Time)(b.StartAt), EndAt: (*time.Time)(b.EndAt), DST: schedule.DST(b.DST),
		Target: b.Target.target(), Timeout: b.Timeout, Output: jadwal.Output(b.Output), Overlap: b.Overlap,
		MaxRuns: b.MaxRuns, Jitter: b.Jitter, Retry: jadwal.Retry(b.Retry), MaxConcurrent: b.MaxConcurrent,
		Catchup: b.Catchup, CatchupWindow: b.CatchupWindow, AfterCompletion: b.AfterCompletion, PauseAfterFailures: b.PauseAfterFailures,
	}
	if len(d.Target.Body) > 0 {
		text := jsontext.Value(slices.Clone(d.Target.Body))
		if text.Compact() == nil {
			d.Target.Body = jadwal.RawJSON(text)
		}
	}
	return d
}

// jobPatch is a merge patch (RFC 7396) of a job: null puts a member back to
// its default.
type jobPatch struct {
	text  jsontext.Value
	shape jobBody // the patch alone, where null and a missing member are alike
}

// readPatch refuses what could not be a patch of any job.
func (p *jobPatch) readPatch(body []byte) error {
	p.text = body
	return readJSON(body, (*patchShape)(&p.shape), nullsRemove)
}

// patchShape is a jobBody without defaults.
type patchShape jobBody

// isEmpty tells whether p has no members.
func (p *jobPatch) isEmpty() bool { return len(membersOf(p.text)) == 0 }

// apply returns what p makes of a job's definition, which is still to be
// validated. A secret value that p does not send stays while keepSecrets lets
// it.
func (p *jobPatch) apply(job *jadwal.Job) (after jadwal.Definition, err error) {
	if err := p.shape.readOnly.check(job); err != nil {
		return after, err
	}
	before := &job.Definition
	text, err := json.Marshal(bodyOf(*before))
	if err != nil {
		return after, err
	}
	var body jobBody
	if err := readJSON(mergePatch(text, p.text), &body, nullsRefused); err != nil {
		return after, err
	}
	after = body.definition()
	sent := p.shape.Target
	if sent.SecretHeaders == nil {
		names := after.Target.SecretHeaders()
		sent.SecretHeaders = &names
	}
	if sent.TLS.HasClientKey == nil {
		stays := after.Target.TLS.ClientKey != ""
		sent.TLS.HasClientKey = &stays
	}
	return after, keepSecrets(&sent, &before.Target, &after.Target)
}

// replace is the definition that b is in the place of a job's, still to be
// validated. A name that b leaves out stays.
func (b *jobBody) replace(job *jadwal.Job) (after jadwal.Definition, err error) {
	if err := b.readOnly.check(job); err != nil {
		return after, err
	}
	after = b.definition()
	if after.Name == "" {
		after.Name = job.Definition.Name
	}
	return after, keepSecrets(&b.Target, &job.Definition.Target, &after.Target)
}

// create is the definition of a new job.
func (b *jobBody) create() (d jadwal.Definition, err error) {
	if err := b.readOnly.none(); err != nil {
		return d, err
	}
	d = b.definition()
	return d, keepSecrets(&b.Target, &jadwal.Target{}, &d.Target)
}

// jobView is a job in an answer.
type jobView struct {
	ID          int64           `json:"id" example:"12"`
	OwnerID     int64           `json:"owner_id" example:"1"`
	Name        string          `json:"name" example:"invoice-nightly"`
	Description string          `json:"description"`
	Tags        []string        `json:"tags"`
	Schedules   []scheduleBody  `json:"schedules"`
	Timezone    string          `json:"timezone" example:"Asia/Jakarta"`
	StartAt     *stamp          `json:"start_at"`
	EndAt       *stamp          `json:"end_at"`
	DST         dstView         `json:"dst"`
	Target      targetView      `json:"target"`
	Timeout     jadwal.Duration `json:"timeout" example:"30s"`
	Output      outputView      `json:"output"`
	Overlap     jadwal.Overlap  `json:"overlap" enum:"skip,queue_one,queue_all,cancel_running,allow"`

	MaxRuns            int                    `json:"max_runs"`
	Jitter             jadwal.Duration        `json:"jitter" example:"0s"`
	Retry              retryView              `json:"retry"`
	MaxConcurrent      int                    `json:"max_concurrent"`
	Catchup            jadwal.Catchup         `json:"catchup" enum:"none,latest,all"`
	CatchupWindow      *jadwal.Duration       `json:"catchup_window" example:"1h"`
	AfterCompletion    jadwal.AfterCompletion `json:"after_completion" enum:"keep,delete"`
	PauseAfterFailures int                    `json:"pause_after_failures"`

	State     jadwal.JobState `json:"state" enum:"enabled,paused,completed"`
	Pause     *pauseView      `json:"pause" doc:"Null unless the job is paused."`
	NextAt    *stamp          `json:"next_at" doc:"The next planned instant that has no durable record; null when nothing is planned."`
	DueSince  *stamp          `json:"due_since" doc:"When next_at fell due, its jitter included; null when it has not yet. Not recorded yet, it has just started or waits: for room, for its host, or for a server."`
	LastRun   *lastRunView    `json:"last_run" doc:"The newest finished run; null before there is one."`
	Version   int64           `json:"version" doc:"Raised by every change; the ETag."`
	CreatedAt stamp           `json:"created_at"`
	UpdatedAt stamp           `json:"updated_at"`
}

type outputView struct {
	Success int `json:"success" doc:"Bytes kept of the answer, when a run succeeds."`
	Failure int `json:"failure" doc:"Bytes kept of the answer, when a run fails."`
}

type retryView struct {
	MaxAttempts int             `json:"max_attempts"`
	MinBackoff  jadwal.Duration `json:"min_backoff" example:"10s"`
	MaxBackoff  jadwal.Duration `json:"max_backoff" example:"1h"`
	Multiplier  float64         `json:"multiplier"`
	MaxDuration jadwal.Duration `json:"max_duration" example:"24h"`
}

type pauseView struct {
	Reason string `json:"reason" doc:"What its author wrote; failures or owner_deleted when the server paused the job."`
	By     *int64 `json:"by" doc:"The user who paused the job; null: the server."`
	Until  *stamp `json:"until" doc:"When the job is resumed by itself; null: never."`
}

type dstView struct {
	Gap     schedule.Gap     `json:"gap" enum:"run_after,skip,shift"`
	Overlap schedule.Overlap `json:"overlap" enum:"auto,first,second,both"`
}

// targetView is a target in an answer: without the values of secret headers.
type targetView struct {
	Type          string            `json:"type" enum:"http"`
	Method        string            `json:"method" enum:"GET,HEAD,POST,PUT,PATCH,DELETE"`
	URL           string            `json:"url"`
	Headers       map[string]string `json:"headers"`
	SecretHeaders []string          `json:"secret_headers" doc:"The names of the headers whose values are not shown."`
	Body          jadwal.RawJSON    `json:"body"`
	Expect        expectView        `json:"expect"`
	Redirects     int               `json:"redirects" minimum:"0" maximum:"10"`
	TLS           tlsView           `json:"tls"`
}

type tlsView struct {
	CA           string `json:"ca" doc:"Empty: the machine's authorities are trusted."`
	MinVersion   string `json:"min_version" enum:"1.2,1.3"`
	ClientCert   string `json:"client_cert" doc:"Empty: none."`
	HasClientKey bool   `json:"has_client_key" doc:"Whether there is a client key, which is not shown."`
}

func viewTLS(t jadwal.TargetTLS) tlsView {
	b := tlsBodyOf(t)
	return tlsView{b.CA, b.MinVersion, b.ClientCert, t.ClientKey != ""}
}

type expectView struct {
	Status string `json:"status" example:"2xx"`
	Body   string `json:"body" doc:"Empty: any."`
}

type lastRunView struct {
	ID         string          `json:"id"`
	State      jadwal.RunState `json:"state" enum:"succeeded,failed,cancelled,skipped,missed"`
	DueAt      stamp           `json:"due_at"`
	StartedAt  *stamp          `json:"started_at"`
	FinishedAt *stamp          `json:"finished_at"`
	LatenessMS *int64          `json:"lateness_ms" doc:"From the instant it was due to its start; null when it never started."`
}

func viewJob(job jadwal.Job, now time.Time) jobView {
	d := job.Definition
	shown := d.Target.Shown()
	v := jobView{
		ID: job.ID, OwnerID: job.OwnerID, Name: d.Name, Description: d.Description, Tags: d.Tags,
		Schedules: scheduleBodies(d.Schedules), Timezone: d.Timezone, Timeout: d.Timeout, Output: outputView(d.Output), Overlap: d.Overlap,
		StartAt: (*stamp)(d.StartAt), EndAt: (*stamp)(d.EndAt), DST: dstView(d.DST),
		Target:  targetView{shown.Type, shown.Method, shown.URL, shown.Headers, d.Target.SecretHeaders(), shown.Body, expectView(shown.Expect), shown.Redirects, viewTLS(d.Target.TLS)},
		MaxRuns: d.MaxRuns, Jitter: d.Jitter, Retry: retryView(d.Retry), MaxConcurrent: d.MaxConcurrent,
		Catchup: d.Catchup, CatchupWindow: d.CatchupWindow, AfterCompletion: d.AfterCompletion, PauseAfterFailures: d.PauseAfterFailures,
		State: job.State, Version: job.Version, CreatedAt: stamp(job.CreatedAt), UpdatedAt: stamp(job.UpdatedAt),
	}
	switch job.State {
	case jadwal.JobEnabled:
		v.NextAt, v.DueSince = stampOf(job.NextAt), stampOf(job.DueSince(now))
	case jadwal.JobPaused:
		v.Pause = &pauseView{Reason: job.PauseReason, Until: stampOf(job.PauseUntil)}
		if job.PausedBy != 0 {
			v.Pause.By = &job.PausedBy
		}
	}
	if last := job.LastRun; last != nil {
		run := jadwal.Run{Key: last.Key, ReadyAt: last.ReadyAt, StartedAt: last.StartedAt}
		v.LastRun = &lastRunView{
			ID: last.Key.ID(), State: last.State, DueAt: stamp(time.UnixMicro(last.Key.DueAt)),
			StartedAt: stampOf(last.StartedAt), FinishedAt: stampOf(last.FinishedAt), LatenessMS: latenessOf(run),
		}
	}
	return v
}

// latenessOf is how late a run started, in milliseconds; nil when it did not.
func latenessOf(run jadwal.Run) *int64 {
	if run.StartedAt.IsZero() {
		return nil
	}
	ms := run.Lateness().Milliseconds()
	return &ms
}
