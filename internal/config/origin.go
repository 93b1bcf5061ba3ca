package config

import (
	"strings"

	"github.com/teknohole/jadwal"
)

// origins reads a list of web origins, each as a browser writes it in Origin
// (RFC 6454, section 6.2).
func (r *reader) origins(field, s string) (all []string) {
	for _, part := range r.list(field, s, "origins") {
		switch written, ok := jadwal.ParseOrigin(strings.TrimSuffix(part, "/")); {
		case part == "*" || part == "null":
			r.bad(field, "%q would let pages of anybody in; list the origins, such as https://app.example.com", part)
		case !ok:
			r.bad(field, "%q is not an origin; write scheme, name and, if it is another one than the scheme's, port: https://app.example.com or http://localhost:5173", clip(part))
		case written != part:
			r.bad(field, "%q is sent by browsers as %s; write that", clip(part), clip(written))
		default:
			all = append(all, part)
		}
	}
	return all
}
