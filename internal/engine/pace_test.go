package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/target"
)

// A script of a pace is a list of steps, each at a second: "3 silent" is an
// attempt that began and ended then without an answer, "9 late busy" one that
// began at second 0. "room" tells what may start, nothing being in flight.
func TestPace(t *testing.T) {
	signs := map[string]sign{"none": signNone, "silent": signSilent, "timeout": signTimeout, "slow": signSlow, "busy": signBusy, "ok": signAnswered}
	for _, tt := range []struct {
		rule, script, want string
	}{
		{"a host that answers has all its room", "1 ok, 1 room", "16"},
		{"429 and 503 halve it", "1 busy, 1 room", "8"},
		{"so does an attempt that takes too long", "1 timeout, 1 room, 2 slow, 2 room", "8 4"},
		{"what was in flight together halves it once", "1 busy, 2 late busy, 2 late timeout, 2 room", "8"},
		{"there is always room for one", "1 busy, 2 busy, 3 busy, 4 busy, 5 busy, 6 busy, 6 room", "1"},
		{"it recovers by one for as many answers as it is high", "1 busy, 2 ok*8, 2 room, 2 ok, 2 room", "8 9"},
		{"it recovers to the most and not beyond", "1 busy, 2 ok*1000, 2 room", "16"},
		{"a network failure alone does not ease it off", "1 silent, 1 room", "16"},
		{"four silent attempts do not open the circuit", "1 silent*4, 1 room", "16"},
		{"five do", "1 silent*5, 1 room", "0"},
		{"so do five that time out", "1 timeout*5, 1 room", "0"},
		{"an answer in between starts the count again, whatever it says", "1 silent*4, 1 busy, 1 silent*4, 1 room", "8"},
		{"an attempt that tells nothing does not", "1 silent*4, 1 none, 1 silent, 1 room", "0"},
		{"the first rest lasts a second, then one may probe", "1 silent*5, 1.999 room, 2 room", "0 1"},
		{"while a probe is in flight nothing else starts", "1 silent*5, 2 begin, 2 room, 30 room", "0 0"},
		{"a probe that does not end is waited for a minute", "1 silent*5, 2 begin, 61.9 room, 62 room", "0 1"},
		{"a silent probe doubles the rest", "1 silent*5, 2 silent, 3.999 room, 4 room", "0 1"},
		{"and so on, up to a minute", "1 silent*5, 2 silent, 4 silent, 8 silent, 16 silent, 32 silent, 64 silent, 123.9 room, 124 silent, 183.9 room, 184 room", "0 0 1"},
		{"what was in flight before the rest does not make it longer", "1 silent*5, 1.5 late silent*100, 2 room", "1"},
		{"an answer to what was in flight before ends the rest", "1 silent*5, 1.5 late ok, 1.5 room", "8"},
		{"an answered probe closes the circuit, and there is room for a few", "1 silent*5, 2 ok, 2 room", "8"},
		{"an answer 503 closes it too", "1 silent*5, 2 busy, 2 room", "4"},
		{"after that the next rest is a short one again", "1 silent*5, 2 silent, 4 silent, 8 ok, 9 silent*5, 9.9 room, 10 room", "0 1"},
		{"after the wall clock went back a rest is over", "10000 silent*5, 10000 room, 9000 room", "0 1"},
		{"and what eases a host off is believed", "10000 busy, 9000 busy, 9000 room", "4"},
		{"a cancelled probe does not end the rest", "1 silent*5, 2 none, 2.9 room, 3 room", "0 1"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			p := newPace(16)
			zero := time.Unix(0, 0)
			var got []string
			for step := range strings.SplitSeq(tt.script, ", ") {
				words := strings.Fields(step)
				var seconds float64
				fmt.Sscan(words[0], &seconds)
				now := zero.Add(time.Duration(seconds * float64(time.Second)))
				began := now
				if words[1] == "late" {
					began, words = zero, words[1:]
				}
				name, n := words[1], 1
				if before, times, ok := strings.Cut(name, "*"); ok {
					name = before
					fmt.Sscan(times, &n)
				}
				for range n {
					switch s, ok := signs[name]; {
					case name == "room":
						got = append(got, fmt.Sprint(p.room(now, 0, 0)))
					case name == "begin":
						p.begin(now)
					case !ok:
						t.Fatalf("no step %q", step)
					default:
						p.end(s, began, now)
					}
				}
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("%s: got %s, want %s", tt.script, s, tt.want)
			}
		})
	}
	t.Run("what is in flight or about to be takes room", func(t *testing.T) {
		p := newPace(16)
		if n := p.room(time.Unix(0, 0), 10, 4); n != 2 {
			t.Errorf("got %d", n)
		}
		if n := p.room(time.Unix(0, 0), 16, 4); n != 0 {
			t.Errorf("got %d", n)
		}
	})
}

func TestSigns(t *testing.T) {
	for _, tt := range []struct {
		rule string
		r    target.Result
		want sign
	}{
		{"no connection", target.Result{State: jadwal.RunFailed, Reason: jadwal.ReasonNetwork, Reach: target.Silent}, signSilent},
		{"no answer in time", target.Result{State: jadwal.RunFailed, Reason: jadwal.ReasonTimeout, Reach: target.Silent}, signTimeout},
		{"an answer that did not end in time", target.Result{State: jadwal.RunFailed, Reason: jadwal.ReasonTimeout, Reach: target.Answered, StatusCode: 200}, signSlow},
		{"an answer that broke off", target.Result{State: jadwal.RunFailed, Reason: jadwal.ReasonNetwork, Reach: target.Answered, StatusCode: 200}, signAnswered},
		{"too many requests", target.Result{State: jadwal.RunFailed, Reason: jadwal.ReasonHTTPStatus, Reach: target.Answered, StatusCode: 429}, signBusy},
		{"unavailable", target.Result{State: jadwal.RunFailed, Reason: jadwal.ReasonHTTPStatus, Reach: target.Answered, StatusCode: 503}, signBusy},
		{"another error of the server", target.Result{State: jadwal.RunFailed, Reason: jadwal.ReasonHTTPStatus, Reach: target.Answered, StatusCode: 500}, signAnswered},
		{"a success", target.Result{State: jadwal.RunSucceeded, Reach: target.Answered, StatusCode: 200}, signAnswered},
		{"a refused address", target.Result{State: jadwal.RunFailed, Reason: jadwal.ReasonTargetRefused}, signNone},
		{"cancelled", target.Result{State: jadwal.RunCancelled, Reason: jadwal.ReasonRequested}, signNone},
		{"cancelled while it answered", target.Result{State: jadwal.RunCancelled, Reason: jadwal.ReasonRequested, Reach: target.Answered, StatusCode: 200}, signNone},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := readSign(tt.r); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}
