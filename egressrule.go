package jadwal

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// EgressRule is one entry of a list of what jobs may or may not call: a
// network, or a host name, at one port or at all.
type EgressRule struct {
	prefix netip.Prefix // of a network
	name   string       // of a host, in lower case, without a dot at its end
	under  bool         // all names under name, at any depth, and not name itself
	any    bool         // every address
	port   uint16       // 0: every port
}

// ParseEgressRule reads an entry: an address or a network (10.1.2.3, 10.0.0.0/8,
// fd00::/8), a host name (example.com), all names under one (*.example.com), or
// everything (*). A port may follow a colon, and then a network of IPv6 is in
// brackets: [fd00::/8]:443.
func ParseEgressRule(s string) (EgressRule, error) {
	host, port, v6 := s, "", false
	switch {
	case strings.Contains(s, "://"):
		return EgressRule{}, errForm
	case strings.HasPrefix(s, "["):
		inside, rest, closed := strings.Cut(s[1:], "]")
		if !closed || rest != "" && rest[0] != ':' {
			return EgressRule{}, errForm
		}
		host, port, v6 = inside, rest, true
	case strings.Count(s, ":") == 1:
		at := strings.IndexByte(s, ':')
		host, port = s[:at], s[at:]
	}
	var r EgressRule
	if port != "" {
		n, err := strconv.ParseUint(port[1:], 10, 16)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != port[1:] {
			return EgressRule{}, errors.New("has a port that is not a number from 1 to 65535")
		}
		r.port = uint16(n)
	}
	if host == "*" && !v6 {
		r.any = true
		return r, nil
	}
	prefix, network, err := parseNetwork(host)
	switch {
	case err != nil:
		return EgressRule{}, err
	case v6 && (!network || !prefix.Addr().Is6()):
		return EgressRule{}, errForm
	case network:
		r.prefix = prefix
		return r, nil
	}
	r.name, r.under = strings.CutPrefix(plainName(host), "*.")
	last := r.name[strings.LastIndexByte(r.name, '.')+1:]
	switch {
	case strings.IndexFunc(host, func(c rune) bool { return c >= 0x80 }) >= 0:
		return EgressRule{}, errors.New("holds what is no ASCII; write a host name in its xn-- form")
	case r.name == "" || !validHost(r.name, false) || strings.HasSuffix(r.name, "."), looksNumeric(last):
		return EgressRule{}, errForm
	}
	return r, nil
}

var errForm = errors.New("is neither a network nor a host name; write for example 10.0.0.0/8, 10.1.2.3:443, [fd00::/8]:443 or *.internal.example:8443")

// parseNetwork reads an address or a network; false without an error means that
// s is neither and may be a name.
func parseNetwork(s string) (netip.Prefix, bool, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, err := netip.ParseAddr(s)
		switch {
		case err != nil && strings.ContainsAny(s, "/:"):
			return p, false, errForm
		case err != nil:
			return p, false, nil
		case a.Zone() != "":
			return p, false, errors.New("has a zone, which does not count; leave it out")
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	switch {
	case p.Masked() != p:
		return p, false, fmt.Errorf("has address bits beyond its length; write %s", p.Masked())
	case p.Addr().Is4In6():
		return p, false, errors.New("is IPv4 written as IPv6; write it as IPv4")
	}
	return p, true, nil
}

// looksNumeric tells whether the last label of a name makes it an address that
// is written in a way of its own, such as 127.1 or 0x7f000001 (WHATWG URL,
// section 3.5, "ends in a number").
func looksNumeric(label string) bool {
	if digits, hex := strings.CutPrefix(label, "0x"); hex {
		return strings.Trim(digits, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// holds tells whether r is about an address at a port. A name is about none.
func (r *EgressRule) holds(a netip.Addr, port uint16) bool {
	return (r.port == 0 || r.port == port) && (r.any || r.prefix.IsValid() && r.prefix.Contains(a))
}

// named tells whether one of rules is about a host name at a port.
func named(rules []EgressRule, name string, port uint16) bool {
	plain := ""
	for i := range rules {
		r := &rules[i]
		if r.name == "" || r.port != 0 && r.port != port {
			continue
		}
		if plain == "" {
			plain = plainName(name)
		}
		if plain == r.name && !r.under {
			return true
		}
		if above, ok := strings.CutSuffix(plain, r.name); ok && r.under && strings.HasSuffix(above, ".") {
			return true
		}
	}
	return false
}

// plainName is a host name in the one form in which names are compared (RFC
// 1035, section 2.3.3): in lower case, without the dot of the root.
func plainName(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }

// String is the rule as ParseEgressRule reads it.
func (r EgressRule) String() string {
	host := r.name
	switch {
	case r.any:
		host = "*"
	case r.under:
		host = "*." + r.name
	case r.prefix.IsValid():
		host = r.prefix.String()
		if r.prefix.Addr().Is6() && r.port != 0 {
			host = "[" + host + "]"
		}
	}
	if r.port != 0 {
		host += ":" + strconv.Itoa(int(r.port))
	}
	return host
}
