package config

import (
	"errors"
	"net/url"
	"strings"
)

// origins reads a list of web origins, separated by commas, each as a browser
// writes it in Origin (RFC 6454, section 6.2).
func (r *reader) origins(field, s string) []string {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	parts := strings.Split(s, ",")
	if len(parts) > maxListEntries {
		r.bad(field, "%d origins are more than %d", len(parts), maxListEntries)
		return nil
	}
	var all []string
	for _, part := range parts {
		part = strings.TrimSpace(part)
		switch written, err := origin(part); {
		case part == "*" || part == "null":
			r.bad(field, "%q would let pages of anybody in; list the origins, such as https://app.example.com", part)
		case err != nil:
			r.bad(field, "%q is not an origin; write scheme, name and, if it is another one than the scheme's, port: https://app.example.com or http://localhost:5173", clip(part))
		case written != part:
			r.bad(field, "%q is sent by browsers as %s; write that", clip(part), clip(written))
		default:
			all = append(all, part)
		}
	}
	return all
}

// origin is the origin of a URL as a browser writes it.
func origin(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", err
	}
	port := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	if port == "" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" || strings.ContainsAny(u.Host, "*") {
		return "", errors.New("not an origin")
	}
	host := strings.ToLower(u.Host)
	if u.Port() == "" || u.Port() == port {
		host = strings.TrimSuffix(strings.TrimSuffix(host, ":"+port), ":")
	}
	return u.Scheme + "://" + host, nil
}
