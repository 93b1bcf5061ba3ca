package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestHealth(t *testing.T) {
	var sick atomic.Bool
	asked := 0
	s := newServer(t, func(o *settings) {
		o.api.EngineHealth = func(time.Time) error {
			asked++
			if sick.Load() {
				return errors.New("secret trouble")
			}
			return nil
		}
	})
	s.stop()
	t.Run("anybody may ask", func(t *testing.T) {
		if r := s.do("GET", "/health/live", ""); r.status != 200 || r.message != "Jadwal is alive" {
			t.Errorf("got %s", r.body)
		}
		if r := s.do("GET", "/health/ready", "", "Authorization", "Bearer x"); r.status != 200 || r.message != "Jadwal is ready" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("it is looked at once a second at most", func(t *testing.T) {
		sick.Store(true)
		for range 5 {
			if r := s.do("GET", "/health/ready", ""); r.status != 200 {
				t.Errorf("got %s", r.body)
			}
		}
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
	})
	t.Run("an engine that is not well makes it unready, not dead, and only the log says why", func(t *testing.T) {
		s.pass(time.Second)
		r := s.do("GET", "/health/ready", "")
		if r.status != 503 || r.code != "unavailable" || r.header.Get("Retry-After") != "1" || r.message != "The engine is not well; the log says why" {
			t.Errorf("got %s", r.body)
		}
		if !strings.Contains(s.log.String(), "secret trouble") || strings.Contains(string(r.body), "secret") {
			t.Errorf("got %s, logged %s", r.body, s.log)
		}
		if r := s.do("GET", "/health/live", ""); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
		sick.Store(false)
		s.pass(time.Second)
		if r := s.do("GET", "/health/ready", ""); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("so does a clock that went back", func(t *testing.T) {
		sick.Store(true)
		s.pass(-time.Hour)
		if r := s.do("GET", "/health/ready", ""); r.status != 503 {
			t.Errorf("got %s", r.body)
		}
		s.pass(time.Hour)
	})
	t.Run("a store that has ended makes it unready", func(t *testing.T) {
		s := newServer(t, idle)
		if err := s.store.Close(); err != nil {
			t.Fatal(err)
		}
		if r := s.do("GET", "/health/ready", ""); r.status != 503 || r.message != "The store is not well; the log says why" {
			t.Errorf("got %s", r.body)
		}
	})
}

func TestMetrics(t *testing.T) {
	broken := errors.New("no numbers")
	var fail atomic.Bool
	s := newServer(t, func(o *settings) {
		o.api.Metrics = func(w io.Writer) error {
			if fail.Load() {
				return broken
			}
			_, err := io.WriteString(w, "jadwal_up 1\n")
			return err
		}
	})
	admin := s.login("admin", adminPassword)
	req, err := http.NewRequestWithContext(context.Background(), "GET", s.http.URL+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+admin.access)
	resp, err := s.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || string(body) != "jadwal_up 1\n" || resp.Header.Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" ||
		resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("X-Request-Id") == "" {
		t.Errorf("got %d %q %s", resp.StatusCode, resp.Header, body)
	}
	fail.Store(true)
	if r := admin.do("GET", "/metrics", ""); r.status != 500 || strings.Contains(string(r.body), "numbers") {
		t.Errorf("got %s", r.body)
	}
	if r := s.asUser("arbath", false).do("GET", "/metrics", ""); r.status != 403 {
		t.Errorf("got %s", r.body)
	}
}
