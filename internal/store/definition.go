package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/vault"
	"github.com/teknohole/jadwal/schedule"
)

// storedDefinition is a definition as it is stored: in place of the values of
// secret headers and of the client key it has empty ones, and the values sealed.
// Members of it and of its target that are as in usual are left out: of an
// ordinary job that leaves a third of the text to be stored and read.
type storedDefinition struct {
	*jadwal.Definition
	Sealed  *sealedHeaders `json:"sealed,omitempty"`
	Secrets secretIDs      `json:"secrets,omitempty"`
}

// secretIDs are written as an object of their ids by name.
type secretIDs []jadwal.SecretID

var errSecretIDs = errors.New("secrets is not an object of ids by name")

// MarshalJSON writes them.
func (s secretIDs) MarshalJSON() ([]byte, error) {
	ids := make(map[string]int64, len(s))
	for _, secret := range s {
		ids[secret.Name] = secret.ID
	}
	return json.Marshal(ids)
}

// UnmarshalJSONFrom reads what MarshalJSON wrote, without a map on the way: it is
// read for every run that shares none (definitionReader).
func (s *secretIDs) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if begin, err := dec.ReadToken(); err != nil || begin.Kind() != jsontext.KindBeginObject {
		return errors.Join(err, errSecretIDs)
	}
	for dec.PeekKind() != jsontext.KindEndObject {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		secret := jadwal.SecretID{Name: name.String()}
		id, err := dec.ReadToken()
		if err != nil || id.Kind() != jsontext.KindNumber {
			return errors.Join(err, errSecretIDs)
		}
		if secret.ID, err = id.Int(); err != nil {
			return err
		}
		*s = append(*s, secret)
	}
	_, err := dec.ReadToken()
	return err
}

// sealedHeaders are the values of secret headers, a JSON object of their names
// (with the client key among them, jadwal.Target.SecretValues),
// sealed for the job's version at the time: later ones that have the same
// definition keep the text.
type sealedHeaders struct {
	Version int64  `json:"version"`
	Text    []byte `json:"text"`
}

// placeOfHeaders is where the values of a job's secret headers belong. They are
// bound to the origin of the target.
func placeOfHeaders(jobID, version int64, target *jadwal.Target) vault.Place {
	return vault.Place{Table: "job", ID: jobID, Field: "target.headers", Version: version, Bound: target.Origin()}
}

// encode writes the definition of a job as it is stored from that version on.
// What it holds as JSON keeps its text, but for white space. CodeNoMasterKey: it
// has secret headers, and the server has no master key, or not each that
// something may be sealed with.
func (t *tx) encode(d *jadwal.Definition, jobID, version int64) (string, error) {
	values := d.Target.SecretValues()
	if len(values) == 0 {
		return encodePlain(&storedDefinition{Definition: d, Secrets: d.Target.Secrets})
	}
	if err := t.nameMaster(); err != nil {
		return "", err
	}
	return t.encodeSealed(d, values, jobID, version)
}

// encodeSealed is encode for a definition with these values of secret headers,
// where the write that stores it names the master key.
func (t *tx) encodeSealed(d *jadwal.Definition, values map[string]string, jobID, version int64) (string, error) {
	text, err := json.Marshal(values)
	if err != nil {
		return "", fmt.Errorf("headers of job %s: %w", d.Name, err)
	}
	stored := *d
	for name := range values {
		values[name] = ""
	}
	stored.Target.SetSecretValues(values)
	sealed := t.vault.Seal(placeOfHeaders(jobID, version, &d.Target), text)
	return encodePlain(&storedDefinition{&stored, &sealedHeaders{version, sealed}, d.Target.Secrets})
}

func encodePlain(d *storedDefinition) (string, error) {
	whole, err := encodeWhole(d)
	if err != nil {
		return "", err
	}
	dec := jsontext.NewDecoder(bytes.NewReader(whole), leniently)
	short, err := appendUnusual(make([]byte, 0, len(whole)/2), dec, "")
	if err != nil {
		return "", fmt.Errorf("definition of job %s: %w", d.Name, err)
	}
	return string(short), nil
}

// encodeWhole writes every member.
func encodeWhole(d *storedDefinition) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		return nil, fmt.Errorf("definition of job %s: %w", d.Name, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// usual is what a stored definition has where it does not say. It is a part of
// what is stored, and so it never changes, though what users get when they leave
// a member out may: that is written then. A member that is new has here what
// definitions of before it stand for.
func usual() jadwal.Definition {
	return jadwal.Definition{
		Tags:      []string{},
		Schedules: []schedule.Spec{},
		Timezone:  "UTC",
		Target:    jadwal.Target{Type: "http", Method: "POST", Headers: map[string]string{}, Expect: jadwal.Expect{Status: "2xx"}},
		Timeout:   jadwal.Duration(30 * time.Second),
		Output:    jadwal.Output{Success: 1 << 10, Failure: 64 << 10},
		Overlap:   jadwal.OverlapSkip,
		DST:       schedule.DST{Gap: schedule.GapRunAfter, Overlap: schedule.OverlapAuto},
		Retry: jadwal.Retry{
			MaxAttempts: 3, MinBackoff: jadwal.Duration(10 * time.Second), MaxBackoff: jadwal.Duration(time.Hour),
			Multiplier: 2, MaxDuration: jadwal.Duration(24 * time.Hour),
		},
		MaxConcurrent:   1,
		Catchup:         jadwal.CatchupLatest,
		AfterCompletion: jadwal.CompletionKeep,
	}
}

// usualMembers are the values of usual, as they are written, by their paths,
// such as "target.method".
var usualMembers = sync.OnceValue(func() map[string]string {
	d := usual()
	whole, err := encodeWhole(&storedDefinition{Definition: &d})
	if err != nil {
		panic(err) // not of this value
	}
	members := map[string]string{}
	var add func(path string, object []byte)
	add = func(path string, object []byte) {
		var values map[string]json.RawMessage
		if err := json.Unmarshal(object, &values); err != nil {
			panic(err)
		}
		for name, value := range values {
			if members[path+name] = string(value); name == "target" {
				add("target.", value)
			}
		}
	}
	add("", whole)
	return members
})

// appendUnusual appends the object that dec comes to without the members that
// are as in usual. Of objects other than the target all is written or nothing.
func appendUnusual(b []byte, dec *jsontext.Decoder, path string) ([]byte, error) {
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	b = append(b, '{')
	for first := true; dec.PeekKind() != jsontext.KindEndObject; {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		member := name.String()
		begin := len(b)
		if !first {
			b = append(b, ',')
		}
		b = append(strconv.AppendQuote(b, member), ':')
		if path == "" && member == "target" {
			if b, err = appendUnusual(b, dec, "target."); err != nil {
				return nil, err
			}
			first = false
			continue
		}
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		if as, ok := usualMembers()[path+member]; ok && as == string(value) {
			b = b[:begin]
			continue
		}
		b, first = append(b, value...), false
	}
	_, err := dec.ReadToken()
	return append(b, '}'), err
}

// leniently reads what encoding/json has written, whatever a body holds.
var leniently = jsonv2.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// decode reads a definition as it is stored. When its secret headers cannot be
// opened their values stay empty, and the target is Locked.
func (t *tx) decode(jobID int64, text []byte, into *jadwal.Definition) error {
	return new(definitionReader).decode(t, jobID, text, into)
}

// decodeStored is decode that leaves closed what is sealed.
func decodeStored(jobID int64, text []byte, into *jadwal.Definition) (storedDefinition, error) {
	return new(definitionReader).decodeStored(jobID, text, into)
}

// A definitionReader reads one definition after the other. One that has the
// headers and the secrets of that before it, as the jobs of one program have,
// shares them with it: they are not to be changed.
type definitionReader struct {
	text []byte // room for the next one
	next readDefinition

	headers, secrets jsontext.Value // of the one before, as they are written
	shared           jadwal.Target  // these, read
}

// readDefinition is a storedDefinition with what may be shared left as it is
// written; empty: it is not.
type readDefinition struct {
	*jadwal.Definition
	Target  readTarget     `json:"target"`
	Sealed  *sealedHeaders `json:"sealed"`
	Secrets jsontext.Value `json:"secrets"`
}

type readTarget struct {
	*jadwal.Target
	Headers jsontext.Value `json:"headers"`
}

func (d *definitionReader) decode(t *tx, jobID int64, text []byte, into *jadwal.Definition) error {
	stored, err := d.decodeStored(jobID, text, into)
	if err != nil || stored.Sealed == nil {
		return err
	}
	into.Target.Locked = !t.unseal(jobID, &stored)
	return nil
}

func (d *definitionReader) decodeStored(jobID int64, text []byte, into *jadwal.Definition) (storedDefinition, error) {
	*into = usual()
	n := &d.next
	*n = readDefinition{Definition: into, Target: readTarget{&into.Target, n.Target.Headers[:0]}, Secrets: n.Secrets[:0]}
	err := jsonv2.Unmarshal(text, n, leniently)
	if err == nil {
		err = d.share(&into.Target)
	}
	if err != nil {
		return storedDefinition{}, fmt.Errorf("definition of job %d: %w", jobID, err)
	}
	return storedDefinition{into, n.Sealed, into.Target.Secrets}, nil
}

// share gives a target the headers and the secrets of what was read. Sealed
// headers are its own: what is sealed is to be put into them.
func (d *definitionReader) share(target *jadwal.Target) error {
	n := &d.next
	there := d.shared.Headers != nil && n.Sealed == nil
	if !there || !bytes.Equal(n.Target.Headers, d.headers) || !bytes.Equal(n.Secrets, d.secrets) {
		d.headers, n.Target.Headers = n.Target.Headers, d.headers
		d.secrets, n.Secrets = n.Secrets, d.secrets
		d.shared = jadwal.Target{Headers: target.Headers}
		if err := readMember(d.headers, &d.shared.Headers); err != nil {
			return err
		}
		if err := readMember(d.secrets, (*secretIDs)(&d.shared.Secrets)); err != nil {
			return err
		}
	}
	target.Headers, target.Secrets = d.shared.Headers, d.shared.Secrets
	if n.Sealed != nil {
		d.shared = jadwal.Target{}
	}
	return nil
}

// readMember reads a member that was left as it is written, unless it was left
// out.
func readMember(text jsontext.Value, into any) error {
	if len(text) == 0 {
		return nil
	}
	return jsonv2.Unmarshal(text, into, leniently)
}

func (t *tx) unseal(jobID int64, d *storedDefinition) bool {
	if t.vault == nil {
		return false
	}
	text, err := t.vault.Open(placeOfHeaders(jobID, d.Sealed.Version, &d.Target), d.Sealed.Text)
	if err != nil {
		return false
	}
	// The headers are of this definition alone, and take in the sealed ones. One
	// may have the name under which the client key is sealed.
	const key = jadwal.ClientKeyField
	header, there := d.Target.Headers[key]
	delete(d.Target.Headers, key)
	if jsonv2.Unmarshal(text, &d.Target.Headers, leniently) != nil {
		return false
	}
	d.Target.TLS.ClientKey = d.Target.Headers[key]
	delete(d.Target.Headers, key)
	if there {
		d.Target.Headers[key] = header
	}
	return true
}

// sameDefinition tells whether two definitions are stored alike, but for how
// they are sealed.
func sameDefinition(a, b *jadwal.Definition) (bool, error) {
	one, err := encodeWhole(&storedDefinition{Definition: a})
	if err != nil {
		return false, err
	}
	other, err := encodeWhole(&storedDefinition{Definition: b})
	return bytes.Equal(one, other), err
}

// keepLocked refuses an edit that would store the empty value of a secret
// header, or an empty client key, that could not be opened.
func keepLocked(before, after *jadwal.Definition) error {
	if !before.Target.Locked && !after.Target.Locked {
		return nil
	}
	var wrong []jadwal.FieldError
	for _, name := range after.Target.SecretHeaders() {
		if after.Target.Headers[name] == "" {
			wrong = append(wrong, jadwal.FieldError{
				Field: "target.headers." + name, Code: "required",
				Message: "header " + name + " must be sent again, since its value cannot be opened",
			})
		}
	}
	if own := after.Target.TLS; own.ClientCert != "" && own.ClientKey == "" {
		wrong = append(wrong, jadwal.FieldError{
			Field: jadwal.ClientKeyField, Code: "required", Message: jadwal.ClientKeyField + " must be sent again, since it cannot be opened",
		})
	}
	if len(wrong) > 0 {
		return jadwal.InvalidFields(wrong...)
	}
	return nil
}

// renamed is a stored definition with another name, and all else as it is.
func renamed(jobID int64, text []byte, name string) (string, error) {
	stored, err := decodeStored(jobID, text, new(jadwal.Definition))
	if err != nil {
		return "", err
	}
	stored.Name = name
	return encodePlain(&stored)
}
