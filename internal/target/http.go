// Package target calls what a run is for. It knows nothing of schedules or of
// the store: one Call in, one Result out.
package target

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/teknohole/jadwal"
)

// Call is one attempt of a run. Definition and Version are those that the
// attempt runs under; Epoch is that of the job's shard.
type Call struct {
	Key        jadwal.RunKey
	Attempt    int // 1 is the first
	DueAt      time.Time
	Job        *jadwal.Definition // not changed, here or by the caller while the call lasts
	Version    int64
	JobID      int64
	Epoch      int64
	Limited    bool // a normal user's egress rules apply
	Inherited  bool // they do although the job's owner is a superuser: somebody else wrote it
	Redelivery bool // an earlier delivery of this very attempt may have arrived
	Signer     *jadwal.Signer
	OwnerID    int64             // of the job
	Templates  *jadwal.Templates // of Job; nil: none
	Test       bool              // it is none of a run: Key makes a jadwal.TestID
	Timeout    time.Duration     // of the whole attempt, the reading of the answer included

	// Secrets reads the values of the secrets that the job names.
	Secrets func(ctx context.Context, ids []jadwal.SecretID) ([]jadwal.SecretValue, error)
}

// Result is how an attempt ended: succeeded, failed or cancelled, with the
// reason, and a sentence for a person that tells nothing of the server's
// insides. RetryAfter is what a target that did not succeed asked for; 0: nothing.
type Result struct {
	State      jadwal.RunState
	Reason     jadwal.Reason
	StatusCode int
	Message    string
	Output     []byte // the beginning of what was answered, as much as is kept
	StartedAt  time.Time
	FinishedAt time.Time
	RetryAfter time.Duration
	Reach      Reach

	longer bool // what was answered, than a test shows
}

// Reach is what a call tells about the host of its target, whatever became of
// the run.
type Reach uint8

// The kinds of reach.
const (
	Untold   Reach = iota // nothing: cancelled, refused, or the fault was here
	Silent                // no answer came
	Answered              // an answer began, whatever it said
)

// Cancelled is the cause (context.Cause) with which a call's context is
// cancelled when its Result should name a reason. Any other cause counts as
// jadwal.ReasonRequested.
type Cancelled struct{ Reason jadwal.Reason }

func (c Cancelled) Error() string { return "cancelled: " + string(c.Reason) }

// Options of HTTP. The zero value is usable.
type Options struct {
	Version string        // of Jadwal, in User-Agent
	Egress  jadwal.Egress // which connections may be made
	MaxIdle int           // connections kept open for the next call, in all and to one host; 0: 4096

	// DialContext replaces the dialer, so that a server in the same process
	// can be called without a network. The address of the connection that it
	// returns is checked as any other when it is one of TCP.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	resolver *net.Resolver // of tests; nil: the system's
}

const (
	// dialTimeout bounds the making of a connection, besides the attempt's own
	// timeout: a connection may outlive the attempt that asked for it.
	dialTimeout = 30 * time.Second
	// discarded is how many bytes beyond what is kept are read, so that the
	// connection can be used again; a longer answer costs the connection.
	discarded = 256 << 10
	// maxRetryAfter bounds what a target may ask for.
	maxRetryAfter = 24 * time.Hour
)

// errTimeout is the cause of a context whose attempt took too long.
var errTimeout = errors.New("attempt timed out")

// HTTP calls HTTP targets. It follows as many redirects as the target says,
// keeps no cookies, asks for no compression and takes no proxy from the
// environment. Connections are kept and used again, apart for limited and
// unlimited calls, since an address is checked when it is dialled, and apart for
// each TLS configuration.
//
// A request on a kept connection that breaks at once, before a byte of the
// answer came, is sent again within the same attempt, once, and then marked as
// a redelivery.
type HTTP struct {
	userAgent []string
	pools     *pools
}

// New makes an HTTP.
func New(o Options) *HTTP {
	if o.MaxIdle == 0 {
		o.MaxIdle = 4096
	}
	agent := "Jadwal"
	if o.Version != "" {
		agent += "/" + o.Version
	}
	return &HTTP{
		userAgent: []string{agent},
		pools:     newPools(o),
	}
}

// Close closes the connections that no call is using.
func (h *HTTP) Close() { h.pools.close() }

func newTransport(o Options, limited bool) *http.Transport {
	return &http.Transport{
		DialContext:            dial(o, limited),
		TLSClientConfig:        &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(256)},
		TLSHandshakeTimeout:    dialTimeout,
		DisableCompression:     true,
		MaxIdleConns:           o.MaxIdle,
		MaxIdleConnsPerHost:    o.MaxIdle,
		IdleConnTimeout:        90 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		// A connection of HTTP/2 carries many calls: find out when it is dead.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}
}

// dial returns what makes connections and checks every address at the moment
// when it is about to be connected to. A name that resolves to something else
// than it did before is no way around it. A name that is denied is not looked up.
func dial(o Options, limited bool) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		name, port, err := splitAddress(address)
		if err != nil || o.Egress.DeniesName(name, port) {
			return nil, &jadwal.Refusal{Kind: jadwal.Denied, All: true}
		}
		permit := func(to netip.AddrPort) error {
			return o.Egress.Permit(jadwal.Dial{Name: name, To: to, Limited: limited})
		}
		if o.DialContext == nil {
			dialer := net.Dialer{
				Timeout:  dialTimeout,
				Resolver: o.resolver,
				ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
					to, _ := netip.ParseAddrPort(address) // what is none is refused
					return permit(to)
				},
			}
			return dialer.DialContext(ctx, network, address)
		}
		c, err := o.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
			if err := permit(a.AddrPort()); err != nil {
				c.Close()
				return nil, err
			}
		}
		return c, nil
	}
}

// splitAddress reads an address as net/http dials it: host and number.
func splitAddress(address string) (host string, port uint16, err error) {
	host, digits, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	return host, uint16(n), err
}

// Do makes the call and waits for its end, at most c.Timeout or until ctx is
// done. It never panics on what a target answers.
//
// An answer counts when it is complete: all its bytes, or more of them than
// are read. One that breaks off is a failure (network), one that does not end
// in time too (timeout), whatever its status says.
func (h *HTTP) Do(ctx context.Context, c Call) Result { return h.watch(ctx, c, nil) }

// watch is Do with an exchange that is filled in on the way; nil: none is.
func (h *HTTP) watch(ctx context.Context, c Call, seen *jadwal.Exchange) Result {
	began := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timeout := time.AfterFunc(c.Timeout, func() { cancel(errTimeout) })
	defer timeout.Stop()
	r := h.do(ctx, c, &sending{cancel: cancel, began: began, seen: seen})
	r.StartedAt = began.UTC()
	r.FinishedAt = r.StartedAt.Add(time.Since(began)) // though the wall clock may have been set meanwhile
	return r
}

func (h *HTTP) do(ctx context.Context, c Call, s *sending) Result {
	switch {
	case c.Signer.Locked():
		return refused("A key that signs the request cannot be opened; replace it, with an overlap of 0s")
	case c.Job.Target.Locked:
		return refused("The values of the job's secret headers cannot be opened: send them again, or give the server the master key that they are sealed with")
	}
	var secrets []jadwal.SecretValue
	if ids := c.Job.Target.Secrets; len(ids) > 0 {
		var err error
		if secrets, err = c.Secrets(ctx, ids); err != nil && ctx.Err() != nil {
			return failure(ctx, c, err)
		} else if err != nil {
			return Result{State: jadwal.RunFailed, Reason: jadwal.ReasonNetwork, Message: "The job's secrets could not be read"}
		}
	}
	req, filled, wrong := h.request(s.trace(ctx), c, secrets)
	if wrong != "" {
		return refused(wrong)
	}
	g := &guard{redactor{headers: c.Job.Target.Headers, filled: filled, values: secrets}}
	s.header = req.Header
	if s.seen != nil {
		s.seen.Request = sent(req, g)
	}
	secure := c.Job.Target.TLS
	for followed := 0; ; followed++ {
		transport, err := h.pools.of(secure, c.Limited)
		if err != nil {
			return after(followed, Result{State: jadwal.RunFailed, Reason: jadwal.ReasonTargetRefused, Message: "The target's TLS configuration cannot be used"})
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return after(followed, failure(ctx, c, err))
		}
		if followed < c.Job.Target.Redirects {
			if next, ok := redirected(req, resp, g); ok {
				_, err := read(resp, 0)
				resp.Body.Close()
				if next == nil {
					r := refused("The target redirects to another origin, where the job's secrets are not sent")
					r.StatusCode, r.Reach = resp.StatusCode, Answered
					return after(followed, r)
				}
				if err != nil {
					r := failure(ctx, c, err)
					r.StatusCode, r.Reach = resp.StatusCode, Answered
					return after(followed, r)
				}
				if jadwal.OriginOf(next.URL) != jadwal.OriginOf(req.URL) { // as its secret headers do
					secure.ClientCert, secure.ClientKey = "", ""
				}
				req = next
				s.header, s.began, s.tries = req.Header, time.Now(), 0
				continue
			}
		}
		defer resp.Body.Close()
		r := answer(ctx, c, resp, &g.redactor)
		if s.seen != nil {
			s.seen.Answered, s.seen.Answer = true, answered(req, resp, g, r, followed)
			r.Output = nil
		}
		r.Reach = Answered
		return after(followed, r)
	}
}

// refused is the Result of a call that is not made.
func refused(message string) Result {
	return Result{State: jadwal.RunFailed, Reason: jadwal.ReasonTargetRefused, Message: message}
}

// after is the Result of a call that followed so many redirects before. The
// target's own host has answered then.
func after(followed int, r Result) Result {
	if followed == 0 {
		return r
	}
	r.Reach = Answered
	if r.State == jadwal.RunFailed {
		r.Message += ", after " + strconv.Itoa(followed) + " redirects"
		if followed == 1 {
			r.Message = strings.TrimSuffix(r.Message, "s")
		}
	}
	return r
}

// answer judges a last answer by what is expected, after what is secret has
// been taken out: so nobody finds a secret out by what they expect.
func answer(ctx context.Context, c Call, resp *http.Response, secret *redactor) Result {
	expect := c.Job.Target.Expect
	expected := expect.HasStatus(resp.StatusCode)
	kept := c.Job.Output
	if c.Test {
		kept.Success, kept.Failure = jadwal.OutputOfTest+1, jadwal.OutputOfTest+1 // so that it is seen when there is more
	}
	keep := kept.Failure
	switch {
	case expected && expect.Body != "":
		keep = max(kept.Success, jadwal.MaxExpectSearch)
	case expected:
		keep = kept.Success
	}
	beyond := 0
	if keep > 0 && (resp.ContentLength < 0 || resp.ContentLength > int64(keep)) {
		beyond = secret.beyond()
	}
	output, err := read(resp, keep+beyond)
	longer := len(output) > jadwal.OutputOfTest
	if err != nil {
		end := secret.brokeOff(len(output))
		keep, longer = min(keep, end), longer || end < len(output)
	}
	output = secret.redact(output, keep)
	if err != nil {
		r := failure(ctx, c, err)
		r.StatusCode, r.Output, r.longer = resp.StatusCode, first(output, kept.Failure), longer
		return r
	}
	r := Result{State: jadwal.RunFailed, Reason: jadwal.ReasonHTTPStatus, StatusCode: resp.StatusCode, Output: first(output, kept.Failure), longer: longer}
	switch {
	case !expected:
		r.Message = "The target answered " + statusText(resp.StatusCode)
		if expect.Status != "" && expect.Status != jadwal.DefaultStatus {
			r.Message += ", not " + expect.Status
		}
		r.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	case expect.Body != "" && !expect.HasBody(first(output, jadwal.MaxExpectSearch)):
		r.Message = "The target answered " + statusText(resp.StatusCode) + ", but not with the body that is expected"
	default:
		r.State, r.Reason = jadwal.RunSucceeded, ""
		r.Output = first(output, kept.Success)
	}
	return r
}

// first is at most the first n bytes of b.
func first(b []byte, n int) []byte { return b[:min(len(b), n)] }

// read returns up to keep bytes of an answer, and reads on for a while so that
// the connection can be used again.
func read(resp *http.Response, keep int) ([]byte, error) {
	if resp.StatusCode == http.StatusSwitchingProtocols || resp.ContentLength == 0 {
		return nil, nil // after 101 the connection is no answer any more
	}
	size := int64(keep)
	if n := resp.ContentLength; n > 0 && n < size {
		size = n
	} else if n < 0 {
		size = 512
	}
	output := make([]byte, 0, size)
	for len(output) < keep {
		if len(output) == cap(output) {
			output = append(output, 0)[:len(output)]
		}
		n, err := resp.Body.Read(output[len(output):min(cap(output), keep)])
		output = output[:len(output)+n]
		if err == io.EOF {
			return output, nil
		}
		if err != nil {
			return output, err
		}
	}
	if resp.ContentLength > int64(keep+discarded) {
		return output, nil
	}
	_, err := io.CopyN(io.Discard, resp.Body, discarded)
	if err == io.EOF {
		err = nil
	}
	return output, err
}

// blank is what requests are copies of.
var blank = &http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}

// request makes the request of a call. wrong is why it cannot be made, for a
// person; "": it can.
func (h *HTTP) request(ctx context.Context, c Call, secrets []jadwal.SecretValue) (req *http.Request, filled jadwal.Filled, wrong string) {
	t := &c.Job.Target
	id := c.Key.ID()
	if c.Test {
		id = jadwal.TestID(c.Key)
	}
	if c.Templates != nil {
		var e *jadwal.FieldError
		if filled, e = c.Templates.Fill(jadwal.Values{RunID: id, Attempt: c.Attempt, DueAt: c.DueAt}, c.OwnerID, secrets); e != nil {
			return nil, filled, e.Message
		}
	}
	address := t.URL
	if filled.URL != "" {
		address = filled.URL
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, filled, "The target's URL is not one that can be called"
	}
	header := make(http.Header, len(t.Headers)+12)
	values := make([]string, 0, len(t.Headers)+10)
	set := func(canonical, value string) {
		values = append(values, value)
		header[canonical] = values[len(values)-1 : len(values) : len(values)]
	}
	header["User-Agent"] = h.userAgent
	for name, value := range t.Headers {
		if text, ok := filled.Header(name); ok {
			value = text
		}
		set(http.CanonicalHeaderKey(name), value)
	}
	set("Idempotency-Key", id)
	set("Webhook-Id", id)
	set("Jadwal-Run-Id", id)
	set("Jadwal-Job", c.Job.Name)
	set("Jadwal-Attempt", strconv.Itoa(c.Attempt))
	set("Jadwal-Due-At", c.DueAt.UTC().Format("2006-01-02T15:04:05.000Z"))
	if c.Test {
		header["Jadwal-Test"] = yes
	} else {
		set("Jadwal-Epoch", strconv.FormatInt(c.Epoch, 10))
	}
	if c.Redelivery {
		header["Jadwal-Redelivery"] = redelivery
	}
	req = blank.WithContext(ctx)
	req.Method, req.URL, req.Host, req.Header = t.Method, u, u.Host, header
	body, kind := filled.Body, filled.ContentType
	if body == nil {
		body, kind = payload(t.Body)
	}
	if at, signature := c.Signer.Sign(id, time.Now(), body); signature != "" {
		set("Webhook-Timestamp", at)
		set("Webhook-Signature", signature)
	}
	if body != nil {
		if _, own := header["Content-Type"]; !own {
			set("Content-Type", kind)
		}
		req.ContentLength = int64(len(body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		req.Body, _ = req.GetBody()
	}
	return req, filled, ""
}

// payload returns the bytes that a body is sent as, and their type: the text
// of a JSON string, any other JSON value as it is written. A text counts as
// JSON when it is some.
func payload(body jadwal.RawJSON) (sent []byte, contentType string) {
	if len(body) == 0 {
		return nil, ""
	}
	if body[0] != '"' {
		return body, "application/json"
	}
	var text string
	if json.Unmarshal(body, &text) != nil || text == "" {
		return nil, ""
	}
	if sent = []byte(text); json.Valid(sent) {
		return sent, "application/json"
	}
	return sent, "text/plain; charset=utf-8"
}
