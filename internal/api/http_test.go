package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

func TestPublicEndpointsIgnoreAnAuthorizationField(t *testing.T) {
	s := newServer(t)
	c := s.login("admin", adminPassword)
	for _, field := range []string{"Bearer nonsense", "Basic x", "", "Bearer " + c.access} {
		if r := s.do("GET", "/", "", "Authorization", field, "Authorization", field); r.status != 200 {
			t.Errorf("GET / with %q: %s", field, r.body)
		}
		if r := s.do("POST", "/login", `{"identifier":"admin","password":"admin123"}`, "Authorization", field); r.status != 200 {
			t.Errorf("POST /login with %q: %s", field, r.body)
		}
		r := s.do("POST", "/refresh/token", `{"refresh_token":"`+c.refresh+`"}`, "Authorization", field)
		if r.status != 200 {
			t.Errorf("POST /refresh/token with %q: %s", field, r.body)
		}
		c.refresh = r.text("refresh_token")
	}
}

func TestRootIsTheSameForEverybody(t *testing.T) {
	s := newServer(t)
	for _, header := range [][]string{nil, {"Accept", "text/html"}, {"Sec-Fetch-Mode", "navigate", "Accept", "text/html"}, {"Accept", "nothing/at-all"}} {
		r := s.do("GET", "/?x=y", "", header...)
		if r.status != 200 || r.header.Get("Vary") != "Accept, Sec-Fetch-Mode" || r.data != nil {
			t.Errorf("%q: got %d %q %s", header, r.status, r.header, r.body)
		}
	}
}

func TestForwardingHeadersCountOnlyFromATrustedProxy(t *testing.T) {
	for _, c := range []struct {
		rule    string
		trusted []string
		peer    string
		header  []string
		want    string
	}{
		{"nobody is trusted", nil, "192.0.2.1:5", []string{"203.0.113.5"}, "192.0.2.1"},
		{"the peer is not trusted", []string{"10.0.0.0/8"}, "192.0.2.1:5", []string{"203.0.113.5"}, "192.0.2.1"},
		{"the peer is trusted", []string{"192.0.2.0/24"}, "192.0.2.1:5", []string{"203.0.113.5"}, "203.0.113.5"},
		{"the last hop that is not trusted counts", []string{"192.0.2.0/24"}, "192.0.2.1:5", []string{"198.51.100.1, 203.0.113.5"}, "203.0.113.5"},
		{"trusted hops are passed over", []string{"192.0.2.0/24", "10.0.0.0/8"}, "192.0.2.1:5", []string{"198.51.100.1, 203.0.113.5, 10.1.1.1"}, "203.0.113.5"},
		{"several fields are one list", []string{"192.0.2.0/24"}, "192.0.2.1:5", []string{"198.51.100.1", "203.0.113.5"}, "203.0.113.5"},
		{"nonsense ends the list", []string{"192.0.2.0/24", "10.0.0.0/8"}, "192.0.2.1:5", []string{"198.51.100.1, unknown, 10.1.1.1"}, "10.1.1.1"},
		{"without the field it is the proxy", []string{"192.0.2.0/24"}, "192.0.2.1:5", nil, "192.0.2.1"},
		{"an IPv4 address in IPv6 is the IPv4 one", []string{"192.0.2.0/24"}, "[::ffff:192.0.2.1]:5", []string{"::ffff:203.0.113.5"}, "203.0.113.5"},
		{"a zone does not tell clients apart", nil, "[fe80::1%eth0]:5", nil, "fe80::1"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			o := settings{}
			trusting(c.trusted...)(&o)
			r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.header}}
			if got := (&call{server: &Server{trusted: o.api.TrustedProxies}, request: r}).source(); got.String() != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestHEADWorksWhereGETDoes(t *testing.T) {
	s := newServer(t)
	admin := s.login("admin", adminPassword)
	for _, target := range []string{"/", "/user/me", "/user", "/job", "/openapi.json", "/docs", "/nothing"} {
		head := admin.do("HEAD", target, "")
		req, _ := http.NewRequest("GET", s.http.URL+target, nil)
		req.Header.Set("Authorization", "Bearer "+admin.access)
		get, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		get.Body.Close()
		if head.status != get.StatusCode || head.header.Get("Content-Length") != fmt.Sprint(get.ContentLength) || head.header.Get("Content-Type") != get.Header.Get("Content-Type") {
			t.Errorf("%s: HEAD %d %q, GET %d %q", target, head.status, head.header, get.StatusCode, get.Header)
		}
	}
	if r := s.do("HEAD", "/login", ""); r.status != 405 || r.header.Get("Allow") != "POST" {
		t.Errorf("got %d %q", r.status, r.header)
	}
}

func TestABodyThatIsTooSlowIsAnswered(t *testing.T) {
	s := newServer(t, readTimeout(300*time.Millisecond))
	r := s.raw("POST", "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	if r.status != 408 || r.code != "request_timeout" || !r.closes {
		t.Errorf("got %d %q %s", r.status, r.header, r.body)
	}
}

// A session may end while a body is on its way; the token was good when the
// request began, and is not when the body is there.
func TestASessionThatEndsBeforeTheBodyIsThereWritesNothing(t *testing.T) {
	s := newServer(t)
	for target, body := range map[string]string{
		"POST /user":     `{"username":"late","password":"password-of-late","email":"late@example.com","is_superuser":true}`,
		"POST /job":      `{"name":"late","target":{"url":"https://example.com/"}}`,
		"PATCH /user/me": `{"username":"late"}`,
	} {
		live := s.login("admin", adminPassword)
		before := s.column("SELECT count(*) || '/' || (SELECT count(*) FROM job) || '/' || (SELECT max(updated_at) FROM account) FROM account")
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
			target, live.access, len(body))
		answers := bufio.NewReader(conn)
		if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") { // the handler reads the body: the token was good
			t.Fatalf("%s: %q %v", target, line, err)
		}
		answers.ReadString('\n')
		if r := live.do("POST", "/logout", `{"refresh_token":"`+live.refresh+`"}`); r.status != 200 {
			t.Fatal(r.body)
		}
		io.WriteString(conn, body)
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 401 {
			t.Errorf("%s: got %d", target, resp.StatusCode)
		}
		if after := s.column("SELECT count(*) || '/' || (SELECT count(*) FROM job) || '/' || (SELECT max(updated_at) FROM account) FROM account"); after != before {
			t.Errorf("%s: something was written: %s, before %s", target, after, before)
		}
	}
}

func TestLargeBodiesTogetherAreBounded(t *testing.T) {
	s := newServer(t)
	s.api.bodies.Store(allBodies)
	large := `{"identifier":"` + strings.Repeat("x", 100<<10) + `","password":"y"}`
	if r := s.do("POST", "/login", large); r.status != 503 || r.code != "busy" {
		t.Errorf("a large body: got %d %s", r.status, r.code)
	}
	if r := s.do("POST", "/login", `{"identifier":"admin","password":"`+adminPassword+`"}`); r.status != 200 {
		t.Errorf("a small body: got %d", r.status)
	}
	s.api.bodies.Add(-allBodies)
	if left := s.api.bodies.Load(); left != 0 {
		t.Errorf("%d bytes were not given back", left)
	}
	if r := s.do("POST", "/login", large); r.status != 401 {
		t.Errorf("a large body when there is room: got %d", r.status)
	}
}

func TestABodyThatEndsEarlyIsAnswered(t *testing.T) {
	s := newServer(t)
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	conn.(*net.TCPConn).CloseWrite()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	if r := checkEnvelope(t, resp, body, "/login"); r.status != 400 || r.code != "malformed" {
		t.Errorf("got %s", r.body)
	}
}

func TestAPanicIsEnvelopedAndLogged(t *testing.T) {
	s := newServer(t)
	s.api.router.literal["/boom"] = &resource{allow: "GET", routes: []*route{{
		method: "GET", action: jadwal.ActionPublic, input: &input{body: -1},
		serve: func(*Server, *call, []byte) (*answer, error) { panic("the secret reason") },
	}}}
	r := s.do("GET", "/boom", "")
	if r.status != 500 || r.code != "internal" || strings.Contains(string(r.body), "secret") {
		t.Errorf("got %s", r.body)
	}
	if log := s.log.String(); !strings.Contains(log, "the secret reason") || !strings.Contains(log, r.header.Get("X-Request-Id")) {
		t.Errorf("the log has %s", log)
	}
}

func TestAFailureIsEnvelopedAndLogged(t *testing.T) {
	s := newServer(t)
	for name, serve := range map[string]func(*Server, *call, []byte) (*answer, error){
		"/error":  func(*Server, *call, []byte) (*answer, error) { return nil, fmt.Errorf("the secret reason") },
		"/encode": func(*Server, *call, []byte) (*answer, error) { return &answer{status: 200, data: make(chan int)}, nil },
	} {
		s.api.router.literal[name] = &resource{allow: "GET", routes: []*route{{method: "GET", action: jadwal.ActionPublic, input: &input{body: -1}, serve: serve}}}
		r := s.do("GET", name, "")
		if r.status != 500 || r.code != "internal" || strings.Contains(string(r.body), "secret") || strings.Contains(string(r.body), "chan") {
			t.Errorf("got %s", r.body)
		}
		if !strings.Contains(s.log.String(), r.header.Get("X-Request-Id")) {
			t.Errorf("the log has %s", s.log.String())
		}
	}
}

func TestErrorsAndTheirHeaders(t *testing.T) {
	for _, c := range []struct {
		rule   string
		err    error
		status int
		code   jadwal.Code
		header string
		value  string
	}{
		{"a wait is told in whole seconds, rounded up", &jadwal.Error{Code: jadwal.CodeRateLimited, RetryAfter: 1500 * time.Millisecond}, 429, jadwal.CodeRateLimited, "Retry-After", "2"},
		{"a wait is at least a second", &jadwal.Error{Code: jadwal.CodeBusy}, 503, jadwal.CodeBusy, "Retry-After", "1"},
		{"an error may be wrapped", fmt.Errorf("store: %w", &jadwal.Error{Code: jadwal.CodeUnavailable, RetryAfter: time.Second}), 503, jadwal.CodeUnavailable, "Retry-After", "1"},
		{"a client that has gone is no failure", fmt.Errorf("read: %w", context.Canceled), 503, jadwal.CodeUnavailable, "Retry-After", "1"},
		{"a token that was sent is told to be wrong", errBadToken, 401, jadwal.CodeInvalidToken, "Www-Authenticate", `Bearer realm="jadwal", error="invalid_token"`},
		{"wrong credentials are no token", errInvalidLogin, 401, jadwal.CodeInvalidLogin, "Www-Authenticate", `Bearer realm="jadwal"`},
		{"a code that nobody knows is a failure", jadwal.Errorf("new_code", "x"), 500, jadwal.CodeInternal, "", ""},
		{"any other error is a failure", io.ErrUnexpectedEOF, 500, jadwal.CodeInternal, "", ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			a, internal := refuse(c.err)
			if a.status != c.status || a.data.(*problem).Code != c.code || internal != (c.status == 500) {
				t.Errorf("got %+v, %v", a, internal)
			}
			if c.header != "" && a.header.Get(c.header) != c.value {
				t.Errorf("got %q", a.header)
			}
		})
	}
}

// The table of statuses knows every code that there is, and no other.
func TestEveryCodeHasAStatus(t *testing.T) {
	for code, status := range statuses {
		if http.StatusText(status) == "" || status < 400 {
			t.Errorf("%s is %d", code, status)
		}
		if a, _ := refuse(jadwal.Errorf(code, "x")); a.status != status {
			t.Errorf("%s is answered with %d, not %d", code, a.status, status)
		}
	}
	source, err := os.ReadFile("../../error.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`Code\w+ +Code += "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		if statuses[jadwal.Code(m[1])] == 0 {
			t.Errorf("%s has no status", m[1])
		}
	}
}
