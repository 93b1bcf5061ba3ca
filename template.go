package jadwal

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/teknohole/jadwal/schedule"
)

// A template is a text with expressions between {{ and }} that are filled in
// when a run starts:
//
//	{{run.id}}  {{run.attempt}}  {{job.name}}  {{job.tags}}
//	{{run.due_at}}  {{run.due_at "FORMAT"}}  {{run.due_at "FORMAT" "ZONE"}}
//	{{secret "NAME"}}
//	{{"TEXT"}}
//
// There is nothing else: no conditions, no loops, no functions. The last form
// stands for its own text, and so writes {{ itself. Space inside of the braces
// does not count. A text between quotes has at most 128 bytes and neither
// quotes, backslashes nor control characters.
type template struct {
	parts []part
}

// A part of a template is a text, or the place of an expression.
type part struct {
	text     string
	argument string         // of the expression: the name of a secret, or a format
	zone     *time.Location // nil: the job's
	at       int            // where the expression begins in the field, in bytes from 0
	word     word           // noWord: a text
	escape   escape
}

// word is what an expression begins with.
type word uint8

const (
	noWord word = iota
	wordRunID
	wordAttempt
	wordDueAt
	wordJob
	wordTags
	wordSecret
)

// A wordRule is how a word is written and how many texts may follow it.
type wordRule struct {
	text     string
	min, max int
}

// words are all there are.
var words = [...]wordRule{
	wordRunID:   {"run.id", 0, 0},
	wordAttempt: {"run.attempt", 0, 0},
	wordDueAt:   {"run.due_at", 0, 2},
	wordJob:     {"job.name", 0, 0},
	wordTags:    {"job.tags", 0, 0},
	wordSecret:  {"secret", 1, 1},
}

// escape says how a value is written so that it cannot leave its place.
type escape uint8

const (
	asIs       escape = iota
	percent           // RFC 3986: everything but unreserved characters
	jsonString        // RFC 8259, section 7, inside of a string
)

// maxTemplateText is the length of a text between quotes, in bytes.
const maxTemplateText = 128

// hasTemplate tells whether a text is a template at all.
func hasTemplate(text string) bool { return strings.Contains(text, "{{") }

// templateError is what is wrong with a template, and where.
type templateError struct {
	at      int // in bytes from 0
	message string
}

// parseTemplate reads a template whose values are escaped in that way.
func parseTemplate(text string, how escape) (t template, wrong *templateError) {
	b := templateBuilder{parts: make([]part, 0, 2)}
	for at := 0; ; {
		i := strings.Index(text[at:], "{{")
		if i < 0 {
			b.text(text[at:])
			return template{b.end()}, nil
		}
		b.text(text[at : at+i])
		begin := at + i
		end, p, wrong := parseExpression(text, begin)
		if wrong != nil {
			return t, wrong
		}
		p.escape = how
		b.add(p)
		at = end
	}
}

// A templateBuilder puts parts together; texts that follow one another become
// one.
type templateBuilder struct {
	parts  []part
	alone  string // the text behind parts, while it is only one
	joined []byte // while it is more; nil: it is not
}

func (b *templateBuilder) text(text string) {
	switch {
	case text == "":
	case b.joined != nil:
		b.joined = append(b.joined, text...)
	case b.alone != "":
		b.joined, b.alone = append([]byte(b.alone), text...), ""
	default:
		b.alone = text
	}
}

func (b *templateBuilder) add(p part) {
	if p.word == noWord {
		b.text(p.text)
		return
	}
	b.endText()
	b.parts = append(b.parts, p)
}

func (b *templateBuilder) endText() {
	if text := b.alone + string(b.joined); text != "" {
		b.parts = append(b.parts, part{text: text})
	}
	b.alone, b.joined = "", nil
}

func (b *templateBuilder) end() []part {
	b.endText()
	return b.parts
}

// parseExpression reads the expression that begins at begin and returns where it
// ends.
func parseExpression(text string, begin int) (end int, p part, wrong *templateError) {
	fail := func(format string, args ...any) (int, part, *templateError) {
		return 0, part{}, &templateError{begin, fmt.Sprintf(format, args...)}
	}
	at := begin + len("{{")
	first := ""
	var room [2]string // no word has more texts
	texts := room[:0]
	for n := 0; ; n++ {
		for at < len(text) && text[at] == ' ' {
			at++
		}
		switch {
		case at >= len(text):
			return fail(`the expression has no }}; {{"{{"}} writes {{ itself`)
		case strings.HasPrefix(text[at:], "}}"):
			p, message := makeExpression(first, texts)
			if message != "" {
				return fail("%s", message)
			}
			p.at = begin
			return at + len("}}"), p, nil
		case text[at] == '"':
			length := strings.IndexByte(text[at+1:], '"')
			if length < 0 || length > maxTemplateText {
				return fail("a text in the expression has no end, or more than %d bytes", maxTemplateText)
			}
			quoted := text[at+1 : at+1+length]
			if strings.ContainsFunc(quoted, func(r rune) bool { return r < ' ' || r == '\\' || r == 0x7f }) {
				return fail("a text in the expression has a backslash or a control character")
			}
			texts = append(texts, quoted)
			at += length + 2
		case n == 0 && isWordByte(text[at]):
			from := at
			for at < len(text) && isWordByte(text[at]) {
				at++
			}
			first = text[from:at]
		default:
			return fail(`the expression is not understood; write one such as {{run.id}} or {{secret "name"}}, and {{"{{"}} for {{ itself`)
		}
	}
}

func isWordByte(c byte) bool { return c >= 'a' && c <= 'z' || c == '_' || c == '.' }

// makeExpression makes the part of a word and the texts behind it. message is
// what is wrong, if anything.
func makeExpression(first string, texts []string) (p part, message string) {
	if first == "" {
		if len(texts) != 1 {
			return p, `the expression is empty, or has more than one text; write one such as {{run.id}}`
		}
		return part{text: texts[0]}, ""
	}
	for i := range words {
		if words[i].text == first {
			p.word = word(i)
		}
	}
	switch rule := &words[p.word]; {
	case p.word == noWord:
		return p, fmt.Sprintf("%s is not known; there are %s", clip(first, 64), joinWords())
	case len(texts) < rule.min:
		return p, fmt.Sprintf(`%s wants a name, such as {{secret "api-token"}}`, first)
	case len(texts) > rule.max:
		return p, fmt.Sprintf("%s has too many texts behind it", first)
	}
	if len(texts) > 0 {
		p.argument = texts[0]
	}
	switch p.word {
	case wordSecret:
		if CheckSecretName(p.argument) != nil {
			return p, "a secret has a name of 1 to 63 lower-case letters, digits, dots, underscores or hyphens that begins with a letter"
		}
	case wordDueAt:
		if message := checkFormat(p.argument); message != "" {
			return p, message
		}
		if len(texts) > 1 {
			zone, err := schedule.LoadZone(texts[1])
			if err != nil {
				return p, fmt.Sprintf("%s is no time zone; write an IANA name such as Asia/Jakarta, or UTC", clip(texts[1], 64))
			}
			p.zone = zone
		}
	}
	return p, ""
}

func joinWords() string {
	var all []string
	for _, w := range words[noWord+1:] {
		all = append(all, w.text)
	}
	return strings.Join(all, ", ")
}

// The formats of an instant that have a name; any other has percent signs.
const (
	formatRFC3339 = "rfc3339" // with milliseconds
	formatDate    = "date"
	formatUnix    = "unix"    // seconds
	formatUnixMS  = "unix_ms" // milliseconds
)

// directives are what may follow a percent sign in a format, as in strftime(3),
// and %L, milliseconds.
var directives = map[byte]func(time.Time) string{
	'Y': func(t time.Time) string { return t.Format("2006") },
	'm': func(t time.Time) string { return t.Format("01") },
	'd': func(t time.Time) string { return t.Format("02") },
	'H': func(t time.Time) string { return t.Format("15") },
	'M': func(t time.Time) string { return t.Format("04") },
	'S': func(t time.Time) string { return t.Format("05") },
	'L': func(t time.Time) string { return t.Format(".000")[1:] },
	'j': func(t time.Time) string { return t.Format("002") },
	'G': func(t time.Time) string { year, _ := t.ISOWeek(); return fmt.Sprintf("%04d", year) },
	'V': func(t time.Time) string { _, week := t.ISOWeek(); return fmt.Sprintf("%02d", week) },
	'u': func(t time.Time) string { return strconv.Itoa((int(t.Weekday())+6)%7 + 1) },
	'z': func(t time.Time) string { return t.Format("-0700") },
	's': func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) },
	'%': func(time.Time) string { return "%" },
}

// checkFormat returns what is wrong with a format; "" is the default.
func checkFormat(format string) (message string) {
	switch format {
	case "", formatRFC3339, formatDate, formatUnix, formatUnixMS:
		return ""
	}
	const known = formatRFC3339 + ", " + formatDate + ", " + formatUnix + ", " + formatUnixMS + ", or one with %Y %m %d %H %M %S %L %j %G %V %u %z %s %%"
	if !strings.Contains(format, "%") {
		return clip(format, 64) + " is no format of an instant; there are " + known
	}
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		if i++; i == len(format) || directives[format[i]] == nil {
			return "the format of an instant has a % that is followed by nothing known; there are " + known
		}
	}
	return ""
}

// appendInstant writes an instant, in its own zone, in a format that checkFormat
// has let pass.
func appendInstant(b []byte, t time.Time, format string) []byte {
	switch format {
	case "", formatRFC3339:
		return t.AppendFormat(b, "2006-01-02T15:04:05.000Z07:00")
	case formatDate:
		return t.AppendFormat(b, "2006-01-02")
	case formatUnix:
		return strconv.AppendInt(b, t.Unix(), 10)
	case formatUnixMS:
		return strconv.AppendInt(b, t.UnixMilli(), 10)
	}
	for i := 0; i < len(format); i++ {
		if format[i] == '%' {
			i++
			b = append(b, directives[format[i]](t)...)
		} else {
			b = append(b, format[i])
		}
	}
	return b
}

// Values are what the templates of a target are filled in with.
type Values struct {
	RunID   string
	Attempt int
	DueAt   time.Time

	zone    *time.Location // of the job
	job     string         // its name
	tags    []string
	ownerID int64
	origin  string // of its target
	secrets []SecretValue
}

// secret returns the secret of that name; OwnerID 0: there is none.
func (v *Values) secret(name string) *SecretValue {
	for i := range v.secrets {
		if v.secrets[i].Name == name {
			return &v.secrets[i]
		}
	}
	return &SecretValue{}
}

// errSecret is why a secret cannot be filled in there, with a code of a
// FieldError. It names the secret and repeats no value.
type errSecret struct {
	code    string
	message string
	at      int // as in part
}

func (e *errSecret) Error() string { return e.message }

// check tells why a secret cannot be used where p is, nil when it can.
func (p *part) check(secret *SecretValue, v *Values) error {
	switch {
	case secret.OwnerID == 0 || secret.OwnerID != v.ownerID:
		return &errSecret{"unknown_secret", "the job's owner has no secret " + p.argument + ": make one of that name, or take it out of the target", p.at}
	case secret.Locked:
		return &errSecret{"locked_secret", "secret " + p.argument + " cannot be opened: send its value again, or give the server the master key that it is sealed with", p.at}
	case !slices.Contains(secret.Origins, v.origin):
		return &errSecret{"secret_origin", fmt.Sprintf("secret %s may not be sent to %s; its origins are %s", p.argument, clip(v.origin, 64), clip(strings.Join(secret.Origins, ", "), 256)), p.at}
	}
	return nil
}

// append adds t, filled in and escaped, to b. It stops, with errTooLong, beyond
// limit bytes.
func (t *template) append(b []byte, v *Values, limit int) (_ []byte, err error) {
	limit += len(b)
	for i := range t.parts {
		switch p := &t.parts[i]; {
		case p.word == noWord:
			b = append(b, p.text...)
		case p.escape == asIs:
			b, err = p.append(b, v)
		default:
			var room [64]byte
			var value []byte
			if value, err = p.append(room[:0], v); p.escape == percent {
				b = appendPercent(b, string(value))
			} else {
				b = appendJSONString(b, string(value))
			}
		}
		if err != nil {
			return b, err
		}
		if len(b) > limit {
			return b, errTooLong
		}
	}
	return b, nil
}

var errTooLong = errors.New("it is too long")

// append adds the value of an expression to b, as it is.
func (p *part) append(b []byte, v *Values) ([]byte, error) {
	switch p.word {
	case wordRunID:
		return append(b, v.RunID...), nil
	case wordAttempt:
		return strconv.AppendInt(b, int64(v.Attempt), 10), nil
	case wordJob:
		return append(b, v.job...), nil
	case wordTags:
		for i, tag := range v.tags {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, tag...)
		}
		return b, nil
	case wordDueAt:
		zone := p.zone
		if zone == nil {
			zone = v.zone
		}
		return appendInstant(b, v.DueAt.In(zone), p.argument), nil
	case wordSecret:
		secret := v.secret(p.argument)
		if err := p.check(secret, v); err != nil {
			return b, err
		}
		return append(b, secret.Value...), nil
	}
	return b, fmt.Errorf("word %d is not known", p.word)
}

// sampleOf is a text as it may be once it is filled in, false when it is no valid
// template.
func sampleOf(text string) (sample string, ok bool) {
	if !hasTemplate(text) {
		return text, true
	}
	t, wrong := parseTemplate(text, asIs)
	if wrong != nil {
		return "", false
	}
	return t.sample(), true
}

// sample is t with a letter in the place of each expression.
func (t *template) sample() string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.word != noWord {
			b.WriteByte('x')
		}
		b.WriteString(p.text)
	}
	return b.String()
}

// EncodedByTemplates are the ways in which templates write a value otherwise than
// as it is.
func EncodedByTemplates(value string) (all [][]byte) {
	for _, b := range [][]byte{appendPercent(nil, value), appendJSONString(nil, value)} {
		if string(b) != value {
			all = append(all, b)
		}
	}
	return all
}

const upperHex = "0123456789ABCDEF"

// appendPercent percent-encodes every byte of s but unreserved characters (RFC
// 3986, sections 2.1 and 2.3): it fits into a segment of a path, a part of a
// query, and a form.
func appendPercent(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~':
			b = append(b, c)
		default:
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return b
}

// appendJSONString escapes s for the inside of a JSON string (RFC 8259, section
// 7). What is not UTF-8 becomes U+FFFD.
func appendJSONString(b []byte, s string) []byte {
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\r':
			b = append(b, '\\', 'r')
		case r == '\t':
			b = append(b, '\\', 't')
		case r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029':
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}
