package auth

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/teknohole/jadwal"
)

func TestPasswordHashes(t *testing.T) {
	h, ctx := NewHasher(), t.Context()
	phc, err := h.Hash(ctx, "admin123")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") || len(phc) != 31+22+1+43 {
		t.Errorf("PHC string %s", phc)
	}
	again, err := h.Hash(ctx, "admin123")
	if err != nil || again == phc {
		t.Errorf("two hashes of one password are alike: %v", err)
	}
	for _, tt := range []struct {
		name, password string
		want           bool
	}{
		{"the password is right", "admin123", true},
		{"another is wrong", "admin124", false},
		{"nothing is wrong", "", false},
		{"case counts", "Admin123", false},
		{"a space behind counts", "admin123 ", false},
		{"a NUL behind counts", "admin123\x00", false},
		{"the hash is not the password", phc, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if ok, err := h.Verify(ctx, phc, tt.password); ok != tt.want || err != nil {
				t.Errorf("got %v, %v", ok, err)
			}
		})
	}
	long := strings.Repeat("x", 1024)
	phc, err = h.Hash(ctx, long)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := h.Verify(ctx, phc, long); !ok || err != nil {
		t.Errorf("1024 bytes: %v, %v", ok, err)
	}
	if ok, _ := h.Verify(ctx, phc, long[:1023]); ok {
		t.Error("the last of 1024 bytes does not count")
	}
	if err := h.VerifyNobody(ctx, "admin123"); err != nil {
		t.Error(err)
	}
}

func TestStoredHashes(t *testing.T) {
	h, ctx := NewHasher(), t.Context()
	// A test vector of the reference implementation (phc-winner-argon2, src/test.c).
	const vector = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	if ok, err := h.Verify(ctx, vector, "password"); !ok || err != nil {
		t.Errorf("the reference implementation's hash: %v, %v", ok, err)
	}
	d, err := parsePHC(vector)
	if err != nil || d.String() != vector {
		t.Errorf("%s is written back as %s, %v", vector, d, err)
	}
	for name, phc := range map[string]string{
		"nothing":                  "",
		"a clear password":         "admin123",
		"bcrypt":                   "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
		"argon2i":                  strings.Replace(vector, "argon2id", "argon2i", 1),
		"an older version":         strings.Replace(vector, "v=19", "v=16", 1),
		"no version":               strings.Replace(vector, "v=19$", "", 1),
		"memory beyond bounds":     strings.Replace(vector, "m=256", "m=65537", 1),
		"memory that overflows":    strings.Replace(vector, "m=256", "m=4294967552", 1),
		"memory too small":         strings.Replace(vector, "m=256", "m=7", 1),
		"no passes":                strings.Replace(vector, "t=2", "t=0", 1),
		"passes beyond bounds":     strings.Replace(vector, "t=2", "t=9", 1),
		"lanes beyond bounds":      strings.Replace(vector, "p=1", "p=9", 1),
		"lanes of 257":             strings.Replace(vector, "p=1", "p=257", 1),
		"a sign":                   strings.Replace(vector, "t=2", "t=+2", 1),
		"costs in another order":   strings.Replace(vector, "m=256,t=2", "t=2,m=256", 1),
		"a cost left out":          strings.Replace(vector, ",p=1", "", 1),
		"no salt":                  strings.Replace(vector, "c29tZXNhbHQ", "", 1),
		"salt that is not base64":  strings.Replace(vector, "c29tZXNhbHQ", "c29tZXNhbHQ==", 1),
		"salt with trailing bits":  strings.Replace(vector, "c29tZXNhbHQ", "c29tZXNhbHR", 1),
		"no digest":                vector[:strings.LastIndex(vector, "$")+1],
		"a digest cut short":       vector[:strings.LastIndex(vector, "$")+9],
		"something behind it":      vector + "$",
		"something in front of it": "x" + vector,
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			ok, err := h.Verify(ctx, phc, "password")
			if ok || err == nil || jadwal.CodeOf(err) != jadwal.CodeInternal {
				t.Fatalf("got %v, %v", ok, err)
			}
			if phc != "" && strings.Contains(err.Error(), phc) {
				t.Errorf("the error tells the hash: %v", err)
			}
		})
	}
}

// fill occupies every processor and place in the queue of h without hashing.
func fill(h *Hasher, running, waiting int) (free func()) {
	for range running {
		h.running <- struct{}{}
	}
	for range running + waiting {
		h.places <- struct{}{}
	}
	return func() {
		for range running {
			<-h.running
		}
		for range running + waiting {
			<-h.places
		}
	}
}

func TestHashingIsBounded(t *testing.T) {
	t.Run("beyond the queue it is refused at once", func(t *testing.T) {
		h := NewHasher()
		free := fill(h, cap(h.running), cap(h.places)-cap(h.running))
		for what, err := range map[string]error{
			"Hash":         second(h.Hash(t.Context(), "admin123")),
			"Verify":       second(h.Verify(t.Context(), h.nobody.String(), "admin123")),
			"VerifyNobody": h.VerifyNobody(t.Context(), "admin123"),
		} {
			e, ok := err.(*jadwal.Error)
			if !ok || e.Code != jadwal.CodeBusy || e.RetryAfter != time.Second {
				t.Errorf("%s: %v", what, err)
			}
		}
		free()
		if err := h.VerifyNobody(t.Context(), "admin123"); err != nil {
			t.Errorf("with room again: %v", err)
		}
	})
	t.Run("one that waits gives up with its context and leaves its place", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := NewHasher()
			free := fill(h, cap(h.running), 0)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- h.VerifyNobody(ctx, "admin123") }()
			synctest.Wait()
			if n := len(h.places); n != cap(h.running)+1 {
				t.Errorf("%d places taken", n)
			}
			cancel()
			if err := <-done; jadwal.CodeOf(err) != jadwal.CodeBusy {
				t.Errorf("got %v", err)
			}
			free()
			if len(h.places) != 0 || len(h.running) != 0 {
				t.Errorf("%d places and %d processors still taken", len(h.places), len(h.running))
			}
		})
	})
	t.Run("one whose context has ended does not hash", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		h := NewHasher()
		if err := h.VerifyNobody(ctx, "admin123"); jadwal.CodeOf(err) != jadwal.CodeBusy {
			t.Errorf("got %v", err)
		}
		if len(h.places) != 0 || len(h.running) != 0 {
			t.Errorf("%d places and %d processors still taken", len(h.places), len(h.running))
		}
	})
	t.Run("a flood is answered or refused, and its memory does not grow", func(t *testing.T) {
		h := NewHasher()
		var peak atomic.Uint64
		var ok, busy atomic.Int64
		var wg sync.WaitGroup
		for range 20 {
			for range 2 * cap(h.places) {
				wg.Go(func() {
					switch err := h.VerifyNobody(t.Context(), "admin123"); jadwal.CodeOf(err) {
					case "":
						ok.Add(1)
					case jadwal.CodeBusy:
						busy.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapInuse))
			time.Sleep(5 * time.Millisecond)
		}
		wg.Wait()
		if ok.Load() < int64(cap(h.places)) || busy.Load() == 0 {
			t.Errorf("%d answered, %d refused", ok.Load(), busy.Load())
		}
		// What runs is alive, and the collector lets as much again be garbage.
		limit := uint64(cap(h.running)) * argonMemory << 10 * 4
		if peak.Load() > limit {
			t.Errorf("heap of %d MiB, want at most %d", peak.Load()>>20, limit>>20)
		}
		t.Logf("%d answered, %d refused, heap at most %d MiB", ok.Load(), busy.Load(), peak.Load()>>20)
	})
}

func second[T any](_ T, err error) error { return err }

func BenchmarkVerify(b *testing.B) {
	h, ctx := NewHasher(), context.Background()
	phc, err := h.Hash(ctx, "admin123")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			if ok, err := h.Verify(ctx, phc, "admin123"); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
	b.Run("a name that does not exist", func(b *testing.B) {
		for b.Loop() {
			if err := h.VerifyNobody(ctx, "admin123"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("the bare hash", func(b *testing.B) {
		salt := make([]byte, saltLength)
		for b.Loop() {
			argon2.IDKey([]byte("admin123"), salt, argonPasses, argonMemory, argonLanes, digestLength)
		}
	})
}
