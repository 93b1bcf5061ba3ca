package schedule

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Error is one thing that is wrong with a schedule. Field is the path of the
// member, such as "schedules[0].cron"; Code is for programs and never changes
// its meaning; Message is one sentence for people that names what was found,
// what is allowed, and often what was probably meant.
type Error struct{ Field, Code, Message string }

// Error returns the field and the message.
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// The codes of an Error.
const (
	CodeRequired      = "required"       // nothing was given
	CodeConflict      = "conflict"       // more was given than may be together
	CodeTooLong       = "too_long"       // the text is longer than any valid one
	CodeTooMany       = "too_many"       // too many schedules or fields
	CodeTooFew        = "too_few"        // too few fields
	CodeOutOfRange    = "out_of_range"   // a number, an instant or a duration outside its bounds
	CodeInvalid       = "invalid"        // the text is no number, name, duration or time
	CodeUnsupported   = "unsupported"    // a form that other schedulers know and this one refuses
	CodeNeverFires    = "never_fires"    // there is no such instant
	CodeUnknownZone   = "unknown_zone"   // no such name in the zone database
	CodeUnknownOption = "unknown_option" // not one of the values of an option
)

// Errors is a list of at least two things that are wrong.
type Errors []*Error

// Error returns all messages, separated by semicolons.
func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the members, for errors.As.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, err := range e {
		all[i] = err
	}
	return all
}

func errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// maxQuoted is how many bytes of an offending value an error names.
const maxQuoted = 40

// quote returns text in quotes, shortened to maxQuoted bytes, with everything
// that is not printable ASCII escaped, so that look-alike digits show.
func quote(text string) string {
	cut := text
	if len(cut) > maxQuoted {
		cut = cut[:maxQuoted]
		for len(cut) > 0 && !utf8.ValidString(cut) && len(cut) > maxQuoted-utf8.UTFMax {
			cut = cut[:len(cut)-1]
		}
		return fmt.Sprintf("%+q…", cut)
	}
	return fmt.Sprintf("%+q", cut)
}

// nearest returns the one of names that is at most two edits from text
// (without regard to case), or "".
func nearest(text string, names []string) string {
	best, bestDistance := "", 3
	if len(text) > 40 {
		return ""
	}
	text = strings.ToLower(text)
	for _, name := range names {
		if d := len(name) - len(text); d > 2 || d < -2 {
			continue
		}
		limit := min(2, len(name)/2)
		if d := editDistance(text, strings.ToLower(name)); d <= limit && d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions, substitutions and swaps of
// neighbours that turn a into b (optimal string alignment).
func editDistance(a, b string) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
