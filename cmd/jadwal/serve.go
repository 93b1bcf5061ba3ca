package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/api"
	"github.com/teknohole/jadwal/internal/auth"
	"github.com/teknohole/jadwal/internal/config"
	"github.com/teknohole/jadwal/internal/engine"
	"github.com/teknohole/jadwal/internal/node"
	"github.com/teknohole/jadwal/internal/store"
	"github.com/teknohole/jadwal/internal/target"
	"github.com/teknohole/jadwal/internal/vault"
	"github.com/teknohole/jadwal/schedule"
)

// requestDrain is how long requests may go on after the server is told to
// stop; running attempts have the drain timeout after that.
const requestDrain = 5 * time.Second

type serveCommand struct {
	config.Flags
}

// Run checks the settings and serves until it is told to stop.
func (c *serveCommand) Run(sys *system) error {
	cfg, err := c.Read(os.LookupEnv)
	if err != nil {
		return usageError{err}
	}
	letHeapGrow(os.LookupEnv)
	ctx, stop := stopOnSignal(sys.stderr)
	defer stop()
	log := newLogger(sys.stderr, cfg)
	slog.SetDefault(log) // and with it what libraries print by package log
	for _, name := range config.Unknown(os.Environ()) {
		log.Warn("there is no such setting", "variable", name)
	}
	err = serve(ctx, sys.stdout, cfg, log)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // told to stop before it had begun
	}
	return err
}

// heapGrowth is how much the heap may grow before the garbage is collected, as a
// share of what was in use, in percent; Go's own is 100. A fire allocates about
// 9 KB, so that in a burst half as many collections are some microseconds of
// each fire.
const heapGrowth = 200

// letHeapGrow sets the garbage collector to heapGrowth, unless GOGC says
// something else (https://go.dev/doc/gc-guide#GOGC).
func letHeapGrow(lookup func(string) (string, bool)) {
	if said, _ := lookup("GOGC"); said == "" {
		debug.SetGCPercent(heapGrowth)
	}
}

// serve is the life of a server: it takes the data directory, listens, sees to
// the first user, fires and answers until ctx ends, and then drains. Where
// everything is goes to stdout, for a person.
func serve(ctx context.Context, stdout io.Writer, cfg config.Config, log *slog.Logger) (err error) {
	fatal := make(chan error, 1)
	st, err := store.Open(ctx, store.Options{Dir: cfg.Data, URL: cfg.DatabaseURL, Unsafe: cfg.Unsafe, MaxJobs: cfg.UserJobs, Log: log, OnFatal: func(err error) {
		select {
		case fatal <- err:
		default: // the first one ends the process
		}
	}})
	if err != nil {
		return dataError(cfg.DatabaseURL, err)
	}
	defer func() {
		if !errors.Is(err, errBroken) {
			err = errors.Join(err, st.Close())
		}
	}()
	listener, err := listen(ctx, cfg.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	hasher := auth.NewHasher()
	admin, err := firstUser(ctx, st, hasher, cfg, listener.Addr(), time.Now())
	if jadwal.CodeOf(err) == jadwal.CodeUnavailable {
		return errUnwritable(cfg)
	}
	if err != nil {
		return err
	}
	// After the first user: so a key beside a database without users tells that
	// the database was lost.
	ring, err := openKeyring(ctx, st, cfg, log, time.Now())
	if jadwal.CodeOf(err) == jadwal.CodeUnavailable {
		return errUnwritable(cfg)
	}
	if err != nil {
		return err
	}
	if err := unlock(ctx, st, cfg); err != nil {
		return err
	}
	if admin.bootstrap {
		log.Warn("the password of the first start is still in use: whoever reaches this machine's loopback network can sign in with it, also through a proxy that adds no forwarding header",
			"user", admin.username, "change it with", resetHint(admin.username, cfg))
	}

	egress := jadwal.Egress{Allow: cfg.AllowEgress, Deny: cfg.DenyEgress, Own: target.Own(listener.Addr())}
	client := target.New(target.Options{Version: jadwal.Version, Egress: egress, MaxIdle: cfg.MaxInFlight})
	var member *node.Node // nil: there are no others
	eng := engine.New(engine.Options{
		Lost:         func() { member.Lost() },
		Store:        st,
		Target:       client,
		Log:          log,
		InFlight:     cfg.MaxInFlight,
		PerHost:      cfg.MaxPerHost,
		DrainTimeout: cfg.DrainTimeout,
		Fires:        cfg.UserFires,
	})
	health := eng.Health
	if st.Shared() {
		member = node.New(node.Options{Store: st, Engine: eng, Address: listener.Addr().String(), Log: log})
		health = func(now time.Time) error { return errors.Join(eng.Health(now), member.Health(now)) }
	}
	active, retiring := ring.inForce.Derive(auth.PurposeTokens)
	secure, certificateEnd, err := serverTLS(ctx, cfg, log)
	if err != nil {
		return err
	}
	handler := api.New(api.Options{
		Store:          st,
		Tokens:         auth.NewTokens(active, retiring, auth.Lifetimes{Access: cfg.AccessLifetime, Refresh: cfg.RefreshLifetime, Session: cfg.SessionLifetime}),
		Keys:           ring.inForce,
		EngineHealth:   health,
		Metrics:        newMetrics(eng, st.Misplaced, certificateEnd),
		Nodes:          nodesOf(st, member, jadwal.Node{Address: listener.Addr().String(), Version: jadwal.Version, StartedAt: time.Now()}),
		Tester:         client.Test,
		ResetLifetime:  cfg.ResetLifetime,
		MaxKeyLifetime: cfg.MaxKeyLifetime,
		Hasher:         hasher,
		Limiter:        auth.NewLimiter(),
		TrustedProxies: cfg.TrustedProxies,
		Origins:        cfg.CORSOrigins,
		UserRequests:   cfg.UserRequests,
		SourceRequests: cfg.SourceRequests,
		Log:            log,
		Now:            time.Now,
	})
	server := newServer(log, secure, handler)
	ring.use = handler.UseKeys

	engineCtx, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	defer stopEngine()
	engineDone, serverDone := make(chan error, 1), make(chan error, 1)
	go func() { engineDone <- eng.Run(engineCtx) }()
	leave := join(member, cfg.DrainTimeout)
	keeping, stopKeeping := context.WithCancel(ctx)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		st.Keep(keeping, store.Retention{History: cfg.History, Failures: cfg.FailureHistory, Bytes: cfg.HistoryMax, Audit: cfg.AuditHistory})
	}()
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		st.Listen(keeping)
	}()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		ring.watch(keeping)
	}()
	defer func() { stopKeeping(); <-kept; <-heard; <-watched; ring.leave() }()
	go func() { serverDone <- answer(server, listener) }()
	banner(stdout, cfg, st.Name(), listener.Addr(), admin)
	log.Info("serving", "address", listener.Addr().String(), "version", jadwal.Version)

	var cause error
	select {
	case <-ctx.Done():
		log.Info("stopping: no new requests and runs", "running attempts may take", cfg.DrainTimeout.String())
	case err := <-fatal:
		return fmt.Errorf("%w: %w", errBroken, err)
	case err := <-serverDone:
		cause = fmt.Errorf("the listener ended: %w", err)
	case err := <-engineDone:
		if jadwal.CodeOf(err) == jadwal.CodeUnavailable {
			err = errUnwritable(cfg)
		}
		cause = errors.Join(errors.New("the engine ended"), err)
		engineDone <- nil
	}

	// Requests first: an answer to an edit waits for the engine to apply it.
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestDrain)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		log.Warn("some requests took too long and were cut off", "allowed", requestDrain.String())
		server.Close()
	}
	gone := leave() // its shards go to other nodes while what runs here ends
	stopEngine()
	select {
	case err := <-fatal:
		return fmt.Errorf("%w: %w", errBroken, err)
	case err := <-engineDone:
		if err != nil {
			cause = errors.Join(cause, fmt.Errorf("stopping the engine: %w", err))
		}
	}
	cause = errors.Join(cause, gone())
	if cause == nil {
		log.Info("stopped")
	}
	return cause
}

// unlock gives the store the master key that secrets are sealed with: the one
// that is set, else, on SQLite, that of the data directory. On PostgreSQL there
// may be none until the first secret is to be stored.
func unlock(ctx context.Context, st *store.Store, cfg config.Config) error {
	sealed, err := st.Sealed(ctx)
	if err != nil {
		return err
	}
	key := cfg.MasterKey
	switch {
	case len(key) > 0:
	case !st.Shared():
		if key, err = auth.LoadOrCreateMasterKey(cfg.Data, sealed); err != nil {
			return err
		}
	case sealed:
		return errors.New("JADWAL_MASTER_KEY: this database may hold secrets, since a server has sealed some with its master key; set that key (docs/reference/secrets.md tells what to do when it is lost)")
	default:
		return st.Unlock(ctx, nil)
	}
	v, err := vault.New(key, cfg.RetiringMasterKey)
	if err != nil {
		return err
	}
	err = st.Unlock(ctx, v)
	switch {
	case !errors.Is(err, store.ErrOtherMaster):
		return err
	case len(cfg.MasterKey) == 0:
		return fmt.Errorf("%s: %w; put the file back that has it, or set that key as JADWAL_MASTER_KEY", filepath.Join(cfg.Data, auth.MasterKeyFile), err)
	}
	return fmt.Errorf("JADWAL_MASTER_KEY: %w; set that one, or, to change to the one that is set, set that one as JADWAL_RETIRING_MASTER_KEY until the log says that it can go", err)
}

// leaveTimeout is how long a node may take to tell the others that it has ended;
// otherwise its lease tells them.
const leaveTimeout = 5 * time.Second

// join makes this process a node among others; nil: there are none. What it
// returns gives the shards back, within drain, and returns what ends the node
// when the engine has ended.
func join(member *node.Node, drain time.Duration) func() func() error {
	if member == nil {
		return func() func() error { return func() error { return nil } }
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		member.Run(ctx, drain)
	}()
	return func() func() error {
		stop()
		<-ended
		return func() error {
			ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
			defer cancel()
			if err := member.Leave(ctx); err != nil {
				return fmt.Errorf("leaving the nodes: %w", err)
			}
			return nil
		}
	}
}

// nodesOf is how the API learns of the nodes; member nil: self is the only one.
func nodesOf(st *store.Store, member *node.Node, self jadwal.Node) api.Nodes {
	if member == nil {
		alone := jadwal.Alone(self)
		return func(context.Context) (*jadwal.Cluster, int64, error) { return alone, alone.Nodes[0].ID, nil }
	}
	return func(ctx context.Context) (*jadwal.Cluster, int64, error) {
		all, err := st.Cluster(ctx)
		return all, member.Standing().ID, err
	}
}

// errBroken is that the disk can no longer be trusted, or that a newer server
// has the database: nothing more is written, not even for an orderly end. The
// next start recovers, or tells what to start instead.
var errBroken = errors.New("the store cannot go on")

// errUnwritable is that the database takes no writes at the start; the store has
// logged why.
func errUnwritable(cfg config.Config) error {
	return dataError(cfg.DatabaseURL, errors.New("the database cannot be written; the line above says why"))
}

// stopOnSignal returns a context that ends at the first SIGINT or SIGTERM. A
// second one ends the process at once.
func stopOnSignal(stderr io.Writer) (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		fmt.Fprintln(stderr, "jadwal: stopped at once; what was running is delivered again at the next start")
		os.Exit(exitInterrupted)
	}()
	return ctx, cancel
}

func newLogger(w io.Writer, cfg config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// dataError names the setting that an error of the store is about. That a
// server is told to stop is no such error.
func dataError(databaseURL string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if databaseURL != "" {
		return fmt.Errorf("--database-url (JADWAL_DATABASE_URL): %w", err)
	}
	return fmt.Errorf("--data (JADWAL_DATA): %w", err)
}

// newServer bounds what a stranger can hold open: a header for 10 s, a request
// for 30 s, an answer for a minute, an idle connection for two, and a share of
// the connections.
// secure nil: without TLS.
func newServer(log *slog.Logger, secure *tls.Config, handler http.Handler) *http.Server {
	if secure != nil {
		handler = strict(handler)
	}
	return &http.Server{
		Handler:                      handler,
		TLSConfig:                    secure,
		ReadHeaderTimeout:            10 * time.Second,
		ReadTimeout:                  30 * time.Second,
		WriteTimeout:                 time.Minute,
		IdleTimeout:                  2 * time.Minute,
		MaxHeaderBytes:               32 << 10,
		DisableGeneralOptionsHandler: true,
		ConnState:                    newCrowd(mostConnections()).see,
		ErrorLog:                     stdlog.New(serverLog{log}, "", 0),
	}
}

// answer serves until the server is told to stop, with TLS if it has that.
func answer(server *http.Server, l net.Listener) error {
	if server.TLSConfig != nil {
		return server.ServeTLS(l, "", "")
	}
	return server.Serve(l)
}

// listen tells in one sentence why an address cannot be had.
func listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another program; stop that one, or choose another address with --listen", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s needs rights that this user does not have; choose a port above 1023 with --listen", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s is no address of this machine; choose another with --listen", address)
	}
	return l, err
}

// banner tells a person where everything is.
func banner(stdout io.Writer, cfg config.Config, database string, addr net.Addr, admin adminState) {
	w := &strings.Builder{} // and all of it in one write
	place, kind := "data "+cfg.Data, "SQLite"
	if cfg.DatabaseURL != "" {
		place, kind = "database "+database, "PostgreSQL"
	}
	if admin.isNew {
		kind = "new, " + kind
	}
	base := cfg.Scheme() + "://" + browsable(addr) + "/"
	if len(cfg.ACMEHosts) > 0 { // what the certificate is for
		base = "https://" + cfg.ACMEHosts[0] + "/"
		if _, port, err := net.SplitHostPort(addr.String()); err == nil && port != "443" {
			base = "https://" + net.JoinHostPort(cfg.ACMEHosts[0], port) + "/"
		}
	}
	fmt.Fprintf(w, "Jadwal %s · %s (%s) · zone database %s\n", jadwal.Version, place, kind, schedule.ZoneVersion())
	fmt.Fprintf(w, "  API  %s    Docs  %sdocs\n", base, base)
	switch {
	case !admin.isNew:
	case admin.bootstrap:
		fmt.Fprintf(w, "  First start: sign in as %s / %s (works from this machine only; change it: %s)\n", admin.username, bootstrapPassword, resetHint(admin.username, cfg))
	case admin.random != "":
		fmt.Fprintf(w, "  First start: sign in as %s / %s (shown this once; change it: %s)\n", admin.username, admin.random, resetHint(admin.username, cfg))
	default:
		fmt.Fprintf(w, "  First start: sign in as %s with the password of JADWAL_ADMIN_PASSWORD\n", admin.username)
	}
	io.WriteString(stdout, w.String())
}

// browsable is an address that a browser on this machine can open.
func browsable(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
