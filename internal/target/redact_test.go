package target

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/teknohole/jadwal"
)

// tricky has what each writing escapes.
const tricky = "s3cr\"et/+&<é>\\\n%41 =end"

func redactorOf(secrets ...string) *redactor {
	r := &redactor{}
	for _, s := range secrets {
		r.add(s)
	}
	return r
}

func TestRedaction(t *testing.T) {
	quoted, err := json.Marshal(tricky)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := json.Marshal(string(quoted))
	if err != nil {
		t.Fatal(err)
	}
	ascii := ""
	for _, r := range tricky {
		ascii += fmt.Sprintf(`\u%04x`, r)
	}
	percent := ""
	for i := range len(tricky) {
		percent += fmt.Sprintf("%%%02x", tricky[i])
	}
	inside := string(quoted[1 : len(quoted)-1])
	lines := base64.StdEncoding.EncodeToString([]byte("a user's name and then: " + tricky + " and what follows it, which takes some lines"))
	for rule, text := range map[string]string{
		"as it is":                          tricky,
		"as JSON":                           inside,
		"as JSON whose slashes are escaped": strings.ReplaceAll(inside, "/", `\/`),
		"as JSON in ASCII":                  ascii,
		"as JSON in ASCII, in capitals":     strings.ReplaceAll(strings.ToUpper(ascii), `\U`, `\u`),
		"as JSON in JSON":                   string(twice[3 : len(twice)-3]),
		"in a query":                        url.QueryEscape(tricky),
		"in a path":                         url.PathEscape(tricky),
		"in a path, in lower case":          percent,
		"in a query in JSON":                strings.ReplaceAll(url.QueryEscape(tricky), "%", `\u0025`),
		"in HTML":                           html.EscapeString(tricky),
		"in HTML, by numbers":               strings.NewReplacer(`"`, "&quot;", "<", "&#x3C;", ">", "&#62;", "&", "&amp;").Replace(tricky),
		"in small letters":                  strings.ToLower(tricky),
		"in capitals":                       strings.ReplaceAll(strings.ToUpper(tricky), "É", "é"),
		"in hexadecimal":                    hex.EncodeToString([]byte(tricky)),
		"in hexadecimal, in capitals":       strings.ToUpper(hex.EncodeToString([]byte(tricky))),
		"in base64":                         base64.StdEncoding.EncodeToString([]byte(tricky)),
		"in base64 for URLs":                base64.RawURLEncoding.EncodeToString([]byte(tricky)),
		"in base64 behind a letter":         base64.StdEncoding.EncodeToString([]byte("u" + tricky)),
		"in base64 behind a name":           base64.StdEncoding.EncodeToString([]byte("us:" + tricky + "!")),
		"in base64 in JSON":                 strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte(tricky)), "/", `\/`),
		"in base64 in lines":                lines[:60] + "\r\n" + lines[60:120] + "\r\n" + lines[120:],
		"in base64 in a query":              url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(tricky))),
	} {
		t.Run(rule, func(t *testing.T) {
			r := redactorOf(tricky)
			whole := "before " + text + " after"
			got := string(r.redact([]byte(whole), len(whole)))
			if !strings.Contains(got, redacted) || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") {
				t.Fatalf("%q", got)
			}
			if left := len(got) - len("before  after") - len(redacted); left > 8 && rule != "in base64 in lines" {
				t.Errorf("%d bytes are left of it: %q", left, got)
			}
		})
	}
	t.Run("two that overlap, and one twice", func(t *testing.T) {
		r := redactorOf("abcdef", "defghi")
		if got := r.text("1abcdefghi2abcdef3defghi4"); got != "1[redacted]2[redacted]3[redacted]4" {
			t.Errorf("%q", got)
		}
	})
	t.Run("what is kept ends, and the answer goes on", func(t *testing.T) {
		r := redactorOf("abcdefgh")
		for text, want := range map[string]string{
			"1234abcdefgh90":   "1234[redacted]",
			"1234567abcdefgh":  "1234567[redacted]",
			"12345678abcdefgh": "12345678",
			"1234abcd01234567": "1234abcd", // who chose abcd must not learn that a secret begins so
			"1234567abcdefg":   "1234567a",
		} {
			if got := string(r.redact([]byte(text), 8)); got != want {
				t.Errorf("%s: %q", text, got)
			}
		}
	})
	t.Run("what is no secret stays", func(t *testing.T) {
		text := []byte(`{"a":"b%20c\n","d":"&amp; e+f"}`)
		if got := redactorOf("abcdef").redact(text, len(text)); string(got) != string(text) {
			t.Errorf("%q", got)
		}
		if got := new(redactor).redact(text, len(text)); string(got) != string(text) {
			t.Errorf("%q", got)
		}
	})
	t.Run("what is secret in a header", func(t *testing.T) {
		for value, secrets := range map[string]string{
			"Authorization: Bearer token-1234":          "Bearer token-1234|token-1234",
			"authorization: Basic dXNlcjpwYXNzd29yZA==": "dXNlcjpwYXNzd29yZA==|user:password|password",
			"Cookie: a=first1; b=second":                "a=first1; b=second|first1|second",
			"X-Api-Key: key-1":                          "key-1",
			"X-Retry-Token: 1":                          "",
		} {
			name, text, _ := strings.Cut(value, ": ")
			r := &redactor{}
			r.addHeader(name, text)
			for secret := range strings.SplitSeq(secrets, "|") {
				if got := r.text("<" + secret + ">"); secret != "" && got != "<[redacted]>" {
					t.Errorf("%s: %q", value, got)
				}
			}
		}
	})
	t.Run("its time does not grow with the square of what a target sends", func(t *testing.T) {
		r := redactorOf(strings.Repeat("a", jadwal.MaxSecretValue-1) + "b")
		text := []byte(strings.Repeat("a", 1<<20))
		escapes := []byte(strings.Repeat(`\u0025%255C+%26&percnt;&amp;\\aa`+"\r\n", 1<<20/40) + "%255C%255C%2")
		for _, text := range [][]byte{text, escapes} {
			began := time.Now()
			r.redact(text, len(text))
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("%s", took)
			}
		}
	})
}

// writings are how a text is written in what a target answers.
func writings() map[string]func(string) string {
	inJSON := func(s string) string {
		quoted, _ := json.Marshal(s)
		return string(quoted[1 : len(quoted)-1])
	}
	units := func(s string) (text string) {
		for _, u := range utf16.Encode([]rune(s)) {
			text += fmt.Sprintf(`\u%04X`, u)
		}
		return text
	}
	return map[string]func(string) string{
		"as it is":                  func(s string) string { return s },
		"in JSON":                   inJSON,
		"in JSON in ASCII":          units,
		"in JSON in JSON":           func(s string) string { return inJSON(inJSON(s)) },
		"in JSON in ASCII, in JSON": func(s string) string { return inJSON(units(s)) },
		"in a query":                url.QueryEscape,
		"in a path":                 url.PathEscape,
		"in a query in JSON":        func(s string) string { return inJSON(url.QueryEscape(s)) },
		"in a query in JSON, in ASCII": func(s string) string {
			return strings.ReplaceAll(url.QueryEscape(s), "%", `\u0025`)
		},
		"in JSON in HTML":          func(s string) string { return html.EscapeString(inJSON(s)) },
		"in JSON in ASCII in HTML": func(s string) string { return html.EscapeString(units(s)) },
		"in HTML in JSON":          func(s string) string { return inJSON(html.EscapeString(s)) },
		"in JSON in a query":       func(s string) string { return url.QueryEscape(inJSON(s)) },
		"in a query in a query":    func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
		"in a path in a query":     func(s string) string { return url.QueryEscape(url.PathEscape(s)) },
		"in a query in HTML":       func(s string) string { return html.EscapeString(url.QueryEscape(s)) },
		"in HTML in a query":       func(s string) string { return url.QueryEscape(html.EscapeString(s)) },
		"in HTML in HTML":          func(s string) string { return html.EscapeString(html.EscapeString(s)) },
		"in HTML":                  html.EscapeString,
		"in HTML, by all names": func(s string) string {
			return strings.NewReplacer(`"`, "&quot;", "&", "&amp;", "/", "&sol;", "+", "&plus;", "%", "&percnt;", "\\", "&bsol;", "\n", "&NewLine;", "é", "&eacute;").Replace(s)
		},
		"in HTML, by names": func(s string) string {
			return strings.NewReplacer(`"`, "&quot;", "'", "&apos;", "<", "&lt;", ">", "&gt;", "&", "&amp;").Replace(s)
		},
		"in HTML, by numbers": func(s string) (text string) {
			for _, c := range s {
				text += fmt.Sprintf("&#x%x;", c)
			}
			return text
		},
		"in hexadecimal": func(s string) string { return hex.EncodeToString([]byte(s)) },
		"in base64":      func(s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) },
		"in base64 behind a letter": func(s string) string {
			return base64.RawStdEncoding.EncodeToString([]byte("u" + s))
		},
		"in base64 in a query": func(s string) string {
			return url.QueryEscape(base64.RawStdEncoding.EncodeToString([]byte(":/" + s)))
		},
		"in base64 in JSON": func(s string) string {
			return strings.ReplaceAll(base64.RawStdEncoding.EncodeToString([]byte("u:"+s)), "/", `\/`)
		},
	}
}

// Of a secret that an answer breaks off in nothing is kept, and whether it is one
// cannot be told from what is kept.
func TestRedactionWhereAnAnswerBreaksOff(t *testing.T) {
	for rule, written := range writings() {
		t.Run(rule, func(t *testing.T) {
			for _, secret := range []string{tricky, "AB/CD/EF/GH/IJ/KL/MN", `"\"\\&&''%%++//`, "\U0001f511\U0001f5dd ключ \U0001f512<", "???>>>~~~\xc3\xbf\xc3\xbf", "0123456789abcdef"} {
				r := redactorOf(secret)
				before := strings.Repeat("before ", 200)
				text := before + written(secret)
				if got := r.text(text + " after"); !strings.Contains(got, redacted) || !strings.HasSuffix(got, " after") {
					t.Fatalf("%q: %q", text, got)
				}
				for n := len(before); n <= len(text); n++ {
					kept := string(r.redact([]byte(text[:n]), r.brokeOff(n)))
					if other := before + strings.Repeat("x", n-len(before)); kept != string(r.redact([]byte(other), r.brokeOff(n))) || !strings.HasPrefix(before, kept) {
						t.Fatalf("%q: kept is %q", text[len(before):n], kept)
					}
				}
			}
		})
	}
	t.Run("where there is no secret all is kept", func(t *testing.T) {
		if got := new(redactor).brokeOff(7); got != 7 {
			t.Error(got)
		}
	})
}

// FuzzRedact holds that what is found is gone, and that nothing else is.
func FuzzRedact(f *testing.F) {
	f.Add("before ", tricky, " after")
	f.Add(`\u00`, "abcd", "%")
	f.Add("&#", "a&b;", `\`)
	f.Fuzz(func(t *testing.T, before, secret, after string) {
		if len(secret) < leastSecret || strings.Contains(redacted, secret) {
			return
		}
		before += " " // which ends what would be the beginning of an escape
		r := redactorOf(secret)
		quoted, _ := json.Marshal(secret)
		for _, text := range []string{secret, string(quoted[1 : len(quoted)-1]), url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
			got := r.text(before + text + after)
			if !strings.Contains(got, redacted) && strings.ToValidUTF8(secret, "") == secret {
				t.Errorf("%q in %q", text, got)
			}
			if strings.Count(got, secret) > strings.Count(before, secret)+strings.Count(after, secret) && !strings.Contains(before+redacted+after, secret) {
				t.Errorf("it is still there: %q", got)
			}
		}
	})
}

// secretCall is a call of a job with the secret token, for that origin.
func secretCall(to, origin, value string) Call {
	c := callTo(to)
	c.OwnerID = 1
	c.Job.Target.Secrets = []jadwal.SecretID{{Name: "token", ID: 5}}
	c.Secrets = func(context.Context, []jadwal.SecretID) ([]jadwal.SecretValue, error) {
		return []jadwal.SecretValue{{Name: "token", OwnerID: 1, Value: value, Origins: []string{origin}}}, nil
	}
	return c
}

func TestSecretsInRequests(t *testing.T) {
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		all, _ := json.Marshal([]string{r.RequestURI, r.Header.Get("X-Auth"), r.Header.Get("Authorization"), string(body)})
		w.Header().Set("X-Echo", r.Header.Get("X-Auth"))
		w.WriteHeader(500)
		w.Write(all)
	}))
	defer echo.Close()
	const canary = `canary "7/d1`
	call := func() Call {
		c := secretCall(echo.URL+`/{{run.id}}/{{secret "token"}}?k={{secret "token"}}`, echo.URL, canary)
		c.Job.Target.Headers = map[string]string{"X-Auth": `v1 {{secret "token"}}`, "Authorization": `Bearer {{secret "token"}}`}
		c.Job.Target.Body = jadwal.RawJSON(`{"token":"{{secret \"token\"}}","attempt":"{{run.attempt}}"}`)
		c.Templates = c.Job.Templates()
		return c
	}
	leaks := func(t *testing.T, text string) {
		t.Helper()
		quoted, _ := json.Marshal(canary)
		for _, form := range []string{canary, "canary", string(quoted[1 : len(quoted)-1]), url.QueryEscape(canary), url.PathEscape(canary), base64.StdEncoding.EncodeToString([]byte(canary))} {
			if strings.Contains(text, form) {
				t.Errorf("%q is in %s", form, text)
			}
		}
	}
	t.Run("what a target echoes is kept without them", func(t *testing.T) {
		r := newHTTP(t, Options{}).Do(t.Context(), call())
		if r.StatusCode != 500 || strings.Count(string(r.Output), redacted) < 5 || !strings.Contains(string(r.Output), call().Key.ID()) || !strings.Contains(string(r.Output), `\"attempt\":\"1\"`) {
			t.Fatalf("%+v: %s", r, r.Output)
		}
		leaks(t, string(r.Output)+r.Message)
	})
	t.Run("nor is a part of one where what is kept ends", func(t *testing.T) {
		const length = 200
		whole := newHTTP(t, Options{}).Do(t.Context(), call())
		for keep := 1; keep < length; keep++ {
			c := call()
			c.Job.Output.Failure = keep
			r := newHTTP(t, Options{}).Do(t.Context(), c)
			if !strings.HasPrefix(string(whole.Output), strings.TrimSuffix(string(r.Output), "[redacted]")) {
				t.Fatalf("of %d bytes: %q", keep, r.Output)
			}
		}
	})
	t.Run("nor does where it ends tell how one begins", func(t *testing.T) {
		const guess = "it is: Bearer canary"
		reflects := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
		defer reflects.Close()
		c := secretCall(reflects.URL, reflects.URL, canary)
		c.Job.Target.Headers = map[string]string{"Authorization": `Bearer {{secret "token"}}`}
		c.Job.Target.Body, _ = json.Marshal(guess + strings.Repeat(".", 1000))
		c.Job.Output.Success = len(guess)
		c.Templates = c.Job.Templates()
		if r := newHTTP(t, Options{}).Do(t.Context(), c); string(r.Output) != guess {
			t.Errorf("%+v: %s", r, r.Output)
		}
	})
	t.Run("nor is it shown by a test", func(t *testing.T) {
		c := call()
		secrets, _ := c.Secrets(t.Context(), nil)
		e := newHTTP(t, Options{}).Test(t.Context(), jadwal.Test{Key: c.Key, Job: c.Job, OwnerID: 1, Secrets: secrets, Timeout: time.Minute})
		text := fmt.Sprintf("%+v %s %s", e, e.Request.Body, e.Answer.Body)
		if !e.Answered || !strings.Contains(text, redacted) {
			t.Fatal(text)
		}
		leaks(t, text)
	})
	t.Run("nor where its beginning reads as part of an escape", func(t *testing.T) {
		for rule, edit := range map[string]func(*jadwal.Target){
			"in a query": func(target *jadwal.Target) { target.URL = echo.URL + `/?k=%4{{secret "token"}}` },
			"in a form": func(target *jadwal.Target) {
				target.Headers = map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
				target.Body = jadwal.RawJSON(`"k=%4{{secret \"token\"}}"`)
			},
			"in JSON": func(target *jadwal.Target) {
				target.Headers = map[string]string{"Content-Type": "application/json"}
				target.Body = jadwal.RawJSON(`"\"\\{{secret \"token\"}}\""`)
			},
		} {
			const value = `ba "7/d1`
			c := secretCall(echo.URL, echo.URL, value)
			edit(&c.Job.Target)
			secrets, _ := c.Secrets(t.Context(), nil)
			e := newHTTP(t, Options{}).Test(t.Context(), jadwal.Test{Key: c.Key, Job: c.Job, OwnerID: 1, Secrets: secrets, Timeout: time.Minute})
			text := fmt.Sprintf("%s %s %s", e.Request.URL, e.Request.Body, e.Answer.Body)
			if !e.Answered || strings.Count(text, redacted) != 2 || strings.Contains(text, "d1") {
				t.Errorf("%s: %s, %s", rule, e.Message, text)
			}
		}
	})
	t.Run("nor is it in the name of a header", func(t *testing.T) {
		names := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-"+r.Header.Get("X-Auth"), "1") }))
		defer names.Close()
		c := secretCall(names.URL, names.URL, "canary-7d1")
		c.Job.Target.Headers = map[string]string{"X-Auth": `{{secret "token"}}`}
		secrets, _ := c.Secrets(t.Context(), nil)
		e := newHTTP(t, Options{}).Test(t.Context(), jadwal.Test{Key: c.Key, Job: c.Job, OwnerID: 1, Secrets: secrets, Timeout: time.Minute})
		if text := fmt.Sprintf("%+v", e.Answer.Header); !strings.Contains(text, redacted) || strings.Contains(strings.ToLower(text), "canary") {
			t.Error(text)
		}
	})
	t.Run("nobody finds one out by what is expected", func(t *testing.T) {
		c := call()
		c.Job.Target.Expect = jadwal.Expect{Status: "500", Body: "/canary/"}
		if r := newHTTP(t, Options{}).Do(t.Context(), c); r.State != jadwal.RunFailed {
			t.Errorf("%+v", r)
		}
	})
	t.Run("of an answer that breaks off the end is not kept, whether a secret began there or not", func(t *testing.T) {
		const secret = "0123456789abcdef"
		said := ""
		broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5000")
			io.WriteString(w, said)
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}))
		defer broken.Close()
		begins := strings.Repeat("-", 16*len(secret))
		for _, said = range []string{begins + secret[:12], begins + "xxxxxxxxxxxx", secret[:5], "x"} {
			c := secretCall(broken.URL, broken.URL, secret)
			c.Job.Target.Headers = map[string]string{"X-A": `{{secret "token"}}`}
			c.Templates = c.Job.Templates()
			want := begins[:max(len(said)-len(begins), 0)]
			if r := newHTTP(t, Options{}).Do(t.Context(), c); r.State != jadwal.RunFailed || r.StatusCode != 200 || string(r.Output) != want {
				t.Errorf("%q: %+v", said, r)
			}
			c.Templates, c.Job.Target.Headers, c.Job.Target.Secrets = nil, nil, nil
			if r := newHTTP(t, Options{}).Do(t.Context(), c); string(r.Output) != said {
				t.Errorf("without a secret: %+v", r)
			}
		}
	})
	t.Run("nothing is sent without them", func(t *testing.T) {
		for rule, spoil := range map[string]func(*Call){
			"the secret is gone": func(c *Call) {
				c.Secrets = func(context.Context, []jadwal.SecretID) ([]jadwal.SecretValue, error) { return nil, nil }
			},
			"it is another user's":    func(c *Call) { c.OwnerID = 2 },
			"it is for other origins": func(c *Call) { *c = withOrigin(*c, "https://api.example.com") },
			"the headers are locked":  func(c *Call) { c.Job.Target.Locked = true },
		} {
			c := call()
			spoil(&c)
			r := newHTTP(t, Options{}).Do(t.Context(), c)
			if r.State != jadwal.RunFailed || r.Reason != jadwal.ReasonTargetRefused || r.Message == "" || r.StatusCode != 0 {
				t.Errorf("%s: %+v", rule, r)
			}
			leaks(t, r.Message)
		}
	})
}

func withOrigin(c Call, origin string) Call {
	c.Secrets = func(context.Context, []jadwal.SecretID) ([]jadwal.SecretValue, error) {
		return []jadwal.SecretValue{{Name: "token", OwnerID: 1, Value: "canary", Origins: []string{origin}}}, nil
	}
	return c
}

func TestSecretsDoNotFollowRedirects(t *testing.T) {
	for _, tt := range []struct {
		rule      string
		status    int
		back      bool // to the same origin
		header    string
		body      string
		address   string // what the Location ends with
		followed  bool
		delivered string // what the second stop sees of the secret
	}{
		{"within the origin all of it is sent again", 307, true, `{{secret "token"}}`, `"{{secret \"token\"}}"`, "", true, "header body"},
		{"a header stays behind", 302, false, `v {{secret "token"}}`, "", "", true, ""},
		{"and the request with a body is not sent", 307, false, "", `{"a":"{{secret \"token\"}}"}`, "", false, ""},
		{"nor is it with 308", 308, false, "", `{"a":"{{secret \"token\"}}"}`, "", false, ""},
		{"when the body goes, it is", 303, false, "", `{"a":"{{secret \"token\"}}"}`, "", true, ""},
		{"a body without one is sent", 307, false, "", `{"a":"{{run.id}}"}`, "", true, ""},
		{"an address that holds it is not called", 302, false, "", `"{{secret \"token\"}}"`, "%3Fk=canary-value", false, ""},
		{"nor one that holds it in capitals", 302, false, "", `"{{secret \"token\"}}"`, "%3Fk=CANARY-VALUE", false, ""},
		{"however it is written", 302, false, "", `"{{secret \"token\"}}"`, "%3Fk=Y2FuYXJ5LXZhbHVl", false, ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			first, second := newStop(t), newStop(t)
			to := second.URL
			if tt.back {
				to = first.URL
			}
			c := secretCall(fmt.Sprintf("%s/a?status=%d&to=%s/b%s", first.URL, tt.status, to, tt.address), first.URL, "canary-value")
			c.Job.Target.Redirects = 3
			if tt.header != "" {
				c.Job.Target.Headers = map[string]string{"X-Plain": tt.header}
			}
			c.Job.Target.Body = jadwal.RawJSON(tt.body)
			if len(c.Job.Target.Body) == 0 {
				c.Job.Target.Method = "GET"
			}
			c.Templates = c.Job.Templates()
			r := newHTTP(t, Options{}).Do(t.Context(), c)
			got, saw := second.got, second.saw
			if tt.back {
				got, saw = first.got[1:], first.saw[1:]
			}
			if followed := len(got) == 1; followed != tt.followed || tt.followed != (r.State == jadwal.RunSucceeded) {
				t.Fatalf("%+v, %q", r, got)
			}
			if !tt.followed {
				if r.Reason != jadwal.ReasonTargetRefused || r.Reach != Answered || r.StatusCode != tt.status || !strings.Contains(r.Message, "another origin") {
					t.Errorf("%+v", r)
				}
				return
			}
			delivered := ""
			if strings.Contains(saw[0].Get("X-Plain"), "canary") {
				delivered = "header "
			}
			if strings.Contains(got[0], "canary") {
				delivered += "body"
			}
			if strings.TrimSpace(delivered) != tt.delivered {
				t.Errorf("%q: %q, %v", delivered, got, saw[0])
			}
		})
	}
}

// BenchmarkSecrets is what an attempt with secrets costs besides: filling in,
// and looking through what came back.
func BenchmarkSecrets(b *testing.B) {
	c := secretCall(`https://api.example.com/{{run.id}}`, "https://api.example.com", "0123456789abcdef0123456789abcdef")
	c.Job.Target.Headers = map[string]string{"Authorization": `Bearer {{secret "token"}}`}
	c.Templates = c.Job.Templates()
	secrets, _ := c.Secrets(context.Background(), nil)
	filled := jadwal.Filled{Headers: []jadwal.FilledHeader{{Name: "Authorization", Value: "Bearer 0123456789abcdef0123456789abcdef", Secret: true}}}
	h := newHTTP(b, Options{})
	b.Run("request", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, wrong := h.request(context.Background(), c, secrets); wrong != "" {
				b.Fatal(wrong)
			}
		}
	})
	answer := []byte(strings.Repeat(`{"ok":true,"n":"1.5 %"}`, 40))
	b.Run("answer", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r := redactor{headers: c.Job.Target.Headers, filled: filled, values: secrets}
			r.redact(answer, len(answer))
		}
	})
}
