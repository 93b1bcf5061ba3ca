package api

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/engine"
	"github.com/teknohole/jadwal/internal/store"
	"github.com/teknohole/jadwal/internal/target"
)

// answering is a target that answers everything with 200 and a text.
type answering string

func (a answering) Do(_ context.Context, call target.Call) target.Result {
	now := time.Now()
	return target.Result{State: jadwal.RunSucceeded, StatusCode: http.StatusOK, Output: []byte(a), StartedAt: now, FinishedAt: now}
}

// runEngine fires the store's jobs at a target that is always glad, and
// applies changes. It returns what stops it.
func runEngine(t testing.TB, st *store.Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e := engine.New(engine.Options{Store: st, Target: answering("glad\xff"), Log: slog.New(slog.DiscardHandler), DrainTimeout: time.Second})
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}
}
