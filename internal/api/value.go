package api

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/teknohole/jadwal"
)

// stamp is a time in an answer: ISO 8601, UTC, always six decimals.
type stamp time.Time

func (t stamp) append(b []byte) []byte {
	u := time.Time(t).UTC()
	return append(appendDigits(append(appendSecond(b, u), '.'), u.Nanosecond()/1000, 6), 'Z')
}

// appendSecond appends the date and the time of day of a UTC time in the years
// 0 to 9999, as "2006-01-02T15:04:05" formats it, in a fifth of the time.
func appendSecond(b []byte, t time.Time) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = append(appendDigits(b, year, 4), '-')
	b = append(appendDigits(b, int(month), 2), '-')
	b = append(appendDigits(b, day, 2), 'T')
	b = append(appendDigits(b, hour, 2), ':')
	b = append(appendDigits(b, minute, 2), ':')
	return appendDigits(b, second, 2)
}

// appendDigits appends the last width digits of n, at most 6 of them.
func appendDigits(b []byte, n, width int) []byte {
	var digits [6]byte
	for i := width - 1; i >= 0; i-- {
		digits[i] = byte('0' + n%10)
		n /= 10
	}
	return append(b, digits[:width]...)
}

// MarshalText writes t for the JSON package.
func (t stamp) MarshalText() ([]byte, error) { return t.append(nil), nil }

// stampOf is t, nil for the zero time.
func stampOf(t time.Time) *stamp {
	if t.IsZero() {
		return nil
	}
	s := stamp(t)
	return &s
}

// id is the id of a user in a path, decimal as the server writes it. One that
// is too large for any user stands for the largest there can be, which is
// never given out.
type id int64

func (v *id) read(name, text string) error {
	n, ok := parseID(text)
	if !ok {
		return jadwal.Invalid(name, "invalid", "%s must be a decimal number without sign or leading zeros", name)
	}
	*v = id(n)
	return nil
}

// parseID reads digits without a leading zero.
func parseID(text string) (int64, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" || text[0] == '0' && len(text) > 1 {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		n = math.MaxInt64
	}
	return n, true
}

// ofUser is the id of a user in a parameter; 0: none was given.
type ofUser int64

func (v *ofUser) read(name, text string) error {
	if err := (*id)(v).read(name, text); err != nil {
		return err
	}
	if *v == 0 {
		*v = math.MaxInt64 // there is no such user either
	}
	return nil
}

// ofOwner is the id of the user whose jobs are asked for; 0: none was given.
type ofOwner int64

func (v *ofOwner) read(name, text string) error { return (*ofUser)(v).read(name, text) }

// sessionRef is the id of a session in a path.
type sessionRef int64

func (v *sessionRef) read(name, text string) error {
	n, ok := parseID(text)
	if !ok {
		return jadwal.Invalid(name, "invalid", "%s must be the id of a session, a decimal number", name)
	}
	*v = sessionRef(n)
	return nil
}

// keyRef is the id of an API key in a path.
type keyRef int64

func (v *keyRef) read(name, text string) error {
	n, ok := jadwal.ParseKeyID(text)
	if !ok {
		return jadwal.Invalid(name, "invalid", "%s must be the id of an API key, 11 digits and letters", name)
	}
	*v = keyRef(n)
	return nil
}

// signatureRef is the id of a signature key in a path.
type signatureRef int64

func (v *signatureRef) read(name, text string) error {
	n, ok := jadwal.ParseKeyID(text)
	if !ok {
		return jadwal.Invalid(name, "invalid", "%s must be the id of a signature key, 11 digits and letters", name)
	}
	*v = signatureRef(n)
	return nil
}

// named is something in a path: its id, or the caller's own name for it.
type named struct {
	id   int64
	name string // "": the id counts
}

// readAs reads v, which is a thing with names that check finds nothing wrong
// with.
func (v *named) readAs(thing string, check func(string) *jadwal.FieldError, name, text string) error {
	if n, ok := parseID(text); ok {
		v.id = n
		return nil
	}
	if check(text) != nil {
		return jadwal.Invalid(name, "invalid", "%s must be the id or the name of %s", name, thing)
	}
	v.name = text
	return nil
}

// jobRef is a job in a path.
type jobRef struct{ named }

func (v *jobRef) read(name, text string) error {
	return v.readAs("a job", jadwal.CheckJobName, name, text)
}

// secretRef is a secret in a path.
type secretRef struct{ named }

func (v *secretRef) read(name, text string) error {
	return v.readAs("a secret", jadwal.CheckSecretName, name, text)
}

// runRef is the id of a run, as the server writes it.
type runRef jadwal.RunKey

func (v *runRef) read(name, text string) error {
	key, ok := jadwal.ParseRunID(text)
	if !ok {
		return jadwal.Invalid(name, "invalid", "%s is not the id of a run", name)
	}
	*v = runRef(key)
	return nil
}

// limit is how many elements a page of a list has at most.
type limit int

func (v *limit) read(name, text string) error {
	n, ok := parseID(text)
	if !ok || n < 1 || n > jadwal.MaxPage {
		return jadwal.Invalid(name, "out_of_range", "%s must be a number from 1 to %d", name, jadwal.MaxPage)
	}
	*v = limit(n)
	return nil
}

// size is the limit, or the default where none was given.
func (v limit) size() int {
	if v == 0 {
		return jadwal.DefaultPage
	}
	return int(v)
}

// occurrence is how many occurrences are asked for.
type occurrence int

func (v *occurrence) read(name, text string) error {
	n, ok := parseID(text)
	if !ok || n < 1 || n > jadwal.MaxPreview {
		return jadwal.Invalid(name, "out_of_range", "%s must be a number from 1 to %d", name, jadwal.MaxPreview)
	}
	*v = occurrence(n)
	return nil
}

func (v occurrence) size() int {
	if v == 0 {
		return defaultOccurrences
	}
	return int(v)
}

// defaultOccurrences is how many there are unless another number is asked for.
const defaultOccurrences = 10

// queryTime is an instant in a parameter: RFC 3339.
type queryTime time.Time

func (v *queryTime) read(name, text string) error {
	var at instant
	if err := at.UnmarshalText([]byte(text)); err != nil {
		return jadwal.Invalid(name, "invalid", "%s must be an instant such as 2026-12-31T23:00:00Z; write + as %%2B", name)
	}
	*v = queryTime(at)
	return nil
}

// or is the instant that was given, or another one.
func (v queryTime) or(other time.Time) time.Time {
	if t := time.Time(v); !t.IsZero() {
		return t
	}
	return other
}

// requiredTime is a queryTime that must be there.
type requiredTime time.Time

func (v *requiredTime) read(name, text string) error { return (*queryTime)(v).read(name, text) }

// versionRef is the number of a job's version.
type versionRef int64

func (v *versionRef) read(name, text string) error {
	n, ok := parseID(text)
	if !ok || n == 0 {
		return jadwal.Invalid(name, "invalid", "%s must be the number of a version, from 1", name)
	}
	*v = versionRef(n)
	return nil
}

// boolean is a parameter that is true or false.
type boolean bool

func (v *boolean) read(name, text string) error {
	switch text {
	case "true":
		*v = true
	case "false":
		*v = false
	default:
		return jadwal.Invalid(name, "invalid", "%s must be true or false", name)
	}
	return nil
}

// after is where a page of a list by id begins: after that id.
type after int64

func (v *after) read(name, text string) error {
	n, ok := parseID(text)
	if !ok || n == math.MaxInt64 {
		return jadwal.Invalid(name, "invalid", "%s must be one that a Link header gave", name)
	}
	*v = after(n)
	return nil
}

// before is where a page of runs, newest first, begins: before that run.
type before jadwal.RunKey

func (v *before) read(name, text string) error {
	key, ok := jadwal.ParseRunID(text)
	if !ok {
		return jadwal.Invalid(name, "invalid", "%s must be one that a Link header gave", name)
	}
	*v = before(key)
	return nil
}

// The lists of words that runs are filtered by, separated by commas.
type (
	runStates   []jadwal.RunState
	runReasons  []jadwal.Reason
	runTriggers []jadwal.Trigger
)

func (v *runStates) read(name, text string) (err error) {
	*v, err = readWords(name, text, jadwal.RunStates)
	return err
}

func (v *runReasons) read(name, text string) (err error) {
	*v, err = readWords(name, text, jadwal.Reasons)
	return err
}

func (v *runTriggers) read(name, text string) (err error) {
	*v, err = readWords(name, text, jadwal.Triggers)
	return err
}

// jobStates are states that jobs are filtered by, separated by commas.
type jobStates []jadwal.JobState

func (v *jobStates) read(name, text string) (err error) {
	*v, err = readWords(name, text, jadwal.JobStates)
	return err
}

// jobTags are tags that jobs are filtered by, separated by commas.
type jobTags []string

func (v *jobTags) read(name, text string) error {
	for tag := range strings.SplitSeq(text, ",") {
		switch {
		case !jadwal.ValidTag(tag):
			return jadwal.Invalid(name, "invalid", "%s must be tags such as billing, separated by commas", name)
		case slices.Contains(*v, tag):
			return jadwal.Invalid(name, "duplicate", "%s has %s twice", name, tag)
		case len(*v) == jadwal.MaxTags:
			return jadwal.Invalid(name, "too_many", "%s has at most %d tags, as a job has", name, jadwal.MaxTags)
		}
		*v = append(*v, tag)
	}
	return nil
}

// readWords reads words of a list that are known.
func readWords[T ~string](name, text string, known []T) (all []T, err error) {
	for word := range strings.SplitSeq(text, ",") {
		switch {
		case !slices.Contains(known, T(word)):
			return nil, jadwal.Invalid(name, "invalid", "%s must be of %s, separated by commas", name, join(known))
		case slices.Contains(all, T(word)):
			return nil, jadwal.Invalid(name, "duplicate", "%s has %s twice", name, word)
		}
		all = append(all, T(word))
	}
	return all, nil
}

func join[T ~string](words []T) string {
	var b strings.Builder
	for i, word := range words {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(word))
	}
	return b.String()
}

// precondition is an If-Match header (RFC 9110, section 13.1.1): the versions
// that the caller means to change.
type precondition struct {
	given    bool
	any      bool
	versions []int64
}

func (v *precondition) read(name, text string) error {
	v.given = true
	if text == "*" {
		v.any = true
		return nil
	}
	for rest := text; ; {
		tag, more, ok := cutEntityTag(strings.Trim(rest, " \t"))
		if !ok {
			return jadwal.Invalid(name, "invalid", `%s must be an ETag that the server gave, such as "3"`, name)
		}
		if n, ok := parseID(tag); ok {
			v.versions = append(v.versions, n)
		}
		more = strings.TrimLeft(more, " \t")
		if more == "" {
			return nil
		}
		rest, ok = strings.CutPrefix(more, ",")
		if !ok {
			return jadwal.Invalid(name, "invalid", `%s must be a list of ETags, such as "3", "4"`, name)
		}
	}
}

// onlyNew is an If-None-Match header (RFC 9110, section 13.1.2) of "*": the
// caller means to create.
type onlyNew bool

func (v *onlyNew) read(name, text string) error {
	if text != "*" {
		return jadwal.Invalid(name, "invalid", "%s must be *, which means that there is no such job yet", name)
	}
	*v = true
	return nil
}

// cutEntityTag cuts an entity tag (RFC 9110, section 8.8.3) off the beginning
// of s. A weak one never matches: its opaque part is returned as "".
func cutEntityTag(s string) (tag, rest string, ok bool) {
	s, weak := strings.CutPrefix(s, "W/")
	s, ok = strings.CutPrefix(s, `"`)
	if !ok {
		return "", "", false
	}
	tag, rest, ok = strings.Cut(s, `"`)
	if weak {
		tag = ""
	}
	return tag, rest, ok
}

// allows tells whether a resource at version may be changed.
func (v *precondition) allows(version int64) bool {
	if !v.given || v.any {
		return true
	}
	for _, n := range v.versions {
		if n == version {
			return true
		}
	}
	return false
}

// etag is the ETag of a resource at version.
func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }
