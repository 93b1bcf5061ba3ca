package jadwal

import (
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	start := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	now := start
	m := NewMeter[string](PerMinute(6))
	take := func(who string, want bool, left int, next, full time.Duration) {
		t.Helper()
		a, ok := m.Take(who, now)
		if expect := (Allowance{left, next, full}); ok != want || a != expect {
			t.Errorf("at %s: got %+v, %v, want %+v, %v", now.Sub(start), a, ok, expect, want)
		}
	}
	for left := 5; left > 0; left-- { // all at once
		take("ani", true, left, 0, time.Duration(6-left)*10*time.Second)
	}
	take("ani", true, 0, 10*time.Second, time.Minute)
	take("ani", false, 0, 10*time.Second, time.Minute)
	take("budi", true, 5, 0, 10*time.Second) // everybody has a quota of their own
	now = now.Add(10*time.Second - 1)
	take("ani", false, 0, 1, 50*time.Second+1)
	now = now.Add(1)
	take("ani", true, 0, 10*time.Second, time.Minute) // one comes back each tenth second
	now = now.Add(time.Hour)
	take("ani", true, 5, 0, 10*time.Second) // and never more than all
	if a := m.Count("ani", 100, now); a != (Allowance{0, 10 * time.Second, time.Minute}) {
		t.Errorf("more than there is left is not forgiven: %+v", a)
	}
	now = now.Add(-time.Hour) // the clock is set back
	if a := m.Left("ani", now); a.Full > time.Minute {
		t.Errorf("it takes %s", a.Full)
	}
}

func TestANilMeterStandsForNoLimit(t *testing.T) {
	if NewMeter[int](PerMinute(0)) != nil {
		t.Error("a quota of nothing lets nobody do anything")
	}
}

// Over any stretch of time nobody gets more than the quota and what has come
// back meanwhile, at a quota that does not divide the window evenly.
func TestNobodyGetsMoreThanTheQuota(t *testing.T) {
	for _, most := range []int{1, 7, 60, 999} {
		m := NewMeter[int](PerMinute(most))
		now, taken := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC), 0
		for range 100_000 {
			if _, ok := m.Take(1, now); ok {
				taken++
			}
			now = now.Add(3 * time.Millisecond) // five minutes in all
		}
		if want := 6 * most; taken < want-1 || taken > want+1 {
			t.Errorf("%d a minute: %d in five minutes", most, taken)
		}
	}
}

func TestAMeterForgetsWhoOwesNothing(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	m := NewMeter[int](PerMinute(10))
	m.maxRemembered = 1000
	t.Run("a crowd is bounded", func(t *testing.T) {
		for i := range 100_000 {
			m.Count(i, 1, now)
			if n := len(m.newer) + len(m.older); n > 2*m.maxRemembered {
				t.Fatalf("%d are remembered", n)
			}
		}
	})
	t.Run("what is old is gone", func(t *testing.T) {
		for range 3 {
			now = now.Add(time.Minute)
			m.Count(1, 1, now)
		}
		if n := len(m.newer) + len(m.older); n != 2 {
			t.Errorf("%d are remembered", n)
		}
	})
	t.Run("what is owed is not forgotten in between", func(t *testing.T) {
		m.Count(2, 10, now)
		for i := range 119 { // the generations turn
			now = now.Add(500 * time.Millisecond)
			m.Count(3, 1, now)
			if a := m.Left(2, now); a.Full != time.Minute-time.Duration(i+1)*500*time.Millisecond {
				t.Fatalf("after %d half seconds %s are owed", i+1, a.Full)
			}
		}
	})
}
