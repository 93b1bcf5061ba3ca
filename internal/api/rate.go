package api

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/auth"
)

// rates count requests: those of a user, by whichever session or key, and those
// of a source address that come from nobody. Either may be nil: no limit.
type rates struct {
	mu      sync.Mutex
	users   *jadwal.Meter[int64]
	sources *jadwal.Meter[netip.Addr]
}

// metered is where the quota stands that a request was counted against.
type metered struct {
	name  string // of the quota
	quota jadwal.Quota
	left  jadwal.Allowance
}

// countUser counts a request of a user who is signed in. Superusers are not
// counted: whoever sets the limits must get in.
func (s *Server) countUser(c *call) error {
	if s.rates.users == nil || c.user.IsSuperuser {
		return nil
	}
	return count(c, &s.rates.mu, s.rates.users, "user", c.user.ID)
}

// countSource counts a request that nobody is signed in for.
func (s *Server) countSource(c *call) error {
	if s.rates.sources == nil {
		return nil
	}
	return count(c, &s.rates.mu, s.rates.sources, "source", auth.Network(c.source()))
}

func count[K comparable](c *call, mu *sync.Mutex, m *jadwal.Meter[K], name string, who K) error {
	if c.metered != nil {
		return nil // a request that was waited for is the same
	}
	mu.Lock()
	left, ok := m.Take(who, c.now)
	mu.Unlock()
	c.metered = &metered{name, m.Quota(), left}
	if !ok {
		return &jadwal.Error{Code: jadwal.CodeRateLimited, Message: "Too many requests, try again in " + seconds(left.Next), RetryAfter: left.Next}
	}
	return nil
}

// seconds is d in words, rounded up.
func seconds(d time.Duration) string {
	if n := retrySeconds(d); n != 1 {
		return fmt.Sprintf("%d seconds", n)
	}
	return "1 second"
}

// write tells the client where it stands: draft-ietf-httpapi-ratelimit-headers-10,
// sections 3 and 4. The window of what is left is the time until all of it is
// there again.
func (m *metered) write(h http.Header) {
	whole := func(d time.Duration) string { return strconv.FormatInt(int64(math.Ceil(d.Seconds())), 10) }
	name := `"` + m.name + `"`
	h["Ratelimit-Policy"] = []string{name + ";q=" + strconv.Itoa(m.quota.Most) + ";w=" + whole(m.quota.Window)}
	h["Ratelimit"] = []string{name + ";r=" + strconv.Itoa(m.left.Left) + ";t=" + whole(m.left.Full)}
}
