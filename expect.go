package jadwal

import (
	"bytes"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
)

// Expect is what a target must answer for a run to have succeeded.
//
// Status is a list of statuses, separated by commas: a single one ("204"), a
// range ("200-204") or a class ("2xx"). Empty is "2xx". Body, unless it is
// empty, is a text that the first MaxExpectSearch bytes of the answer must
// hold; between slashes it is a regular expression that they must match (RE2,
// package regexp/syntax).
type Expect struct {
	Status string `json:"status"`
	Body   string `json:"body"`
}

// DefaultStatus is what is expected when nothing else is.
const DefaultStatus = "2xx"

// maxExpectSteps bounds the program of a regular expression: what a search
// costs grows with its length times that of the answer.
const maxExpectSteps = 500

// check returns everything that is wrong with e.
func (e Expect) check() (wrong []FieldError) {
	if _, ok := e.ranges(); !ok || len(e.Status) > MaxExpectStatus {
		wrong = append(wrong, *fieldError("target.expect.status", "invalid",
			"target.expect.status must be statuses from 100 to 599, separated by commas, such as 2xx or 200-204,404, in at most %d bytes", MaxExpectStatus))
	}
	text, isPattern := e.pattern()
	switch {
	case len(e.Body) > MaxExpectBody:
		wrong = append(wrong, *fieldError("target.expect.body", "too_long", "target.expect.body must have at most %d bytes, got %d", MaxExpectBody, len(e.Body)))
	case isPattern:
		if parsed, err := syntax.Parse(text, syntax.Perl); err != nil {
			wrong = append(wrong, *fieldError("target.expect.body", "invalid", "target.expect.body is between slashes and no regular expression: %s", reasonOf(err)))
		} else if program, err := syntax.Compile(parsed.Simplify()); err != nil || len(program.Inst) > maxExpectSteps {
			wrong = append(wrong, *fieldError("target.expect.body", "invalid", "target.expect.body is too costly a regular expression; repeat less"))
		}
	}
	return wrong
}

// reasonOf is what is wrong with a regular expression, without repeating it.
func reasonOf(err error) string {
	if e, ok := err.(*syntax.Error); ok {
		return e.Code.String()
	}
	return "it is not understood"
}

// HasStatus tells whether a status is expected.
func (e Expect) HasStatus(code int) bool {
	if e.Status == "" || e.Status == DefaultStatus {
		return code >= 200 && code <= 299
	}
	ranges, _ := e.ranges()
	for _, r := range ranges {
		if code >= r[0] && code <= r[1] {
			return true
		}
	}
	return false
}

// HasBody tells whether the beginning of an answer is as expected.
func (e Expect) HasBody(answer []byte) bool {
	text, isPattern := e.pattern()
	if !isPattern {
		return bytes.Contains(answer, []byte(e.Body))
	}
	re, err := regexp.Compile(text)
	return err == nil && re.Match(answer)
}

// pattern returns what stands between slashes, false when e.Body is a text.
func (e Expect) pattern() (string, bool) {
	if len(e.Body) < 3 || e.Body[0] != '/' || e.Body[len(e.Body)-1] != '/' {
		return "", false
	}
	return e.Body[1 : len(e.Body)-1], true
}

// ranges are the statuses of e, from and to; false when they cannot be read.
func (e Expect) ranges() (all [][2]int, ok bool) {
	for part := range strings.SplitSeq(e.Status, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		if class, isClass := strings.CutSuffix(part, "xx"); isClass && !isRange {
			from, to = class+"00", class+"99"
		}
		low, lowOK := status(from)
		high, highOK := status(to)
		if !lowOK || !highOK || low > high {
			return nil, false
		}
		all = append(all, [2]int{low, high})
	}
	return all, true
}

func status(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil && len(s) == 3 && n >= 100 && n <= 599
}
