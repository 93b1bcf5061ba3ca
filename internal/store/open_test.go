package store

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store/dirtest"
)

func TestOpen(t *testing.T) {
	ctx := context.Background()
	inside := func(t *testing.T, dir, sql string) {
		t.Helper()
		c, err := openConn(filepath.Join(dir, fileName), writing)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		if _, err := (&tx{c: c}).exec(sql); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(t *testing.T, dir, because string) {
		t.Helper()
		s, err := Open(ctx, Options{Dir: dir})
		if err == nil {
			s.Close()
			t.Fatal("it was opened")
		}
		if !strings.Contains(err.Error(), because) {
			t.Errorf("%v; want it to tell of %q", err, because)
		}
	}

	t.Run("a new data directory and its files are for nobody else", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a", "b")
		s := openTest(t, dir, nil)
		if err := s.write(ctx, laneAPI, put("a")); err != nil {
			t.Fatal(err)
		}
		for path, mode := range map[string]fs.FileMode{"": fs.ModeDir | 0o700, fileName: 0o600, fileName + "-wal": 0o600, fileName + "-shm": 0o600} {
			info, err := os.Stat(filepath.Join(dir, path))
			if err != nil || info.Mode() != mode {
				t.Errorf("%s: %v, %v", path, info.Mode(), err)
			}
		}
	})
	t.Run("a closed store leaves one file without a log, and opens again with what it had", func(t *testing.T) {
		dir := dirtest.New(t)
		s := openTest(t, dir, nil)
		if err := s.write(ctx, laneAPI, put("a")); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, fileName+"-wal")); err == nil {
			t.Error("the log is still there")
		}
		if got := keys(t, openTest(t, dir, nil)); len(got) != 1 {
			t.Errorf("stored: %v", got)
		}
	})
	t.Run("a directory that a server holds is refused, and free again when that has closed", func(t *testing.T) {
		dir := dirtest.New(t)
		s := openTest(t, dir, nil)
		refused(t, dir, "another jadwal server is using it")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		openTest(t, dir, nil)
	})
	t.Run("a directory that another process holds is refused", func(t *testing.T) {
		dir := dirtest.New(t)
		flock, err := exec.LookPath("flock")
		if err != nil {
			t.Logf("flock(1) is not installed: the lock is only tried within one process")
			return
		}
		other := exec.Command(flock, dir, "sh", "-c", "echo held; read line")
		in, err := other.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := other.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, "another jadwal server is using it")
		in.Close()
		_ = other.Wait() // read line fails at the end of its input
		openTest(t, dir, nil)
	})
	t.Run("a schema of a newer jadwal is refused", func(t *testing.T) {
		dir := dirtest.New(t)
		openTest(t, dir, nil).Close()
		inside(t, dir, "UPDATE meta SET value = '999' WHERE key = 'schema'")
		refused(t, dir, "its schema is version 999, and this jadwal knows only up to")
		if _, err := OpenOffline(ctx, Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "999") {
			t.Errorf("offline: %v", err)
		}
		inside(t, dir, "UPDATE meta SET value = 'x' WHERE key = 'schema'")
		refused(t, dir, `schema version "x"`)
	})
	t.Run("somebody else's database is refused and left as it is", func(t *testing.T) {
		dir := dirtest.New(t)
		if err := makeFile(filepath.Join(dir, fileName)); err != nil {
			t.Fatal(err)
		}
		inside(t, dir, "CREATE TABLE photo (id INTEGER)")
		refused(t, dir, `it has a table "photo"`)
	})
	t.Run("a file that is no database is refused", func(t *testing.T) {
		dir := dirtest.New(t)
		if err := os.WriteFile(filepath.Join(dir, fileName), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, "not a database")
	})
	t.Run("a path that cannot be a directory is refused", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, file, "data directory")
		refused(t, filepath.Join(file, "below"), "data directory")
	})
	t.Run("a migration that fails leaves the schema as it was", func(t *testing.T) {
		c, err := openConn(filepath.Join(t.TempDir(), "x.db")+"", writing)
		if err == nil {
			c.close()
			t.Fatal("a file was made")
		}
		dir := dirtest.New(t)
		s := openTest(t, dir, nil)
		s.Close()
		c, err = openConn(filepath.Join(dir, fileName), writing)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		steps, err := migrations("sqlite")
		if err != nil {
			t.Fatal(err)
		}
		more := append(steps, "CREATE TABLE one (id INTEGER);", "CREATE TABLE two (id INTEGER); CREATE TABLE two (id INTEGER);")
		if _, err := migrateStep(c, more, false); err == nil || !strings.Contains(err.Error(), "stop that server first") {
			t.Errorf("beside a server: %v", err)
		}
		if done, err := migrateStep(c, more, true); done || err != nil {
			t.Fatalf("%v, %v", done, err)
		}
		if _, err := migrateStep(c, more, true); err == nil || !strings.Contains(err.Error(), "migration "+strconv.Itoa(len(more))) {
			t.Errorf("got %v", err)
		}
		version, err := schemaVersion(&tx{c: c})
		if err != nil || version != len(steps)+1 {
			t.Errorf("version %d, %v", version, err)
		}
		if found, err := (&tx{c: c}).one("SELECT 1 FROM sqlite_schema WHERE name = 'two'", func(row) {}); found || err != nil {
			t.Errorf("half a migration is there: %v", err)
		}
	})
	t.Run("an opening that is given up opens nothing", func(t *testing.T) {
		dir := dirtest.New(t)
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := Open(cancelled, Options{Dir: dir}); err == nil {
			t.Error("it was opened")
		}
		openTest(t, dir, nil) // and the lock is free
	})
}

// SQLite ignores a setting that it does not know, or will not have.
func TestSettings(t *testing.T) {
	s := openTest(t, dirtest.New(t), nil)
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2" /* full */, "foreign_keys": "1", "temp_store": "2", /* memory */
		"wal_autocheckpoint": strconv.Itoa(autoCheckpoint), "cache_size": "-32768",
	} {
		if err := s.write(t.Context(), laneAPI, func(tx *tx) error {
			_, err := tx.one("PRAGMA "+pragma, func(r row) {
				if got := r.text(0); got != want {
					t.Errorf("writer: %s is %s, want %s", pragma, got, want)
				}
			})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	err := s.read(t.Context(), func(t *tx) error {
		_, err := t.exec("DELETE FROM meta")
		return err
	})
	if jadwal.CodeOf(err) != jadwal.CodeUnavailable {
		t.Errorf("a reader may write: %v", err)
	}
}

func TestOffline(t *testing.T) {
	ctx := context.Background()
	t.Run("without a database there is nothing to open, and none is made", func(t *testing.T) {
		dir := dirtest.New(t)
		if _, err := OpenOffline(ctx, Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "no database in it") {
			t.Errorf("got %v", err)
		}
		if files, _ := os.ReadDir(dir); len(files) != 0 {
			t.Errorf("made: %v", files)
		}
	})
	t.Run("a running server notices within about a second what another process has committed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dir := dirtest.New(t)
			s := openTest(t, dir, nil)
			now := time.Now()
			u, err := s.CreateUser(ctx, jadwal.Actor{}, jadwal.NewUser{Username: "ani", Email: "ani@example.com", PasswordHash: "h"}, now)
			if err != nil {
				t.Fatal(err)
			}
			n, err := s.StartSession(ctx, jadwal.Actor{User: u}, now, now.Add(time.Hour), "h")
			if err != nil {
				t.Fatal(err)
			}
			hints := make(chan jadwal.Hint, 10)
			s.Subscribe(func(h jadwal.Hint) { hints <- h })
			time.Sleep(10 * time.Second)
			if len(hints) != 0 {
				t.Error("its own commits are foreign to it")
			}

			other, err := OpenOffline(ctx, Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			if err := other.SetPassword(ctx, jadwal.Actor{}, u.ID, "h2", false, now); err != nil {
				t.Fatal(err)
			}
			if _, ok := other.UserByID(u.ID); !ok {
				t.Error("the other process knows nobody")
			}
			if err := other.Close(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(pollInterval + time.Millisecond)
			synctest.Wait()
			if _, _, ok, _ := s.Identity(ctx, n.ID); ok {
				t.Error("the session still lives")
			}
			if h := <-hints; !h.Changed {
				t.Errorf("hint: %+v", h)
			}
			// It can still write, and read what the other one wrote.
			if _, err := s.StartSession(ctx, jadwal.Actor{User: u}, now, now.Add(time.Hour), "h2"); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("the poll goes on while there is always something to write", func(t *testing.T) {
		dir := dirtest.New(t)
		s := openTest(t, dir, nil)
		noticed := make(chan struct{}, 1)
		s.Subscribe(func(jadwal.Hint) {
			select {
			case noticed <- struct{}{}:
			default:
			}
		})
		stop := make(chan struct{})
		defer close(stop)
		for range 8 {
			go func() {
				for {
					select {
					case <-stop:
						return
					default:
						_ = s.write(ctx, laneAPI, func(*tx) error { return nil })
					}
				}
			}()
		}
		other, err := OpenOffline(ctx, Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if err := other.write(ctx, laneAPI, put("a")); err != nil {
			t.Fatal(err)
		}
		<-noticed
	})
}

func TestTheLogIsCut(t *testing.T) {
	size := func(s *Store) int64 {
		info, err := os.Stat(file(s).path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	fill := func(s *Store, n int) {
		for i := range n { // SQLite writes no page that stays the same
			if err := s.write(context.Background(), laneAPI, func(t *tx) error {
				_, err := t.exec("INSERT INTO meta (key, value) VALUES ('big', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
					strings.Repeat(string(rune('a'+i%26)), 1<<20))
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("it begins anew at the size for that, and is cut when the store is idle", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := openTest(t, dirtest.New(t), nil)
			fill(s, 3*autoCheckpoint*4096/2>>20)
			if got := size(s); got < autoCheckpoint*4096 || got > 2*autoCheckpoint*4096 {
				t.Errorf("%d bytes", got)
			}
			time.Sleep(2*pollInterval + time.Millisecond)
			synctest.Wait()
			if got := size(s); got != 0 {
				t.Errorf("idle: %d bytes", got)
			}
		})
	})
	t.Run("a long read keeps it growing, but not the writer waiting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := openTest(t, dirtest.New(t), nil)
			reading, done := make(chan struct{}), make(chan struct{})
			ended := make(chan error)
			go func() {
				ended <- s.read(context.Background(), func(t *tx) error {
					if _, err := t.one("SELECT 1 FROM meta", func(row) {}); err != nil {
						return err
					}
					close(reading)
					<-done
					return nil
				})
			}()
			<-reading
			fill(s, 40)
			time.Sleep(3 * pollInterval)
			if got := size(s); got < 40<<20 {
				t.Errorf("%d bytes, while somebody reads", got)
			}
			fill(s, 1)
			close(done)
			if err := <-ended; err != nil {
				t.Error(err)
			}
			time.Sleep(3 * pollInterval)
			synctest.Wait()
			if got := size(s); got != 0 {
				t.Errorf("afterwards: %d bytes", got)
			}
		})
	})
	t.Run("it is cut when it is large, although there are always readers", func(t *testing.T) {
		s := openTest(t, dirtest.New(t), nil)
		begin := func() (end func()) {
			reading, done := make(chan struct{}), make(chan struct{})
			go func() {
				_ = s.read(context.Background(), func(t *tx) error {
					_, err := t.one("SELECT 1 FROM meta", func(row) {})
					close(reading)
					<-done
					return err
				})
			}()
			<-reading
			return func() { close(done) }
		}
		end := begin()
		for size(s) <= largeLog {
			next := begin()
			fill(s, 2)
			end()
			end = next
		}
		end()
		stop := make(chan struct{})
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						end := begin()
						time.Sleep(time.Millisecond)
						end()
					}
				}
			})
		}
		for size(s) > largeLog {
			time.Sleep(10 * time.Millisecond)
		}
		close(stop)
		readers.Wait()
	})
}
