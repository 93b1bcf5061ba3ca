package target

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

// An authority signs certificates of servers and clients.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority of tests"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t, cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

// pair returns a certificate for a name, on loopback, and its key, in PEM.
func (a *authority) pair(name string) (cert, key string) {
	return a.pairUntil(name, time.Now().Add(time.Hour))
}

// pairUntil is pair with a certificate that ends then.
func (a *authority) pairUntil(name string, end time.Time) (cert, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

// A tlsTarget is a server that answers with the name of the client's certificate,
// and redirects to what the query says.
type tlsTarget struct {
	*httptest.Server
	made, open atomic.Int32 // connections: in all, and now
}

func newTLSTarget(a *authority, config *tls.Config) *tlsTarget {
	cert, key := a.pair("target")
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		a.t.Fatal(err)
	}
	s := &tlsTarget{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		name := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		fmt.Fprintf(w, "%s by %s", name, tls.VersionName(r.TLS.Version))
	}))
	config.Certificates = []tls.Certificate{pair}
	s.TLS = config
	s.EnableHTTP2 = config.ClientAuth != tls.RequireAndVerifyClientCert // by HTTP/2 it is not always known why a connection did not come about
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.made.Add(1)
			s.open.Add(1)
		case http.StateClosed:
			s.open.Add(-1)
		}
	}
	s.StartTLS()
	a.t.Cleanup(s.Close)
	return s
}

func TestTLSOfTargets(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	clients := x509.NewCertPool()
	clients.AddCert(ours.cert)
	open := newTLSTarget(ours, &tls.Config{})
	old := newTLSTarget(ours, &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	only12 := newTLSTarget(ours, &tls.Config{MaxVersion: tls.VersionTLS12})
	asks := newTLSTarget(ours, &tls.Config{ClientAuth: tls.RequestClientCert})
	strict13 := newTLSTarget(ours, &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients})
	strict12 := newTLSTarget(ours, &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MaxVersion: tls.VersionTLS12})
	cert, key := ours.pair("jadwal")
	otherCert, otherKey := theirs.pair("stranger")
	oldCert, oldKey := ours.pairUntil("old", time.Now().Add(-time.Minute))
	const (
		untrusted = "The target's certificate is not one to trust"
		refused   = "The target refused the TLS handshake"
		wanting   = "The target wants a client certificate, and the job has none that it accepts"
		expired   = "The target refused the job's client certificate: it has expired"
		unequal   = "The target speaks no version of TLS that may be spoken"
	)
	for _, tt := range []struct {
		rule      string
		url       string
		tls       jadwal.TargetTLS
		redirects int
		want      string // output, or message
	}{
		{"an authority that the machine does not know is not trusted", open.URL, jadwal.TargetTLS{}, 0, untrusted},
		{"nor is it with another one", open.URL, jadwal.TargetTLS{CA: theirs.pem}, 0, untrusted},
		{"its own is", open.URL, jadwal.TargetTLS{CA: ours.pem}, 0, "nobody by TLS 1.3"},
		{"so is one of two", open.URL, jadwal.TargetTLS{CA: theirs.pem + "\n" + ours.pem}, 0, "nobody by TLS 1.3"},
		{"TLS 1.1 is not spoken", old.URL, jadwal.TargetTLS{CA: ours.pem}, 0, unequal},
		{"1.2 is", only12.URL, jadwal.TargetTLS{CA: ours.pem}, 0, "nobody by TLS 1.2"},
		{"but not when 1.3 is the oldest", only12.URL, jadwal.TargetTLS{CA: ours.pem, MinVersion: "1.3"}, 0, unequal},
		{"then 1.3 is", open.URL, jadwal.TargetTLS{CA: ours.pem, MinVersion: "1.3"}, 0, "nobody by TLS 1.3"},
		{"who has no certificate is not let in", strict13.URL, jadwal.TargetTLS{CA: ours.pem}, 0, wanting},
		{"by TLS 1.2 neither, and that has no word for it", strict12.URL, jadwal.TargetTLS{CA: ours.pem}, 0, refused},
		{"nor is a stranger", strict13.URL, jadwal.TargetTLS{CA: ours.pem, ClientCert: otherCert, ClientKey: otherKey}, 0, wanting},
		{"nor who has one that has expired", strict13.URL, jadwal.TargetTLS{CA: ours.pem, ClientCert: oldCert, ClientKey: oldKey}, 0, expired},
		{"nor by TLS 1.2", strict12.URL, jadwal.TargetTLS{CA: ours.pem, ClientCert: oldCert, ClientKey: oldKey}, 0, expired},
		{"who has one is", strict13.URL, jadwal.TargetTLS{CA: ours.pem, ClientCert: cert, ClientKey: key}, 0, "jadwal by TLS 1.3"},
		{"by TLS 1.2 too", strict12.URL, jadwal.TargetTLS{CA: ours.pem, ClientCert: cert, ClientKey: key}, 0, "jadwal by TLS 1.2"},
		{"a redirect to the same origin shows it again", strict13.URL + "/?to=/", jadwal.TargetTLS{CA: ours.pem, ClientCert: cert, ClientKey: key}, 1, "jadwal by TLS 1.3"},
		{"one to another origin does not", strict13.URL + "/?to=" + asks.URL, jadwal.TargetTLS{CA: ours.pem, ClientCert: cert, ClientKey: key}, 1, "nobody by TLS 1.3"},
		{"nor does the way back", asks.URL + "/?to=" + open.URL + "/%3fto=" + asks.URL, jadwal.TargetTLS{CA: ours.pem, ClientCert: cert, ClientKey: key}, 2, "nobody by TLS 1.3"},
		{"the oldest version holds there as well", open.URL + "/?to=" + only12.URL, jadwal.TargetTLS{CA: ours.pem, MinVersion: "1.3"}, 1, unequal + ", after 1 redirect"},
		{"what is no configuration is refused", open.URL, jadwal.TargetTLS{CA: "x"}, 0, "The target's TLS configuration cannot be used"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			h := newHTTP(t, Options{})
			c := callTo(tt.url)
			c.Job.Target.TLS, c.Job.Target.Redirects = tt.tls, tt.redirects
			r := h.Do(t.Context(), c)
			if got := string(r.Output) + r.Message; got != tt.want {
				t.Errorf("%+v, %q, want %q", r, got, tt.want)
			}
		})
	}
}

// A connection carries only calls that have agreed on the same TLS, and are
// under the same egress rules.
func TestPoolsOfConfigurations(t *testing.T) {
	a := newAuthority(t)
	s := newTLSTarget(a, &tls.Config{ClientAuth: tls.RequestClientCert})
	h := newHTTP(t, Options{Egress: jadwal.Egress{Allow: rules(t, "127.0.0.1")}})
	do := func(c jadwal.TargetTLS, limited bool) string {
		t.Helper()
		call := callTo(s.URL)
		call.Job.Target.TLS, call.Limited = c, limited
		r := h.Do(t.Context(), call)
		return string(r.Output) + r.Message
	}
	var all []jadwal.TargetTLS
	for _, name := range []string{"ani", "sri"} {
		cert, key := a.pair(name)
		all = append(all, jadwal.TargetTLS{CA: a.pem, ClientCert: cert, ClientKey: key})
	}
	all = append(all, jadwal.TargetTLS{CA: a.pem}, jadwal.TargetTLS{CA: a.pem, MinVersion: "1.3"})
	for range 3 {
		for i, want := range []string{"ani by TLS 1.3", "sri by TLS 1.3", "nobody by TLS 1.3", "nobody by TLS 1.3"} {
			for _, limited := range []bool{true, false} {
				if got := do(all[i], limited); got != want {
					t.Errorf("%q, want %q", got, want)
				}
			}
		}
		if got := do(jadwal.TargetTLS{}, false); got != "The target's certificate is not one to trust" {
			t.Errorf("without a configuration: %q", got)
		}
	}
	if made := s.made.Load(); made != 8+3 {
		t.Errorf("%d connections, want one for each configuration and each of the rules, and three that were not trusted", made)
	}

	t.Run("there are not more pools than are bounded, and what is not used any more is closed", func(t *testing.T) {
		before := s.made.Load()
		var last jadwal.TargetTLS
		for i := range ownPools {
			last = jadwal.TargetTLS{CA: a.pem + fmt.Sprintf("%*s", i+1, "\n")}
			if got := do(last, false); got != "nobody by TLS 1.3" {
				t.Fatalf("%q", got)
			}
		}
		if n := h.pools.order.Len(); n != ownPools || len(h.pools.own) != ownPools {
			t.Errorf("%d and %d pools", n, len(h.pools.own))
		}
		for end := time.Now().Add(10 * time.Second); s.open.Load() > ownPools && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
		if n := s.open.Load(); n > ownPools {
			t.Errorf("%d connections are open", n)
		}
		do(last, false)
		if made := s.made.Load() - before; made != ownPools {
			t.Errorf("%d connections", made)
		}
	})
	t.Run("a connection that was in use when its pool went is closed afterwards", func(t *testing.T) {
		release, arrived := make(chan struct{}), make(chan struct{})
		slow := newTLSTarget(a, &tls.Config{NextProtos: []string{"http/1.1"}})
		slow.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(arrived); <-release })
		done := make(chan Result, 1)
		go func() {
			call := callTo(slow.URL)
			call.Job.Target.TLS = jadwal.TargetTLS{CA: a.pem + " "}
			done <- h.Do(t.Context(), call)
		}()
		select {
		case <-arrived:
		case r := <-done:
			t.Fatalf("%+v", r)
		}
		for i := range ownPools {
			do(jadwal.TargetTLS{CA: a.pem + fmt.Sprintf("%*s", i+2, " ")}, true)
		}
		close(release)
		if r := <-done; r.State != jadwal.RunSucceeded {
			t.Errorf("%+v", r)
		}
		for end := time.Now().Add(10 * time.Second); slow.open.Load() > 0 && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
		if n := slow.open.Load(); n != 0 {
			t.Errorf("%d connections are open", n)
		}
	})
	t.Run("parts are told apart", func(t *testing.T) {
		if sumOf(jadwal.TargetTLS{CA: "ab"}) == sumOf(jadwal.TargetTLS{CA: "a", MinVersion: "b"}) {
			t.Error("they are not")
		}
	})
}
