package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/teknohole/jadwal"
)

// The cost of one hash: argon2id (RFC 9106) with 19 MiB, 2 passes and 1 lane,
// the first choice of OWASP's Password Storage Cheat Sheet.
const (
	argonMemory  = 19 << 10 // KiB
	argonPasses  = 2
	argonLanes   = 1
	saltLength   = 16 // bytes
	digestLength = 32 // bytes
)

// queuePerCore is how many hashes may wait for one that runs. At some 20 ms a
// hash the last in the queue waits a third of a second.
const queuePerCore = 16

// Hasher hashes passwords, as many at once as there are processors, so that
// its memory is bounded whatever arrives: each hash that runs takes 19 MiB.
// A short queue waits in order; beyond it the answer is an error with CodeBusy
// and a RetryAfter of one second. It is safe for concurrent use.
type Hasher struct {
	places  chan struct{} // holds one for each hash that runs or waits
	running chan struct{} // holds one for each hash that runs
	nobody  digest        // for names that do not exist
}

// NewHasher returns a Hasher for GOMAXPROCS as it is now.
func NewHasher() *Hasher {
	n := runtime.GOMAXPROCS(0)
	h := &Hasher{
		places:  make(chan struct{}, n*(1+queuePerCore)),
		running: make(chan struct{}, n),
		nobody:  digest{memory: argonMemory, passes: argonPasses, lanes: argonLanes, salt: make([]byte, saltLength), sum: make([]byte, digestLength)},
	}
	return h
}

// Hash returns the PHC string of a password: algorithm, version, cost, random
// salt and digest, each visible in it. It has CodeBusy when there is no room
// in the queue or ctx ends before the turn comes.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	d := digest{memory: argonMemory, passes: argonPasses, lanes: argonLanes, salt: make([]byte, saltLength)}
	rand.Read(d.salt)
	d.sum = make([]byte, digestLength)
	sum, err := h.compute(ctx, d, password)
	if err != nil {
		return "", err
	}
	d.sum = sum
	return d.String(), nil
}

// Verify tells whether password is what phc was made of. Its errors are those
// of Hash, and that phc is not a PHC string of argon2id with bearable cost.
func (h *Hasher) Verify(ctx context.Context, phc, password string) (bool, error) {
	d, err := parsePHC(phc)
	if err != nil {
		return false, err
	}
	sum, err := h.compute(ctx, d, password)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(sum, d.sum) == 1, nil
}

// VerifyNobody takes as long as Verify, for a name that does not exist. The
// password is wrong. Its errors are those of Hash.
func (h *Hasher) VerifyNobody(ctx context.Context, password string) error {
	_, err := h.compute(ctx, h.nobody, password)
	return err
}

var errHasherBusy = &jadwal.Error{
	Code:       jadwal.CodeBusy,
	Message:    "The server is busy checking passwords, try again in a moment",
	RetryAfter: time.Second,
}

// compute waits for its turn and runs the hash. Once begun it runs to its end.
func (h *Hasher) compute(ctx context.Context, d digest, password string) ([]byte, error) {
	select {
	case h.places <- struct{}{}:
	default:
		return nil, errHasherBusy
	}
	defer func() { <-h.places }()
	select {
	case h.running <- struct{}{}:
	case <-ctx.Done():
		return nil, errHasherBusy
	}
	defer func() { <-h.running }()
	if ctx.Err() != nil {
		return nil, errHasherBusy
	}
	return argon2.IDKey([]byte(password), d.salt, d.passes, d.memory, d.lanes, uint32(len(d.sum))), nil
}

// digest is what a PHC string says. Only the length of sum counts when a hash
// is computed.
type digest struct {
	memory uint32 // KiB
	passes uint32
	lanes  uint8
	salt   []byte
	sum    []byte
}

// String is d in the PHC string format
// (github.com/P-H-C/phc-string-format, "argon2 output").
func (d digest) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, d.memory, d.passes, d.lanes,
		base64.RawStdEncoding.EncodeToString(d.salt), base64.RawStdEncoding.EncodeToString(d.sum))
}

// parsePHC reads what String writes. The cost may differ from today's, so that
// it can be raised without shutting anybody out, but a hash may take at most
// 64 MiB, 8 passes and 8 lanes.
func parsePHC(s string) (digest, error) {
	bad := func(what string) (digest, error) {
		return digest{}, fmt.Errorf("stored password hash: %s", what) // the hash itself is nobody's to read
	}
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != "v="+strconv.Itoa(argon2.Version) {
		return bad("not a PHC string of argon2id")
	}
	cost := strings.Split(part[3], ",")
	if len(cost) != 3 {
		return bad("cost must be m, t and p")
	}
	var n [3]uint64
	for i, p := range []struct {
		name     string
		min, max uint64
	}{{"m=", 8, 64 << 10}, {"t=", 1, 8}, {"p=", 1, 8}} {
		text, ok := strings.CutPrefix(cost[i], p.name)
		v, err := strconv.ParseUint(text, 10, 32)
		if !ok || err != nil || v < p.min || v > p.max {
			return bad(fmt.Sprintf("cost %s must be %d to %d", p.name[:1], p.min, p.max))
		}
		n[i] = v
	}
	encoding := base64.RawStdEncoding.Strict()
	salt, err := encoding.DecodeString(part[4])
	if err != nil || len(salt) < 8 || len(salt) > 64 {
		return bad("salt must be 8 to 64 bytes in base64")
	}
	sum, err := encoding.DecodeString(part[5])
	if err != nil || len(sum) < 16 || len(sum) > 64 {
		return bad("digest must be 16 to 64 bytes in base64")
	}
	return digest{uint32(n[0]), uint32(n[1]), uint8(n[2]), salt, sum}, nil
}
