package jadwal

import "net/netip"

// Egress is which connections jobs may make. The zero value has the rules of
// Permit and no others.
type Egress struct {
	Allow []EgressRule // permitted to everybody's jobs
	Deny  []EgressRule // refused to everybody's jobs; wins over Allow

	// Own tells whether this server itself listens at an address; nil: nowhere.
	Own func(netip.AddrPort) bool
}

// Dial is a connection that a job is about to make.
type Dial struct {
	Name    string         // the host of the target's URL; an address counts as no name
	To      netip.AddrPort // where the connection goes
	Limited bool           // the rules of normal users apply
}

// Refusal says why a connection may not be made. It never names the address:
// what a host name means inside the operator's network is not for every user to
// know.
type Refusal struct {
	Kind string // of address, such as "link-local"; or Denied, or Own
	All  bool   // refused for everybody, not only under the rules of normal users
}

// The kinds of refusal that are none of an address.
const (
	Denied = "denied" // by the operator
	Own    = "own"    // the server itself
)

func (r *Refusal) Error() string {
	switch r.Kind {
	case Denied:
		return "the operator has denied it"
	case Own:
		return "it is this server itself"
	}
	return r.Kind + " addresses may not be called"
}

// Permit tells whether a connection may be made: nil, or a *Refusal.
//
// What Deny holds is refused, then what this server itself listens at, unless
// Allow holds its address with its port. What else Allow holds as an address is
// permitted. Metadata services, link-local, multicast, unspecified and reserved
// addresses are refused for everybody; loopback and private ones (RFC 1918,
// RFC 6598, RFC 4193) under the rules of normal users, unless Allow holds the
// name: a name that is allowed opens what superusers may call and no more,
// since whoever answers for it in the DNS chooses the address.
//
// An IPv6 address that only wraps an IPv4 address (mapped, RFC 4291; NAT64,
// RFC 6052; 6to4, RFC 3056) is judged as the one that it wraps. The zone of an
// address does not count.
func (e *Egress) Permit(d Dial) error {
	if !d.To.IsValid() {
		return &Refusal{Kind: "unknown", All: true}
	}
	addr, port := d.To.Addr().Unmap().WithZone(""), d.To.Port()
	inner, instead := wrapped(addr)
	within := func(all []netip.Addr, rules []EgressRule, exact bool) bool {
		for _, a := range all {
			for i := range rules {
				if rules[i].holds(a, port) && (!exact || rules[i].port != 0 && rules[i].prefix.IsValid()) {
					return true
				}
			}
		}
		return false
	}
	every := append([]netip.Addr{addr}, inner...)
	if e.DeniesName(d.Name, port) || within(every, e.Deny, false) {
		return &Refusal{Kind: Denied, All: true}
	}
	judged := every
	if instead {
		judged = inner
	}
	if e.Own != nil && !within(every, e.Allow, true) {
		for _, a := range every {
			if e.Own(netip.AddrPortFrom(a, port)) {
				return &Refusal{Kind: Own, All: true}
			}
		}
	}
	if within([]netip.Addr{addr}, e.Allow, false) {
		return nil
	}
	limited := d.Limited && !named(e.Allow, d.Name, port)
	var refused error
	for _, a := range judged {
		if within([]netip.Addr{a}, e.Allow, false) {
			continue
		}
		if r := judgeAddr(a, limited); r != nil && r.All {
			return r
		} else if r != nil {
			refused = r
		}
	}
	return refused
}

// DeniesName tells whether a host may not be called whatever its address is, so
// that it need not be looked up.
func (e *Egress) DeniesName(name string, port uint16) bool { return named(e.Deny, name, port) }

// The metadata services of clouds that are not on link-local addresses. They
// hand out credentials to whoever asks from inside.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("100.100.100.200/32"),     // Alibaba Cloud
	netip.MustParsePrefix("fd00:100::100:200/128"),  // the same
	netip.MustParsePrefix("168.63.129.16/32"),       // Azure
	netip.MustParsePrefix("192.0.0.192/32"),         // Oracle Cloud, classic
	netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"), // Oracle Cloud
	netip.MustParsePrefix("fd00:ec2::/32"),          // Amazon Web Services: metadata, pod identity, DNS, time
	netip.MustParsePrefix("fd00:42::42/128"),        // Scaleway
	netip.MustParsePrefix("fd00:a9fe:a9fe::1/128"),  // Akamai (Linode)
	netip.MustParsePrefix("fd20:ce::254/128"),       // Google Cloud
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

// judgeAddr is the rule of one address that wraps nothing; nil: it may be called.
func judgeAddr(addr netip.Addr, limited bool) *Refusal {
	for _, m := range metadata {
		if m.Contains(addr) {
			return &Refusal{Kind: "metadata service", All: true}
		}
	}
	for i := range blocks {
		b := &blocks[i]
		if !b.prefix.Contains(addr) {
			continue
		}
		if b.all || limited {
			return &Refusal{Kind: b.kind, All: b.all}
		}
		return nil
	}
	if addr.Is6() && !global.Contains(addr) {
		return &Refusal{Kind: "reserved", All: true}
	}
	return nil
}

// The kinds of IPv6 address that carry an IPv4 address.
var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96")              // RFC 6052
	localNAT64 = netip.MustParsePrefix("64:ff9b:1::/48")            // RFC 8215: of any length that RFC 6052 has
	sixToFour  = netip.MustParsePrefix("2002::/16")                 // RFC 3056
	teredo     = netip.MustParsePrefix("2001::/32")                 // RFC 4380
	compatible = netip.MustParsePrefix("::/96")                     // RFC 4291, deprecated
	translated = netip.MustParsePrefix("::ffff:0:0:0/96")           // RFC 2765, deprecated
	isatap     = [2][4]byte{{0, 0, 0x5e, 0xfe}, {2, 0, 0x5e, 0xfe}} // RFC 5214, section 6.1
)

// wrapped returns the IPv4 addresses that an IPv6 address may lead to. With
// instead it is certain to lead to the one that is returned, and to nothing of
// its own; else it counts itself as well. (Mapped addresses are unmapped before.)
func wrapped(a netip.Addr) (inner []netip.Addr, instead bool) {
	if a.Is4() || a == netip.IPv6Unspecified() || a.IsLoopback() {
		return nil, false
	}
	b := a.As16()
	v4 := func(b0, b1, b2, b3 byte) netip.Addr { return netip.AddrFrom4([4]byte{b0, b1, b2, b3}) }
	last := v4(b[12], b[13], b[14], b[15])
	switch {
	case nat64.Contains(a):
		return []netip.Addr{last}, true
	case sixToFour.Contains(a):
		return []netip.Addr{v4(b[2], b[3], b[4], b[5])}, true
	case localNAT64.Contains(a): // RFC 6052, section 2.2: /48, /56, /64 and /96
		return []netip.Addr{v4(b[6], b[7], b[9], b[10]), v4(b[7], b[9], b[10], b[11]), v4(b[9], b[10], b[11], b[12]), last}, false
	case teredo.Contains(a): // the server, and the client with its bits turned round
		return []netip.Addr{v4(b[4], b[5], b[6], b[7]), v4(^b[12], ^b[13], ^b[14], ^b[15])}, false
	case compatible.Contains(a), translated.Contains(a), [4]byte(b[8:12]) == isatap[0], [4]byte(b[8:12]) == isatap[1]:
		return []netip.Addr{last}, false
	}
	return nil, false
}
