package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
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
