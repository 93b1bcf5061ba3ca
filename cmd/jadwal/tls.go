package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/config"
)

// serverTLS is how the server speaks TLS, and when the first of its certificates
// ends, in Unix seconds, 0 while one is not there; nil, nil: it does not. When
// certificates come from an ACME server, they are looked after until ctx ends.
func serverTLS(ctx context.Context, cfg config.Config, log *slog.Logger) (c *tls.Config, end func() int64, err error) {
	c = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	switch {
	case cfg.TLSCert != "":
		files := &certificate{certFile: cfg.TLSCert, keyFile: cfg.TLSKey, log: log}
		if err := files.read(time.Now()); err != nil {
			return nil, nil, err
		}
		c.GetCertificate = files.get
		end = func() int64 {
			cert, _ := files.get(nil)
			return expiry(cert).Unix()
		}
	case len(cfg.ACMEHosts) > 0:
		direct := http.DefaultTransport.(*http.Transport).Clone()
		direct.Proxy = nil
		m := &autocert.Manager{
			Prompt:     autocert.AcceptTOS,
			Cache:      autocert.DirCache(filepath.Join(cfg.Data, "acme")),
			HostPolicy: autocert.HostWhitelist(cfg.ACMEHosts...),
			Client: &acme.Client{
				DirectoryURL: cfg.ACMEDirectory,
				UserAgent:    "Jadwal/" + jadwal.Version,
				HTTPClient:   &http.Client{Transport: direct, Timeout: time.Minute},
			},
		}
		c.GetCertificate = m.GetCertificate
		c.NextProtos = append(c.NextProtos, acme.ALPNProto) // RFC 8737
		ends := make([]atomic.Int64, len(cfg.ACMEHosts))
		for i, host := range cfg.ACMEHosts {
			go lookAfter(ctx, m, host, &ends[i], log)
		}
		end = func() int64 {
			first := ends[0].Load()
			for i := range ends {
				first = min(first, ends[i].Load())
			}
			return first
		}
	default:
		return nil, nil, nil
	}
	return c, end, nil
}

// A certificate is one from two files, in PEM. When they have changed, the new
// one is used from the next handshake on, within certificateAge.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	current atomic.Pointer[tls.Certificate]

	mu        sync.Mutex // of who reads the files
	cert, key []byte     // as they were last read, good or not
	readAt    time.Time
}

const certificateAge = time.Second

// get returns the certificate for a handshake. Only one handshake at a time
// reads the files: on a file system that hangs the others go on.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c.mu.TryLock() {
		defer c.mu.Unlock()
		if now := time.Now(); now.Sub(c.readAt) >= certificateAge {
			if err := c.read(now); err != nil {
				c.log.Error("the certificate has changed and cannot be used, so the former one stays", "certificate", c.certFile, "key", c.keyFile, "error", err)
			}
		}
	}
	return c.current.Load(), nil
}

// read reads the files. An error that was told before, since the files are as
// they were then, is none.
func (c *certificate) read(now time.Time) error {
	c.readAt = now
	cert, err := os.ReadFile(c.certFile)
	var key []byte
	if err == nil {
		key, err = os.ReadFile(c.keyFile)
	}
	if err != nil {
		cert, key = nil, []byte(err.Error())
	}
	if c.readBefore(cert, key) {
		return nil
	}
	c.cert, c.key = cert, key
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return err
	}
	if now.After(pair.Leaf.NotAfter) {
		c.log.Warn("the certificate has expired", "certificate", c.certFile, "expired", pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if c.current.Load() != nil {
		c.log.Info("the certificate has changed", "certificate", c.certFile, "expires", pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	c.current.Store(&pair)
	return nil
}

func (c *certificate) readBefore(cert, key []byte) bool {
	return c.key != nil && bytes.Equal(c.cert, cert) && bytes.Equal(c.key, key)
}

// lookAfter gets a host's certificate before somebody asks for it, keeps in end
// when it ends, in Unix seconds, and tells the log when there is none, or an old
// one that is not renewed.
func lookAfter(ctx context.Context, m *autocert.Manager, host string, end *atomic.Int64, log *slog.Logger) {
	const (
		firstWait, longestWait = time.Minute, time.Hour
		goodFor                = 12 * time.Hour
		late                   = 7 * 24 * time.Hour // a month before its end it is renewed
	)
	hello := &tls.ClientHelloInfo{ // as of every client of today: for ECDSA
		ServerName:       host,
		CipherSuites:     []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		SupportedCurves:  []tls.CurveID{tls.CurveP256},
	}
	wait := firstWait
	for {
		next := goodFor
		cert, err := m.GetCertificate(hello)
		if err == nil {
			end.Store(expiry(cert).Unix())
		}
		switch {
		case err != nil:
			log.Error("no certificate from the ACME server", "host", host, "again in", wait.String(), "error", err)
			next, wait = wait, min(2*wait, longestWait)
		case time.Until(expiry(cert)) < late:
			log.Error("the certificate is about to expire and is not renewed", "host", host, "expires", expiry(cert).UTC().Format(time.RFC3339))
			wait = firstWait
		default:
			wait = firstWait
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(next):
		}
	}
}

func expiry(c *tls.Certificate) time.Time {
	leaf := c.Leaf
	if leaf == nil {
		var err error
		if leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
			return time.Time{}
		}
	}
	return leaf.NotAfter
}

// strict tells browsers to come by TLS only, for a year (RFC 6797).
func strict(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		next.ServeHTTP(w, r)
	})
}

// serverLog is what net/http tells: warnings, but what strangers do wrong in a
// handshake is nothing that an operator could change.
type serverLog struct{ *slog.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	level := slog.LevelWarn
	if bytes.HasPrefix(line, []byte("http: TLS handshake error ")) {
		level = slog.LevelDebug
	}
	l.Log(context.Background(), level, strings.TrimSpace(string(line)))
	return len(line), nil
}
