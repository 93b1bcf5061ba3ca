// Package vault seals what must not lie in the database in clear: each text
// under a random key of its own (AES-256-GCM, NIST SP 800-38D), which is
// wrapped by a master key that is kept outside of the database. A sealed text
// is bound to its place: it opens nowhere else.
package vault

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/teknohole/jadwal"
)

// Place is what a sealed text is bound to: were it moved to another row, field
// or version, or were what it is bound to changed, it would not open.
type Place struct {
	Table   string
	ID      int64
	Field   string
	Version int64
	Bound   string // what the text may be used for, such as the origins that may get it; "": anything
}

// The form of a sealed text:
//
//	1   the form's number
//	8   the id of the master key
//	60  the key of the text, wrapped by the master key: nonce, 32 bytes, tag
//	28+ the text: nonce, as many bytes as it has, tag
//
// The place is authenticated with both, the form and the id with the wrapped
// key. A master key wraps with random nonces, so it is good for 2^32 texts
// (NIST SP 800-38D, section 8.3).
const (
	form     = 1
	keyBytes = 32
	idBytes  = 8
	gcmExtra = 12 + 16 // nonce and tag
	textFrom = 1 + idBytes + keyBytes + gcmExtra

	// Overhead is how many bytes longer than its text a sealed text is.
	Overhead = textFrom + gcmExtra
)

// The errors of Open and Rewrap. ErrAltered does not tell what is wrong: a bit
// of the text or of its place, or all of it.
var (
	ErrAltered = errors.New("a sealed text has been changed, or is not where it was sealed")
	ErrNoKey   = errors.New("a sealed text needs a master key that is not here")
)

// KeyID names a master key, and tells nothing of it.
type KeyID [idBytes]byte

func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// Vault seals and opens. Its methods may be used by many goroutines.
type Vault struct {
	active   master
	retiring master // its aead is nil: none
}

type master struct {
	id   KeyID
	aead cipher.AEAD
}

// New makes a vault that seals with the active master key, and opens what was
// sealed with it or with the retiring one; empty: none. Line ends behind a key
// do not count, so that a file, a variable and a command can give the same one.
// The error names which of the two has too few bytes or too many.
func New(active, retiring []byte) (*Vault, error) {
	v := &Vault{}
	var err error
	if v.active, err = newMaster(active); err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	if len(retiring) == 0 {
		return v, nil
	}
	if v.retiring, err = newMaster(retiring); err != nil {
		return nil, fmt.Errorf("retiring master key: %w", err)
	}
	if v.retiring.id == v.active.id {
		v.retiring = master{}
	}
	return v, nil
}

func newMaster(key []byte) (master, error) {
	if err := jadwal.CheckServerSecret(key); err != nil {
		return master{}, err
	}
	key = bytes.TrimRight(key, "\r\n")
	m := master{aead: newAEAD(derive(key, "jadwal vault wrap v1", keyBytes))}
	copy(m.id[:], derive(key, "jadwal vault id v1", idBytes))
	return m, nil
}

// derive is HKDF with SHA-256 (RFC 5869).
func derive(key []byte, purpose string, n int) []byte {
	out, err := hkdf.Key(sha256.New, key, nil, purpose, n)
	if err != nil {
		panic(err) // only for a length over 255 hashes
	}
	return out
}

// newAEAD is AES-256-GCM that puts a random nonce of 12 bytes before what it
// seals.
func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for a length that is none of AES's
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for a block that is none of AES's
	}
	return aead
}

// Active is the id of the key that v seals with.
func (v *Vault) Active() KeyID { return v.active.id }

// Retiring is the id of the retiring key; false: there is none.
func (v *Vault) Retiring() (KeyID, bool) { return v.retiring.id, v.retiring.aead != nil }

// Knows tells whether v opens what was sealed with the key that has that id, as
// KeyID writes it.
func (v *Vault) Knows(id string) bool {
	return id == v.active.id.String() || v.retiring.aead != nil && id == v.retiring.id.String()
}

func (v *Vault) master(id KeyID) (master, bool) {
	switch {
	case id == v.active.id:
		return v.active, true
	case v.retiring.aead != nil && id == v.retiring.id:
		return v.retiring, true
	}
	return master{}, false
}

// Seal returns text sealed for a place, Overhead bytes longer, never twice the
// same.
func (v *Vault) Seal(at Place, text []byte) []byte {
	place := at.bytes()
	key := make([]byte, keyBytes)
	rand.Read(key)
	sealed := v.wrap(place, key, len(text))
	return newAEAD(key).Seal(sealed, nil, text, place)
}

// wrap begins a sealed text with room for n bytes of text.
func (v *Vault) wrap(place, key []byte, n int) []byte {
	sealed := make([]byte, 0, Overhead+n)
	sealed = append(sealed, form)
	sealed = append(sealed, v.active.id[:]...)
	return v.active.aead.Seal(sealed, nil, key, header(sealed, place))
}

// header is what is authenticated with a wrapped key.
func header(sealed, place []byte) []byte {
	return append(bytes.Clone(sealed[:1+idBytes]), place...)
}

// Open returns what Seal was given for the same place. ErrAltered: it is not
// what Seal returned, or it was sealed for another place; ErrNoKey: with
// another master key.
func (v *Vault) Open(at Place, sealed []byte) ([]byte, error) {
	place := at.bytes()
	key, err := v.unwrap(place, sealed)
	if err != nil {
		return nil, err
	}
	text, err := newAEAD(key).Open(nil, nil, sealed[textFrom:], place)
	if err != nil {
		return nil, ErrAltered
	}
	return text, nil
}

func (v *Vault) unwrap(place, sealed []byte) ([]byte, error) {
	id, ok := SealedWith(sealed)
	if !ok {
		return nil, ErrAltered
	}
	m, ok := v.master(id)
	if !ok {
		return nil, ErrNoKey
	}
	key, err := m.aead.Open(nil, nil, sealed[1+idBytes:textFrom], header(sealed, place))
	if err != nil {
		return nil, ErrAltered
	}
	return key, nil
}

// Rewrap returns a sealed text with its key wrapped by the active master key;
// changed is false when it was already. The text itself stays as it is, and is
// not opened. The errors are those of Open.
func (v *Vault) Rewrap(at Place, sealed []byte) (rewrapped []byte, changed bool, err error) {
	place := at.bytes()
	key, err := v.unwrap(place, sealed)
	if err != nil {
		return nil, false, err
	}
	if id, _ := SealedWith(sealed); id == v.active.id {
		return sealed, false, nil
	}
	rewrapped = v.wrap(place, key, len(sealed)-Overhead)
	return append(rewrapped, sealed[textFrom:]...), true, nil
}

// SealedWith returns the id of the master key that a text was sealed with; ok
// is false when it is no sealed text.
func SealedWith(sealed []byte) (id KeyID, ok bool) {
	if len(sealed) < Overhead || sealed[0] != form {
		return id, false
	}
	return KeyID(sealed[1 : 1+idBytes]), true
}

// bytes writes a place so that no two are alike: each text with its length
// before it.
func (p Place) bytes() []byte {
	b := make([]byte, 0, 64+len(p.Table)+len(p.Field)+len(p.Bound))
	for _, s := range [...]string{"jadwal vault place v1", p.Table, p.Field, p.Bound} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(p.ID))
	return binary.BigEndian.AppendUint64(b, uint64(p.Version))
}
