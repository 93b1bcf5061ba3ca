package api

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/teknohole/jadwal"
)

// maxDepth is how deep objects and arrays of a body may be nested.
const maxDepth = 64

// maxNamed is how many bytes of an offending value an error names.
const maxNamed = 64

// preset is a body with values for members that are left out.
type preset interface{ preset() }

// nulls says what a null member means.
type nulls int

const (
	nullsRefused nulls = iota // a wrong type
	nullsRemove               // in a merge patch: back to the default
)

// readJSON reads a body strictly (RFC 8259 without its leniencies: no unknown
// and no duplicate member, names in their exact case, UTF-8 without a byte
// order mark, nothing after the value) into a pointer to a struct. The error
// names each member that is wrong, such as "schedules[0].cron"; it never repeats
// the body.
func readJSON(body []byte, into any, null nulls) error {
	switch {
	case bytes.HasPrefix(body, []byte("\xef\xbb\xbf")):
		return malformed("the body begins with a byte order mark; send UTF-8 without one")
	case !utf8.Valid(body):
		return malformed("the body is not valid UTF-8")
	case !within(body, maxDepth):
		return malformed("the body is nested deeper than %d levels", maxDepth)
	case len(bytes.TrimLeft(body, " \t\r\n")) == 0:
		return malformed("the body is empty; send a JSON object")
	}
	if p, ok := into.(preset); ok {
		p.preset()
	}
	read := refuseNulls
	if null == nullsRemove {
		read = skipNulls
	}
	err := json.Unmarshal(body, into, json.RejectUnknownMembers(true), json.WithUnmarshalers(read))
	if err != nil {
		return explainAll(err, body, reflect.TypeOf(into).Elem(), null)
	}
	return nil
}

func malformed(format string, args ...any) error {
	return jadwal.Errorf(jadwal.CodeMalformed, format, args...)
}

// within tells whether no value of a JSON text is nested deeper than limit. It
// counts brackets outside of strings; whether the text is JSON is for others.
func within(text []byte, limit int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return false
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return true
}

// A nullError is a null where a value of a type is needed.
type nullError struct{ want reflect.Type }

func (e *nullError) Error() string { return "null" }

// readNull reads a null that must not be there, v being what it would go to.
func readNull(dec *jsontext.Decoder, v any) error {
	if _, err := dec.ReadToken(); err != nil {
		return err // something else that begins with n
	}
	return &nullError{reflect.TypeOf(v).Elem()}
}

// isNull tells whether a null comes next, and is not for a value that may be
// one: of an instant or a duration that need not be there it means that there
// is none.
func isNull(dec *jsontext.Decoder, v any) bool {
	switch v.(type) {
	case *jadwal.RawJSON, *jsontext.Value, *expiry, **instant, **jadwal.Duration:
		return false
	}
	return dec.PeekKind() == 'n'
}

// refuseNulls reads no null except into a value that may be one.
var refuseNulls = json.UnmarshalFromFunc(func(dec *jsontext.Decoder, v any) error {
	if !isNull(dec, v) {
		return errors.ErrUnsupported
	}
	return readNull(dec, v)
})

// skipNulls leaves a member that is null as it is. The elements of an array are
// no members.
var skipNulls = json.UnmarshalFromFunc(func(dec *jsontext.Decoder, v any) error {
	if !isNull(dec, v) {
		return errors.ErrUnsupported
	}
	if kind, _ := dec.StackIndex(dec.StackDepth()); kind != '{' {
		return readNull(dec, v)
	}
	_, err := dec.ReadToken()
	return err
})

// explain turns an error of the JSON package into ours: which member, what is
// wrong with it, and what was probably meant.
func explain(err error) error {
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(e.Err, jsontext.ErrDuplicateName) {
			name := clip(e.JSONPointer.LastToken())
			return jadwal.Invalid(fieldPath(e.JSONPointer), "duplicate", "member %q is there twice", name)
		}
		return malformed("the body is not valid JSON: see byte %d", e.ByteOffset)
	}
	e, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		return fmt.Errorf("json: %w", err)
	}
	field := fieldPath(e.JSONPointer)
	null, _ := errors.AsType[*nullError](e.Err)
	switch {
	case errors.Is(e.Err, json.ErrUnknownName):
		name := clip(e.JSONPointer.LastToken())
		if place := placeOf(name, e.GoType); place != "" {
			return jadwal.Invalid(field, "unknown", "unknown member %q; did you mean %q?", name, place)
		}
		return jadwal.Invalid(field, "unknown", "unknown member %q%s", name, suggest(name, members(e.GoType)))
	case field == "" && null != nil:
		return malformed("the body must be a JSON object, got null")
	case field == "":
		return malformed("the body must be a JSON object, got %s", kindName(e.JSONKind))
	case null != nil:
		return jadwal.Invalid(field, "wrong_type", "%s must be %s, got null", field, typeName(null.want))
	case errors.Is(e.Err, strconv.ErrRange):
		return jadwal.Invalid(field, "out_of_range", "%s is out of range", field)
	case e.JSONKind == goKind(e.GoType) && e.Err != nil && isText(e.GoType):
		return jadwal.Invalid(field, "invalid", "%s is not valid: %s", field, e.Err)
	}
	return jadwal.Invalid(field, "wrong_type", "%s must be %s, got %s", field, typeName(e.GoType), kindName(e.JSONKind))
}

// fieldPath writes a JSON pointer (RFC 6901) as people do: "schedules[0].cron".
func fieldPath(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		if _, err := strconv.ParseUint(token, 10, 32); err == nil {
			b.WriteString("[" + token + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(clip(token))
		if b.Len() > 4*maxNamed {
			break
		}
	}
	return b.String()
}

// clip is the beginning of s, of at most maxNamed bytes.
func clip(s string) string {
	if len(s) <= maxNamed {
		return s
	}
	cut := maxNamed
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	}
	return "something else"
}

var textType = reflect.TypeFor[encoding.TextUnmarshaler]()

func isText(t reflect.Type) bool { return t != nil && reflect.PointerTo(t).Implements(textType) }

// goKind is the kind of JSON value that a Go type is read from.
func goKind(t reflect.Type) jsontext.Kind {
	switch {
	case t == nil:
		return 0
	case isText(t):
		return '"'
	}
	switch t.Kind() {
	case reflect.Pointer:
		return goKind(t.Elem())
	case reflect.String:
		return '"'
	case reflect.Bool:
		return 't'
	case reflect.Int, reflect.Int64, reflect.Float64:
		return '0'
	case reflect.Slice:
		return '['
	}
	return '{'
}

func typeName(t reflect.Type) string {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch kind := goKind(t); {
	case t == reflect.TypeFor[jadwal.Duration]():
		return `a string such as "90s"`
	case t == reflect.TypeFor[instant]():
		return `a string such as "2026-12-31T23:00:00Z"`
	case kind == 't':
		return "true or false"
	case kind == '0' && t.Kind() != reflect.Float64:
		return "a whole number"
	default:
		return kindName(kind)
	}
}

// members are the names that an object of a struct type may have.
func members(t reflect.Type) []string {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for f := range t.Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// placeOf is where a name belongs that is a member one level further down in a
// struct type, such as "schedules[0].cron"; "" when it is none.
func placeOf(name string, t reflect.Type) string {
	if len(members(t)) == 0 {
		return ""
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for f := range t.Fields() {
		outer, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := f.Type
		if inner.Kind() == reflect.Slice {
			inner, outer = inner.Elem(), outer+"[0]"
		}
		if slices.Contains(members(inner), name) {
			return outer + "." + name
		}
	}
	return ""
}

// suggest is the end of an error about an unknown name: the one that was
// probably meant, else all that there are.
func suggest(got string, names []string) string {
	best, bestAt := "", 3
	for _, name := range names {
		d := distance(strings.ToLower(got), name)
		if d < bestAt && d < len(name) {
			best, bestAt = name, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %q?", best)
	case len(names) == 0:
		return ""
	case len(names) == 1:
		return "; there is only " + names[0]
	}
	return "; there are " + strings.Join(names, ", ")
}

// distance is how many letters must be put in, taken out or changed to make a
// into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
