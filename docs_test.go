package jadwal

import (
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestFiringPage checks the tables of docs/explanation/firing.md: what it says
// of states, reasons and examples is what this package does.
func TestFiringPage(t *testing.T) {
	text, err := os.ReadFile("docs/explanation/firing.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := map[string]int{}
	states, reasons := map[RunState]bool{}, map[Reason]bool{}
	header := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			header = ""
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		switch {
		case header == "":
			header = cells[0] + "|" + cells[1]
			continue
		case strings.HasPrefix(cells[0], "---"):
			continue
		}
		checked[header]++
		switch header {
		case "state|final":
			state := RunState(cells[0])
			states[state] = true
			if (cells[1] == "yes") != state.Final() {
				t.Errorf("%s: final is %s", state, cells[1])
			}
		case "state|reason":
			reasons[Reason(cells[1])] = true
			if !states[RunState(cells[0])] {
				t.Errorf("%s is no state", cells[0])
			}
		case "definition|besides":
			checkFiringExample(t, cells[0], cells[1], cells[2], cells[3], cells[4])
		case "attempt that failed|next one after":
			checkBackoffExample(t, cells[0], cells[1])
		case "status that is expected|as expected":
			checkStatusExample(t, cells[0], cells[1], true)
			checkStatusExample(t, cells[0], cells[2], false)
		default:
			checked[header]--
		}
	}
	if checked["definition|besides"] < 20 || checked["attempt that failed|next one after"] < 5 || checked["status that is expected|as expected"] < 3 {
		t.Errorf("too little was checked: %v", checked)
	}
	source, err := os.ReadFile("run.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := func(typ string) (all []string) {
		for _, m := range regexp.MustCompile(`(?m)^\t\w+ +`+typ+` += "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
			all = append(all, m[1])
		}
		return all
	}
	for _, s := range declared("RunState") {
		if !states[RunState(s)] {
			t.Errorf("state %s is not on the page", s)
		}
		delete(states, RunState(s))
	}
	for _, r := range declared("Reason") {
		// Commands have no target yet.
		if !reasons[Reason(r)] && r != string(ReasonExitStatus) {
			t.Errorf("reason %s is not on the page", r)
		}
		delete(reasons, Reason(r))
	}
	if len(states)+len(reasons) > 0 {
		t.Errorf("there are no %v, %v", states, reasons)
	}
}

func checkFiringExample(t *testing.T, policy, besides, next, now, want string) {
	t.Helper()
	var rest string
	var others []string
	for word := range strings.FieldsSeq(besides) {
		if span, ok := strings.CutPrefix(word, "rest="); ok {
			rest = span
		} else {
			others = append(others, word)
		}
	}
	r := rules(t, minutely(t), policy)
	d := r.Fire(standing(t, next, strings.Join(others, " ")), clock(t, now))
	if rest != "" {
		from, to, _ := strings.Cut(rest, "-")
		d.Stretches = Rested(r.Plan, d.Stretches, clock(t, from), clock(t, to))
	}
	got := tell(d.Stretches, d.Queue, d.Start, d.Replace)
	if d.Next.IsZero() {
		got += ", and none after it"
	}
	if got != want {
		t.Errorf("%s, %s, next %s, at %s: %s", policy, besides, next, now, got)
	}
}

func checkBackoffExample(t *testing.T, attempt, want string) {
	t.Helper()
	low, high, _ := strings.Cut(want, " to ")
	least, err1 := time.ParseDuration(low)
	most, err2 := time.ParseDuration(high)
	n, err3 := strconv.Atoi(attempt)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatalf("%s, %s cannot be read", attempt, want)
	}
	policy := DefaultRetry
	policy.MaxAttempts = MaxAttempts
	now := clock(t, "12:00")
	shortest, longest := most, least
	for id := range int64(2000) {
		at, ok := policy.Next(RunKey{JobID: id + 1}, n, 0, now, now)
		wait := at.Sub(now)
		if !ok || wait < least-time.Millisecond || wait > most {
			t.Fatalf("after attempt %d: %s, %v; the page says %s", n, wait, ok, want)
		}
		shortest, longest = min(shortest, wait), max(longest, wait)
	}
	if spread := most - least; shortest > least+spread/50 || longest < most-spread/50 {
		t.Errorf("after attempt %d: %s to %s; the page says %s", n, shortest, longest, want)
	}
}

func checkStatusExample(t *testing.T, status, codes string, want bool) {
	t.Helper()
	for code := range strings.SplitSeq(codes, ", ") {
		n, err := strconv.Atoi(code)
		if err != nil {
			t.Fatal(err)
		}
		if got := (Expect{Status: status}).HasStatus(n); got != want {
			t.Errorf("%s: %d is %v", status, n, got)
		}
	}
}

// TestJobPage holds that docs/reference/job.md tells of each member of a
// definition.
func TestJobPage(t *testing.T) {
	text, err := os.ReadFile("docs/reference/job.md")
	if err != nil {
		t.Fatal(err)
	}
	for f := range reflect.TypeFor[Definition]().Fields() {
		if name := f.Tag.Get("json"); !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("it tells nothing of %s", name)
		}
	}
}
