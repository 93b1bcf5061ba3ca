package target

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// A nameserver answers over UDP on loopback as a test's script says.
type nameserver struct {
	conn   *net.UDPConn
	answer func(name string, asked int) reply

	mu    sync.Mutex
	asked map[string]int // queries by name, in both families
}

// A reply is what a name has: addresses of both families, and another name that
// it stands for. Nothing at all: there is no such name.
type reply struct {
	alias string
	addrs []netip.Addr
}

func addrs(texts ...string) (r reply) {
	for _, text := range texts {
		r.addrs = append(r.addrs, netip.MustParseAddr(text))
	}
	return r
}

// newNameserver starts one. asked, from 1, counts the queries for that name and
// family.
func newNameserver(t *testing.T, answer func(name string, asked int) reply) *nameserver {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &nameserver{conn: conn, answer: answer, asked: map[string]int{}}
	go s.serve()
	return s
}

// resolver is a resolver that asks s and nobody else.
func (s *nameserver) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

func (s *nameserver) queries() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, asked := range s.asked {
		n += asked
	}
	return n
}

func (s *nameserver) serve() {
	b := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		if message, err := s.reply(b[:n]); err == nil {
			s.conn.WriteToUDPAddrPort(message, from)
		}
	}
}

// reply is the message that answers a query; every record may be kept for 0 s.
func (s *nameserver) reply(query []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
		return nil, err
	}
	q := m.Questions[0]
	s.mu.Lock()
	s.asked[q.Name.String()+q.Type.String()]++
	r := s.answer(q.Name.String(), s.asked[q.Name.String()+q.Type.String()])
	s.mu.Unlock()
	m.Response, m.Authoritative, m.RecursionAvailable, m.Additionals = true, true, true, nil
	if r.alias == "" && len(r.addrs) == 0 {
		m.RCode = dnsmessage.RCodeNameError
		return m.Pack()
	}
	owner := q.Name
	if r.alias != "" {
		owner = dnsmessage.MustNewName(r.alias)
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.CNAMEResource{CNAME: owner},
		})
	}
	for _, a := range r.addrs {
		header := dnsmessage.ResourceHeader{Name: owner, Class: dnsmessage.ClassINET}
		switch {
		case q.Type == dnsmessage.TypeA && a.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
		case q.Type == dnsmessage.TypeAAAA && a.Is6():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	return m.Pack()
}
