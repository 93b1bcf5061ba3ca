package jadwal

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/teknohole/jadwal/schedule"
)

// Templates are the texts of a target that hold expressions, ready to be filled
// in. What of a target is no template is not in them.
type Templates struct {
	origin  string
	job     string
	tags    []string
	zone    *time.Location
	url     *template // nil: none
	headers []headerTemplate
	body    *template // nil: none
	kind    string    // the type of body
	wrong   []FieldError
}

type headerTemplate struct {
	name string
	template
}

// SecretUse is an expression that names a secret.
type SecretUse struct {
	Name  string
	At    int    // where it begins in its field, in bytes from 1
	Field string // such as "target.url"
}

// A field is one of a target's, or a member of one.
type field struct{ name, member string }

func (f field) String() string { return f.name + clip(f.member, 64) }

// IsOf tells whether that secret is the one that u names.
func (u SecretUse) IsOf(secret SecretID) bool { return secret.Name == u.Name }

// Filled is what templates become for one attempt. What was no template is
// empty.
type Filled struct {
	URL         string
	Headers     []FilledHeader
	Body        []byte // nil: none
	ContentType string // of Body
	SecretBody  bool
}

// FilledHeader is a header whose value was a template.
type FilledHeader struct {
	Name   string // as the job has it
	Value  string
	Secret bool // it holds a secret
}

// Header returns the value that the header of that name, as the job has it, is
// filled in with; false: it was no template.
func (f *Filled) Header(name string) (value string, filled bool) {
	for i := range f.Headers {
		if f.Headers[i].Name == name {
			return f.Headers[i].Value, true
		}
	}
	return "", false
}

// A TemplateCache keeps templates of headers that were read before, by their
// text: the jobs of one program share them. The zero value is empty; nil keeps
// nothing. It is for one goroutine at a time.
type TemplateCache struct{ read map[string]template }

// The limits of a TemplateCache.
const (
	maxCachedTemplates = 256
	maxCachedTemplate  = 512 // bytes of a text
)

func (c *TemplateCache) parse(text string) (t template, wrong *templateError) {
	if c == nil || len(text) > maxCachedTemplate {
		return parseTemplate(text, asIs)
	}
	t, there := c.read[text]
	if there {
		return t, nil
	}
	if t, wrong = parseTemplate(text, asIs); wrong == nil {
		if c.read == nil || len(c.read) == maxCachedTemplates {
			c.read = map[string]template{}
		}
		c.read[text] = t
	}
	return t, wrong
}

// Templates returns the templates of d's target, nil when it has none. Those
// that are not valid are told by Wrong, and cannot be filled in.
func (d *Definition) Templates() *Templates { return (*TemplateCache)(nil).Of(d) }

// Of is d.Templates, of what c keeps as far as that goes.
func (c *TemplateCache) Of(d *Definition) *Templates {
	t := &d.Target
	var headers []headerTemplate
	for name, value := range t.Headers {
		if hasTemplate(value) {
			if headers == nil {
				headers = make([]headerTemplate, 0, len(t.Headers))
			}
			headers = append(headers, headerTemplate{name: name})
		}
	}
	if headers == nil && !hasTemplate(t.URL) && !bytes.Contains(t.Body, []byte("{{")) {
		return nil
	}
	ts := &Templates{origin: t.Origin(), job: d.Name, tags: d.Tags, zone: time.UTC, headers: headers}
	if zone, err := schedule.LoadZone(d.Timezone); err == nil { // otherwise it is refused where it stands
		ts.zone = zone
	}
	if hasTemplate(t.URL) {
		if parsed, wrong := parseTemplate(t.URL, percent); wrong == nil {
			ts.url = &parsed
			ts.checkPlace(t.URL)
		} else {
			ts.complain(fieldURL, wrong.at, wrong.message)
		}
	}
	slices.SortFunc(headers, func(a, b headerTemplate) int { return strings.Compare(a.name, b.name) })
	for i := range headers {
		h := &headers[i]
		var wrong *templateError
		if h.template, wrong = c.parse(t.Headers[h.name]); wrong != nil {
			ts.complain(h.field(), wrong.at, wrong.message)
		}
	}
	ts.parseBody(t)
	if n := ts.expressions(); n > MaxExpressions {
		ts.wrong = append(ts.wrong, *fieldError("target", "too_many", "a target has at most %d expressions, got %d", MaxExpressions, n))
	}
	return ts
}

// Wrong is everything that is wrong with ts, each with its field and place.
func (ts *Templates) Wrong() []FieldError {
	if ts == nil {
		return nil
	}
	return ts.wrong
}

// The fields that may hold templates, but for the headers.
var (
	fieldURL  = field{name: "target.url"}
	fieldBody = field{name: "target.body"}
)

func (h *headerTemplate) field() field { return field{"target.headers.", h.name} }

// all yields the templates of ts with their fields.
func (ts *Templates) all(yield func(field, *template) bool) {
	if ts.url != nil && !yield(fieldURL, ts.url) {
		return
	}
	for i := range ts.headers {
		if h := &ts.headers[i]; !yield(h.field(), &h.template) {
			return
		}
	}
	if ts.body != nil {
		yield(fieldBody, ts.body)
	}
}

// secrets yields the expressions that name secrets, in the order of the fields.
func (ts *Templates) secrets(yield func(field, *part) bool) {
	for in, t := range ts.all {
		for i := range t.parts {
			if p := &t.parts[i]; p.word == wordSecret && !yield(in, p) {
				return
			}
		}
	}
}

// Uses are the expressions that name secrets, in the order of the fields.
func (ts *Templates) Uses() (uses []SecretUse) {
	if ts == nil {
		return nil
	}
	for in, p := range ts.secrets {
		uses = append(uses, SecretUse{p.argument, p.at + 1, in.String()})
	}
	return uses
}

func (ts *Templates) complain(in field, at int, message string) {
	ts.wrong = append(ts.wrong, *fieldError(in.String(), "template", "%s, at byte %d: %s", in, at+1, message))
}

func (t *template) holdsSecret() bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return p.word == wordSecret })
}

func (ts *Templates) expressions() (n int) {
	for _, t := range ts.all {
		for i := range t.parts {
			if t.parts[i].word != noWord {
				n++
			}
		}
	}
	return n
}

// checkPlace refuses an expression, be it only a text, before the path of a URL
// begins: what is called must not depend on what is filled in, and must be as it
// is written.
func (ts *Templates) checkPlace(text string) {
	at := strings.Index(text, "{{")
	if _, rest, found := strings.Cut(text[:at], "://"); !found || !strings.ContainsAny(rest, "/?") {
		ts.complain(fieldURL, at, "an expression stands in the path or the query only, not in the scheme, the host or the port")
	}
}

// parseBody reads the template of a body: of its text when it is a JSON string,
// else of the strings within it.
func (ts *Templates) parseBody(t *Target) {
	if !bytes.Contains(t.Body, []byte("{{")) {
		return
	}
	if t.Body[0] != '"' {
		ts.kind = "application/json"
		ts.parseJSON(string(t.Body))
		return
	}
	var text string
	if json.Unmarshal(t.Body, &text) != nil || !hasTemplate(text) {
		return
	}
	parsed, wrong := parseTemplate(text, asIs)
	if wrong != nil {
		ts.complain(fieldBody, wrong.at, wrong.message)
		return
	}
	how, kind := asIs, "text/plain; charset=utf-8"
	switch media := contentType(t.Headers); {
	case media == "application/x-www-form-urlencoded":
		how = percent
	case media == "" && json.Valid([]byte(parsed.sample())):
		how, kind = jsonString, "application/json"
	case media == "application/json", strings.HasSuffix(media, "+json"):
		how = jsonString
	}
	for i := range parsed.parts {
		parsed.parts[i].escape = how
	}
	ts.body, ts.kind = &parsed, kind
}

// contentType is the media type that headers name, in lower case and without
// parameters; "": none.
func contentType(headers map[string]string) string {
	for name, value := range headers {
		if strings.EqualFold(name, "Content-Type") {
			media, _, _ := strings.Cut(value, ";")
			return strings.ToLower(strings.TrimSpace(media))
		}
	}
	return ""
}

// parseJSON reads the templates in the strings of a JSON text. All between them
// stays as it is written.
func (ts *Templates) parseJSON(text string) {
	var whole templateBuilder
	for at := 0; at < len(text); {
		begin := strings.IndexByte(text[at:], '"')
		if begin < 0 {
			whole.text(text[at:])
			break
		}
		begin += at
		end := begin + 1
		for end < len(text) && text[end] != '"' {
			if text[end] == '\\' {
				end++
			}
			end++
		}
		end = min(end+1, len(text))
		token := text[begin:end]
		var inside string
		if !hasTemplate(token) || json.Unmarshal([]byte(token), &inside) != nil || !hasTemplate(inside) {
			whole.text(text[at:end])
			at = end
			continue
		}
		inRaw := rawPlace{raw: token[1:]}
		parsed, wrong := parseTemplate(inside, jsonString)
		if wrong != nil {
			ts.complain(fieldBody, begin+1+inRaw.of(wrong.at), wrong.message)
			return
		}
		whole.text(text[at : begin+1])
		for _, p := range parsed.parts {
			if p.word == noWord {
				p.text = string(appendJSONString(nil, p.text))
			} else {
				p.at = begin + 1 + inRaw.of(p.at)
			}
			whole.add(p)
		}
		whole.text(`"`)
		at = end
	}
	ts.body = &template{whole.end()}
}

// A rawPlace finds places of a text in the inside of the JSON string that it is
// written as, one after the other.
type rawPlace struct {
	raw string
	at  int // in raw
	n   int // bytes of the text before at
}

// of is how many bytes of raw stand for the first n bytes of the text; n is not
// less than it was before.
func (p *rawPlace) of(n int) int {
	raw := p.raw
	for p.n < n && p.at < len(raw) {
		at, size := p.at, 1
		if raw[at] == '\\' {
			size = 2
			if at+1 < len(raw) && raw[at+1] == 'u' {
				size = 6
				if surrogate := at+11 < len(raw) && raw[at+6] == '\\' && raw[at+7] == 'u' && (raw[at+2] == 'd' || raw[at+2] == 'D') && strings.IndexByte("89abAB", raw[at+3]) >= 0; surrogate {
					size = 12
				}
			}
			var s string
			if json.Unmarshal([]byte(`"`+raw[at:min(at+size, len(raw))]+`"`), &s) == nil {
				p.n += len(s)
			} else {
				p.n++
			}
		} else {
			_, size = utf8.DecodeRuneInString(raw[at:])
			p.n += size
		}
		p.at += size
	}
	return p.at
}

// Fill fills in ts, with secrets by name. The error, a *FieldError, tells which
// field cannot be, and why: a secret that is missing, of another owner or not
// for this target, or a value that has no place there. It repeats no value.
func (ts *Templates) Fill(v Values, ownerID int64, secrets []SecretValue) (f Filled, wrong *FieldError) {
	for _, w := range ts.wrong {
		return f, &w
	}
	v.job, v.tags, v.zone, v.ownerID, v.origin, v.secrets = ts.job, ts.tags, ts.zone, ownerID, ts.origin, secrets
	if ts.url != nil {
		b, err := ts.url.append(nil, &v, MaxFilledURL)
		if f.URL = string(b); err == nil {
			err = checkPath(f.URL)
		}
		if err != nil {
			return f, fieldURL.unfilled("target.url", err)
		}
	}
	if len(ts.headers) > 0 {
		f.Headers = make([]FilledHeader, len(ts.headers))
	}
	left := MaxFilledHeaders
	var room [256]byte
	for i := range ts.headers {
		h := &ts.headers[i]
		b, err := h.append(room[:0], &v, left)
		value := string(b)
		if err == nil && !validHeaderValue(value) {
			err = errBadHeader
		}
		if err != nil {
			return f, h.field().unfilled("header "+clip(h.name, 64), err)
		}
		left -= len(b)
		f.Headers[i] = FilledHeader{h.name, value, h.holdsSecret()}
	}
	if ts.body != nil {
		b, err := ts.body.append(make([]byte, 0, 512), &v, MaxFilledBody)
		if err != nil {
			return f, fieldBody.unfilled("target.body", err)
		}
		f.Body, f.ContentType, f.SecretBody = b, ts.kind, ts.body.holdsSecret()
	}
	return f, nil
}

// unfilled is that the template of a field, called so in a sentence, could not be
// filled in.
func (f field) unfilled(called string, err error) *FieldError {
	if secret, ok := errors.AsType[*errSecret](err); ok {
		return fieldError(f.String(), secret.code, "%s, at byte %d: %s", f, secret.at+1, secret.message)
	}
	return fieldError(f.String(), "template", "%s cannot be filled in: %s", called, err)
}

// Try tells why ts could not be filled in with those secrets, as far as that is
// known beforehand.
func (ts *Templates) Try(now time.Time, ownerID int64, secrets []SecretValue) (wrong []FieldError) {
	if ts == nil {
		return nil
	}
	known := Values{ownerID: ownerID, origin: ts.origin, secrets: secrets}
	for in, p := range ts.secrets {
		if err := p.check(known.secret(p.argument), &known); err != nil {
			wrong = append(wrong, *in.unfilled("", err))
		}
	}
	if len(wrong) > 0 {
		return wrong
	}
	if _, e := ts.Fill(Values{RunID: RunKey{}.ID(), Attempt: MaxAttempts, DueAt: now}, ownerID, secrets); e != nil {
		return []FieldError{*e}
	}
	return nil
}

// errBadHeader is what cannot stand in the value of a header.
var errBadHeader = errors.New("what is filled in holds a line end or another control character, or space at its ends")

// errDots is that a filled in path leads elsewhere.
var errDots = errors.New("its path has . or .. as a segment")

// checkPath refuses a path that would be another one once it is normalised (RFC
// 3986, section 5.2.4): what is filled in must not lead out of its place.
func checkPath(filled string) error {
	path, _, _ := strings.Cut(filled, "?")
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return errDots
		}
	}
	return nil
}
