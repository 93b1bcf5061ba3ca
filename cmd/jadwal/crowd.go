package main

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"syscall"
)

// A crowd bounds how many connections clients hold, so that they never take
// the descriptors that runs need. Where there is no more room, the connection
// that has been idle for longest makes way; when none is idle, the new one is
// closed.
type crowd struct {
	most int

	mu   sync.Mutex
	all  map[net.Conn]*list.Element // nil: not idle
	idle *list.List                 // of net.Conn, idle for longest first
}

func newCrowd(most int) *crowd {
	return &crowd{most: most, all: map[net.Conn]*list.Element{}, idle: list.New()}
}

// mostConnections is a quarter of the process's limit of open files, at most
// 16,384: runs may take half of it (engine.Options.InFlight).
func mostConnections() int {
	const most = 16 << 10
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return most
	}
	return int(max(1, min(files.Cur/4, most)))
}

// see is the http.Server's ConnState, which holds up the next connection. So one
// with TLS is closed without the farewell that its client may not read.
func (c *crowd) see(conn net.Conn, state http.ConnState) {
	victim := c.note(conn, state)
	if secure, ok := victim.(*tls.Conn); ok {
		victim = secure.NetConn()
	}
	if victim != nil {
		victim.Close()
	}
}

// note keeps the books and returns the connection that must go, if any.
func (c *crowd) note(conn net.Conn, state http.ConnState) (victim net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.all[conn]; at != nil {
		c.idle.Remove(at)
		c.all[conn] = nil
	}
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.all, conn)
	case http.StateIdle:
		c.all[conn] = c.idle.PushBack(conn)
	case http.StateNew:
		c.all[conn] = nil
		if len(c.all) <= c.most {
			return nil
		}
		victim = conn
		if oldest := c.idle.Front(); oldest != nil {
			victim = c.idle.Remove(oldest).(net.Conn)
		}
		delete(c.all, victim) // its end is certain
	}
	return victim
}
