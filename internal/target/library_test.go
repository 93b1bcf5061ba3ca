package target

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/teknohole/jadwal"
)

// What is sent is what the library of Standard Webhooks verifies, at every
// attempt anew.
func TestTheLibraryOfStandardWebhooksVerifies(t *testing.T) {
	type request struct {
		header http.Header
		body   []byte
	}
	var got request
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = request{r.Header, body}
	}))
	defer srv.Close()
	h := newHTTP(t, Options{})
	key := func(letter string) []byte { return []byte(strings.Repeat(letter, jadwal.SignatureKeyBytes)) }
	verify := func(letter string) error {
		wh, err := standardwebhooks.NewWebhook(jadwal.FormatSignatureKey(key(letter)))
		if err != nil {
			t.Fatal(err)
		}
		return wh.Verify(got.body, got.header)
	}
	var none *jadwal.Signer
	c := callTo(srv.URL)
	c.Job.Target.Body = jadwal.RawJSON(`{"invoice": 1}`)
	c.Signer = none.With(key("a"), time.Now().Add(time.Hour)).With(key("b"), time.Time{})
	for _, attempt := range []int{1, 2} {
		c.Attempt, c.Redelivery = attempt, attempt > 1
		if r := h.Do(t.Context(), c); r.State != jadwal.RunSucceeded {
			t.Fatalf("%+v", r)
		}
		for _, letter := range []string{"a", "b"} {
			if err := verify(letter); err != nil {
				t.Errorf("attempt %d, key %s: %v", attempt, letter, err)
			}
		}
		if err := verify("c"); err == nil {
			t.Error("another key verifies it")
		}
	}
	for what, alter := range map[string]func(){
		"another body": func() { got.body = []byte(`{"invoice": 2}`) },
		"another id":   func() { got.header.Set("webhook-id", "other") },
		"another time": func() { got.header.Set("webhook-timestamp", "1") },
		"no signature": func() { got.header.Del("webhook-signature") },
	} {
		if r := h.Do(t.Context(), c); r.State != jadwal.RunSucceeded {
			t.Fatalf("%+v", r)
		}
		if alter(); verify("a") == nil {
			t.Errorf("%s is verified", what)
		}
	}
}
