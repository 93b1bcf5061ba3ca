package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/teknohole/jadwal"
)

// The times of the feed.
const (
	feedEvery   = 300 * time.Millisecond // how often identity_change is looked at, whatever is heard
	feedStale   = 5 * time.Second        // what is in memory is not trusted when it is older
	feedReload  = 10 * time.Minute       // silent for so long, everything is read again
	feedKeep    = time.Hour              // how long identity_change is kept
	feedPrune   = time.Minute
	feedRetry   = time.Second
	channelName = "jadwal"
)

// feed keeps what is in memory of accounts, sessions and keys of both kinds as the database has it:
// every write of them leaves a row in identity_change, which each node reads a
// few times a second, and at once when it hears of it.
type feed struct {
	kick  chan struct{}             // something has changed, as was heard
	heard atomic.Pointer[time.Time] // what is in memory was true then
	low   int64                     // everything below this xid is in memory
	done  map[identityChange]bool   // and what is here
	prune time.Time
}

type identityChange struct {
	xid  int64
	kind string
	id   int64
}

// The kinds of rows in identity_change.
const (
	kindUser    = "user"
	kindSession = "session"
	kindKey     = "key"

	kindSigner    = "signer" // the signature keys of a user, by the user's id
	kindJobSigner = "job_signer"
	kindSecret    = "secret"
)

// fresh tells whether what is in memory can be trusted.
func (f *feed) fresh() bool {
	at := f.heard.Load()
	return at != nil && time.Since(*at) < feedStale
}

// start loads what s holds in memory, and keeps it so until s closes.
func (d *postgresDB) start(s *Store) error {
	d.stop = s.stop
	s.live.dead = map[identity]time.Time{}
	ctx, cancel := context.WithTimeout(context.Background(), 2*statementTimeout)
	defer cancel()
	c, err := d.connect(ctx)
	if err == nil {
		err = d.reload(ctx, s, c)
	}
	if err != nil {
		d.closePools()
		return fmt.Errorf("database %s: %w", d.name(), redacted(err))
	}
	if d.offline {
		return c.Close(ctx)
	}
	d.hints.begin()
	d.feed.kick = make(chan struct{}, 1)
	d.feeding = make(chan struct{})
	life, end := context.WithCancel(context.Background())
	go func() {
		<-s.stop
		end()
	}()
	var both sync.WaitGroup
	both.Go(func() { d.follow(life, s, c) })
	both.Go(func() { d.speak(life) })
	go func() {
		both.Wait()
		close(d.feeding)
	}()
	return nil
}

// connect makes a connection for the feed.
func (d *postgresDB) connect(ctx context.Context) (*pgx.Conn, error) {
	c, err := pgx.ConnectConfig(ctx, d.config.ConnConfig.Copy())
	if err != nil {
		return nil, err
	}
	if err := prepareSession(ctx, c); err != nil {
		return nil, errors.Join(err, c.Close(ctx))
	}
	return c, nil
}

// reload reads all accounts, sessions and keys.
func (d *postgresDB) reload(ctx context.Context, s *Store, c *pgx.Conn) error {
	began := time.Now()
	pt, err := c.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	t := &tx{pg: &session{ctx: ctx, q: pt}}
	_, err = t.one("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint", func(r row) { d.feed.low = r.int(0) })
	if err == nil {
		err = s.loadIdentities(t)
	}
	if err = errors.Join(err, ended(pt.Rollback(ctx), err)); err != nil {
		return err
	}
	d.feed.done = nil
	d.feed.heard.Store(&began)
	return nil
}

// follow polls until ctx ends, and connects again whenever it must.
func (d *postgresDB) follow(ctx context.Context, s *Store, c *pgx.Conn) {
	for {
		err := d.followOn(ctx, s, c)
		_ = c.Close(context.WithoutCancel(ctx))
		for c = nil; c == nil; {
			if ctx.Err() != nil {
				return
			}
			d.log.Error("the database is not heard", "error", redacted(err))
			if c, err = d.again(ctx, s); err != nil {
				select {
				case <-time.After(feedRetry):
				case <-ctx.Done():
				}
			}
		}
	}
}

// again connects anew, and catches up with what was missed.
func (d *postgresDB) again(ctx context.Context, s *Store) (*pgx.Conn, error) {
	bounded, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	c, err := d.connect(bounded)
	if err != nil {
		return nil, err
	}
	if time.Since(*d.feed.heard.Load()) > feedReload {
		if err := d.reload(bounded, s, c); err != nil {
			return nil, errors.Join(err, c.Close(bounded))
		}
	}
	return c, nil
}

// followOn is follow on one connection, until that fails.
func (d *postgresDB) followOn(ctx context.Context, s *Store, c *pgx.Conn) error {
	for {
		if err := d.catchUp(ctx, s, c); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.feed.kick:
		case <-time.After(feedEvery):
		}
	}
}

// Listen hears what the other servers on a PostgreSQL database say, until ctx
// ends. It makes them faster to know of each other: what it does not hear, polls
// find a moment later. On SQLite there are no others, and it returns at once.
func (s *Store) Listen(ctx context.Context) {
	d, shared := s.db.(*postgresDB)
	for shared && ctx.Err() == nil {
		if err := d.listen(ctx, s); ctx.Err() == nil {
			d.log.Warn("the other servers are not heard", "error", redacted(err))
			select {
			case <-time.After(feedRetry):
			case <-ctx.Done():
			}
		}
	}
}

// listen is Listen on one connection, until that fails.
func (d *postgresDB) listen(ctx context.Context, s *Store) error {
	bounded, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	c, err := d.connect(bounded)
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx))
	if _, err := c.Exec(bounded, "LISTEN "+channelName); err != nil {
		return err
	}
	s.meet.hint(jadwal.Hint{Changed: true}) // and whatever was said meanwhile
	for {
		heard, err := c.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if d.take(s, heard.Payload) {
			select {
			case d.feed.kick <- struct{}{}:
			default:
			}
		}
	}
}

// take acts on what another node has said, and tells whether identities have
// changed.
func (d *postgresDB) take(s *Store, payload string) bool {
	words := strings.Fields(payload)
	if len(words) < 2 || words[0] == d.hints.self {
		return false
	}
	switch words[1] {
	case wordIdentity:
		return true
	case wordShards:
		s.meet.shardsMove()
	case wordChanged:
		s.meet.hint(jadwal.Hint{Changed: true})
	case wordApplied:
		for _, word := range words[2:] {
			if id, err := strconv.ParseInt(word, 10, 64); err == nil {
				s.meet.applied(id)
			}
		}
	}
	return false
}

// catchUp takes in what has changed since the last time. Whatever was above the
// low-water mark then is looked at again, but for what is known.
func (d *postgresDB) catchUp(ctx context.Context, s *Store, c *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, feedStale)
	defer cancel()
	began := time.Now()
	f := &d.feed
	t := &tx{pg: &session{ctx: ctx, q: c}}
	low, all := f.low, map[identityChange]bool{}
	changed := map[string][]int64{} // ids, by kind
	if err := t.query(`SELECT x.low, c.xid, c.kind, c.id FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS low) x
		LEFT JOIN identity_change c ON c.xid >= $1`, func(r row) error {
		low = r.int(0)
		if r.null(1) {
			return nil
		}
		n := identityChange{r.int(1), r.text(2), r.int(3)}
		all[n] = true
		if !f.done[n] {
			changed[n.kind] = append(changed[n.kind], n.id)
		}
		return nil
	}, f.low); err != nil {
		return err
	}
	if err := s.refreshIdentities(t, changed[kindUser], changed[kindSession], changed[kindKey]); err != nil {
		return err
	}
	if err := s.refreshSigners(t, changed[kindSigner], changed[kindJobSigner]); err != nil {
		return err
	}
	for _, id := range changed[kindSecret] {
		s.opened.drop(id)
	}
	f.low, f.done = low, all
	f.heard.Store(&began)
	if began.After(f.prune) {
		f.prune = began.Add(feedPrune)
		s.live.bury(began)
		_, err := t.exec(`DELETE FROM identity_change WHERE at < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - $1`, feedKeep.Microseconds())
		return err
	}
	return nil
}

// refreshIdentities reads those users, sessions and keys again.
func (s *Store) refreshIdentities(t *tx, users, sessions, keys []int64) error {
	if len(users) > 0 {
		gone := idSet(users)
		if err := t.query("SELECT "+userColumns+" FROM account WHERE id = ANY($1)", func(r row) error {
			u := scanUser(r)
			delete(gone, u.ID)
			s.live.putUser(u)
			return nil
		}, users); err != nil {
			return err
		}
		for id := range gone {
			s.live.dropUser(id)
		}
	}
	if len(sessions) > 0 {
		gone := idSet(sessions)
		if err := t.query("SELECT "+sessionColumns+" FROM session WHERE id = ANY($1)", func(r row) error {
			n := scanSession(r)
			delete(gone, n.ID)
			s.live.putSession(n)
			return nil
		}, sessions); err != nil {
			return err
		}
		for id := range gone {
			s.live.dropSession(id)
		}
	}
	if len(keys) > 0 {
		gone := idSet(keys)
		if err := t.query(liveKeySQL+" WHERE id = ANY($1)", func(r row) error {
			k := scanLiveKey(r)
			delete(gone, k.key.ID)
			s.live.putKey(k)
			return nil
		}, keys); err != nil {
			return err
		}
		for id := range gone {
			s.live.dropKey(id)
		}
	}
	return nil
}

func idSet(ids []int64) map[int64]bool {
	set := make(map[int64]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// The words that nodes say to each other, behind the name of who speaks. They
// are hints: what is lost is found by a poll.
const (
	wordChanged  = "changed"
	wordApplied  = "applied"
	wordIdentity = "identity"
	wordShards   = "shards"
)

// outbox collects what the other nodes are to hear. It is said after the
// commits that it is about, and not by them: a NOTIFY in a transaction would
// have all of them commit one by one.
type outbox struct {
	self string
	mu   sync.Mutex
	said map[string]bool
	ids  []int64 // of applied changes
	kick chan struct{}
}

// maxSaid bounds the ids of one NOTIFY, whose payload is at most 8000 bytes.
const maxSaid = 300

func (o *outbox) begin() {
	o.self = strconv.FormatInt(newSessionID(), 36)
	o.said, o.kick = map[string]bool{}, make(chan struct{}, 1)
}

func (o *outbox) say(word string, ids ...int64) {
	if o.kick == nil {
		return // offline: the nodes find it by polling
	}
	o.mu.Lock()
	o.said[word] = true
	o.ids = append(o.ids, ids...)
	o.mu.Unlock()
	select {
	case o.kick <- struct{}{}:
	default:
	}
}

// take returns what is to be said, as payloads.
func (o *outbox) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var payloads []string
	for word := range o.said {
		if word != wordApplied {
			payloads = append(payloads, o.self+" "+word)
		}
	}
	for len(o.ids) > 0 {
		n := min(len(o.ids), maxSaid)
		b := []byte(o.self + " " + wordApplied)
		for _, id := range o.ids[:n] {
			b = strconv.AppendInt(append(b, ' '), id, 10)
		}
		payloads, o.ids = append(payloads, string(b)), o.ids[n:]
	}
	clear(o.said)
	return payloads
}

// speak says what is in the outbox until ctx ends.
func (d *postgresDB) speak(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.hints.kick:
		}
		if payloads := d.hints.take(); len(payloads) > 0 {
			bounded, cancel := context.WithTimeout(ctx, statementTimeout)
			_, err := d.reads.Exec(bounded, "SELECT pg_notify('"+channelName+"', p) FROM unnest($1::text[]) AS p", payloads)
			cancel()
			if err != nil && ctx.Err() == nil {
				d.log.Warn("the other nodes could not be told", "error", err)
			}
		}
	}
}
