package rrule

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestTheReferenceIsTrue checks each example of the reference page: the fence
// may name an anchor and a zone, each "=>" is the next occurrence.
func TestTheReferenceIsTrue(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/rrule.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for i, block := range strings.Split(string(page), "```rrule")[1:] {
		block, _, _ = strings.Cut(block, "```")
		head, body, _ := strings.Cut(block, "\n")
		zone, begin := time.UTC, time.Time{}
		if fields := strings.Fields(head); len(fields) == 2 {
			zone = mustZone(t, fields[1])
			if begin, err = time.ParseInLocation("2006-01-02T15:04:05", fields[0], zone); err != nil {
				t.Fatal(err)
			}
		}
		text, answers, _ := strings.Cut(body, "\n=> ")
		rule, err := Parse(text, zone, begin, "", "")
		if err != nil {
			t.Fatalf("example %d: %v", i+1, err)
		}
		at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
		for want := range strings.SplitSeq(strings.TrimSpace(answers), "\n=> ") {
			next, ok := rule.Next(at)
			if want == "end" {
				if ok {
					t.Errorf("example %d goes on with %v", i+1, next)
				}
				break
			}
			if got := next.In(rule.place.zone).Format(time.RFC3339); !ok || got != want {
				t.Fatalf("example %d: after %v comes %s, %v; want %s", i+1, at, got, ok, want)
			}
			at = next
			checked++
		}
	}
	if checked < 20 {
		t.Errorf("only %d occurrences were checked", checked)
	}
	// The table of parts follows the code.
	for _, part := range listParts {
		limits := fmt.Sprintf("%d to %d", part.low, part.high)
		if !strings.Contains(string(page), "`"+part.name+"`") || !strings.Contains(string(page), limits) {
			t.Errorf("the page does not say that %s is %s", part.name, limits)
		}
	}
	for _, limit := range []int{maxCount, maxInterval, maxList, maxText} {
		if !strings.Contains(string(page), fmt.Sprint(limit)) {
			t.Errorf("the page does not say the limit %d", limit)
		}
	}
}
