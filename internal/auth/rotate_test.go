package auth

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

// keyDir is a data directory with keys, and the names of both files.
func keyDir(t *testing.T) (dir, active, retiring string, k Keys) {
	t.Helper()
	dir = t.TempDir()
	k, err := LoadOrCreateKeys(dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(dir, KeyFile), filepath.Join(dir, RetiringKeyFile), k
}

func load(t *testing.T, dir string) Keys {
	t.Helper()
	k, err := LoadKeys(dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestRotation(t *testing.T) {
	dir, active, retiring, k1 := keyDir(t)
	if err := RotateFiles(active, retiring); err != nil {
		t.Fatal(err)
	}
	k2 := load(t, dir)
	t.Run("the secret before retires", func(t *testing.T) {
		if bytes.Equal(k2.active, k1.active) || !bytes.Equal(k2.retiring, k1.active) {
			t.Errorf("from %s to %s, %s", k1.active, k2.active, k2.retiring)
		}
	})
	t.Run("only the owner can read either", func(t *testing.T) {
		for _, name := range []string{active, retiring} {
			if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
				t.Errorf("%s: %v, %v", name, info.Mode(), err)
			}
		}
	})
	t.Run("another one has to wait, and nothing changes", func(t *testing.T) {
		if err := RotateFiles(active, retiring); !errors.Is(err, ErrRetiring) || !load(t, dir).Equal(k2) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("until the retiring one is dropped", func(t *testing.T) {
		if err := DropRetiring(dir, k1); err != nil || !load(t, dir).Equal(k2) {
			t.Errorf("dropped for somebody who knows another one: %v", err)
		}
		if err := DropRetiring(dir, k2); err != nil || load(t, dir).retiring != nil || !bytes.Equal(load(t, dir).active, k2.active) {
			t.Errorf("got %v", err)
		}
		if err := RotateFiles(active, retiring); err != nil || !bytes.Equal(load(t, dir).retiring, k2.active) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("or replaced with the active one", func(t *testing.T) {
		before := load(t, dir)
		if err := ReplaceFiles(active, retiring); err != nil {
			t.Fatal(err)
		}
		if k := load(t, dir); k.retiring != nil || bytes.Equal(k.active, before.active) {
			t.Errorf("before %+v, after %+v", before, k)
		}
	})
	t.Run("the mode of the file stays", func(t *testing.T) {
		if err := os.Chmod(active, 0o640); err != nil {
			t.Fatal(err)
		}
		if err := RotateFiles(active, retiring); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{active, retiring} {
			if info, err := os.Stat(name); err != nil || info.Mode() != 0o640 {
				t.Errorf("%s: %v, %v", name, info.Mode(), err)
			}
		}
	})
}

// Whatever a crash leaves of a rotation, both secrets are known afterwards, and
// it can be done again.
func TestARotationThatIsCutShort(t *testing.T) {
	t.Run("after the retiring file is written", func(t *testing.T) {
		dir, active, retiring, k := keyDir(t)
		text, err := os.ReadFile(active)
		if err == nil {
			err = os.WriteFile(retiring, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if now := load(t, dir); !now.Equal(k) {
			t.Errorf("got %+v", now)
		}
		if err := RotateFiles(active, retiring); err != nil {
			t.Fatal(err)
		}
		if now := load(t, dir); !bytes.Equal(now.retiring, k.active) || bytes.Equal(now.active, k.active) {
			t.Errorf("got %+v", now)
		}
	})
	t.Run("while a file is written", func(t *testing.T) {
		dir, active, retiring, k := keyDir(t)
		half := active + partial + "123"
		if err := os.WriteFile(half, []byte("ha"), 0o600); err != nil {
			t.Fatal(err)
		}
		if now := load(t, dir); !now.Equal(k) {
			t.Errorf("got %+v", now)
		}
		if err := RotateFiles(active, retiring); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(half); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what was left is there still: %v", err)
		}
	})
}

// Who reads while rotations go on never meets a secret that is not the one
// before, the one after, or both.
func TestReadersOfARotationKnowEverySecretThatSigned(t *testing.T) {
	dir, active, retiring, _ := keyDir(t)
	done := make(chan struct{})
	var wg sync.WaitGroup
	var read [2]atomic.Int64
	for i := range read {
		wg.Go(func() {
			last := load(t, dir)
			for {
				select {
				case <-done:
					return
				default:
				}
				k, err := LoadKeys(dir, nil, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if !bytes.Equal(k.active, last.active) && !bytes.Equal(k.retiring, last.active) {
					t.Error("the secret that was active a moment ago is not known")
					return
				}
				last = k
				read[i].Add(1)
			}
		})
	}
	for range 15 {
		if err := RotateFiles(active, retiring); err != nil {
			t.Fatal(err)
		}
		for i := range read { // as the lifetime of what was signed does, this gives everybody time to see it
			for n := read[i].Load(); read[i].Load() < n+2 && !t.Failed(); time.Sleep(time.Millisecond) {
			}
		}
		if err := DropRetiring(dir, load(t, dir)); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	wg.Wait()
}

func TestRotationsAtOnceWaitForEachOther(t *testing.T) {
	dir, active, retiring, k := keyDir(t)
	var wg sync.WaitGroup
	results := make([]error, 8)
	for i := range results {
		wg.Go(func() { results[i] = RotateFiles(active, retiring) })
	}
	wg.Wait()
	rotated := 0
	for _, err := range results {
		switch {
		case err == nil:
			rotated++
		case !errors.Is(err, ErrRetiring):
			t.Error(err)
		}
	}
	if now := load(t, dir); rotated != 1 || !bytes.Equal(now.retiring, k.active) {
		t.Errorf("%d rotated; the first secret is lost: %v", rotated, !bytes.Equal(now.retiring, k.active))
	}
}

func TestFilesThatAreNotRotated(t *testing.T) {
	good := strings.Repeat("k", 43)
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, active string)
		want    string
	}{
		"one that is not there": {func(t *testing.T, active string) {}, "no such file"},
		"one that is too short": {func(t *testing.T, active string) { write(t, active, "short") }, "has 5 bytes"},
		"one that is empty":     {func(t *testing.T, active string) { write(t, active, "") }, "has 0 bytes"},
		"a symbolic link, which belongs to whatever made it": {func(t *testing.T, active string) {
			write(t, active+".real", good)
			if err := os.Symlink(active+".real", active); err != nil {
				t.Fatal(err)
			}
		}, "is a symbolic link"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			active, retiring := filepath.Join(dir, "a"), filepath.Join(dir, "r")
			tt.prepare(t, active)
			for _, err := range []error{RotateFiles(active, retiring), ReplaceFiles(active, retiring)} {
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), active) {
					t.Errorf("got %v", err)
				}
			}
			if _, err := os.Stat(retiring); err == nil {
				t.Error("a retiring file was made")
			}
		})
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRetiringKeyFilesThatAreRefused(t *testing.T) {
	dir, _, retiring, _ := keyDir(t)
	write(t, retiring, strings.Repeat("k", 43))
	if err := os.Chmod(retiring, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKeys(dir, nil, nil); err == nil || !strings.Contains(err.Error(), "chmod 600 "+retiring) {
		t.Errorf("everybody can read it: %v", err)
	}
	write(t, retiring, "short")
	if err := os.Chmod(retiring, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKeys(dir, nil, nil); err == nil || !strings.Contains(err.Error(), retiring+": has 5 bytes") {
		t.Errorf("it is cut short: %v", err)
	}
}

func TestWhichKeysAreInForce(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	k := Keys{active: testKey, retiring: otherKey}
	active, retiring := k.Holder().Active, k.Holder().Retiring
	for name, tt := range map[string]struct {
		agreed jadwal.SigningRecord
		now    time.Time
		want   Keys
	}{
		"the active one signs":                               {jadwal.SigningRecord{Signs: active, Before: retiring, Since: now}, now, k},
		"not before the others know it":                      {jadwal.SigningRecord{Signs: retiring, Since: now}, now.Add(time.Hour * 999), Keys{active: otherKey, retiring: testKey}},
		"the one before is not accepted for ever":            {jadwal.SigningRecord{Signs: active, Before: retiring, Since: now}, now.Add(time.Hour + time.Minute), Keys{active: testKey}},
		"one that has not signed yet is":                     {jadwal.SigningRecord{Signs: active, Since: now}, now.Add(time.Hour * 999), k},
		"the one before is dropped where it is still active": {jadwal.SigningRecord{Signs: retiring, Before: active, Since: now}, now.Add(time.Hour + time.Minute), Keys{active: otherKey}},
	} {
		if got := k.InForce(tt.agreed, time.Hour, tt.now); !got.Equal(tt.want) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// Keys change while tokens are made and read: each that was made stays good
// through the next change.
func TestKeysChangeUnderUse(t *testing.T) {
	k := Keys{active: testKey}
	tokens := NewTokens(testKey, nil, testTimes)
	use := func() { tokens.Use(k.Derive(PurposeTokens)) }
	use()
	for i := range byte(50) {
		access, refresh := tokens.Pair(testSession(), testNow)
		k = Keys{active: bytes.Repeat([]byte{i}, jadwal.MinServerSecret), retiring: k.active}
		var wg sync.WaitGroup
		wg.Go(use)
		wg.Go(func() {
			for range 20 {
				_, err1 := tokens.ParseAccess(access, testNow)
				_, err2 := tokens.ParseRefresh(refresh, testNow)
				if err := errors.Join(err1, err2); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Wait()
	}
}
