package jadwal

import (
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// templated is a definition with those texts for its URL, its header X-A and its
// body.
func templated(address, header, body string) Definition {
	d := DefaultDefinition()
	d.Name, d.Tags, d.Timezone = "invoice-nightly", []string{"billing", "eu"}, "Asia/Jakarta"
	d.Target.URL = address
	if header != "" {
		d.Target.Headers = map[string]string{"X-A": header}
	}
	if body != "" {
		d.Target.Body = RawJSON(body)
	}
	return d
}

// attemptValues are those of an attempt, in the sixth hour of 2027 in Jakarta.
var attemptValues = Values{RunID: "00361qvegeug00000000000004000", Attempt: 2, DueAt: time.Date(2026, 12, 31, 22, 30, 4, 56e6, time.UTC)}

func secretsOf(value string) []SecretValue {
	return []SecretValue{{Name: "other", OwnerID: 1}, {Name: "token", OwnerID: 1, Value: value, Origins: []string{"https://api.example.com"}}}
}

func TestFillingIn(t *testing.T) {
	const wild = "a/b?c=d&e #\"\\\n%<>é"
	for _, tt := range []struct {
		rule, in, want string // the body, as it is sent
	}{
		{"a run id", `"{{run.id}}"`, "00361qvegeug00000000000004000"},
		{"an attempt", `"{{run.attempt}}"`, "2"},
		{"a job's name", `"{{job.name}}"`, "invoice-nightly"},
		{"a job's tags", `"{{job.tags}}"`, "billing,eu"},
		{"an instant is in the job's zone", `"{{run.due_at}}"`, "2027-01-01T05:30:04.056+07:00"},
		{"or in another", `"{{run.due_at \"rfc3339\" \"UTC\"}}"`, "2026-12-31T22:30:04.056Z"},
		{"a date", `"{{run.due_at \"date\"}}"`, "2027-01-01"},
		{"a date elsewhere", `"{{run.due_at \"date\" \"America/New_York\"}}"`, "2026-12-31"},
		{"seconds", `"{{run.due_at \"unix\"}}"`, "1798756204"},
		{"milliseconds", `"{{run.due_at \"unix_ms\"}}"`, "1798756204056"},
		{"any format", `"{{run.due_at \"%Y/%m/%d %H:%M:%S.%L %z day %j, week %G-W%V-%u, %s 100%%\"}}"`, "2027/01/01 05:30:04.056 +0700 day 001, week 2026-W53-5, 1798756204 100%"},
		{"space inside of braces does not count", `"{{  run.attempt   }}"`, "2"},
		{"braces are written as a text", `"{{\"{{\"}}run.id}} {{\"}}\"}} }} {"`, "{{run.id}} }} }} {"},
		{"what is no template is not touched", `"{ {run.id} } }}"`, "{ {run.id} } }}"},
		{"a secret in a text is as it is", `"{{secret \"token\"}}"`, wild},
		{"a secret in JSON stays within its string", `{"a":["x{{secret \"token\"}}y",{"b{{run.attempt}}":1.50}]}`, `{"a":["xa/b?c=d&e #\"\\\n%<>éy",{"b2":1.50}]}`},
		{"what stands around it in JSON stays what it means", `{"a\u0022":"\u00e9\n{{run.attempt}}\ud83d\udca5"}`, `{"a\u0022":"é\n2💥"}`},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			d := templated("https://api.example.com/", "", tt.in)
			d.Target.Headers = nil
			ts := d.Templates()
			if ts == nil {
				if text := ""; json.Unmarshal([]byte(tt.in), &text) != nil || text != tt.want {
					t.Errorf("it is no template, and %q", text)
				}
				return
			}
			f, wrong := ts.Fill(attemptValues, 1, secretsOf(wild))
			if wrong != nil || string(f.Body) != tt.want {
				t.Errorf("%v\n got %s\nwant %s", wrong, f.Body, tt.want)
			}
		})
	}
}

func TestEachPlaceHasItsEscape(t *testing.T) {
	const wild = "a/../b?c=d&e #\"\\%<>+é"
	fill := func(t *testing.T, d Definition) Filled {
		t.Helper()
		f, wrong := d.Templates().Fill(attemptValues, 1, secretsOf(wild))
		if wrong != nil {
			t.Fatal(wrong.Message)
		}
		return f
	}
	t.Run("a value stays in its segment of a path, and in its part of a query", func(t *testing.T) {
		f := fill(t, templated(`https://api.example.com/v1/{{secret "token"}}/x?a={{secret "token"}}&b=1`, "", ""))
		u, err := url.Parse(f.URL)
		if err != nil || u.Host != "api.example.com" || strings.Count(u.EscapedPath(), "/") != 3 || u.Fragment != "" {
			t.Fatalf("%s, %v", f.URL, err)
		}
		if got := u.Query(); got.Get("a") != wild || got.Get("b") != "1" || len(got) != 2 || u.Path != "/v1/"+wild+"/x" {
			t.Errorf("%q, %q", u.Path, got)
		}
	})
	t.Run("a form's is like a query's", func(t *testing.T) {
		d := templated("https://api.example.com/", "", `"a={{secret \"token\"}}&b=1"`)
		d.Target.Headers = map[string]string{"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
		if got, err := url.ParseQuery(string(fill(t, d).Body)); err != nil || got.Get("a") != wild || got.Get("b") != "1" || len(got) != 2 {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("a text that is JSON is filled in as JSON", func(t *testing.T) {
		text, _ := json.Marshal(`{"a": "{{secret "token"}}"}`)
		f := fill(t, templated("https://api.example.com/", "", string(text)))
		var got map[string]string
		if err := json.Unmarshal(f.Body, &got); err != nil || got["a"] != wild || f.ContentType != "application/json" {
			t.Errorf("%s, %s, %v", f.Body, f.ContentType, err)
		}
	})
	t.Run("any other text is as it is, and so is a header", func(t *testing.T) {
		f := fill(t, templated("https://api.example.com/", `Bearer {{secret "token"}}`, `"<a>{{secret \"token\"}}</a>"`))
		if string(f.Body) != "<a>"+wild+"</a>" || f.ContentType != "text/plain; charset=utf-8" || !reflect.DeepEqual(f.Headers, []FilledHeader{{"X-A", "Bearer " + wild, true}}) {
			t.Errorf("%+v", f)
		}
		if !f.SecretBody {
			t.Errorf("what is secret of it: %+v", f)
		}
	})
}

func TestTemplatesThatAreRefused(t *testing.T) {
	for _, tt := range []struct{ rule, url, header, body, want string }{
		{"it has an end", "", "", `"a{{run.id"`, "target.body, at byte 2: the expression has no }}"},
		{"it has something in it", "", "{{}}", "", "target.headers.X-A, at byte 1: the expression is empty"},
		{"it is known", "", "{{run.name}}", "", "run.name is not known; there are run.id, run.attempt, run.due_at, job.name, job.tags, secret"},
		{"no calls", "", `{{secret("token")}}`, "", "the expression is not understood"},
		{"no pipes", "", `{{run.id | upper}}`, "", "the expression is not understood"},
		{"one expression in a pair of braces", "", `{{run.id run.id}}`, "", "the expression is not understood"},
		{"no upper case", "", `{{Run.ID}}`, "", "the expression is not understood"},
		{"a secret has a name", "", `{{secret}}`, "", `secret wants a name, such as {{secret "api-token"}}`},
		{"one name", "", `{{secret "a" "b"}}`, "", "secret has too many texts behind it"},
		{"a name has a form", "", `{{secret "No"}}`, "", "a secret has a name of 1 to 63"},
		{"a run id takes nothing", "", `{{run.id "x"}}`, "", "run.id has too many texts behind it"},
		{"a format is known", "", `{{run.due_at "iso"}}`, "", "iso is no format of an instant; there are rfc3339, date, unix, unix_ms"},
		{"so is each part of it", "", `{{run.due_at "%Y-%q"}}`, "", "a % that is followed by nothing known"},
		{"and its last", "", `{{run.due_at "100%"}}`, "", "a % that is followed by nothing known"},
		{"a zone is known", "", `{{run.due_at "date" "Mars/Olympus"}}`, "", "Mars/Olympus is no time zone"},
		{"a text has an end", "", `{{secret "a}}`, "", "a text in the expression has no end"},
		{"a text has no backslash", "", `{{"a\\b"}}`, "", "a text in the expression has a backslash"},
		{"a text is short", "", `{{"` + strings.Repeat("x", 129) + `"}}`, "", "more than 128 bytes"},
		{"nothing in the host", "https://{{job.name}}.example.com/", "", "", "target.url, at byte 9: an expression stands in the path or the query only"},
		{"nor in its end", "https://api.example.com{{run.id}}/", "", "", "target.url, at byte 24: an expression stands"},
		{"nor in the port", "https://api.example.com:{{run.attempt}}/", "", "", "target.url, at byte 25: an expression stands"},
		{"nor in the scheme", "{{job.name}}://api.example.com/", "", "", "target.url, at byte 1: an expression stands"},
		{"nor a text, which the origin would not have", `https://api.example.com{{"a"}}/`, "", "", "target.url, at byte 24: an expression stands"},
		{"a place in JSON is that of what is written", "", "", `{"\u00e9\n":"x\ud83d\udca5\"{{nope}}"}`, "target.body, at byte 29: nope is not known"},
		{"64 expressions are enough", "", "", `"` + strings.Repeat("{{run.id}}", 65) + `"`, "a target has at most 64 expressions, got 65"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if tt.url == "" {
				tt.url = "https://api.example.com/"
			}
			d := templated(tt.url, tt.header, tt.body)
			err := d.Validate()
			if CodeOf(err) != CodeValidation || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if _, wrong := d.Templates().Fill(attemptValues, 1, nil); wrong == nil {
				t.Error("it can be filled in")
			}
		})
	}
	for _, tt := range []struct {
		rule, url, header, secret, want string
	}{
		{"no line end comes into a header", "", `{{secret "token"}}`, "a\r\nX-B: c", "header X-A cannot be filled in: what is filled in holds a line end"},
		{"nor space at its ends", "", `{{secret "token"}}`, "token ", "header X-A cannot be filled in"},
		{"a segment does not become ..", `https://api.example.com/a/{{secret "token"}}/b`, "", "..", "target.url cannot be filled in: its path has . or .. as a segment"},
		{"nor by what is beside it", `https://api.example.com/a/.{{secret "token"}}`, "", ".", "its path has ."},
		{"a URL does not grow without bound", `https://api.example.com/{{secret "token"}}`, "", strings.Repeat("x", 8<<10), "target.url cannot be filled in: it is too long"},
		{"nor by what is escaped", `https://api.example.com/{{secret "token"}}`, "", strings.Repeat("/", 4<<10), "target.url cannot be filled in: it is too long"},
		{"nor does a header", "", `{{secret "token"}}{{secret "token"}}`, strings.Repeat("x", 40<<10), "header X-A cannot be filled in: it is too long"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if tt.url == "" {
				tt.url = "https://api.example.com/"
			}
			d := templated(tt.url, tt.header, "")
			_, wrong := d.Templates().Fill(attemptValues, 1, secretsOf(tt.secret))
			if wrong == nil || !strings.Contains(wrong.Message, tt.want) || strings.Contains(wrong.Message, tt.secret) && len(tt.secret) > 2 {
				t.Errorf("got %+v, want %s", wrong, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		rule   string
		owner  int64
		secret SecretValue
		want   string
	}{
		{"a secret of another user is none", 1, SecretValue{Name: "token", OwnerID: 2, Value: "value", Origins: []string{"https://api.example.com"}}, "the job's owner has no secret token"},
		{"one for other origins is not sent", 1, SecretValue{Name: "token", OwnerID: 1, Value: "value", Origins: []string{"https://api.example.com:8443", "http://api.example.com"}}, "secret token may not be sent to https://api.example.com; its origins are https://api.example.com:8443, http://api.example.com"},
		{"one that cannot be opened is not", 1, SecretValue{Name: "token", OwnerID: 1, Origins: []string{"https://api.example.com"}, Locked: true}, "secret token cannot be opened"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			d := templated("https://api.example.com/", "", `"{{secret \"token\"}}"`)
			_, wrong := d.Templates().Fill(attemptValues, tt.owner, []SecretValue{tt.secret})
			if wrong == nil || !strings.Contains(wrong.Message, tt.want) || wrong.Field != "target.body" {
				t.Errorf("got %+v, want %s", wrong, tt.want)
			}
		})
	}
}

func TestOrigins(t *testing.T) {
	for given, want := range map[string]string{
		"https://api.example.com":     "https://api.example.com",
		"HTTPS://API.Example.com:443": "https://api.example.com",
		"http://a:80":                 "http://a",
		"http://a:443":                "http://a:443",
		"https://a:0443":              "https://a",
		"https://[2001:db8::1]:8443":  "https://[2001:db8::1]:8443",
		"https://10.0.0.5":            "https://10.0.0.5",
		"ftp://a":                     "",
		"https://":                    "",
		"https://a/":                  "",
		"https://a?":                  "",
		"https://a?b":                 "",
		"https://a#":                  "",
		"https://u@a":                 "",
		"https://a:":                  "",
		"https://a:0":                 "",
		"https://a:99999":             "",
		"https://*.a":                 "",
		"https://a b":                 "",
		"//a":                         "",
		"a":                           "",
		"":                            "",
		"https://a\\@b":               "",
	} {
		got, ok := ParseOrigin(given)
		if got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", given, got, ok)
		}
		if target := (Target{URL: given + "/x?{{run.id}}"}); ok && target.Origin() != want {
			t.Errorf("a target there: %s", target.Origin())
		}
	}
}

// FuzzTemplates holds that whatever is valid is filled in so that no value
// leaves its place, whatever it is.
func FuzzTemplates(f *testing.F) {
	f.Add(`/v1/{{run.id}}?a={{secret "token"}}`, `Bearer {{secret "token"}}`, `{"a":["{{secret \"token\"}}"]}`, "a/../b?c&d#e\"\\\r\n%00")
	f.Add(`/{{"{{"}}/{{run.due_at "%Y" "UTC"}}`, `{{job.tags}}`, `"{{secret \"token\"}}"`, "..")
	f.Add(`/{{`, `}}`, `"{{\u0022x\u0022}}"`, "")
	f.Fuzz(func(t *testing.T, path, header, body, secret string) {
		d := templated("https://api.example.com/"+path, header, body)
		if !json.Valid([]byte(body)) || d.Validate() != nil {
			return
		}
		ts := d.Templates()
		if ts == nil {
			return
		}
		f, wrong := ts.Fill(attemptValues, 1, secretsOf(secret))
		if wrong != nil {
			return
		}
		plain, wrong := ts.Fill(attemptValues, 1, secretsOf("xxxx"))
		if wrong != nil {
			return
		}
		if f.URL != "" {
			u, err := url.Parse(f.URL)
			if err != nil || u.Host != "api.example.com" || u.Scheme != "https" || u.User != nil || u.Fragment != "" {
				t.Fatalf("%q, %v", f.URL, err)
			}
			p, _ := url.Parse(plain.URL)
			if strings.Count(u.EscapedPath(), "/") != strings.Count(p.EscapedPath(), "/") || strings.Count(u.RawQuery, "&") != strings.Count(p.RawQuery, "&") {
				t.Fatalf("%q is not like %q", f.URL, plain.URL)
			}
		}
		for _, h := range f.Headers {
			if !validHeaderValue(h.Value) {
				t.Fatalf("%q", h.Value)
			}
		}
		if f.ContentType == "application/json" && f.Body != nil {
			var one, other any
			if err := json.Unmarshal(f.Body, &one); err != nil {
				t.Fatalf("%q: %v", f.Body, err)
			}
			if err := json.Unmarshal(plain.Body, &other); err == nil && shapeOf(one) != shapeOf(other) && !strings.Contains(body, "\\u") {
				t.Fatalf("%q is not like %q", f.Body, plain.Body)
			}
		}
	})
}

// shapeOf is how a JSON value is put together, without its strings.
func shapeOf(v any) string {
	switch v := v.(type) {
	case map[string]any:
		return "{" + strings.Repeat(".", min(len(v), 1)) + "}"
	case []any:
		s := "["
		for _, e := range v {
			s += shapeOf(e)
		}
		return s + "]"
	case string:
		return "s"
	}
	return "v"
}

// A body may be full of expressions until it is refused, and of what writes {{
// itself without being refused at all.
func TestReadingTemplatesCostsInProportionToTheirLength(t *testing.T) {
	for _, body := range []string{
		strings.Repeat("{{run.id}}", 20_000),
		strings.Repeat(`x{{"{{"}}`, 20_000),
		`["` + strings.Repeat(`","x{{\"{{\"}}`, 15_000) + `"]`,
		`["` + strings.Repeat(`{{secret \"a\"}}`, 3_000) + `"]`,
	} {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		for _, written := range []string{string(text), body} {
			d := templated("https://api.example.com/", "", written)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			d.Templates()
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 200*uint64(len(written)) {
				t.Errorf("%.20s…: %d bytes of memory for %d of a body", written, n, len(written))
			}
		}
	}
}

// inHeaders is a job whose headers name a secret and a date.
func inHeaders() Definition {
	d := templated("https://api.example.com/", "", `{"invoice":17}`)
	d.Target.Headers = map[string]string{"Authorization": `Bearer {{secret "token"}}`, "X-Due": `{{run.due_at "date"}}`}
	return d
}

func TestATemplateCacheSharesAndForgets(t *testing.T) {
	var c TemplateCache
	with := func(header string) *Definition {
		d := templated("https://api.example.com/", header, "")
		return &d
	}
	filled := func(ts *Templates) string {
		f, wrong := ts.Fill(attemptValues, 1, secretsOf("s3cret"))
		if wrong != nil {
			t.Fatal(wrong.Message)
		}
		value, _ := f.Header("X-A")
		return value
	}
	const text = `Bearer {{secret "token"}}`
	one, other := c.Of(with(text)), c.Of(with(text))
	if &one.headers[0].parts[0] != &other.headers[0].parts[0] {
		t.Error("two jobs with one header do not share its template")
	}
	if got := filled(other); got != "Bearer s3cret" {
		t.Errorf("got %s", got)
	}
	for i := range 3 * maxCachedTemplates {
		if got, want := filled(c.Of(with(fmt.Sprintf("%d {{run.attempt}}", i)))), fmt.Sprintf("%d %d", i, attemptValues.Attempt); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		if len(c.read) > maxCachedTemplates {
			t.Fatalf("%d templates are kept", len(c.read))
		}
	}
	long := strings.Repeat("a", maxCachedTemplate) + "{{run.attempt}}"
	if c.Of(with(long)); len(c.read[long].parts) > 0 {
		t.Error("a long text is kept")
	}
	for range 2 {
		if wrong := c.Of(with("{{nothing}}")).Wrong(); len(wrong) != 1 || wrong[0].Field != "target.headers.X-A" {
			t.Errorf("got %v", wrong)
		}
	}
}

// BenchmarkTemplates reads the templates of a job, as a run does whose job is
// not in memory: of a program with no other job, and with many.
func BenchmarkTemplates(b *testing.B) {
	d := inHeaders()
	for name, c := range map[string]*TemplateCache{"of one job": nil, "of many": {}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if wrong := c.Of(&d).Wrong(); wrong != nil {
					b.Fatal(wrong)
				}
			}
		})
	}
}

func BenchmarkFill(b *testing.B) {
	everywhere := templated(`https://api.example.com/v1/{{run.id}}`, `Bearer {{secret "token"}}`, `{"due":"{{run.due_at}}","token":"{{secret \"token\"}}"}`)
	secrets := secretsOf("0123456789abcdef0123456789abcdef")
	for name, d := range map[string]Definition{"in headers": inHeaders(), "everywhere": everywhere} {
		b.Run(name, func(b *testing.B) {
			ts := d.Templates()
			b.ReportAllocs()
			for b.Loop() {
				if _, wrong := ts.Fill(attemptValues, 1, secrets); wrong != nil {
					b.Fatal(wrong.Message)
				}
			}
		})
	}
}
