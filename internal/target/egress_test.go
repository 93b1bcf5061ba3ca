package target

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/teknohole/jadwal"
)

func rules(t testing.TB, texts ...string) (all []jadwal.EgressRule) {
	for _, text := range texts {
		r, err := jadwal.ParseEgressRule(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		all = append(all, r)
	}
	return all
}

// A canary listens where no call may go, at one port of both families' loopback
// addresses, and counts who comes. At 127.0.0.2 and the same port stands what
// may be called, and redirects to what the query says.
type canary struct {
	port    string
	reached atomic.Int32
	open    *httptest.Server
}

func newCanary(t *testing.T) *canary {
	c := &canary{}
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.2:0")
		if err != nil {
			t.Fatal(err)
		}
		_, c.port, _ = net.SplitHostPort(l.Addr().String())
		v4, err := net.Listen("tcp", "127.0.0.1:"+c.port)
		if err != nil {
			l.Close()
			continue
		}
		all := []net.Listener{v4}
		if v6, err := net.Listen("tcp", "[::1]:"+c.port); err == nil {
			all = append(all, v6)
		}
		for _, l := range all {
			t.Cleanup(func() { l.Close() })
			go c.count(l)
		}
		c.open = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if to := r.URL.Query().Get("to"); to != "" {
				w.Header()["Location"] = []string{to}
				w.WriteHeader(http.StatusFound)
			}
		}))
		c.open.Listener.Close()
		c.open.Listener = l
		c.open.Start()
		t.Cleanup(c.open.Close)
		return c
	}
	t.Fatal("no port is free at both addresses")
	return nil
}

func (c *canary) count(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		c.reached.Add(1)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		conn.Close()
	}
}

// untouched fails the test when somebody came.
func (c *canary) untouched(t *testing.T) {
	t.Helper()
	if n := c.reached.Load(); n != 0 {
		t.Errorf("the canary was reached %d times", n)
	}
}

// The ways to write loopback, and to make a URL mean another host than it seems
// to. What {port} stands for is the canary's.
var written = []struct{ rule, url string }{
	{"dotted decimal", "http://127.0.0.1:{port}/"},
	{"another address of loopback", "http://127.1.2.3:{port}/"},
	{"the unspecified address", "http://0.0.0.0:{port}/"},
	{"nothing but zero", "http://0:{port}/"},
	{"three parts", "http://127.0.1:{port}/"},
	{"two parts", "http://127.1:{port}/"},
	{"one decimal number", "http://2130706433:{port}/"},
	{"one hexadecimal number", "http://0x7f000001:{port}/"},
	{"one octal number", "http://017700000001:{port}/"},
	{"octal parts", "http://0177.0.0.01:{port}/"},
	{"hexadecimal parts", "http://0x7f.0x0.0x0.0x1:{port}/"},
	{"hexadecimal in capitals", "http://0X7F.1:{port}/"},
	{"leading zeros", "http://127.000.000.001:{port}/"},
	{"mixed parts", "http://0x7f.0.01:{port}/"},
	{"a number beyond 32 bits", "http://6425673729:{port}/"},
	{"a part beyond 8 bits", "http://383.0.0.1:{port}/"},
	{"a trailing dot", "http://127.0.0.1.:{port}/"},
	{"a number with a trailing dot", "http://2130706433.:{port}/"},
	{"localhost", "http://localhost:{port}/"},
	{"localhost in capitals", "http://LOCALHOST:{port}/"},
	{"localhost with a trailing dot", "http://localhost.:{port}/"},
	{"localhost with two", "http://localhost..:{port}/"},
	{"a name under localhost", "http://a.localhost:{port}/"},
	{"IPv6 loopback", "http://[::1]:{port}/"},
	{"IPv6 loopback in full", "http://[0000:0000:0000:0000:0000:0000:0000:0001]:{port}/"},
	{"IPv6 loopback with zeros", "http://[0:0::0:1]:{port}/"},
	{"IPv6 unspecified", "http://[::]:{port}/"},
	{"mapped", "http://[::ffff:127.0.0.1]:{port}/"},
	{"mapped in hexadecimal", "http://[::ffff:7f00:1]:{port}/"},
	{"mapped in capitals", "http://[::FFFF:7F00:1]:{port}/"},
	{"mapped in full", "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/"},
	{"compatible", "http://[::127.0.0.1]:{port}/"},
	{"translated", "http://[::ffff:0:127.0.0.1]:{port}/"},
	{"NAT64", "http://[64:ff9b::127.0.0.1]:{port}/"},
	{"NAT64 for local use", "http://[64:ff9b:1::127.0.0.1]:{port}/"},
	{"6to4", "http://[2002:7f00:1::]:{port}/"},
	{"Teredo", "http://[2001:0:7f00:1::80ff:fffe]:{port}/"},
	{"ISATAP", "http://[2606:4700::5efe:127.0.0.1]:{port}/"},
	{"a zone", "http://[::1%25lo]:{port}/"},
	{"a zone of a link-local address", "http://[fe80::1%25lo]:{port}/"},
	{"a zone that is not escaped", "http://[::1%lo]:{port}/"},
	{"brackets about IPv4", "http://[127.0.0.1]:{port}/"},
	{"brackets that do not close", "http://[::1:{port}/"},
	{"percent-encoded digits", "http://%31%32%37.0.0.1:{port}/"},
	{"percent-encoded dots", "http://127%2e0%2e0%2e1:{port}/"},
	{"percent-encoded letters", "http://l%6fcalhost:{port}/"},
	{"percent-encoded UTF-8", "http://%EF%BC%91%EF%BC%92%EF%BC%97.0.0.1:{port}/"},
	{"full-width digits", "http://１２７.０.０.１:{port}/"},
	{"circled digits", "http://①②⑦.⓪.⓪.①:{port}/"},
	{"ideographic full stops", "http://127。0。0。1:{port}/"},
	{"half-width full stops", "http://127｡0｡0｡1:{port}/"},
	{"full-width letters", "http://ｌｏｃａｌｈｏｓｔ:{port}/"},
	{"a soft hyphen", "http://local\u00adhost:{port}/"},
	{"a zero-width space", "http://127.0.0.\u200b1:{port}/"},
	{"another script's digits", "http://١٢٧.0.0.1:{port}/"},
	{"punycode", "http://xn--localhost-:{port}/"},
	{"a user name that looks like a host", "http://127.0.0.2@127.0.0.1:{port}/"},
	{"a password that looks like a port", "http://127.0.0.2:{port}@127.0.0.1:{port}/"},
	{"an escaped user name", "http://127.0.0.2%40@127.0.0.1:{port}/"},
	{"a backslash", `http://127.0.0.1:{port}\@127.0.0.2:{port}/`},
	{"a backslash that ends the host", `http://127.0.0.1\.example.com:{port}/`},
	{"backslashes for slashes", `http:\\127.0.0.1:{port}/`},
	{"a fragment that looks like a host", "http://127.0.0.1:{port}#@127.0.0.2:{port}/"},
	{"a query that looks like a host", "http://127.0.0.1:{port}?@127.0.0.2:{port}/"},
	{"a semicolon", "http://127.0.0.1;127.0.0.2:{port}/"},
	{"a comma", "http://127.0.0.1,127.0.0.2:{port}/"},
	{"a space", "http://127.0.0.1 .example.com:{port}/"},
	{"a tab", "http://127.0.\t0.1:{port}/"},
	{"an underscore", "http://127_0_0_1:{port}/"},
	{"the scheme in capitals", "HTTP://127.0.0.1:{port}/"},
	{"one slash", "http:/127.0.0.1:{port}/"},
	{"no slash", "http:127.0.0.1:{port}/"},
	{"three slashes", "http:///127.0.0.1:{port}/"},
	{"no scheme", "//127.0.0.1:{port}/"},
	{"another scheme", "gopher://127.0.0.1:{port}/"},
	{"a file", "file:///etc/hostname"},
	{"a socket", "unix:///var/run/docker.sock"},
	{"a port with a plus", "http://127.0.0.1:+{port}/"},
	{"a port with a zero before", "http://127.0.0.1:0{port}/"},
	{"two ports", "http://127.0.0.1:{port}:{port}/"},
	{"https", "https://127.0.0.1:{port}/"},
	{"a name that resolves to it", "http://inside.test:{port}/"},
	{"a name with an underscore that resolves to it", "http://in_side.test:{port}/"},
	{"an internationalised name that resolves to it", "http://xn--bcher-kva.test:{port}/"},
	{"an internationalised name as it is written", "http://bücher.test:{port}/"},
	{"the metadata service", "http://169.254.169.254/latest/meta-data/"},
	{"the metadata service, one number", "http://2852039166/latest/meta-data/"},
	{"the metadata service, mapped", "http://[::ffff:169.254.169.254]/latest/meta-data/"},
	{"the metadata service, IPv6", "http://[fd00:ec2::254]/latest/meta-data/"},
	{"a private address", "http://10.0.0.1:{port}/"},
	{"carrier-grade NAT", "http://100.64.0.1:{port}/"},
	{"broadcast", "http://255.255.255.255:{port}/"},
}

// However an address is written, directly or in a redirect: a normal user's job
// does not reach it, nor a superuser's where it is denied. The nameserver takes
// every name for one of loopback, as inet_aton(3) does with some of these.
func TestHoweverAnAddressIsWritten(t *testing.T) {
	c := newCanary(t)
	ns := newNameserver(t, func(string, int) reply { return addrs("127.0.0.1", "::1") })
	limited := newHTTP(t, Options{resolver: ns.resolver(), Egress: jadwal.Egress{Allow: rules(t, "127.0.0.2")}})
	denying := newHTTP(t, Options{resolver: ns.resolver(), Egress: jadwal.Egress{
		Deny: rules(t, "127.0.0.0/31", "127.1.0.0/16", "::1", "10.0.0.0/8", "100.64.0.0/10"),
	}})
	for _, tt := range written {
		t.Run(tt.rule, func(t *testing.T) {
			url := strings.ReplaceAll(tt.url, "{port}", c.port)
			for name, h := range map[string]*HTTP{"normal user": limited, "superuser": denying} {
				direct, redirected := callTo(url), callTo(c.open.URL+"/?to="+queryEscape(url))
				redirected.Job.Target.Redirects = 5
				for _, call := range []Call{direct, redirected} {
					call.Limited = h == limited
					call.Job.Target.Method = "GET"
					r := h.Do(t.Context(), call)
					if r.State != jadwal.RunFailed || r.StatusCode != 0 && r.StatusCode != http.StatusFound {
						t.Errorf("%s, %s: %+v", name, call.Job.Target.URL, r)
					}
				}
			}
			c.untouched(t)
		})
	}
	t.Run("what may be called is reached", func(t *testing.T) {
		call := callTo(c.open.URL)
		call.Limited = true
		if r := limited.Do(t.Context(), call); r.State != jadwal.RunSucceeded {
			t.Errorf("%+v", r)
		}
	})
	t.Run("and who may call the canary reaches it", func(t *testing.T) {
		h := newHTTP(t, Options{resolver: ns.resolver(), Egress: jadwal.Egress{ // it alone
			Deny: rules(t, "10.0.0.0/8", "100.64.0.0/10", "64:ff9b::/96", "2000::/3"),
		}})
		n := 0
		for _, tt := range written {
			if r := h.Do(t.Context(), callTo(strings.ReplaceAll(tt.url, "{port}", c.port))); r.State == jadwal.RunSucceeded {
				n++
			}
		}
		if reached := c.reached.Load(); n < 15 || int(reached) < n {
			t.Errorf("%d of %d forms reached it, it counted %d", n, len(written), reached)
		}
	})
}

func queryEscape(s string) string {
	b := &strings.Builder{}
	for _, c := range []byte(s) {
		fmt.Fprintf(b, "%%%02X", c)
	}
	return b.String()
}

// What counts is the address that is dialled, whatever the name meant before.
// Who calls is a normal user, who may call 127.0.0.2.
func TestNames(t *testing.T) {
	const (
		ok      = ""
		refused = string(jadwal.ReasonTargetRefused)
		network = string(jadwal.ReasonNetwork)
	)
	always := func(r reply) func(string, int) reply { return func(string, int) reply { return r } }
	later := func(first, then reply) func(string, int) reply {
		return func(_ string, asked int) reply {
			if asked == 1 {
				return first
			}
			return then
		}
	}
	for _, tt := range []struct {
		rule   string
		answer func(name string, asked int) reply
		url    string   // "": http://rebind.test
		allow  []string // besides 127.0.0.2
		deny   []string
		want   []string // reasons of the calls, one after the other, each on a new connection
	}{
		{"a name that stays", always(addrs("127.0.0.2")), "", nil, nil, []string{ok, ok}},
		{"a name that rebinds to loopback", later(addrs("127.0.0.2"), addrs("127.0.0.1")), "", nil, nil, []string{ok, refused}},
		{"a name that rebinds to IPv6 loopback", later(addrs("127.0.0.2"), addrs("::1")), "", nil, nil, []string{ok, refused}},
		{"a name that rebinds to metadata", later(addrs("127.0.0.2"), addrs("169.254.169.254")), "", nil, nil, []string{ok, refused}},
		{"a name that rebinds and back", func(_ string, asked int) reply {
			if asked == 2 {
				return addrs("127.0.0.1")
			}
			return addrs("127.0.0.2")
		}, "", nil, nil, []string{ok, refused, ok}},
		{"a name that is gone", later(addrs("127.0.0.2"), reply{}), "", nil, nil, []string{ok, network}},
		{"loopback only", always(addrs("127.0.0.1")), "", nil, nil, []string{refused}},
		{"both families of loopback", always(addrs("127.0.0.1", "::1")), "", nil, nil, []string{refused}},
		{"a mixed answer: only what may be called is", always(addrs("127.0.0.1", "127.0.0.2")), "", nil, nil, []string{ok, ok}},
		{"a mixed answer the other way round", always(addrs("127.0.0.2", "127.0.0.1")), "", nil, nil, []string{ok, ok}},
		{"a mixed answer of two families", always(addrs("::1", "127.0.0.2")), "", nil, nil, []string{ok, ok}},
		{"a mixed answer of which the permitted does not answer", always(addrs("127.0.0.1", "127.0.0.3")), "", []string{"127.0.0.3"}, nil, []string{refused}},
		{"many private addresses", always(addrs("10.0.0.1", "192.168.0.1", "172.16.0.1", "100.64.0.1", "fd00::1")), "", nil, nil, []string{refused}},
		{"a mapped address in an AAAA record", always(addrs("::ffff:127.0.0.1")), "", nil, nil, []string{refused}},
		{"NAT64 in an AAAA record", always(addrs("64:ff9b::7f00:1")), "", nil, nil, []string{refused}},
		{"6to4 in an AAAA record", always(addrs("2002:7f00:1::1")), "", nil, nil, []string{refused}},
		{"the unspecified addresses", always(addrs("0.0.0.0", "::")), "", nil, nil, []string{refused}},
		{"another name that is internal", func(name string, _ int) reply {
			return reply{alias: "inside.test.", addrs: addrs("127.0.0.1").addrs}
		}, "", nil, nil, []string{refused}},
		{"another name that may be called", func(name string, _ int) reply {
			return reply{alias: "outside.test.", addrs: addrs("127.0.0.2").addrs}
		}, "", nil, nil, []string{ok}},
		{"another name that is localhost", func(name string, _ int) reply {
			return reply{alias: "localhost.", addrs: addrs("127.0.0.1").addrs}
		}, "", nil, nil, []string{refused}},
		{"a name in capitals", always(addrs("127.0.0.1")), "http://REBIND.Test", nil, nil, []string{refused}},
		{"a name with a trailing dot", always(addrs("127.0.0.1")), "http://rebind.test.", nil, nil, []string{refused}},
		{"a name that is denied, though its address is allowed", always(addrs("127.0.0.2")), "", nil, []string{"rebind.test"}, []string{refused}},
		{"in capitals and with a dot, too", always(addrs("127.0.0.2")), "http://Rebind.TEST.", nil, []string{"rebind.test"}, []string{refused}},
		{"a name under a denied one", always(addrs("127.0.0.2")), "http://a.b.rebind.test", nil, []string{"*.rebind.test"}, []string{refused}},
		{"another port than the denied one", always(addrs("127.0.0.2")), "", nil, []string{"rebind.test:1"}, []string{ok}},
		{"an address that is denied, whatever leads to it", always(addrs("127.0.0.2")), "", nil, []string{"127.0.0.2"}, []string{refused}},
		{"a name that stands for a denied one has its own", func(name string, _ int) reply {
			return reply{alias: "denied.test.", addrs: addrs("127.0.0.2").addrs}
		}, "", nil, []string{"denied.test"}, []string{ok}},
		{"a name that is allowed does not open metadata", always(addrs("169.254.169.254")), "", []string{"rebind.test"}, nil, []string{refused}},
		{"nor what is denied", always(addrs("127.0.0.1")), "", []string{"rebind.test"}, []string{"127.0.0.0/8"}, []string{refused}},
		{"nor does it open another name", always(addrs("127.0.0.1")), "http://other.test", []string{"rebind.test"}, nil, []string{refused}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			c := newCanary(t)
			ns := newNameserver(t, tt.answer)
			h := newHTTP(t, Options{resolver: ns.resolver(), Egress: jadwal.Egress{Allow: rules(t, append(tt.allow, "127.0.0.2")...), Deny: rules(t, tt.deny...)}})
			url := tt.url
			if url == "" {
				url = "http://rebind.test"
			}
			for i, want := range tt.want {
				call := callTo(url + ":" + c.port)
				call.Limited = true
				if r := h.Do(t.Context(), call); string(r.Reason) != want {
					t.Errorf("call %d: %+v, want %q", i+1, r, want)
				}
				h.Close()
			}
			c.untouched(t)
		})
	}
	t.Run("a name that is allowed opens loopback, and its connection serves no other name", func(t *testing.T) {
		c := newCanary(t)
		ns := newNameserver(t, always(addrs("127.0.0.2")))
		h := newHTTP(t, Options{resolver: ns.resolver(), Egress: jadwal.Egress{Allow: rules(t, "good.test")}})
		for _, tt := range []struct{ host, want string }{{"good.test", ok}, {"bad.test", refused}, {"127.0.0.2", refused}, {"GOOD.test.", ok}} {
			call := callTo("http://" + tt.host + ":" + c.port)
			call.Limited = true
			if r := h.Do(t.Context(), call); string(r.Reason) != tt.want {
				t.Errorf("%s: %+v", tt.host, r)
			}
		}
	})
	t.Run("a name that is denied is not even looked up", func(t *testing.T) {
		ns := newNameserver(t, always(addrs("127.0.0.2")))
		h := newHTTP(t, Options{resolver: ns.resolver(), Egress: jadwal.Egress{Deny: rules(t, "*.test")}})
		r := h.Do(t.Context(), callTo("http://rebind.test:1"))
		if r.Reason != jadwal.ReasonTargetRefused || r.Message != "The target is one that the operator of this server has denied" || ns.queries() != 0 {
			t.Errorf("%+v, after %d queries", r, ns.queries())
		}
	})
}

// A redirect does not carry a call over a rule, and the connections that
// superusers' calls have left open serve nobody else, however many there are.
func TestPoolsOfUsers(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "inside")
	}))
	defer inside.Close()
	c := newCanary(t)
	h := newHTTP(t, Options{Egress: jadwal.Egress{Allow: rules(t, "127.0.0.2")}})
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for range 20 {
				direct, redirected := callTo(inside.URL), callTo(c.open.URL+"/?to="+queryEscape(inside.URL))
				redirected.Job.Target.Redirects = 1
				for _, call := range []Call{direct, redirected} {
					call.Job.Target.Method = "GET"
					call.Limited = i%2 == 1
					r := h.Do(t.Context(), call)
					if !call.Limited && r.State != jadwal.RunSucceeded || call.Limited && (r.Reason != jadwal.ReasonTargetRefused || len(r.Output) > 0) {
						t.Errorf("limited %v: %+v", call.Limited, r)
					}
				}
			}
		})
	}
	all.Wait()
	c.untouched(t)
}

func TestOwn(t *testing.T) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		rule, listener, to string
		want               bool
	}
	rows := []row{
		{"itself", "127.0.0.1:8080", "127.0.0.1:8080", true},
		{"its neighbour's port", "127.0.0.1:8080", "127.0.0.1:8081", false},
		{"another address of loopback", "127.0.0.1:8080", "127.0.0.2:8080", false},
		{"the unspecified address, which leads to loopback", "127.0.0.1:8080", "0.0.0.0:8080", true},
		{"everywhere, by loopback", "0.0.0.0:8080", "127.0.0.1:8080", true},
		{"everywhere, by another address of loopback", "0.0.0.0:8080", "127.9.9.9:8080", true},
		{"everywhere, by IPv6 loopback", "[::]:8080", "[::1]:8080", true},
		{"everywhere in both families, by IPv4", "[::]:8080", "127.0.0.1:8080", true},
		{"everywhere, by the unspecified address", "[::]:8080", "[::]:8080", true},
		{"everywhere is this machine only", "[::]:8080", "93.184.216.34:8080", false},
		{"everywhere at this port only", "[::]:8080", "127.0.0.1:8081", false},
	}
	for _, a := range all {
		if p, ok := a.(*net.IPNet); ok {
			addr, _ := netip.AddrFromSlice(p.IP)
			at := netip.AddrPortFrom(addr.Unmap(), 8080).String()
			rows = append(rows, row{"everywhere, by " + at, "[::]:8080", at, true})
		}
	}
	for _, tt := range rows {
		t.Run(tt.rule, func(t *testing.T) {
			own := Own(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(tt.listener)))
			if got := own(netip.MustParseAddrPort(tt.to)); got != tt.want {
				t.Errorf("%s reaches %s: %v", tt.to, tt.listener, got)
			}
		})
	}
	t.Run("a job does not call the server that it belongs to", func(t *testing.T) {
		srv := httptest.NewServer(nil)
		defer srv.Close()
		at := srv.Listener.Addr()
		h := newHTTP(t, Options{Egress: jadwal.Egress{Own: Own(at)}})
		if r := h.Do(t.Context(), callTo(srv.URL)); r.Reason != jadwal.ReasonTargetRefused || r.Message != "The target is this server itself, which no job may call" {
			t.Errorf("%+v", r)
		}
		h = newHTTP(t, Options{Egress: jadwal.Egress{Own: Own(at), Allow: rules(t, at.String())}})
		if r := h.Do(t.Context(), callTo(srv.URL)); r.StatusCode != http.StatusNotFound {
			t.Errorf("allowed: %+v", r)
		}
	})
}
