package api

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/auth"
	"github.com/teknohole/jadwal/internal/store"
)

// Options is what a Server is made of.
type Options struct {
	Store          *store.Store
	Tokens         *auth.Tokens
	Keys           auth.Keys
	Hasher         *auth.Hasher
	Limiter        *auth.Limiter
	TrustedProxies []netip.Prefix            // whose X-Forwarded-For is believed; none: nobody's
	Origins        []string                  // whose pages may read answers in a browser; none: nobody's
	EngineHealth   func(now time.Time) error // why the engine is not well; nil: it is
	Metrics        func(io.Writer) error     // in the Prometheus text format
	Nodes          Nodes
	Tester         Tester
	UserRequests   int           // that a user who is no superuser may make a minute; 0: any number
	SourceRequests int           // that a source address may make a minute without anybody signed in; 0: any number
	ResetLifetime  time.Duration // of a code that sets a password
	MaxKeyLifetime time.Duration // of an API key; 0: no limit, not even that there is one
	Log            *slog.Logger
	Now            func() time.Time
}

// Nodes returns the nodes that share the database, and which of them this server
// is; 0: none just now.
type Nodes func(context.Context) (all *jadwal.Cluster, me int64, err error)

// Server answers the API's requests. It is safe for concurrent use.
type Server struct {
	store   *store.Store
	tokens  *auth.Tokens
	hasher  *auth.Hasher
	limiter *auth.Limiter
	trusted []netip.Prefix
	rates   rates
	origins []string // nil: no other origin's page may read an answer
	log     *slog.Logger
	now     func() time.Time
	router  *router
	bodies  atomic.Int64 // bytes of request bodies in memory, beyond smallBody of each

	engineHealth func(time.Time) error
	metrics      func(io.Writer) error
	nodes        Nodes
	tester       Tester
	tests        tests
	ready        readiness

	requestKeys atomic.Pointer[requestKeys]
	inProgress  sync.Map // of onceKey: requests that are not answered yet

	applyWait     time.Duration // for the engine to apply a change
	resetLifetime time.Duration
	maxKeyLife    time.Duration // 0: no limit
}

// New returns the handler of the whole API. It has no timeouts of its own: a
// body that takes longer than the http.Server's ReadTimeout is answered with
// 408.
func New(o Options) *Server {
	s := &Server{
		store:   o.Store,
		tokens:  o.Tokens,
		hasher:  o.Hasher,
		limiter: o.Limiter,
		trusted: o.TrustedProxies,
		origins: o.Origins,
		log:     o.Log,
		now:     o.Now,
		router:  newRouter(routes()),

		engineHealth: o.EngineHealth,
		metrics:      o.Metrics,
		nodes:        o.Nodes,
		tester:       o.Tester,

		applyWait:     10 * time.Second,
		resetLifetime: o.ResetLifetime,
		maxKeyLife:    o.MaxKeyLifetime,
	}
	s.rates.users = jadwal.NewMeter[int64](jadwal.PerMinute(o.UserRequests))
	s.rates.sources = jadwal.NewMeter[netip.Addr](jadwal.PerMinute(o.SourceRequests))
	s.UseKeys(o.Keys)
	return s
}

// UseKeys has the server sign and hash with the active one of other keys from
// now on, and accept what the retiring one has made.
func (s *Server) UseKeys(k auth.Keys) {
	s.tokens.Use(k.Derive(auth.PurposeTokens))
	active, retiring := k.Derive(auth.PurposeRequests)
	s.requestKeys.Store(&requestKeys{active, retiring})
}

// call is one request on its way. It is the context of its handler.
type call struct {
	context.Context
	server    *Server
	request   *http.Request
	requestID string
	path      string // as it came
	params    params // of the path
	now       time.Time
	heldBody  int64          // bytes of s.bodies
	fields    [2]string      // values of header fields of the answer, kept here to save their allocations
	user      jadwal.User    // who asks; zero on public routes
	session   jadwal.Session // zero with an API key
	key       *jadwal.Key    // nil with a session
	metered   *metered       // nil: it counts against no quota
	once      *jadwal.Once   // of a write that happens once; nil: it need not
}

type callKey struct{}

// Value makes the call itself part of its context.
func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// callOf returns the request that a handler answers.
func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// by is who asks.
func (c *call) by() jadwal.Actor {
	return jadwal.Actor{User: c.user, SessionID: c.session.ID, Key: c.key, RequestID: c.requestID}
}

// actor is who asks, and from where, for the store and its audit rows.
func (c *call) actor() jadwal.Actor {
	by := c.by()
	by.Source = c.source()
	return by
}

// ServeHTTP answers a request, whatever it is, in the envelope.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{
		Context:   r.Context(),
		server:    s,
		request:   r,
		requestID: newRequestID(),
		path:      targetPath(r.Method, r.RequestURI),
		now:       s.now(),
	}
	defer func() { s.bodies.Add(-c.heldBody) }()
	a := s.answer(c)
	if err := write(w, c, a); err != nil {
		s.logFailure(c, err)
		internal, _ := refuse(err)
		_ = write(w, c, internal)
	}
}

// answer runs the checks and the handler. A panic is a failure of the server
// like any other.
func (s *Server) answer(c *call) (a *answer) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				panic(v)
			}
			s.log.Error("request panicked", "request_id", c.requestID, "method", c.request.Method, "path", c.path, "panic", v, "stack", string(debug.Stack()))
			a, _ = refuse(jadwal.Errorf(jadwal.CodeInternal, ""))
		}
	}()
	a, err := s.handle(c)
	if err != nil {
		var internal bool
		if a, internal = refuse(err); internal {
			s.logFailure(c, err)
		}
	}
	return a
}

func (s *Server) logFailure(c *call, err error) {
	s.log.Error("request failed", "request_id", c.requestID, "method", c.request.Method, "path", c.path, "err", err)
}

// handle is the one order of checks: path 404, method 405, token 401, quota of
// requests 429, rights 403, content type 415 and size 413, body and id 400; then the handler's own:
// resource 404, state 403.
func (s *Server) handle(c *call) (*answer, error) {
	r := c.request
	if len(r.RequestURI) > jadwal.MaxURI {
		return nil, jadwal.Errorf(jadwal.CodeURITooLong, "The request's target is longer than %d bytes", jadwal.MaxURI)
	}
	res, values := s.router.find(c.path)
	if res == nil {
		return nil, jadwal.Errorf(jadwal.CodeNotFound, "There is no such path")
	}
	c.params = values
	route := res.route(r.Method)
	if route == nil {
		if a := s.preflight(r, res); a != nil {
			return a, nil
		}
		a, _ := refuse(jadwal.Errorf(jadwal.CodeMethodNotAllowed, "This path answers only %s", res.allow))
		a.header["Allow"] = []string{res.allow}
		return a, nil
	}
	if err := s.admit(c, route); err != nil {
		return nil, err
	}
	var body []byte
	if in := route.input; in.takesBody(r) || in.refusesBody(r) {
		var err error
		if in.body >= 0 {
			body, err = s.readBody(c, in.mergePatch)
		} else {
			err = readNoBody(r.Body)
		}
		c.now = s.now() // a body may take its time
		if err != nil {
			return nil, err
		}
		// What was true of the caller before it may be so no more.
		if err := s.admit(c, route); err != nil {
			return nil, err
		}
	}
	if route.doc.once {
		a, release, err := s.repeated(c, body)
		if a != nil || err != nil {
			return a, err
		}
		defer release()
	}
	return route.serve(s, c, body)
}

// admit finds out who asks, and whether they may ask such a thing at all.
func (s *Server) admit(c *call, route *route) error {
	if route.action == jadwal.ActionPublic {
		if !route.doc.uncounted {
			if err := s.countSource(c); err != nil {
				return err
			}
		}
	} else if err := s.signIn(c); err != nil {
		if limited := s.countSource(c); limited != nil {
			return limited
		}
		return err
	} else if err := s.countUser(c); err != nil {
		return err
	}
	return jadwal.Allow(c.by(), route.action, jadwal.Object{})
}

// bearer is the token of the Authorization header: of exactly one field of the
// scheme Bearer, in any case (RFC 6750, section 2.1).
func bearer(fields []string) (token string, err error) {
	if len(fields) == 0 {
		return "", errNoToken
	}
	scheme, token, _ := strings.Cut(fields[0], " ")
	token = strings.TrimLeft(token, " ")
	switch {
	case len(fields) > 1:
		return "", errBadToken
	case !strings.EqualFold(scheme, "Bearer") || token == "":
		return "", errNoToken
	}
	return token, nil
}

// signIn finds out who asks, with an access token or an API key. There is no
// query, but for a session or a key that another node made a moment ago:
// sessions, keys and their users are in memory.
func (s *Server) signIn(c *call) error {
	token, err := bearer(c.request.Header["Authorization"])
	if err != nil {
		return err
	}
	if auth.LooksLikeKey(token) {
		id, hash, ok := auth.ParseKey(token)
		if !ok {
			return errBadToken
		}
		user, key, ok, err := s.store.KeyIdentity(c.request.Context(), id, hash)
		if err != nil {
			return err
		}
		if !ok || key.Expired(c.now) {
			return errBadToken
		}
		c.user, c.key = user, key
		s.store.KeyUsed(key.ID, c.now)
		return nil
	}
	claims, err := s.tokens.ParseAccess(token, c.now)
	if err != nil {
		return errBadToken
	}
	user, session, ok, err := s.store.Identity(c.request.Context(), claims.SessionID)
	if err != nil {
		return err
	}
	if !ok || user.ID != claims.UserID || !c.now.Before(session.ExpiresAt) {
		return errBadToken
	}
	c.user, c.session = user, session
	s.store.SessionUsed(session.ID, c.now)
	return nil
}

var (
	errNoToken  = jadwal.Errorf(jadwal.CodeUnauthenticated, "Authentication is required")
	errBadToken = jadwal.Errorf(jadwal.CodeInvalidToken, "The token is not valid or has expired")
)

// smallBody is how many bytes of a body every request may hold in memory; what
// is beyond it comes out of what all requests together may.
const (
	smallBody  = 16 << 10
	allBodies  = 64 << 20
	bodiesWait = time.Second // until one may be tried again
)

// readBody reads a request's body whole, at most jadwal.MaxBody bytes.
// CodeBusy: the bodies of other requests take all the memory there is for them.
func (s *Server) readBody(c *call, mergePatch bool) ([]byte, error) {
	r := c.request
	if err := checkContentType(r.Header, mergePatch); err != nil {
		return nil, err
	}
	tooLarge := jadwal.Errorf(jadwal.CodeTooLarge, "The body is larger than %d bytes", jadwal.MaxBody)
	if r.ContentLength > jadwal.MaxBody {
		return nil, tooLarge
	}
	body := make([]byte, 0, min(max(r.ContentLength+1, 512), smallBody)) // a length is only a promise
	for {
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > jadwal.MaxBody:
			return nil, tooLarge
		case err == io.EOF:
			return body, nil
		case err != nil:
			return nil, bodyError(err)
		}
		if len(body) == cap(body) {
			grown := int64(cap(body)) // append at most doubles
			c.heldBody += grown
			if s.bodies.Add(grown) > allBodies {
				return nil, &jadwal.Error{Code: jadwal.CodeBusy, Message: "The server is reading too many large bodies; try again", RetryAfter: bodiesWait}
			}
			body = slices.Grow(body, cap(body))
		}
	}
}

// maxNoBody is how long a body may be where none is taken: `{}`, and room for
// white space.
const maxNoBody = 64

// readNoBody reads the body of a request that takes none. What clients send
// that have nothing to say is fine: nothing, or an empty object. Anything else
// would be something that is asked for, and ignored.
func readNoBody(r io.Reader) error {
	body, err := io.ReadAll(io.LimitReader(r, maxNoBody+1))
	if err != nil {
		return bodyError(err)
	}
	if text := strings.Join(strings.Fields(string(body)), ""); text != "" && text != "{}" || len(body) > maxNoBody {
		return malformed("this call takes no body; send none, or {}")
	}
	return nil
}

func bodyError(err error) error {
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		return jadwal.Errorf(jadwal.CodeTimeout, "The body took too long to arrive")
	}
	return malformed("the body ended before it was complete")
}

// newRequestID is a name for a request that finds it in the log. It is no
// secret.
func newRequestID() string {
	var b [32]byte
	return string(strconv.AppendUint(strconv.AppendUint(b[:0], rand.Uint64()|1<<63, 32), rand.Uint64()>>32|1<<31, 32))
}
