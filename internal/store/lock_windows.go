package store

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// errLocked says that another process serves the data directory.
var errLocked = errors.New("another jadwal server is using it")

// sharingViolation is ERROR_SHARING_VIOLATION of the Windows system error
// codes.
const sharingViolation = syscall.Errno(32)

// lockFile opens the file without sharing it (CreateFileW, dwShareMode 0),
// which holds until the process ends at the latest. errLocked: somebody else
// has it.
func lockFile(path string) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	h, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, sharingViolation) {
		return nil, errLocked
	}
	if err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	return os.NewFile(uintptr(h), path), nil
}
