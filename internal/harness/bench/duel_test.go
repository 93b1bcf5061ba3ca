package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestDuel(t *testing.T) {
	order := ""
	of := func(name string, ops int, cost time.Duration) side {
		var used time.Duration
		return side{
			name: name,
			turn: func(time.Duration) (int, error) { order += name; used += time.Duration(ops) * cost; return ops, nil },
			cpu:  func() (time.Duration, error) { return used, nil },
		}
	}
	done, _, err := duel(4, time.Second, of("a", 10, 3*time.Microsecond), of("b", 5, time.Microsecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("both take as many turns, and take turns at going first", func(t *testing.T) {
		if order != "ab"+"ab"+"ba"+"ab"+"ba" {
			t.Errorf("order %s", order)
		}
	})
	t.Run("the first turn of each does not count", func(t *testing.T) {
		if done[0].ops != 40 || done[1].ops != 20 {
			t.Errorf("%d and %d operations", done[0].ops, done[1].ops)
		}
	})
	t.Run("processor time is told by operation", func(t *testing.T) {
		if done[0].cpuPerOp() != 3*time.Microsecond || done[1].cpuPerOp() != time.Microsecond {
			t.Errorf("%v and %v", done[0].cpuPerOp(), done[1].cpuPerOp())
		}
	})
	t.Run("an error ends it and names the side", func(t *testing.T) {
		broken := of("c", 1, 1)
		broken.turn = func(time.Duration) (int, error) { return 0, errors.New("away") }
		if _, _, err := duel(4, time.Second, broken); err == nil || !strings.Contains(err.Error(), "c: away") {
			t.Errorf("%v", err)
		}
	})
}

func TestMember(t *testing.T) {
	if got, err := member([]byte(`{"data":{"refresh_token":"abc"}}`), `"refresh_token":"`); got != "abc" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for _, body := range []string{`{}`, `{"refresh_token":"abc`} {
		if _, err := member([]byte(body), `"refresh_token":"`); err == nil {
			t.Errorf("%s: no error", body)
		}
	}
}
