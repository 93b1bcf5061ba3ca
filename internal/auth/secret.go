package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"math"
	"strings"
)

// A secret is a text that gives whoever has it some right. It is
//
//	prefix, id (11 digits), secret (32 digits), checksum (6 digits)
//
// where digits are of base 62, 0-9A-Za-z. id says whose it is or which one, and
// is public. The secret part has 190 random bits, so that a fast hash of the
// whole is all that needs to be stored. The checksum is the CRC-32 (IEEE
// 802.3) of all before it: scanners of source code can tell a real one from
// any text of that form. resetPrefix begins the codes that set a password.
const (
	resetPrefix = "jdr_"

	base62         = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	idDigits       = 11 // of any positive int64
	secretDigits   = 32
	checksumDigits = 6 // of any uint32
)

// NewResetCode makes a code that sets the password of a user, and the hash of
// it that is to be stored.
func NewResetCode(userID int64) (code string, hash []byte) { return newSecret(resetPrefix, userID) }

// ParseResetCode returns the user and the hash of a code; ok is false for a
// text that NewResetCode never makes.
func ParseResetCode(code string) (userID int64, hash []byte, ok bool) {
	return parseSecret(resetPrefix, code)
}

func newSecret(prefix string, id int64) (text string, hash []byte) {
	b := appendBase62([]byte(prefix), uint64(id), idDigits)
	for range secretDigits {
		b = append(b, randomDigit())
	}
	b = appendBase62(b, uint64(crc32.ChecksumIEEE(b)), checksumDigits)
	sum := sha256.Sum256(b)
	return string(b), sum[:]
}

// randomDigit draws each digit alike: bytes of which there is no whole set are
// drawn again.
func randomDigit() byte {
	const whole = 256 / len(base62) * len(base62)
	for {
		var b [1]byte
		rand.Read(b[:]) // never fails: crypto/rand, func Read
		if int(b[0]) < whole {
			return base62[int(b[0])%len(base62)]
		}
	}
}

func parseSecret(prefix, text string) (id int64, hash []byte, ok bool) {
	rest, ours := strings.CutPrefix(text, prefix)
	if !ours || len(rest) != idDigits+secretDigits+checksumDigits {
		return 0, nil, false
	}
	for i := range len(rest) {
		if strings.IndexByte(base62, rest[i]) < 0 {
			return 0, nil, false
		}
	}
	id, ok = parseBase62(rest[:idDigits])
	sum, fits := parseBase62(rest[idDigits+secretDigits:])
	if !ok || id == 0 || !fits || sum != int64(crc32.ChecksumIEEE([]byte(text[:len(text)-checksumDigits]))) {
		return 0, nil, false
	}
	h := sha256.Sum256([]byte(text))
	return id, h[:], true
}

// appendBase62 appends n with that many digits.
func appendBase62(b []byte, n uint64, digits int) []byte {
	at := len(b)
	b = append(b, make([]byte, digits)...)
	for i := at + digits - 1; i >= at; i-- {
		b[i] = base62[n%62]
		n /= 62
	}
	return b
}

// parseBase62 reads digits of base 62; ok is false for others, and for a
// number that is no int64.
func parseBase62(s string) (n int64, ok bool) {
	for i := range len(s) {
		d := int64(strings.IndexByte(base62, s[i]))
		if d < 0 || n > (math.MaxInt64-d)/62 {
			return 0, false
		}
		n = n*62 + d
	}
	return n, true
}
