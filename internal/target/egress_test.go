package target

import (
	"errors"
	"net/netip"
	"testing"
)

func TestPermit(t *testing.T) {
	const (
		everybody = "everybody may call it"
		superuser = "only superusers may call it"
		nobody    = "nobody may call it"
	)
	for _, tt := range []struct {
		rule, addr, allow, want string
	}{
		{"a public IPv4 address", "93.184.216.34", "", everybody},
		{"another public IPv4 address", "8.8.8.8", "", everybody},
		{"the address before 10/8", "9.255.255.255", "", everybody},
		{"the address after 10/8", "11.0.0.0", "", everybody},
		{"the first of 10/8", "10.0.0.0", "", superuser},
		{"the last of 10/8", "10.255.255.255", "", superuser},
		{"the address before 172.16/12", "172.15.255.255", "", everybody},
		{"the first of 172.16/12", "172.16.0.0", "", superuser},
		{"the last of 172.16/12", "172.31.255.255", "", superuser},
		{"the address after 172.16/12", "172.32.0.0", "", everybody},
		{"192.168/16", "192.168.1.1", "", superuser},
		{"the address after 192.168/16", "192.169.0.0", "", everybody},
		{"the address before carrier-grade NAT", "100.63.255.255", "", everybody},
		{"the first of carrier-grade NAT", "100.64.0.0", "", superuser},
		{"the last of carrier-grade NAT", "100.127.255.255", "", superuser},
		{"the address after carrier-grade NAT", "100.128.0.0", "", everybody},
		{"loopback", "127.0.0.1", "", superuser},
		{"loopback's other addresses", "127.255.255.254", "", superuser},
		{"the unspecified address, which Linux takes for loopback", "0.0.0.0", "", nobody},
		{"this network", "0.1.2.3", "", nobody},
		{"the metadata service on its link-local address", "169.254.169.254", "", nobody},
		{"containers' credentials on a link-local address", "169.254.170.2", "", nobody},
		{"the last link-local address", "169.254.255.255", "", nobody},
		{"the address after link-local", "169.255.0.0", "", everybody},
		{"Alibaba's metadata service, within carrier-grade NAT", "100.100.100.200", "", nobody},
		{"its neighbour is merely private", "100.100.100.201", "", superuser},
		{"Azure's metadata service, on a public address", "168.63.129.16", "", nobody},
		{"its neighbour is public", "168.63.129.17", "", everybody},
		{"Oracle's metadata service", "192.0.0.192", "", nobody},
		{"protocol assignments", "192.0.0.8", "", nobody},
		{"documentation 1", "192.0.2.1", "", nobody},
		{"documentation 2", "198.51.100.7", "", nobody},
		{"documentation 3", "203.0.113.255", "", nobody},
		{"relays of 6to4", "192.88.99.1", "", nobody},
		{"the first of the benchmarks", "198.18.0.0", "", nobody},
		{"the last of the benchmarks", "198.19.255.255", "", nobody},
		{"the address after the benchmarks", "198.20.0.0", "", everybody},
		{"the first of multicast", "224.0.0.1", "", nobody},
		{"the last of multicast", "239.255.255.255", "", nobody},
		{"reserved for the future", "240.0.0.1", "", nobody},
		{"limited broadcast", "255.255.255.255", "", nobody},

		{"a public IPv6 address", "2606:4700::6810:1", "", everybody},
		{"the unspecified IPv6 address", "::", "", nobody},
		{"IPv6 loopback", "::1", "", superuser},
		{"IPv6 link-local", "fe80::1", "", nobody},
		{"IPv6 link-local with a zone", "fe80::1%eth0", "", nobody},
		{"the last link-local prefix", "febf:ffff::1", "", nobody},
		{"site-local, deprecated", "fec0::1", "", nobody},
		{"unique local", "fd12:3456:789a::1", "", superuser},
		{"unique local, the other half", "fc00::1", "", superuser},
		{"Amazon's metadata service within unique local", "fd00:ec2::254", "", nobody},
		{"Google's metadata service within unique local", "fd20:ce::254", "", nobody},
		{"IPv6 multicast", "ff02::1", "", nobody},
		{"IPv6 documentation", "2001:db8::1", "", nobody},
		{"the newer IPv6 documentation", "3fff::1", "", nobody},
		{"Teredo", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "", nobody},
		{"a public address just after the protocol assignments", "2001:200::1", "", everybody},
		{"the discard prefix", "100::1", "", nobody},
		{"outside what is handed out", "4000::1", "", nobody},
		{"segment routing", "5f00::1", "", nobody},
		{"NAT64 for local use", "64:ff9b:1::808:808", "", nobody},

		{"mapped public", "::ffff:8.8.8.8", "", everybody},
		{"mapped loopback", "::ffff:127.0.0.1", "", superuser},
		{"mapped private", "::ffff:10.1.2.3", "", superuser},
		{"mapped metadata", "::ffff:169.254.169.254", "", nobody},
		{"mapped metadata with a zone", "::ffff:169.254.169.254%eth0", "", nobody},
		{"NAT64 of a public address", "64:ff9b::808:808", "", everybody},
		{"NAT64 of loopback", "64:ff9b::7f00:1", "", superuser},
		{"NAT64 of a private address", "64:ff9b::a00:1", "", superuser},
		{"NAT64 of metadata", "64:ff9b::a9fe:a9fe", "", nobody},
		{"6to4 of a public address", "2002:808:808::1", "", everybody},
		{"6to4 of a private address", "2002:c0a8:101::1", "", superuser},
		{"6to4 of metadata", "2002:a9fe:a9fe::", "", nobody},
		{"6to4 of the unspecified address", "2002::1", "", nobody},
		{"IPv4-compatible, deprecated", "::7f00:1", "", nobody},
		{"IPv4-translated, deprecated", "::ffff:0:7f00:1", "", nobody},

		{"what the operator allows, a prefix", "10.1.2.3", "10.1.0.0/16", everybody},
		{"its neighbour", "10.2.0.0", "10.1.0.0/16", superuser},
		{"what the operator allows, metadata", "169.254.169.254", "169.254.169.254/32", everybody},
		{"an allowed address, mapped", "::ffff:169.254.169.254", "169.254.169.254/32", everybody},
		{"an allowed address behind NAT64", "64:ff9b::a00:1", "10.0.0.1/32", everybody},
		{"an allowed prefix of NAT64 itself", "64:ff9b::a00:1", "64:ff9b::/96", everybody},
		{"an allowed link-local prefix in spite of the zone", "fe80::1%eth0", "fe80::/10", everybody},
		{"all of IPv4 allowed does not allow IPv6", "fe80::1", "0.0.0.0/0", nobody},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			var allow []netip.Prefix
			if tt.allow != "" {
				allow = append(allow, netip.MustParsePrefix(tt.allow))
			}
			addr := netip.MustParseAddr(tt.addr)
			limited, unlimited := Permit(addr, true, allow), Permit(addr, false, allow)
			got := everybody
			switch {
			case unlimited != nil:
				got = nobody
			case limited != nil:
				got = superuser
			}
			if got != tt.want {
				t.Errorf("%s: %s, want that %s (limited: %v, unlimited: %v)", addr, got, tt.want, limited, unlimited)
			}
			if unlimited != nil && limited == nil {
				t.Errorf("%s: a limited caller may do more than an unlimited one", addr)
			}
			if refused, ok := errors.AsType[*Refused](limited); ok && refused.All != (got == nobody) {
				t.Errorf("%s: the refusal says All = %v", addr, refused.All)
			}
		})
	}
	t.Run("no address at all is refused", func(t *testing.T) {
		if Permit(netip.Addr{}, false, nil) == nil {
			t.Error("permitted")
		}
	})
}
