package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/harness"
)

// request is what a receiver gets, with the key that it verifies it with. Names
// of headers are in lower case.
type request struct {
	Key     string            `json:"key"`
	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body"`
}

// patience is how long a run may take to arrive.
const patience = 20 * time.Second

// record has a real server send a run and a test while there is one key, and a
// test while there are two, which comes twice here: with each of the keys.
func record(dir string) ([]request, error) {
	got := make(chan request, 8)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		headers := map[string]string{}
		for name := range r.Header {
			headers[strings.ToLower(name)] = r.Header.Get(name)
		}
		got <- request{Headers: headers, Body: body}
	}))
	defer receiver.Close()
	binary, err := harness.Build(dir)
	if err != nil {
		return nil, err
	}
	address, err := harness.FreeAddress()
	if err != nil {
		return nil, err
	}
	server := &harness.Server{Binary: binary, Dir: dir, Address: address, Env: []string{harness.AdminEnv}}
	if err := server.Start(); err != nil {
		return nil, err
	}
	defer server.End()
	if err := server.Ready(patience); err != nil {
		return nil, err
	}
	c := harness.NewClient(server.URL())
	if err := c.SignIn("admin", harness.AdminPassword); err != nil {
		return nil, err
	}
	call := func(path string, body, out any) error {
		a, err := c.Call("POST", path, body, out)
		if err == nil && !a.OK() {
			err = fmt.Errorf("POST %s: %v", path, a)
		}
		return err
	}
	sent := func(path string) (request, error) {
		if err := call(path, nil, nil); err != nil {
			return request{}, err
		}
		select {
		case r := <-got:
			return r, nil
		case <-time.After(patience):
			return request{}, errors.New("the request did not arrive")
		}
	}
	var first, second struct{ Key string }
	target := map[string]any{"url": receiver.URL, "body": map[string]any{"invoice": 1, "for": "Café \"Ümlaut\""}}
	if err := errors.Join(call("/job", map[string]any{"name": "signed", "target": target}, nil), call("/signature-key", nil, &first)); err != nil {
		return nil, err
	}
	run, err := sent("/job/signed/run")
	if err != nil {
		return nil, err
	}
	test, err := sent("/job/signed/test")
	if err != nil {
		return nil, err
	}
	if err := call("/signature-key", map[string]any{"overlap": "1h"}, &second); err != nil {
		return nil, err
	}
	two, err := sent("/job/signed/test")
	if err != nil {
		return nil, err
	}
	run.Key, test.Key = first.Key, first.Key
	former, newer := two, two
	former.Key, newer.Key = first.Key, second.Key
	return []request{run, test, former, newer}, nil
}

// A testCase is a request that a receiver must verify, or else refuse.
type testCase struct {
	request
	rule    string
	right   bool
	recipes bool // libraries may say something else
}

// casesOf makes cases of the requests that record has got.
func casesOf(requests []request) []testCase {
	all := []testCase{
		{requests[0], "a run", true, false},
		{requests[1], "a test", true, false},
		{requests[2], "of two signatures the former key's", true, false},
		{requests[3], "of two signatures the newer key's", true, false},
	}
	run := requests[0]
	wrong := func(rule string, alter func(*request)) {
		r := run
		r.Headers = maps.Clone(run.Headers)
		alter(&r)
		all = append(all, testCase{r, rule, false, false})
	}
	wrong("another body", func(r *request) { r.Body = []byte(strings.Replace(string(r.Body), "1", "2", 1)) })
	wrong("another id", func(r *request) { r.Headers["webhook-id"] = requests[1].Headers["webhook-id"] })
	wrong("another time", func(r *request) { r.Headers["webhook-timestamp"] = fmt.Sprint(time.Now().Unix() + 9) })
	wrong("another key", func(r *request) { r.Key = requests[3].Key })
	wrong("another signature", func(r *request) { r.Headers["webhook-signature"] = requests[1].Headers["webhook-signature"] })
	wrong("no signature", func(r *request) { delete(r.Headers, "webhook-signature") })
	wrong("an empty one", func(r *request) { r.Headers["webhook-signature"] = "v1," })
	wrong("one of another version", func(r *request) {
		r.Headers["webhook-signature"] = "v2" + strings.TrimPrefix(r.Headers["webhook-signature"], "v1")
	})
	wrong("no time", func(r *request) { delete(r.Headers, "webhook-timestamp") })
	wrong("no headers", func(r *request) { r.Headers = map[string]string{} })

	key := []byte(strings.Repeat("k", jadwal.SignatureKeyBytes))
	made := func(rule string, key []byte, at time.Time, right, recipes bool) {
		var none *jadwal.Signer
		timestamp, signature := none.With(key, time.Time{}).Sign("made", at, run.Body)
		headers := map[string]string{"webhook-id": "made", "webhook-timestamp": timestamp, "webhook-signature": "v1,else v1a,else " + signature}
		all = append(all, testCase{request{jadwal.FormatSignatureKey(key), headers, run.Body}, rule, right, recipes})
	}
	made("one signature that is right, among others", key, time.Now(), true, false)
	made("four minutes old", key, time.Now().Add(-4*time.Minute), true, false)
	made("six minutes old", key, time.Now().Add(-6*time.Minute), false, false)
	made("six minutes from the future", key, time.Now().Add(6*time.Minute), false, false)
	made("signed with an empty key, which a variable that is not set would be", nil, time.Now(), false, true)
	return all
}

// lines writes cases as a driver reads them: one a line, in JSON.
func lines(cases []testCase) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	for _, c := range cases {
		if err := e.Encode(c.request); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}
