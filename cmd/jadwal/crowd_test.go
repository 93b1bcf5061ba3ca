package main

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestCrowd(t *testing.T) {
	conns := make([]net.Conn, 6)
	for i := range conns {
		conns[i], _ = net.Pipe()
	}
	c := newCrowd(2)
	want := func(rule string, i int, state http.ConnState, victim net.Conn) {
		t.Helper()
		if got := c.note(conns[i], state); got != victim {
			t.Errorf("%s: the wrong connection goes", rule)
		}
	}
	want("there is room", 0, http.StateNew, nil)
	want("there is room", 1, http.StateNew, nil)
	want("both are at work: the new one goes", 2, http.StateNew, conns[2])
	want("one is idle", 1, http.StateIdle, nil)
	want("then the other", 0, http.StateIdle, nil)
	want("the longest idle makes way", 3, http.StateNew, conns[1])
	want("what was told to go is gone", 1, http.StateClosed, nil)
	want("it works again", 0, http.StateActive, nil)
	want("nobody is idle", 4, http.StateNew, conns[4])
	want("one closes", 0, http.StateClosed, nil)
	want("its room is free", 5, http.StateNew, nil)
}

// The connections of clients who read nothing any more hold up nobody.
func TestWhoMustGoWithTLSGoesAtOnce(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.pair()
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now() // which is another one in the bubble
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		idle := tls.Server(near, &tls.Config{Certificates: []tls.Certificate{pair}, SessionTicketsDisabled: true})
		done := make(chan error, 1)
		go func() {
			done <- tls.Client(far, &tls.Config{RootCAs: ca.pool(), ServerName: "localhost", Time: func() time.Time { return now }}).Handshake()
		}()
		if err := errors.Join(idle.Handshake(), <-done); err != nil {
			t.Fatal(err)
		}
		c := newCrowd(1)
		c.see(idle, http.StateNew)
		c.see(idle, http.StateIdle)
		began := time.Now()
		another, _ := net.Pipe()
		c.see(another, http.StateNew)
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %s", took)
		}
		if _, err := near.Write([]byte("x")); err == nil {
			t.Error("it is still open")
		}
	})
}

func TestIdleClientsMakeWay(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	s.Config.ConnState = newCrowd(8).see
	s.Start()
	defer s.Close()
	for range 40 { // each keeps its connection
		client := &http.Client{Transport: &http.Transport{}}
		r, err := client.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
	}
}
