package auth

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
)

var (
	hereAddr  = netip.MustParseAddr("203.0.113.7")
	thereAddr = netip.MustParseAddr("203.0.113.8")
)

// try makes one attempt that fails, and returns how long to wait if it was
// not even allowed.
func try(t *testing.T, l *Limiter, source netip.Addr, identifier string, now time.Time) (wait time.Duration, allowed bool) {
	t.Helper()
	a, err := l.Begin(t.Context(), source, identifier, now)
	if err == nil {
		a.Fail(now)
		return 0, true
	}
	e, ok := err.(*jadwal.Error)
	if !ok || e.Code != jadwal.CodeRateLimited || e.RetryAfter <= 0 || e.RetryAfter > 5*time.Second {
		t.Fatalf("got %v", err)
	}
	return e.RetryAfter, false
}

// failAll makes failing attempts, one after the other, until one is refused.
func failAll(t *testing.T, l *Limiter, source netip.Addr, identifier func(i int) string, now time.Time) (failures int, wait time.Duration) {
	t.Helper()
	for i := range 1000 {
		if wait, ok := try(t, l, source, identifier(i), now); !ok {
			return i, wait
		}
	}
	t.Fatal("a thousand failures and no end")
	return 0, 0
}

func always(s string) func(int) string { return func(int) string { return s } }

func TestFailedSignInsAreLimited(t *testing.T) {
	t.Run("an account and source may fail ten times, then once every five seconds", func(t *testing.T) {
		l, now := NewLimiter(), testNow
		if n, wait := failAll(t, l, hereAddr, always("admin"), now); n != 10 || wait != 5*time.Second {
			t.Fatalf("%d failures, then %s", n, wait)
		}
		if wait, ok := try(t, l, hereAddr, "admin", now.Add(4999*time.Millisecond)); ok || wait != time.Millisecond {
			t.Errorf("allowed %v, wait %s after 4.999 s", ok, wait)
		}
		for i := range 5 {
			now = now.Add(5 * time.Second)
			if n, _ := failAll(t, l, hereAddr, always("admin"), now); n != 1 {
				t.Errorf("%d failures after refill %d", n, i+1)
			}
		}
		if n, _ := failAll(t, l, hereAddr, always("admin"), now.Add(time.Hour)); n != 10 {
			t.Errorf("%d failures an hour later", n)
		}
	})
	t.Run("a source may fail thirty times, then once a second", func(t *testing.T) {
		l, now := NewLimiter(), testNow
		name := func(i int) string { return fmt.Sprint("user", i) }
		if n, wait := failAll(t, l, hereAddr, name, now); n != 30 || wait != time.Second {
			t.Fatalf("%d failures, then %s", n, wait)
		}
		for range 5 {
			now = now.Add(time.Second)
			if n, _ := failAll(t, l, hereAddr, name, now); n != 1 {
				t.Errorf("%d failures after a second", n)
			}
		}
	})
	t.Run("other sources and accounts do not notice", func(t *testing.T) {
		l := NewLimiter()
		failAll(t, l, hereAddr, always("admin"), testNow)
		if _, ok := try(t, l, thereAddr, "admin", testNow); !ok {
			t.Error("another source is refused")
		}
		if _, ok := try(t, l, hereAddr, "arbath", testNow); !ok {
			t.Error("another account is refused")
		}
		failAll(t, l, hereAddr, func(i int) string { return fmt.Sprint(i) }, testNow)
		if _, ok := try(t, l, thereAddr, "0", testNow); !ok {
			t.Error("another source is refused after the first one has used up its own")
		}
	})
	t.Run("an identifier counts in any ASCII case, and nothing else folds", func(t *testing.T) {
		l := NewLimiter()
		spelling := []string{"admin@Teknohole.com", "ADMIN@teknohole.com", "admin@teknohole.COM"}
		if n, _ := failAll(t, l, hereAddr, func(i int) string { return spelling[i%3] }, testNow); n != 10 {
			t.Errorf("%d failures", n)
		}
		if _, ok := try(t, l, hereAddr, "admİn@teknohole.com", testNow); !ok {
			t.Error("another letter is taken for the same")
		}
	})
	t.Run("successes never count", func(t *testing.T) {
		l := NewLimiter()
		for i := range 1000 {
			a, err := l.Begin(t.Context(), hereAddr, "admin", testNow)
			if err != nil {
				t.Fatalf("sign-in %d: %v", i, err)
			}
			a.Release(testNow)
		}
		if len(l.buckets) != 0 {
			t.Errorf("%d buckets are kept", len(l.buckets))
		}
	})
	t.Run("a success forgives nothing", func(t *testing.T) {
		l := NewLimiter()
		for range 9 {
			try(t, l, hereAddr, "admin", testNow)
		}
		a, err := l.Begin(t.Context(), hereAddr, "admin", testNow)
		if err != nil {
			t.Fatal(err)
		}
		a.Release(testNow)
		if n, _ := failAll(t, l, hereAddr, always("admin"), testNow); n != 1 {
			t.Errorf("%d more failures", n)
		}
	})
	t.Run("an attempt ends once", func(t *testing.T) {
		l := NewLimiter()
		a, err := l.Begin(t.Context(), hereAddr, "admin", testNow)
		if err != nil {
			t.Fatal(err)
		}
		a.Fail(testNow)
		a.Fail(testNow)
		a.Release(testNow)
		if n, _ := failAll(t, l, hereAddr, always("admin"), testNow); n != 9 {
			t.Errorf("%d more failures", n)
		}
	})
	t.Run("a clock that is set back locks nobody out for longer", func(t *testing.T) {
		l := NewLimiter()
		for range 9 {
			try(t, l, hereAddr, "admin", testNow)
		}
		earlier := testNow.Add(-time.Hour)
		if wait, ok := try(t, l, hereAddr, "admin", earlier); ok || wait > 5*time.Second {
			t.Errorf("allowed %v, wait %s", ok, wait)
		}
		a, err := l.Begin(t.Context(), thereAddr, "admin", testNow)
		if err != nil {
			t.Fatal(err)
		}
		a.Fail(testNow)
		b, err := l.Begin(t.Context(), thereAddr, "admin", testNow)
		if err != nil {
			t.Fatal(err)
		}
		b.Fail(earlier) // begun before the clock was set back
		if n, _ := failAll(t, l, thereAddr, always("admin"), earlier.Add(time.Minute)); n != 10 {
			t.Errorf("%d failures a minute later", n)
		}
	})
}

func TestSourcesOfAnAddress(t *testing.T) {
	for _, tt := range []struct {
		name string
		a, b string
		same bool
	}{
		{"an IPv4 address is itself", "203.0.113.7", "203.0.113.7", true},
		{"neighbours are two", "203.0.113.7", "203.0.113.8", false},
		{"IPv4 mapped into IPv6 is IPv4", "203.0.113.7", "::ffff:203.0.113.7", true},
		{"two that are mapped are two", "::ffff:203.0.113.7", "::ffff:203.0.113.8", false},
		{"one /64 is one source", "2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
		{"two /64 are two", "2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"a zone does not count", "fe80::1%eth0", "fe80::2%eth1", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := sourceKey(netip.MustParseAddr(tt.a)) == sourceKey(netip.MustParseAddr(tt.b)); got != tt.same {
				t.Errorf("got %v", got)
			}
		})
	}
	if sourceKey(netip.Addr{}) == sourceKey(hereAddr) {
		t.Error("an unknown source is a known one")
	}
}

func TestAttemptsAtOnce(t *testing.T) {
	// signIn is what a login does: an attempt, a hash, an outcome.
	signIn := func(t *testing.T, l *Limiter, right bool, hashes *atomic.Int64) error {
		a, err := l.Begin(t.Context(), hereAddr, "admin", time.Now())
		if err != nil {
			return err
		}
		defer func() { a.Release(time.Now()) }()
		hashes.Add(1)
		time.Sleep(20 * time.Millisecond)
		if !right {
			a.Fail(time.Now())
		}
		return nil
	}
	for _, tt := range []struct {
		name                    string
		right                   bool
		hashes, limited, others int64
	}{
		{"200 wrong guesses get no further than guesses in a row", false, 10, 190, 0},
		{"200 correct sign-ins succeed", true, 200, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := NewLimiter()
				var hashes, limited, others atomic.Int64
				var wg sync.WaitGroup
				for range 200 {
					wg.Go(func() {
						switch err := signIn(t, l, tt.right, &hashes); jadwal.CodeOf(err) {
						case "":
						case jadwal.CodeRateLimited:
							limited.Add(1)
						default:
							others.Add(1)
						}
					})
				}
				wg.Wait()
				if hashes.Load() != tt.hashes || limited.Load() != tt.limited || others.Load() != tt.others {
					t.Errorf("%d hashes, %d limited, %d other errors", hashes.Load(), limited.Load(), others.Load())
				}
				checkLimiter(t, l)
			})
		})
	}
	t.Run("the room to wait in is bounded", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := NewLimiter()
			var hashes, busy atomic.Int64
			var wg sync.WaitGroup
			for range maxWaiting + 100 {
				wg.Go(func() {
					if err := signIn(t, l, true, &hashes); jadwal.CodeOf(err) == jadwal.CodeBusy {
						busy.Add(1)
					}
				})
			}
			wg.Wait()
			if hashes.Load() != maxWaiting+10 || busy.Load() != 90 {
				t.Errorf("%d hashes, %d busy", hashes.Load(), busy.Load())
			}
			checkLimiter(t, l)
		})
	})
	t.Run("one that waits gives up with its context and leaves nothing behind", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := NewLimiter()
			var first []*Attempt
			for range 10 {
				a, err := l.Begin(t.Context(), hereAddr, "admin", testNow)
				if err != nil {
					t.Fatal(err)
				}
				first = append(first, a)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() {
				_, err := l.Begin(ctx, hereAddr, "admin", testNow)
				done <- err
			}()
			synctest.Wait()
			cancel()
			if err := <-done; jadwal.CodeOf(err) != jadwal.CodeBusy {
				t.Errorf("got %v", err)
			}
			if n := len(l.buckets[first[0].source].waiting); n != 0 {
				t.Errorf("%d still wait", n)
			}
			for _, a := range first {
				a.Release(testNow)
			}
			if len(l.buckets) != 0 {
				t.Errorf("%d buckets are kept", len(l.buckets))
			}
		})
	})
	t.Run("an answer that crosses the end of the context is given back", func(t *testing.T) {
		for range 200 {
			l := NewLimiter()
			var first []*Attempt
			for range 10 {
				a, err := l.Begin(t.Context(), hereAddr, "admin", testNow)
				if err != nil {
					t.Fatal(err)
				}
				first = append(first, a)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				if a, err := l.Begin(ctx, hereAddr, "admin", testNow); err == nil {
					a.Release(testNow)
				}
			})
			wg.Go(cancel)
			for _, a := range first {
				wg.Go(func() { a.Release(testNow) })
			}
			wg.Wait()
			if len(l.buckets) != 0 {
				t.Fatalf("%d buckets are kept", len(l.buckets))
			}
		}
	})
}

func TestTheLimiterIsBounded(t *testing.T) {
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	t.Run("what is full again is forgotten", func(t *testing.T) {
		l := NewLimiter()
		for i := range 1000 {
			try(t, l, addr(i), "admin", testNow)
		}
		if len(l.buckets) != 2000 {
			t.Errorf("%d buckets", len(l.buckets))
		}
		try(t, l, hereAddr, "admin", testNow.Add(time.Second)) // 1000 sources are full again
		if len(l.buckets) != 1002 {
			t.Errorf("%d buckets a second later", len(l.buckets))
		}
		try(t, l, hereAddr, "admin", testNow.Add(time.Minute))
		if len(l.buckets) != 2 {
			t.Errorf("%d buckets a minute later", len(l.buckets))
		}
	})
	t.Run("beyond the bound the ones nearest to full go, not those that have used up theirs", func(t *testing.T) {
		l := NewLimiter()
		l.max = 100
		failAll(t, l, hereAddr, always("admin"), testNow)
		for i := range 1000 {
			try(t, l, addr(i), "admin", testNow)
			if len(l.buckets) > l.max {
				t.Fatalf("%d buckets", len(l.buckets))
			}
		}
		if _, ok := try(t, l, hereAddr, "admin", testNow); ok {
			t.Error("a flood from elsewhere gave an attacker a fresh start")
		}
		checkLimiter(t, l)
	})
	t.Run("what is under way stays whatever comes", func(t *testing.T) {
		l := NewLimiter()
		l.max = 4
		a, err := l.Begin(t.Context(), hereAddr, "admin", testNow)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			try(t, l, addr(i), "admin", testNow)
		}
		a.Fail(testNow)
		checkLimiter(t, l)
	})
}

// TestTheLimiterAgreesWithItsRule drives many sources and accounts at random
// and keeps the rule's own books: a bucket holds burst failures and gets one
// back each refill.
func TestTheLimiterAgreesWithItsRule(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	l, now := NewLimiter(), testNow
	type book struct {
		level float64
		at    time.Time
	}
	books := map[string]*book{}
	level := func(key string, rt rate) *book {
		b := books[key]
		if b == nil {
			b = &book{float64(rt.burst), now}
			books[key] = b
		}
		b.level = min(float64(rt.burst), b.level+float64(now.Sub(b.at))/float64(rt.refill))
		b.at = now
		return b
	}
	refused := 0
	for i := range 100_000 {
		now = now.Add(time.Duration(r.IntN(400)) * time.Millisecond)
		source := netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(3))})
		name := fmt.Sprint("user", r.IntN(3))
		s, a := level(source.String(), sourceRate), level(source.String()+name, accountRate)
		const rounding = 1e-6
		want := s.level >= 1-rounding && a.level >= 1-rounding
		attempt, err := l.Begin(t.Context(), source, name, now)
		if (err == nil) != want {
			t.Fatalf("step %d: %v with %f of the source and %f of the account left", i, err, s.level, a.level)
		}
		if err != nil {
			refused++
			continue
		}
		if r.IntN(10) == 0 {
			attempt.Release(now)
			continue
		}
		attempt.Fail(now)
		s.level--
		a.level--
	}
	if refused < 1000 {
		t.Errorf("only %d refusals", refused)
	}
	checkLimiter(t, l)
}

// checkLimiter checks what holds whenever no attempt is under way.
func checkLimiter(t *testing.T, l *Limiter) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.byFull) != len(l.buckets) {
		t.Errorf("%d buckets, %d of them in the heap", len(l.buckets), len(l.byFull))
	}
	for k, b := range l.buckets {
		if b.key != k || b.reserved != 0 || len(b.waiting) != 0 || b.index < 0 || l.byFull[b.index] != b {
			t.Errorf("bucket %+v", b)
		}
	}
}

func BenchmarkLimiter(b *testing.B) {
	l, now := NewLimiter(), testNow
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		now = now.Add(100 * time.Microsecond)
		a, err := l.Begin(context.Background(), netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), "admin", now)
		if err != nil {
			b.Fatal(err)
		}
		a.Fail(now)
	}
}
