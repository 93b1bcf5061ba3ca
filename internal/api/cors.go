package api

import (
	"net/http"
	"slices"
)

// Cross-origin requests (Fetch standard, section "HTTP CORS protocol"): a
// browser lets a page of another origin read an answer only when that says so.
// None does unless origins are listed, and those are compared byte for byte.
// Credentials that a browser adds by itself are never asked for: tokens come in
// a header that a page writes.
const (
	corsRequestHeaders = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match"
	corsAnswerHeaders  = "ETag, Idempotent-Replayed, Link, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id, X-Total-Count, X-Total-Count-Exact"
	corsMaxAge         = "600" // seconds that a browser may rely on a preflight's answer
)

var (
	headerCORSAnswer  = []string{corsAnswerHeaders}
	headerCORSRequest = []string{corsRequestHeaders}
	headerCORSMaxAge  = []string{corsMaxAge}
	headerVaryOrigin  = []string{"Origin"}
)

// listed is the origin of a request when it is one of those that are listed;
// "" when it is none, or none is told, or more than one.
func (s *Server) listed(r *http.Request) string {
	if values := r.Header["Origin"]; len(values) == 1 && slices.Contains(s.origins, values[0]) {
		return values[0]
	}
	return ""
}

// preflight is the answer to a browser's question whether a page of a listed
// origin may send a request to a path; nil: r is no such question.
func (s *Server) preflight(r *http.Request, res *resource) *answer {
	if s.origins == nil || r.Method != http.MethodOptions || r.Header["Access-Control-Request-Method"] == nil || s.listed(r) == "" {
		return nil
	}
	return &answer{status: http.StatusOK, message: "Pages of this origin may call this path", header: http.Header{
		"Access-Control-Allow-Methods": {res.allow},
		"Access-Control-Allow-Headers": headerCORSRequest,
		"Access-Control-Max-Age":       headerCORSMaxAge,
	}}
}

// allowOrigin tells a browser whether the page that asks may read the answer.
func (s *Server) allowOrigin(h http.Header, r *http.Request) {
	if vary := h["Vary"]; vary != nil {
		h["Vary"] = append(slices.Clip(vary), "Origin")
	} else {
		h["Vary"] = headerVaryOrigin
	}
	if origin := s.listed(r); origin != "" {
		h["Access-Control-Allow-Origin"] = []string{origin}
		h["Access-Control-Expose-Headers"] = headerCORSAnswer
	}
}
