package jadwal

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestPermit(t *testing.T) {
	const (
		everybody = "everybody may call it"
		superuser = "only superusers may call it"
		nobody    = "nobody may call it"
	)
	for _, tt := range []struct {
		rule, addr, rules, want string // at port 443; denied with a !
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
		{"Oracle's metadata service of today", "fd00:c1::a9fe:a9fe", "", nobody},
		{"Alibaba's, over IPv6", "fd00:100::100:200", "", nobody},
		{"Scaleway's, over IPv6", "fd00:42::42", "", nobody},
		{"Akamai's, over IPv6", "fd00:a9fe:a9fe::1", "", nobody},
		{"Amazon's credentials of pods", "fd00:ec2::23", "", nobody},
		{"the neighbour of Amazon's services is merely private", "fd00:ec3::254", "", superuser},
		{"NAT64 for local use, whatever length the prefix has", "64:ff9b:1:808:8:800::", "", nobody},
		{"the address before NAT64", "64:ff9a:ffff::1", "", nobody},
		{"ISATAP of a public address on a public prefix", "2606:4700::5efe:808:808", "", everybody},
		{"ISATAP of a private address", "2606:4700::5efe:a00:1", "", superuser},
		{"ISATAP of a private address that claims to be unique", "2606:4700::200:5efe:a00:1", "", superuser},
		{"ISATAP of metadata", "2606:4700::5efe:a9fe:a9fe", "", nobody},
		{"ISATAP on a private prefix", "fd12::5efe:808:808", "", superuser},
		{"an allowed prefix of local NAT64", "64:ff9b:1::a00:1", "64:ff9b:1::/48", everybody},
		{"local NAT64 is not opened by what it may wrap", "64:ff9b:1::a00:1", "10.0.0.1", nobody},
		{"an allowed port", "10.1.2.3", "10.0.0.0/8:443", everybody},
		{"another port than the allowed one", "10.1.2.3", "10.0.0.0/8:444", superuser},
		{"an allowed port of IPv6", "fd00::1", "[fd00::/8]:443", everybody},
		{"an allowed name opens a private address", "10.1.2.3", "billing.internal.example", everybody},
		{"and a loopback one", "127.0.0.1", "billing.internal.example:443", everybody},
		{"in capitals and with a dot, too", "10.1.2.3", "BILLING.internal.Example.", everybody},
		{"so does a name above it", "10.1.2.3", "*.internal.example", everybody},
		{"at any depth", "10.1.2.3", "*.example", everybody},
		{"the star stands for something", "10.1.2.3", "*.billing.internal.example", superuser},
		{"a star is no prefix of a label", "10.1.2.3", "*.nal.example", superuser},
		{"a name does not stand for those under it", "10.1.2.3", "internal.example", superuser},
		{"an allowed name at another port", "10.1.2.3", "billing.internal.example:80", superuser},
		{"an allowed name does not open metadata", "169.254.169.254", "billing.internal.example", nobody},
		{"nor a metadata service that is private", "fd00:ec2::254", "billing.internal.example", nobody},
		{"nor link-local addresses", "fe80::1", "*.example", nobody},
		{"nor reserved ones", "240.0.0.1", "*.example", nobody},
		{"everything allowed is everything", "169.254.169.254", "*", everybody},
		{"at that port", "169.254.169.254", "*:80", nobody},

		{"a denied network, public", "93.184.216.34", "!93.184.216.0/24", nobody},
		{"a denied network, private", "10.1.2.3", "!10.0.0.0/8", nobody},
		{"a denied network at another port", "10.1.2.3", "!10.0.0.0/8:80", superuser},
		{"deny wins over what is allowed", "10.1.2.3", "10.0.0.0/8 !10.1.0.0/16", nobody},
		{"even over an exact address", "10.1.2.3", "10.1.2.3:443 !10.0.0.0/8", nobody},
		{"even over everything", "10.1.2.3", "* !10.0.0.0/8", nobody},
		{"deny beside what is allowed", "10.2.0.1", "10.0.0.0/8 !10.1.0.0/16", everybody},
		{"a denied address, mapped", "::ffff:93.184.216.34", "!93.184.216.34", nobody},
		{"a denied address behind NAT64", "64:ff9b::5db8:d822", "!93.184.216.34", nobody},
		{"a denied address behind an allowed NAT64", "64:ff9b::5db8:d822", "64:ff9b::/96 !93.184.216.34", nobody},
		{"a denied address behind an allowed local NAT64, /96", "64:ff9b:1::5db8:d822", "64:ff9b:1::/48 !93.184.216.34", nobody},
		{"a denied address behind an allowed local NAT64, /48", "64:ff9b:1:5db8:d8:2200::", "64:ff9b:1::/48 !93.184.216.34", nobody},
		{"a denied address behind 6to4", "2002:5db8:d822::1", "!93.184.216.34", nobody},
		{"a denied address behind an allowed Teredo", "2001:0:4136:e378:8000:63bf:a247:27dd", "2001::/32 !93.184.216.34", nobody},
		{"a denied address, ISATAP", "2606:4700::5efe:5db8:d822", "!93.184.216.34", nobody},
		{"a denied address, IPv4-compatible, of an allowed prefix", "::5db8:d822", "::/96 !93.184.216.34", nobody},
		{"a denied address, IPv4-translated, of an allowed prefix", "::ffff:0:5db8:d822", "::ffff:0:0:0/96 !93.184.216.34", nobody},
		{"a denied address with a zone", "fe80::1%eth0", "fe80::/10 !fe80::1", nobody},
		{"all of IPv4 denied does not deny IPv6", "2606:4700::6810:1", "!0.0.0.0/0", everybody},
		{"everything denied is everything", "2606:4700::6810:1", "!*", nobody},
		{"at that port only", "2606:4700::6810:1", "!*:25", everybody},
		{"a denied name", "93.184.216.34", "!billing.internal.example", nobody},
		{"a name under a denied one", "93.184.216.34", "!*.internal.example", nobody},
		{"a denied name at another port", "93.184.216.34", "!billing.internal.example:80", everybody},
		{"a denied name whose address is allowed", "10.1.2.3", "10.0.0.0/8 !billing.internal.example", nobody},
		{"another denied name", "93.184.216.34", "!internal.example", everybody},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			var e Egress
			for text := range strings.FieldsSeq(tt.rules) {
				if text, deny := strings.CutPrefix(text, "!"); deny {
					e.Deny = append(e.Deny, mustRule(t, text))
				} else {
					e.Allow = append(e.Allow, mustRule(t, text))
				}
			}
			addr := netip.MustParseAddr(tt.addr)
			d := Dial{Name: "Billing.Internal.example.", To: netip.AddrPortFrom(addr, 443)}
			unlimited := e.Permit(d)
			d.Limited = true
			limited := e.Permit(d)
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
			if refused, ok := errors.AsType[*Refusal](limited); ok && refused.All != (got == nobody) {
				t.Errorf("%s: the refusal says All = %v", addr, refused.All)
			}
		})
	}
	t.Run("no address at all is refused", func(t *testing.T) {
		if new(Egress).Permit(Dial{}) == nil {
			t.Error("permitted")
		}
	})
}

func mustRule(t testing.TB, text string) EgressRule {
	r, err := ParseEgressRule(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return r
}

// What this server itself listens at is refused to everybody, unless it is
// allowed as an address with its port.
func TestPermitItself(t *testing.T) {
	own := netip.MustParseAddrPort("93.184.216.34:8080")
	for _, tt := range []struct{ rule, to, allow, deny, want string }{
		{"itself", "93.184.216.34:8080", "", "", Own},
		{"itself, mapped", "[::ffff:93.184.216.34]:8080", "", "", Own},
		{"itself by way of NAT64", "[64:ff9b::5db8:d822]:8080", "", "", Own},
		{"its neighbour's port", "93.184.216.34:8081", "", "", ""},
		{"an allowed network is not explicit enough", "93.184.216.34:8080", "0.0.0.0/0", "", Own},
		{"nor is an allowed address", "93.184.216.34:8080", "93.184.216.34", "", Own},
		{"nor is everything at that port", "93.184.216.34:8080", "*:8080", "", Own},
		{"nor is a name with its port", "93.184.216.34:8080", "jadwal.example:8080", "", Own},
		{"an allowed address with its port", "93.184.216.34:8080", "93.184.216.34:8080", "", ""},
		{"an allowed network with its port", "93.184.216.34:8080", "93.184.216.0/24:8080", "", ""},
		{"deny wins here too", "93.184.216.34:8080", "93.184.216.34:8080", "93.184.216.34", Denied},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			e := Egress{Own: func(at netip.AddrPort) bool { return at == own }}
			if tt.allow != "" {
				e.Allow = append(e.Allow, mustRule(t, tt.allow))
			}
			if tt.deny != "" {
				e.Deny = append(e.Deny, mustRule(t, tt.deny))
			}
			for _, limited := range []bool{true, false} {
				got := ""
				if refused, ok := errors.AsType[*Refusal](e.Permit(Dial{Name: "jadwal.example", To: netip.MustParseAddrPort(tt.to), Limited: limited})); ok {
					got = refused.Kind
				}
				if got != tt.want {
					t.Errorf("limited %v: %q, want %q", limited, got, tt.want)
				}
			}
		})
	}
}

func TestEgressRules(t *testing.T) {
	const (
		form = "is neither a network nor a host name; write for example 10.0.0.0/8"
		port = "has a port that is not a number from 1 to 65535"
	)
	for _, tt := range []struct{ text, want, wrong string }{
		{"10.0.0.0/8", "10.0.0.0/8", ""},
		{"10.1.2.3", "10.1.2.3/32", ""},
		{"10.1.2.3:443", "10.1.2.3/32:443", ""},
		{"10.0.0.0/8:443", "10.0.0.0/8:443", ""},
		{"fd00::/8", "fd00::/8", ""},
		{"::1", "::1/128", ""},
		{"[::1]", "::1/128", ""},
		{"[fd00::/8]:443", "[fd00::/8]:443", ""},
		{"Example.COM.", "example.com", ""},
		{"example.com:8443", "example.com:8443", ""},
		{"*.internal.example:8443", "*.internal.example:8443", ""},
		{"my_container", "my_container", ""},
		{"localhost", "localhost", ""},
		{"*", "*", ""},
		{"*:25", "*:25", ""},
		{"", "", form},
		{":443", "", form},
		{".", "", form},
		{"*.", "", form},
		{"a..b", "", form},
		{"example.com..", "", form},
		{"a.*.example", "", form},
		{"*example.com", "", form},
		{"**", "", form},
		{"10.0.0", "", form},
		{"127.1", "", form},
		{"2130706433", "", form},
		{"0x7f000001", "", form},
		{"0177.0.0.01", "", form},
		{"*.1", "", form},
		{"10.0.0.0/33", "", form},
		{"10.0.0.0/", "", form},
		{"[10.0.0.0/8]:443", "", form},
		{"[example.com]:443", "", form},
		{"[*]:443", "", form},
		{"[::1", "", form},
		{"[::1]443", "", form},
		{"::1:80:", "", form},
		{"https://example.com", "", form},
		{"example.com/path", "", form},
		{"user@example.com", "", form},
		{"exa mple.com", "", form},
		{"example.com:", "", port},
		{"example.com:0", "", port},
		{"example.com:080", "", port},
		{"example.com:+80", "", port},
		{"example.com:65536", "", port},
		{"example.com:https", "", port},
		{"10.1.2.3/8", "", "has address bits beyond its length; write 10.0.0.0/8"},
		{"::ffff:10.0.0.1", "", "is IPv4 written as IPv6; write it as IPv4"},
		{"::ffff:10.0.0.0/104", "", "is IPv4 written as IPv6; write it as IPv4"},
		{"fe80::1%eth0", "", "has a zone, which does not count; leave it out"},
		{"bücher.example", "", "holds what is no ASCII; write a host name in its xn-- form"},
		{"１０.0.0.1", "", "holds what is no ASCII"},
	} {
		t.Run(tt.text, func(t *testing.T) {
			r, err := ParseEgressRule(tt.text)
			switch {
			case tt.wrong != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.wrong)):
				t.Errorf("got %v, %v, want %s", r, err, tt.wrong)
			case tt.wrong == "" && (err != nil || r.String() != tt.want):
				t.Errorf("got %v, %v, want %s", r, err, tt.want)
			}
		})
	}
}

// FuzzEgress holds, for any address and any lists: nothing panics; a rule is
// read again as it is printed; a superuser may do what a normal user may; who
// denies refuses, and who allows refuses nothing that was permitted; and an
// address that only wraps another one is judged as that one.
func FuzzEgress(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1}, uint16(80), "example.com", "*.example.com, 10.0.0.0/8:443", "[fd00::/8]:443")
	f.Add([]byte{0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x54}, uint16(443), "a.example.com.", "*", "*:25")
	f.Add([]byte{0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1}, uint16(1), "", "64:ff9b::/96", "10.0.0.1")
	f.Fuzz(func(t *testing.T, b []byte, port uint16, name, allow, deny string) {
		addr, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		list := func(s string) (all []EgressRule) {
			for part := range strings.SplitSeq(s, ",") {
				r, err := ParseEgressRule(part)
				if err != nil {
					continue
				}
				if again, err := ParseEgressRule(r.String()); err != nil || again != r {
					t.Fatalf("%q is read as %v, and that as %v, %v", part, r, again, err)
				}
				all = append(all, r)
			}
			return all
		}
		kind := func(e Egress, a netip.Addr, limited bool) string {
			if r, ok := errors.AsType[*Refusal](e.Permit(Dial{Name: name, To: netip.AddrPortFrom(a, port), Limited: limited})); ok {
				return r.Kind
			}
			return ""
		}
		none, allows, denies := Egress{}, Egress{Allow: list(allow)}, Egress{Deny: list(deny)}
		both := Egress{Allow: allows.Allow, Deny: denies.Deny}
		for _, e := range []Egress{none, allows, denies, both} {
			if kind(e, addr, true) == "" && kind(e, addr, false) != "" {
				t.Fatalf("%v: only normal users may call %s", e, addr)
			}
		}
		for _, limited := range []bool{true, false} {
			if kind(none, addr, limited) == "" && kind(allows, addr, limited) != "" {
				t.Fatalf("%v: allowing refuses %s", allows, addr)
			}
			if kind(none, addr, limited) != "" && kind(denies, addr, limited) == "" {
				t.Fatalf("%v: denying permits %s", denies, addr)
			}
			if (kind(denies, addr, limited) == Denied) != (kind(both, addr, limited) == Denied) {
				t.Fatalf("%v: allowing permits %s, which is denied", both, addr)
			}
			if !addr.Unmap().Is4() {
				continue
			}
			v4 := addr.Unmap().As4()
			for _, outer := range []netip.Addr{
				netip.AddrFrom16(netip.AddrFrom4(v4).As16()),
				netip.AddrFrom16([16]byte{0, 0x64, 0xff, 0x9b, 12: v4[0], v4[1], v4[2], v4[3]}),
				netip.AddrFrom16([16]byte{0x20, 0x02, v4[0], v4[1], v4[2], v4[3]}),
			} {
				if got, want := kind(none, outer, limited), kind(none, addr, limited); got != want {
					t.Fatalf("%s is %q, %s is %q", outer, got, addr, want)
				}
				if kind(denies, addr, limited) == Denied && kind(both, outer, limited) != Denied {
					t.Fatalf("%v: %s gets to %s, which is denied", both, outer, addr)
				}
			}
		}
	})
}
