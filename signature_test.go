package jadwal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestSign(t *testing.T) {
	now := time.Unix(1614265330, 999_000_000)
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	var none *Signer
	one := none.With(key, time.Time{})
	body := []byte(`{"test": 2432232314}`)

	t.Run("the example of Standard Webhooks", func(t *testing.T) {
		at, got := one.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", now, body)
		if at != "1614265330" || got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
			t.Errorf("%s %s", at, got)
		}
	})
	t.Run("without a key there is none", func(t *testing.T) {
		if at, got := none.Sign("id", now, body); at != "" || got != "" {
			t.Errorf("%q %q", at, got)
		}
	})
	other := []byte(strings.Repeat("k", SignatureKeyBytes))
	by := func(key []byte) string {
		m := hmac.New(sha256.New, key)
		m.Write([]byte("id.1614265330." + string(body)))
		return "v1," + base64.StdEncoding.EncodeToString(m.Sum(nil))
	}
	retires := now.Add(time.Nanosecond)
	two := none.With(key, retires).With(other, time.Time{})
	t.Run("two keys sign beside each other, the newer first", func(t *testing.T) {
		if _, got := two.Sign("id", now, body); got != by(other)+" "+by(key) {
			t.Error(got)
		}
	})
	t.Run("from the instant on at which it retires a key signs no more", func(t *testing.T) {
		if _, got := two.Sign("id", retires, body); got != by(other) {
			t.Error(got)
		}
		if at, got := none.With(key, retires).Sign("id", retires, body); at != "" || got != "" {
			t.Errorf("%q %q", at, got)
		}
	})
	t.Run("what was computed for one request is not in the next", func(t *testing.T) {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 1000 {
					if _, got := two.Sign("id", retires, body); got != by(other) {
						t.Error(got)
						return
					}
				}
			})
		}
		all.Wait()
	})
	t.Run("a key is written as libraries read it", func(t *testing.T) {
		if got := FormatSignatureKey(key); got != "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" {
			t.Error(got)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	s := (*Signer)(nil).With([]byte(strings.Repeat("k", SignatureKeyBytes)), time.Time{})
	body := []byte(strings.Repeat("b", 200))
	now := time.Unix(1614265330, 0)
	b.ReportAllocs()
	for b.Loop() {
		s.Sign("00361qvegeug00000000000004000", now, body)
	}
}
