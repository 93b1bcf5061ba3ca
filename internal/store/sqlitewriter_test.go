package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
	"zombiezen.com/go/sqlite"
)

// openTest opens a store for tests of the inside; fatal gets what OnFatal is
// told.
func openTest(t testing.TB, dir string, fatal *error) *Store {
	t.Helper()
	s, err := Open(context.Background(), Options{
		Dir: dir, Log: slog.New(slog.DiscardHandler),
		OnFatal: func(err error) {
			if fatal == nil {
				t.Errorf("fatal: %v", err)
				return
			}
			*fatal = err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// file is the inside of a store on SQLite.
func file(s *Store) *sqliteDB { return s.db.(*sqliteDB) }

func put(key string) func(*tx) error {
	return func(t *tx) error {
		_, err := t.exec("INSERT INTO meta (key, value) VALUES ($1, 'x')", key)
		return err
	}
}

// keys returns what the tests have put into meta, in order.
func keys(t testing.TB, s *Store) []string {
	t.Helper()
	var found []string
	if err := s.read(context.Background(), func(t *tx) error {
		found = nil
		return t.query("SELECT key FROM meta WHERE key <> 'schema' ORDER BY key", func(r row) error {
			found = append(found, r.text(0))
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// together has the writer run fns in one group, in that order, and returns
// their errors.
func together(t testing.TB, s *Store, fns ...func(*tx) error) []error {
	t.Helper()
	busy, free := make(chan struct{}), make(chan struct{})
	go func() {
		_ = s.write(context.Background(), laneAPI, func(*tx) error {
			close(busy)
			<-free
			return nil
		})
	}()
	<-busy
	parts := make([]*write, len(fns))
	for i, fn := range fns {
		parts[i] = &write{fn: fn, done: make(chan error, 1)}
		file(s).lanes[laneAPI] <- parts[i]
	}
	close(free)
	errs := make([]error, len(fns))
	for i, p := range parts {
		errs[i] = <-p.done
	}
	return errs
}

func TestAGroupOfWrites(t *testing.T) {
	boom := errors.New("boom")
	after := func(do, then func(*tx) error) func(*tx) error {
		return func(t *tx) error {
			if err := do(t); err != nil {
				return err
			}
			return then(t)
		}
	}
	fails := func(*tx) error { return boom }
	panics := func(*tx) error { panic("out of luck") }
	// A foreign key that is checked at the end, and broken, fails the COMMIT.
	breaksCommit := func(t *tx) error {
		if _, err := t.exec("PRAGMA defer_foreign_keys = 1"); err != nil {
			return err
		}
		_, err := t.exec("INSERT INTO session (id, user_id, generation, created_at, rotated_at, expires_at) VALUES (1, 99, 1, 0, 0, 1)")
		return err
	}
	for _, c := range []struct {
		rule string
		fns  []func(*tx) error
		errs []string // a part of each, "" for none
		keys []string
	}{
		{"all of a group is stored by one commit", []func(*tx) error{put("a"), put("b"), put("c")}, []string{"", "", ""}, []string{"a", "b", "c"}},
		{"a write that fails before it writes leaves the others", []func(*tx) error{put("a"), fails, put("c")}, []string{"", "boom", ""}, []string{"a", "c"}},
		{"a write that fails after it has written takes only its own part along", []func(*tx) error{put("a"), after(put("b"), fails), put("c")}, []string{"", "boom", ""}, []string{"a", "c"}},
		{"a write that panics leaves the others", []func(*tx) error{put("a"), panics, put("c")}, []string{"", "panicked", ""}, []string{"a", "c"}},
		{"a write that panics after it has written takes only its own part along", []func(*tx) error{put("a"), after(put("b"), panics), put("c")}, []string{"", "panicked: out of luck", ""}, []string{"a", "c"}},
		{"a row that a constraint refuses leaves the others", []func(*tx) error{put("a"), put("a"), put("c")}, []string{"", "UNIQUE", ""}, []string{"a", "c"}},
		{"a write sees those before it", []func(*tx) error{put("a"), func(t *tx) error {
			found, err := t.one("SELECT 1 FROM meta WHERE key = 'a'", func(row) {})
			if err == nil && !found {
				err = boom
			}
			return err
		}}, []string{"", ""}, []string{"a"}},
		{"a COMMIT that fails fails all of them", []func(*tx) error{put("a"), breaksCommit, put("c")}, []string{"unavailable", "unavailable", "unavailable"}, nil},
		{"a COMMIT that fails fails even those that were refused", []func(*tx) error{put("a"), put("a"), breaksCommit}, []string{"unavailable", "unavailable", "unavailable"}, nil},
		{"a transaction that SQLite has ended fails all of them", []func(*tx) error{put("a"), func(t *tx) error {
			_, err := t.exec("ROLLBACK")
			return err
		}, put("c")}, []string{"unavailable", "unavailable", "unavailable"}, nil},
		{"a write that panics while it reads rows leaves the statement usable", []func(*tx) error{put("a"), func(t *tx) error {
			return t.query("SELECT key FROM meta", func(row) error { panic("half way") })
		}, func(t *tx) error {
			rows := 0
			err := t.query("SELECT key FROM meta", func(row) error { rows++; return nil })
			if err == nil && rows != 2 { // schema and a
				err = fmt.Errorf("%d rows", rows)
			}
			return err
		}}, []string{"", "half way", ""}, []string{"a"}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			s := openTest(t, t.TempDir(), nil)
			for i, err := range together(t, s, c.fns...) {
				if (err == nil) != (c.errs[i] == "") || err != nil && !strings.Contains(err.Error(), c.errs[i]) {
					t.Errorf("write %d: got %v, want %q", i, err, c.errs[i])
				}
			}
			if got := keys(t, s); !slices.Equal(got, c.keys) {
				t.Errorf("stored: %v, want %v", got, c.keys)
			}
			if err := s.write(t.Context(), laneAPI, put("later")); err != nil {
				t.Errorf("a later write: %v", err)
			}
		})
	}
}

func TestHooks(t *testing.T) {
	t.Run("hooks run after the commit, in the order of the writes, before any answer, and only for what was stored", func(t *testing.T) {
		s := openTest(t, t.TempDir(), nil)
		var ran []int
		fns := make([]func(*tx) error, 20)
		for i := range fns {
			fns[i] = func(t *tx) error {
				t.after(func() { ran = append(ran, i) }) // not twice, though the group is run twice
				if err := put(fmt.Sprintf("k%02d", i))(t); err != nil {
					return err
				}
				if i%5 == 4 {
					return errors.New("refused")
				}
				return nil
			}
		}
		together(t, s, fns...)
		want := []int{0, 1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13, 15, 16, 17, 18}
		if !slices.Equal(ran, want) {
			t.Errorf("hooks ran: %v, want %v", ran, want)
		}
	})
	t.Run("a failed commit runs no hook", func(t *testing.T) {
		s := openTest(t, t.TempDir(), nil)
		ran := false
		together(t, s, func(t *tx) error {
			t.after(func() { ran = true })
			return nil
		}, func(t *tx) error {
			_, err := t.exec("ROLLBACK")
			return err
		})
		if ran {
			t.Error("a hook ran")
		}
	})
}

func TestACallerWhoLeaves(t *testing.T) {
	t.Run("before its write has begun: answered at once, and nothing is stored", func(t *testing.T) {
		s := openTest(t, t.TempDir(), nil)
		busy, free := make(chan struct{}), make(chan struct{})
		go func() {
			_ = s.write(context.Background(), laneAPI, func(*tx) error {
				close(busy)
				<-free
				return nil
			})
		}()
		<-busy
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() { left <- s.write(ctx, laneAPI, put("a")) }()
		for len(file(s).lanes[laneAPI]) == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		close(free)
		if err := s.write(t.Context(), laneAPI, put("b")); err != nil {
			t.Fatal(err)
		}
		if got := keys(t, s); !slices.Equal(got, []string{"b"}) {
			t.Errorf("stored: %v", got)
		}
	})
	t.Run("while its write runs: the write and its group are stored, and it is told so", func(t *testing.T) {
		s := openTest(t, t.TempDir(), nil)
		ctx, cancel := context.WithCancel(t.Context())
		if err := s.write(ctx, laneAPI, func(t *tx) error {
			cancel()
			return put("a")(t)
		}); err != nil {
			t.Errorf("got %v", err)
		}
		if got := keys(t, s); !slices.Equal(got, []string{"a"}) {
			t.Errorf("stored: %v", got)
		}
	})
	t.Run("who has left before it asks is not served", func(t *testing.T) {
		s := openTest(t, t.TempDir(), nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.write(ctx, laneAPI, put("a")); !errors.Is(err, context.Canceled) {
			t.Errorf("write: %v", err)
		}
		if err := s.read(ctx, func(*tx) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("read: %v", err)
		}
	})
	t.Run("while its query runs: the query ends", func(t *testing.T) {
		s := openTest(t, t.TempDir(), nil)
		ctx, cancel := context.WithCancel(t.Context())
		rows := 0
		err := s.read(ctx, func(t *tx) error {
			return t.query("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n", func(row) error {
				if rows++; rows == 1000 {
					cancel()
				}
				return nil
			})
		})
		if !errors.Is(err, context.Canceled) || rows > 2000 {
			t.Errorf("got %v after %d rows", err, rows)
		}
		if got := keys(t, s); got != nil {
			t.Errorf("the connection is not usable: %v", got)
		}
	})
}

func TestTheAPIGoesAheadOfBatches(t *testing.T) {
	s := openTest(t, t.TempDir(), nil)
	busy, free := make(chan struct{}), make(chan struct{})
	go func() {
		_ = s.write(context.Background(), laneAPI, func(*tx) error {
			close(busy)
			<-free
			return nil
		})
	}()
	<-busy
	var order []string
	log := func(name string) *write {
		return &write{fn: func(*tx) error { order = append(order, name); return nil }, done: make(chan error, 1)}
	}
	var all []*write
	for _, name := range []string{"batch 1", "batch 2", "batch 3"} {
		w := log(name)
		all = append(all, w)
		file(s).lanes[laneBatch] <- w
	}
	for _, name := range []string{"api 1", "api 2"} {
		w := log(name)
		all = append(all, w)
		file(s).lanes[laneAPI] <- w
	}
	close(free)
	for _, w := range all {
		if err := <-w.done; err != nil {
			t.Fatal(err)
		}
	}
	// Which lane the writer looks at first is chance, but not the order within
	// a group.
	if want := []string{"api 1", "api 2", "batch 1", "batch 2", "batch 3"}; !slices.Equal(order, want) {
		t.Errorf("ran %v, want %v", order, want)
	}
}

func TestFaults(t *testing.T) {
	t.Run("a full disk is unavailable, and served again when there is room", func(t *testing.T) {
		s := openTest(t, t.TempDir(), nil)
		limit := func(pages int) {
			t.Helper()
			if err := s.write(t.Context(), laneAPI, func(t *tx) error {
				return t.query(fmt.Sprintf("PRAGMA max_page_count = %d", pages), func(row) error { return nil })
			}); err != nil {
				t.Fatal(err)
			}
		}
		large := func(key string) error {
			return s.write(t.Context(), laneAPI, func(t *tx) error {
				_, err := t.exec("INSERT INTO meta (key, value) VALUES ($1, $2)", key, strings.Repeat("x", 200<<10))
				return err
			})
		}
		limit(1) // that is, no more than there are
		err := large("a")
		e, ok := errors.AsType[*jadwal.Error](err)
		if !ok || e.Code != jadwal.CodeUnavailable || e.RetryAfter != time.Second {
			t.Fatalf("got %v", err)
		}
		if got := keys(t, s); got != nil {
			t.Errorf("stored: %v", got)
		}
		limit(1 << 20)
		if err := large("a"); err != nil {
			t.Errorf("with room: %v", err)
		}
	})
	for _, c := range []struct {
		rule string
		code sqlite.ResultCode
		want jadwal.Code
	}{
		{"a failed write to the disk is unavailable", sqlite.ResultIOErrWrite, jadwal.CodeUnavailable},
		{"a full disk is unavailable", sqlite.ResultFull, jadwal.CodeUnavailable},
		{"a page that could not be read is unavailable", sqlite.ResultCorrupt, jadwal.CodeUnavailable},
		{"a database that another process holds is unavailable", sqlite.ResultBusy, jadwal.CodeUnavailable},
		{"a mistake of ours is a mistake of ours", sqlite.ResultMisuse, jadwal.CodeInternal},
	} {
		t.Run(c.rule, func(t *testing.T) {
			s := openTest(t, t.TempDir(), nil)
			errs := together(t, s, put("a"), func(*tx) error { return fmt.Errorf("insert: %w", c.code.ToError()) }, put("c"))
			if errs[0] != nil || jadwal.CodeOf(errs[1]) != c.want || errs[2] != nil {
				t.Errorf("got %v", errs)
			}
		})
	}
	t.Run("a sync that fails is fatal, once: the group fails and so does every later write", func(t *testing.T) {
		var fatal error
		s := openTest(t, t.TempDir(), &fatal)
		errs := together(t, s, put("a"), func(*tx) error { return sqlite.ResultIOErrFsync.ToError() })
		for _, err := range append(errs, s.write(t.Context(), laneBatch, put("b"))) {
			if jadwal.CodeOf(err) != jadwal.CodeUnavailable {
				t.Errorf("got %v", err)
			}
		}
		if sqlite.ErrCode(fatal) != sqlite.ResultIOErrFsync {
			t.Errorf("fatal: %v", fatal)
		}
		if got := keys(t, s); got != nil {
			t.Errorf("stored: %v", got)
		}
	})
	t.Run("a lock of another process is waited for, within a bound", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			s := openTest(t, dir, nil)
			other, err := openConn(filepath.Join(dir, fileName), writing)
			if err != nil {
				t.Fatal(err)
			}
			defer other.close()
			begin := func() {
				t.Helper()
				if _, err := (&tx{c: other}).exec("BEGIN IMMEDIATE"); err != nil {
					t.Fatal(err)
				}
			}
			begin()
			released := make(chan struct{})
			go func() {
				defer close(released)
				time.Sleep(busyTimeout / 2)
				other.rollback()
			}()
			if err := s.write(t.Context(), laneAPI, put("a")); err != nil {
				t.Errorf("a short lock: %v", err)
			}
			<-released
			begin()
			if err := s.write(t.Context(), laneAPI, put("b")); jadwal.CodeOf(err) != jadwal.CodeUnavailable {
				t.Errorf("a long lock: %v", err)
			}
			other.rollback()
			if err := s.write(t.Context(), laneAPI, put("c")); err != nil {
				t.Errorf("afterwards: %v", err)
			}
			if got := keys(t, s); !slices.Equal(got, []string{"a", "c"}) {
				t.Errorf("stored: %v", got)
			}
		})
	})
	t.Run("a closed store answers that it is stopping", func(t *testing.T) {
		s := openTest(t, t.TempDir(), nil)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.write(t.Context(), laneAPI, put("a")); jadwal.CodeOf(err) != jadwal.CodeUnavailable {
			t.Errorf("write: %v", err)
		}
		if err := s.read(t.Context(), func(*tx) error { return nil }); jadwal.CodeOf(err) != jadwal.CodeUnavailable {
			t.Errorf("read: %v", err)
		}
	})
	t.Run("what waits when the store closes is stored", func(t *testing.T) {
		dir := t.TempDir()
		s := openTest(t, dir, nil)
		busy, free := make(chan struct{}), make(chan struct{})
		first := make(chan error, 1)
		go func() {
			first <- s.write(context.Background(), laneAPI, func(*tx) error {
				close(busy)
				<-free
				return nil
			})
		}()
		<-busy
		part := &write{fn: put("a"), done: make(chan error, 1)}
		file(s).lanes[laneBatch] <- part
		closed := make(chan error)
		go func() { closed <- s.Close() }()
		<-s.stop
		close(free)
		if err := errors.Join(<-first, <-part.done, <-closed); err != nil {
			t.Fatal(err)
		}
		if got := keys(t, openTest(t, dir, nil)); !slices.Equal(got, []string{"a"}) {
			t.Errorf("stored: %v", got)
		}
	})
}

func TestRefreshesInOneGroup(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, t.TempDir(), nil)
	now := time.Now()
	u, err := s.CreateUser(ctx, jadwal.Actor{}, jadwal.NewUser{Username: "ani", Email: "ani@x", PasswordHash: "h"}, now)
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.StartSession(ctx, jadwal.Actor{User: u}, now, now.Add(time.Hour), "h")
	if err != nil {
		t.Fatal(err)
	}
	busy, free := make(chan struct{}), make(chan struct{})
	go func() {
		_ = s.write(ctx, laneAPI, func(*tx) error {
			close(busy)
			<-free
			return nil
		})
	}()
	<-busy
	const senders = 10
	outcomes := make(chan jadwal.Rotation, senders)
	for range senders {
		go func() {
			next, r, err := s.RotateSession(ctx, n.ID, 1, now.Add(time.Second))
			if err != nil || next.Generation != 2 {
				t.Errorf("%+v, %v", next, err)
			}
			outcomes <- r
		}()
	}
	for len(file(s).lanes[laneAPI]) < senders {
		time.Sleep(time.Millisecond)
	}
	close(free)
	counts := map[jadwal.Rotation]int{}
	for range senders {
		counts[<-outcomes]++
	}
	// What is in memory is behind the group; the stored row decides.
	if counts[jadwal.RotationNext] != 1 || counts[jadwal.RotationRepeat] != senders-1 {
		t.Errorf("one token, used %d times: %v", senders, counts)
	}

	if err := s.SetPassword(ctx, jadwal.Actor{}, u.ID, "h2", false, now); err != nil {
		t.Fatal(err)
	}
	if len(s.live.sessions)+len(s.live.of) != 0 {
		t.Errorf("ended sessions are kept in memory: %v, %v", s.live.sessions, s.live.of)
	}
}

func TestArguments(t *testing.T) {
	s := openTest(t, t.TempDir(), nil)
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.FixedZone("WIB", 7*3600))
	if err := s.read(t.Context(), func(tx *tx) error {
		found, err := tx.one("SELECT $2, $1, $3, $4, $5, $6, $7, $8, $2, '$9'", func(r row) {
			if r.int(0) != 7 || r.text(1) != "text" || r.int(8) != 7 || r.text(9) != "$9" {
				t.Errorf("parameters out of order: %v %v %v", r.int(0), r.text(1), r.int(8))
			}
			if !slices.Equal(r.bytes(2), []byte{1, 0, 2}) || r.float(3) != 1.5 || !r.bool(4) || !r.null(5) || !r.null(6) || r.time(6) != (time.Time{}) {
				t.Error("a value came back changed")
			}
			if got := r.time(7); !got.Equal(at) || got.Location() != time.UTC {
				t.Errorf("time: %v", got)
			}
		}, "text", 7, []byte{1, 0, 2}, 1.5, true, nil, time.Time{}, at)
		if !found {
			t.Error("no row")
		}
		for name, err := range map[string]error{
			"too few":    tx.query("SELECT $1, $2", nil, 1),
			"too many":   tx.query("SELECT $1", nil, 1, 2),
			"not stored": tx.query("SELECT $1", nil, struct{}{}),
			"named":      tx.query("SELECT $name", nil, 1),
			"nested": tx.query("SELECT 1", func(row) error {
				return tx.query("SELECT 1", func(row) error { return nil })
			}),
			"writes": tx.query("DELETE FROM meta", nil),
		} {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		_ = s.read(context.Background(), func(tx *tx) error {
			_, err := tx.one("SELECT $1, $2, $3, $4", func(r row) {}, at, "text", int64(1)<<40, true)
			return err
		})
	}); n > 6 {
		t.Errorf("a read with four arguments allocates %v times", n)
	}
}
