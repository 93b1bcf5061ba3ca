package api

import (
	"net/http"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// An answer is what a handler has to say, before it is put into the envelope.
type answer struct {
	status  int
	message string
	data    any         // nil: nothing to say
	header  http.Header // nil: none besides those of every answer
	file    *file       // instead of all of the above except status
}

// A file is an answer that is not enveloped: a document of the server's own.
type file struct {
	contentType []string
	policy      []string // of Content-Security-Policy
	body        []byte
}

// appender is data that writes itself as JSON, without reflection.
type appender interface {
	appendJSON(b []byte) []byte
}

// The header fields of every answer. net/http only reads the slices.
var (
	headerJSON    = []string{"application/json"}
	headerNosniff = []string{"nosniff"}
	headerNoStore = []string{"no-store"}
	headerClose   = []string{"close"}

	headerNoReferrer = []string{"no-referrer"}
	headerSameOrigin = []string{"same-origin"}
	headerNoPage     = []string{"default-src 'none'; frame-ancestors 'none'"} // a browser that shows it runs nothing of it, and frames it nowhere
)

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// keptBuffer is the size, in bytes, up to which a buffer is used again.
const keptBuffer = 64 << 10

// write sends a to the client. Its error is that of data which is no JSON; then
// nothing was sent.
func write(w http.ResponseWriter, c *call, a *answer) error {
	h := w.Header()
	for name, values := range a.header {
		h[name] = values
	}
	h["X-Content-Type-Options"] = headerNosniff
	h["Cache-Control"] = headerNoStore
	h["Referrer-Policy"] = headerNoReferrer
	h["Cross-Origin-Resource-Policy"] = headerSameOrigin
	if c.metered != nil {
		c.metered.write(h)
	}
	if c.server.origins != nil {
		c.server.allowOrigin(h, c.request)
	}
	c.fields = [2]string{c.requestID}
	h["X-Request-Id"] = c.fields[0:1:1]
	if c.request.TransferEncoding != nil {
		// A Content-Length may have been there besides, which net/http does not
		// tell, and then the next request may not be its sender's: RFC 9112,
		// section 6.1.
		h["Connection"] = headerClose
	}
	if a.file != nil {
		h["Content-Type"] = a.file.contentType
		h["Content-Security-Policy"] = headerNoPage
		if a.file.policy != nil {
			h["Content-Security-Policy"] = a.file.policy
			h["Cross-Origin-Opener-Policy"] = headerSameOrigin
		}
		c.send(w, a.status, a.file.body)
		return nil
	}
	h["Content-Type"] = headerJSON
	h["Content-Security-Policy"] = headerNoPage

	buf := buffers.Get().(*[]byte)
	b, err := appendEnvelope((*buf)[:0], c.path, c.now, a)
	if err == nil {
		c.send(w, a.status, b)
	}
	if cap(b) <= keptBuffer {
		*buf = b
		buffers.Put(buf)
	}
	return err
}

func (c *call) send(w http.ResponseWriter, status int, body []byte) {
	c.fields[1] = strconv.Itoa(len(body))
	w.Header()["Content-Length"] = c.fields[1:2:2]
	w.WriteHeader(status)
	_, _ = w.Write(body) // net/http leaves it out for HEAD; a client that has gone is nobody's error
}

// appendEnvelope appends the envelope of a. Its members, and their order, are
// those of every answer.
func appendEnvelope(b []byte, path string, now time.Time, a *answer) ([]byte, error) {
	if a.status >= 200 && a.status < 300 {
		b = append(b, `{"success":true,"status":`...)
	} else {
		b = append(b, `{"success":false,"status":`...)
	}
	b = strconv.AppendInt(b, int64(a.status), 10)
	b = append(b, `,"message":`...)
	b = appendString(b, a.message)
	b = append(b, `,"path":`...)
	b = appendString(b, shownPath(path))
	b = append(b, `,"timestamp":"`...)
	b = append(appendSecond(b, now.UTC()), 'Z', '"')
	if a.data != nil {
		b = append(b, `,"data":`...)
		var err error
		if b, err = appendData(b, a.data); err != nil {
			return b, err
		}
	}
	return append(b, '}', '\n'), nil
}

// appendData appends data as JSON.
func appendData(b []byte, data any) ([]byte, error) {
	if data, ok := data.(appender); ok {
		return data.appendJSON(b), nil
	}
	text, err := json.Marshal(data)
	return append(b, text...), err
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string (RFC 8259, section 7). Bytes that
// are not UTF-8 become U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[done:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\t':
				b = append(b, '\\', 't')
			case '\r':
				b = append(b, '\\', 'r')
			default:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			done = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(b, s[done:i]...)
			b = append(b, "\uFFFD"...)
			done = i + 1
		}
		i += size
	}
	b = append(b, s[done:]...)
	return append(b, '"')
}

// shownPath is a path as it came, except that bytes which are not UTF-8 and so
// cannot stand in JSON are percent-encoded.
func shownPath(path string) string {
	if utf8.ValidString(path) {
		return path
	}
	b := make([]byte, 0, len(path)+16)
	for i := 0; i < len(path); {
		r, size := utf8.DecodeRuneInString(path[i:])
		if r == utf8.RuneError && size == 1 {
			const upper = "0123456789ABCDEF"
			b = append(b, '%', upper[path[i]>>4], upper[path[i]&15])
		} else {
			b = append(b, path[i:i+size]...)
		}
		i += size
	}
	return string(b)
}
