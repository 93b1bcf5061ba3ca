package api

import (
	"mime"
	"net/http"
	"net/netip"
	"strings"

	"github.com/teknohole/jadwal"
)

// checkContentType accepts application/json in UTF-8, and for a merge patch
// its own type (RFC 7396, section 4), without a content coding.
func checkContentType(h http.Header, mergePatch bool) error {
	if _, coded := h["Content-Encoding"]; coded {
		return jadwal.Errorf(jadwal.CodeUnsupportedType, "The body must not have a Content-Encoding; send it as it is")
	}
	values := h["Content-Type"]
	if len(values) == 1 && values[0] == "application/json" {
		return nil
	}
	wrong := jadwal.Errorf(jadwal.CodeUnsupportedType, "The content type must be application/json: send one header Content-Type: application/json, which curl does with --json in the place of -d")
	if len(values) != 1 {
		return wrong
	}
	mediaType, params, err := mime.ParseMediaType(values[0])
	if err != nil || mediaType != "application/json" && !(mergePatch && mediaType == "application/merge-patch+json") {
		return wrong
	}
	if charset, given := params["charset"]; given && !strings.EqualFold(charset, "utf-8") {
		return jadwal.Errorf(jadwal.CodeUnsupportedType, "The body must be in UTF-8")
	}
	return nil
}

// peer is the address that the connection comes from.
func (c *call) peer() netip.Addr {
	addr, err := netip.ParseAddrPort(c.request.RemoteAddr)
	if err != nil {
		return netip.Addr{} // a socket without addresses
	}
	return addr.Addr().Unmap().WithZone("")
}

// source is the client's address: the peer, or, where the peer is a trusted
// proxy, the last address of X-Forwarded-For that is not one itself. Whoever
// is not trusted can write into that field only to the left of its own
// address.
func (c *call) source() netip.Addr {
	addr := c.peer()
	if !c.server.trusts(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(c.request.Header["X-Forwarded-For"], ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap().WithZone("")
		if !c.server.trusts(addr) {
			break
		}
	}
	return addr
}

func (s *Server) trusts(addr netip.Addr) bool {
	for _, prefix := range s.trusted {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}
