package harness

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWire(t *testing.T) {
	dir, err := os.MkdirTemp("", "wire") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // it says everything twice
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 1)
				for {
					if _, err := c.Read(b); err != nil {
						return
					}
					c.Write([]byte{b[0], b[0]})
				}
			}()
		}
	}()
	w, through, err := ListenWire(filepath.Join(dir, "w"), "postgres:///db?host="+url.QueryEscape(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	u, err := url.Parse(through)
	if err != nil {
		t.Fatal(err)
	}
	dial := func() net.Conn {
		c, err := net.Dial("unix", filepath.Join(u.Query().Get("host"), ".s.PGSQL.5432"))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	answers := func(c net.Conn) bool {
		c.SetDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err := c.Write([]byte("x")); err != nil {
			return false
		}
		n, err := c.Read(make([]byte, 2))
		return err == nil && n > 0
	}
	c := dial()
	if !answers(c) {
		t.Error("it does not pass")
	}
	w.Cut()
	if answers(c) {
		t.Error("it was cut and passes")
	}
	c = dial()
	if !answers(c) {
		t.Error("after a cut a new connection does not pass")
	}
	w.Hold()
	if answers(c) || answers(dial()) {
		t.Error("it is held and passes")
	}
	w.Release()
	if answers(c) {
		t.Error("what was open passes after a hold")
	}
	if !answers(dial()) {
		t.Error("after a hold a new connection does not pass")
	}
}
