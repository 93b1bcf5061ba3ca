package target

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

func testOf(url string) jadwal.Test {
	c := callTo(url)
	return jadwal.Test{Key: c.Key, Job: c.Job, Timeout: c.Timeout}
}

// valueOf is the value of a header field, and whether it is shown.
func valueOf(fields []jadwal.HeaderField, name string) (string, bool) {
	i := slices.IndexFunc(fields, func(f jadwal.HeaderField) bool { return f.Name == name })
	if i < 0 {
		return "", false
	}
	return fields[i].Value, !fields[i].Secret
}

func TestExchange(t *testing.T) {
	var got http.Header
	var body string
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, body = r.Header, string(b)
		switch r.URL.Path {
		case "/long":
			io.WriteString(w, strings.Repeat("y", jadwal.OutputOfTest+1))
		case "/header":
			w.Header().Set("X-Long", strings.Repeat("x", jadwal.MaxTestHeaders))
		case "/full":
			io.WriteString(w, strings.Repeat("y", jadwal.OutputOfTest))
		case "/moved":
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
		case "/broken":
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "half")
		case "/slow":
			<-r.Context().Done()
		default:
			w.Header().Set("Set-Cookie", "session=told")
			io.WriteString(w, strings.Repeat("z", 2<<10))
		}
	}))
	defer srv.Close()
	h := newHTTP(t, Options{Version: "1.2.3"})
	h.pools.unlimited.TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig

	t.Run("a test is marked, has an id that is none of a run, and no epoch", func(t *testing.T) {
		test := testOf(srv.URL + "/x?y=1")
		test.Job.Target.Headers = map[string]string{"Authorization": "Bearer told", "X-Tenant": "a"}
		test.Job.Target.Body = jadwal.RawJSON(`"caf\u00e9"`)
		e := h.Test(t.Context(), test)
		id := jadwal.TestID(test.Key)
		if _, of := jadwal.ParseRunID(id); of {
			t.Errorf("%s is the id of a run", id)
		}
		for name, want := range map[string]string{
			"Jadwal-Test": "true", "Idempotency-Key": id, "Webhook-Id": id, "Jadwal-Run-Id": id, "Jadwal-Epoch": "", "Jadwal-Attempt": "1",
			"Jadwal-Due-At": "2027-03-04T05:06:07.089Z", "Authorization": "Bearer told",
		} {
			if got.Get(name) != want {
				t.Errorf("%s: %q", name, got.Get(name))
			}
		}
		if e.State != jadwal.RunSucceeded || e.Reason != "" || e.Took <= 0 {
			t.Errorf("%+v", e)
		}
		if e.Request.Method != "POST" || e.Request.URL != srv.URL+"/x?y=1" || string(e.Request.Body) != "café" || body != "café" {
			t.Errorf("%+v", e.Request)
		}
		for _, name := range []string{"Idempotency-Key", "Webhook-Id", "X-Tenant", "User-Agent", "Content-Type"} {
			if value, shown := valueOf(e.Request.Header, name); value != got.Get(name) || !shown {
				t.Errorf("%s: %q", name, value)
			}
		}
		if value, shown := valueOf(e.Request.Header, "Authorization"); value != "" || shown {
			t.Errorf("the secret is told: %q", value)
		}
		a := e.Answer
		if !e.Answered || a.Status != 200 || a.Proto != "HTTP/1.1" || a.TLS != "TLS 1.3" || a.CutOff || len(a.Body) != 2<<10 {
			t.Errorf("%+v", a)
		}
		if value, shown := valueOf(a.Header, "Set-Cookie"); value != "" || shown {
			t.Errorf("the cookie is told: %q", value)
		}
	})
	t.Run("what is long is cut off, and that is told", func(t *testing.T) {
		a := h.Test(t.Context(), testOf(srv.URL+"/long")).Answer
		if len(a.Body) != jadwal.OutputOfTest || !a.CutOff {
			t.Errorf("%d bytes, %v", len(a.Body), a.CutOff)
		}
		a = h.Test(t.Context(), testOf(srv.URL+"/header")).Answer
		if _, there := valueOf(a.Header, "X-Long"); there || len(a.Header) == 0 || !a.CutOff {
			t.Errorf("%d fields, %v", len(a.Header), a.CutOff)
		}
		a = h.Test(t.Context(), testOf(srv.URL+"/full")).Answer
		if len(a.Body) != jadwal.OutputOfTest || a.CutOff {
			t.Errorf("%d bytes, %v", len(a.Body), a.CutOff)
		}
	})
	t.Run("though a secret was in it", func(t *testing.T) {
		test := testOf(srv.URL + "/long")
		test.Job.Target.Headers = map[string]string{"X-Key": "yyyyyyyyyyyyyyyyyyyy"}
		if a := h.Test(t.Context(), test).Answer; len(a.Body) >= jadwal.OutputOfTest || !a.CutOff {
			t.Errorf("%d bytes, %v", len(a.Body), a.CutOff)
		}
	})
	t.Run("of redirects the first request and the last answer are told", func(t *testing.T) {
		test := testOf(srv.URL + "/moved")
		test.Job.Target.Redirects = 1
		e := h.Test(t.Context(), test)
		if e.Request.URL != srv.URL+"/moved" || e.Answer.URL != srv.URL+"/there" || e.Answer.Follows != 1 || e.Answer.Status != 200 {
			t.Errorf("%+v", e)
		}
	})
	t.Run("of an answer that broke off what there was is told", func(t *testing.T) {
		e := h.Test(t.Context(), testOf(srv.URL+"/broken"))
		if e.State != jadwal.RunFailed || e.Reason != jadwal.ReasonNetwork || !e.Answered || string(e.Answer.Body) != "half" {
			t.Errorf("%+v", e)
		}
	})
	t.Run("without an answer the request is told alone", func(t *testing.T) {
		test := testOf(srv.URL + "/slow")
		test.Timeout = 50 * time.Millisecond
		if e := h.Test(t.Context(), test); e.State != jadwal.RunFailed || e.Reason != jadwal.ReasonTimeout || e.Answered || e.Request.Method != "POST" {
			t.Errorf("%+v", e)
		}
	})
	t.Run("the rules of a limited owner hold", func(t *testing.T) {
		test := testOf(srv.URL)
		test.Limited = true
		if e := h.Test(t.Context(), test); e.Reason != jadwal.ReasonTargetRefused || e.Answered || e.Request.URL != srv.URL {
			t.Errorf("%+v", e)
		}
	})
}
