package auth

import (
	"bufio"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestBootstrapAllowed(t *testing.T) {
	const local = "127.0.0.1"
	for _, tt := range []struct {
		name    string
		peer    string
		headers string // besides Host; "Host: …" replaces it
		want    bool
	}{
		{"this machine by address", local, "", true},
		{"this machine by another address of its loopback network", "127.1.2.3", "Host: 127.9.9.9:8080", true},
		{"this machine over IPv6", "::1", "Host: [::1]:8080", true},
		{"this machine over IPv4 mapped into IPv6", "::ffff:127.0.0.1", "", true},
		{"this machine by name", local, "Host: localhost:8080", true},
		{"this machine by name without a port", local, "Host: localhost", true},
		{"this machine by name in another case", local, "Host: LocalHost:8080", true},
		{"this machine by its full name", local, "Host: localhost.:8080", true},
		{"an IPv6 address without a port", local, "Host: [::1]", true},
		{"a page of this machine", local, "Origin: http://localhost:3000", true},
		{"a page of this machine by address", local, "Origin: https://[::1]", true},
		{"other headers do not matter", local, "X-Requested-With: curl", true},

		{"another machine", "192.168.1.7", "", false},
		{"another machine that says localhost", "203.0.113.9", "Host: localhost", false},
		{"another machine over IPv6", "2001:db8::1", "Host: [::1]", false},
		{"a link-local neighbour", "fe80::1", "", false},
		{"all addresses at once", "0.0.0.0", "", false},
		{"a proxy that says Forwarded", local, "Forwarded: for=127.0.0.1", false},
		{"a proxy that says X-Forwarded-For", local, "X-Forwarded-For: 127.0.0.1", false},
		{"a proxy that says X-Forwarded-Host", local, "X-Forwarded-Host: localhost", false},
		{"a proxy that says X-Forwarded-Proto in another case", local, "x-fORWARDED-proto: http", false},
		{"a proxy that says X-Forwarded-Anything, empty", local, "X-Forwarded-Anything:", false},
		{"a proxy that says X-Real-IP", local, "X-Real-IP: 127.0.0.1", false},
		{"a proxy that says Via", local, "via: 1.1 proxy", false},
		{"a name that resolves to this machine", local, "Host: evil.example:8080", false},
		{"a name that begins like this machine", local, "Host: localhost.evil.example", false},
		{"a name that begins like an address", local, "Host: 127.0.0.1.evil.example", false},
		{"an address written oddly", local, "Host: 2130706433", false},
		{"an address with a leading zero", local, "Host: 0127.0.0.1", false},
		{"the unspecified address", local, "Host: 0.0.0.0:8080", false},
		{"no host", local, "Host:", false},
		{"a page elsewhere", local, "Origin: https://evil.example", false},
		{"a page elsewhere that begins like this machine", local, "Origin: http://localhost.evil.example", false},
		{"a page elsewhere with a user", local, "Origin: http://localhost@evil.example", false},
		{"a page here with a user", local, "Origin: http://x@localhost", false},
		{"a page of nowhere", local, "Origin: null", false},
		{"a page of a file", local, "Origin: file://localhost", false},
		{"an empty origin", local, "Origin:", false},
		{"an origin that is none", local, "Origin: http://[", false},
		{"two origins, one elsewhere", local, "Origin: http://localhost\r\nOrigin: http://evil.example", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			headers := tt.headers
			if !strings.HasPrefix(headers, "Host:") {
				headers = strings.TrimSuffix("Host: 127.0.0.1:8080\r\n"+headers, "\r\n")
			}
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("POST /login HTTP/1.1\r\n" + headers + "\r\n\r\n")))
			if err != nil {
				t.Fatal(err)
			}
			if got := BootstrapAllowed(netip.MustParseAddr(tt.peer), r); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
	t.Run("a peer that is not known", func(t *testing.T) {
		r, err := http.NewRequest("POST", "http://localhost/login", nil)
		if err != nil {
			t.Fatal(err)
		}
		if BootstrapAllowed(netip.Addr{}, r) {
			t.Error("allowed")
		}
	})
}
