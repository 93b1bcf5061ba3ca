package vault

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/teknohole/jadwal"
)

var (
	oldMasterKey = []byte(strings.Repeat("o", jadwal.MinServerSecret))
	newMasterKey = []byte(strings.Repeat("n", jadwal.MinServerSecret))
	here         = Place{Table: "secret", ID: 7, Field: "value", Version: 3, Bound: "https://a.example"}
)

func open(t testing.TB, active, retiring []byte) *Vault {
	t.Helper()
	v, err := New(active, retiring)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestWhatIsSealedOpens(t *testing.T) {
	v := open(t, newMasterKey, nil)
	for _, text := range []string{"", "x", "a secret", strings.Repeat("long ", 20_000)} {
		sealed := v.Seal(here, []byte(text))
		if len(sealed) != len(text)+Overhead {
			t.Errorf("%d bytes are sealed in %d", len(text), len(sealed))
		}
		if len(text) > 1 && bytes.Contains(sealed, []byte(text)) {
			t.Error("the text is in it")
		}
		got, err := v.Open(here, sealed)
		if err != nil || string(got) != text {
			t.Errorf("%d bytes: %d bytes, %v", len(text), len(got), err)
		}
		if again := v.Seal(here, []byte(text)); bytes.Equal(again, sealed) {
			t.Error("sealed twice, it is the same")
		}
	}
	t.Run("by another vault with the same key, whatever line ends are behind it", func(t *testing.T) {
		other := open(t, append(bytes.Clone(newMasterKey), "\r\n"...), nil)
		if got, err := other.Open(here, v.Seal(here, []byte("text"))); err != nil || string(got) != "text" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestAChangedBitIsAnError(t *testing.T) {
	v := open(t, newMasterKey, oldMasterKey)
	sealed := v.Seal(here, []byte("a secret of some length"))
	for i := range 8 * len(sealed) {
		bad := bytes.Clone(sealed)
		bad[i/8] ^= 1 << (i % 8)
		text, err := v.Open(here, bad)
		if text != nil || !errors.Is(err, ErrAltered) && !errors.Is(err, ErrNoKey) {
			t.Errorf("bit %d: %q, %v", i, text, err)
		}
		if _, _, err := v.Rewrap(here, bad); err == nil && i < 8*textFrom {
			t.Errorf("bit %d: its key is wrapped anew", i)
		}
	}
	t.Run("so is a text that was cut, or has more behind it", func(t *testing.T) {
		for n := range len(sealed) {
			if text, err := v.Open(here, sealed[:n]); text != nil || err == nil {
				t.Errorf("%d bytes: %q, %v", n, text, err)
			}
		}
		if text, err := v.Open(here, append(bytes.Clone(sealed), 0)); text != nil || err == nil {
			t.Errorf("one more byte: %q, %v", text, err)
		}
	})
	t.Run("so is the one text under the other's key", func(t *testing.T) {
		other := v.Seal(here, []byte("another secret, as long"))
		mixed := append(bytes.Clone(sealed[:textFrom]), other[textFrom:]...)
		if text, err := v.Open(here, mixed); text != nil || err == nil {
			t.Errorf("%q, %v", text, err)
		}
	})
}

func TestATextOpensOnlyInItsPlace(t *testing.T) {
	v := open(t, newMasterKey, nil)
	sealed := v.Seal(here, []byte("text"))
	for name, change := range map[string]func(*Place){
		"another table":      func(p *Place) { p.Table = "job" },
		"another row":        func(p *Place) { p.ID++ },
		"another field":      func(p *Place) { p.Field = "name" },
		"another version":    func(p *Place) { p.Version-- },
		"another purpose":    func(p *Place) { p.Bound = "https://b.example" },
		"no purpose":         func(p *Place) { p.Bound = "" },
		"a border elsewhere": func(p *Place) { p.Table, p.Field = "secretv", "alue" },
	} {
		p := here
		change(&p)
		if text, err := v.Open(p, sealed); text != nil || !errors.Is(err, ErrAltered) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		if _, _, err := v.Rewrap(p, sealed); !errors.Is(err, ErrAltered) {
			t.Errorf("%s: wrapped anew: %v", name, err)
		}
	}
}

func TestRotation(t *testing.T) {
	before, between, after := open(t, oldMasterKey, nil), open(t, newMasterKey, oldMasterKey), open(t, newMasterKey, nil)
	sealed := before.Seal(here, []byte("text"))
	if text, err := between.Open(here, sealed); err != nil || string(text) != "text" {
		t.Errorf("the retiring key opens: %q, %v", text, err)
	}
	if text, err := after.Open(here, sealed); text != nil || !errors.Is(err, ErrNoKey) {
		t.Errorf("without it: %q, %v", text, err)
	}
	rewrapped, changed, err := between.Rewrap(here, sealed)
	if err != nil || !changed || !bytes.Equal(rewrapped[textFrom:], sealed[textFrom:]) {
		t.Fatalf("wrapped anew: %v, %v", changed, err)
	}
	if text, err := after.Open(here, rewrapped); err != nil || string(text) != "text" {
		t.Errorf("then the new key is enough: %q, %v", text, err)
	}
	if text, err := before.Open(here, rewrapped); text != nil || !errors.Is(err, ErrNoKey) {
		t.Errorf("and the old one is none any more: %q, %v", text, err)
	}
	if again, changed, err := between.Rewrap(here, rewrapped); err != nil || changed || !bytes.Equal(again, rewrapped) {
		t.Errorf("a second time: %v, %v", changed, err)
	}
	if id, ok := SealedWith(rewrapped); !ok || id != after.Active() || !between.Knows(before.Active().String()) || after.Knows(before.Active().String()) {
		t.Errorf("ids: %s, %v", id, ok)
	}
	if same := open(t, newMasterKey, newMasterKey); same.retiring.aead != nil {
		t.Error("a key retires for itself")
	}
}

func TestMasterKeysThatAreRefused(t *testing.T) {
	for rule, tt := range map[string]struct {
		active, retiring []byte
		want             string
	}{
		"31 bytes are too few":           {newMasterKey[:31], nil, "master key: has 31 bytes"},
		"a line end is none of them":     {append(bytes.Clone(newMasterKey[:31]), '\n'), nil, "master key: has 31 bytes"},
		"4097 bytes are too many":        {bytes.Repeat(newMasterKey, 129)[:4097], nil, "master key: has 4097 bytes"},
		"NUL bytes alone are no key":     {make([]byte, 64), nil, "master key: has nothing but NUL bytes"},
		"a retiring one has bounds, too": {newMasterKey, oldMasterKey[:3], "retiring master key: has 3 bytes"},
		"none is no key":                 {nil, oldMasterKey, "master key: has 0 bytes"},
	} {
		if _, err := New(tt.active, tt.retiring); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: %v", rule, err)
		}
	}
}

// FuzzOpen holds that what was not sealed never opens.
func FuzzOpen(f *testing.F) {
	v := open(f, newMasterKey, oldMasterKey)
	sealed := v.Seal(here, []byte("text"))
	f.Add(sealed)
	f.Add(open(f, oldMasterKey, nil).Seal(here, nil))
	f.Add(sealed[:Overhead])
	f.Add([]byte{form})
	f.Fuzz(func(t *testing.T, b []byte) {
		text, err := v.Open(here, b)
		if err == nil && string(text) != "text" && len(text) > 0 {
			t.Errorf("it opens as %q", text)
		}
		if err != nil && text != nil {
			t.Errorf("%q with the error %v", text, err)
		}
		if _, _, wrapping := v.Rewrap(here, b); wrapping != nil && err == nil {
			t.Errorf("it opens, and cannot be wrapped anew: %v", wrapping)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	v := open(b, newMasterKey, nil)
	sealed := v.Seal(here, []byte("Bearer 0123456789abcdef0123456789abcdef"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Open(here, sealed); err != nil {
			b.Fatal(err)
		}
	}
}
