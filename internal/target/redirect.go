package target

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/teknohole/jadwal"
)

// redirected makes the request that an answer redirects to (RFC 9110, section
// 15.4), false when the answer is none that can be followed: another status, or
// a Location that is missing, not of HTTP, holds user information, or whose host
// is none that a target may have.
//
// 307 and 308 repeat method and body. 301 and 302 make a GET of a POST, 303 of
// everything but HEAD, and the body and what describes it go. To another origin
// no secret header is sent, nor on any later hop, and no signature: it was made
// for whom the job names. Nor is it sent with another body than it was made of.
// Where the address leads is checked when it is dialled, as for every call.
// Nothing is sent, next is nil, when the body or the address would carry a
// secret to another origin.
func redirected(req *http.Request, resp *http.Response, g *guard) (next *http.Request, ok bool) {
	method := req.Method
	switch resp.StatusCode {
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	case http.StatusMovedPermanently, http.StatusFound:
		if method == http.MethodPost {
			method = http.MethodGet
		}
	case http.StatusSeeOther:
		if method != http.MethodHead {
			method = http.MethodGet
		}
	default:
		return nil, false
	}
	to, ok := location(req.URL, resp.Header.Get("Location"))
	if !ok {
		return nil, false
	}
	crosses := jadwal.OriginOf(to) != jadwal.OriginOf(req.URL)
	if crosses && (g.keepsBody() && method == req.Method && req.GetBody != nil || g.holds(to.String())) {
		return nil, true
	}
	next = new(http.Request).WithContext(req.Context())
	next.Method, next.URL, next.Host, next.Header = method, to, to.Host, req.Header.Clone()
	next.Proto, next.ProtoMajor, next.ProtoMinor = req.Proto, req.ProtoMajor, req.ProtoMinor
	if method == req.Method && req.GetBody != nil {
		next.ContentLength, next.GetBody = req.ContentLength, req.GetBody
		next.Body, _ = req.GetBody()
	}
	for name := range next.Header {
		switch {
		case method != req.Method && strings.HasPrefix(name, "Content-"):
			delete(next.Header, name)
		case (crosses || method != req.Method) && (name == "Webhook-Signature" || name == "Webhook-Timestamp"):
			delete(next.Header, name)
		case crosses && g.keeps(name):
			delete(next.Header, name)
		}
	}
	return next, true
}

func location(base *url.URL, field string) (*url.URL, bool) {
	if field == "" || len(field) > jadwal.MaxTargetURL {
		return nil, false
	}
	u, err := base.Parse(field)
	if err != nil || !jadwal.CallableURL(u) {
		return nil, false
	}
	u.Fragment, u.RawFragment = "", ""
	return u, true
}
