package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/teknohole/jadwal"
)

// Lifetimes says how long tokens and sessions live. A token never outlives its
// session, nor an access token the refresh token that came with it.
type Lifetimes struct {
	Access  time.Duration
	Refresh time.Duration
	Session time.Duration // from the sign-in, however often it is refreshed
}

// Claims is what a token says. Generation is of refresh tokens only.
type Claims struct {
	UserID     int64
	SessionID  int64
	Generation int64
	IssuedAt   time.Time
	ExpiresAt  time.Time // the first instant at which the token is dead
}

// Tokens mints and reads JSON Web Tokens (RFC 7519) signed with HMAC and
// SHA-256 (RFC 7518, section 3.2). It is safe for concurrent use.
//
// There is one header, byte for byte, and one order of claims. What is not
// written exactly so is not ours: nothing is negotiated, and no two texts
// stand for the same token.
type Tokens struct {
	signers   atomic.Pointer[signers]
	lifetimes Lifetimes
}

// signers are the keys in force at one moment.
type signers struct {
	active   *signer
	retiring *signer // nil: none
}

// NewTokens signs with the active key and also accepts what the retiring key
// signed; nil when none retires.
func NewTokens(active, retiring []byte, l Lifetimes) *Tokens {
	t := &Tokens{lifetimes: l}
	t.Use(active, retiring)
	return t
}

// Use signs with the active key from now on, and accepts what it or the
// retiring key signed; nil when none retires.
func (t *Tokens) Use(active, retiring []byte) {
	s := &signers{active: newSigner(active)}
	if len(retiring) > 0 {
		s.retiring = newSigner(retiring)
	}
	t.signers.Store(s)
}

// SessionEnd is when a session that begins at now ends for good. It is a whole
// second, as the times in tokens are.
func (t *Tokens) SessionEnd(now time.Time) time.Time {
	return now.Add(t.lifetimes.Session).Truncate(time.Second)
}

// RefreshEnd is when a session ends unless it is refreshed before: when its
// refresh token expires.
func (t *Tokens) RefreshEnd(s jadwal.Session) time.Time {
	end := s.RotatedAt.Add(t.lifetimes.Refresh)
	if end.After(s.ExpiresAt) {
		return s.ExpiresAt
	}
	return end
}

// IdleSince is until when sessions were refreshed last that have ended by now
// because they were not refreshed again.
func (t *Tokens) IdleSince(now time.Time) time.Time { return now.Add(-t.lifetimes.Refresh) }

const (
	tokenHeader = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9." // {"typ":"JWT","alg":"HS256"}
	macLength   = 43                                      // 32 bytes in base64url without padding
	maxToken    = 512
	maxAhead    = time.Minute // of an access token's iat: clocks of nodes are that near to each other
	useAccess   = "access"
	useRefresh  = "refresh"
)

// Pair makes the tokens of a session as it stands. The refresh token is a pure
// function of the session's user, id, generation and RotatedAt, so the same
// one can be made again and none is stored; the access token has a random jti.
func (t *Tokens) Pair(s jadwal.Session, now time.Time) (access, refresh string) {
	refreshEnd := t.RefreshEnd(s)
	accessEnd := now.Add(t.lifetimes.Access)
	if accessEnd.After(refreshEnd) {
		accessEnd = refreshEnd
	}
	active := t.signers.Load().active // of both tokens
	sid := strconv.FormatInt(s.ID, 10)
	gen := strconv.FormatInt(s.Generation, 10)

	var jti [16]byte
	rand.Read(jti[:])
	var buf [256]byte

	b := appendClaims(buf[:0], s.UserID, now, accessEnd, sid, useAccess)
	b = base64.RawURLEncoding.AppendEncode(b, jti[:])
	access = active.sign(append(b, `"}`...))

	b = appendClaims(buf[:0], s.UserID, s.RotatedAt, refreshEnd, sid, useRefresh)
	b = append(append(append(b, sid...), '.'), gen...) // unique: a session has each generation once
	b = append(append(append(b, `","gen":`...), gen...), '}')
	return access, active.sign(b)
}

// appendClaims writes what both kinds of tokens have, up to the value of jti.
func appendClaims(b []byte, userID int64, issued, expires time.Time, sid, use string) []byte {
	b = strconv.AppendInt(append(b, `{"sub":`...), userID, 10)
	b = strconv.AppendInt(append(b, `,"iat":`...), issued.Unix(), 10)
	b = strconv.AppendInt(append(b, `,"exp":`...), expires.Unix(), 10)
	b = append(append(b, `,"sid":"`...), sid...)
	b = append(append(b, `","use":"`...), use...)
	return append(b, `","jti":"`...)
}

// ParseAccess returns the claims of an access token of ours that is alive at
// now. The error has CodeInvalidToken, also for a token that was issued more
// than a minute after now: a clock that was wrong has made it, and it would
// live for too long. That the session lives is for the caller to check.
func (t *Tokens) ParseAccess(token string, now time.Time) (Claims, error) {
	c, err := t.parse(token, useAccess, now)
	if err == nil && c.IssuedAt.After(now.Add(maxAhead)) {
		return Claims{}, errNotOurs
	}
	return c, err
}

// ParseRefresh is ParseAccess for refresh tokens, whenever they were issued:
// with one a client gets away from a clock that was wrong, and how long it is
// good is what the session says.
func (t *Tokens) ParseRefresh(token string, now time.Time) (Claims, error) {
	return t.parse(token, useRefresh, now)
}

var (
	errNotOurs = jadwal.Errorf(jadwal.CodeInvalidToken, "The token is not valid")
	errExpired = jadwal.Errorf(jadwal.CodeInvalidToken, "The token has expired")
)

func (t *Tokens) parse(token, use string, now time.Time) (Claims, error) {
	if len(token) > maxToken || len(token) < len(tokenHeader)+1+macLength || token[:len(tokenHeader)] != tokenHeader {
		return Claims{}, errNotOurs
	}
	var buf [maxToken]byte
	signers := t.signers.Load()
	payload, ok := signers.active.verify(token, buf[:0])
	if !ok && signers.retiring != nil {
		payload, ok = signers.retiring.verify(token, buf[:0])
	}
	if !ok {
		return Claims{}, errNotOurs
	}
	c, ok := readClaims(payload, use)
	if !ok {
		return Claims{}, errNotOurs
	}
	if !now.Before(c.ExpiresAt) {
		return Claims{}, errExpired
	}
	return c, nil
}

// readClaims reads exactly what Pair writes for that use.
func readClaims(payload []byte, use string) (Claims, bool) {
	r := claimReader{payload, true}
	var c Claims
	r.text(`{"sub":`)
	c.UserID = r.number()
	r.text(`,"iat":`)
	issued := r.number()
	r.text(`,"exp":`)
	expires := r.number()
	r.text(`,"sid":"`)
	c.SessionID = r.number()
	r.text(`","use":"`)
	r.text(use)
	r.text(`","jti":"`)
	if use == useRefresh {
		session := r.number()
		r.text(".")
		c.Generation = r.number()
		r.text(`","gen":`)
		again := r.number()
		r.text("}")
		r.ok = r.ok && session == c.SessionID && again == c.Generation
	} else {
		r.skip(22) // 16 bytes in base64url without padding
		r.text(`"}`)
	}
	if !r.ok || len(r.rest) > 0 {
		return Claims{}, false
	}
	c.IssuedAt, c.ExpiresAt = time.Unix(issued, 0).UTC(), time.Unix(expires, 0).UTC()
	return c, true
}

// claimReader consumes a text from the front; ok turns false for ever at the
// first thing that is not there.
type claimReader struct {
	rest []byte
	ok   bool
}

func (r *claimReader) text(s string) {
	if !r.ok || len(r.rest) < len(s) || string(r.rest[:len(s)]) != s {
		r.ok = false
		return
	}
	r.rest = r.rest[len(s):]
}

func (r *claimReader) skip(n int) {
	if !r.ok || len(r.rest) < n {
		r.ok = false
		return
	}
	r.rest = r.rest[n:]
}

// number reads a positive int64 as strconv writes it.
func (r *claimReader) number() int64 {
	const maxDigits = 18 // fits without a look at overflow; a 19th is looked at
	var v int64
	n := 0
	for n < len(r.rest) && r.rest[n] >= '0' && r.rest[n] <= '9' {
		d := int64(r.rest[n] - '0')
		if n >= maxDigits && v > (1<<63-1-d)/10 {
			r.ok = false
			return 0
		}
		v = v*10 + d
		n++
	}
	if !r.ok || n == 0 || r.rest[0] == '0' {
		r.ok = false
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// signer makes and checks signatures with one key.
type signer struct{ states sync.Pool }

// macState is a keyed hash with room for its sum and for its input, so that a
// token costs no allocation.
type macState struct {
	mac  hash.Hash
	sum  [sha256.Size]byte
	text [maxToken]byte
}

func newSigner(key []byte) *signer {
	return &signer{states: sync.Pool{New: func() any { return &macState{mac: hmac.New(sha256.New, key)} }}}
}

// sign returns the token for a payload.
func (s *signer) sign(payload []byte) string {
	st := s.states.Get().(*macState)
	defer s.states.Put(st)
	b := base64.RawURLEncoding.AppendEncode(append(st.text[:0], tokenHeader...), payload)
	sum := st.of(b)
	return string(base64.RawURLEncoding.AppendEncode(append(b, '.'), sum))
}

// verify appends the payload of a token with our header to dst, and tells
// whether the signature is right. The signature is compared as text: its one
// canonical form, so that trailing bits and line ends, which a decoder may
// overlook, do not pass. The payload's text is what was signed.
func (s *signer) verify(token string, dst []byte) (payload []byte, ok bool) {
	dot := len(token) - macLength - 1
	if token[dot] != '.' {
		return nil, false
	}
	st := s.states.Get().(*macState)
	defer s.states.Put(st)
	n := copy(st.text[:], token)
	var want [macLength]byte
	base64.RawURLEncoding.Encode(want[:], st.of(st.text[:dot]))
	if subtle.ConstantTimeCompare(want[:], st.text[dot+1:n]) != 1 {
		return nil, false
	}
	payload, err := base64.RawURLEncoding.AppendDecode(dst, st.text[len(tokenHeader):dot])
	return payload, err == nil
}

func (st *macState) of(text []byte) []byte {
	st.mac.Reset()
	st.mac.Write(text)
	return st.mac.Sum(st.sum[:0])
}
