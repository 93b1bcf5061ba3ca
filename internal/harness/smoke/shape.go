package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// step is one block of commands in README.md, with the output shown below it.
type step struct{ command, output string }

var fence = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// stepsOf returns the blocks of shell commands that use curl, each with the
// block of JSON that follows, if one does before the next commands.
func stepsOf(readme string) []step {
	var steps []step
	for _, block := range fence.FindAllStringSubmatch(readme, -1) {
		language, text := block[1], strings.TrimSpace(block[2])
		switch {
		case language == "sh" && strings.Contains(text, "curl"):
			steps = append(steps, step{command: text})
		case language == "json" && len(steps) > 0 && steps[len(steps)-1].output == "":
			steps[len(steps)-1].output = text
		}
	}
	return steps
}

// linesOf returns the lines of the blocks of plain text: what README.md says
// that the server and the target print.
func linesOf(readme string) []string {
	var lines []string
	for _, block := range fence.FindAllStringSubmatch(readme, -1) {
		if block[1] == "text" {
			lines = append(lines, strings.Split(strings.TrimSuffix(block[2], "\n"), "\n")...)
		}
	}
	return lines
}

var (
	runID  = regexp.MustCompile(`\b[0-9a-v]{29}\b`)
	number = regexp.MustCompile(`[0-9][0-9.:]*((µ|m)?s\b|[a-z]\b)?`)
	data   = regexp.MustCompile(`data \S+`)
)

// formOf is a line without what differs from one time and machine to another.
func formOf(line string) string {
	line = runID.ReplaceAllString(line, "ID")
	line = data.ReplaceAllString(line, "data DIR")
	return number.ReplaceAllString(line, "0")
}

// reads tells whether the command changes nothing: no other method, no body.
func (s step) reads() bool {
	return !strings.Contains(s.command, " -X") && !strings.Contains(s.command, " -d")
}

// title is the line of the command that calls, cut to fit.
func (s step) title() string {
	for line := range strings.Lines(s.command) {
		if strings.Contains(line, "curl") {
			line = strings.TrimSpace(line)
			if len(line) > 90 {
				line = line[:90] + "…"
			}
			return line
		}
	}
	return ""
}

// exact are the members whose values must be the ones shown, not only of their type.
var exact = []string{"success", "status", "message", "path", "state", "name"}

var digits = regexp.MustCompile(`[0-9]`)
var stamp = regexp.MustCompile(`^0000-00-00T00:00:00(\.0+)?Z$`)

// sameShape returns how got differs from what is shown: another member, one
// missing, another type, another form of time, another value of a member in exact.
func sameShape(shown, got string) error {
	var want, have any
	if err := json.Unmarshal([]byte(shown), &want); err != nil {
		return fmt.Errorf("what README.md shows is no JSON: %w", err)
	}
	if err := json.Unmarshal([]byte(got), &have); err != nil {
		return fmt.Errorf("the output is no JSON: %w", err)
	}
	return compare("", want, have)
}

func compare(at string, want, have any) error {
	switch want := want.(type) {
	case map[string]any:
		have, ok := have.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: README.md shows an object", at)
		}
		names, others := slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(have))
		if !slices.Equal(names, others) {
			return fmt.Errorf("%s: README.md shows the members %v, there are %v", at, names, others)
		}
		for _, name := range names {
			if err := compare(at+"."+name, want[name], have[name]); err != nil {
				return err
			}
			if slices.Contains(exact, name) && fmt.Sprint(want[name]) != fmt.Sprint(have[name]) {
				return fmt.Errorf("%s.%s: README.md shows %v, it is %v", at, name, want[name], have[name])
			}
		}
		return nil
	case []any:
		have, ok := have.([]any)
		if !ok || len(have) == 0 && len(want) > 0 {
			return fmt.Errorf("%s: README.md shows a list of %d, it is %v", at, len(want), have)
		}
		for i := range min(len(want), len(have)) {
			if err := compare(fmt.Sprintf("%s[%d]", at, i), want[i], have[i]); err != nil {
				return err
			}
		}
		return nil
	case string:
		have, ok := have.(string)
		if !ok {
			return fmt.Errorf("%s: README.md shows a string", at)
		}
		form := digits.ReplaceAllString(want, "0")
		if stamp.MatchString(form) && digits.ReplaceAllString(have, "0") != form {
			return fmt.Errorf("%s: README.md shows a time such as %s, it is %s", at, want, have)
		}
		return nil
	}
	if fmt.Sprintf("%T", want) != fmt.Sprintf("%T", have) {
		return fmt.Errorf("%s: README.md shows %v, it is %v", at, want, have)
	}
	return nil
}
