package schedule

import (
	"testing"
	"time"
)

func TestCalendarAgreesWithTimeOnEveryDay(t *testing.T) {
	day := dayOf(1, 1, 1)
	for at := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 10000; at = at.AddDate(0, 0, 1) {
		y, m, d := civil(day)
		if y != at.Year() || m != int(at.Month()) || d != at.Day() {
			t.Fatalf("civil(%d) = %d-%d-%d, want %s", day, y, m, d, at.Format(time.DateOnly))
		}
		if got := dayOf(y, m, d); got != day {
			t.Fatalf("dayOf(%d, %d, %d) = %d, want %d", y, m, d, got, day)
		}
		if got := weekday(day); got != int(at.Weekday()) {
			t.Fatalf("weekday(%d) = %d, want %d", day, got, at.Weekday())
		}
		if last := time.Date(y, time.Month(m)+1, 0, 0, 0, 0, 0, time.UTC).Day(); last != daysIn(y, m) {
			t.Fatalf("daysIn(%d, %d) = %d, want %d", y, m, daysIn(y, m), last)
		}
		day++
	}
	if day != maxUnix/secondsPerDay+1 {
		t.Fatalf("the last day is %d, maxUnix says %d", day-1, maxUnix/secondsPerDay)
	}
}
