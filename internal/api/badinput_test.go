package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/teknohole/jadwal"
)

// bad is a request that must be refused and must change nothing.
type bad struct {
	rule   string
	as     string // "": without a token; "user"; "admin"
	method string
	target string
	body   string
	header []string // pairs; a Content-Type replaces the usual one
	status int
	code   string
	field  string // of the first of errors
}

const (
	newUserBody = `{"username":"x","password":"x-password","email":"x@example.com"}`
	newJobBody  = `{"name":"x","target":{"url":"https://example.com/"}}`
)

// badPaths are targets that are no path of ours, or no method of it.
func badPaths() (all []bad) {
	for rule, target := range map[string]string{
		"an unknown path": "/nothing", "an unknown path below": "/user/me/more", "a trailing slash": "/user/me/", "a trailing slash after an id": "/user/2/",
		"a trailing slash after a list": "/job/", "a doubled slash": "//user/me", "a doubled slash within": "/user//me", "a doubled slash at the end": "/user/me//",
		"another case": "/USER/me", "another case within": "/user/Me/", "an encoded letter": "/use%72/me", "a dot segment": "/./user/me", "a dot segment within": "/user/./me",
		"a double dot segment": "/job/../user/me", "a double dot segment at the end": "/user/me/..", "an encoded dot segment": "/user/%2e/me", "an encoded double dot": "/job/%2E%2E/user",
		"half encoded dots": "/job/%2e./run", "dots for an id": "/user/..", "encoded dots for an id": "/user/%2e%2E", "dots for a job": "/job/.", "an encoded slash": "/user%2Fme",
		"a backslash": "/user\\me",
		"a semicolon": "/user/me;v=1/x", "bytes that are not UTF-8": "/\xff\xfe", "characters that are not ASCII": "/ユーザー", "quotes": `/"user"`,
		"a hash": "/user/me#x/y", "under the UI": "/ui/../user/me", "dots under the UI": "/ui/%2e%2e/user", "a dot file": "/.env", "another's admin page": "/wp-admin/",
		"an absolute target of an unknown path": "http://localhost/nothing", "an absolute target with dots": "http://localhost/user/../user/me", "health alone": "/health", "a longer root": "/.",
	} {
		all = append(all, bad{rule: rule, as: "admin", method: "GET", target: target, status: 404, code: "not_found"})
	}
	all = append(all,
		bad{rule: "the asterisk", method: "OPTIONS", target: "*", status: 404, code: "not_found"},
		bad{rule: "a target of an authority", method: "CONNECT", target: "example.com:443", status: 404, code: "not_found"},
		bad{rule: "a path is judged before the method", method: "BREW", target: "/nothing", status: 404, code: "not_found"},
		bad{rule: "a path is judged before the token", method: "GET", target: "/nothing", header: []string{"Authorization", "Bearer x"}, status: 404, code: "not_found"},
		bad{rule: "a target that is too long", method: "GET", target: "/" + strings.Repeat("a", 8<<10), status: 414, code: "uri_too_long"},
		bad{rule: "a query that is too long", as: "admin", method: "GET", target: "/user/me?" + strings.Repeat("a", 8<<10), status: 414, code: "uri_too_long"},
	)
	for _, m := range []struct{ method, target string }{
		{"POST", "/"}, {"GET", "/login"}, {"PUT", "/login"}, {"DELETE", "/login"}, {"OPTIONS", "/login"}, {"GET", "/refresh/token"}, {"GET", "/logout"},
		{"POST", "/user/me"}, {"PUT", "/user/me"}, {"DELETE", "/user/me"}, {"TRACE", "/user/me"}, {"OPTIONS", "/user/me"}, {"get", "/user/me"}, {"CONNECT", "/user/me"}, {"PATCH", "/user"}, {"DELETE", "/user"},
		{"PUT", "/user/1"}, {"POST", "/user/x"}, {"POST", "/user/me%2F"}, {"POST", "/user/me%00"}, {"POST", "/user/me%20"}, {"POST", "/user/m\xc3"}, {"POST", "/user/me%3Fx"},
		{"GET", "/user/me/password"}, {"PATCH", "/user/me/password"}, {"GET", "/user/password/reset"}, {"GET", "/user/1/password/reset"}, {"GET", "/user/1/disable"}, {"DELETE", "/user/1/enable"}, {"POST", "/user/1/status"}, {"DELETE", "/session"}, {"POST", "/session"}, {"GET", "/session/1"}, {"POST", "/audit"}, {"DELETE", "/audit"}, {"POST", "/job/a/grant"}, {"DELETE", "/job/a/grant"}, {"GET", "/job/a/grant/1"}, {"POST", "/job/a/grant/1"}, {"GET", "/job/a/owner"}, {"DELETE", "/key"}, {"PATCH", "/key"}, {"GET", "/key/x"}, {"PATCH", "/session/1"},
		{"DELETE", "/job"}, {"PATCH", "/job"}, {"PUT", "/job"}, {"POST", "/job/a/version"}, {"DELETE", "/job/a/version/1"}, {"GET", "/job/a/version/1/restore"}, {"GET", "/job/a/clone"}, {"POST", "/job/a/next"}, {"POST", "/job/a"}, {"GET", "/job/a/pause"}, {"POST", "/run"}, {"DELETE", "/run/x"},
		{"GET", "/schedule/preview"}, {"POST", "/health/live"}, {"POST", "/health/ready"}, {"POST", "/metrics"}, {"POST", "/openapi.json"}, {"POST", "/docs"}, {"PROPFIND", "/user"}, {strings.Repeat("X", 1000), "/user"},
	} {
		all = append(all, bad{rule: clip(m.method) + " " + m.target + " is no method of it", method: m.method, target: m.target, status: 405, code: "method_not_allowed"})
	}
	return all
}

// badTokens are requests of somebody unknown.
func badTokens() (all []bad) {
	for _, r := range routes() {
		if r.action == "public" {
			continue
		}
		target := strings.NewReplacer("/key/{id}", "/key/"+jadwal.FormatKeyID(1), "{id}", "1", "{job}", "mine", "{n}", "1", "{user}", "1").Replace(r.pattern)
		all = append(all,
			bad{rule: "no token for " + r.method + " " + r.pattern, method: r.method, target: target, status: 401, code: "unauthenticated"},
			bad{rule: "nonsense for " + r.method + " " + r.pattern, method: r.method, target: target, body: "nonsense", header: []string{"Authorization", "Bearer x", "Content-Type", "text/plain"}, status: 401, code: "invalid_token"},
		)
	}
	return all
}

// badBodies are bodies that no call takes: what is wrong is told before
// anything is looked up.
func badBodies() (all []bad) {
	for _, call := range []struct{ as, method, target, good string }{
		{"", "POST", "/login", `{"identifier":"admin","password":"admin123"}`},
		{"", "POST", "/refresh/token", `{"refresh_token":"x"}`},
		{"user", "POST", "/logout", `{"refresh_token":"x"}`},
		{"user", "PATCH", "/user/me", `{"email":"x@example.com"}`},
		{"admin", "POST", "/user", newUserBody},
		{"admin", "PATCH", "/user/2", `{"email":"x@example.com"}`},
		{"user", "POST", "/key", `{"name":"x","scopes":["job:read"]}`},
		{"user", "POST", "/user/me/password", `{"current_password":"x","new_password":"x-password"}`},
		{"", "POST", "/user/password/reset", `{"code":"x","new_password":"x-password"}`},
		{"user", "POST", "/job", newJobBody},
		{"user", "PATCH", "/job/mine", `{"description":"x"}`},
		{"user", "PUT", "/job/mine", `{"description":"x","target":{"url":"https://example.com/"}}`},
		{"user", "PUT", "/job/mine/grant/1", `{"level":"viewer"}`},
		{"user", "POST", "/job/mine/owner", `{"owner":1}`},
		{"user", "POST", "/job/mine/clone", `{"name":"x"}`},
		{"user", "POST", "/job/mine/pause", `{"reason":"x"}`},
		{"user", "POST", "/schedule/preview", `{"schedules":[{"every":"1h"}]}`},
	} {
		add := func(rule string, status int, code, field, body string, header ...string) {
			all = append(all, bad{call.method + " " + call.target + " with " + rule, call.as, call.method, call.target, body, header, status, code, field})
		}
		add("no content type", 415, "unsupported_media_type", "", call.good, "Content-Type", "")
		add("a form", 415, "unsupported_media_type", "", "a=b", "Content-Type", "application/x-www-form-urlencoded")
		add("text", 415, "unsupported_media_type", "", call.good, "Content-Type", "text/plain")
		add("another character set", 415, "unsupported_media_type", "", call.good, "Content-Type", "application/json; charset=iso-8859-1")
		add("two content types", 415, "unsupported_media_type", "", call.good, "Content-Type", "application/json", "Content-Type", "application/json")
		add("a content type that is broken", 415, "unsupported_media_type", "", call.good, "Content-Type", "application/json; charset")
		add("a content coding", 415, "unsupported_media_type", "", call.good, "Content-Encoding", "gzip")
		add("the identity coding", 415, "unsupported_media_type", "", call.good, "Content-Encoding", "identity")
		add("too much", 413, "too_large", "", call.good+strings.Repeat(" ", 1<<20))
		add("a byte order mark", 400, "malformed", "", "\xef\xbb\xbf"+call.good)
		add("something after it", 400, "malformed", "", call.good+"{}")
		add("an array", 400, "malformed", "", "["+call.good+"]")
		add("null", 400, "malformed", "", "null")
		add("half of it", 400, "malformed", "", call.good[:len(call.good)/2])
		add("a byte that is not UTF-8", 400, "malformed", "", strings.Replace(call.good, "x", "\xff", 1)+"\xff")
		add("too deep a nesting", 400, "malformed", "", strings.Repeat("[", 1000))
		add("an unknown member", 400, "validation_failed", "hunter", `{"hunter":1,`+call.good[1:])
		name, _, _ := strings.Cut(call.good[2:], `"`)
		add("a member twice", 400, "validation_failed", name, strings.TrimSuffix(call.good, "}")+","+call.good[1:])
		add("another case of a name", 400, "validation_failed", strings.ToUpper(name), strings.Replace(call.good, name, strings.ToUpper(name), 1))
		if call.target != "/job/mine/pause" {
			add("nothing", 415, "unsupported_media_type", "", "")
		}
		add("only space", 400, "malformed", "", "  ")
	}
	for _, r := range routes() {
		if r.method == "GET" || r.input.body >= 0 || r.doc.fixed {
			continue
		}
		target := strings.NewReplacer("/key/{id}", "/key/"+jadwal.FormatKeyID(1), "/signature-key/{id}", "/signature-key/"+jadwal.FormatKeyID(1), "/run/{id}", "/run/"+(jadwal.RunKey{DueAt: 1, JobID: 1}).ID(),
			"{id}", "4711", "{job}", "mine", "{n}", "1", "{user}", "1", "{secret}", "1").Replace(r.pattern)
		for _, body := range []string{`{"reason":"x"}`, `null`, `[]`, `nonsense`, `{}{}`, `{}` + strings.Repeat(" ", 100)} {
			all = append(all, bad{r.method + " " + r.pattern + " with " + clip(body), "admin", r.method, target, body, nil, 400, "malformed", ""})
		}
	}
	return all
}

func TestABodyThatSaysNothingIsFineWhereNoneIsTaken(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	c.createJob("a")
	for _, body := range []string{"", "{}", " { }\r\n", " "} {
		for _, header := range [][]string{nil, {"Content-Type", ""}, {"Content-Type", "application/x-www-form-urlencoded"}} {
			if r := c.do("POST", "/job/a/run", body, header...); r.status != 201 {
				t.Errorf("%q: got %s", body, r.body)
			}
		}
	}
	const head = " HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nAuthorization: Bearer "
	if r := s.raw("POST", "POST /job/a/run"+head+c.access+"\r\n\r\n0\r\n\r\n"); r.status != 201 {
		t.Errorf("none, in chunks: got %s", r.body)
	}
	if r := s.raw("DELETE", "DELETE /job/a"+head+c.access+"\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n"); r.status != 400 || r.message != "this call takes no body; send none, or {}" {
		t.Errorf("one in chunks: got %s", r.body)
	}
	if r := c.do("POST", "/job/a/run", "{}", "Idempotency-Key", "k"); r.status != 201 {
		t.Errorf("got %s", r.body)
	}
	if r := c.do("POST", "/job/a/run", "", "Idempotency-Key", "k"); r.status != 201 || r.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("nothing and an empty object are the same request: got %s", r.body)
	}
}

// badMembers are bodies in which one member is wrong.
func badMembers() (all []bad) {
	add := func(as, method, target, body, field string) {
		all = append(all, bad{method + " " + target + " " + clip(body), as, method, target, body, nil, 400, "validation_failed", field})
	}
	for _, v := range []string{`null`, `1`, `true`, `{}`, `[]`, `["admin"]`, `""`} {
		add("", "POST", "/login", `{"identifier":`+v+`,"password":"admin123"}`, "identifier")
		add("", "POST", "/login", `{"identifier":"admin","password":`+v+`}`, "password")
		add("", "POST", "/refresh/token", `{"refresh_token":`+v+`}`, "refresh_token")
		add("user", "POST", "/logout", `{"refresh_token":`+v+`}`, "refresh_token")
		add("admin", "POST", "/user", `{"username":`+v+`,"password":"x-password","email":"x@example.com"}`, "username")
		add("admin", "POST", "/user", `{"username":"x","password":`+v+`,"email":"x@example.com"}`, "password")
		add("admin", "POST", "/user", `{"username":"x","password":"x-password","email":`+v+`}`, "email")
		add("user", "PATCH", "/user/me", `{"username":`+v+`}`, "username")
		add("user", "PATCH", "/user/me", `{"email":`+v+`}`, "email")
		add("admin", "PATCH", "/user/2", `{"username":`+v+`}`, "username")
		add("admin", "PATCH", "/user/2", `{"email":`+v+`}`, "email")
		add("user", "POST", "/user/me/password", `{"current_password":`+v+`,"new_password":"x-password"}`, "current_password")
		add("user", "POST", "/user/me/password", `{"current_password":"x","new_password":`+v+`}`, "new_password")
		add("", "POST", "/user/password/reset", `{"code":`+v+`,"new_password":"x-password"}`, "code")
		add("", "POST", "/user/password/reset", `{"code":"x","new_password":`+v+`}`, "new_password")
		add("user", "POST", "/job", `{"name":`+v+`,"target":{"url":"https://example.com/"}}`, "name")
		add("user", "POST", "/job", `{"name":"x","target":{"url":`+v+`}}`, "target.url")
	}
	for _, v := range []string{`null`, `1`, `true`, `{}`, `[]`, `""`, `"owner"`, `"Viewer"`} {
		add("user", "PUT", "/job/mine/grant/1", `{"level":`+v+`}`, "level")
	}
	for _, v := range []string{`null`, `"1"`, `true`, `{}`, `[]`, `0`, `-1`, `1.5`, `999`, `9223372036854775808`} {
		add("user", "POST", "/job/mine/owner", `{"owner":`+v+`}`, "owner")
	}
	add("user", "PUT", "/job/mine/grant/1", `{}`, "level")
	add("user", "PUT", "/job/mine/grant/2", `{"level":"viewer"}`, "user")
	add("user", "PUT", "/job/mine/grant/x", `{"level":"viewer"}`, "user")
	add("user", "POST", "/job/mine/owner", `{}`, "owner")
	for _, v := range []string{`null`, `1`, `true`, `{}`, `[]`, `""`, `" x"`, `"x\u0000"`, `"` + strings.Repeat("x", 101) + `"`} {
		add("user", "POST", "/key", `{"name":`+v+`,"scopes":["job:read"]}`, "name")
	}
	for v, field := range map[string]string{
		`null`: "scopes", `"job:read"`: "scopes", `{}`: "scopes", `[]`: "scopes", `[""]`: "scopes[0]", `[null]`: "scopes[0]", `["*"]`: "scopes[0]", `["Job:read"]`: "scopes[0]", `["job:read","job:read"]`: "scopes[1]", `["job:read job:write"]`: "scopes[0]",
	} {
		add("user", "POST", "/key", `{"name":"x","scopes":`+v+`}`, field)
	}
	for _, v := range []string{`null`, `1`, `true`, `{}`, `[]`, `""`, `"soon"`, `"2020-01-01T00:00:00Z"`, `"2100-01-01T00:00:00Z"`, `"0000-01-01T00:00:00Z"`} {
		add("user", "POST", "/key", `{"name":"x","scopes":["job:read"],"expires_at":`+v+`}`, "expires_at")
	}
	add("user", "POST", "/key", `{"name":"x"}`, "scopes")
	add("user", "POST", "/key", `{"scopes":["job:read"]}`, "name")
	add("user", "POST", "/key", `{"name":"x","scopes":["job:read"],"expires_in":"1h"}`, "expires_in")
	for _, v := range []string{`null`, `1`, `0`, `"true"`, `"false"`, `""`, `{}`, `[]`} {
		add("admin", "POST", "/user", `{"username":"x","password":"x-password","email":"x@example.com","is_superuser":`+v+`}`, "is_superuser")
		add("user", "PATCH", "/user/me", `{"is_superuser":`+v+`}`, "is_superuser")
		add("admin", "PATCH", "/user/me", `{"is_superuser":`+v+`}`, "is_superuser")
	}
	add("", "POST", "/login", `{}`, "identifier")
	add("", "POST", "/login", `{"identifier":"admin"}`, "password")
	add("", "POST", "/login", `{"password":"admin123"}`, "identifier")
	add("", "POST", "/login", `{"username":"admin","password":"admin123"}`, "username")
	add("", "POST", "/refresh/token", `{}`, "refresh_token")
	add("admin", "POST", "/user", `{}`, "username")
	add("admin", "POST", "/user", `{"username":"x","email":"x@example.com"}`, "password")
	add("admin", "POST", "/user", `{"username":"x","password":"x-password"}`, "email")
	add("admin", "POST", "/user", `{"id":7,"username":"x","password":"x-password","email":"x@example.com"}`, "id")
	add("admin", "POST", "/user", `{"username":"admin","password":"x-password","email":"x@example.com"}`, "username")
	add("admin", "POST", "/user", `{"username":"ADMIN","password":"x-password","email":"x@example.com"}`, "username")
	add("admin", "POST", "/user", `{"username":"x","password":"x-password","email":"ADMIN@teknohole.com"}`, "email")
	for _, name := range []string{"-x", ".x", "_x", "x y", " x", "x ", "x\\n", "x\\u0000", "é", "x@y", "x/y", "x<y>", "ｘ", strings.Repeat("x", 65)} {
		add("admin", "POST", "/user", `{"username":"`+name+`","password":"x-password","email":"x@example.com"}`, "username")
		add("user", "PATCH", "/user/me", `{"username":"`+name+`","email":"x@example.com"}`, "username")
	}
	for _, email := range []string{
		"x", "@", "x@", "@x", "x@y@z", "x y@z", " x@y", "x@y ", "x@y z", "x@-y", "x@y-", "x@y..z", "x@.y", "x@y.", "x@y_z", "X <x@y>", "<x@y>", `\"x\"@y`, "x(c)@y", "x@[127.0.0.1]", "x@y\\u0000", "x\\r\\n@y", "é@y", "x@é",
		"x,y@z", "x;y@z", "x:y@z", `x\\y@z`, strings.Repeat("x", 65) + "@y", "x@" + strings.Repeat("y", 64), "x@" + strings.Repeat("y.", 126) + "z",
	} {
		add("admin", "POST", "/user", `{"username":"x","password":"x-password","email":"`+email+`"}`, "email")
		add("user", "PATCH", "/user/me", `{"username":"x","email":"`+email+`"}`, "email")
	}
	for _, password := range []string{
		"short67", "ééé", strings.Repeat("x", 1025), strings.Repeat("é", 513), "with\\u0000nul", "password", "PASSWORD", "12345678", "x-name-1", "X-NAME-1", "x@example.com", "X@Example.Com",
	} {
		add("admin", "POST", "/user", `{"username":"x-name-1","password":"`+password+`","email":"x@example.com"}`, "password")
		if !strings.HasPrefix(strings.ToLower(password), "x") || len(password) > 100 {
			add("user", "POST", "/user/me/password", `{"current_password":"x","new_password":"`+password+`"}`, "new_password")
		}
	}
	for _, p := range []struct{ member, field string }{
		{`"tags":["A"]`, "tags[0]"}, {`"tags":"a"`, "tags"}, {`"timezone":"Mars"`, "timezone"}, {`"timezone":""`, "timezone"}, {`"timeout":"0.5s"`, "timeout"}, {`"timeout":"25h"`, "timeout"}, {`"timeout":"-1s"`, "timeout"},
		{`"timeout":"1e9s"`, "timeout"}, {`"timeout":30`, "timeout"}, {`"overlap":"allow"`, "max_concurrent"}, {`"overlap":"queue"`, "overlap"}, {`"overlap":""`, "overlap"}, {`"schedules":{}`, "schedules"}, {`"schedules":["* * * * *"]`, "schedules[0]"},
		{`"schedules":[{}]`, "schedules[0]"}, {`"schedules":[{"cron":""}]`, "schedules[0]"}, {`"schedules":[{"cron":"* * * *"}]`, "schedules[0].cron"}, {`"schedules":[{"cron":"61 * * * *"}]`, "schedules[0].cron"},
		{`"schedules":[{"cron":"0 0 30 2 *"}]`, "schedules[0].cron"}, {`"schedules":[{"cron":"@reboot"}]`, "schedules[0].cron"}, {`"schedules":[{"every":"1ms"}]`, "schedules[0].every"}, {`"schedules":[{"every":"soon"}]`, "schedules[0].every"},
		{`"schedules":[{"at":"noon"}]`, "schedules[0].at"}, {`"schedules":[{"at":"2020-01-01T00:00:00Z"}]`, "schedules[0].at"}, {`"schedules":[{"cron":"* * * * *","every":"1m"}]`, "schedules[0]"},
		{`"schedules":[{"rrule":"FREQ=SOMETIMES"}]`, "schedules[0].rrule"}, {`"schedules":[{"rrule":"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}]`, "schedules[0].rrule"}, {`"schedules":[{"rrule":"FREQ=DAILY;UNTIL=20200101T000000Z"}]`, "schedules[0].rrule"}, {`"retry":{"max_attempts":0}`, "retry.max_attempts"}, {`"retry":{"max_attempts":101}`, "retry.max_attempts"}, {`"retry":{"x":1}`, "retry.x"}, {`"retry":3`, "retry"}, {`"retry":{"min_backoff":"0s"}`, "retry.min_backoff"}, {`"retry":{"max_backoff":"5s"}`, "retry.max_backoff"}, {`"retry":{"multiplier":0.5}`, "retry.multiplier"}, {`"retry":{"multiplier":"2"}`, "retry.multiplier"}, {`"retry":{"max_duration":"0s"}`, "retry.max_duration"}, {`"jitter":"-1s"`, "jitter"}, {`"jitter":"25h"`, "jitter"}, {`"jitter":1`, "jitter"}, {`"max_runs":-1`, "max_runs"}, {`"max_runs":"1"`, "max_runs"}, {`"max_concurrent":2`, "max_concurrent"}, {`"max_concurrent":101,"overlap":"allow"`, "max_concurrent"}, {`"catchup_window":"0s"`, "catchup_window"}, {`"after_completion":"archive"`, "after_completion"}, {`"pause_after_failures":-1`, "pause_after_failures"}, {`"output":{"success":-1}`, "output.success"}, {`"output":{"failure":65537}`, "output.failure"}, {`"output":{"max":1}`, "output.max"}, {`"output":"all"`, "output"}, {`"priority":1`, "priority"}, {`"start_at":"noon"`, "start_at"}, {`"end_at":"2020-01-01T00:00:00Z","schedules":[{"every":"1h"}]`, "schedules"}, {`"start_at":"2030-01-02T00:00:00Z","end_at":"2030-01-01T00:00:00Z"`, "end_at"}, {`"dst":{"gap":"jump"}`, "dst.gap"}, {`"dst":{"overlap":"third"}`, "dst.overlap"}, {`"dst":{"x":1}`, "dst.x"}, {`"dst":"skip"`, "dst"}, {`"catchup":"some"`, "catchup"}, {`"state":"paused"`, "state"},
		{`"owner_id":1`, "owner_id"}, {`"id":1`, "id"}, {`"version":1`, "version"}, {`"description":"` + strings.Repeat("x", 4097) + `"`, "description"}, {`"description":5`, "description"},
	} {
		add("user", "POST", "/job", `{"name":"x","target":{"url":"https://example.com/"},`+p.member+`}`, p.field)
	}
	for _, p := range []struct{ members, field string }{
		{``, "target.url"}, {`"url":"example.com"`, "target.url"}, {`"url":"file:///etc/passwd"`, "target.url"}, {`"url":"https://u:p@example.com/"`, "target.url"}, {`"url":"https://example.com/#x"`, "target.url"},
		{`"url":"https://example.com/","method":"get"`, "target.method"}, {`"url":"https://example.com/","method":""`, "target.method"}, {`"url":"https://example.com/","type":"shell"`, "target.type"},
		{`"url":"https://example.com/","headers":{"Host":"x"}`, "target.headers.Host"}, {`"url":"https://example.com/","headers":{"X":"a\r\nY: b"}`, "target.headers.X"}, {`"url":"https://example.com/","headers":{"X":1}`, "target.headers.X"},
		{`"url":"https://example.com/","headers":[]`, "target.headers"}, {`"url":"https://example.com/","method":"GET","body":{}`, "target.body"}, {`"url":"https://example.com/","expect":{"status":"2x"}`, "target.expect.status"}, {`"url":"https://example.com/","expect":{"status":200}`, "target.expect.status"},
		{`"url":"https://example.com/","expect":{"state":"2xx"}`, "target.expect.state"}, {`"url":"https://example.com/","expect":"2xx"`, "target.expect"}, {`"url":"https://example.com/","expect":null`, "target.expect"}, {`"url":"https://example.com/","expect":{"body":"/(/"}`, "target.expect.body"},
		{`"url":"https://example.com/","expect":{"body":"/a{1000}/"}`, "target.expect.body"}, {`"url":"https://example.com/","expect":{"body":"` + strings.Repeat("x", 257) + `"}`, "target.expect.body"}, {`"url":"https://example.com/","expect":{"body":{}}`, "target.expect.body"},
		{`"url":"https://example.com/","secret_headers":["X-Key"]`, "target.secret_headers[0]"}, {`"url":"https://example.com/","secret_headers":[` + strings.Repeat(`"X-Key",`, jadwal.MaxHeaders) + `"X-Key"]`, "target.secret_headers[0]"}, {`"url":"https://example.com/","redirects":11`, "target.redirects"}, {`"url":"https://example.com/","redirects":-1`, "target.redirects"},
		{`"url":"https://example.com/","redirects":1.5`, "target.redirects"}, {`"url":"https://example.com/","redirects":true`, "target.redirects"}, {`"url":"https://example.com/","redirect":1`, "target.redirect"},
	} {
		add("user", "POST", "/job", `{"name":"x","target":{`+strings.ReplaceAll(p.members, "\r\n", `\r\n`)+`}}`, p.field)
	}
	return all
}

// badOthers are ids, parameters and rights.
func badOthers() (all []bad) {
	add := func(as, method, target string, status int, code, field string) {
		all = append(all, bad{as + " " + method + " " + target, as, method, target, "", nil, status, code, field})
	}
	for _, target := range []string{"/user/999", "/user/0", "/user/99999999999999999999"} {
		add("admin", "GET", target, 404, "not_found", "")
		add("admin", "GET", target+"/status", 404, "not_found", "")
		for _, what := range []string{"/disable", "/enable", "/password/reset"} {
			add("admin", "POST", target+what, 404, "not_found", "")
		}
	}
	for _, what := range []string{"disable", "password/reset"} {
		add("admin", "POST", "/user/1/"+what, 403, "own_account", "")
	}
	for _, user := range []string{"1", "999", "0"} {
		add("user", "GET", "/session?user="+user, 404, "not_found", "")
	}
	add("admin", "GET", "/session?user=999", 404, "not_found", "")
	add("admin", "GET", "/session?user=0", 404, "not_found", "")
	for _, id := range []string{"1", "0000000000", "000000000001", "00000000000", "0000000000-", "zzzzzzzzzzz", "jdw_0000001"} {
		add("user", "DELETE", "/key/"+id, 400, "validation_failed", "id")
	}
	add("user", "DELETE", "/job/mine/grant/x", 400, "validation_failed", "user")
	add("user", "DELETE", "/job/mine/grant/1", 404, "not_found", "")
	add("user", "DELETE", "/job/none/grant/1", 404, "not_found", "")
	add("user", "GET", "/job/none/grant", 404, "not_found", "")
	add("user", "GET", "/job/mine/grant?x=1", 400, "validation_failed", "x")
	add("user", "DELETE", "/key/00000000001", 404, "not_found", "")
	add("user", "GET", "/key?user=1", 404, "not_found", "")
	add("admin", "GET", "/key?user=999", 404, "not_found", "")
	add("admin", "GET", "/key?user=x", 400, "validation_failed", "user")
	add("admin", "GET", "/session?owner=2", 400, "validation_failed", "owner")
	add("admin", "GET", "/user/2?x=1", 400, "validation_failed", "x")
	add("user", "DELETE", "/session/1", 404, "not_found", "")
	add("user", "DELETE", "/session/0", 404, "not_found", "")
	add("user", "DELETE", "/session/99999999999999999999", 404, "not_found", "")
	for _, id := range []string{"01", "+2", "-2", "2.0", "0x2", "two", "1e0", "2,3", "*"} {
		add("admin", "DELETE", "/user/"+id, 400, "validation_failed", "id")
		add("user", "DELETE", "/user/"+id, 403, "forbidden", "")
		add("admin", "GET", "/user/"+id, 400, "validation_failed", "id")
		add("user", "GET", "/user/"+id, 403, "forbidden", "")
		add("user", "PATCH", "/user/"+id, 403, "forbidden", "")
		add("admin", "GET", "/user/"+id+"/status", 400, "validation_failed", "id")
		add("user", "DELETE", "/session/"+id, 400, "validation_failed", "id")
		add("user", "GET", "/session?user="+id, 400, "validation_failed", "user")
		for _, what := range []string{"disable", "enable", "password/reset"} {
			add("admin", "POST", "/user/"+id+"/"+what, 400, "validation_failed", "id")
			add("user", "POST", "/user/"+id+"/"+what, 403, "forbidden", "")
		}
	}
	for _, job := range []string{"01", "-1", "Mine", "m%69ne", "mine%00", "bulk", "_x", strings.Repeat("x", 64), "mine;x"} {
		add("user", "GET", "/job/"+job, 400, "validation_failed", "job")
		add("user", "DELETE", "/job/"+job, 400, "validation_failed", "job")
	}
	for _, query := range []struct{ text, field string }{
		{"x=1", "x"}, {"Limit=1", "Limit"}, {"limit=0", "limit"}, {"limit=501", "limit"}, {"limit=-1", "limit"}, {"limit=abc", "limit"}, {"limit=1.5", "limit"}, {"limit=", "limit"}, {"limit=01", "limit"},
		{"limit=1&limit=2", "limit"}, {"limit=99999999999999999999", "limit"}, {"cursor=x", "cursor"}, {"cursor=-1", "cursor"}, {"cursor=99999999999999999999", "cursor"}, {"count=yes", "count"}, {"count=1", "count"}, {"count", "count"},
		{"access_token=x", "access_token"}, {"owner=x", "owner"}, {"owner=01", "owner"}, {"owner=", "owner"}, {"user=1", "user"},
	} {
		add("user", "GET", "/job?"+query.text, 400, "validation_failed", query.field)
	}
	for _, query := range []string{"count=0", "count=1001", "count=x", "count=", "from=now", "from=2026-11-23", "from=2026-11-23T00:00:00+07:00", "from=", "form=x"} {
		field, _, _ := strings.Cut(query, "=")
		add("user", "GET", "/job/mine/next?"+query, 400, "validation_failed", field)
	}
	for _, query := range []string{
		"state=done", "state=", "state=failed,", "state=failed,failed", "state=Failed", "reason=because", "reason=", "trigger=cron", "trigger=manual,,retry",
		"from=x", "to=x", "to=2026-11-23T00:00:00Z&from=2026-11-23T00:00:00Z", "to=2026-11-22T00:00:00Z&from=2026-11-23T00:00:00Z", "limit=501", "cursor=1", "states=failed", "state=failed&state=skipped",
	} {
		field, _, _ := strings.Cut(query, "=")
		add("user", "GET", "/job/mine/run?"+query, 400, "validation_failed", field)
		add("user", "GET", "/run?"+query, 400, "validation_failed", field)
	}
	for _, query := range []string{"from=x", "to=", "to=2026-11-22T00:00:00Z&from=2026-11-23T00:00:00Z", "to=2020-01-01T00:00:00Z", "cursor=1", "limit=0", "state=missed"} {
		field, _, _ := strings.Cut(query, "=")
		add("user", "GET", "/job/mine/ledger?"+query, 400, "validation_failed", field)
	}
	for _, query := range []string{
		"actor=x", "actor=-1", "actor=", "action=job", "action=job.*", "action=Job.edit", "action=", "object=job", "object=job/", "object=job/-1", "object=job/5/6", "object=%6aob%2F%25",
		"from=x", "to=", "to=2026-11-22T00:00:00Z&from=2026-11-23T00:00:00Z", "limit=0", "limit=501", "cursor=1", "cursor=1.", "cursor=x.1", "cursor=1.0", "cursor=1.1.1", "cursor=-1.1", "user=1", "actor=1&actor=1",
	} {
		field, _, _ := strings.Cut(query, "=")
		add("admin", "GET", "/audit?"+query, 400, "validation_failed", field)
		add("user", "GET", "/audit?"+query, 403, "forbidden", "")
	}
	for _, query := range []string{"", "at=", "at=now", "at=2026-11-23T00:00:00", "at=2026-11-23T00:00:00Z&at=2026-11-23T00:00:00Z"} {
		add("user", "GET", "/job/mine/why?"+query, 400, "validation_failed", "at")
	}
	add("user", "GET", "/job/none/ledger", 404, "not_found", "")
	add("user", "GET", "/job/none/why?at=2026-11-23T00:00:00Z", 404, "not_found", "")
	add("user", "GET", "/job/mine/run?job=mine", 400, "validation_failed", "job")
	add("user", "GET", "/run?job=Mine", 400, "validation_failed", "job")
	add("user", "GET", "/run?job=none", 404, "not_found", "")
	add("user", "GET", "/run?job=999", 404, "not_found", "")
	for _, n := range []string{"0", "01", "-1", "x", "1.0", "%31"} {
		add("user", "GET", "/job/mine/version/"+n, 400, "validation_failed", "n")
		add("user", "POST", "/job/mine/version/"+n+"/restore", 400, "validation_failed", "n")
	}
	add("user", "GET", "/job/mine/version?cursor=x", 400, "validation_failed", "cursor")
	add("user", "GET", "/job/mine/version?limit=0", 400, "validation_failed", "limit")
	add("user", "GET", "/job/mine/version/1?x=1", 400, "validation_failed", "x")
	add("user", "GET", "/job/mine/version/2", 404, "not_found", "")
	add("user", "GET", "/job/mine/version/99999999999999999999", 404, "not_found", "")
	add("user", "GET", "/job/none/version/1", 404, "not_found", "")
	add("user", "GET", "/job/none/version", 404, "not_found", "")
	add("user", "GET", "/job/none/next", 404, "not_found", "")
	add("user", "POST", "/job/mine/version/2/restore", 404, "not_found", "")
	add("user", "POST", "/job/none/version/1/restore", 404, "not_found", "")
	add("user", "GET", "/job?limit=%zz", 400, "malformed", "")
	add("user", "GET", "/job?a;b", 400, "malformed", "")
	add("user", "GET", "/job/mine?x=1", 400, "validation_failed", "x")
	add("user", "GET", "/job/mine/run?count=true", 400, "validation_failed", "count")
	add("user", "DELETE", "/job/mine?force=true", 400, "validation_failed", "force")
	add("", "GET", "/openapi.json?x=1", 400, "validation_failed", "x")
	add("", "GET", "/docs?x=1", 400, "validation_failed", "x")
	noRun := "/run/" + (jadwal.RunKey{DueAt: 1, JobID: 1}).ID()
	for _, what := range []struct{ method, path string }{{"POST", "/cancel"}, {"POST", "/retry"}, {"GET", "/attempt"}} {
		add("user", what.method, "/run/x"+what.path, 400, "validation_failed", "id")
		add("user", what.method, "/run/"+strings.Repeat("v", 29)+what.path, 400, "validation_failed", "id")
		add("user", what.method, noRun+what.path, 404, "not_found", "")
		add("user", what.method, noRun+what.path+"?x=1", 400, "validation_failed", "x")
	}
	add("user", "POST", "/job/none/run", 404, "not_found", "")
	add("user", "POST", "/job/mine/run?x=1", 400, "validation_failed", "x")
	add("user", "GET", "/run/x", 400, "validation_failed", "id")
	add("user", "GET", "/run/"+strings.Repeat("0", 29), 400, "validation_failed", "id")
	add("user", "GET", "/run/"+strings.Repeat("v", 29), 400, "validation_failed", "id")
	add("admin", "DELETE", "/user/1", 403, "own_account", "")
	add("admin", "DELETE", "/user/999", 404, "not_found", "")
	add("admin", "DELETE", "/user/99999999999999999999", 404, "not_found", "")
	add("user", "GET", "/user", 403, "forbidden", "")
	add("user", "GET", "/metrics", 403, "forbidden", "")
	add("user", "GET", "/metrics?x=1", 403, "forbidden", "")
	add("admin", "GET", "/metrics?x=1", 400, "validation_failed", "x")
	add("", "GET", "/health/live?x=1", 400, "validation_failed", "x")
	add("", "GET", "/health/ready?x=1", 400, "validation_failed", "x")
	add("user", "GET", "/job/none", 404, "not_found", "")
	add("user", "GET", "/job/999", 404, "not_found", "")
	add("user", "DELETE", "/job/none", 404, "not_found", "")
	add("user", "POST", "/job/none/pause", 404, "not_found", "")
	add("user", "POST", "/job/none/resume", 404, "not_found", "")
	all = append(all,
		bad{"a superuser's flag for a user", "user", "PATCH", "/user/me", `{"is_superuser":true}`, nil, 403, "forbidden", ""},
		bad{"the last superuser's flag", "admin", "PATCH", "/user/me", `{"is_superuser":false}`, nil, 403, "last_superuser", ""},
		bad{"a name that is taken", "user", "PATCH", "/user/me", `{"username":"Admin"}`, nil, 400, "validation_failed", "username"},
		bad{"an email that is taken", "user", "PATCH", "/user/me", `{"username":"free","email":"Admin@Teknohole.com"}`, nil, 400, "validation_failed", "email"},
		bad{"the last superuser's flag, by id", "admin", "PATCH", "/user/1", `{"is_superuser":false}`, nil, 403, "last_superuser", ""},
		bad{"an unknown member of a user, by id", "admin", "PATCH", "/user/2", `{"disabled_at":null}`, nil, 400, "validation_failed", "disabled_at"},
		bad{"a user who is not there", "admin", "PATCH", "/user/999", `{"username":"free"}`, nil, 404, "not_found", ""},
		bad{"a name that is taken, by id", "admin", "PATCH", "/user/2", `{"username":"Admin"}`, nil, 400, "validation_failed", "username"},
		bad{"a wrong current password", "user", "POST", "/user/me/password", `{"current_password":"admin124","new_password":"another one"}`, nil, 403, "wrong_password", ""},
		bad{"the same password again", "user", "POST", "/user/me/password", `{"current_password":"user-password","new_password":"user-password"}`, nil, 400, "validation_failed", "new_password"},
		bad{"a code that is none", "", "POST", "/user/password/reset", `{"code":"jdr_x","new_password":"another one"}`, nil, 401, "invalid_credentials", ""},
		bad{"a code that nobody made", "", "POST", "/user/password/reset", `{"code":"jdr_0000000000200000000000000000000000000000000100000","new_password":"another one"}`, nil, 401, "invalid_credentials", ""},
		bad{"a grant for nobody", "user", "PUT", "/job/mine/grant/999", `{"level":"viewer"}`, nil, 404, "not_found", ""},
		bad{"a grant for no job", "user", "PUT", "/job/none/grant/1", `{"level":"viewer"}`, nil, 404, "not_found", ""},
		bad{"an owner for no job", "user", "POST", "/job/999/owner", `{"owner":1}`, nil, 404, "not_found", ""},
		bad{"a wrong password", "", "POST", "/login", `{"identifier":"admin","password":"admin124"}`, nil, 401, "invalid_credentials", ""},
		bad{"an unknown name", "", "POST", "/login", `{"identifier":"nobody","password":"admin123"}`, nil, 401, "invalid_credentials", ""},
		bad{"no refresh token of ours", "", "POST", "/refresh/token", `{"refresh_token":"a.b.c"}`, nil, 401, "invalid_token", ""},
		bad{"no refresh token of ours to sign out with", "user", "POST", "/logout", `{"refresh_token":"a.b.c"}`, nil, 401, "invalid_token", ""},
		bad{"a job's name that is taken", "user", "POST", "/job", `{"name":"mine","target":{"url":"https://example.com/"}}`, nil, 409, "name_taken", "name"},
		bad{"an old version", "user", "PATCH", "/job/mine", `{"description":"x"}`, []string{"If-Match", `"9"`}, 412, "version_mismatch", ""},
		bad{"a whole job with another name", "user", "PUT", "/job/mine", newJobBody, nil, 400, "validation_failed", "name"},
		bad{"a whole job without a target", "user", "PUT", "/job/mine", `{}`, nil, 400, "validation_failed", "target.url"},
		bad{"a whole job that cannot be, at a name that is free", "user", "PUT", "/job/free", `{"timeout":"0s",` + hook + `}`, nil, 400, "validation_failed", "timeout"},
		bad{"a whole job for an id that is none", "user", "PUT", "/job/999", newJobBody, nil, 404, "not_found", ""},
		bad{"a whole job with a null", "user", "PUT", "/job/mine", `{"timeout":null,` + hook + `}`, nil, 400, "validation_failed", "timeout"},
		bad{"a whole job as it was at another version", "user", "PUT", "/job/mine", `{"version":9,` + hook + `}`, nil, 412, "version_mismatch", ""},
		bad{"a whole job in another state", "user", "PUT", "/job/mine", `{"state":"completed",` + hook + `}`, nil, 400, "validation_failed", "state"},
		bad{"a new job with an id", "user", "POST", "/job", `{"name":"x","id":7,` + hook + `}`, nil, 400, "validation_failed", "id"},
		bad{"a whole job at an old version", "user", "PUT", "/job/mine", `{` + hook + `}`, []string{"If-Match", `"9"`}, 412, "version_mismatch", ""},
		bad{"a whole job that must be there", "user", "PUT", "/job/free", `{` + hook + `}`, []string{"If-Match", `*`}, 412, "version_mismatch", ""},
		bad{"a whole job that must not be there", "user", "PUT", "/job/mine", `{` + hook + `}`, []string{"If-None-Match", `*`}, 412, "version_mismatch", ""},
		bad{"a whole job that must not be there by id", "user", "PUT", "/job/1", `{` + hook + `}`, []string{"If-None-Match", `*`}, 412, "version_mismatch", ""},
		bad{"a version that must not be there", "user", "PUT", "/job/mine", `{` + hook + `}`, []string{"If-None-Match", `"1"`}, 400, "validation_failed", "If-None-Match"},
		bad{"an old version to restore at", "user", "POST", "/job/mine/version/1/restore", "", []string{"If-Match", `"9"`}, 412, "version_mismatch", ""},
		bad{"a clone with a name that is taken", "user", "POST", "/job/mine/clone", `{"name":"mine"}`, nil, 409, "name_taken", "name"},
		bad{"a clone without a name", "user", "POST", "/job/mine/clone", `{}`, nil, 400, "validation_failed", "name"},
		bad{"a clone of nothing", "user", "POST", "/job/none/clone", `{"name":"x"}`, nil, 404, "not_found", ""},
		bad{"a clone with a name that cannot be, of nothing", "user", "POST", "/job/none/clone", `{"name":"X"}`, nil, 400, "validation_failed", "name"},
		bad{"an empty Idempotency-Key", "user", "POST", "/job", newJobBody, []string{"Idempotency-Key", ""}, 400, "validation_failed", "Idempotency-Key"},
		bad{"an Idempotency-Key that is too long", "user", "POST", "/job", newJobBody, []string{"Idempotency-Key", strings.Repeat("k", 256)}, 400, "validation_failed", "Idempotency-Key"},
		bad{"an Idempotency-Key that is not ASCII", "user", "POST", "/job/mine/clone", `{"name":"x"}`, []string{"Idempotency-Key", "\xc3\xa9"}, 400, "validation_failed", "Idempotency-Key"},
		bad{"two Idempotency-Keys", "admin", "POST", "/user", newUserBody, []string{"Idempotency-Key", "a", "Idempotency-Key", "a"}, 400, "validation_failed", "Idempotency-Key"},
		bad{"an Idempotency-Key for a body that is wrong", "user", "POST", "/job", `{"name":"x"}`, []string{"Idempotency-Key", "wrong"}, 400, "validation_failed", "target.url"},
		bad{"the same again", "user", "POST", "/job", `{"name":"x"}`, []string{"Idempotency-Key", "wrong"}, 400, "validation_failed", "target.url"},
		bad{"an Idempotency-Key where rights are missing", "user", "POST", "/user", newUserBody, []string{"Idempotency-Key", ""}, 403, "forbidden", ""},
		bad{"an old version to delete", "user", "DELETE", "/job/mine", "", []string{"If-Match", `"9"`}, 412, "version_mismatch", ""},
		bad{"a version that is none", "user", "PATCH", "/job/mine", `{"description":"x"}`, []string{"If-Match", `9`}, 400, "validation_failed", "If-Match"},
		bad{"a long unknown name, cut", "user", "PATCH", "/user/me", `{"` + strings.Repeat("h", 1000) + `":1}`, nil, 400, "validation_failed", strings.Repeat("h", 64)},
	)
	return all
}

func TestBadInputIsRefusedAndChangesNothing(t *testing.T) {
	s := newServer(t)
	tokens := map[string]string{"admin": s.login("admin", adminPassword).access}
	user := s.asUser("arbath", false)
	user.createJob("mine")
	tokens["user"] = user.access
	before := s.digest()
	n := 0
	for _, group := range [][]bad{badPaths(), badTokens(), badBodies(), badMembers(), badOthers()} {
		for _, b := range group {
			n++
			t.Run(b.rule, func(t *testing.T) {
				r := s.in(t).send(b.method, b.target, b.body, tokens[b.as], b.header)
				if r.status != b.status || r.code != b.code {
					t.Errorf("got %d %s, want %d %s: %.500s", r.status, r.code, b.status, b.code, r.body)
				}
				if r.text("errors.0.field") != b.field {
					t.Errorf("got the field %q, want %q: %.500s", r.text("errors.0.field"), b.field, r.body)
				}
				for _, secret := range []string{"x-password", "admin123", tokens["admin"], tokens["user"]} {
					if strings.Contains(string(r.body), secret) {
						t.Errorf("the answer repeats %s: %.500s", secret, r.body)
					}
				}
				if len(r.body) > 2000 && len(b.target) < 1000 {
					t.Errorf("the answer is long: %d bytes", len(r.body))
				}
			})
		}
		if s.digest() != before {
			t.Fatal("the database has changed")
		}
	}
	if n < 150 {
		t.Errorf("only %d requests", n)
	}
	t.Logf("%d requests", n)
	if log := s.log.String(); strings.Contains(log, "request failed") || strings.Contains(log, "panic") {
		t.Errorf("the log has %s", log)
	}
}

func TestWhatIsWrongIsToldInTheOrderOfTheMembers(t *testing.T) {
	s := newServer(t)
	admin := s.login("admin", adminPassword)
	admin.newSecret("token", "https://api.example.com")
	admin.createJob("mine")
	for _, c := range []struct{ method, target, body, fields string }{
		{"POST", "/secret", `{"origins":["x","https://api.example.com","y"]}`, "name value origins[0] origins[2]"},
		{"PATCH", "/secret/token", `{"origins":[],"value":"x"}`, "value origins"},
		{"POST", "/key", `{"expires_at":"soon"}`, "name scopes expires_at"},
		{"POST", "/job", `{"version":1,"state":"enabled","id":7,"name":"x","timeout":"25h",` + hook + `}`, "id state version"},
		{"PATCH", "/job/mine", `{"state":"completed","id":999,"timeout":"25h"}`, "id state"},
		{"POST", "/job", `{"timeout":"25h","tags":["A"],"name":"A","target":{"url":"x"}}`, "name tags[0] target.url timeout"},
	} {
		r := admin.do(c.method, c.target, c.body)
		var fields []string
		for i := 0; r.text(fmt.Sprintf("errors.%d.field", i)) != ""; i++ {
			fields = append(fields, r.text(fmt.Sprintf("errors.%d.field", i)))
		}
		if r.status != 400 || strings.Join(fields, " ") != c.fields || r.message != r.text("errors.0.message") {
			t.Errorf("%s %s: got %v of %s", c.method, c.target, fields, r.body)
		}
	}
}

func TestAContentTypeThatIsRefusedSaysWhatToSend(t *testing.T) {
	s := newServer(t)
	for _, header := range [][]string{{"Content-Type", ""}, {"Content-Type", "application/x-www-form-urlencoded"}, {"Content-Type", "application/json", "Content-Type", "application/json"}} {
		r := s.send("POST", "/login", `{"identifier":"admin","password":"admin123"}`, "", header)
		if r.status != 415 || !strings.Contains(r.message, "send one header Content-Type: application/json, which curl does with --json") {
			t.Errorf("%q: got %s", header, r.body)
		}
	}
}

func TestOldAndOddRequests(t *testing.T) {
	s := newServer(t)
	admin := s.login("admin", adminPassword)
	auth := "Authorization: Bearer " + admin.access + "\r\n"
	for _, c := range []struct {
		rule, method, request string
		status                int
	}{
		{"HTTP/1.0 without a host", "GET", "GET /user/me HTTP/1.0\r\n" + auth + "\r\n", 200},
		{"an absolute target", "GET", "GET http://anything.example/user/me HTTP/1.1\r\nHost: localhost\r\n" + auth + "\r\n", 200},
		{"an absolute target without a path", "GET", "GET http://anything.example HTTP/1.1\r\nHost: localhost\r\n\r\n", 200},
		{"a query on an endpoint of the contract", "GET", "GET /user/me?limit=x&%zz HTTP/1.1\r\nHost: localhost\r\n" + auth + "\r\n", 200},
		{"a body where none is taken", "GET", "GET /user/me HTTP/1.1\r\nHost: localhost\r\n" + auth + "Content-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc", 200},
		{"a body of unknown length", "PATCH", "PATCH /user/me HTTP/1.1\r\nHost: localhost\r\n" + auth + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 200},
		{"a body of unknown length that is too long", "PATCH", "PATCH /user/me HTTP/1.1\r\nHost: localhost\r\n" + auth + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" +
			strings.Repeat("8000\r\n"+strings.Repeat(" ", 0x8000)+"\r\n", 40) + "0\r\n\r\n", 413},
		{"a body announced and not wanted", "PATCH", "PATCH /user/me HTTP/1.1\r\nHost: localhost\r\n" + auth + "Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n", 413},
		{"a type in another case, with its character set", "PATCH", "PATCH /user/me HTTP/1.1\r\nHost: localhost\r\n" + auth + "Content-Type: Application/JSON ; Charset=\"UTF-8\"\r\nContent-Length: 2\r\n\r\n{}", 200},
		{"space around the token", "GET", "GET /user/me HTTP/1.1\r\nHost: localhost\r\nAuthorization:   bearer   " + admin.access + "  \r\n\r\n", 200},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if r := s.in(t).raw(c.method, c.request); r.status != c.status {
				t.Errorf("got %d %s", r.status, r.body)
			}
		})
	}
	t.Run("a megabyte exactly is not too large", func(t *testing.T) {
		if r := admin.do("PATCH", "/user/me", "{"+strings.Repeat(" ", 1<<20-2)+"}"); r.status != 200 {
			t.Errorf("got %d %s", r.status, r.body)
		}
	})
	t.Run("a target of 8 KiB exactly is not too long", func(t *testing.T) {
		if r := admin.do("GET", "/user/me?"+strings.Repeat("a", 8<<10-len("/user/me?")), ""); r.status != 200 {
			t.Errorf("got %d %s", r.status, r.body)
		}
	})
}
