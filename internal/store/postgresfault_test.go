package store

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store/pgtest"
)

// eventually waits until what holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for %s", what)
		}
	}
}

// deaf is a server that speaks neither TLS nor PostgreSQL: it says no to the request for
// TLS (PostgreSQL manual, 55.2.11) and ends the connection.
func deaf(t *testing.T) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			request := make([]byte, 8)
			if _, err := io.ReadFull(c, request); err == nil && request[4] == 0x04 && request[5] == 0xd2 {
				c.Write([]byte("N"))
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

func TestWhyThereIsNoConnectionIsOneLine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	speechless := deaf(t)
	for _, tt := range []struct {
		rule, rest string // of the URL
		told, not  string
	}{
		{"what is the same with and without TLS is told once", nobody + "/x", "connection refused", "; "},
		{"that there is no TLS is not why", speechless + "/x", "failed to receive message", "TLS"},
		{"that there is no TLS is why when it must be there", speechless + "/x?sslmode=require", "server refused TLS connection", "receive"},
		{"each address has its reason", nobody + "," + speechless + "/x", "connection refused; ", "TLS"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			_, err := Open(t.Context(), quietly("postgres://user:hidden@"+tt.rest))
			if err == nil {
				t.Fatal("it is open")
			}
			text := err.Error()
			if !strings.Contains(text, tt.told) || strings.Contains(text, tt.not) || strings.Contains(text, "\n") || strings.Contains(text, "hidden") {
				t.Errorf("got %q", text)
			}
			if !isBroken(err) {
				t.Errorf("%q is not told apart from an answer of the database", text)
			}
		})
	}
}

func TestALostCommit(t *testing.T) {
	url := pgtest.Database(t, current)
	proxy := pgtest.NewProxy(t, url)
	s := openURL(t, proxy.URL)
	for _, c := range []struct {
		rule   string
		lose   *atomic.Bool
		stored bool
	}{
		{"whose answer is lost is unknown, though it is stored", &proxy.LoseAnswer, true},
		{"that never arrived is unknown as well, and nothing is stored", &proxy.LoseRequest, false},
	} {
		t.Run(c.rule, func(t *testing.T) {
			hooked := false
			c.lose.Store(true)
			err := s.write(t.Context(), laneBatch, func(t *tx) error {
				t.after(func() { hooked = true })
				return put(c.rule)(t)
			})
			if !errors.Is(err, jadwal.ErrUnknown) || jadwal.CodeOf(err) != jadwal.CodeUnavailable || hooked {
				t.Errorf("got %v, hooked %v", err, hooked)
			}
			found := false
			if err := s.single(t.Context(), func(t *tx) (err error) {
				found, err = t.one("SELECT 1 FROM meta WHERE key = $1", func(row) {}, c.rule)
				return err
			}); err != nil || found != c.stored {
				t.Errorf("found %v, %v", found, err)
			}
			if err := s.write(t.Context(), laneAPI, put(c.rule+" later")); err != nil {
				t.Errorf("a later write: %v", err)
			}
		})
	}
}

func TestABrokenConnection(t *testing.T) {
	s := openPostgresTest(t)
	kill := func(t *tx) error {
		_, err := t.exec("SELECT pg_terminate_backend(pg_backend_pid())")
		return err
	}
	t.Run("before its COMMIT a write runs again", func(t *testing.T) {
		times := 0
		if err := s.write(t.Context(), laneAPI, func(t *tx) error {
			if times++; times == 1 {
				return errors.Join(put("a")(t), kill(t))
			}
			return put("a")(t)
		}); err != nil || times != 2 {
			t.Errorf("%d times, %v", times, err)
		}
	})
	t.Run("before its first row a read runs again", func(t *testing.T) {
		times := 0
		if err := s.read(t.Context(), func(t *tx) error {
			if times++; times == 1 {
				return kill(t)
			}
			return nil
		}); err != nil || times != 2 {
			t.Errorf("%d times, %v", times, err)
		}
	})
	t.Run("again and again is unavailable", func(t *testing.T) {
		err := s.write(t.Context(), laneAPI, kill)
		if jadwal.CodeOf(err) != jadwal.CodeUnavailable || errors.Is(err, jadwal.ErrUnknown) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAWriteOnPostgres(t *testing.T) {
	s := openPostgresTest(t)
	boom := errors.New("boom")
	t.Run("that fails leaves nothing and runs no hook", func(t *testing.T) {
		if err := s.write(t.Context(), laneAPI, func(t *tx) error {
			t.after(func() { panic("a hook ran") })
			return errors.Join(put("a")(t), boom)
		}); !errors.Is(err, boom) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("that panics leaves nothing", func(t *testing.T) {
		if err := s.write(t.Context(), laneAPI, func(t *tx) error {
			if err := put("a")(t); err != nil {
				return err
			}
			panic("out of luck")
		}); err == nil || jadwal.CodeOf(err) != jadwal.CodeInternal {
			t.Errorf("got %v", err)
		}
		if got := keys(t, s); len(got) != 0 {
			t.Errorf("stored: %v", got)
		}
	})
	t.Run("whose caller leaves while it runs is stored, and it is told so", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		if err := s.write(ctx, laneAPI, func(t *tx) error {
			cancel()
			return put("left")(t)
		}); err != nil {
			t.Errorf("got %v", err)
		}
		if err := s.write(ctx, laneAPI, put("b")); !errors.Is(err, context.Canceled) {
			t.Errorf("afterwards: %v", err)
		}
	})
	t.Run("that waits for a lock is unavailable within a bound", func(t *testing.T) {
		held, free := make(chan struct{}), make(chan struct{})
		done := make(chan error)
		go func() {
			done <- s.write(context.Background(), laneAPI, func(t *tx) error {
				if _, err := t.exec("UPDATE meta SET value = 'y' WHERE key = 'left'"); err != nil {
					return err
				}
				close(held)
				<-free
				return nil
			})
		}()
		<-held
		err := s.write(t.Context(), laneAPI, func(t *tx) error {
			_, err := t.exec("UPDATE meta SET value = 'z' WHERE key = 'left'")
			return err
		})
		if jadwal.CodeOf(err) != jadwal.CodeUnavailable {
			t.Errorf("got %v", err)
		}
		close(free)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("that conflicts with another one runs again and sees it", func(t *testing.T) {
		read, wrote := make(chan struct{}), make(chan struct{})
		done := make(chan error)
		times, seen := 0, ""
		go func() {
			done <- s.write(context.Background(), laneAPI, func(t *tx) error {
				times++
				if _, err := t.one("SELECT value FROM meta WHERE key = 'left'", func(r row) { seen = r.text(0) }); err != nil {
					return err
				}
				if times == 1 {
					close(read)
					<-wrote
				}
				_, err := t.exec("UPDATE meta SET value = 'second' WHERE key = 'left'")
				return err
			})
		}()
		<-read
		if err := s.write(t.Context(), laneAPI, func(t *tx) error {
			_, err := t.exec("UPDATE meta SET value = 'first' WHERE key = 'left'")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		close(wrote)
		if err := <-done; err != nil || times != 2 || seen != "first" {
			t.Errorf("%d times, saw %q, %v", times, seen, err)
		}
	})
	t.Run("to a closed store is refused", func(t *testing.T) {
		s := openURL(t, pgtest.Database(t, current))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{s.write(t.Context(), laneAPI, put("a")), s.read(t.Context(), func(*tx) error { return nil })} {
			if jadwal.CodeOf(err) != jadwal.CodeUnavailable {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestTheFence(t *testing.T) {
	url := pgtest.Database(t, current)
	node := jadwal.Node{Address: "test", StartedAt: at(0)}
	var first int64
	h := newHot(t, func(t testing.TB) *Store {
		s := openURL(t, url)
		var err error
		if first, err = s.Join(t.Context(), node, time.Hour); err != nil {
			t.Fatal(err)
		}
		return s
	})
	move := func(from int) []*jadwal.Outcome {
		return []*jadwal.Outcome{{JobID: h.job.ID, Version: 1, At: us(from), Next: us(from + 1), Started: 1, Records: []jadwal.Run{h.succeeded(from)}}}
	}
	h.commit(at(1), move(1)...)
	next := openURL(t, url)
	second, err := next.Join(t.Context(), node, time.Hour)
	if err != nil || second <= first {
		t.Fatalf("nodes %d and %d, %v", first, second, err)
	}
	if gone, err := next.Bury(t.Context(), first); err != nil || gone {
		t.Fatal(gone, err)
	}
	if err := h.Renew(t.Context(), first, time.Microsecond, false, false); err != nil {
		t.Fatalf("a node whose lease lasts was buried: %v", err)
	}
	if gone, err := next.Bury(t.Context(), first); err != nil || !gone {
		t.Fatal(gone, err)
	}
	if err := h.Renew(t.Context(), first, time.Hour, false, false); !errors.Is(err, jadwal.ErrFenced) {
		t.Errorf("a buried node's lease was renewed: %v", err)
	}
	before := h.digest()
	if _, err := h.Commit(t.Context(), at(2), move(2)); !errors.Is(err, jadwal.ErrFenced) {
		t.Errorf("got %v", err)
	}
	if h.digest() != before {
		t.Error("something was written behind the fence")
	}
	if v, err := next.Commit(t.Context(), at(2), move(2)); err != nil || v[0] != jadwal.Recorded {
		t.Errorf("%v, %v", v, err)
	}
	t.Run("who takes over waits for the batch that is on its way", func(t *testing.T) {
		fenced, free := make(chan struct{}), make(chan struct{})
		batch := make(chan error)
		go func() {
			batch <- next.write(context.Background(), laneBatch, func(t *tx) error {
				if err := next.db.(*postgresDB).commitMany(t, second, nil, nil, nil); err != nil {
					return err
				}
				close(fenced)
				<-free
				return put("batch")(t)
			})
		}()
		<-fenced
		over := make(chan error, 1)
		go func() {
			over <- h.Leave(context.Background(), second)
		}()
		select {
		case err := <-over:
			t.Errorf("it did not wait: %v", err)
			over <- nil
		case <-time.After(300 * time.Millisecond):
		}
		close(free)
		if err := errors.Join(<-batch, <-over); err != nil {
			t.Error(err)
		}
	})
}

// A node that was cut off in a transaction leaves what that holds locked until
// PostgreSQL ends it. The others do not wait for it in their turns.
func TestWhatANodeThatWasCutOffHoldsKeepsNoOtherOneWaiting(t *testing.T) {
	url := pgtest.Database(t, current)
	s := openURL(t, url)
	join := func() int64 {
		id, err := s.Join(t.Context(), jadwal.Node{Address: "test", StartedAt: at(0)}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	dead, living := join(), join()
	if err := s.Renew(t.Context(), dead, time.Microsecond, false, false); err != nil {
		t.Fatal(err)
	}
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	cutOff, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cutOff.Exec(t.Context(), "SELECT 1 FROM node WHERE id = $1 FOR KEY SHARE", dead); err != nil { // a batch
		t.Fatal(err)
	}
	if _, err := cutOff.Exec(t.Context(), "UPDATE shard SET owner = NULL WHERE shard < 3"); err != nil { // shards that it gives back
		t.Fatal(err)
	}
	var some jadwal.ShardSet
	for shard := range 5 {
		some.Add(shard)
	}
	take := func() (jadwal.ShardSet, error) {
		seen, err := s.Cluster(t.Context())
		if err != nil {
			return jadwal.ShardSet{}, err
		}
		got, err := s.Take(t.Context(), living, some, seen)
		if err != nil {
			return jadwal.ShardSet{}, err
		}
		return got.Set(), nil
	}
	if gone, err := s.Bury(t.Context(), dead); err != nil || gone {
		t.Errorf("it was removed with a batch on its way: %v, %v", gone, err)
	}
	if got, err := take(); err != nil || got.Len() != 2 || !got.Has(3) || !got.Has(4) {
		t.Errorf("took %d shards, %v", got.Len(), err)
	}
	if err := cutOff.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.Bury(t.Context(), dead); err != nil || !gone {
		t.Errorf("its batch has ended: %v, %v", gone, err)
	}
	if got, err := take(); err != nil || got.Len() != 3 {
		t.Errorf("took %d shards, %v", got.Len(), err)
	}
}

// A process that has joined again commits nothing of what it was before.
func TestABatchThatWaitsIsTheFormerNodes(t *testing.T) {
	h := newHot(t, openPostgresTest)
	join := func() int64 {
		id, err := h.Join(t.Context(), jadwal.Node{Address: "here", Version: "1", StartedAt: at(0)}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	former := join()
	d := h.db.(*postgresDB)
	var taken []*pgxpool.Conn
	for range d.batch.Config().MaxConns {
		c, err := d.batch.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, c)
	}
	done := make(chan error)
	go func() {
		_, err := h.Store.Commit(context.Background(), at(2), []*jadwal.Outcome{{JobID: h.job.ID, Version: 1, At: us(1), Next: us(2), Started: 1, Records: []jadwal.Run{h.succeeded(1)}}})
		done <- err
	}()
	time.Sleep(300 * time.Millisecond) // it waits for a connection
	if err := h.Leave(t.Context(), former); err != nil {
		t.Fatal(err)
	}
	join()
	for _, c := range taken {
		c.Release()
	}
	if err := <-done; !errors.Is(err, jadwal.ErrFenced) {
		t.Errorf("got %v", err)
	}
}

// Numbers of sequences do not follow the order of commits.
func TestAPollBringsWhatWasCreatedFirstAndCommittedLast(t *testing.T) {
	h := newHot(t, openPostgresTest)
	begun, free := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		done <- h.write(context.Background(), laneAPI, func(t *tx) error {
			if err := h.putCursor(t, jadwal.Job{ID: h.job.ID + 1, OwnerID: 1}, at(5), at(0)); err != nil {
				return err
			}
			if _, err := t.exec(`INSERT INTO job_version (job_id, version, definition, state, effective_at) VALUES ($1, 1, '{}', 'enabled', 1)`, h.job.ID+1); err != nil {
				return err
			}
			if _, err := t.exec(`INSERT INTO job (id, owner_id, name, definition, state, version, created_at, updated_at) VALUES ($1, 1, 'slow', '{}', 'enabled', 1, 1, 1)`, h.job.ID+1); err != nil {
				return err
			}
			close(begun)
			<-free
			return nil
		})
	}()
	<-begun
	h.execute("SELECT setval('job_id_seq', 10)")
	quick := h.create("quick", "* * * * *", at(5)).ID
	load := func() (ids []int64) {
		t.Helper()
		found, err := h.Load(t.Context(), jadwal.AllShards(), us(5), us(6), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range found {
			ids = append(ids, d.JobID)
		}
		return ids
	}
	if got := load(); !slices.Equal(got, []int64{quick}) {
		t.Errorf("loaded %v", got)
	}
	close(free)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := load(); !slices.Equal(got, []int64{quick}) {
		t.Errorf("loaded %v before a poll has brought the other", got)
	}
	news, err := h.Poll(t.Context(), jadwal.AllShards(), at(0), 0, 0)
	if err != nil || len(news.Changes) != 1 || news.Changes[0].Kind != jadwal.ChangeCreate || news.Changes[0].JobID != h.job.ID+1 {
		t.Fatalf("%+v, %v", news, err)
	}
	c := news.Changes[0]
	h.commit(at(0), &jadwal.Outcome{JobID: c.JobID, Version: 1, At: c.Cursor.NextAt, Next: c.Cursor.NextAt, Applied: &jadwal.Applied{ChangeID: c.ID}})
	if got := load(); !slices.Equal(got, []int64{h.job.ID + 1, quick}) {
		t.Errorf("loaded %v", got)
	}
}
