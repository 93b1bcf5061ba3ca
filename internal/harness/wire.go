package harness

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
)

// A Wire is the network between one client and a PostgreSQL on a Unix socket:
// it can be cut, and it can swallow everything for a while.
type Wire struct {
	server   string
	listener net.Listener

	mu   sync.Mutex
	open map[net.Conn]bool
	held chan struct{} // closed at the end of a silence; nil: there is none
}

// ListenWire lays a wire to the server that databaseURL names, with its own
// socket in dir, which it makes.
func ListenWire(dir, databaseURL string) (*Wire, string, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return nil, "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, "", err
	}
	query := u.Query()
	w := &Wire{server: filepath.Join(query.Get("host"), ".s.PGSQL.5432"), open: map[net.Conn]bool{}}
	if w.listener, err = net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432")); err != nil {
		return nil, "", err
	}
	query.Set("host", dir)
	u.RawQuery = query.Encode()
	go w.accept()
	return w, u.String(), nil
}

// Cut closes every connection there is; new ones pass.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.open {
		c.Close()
	}
	clear(w.open)
}

// Hold swallows all that is sent from now on, in both directions, and says
// nothing: a network that is gone. It lasts until Release.
func (w *Wire) Hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held == nil {
		w.held = make(chan struct{})
	}
}

// Release ends Hold. What was open is cut, since bytes of it are lost.
func (w *Wire) Release() {
	w.mu.Lock()
	if w.held != nil {
		close(w.held)
		w.held = nil
	}
	w.mu.Unlock()
	w.Cut()
}

// Close ends the wire and all that is connected. Its directory stays.
func (w *Wire) Close() error {
	err := w.listener.Close()
	w.Release()
	return err
}

func (w *Wire) silence() chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.held
}

// keep notes a connection that is open.
func (w *Wire) keep(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		w.open[c] = true
	}
}

func (w *Wire) drop(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(w.open, c)
	}
}

func (w *Wire) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		go w.connect(client)
	}
}

func (w *Wire) connect(client net.Conn) {
	if held := w.silence(); held != nil {
		<-held
		client.Close()
		return
	}
	server, err := net.Dial("unix", w.server)
	if err != nil {
		client.Close()
		return
	}
	w.keep(client, server)
	go w.pass(server, client)
	w.pass(client, server)
}

func (w *Wire) pass(from, to net.Conn) {
	defer w.drop(from, to)
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if held := w.silence(); held != nil {
			<-held
			return
		}
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
