package jadwal

import (
	"math"
	"strings"
)

// Base62 is the digits of public ids and secrets, in order of their values.
const Base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// AppendBase62 appends n with that many digits of base 62.
func AppendBase62(b []byte, n uint64, digits int) []byte {
	at := len(b)
	b = append(b, make([]byte, digits)...)
	for i := at + digits - 1; i >= at; i-- {
		b[i] = Base62[n%62]
		n /= 62
	}
	return b
}

// ParseBase62 reads digits of base 62; ok is false for others, and for a
// number that is no int64.
func ParseBase62(s string) (n int64, ok bool) {
	for i := range len(s) {
		d := int64(strings.IndexByte(Base62, s[i]))
		if d < 0 || n > (math.MaxInt64-d)/62 {
			return 0, false
		}
		n = n*62 + d
	}
	return n, true
}
