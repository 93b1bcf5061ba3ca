package auth

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// BootstrapAllowed tells whether the well-known password of a first start may
// be used by this request: only from this machine itself. peer is who
// connected, never what a header says.
//
// Any sign of a proxy refuses it, since behind one every peer is the proxy. A
// Host or Origin that is not a loopback name refuses it, since a web page
// elsewhere can have its own name resolve to this machine (DNS rebinding).
func BootstrapAllowed(peer netip.Addr, r *http.Request) bool {
	if !peer.Unmap().IsLoopback() {
		return false
	}
	for name := range r.Header {
		switch name = strings.ToLower(name); {
		case name == "forwarded", name == "x-real-ip", name == "via", strings.HasPrefix(name, "x-forwarded-"):
			return false
		}
	}
	if !loopbackHost(r.Host) {
		return false
	}
	for _, origin := range r.Header.Values("Origin") {
		u, err := url.Parse(origin)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || !loopbackHost(u.Host) {
			return false
		}
	}
	return true
}

// loopbackHost tells whether host, with or without a port, is localhost or an
// IP address of the loopback network.
func loopbackHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	} else if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
