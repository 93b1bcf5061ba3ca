package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/teknohole/jadwal"
)

// ErrRetiring is that a secret still retires, so that another one cannot begin
// to: two secrets are accepted at most.
var ErrRetiring = errors.New("the secret before is still accepted, and may have signed what is still good")

// RotateFiles puts a new secret into the file active, and what it held into the
// file retiring, so that a server that reads both at any moment, or after a
// crash in between, knows every secret that has signed: the retiring one is
// written first, and each file is replaced as a whole. The new files have the
// mode and the owner of active. Rotations at once wait for each other.
//
// ErrRetiring: the retiring file holds another secret than active.
func RotateFiles(active, retiring string) error {
	return rotating(active, func(secret []byte, info fs.FileInfo) error {
		before, err := readIfThere(retiring)
		switch {
		case err != nil:
			return err
		case len(before) > 0 && !bytes.Equal(before, trimEOL(secret)):
			return fmt.Errorf("%s: %w", retiring, ErrRetiring)
		}
		if err := replace(retiring, secret, info); err != nil {
			return err
		}
		return replace(active, newSecretLine(), info)
	})
}

// ReplaceFiles puts a new secret into the file active and none into retiring:
// nothing that was signed before is good any more.
func ReplaceFiles(active, retiring string) error {
	return rotating(active, func(_ []byte, info fs.FileInfo) error {
		if err := replace(active, newSecretLine(), info); err != nil {
			return err
		}
		return empty(retiring, info)
	})
}

// DropRetiring empties RetiringKeyFile in dir, if the secret in it is that of
// k.
func DropRetiring(dir string, k Keys) error {
	name := filepath.Join(dir, RetiringKeyFile)
	return rotating(filepath.Join(dir, KeyFile), func(_ []byte, info fs.FileInfo) error {
		now, err := readIfThere(name)
		if err != nil || len(k.retiring) == 0 || !bytes.Equal(now, k.retiring) {
			return err
		}
		return empty(name, info)
	})
}

// rotating runs fn with what the file active holds while nobody else does. The
// lock (flock(2)) is on the file itself: whoever waited for it finds another
// file in its place, and begins again.
func rotating(active string, fn func(secret []byte, info fs.FileInfo) error) error {
	if info, err := os.Lstat(active); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("%s is a symbolic link: change the secret where whatever made the link has it from", active)
	}
	for {
		again, err := rotatingOnce(active, fn)
		if err != nil || !again {
			return err
		}
	}
}

func rotatingOnce(active string, fn func([]byte, fs.FileInfo) error) (again bool, err error) {
	f, err := os.Open(active)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }() // and with it ends the lock
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return false, fmt.Errorf("%s: lock: %w", active, err)
	}
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	if there, err := os.Stat(active); err != nil || !os.SameFile(mine, there) {
		return err == nil, err
	}
	secret := make([]byte, jadwal.MaxServerSecret+3)
	n, err := f.ReadAt(secret, 0)
	if n == 0 && err != nil {
		return false, fmt.Errorf("%s: %w", active, jadwal.CheckServerSecret(nil))
	}
	secret = secret[:n]
	if err := jadwal.CheckServerSecret(secret); err != nil {
		return false, fmt.Errorf("%s: %w", active, err)
	}
	if err := removePartial(active); err != nil {
		return false, err
	}
	return false, fn(secret, mine)
}

// readIfThere is the secret in a file, without its end of line; none when the
// file is not there.
func readIfThere(name string) ([]byte, error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return trimEOL(b), err
}

func empty(name string, like fs.FileInfo) error {
	if b, err := readIfThere(name); err != nil || b == nil {
		return err
	}
	return replace(name, nil, like)
}

// replace writes a file with the mode and the owner of another one.
func replace(name string, text []byte, like fs.FileInfo) error {
	owner, _ := like.Sys().(*syscall.Stat_t)
	return writeWhole(name, text, like.Mode().Perm(), owner)
}
