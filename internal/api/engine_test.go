package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/engine"
	"github.com/teknohole/jadwal/internal/store"
	"github.com/teknohole/jadwal/internal/store/storetest"
	"github.com/teknohole/jadwal/internal/target"
)

// answering is a target that answers everything with 200 and a text, except
// what is called /fails: that gets 503.
type answering string

func (a answering) Do(_ context.Context, call target.Call) target.Result {
	now := time.Now()
	if strings.HasSuffix(call.Job.Target.URL, "/fails") {
		return target.Result{State: jadwal.RunFailed, Reason: jadwal.ReasonHTTPStatus, StatusCode: http.StatusServiceUnavailable, Message: "status 503", StartedAt: now, FinishedAt: now}
	}
	return target.Result{State: jadwal.RunSucceeded, StatusCode: http.StatusOK, Output: []byte(a), StartedAt: now, FinishedAt: now}
}

// runEngine fires the store's jobs at a target that is always glad, and
// applies changes. It returns what stops it.
func runEngine(t testing.TB, st *store.Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e := engine.New(engine.Options{Store: storetest.Alone{Store: st}, Target: answering("glad\xff"), Log: slog.New(slog.DiscardHandler), DrainTimeout: time.Second})
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	for e.Health(time.Now()) != nil && len(ended) == 0 { // it writes when it begins
		time.Sleep(time.Millisecond)
	}
	return func() {
		cancel()
		if err := <-ended; err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}
}
