package main

import (
	"net"
	"testing"
)

func TestPlanAdmin(t *testing.T) {
	const yes, no = true, false
	for _, tt := range []struct {
		name                               string
		isNew, chosen, loopback, bootstrap bool
		want                               adminPlan
	}{
		{"the operator's password comes first", yes, yes, yes, no, adminCreateChosen},
		{"also where others reach the server", yes, yes, no, no, adminCreateChosen},
		{"without one, the well-known password where only this machine reaches the server", yes, no, yes, no, adminCreateBootstrap},
		{"and a random one where others do", yes, no, no, no, adminCreateRandom},
		{"a later start changes nothing", no, no, yes, no, adminKeep},
		{"nor where others reach the server", no, no, no, no, adminKeep},
		{"nor when the operator sets another password", no, yes, yes, no, adminKeep},
		{"nor then where others reach the server", no, yes, no, no, adminKeep},
		{"the well-known password may stay on this machine", no, no, yes, yes, adminKeep},
		{"the well-known password must not be where others reach the server", no, no, no, yes, adminRefuse},
		{"the operator's password replaces the well-known one", no, yes, yes, yes, adminReplace},
		{"also where others reach the server", no, yes, no, yes, adminReplace},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := planAdmin(tt.isNew, tt.chosen, tt.loopback, tt.bootstrap); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestAddressesOfListeners(t *testing.T) {
	for _, tt := range []struct {
		addr      string
		loopback  bool
		browsable string
	}{
		{"127.0.0.1:8080", true, "127.0.0.1:8080"},
		{"127.8.9.10:80", true, "127.8.9.10:80"},
		{"[::1]:8080", true, "[::1]:8080"},
		{"[::ffff:127.0.0.1]:8080", true, "[::ffff:127.0.0.1]:8080"},
		{"0.0.0.0:8080", false, "localhost:8080"},
		{"[::]:8080", false, "localhost:8080"},
		{"192.168.1.7:8080", false, "192.168.1.7:8080"},
		{"[fe80::1%eth0]:8080", false, "[fe80::1%eth0]:8080"},
	} {
		addr := address(tt.addr)
		if got := isLoopback(addr); got != tt.loopback {
			t.Errorf("%s: loopback %v", tt.addr, got)
		}
		if got := browsable(addr); got != tt.browsable {
			t.Errorf("%s: opened as %s", tt.addr, got)
		}
	}
	if isLoopback(&net.UnixAddr{Name: "/run/jadwal", Net: "unix"}) {
		t.Error("a socket without an IP address is taken for loopback")
	}
}

// address is a net.Addr of TCP.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
