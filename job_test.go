package jadwal

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal/schedule"
)

func definition(change func(*Definition)) Definition {
	d := DefaultDefinition()
	d.Name = "invoice-nightly"
	d.Schedules = []schedule.Spec{{Cron: "30 2 * * *"}}
	d.Target.URL = "https://example.com/invoices"
	change(&d)
	return d
}

func TestDefinitionsThatAreRefused(t *testing.T) {
	many := map[string]string{}
	for i := range MaxHeaders + 1 {
		many[fmt.Sprint("X-", i)] = "{{x}}"
	}
	header := func(name, value string) func(*Definition) {
		return func(d *Definition) { d.Target.Headers = map[string]string{name: value} }
	}
	url := func(s string) func(*Definition) { return func(d *Definition) { d.Target.URL = s } }
	for _, c := range []struct {
		rule        string
		change      func(*Definition)
		field, code string
	}{
		{"a job has a name", func(d *Definition) { d.Name = "" }, "name", "required"},
		{"a name begins with a letter", func(d *Definition) { d.Name = "1st" }, "name", "invalid"},
		{"a name is in lower case", func(d *Definition) { d.Name = "Nightly" }, "name", "invalid"},
		{"a name has at most 63 characters", func(d *Definition) { d.Name = strings.Repeat("a", 64) }, "name", "invalid"},
		{"a name has no line end", func(d *Definition) { d.Name = "a\n" }, "name", "invalid"},
		{"a name is ASCII", func(d *Definition) { d.Name = "añ" }, "name", "invalid"},
		{"bulk is no name: the API's paths need it", func(d *Definition) { d.Name = "bulk" }, "name", "reserved"},
		{"a description is bounded", func(d *Definition) { d.Description = strings.Repeat("x", MaxDescription+1) }, "description", "too_long"},
		{"tags are bounded in number", func(d *Definition) { d.Tags = make([]string, MaxTags+1) }, "tags", "too_many"},
		{"a tag is not empty", func(d *Definition) { d.Tags = []string{"a", ""} }, "tags[1]", "invalid"},
		{"a tag has no spaces", func(d *Definition) { d.Tags = []string{"a b"} }, "tags[0]", "invalid"},
		{"a tag is there once", func(d *Definition) { d.Tags = []string{"a", "b", "a"} }, "tags[2]", "duplicate"},
		{"a timezone is one of the database", func(d *Definition) { d.Timezone = "Asia/Jakatra" }, "timezone", "unknown_zone"},
		{"a timezone is not empty", func(d *Definition) { d.Timezone = "" }, "timezone", "unknown_zone"},
		{"schedules are bounded in number", func(d *Definition) { d.Schedules = make([]schedule.Spec, 17) }, "schedules", "too_many"},
		{"a schedule has a member", func(d *Definition) { d.Schedules = []schedule.Spec{{}} }, "schedules[0]", "required"},
		{"a schedule has one member", func(d *Definition) { d.Schedules = []schedule.Spec{{Cron: "* * * * *", Every: "1m"}} }, "schedules[0]", "conflict"},
		{"the field of a wrong schedule is named", func(d *Definition) { d.Schedules = []schedule.Spec{{Every: "1m"}, {Cron: "75 * * * *"}} }, "schedules[1].cron", "out_of_range"},
		{"an expression that never fires is refused", func(d *Definition) { d.Schedules = []schedule.Spec{{Cron: "0 0 31 2 *"}} }, "schedules[0].cron", "never_fires"},
		{"an interval is at least a second", func(d *Definition) { d.Schedules = []schedule.Spec{{Every: "10ms"}} }, "schedules[0].every", "out_of_range"},
		{"a target is http", func(d *Definition) { d.Target.Type = "shell" }, "target.type", "invalid"},
		{"a method is one of six", func(d *Definition) { d.Target.Method = "CONNECT" }, "target.method", "invalid"},
		{"a method is in upper case", func(d *Definition) { d.Target.Method = "post" }, "target.method", "invalid"},
		{"a target has a URL", url(""), "target.url", "required"},
		{"a URL is absolute", url("/invoices"), "target.url", "invalid"},
		{"a URL has a scheme of HTTP", url("ftp://example.com/"), "target.url", "invalid"},
		{"a URL has a scheme", url("example.com"), "target.url", "invalid"},
		{"a scheme without slashes is no host", url("http:example.com"), "target.url", "invalid"},
		{"a URL has a host", url("http:///x"), "target.url", "invalid"},
		{"a port alone is no host", url("http://:80/"), "target.url", "invalid"},
		{"a URL has no user", url("http://user@example.com/"), "target.url", "invalid"},
		{"a URL has no password", url("http://u:p@example.com/"), "target.url", "invalid"},
		{"a URL has no fragment", url("http://example.com/#a"), "target.url", "invalid"},
		{"an empty fragment is a fragment", url("http://example.com/#"), "target.url", "invalid"},
		{"a URL has no space", url("http://example.com/a b"), "target.url", "invalid"},
		{"a URL has no line end", url("http://example.com/\r\nX: y"), "target.url", "invalid"},
		{"a URL is ASCII", url("http://exämple.com/"), "target.url", "invalid"},
		{"a URL is bounded", url("http://example.com/" + strings.Repeat("a", MaxTargetURL)), "target.url", "too_long"},
		{"a port is a number", url("http://example.com:http/"), "target.url", "invalid"},
		{"a port is at most 65535", url("http://example.com:65536/"), "target.url", "invalid"},
		{"a port is not 0", url("http://example.com:0/"), "target.url", "invalid"},
		{"a port is not empty", url("http://example.com:/"), "target.url", "invalid"},
		{"a host has no empty label", url("http://example..com/"), "target.url", "invalid"},
		{"a host label does not begin with a hyphen", url("http://-example.com/"), "target.url", "invalid"},
		{"a host is not percent-encoded", url("http://ex%61mple.com/"), "target.url", "invalid"},
		{"a bad escape is refused", url("http://example.com/%zz"), "target.url", "invalid"},
		{"an address in brackets is one of IPv6", url("http://[127.0.0.1]/"), "target.url", "invalid"},
		{"an address has no zone", url("http://[fe80::1%25eth0]/"), "target.url", "invalid"},
		{"headers are bounded in number, and too many are not looked at one by one", func(d *Definition) { d.Target.Headers = many }, "target.headers", "too_many"},
		{"headers are bounded in bytes", header("X-A", strings.Repeat("x", MaxHeaderBytes)), "target.headers", "too_long"},
		{"a header name is not empty", header("", "x"), "target.headers.", "invalid"},
		{"a header name is a token", header("X A", "x"), "target.headers.X A", "invalid"},
		{"a header name has no colon", header("X:", "x"), "target.headers.X:", "invalid"},
		{"a header value has no line end", header("X-A", "a\r\nB: c"), "target.headers.X-A", "invalid"},
		{"a header value has no NUL", header("X-A", "a\x00"), "target.headers.X-A", "invalid"},
		{"a header value does not end with a space", header("X-A", "a "), "target.headers.X-A", "invalid"},
		{"a header is there once, whatever its case", func(d *Definition) { d.Target.Headers = map[string]string{"X-A": "", "x-a": ""} }, "target.headers.x-a", "duplicate"},
		{"Host belongs to the URL", header("host", "x"), "target.headers.host", "refused"},
		{"Content-Length belongs to the connection", header("Content-Length", "1"), "target.headers.Content-Length", "refused"},
		{"hop-by-hop headers belong to the connection", header("Transfer-Encoding", "chunked"), "target.headers.Transfer-Encoding", "refused"},
		{"TE belongs to the connection", header("te", "trailers"), "target.headers.te", "refused"},
		{"Proxy-* belongs to proxies", header("Proxy-Authorization", "x"), "target.headers.Proxy-Authorization", "refused"},
		{"webhook-* is ours", header("Webhook-Id", "x"), "target.headers.Webhook-Id", "refused"},
		{"Jadwal-* is ours", header("jadwal-attempt", "x"), "target.headers.jadwal-attempt", "refused"},
		{"Idempotency-Key is ours", header("Idempotency-Key", "x"), "target.headers.Idempotency-Key", "refused"},
		{"a body is bounded", func(d *Definition) { d.Target.Body = make(RawJSON, MaxTargetBody+1) }, "target.body", "too_long"},
		{"GET has no body", func(d *Definition) { d.Target.Method, d.Target.Body = "GET", RawJSON("1") }, "target.body", "invalid"},
		{"a timeout is at least a second", func(d *Definition) { d.Timeout = Duration(time.Second - 1) }, "timeout", "out_of_range"},
		{"a timeout is at most a day", func(d *Definition) { d.Timeout = Duration(MaxTimeout + 1) }, "timeout", "out_of_range"},
		{"a timeout is not negative", func(d *Definition) { d.Timeout = -1 }, "timeout", "out_of_range"},
		{"an overlap policy is one that there is", func(d *Definition) { d.Overlap = "queue" }, "overlap", "invalid"},
		{"allow needs room for two", func(d *Definition) { d.Overlap = OverlapAllow }, "max_concurrent", "out_of_range"},
		{"allow is bounded", func(d *Definition) { d.Overlap, d.MaxConcurrent = OverlapAllow, MaxConcurrent+1 }, "max_concurrent", "out_of_range"},
		{"without allow there is one run at once", func(d *Definition) { d.MaxConcurrent = 2 }, "max_concurrent", "out_of_range"},
		{"max_runs is not negative", func(d *Definition) { d.MaxRuns = -1 }, "max_runs", "out_of_range"},
		{"max_runs is bounded", func(d *Definition) { d.MaxRuns = MaxRuns + 1 }, "max_runs", "out_of_range"},
		{"jitter is not negative", func(d *Definition) { d.Jitter = -1 }, "jitter", "out_of_range"},
		{"jitter is at most a day", func(d *Definition) { d.Jitter = Duration(MaxJitter + 1) }, "jitter", "out_of_range"},
		{"there is one attempt at least", func(d *Definition) { d.Retry.MaxAttempts = 0 }, "retry.max_attempts", "out_of_range"},
		{"attempts are bounded", func(d *Definition) { d.Retry.MaxAttempts = MaxAttempts + 1 }, "retry.max_attempts", "out_of_range"},
		{"a backoff is a second at least", func(d *Definition) { d.Retry.MinBackoff = 1 }, "retry.min_backoff", "out_of_range"},
		{"a backoff is a day at most", func(d *Definition) { d.Retry.MaxBackoff = Duration(MaxBackoff + 1) }, "retry.max_backoff", "out_of_range"},
		{"a backoff has room to grow", func(d *Definition) { d.Retry.MaxBackoff = d.Retry.MinBackoff - 1 }, "retry.max_backoff", "invalid"},
		{"a backoff does not shrink", func(d *Definition) { d.Retry.Multiplier = 0.9 }, "retry.multiplier", "out_of_range"},
		{"a backoff does not explode", func(d *Definition) { d.Retry.Multiplier = 11 }, "retry.multiplier", "out_of_range"},
		{"retries end", func(d *Definition) { d.Retry.MaxDuration = Duration(MaxRetryDuration + 1) }, "retry.max_duration", "out_of_range"},
		{"a catch-up rule is one that there is", func(d *Definition) { d.Catchup = "some" }, "catchup", "invalid"},
		{"a catch-up window is a second at least", func(d *Definition) { d.CatchupWindow = new(Duration) }, "catchup_window", "out_of_range"},
		{"a completed job is kept or deleted", func(d *Definition) { d.AfterCompletion = "archive" }, "after_completion", "invalid"},
		{"what is kept of a success is not negative", func(d *Definition) { d.Output.Success = -1 }, "output.success", "out_of_range"},
		{"what is kept of a failure is bounded", func(d *Definition) { d.Output.Failure = MaxOutput + 1 }, "output.failure", "out_of_range"},
		{"failures that pause are counted from one", func(d *Definition) { d.PauseAfterFailures = -1 }, "pause_after_failures", "out_of_range"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			d := definition(c.change)
			err := d.Validate()
			e, ok := err.(*Error)
			if !ok || e.Code != CodeValidation || len(e.Fields) == 0 {
				t.Fatalf("got %v", err)
			}
			if e.Fields[0].Field != c.field || e.Fields[0].Code != c.code || e.Fields[0].Message == "" {
				t.Errorf("got %+v, want %s %s", e.Fields, c.field, c.code)
			}
		})
	}
}

func TestDefinitionsThatAreGood(t *testing.T) {
	for rule, change := range map[string]func(*Definition){
		"the defaults are good":                  func(d *Definition) {},
		"two runs at once":                       func(d *Definition) { d.Overlap, d.MaxConcurrent = OverlapAllow, 2 },
		"one attempt":                            func(d *Definition) { d.Retry.MaxAttempts = 1 },
		"a constant backoff":                     func(d *Definition) { d.Retry.MaxBackoff, d.Retry.Multiplier = d.Retry.MinBackoff, 1 },
		"a jitter longer than the gaps":          func(d *Definition) { d.Jitter = Duration(MaxJitter) },
		"a job without schedules runs by hand":   func(d *Definition) { d.Schedules = nil },
		"the longest name":                       func(d *Definition) { d.Name = strings.Repeat("a", 63) },
		"a name of one letter":                   func(d *Definition) { d.Name = "a" },
		"an address and a port":                  func(d *Definition) { d.Target.URL = "http://127.0.0.1:9000" },
		"an IPv6 address":                        func(d *Definition) { d.Target.URL = "https://[2001:db8::1]:8443/a?b=c%20d" },
		"the name of a container":                func(d *Definition) { d.Target.URL = "http://my_service:80/x" },
		"a host with a trailing dot":             func(d *Definition) { d.Target.URL = "http://example.com./" },
		"a header with a tab and bytes over 127": func(d *Definition) { d.Target.Headers = map[string]string{"X-A": "a\tb é"} },
		"an empty header":                        func(d *Definition) { d.Target.Headers = map[string]string{"X-A": ""} },
		"a body for DELETE":                      func(d *Definition) { d.Target.Method, d.Target.Body = "DELETE", RawJSON("{}") },
		"the longest timeout":                    func(d *Definition) { d.Timeout = Duration(24 * time.Hour) },
	} {
		t.Run(rule, func(t *testing.T) {
			d := definition(change)
			if err := d.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestEverythingWrongIsToldAtOnce(t *testing.T) {
	d := definition(func(d *Definition) {
		d.Name, d.Timezone, d.Target.URL, d.Timeout = "", "Mars/Olympus", "x", 0
	})
	d.Schedules = []schedule.Spec{{Cron: "0 2 * * *"}, {Cron: "75 * * * *"}, {At: "2027-03-14T02:30:00"}, {}}
	var fields []string
	if e, ok := d.Validate().(*Error); ok {
		for _, f := range e.Fields {
			fields = append(fields, f.Field)
		}
	}
	want := []string{"name", "timezone", "schedules[1].cron", "schedules[3]", "target.url", "timeout"}
	if !slices.Equal(fields, want) {
		t.Errorf("got %q, want %q", fields, want)
	}
}

func at(s string) time.Time {
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return v
}

func TestFirst(t *testing.T) {
	now := "2026-11-23T10:00:30Z"
	for _, c := range []struct {
		rule  string
		specs []schedule.Spec
		want  string // "": none; "in_past": refused
	}{
		{"the next planned instant", []schedule.Spec{{Cron: "* * * * *"}}, "2026-11-23T10:01:00Z"},
		{"an interval begins at the job's creation", []schedule.Spec{{Every: "6h"}}, "2026-11-23T16:00:30Z"},
		{"the earliest of several", []schedule.Spec{{Every: "6h"}, {At: "2026-11-23T11:00:00Z"}}, "2026-11-23T11:00:00Z"},
		{"a job without schedules has none", nil, ""},
		{"an at to come", []schedule.Spec{{At: "2026-11-23T17:30:00+07:00"}}, "2026-11-23T10:30:00Z"},
		{"an at of a moment ago runs at once", []schedule.Spec{{At: "2026-11-23T10:00:29Z"}}, "2026-11-23T10:00:29Z"},
		{"an at of an hour ago runs at once", []schedule.Spec{{At: "2026-11-23T09:00:30Z"}}, "2026-11-23T09:00:30Z"},
		{"an at of more than an hour ago is refused", []schedule.Spec{{At: "2026-11-23T09:00:29Z"}}, "in_past"},
		{"one that is too old is refused beside others", []schedule.Spec{{Every: "1m"}, {At: "2020-01-01T00:00:00Z"}}, "in_past"},
		{"an at that is late is refused beside others", []schedule.Spec{{Cron: "* * * * *"}, {At: "2026-11-23T10:00:00Z"}}, "in_past"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			d := definition(func(d *Definition) { d.Schedules = c.specs })
			got, err := d.First(at(now), 7)
			if c.want == "in_past" {
				e, _ := err.(*Error)
				if e == nil || e.Fields[0].Code != "in_past" || !strings.HasSuffix(e.Fields[0].Field, ".at") {
					t.Errorf("got %v, %v", got, err)
				}
				return
			}
			want := time.Time{}
			if c.want != "" {
				want = at(c.want)
			}
			if err != nil || !got.Equal(want) {
				t.Errorf("got %v, %v, want %v", got, err, want)
			}
		})
	}
}

func TestAnEditBringsInNothingThatHasPassed(t *testing.T) {
	now := at("2026-11-23T10:00:30Z")
	before := definition(func(d *Definition) { d.Schedules = []schedule.Spec{{At: "2026-11-23T09:00:00Z"}} })
	for _, c := range []struct {
		rule   string
		at     string
		refuse bool
	}{
		{"what it had may stay", "2026-11-23T09:00:00Z", false},
		{"the same instant may be written otherwise", "2026-11-23T16:00:00+07:00", false},
		{"what is to come is fine", "2026-11-23T10:00:31Z", false},
		{"now has passed", "2026-11-23T10:00:30Z", true},
		{"what has passed is refused", "2026-11-23T10:00:00Z", true},
	} {
		t.Run(c.rule, func(t *testing.T) {
			after := definition(func(d *Definition) { d.Schedules = []schedule.Spec{{At: c.at}} })
			if err := after.CheckEdit(&before, now); (err != nil) != c.refuse {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestStateAfterEdit(t *testing.T) {
	now := at("2026-11-23T10:00:30Z")
	past, future := []schedule.Spec{{At: "2026-11-23T10:00:00Z"}}, []schedule.Spec{{At: "2026-11-24T10:00:00Z"}}
	for _, c := range []struct {
		rule   string
		before JobState
		specs  []schedule.Spec
		want   JobState
	}{
		{"a paused job stays paused", JobPaused, future, JobPaused},
		{"a paused job stays paused with nothing left", JobPaused, past, JobPaused},
		{"an enabled job stays enabled", JobEnabled, future, JobEnabled},
		{"a job with nothing left is completed", JobEnabled, past, JobCompleted},
		{"a completed job with more to come is enabled again", JobCompleted, future, JobEnabled},
		{"a job without schedules is enabled: it runs by hand", JobCompleted, nil, JobEnabled},
	} {
		t.Run(c.rule, func(t *testing.T) {
			d := definition(func(d *Definition) { d.Schedules = c.specs })
			got, err := d.StateAfterEdit(c.before, now.Add(-time.Hour), now, 7)
			if err != nil || got != c.want {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestSecretHeaders(t *testing.T) {
	target := Target{Headers: map[string]string{
		"authorization": "a", "COOKIE": "b", "X-Api-Key": "c", "x-auth-token": "d", "X-Plain": "e", "Key": "f", "X-Tokens": "g",
	}}
	if got := strings.Join(target.SecretHeaders(), " "); got != "COOKIE X-Api-Key authorization x-auth-token" {
		t.Error(got)
	}
	shown := target.Shown().Headers
	if len(shown) != 3 || shown["X-Plain"] != "e" || shown["Key"] != "f" || shown["X-Tokens"] != "g" {
		t.Error(shown)
	}
	if len(target.Headers) != 7 {
		t.Error("Shown changed the target")
	}
	for _, c := range []struct {
		rule, value string
		hidden      bool
	}{
		{"what only names a secret is none", `{{secret "token"}}`, false},
		{"nor is it behind a scheme", `Bearer {{secret "token"}}`, false},
		{"in whatever case, and whatever spaces are in the braces", `bEARER {{  secret "token" }}`, false},
		{"more text behind the name may be one", `Bearer {{secret "token"}}:hunter2`, true},
		{"and text before it that is no scheme", `Bearer hunter2 {{secret "token"}}`, true},
		{"and a scheme without its space", `Bearer{{secret "token"}}`, true},
		{"and two names", `{{secret "token"}}{{secret "token"}}`, true},
		{"and a text that is written as an expression", `{{"hunter2"}}{{secret "token"}}`, true},
		{"and one with an expression that names none", `Bearer {{"hunter2"}}`, true},
		{"and one without any", `Bearer {{run.id}}`, true},
		{"and an empty expression", `{{""}}`, true},
		{"and what is no template that can be read", `Bearer {{secret "token"`, true},
		{"and nothing, which stands for what cannot be opened", "", true},
	} {
		target := Target{Headers: map[string]string{"Authorization": c.value}}
		_, sealed := target.SecretValues()["Authorization"]
		value, shown := target.Shown().Headers["Authorization"]
		if hidden := len(target.SecretHeaders()) == 1; hidden != c.hidden || sealed != c.hidden || shown == c.hidden || shown && value != c.value {
			t.Errorf("%s: hidden %v, sealed %v, shown %q", c.rule, hidden, sealed, value)
		}
	}
}

// What an origin is does not depend on how it is found.
func TestPlainOrigin(t *testing.T) {
	plain := 0
	for _, scheme := range []string{"http://", "https://", "HTTP://", "ftp://", "http:", ""} {
		for _, host := range []string{"example.com", "10.0.0.5", "a-b.c", "[::1]", "EXAMPLE.com", "a_b", "", "-", "user@example.com", "ex%41mple.com", "a:b"} {
			for _, port := range []string{"", ":", ":80", ":443", ":8080", ":080", ":0", ":x", ":443:1", ":1:"} {
				for _, rest := range []string{"", "/", "/a?b=c", "?b", "#c", "{{run.id}}", "/{{run.id}}", "/ a"} {
					target := Target{URL: scheme + host + port + rest}
					n := plainOrigin(target.URL)
					if n == 0 {
						continue
					}
					plain++
					u, err := url.Parse(scheme + host + port)
					if err != nil || OriginOf(u) != target.URL[:n] {
						t.Errorf("%s: %s, %v", target.URL, target.URL[:n], err)
					}
				}
			}
		}
	}
	if plain < 50 {
		t.Errorf("only %d were plain", plain)
	}
}

func TestOrigin(t *testing.T) {
	for _, c := range []struct{ a, b, rule string }{
		{"http://example.com/a", "http://EXAMPLE.com:80/b?c", "same"},
		{"https://example.com", "https://example.com:443/", "same"},
		{"http://example.com/", "https://example.com/", "other"},
		{"http://example.com/", "http://example.com:8080/", "other"},
		{"http://example.com/", "http://www.example.com/", "other"},
	} {
		a, b := Target{URL: c.a}, Target{URL: c.b}
		if (a.Origin() == b.Origin()) != (c.rule == "same") {
			t.Errorf("%s and %s: %s, %s", c.a, c.b, a.Origin(), b.Origin())
		}
	}
}

func TestDueSince(t *testing.T) {
	at := time.Date(2026, 11, 23, 2, 30, 0, 0, time.UTC)
	hourly := DefaultDefinition()
	hourly.Schedules = []schedule.Spec{{Cron: "30 * * * *"}}
	jittered := hourly
	jittered.Jitter = Duration(30 * time.Minute)
	plan, err := jittered.Plan(at.Add(-time.Hour), 7)
	if err != nil {
		t.Fatal(err)
	}
	late := jittered.Rules(plan, 7).DueAt(at)
	if !late.After(at) {
		t.Fatal("this instant of this job has no jitter; choose another id")
	}
	for _, tt := range []struct {
		rule string
		job  Job
		now  time.Time
		want time.Time
	}{
		{"nothing is due before the cursor", Job{State: JobEnabled, NextAt: at, Definition: hourly}, at.Add(-1), time.Time{}},
		{"the cursor is due at its instant", Job{State: JobEnabled, NextAt: at, Definition: hourly}, at, at},
		{"and since then, however late it is", Job{State: JobEnabled, NextAt: at, Definition: hourly}, at.Add(5 * time.Hour), at},
		{"with jitter it is due later", Job{State: JobEnabled, NextAt: at, Definition: jittered}, late.Add(-1), time.Time{}},
		{"and since then", Job{State: JobEnabled, NextAt: at, Definition: jittered}, late, late},
		{"a paused job owes nothing", Job{State: JobPaused, NextAt: at, Definition: hourly}, at.Add(time.Hour), time.Time{}},
		{"a job without a plan owes nothing", Job{State: JobEnabled, Definition: DefaultDefinition()}, at, time.Time{}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			tt.job.ID, tt.job.CreatedAt = 7, at.Add(-time.Hour)
			if got := tt.job.DueSince(tt.now); !got.Equal(tt.want) {
				t.Errorf("due since %v, want %v", got, tt.want)
			}
		})
	}
}
