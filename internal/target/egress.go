package target

import "net/netip"

// Refused says that an address may not be called, and what kind of address it
// is. It never names the address: what a host name means inside the operator's
// network is not for every user to know.
type Refused struct {
	Kind string // such as "link-local"
	All  bool   // refused for everybody, not only under a normal user's rules
}

func (e *Refused) Error() string { return e.Kind + " addresses may not be called" }

// The metadata services of clouds that are not on link-local addresses. They
// hand out credentials to whoever asks from inside.
var metadata = []netip.Addr{
	netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
	netip.MustParseAddr("168.63.129.16"),   // Azure
	netip.MustParseAddr("192.0.0.192"),     // Oracle Cloud, classic
	netip.MustParseAddr("fd00:ec2::254"),   // Amazon Web Services
	netip.MustParseAddr("fd00:ec2::23"),    // Amazon EKS pod identity
	netip.MustParseAddr("fd00:42::42"),     // Scaleway
	netip.MustParseAddr("fd20:ce::254"),    // Google Cloud
}

// block is one entry of the registries of special-purpose addresses.
type block struct {
	prefix netip.Prefix
	kind   string
	all    bool // refused for everybody
}

// blocks are the parts of the address space that are not simply the public
// internet: the IANA registries of special-purpose addresses (RFC 6890 and its
// successors), multicast, and what is deprecated. The first match counts, so a
// part of a block stands before the block.
var blocks = []block{
	{netip.MustParsePrefix("0.0.0.0/32"), "unspecified", true},
	{netip.MustParsePrefix("0.0.0.0/8"), "reserved", true},
	{netip.MustParsePrefix("10.0.0.0/8"), "private", false},
	{netip.MustParsePrefix("100.64.0.0/10"), "private", false}, // carrier-grade NAT, RFC 6598
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback", false},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local", true},
	{netip.MustParsePrefix("172.16.0.0/12"), "private", false},
	{netip.MustParsePrefix("192.0.0.0/24"), "reserved", true},   // protocol assignments
	{netip.MustParsePrefix("192.0.2.0/24"), "reserved", true},   // documentation, RFC 5737
	{netip.MustParsePrefix("192.88.99.0/24"), "reserved", true}, // relays of 6to4, RFC 7526
	{netip.MustParsePrefix("192.168.0.0/16"), "private", false},
	{netip.MustParsePrefix("198.18.0.0/15"), "reserved", true},   // benchmarks, RFC 2544
	{netip.MustParsePrefix("198.51.100.0/24"), "reserved", true}, // documentation
	{netip.MustParsePrefix("203.0.113.0/24"), "reserved", true},  // documentation
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast", true},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved", true}, // limited broadcast among them
	{netip.MustParsePrefix("::/128"), "unspecified", true},
	{netip.MustParsePrefix("::1/128"), "loopback", false},
	{netip.MustParsePrefix("fe80::/10"), "link-local", true},
	{netip.MustParsePrefix("fc00::/7"), "private", false}, // unique local, RFC 4193
	{netip.MustParsePrefix("ff00::/8"), "multicast", true},
	{netip.MustParsePrefix("2001::/23"), "reserved", true},     // protocol assignments, Teredo among them
	{netip.MustParsePrefix("2001:db8::/32"), "reserved", true}, // documentation, RFC 3849
	{netip.MustParsePrefix("3fff::/20"), "reserved", true},     // documentation, RFC 9637
}

// global is where public IPv6 addresses are (RFC 4291, section 2.4, and IANA's
// registry of the address space); all else there is reserved.
var global = netip.MustParsePrefix("2000::/3")

var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixToFour = netip.MustParsePrefix("2002::/16")    // RFC 3056
)

// embedded returns the IPv4 address that an IPv6 address leads to, if it is of
// a kind that carries one. (Mapped ones are unmapped before; the older forms,
// IPv4-compatible and IPv4-translated, are reserved.)
func embedded(a netip.Addr) (netip.Addr, bool) {
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}

// Permit tells whether a target at addr may be called: nil, or a *Refused.
//
// Metadata services, link-local, multicast, unspecified and reserved addresses
// are refused for everybody; loopback and private ones (RFC 1918, RFC 6598,
// RFC 4193) under the rules of normal users, which limited says. What allow
// holds is permitted to all. An IPv6 address that only wraps an IPv4 address
// (mapped, RFC 4291; NAT64, RFC 6052; 6to4, RFC 3056) is judged as the one that
// it wraps. The zone of an address does not count.
func Permit(addr netip.Addr, limited bool, allow []netip.Prefix) error {
	if !addr.IsValid() {
		return &Refused{Kind: "unknown", All: true}
	}
	addr = addr.Unmap().WithZone("")
	inner, wrapped := addr, false
	if addr.Is6() {
		if v4, ok := embedded(addr); ok {
			inner, wrapped = v4, true
		}
	}
	for _, p := range allow {
		if p.Contains(addr) || wrapped && p.Contains(inner) {
			return nil
		}
	}
	return judge(inner, limited)
}

func judge(addr netip.Addr, limited bool) error {
	for _, m := range metadata {
		if addr == m {
			return &Refused{Kind: "metadata service", All: true}
		}
	}
	for i := range blocks {
		b := &blocks[i]
		if !b.prefix.Contains(addr) {
			continue
		}
		if b.all || limited {
			return &Refused{Kind: b.kind, All: b.all}
		}
		return nil
	}
	if addr.Is6() && !global.Contains(addr) {
		return &Refused{Kind: "reserved", All: true}
	}
	return nil
}
