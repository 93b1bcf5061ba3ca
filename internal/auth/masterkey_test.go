package auth

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheMasterKeyFileIsMadeOnceAndReadAgain(t *testing.T) {
	dir := t.TempDir()
	first, err := LoadOrCreateMasterKey(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, MasterKeyFile)
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if HasKeyFile(dir) {
		t.Error("it is taken for the secret's")
	}
	if again, err := LoadOrCreateMasterKey(dir, true); err != nil || !bytes.Equal(again, first) {
		t.Errorf("the second start has another one: %v", err)
	}
	if err := os.Chmod(file, 0o604); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreateMasterKey(dir, true); err == nil || !strings.Contains(err.Error(), "chmod 600 "+file) {
		t.Errorf("everybody can read it: %v", err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreateMasterKey(dir, false); err == nil || !strings.Contains(err.Error(), "restore it from a backup, without it what is sealed is lost") {
		t.Errorf("it is empty: %v", err)
	}
}

func TestAMasterKeyThatIsNeededIsNotMadeAnew(t *testing.T) {
	dir := t.TempDir()
	if _, err := LoadOrCreateMasterKey(dir, true); err == nil || !strings.Contains(err.Error(), MasterKeyFile+" is gone") {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("made: %v", left)
	}
}
