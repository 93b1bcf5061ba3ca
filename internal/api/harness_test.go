package api

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/argon2"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/auth"
	"github.com/teknohole/jadwal/internal/store"
	"github.com/teknohole/jadwal/internal/store/dirtest"
	"github.com/teknohole/jadwal/internal/store/storetest"
	"github.com/teknohole/jadwal/internal/target"
)

// The passwords of admin, and of everybody else unless a test says otherwise.
const (
	adminPassword = "admin123"
	userPassword  = "user-password"
)

// hashOf is the hash of a password with the least cost that is read: hundreds of
// sign-ins would take a minute with that of Hasher.Hash.
func hashOf(password string) string {
	salt := []byte("salt of 16 bytes")
	sum := argon2.IDKey([]byte(password), salt, 1, 8, 1, 32)
	return fmt.Sprintf("$argon2id$v=19$m=8,t=1,p=1$%s$%s", base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
}

// server is the whole API on a real database behind a real listener. Its clock
// runs with the machine's, and tests may set it forward.
type server struct {
	t     testing.TB
	api   *Server
	store *store.Store
	http  *httptest.Server
	addr  string
	dir   string // of the secret
	file  string // of the database
	url   string // of the database, on PostgreSQL; "": it is SQLite
	past  *direct
	fires bool // an engine runs
	log   *lockedBuffer
	clock *clock
}

// direct is a connection to a PostgreSQL database past the store.
type direct struct {
	mu   sync.Mutex
	conn *pgx.Conn // nil: nothing was asked yet
}

// in is s for a sub-test.
func (s *server) in(t testing.TB) *server {
	sub := *s
	sub.t = t
	return &sub
}

// clock is the machine's, set forward, or one that stands still.
type clock struct {
	mu     sync.Mutex
	ahead  time.Duration
	stands time.Time // zero: it runs
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stands.IsZero() {
		return c.stands.Add(c.ahead)
	}
	return time.Now().Add(c.ahead)
}

// stop has the server's clock stand still but for what passes.
func (s *server) stop() { s.clock.stands = s.clock.now() }

type serverOption func(*settings)

// settings is what tests choose of a server.
type settings struct {
	api  Options
	http *http.Server
	idle bool // no engine: nothing fires and no change is applied
}

func idle(o *settings) { o.idle = true }

// trusting makes the server believe the X-Forwarded-For of those proxies.
func trusting(prefixes ...string) serverOption {
	return func(o *settings) {
		for _, p := range prefixes {
			o.api.TrustedProxies = append(o.api.TrustedProxies, netip.MustParsePrefix(p))
		}
	}
}

// calling makes the server send tests over the network, and not nowhere.
func calling(o *settings) { o.api.Tester = target.New(target.Options{Version: "1.2.3"}).Test }

// nowhere is where nobody listens.
func nowhere(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }

func readTimeout(d time.Duration) serverOption {
	return func(o *settings) { o.http.ReadTimeout = d }
}

// newServer starts a server whose first user is the superuser admin.
func newServer(t testing.TB, options ...serverOption) *server {
	t.Helper()
	where := store.Options{Dir: dirtest.New(t)}
	if onPostgres(t) {
		where = store.Options{URL: storetest.NewURL(t), Unsafe: true}
	}
	s := serve(t, where, dirtest.New(t), options...)
	s.addUser("admin", adminPassword, "admin@teknohole.com", true, false)
	return s
}

// serve starts a server whose secret is in dir.
func serve(t testing.TB, where store.Options, dir string, options ...serverOption) *server {
	t.Helper()
	s := &server{t: t, dir: dir, file: filepath.Join(where.Dir, "jadwal.db"), url: where.URL, log: &lockedBuffer{}, clock: &clock{}, past: &direct{}}
	log := slog.New(slog.NewTextHandler(s.log, nil))
	where.Log = log
	var err error
	if s.store, err = store.Open(context.Background(), where); err != nil {
		t.Fatal(err)
	}
	if err := storetest.Unlock(s.store); err != nil {
		t.Fatal(err)
	}
	keys, err := auth.LoadOrCreateKeys(dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	active, retiring := keys.Derive(auth.PurposeTokens)
	o := Options{
		ResetLifetime: 24 * time.Hour, MaxKeyLifetime: 365 * 24 * time.Hour,
		Store: s.store, Keys: keys, EngineHealth: func(time.Time) error { return nil }, Metrics: func(w io.Writer) error { _, err := io.WriteString(w, "jadwal_up 1\n"); return err },
		Hasher: auth.NewHasher(), Limiter: auth.NewLimiter(), Log: log, Now: s.clock.now,
		Tokens: auth.NewTokens(active, retiring, auth.Lifetimes{Access: 15 * time.Minute, Refresh: 7 * 24 * time.Hour, Session: 30 * 24 * time.Hour}),
	}
	o.Nodes = nodesOf(s.store)
	client := target.New(target.Options{Version: "1.2.3", DialContext: nowhere})
	t.Cleanup(client.Close)
	o.Tester = client.Test
	s.http = httptest.NewUnstartedServer(nil)
	s.http.Config.MaxHeaderBytes = 32 << 10
	s.http.Config.DisableGeneralOptionsHandler = true
	chosen := settings{api: o, http: s.http.Config}
	for _, option := range options {
		option(&chosen)
	}
	s.api = New(chosen.api)
	s.http.Config.Handler = s.api
	s.http.Config.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelError)
	s.http.Start()
	s.addr = s.http.Listener.Addr().String()
	stop := func() {}
	if !chosen.idle {
		stop = runEngine(t, s.store)
		s.fires = true
	}
	t.Cleanup(func() {
		s.http.Close()
		stop()
		if s.past.conn != nil {
			s.past.conn.Close(context.Background())
		}
		if err := s.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// nodesOf is what a server's wiring gives the API: on PostgreSQL the newest node
// is this server.
func nodesOf(st *store.Store) Nodes {
	if !st.Shared() {
		alone := jadwal.Alone(jadwal.Node{Address: "127.0.0.1:8080", Version: "0.9.0", StartedAt: time.Now()})
		return func(context.Context) (*jadwal.Cluster, int64, error) { return alone, 1, nil }
	}
	return func(ctx context.Context) (*jadwal.Cluster, int64, error) {
		all, err := st.Cluster(ctx)
		if err != nil || len(all.Nodes) == 0 {
			return all, 0, err
		}
		return all, all.Nodes[len(all.Nodes)-1].ID, nil
	}
}

// pass sets the server's clock forward.
func (s *server) pass(d time.Duration) {
	s.clock.mu.Lock()
	defer s.clock.mu.Unlock()
	s.clock.ahead += d
}

// addUser stores a user past the API.
func (s *server) addUser(name, password, email string, superuser, bootstrap bool) jadwal.User {
	s.t.Helper()
	user, err := s.store.CreateUser(context.Background(), jadwal.Actor{}, jadwal.NewUser{
		Username: name, Email: email, PasswordHash: hashOf(password), IsSuperuser: superuser, Bootstrap: bootstrap,
	}, s.clock.now())
	if err != nil {
		s.t.Fatal(err)
	}
	return user
}

// session is a signed-in client.
type session struct {
	s               *server
	access, refresh string
}

func (s *server) login(identifier, password string) *session {
	s.t.Helper()
	r := s.do("POST", "/login", fmt.Sprintf(`{"identifier":%q,"password":%q}`, identifier, password))
	if r.status != 200 {
		s.t.Fatalf("login of %s: %s", identifier, r.body)
	}
	return &session{s, r.text("access_token"), r.text("refresh_token")}
}

// asUser makes a user and signs in, past the API.
func (s *server) asUser(name string, superuser bool) *session {
	s.t.Helper()
	user := s.addUser(name, userPassword, name+"@example.com", superuser, false)
	now := s.clock.now()
	n, err := s.store.StartSession(context.Background(), jadwal.Actor{User: user}, now, s.api.tokens.SessionEnd(now), hashOf(userPassword))
	if err != nil {
		s.t.Fatal(err)
	}
	access, refresh := s.api.tokens.Pair(n, now)
	return &session{s, access, refresh}
}

// do sends a request without a token; header is pairs of name and value, and a
// Content-Type of "" is none.
func (s *server) do(method, target, body string, header ...string) *response {
	s.t.Helper()
	return s.send(method, target, body, "", header)
}

func (c *session) do(method, target, body string, header ...string) *response {
	c.s.t.Helper()
	return c.s.send(method, target, body, c.access, header)
}

// send sends a request with a JSON body over a connection of its own and
// checks the answer against the envelope.
func (s *server) send(method, target, body, token string, header []string) *response {
	s.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\n", method, target)
	if token != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", token)
	}
	typed := false
	for i := 0; i < len(header); i += 2 {
		typed = typed || header[i] == "Content-Type"
		if header[i] == "Content-Type" && header[i+1] == "" {
			continue
		}
		fmt.Fprintf(&b, "%s: %s\r\n", header[i], header[i+1])
	}
	if body != "" {
		if !typed {
			b.WriteString("Content-Type: application/json\r\n")
		}
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	} else if method != "GET" && method != "HEAD" {
		b.WriteString("Content-Length: 0\r\n")
	}
	b.WriteString("\r\n" + body)
	return s.raw(method, b.String())
}

// status sends a request and returns its status alone: the answer may be a
// document.
func (s *server) status(method, target, body, token string) int {
	s.t.Helper()
	req, err := http.NewRequest(method, s.http.URL+target, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := s.http.Client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// justNow is a moment ago, as a schedule's at.
func justNow() string { return time.Now().Add(-time.Second).UTC().Format(time.RFC3339) }

// raw sends the bytes of a request and checks the answer against the envelope.
// A server that answers early may close before it has read them all.
func (s *server) raw(method, request string) *response {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	go io.WriteString(conn, request)
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		s.t.Fatalf("%.200q: %v", request, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	target, _, _ := strings.Cut(strings.TrimPrefix(request, method+" "), " ")
	if method == "HEAD" {
		if len(body) != 0 {
			s.t.Errorf("HEAD was answered with a body: %s", body)
		}
		return &response{status: resp.StatusCode, header: resp.Header}
	}
	path := targetPath(method, target)
	_, sent, _ := strings.Cut(request, "\r\n\r\n")
	if strings.Contains(request, "chunked") {
		sent = ""
	}
	checkAgainstDocument(s.t, method, path, sent, resp, body)
	return checkEnvelope(s.t, resp, body, shownPath(path))
}

// digest is a hash of everything in the database.
func (s *server) digest() string {
	s.t.Helper()
	for s.fires && s.column("SELECT kind FROM change") != "" { // the engine sees to a new job behind the answer
		time.Sleep(time.Millisecond)
	}
	h := sha256.New()
	tables := strings.Fields(s.column(s.dialect("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
		"SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname")))
	for _, table := range tables {
		fmt.Fprintln(h, table)
		s.each(s.dialect("SELECT * FROM "+table+" ORDER BY 1, 2", "SELECT x::text FROM "+table+" x ORDER BY 1"), func(row []string) {
			fmt.Fprintf(h, "%q ", row)
		})
	}
	if len(tables) < 8 {
		s.t.Fatalf("there are only the tables %q", tables)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// dialect chooses among two texts of a query.
func (s *server) dialect(sqlite, postgres string) string {
	if s.url != "" {
		return postgres
	}
	return sqlite
}

// each reads all rows of a query past the store.
func (s *server) each(sql string, fn func(row []string)) {
	s.t.Helper()
	var err error
	if s.url != "" {
		err = s.past.each(s.url, sql, fn)
	} else {
		err = eachSQLite(s.file, sql, fn)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func eachSQLite(file, sql string, fn func(row []string)) error {
	conn, err := sqlite.OpenConn(file, sqlite.OpenReadWrite)
	if err != nil {
		return err
	}
	defer conn.Close()
	return sqlitex.ExecuteTransient(conn, sql, &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		row := make([]string, st.ColumnCount())
		for i := range row {
			row[i] = st.ColumnText(i)
		}
		fn(row)
		return nil
	}})
}

func (d *direct) each(url, sql string, fn func(row []string)) (err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ctx := context.Background()
	if d.conn == nil {
		if d.conn, err = pgx.Connect(ctx, url); err != nil {
			return err
		}
	}
	rows, err := d.conn.Query(ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return err
		}
		row := make([]string, len(values))
		for i, v := range values {
			switch v := v.(type) {
			case nil:
			case []byte:
				row[i] = string(v)
			default:
				row[i] = fmt.Sprint(v)
			}
		}
		fn(row)
	}
	return rows.Err()
}

// execute changes the database as another process would.
func (s *server) execute(sql string) {
	s.t.Helper()
	s.each(sql, func([]string) {})
	if s.url != "" { // which tells the nodes whom it has changed
		s.each("INSERT INTO identity_change (kind, id) SELECT 'user', id FROM account", func([]string) {})
	}
}

// column is the first column of all rows of a query, in lines.
func (s *server) column(sql string) string {
	s.t.Helper()
	var b strings.Builder
	s.each(sql, func(row []string) { fmt.Fprintln(&b, row[0]) })
	return b.String()
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
