package store

import (
	"context"
	"errors"
	"testing"
)

func TestWrite(t *testing.T) {
	s, err := Open(context.Background(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	put := func(k string) error {
		return s.write(ctx, laneAPI, func(t *tx) error {
			_, err := t.exec("INSERT INTO meta (key, value) VALUES ($1, $2)", k, "v")
			return err
		})
	}
	if err := put("a"); err != nil {
		t.Fatal(err)
	}
	if err := put("a"); err == nil {
		t.Fatal("a double key was stored")
	}
	boom := errors.New("boom")
	if err := s.write(ctx, laneAPI, func(*tx) error { return boom }); err != boom {
		t.Fatal(err)
	}
	n := 0
	if err := s.read(ctx, func(t *tx) error {
		return t.query("SELECT key FROM meta WHERE key = $1", func(r row) error { n++; return nil }, "a")
	}); err != nil || n != 1 {
		t.Fatal(n, err)
	}
}
