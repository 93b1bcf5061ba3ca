package auth

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/teknohole/jadwal"
)

func TestTheKeyFileIsMadeOnceAndReadAgain(t *testing.T) {
	dir := t.TempDir()
	k1, err := LoadOrCreateKeys(dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, KeyFile)
	info, err := os.Stat(name)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(name)
	if err != nil || len(text) != 44 || text[43] != '\n' {
		t.Fatalf("%d bytes, %v", len(text), err)
	}
	if left, _ := filepath.Glob(name + "?*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	k2, err := LoadOrCreateKeys(dir, nil, nil)
	if err != nil || !bytes.Equal(k1.active, k2.active) {
		t.Errorf("the second start has another secret: %v", err)
	}
	k3, err := LoadOrCreateKeys(t.TempDir(), text, nil)
	if err != nil || !bytes.Equal(k1.active, k3.active) {
		t.Errorf("the file's content as the configured secret is another one: %v", err)
	}
	k4, err := LoadOrCreateKeys(t.TempDir(), nil, nil)
	if err != nil || bytes.Equal(k1.active, k4.active) {
		t.Errorf("two servers made the same secret: %v", err)
	}
}

func TestConfiguredSecrets(t *testing.T) {
	long := bytes.Repeat([]byte("x"), jadwal.MinServerSecret)
	dir := t.TempDir()
	k, err := LoadOrCreateKeys(dir, append(long, "\r\n"...), otherKey)
	if err != nil || !bytes.Equal(k.active, long) || !bytes.Equal(k.retiring, otherKey) {
		t.Errorf("got %q, %q, %v", k.active, k.retiring, err)
	}
	if files, _ := os.ReadDir(dir); len(files) > 0 {
		t.Errorf("a configured secret made %v", files)
	}
	for name, tt := range map[string]struct {
		active, retiring []byte
		want             string
	}{
		"31 bytes are too few":                  {long[:31], nil, "secret: has 31 bytes"},
		"a line end is none of the bytes":       {append(long[:31:31], '\n'), nil, "secret: has 31 bytes"},
		"4097 bytes are too many":               {bytes.Repeat(long, 129)[:4097], nil, "secret: has 4097 bytes"},
		"a retiring secret has the same bounds": {long, long[:3], "retiring secret: has 3 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := LoadOrCreateKeys(t.TempDir(), tt.active, tt.retiring); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s…", err, tt.want)
			}
		})
	}
}

func TestKeyFilesThatAreRefused(t *testing.T) {
	good := strings.Repeat("k", 43)
	for name, tt := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"everybody can read it":  {good, 0o644, "chmod 600"},
		"everybody can write it": {good, 0o602, "chmod 600"},
		"it is empty":            {"", 0o600, "restore it from a backup"},
		"it is cut short":        {good[:31], 0o600, "has 31 bytes"},
		"it is something else":   {strings.Repeat("k", 1<<20), 0o600, "needs 32 to 4096"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, KeyFile)
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, tt.mode); err != nil {
				t.Fatal(err)
			}
			_, err := LoadOrCreateKeys(dir, nil, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), file) {
				t.Errorf("got %v", err)
			}
			if after, _ := os.ReadFile(file); string(after) != tt.text {
				t.Error("the file was touched")
			}
		})
	}
	t.Run("the group may read it", func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, KeyFile)
		if err := os.WriteFile(file, []byte(good), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, 0o660); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadOrCreateKeys(dir, nil, nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("there is no such directory", func(t *testing.T) {
		if _, err := LoadOrCreateKeys(filepath.Join(t.TempDir(), "nowhere"), nil, nil); err == nil {
			t.Error("no error")
		}
	})
	t.Run("the file is a directory", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, KeyFile), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadOrCreateKeys(dir, nil, nil); err == nil {
			t.Error("no error")
		}
	})
}

func TestKeysOfPurposesDiffer(t *testing.T) {
	k, err := LoadOrCreateKeys(t.TempDir(), testKey, otherKey)
	if err != nil {
		t.Fatal(err)
	}
	a1, r1 := k.Derive(PurposeTokens)
	a2, r2 := k.Derive(PurposeTokens)
	b, _ := k.Derive("another purpose")
	if len(a1) != 32 || len(r1) != 32 || !bytes.Equal(a1, a2) || !bytes.Equal(r1, r2) {
		t.Errorf("keys %x %x, then %x %x", a1, r1, a2, r2)
	}
	if bytes.Equal(a1, r1) || bytes.Equal(a1, b) || bytes.Equal(a1, testKey) {
		t.Error("two keys are alike")
	}
	k, err = LoadOrCreateKeys(t.TempDir(), testKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, retiring := k.Derive(PurposeTokens); retiring != nil {
		t.Errorf("a retiring key without a retiring secret: %x", retiring)
	}
}
