package schedule

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// refuse tries to compile one member and returns the error.
func refuse(member, text string, zone *time.Location, dst DST) *Error {
	spec := Spec{}
	switch member {
	case "cron":
		spec.Cron = text
	case "every":
		spec.Every = text
	case "at":
		spec.At = text
	case "rrule":
		spec.RRule = text
	case "zone":
		_, err := LoadZone(text)
		if err == nil {
			return nil
		}
		return asError(err)
	}
	_, err := Compile(Config{Specs: []Spec{spec}, Zone: zone, DST: dst})
	if err == nil {
		return nil
	}
	return asError(err)
}

// TestRefusals reads testdata/refused.txt: on each line a member and a quoted
// text, on the next, indented, the code and the message it is refused with.
func TestRefusals(t *testing.T) {
	const file = "testdata/refused.txt"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	berlin := mustZone(t, "Europe/Berlin")
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	var out strings.Builder
	cases, codes := 0, map[string]int{}
	for i := 0; i < len(lines); i++ {
		member, quoted, _ := strings.Cut(lines[i], " ")
		text, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("%s:%d: %v", file, i+1, err)
		}
		want := ""
		if i+1 < len(lines) && strings.HasPrefix(lines[i+1], "\t") {
			i++
			want = lines[i][1:]
		}
		e := refuse(member, text, berlin, DST{Gap: GapSkip})
		if e == nil {
			t.Errorf("%s %s is not refused", member, quoted)
			continue
		}
		got := e.Code + ": " + e.Message
		if got != want && !*update {
			t.Errorf("%s %s\n got %s\nwant %s", member, quoted, got, want)
		}
		if e.Message == "" || strings.ToLower(e.Message[:1]) != e.Message[:1] || len(e.Message) > 400 {
			t.Errorf("%s %s: a message is lower-case and short: %s", member, quoted, e.Message)
		}
		cases++
		codes[e.Code]++
		fmt.Fprintf(&out, "%s %s\n\t%s\n", member, quoted, got)
	}
	t.Logf("%d refusals: %v", cases, codes)
	if cases < 200 {
		t.Errorf("only %d refusals", cases)
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHugeInputIsRefusedAtOnce(t *testing.T) {
	huge := strings.Repeat("1,", 500_000)
	for _, member := range []string{"cron", "every", "at", "zone"} {
		t.Run(member+" of a million characters", func(t *testing.T) {
			const times = 50
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range times {
				if e := refuse(member, huge, nil, DST{}); e == nil || len(e.Message) > 200 {
					t.Fatalf("got %v", e)
				}
			}
			runtime.ReadMemStats(&after)
			if bytes := (after.TotalAlloc - before.TotalAlloc) / times; bytes > 4096 {
				t.Errorf("%d bytes allocated", bytes)
			}
		})
	}
}
