package jadwal

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// Secret is a named value of a user's, without the value: that is told once, to
// the server, and goes into the requests of the user's jobs to Origins and
// nowhere else.
type Secret struct {
	ID        int64
	OwnerID   int64
	Name      string
	Origins   []string // as ParseOrigin writes them
	Version   int64    // raised by every new value
	CreatedAt time.Time
	UpdatedAt time.Time
}

// SecretID is a secret by the name that a job has for it.
type SecretID struct {
	Name string
	ID   int64
}

// SecretValue is a secret at hand, by the name that a job has for it; OwnerID 0:
// there is none any more.
type SecretValue struct {
	Name    string
	OwnerID int64
	Value   string
	Origins []string
	Locked  bool // it could not be opened
}

// CheckSecretName returns what is wrong with the name of a secret, nil when it
// is valid: it is like that of a job.
func CheckSecretName(name string) *FieldError {
	switch {
	case name == "":
		return fieldError("name", "required", "name is required")
	case !isName(name):
		return fieldError("name", "invalid", "name must be 1 to 63 lower-case letters, digits, dots, underscores or hyphens and begin with a letter")
	}
	return nil
}

// CheckSecretValue returns what is wrong with the value of a secret, nil when it
// is valid. It never repeats it.
func CheckSecretValue(value string) *FieldError {
	switch n := len(value); {
	case n == 0:
		return fieldError("value", "required", "value is required")
	case n < MinSecretValue:
		return fieldError("value", "too_short", "value must have at least %d bytes", MinSecretValue)
	case n > MaxSecretValue:
		return fieldError("value", "too_long", "value must have at most %d bytes, got %d", MaxSecretValue, n)
	}
	return nil
}

// CheckOrigins returns the origins that a secret may go to, as ParseOrigin
// writes them, and what is wrong with them: at least one, at most
// MaxSecretOrigins, each once.
func CheckOrigins(list []string) (origins []string, wrong []FieldError) {
	switch {
	case len(list) == 0:
		return nil, []FieldError{*fieldError("origins", "required", "origins is required: where the secret may be sent to, such as https://api.example.com")}
	case len(list) > MaxSecretOrigins:
		return nil, []FieldError{*fieldError("origins", "too_many", "a secret has at most %d origins, got %d", MaxSecretOrigins, len(list))}
	}
	for i, s := range list {
		origin, ok := ParseOrigin(s)
		switch {
		case !ok:
			wrong = append(wrong, *fieldError(indexed("origins", i), "invalid", "an origin is http:// or https://, a host, and a port unless it is the scheme's own, such as https://api.example.com or http://10.0.0.5:8080"))
		case slices.Contains(origins, origin):
			wrong = append(wrong, *fieldError(indexed("origins", i), "duplicate", "origin %s is there twice", clip(origin, 64)))
		default:
			origins = append(origins, origin)
		}
	}
	return origins, wrong
}

// ParseOrigin reads a scheme, host and port (RFC 6454, section 4), without a
// path, and writes it in one way: in lower case, and without the port that the
// scheme has anyway.
func ParseOrigin(s string) (origin string, ok bool) {
	if checkTargetURL(s) != nil {
		return "", false
	}
	u, err := url.Parse(s)
	if err != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || strings.HasSuffix(u.Host, ":") {
		return "", false
	}
	return OriginOf(u), true
}

// OriginOf is the origin of a URL that has a host, as ParseOrigin writes it. An
// IPv6 address has its brackets.
func OriginOf(u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	switch port := strings.TrimLeft(u.Port(), "0"); {
	case port == "", u.Scheme == "http" && port == "80", u.Scheme == "https" && port == "443":
		return u.Scheme + "://" + host
	default:
		return u.Scheme + "://" + host + ":" + port
	}
}
