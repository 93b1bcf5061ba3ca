package config

import (
	"crypto/tls"
	"net/url"
	"regexp"
	"strings"
)

// Scheme is that of the server's URL: http or https.
func (c Config) Scheme() string {
	if c.TLSCert != "" || len(c.ACMEHosts) > 0 {
		return "https"
	}
	return "http"
}

// tls checks the settings of TLS together, and that the files are a pair.
func (r *reader) tls(c Config) {
	switch {
	case c.TLSCert != "" && c.TLSKey == "":
		r.bad("TLSKey", "must be set where --tls-cert is")
	case c.TLSCert == "" && c.TLSKey != "":
		r.bad("TLSCert", "must be set where --tls-key is")
	case c.TLSCert != "" && len(c.ACMEHosts) > 0:
		r.bad("ACMEHosts", "is set as well as --tls-cert; set only one of them")
	case c.TLSCert != "":
		if _, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey); err != nil {
			r.bad("TLSCert", "%s with --tls-key %s: %v", c.TLSCert, c.TLSKey, err)
		}
	}
	if u, err := url.Parse(c.ACMEDirectory); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		r.bad("ACMEDirectory", "is not a URL that begins with https://")
	}
}

// A host name with at least one dot, in ASCII and lower case, whose last label
// is none of an address (RFC 1123, section 2.1).
var publicHost = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// hosts reads a list of host names.
func (r *reader) hosts(field, s string) (all []string) {
	for _, part := range r.list(field, s, "names") {
		name := strings.ToLower(part)
		if len(name) > 253 || !publicHost.MatchString(name) {
			r.bad(field, "%q is not a host name that can have a certificate; write for example jadwal.example.com", clip(name))
			continue
		}
		all = append(all, name)
	}
	return all
}
