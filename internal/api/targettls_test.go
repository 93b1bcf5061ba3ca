package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

// selfSigned returns a certificate and its key, in PEM.
func selfSigned(t *testing.T) (cert, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

// asJSON is a patch of target.tls, or with a URL of target.
func asJSON(t *testing.T, members map[string]any, url string) string {
	t.Helper()
	target := map[string]any{"tls": members}
	if url != "" {
		target["url"] = url
	}
	b, err := json.Marshal(map[string]any{"target": target})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTLSOfATarget(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	cert, key := selfSigned(t)
	other, otherKey := selfSigned(t)
	patch := func(members map[string]any, url string) *response {
		t.Helper()
		return c.do("PATCH", "/job/a", asJSON(t, members, url))
	}
	stored := func(rule, ca, min, cert, key string) {
		t.Helper()
		job, err := s.store.Job(context.Background(), 1)
		if want := (jadwal.TargetTLS{CA: ca, MinVersion: min, ClientCert: cert, ClientKey: key}); err != nil || job.Definition.Target.TLS != want {
			t.Errorf("%s: stored is %+v, %v", rule, job.Definition.Target.TLS, err)
		}
	}
	shown := func(r *response, ca, min, cert, has string) {
		t.Helper()
		if r.status >= 300 || r.text("target.tls.ca") != ca || r.text("target.tls.min_version") != min || r.text("target.tls.client_cert") != cert || r.text("target.tls.has_client_key") != has || strings.Contains(string(r.body), "PRIVATE") {
			t.Errorf("got %s", r.body)
		}
	}
	shown(c.do("POST", "/job", `{"name":"a","target":{"url":"https://example.com/","tls":{}}}`), "", "1.2", "", "false")
	stored("nothing of its own", "", "", "", "")
	shown(patch(map[string]any{"ca": other, "client_cert": cert, "client_key": key}, ""), other, "1.2", cert, "true")
	stored("all of it", other, "", cert, key)
	shown(patch(map[string]any{"min_version": "1.3"}, ""), other, "1.3", cert, "true")
	stored("what is not sent stays", other, "1.3", cert, key)
	shown(c.do("PATCH", "/job/a", `{"description":"x"}`), other, "1.3", cert, "true")
	shown(c.do("GET", "/job/a", ""), other, "1.3", cert, "true")
	shown(patch(map[string]any{}, "https://EXAMPLE.com:443/b"), other, "1.3", cert, "true")
	stored("to the same origin it goes along", other, "1.3", cert, key)

	if r := patch(map[string]any{}, "https://other.example/"); r.status != 400 || r.text("errors.0.field") != "target.tls.client_key" || r.text("errors.0.code") != "required" {
		t.Errorf("a key follows to another origin: %s", r.body)
	}
	for rule, members := range map[string]map[string]any{
		"another certificate than the key's": {"client_cert": other},
		"another key than the certificate's": {"client_key": otherKey},
		"a key as a certificate":             {"client_cert": key},
	} {
		if r := patch(members, ""); r.status != 400 || r.text("errors.0.field") != "target.tls.client_cert" || strings.Contains(string(r.body), "BEGIN") {
			t.Errorf("%s: %s", rule, r.body)
		}
	}
	shown(patch(map[string]any{"client_cert": other, "client_key": otherKey}, "https://other.example/"), other, "1.3", other, "true")
	shown(c.do("POST", "/job/a/version/3/restore", ""), other, "1.3", cert, "true")
	stored("an old version has its own again", other, "1.3", cert, key)
	shown(c.do("POST", "/job/a/clone", `{"name":"b"}`), other, "1.3", cert, "true")
	shown(patch(map[string]any{"client_cert": nil, "client_key": nil}, ""), other, "1.3", "", "false")
	stored("it can be taken away", other, "1.3", "", "")
	shown(c.do("PATCH", "/job/a", `{"target":{"tls":null}}`), "", "1.2", "", "false")
	stored("so can all of it", "", "", "", "")

	t.Run("a job that is put has what is sent and nothing from before", func(t *testing.T) {
		body := func(members map[string]any) string {
			return strings.Replace(asJSON(t, members, "https://example.com/"), "{", `{"name":"b",`, 1)
		}
		if r := c.do("PUT", "/job/b", body(map[string]any{"client_cert": cert})); r.status != 400 || r.text("errors.0.field") != "target.tls.client_key" {
			t.Errorf("got %s", r.body)
		}
		shown(c.do("PUT", "/job/b", body(map[string]any{"client_cert": cert, "client_key": key})), "", "1.2", cert, "true")
	})
	t.Run("of a key only that it differs is told", func(t *testing.T) {
		r := c.do("GET", "/job/a/version/2", "")
		told := false
		for i := range 9 {
			field := "changes." + string(rune('0'+i))
			if r.text(field+".field") == "target.tls.client_key" {
				told = r.text(field+".secret") == "true"
			}
		}
		if !told || strings.Contains(string(r.body), "PRIVATE") {
			t.Errorf("got %s", r.body)
		}
	})
	for rule, text := range map[string]string{
		"the audit log": s.column("SELECT detail FROM audit"), "the log": s.log.String(),
		"versions": string(c.do("GET", "/job/a/version", "").body), "the list": string(c.do("GET", "/job", "").body),
	} {
		if strings.Contains(text, "PRIVATE") {
			t.Errorf("a key is in %s", rule)
		}
	}
}

func TestTLSOfATargetThatIsRefused(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	cert, key := selfSigned(t)
	for _, tt := range []struct {
		rule, url string
		members   map[string]any
		field     string
		code      string
	}{
		{"it is about https", "http://example.com/", map[string]any{"min_version": "1.3"}, "target.tls", "invalid"},
		{"a version that is too old", "", map[string]any{"min_version": "1.1"}, "target.tls.min_version", "invalid"},
		{"a version is no number", "", map[string]any{"min_version": 1.3}, "target.tls.min_version", "wrong_type"},
		{"an authority is a certificate", "", map[string]any{"ca": "x"}, "target.tls.ca", "invalid"},
		{"and no key", "", map[string]any{"ca": cert + key}, "target.tls.ca", "invalid"},
		{"with nothing behind it", "", map[string]any{"ca": cert + "x"}, "target.tls.ca", "invalid"},
		{"a list of authorities has an end", "", map[string]any{"ca": strings.Repeat(" ", jadwal.MaxTargetCA) + cert}, "target.tls.ca", "too_long"},
		{"a certificate has a key", "", map[string]any{"client_cert": cert}, "target.tls.client_key", "required"},
		{"a key has a certificate", "", map[string]any{"client_key": key}, "target.tls.client_cert", "required"},
		{"they are in PEM", "", map[string]any{"client_cert": "a", "client_key": "b"}, "target.tls.client_cert", "invalid"},
		{"a certificate has an end", "", map[string]any{"client_cert": cert + strings.Repeat("\n", jadwal.MaxClientCert), "client_key": key}, "target.tls.client_cert", "too_long"},
		{"a key has an end", "", map[string]any{"client_cert": cert, "client_key": key + strings.Repeat("\n", jadwal.MaxClientCert)}, "target.tls.client_key", "too_long"},
		{"the check of certificates cannot be turned off", "", map[string]any{"insecure_skip_verify": true}, "target.tls.insecure_skip_verify", "unknown"},
		{"what is shown is not what is sent", "", map[string]any{"has_client_key": true}, "target.tls.has_client_key", "unknown"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			url := tt.url
			if url == "" {
				url = "https://example.com/"
			}
			r := c.do("POST", "/job", strings.Replace(asJSON(t, tt.members, url), "{", `{"name":"a",`, 1))
			if r.status != 400 || r.text("errors.0.field") != tt.field || r.text("errors.0.code") != tt.code || strings.Contains(string(r.body), "BEGIN") {
				t.Errorf("got %s", r.body)
			}
		})
	}
}
