package target

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

// A stop is a server on a redirect's way: it answers as the query says, and
// writes down what it was asked.
type stop struct {
	*httptest.Server
	got []string
	saw []http.Header
}

func newStop(t *testing.T) *stop {
	s := &stop{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.got = append(s.got, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+string(body)))
		s.saw = append(s.saw, r.Header)
		q := r.URL.Query()
		if to := q.Get("to"); to != "" {
			w.Header().Set("Location", to)
		}
		status := 200
		fmt.Sscan(q.Get("status"), &status)
		w.WriteHeader(status)
		io.WriteString(w, q.Get("body"))
	}))
	t.Cleanup(s.Close)
	return s
}

func TestRedirects(t *testing.T) {
	for _, tt := range []struct {
		rule      string
		method    string
		path      string // {self} is the server, and follows once
		redirects int
		want      []string
		status    int
		message   string
	}{
		{"none is followed when none is allowed", "POST", "/a?status=302&to=/b", 0, []string{"POST /a hello"}, 302, "The target answered 302 Found"},
		{"302 makes a GET of a POST", "POST", "/a?status=302&to=/b", 1, []string{"POST /a hello", "GET /b"}, 200, ""},
		{"so does 301", "POST", "/a?status=301&to=/b", 1, []string{"POST /a hello", "GET /b"}, 200, ""},
		{"302 keeps other methods", "PUT", "/a?status=302&to=/b", 1, []string{"PUT /a hello", "PUT /b hello"}, 200, ""},
		{"303 makes a GET of a PUT", "PUT", "/a?status=303&to=/b", 1, []string{"PUT /a hello", "GET /b"}, 200, ""},
		{"303 leaves HEAD", "HEAD", "/a?status=303&to=/b", 1, []string{"HEAD /a", "HEAD /b"}, 200, ""},
		{"307 repeats method and body", "POST", "/a?status=307&to=/b", 1, []string{"POST /a hello", "POST /b hello"}, 200, ""},
		{"so does 308", "PATCH", "/a?status=308&to=/b", 1, []string{"PATCH /a hello", "PATCH /b hello"}, 200, ""},
		{"a relative address counts from where it was", "GET", "/x/a?status=302&to=b%3Fstatus%3D204", 1, []string{"GET /x/a", "GET /x/b"}, 204, ""},
		{"the last one counts", "GET", "/a?status=302&to=/b%3Fstatus%3D500", 5, []string{"GET /a", "GET /b"}, 500, "The target answered 500 Internal Server Error, after 1 redirect"},
		{"a circle ends", "GET", "/a?status=302&to=%3Fstatus%3D302%26to%3D/a", 2, []string{"GET /a", "GET /a", "GET /a"}, 200, ""},
		{"more than allowed are an answer", "GET", "/a?status=302&to=/b%3Fstatus%3D302%26to%3D/c%253Fstatus%253D302%2526to%253D/d", 2, []string{"GET /a", "GET /b", "GET /c"}, 302, "The target answered 302 Found, after 2 redirects"},
		{"one without an address is an answer", "GET", "/a?status=302", 5, []string{"GET /a"}, 302, "The target answered 302 Found"},
		{"one to another scheme too", "GET", "/a?status=302&to=file:///etc/passwd", 5, []string{"GET /a"}, 302, "The target answered 302 Found"},
		{"one with a password too", "GET", "/a?status=302&to=http://u:p@127.0.0.1/", 5, []string{"GET /a"}, 302, "The target answered 302 Found"},
		{"300 and 304 are answers", "GET", "/a?status=300&to=/b", 5, []string{"GET /a"}, 300, "The target answered 300 Multiple Choices"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s := newStop(t)
			c := callTo(s.URL + tt.path)
			c.Job.Target.Method, c.Job.Target.Redirects = tt.method, tt.redirects
			if tt.method != "GET" && tt.method != "HEAD" {
				c.Job.Target.Body = jadwal.RawJSON(`"hello"`)
			}
			r := newHTTP(t, Options{}).Do(t.Context(), c)
			if !slices.Equal(s.got, tt.want) || r.StatusCode != tt.status || r.Message != tt.message || r.Reach != Answered {
				t.Errorf("asked %q\nwant  %q\ngot %+v", s.got, tt.want, r)
			}
		})
	}
	secrets := map[string]string{"Authorization": "Bearer a", "Cookie": "a=b", "X-Api-Key": "k", "X-Token": "t", "X-Plain": "p", "Content-Language": "id"}
	t.Run("to the same origin all headers go, without a body none that describe one", func(t *testing.T) {
		s := newStop(t)
		c := callTo(s.URL + "/a?status=302&to=/b")
		c.Job.Target.Method, c.Job.Target.Redirects, c.Job.Target.Headers = "POST", 1, secrets
		newHTTP(t, Options{}).Do(t.Context(), c)
		for name, value := range secrets {
			want := value
			if name == "Content-Language" {
				want = ""
			}
			if got := s.saw[1].Get(name); got != want {
				t.Errorf("%s is %q", name, got)
			}
		}
	})
	t.Run("to another origin no secret goes, not even on the way back, and the run keeps its name", func(t *testing.T) {
		first, second := newStop(t), newStop(t)
		c := callTo(first.URL + "/a?status=307&to=" + second.URL + "/b%3Fstatus%3D307%26to%3D" + first.URL + "/c")
		c.Job.Target.Method, c.Job.Target.Redirects, c.Job.Target.Headers = "POST", 2, secrets
		r := newHTTP(t, Options{}).Do(t.Context(), c)
		if r.State != jadwal.RunSucceeded || len(first.saw) != 2 || len(second.saw) != 1 {
			t.Fatalf("%+v, %q, %q", r, first.got, second.got)
		}
		for _, header := range []http.Header{second.saw[0], first.saw[1]} {
			for name, value := range secrets {
				want := value
				if jadwal.SecretHeader(name) {
					want = ""
				}
				if got := header.Get(name); got != want {
					t.Errorf("%s is %q", name, got)
				}
			}
			if id := c.Key.ID(); header.Get("Idempotency-Key") != id || header.Get("Webhook-Id") != id || header.Get("Jadwal-Run-Id") != id {
				t.Errorf("the run's name is lost: %v", header)
			}
		}
	})
	t.Run("a signature goes on with the body that it was made of, to the same origin, and nowhere else", func(t *testing.T) {
		var none *jadwal.Signer
		first, second := newStop(t), newStop(t)
		for _, tt := range []struct {
			to     string
			signed bool
		}{
			{"307&to=/b", true},
			{"302&to=/b", false}, // it makes a GET of the POST
			{"307&to=" + second.URL + "/b", false},
			{"307&to=" + second.URL + "/b%3Fstatus%3D307%26to%3D" + first.URL + "/c", false},
		} {
			first.saw, second.saw = nil, nil
			c := callTo(first.URL + "/a?status=" + tt.to)
			c.Job.Target.Redirects, c.Job.Target.Body = 2, jadwal.RawJSON(`"hello"`)
			c.Signer = none.With([]byte(strings.Repeat("k", jadwal.SignatureKeyBytes)), time.Time{})
			if r := newHTTP(t, Options{}).Do(t.Context(), c); r.State != jadwal.RunSucceeded {
				t.Fatalf("%+v", r)
			}
			for i, header := range append(first.saw[1:], second.saw...) {
				if got := header.Get("Webhook-Signature"); (got != "") != tt.signed || (header.Get("Webhook-Timestamp") != "") != tt.signed {
					t.Errorf("%s, hop %d: %v", tt.to, i+1, header)
				}
			}
			if first.saw[0].Get("Webhook-Signature") == "" {
				t.Errorf("%v", first.saw[0])
			}
		}
	})
	t.Run("an address that may not be called cannot be reached by a redirect", func(t *testing.T) {
		s := newStop(t)
		egress := jadwal.Egress{Allow: rules(t, "127.0.0.1")}
		for _, to := range []string{"http://169.254.169.254/latest", "http://10.0.0.1/", "http://[::1]:9/"} {
			c := callTo(s.URL + "/a?status=302&to=" + to)
			c.Limited, c.Job.Target.Redirects = true, 5
			r := newHTTP(t, Options{Egress: egress}).Do(t.Context(), c)
			if r.Reason != jadwal.ReasonTargetRefused || r.Reach != Answered || !strings.HasSuffix(r.Message, ", after 1 redirect") {
				t.Errorf("%s: %+v", to, r)
			}
		}
	})
	t.Run("a hop that nobody answers is a failure that is not held against the target's host", func(t *testing.T) {
		s, gone := newStop(t), newStop(t)
		gone.Close()
		c := callTo(s.URL + "/a?status=302&to=" + gone.URL)
		c.Job.Target.Redirects = 1
		if r := newHTTP(t, Options{}).Do(t.Context(), c); r.Reason != jadwal.ReasonNetwork || r.Reach != Answered || r.Message != "The target refused the connection, after 1 redirect" {
			t.Errorf("%+v", r)
		}
	})
}

func TestExpectations(t *testing.T) {
	long := strings.Repeat("x", 2000)
	for _, tt := range []struct {
		rule    string
		path    string
		expect  jadwal.Expect
		message string // "": succeeded
		output  int
	}{
		{"a status that is expected is a success", "/?status=404&body=gone", jadwal.Expect{Status: "404"}, "", 4},
		{"200 is none when it is not expected", "/?status=200", jadwal.Expect{Status: "201"}, "The target answered 200 OK, not 201", 0},
		{"a failure that is none of the statuses either", "/?status=503", jadwal.Expect{Status: "200-204,404"}, "The target answered 503 Service Unavailable, not 200-204,404", 0},
		{"a redirect can be expected", "/?status=302&to=/b", jadwal.Expect{Status: "302"}, "", 0},
		{"a body that is expected", "/?body=all+ok", jadwal.Expect{Status: "2xx", Body: "ok"}, "", 6},
		{"another body is a failure and is kept", "/?body=not+well", jadwal.Expect{Status: "2xx", Body: "ok"}, "The target answered 200 OK, but not with the body that is expected", 8},
		{"no body is another one", "/?status=204", jadwal.Expect{Status: "2xx", Body: "ok"}, "The target answered 204 No Content, but not with the body that is expected", 0},
		{"a pattern", "/?body=run+42+done", jadwal.Expect{Status: "2xx", Body: `/run \d+ done/`}, "", 11},
		{"it is looked for beyond what is kept of a success", "/?body=" + long + "ok", jadwal.Expect{Status: "2xx", Body: "ok"}, "", jadwal.DefaultOutput.Success},
		{"the status counts first", "/?status=500&body=ok", jadwal.Expect{Status: "2xx", Body: "ok"}, "The target answered 500 Internal Server Error", 2},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s := newStop(t)
			c := callTo(s.URL + tt.path)
			c.Job.Target.Expect = tt.expect
			r := newHTTP(t, Options{}).Do(t.Context(), c)
			state, reason := jadwal.RunSucceeded, jadwal.Reason("")
			if tt.message != "" {
				state, reason = jadwal.RunFailed, jadwal.ReasonHTTPStatus
			}
			if r.State != state || r.Reason != reason || r.Message != tt.message || len(r.Output) != tt.output {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestKeptOutput(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for _, tt := range []struct {
		rule   string
		path   string
		output jadwal.Output
		expect string // of the body
		want   int
	}{
		{"a success keeps what the job says", "/?body=" + long, jadwal.Output{Success: 2000, Failure: 10}, "", 2000},
		{"a success may keep nothing", "/?body=" + long, jadwal.Output{Success: 0, Failure: 10}, "", 0},
		{"a failure keeps what the job says", "/?status=500&body=" + long, jadwal.Output{Success: 2000, Failure: 10}, "", 10},
		{"a failure may keep nothing", "/?status=500&body=" + long, jadwal.Output{Success: 2000}, "", 0},
		{"a success whose body is looked into keeps no more", "/?body=ok" + long, jadwal.Output{Success: 5, Failure: 10}, "ok", 5},
		{"a body that is not the one expected is a failure's", "/?body=" + long, jadwal.Output{Success: 5, Failure: 10}, "ok", 10},
		{"a short answer is kept whole", "/?body=short", jadwal.Output{Success: 2000, Failure: 10}, "", 5},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			c := callTo(newStop(t).URL + tt.path)
			c.Job.Output, c.Job.Target.Expect = tt.output, jadwal.Expect{Status: "2xx", Body: tt.expect}
			if r := newHTTP(t, Options{}).Do(t.Context(), c); len(r.Output) != tt.want {
				t.Errorf("kept %d bytes, want %d: %+v", len(r.Output), tt.want, r)
			}
		})
	}
}
