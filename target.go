package jadwal

import (
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Target is what a run calls.
type Target struct {
	Type      string            `json:"type"` // "http"
	Method    string            `json:"method"`
	URL       string            `json:"url"`
	Headers   map[string]string `json:"headers"`
	Body      RawJSON           `json:"body"` // a JSON string is sent as its text, anything else as JSON; null: no body
	Expect    Expect            `json:"expect"`
	Redirects int               `json:"redirects"` // how many of an attempt's redirects are followed
	TLS       TargetTLS         `json:"tls,omitzero"`
	Secrets   []SecretID        `json:"-"` // the secrets that its templates name, as they were when it was saved, by name
	Locked    bool              `json:"-"` // the values of its secret headers could not be opened, and are empty here
}

// RawJSON is one JSON value, kept as it was written.
type RawJSON []byte

// TargetMethods are the request methods that a target may have.
var TargetMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}

var (
	// A token, RFC 9110, section 5.6.2.
	headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$")
	// Underscores are no part of host names, but of names that containers have.
	targetLabel = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)
)

// check returns everything that is wrong with t.
func (t *Target) check() (wrong []FieldError) {
	add := func(e *FieldError) {
		if e != nil {
			wrong = append(wrong, *e)
		}
	}
	if t.Type != "http" {
		add(fieldError("target.type", "invalid", `target.type must be "http"`))
	}
	if !slices.Contains(TargetMethods, t.Method) {
		add(fieldError("target.method", "invalid", "target.method must be one of %s", strings.Join(TargetMethods, ", ")))
	}
	switch sample, ok := sampleOf(t.URL); {
	case len(t.URL) > MaxTargetURL:
		add(checkTargetURL(t.URL))
	case ok: // otherwise Templates tells what is wrong
		add(checkTargetURL(sample))
	}
	wrong = append(wrong, checkTargetHeaders(t.Headers)...)
	switch {
	case len(t.Body) > MaxTargetBody:
		add(fieldError("target.body", "too_long", "target.body must have at most %d bytes, got %d", MaxTargetBody, len(t.Body)))
	case len(t.Body) > 0 && (t.Method == "GET" || t.Method == "HEAD"):
		add(fieldError("target.body", "invalid", "a %s request has no body; leave target.body out or choose another method", t.Method))
	}
	wrong = append(wrong, t.Expect.check()...)
	wrong = append(wrong, t.TLS.check(t.URL)...)
	if t.Redirects < 0 || t.Redirects > MaxRedirects {
		add(fieldError("target.redirects", "out_of_range", "target.redirects must be from 0 to %d, got %d", MaxRedirects, t.Redirects))
	}
	return wrong
}

// checkTargetURL returns what is wrong with the address of a target: it is an
// absolute URI of http or https (RFC 3986, section 4.3) with a host, in ASCII,
// of at most MaxTargetURL bytes, without user information and fragment. Its
// text is never repeated: it may hold a secret.
func checkTargetURL(s string) *FieldError {
	wrong := func(format string, args ...any) *FieldError {
		return fieldError("target.url", "invalid", "target.url "+format, args...)
	}
	switch {
	case s == "":
		return fieldError("target.url", "required", "target.url is required")
	case len(s) > MaxTargetURL:
		return fieldError("target.url", "too_long", "target.url must have at most %d bytes, got %d", MaxTargetURL, len(s))
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			return wrong("must be visible ASCII; percent-encode everything else and write the host in its xn-- form")
		}
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return wrong("is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return wrong("must begin with http:// or https://")
	case u.Opaque != "" || u.Host == "":
		return wrong("has no host")
	case u.User != nil:
		return wrong("must not hold a user name or password; send an Authorization header instead")
	case strings.Contains(s, "#"):
		return wrong("must not have a fragment")
	case !validHost(u.Hostname(), strings.HasPrefix(u.Host, "[")):
		return wrong("has a host that is neither a name nor an address")
	}
	if !validPort(u) {
		return wrong("has a port that is not from 1 to 65535")
	}
	return nil
}

// CallableURL tells whether a URL that a target redirects to may be called at
// all: the rules of target.url on its scheme, host, port and user information.
func CallableURL(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Opaque == "" && u.Host != "" && u.User == nil &&
		validHost(u.Hostname(), strings.HasPrefix(u.Host, "[")) && validPort(u)
}

func validPort(u *url.URL) bool {
	_, port, ok := strings.Cut(strings.TrimPrefix(u.Host, "["+u.Hostname()+"]"), ":")
	n, err := strconv.ParseUint(port, 10, 16)
	return !ok || err == nil && n > 0
}

func validHost(host string, literal bool) bool {
	if literal {
		addr, err := netip.ParseAddr(host)
		return err == nil && addr.Is6() && addr.Zone() == ""
	}
	host = strings.TrimSuffix(host, ".")
	if len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if !targetLabel.MatchString(label) {
			return false
		}
	}
	return true
}

func checkTargetHeaders(headers map[string]string) (wrong []FieldError) {
	if len(headers) > MaxHeaders {
		return []FieldError{*fieldError("target.headers", "too_many", "a target has at most %d headers, got %d", MaxHeaders, len(headers))}
	}
	size := 0
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		value := headers[name]
		size += len(name) + len(value)
		field := "target.headers." + clip(name, 64)
		lower := strings.ToLower(name)
		switch {
		case !headerName.MatchString(name):
			wrong = append(wrong, *fieldError(field, "invalid", "a header name holds only letters, digits and !#$%%&'*+-.^_`|~"))
		case seen[lower]:
			wrong = append(wrong, *fieldError(field, "duplicate", "header %s is there twice in different cases", clip(name, 64)))
		case refusedHeader(lower):
			wrong = append(wrong, *fieldError(field, "refused", "header %s is set by the server or the connection and cannot be chosen", clip(name, 64)))
		case !validHeaderValue(value):
			wrong = append(wrong, *fieldError(field, "invalid", "the value of header %s must not hold control characters or begin or end with a space", clip(name, 64)))
		}
		seen[lower] = true
	}
	if size > MaxHeaderBytes {
		wrong = append(wrong, *fieldError("target.headers", "too_long", "the headers of a target must have at most %d bytes together, got %d", MaxHeaderBytes, size))
	}
	return wrong
}

// refusedHeader tells whether a header (its name in lower case) belongs to the
// connection (RFC 9110, section 7.6.1) or to the server's own protocol.
func refusedHeader(lower string) bool {
	switch lower {
	case "host", "content-length", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect", "idempotency-key":
		return true
	}
	return strings.HasPrefix(lower, "proxy-") || strings.HasPrefix(lower, "webhook-") || strings.HasPrefix(lower, "jadwal-")
}

// validHeaderValue is field-value of RFC 9110, section 5.5.
func validHeaderValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return strings.Trim(s, " \t") == s
}

// SecretHeader tells whether a header holds what must not be shown: as a rule,
// its value is never shown again. See hides.
func SecretHeader(name string) bool {
	ends := func(with string) bool {
		return len(name) >= len(with) && strings.EqualFold(name[len(name)-len(with):], with)
	}
	return strings.EqualFold(name, "authorization") || strings.EqualFold(name, "cookie") || ends("-key") || ends("-token")
}

// hides tells whether the value of a header is never shown again. One that holds
// no credentials of its own, since it only names a secret for them, is no secret.
func hides(name, value string) bool { return SecretHeader(name) && !onlyNames(value) }

// schemes are the authentication schemes (RFC 9110, section 11.1; IANA's registry
// and what is common besides) that may stand before the name of a secret.
var schemes = []string{"ApiKey", "Basic", "Bearer", "Digest", "DPoP", "GNAP", "HOBA", "Key", "Negotiate", "OAuth", "PrivateToken", "Token"}

// onlyNames tells whether a value is the name of a secret, such as
// {{secret "token"}}, with at most an authentication scheme before it.
func onlyNames(value string) bool {
	if !hasTemplate(value) {
		return false
	}
	t, wrong := parseTemplate(value, asIs)
	if wrong != nil {
		return false
	}
	parts := t.parts
	if len(parts) == 2 && parts[0].word == noWord && slices.ContainsFunc(schemes, func(s string) bool { return strings.EqualFold(s+" ", parts[0].text) }) {
		parts = parts[1:]
	}
	return len(parts) == 1 && parts[0].word == wordSecret
}

// SecretHeaders are the names of t's headers whose values are never shown
// again, sorted.
func (t *Target) SecretHeaders() []string {
	names := []string{}
	for name, value := range t.Headers {
		if hides(name, value) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// SecretValues are what of t is never shown again, by the names of headers; the
// client key under ClientKeyField, which is none.
func (t *Target) SecretValues() map[string]string {
	values := map[string]string{}
	for name, value := range t.Headers {
		if hides(name, value) {
			values[name] = value
		}
	}
	if t.TLS.ClientKey != "" {
		values[ClientKeyField] = t.TLS.ClientKey
	}
	return values
}

// SetSecretValues puts values, as SecretValues returns them, into t, which has
// headers of its own from then on.
func (t *Target) SetSecretValues(values map[string]string) {
	headers := make(map[string]string, len(t.Headers))
	maps.Copy(headers, t.Headers)
	t.Headers = headers
	for name, value := range values {
		if name == ClientKeyField {
			t.TLS.ClientKey = value
		} else {
			t.Headers[name] = value
		}
	}
}

// Shown is t without the values that are never shown again. Answers and audit
// rows hold only this.
func (t Target) Shown() Target {
	shown := make(map[string]string, len(t.Headers))
	for name, value := range t.Headers {
		if !hides(name, value) {
			shown[name] = value
		}
	}
	t.Headers, t.TLS.ClientKey = shown, ""
	return t
}

// Origin is the scheme, host and port that t calls (RFC 6454, section 4), as
// ParseOrigin writes them; "" of a URL that is not valid. Secret values are
// bound to it.
func (t *Target) Origin() string {
	if n := plainOrigin(t.URL); n > 0 {
		return t.URL[:n]
	}
	text := t.URL
	if scheme, rest, found := strings.Cut(text, "://"); found {
		host, _, _ := strings.Cut(rest, "/")
		host, _, _ = strings.Cut(host, "?")
		text = scheme + "://" + host // what follows may be a template
	}
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return OriginOf(u)
}

// plainOrigin is the length of the origin that a URL begins with, when that is
// written already as ParseOrigin writes it; 0: it is not, or that takes a closer
// look. It is here because a run needs its origin more than once, and parsing
// the URL takes 12 times as long.
func plainOrigin(text string) int {
	n := len("https://")
	if !strings.HasPrefix(text, "https://") {
		if n = len("http://"); !strings.HasPrefix(text, "http://") {
			return 0
		}
	}
	begin := n
	for ; n < len(text); n++ {
		switch c := text[n]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '-':
			continue
		case c == '/', c == '?':
		case c == ':' && n > begin:
			return withPort(text, n)
		default:
			return 0
		}
		break
	}
	if n == begin {
		return 0
	}
	return n
}

// withPort is where the port that begins behind a colon ends; 0: an origin is not
// written with it so.
func withPort(text string, colon int) int {
	n := colon + 1
	for n < len(text) && '0' <= text[n] && text[n] <= '9' {
		n++
	}
	port := text[colon+1 : n]
	plain := port != "" && port[0] != '0' && port != "80" && port != "443" && (n == len(text) || text[n] == '/' || text[n] == '?')
	if !plain {
		return 0
	}
	return n
}
