package auth

import (
	"bytes"
	"crypto/sha256"
	"hash/crc32"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/teknohole/jadwal"
)

func TestSecrets(t *testing.T) {
	form := regexp.MustCompile(`^jdr_[0-9A-Za-z]{49}$`)
	seen := map[string]bool{}
	for _, id := range []int64{1, 61, 62, 4711, math.MaxInt64} {
		for range 200 {
			code, hash := NewResetCode(id)
			if !form.MatchString(code) || seen[code] {
				t.Fatalf("%q", code)
			}
			seen[code] = true
			sum := sha256.Sum256([]byte(code))
			got, again, ok := ParseResetCode(code)
			if !ok || got != id || string(again) != string(hash) || string(hash) != string(sum[:]) {
				t.Fatalf("%q is read as %d, %x, %v", code, got, again, ok)
			}
		}
	}
	code, _ := NewResetCode(5)
	for i := range len(code) {
		for _, c := range []byte("0Zz_- \x00\xff") {
			if c == code[i] {
				continue
			}
			if _, _, ok := ParseResetCode(code[:i] + string(c) + code[i+1:]); ok {
				t.Errorf("byte %d of %s may be %q", i, code, c)
			}
		}
	}
	for _, text := range []string{"", "jdr_", code + "0", code[1:], code[:len(code)-1], strings.ToUpper(code), " " + code, "jdw_" + code[4:]} {
		if _, _, ok := ParseResetCode(text); ok {
			t.Errorf("%q is read", text)
		}
	}
	for _, id := range []int64{0, -1} { // no id: the checksum is right
		if code, _ := newSecret(resetPrefix, id); code != "" {
			if _, _, ok := ParseResetCode(code); ok {
				t.Errorf("id %d is read", id)
			}
		}
	}
}

// A digit is as likely as any other: each is drawn about as often.
func TestDigitsAreDrawnAlike(t *testing.T) {
	counts := map[byte]int{}
	const each = 2000
	for range each * len(jadwal.Base62) {
		counts[randomDigit()]++
	}
	for i := range len(jadwal.Base62) {
		if n := counts[jadwal.Base62[i]]; n < each*3/4 || n > each*5/4 { // 11 standard deviations
			t.Errorf("%c came %d times of %d", jadwal.Base62[i], n, each)
		}
	}
}

func FuzzSecret(f *testing.F) {
	code, _ := NewResetCode(7)
	f.Add(code)
	f.Add("jdr_" + strings.Repeat("z", 49))
	f.Fuzz(func(t *testing.T, text string) {
		id, hash, ok := ParseResetCode(text)
		if !ok {
			return
		}
		b := jadwal.AppendBase62([]byte(resetPrefix), uint64(id), idDigits)
		if id <= 0 || len(hash) != 32 || !strings.HasPrefix(text, string(b)) || len(text) != 53 {
			t.Errorf("%q is read as %d", text, id)
		}
	})
}

// FuzzKey holds the reader of API keys to the form that NewKey writes: what is
// read has one text only, and no text of another prefix is a key.
func FuzzKey(f *testing.F) {
	_, key, _ := NewKey()
	code, _ := NewResetCode(7)
	for _, text := range []string{key, code, "jdw_" + code[4:], key[:52], key + "0", "jdw_" + strings.Repeat("0", 49), "jdw_" + strings.Repeat("z", 49)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, hash, ok := ParseKey(text)
		if !ok {
			return
		}
		b := jadwal.AppendBase62([]byte(keyPrefix), uint64(id), idDigits)
		b = append(b, text[len(b):len(b)+secretDigits]...)
		b = jadwal.AppendBase62(b, uint64(crc32.ChecksumIEEE(b)), checksumDigits)
		sum := sha256.Sum256([]byte(text))
		if id <= 0 || !LooksLikeKey(text) || string(b) != text || !bytes.Equal(hash, sum[:]) {
			t.Errorf("%q is read as %d, which is written %q", text, id, b)
		}
		if _, _, ok := ParseResetCode(text); ok {
			t.Errorf("%q is a code as well", text)
		}
	})
}
