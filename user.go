package jadwal

import (
	"net/netip"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// User is an account. A password never leaves the store except as a hash, and
// that only to be verified (Credentials).
type User struct {
	ID          int64
	Username    string
	Email       string
	IsSuperuser bool
	DisabledAt  time.Time // zero: enabled
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// NewUser is a user to be stored. PasswordHash is in the PHC string format.
// Bootstrap marks the well-known password of a first start on loopback.
type NewUser struct {
	Username     string
	Email        string
	PasswordHash string
	IsSuperuser  bool
	Bootstrap    bool
}

// UserPatch is what may change of a user; nil leaves a member as it is.
type UserPatch struct {
	Username    *string
	Email       *string
	IsSuperuser *bool
}

// IsZero tells whether p changes nothing.
func (p UserPatch) IsZero() bool { return p == UserPatch{} }

// Credentials is a user with what a sign-in is checked against.
type Credentials struct {
	User
	PasswordHash string
	Bootstrap    bool
}

// Actor is who asks, and from where; it is what audit rows tell.
type Actor struct {
	User      User
	SessionID int64  // 0: not a session
	Key       *Key   // nil: not an API key
	Means     string // by what, when it is neither: "password", "code", "command"; "": the server itself
	Source    netip.Addr
	RequestID string
	UserAgent string // as the client calls itself; only a sign-in tells it
	Once      *Once  // nil: whatever is asked is done again when it is asked again
}

// Once has a write happen at most once under a key of its user's: what was
// answered is kept with it for OnceFor, and told again.
type Once struct {
	Key     string
	Request []byte                         // a keyed hash of what was asked
	Answer  func(made any) ([]byte, error) // what is told of what was written; it may be called again
}

var (
	usernamePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	emailLocal      = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}$")
	hostLabel       = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
)

// CheckUsername returns what is wrong with a username, nil when it is valid.
func CheckUsername(s string) *FieldError {
	switch {
	case s == "":
		return &FieldError{"username", "required", "username is required"}
	case !usernamePattern.MatchString(s):
		return &FieldError{"username", "invalid", "username must be 1 to 64 letters, digits, dots, underscores or hyphens and begin with a letter or digit"}
	}
	return nil
}

// CheckEmail returns what is wrong with an email address, nil when it is
// valid: at most 254 ASCII bytes, 1 to 64 atom characters or dots (RFC 5322,
// section 3.2.3), an at sign, a host name (RFC 1123, section 2.1). No quotes,
// display names, comments or address literals.
func CheckEmail(s string) *FieldError {
	if s == "" {
		return &FieldError{"email", "required", "email is required"}
	}
	invalid := &FieldError{"email", "invalid", "email must be an address such as name@example.com, in ASCII, at most 254 bytes"}
	if len(s) > 254 {
		return invalid
	}
	local, host, ok := strings.Cut(s, "@")
	if !ok || !emailLocal.MatchString(local) || len(host) > 253 {
		return invalid
	}
	for label := range strings.SplitSeq(host, ".") {
		if !hostLabel.MatchString(label) {
			return invalid
		}
	}
	return nil
}

// The passwords that head every list of leaked ones and are long enough to be
// tried here. Name-plus-digits forms are not in it.
var commonPasswords = map[string]bool{}

func init() {
	for w := range strings.FieldsSeq(`
		password passw0rd password1 password12 password123 p@ssw0rd p@ssword 12345678 123456789 1234567890 0123456789 0987654321
		987654321 87654321 11111111 00000000 88888888 12341234 11223344 12344321 123123123 112233445566 qwertyui qwertyuiop qwerty123
		qwerty12 qwerty1234 1q2w3e4r 1q2w3e4r5t 1qaz2wsx zaq12wsx q1w2e3r4 q1w2e3r4t5 asdfghjk asdfghjkl zxcvbnm1 iloveyou sunshine princess
		football baseball basketball superman trustno1 welcome1 abcd1234 abc12345 abcdefgh letmein1 changeme computer internet
		whatever starwars michelle jennifer`) {
		commonPasswords[w] = true
	}
}

// CheckPassword returns what is wrong with a new password for a user of that
// name and address, nil when it may be used: 8 to 1024 bytes, no NUL, not the
// username, not the email, not one that heads every list. The bytes are taken
// as they are, never trimmed or normalised.
func CheckPassword(password, username, email string) *FieldError {
	switch {
	case password == "":
		return &FieldError{"password", "required", "password is required"}
	case len(password) < 8:
		return &FieldError{"password", "too_short", "password must have at least 8 bytes"}
	case len(password) > 1024:
		return &FieldError{"password", "too_long", "password must have at most 1024 bytes"}
	case !utf8.ValidString(password):
		return &FieldError{"password", "invalid", "password must be UTF-8: no request could carry another"}
	case strings.IndexByte(password, 0) >= 0:
		return &FieldError{"password", "invalid", "password must not contain a NUL byte"}
	case strings.EqualFold(password, username), strings.EqualFold(password, email):
		return &FieldError{"password", "too_common", "password must not be the username or the email"}
	case commonPasswords[strings.ToLower(password)]:
		return &FieldError{"password", "too_common", "password is one of the most used ones; choose another"}
	}
	return nil
}
