package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"github.com/teknohole/jadwal"
)

// A secret is a text that gives whoever has it some right. It is
//
//	prefix, id (11 digits), secret (32 digits), checksum (6 digits)
//
// where digits are of base 62, 0-9A-Za-z. id says whose it is or which one, and
// is public. The secret part has 190 random bits, so that a fast hash of the
// whole is all that needs to be stored. The checksum is the CRC-32 (IEEE
// 802.3) of all before it: scanners of source code can tell a real one from
// any text of that form.
const (
	keyPrefix   = "jdw_" // of API keys
	resetPrefix = "jdr_" // of codes that set a password

	idDigits       = 11 // of any positive int64
	secretDigits   = 32
	checksumDigits = 6 // of any uint32
)

// NewKey makes an API key with an id of its own, a random one, and the hash of
// it that is to be stored.
func NewKey() (id int64, key string, hash []byte) {
	var b [8]byte
	for id == 0 {
		rand.Read(b[:]) // never fails: crypto/rand, func Read
		id = int64(binary.BigEndian.Uint64(b[:]) >> 1)
	}
	key, hash = newSecret(keyPrefix, id)
	return id, key, hash
}

// NewSignatureKey makes a key that requests are signed with.
func NewSignatureKey() []byte {
	key := make([]byte, jadwal.SignatureKeyBytes)
	rand.Read(key) // never fails: crypto/rand, func Read
	return key
}

// LooksLikeKey tells an API key, even one that is not valid, from an access
// token.
func LooksLikeKey(token string) bool { return strings.HasPrefix(token, keyPrefix) }

// ParseKey returns the id and the hash of an API key; ok is false for a text
// that NewKey never makes.
func ParseKey(key string) (id int64, hash []byte, ok bool) { return parseSecret(keyPrefix, key) }

// NewResetCode makes a code that sets the password of a user, and the hash of
// it that is to be stored.
func NewResetCode(userID int64) (code string, hash []byte) { return newSecret(resetPrefix, userID) }

// ParseResetCode returns the user and the hash of a code; ok is false for a
// text that NewResetCode never makes.
func ParseResetCode(code string) (userID int64, hash []byte, ok bool) {
	return parseSecret(resetPrefix, code)
}

func newSecret(prefix string, id int64) (text string, hash []byte) {
	b := jadwal.AppendBase62([]byte(prefix), uint64(id), idDigits)
	for range secretDigits {
		b = append(b, randomDigit())
	}
	b = jadwal.AppendBase62(b, uint64(crc32.ChecksumIEEE(b)), checksumDigits)
	sum := sha256.Sum256(b)
	return string(b), sum[:]
}

// randomDigit draws each digit alike: bytes of which there is no whole set are
// drawn again.
func randomDigit() byte {
	const whole = 256 / len(jadwal.Base62) * len(jadwal.Base62)
	for {
		var b [1]byte
		rand.Read(b[:]) // never fails: crypto/rand, func Read
		if int(b[0]) < whole {
			return jadwal.Base62[int(b[0])%len(jadwal.Base62)]
		}
	}
}

func parseSecret(prefix, text string) (id int64, hash []byte, ok bool) {
	rest, ours := strings.CutPrefix(text, prefix)
	if !ours || len(rest) != idDigits+secretDigits+checksumDigits {
		return 0, nil, false
	}
	for i := range len(rest) {
		if strings.IndexByte(jadwal.Base62, rest[i]) < 0 {
			return 0, nil, false
		}
	}
	id, ok = jadwal.ParseBase62(rest[:idDigits])
	sum, fits := jadwal.ParseBase62(rest[idDigits+secretDigits:])
	if !ok || id == 0 || !fits || sum != int64(crc32.ChecksumIEEE([]byte(text[:len(text)-checksumDigits]))) {
		return 0, nil, false
	}
	h := sha256.Sum256([]byte(text))
	return id, h[:], true
}
