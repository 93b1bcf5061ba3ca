package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

// An authority signs certificates that a test trusts.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
	last int64 // serial number that was given
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key, last: 1}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority of tests"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// sign returns a certificate of a key for host names, in DER.
func (a *authority) sign(key crypto.PublicKey, names ...string) []byte {
	a.last++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.last), DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

// pair returns a certificate for loopback and its key, in PEM.
func (a *authority) pair() (cert, key []byte) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.sign(private.Public(), "localhost")}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// client trusts nothing but a and makes a connection for each request.
func (a *authority) client(c *tls.Config) *http.Client {
	c.RootCAs = a.pool()
	return &http.Client{
		Timeout:       patience,
		Transport:     &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

const hsts = "Strict-Transport-Security"

func TestTLS(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cert, key := ca.pair()
	write(t, certFile, cert)
	write(t, keyFile, key)
	s := startServer(t, filepath.Join(dir, "data"), nil, "--tls-cert", certFile, "--tls-key", keyFile)
	client := ca.client(&tls.Config{})

	eventually(t, "the server to be ready", func() bool {
		resp, err := client.Get(s.url + "/health/ready")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	t.Run("the banner says so, and every answer is HTTP/2 and tells browsers to stay", func(t *testing.T) {
		if !strings.HasPrefix(s.url, "https://127.0.0.1:") {
			t.Fatalf("banner\n%s", &s.stdout)
		}
		for _, tt := range []struct {
			method, path string
			status       int
		}{
			{"GET", "/", 200}, {"HEAD", "/", 200}, {"GET", "/health/live", 200}, {"GET", "/health/ready", 200}, {"GET", "/openapi.json", 200}, {"GET", "/docs", 200},
			{"GET", "/nowhere", 404}, {"GET", "/user/", 404}, {"GET", "/a/../user", 404}, {"DELETE", "/login", 405}, {"GET", "/job", 401}, {"POST", "/login", 415},
		} {
			r, err := http.NewRequest(tt.method, s.url+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != tt.status || resp.ProtoMajor != 2 || resp.Header.Get(hsts) != "max-age=31536000" {
				t.Errorf("%s %s: %s %s %v %v", tt.method, tt.path, resp.Proto, resp.Status, resp.Header, err)
			}
			if tt.status >= 400 && (!bytes.Contains(body, []byte(`"success":false`)) || !bytes.Contains(body, []byte(`"path":"`+tt.path+`"`))) {
				t.Errorf("%s %s: %s", tt.method, tt.path, body)
			}
		}
	})
	t.Run("signing in works, with the password of the first start too", func(t *testing.T) {
		c := harness.NewClient(s.url)
		c.HTTP = client
		call(t, c, http.StatusOK, "POST", "/login", map[string]string{"identifier": "admin", "password": "admin123"}, nil)
	})
	t.Run("what is older than TLS 1.2 is refused, 1.2 and 1.3 are not", func(t *testing.T) {
		for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
			conn, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), &tls.Config{RootCAs: ca.pool(), MinVersion: version, MaxVersion: version})
			if (err == nil) != want {
				t.Errorf("%s: %v", tls.VersionName(version), err)
			}
			if err == nil {
				conn.Close()
			}
		}
	})
	t.Run("plain HTTP is told so, and not redirected", func(t *testing.T) {
		resp, err := client.Get("http" + strings.TrimPrefix(s.url, "https"))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest || resp.Header.Get("Location") != "" || !strings.Contains(string(body), "HTTP request to an HTTPS server") {
			t.Errorf("%s %v %s", resp.Status, resp.Header, body)
		}
	})
	shown := func() *x509.Certificate {
		t.Helper()
		return certificateOf(t, strings.TrimPrefix(s.url, "https://"), &tls.Config{RootCAs: ca.pool()})
	}
	serial := func() int64 {
		t.Helper()
		return shown().SerialNumber.Int64()
	}
	endIsMeasured := func(t *testing.T) {
		t.Helper()
		if got, want := measuredEnd(t, s, client, "admin123"), shown().NotAfter.Unix(); got != want {
			t.Errorf("it ends %d, want %d", got, want)
		}
	}
	t.Run("when the certificate ends is measured", endIsMeasured)
	t.Run("a new certificate is used once it is there, and a broken one is not", func(t *testing.T) {
		const broken = "the certificate has changed and cannot be used"
		first := serial()
		write(t, keyFile, []byte("no key"))
		eventually(t, "the complaint", func() bool {
			if now := serial(); now != first {
				t.Fatalf("certificate %d, want %d", now, first)
			}
			return strings.Contains(s.stderr.String(), broken)
		})
		os.Remove(keyFile)
		eventually(t, "the complaint of a file that is gone", func() bool {
			serial()
			return strings.Contains(s.stderr.String(), "no such file")
		})
		for range 3 { // the same again is not told again
			time.Sleep(certificateAge)
			serial()
		}
		if n := strings.Count(s.stderr.String(), broken); n != 2 {
			t.Errorf("told %d times\n%s", n, &s.stderr)
		}
		cert, key := ca.pair()
		write(t, certFile, cert)
		write(t, keyFile, key)
		eventually(t, "the new certificate", func() bool { return serial() == ca.last })
		endIsMeasured(t)
	})
	t.Run("who waits for the files keeps no other handshake waiting", func(t *testing.T) {
		files := &certificate{certFile: certFile, keyFile: keyFile, log: slog.New(slog.DiscardHandler)}
		if err := files.read(time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		files.mu.Lock() // as whoever reads them
		defer files.mu.Unlock()
		got := make(chan *tls.Certificate, 1)
		go func() {
			cert, _ := files.get(nil)
			got <- cert
		}()
		select {
		case cert := <-got:
			if cert == nil {
				t.Error("no certificate")
			}
		case <-time.After(patience):
			t.Error("it waits")
		}
	})
	t.Run("a connection that breaks in the handshake is no warning", func(t *testing.T) {
		if strings.Contains(s.stderr.String(), "TLS handshake error") {
			t.Errorf("log\n%s", &s.stderr)
		}
	})
	s.stop()

	t.Run("without TLS browsers are told nothing", func(t *testing.T) {
		s := startServer(t, filepath.Join(t.TempDir(), "data"), nil)
		resp, err := http.Get(s.url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if h, there := resp.Header[hsts]; there {
			t.Errorf("%s: %s", hsts, h)
		}
	})
	t.Run("a pair that is none is refused before anything is touched", func(t *testing.T) {
		other, _ := ca.pair()
		write(t, certFile, other)
		data := filepath.Join(t.TempDir(), "data")
		r := execute(t, "", nil, "serve", "--listen", "127.0.0.1:0", "--data", data, "--tls-cert", certFile, "--tls-key", keyFile)
		want := "jadwal: --tls-cert (JADWAL_TLS_CERT): " + certFile + " with --tls-key " + keyFile + ": tls: private key does not match public key\n"
		if r.status != 2 || r.stderr != want {
			t.Errorf("status %d\n%s", r.status, r.stderr)
		}
		if _, err := os.Stat(data); !os.IsNotExist(err) {
			t.Errorf("the data directory was touched: %v", err)
		}
	})
}

// certificateOf is the one that a server shows.
func certificateOf(t *testing.T, address string, c *tls.Config) *x509.Certificate {
	t.Helper()
	conn, err := tls.Dial("tcp", address, c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

// measuredEnd is when the first certificate ends, in Unix seconds, as /metrics
// tells a superuser.
func measuredEnd(t *testing.T, s *server, client *http.Client, password string) int64 {
	t.Helper()
	c := harness.NewClient(s.url)
	c.HTTP = client
	if err := c.SignIn("admin", password); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest("GET", s.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.Access)
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(body), "\njadwal_tls_certificate_expiry_timestamp_seconds ")
	text, _, _ := strings.Cut(rest, "\n")
	end, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatalf("it ends %q", text)
	}
	return int64(end)
}

// A certificate that was got by ACME is for the hosts that are listed and no
// others, and is kept for the next start.
func TestACME(t *testing.T) {
	const host, password = "jadwal.example.com", "correct horse"
	ca := newAuthority(t)
	address, err := harness.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	directory := newACME(t, ca, address)
	dir := t.TempDir()
	data, roots := filepath.Join(dir, "data"), filepath.Join(dir, "roots.pem")
	write(t, roots, ca.pem)
	start := func() *server {
		return startServer(t, data, []string{"SSL_CERT_FILE=" + roots, "JADWAL_ADMIN_PASSWORD=" + password},
			"--listen", address, "--acme-hosts", host+", other.example.com", "--acme-directory", directory.url)
	}
	client := ca.client(&tls.Config{})
	client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	answers := func(host string) bool {
		resp, err := client.Get("https://" + host + "/")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK && resp.Header.Get(hsts) != ""
	}
	s := start()
	_, port, _ := net.SplitHostPort(address)
	if want := "https://" + host + ":" + port; s.url != want {
		t.Errorf("banner says %s, want %s", s.url, want)
	}
	eventually(t, "certificates of both hosts", func() bool { return directory.issued() == 2 })
	if !answers(host) || !answers("other.example.com") {
		t.Errorf("no answer under a host's name\n%s", &s.stderr)
	}
	first := int64(math.MaxInt64)
	for _, host := range []string{host, "other.example.com"} {
		first = min(first, certificateOf(t, address, &tls.Config{RootCAs: ca.pool(), ServerName: host}).NotAfter.Unix())
	}
	eventually(t, "the end of the first one", func() bool { return measuredEnd(t, s, client, password) == first })
	for _, host := range []string{"evil.example.com", "sub." + host, "127.0.0.1"} {
		if answers(host) {
			t.Errorf("%s has a certificate", host)
		}
	}
	s.stop()
	s = start()
	if !answers(host) || !answers("other.example.com") {
		t.Errorf("no answer after another start\n%s", &s.stderr)
	}
	s.stop()
	if n := directory.issued(); n != 2 {
		t.Errorf("%d certificates were issued", n)
	}
	files, err := os.ReadDir(filepath.Join(data, "acme"))
	if err != nil || len(files) < 3 { // an account and two certificates
		t.Errorf("kept are %v, %v", files, err)
	}
	for _, file := range files {
		if info, err := file.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file.Name(), info.Mode(), err)
		}
	}

	t.Run("that there is none is told", func(t *testing.T) {
		directory.refuse.Store(true)
		s := startServer(t, filepath.Join(t.TempDir(), "data"), []string{"SSL_CERT_FILE=" + roots}, "--acme-hosts", host, "--acme-directory", directory.url)
		eventually(t, "the complaint", func() bool {
			return strings.Contains(s.stderr.String(), "no certificate from the ACME server") && strings.Contains(s.stderr.String(), "rejectedIdentifier")
		})
	})
}
