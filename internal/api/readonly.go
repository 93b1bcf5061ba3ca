package api

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/teknohole/jadwal"
)

// readOnly are the members of a job in an answer that only the server sets. A
// body may have them as the answer had them: whoever reads a job, edits the
// text and sends it back need not take them out.
type readOnly struct {
	ID        jsontext.Value `json:"id,omitzero"`
	OwnerID   jsontext.Value `json:"owner_id,omitzero"`
	State     jsontext.Value `json:"state,omitzero"`
	Pause     jsontext.Value `json:"pause,omitzero"`
	NextAt    jsontext.Value `json:"next_at,omitzero"`
	DueSince  jsontext.Value `json:"due_since,omitzero"`
	LastRun   jsontext.Value `json:"last_run,omitzero"`
	Version   jsontext.Value `json:"version,omitzero"`
	CreatedAt jsontext.Value `json:"created_at,omitzero"`
	UpdatedAt jsontext.Value `json:"updated_at,omitzero"`
}

// none refuses all of r, which nobody but the server can know of a job that
// there is not yet.
func (r *readOnly) none() error {
	var wrong []jadwal.FieldError
	for _, m := range r.sent() {
		wrong = append(wrong, jadwal.FieldError{Field: m.name, Code: "read_only", Message: m.name + " is set by the server; leave it out of a new job"})
	}
	return invalid(wrong)
}

// check compares what is there of r with a job. CodeVersionMismatch: it is of
// another version; else the error names the members that are not as the job has
// them. What changes without a new version must only be one that the job might
// have had.
func (r *readOnly) check(job *jadwal.Job) error {
	if n, err := strconv.ParseInt(string(r.Version), 10, 64); err == nil && n != job.Version {
		return jadwal.Errorf(jadwal.CodeVersionMismatch, "The job is at version %d, and the body is of version %d; read it again, or leave version out", job.Version, n)
	}
	text, err := json.Marshal(viewJob(*job, job.UpdatedAt))
	if err != nil {
		return err
	}
	is := map[string]jsontext.Value{}
	for _, m := range membersOf(text) {
		is[m.name] = m.value
	}
	var wrong []jadwal.FieldError
	for _, m := range r.sent() {
		fine, wayOut := sameJSON(m.value, is[m.name]), ""
		switch m.name {
		case "state", "pause":
			wayOut = "; POST /job/{job}/pause and /job/{job}/resume change it"
		case "owner_id":
			wayOut = "; POST /job/{job}/owner changes it"
		case "next_at":
			wayOut = "; it follows from the schedules"
			fine = fine || m.value.Kind() == 'n' || plans(job, m.value)
		case "due_since":
			var at *instant
			fine = json.Unmarshal(m.value, &at) == nil
		case "last_run":
			fine = m.value.Kind() == 'n' || isRunOf(job, m.value)
		}
		if !fine {
			wrong = append(wrong, jadwal.FieldError{Field: m.name, Code: "read_only", Message: m.name + " must be as the job has it, or left out" + wayOut})
		}
	}
	return invalid(wrong)
}

// sameJSON tells whether two values are the same but for white space, escapes
// and the order of members (RFC 8785).
func sameJSON(a, b jsontext.Value) bool {
	a, b = a.Clone(), b.Clone()
	return a.Canonicalize() == nil && b.Canonicalize() == nil && bytes.Equal(a, b)
}

// sent are the members that are there.
func (r *readOnly) sent() []member {
	text, err := json.Marshal(r)
	if err != nil {
		return nil // cannot be: they are JSON
	}
	return membersOf(text)
}

// plans tells whether a JSON value is an instant that a job's schedules plan.
func plans(job *jadwal.Job, value jsontext.Value) bool {
	var at instant
	if json.Unmarshal(value, &at) != nil {
		return false
	}
	plan, err := job.Definition.Plan(job.CreatedAt, job.ID)
	if err != nil {
		return false
	}
	next, ok := plan.Next(time.Time(at).Add(-time.Nanosecond))
	return ok && next.Equal(time.Time(at))
}

// isRunOf tells whether a JSON value is an object with the id of a run of a job.
func isRunOf(job *jadwal.Job, value jsontext.Value) bool {
	var run struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(value, &run) != nil {
		return false
	}
	key, ok := jadwal.ParseRunID(run.ID)
	return ok && key.JobID == job.ID
}

// keepSecrets puts those secret values of a target into the one after it that
// sent, a body about it, does not send, but says that they stay: answers do not
// tell them. They stay only while the origin does: else whoever may edit a job
// could have its secrets sent to a place of their own.
func keepSecrets(sent *targetBody, before, after *jadwal.Target) error {
	after.Headers = maps.Clone(after.Headers)
	var wrong []jadwal.FieldError
	add := func(field, code, message string) {
		wrong = append(wrong, jadwal.FieldError{Field: field, Code: code, Message: message})
	}
	moved := before.Origin() != after.Origin()
	all := make(map[string]bool, len(sent.Headers)) // in lower case; both lists may be long
	for name := range sent.Headers {
		all[strings.ToLower(name)] = true
	}
	isSent := func(name string) bool { return all[strings.ToLower(name)] }
	for _, name := range before.SecretHeaders() {
		if _, exactly := sent.Headers[name]; !exactly {
			delete(after.Headers, name) // a merge leaves it, though it may be sent, or removed, in another case
		}
		field := "target.headers." + name
		switch {
		case isSent(name):
		case sent.SecretHeaders == nil:
			add(field, "required", "header "+name+" would be lost, since answers do not tell its value: send it again, or name it in target.secret_headers to keep it; [] there keeps none")
		case !slices.Contains(*sent.SecretHeaders, name):
		case moved:
			add(field, "required", "header "+name+" must be sent again, since its value is bound to the old origin of target.url")
		default:
			after.Headers[name] = before.Headers[name]
		}
	}
	if sent.SecretHeaders != nil {
		had, told := before.SecretHeaders(), 0
		for i, name := range *sent.SecretHeaders {
			if told < maxWrong && !isSent(name) && !slices.Contains(had, name) {
				told++
				add("target.secret_headers["+strconv.Itoa(i)+"]", "unknown", "the job has no secret header "+clip(name)+" to keep; send it in target.headers")
			}
		}
	}
	key, had := sent.TLS.HasClientKey, before.TLS.ClientKey != ""
	switch {
	case sent.TLS.ClientKey != "":
	case key != nil && *key && !had:
		add("target.tls.has_client_key", "unknown", "the job has no client key to keep; send it as "+jadwal.ClientKeyField)
	case !had:
	case key == nil:
		add(jadwal.ClientKeyField, "required", jadwal.ClientKeyField+" would be lost, since answers do not tell it: send it again, or keep it with target.tls.has_client_key true; false drops it")
	case !*key:
		after.TLS.ClientKey = ""
	case moved:
		add(jadwal.ClientKeyField, "required", jadwal.ClientKeyField+" must be sent again, since it is bound to the old origin of target.url")
	default:
		after.TLS.ClientKey = before.TLS.ClientKey
	}
	return invalid(wrong)
}
