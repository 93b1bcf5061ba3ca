// Package dirtest gives tests directories for their databases.
package dirtest

import (
	"os"
	"testing"
)

// New makes a directory that goes when the test ends: in memory, where there is
// such a place (shm_overview(7)), since a database that is about to be thrown
// away need not wait for a disk.
func New(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "jadwal")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
