package target

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
)

var due = time.Date(2027, 3, 4, 5, 6, 7, 89_000_000, time.UTC)

func callTo(url string) Call {
	return Call{
		Key: jadwal.RunKey{DueAt: due.UnixMicro(), JobID: 12}, Attempt: 1, DueAt: due, Version: 3, JobID: 12, Epoch: 4,
		Timeout: 10 * time.Second,
		Job:     &jadwal.Definition{Name: "invoice-nightly", Output: jadwal.DefaultOutput, Target: jadwal.Target{Type: "http", Method: "POST", URL: url}},
	}
}

func newHTTP(t testing.TB, o Options) *HTTP {
	h := New(o)
	t.Cleanup(h.Close)
	return h
}

func TestRequest(t *testing.T) {
	type got struct {
		r    *http.Request
		body string
	}
	requests := make(chan got, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		requests <- got{r, string(b)}
	}))
	defer srv.Close()
	h := newHTTP(t, Options{Version: "1.2.3"})
	send := func(t *testing.T, c Call) got {
		t.Helper()
		if r := h.Do(t.Context(), c); r.State != jadwal.RunSucceeded {
			t.Fatalf("%+v", r)
		}
		return <-requests
	}

	t.Run("the headers name the run, the attempt and the instant", func(t *testing.T) {
		c := callTo(srv.URL + "/a%2Fb?x=1")
		g := send(t, c)
		id := c.Key.ID()
		want := map[string]string{
			"User-Agent": "Jadwal/1.2.3", "Idempotency-Key": id, "Webhook-Id": id, "Jadwal-Run-Id": id,
			"Jadwal-Job": "invoice-nightly", "Jadwal-Attempt": "1", "Jadwal-Due-At": "2027-03-04T05:06:07.089Z", "Jadwal-Epoch": "4",
			"Content-Length": "0",
		}
		for name, value := range want {
			if g.r.Header.Get(name) != value {
				t.Errorf("%s: %q, want %q", name, g.r.Header.Get(name), value)
			}
		}
		for name := range g.r.Header {
			if want[name] == "" {
				t.Errorf("%s: %q was sent too", name, g.r.Header.Get(name))
			}
		}
		if g.r.Method != "POST" || g.r.RequestURI != "/a%2Fb?x=1" || g.body != "" {
			t.Errorf("%s %s %q", g.r.Method, g.r.RequestURI, g.body)
		}
	})
	t.Run("what is signed is what is sent, at the time when it is sent", func(t *testing.T) {
		var none *jadwal.Signer
		signer := none.With([]byte(strings.Repeat("k", jadwal.SignatureKeyBytes)), time.Time{})
		for _, body := range []string{"", `{"a": 1}`, `"caf\u00e9"`} {
			c := callTo(srv.URL)
			c.Signer, c.Job.Target.Body = signer, jadwal.RawJSON(body)
			before := time.Now().Unix()
			g := send(t, c)
			seconds, err := strconv.ParseInt(g.r.Header.Get("Webhook-Timestamp"), 10, 64)
			if err != nil || seconds < before || seconds > time.Now().Unix() {
				t.Errorf("%v", g.r.Header)
			}
			if _, want := signer.Sign(g.r.Header.Get("Webhook-Id"), time.Unix(seconds, 0), []byte(g.body)); g.r.Header.Get("Webhook-Signature") != want {
				t.Errorf("%q: %v", g.body, g.r.Header)
			}
		}
	})
	t.Run("nothing is sent when the key is locked", func(t *testing.T) {
		c := callTo(srv.URL)
		c.Signer = jadwal.LockedSigner()
		if r := h.Do(t.Context(), c); r.State != jadwal.RunFailed || r.Reason != jadwal.ReasonTargetRefused {
			t.Errorf("%+v", r)
		}
		select {
		case g := <-requests:
			t.Errorf("%v", g.r.Header)
		default:
		}
	})
	t.Run("a redelivery says so", func(t *testing.T) {
		c := callTo(srv.URL)
		c.Redelivery, c.Attempt = true, 3
		if g := send(t, c); g.r.Header.Get("Jadwal-Redelivery") != "possible" || g.r.Header.Get("Jadwal-Attempt") != "3" {
			t.Errorf("%v", g.r.Header)
		}
	})
	t.Run("the job's own headers are sent, whatever their case, and cannot replace ours", func(t *testing.T) {
		c := callTo(srv.URL)
		c.Job.Target.Headers = map[string]string{"x-tenant": "a", "user-agent": "theirs", "jadwal-run-id": "forged"}
		g := send(t, c)
		if g.r.Header.Get("X-Tenant") != "a" || g.r.Header.Get("User-Agent") != "theirs" || g.r.Header.Get("Jadwal-Run-Id") != c.Key.ID() {
			t.Errorf("%v", g.r.Header)
		}
		if len(c.Job.Target.Headers) != 3 {
			t.Error("the definition was changed")
		}
	})
	for _, tt := range []struct{ rule, body, sent, kind string }{
		{"an object is sent as it is written", `{"a": 1}`, `{"a": 1}`, "application/json"},
		{"a number is JSON too", `7`, `7`, "application/json"},
		{"a string is sent as its text", `"caf\u00e9 <x>"`, "café <x>", "text/plain; charset=utf-8"},
		{"a text that is JSON is called so", `"{\"a\": 1}"`, `{"a": 1}`, "application/json"},
		{"an empty string is no body", `""`, "", ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			c := callTo(srv.URL)
			c.Job.Target.Body = jadwal.RawJSON(tt.body)
			if g := send(t, c); g.body != tt.sent || g.r.Header.Get("Content-Type") != tt.kind {
				t.Errorf("%q as %q", g.body, g.r.Header.Get("Content-Type"))
			}
		})
	}
	t.Run("the job's own content type is kept", func(t *testing.T) {
		c := callTo(srv.URL)
		c.Job.Target.Body = jadwal.RawJSON(`"<a/>"`)
		c.Job.Target.Headers = map[string]string{"content-type": "application/xml"}
		if g := send(t, c); g.r.Header.Get("Content-Type") != "application/xml" {
			t.Errorf("%v", g.r.Header)
		}
	})
}

func TestResult(t *testing.T) {
	big := strings.Repeat("x", 70<<10)
	var followed atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch code, _ := strconv.Atoi(r.URL.Query().Get("status")); {
		case r.URL.Path == "/followed":
			followed.Store(true)
		case r.URL.Path == "/broken":
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("half of it"))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/rubbish":
			c, _, _ := w.(http.Hijacker).Hijack()
			c.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n"))
			c.Close()
		case r.URL.Path == "/upgrade":
			c, _, _ := w.(http.Hijacker).Hijack()
			c.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"))
			defer c.Close()
			io.Copy(io.Discard, c)
		default:
			w.Header().Set("Location", "/followed")
			w.Header().Set("Retry-After", r.URL.Query().Get("after"))
			w.WriteHeader(code)
			io.WriteString(w, r.URL.Query().Get("body"))
			if r.URL.Query().Get("big") != "" {
				io.WriteString(w, big)
			}
		}
	}))
	defer srv.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	secure := httptest.NewUnstartedServer(nil)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // our handshake's end
	secure.StartTLS()
	defer secure.Close()
	h := newHTTP(t, Options{})

	for _, tt := range []struct {
		rule, url string
		want      Result
	}{
		{"200 is a success and keeps its answer", "/?status=200&body=ok", Result{State: jadwal.RunSucceeded, StatusCode: 200, Output: []byte("ok")}},
		{"204 is a success", "/?status=204", Result{State: jadwal.RunSucceeded, StatusCode: 204}},
		{"299 is a success", "/?status=299", Result{State: jadwal.RunSucceeded, StatusCode: 299}},
		{"a success keeps 1 KiB", "/?status=200&big=1", Result{State: jadwal.RunSucceeded, StatusCode: 200, Output: []byte(big[:1<<10])}},
		{"a failure keeps 64 KiB", "/?status=500&big=1", Result{State: jadwal.RunFailed, Reason: jadwal.ReasonHTTPStatus, StatusCode: 500, Message: "The target answered 500 Internal Server Error", Output: []byte(big[:64<<10])}},
		{"a redirect is the answer", "/?status=302", Result{State: jadwal.RunFailed, Reason: jadwal.ReasonHTTPStatus, StatusCode: 302, Message: "The target answered 302 Found"}},
		{"404 is a failure", "/?status=404&body=gone", Result{State: jadwal.RunFailed, Reason: jadwal.ReasonHTTPStatus, StatusCode: 404, Message: "The target answered 404 Not Found", Output: []byte("gone")}},
		{"a status without a name", "/?status=599", Result{State: jadwal.RunFailed, Reason: jadwal.ReasonHTTPStatus, StatusCode: 599, Message: "The target answered 599"}},
		{"503 may say when to come again", "/?status=503&after=7", Result{State: jadwal.RunFailed, Reason: jadwal.ReasonHTTPStatus, StatusCode: 503, Message: "The target answered 503 Service Unavailable", RetryAfter: 7 * time.Second}},
		{"switching protocols is a failure and ends at once", "/upgrade", Result{State: jadwal.RunFailed, Reason: jadwal.ReasonHTTPStatus, StatusCode: 101, Message: "The target answered 101 Switching Protocols"}},
		{"an answer that breaks off is a failure in spite of its status", "/broken", Result{State: jadwal.RunFailed, Reason: jadwal.ReasonNetwork, StatusCode: 200, Message: "The connection broke before the answer was complete", Output: []byte("half of it")}},
		{"what is not HTTP", "/rubbish", Result{State: jadwal.RunFailed, Reason: jadwal.ReasonNetwork, Message: "The target's answer was not valid HTTP, or the connection broke"}},
		{"nobody listens", closed.URL, Result{State: jadwal.RunFailed, Reason: jadwal.ReasonNetwork, Message: "The target refused the connection"}},
		{"an unknown certificate", secure.URL, Result{State: jadwal.RunFailed, Reason: jadwal.ReasonNetwork, Message: "The target's certificate is not one to trust"}},
		{"TLS spoken to a plain server", "https" + strings.TrimPrefix(srv.URL, "http"), Result{State: jadwal.RunFailed, Reason: jadwal.ReasonNetwork, Message: "The target did not speak TLS"}},
		{"a name that does not exist", "http://no-such-host.invalid/", Result{State: jadwal.RunFailed, Reason: jadwal.ReasonNetwork}},
		{"an address for nobody", "http://169.254.169.254/latest", Result{State: jadwal.RunFailed, Reason: jadwal.ReasonTargetRefused, Message: "The target's address is a link-local one, which may not be called unless the operator of this server allows it"}},
		{"another scheme", "ftp://127.0.0.1/", Result{State: jadwal.RunFailed, Reason: jadwal.ReasonTargetRefused, Message: "The target's URL is not one that can be called"}},
		{"no host", "http:///x", Result{State: jadwal.RunFailed, Reason: jadwal.ReasonTargetRefused, Message: "The target's URL is not one that can be called"}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			url := tt.url
			if strings.HasPrefix(url, "/") {
				url = srv.URL + url
			}
			r := h.Do(t.Context(), callTo(url))
			if r.StartedAt.IsZero() || r.FinishedAt.Before(r.StartedAt) || r.StartedAt.Location() != time.UTC {
				t.Errorf("from %v to %v", r.StartedAt, r.FinishedAt)
			}
			if tt.want.Message == "" && tt.want.State != jadwal.RunSucceeded {
				tt.want.Message = r.Message // depends on the resolver
				if !strings.HasPrefix(r.Message, "The target's host name ") {
					t.Errorf("message %q", r.Message)
				}
			}
			if r.State != tt.want.State || r.Reason != tt.want.Reason || r.StatusCode != tt.want.StatusCode || r.Message != tt.want.Message ||
				!bytes.Equal(r.Output, tt.want.Output) || r.RetryAfter != tt.want.RetryAfter {
				r.Output = r.Output[:min(len(r.Output), 50)]
				t.Errorf("got %+v", r)
			}
			reach := Answered
			if tt.want.Reason == jadwal.ReasonTargetRefused {
				reach = Untold
			} else if tt.want.StatusCode == 0 {
				reach = Silent
			}
			if r.Reach != reach {
				t.Errorf("reach is %d, want %d", r.Reach, reach)
			}
		})
	}
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL} {
		h := newHTTP(t, Options{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: errno}
		}})
		if r := h.Do(t.Context(), callTo("http://target/")); r.Reach != Untold || r.Message != "The server had no connection left to make the call with" {
			t.Errorf("%v is held against the target: %+v", errno, r)
		}
	}
	if followed.Load() {
		t.Error("a redirect was followed")
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for field, want := range map[string]time.Duration{
		"": 0, " 5 ": 5 * time.Second, "0": 0, "-1": 0, "1.5": 0, "soon": 0,
		"86400": 24 * time.Hour, "86401": 24 * time.Hour, "99999999999999999999999": 24 * time.Hour,
		"Fri, 01 Jan 2027 00:01:30 GMT": 90 * time.Second,
		"Thu, 31 Dec 2026 23:59:00 GMT": 0,
		"Sun, 01 Jan 2040 00:00:00 GMT": 24 * time.Hour,
	} {
		t.Run(fmt.Sprintf("%q is %v", field, want), func(t *testing.T) {
			if got := retryAfter(field, now); got != want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// A server within the bubble, reached through pipes.
func pipes(t *testing.T, handler http.Handler) (dial func(context.Context, string, string) (net.Conn, error)) {
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: handler}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		l.conns <- far
		return near, nil
	}
}

type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { close(l.done); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func TestTime(t *testing.T) {
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			w.Write([]byte("begun"))
			w.(http.Flusher).Flush()
		}
		select {
		case <-time.After(time.Hour):
		case <-r.Context().Done():
		}
	})
	for _, tt := range []struct {
		rule, path string
		cancel     error
		want       Result
	}{
		{"no answer in time", "/", nil, Result{State: jadwal.RunFailed, Reason: jadwal.ReasonTimeout, Message: "No complete answer within 1m30s", Reach: Silent}},
		{"an answer that does not end in time", "/body", nil, Result{State: jadwal.RunFailed, Reason: jadwal.ReasonTimeout, Message: "No complete answer within 1m30s", StatusCode: 200, Output: []byte("begun"), Reach: Answered}},
		{"cancelled without a cause", "/", context.Canceled, Result{State: jadwal.RunCancelled, Reason: jadwal.ReasonRequested, Message: "Cancelled while it ran"}},
		{"cancelled because the job was deleted", "/body", Cancelled{jadwal.ReasonJobDeleted}, Result{State: jadwal.RunCancelled, Reason: jadwal.ReasonJobDeleted, Message: "Cancelled while it ran", StatusCode: 200, Output: []byte("begun"), Reach: Answered}},
		{"cancelled for another cause", "/", errors.New("x"), Result{State: jadwal.RunCancelled, Reason: jadwal.ReasonRequested, Message: "Cancelled while it ran"}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := New(Options{DialContext: pipes(t, slow)})
				ctx, cancel := context.WithCancelCause(t.Context())
				took := 90 * time.Second
				if tt.cancel != nil {
					took = 20 * time.Second
					time.AfterFunc(took, func() { cancel(tt.cancel) })
				}
				c := callTo("http://target" + tt.path)
				c.Timeout = 90 * time.Second
				r := h.Do(ctx, c)
				if r.FinishedAt.Sub(r.StartedAt) != took {
					t.Errorf("took %v, want %v", r.FinishedAt.Sub(r.StartedAt), took)
				}
				r.StartedAt, r.FinishedAt = time.Time{}, time.Time{}
				if fmt.Sprint(r) != fmt.Sprint(tt.want) {
					t.Errorf("got  %+v\nwant %+v", r, tt.want)
				}
				cancel(nil)
				h.Close()
			})
		})
	}
	t.Run("a call that is cancelled before it begins reaches nobody", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		h := newHTTP(t, Options{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("dialled")
		}})
		if r := h.Do(ctx, callTo("http://target/")); r.State != jadwal.RunCancelled || r.Reason != jadwal.ReasonRequested {
			t.Errorf("%+v", r)
		}
	})
}

func TestConnections(t *testing.T) {
	var made atomic.Int32
	answer := ""
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/close" {
			c, _, _ := w.(http.Hijacker).Hijack()
			c.Close()
			return
		}
		io.WriteString(w, answer)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			made.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()

	for _, tt := range []struct {
		rule   string
		answer string
		want   int32
	}{
		{"short answers share one connection", "ok", 1},
		{"longer answers than are kept share one too", strings.Repeat("x", 200<<10), 1},
		{"answers without end cost their connection", strings.Repeat("x", 8<<20), 5},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			h := newHTTP(t, Options{})
			made.Store(0)
			answer = tt.answer
			for range 5 {
				if r := h.Do(t.Context(), callTo(srv.URL)); r.State != jadwal.RunSucceeded {
					t.Fatalf("%+v", r)
				}
			}
			if made.Load() != tt.want {
				t.Errorf("%d connections, want %d", made.Load(), tt.want)
			}
		})
	}
	answer = "ok"

	t.Run("a limited call does not ride on the connection of an unlimited one", func(t *testing.T) {
		h := newHTTP(t, Options{})
		c := callTo(srv.URL)
		if r := h.Do(t.Context(), c); r.State != jadwal.RunSucceeded {
			t.Fatalf("%+v", r)
		}
		c.Limited = true
		r := h.Do(t.Context(), c)
		if r.Reason != jadwal.ReasonTargetRefused || r.Message != "The target's address is a loopback one, which only a superuser's job may call unless the operator of this server allows it" {
			t.Errorf("%+v", r)
		}
		c.Inherited = true
		if r := h.Do(t.Context(), c); r.Reason != jadwal.ReasonTargetRefused || !strings.Contains(r.Message, "until a superuser edits it") {
			t.Errorf("%+v", r)
		}
	})
	t.Run("the operator can allow what is refused", func(t *testing.T) {
		h := newHTTP(t, Options{Egress: jadwal.Egress{Allow: rules(t, "127.0.0.0/8")}})
		c := callTo(srv.URL)
		c.Limited = true
		if r := h.Do(t.Context(), c); r.State != jadwal.RunSucceeded {
			t.Errorf("%+v", r)
		}
	})
	t.Run("the address that a custom dialer reached is checked", func(t *testing.T) {
		h := newHTTP(t, Options{DialContext: (&net.Dialer{}).DialContext})
		c := callTo(srv.URL)
		c.Limited = true
		if r := h.Do(t.Context(), c); r.Reason != jadwal.ReasonTargetRefused {
			t.Errorf("%+v", r)
		}
	})
	t.Run("the proxy of the environment is not used", func(t *testing.T) {
		t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
		h := newHTTP(t, Options{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address != "example.com:80" {
				t.Errorf("dialled %s", address)
			}
			return nil, errors.New("enough")
		}})
		h.Do(t.Context(), callTo("http://example.com/"))
	})
	t.Run("a connection that was closed while idle costs no failure", func(t *testing.T) {
		h := newHTTP(t, Options{})
		for range 3 {
			if r := h.Do(t.Context(), callTo(srv.URL)); r.State != jadwal.RunSucceeded {
				t.Fatalf("%+v", r)
			}
			srv.CloseClientConnections()
		}
	})
	t.Run("a new target that always hangs up is a failure, not a loop", func(t *testing.T) {
		h := newHTTP(t, Options{})
		r := h.Do(t.Context(), callTo(srv.URL+"/close"))
		if r.Reason != jadwal.ReasonNetwork || r.Message != "The connection broke before the answer was complete" {
			t.Errorf("%+v", r)
		}
	})
}

func TestHTTP2(t *testing.T) {
	var made atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	srv.EnableHTTP2 = true
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			made.Add(1)
		}
	}
	srv.StartTLS()
	defer srv.Close()
	h := newHTTP(t, Options{})
	h.pools.unlimited.TLSClientConfig.RootCAs = x509.NewCertPool()
	h.pools.unlimited.TLSClientConfig.RootCAs.AddCert(srv.Certificate())
	for range 3 {
		if r := h.Do(t.Context(), callTo(srv.URL)); r.State != jadwal.RunSucceeded || string(r.Output) != "HTTP/2.0" {
			t.Errorf("%+v, %s", r, r.Output)
		}
	}
	if made.Load() != 1 {
		t.Errorf("%d connections", made.Load())
	}
}

// What net/http sends again by itself when a kept connection breaks is bounded,
// and says what it is.
func TestResend(t *testing.T) {
	for _, tt := range []struct {
		rule       string
		wait       time.Duration // before the target hangs up
		hangUps    int           // how many times it does
		sent       int           // how many requests it got
		redelivery string        // what the last of them said
		state      jadwal.RunState
	}{
		{"a connection that breaks at once: sent again, and marked", 0, 1, 2, "possible", jadwal.RunSucceeded},
		{"so does the next one: enough", 0, 9, 2, "possible", jadwal.RunFailed},
		{"a connection that breaks after a while: the request was at work", 5 * time.Second, 1, 1, "", jadwal.RunFailed},
	} {
		for _, method := range []string{"POST", "GET"} {
			t.Run(tt.rule+", "+method, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var mu sync.Mutex
					var marks []string
					h := New(Options{DialContext: pipes(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if r.URL.Path == "/warm" {
							time.Sleep(time.Second)
							return
						}
						mu.Lock()
						marks = append(marks, r.Header.Get("Jadwal-Redelivery"))
						last := len(marks) > tt.hangUps
						mu.Unlock()
						if last {
							return
						}
						time.Sleep(tt.wait)
						c, _, _ := w.(http.Hijacker).Hijack()
						c.Close()
					}))})
					defer h.Close()
					var warm sync.WaitGroup
					for range 5 { // connections to use again
						warm.Go(func() { h.Do(t.Context(), callTo("http://target/warm")) })
					}
					warm.Wait()
					c := callTo("http://target/x")
					c.Job.Target.Method = method
					if method == "POST" {
						c.Job.Target.Body = jadwal.RawJSON(`{"n": 1}`)
					}
					r := h.Do(t.Context(), c)
					if len(marks) != tt.sent || marks[0] != "" || marks[len(marks)-1] != tt.redelivery || r.State != tt.state {
						t.Errorf("sent as %q: %+v", marks, r)
					}
					if r.State == jadwal.RunFailed && (r.Reason != jadwal.ReasonNetwork || r.Message != "The connection broke before the answer was complete") {
						t.Errorf("%+v", r)
					}
					if r := h.Do(t.Context(), callTo("http://target/warm")); r.State != jadwal.RunSucceeded {
						t.Errorf("the next call: %+v", r)
					}
				})
			})
		}
	}
}
