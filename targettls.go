package jadwal

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/url"
	"strings"
)

// TargetTLS is how a target of https is called. The zero value: by TLS 1.2 or
// newer, with a certificate that the machine trusts, and without one of the
// caller's.
type TargetTLS struct {
	CA         string `json:"ca,omitempty"`          // in PEM: the authorities that are trusted instead of the machine's
	MinVersion string `json:"min_version,omitempty"` // "1.3"; "": DefaultMinTLS
	ClientCert string `json:"client_cert,omitempty"` // in PEM, with the chain behind it
	ClientKey  string `json:"client_key,omitempty"`  // in PEM; never shown again
}

// DefaultMinTLS is the oldest version of TLS that targets are called by.
const DefaultMinTLS = "1.2"

// ClientKeyField is where a client key is in a definition.
const ClientKeyField = "target.tls.client_key"

// check returns everything that is wrong with t, of a target with that URL. No
// error repeats what is in PEM.
func (t *TargetTLS) check(targetURL string) (wrong []FieldError) {
	add := func(field, code, format string, args ...any) {
		wrong = append(wrong, *fieldError("target.tls."+field, code, format, args...))
	}
	if *t == (TargetTLS{}) {
		return nil
	}
	if u, err := url.Parse(targetURL); err == nil && u.Scheme == "http" {
		return []FieldError{*fieldError("target.tls", "invalid", "target.tls is about https, and target.url is of http")}
	}
	if t.MinVersion != "" && t.MinVersion != "1.3" {
		add("min_version", "invalid", `target.tls.min_version must be "1.2" or "1.3"`)
	}
	switch {
	case len(t.CA) > MaxTargetCA:
		add("ca", "too_long", "target.tls.ca must have at most %d bytes, got %d", MaxTargetCA, len(t.CA))
	case t.CA != "":
		if _, err := t.Authorities(); err != nil {
			add("ca", "invalid", "target.tls.ca %v", err)
		}
	}
	switch {
	case len(t.ClientCert) > MaxClientCert:
		add("client_cert", "too_long", "target.tls.client_cert must have at most %d bytes, got %d", MaxClientCert, len(t.ClientCert))
	case len(t.ClientKey) > MaxClientCert:
		add("client_key", "too_long", "target.tls.client_key must have at most %d bytes, got %d", MaxClientCert, len(t.ClientKey))
	case t.ClientCert != "" && t.ClientKey == "":
		add("client_key", "required", "target.tls.client_key is required where target.tls.client_cert is")
	case t.ClientCert == "" && t.ClientKey != "":
		add("client_cert", "required", "target.tls.client_cert is required where target.tls.client_key is")
	case t.ClientCert != "":
		if _, err := t.Certificate(); err != nil {
			add("client_cert", "invalid", "target.tls.client_cert and target.tls.client_key %v", err)
		}
	}
	return wrong
}

// Authorities are those of t.CA; nil: the machine's.
func (t *TargetTLS) Authorities() (*x509.CertPool, error) {
	if t.CA == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	rest := []byte(t.CA)
	for n := 0; ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if n == 0 || strings.TrimSpace(string(rest)) != "" {
				return nil, errors.New("must be certificates in PEM, and nothing else")
			}
			return pool, nil
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil {
			return nil, errors.New("must be certificates in PEM, and nothing else")
		}
		pool.AddCert(cert)
	}
}

// Certificate is the caller's own, nil: none.
func (t *TargetTLS) Certificate() (*tls.Certificate, error) {
	if t.ClientCert == "" {
		return nil, nil
	}
	pair, err := tls.X509KeyPair([]byte(t.ClientCert), []byte(t.ClientKey))
	if err != nil {
		return nil, errors.New("must be a certificate and its private key, both in PEM and not encrypted")
	}
	return &pair, nil
}
