package target

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"html"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/teknohole/jadwal"
)

// redacted stands where a secret was.
const redacted = "[redacted]"

// leastSecret is how long a value must be, in bytes, for it to be looked for.
const leastSecret = jadwal.MinSecretValue

// A redactor finds secrets in what a target answers: as they are, and as they
// are written in JSON, URLs, forms, HTML, base64 and hexadecimal, also two of
// these one in the other. Its time is linear in what it looks at, whatever that
// is.
//
// It has the headers of the job, what the templates of the target are filled in
// with, and the secrets in those. What is secret of them is gathered when there is
// something to look at: most answers are empty.
type redactor struct {
	headers map[string]string
	filled  jadwal.Filled
	values  []jadwal.SecretValue

	gathered bool
	secrets  []string
	room     [4]string // for the first secrets
	texts    [][]byte  // what is looked for: the secrets, and each in its other forms
}

// gather gathers what is secret; false: nothing is.
func (r *redactor) gather() bool {
	if r.gathered {
		return len(r.secrets) > 0
	}
	r.gathered = true
	for name, value := range r.headers {
		if !jadwal.SecretHeader(name) {
			continue
		}
		if text, ok := r.filled.Header(name); ok {
			value = text
		}
		r.addHeader(name, value)
	}
	for _, secret := range r.values {
		r.add(secret.Value)
	}
	return len(r.secrets) > 0
}

// addHeader adds what is secret in the value of a header: all of it, what
// follows a scheme (RFC 9110, section 11.4), the password of Basic (RFC 7617),
// each cookie.
func (r *redactor) addHeader(name, value string) {
	r.add(value)
	switch {
	case strings.EqualFold(name, "cookie"):
		for pair := range strings.SplitSeq(value, ";") {
			_, cookie, _ := strings.Cut(pair, "=")
			r.add(strings.TrimSpace(cookie))
		}
	case strings.EqualFold(name, "authorization"):
		scheme, credentials, _ := strings.Cut(value, " ")
		credentials = strings.TrimSpace(credentials)
		r.add(credentials)
		if strings.EqualFold(scheme, "basic") {
			if pair, err := base64.StdEncoding.DecodeString(credentials); err == nil {
				_, password, _ := strings.Cut(string(pair), ":")
				r.add(string(pair))
				r.add(password)
			}
		}
	}
}

func (r *redactor) add(secret string) {
	if r.secrets == nil {
		r.secrets = r.room[:0]
	}
	if len(secret) >= leastSecret && !slices.Contains(r.secrets, secret) {
		r.secrets = append(r.secrets, secret)
	}
}

// forms makes what is looked for, once something is to be looked at.
func (r *redactor) forms() [][]byte {
	if r.texts != nil {
		return r.texts
	}
	r.texts = make([][]byte, 0, 13*len(r.secrets))
	for _, s := range r.secrets {
		r.texts = append(r.texts, []byte(s))
		for _, small := range []bool{true, false} { // a host, the name of a header
			if other := inCase(s, small); other != nil {
				r.texts = append(r.texts, other)
			}
		}
		// As it was sent, whatever stands before it: with that its beginning may read as
		// an escape.
		r.texts = append(r.texts, jadwal.EncodedByTemplates(s)...)
		lower := hex.EncodeToString([]byte(s))
		r.texts = append(r.texts, []byte(lower), []byte(strings.ToUpper(lower)))
		for before := range 3 {
			std := inBase64(base64.RawStdEncoding, s, before)
			r.texts = append(r.texts, std)
			if url := inBase64(base64.RawURLEncoding, s, before); !bytes.Equal(url, std) {
				r.texts = append(r.texts, url)
			}
		}
	}
	return r.texts
}

// inCase is a text with small letters instead of capital ones, or the other way
// round, in ASCII; nil: that is no other text.
func inCase(text string, small bool) (other []byte) {
	from := byte('a')
	if small {
		from = 'A'
	}
	for i := range len(text) {
		if c := text[i]; c >= from && c < from+26 {
			if other == nil {
				other = []byte(text)
			}
			other[i] ^= 0x20
		}
	}
	return other
}

// inBase64 is what base64 (RFC 4648, section 4) makes of a secret that begins so
// many bytes behind a multiple of three, without the characters that hold bits
// of its neighbours.
func inBase64(e *base64.Encoding, secret string, before int) []byte {
	text := make([]byte, before, before+len(secret))
	text = append(text, secret...)
	encoded := e.AppendEncode(nil, text)
	return encoded[(8*before+5)/6 : 8*len(text)/6]
}

// beyond is how many bytes more of an answer are to be looked at than are kept,
// so that a secret which is cut off there is seen as a whole. Were what only
// begins like one taken out, whoever chooses what a target echoes could find it
// out, byte by byte.
func (r *redactor) beyond() int {
	if !r.gather() {
		return 0
	}
	longest := 0
	for _, s := range r.secrets {
		longest = max(longest, len(s))
	}
	return min(longest*longestWritten, discarded)
}

// brokeOff is how many bytes of an answer may be kept that broke off after n. Its
// end goes, whatever it is, since a secret may have begun there.
func (r *redactor) brokeOff(n int) int { return max(n-r.beyond(), 0) }

// longestWritten is how many bytes stand for one of a secret, as far as it can
// be expected.
const longestWritten = 16

// redact returns the first bytes of b, as many as are kept, without what is
// secret: that may go on in the rest of b. b is not changed.
func (r *redactor) redact(b []byte, keep int) []byte {
	keep = min(keep, len(b))
	if keep == 0 || len(b) < leastSecret || !r.gather() {
		return b[:keep]
	}
	spans := r.find(b)
	if len(spans) == 0 {
		return b[:keep]
	}
	slices.SortFunc(spans, func(x, y span) int { return x.from - y.from })
	var out []byte
	at := 0
	for i := 0; i < len(spans) && spans[i].from < keep; {
		from, to := spans[i].from, spans[i].to
		for i++; i < len(spans) && spans[i].from <= to; i++ {
			to = max(to, spans[i].to)
		}
		out = append(append(out, b[at:from]...), redacted...)
		at = to
	}
	return append(out, b[min(at, keep):keep]...)
}

// holds tells whether a text has a secret in it.
func (r *redactor) holds(text string) bool {
	return r.gather() && len(r.find([]byte(text))) > 0
}

// text is redact for a text that is whole.
func (r *redactor) text(s string) string {
	if !r.gather() {
		return s
	}
	return string(r.redact([]byte(s), len(s)))
}

// span is a part of a text, in bytes.
type span struct{ from, to int }

func (r *redactor) find(b []byte) (spans []span) {
	if !slices.ContainsFunc(r.secrets, func(s string) bool { return len(s) <= len(b) }) {
		return nil // no form of any is shorter, as far as it is looked for
	}
	view{text: b, end: len(b)}.each(nested, func(v view) {
		for _, text := range r.forms() {
			for at := 0; ; {
				i := bytes.Index(v.text[at:], text)
				if i < 0 {
					break
				}
				spans = append(spans, v.span(at+i, at+i+len(text)))
				at += i + len(text)
			}
		}
	})
	return spans
}

// A view is a text as it reads once some kind of writing is undone.
type view struct {
	text []byte
	at   []int // for each byte, where it stands in the original; nil: there
	end  int   // where the end of the text stands in the original
}

func (v view) place(i int) int {
	switch {
	case i == len(v.text):
		return v.end
	case v.at == nil:
		return i
	}
	return v.at[i]
}

func (v view) span(from, to int) span { return span{v.place(from), v.place(to)} }

// A writing is how bytes are written as others: the function returns what stands
// at i and how many bytes of the text that is; 0: the byte itself.
type writing struct {
	signs string // without one of these nothing is to be undone
	read  func(text []byte, i int) (read []byte, size int)
}

var (
	inJSON  = writing{`\`, fromJSON}
	inURL   = writing{"%", fromURL}
	inForm  = writing{"+", fromForm}
	inHTML  = writing{"&", fromHTML}
	inLines = writing{"\r\n", withoutLineEnds}
)

var allWritings = []writing{inJSON, inURL, inForm, inHTML, inLines}

// nested is how many writings are undone, one within the other.
const nested = 2

// each calls see with v and with how it reads in other ways: each kind of writing
// undone, and each again in what that gives, so many deep.
func (v view) each(deep int, see func(view)) {
	see(v)
	if deep == 0 {
		return
	}
	for _, w := range allWritings {
		if u, ok := v.undo(w); ok {
			u.each(deep-1, see)
		}
	}
}

// undo reads v in another way; false: that is no other text.
func (v view) undo(w writing) (u view, changed bool) {
	if !bytes.ContainsAny(v.text, w.signs) {
		return u, false
	}
	u.end = v.end
	for i := 0; i < len(v.text); {
		bytes, size := w.read(v.text, i)
		if size > 0 && !changed {
			changed = true
			u.text = append(make([]byte, 0, len(v.text)), v.text[:i]...)
			u.at = make([]int, 0, len(v.text))
			for j := range i {
				u.at = append(u.at, v.place(j))
			}
		}
		switch {
		case size > 0:
			for range bytes {
				u.at = append(u.at, v.place(i))
			}
			u.text = append(u.text, bytes...)
			i += size
		case changed:
			u.text, u.at = append(u.text, v.text[i]), append(u.at, v.place(i))
			i++
		default:
			i++
		}
	}
	return u, changed
}

// fromJSON reads an escape of a JSON string (RFC 8259, section 7).
func fromJSON(text []byte, i int) ([]byte, int) {
	if text[i] != '\\' {
		return nil, 0
	}
	if i+1 == len(text) {
		return nil, 0
	}
	switch c := text[i+1]; c {
	case '"', '\\', '/':
		return octet(c), 2
	case 'b':
		return octet('\b'), 2
	case 'f':
		return octet('\f'), 2
	case 'n':
		return octet('\n'), 2
	case 'r':
		return octet('\r'), 2
	case 't':
		return octet('\t'), 2
	case 'u':
		high, size := unit(text, i)
		if size == 0 || high < 0xd800 || high >= 0xdc00 {
			return utf8.AppendRune(nil, high), size
		}
		low, size := unit(text, i+6)
		if size > 0 && low >= 0xdc00 && low < 0xe000 {
			return utf8.AppendRune(nil, (high-0xd800)<<10|(low-0xdc00)+0x10000), 12
		}
		return utf8.AppendRune(nil, high), 6
	}
	return nil, 0
}

// unit reads \uXXXX.
func unit(text []byte, i int) (n rune, size int) {
	for j := range 6 {
		if i+j == len(text) {
			return 0, 0
		}
		c := text[i+j]
		if j < 2 {
			if c != `\u`[j] {
				return 0, 0
			}
			continue
		}
		digit := strings.IndexByte(digits, c|0x20)
		if digit < 0 {
			return 0, 0
		}
		n = n<<4 | rune(digit)
	}
	return n, 6
}

// fromURL reads a percent-encoded byte (RFC 3986, section 2.1).
func fromURL(text []byte, i int) ([]byte, int) {
	if text[i] != '%' {
		return nil, 0
	}
	var c byte
	for j := i + 1; j < i+3; j++ {
		if j == len(text) {
			return nil, 0
		}
		digit := strings.IndexByte(digits, text[j]|0x20)
		if digit < 0 {
			return nil, 0
		}
		c = c<<4 | byte(digit)
	}
	return octet(c), 3
}

const digits = "0123456789abcdef" // a digit is itself, and a letter in lower case, with 0x20 set

// octets are all bytes.
var octets = func() (all [256]byte) {
	for i := range all {
		all[i] = byte(i)
	}
	return all
}()

// octet is a text of one byte.
func octet(c byte) []byte { return octets[c : int(c)+1] }

// fromForm is fromURL where a plus sign is a space.
func fromForm(text []byte, i int) ([]byte, int) {
	if text[i] == '+' {
		return octet(' '), 1
	}
	return fromURL(text, i)
}

// longestReference is that of the longest name, with its ends:
// &CounterClockwiseContourIntegral;.
const longestReference = 33

// fromHTML reads a character reference that ends as it should.
func fromHTML(text []byte, i int) ([]byte, int) {
	if text[i] != '&' {
		return nil, 0
	}
	n := 1
	for n < longestReference && i+n < len(text) && inReference(text[i+n]) {
		n++
	}
	switch {
	case n == longestReference, i+n == len(text), text[i+n] != ';':
		return nil, 0
	}
	name := string(text[i+1 : i+n])
	number, base := strings.TrimPrefix(name, "#"), 10
	if number == name {
		all := string(text[i : i+n+1])
		if c := html.UnescapeString(all); c != all {
			return []byte(c), n + 1
		}
		return nil, 0
	}
	if number != "" && (number[0] == 'x' || number[0] == 'X') {
		number, base = number[1:], 16
	}
	c, err := strconv.ParseUint(number, base, 21)
	if err != nil {
		return nil, 0
	}
	return utf8.AppendRune(nil, rune(c)), n + 1
}

// inReference tells what stands between the ends of a character reference.
func inReference(c byte) bool {
	return c == '#' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// withoutLineEnds reads base64 that is broken into lines.
func withoutLineEnds(text []byte, i int) ([]byte, int) {
	if text[i] == '\n' || text[i] == '\r' {
		return nil, 1
	}
	return nil, 0
}

// guard knows what of a request must not go to another origin.
type guard struct{ redactor }

// keepsBody tells whether the body must not.
func (g *guard) keepsBody() bool { return g.filled.SecretBody }

// keeps tells whether a field must not, by its canonical name.
func (g *guard) keeps(name string) bool {
	return name != "Idempotency-Key" && (jadwal.SecretHeader(name) ||
		slices.ContainsFunc(g.filled.Headers, func(h jadwal.FilledHeader) bool { return h.Secret && http.CanonicalHeaderKey(h.Name) == name }))
}
