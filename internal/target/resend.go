package target

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/teknohole/jadwal"
)

// staleAfter is how soon a kept connection must break for it to be likely that
// the target had closed it before the request came. After that the request was
// being worked on, and what becomes of it is for the retry policy to say.
const staleAfter = time.Second

// errHungUp is the cause of a context whose request net/http would have sent
// once more.
var errHungUp = errors.New("the target hung up")

// sending is one request on its way. When a kept connection breaks before a
// byte of the answer came, net/http sends the request again by itself, on the
// next kept connection, and so on. That is right once, for a connection that
// was closed while it was idle, but even then the target may have got the
// request before: so the second one says that it is a redelivery, and there is
// no third.
type sending struct {
	header http.Header
	cancel context.CancelCauseFunc
	began  time.Time
	tries  int
	seen   *jadwal.Exchange // of a test; nil: it is none
}

// trace returns ctx with s watching over the connections that are used. The
// hook runs before the request is written to the connection.
func (s *sending) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: s.gotConn})
}

func (s *sending) gotConn(info httptrace.GotConnInfo) {
	s.tries++
	if s.tries == 1 {
		return
	}
	if c, ok := info.Conn.(*tls.Conn); ok && c.ConnectionState().NegotiatedProtocol == "h2" {
		return // sent again only if the target says that it did nothing (RFC 9113, section 8.7)
	}
	if s.tries == 2 && time.Since(s.began) < staleAfter {
		s.header["Jadwal-Redelivery"] = redelivery
		return
	}
	// Nothing can be written to a closed connection, and there is no next one
	// for a context that is done.
	s.cancel(errHungUp)
	info.Conn.Close()
}

var redelivery = []string{"possible"}
