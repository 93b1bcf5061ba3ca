package store

import "modernc.org/libc"

// To divide a page of a B-tree, SQLite takes 4 to 16 KiB for a moment. Its
// allocator cuts such pieces, one size class each, out of blocks of 64 KiB, and
// returns a block to the system as soon as nothing of it is in use: so when all
// the others of that class are full of cached pages, each division is an
// mmap(2), a munmap(2) and new page faults, which took a third of the time of a
// commit. A piece that is held keeps its block.
var scratchSizes = [...]int{8 << 10, 16 << 10}

// scratch holds one piece of each size class.
type scratch struct {
	tls  *libc.TLS
	held [len(scratchSizes)]uintptr
}

// renew takes a piece anew before it gives the held one back: afterwards at
// least that one is free in a block that stays, though the page cache has grown.
func (s *scratch) renew() {
	for i, size := range scratchSizes {
		held := libc.Xmalloc(s.tls, libc.Tsize_t(size))
		libc.Xfree(s.tls, s.held[i])
		s.held[i] = held // 0 when there is no memory: then SQLite will say so
	}
}

func (s *scratch) close() {
	for i, held := range s.held {
		libc.Xfree(s.tls, held)
		s.held[i] = 0
	}
	s.tls.Close()
}
