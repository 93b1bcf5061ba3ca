package engine

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
	"github.com/teknohole/jadwal/internal/store/storetest"
)

// faults is the store that an engine sees, with what can go wrong with one. A
// dead one belongs to a process that was killed.
type faults struct {
	Store
	mu      sync.Mutex
	dead    bool
	deaf    bool                            // hints get lost
	barred  bool                            // owners have no rights
	normal  bool                            // nobody is a superuser
	before  func([]*jadwal.Outcome) error   // runs before a commit; its error fails it
	after   func([]*jadwal.Outcome) error   // runs after a commit; its error loses the answer
	load    func(from int64)                // runs before a window is read
	takes   func(call string) time.Duration // the way to the store, and the way back; nil: no time
	commits int
	rows    int

	// On PostgreSQL a poll that would find nothing, since nobody has written
	// anything after the one before, is answered here: a scenario of hours has
	// thousands of them, and each is a few round trips.
	still  bool // the last poll found nothing, and no hint has come since
	timely bool // a pause will end by itself: only a poll can tell
}

var errDead = errors.New("this process is dead")

// way passes the time of the way to the store or back.
func (f *faults) way(call string) {
	f.mu.Lock()
	takes := f.takes
	f.mu.Unlock()
	if takes != nil {
		time.Sleep(takes(call))
	}
}

func (f *faults) gone() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return errDead
	}
	return nil
}

func (f *faults) UserByID(id int64) (jadwal.User, bool) {
	f.mu.Lock()
	barred, normal := f.barred, f.normal
	f.mu.Unlock()
	if barred {
		return jadwal.User{}, false
	}
	u, ok := f.Store.UserByID(id)
	u.IsSuperuser = u.IsSuperuser && !normal
	return u, ok
}

// Begin gives an engine on PostgreSQL all shards, as if the leases of all nodes
// before it had ended.
func (f *faults) Begin(ctx context.Context) (*jadwal.Holding, error) {
	st, ok := f.Store.(*store.Store)
	if !ok {
		return f.Store.Begin(ctx)
	}
	return storetest.Alone{Store: st}.Begin(ctx)
}

func (f *faults) Load(ctx context.Context, shards jadwal.ShardSet, from, to, through int64) ([]jadwal.Due, error) {
	f.way("load")
	defer f.way("load")
	if err := f.gone(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	load := f.load
	f.mu.Unlock()
	if load != nil {
		load(from)
	}
	return f.Store.Load(ctx, shards, from, to, through)
}

func (f *faults) Poll(ctx context.Context, shards jadwal.ShardSet, now time.Time, after, to int64) (jadwal.News, error) {
	f.way("poll")
	defer f.way("poll")
	if err := f.gone(); err != nil {
		return jadwal.News{}, err
	}
	if st, ok := f.Store.(*store.Store); !ok || !st.Shared() {
		return f.Store.Poll(ctx, shards, now, after, to)
	}
	f.mu.Lock()
	skip := f.still && !f.timely
	f.still = true
	f.mu.Unlock()
	if skip {
		return jadwal.News{}, nil
	}
	news, err := f.Store.Poll(ctx, shards, now, after, to)
	if err != nil || len(news.Changes) > 0 {
		f.on(func(f *faults) { f.still = false })
	}
	return news, err
}

func (f *faults) Definitions(ctx context.Context, ids []int64, bytes int) ([]jadwal.Job, int, error) {
	f.way("definitions")
	defer f.way("definitions")
	if err := f.gone(); err != nil {
		return nil, 0, err
	}
	return f.Store.Definitions(ctx, ids, bytes)
}

func (f *faults) Cursors(ctx context.Context, ids []int64) ([]jadwal.Cursor, error) {
	f.way("cursors")
	defer f.way("cursors")
	if err := f.gone(); err != nil {
		return nil, err
	}
	return f.Store.Cursors(ctx, ids)
}

func (f *faults) OpenCursors(ctx context.Context, shards jadwal.ShardSet) ([]jadwal.Cursor, error) {
	f.way("open cursors")
	defer f.way("open cursors")
	if err := f.gone(); err != nil {
		return nil, err
	}
	return f.Store.OpenCursors(ctx, shards)
}

func (f *faults) Subscribe(fn func(jadwal.Hint)) {
	f.Store.Subscribe(func(h jadwal.Hint) {
		f.mu.Lock()
		deaf := f.deaf || f.dead
		f.still = false
		f.mu.Unlock()
		if !deaf {
			fn(h)
		}
	})
}

func (f *faults) Commit(ctx context.Context, now time.Time, batch []*jadwal.Outcome) ([]jadwal.Verdict, error) {
	f.way("commit")
	defer f.way("commit")
	f.mu.Lock()
	before, after := f.before, f.after
	f.mu.Unlock()
	if before != nil {
		if err := before(batch); err != nil {
			return nil, err
		}
	}
	if err := f.gone(); err != nil {
		return nil, err
	}
	verdicts, err := f.Store.Commit(ctx, now, batch)
	f.mu.Lock()
	f.commits++
	f.rows += len(batch)
	f.mu.Unlock()
	if err == nil && after != nil {
		if err := after(batch); err != nil {
			return nil, err
		}
	}
	return verdicts, err
}

// on sets what goes wrong from now on.
func (f *faults) on(set func(*faults)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	set(f)
}

// dial connects to a sink, for as long as the process lives.
func (f *faults) dial(s *sink) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if err := f.gone(); err != nil {
			return nil, err
		}
		return s.dial(ctx, network, address)
	}
}
