package store

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// errLocked says that another process serves the data directory.
var errLocked = errors.New("another jadwal server is using it")

// lockDir takes the lock of the directory itself (flock(2)), which ends with
// the process at the latest: there is no file that somebody could take for
// left over and remove. errLocked: somebody else has it.
func lockDir(dir string) (*os.File, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	err = syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(errLocked, d.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock: %w", err), d.Close())
	}
	return d, nil
}
