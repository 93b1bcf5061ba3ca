package pgtest

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands between a store and its server, and can lose what passes.
type Proxy struct {
	URL string // of the database, through the proxy

	// What becomes of the next COMMIT.
	LoseAnswer  atomic.Bool // it is made, and its answer lost
	LoseRequest atomic.Bool // it is not made
	Mute        atomic.Bool // nothing passes any more, in either direction

	listener net.Listener
	server   string
	mu       sync.Mutex
	open     []net.Conn
}

// NewProxy is a proxy to the database of a URL of this package.
func NewProxy(t testing.TB, databaseURL string) *Proxy {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	p := &Proxy{server: filepath.Join(query.Get("host"), ".s.PGSQL.5432")}
	dir := t.TempDir()
	if p.listener, err = net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432")); err != nil {
		t.Fatal(err)
	}
	query.Set("host", dir)
	u.RawQuery = query.Encode()
	p.URL = u.String()
	go p.accept()
	t.Cleanup(func() {
		p.listener.Close()
		p.Cut()
	})
	return p
}

// Cut closes every connection there is.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		c.Close()
	}
	p.open = nil
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", p.server)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.open = append(p.open, client, server)
		p.mu.Unlock()
		losing := new(atomic.Bool)
		go p.pass(client, server, func(b []byte) bool {
			commit := bytes.Contains(b, []byte("commit\x00"))
			if commit && p.LoseRequest.CompareAndSwap(true, false) {
				return false
			}
			if commit && p.LoseAnswer.CompareAndSwap(true, false) {
				losing.Store(true)
			}
			return true
		})
		go p.pass(server, client, func([]byte) bool { return !losing.Load() })
	}
}

// pass copies what goes on lets through, and closes both ends at the first that
// it does not.
func (p *Proxy) pass(from, to net.Conn, goesOn func([]byte) bool) {
	defer from.Close()
	defer to.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil || !goesOn(b[:n]) {
			return
		}
		if p.Mute.Load() {
			continue
		}
		if _, err := io.Copy(to, bytes.NewReader(b[:n])); err != nil {
			return
		}
	}
}
