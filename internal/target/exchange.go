package target

import (
	"context"
	"crypto/tls"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/teknohole/jadwal"
)

var yes = []string{"true"}

// Test sends a request once, as Do sends the first attempt of a run that is due
// now, but with Jadwal-Test and a jadwal.TestID, and without an epoch, since it
// is sent by no owner of a shard. It returns what was sent and what came back:
// of a failure whatever there was.
func (h *HTTP) Test(ctx context.Context, t jadwal.Test) jadwal.Exchange {
	var seen jadwal.Exchange
	r := h.watch(ctx, Call{
		Key: t.Key, Attempt: 1, DueAt: time.UnixMicro(t.Key.DueAt), Job: t.Job, JobID: t.Key.JobID,
		Limited: t.Limited, Inherited: t.Inherited, Signer: t.Signer, Test: true, Timeout: t.Timeout,
		OwnerID: t.OwnerID, Templates: t.Job.Templates(),
		Secrets: func(context.Context, []jadwal.SecretID) ([]jadwal.SecretValue, error) { return t.Secrets, nil },
	}, &seen)
	seen.State, seen.Reason, seen.Message, seen.Took = r.State, r.Reason, r.Message, r.FinishedAt.Sub(r.StartedAt)
	return seen
}

// sent is a request that is about to be sent.
func sent(req *http.Request, g *guard) jadwal.Sent {
	s := jadwal.Sent{Method: req.Method, URL: g.text(req.URL.String()), Header: fields(req.Header, g)}
	if req.GetBody != nil {
		body, _ := req.GetBody()
		s.Body, _ = io.ReadAll(body)
		s.Body = g.redact(s.Body, len(s.Body))
	}
	return s
}

// answered is an answer that was judged as r.
func answered(req *http.Request, resp *http.Response, g *guard, r Result, follows int) jadwal.Answer {
	a := jadwal.Answer{
		URL: g.text(req.URL.String()), Proto: resp.Proto, Status: resp.StatusCode, Body: first(r.Output, jadwal.OutputOfTest),
		CutOff: r.longer, Follows: follows,
	}
	if resp.TLS != nil {
		a.TLS = tls.VersionName(resp.TLS.Version)
	}
	size := 0
	for _, f := range fields(resp.Header, g) {
		if size += len(f.Name) + len(f.Value); size > jadwal.MaxTestHeaders {
			a.CutOff = true
			break
		}
		a.Header = append(a.Header, f)
	}
	return a
}

// fields are those of a header, by name, without the values that are never
// shown again: a cookie that a target sets is such a one, too. A name has lost
// the letters' case that it was sent in.
func fields(header http.Header, g *guard) (all []jadwal.HeaderField) {
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			f := jadwal.HeaderField{Name: name, Value: g.text(value)}
			if g.holds(strings.ToLower(name)) {
				f.Name = redacted
			}
			if name == "Set-Cookie" || g.keeps(name) {
				f.Value, f.Secret = "", true
			}
			all = append(all, f)
		}
	}
	return all
}
