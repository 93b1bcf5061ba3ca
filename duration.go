package jadwal

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Duration is a span of time that reads and writes as Go's text ("1h30m").
type Duration time.Duration

// MarshalText writes d as Go prints it ("30s", "1h30m0s" as "1h30m").
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads Go's duration syntax.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 90s, 1h30m or, for 30 days, 720h", clip(string(text), 64))
	}
	*d = Duration(v)
	return nil
}

// String is d without the zero units that time.Duration prints at the end.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n]
}

// MarshalJSON writes r as it is; empty is null.
func (r RawJSON) MarshalJSON() ([]byte, error) {
	if len(r) == 0 {
		return []byte("null"), nil
	}
	return r, nil
}

// UnmarshalJSON keeps the value; null is empty.
func (r *RawJSON) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		*r = nil
		return nil
	}
	*r = slices.Clone(b)
	return nil
}
