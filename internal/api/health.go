package api

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/teknohole/jadwal"
)

// getLive answers GET /health/live: the process answers requests.
func (s *Server) getLive(context.Context, *none) (*reply[none], error) {
	return done("Jadwal is alive"), nil
}

// readyFor is how long an answer about readiness is told again: anybody may
// ask, as often as they like.
const readyFor = time.Second

// readyPatience is how long the store may take to answer.
const readyPatience = 2 * time.Second

// readiness remembers whether the server was ready when somebody asked last.
type readiness struct {
	mu  sync.Mutex
	at  time.Time
	err error
}

// getReady answers GET /health/ready: the store and the engine are well. Why
// they are not is in the log.
func (s *Server) getReady(ctx context.Context, _ *none) (*reply[none], error) {
	if err := s.ready.ask(callOf(ctx).now, s.checkReady); err != nil {
		return nil, err
	}
	return done("Jadwal is ready"), nil
}

func (r *readiness) ask(now time.Time, check func(time.Time) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if since := now.Sub(r.at); since < 0 || since >= readyFor || r.at.IsZero() {
		r.at, r.err = now, check(now)
	}
	return r.err
}

func (s *Server) checkReady(now time.Time) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyPatience)
	defer cancel()
	unready := func(what string, err error) error {
		s.log.Warn("not ready", "what", what, "error", err)
		return &jadwal.Error{Code: jadwal.CodeUnavailable, Message: "The " + what + " is not well; the log says why", RetryAfter: readyFor}
	}
	if err := s.store.Health(ctx); err != nil {
		return unready("store", err)
	}
	if err := s.engineHealth(now); err != nil {
		return unready("engine", err)
	}
	return nil
}

// metricsType is the content type of the Prometheus text format, version 0.0.4.
var metricsType = []string{"text/plain; version=0.0.4; charset=utf-8"}

// getMetrics answers GET /metrics with what was measured.
func (s *Server) getMetrics(context.Context, *none) (*reply[none], error) {
	var b bytes.Buffer
	if err := s.metrics(&b); err != nil {
		return nil, err
	}
	return &reply[none]{status: 200, file: &file{contentType: metricsType, body: b.Bytes()}}, nil
}
