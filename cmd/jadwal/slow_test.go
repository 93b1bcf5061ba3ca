package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// A client that takes its time is cut off when the server's patience ends, and
// not before. The server's own bounds, 50 times as short.
func TestSlowClientsAreCutOff(t *testing.T) {
	const faster = 50
	s := newServer(slog.New(slog.DiscardHandler), nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusRequestTimeout)
			return
		}
		if r.URL.Path == "/large" {
			page := bytes.Repeat([]byte("x"), 1<<20)
			for range 64 { // more than any buffer takes
				if _, err := w.Write(page); err != nil {
					return
				}
			}
		}
	}))
	for _, d := range []*time.Duration{&s.ReadHeaderTimeout, &s.ReadTimeout, &s.WriteTimeout, &s.IdleTimeout} {
		if *d <= 0 {
			t.Fatal("a client may take for ever")
		}
		*d /= faster
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() }) // after what runs in parallel

	for _, tt := range []struct {
		name   string
		begin  string // of a request
		drip   string // what comes now and then; "": nothing
		after  time.Duration
		status string // of an answer before the end; "": none
	}{
		{"nothing at all", "", "", 10 * time.Second, ""},
		{"a header, byte by byte", "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", "a", 10 * time.Second, ""},
		{"a header, field by field", "GET / HTTP/1.1\r\nHost: localhost\r\n", "A: b\r\n", 10 * time.Second, ""},
		{"a body, byte by byte", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n", "a", 30 * time.Second, "408"},
		{"a body in chunks of a byte", "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n", 30 * time.Second, "408"},
		{"the next request on a connection", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "", 2 * time.Minute, "200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now() // the server may have the connection before Dial returns
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			go func() {
				for _, err := io.WriteString(conn, tt.begin); err == nil; time.Sleep(10 * time.Millisecond) {
					_, err = io.WriteString(conn, tt.drip)
				}
			}()
			conn.SetReadDeadline(begin.Add(patience))
			answer, err := io.ReadAll(conn) // to the end; a reset is one, too
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				t.Fatal("it is served still")
			}
			if took := time.Since(begin); took < tt.after/faster {
				t.Errorf("cut off after %s, before %s", took, tt.after/faster)
			}
			if tt.status == "" && len(answer) > 0 && !bytes.HasPrefix(answer, []byte("HTTP/1.1 408")) || tt.status != "" && !bytes.HasPrefix(answer, []byte("HTTP/1.1 "+tt.status)) {
				t.Errorf("answered %.100q", answer)
			}
		})
	}
	t.Run("an answer, not read", func(t *testing.T) {
		t.Parallel()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
		time.Sleep(2 * time.Minute / faster) // twice the bound
		conn.SetReadDeadline(time.Now().Add(patience))
		n, err := io.Copy(io.Discard, conn)
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			t.Fatal("it is served still")
		}
		if n >= 64<<20 {
			t.Errorf("all %d bytes were kept for it", n)
		}
	})
}
