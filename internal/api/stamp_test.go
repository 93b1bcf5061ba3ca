package api

import (
	"math/rand/v2"
	"testing"
	"time"
)

// stampFormat is the layout of a time in an answer.
const stampFormat = "2006-01-02T15:04:05.000000Z"

func TestStampsAreAsTheLayoutSays(t *testing.T) {
	for range 20_000 {
		at := time.UnixMicro(rand.Int64N(253_402_300_800_000_000)).In(time.FixedZone("", rand.IntN(86_400)-43_200))
		if got, want := string(stamp(at).append(nil)), at.UTC().Format(stampFormat); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	for _, year := range []int{1, 42, 999} {
		at := time.Date(year, 2, 3, 4, 5, 6, 7000, time.UTC)
		if got, want := string(stamp(at).append(nil)), at.Format(stampFormat); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
