package target

import (
	"net"
	"net/netip"
)

// Own is jadwal.Egress.Own of a server that listens at these addresses. One
// without an address of its own (0.0.0.0, ::) is reached by every address of
// this machine; which those are is asked each time, since they come and go.
// What leads here from outside (a port forwarding, a load balancer, the public
// address of a NAT) cannot be told.
func Own(listeners ...net.Addr) func(netip.AddrPort) bool {
	var at []netip.AddrPort
	for _, l := range listeners {
		if tcp, ok := l.(*net.TCPAddr); ok {
			ap := tcp.AddrPort()
			at = append(at, netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port()))
		}
	}
	return func(to netip.AddrPort) bool {
		for _, l := range at {
			if l.Port() == to.Port() && reaches(l.Addr(), to.Addr()) {
				return true
			}
		}
		return false
	}
}

// reaches tells whether a connection to an address arrives at a listener. The
// kernel takes the unspecified address for its own.
func reaches(listener, to netip.Addr) bool {
	switch {
	case to == listener, to.IsUnspecified():
		return true
	case !listener.IsUnspecified():
		return false
	case to.IsLoopback():
		return true
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return true // not known: then rather refused
	}
	for _, a := range all {
		if p, ok := a.(*net.IPNet); ok {
			if local, ok := netip.AddrFromSlice(p.IP); ok && local.Unmap() == to {
				return true
			}
		}
	}
	return false
}
