package jadwal

import "time"

// Session is one sign-in. Its refresh token rotates: Generation counts the
// rotations, and only the token of the present generation is good, except that
// the one before may be sent again for RotationGrace after it was used.
type Session struct {
	ID         int64
	UserID     int64
	Generation int64
	CreatedAt  time.Time
	RotatedAt  time.Time // when Generation began
	ExpiresAt  time.Time // the session's absolute end
	UsedAt     time.Time // when it last made a request, within a minute; no earlier than RotatedAt
	Source     string    // the address that it was started from
	UserAgent  string    // the client that started it, as it called itself
}

// MaxSessions is how many sessions a user has at most: one more ends the one
// that was refreshed least recently.
const MaxSessions = 50

// MaxUserAgent is how many bytes of a client's name for itself are kept.
const MaxUserAgent = 256

// RotationGrace is how long after a rotation the token that was traded gets
// the same successor again: its answer may have been lost on the way.
const RotationGrace = 30 * time.Second

// Rotation is what becomes of a refresh token that was sent.
type Rotation int

// The outcomes of a refresh.
const (
	RotationDead   Rotation = iota // expired, or of a generation that was never given out: 401
	RotationNext                   // the present token: rotate
	RotationRepeat                 // the token before it, within the grace: the same successor again
	RotationTheft                  // anything older: the session ends
)

// Rotate decides what a refresh token of generation does at now.
func (s Session) Rotate(generation int64, now time.Time) Rotation {
	switch {
	case !now.Before(s.ExpiresAt), generation > s.Generation:
		return RotationDead
	case generation == s.Generation:
		return RotationNext
	case generation == s.Generation-1 && now.Sub(s.RotatedAt) <= RotationGrace:
		return RotationRepeat
	}
	return RotationTheft
}
