package api

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestIdempotencyKey(t *testing.T) {
	s := newServer(t)
	s.stop()
	c, other, admin := s.asUser("arbath", false), s.asUser("other", false), s.login("admin", adminPassword)
	job := func(name string) string { return `{"name":"` + name + `",` + hook + `}` }
	replayed := func(r *response) bool { return r.header.Get("Idempotent-Replayed") == "true" }

	t.Run("the same request with the same key does nothing and gets the same answer", func(t *testing.T) {
		first := c.do("POST", "/job", job("a"), "Idempotency-Key", "k1")
		if first.status != 201 || replayed(first) {
			t.Fatalf("got %s", first.body)
		}
		c.do("PATCH", "/job/a", `{"name":"b"}`)
		before := s.digest()
		again := c.do("POST", "/job", job("a"), "Idempotency-Key", "k1")
		if !bytes.Equal(again.body, first.body) || !replayed(again) || again.header.Get("Etag") != `"1"` || again.header.Get("Location") != first.header.Get("Location") {
			t.Errorf("got %q %s, want %s", again.header, again.body, first.body)
		}
		if s.digest() != before {
			t.Error("the database has changed")
		}
	})
	t.Run("another body, or another path, with the same key is refused", func(t *testing.T) {
		for _, w := range []struct{ target, body string }{{"/job", job("c")}, {"/job", job("a") + " "}, {"/job/b/clone", `{"name":"c"}`}} {
			if r := c.do("POST", w.target, w.body, "Idempotency-Key", "k1"); r.status != 409 || r.code != "idempotency_key_reused" {
				t.Errorf("%s: got %s", w.body, r.body)
			}
		}
	})
	t.Run("a key is its user's own", func(t *testing.T) {
		if r := other.do("POST", "/job", job("a"), "Idempotency-Key", "k1"); r.status != 201 || replayed(r) || r.text("owner_id") != "3" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("without a key it is done again", func(t *testing.T) {
		if r := c.do("POST", "/job", job("b")); r.status != 409 || r.code != "name_taken" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("what had no effect is tried again", func(t *testing.T) {
		if r := c.do("POST", "/job", job("b"), "Idempotency-Key", "k2"); r.code != "name_taken" {
			t.Fatalf("got %s", r.body)
		}
		c.do("DELETE", "/job/b", "")
		if r := c.do("POST", "/job", job("b"), "Idempotency-Key", "k2"); r.status != 201 || replayed(r) {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a clone", func(t *testing.T) {
		first := c.do("POST", "/job/b/clone", `{"name":"copy"}`, "Idempotency-Key", "k3")
		again := c.do("POST", "/job/b/clone", `{"name":"copy"}`, "Idempotency-Key", "k3")
		if first.status != 201 || !bytes.Equal(again.body, first.body) || !replayed(again) {
			t.Errorf("got %s", again.body)
		}
	})
	t.Run("a user, whose password is nowhere kept", func(t *testing.T) {
		body := `{"username":"budi","password":"hunter2-hunter2","email":"budi@example.com"}`
		first := admin.do("POST", "/user", body, "Idempotency-Key", "k1")
		again := admin.do("POST", "/user", body, "Idempotency-Key", "k1")
		if first.status != 201 || !bytes.Equal(again.body, first.body) || !replayed(again) {
			t.Errorf("got %s", again.body)
		}
		if kept := s.column("SELECT answer FROM idempotency") + s.column("SELECT request FROM idempotency"); !strings.Contains(kept, "budi") || strings.Contains(kept, "hunter2") {
			t.Errorf("kept is %s", kept)
		}
		if r := admin.do("POST", "/user", strings.Replace(body, "hunter2-", "hunter3-", 1), "Idempotency-Key", "k1"); r.status != 409 || r.code != "idempotency_key_reused" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("of many at once one has the effect, and the others its answer or a conflict", func(t *testing.T) {
		var wg sync.WaitGroup
		got := make([]*response, 8)
		for i := range got {
			wg.Go(func() {
				got[i] = admin.do("POST", "/user", `{"username":"race","password":"user-password","email":"race@example.com"}`, "Idempotency-Key", "race")
			})
		}
		wg.Wait()
		made := 0
		for _, r := range got {
			switch {
			case r.status == 201 && !replayed(r):
				made++
			case r.status == 201:
			case r.status != 409 || r.code != "idempotency_key_in_progress":
				t.Errorf("got %s", r.body)
			}
		}
		if made != 1 {
			t.Errorf("%d had the effect", made)
		}
	})
	t.Run("where no effect is named once the header means nothing", func(t *testing.T) {
		for range 2 {
			if r := c.do("POST", "/job/b/pause", "", "Idempotency-Key", "k1"); r.status != 200 || replayed(r) {
				t.Errorf("got %s", r.body)
			}
		}
		if r := s.do("POST", "/login", `{"identifier":"admin","password":"admin123"}`, "Idempotency-Key", "k1"); r.status != 200 || replayed(r) {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("after a day the key is free", func(t *testing.T) {
		s.pass(24*time.Hour - time.Second)
		c = s.login("arbath", userPassword)
		if r := c.do("POST", "/job", job("a"), "Idempotency-Key", "k1"); !replayed(r) {
			t.Errorf("got %s", r.body)
		}
		s.pass(2 * time.Second)
		if r := c.do("POST", "/job", job("fresh"), "Idempotency-Key", "k1"); r.status != 201 || replayed(r) {
			t.Errorf("got %s", r.body)
		}
		if r := c.do("POST", "/job", job("fresh"), "Idempotency-Key", "k1"); !replayed(r) || r.text("name") != "fresh" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("old answers are swept, a few with each new one", func(t *testing.T) {
		for i := range 20 {
			c.do("PUT", "/job/many", fmt.Sprintf(`{"description":"%d",%s}`, i, hook))
			if r := c.do("POST", "/job", job(fmt.Sprint("many", i)), "Idempotency-Key", fmt.Sprint("many", i)); r.status != 201 {
				t.Fatalf("got %s", r.body)
			}
		}
		s.pass(25 * time.Hour)
		c = s.login("arbath", userPassword)
		for i := range 4 {
			if r := c.do("POST", "/job", job(fmt.Sprint("late", i)), "Idempotency-Key", fmt.Sprint("late", i)); r.status != 201 {
				t.Fatalf("got %s", r.body)
			}
		}
		if n := s.column("SELECT count(*) FROM idempotency"); n != "4\n" {
			t.Errorf("there are %s", n)
		}
	})
}
