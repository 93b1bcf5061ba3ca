package jadwal

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// MinServerSecret and MaxServerSecret bound the length, in bytes, of what a
// server keeps secret itself: what signs tokens, and the master key of secrets.
// A key of HS256 must be at least as long as its hash (RFC 7518, section 3.2).
const (
	MinServerSecret = 32
	MaxServerSecret = 4096
)

// CheckServerSecret returns why secret, whose ends of line at its end are none
// of it, cannot be one of a server's, nil when it can.
func CheckServerSecret(secret []byte) error {
	secret = bytes.TrimRight(secret, "\r\n")
	switch n := len(secret); {
	case n > 0 && len(bytes.Trim(secret, "\x00")) == 0: // what a crash of some file systems leaves of a file
		return errors.New("has nothing but NUL bytes")
	case n < MinServerSecret || n > MaxServerSecret:
		return fmt.Errorf("has %d bytes, needs %d to %d; make one with: openssl rand -base64 32", n, MinServerSecret, MaxServerSecret)
	}
	return nil
}

// SigningHolder is a server by the secrets that it has, each by a name that
// does not tell it: Active is the one that it is to sign with, Retiring
// another one whose signatures it accepts; "": none.
type SigningHolder struct {
	Active   string
	Retiring string
}

// accepts tells whether h accepts what the secret of that name signed.
func (h SigningHolder) accepts(name string) bool { return h.Active == name || h.Retiring == name }

// SigningRecord is what the servers on a database agree on: the secret that
// signs, the one that did before it, and since when; zero on a new database.
type SigningRecord struct {
	Signs  string
	Before string
	Since  time.Time
}

// Meet is the record after self has met the others, all the servers on the
// database that live, at now. A server's active secret begins to sign when
// every one of them accepts it: so no token is ever shown to a server that
// does not know its secret, in whichever order the servers get a new one.
// The secret before does not come back while another server has the present
// one as its active secret: self has only not been told.
//
// same is false when self does not have the secret that signs: it may not
// serve beside the others, and the record stays. Otherwise self signs with the
// secret that the record names, which is one of its own.
func (r SigningRecord) Meet(self SigningHolder, others []SigningHolder, now time.Time) (after SigningRecord, same bool) {
	switch {
	case r.Signs == "":
		return SigningRecord{Signs: self.Active, Since: now}, true
	case r.Signs == self.Active:
		return r, true
	case r.Signs != self.Retiring:
		return r, false
	}
	for _, o := range others {
		if !o.accepts(self.Active) || self.Active == r.Before && o.Active == r.Signs {
			return r, true
		}
	}
	return r.Replace(self, now), true
}

// Replace is the record when self's active secret signs from now on, whoever
// knows it.
func (r SigningRecord) Replace(self SigningHolder, now time.Time) SigningRecord {
	if r.Signs == self.Active {
		return r
	}
	return SigningRecord{Signs: self.Active, Before: r.Signs, Since: now}
}

// signingSlack is how long a server may take to sign with the secret that the
// record names, and how far apart clocks may be.
const signingSlack = time.Minute

// RetiresAt is when nothing is good any more that the secret before signed,
// given that it was good for at most lifetime.
func (r SigningRecord) RetiresAt(lifetime time.Duration) time.Time {
	return r.Since.Add(lifetime + signingSlack)
}

// Retired tells whether the secret of that name has signed before and nothing
// that it signed is good at now.
func (r SigningRecord) Retired(name string, lifetime time.Duration, now time.Time) bool {
	return name != "" && name == r.Before && !now.Before(r.RetiresAt(lifetime))
}
