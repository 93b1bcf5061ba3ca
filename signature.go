package jadwal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"strconv"
	"strings"
	"sync"
	"time"
)

// SignatureKey is a key that requests are signed with, of a user or of a job. Of
// two of them the newer one is active, and the former one signs beside it until
// it retires.
type SignatureKey struct {
	ID        int64
	Of        SignatureHolder
	CreatedAt time.Time
	RetiresAt time.Time // from then on it signs no more; zero: it is active
}

// SignatureHolder is whose requests a signature key signs: exactly one of the two is
// not 0. A job's own key takes the place of its owner's.
type SignatureHolder struct {
	UserID int64
	JobID  int64
}

// The limits of signature keys.
const (
	SignatureKeyBytes       = 32 // Standard Webhooks wants 24 to 64
	DefaultSignatureOverlap = 24 * time.Hour
	MaxSignatureOverlap     = 30 * 24 * time.Hour
)

// signaturePrefix is what keys begin with (Standard Webhooks, "Signature scheme").
const signaturePrefix = "whsec_"

// FormatSignatureKey writes a key as receivers' libraries want it.
func FormatSignatureKey(key []byte) string {
	return signaturePrefix + base64.StdEncoding.EncodeToString(key)
}

// Signer signs with the keys of one user or job. It is safe for concurrent use,
// and nothing of it changes; nil signs nothing.
type Signer struct {
	keys   []*signing
	locked bool
}

// LockedSigner stands for keys that cannot be opened. Nothing may be sent then:
// whoever is told to expect a signature would not know what a request without
// one means.
func LockedSigner() *Signer { return &Signer{locked: true} }

// Locked tells whether s is such a one.
func (s *Signer) Locked() bool { return s != nil && s.locked }

// signing is a key with what it has computed for the next time.
type signing struct {
	retiresAt time.Time
	macs      sync.Pool // of *mac
}

// mac is a keyed hash, and room for what goes into it and comes out of it.
type mac struct {
	hash.Hash
	head []byte
	sum  [sha256.Size]byte
	text [base64Sum]byte
}

const base64Sum = (sha256.Size + 2) / 3 * 4

// With returns a signer that has one more key, before those of s: it is the
// newer one. retiresAt is that of a SignatureKey.
func (s *Signer) With(key []byte, retiresAt time.Time) *Signer {
	k := &signing{retiresAt: retiresAt}
	k.macs.New = func() any { return &mac{Hash: hmac.New(sha256.New, key)} }
	more := &Signer{keys: []*signing{k}}
	if s != nil {
		more.keys = append(more.keys, s.keys...)
	}
	return more
}

// Sign returns the values of webhook-timestamp, in seconds of Unix time, and of
// webhook-signature for a request that is sent at now with that webhook-id and
// body: "v1," and the base64 of an HMAC-SHA256 of "id.timestamp.body", one for
// each key that has not retired, the newest first, with spaces between them
// (Standard Webhooks 1.0, "Signature scheme"). Both are "" when there is no such
// key.
func (s *Signer) Sign(id string, now time.Time, body []byte) (timestamp, signature string) {
	if s == nil {
		return "", ""
	}
	var b strings.Builder
	for _, k := range s.keys {
		if !k.retiresAt.IsZero() && !now.Before(k.retiresAt) {
			continue
		}
		if timestamp == "" {
			timestamp = strconv.FormatInt(now.Unix(), 10)
			b.Grow(len(s.keys) * (4 + base64Sum))
		} else {
			b.WriteByte(' ')
		}
		m := k.macs.Get().(*mac)
		m.head = append(append(append(append(m.head[:0], id...), '.'), timestamp...), '.')
		m.Write(m.head)
		m.Write(body)
		base64.StdEncoding.Encode(m.text[:], m.Sum(m.sum[:0]))
		b.WriteString("v1,")
		b.Write(m.text[:])
		m.Reset()
		k.macs.Put(m)
	}
	return timestamp, b.String()
}
