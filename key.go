package jadwal

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Scope is a kind of thing that an API key may do, as far as its owner may.
type Scope string

// The scopes there are.
const (
	ScopeReadJob     Scope = "job:read"
	ScopeWriteJob    Scope = "job:write"
	ScopeReadRun     Scope = "run:read"
	ScopeWriteRun    Scope = "run:write"
	ScopeReadSecret  Scope = "secret:read"
	ScopeWriteSecret Scope = "secret:write"
	ScopeReadAudit   Scope = "audit:read"
	ScopeReadUser    Scope = "user:read"
	ScopeReadMetrics Scope = "metrics:read"
)

// Scopes are all scopes, in the order in which they are told.
var Scopes = []Scope{ScopeReadJob, ScopeWriteJob, ScopeReadRun, ScopeWriteRun, ScopeReadSecret, ScopeWriteSecret, ScopeReadAudit, ScopeReadUser, ScopeReadMetrics}

// anyScope stands for what every key may do.
const anyScope Scope = "*"

// Key is an API key: what a program asks with in the place of a session. It can
// do what its scopes say and its owner may at that moment.
type Key struct {
	ID        int64
	UserID    int64
	Name      string
	Scopes    []Scope
	CreatedAt time.Time
	ExpiresAt time.Time // the first instant at which it is dead; zero: never
	UsedAt    time.Time // when it was last used, within a minute; zero: never
}

// Expired tells whether a key is dead at now.
func (k *Key) Expired(now time.Time) bool { return !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) }

const (
	MaxKeys            = 50                  // of a user
	MaxKeyName         = 100                 // bytes
	DefaultKeyLifetime = 90 * 24 * time.Hour // unless another is asked for
	keyIDDigits        = 11                  // of any positive int64
)

// FormatKeyID writes the id of a key as it is told, and as the key itself
// begins after its prefix: 11 digits of base 62.
func FormatKeyID(id int64) string {
	return string(AppendBase62(make([]byte, 0, keyIDDigits), uint64(id), keyIDDigits))
}

// ParseKeyID reads what FormatKeyID writes of a positive id.
func ParseKeyID(s string) (id int64, ok bool) {
	if len(s) != keyIDDigits {
		return 0, false
	}
	id, ok = ParseBase62(s)
	return id, ok && id > 0
}

// CheckKey returns what is wrong with the name and the scopes of a new key:
// a name of 1 to 100 bytes without control characters, and at least one scope,
// each once.
func CheckKey(name string, scopes []Scope) (wrong []FieldError) {
	switch {
	case name == "":
		wrong = append(wrong, *fieldError("name", "required", "name is required"))
	case len(name) > MaxKeyName:
		wrong = append(wrong, *fieldError("name", "too_long", "name must have at most %d bytes, got %d", MaxKeyName, len(name)))
	case !utf8.ValidString(name), strings.ContainsFunc(name, unicode.IsControl), strings.TrimSpace(name) != name:
		wrong = append(wrong, *fieldError("name", "invalid", "name must not have control characters, nor space at its ends"))
	}
	if len(scopes) == 0 {
		wrong = append(wrong, *fieldError("scopes", "required", "scopes is required: at least one of %s", joinScopes()))
	}
	for i, s := range scopes {
		switch {
		case !slices.Contains(Scopes, s):
			wrong = append(wrong, *fieldError(indexed("scopes", i), "invalid", "%s must be one of %s", indexed("scopes", i), joinScopes()))
		case slices.Contains(scopes[:i], s):
			wrong = append(wrong, *fieldError(indexed("scopes", i), "duplicate", "scope %s is there twice", s))
		}
		if i >= len(Scopes) {
			break
		}
	}
	return wrong
}

func joinScopes() string {
	words := make([]string, len(Scopes))
	for i, s := range Scopes {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}
