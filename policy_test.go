package jadwal

import (
	"math"
	"testing"
	"time"
)

func TestRetryNext(t *testing.T) {
	began := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	change := func(f func(*Retry)) Retry {
		p := DefaultRetry
		f(&p)
		return p
	}
	many := change(func(p *Retry) { p.MaxAttempts = 100 })
	for _, c := range []struct {
		rule        string
		policy      Retry
		attempt     int
		asked       time.Duration // by the target
		after       time.Duration // of the failure, since the first attempt began
		least, most time.Duration // of the wait; most 0: there is no next attempt
	}{
		{"the second attempt comes after the shortest backoff", DefaultRetry, 1, 0, 0, 10 * time.Second, 12500 * time.Millisecond},
		{"the third after twice that", DefaultRetry, 2, 0, time.Minute, 20 * time.Second, 25 * time.Second},
		{"the last attempt is the last", DefaultRetry, 3, 0, time.Minute, 0, 0},
		{"one attempt means no retry", change(func(p *Retry) { p.MaxAttempts = 1 }), 1, 0, 0, 0, 0},
		{"a policy without values means no retry", Retry{}, 1, 0, 0, 0, 0},
		{"a multiplier of one keeps the backoff", change(func(p *Retry) { p.MaxAttempts, p.Multiplier = 100, 1 }), 50, 0, time.Hour, 10 * time.Second, 12500 * time.Millisecond},
		{"a backoff does not exceed the longest", many, 20, 0, time.Hour, 48 * time.Minute, time.Hour},
		{"nor does one that would overflow", change(func(p *Retry) { p.MaxAttempts, p.Multiplier = 100, 10 }), 99, 0, time.Hour, 48 * time.Minute, time.Hour},
		{"equal bounds leave one value", change(func(p *Retry) { p.MaxBackoff = p.MinBackoff }), 1, 0, 0, 10 * time.Second, 10 * time.Second},
		{"what the target asks for is waited for", DefaultRetry, 1, 5 * time.Minute, 0, 5 * time.Minute, 5 * time.Minute},
		{"even beyond the longest backoff", DefaultRetry, 1, 2 * time.Hour, 0, 2 * time.Hour, 2 * time.Hour},
		{"less than the backoff does not shorten it", DefaultRetry, 1, time.Second, 0, 10 * time.Second, 12500 * time.Millisecond},
		{"beyond the longest duration there is no next attempt", DefaultRetry, 1, 20 * time.Hour, 5 * time.Hour, 0, 0},
		{"exactly at it there is", DefaultRetry, 1, 20 * time.Hour, 4 * time.Hour, 20 * time.Hour, 20 * time.Hour},
		{"a run that failed for too long is not attempted again", many, 50, 0, 24 * time.Hour, 0, 0},
		{"one that would come too late is not attempted either", many, 1, 0, 24*time.Hour - 9*time.Second, 0, 0},
	} {
		t.Run(c.rule, func(t *testing.T) {
			now := began.Add(c.after)
			spread := map[time.Time]bool{}
			for job := range int64(200) {
				key := RunKey{DueAt: began.UnixMicro(), JobID: job + 1}
				at, ok := c.policy.Next(key, c.attempt, c.asked, began, now)
				again, _ := c.policy.Next(key, c.attempt, c.asked, began, now)
				if ok != (c.most > 0) || !at.Equal(again) {
					t.Fatalf("next is %s, %v, then %s", at, ok, again)
				}
				if wait := at.Sub(now); ok && (wait < c.least || wait > c.most) {
					t.Fatalf("it waits %s, want %s to %s", wait, c.least, c.most)
				}
				spread[at] = true
			}
			if c.most > c.least && len(spread) < 150 {
				t.Errorf("200 runs are spread over %d instants", len(spread))
			}
		})
	}
}

func TestPassing(t *testing.T) {
	passing := map[int]bool{408: true, 425: true, 429: true}
	for status := range 600 {
		want := passing[status] || status >= 500
		if got := Passing(ReasonHTTPStatus, status); got != want {
			t.Errorf("status %d: %v", status, got)
		}
	}
	for reason, want := range map[Reason]bool{
		ReasonNetwork: true, ReasonTimeout: true, ReasonTargetRefused: false, ReasonLost: false, ReasonRequested: false, "": false,
	} {
		if got := Passing(reason, 0); got != want {
			t.Errorf("%s: %v", reason, got)
		}
	}
}

func TestAMultiplierIsANumber(t *testing.T) {
	d := definition(func(d *Definition) { d.Retry.Multiplier = math.NaN() })
	if CodeOf(d.Validate()) != CodeValidation {
		t.Error("NaN is accepted")
	}
}

func TestOpenRunHeldBy(t *testing.T) {
	for _, c := range []struct {
		rule    string
		trigger Trigger
		version int64
		state   JobState
		held    bool
	}{
		{"a pause holds what starts by itself", TriggerSchedule, 3, JobPaused, true},
		{"a pause holds what was asked for before it", TriggerManual, 2, JobPaused, true},
		{"what is asked for during a pause runs", TriggerManual, 3, JobPaused, false},
		{"so does the retry of a finished run", TriggerRetry, 3, JobPaused, false},
		{"an enabled job holds nothing", TriggerSchedule, 2, JobEnabled, false},
		{"a completed job holds nothing", TriggerManual, 2, JobCompleted, false},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if got := (OpenRun{Trigger: c.trigger, Version: c.version}).HeldBy(c.state, 3); got != c.held {
				t.Errorf("held: %v", got)
			}
		})
	}
}
