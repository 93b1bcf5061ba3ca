package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// attackRequests is about requests whose borders servers see in different
// places: what is hidden behind one must not be answered as another. What is
// hidden deletes a user; whose token it has is a superuser's.
func attackRequests(g *siege) {
	root := g.person("root", true)
	victim := g.person("victim", false).id()
	token := "Authorization: Bearer " + root.access + "\r\n"
	hidden := "DELETE /user/" + victim + " HTTP/1.1\r\nHost: localhost\r\n" + token + "\r\n"
	login := "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	chunked := login + "Transfer-Encoding: chunked\r\n\r\n"
	me := "GET /user/me HTTP/1.1\r\nHost: localhost\r\n" + token
	length := fmt.Sprintf("Content-Length: %d\r\n\r\n", len(hidden))

	// The answers to what is sent, and whether the connection is closed behind
	// them: where it is, nothing more was read.
	for _, c := range []struct {
		rule, sent string
		want       []int
		closed     bool
	}{
		{"both lengths, the hidden request within the longer one", login + fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 5+len(hidden)) + hidden, []int{400}, true},
		{"both lengths the other way round", login + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden, []int{400}, true},
		{"both lengths, the shorter one in bytes", login + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden), []int{400}, true},
		{"both lengths in HTTP/1.0", strings.Replace(login, "1.1", "1.0", 1) + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, []int{400}, true},
		{"something behind the last chunk", chunked + "0\r\n\r\n" + hidden, []int{400}, true},
		{"chunks in capitals", strings.Replace(chunked, "chunked", "CHUNKED", 1) + "0\r\n\r\n" + hidden, []int{400}, true},
		{"chunks in a folded field", strings.Replace(chunked, " chunked", "\r\n chunked", 1) + "0\r\n\r\n" + hidden, []int{400}, true},
		{"a trailer that is a token", strings.Replace(chunked, "\r\n\r\n", "\r\nTrailer: Authorization\r\n\r\n", 1) + "2\r\n{}\r\n0\r\n" + token + "\r\n" + hidden, []int{400}, true},
		{"two lengths", login + "Content-Length: 0\r\n" + length + hidden, []int{400}, true},
		{"a list of lengths", login + "Content-Length: 0, 5\r\n\r\n" + hidden, []int{400}, true},
		{"a list of the same length", login + "Content-Length: 0, 0\r\n\r\n" + hidden, []int{400}, true},
		{"a length with a plus", login + "Content-Length: +0\r\n\r\n" + hidden, []int{400}, true},
		{"a length with a minus", login + "Content-Length: -1\r\n\r\n" + hidden, []int{400}, true},
		{"a hexadecimal length", login + "Content-Length: 0x0\r\n\r\n" + hidden, []int{400}, true},
		{"a length with a fraction", login + "Content-Length: 0.0\r\n\r\n" + hidden, []int{400}, true},
		{"a length beyond 64 bits", login + "Content-Length: 18446744073709551616\r\n\r\n" + hidden, []int{400}, true},
		{"an empty length", login + "Content-Length: \r\n\r\n" + hidden, []int{400}, true},
		{"a length with a space before the colon", login + "Content-Length : 0\r\n\r\n" + hidden, []int{400}, true},
		{"a coding with a space before the colon", login + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + hidden, []int{400}, true},
		{"a coding that there is not", login + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden, []int{501}, true},
		{"the identity coding and a length", login + "Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n" + hidden, []int{501}, true},
		{"two codings in a list", login + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + hidden, []int{501}, true},
		{"two codings, chunked first", login + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + hidden, []int{501}, true},
		{"two fields of codings", login + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, []int{501}, true},
		{"two fields of codings, one that there is not", login + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n" + hidden, []int{501}, true},
		{"a coding in quotes", login + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" + hidden, []int{501}, true},
		{"a coding behind a vertical tab", login + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + hidden, []int{400}, true},
		{"a chunk of a length with a minus", chunked + "-1\r\n\r\n0\r\n\r\n" + hidden, []int{400}, true},
		{"a chunk of a length with a plus", chunked + "+2\r\n{}\r\n0\r\n\r\n" + hidden, []int{400}, true},
		{"a chunk of a length with 0x", chunked + "0x2\r\n{}\r\n0\r\n\r\n" + hidden, []int{400}, true},
		{"a chunk of a length beyond 64 bits", chunked + "10000000000000002\r\n{}\r\n0\r\n\r\n" + hidden, []int{400}, true},
		{"a chunk of no length", chunked + "\r\n{}\r\n0\r\n\r\n" + hidden, []int{400}, true},
		{"a chunk that is longer than it says", chunked + "2\r\n{}x\r\n0\r\n\r\n" + hidden, []int{400}, true},
		{"a chunk's length that a bare line feed ends", chunked + "2\n{}\r\n0\r\n\r\n" + hidden, []int{400}, true},
		{"a chunk's extension that a bare line feed ends", chunked + "2;a\n{}\r\n0\r\n\r\n" + hidden, []int{400}, true},
		{"a chunk's extension that has no end", chunked + "2;" + strings.Repeat("a", 20_000) + "\r\n{}\r\n0\r\n\r\n" + hidden, []int{400}, true},
		{"a request in a body that is refused for its type", strings.Replace(login, "application/json", "text/plain", 1) + length + hidden, []int{415}, false},
		{"a request in a body that is refused for its path", "POST /nothing HTTP/1.1\r\nHost: localhost\r\n" + length + hidden, []int{404}, false},
		{"a request in a body that is refused for its method", "PUT /login HTTP/1.1\r\nHost: localhost\r\n" + length + hidden, []int{405}, false},
		{"a request in a body that is refused for want of a token", "POST /job HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + length + hidden, []int{401}, false},
		{"a request in a body that is refused for what it says", login + length + hidden, []int{400}, false},
		{"a request in a body that nobody reads", "GET / HTTP/1.1\r\nHost: localhost\r\n" + length + hidden, []int{200}, false},
		{"a request in a body of a HEAD", "HEAD /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + length + hidden, []int{404}, true},
		{"a request in a body that is too large", login + "Content-Length: 9999999\r\n\r\n" + hidden, []int{413}, true},
		{"a request in a body that waits to be asked for", login + "Expect: 100-continue\r\nContent-Length: 9999999\r\n\r\n" + hidden, []int{413}, true},
		{"an expectation that there is not", login + "Expect: 200-ok\r\n" + length + hidden, []int{417}, true},
		{"a request behind one that asks to close", "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" + hidden, []int{200}, true},
		{"a request behind one of HTTP/1.0", "GET / HTTP/1.0\r\n\r\n" + hidden, []int{200}, true},
		{"a request behind one that asks for HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + hidden, []int{404}, true},
		{"a request of HTTP/2 in letters", "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n" + hidden, []int{505}, true},
		{"a request of HTTP/0.9", "GET /user/me\r\n\r\n" + hidden, []int{400}, true},
		{"a version in small letters", "GET / http/1.1\r\nHost: localhost\r\n\r\n" + hidden, []int{400}, true},
		{"a request line of four parts", "GET / x HTTP/1.1\r\nHost: localhost\r\n\r\n" + hidden, []int{400}, true},
		{"a request line with tabs", "GET\t/\tHTTP/1.1\r\nHost: localhost\r\n\r\n" + hidden, []int{400}, true},
		{"an empty line before the request", "\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + hidden, []int{400}, true},
		{"a space before the first field", "GET / HTTP/1.1\r\n X: a\r\nHost: localhost\r\n\r\n" + hidden, []int{400}, true},
		{"a bare carriage return in a field", me + "X: a\rTransfer-Encoding: chunked\r\n\r\n" + hidden, []int{400}, true},
		{"a NUL in a field", me + "X: a\x00b\r\n\r\n" + hidden, []int{400}, true},
		{"a NUL in the Authorization field", "GET /user/me HTTP/1.1\r\nHost: localhost\r\n" + strings.TrimSpace(token) + "\x00\r\n\r\n" + hidden, []int{400}, true},
		{"a NUL in a field's name", me + "X\x00: a\r\n\r\n" + hidden, []int{400}, true},
		{"a NUL in the target", "GET /user/me\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n" + hidden, []int{400}, true},
		{"a letter of a field's name that is not ASCII", me + "Transfer-Encoding\u0131: chunked\r\n\r\n" + hidden, []int{400}, true},
		{"a field without a colon", me + "nonsense\r\n\r\n" + hidden, []int{400}, true},
		{"a field without a name", me + ": chunked\r\n\r\n" + hidden, []int{400}, true},
		{"no Host", "GET / HTTP/1.1\r\n\r\n" + hidden, []int{400}, true},
		{"two Hosts", "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n" + hidden, []int{400}, true},
		{"a Host with a space", "GET / HTTP/1.1\r\nHost: localhost evil\r\n\r\n" + hidden, []int{400}, true},
		{"a header of 40,000 bytes", me + "X: " + strings.Repeat("a", 40_000) + "\r\n\r\n" + hidden, []int{431}, true},
		{"20,000 fields", me + strings.Repeat("X: a\r\n", 20_000) + "\r\n" + hidden, []int{431}, true},
		{"a request line of 40,000 bytes", "GET /" + strings.Repeat("a", 40_000) + " HTTP/1.1\r\nHost: localhost\r\n\r\n" + hidden, []int{431}, true},
		{"the beginning of TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n" + hidden, []int{400}, true},
	} {
		g.holds(c.rule, func(t *testing.T, s *server) {
			before := s.digest()
			got, closed := s.exchange(c.sent)
			if !slices.Equal(got, c.want) || closed != c.closed {
				t.Errorf("got %d, closed %v, want %d, closed %v", got, closed, c.want, c.closed)
			}
			if s.digest() != before {
				t.Error("the hidden request was answered")
			}
		})
	}
	g.holds("what is hidden is no attack without its cover: it deletes the user", func(t *testing.T, s *server) {
		gone := s.asUser("gone", false).id()
		good := strings.Replace(hidden, "/user/"+victim, "/user/"+gone, 1)
		last := strings.Replace(good, "\r\n", "\r\nConnection: close\r\n", 1)
		if got, closed := s.answers("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"+good+last, 10*time.Second); !slices.Equal(got, []int{200, 200, 404}) || !closed {
			t.Errorf("got %d, closed %v", got, closed)
		}
	})
	for _, c := range []struct {
		rule, sent string
		want       []int
	}{
		{"a folded field is one field", "GET /user/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer\r\n " + root.access + "\r\n\r\n", []int{200}},
		{"a folded field hides no second one", "GET /user/me HTTP/1.1\r\nHost: localhost\r\nX: a\r\n Authorization: Bearer " + root.access + "\r\n\r\n", []int{401}},
		{"lines that bare line feeds end have the same borders", "GET /user/me HTTP/1.1\nHost: localhost\n\nGET / HTTP/1.1\nHost: localhost\n\n", []int{401, 200}},
		{"a connection's token is not the next request's", me + "\r\nGET /user/me HTTP/1.1\r\nHost: localhost\r\n\r\n", []int{200, 401}},
		{"a refused token is not the next request's", "GET /user/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n\r\n" + me + "\r\n", []int{401, 200}},
		{"an Upgrade is not taken", "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", []int{200}},
		{"a field that Connection names is there still", "GET /user/me HTTP/1.1\r\nHost: localhost\r\nConnection: Authorization\r\n" + token + "\r\n", []int{200}},
		{"an absolute target counts by its path, whatever its host", "GET http://evil.example/user/me HTTP/1.1\r\nHost: localhost\r\n\r\n", []int{401}},
		{"a user part of an absolute target is no credential", "GET http://admin:" + adminPassword + "@localhost/user/me HTTP/1.1\r\nHost: localhost\r\n\r\n", []int{401}},
		{"a target of an authority is no path", "GET localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", []int{404}},
		{"a tunnel is not made", "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", []int{404}},
		{"a trace does not repeat the token", "TRACE /user/me HTTP/1.1\r\nHost: localhost\r\n" + token + "\r\n", []int{405}},
	} {
		g.holds(c.rule, func(t *testing.T, s *server) {
			if got, _ := s.exchange(c.sent); !slices.Equal(got, c.want) {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}
