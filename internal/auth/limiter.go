package auth

import (
	"container/heap"
	"context"
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/teknohole/jadwal"
)

// rate is a token bucket: that many failures at once, and one more each refill.
type rate struct {
	burst  int
	refill time.Duration
}

// The limits of failed sign-ins.
var (
	sourceRate  = rate{30, time.Second}     // of one source address; IPv6: of its /64
	accountRate = rate{10, 5 * time.Second} // of one account from one source
)

const (
	// maxBuckets bounds the limiter's memory, to some 20 MB. Each bucket that
	// stays costs whoever fills it a password hash, and it goes when it is full
	// again, within 50 s; so only a machine of dozens of cores ever gets there.
	maxBuckets = 100_000

	// maxWaiting is how many attempts of one source may wait for the outcome
	// of others.
	maxWaiting = 256
)

// Limiter limits failed sign-ins, and only those: 30 a source address,
// refilled one a second, and 10 an account and source, refilled one every
// 5 s. It knows identifiers only as they are sent, so it behaves alike for
// names that do not exist. It is safe for concurrent use.
//
// An attempt reserves what its failure would cost before it begins. Where all
// that is left is reserved, it waits for the outcome of those before it: so
// guesses sent all at once get no further than guesses in a row, and correct
// sign-ins sent all at once succeed.
type Limiter struct {
	mu      sync.Mutex
	seed    maphash.Seed
	max     int
	buckets map[bucketKey]*bucket
	byFull  fullHeap // the buckets without reservations, the next to be full first
}

// NewLimiter returns a Limiter that knows of no failure.
func NewLimiter() *Limiter {
	return &Limiter{seed: maphash.MakeSeed(), max: maxBuckets, buckets: map[bucketKey]*bucket{}}
}

// Attempt is a sign-in that may go on to check a password. It must end, by
// Fail or by Release.
type Attempt struct {
	l       *Limiter
	source  bucketKey
	account bucketKey
	ended   bool // guarded by l.mu
}

// Begin asks for an attempt to sign in as identifier (in any ASCII case) from
// source. The error has CodeRateLimited and a RetryAfter of at most 5 s when
// too many failed before; CodeBusy when too many wait, or ctx ends while this
// one does.
func (l *Limiter) Begin(ctx context.Context, source netip.Addr, identifier string, now time.Time) (*Attempt, error) {
	a := &Attempt{l: l, source: sourceKey(source)}
	a.account = bucketKey{source: a.source.source, account: maphash.String(l.seed, lowerASCII(identifier)), ofAccount: true}

	l.mu.Lock()
	l.dropFull(now)
	verdict, wait := l.decide(a, now)
	switch verdict {
	case goOn:
		l.reserve(a)
		l.mu.Unlock()
		return a, nil
	case refuse:
		l.mu.Unlock()
		return nil, rateLimited(wait)
	}
	src := l.buckets[a.source]
	if len(src.waiting) >= maxWaiting {
		l.mu.Unlock()
		return nil, errTooManyWait
	}
	w := &waiter{a, make(chan error, 1)}
	src.waiting = append(src.waiting, w)
	l.mu.Unlock()

	select {
	case err := <-w.answer:
		if err != nil {
			return nil, err
		}
		return a, nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	if src := l.buckets[a.source]; src != nil {
		src.waiting = slices.DeleteFunc(src.waiting, func(o *waiter) bool { return o == w })
	}
	l.mu.Unlock()
	select {
	case err := <-w.answer: // it came in between
		if err == nil {
			a.Release(now)
		}
	default:
	}
	return nil, errTooManyWait
}

// Fail ends the attempt and counts it: the name, the password or the account
// was no good.
func (a *Attempt) Fail(now time.Time) { a.end(now, true) }

// Release ends the attempt without counting it: the sign-in succeeded, or no
// password was checked. After Fail it does nothing.
func (a *Attempt) Release(now time.Time) { a.end(now, false) }

func (a *Attempt) end(now time.Time, failed bool) {
	l := a.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.ended {
		return
	}
	a.ended = true
	waiting := l.buckets[a.source].waiting
	l.buckets[a.source].waiting = nil
	for _, k := range [...]bucketKey{a.source, a.account} {
		l.buckets[k].settle(failed, now)
		l.rest(k, now)
	}
	var still []*waiter
	for _, w := range waiting {
		switch verdict, wait := l.decide(w.attempt, now); verdict {
		case goOn:
			l.reserve(w.attempt)
			w.answer <- nil
		case refuse:
			w.answer <- rateLimited(wait)
		default:
			still = append(still, w)
		}
	}
	if len(still) > 0 {
		l.buckets[a.source].waiting = still // there, since one that waits does so for a reservation
	}
}

type verdict int

const (
	goOn   verdict = iota
	hold           // what is left is reserved
	refuse         // nothing is left
)

// decide says what becomes of an attempt, and for a refusal how long until it
// may be tried again.
func (l *Limiter) decide(a *Attempt, now time.Time) (verdict, time.Duration) {
	v1, wait1 := l.buckets[a.source].decide(now)
	v2, wait2 := l.buckets[a.account].decide(now)
	return max(v1, v2), max(wait1, wait2)
}

func (l *Limiter) reserve(a *Attempt) {
	l.bucket(a.source, sourceRate).reserved++
	l.bucket(a.account, accountRate).reserved++
}

// bucket finds or makes the bucket of a key and takes it out of the heap, so
// that it stays while it is reserved.
func (l *Limiter) bucket(k bucketKey, r rate) *bucket {
	b := l.buckets[k]
	switch {
	case b == nil:
		for len(l.buckets) >= l.max && len(l.byFull) > 0 {
			// The one nearest to full gives the least away.
			delete(l.buckets, heap.Pop(&l.byFull).(*bucket).key)
		}
		b = &bucket{key: k, rate: r, index: -1}
		l.buckets[k] = b
	case b.index >= 0:
		heap.Remove(&l.byFull, b.index)
	}
	return b
}

// rest puts a bucket without reservations into the heap, or drops it when it
// says no more than its absence would.
func (l *Limiter) rest(k bucketKey, now time.Time) {
	b := l.buckets[k]
	switch {
	case b.reserved > 0:
	case b.fullAt.After(now):
		heap.Push(&l.byFull, b)
	default:
		delete(l.buckets, k)
	}
}

func (l *Limiter) dropFull(now time.Time) {
	for len(l.byFull) > 0 && !l.byFull[0].fullAt.After(now) {
		delete(l.buckets, heap.Pop(&l.byFull).(*bucket).key)
	}
}

// bucketKey names a bucket: of a source, or of an account and a source.
type bucketKey struct {
	source    [16]byte
	account   uint64
	ofAccount bool
}

// sourceKey is addr, or the /64 of an IPv6 address: a subscriber's whole
// network.
func sourceKey(addr netip.Addr) bucketKey {
	return bucketKey{source: Network(addr).As16()}
}

// Network is the address that stands for a subscriber: addr itself, or the
// first one of the /64 of an IPv6 address.
func Network(addr netip.Addr) netip.Addr {
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}

// bucket counts failures as the time at which they are all forgiven.
type bucket struct {
	key      bucketKey
	rate     rate
	fullAt   time.Time
	reserved int       // attempts under way
	waiting  []*waiter // of a source: attempts that wait for those under way
	index    int       // in the heap; -1: not there
}

type waiter struct {
	attempt *Attempt
	answer  chan error // nil: go on, reserved
}

// decide is the rule of one bucket; nil stands for a full one.
func (b *bucket) decide(now time.Time) (verdict, time.Duration) {
	if b == nil {
		return goOn, 0
	}
	owed := max(0, b.fullAt.Sub(now))
	most := time.Duration(b.rate.burst-1) * b.rate.refill
	switch {
	case owed > most:
		return refuse, min(owed-most, b.rate.refill)
	case owed+time.Duration(b.reserved)*b.rate.refill > most:
		return hold, 0
	}
	return goOn, 0
}

func (b *bucket) settle(failed bool, now time.Time) {
	b.reserved--
	if !failed {
		return
	}
	if b.fullAt.Before(now) {
		b.fullAt = now
	}
	b.fullAt = b.fullAt.Add(b.rate.refill)
	if latest := now.Add(time.Duration(b.rate.burst) * b.rate.refill); b.fullAt.After(latest) {
		b.fullAt = latest // the clock was set back
	}
}

// fullHeap is a heap of buckets by the time when they are full again.
type fullHeap []*bucket

func (h fullHeap) Len() int           { return len(h) }
func (h fullHeap) Less(i, j int) bool { return h[i].fullAt.Before(h[j].fullAt) }
func (h fullHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *fullHeap) Push(x any) {
	b := x.(*bucket)
	b.index = len(*h)
	*h = append(*h, b)
}
func (h *fullHeap) Pop() any {
	old := *h
	b := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	b.index = -1
	return b
}

func rateLimited(wait time.Duration) error {
	return &jadwal.Error{
		Code:       jadwal.CodeRateLimited,
		Message:    "Too many failed sign-ins, try again in a few seconds",
		RetryAfter: wait,
	}
}

var errTooManyWait = &jadwal.Error{
	Code:       jadwal.CodeBusy,
	Message:    "Too many sign-ins at once, try again in a moment",
	RetryAfter: time.Second,
}

// lowerASCII folds as the unique indexes of names do: A to Z only.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
