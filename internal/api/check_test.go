package api

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/teknohole/jadwal"
)

// response is an answer that has been checked against the envelope.
type response struct {
	status  int
	header  http.Header
	body    []byte
	message string
	data    any // as encoding/json reads it, with numbers as json.Number
	code    string
	closes  bool // the connection
}

// member walks into data: names and indices, such as "errors.0.field".
func (r *response) member(path string) any {
	at := r.data
	for step := range strings.SplitSeq(path, ".") {
		switch v := at.(type) {
		case map[string]any:
			at = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(v) {
				return nil
			}
			at = v[i]
		default:
			return nil
		}
	}
	return at
}

// text is a member as text; numbers are written as they came.
func (r *response) text(path string) string {
	v := r.member(path)
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

var (
	wholeSeconds = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)
	sixDecimals  = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`)
	codePattern  = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	requestID    = regexp.MustCompile(`^[0-9a-v]{16,32}$`)
)

// checkEnvelope checks an answer against everything that the contract says of
// all answers: members, types, header fields.
func checkEnvelope(t testing.TB, resp *http.Response, body []byte, path string) *response {
	t.Helper()
	r := &response{status: resp.StatusCode, header: resp.Header, body: body, closes: resp.Close}
	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s: %s\n%.1000s", path, fmt.Sprintf(format, args...), body)
	}
	dec := stdjson.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var members map[string]any
	if err := dec.Decode(&members); err != nil {
		fail("no JSON: %v", err)
		return r
	}
	if _, err := dec.Token(); err != io.EOF {
		fail("more than one value")
	}
	for name, value := range members {
		var right bool
		switch name {
		case "success":
			right = value == (resp.StatusCode/100 == 2)
		case "status":
			right = value == stdjson.Number(strconv.Itoa(resp.StatusCode))
		case "message":
			r.message, right = value.(string)
			right = right && r.message != ""
		case "path":
			right = value == path
		case "timestamp":
			text, _ := value.(string)
			right = wholeSeconds.MatchString(text)
		case "data":
			r.data = value
			switch value.(type) {
			case map[string]any, []any:
				right = true
			}
		}
		if !right {
			fail("member %s is %v", name, value)
		}
	}
	for _, name := range []string{"success", "status", "message", "path", "timestamp"} {
		if _, there := members[name]; !there {
			fail("member %s is missing", name)
		}
	}
	checkTimes(r.data, fail)
	checkHeader(resp, body, fail)
	if resp.StatusCode/100 != 2 {
		checkProblem(r, fail)
	}
	return r
}

// checkTimes looks for times in data that are not written as the contract
// says.
func checkTimes(v any, fail func(string, ...any)) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if text, ok := member.(string); ok && strings.HasSuffix(name, "_at") && !sixDecimals.MatchString(text) {
				fail("%s is %s", name, text)
			}
			if name != "body" && name != "headers" {
				checkTimes(member, fail)
			}
		}
	case []any:
		for _, e := range v {
			checkTimes(e, fail)
		}
	}
}

func checkHeader(resp *http.Response, body []byte, fail func(string, ...any)) {
	h := resp.Header
	for name, want := range map[string]string{
		"Content-Type": "application/json", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		"Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		"Content-Length": strconv.Itoa(len(body)),
	} {
		if got := h[name]; len(got) != 1 || got[0] != want {
			fail("header %s is %q", name, got)
		}
	}
	if len(h["X-Request-Id"]) != 1 || !requestID.MatchString(h.Get("X-Request-Id")) {
		fail("header X-Request-Id is %q", h["X-Request-Id"])
	}
	allowed := []string{"Content-Type", "X-Content-Type-Options", "Cache-Control", "Content-Length", "X-Request-Id", "Date", "Connection",
		"Referrer-Policy", "Cross-Origin-Resource-Policy", "Content-Security-Policy"}
	if h["Ratelimit"] != nil {
		allowed = append(allowed, "Ratelimit", "Ratelimit-Policy")
	}
	if slices.Contains(h["Vary"], "Origin") {
		allowed = append(allowed, "Vary", "Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Max-Age")
	}
	if resp.StatusCode/100 == 2 {
		allowed = append(allowed, "Etag", "Location", "Link", "X-Total-Count", "X-Total-Count-Exact", "Vary", "Idempotent-Replayed")
	}
	needs := map[int]string{401: "Www-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}[resp.StatusCode]
	if needs != "" {
		allowed = append(allowed, needs)
		if h.Get(needs) == "" {
			fail("header %s is missing", needs)
		}
	}
	if resp.StatusCode == 403 && strings.Contains(string(body), `"insufficient_scope"`) {
		allowed = append(allowed, "Www-Authenticate")
	}
	for name := range h {
		if !slices.Contains(allowed, name) {
			fail("header %s: %q is not of this answer", name, h[name])
		}
	}
}

func checkProblem(r *response, fail func(string, ...any)) {
	data, ok := r.data.(map[string]any)
	if !ok {
		fail("an error has data")
		return
	}
	r.code, _ = data["code"].(string)
	if !codePattern.MatchString(r.code) || statuses[jadwal.Code(r.code)] != r.status {
		fail("code %q does not belong to status %d", r.code, r.status)
	}
	for name := range data {
		if name != "code" && name != "errors" {
			fail("data.%s is no member of an error", name)
		}
	}
	if errors, there := data["errors"]; there {
		list, _ := errors.([]any)
		if len(list) == 0 {
			fail("errors is empty")
		}
		for _, e := range list {
			e, _ := e.(map[string]any)
			code, _ := e["code"].(string)
			message, _ := e["message"].(string)
			_, named := e["field"].(string)
			if len(e) != 3 || !named || !codePattern.MatchString(code) || message == "" {
				fail("an error is %v", e)
			}
		}
	}
	switch auth := r.header.Get("Www-Authenticate"); {
	case r.code == "insufficient_scope" && !strings.HasPrefix(auth, `Bearer realm="jadwal", error="insufficient_scope", scope="`),
		r.status == 401 && r.code == "invalid_token" && auth != `Bearer realm="jadwal", error="invalid_token"`,
		r.status == 401 && r.code != "invalid_token" && auth != `Bearer realm="jadwal"`:
		fail("WWW-Authenticate is %s", auth)
	}
}
