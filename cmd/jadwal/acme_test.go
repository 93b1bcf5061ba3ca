package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/acme"
)

// An acmeServer is as much of RFC 8555 as it takes to issue certificates to a
// client that answers TLS-ALPN-01 (RFC 8737) at one address, whatever its host
// is. It believes all signatures of requests.
type acmeServer struct {
	t       *testing.T
	ca      *authority
	url     string // of the directory
	address string // where challenges are answered
	refuse  atomic.Bool

	mu         sync.Mutex
	nonces     int
	thumbprint string // of the last account's key
	orders     []*acmeOrder
	certs      int
}

// An acmeOrder is one order, with its one authorization and one challenge.
type acmeOrder struct {
	host  string
	valid bool
	cert  []byte // in PEM
}

func newACME(t *testing.T, ca *authority, address string) *acmeServer {
	s := &acmeServer{t: t, ca: ca, address: address}
	srv := httptest.NewUnstartedServer(s)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{ca.sign(key.Public(), "localhost")}, PrivateKey: key}}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	s.url = srv.URL + "/directory"
	return s
}

func (s *acmeServer) issued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.certs
}

func (s *acmeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nonces++
	w.Header().Set("Replay-Nonce", fmt.Sprintf("nonce%d", s.nonces))
	base := strings.TrimSuffix(s.url, "/directory")
	answer := func(status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(body)
	}
	protected, payload := s.message(r)
	kind, id := path.Split(r.URL.Path)
	var n int
	fmt.Sscan(id, &n)
	if kind != "/" && n >= len(s.orders) {
		http.NotFound(w, r)
		return
	}
	switch {
	case r.URL.Path == "/directory":
		answer(http.StatusOK, map[string]string{
			"newNonce": base + "/nonce", "newAccount": base + "/account", "newOrder": base + "/order", "revokeCert": base + "/revoke", "keyChange": base + "/change",
		})
	case r.URL.Path == "/nonce":
	case r.URL.Path == "/account":
		s.thumbprint = s.thumbprintOf(protected)
		w.Header().Set("Location", base+"/account/1")
		answer(http.StatusCreated, map[string]string{"status": "valid"})
	case r.URL.Path == "/order" && s.refuse.Load():
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "not this one", "status": 403}`)
	case r.URL.Path == "/order":
		var order struct{ Identifiers []struct{ Value string } }
		json.Unmarshal(payload, &order)
		s.orders = append(s.orders, &acmeOrder{host: order.Identifiers[0].Value})
		s.order(w, base, len(s.orders)-1, http.StatusCreated)
	case kind == "/order/":
		s.order(w, base, n, http.StatusOK)
	case kind == "/challenge/" && len(payload) > 0:
		if err := s.validate(s.orders[n].host, token(n)); err != nil {
			s.t.Errorf("the challenge for %s: %v", s.orders[n].host, err)
		} else {
			s.orders[n].valid = true
		}
		answer(http.StatusOK, s.challenge(base, n))
	case kind == "/authz/":
		answer(http.StatusOK, map[string]any{
			"status": s.status(n), "identifier": map[string]string{"type": "dns", "value": s.orders[n].host}, "challenges": []any{s.challenge(base, n)},
		})
	case kind == "/finalize/" && s.orders[n].valid:
		var order struct{ CSR string }
		json.Unmarshal(payload, &order)
		der, _ := base64.RawURLEncoding.DecodeString(order.CSR)
		csr, err := x509.ParseCertificateRequest(der)
		if err != nil {
			s.t.Error(err)
			http.Error(w, "bad CSR", http.StatusBadRequest)
			return
		}
		s.orders[n].cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.ca.sign(csr.PublicKey, csr.DNSNames...)})
		s.certs++
		s.order(w, base, n, http.StatusOK)
	case kind == "/cert/" && s.orders[n].cert != nil:
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		w.Write(append(bytes.Clone(s.orders[n].cert), s.ca.pem...))
	default:
		http.NotFound(w, r)
	}
}

func token(n int) string { return fmt.Sprintf("token%d", n) }

func (s *acmeServer) status(n int) string {
	if s.orders[n].valid {
		return "valid"
	}
	return "pending"
}

func (s *acmeServer) challenge(base string, n int) map[string]string {
	return map[string]string{"type": "tls-alpn-01", "url": fmt.Sprintf("%s/challenge/%d", base, n), "token": token(n), "status": s.status(n)}
}

func (s *acmeServer) order(w http.ResponseWriter, base string, n, status int) {
	o := s.orders[n]
	body := map[string]any{
		"status": "pending", "identifiers": []any{map[string]string{"type": "dns", "value": o.host}},
		"authorizations": []string{fmt.Sprintf("%s/authz/%d", base, n)}, "finalize": fmt.Sprintf("%s/finalize/%d", base, n),
	}
	switch {
	case o.cert != nil:
		body["status"], body["certificate"] = "valid", fmt.Sprintf("%s/cert/%d", base, n)
	case o.valid:
		body["status"] = "ready"
	}
	w.Header().Set("Location", fmt.Sprintf("%s/order/%d", base, n))
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

// message returns the header and the payload of a request's JWS.
func (s *acmeServer) message(r *http.Request) (protected, payload []byte) {
	var jws struct{ Protected, Payload string }
	if r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&jws) != nil {
		return nil, nil
	}
	protected, _ = base64.RawURLEncoding.DecodeString(jws.Protected)
	payload, _ = base64.RawURLEncoding.DecodeString(jws.Payload)
	return protected, payload
}

func (s *acmeServer) thumbprintOf(protected []byte) string {
	var header struct{ JWK struct{ X, Y string } }
	json.Unmarshal(protected, &header)
	x, _ := base64.RawURLEncoding.DecodeString(header.JWK.X)
	y, _ := base64.RawURLEncoding.DecodeString(header.JWK.Y)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y)) // SEC 1, section 2.3.3
	if err != nil {
		s.t.Error(err)
		return ""
	}
	print, err := acme.JWKThumbprint(key)
	if err != nil {
		s.t.Error(err)
	}
	return print
}

// validate is TLS-ALPN-01 (RFC 8737, section 3).
func (s *acmeServer) validate(host, token string) error {
	conn, err := tls.Dial("tcp", s.address, &tls.Config{ServerName: host, NextProtos: []string{acme.ALPNProto}, InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	defer conn.Close()
	want := sha256.Sum256([]byte(token + "." + s.thumbprint))
	der, err := asn1.Marshal(want[:])
	if err != nil {
		return err
	}
	for _, ext := range conn.ConnectionState().PeerCertificates[0].Extensions {
		if ext.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}) && bytes.Equal(ext.Value, der) {
			return nil
		}
	}
	return fmt.Errorf("no certificate for the challenge")
}
