package api

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// attackBodies is about what bodies say: JSON in ways that parsers disagree
// about, look-alikes of names, too much of everything.
func attackBodies(g *siege) {
	ani, _ := g.person("ani", false), g.person("root", true)
	ani.createJob("mine")
	job := func(rule string, status int, code, field, body string) attack {
		return attack{rule: rule, as: "ani", method: "POST", target: "/job", body: body, status: status, code: code, field: field}
	}
	malformed := func(rule, body string) attack { return job(rule, 400, "malformed", "", body) }
	invalid := func(rule, field, body string) attack { return job(rule, 400, "validation_failed", field, body) }
	nested := func(open, close string, n int) string {
		return `{"name":"x","target":{"url":"https://example.com/","body":` + strings.Repeat(open, n) + "1" + strings.Repeat(close, n) + `}}`
	}
	utf16 := func(s string) string {
		var b strings.Builder
		for _, c := range s {
			b.WriteByte(byte(c))
			b.WriteByte(0)
		}
		return b.String()
	}
	g.refused(
		invalid("a member twice, far apart", "name", `{"name":"x",`+hook+`,"tags":[],"name":"y"}`),
		invalid("a member twice, deep within", "target.url", `{"name":"x","target":{"url":"https://example.com/","url":"http://127.0.0.1/"}}`),
		invalid("a member twice, once with an escaped letter", "name", `{"name":"x",`+hook+`,"n\u0061me":"y"}`),
		invalid("a member twice, once all escaped", "target", `{"name":"x",`+hook+`,"\u0074\u0061\u0072\u0067\u0065\u0074":{"url":"http://127.0.0.1/"}}`),
		invalid("a header twice", "target.headers.A", `{"name":"x","target":{"url":"https://example.com/","headers":{"A":"1","A":"2"}}}`),
		invalid("a member of a body to send twice", "target.body.a", `{"name":"x","target":{"url":"https://example.com/","body":{"a":1,"\u0061":2}}}`),
		invalid("a member's name in another case", "Name", `{"Name":"x",`+hook+`}`),
		invalid("a member's name with a long s, which some fold to s", "tag\u017f", `{"name":"x",`+hook+`,"tag\u017f":[]}`),
		invalid("a member's name with the Kelvin sign, which some fold to k", "\u212a", `{"name":"x",`+hook+`,"\u212a":[]}`),
		invalid("a member's name with a Cyrillic letter", "n\u0430me", `{"n\u0430me":"x",`+hook+`}`),
		invalid("a member's name with a letter of no width", "name\u200b", `{"name\u200b":"x",`+hook+`}`),
		invalid("a member's name with a NUL", "name\x00", `{"name\u0000":"x",`+hook+`}`),
		invalid("a member's name with space", " name", `{" name":"x",`+hook+`}`),
		invalid("a member's name with a dot", "target.url", `{"name":"x","target.url":"https://example.com/"}`),
		invalid("a member without a name", "", `{"":1,"name":"x",`+hook+`}`),
		malformed("a comment", `{"name":"x",/* */`+hook+`}`),
		malformed("a comment to the end of the line", `{"name":"x",//`+"\n"+hook+`}`),
		malformed("a comma too many", `{"name":"x",`+hook+`,}`),
		malformed("a comma in front", `{,"name":"x",`+hook+`}`),
		malformed("single quotes", `{'name':'x',`+hook+`}`),
		malformed("a name without quotes", `{name:"x",`+hook+`}`),
		malformed("NaN", `{"name":"x",`+hook+`,"max_runs":NaN}`),
		malformed("Infinity", `{"name":"x",`+hook+`,"max_runs":-Infinity}`),
		malformed("a hexadecimal number", `{"name":"x",`+hook+`,"max_runs":0x10}`),
		malformed("a number with a zero in front", `{"name":"x",`+hook+`,"max_runs":01}`),
		malformed("a number with a plus", `{"name":"x",`+hook+`,"max_runs":+1}`),
		malformed("a number that ends in a dot", `{"name":"x",`+hook+`,"max_runs":1.}`),
		invalid("a number with a fraction", "max_runs", `{"name":"x",`+hook+`,"max_runs":1.0000000000000000001}`),
		invalid("a number with an exponent that is whole", "max_runs", `{"name":"x",`+hook+`,"max_runs":1e400}`),
		invalid("a number beyond 64 bits", "max_runs", `{"name":"x",`+hook+`,"max_runs":18446744073709551616}`),
		invalid("a number of 100,000 digits", "max_runs", `{"name":"x",`+hook+`,"max_runs":`+strings.Repeat("9", 100_000)+`}`),
		malformed("half of a surrogate pair", `{"name":"x\ud800",`+hook+`}`),
		malformed("a surrogate pair the wrong way round", `{"name":"x\udc00\ud800",`+hook+`}`),
		malformed("a slash in two bytes of UTF-8", "{\"name\":\"x\xc0\xaf\","+hook+"}"),
		malformed("a surrogate in UTF-8", "{\"name\":\"x\xed\xa0\x80\","+hook+"}"),
		malformed("a code point beyond Unicode", "{\"name\":\"x\xf4\x90\x80\x80\","+hook+"}"),
		malformed("a NUL between members", "{\"name\":\"x\",\x00"+hook+"}"),
		malformed("a NUL behind the body", `{"name":"x",`+hook+"}\x00"),
		malformed("a line's end in a text", "{\"name\":\"x\n\","+hook+"}"),
		malformed("an escape that there is not", `{"name":"\x41",`+hook+`}`),
		malformed("an unbreakable space between members", "{\u00a0\"name\":\"x\","+hook+"}"),
		malformed("a form feed between members", "{\f\"name\":\"x\","+hook+"}"),
		malformed("UTF-16", utf16(newJobBody)),
		malformed("UTF-16 with its mark", "\xff\xfe"+utf16(newJobBody)),
		malformed("UTF-7", "+AHs-"),
		malformed("the guard of some frameworks", ")]}',\n"+newJobBody),
		malformed("two bodies in lines", newJobBody+"\n"+newJobBody),
		malformed("a body in a text", `"{\"name\":\"x\"}"`),
		malformed("a body in a callback", `x({"name":"x"})`),
		malformed("an array of 65 levels", nested("[", "]", 65)),
		malformed("an object of 65 levels", nested(`{"a":`, "}", 65)),
		malformed("both by turns, 100 levels", nested(`[{"a":`, "}]", 50)),
		malformed("100,000 brackets that nobody closes", strings.Repeat("[", 100_000)),
		malformed("a megabyte of brackets", strings.Repeat("[", 1<<20)),
		malformed("a megabyte of braces", strings.Repeat(`{"a":`, 1<<20/5)),
		malformed("a megabyte of quotes", `{"name":"`+strings.Repeat(`\"`, 1<<19-10)),
		malformed("a megabyte of space", strings.Repeat(" ", 1<<20)),
		invalid("60,000 members that there are not", "m0", manyMembers(60_000)),
		invalid("200,000 tags", "tags", `{"name":"x",`+hook+`,"tags":[`+strings.Repeat(`"a",`, 200_000)+`"a"]}`),
		invalid("20,000 headers", "target.headers", `{"name":"x","target":{"url":"https://example.com/","headers":{`+strings.TrimSuffix(manyPairs(20_000), ",")+`}}}`),
		invalid("20,000 schedules", "schedules", `{"name":"x",`+hook+`,"schedules":[`+strings.Repeat(`{"every":"1h"},`, 20_000)+`{"every":"1h"}]}`),
		invalid("a name of half a megabyte", "name", `{"name":"`+strings.Repeat("x", 1<<19)+`",`+hook+`}`),
		job("a byte too many", 413, "too_large", "", `{"name":"x",`+hook+strings.Repeat(" ", 1<<20)+`}`),
	)

	// Names that look like the superuser's, and are not hers or nobody's.
	var all []attack
	for rule, name := range map[string]string{
		"with a Cyrillic letter": "\u0430dmin", "with a Greek letter": "admi\u03bd", "with a letter of full width": "\uff41dmin", "with a dotless i": "adm\u0131n", "with a dotted capital I": "ADM\u0130N",
		"with a letter of no width": "ad\u200bmin", "with a mark behind": "admin\u0301", "with a mark of direction": "\u202eadmin", "with a soft hyphen": "ad\u00admin", "with a mathematical letter": "\U0001d41admin", "with a tab": "admin\t",
	} {
		all = append(all,
			attack{rule: "a new user's name " + rule, as: "root", method: "POST", target: "/user", body: fmt.Sprintf(`{"username":%q,"password":"x-password","email":"x@example.com"}`, name), status: 400, code: "validation_failed", field: "username"},
			attack{rule: "a name to take " + rule, as: "ani", method: "PATCH", target: "/user/me", body: fmt.Sprintf(`{"username":%q}`, name), status: 400, code: "validation_failed", field: "username"})
	}
	for rule, email := range map[string]string{
		"with the Kelvin sign": "admin@te\u212anohole.com", "with a Cyrillic letter": "\u0430dmin@teknohole.com", "with a dot of full width": "admin@teknohole\uff0ecom", "with a letter of no width": "admin@teknohole.com\u200d",
		"with a second at sign of full width": "admin\uff20teknohole.com", "with a long s": "root@example.com\u017f",
	} {
		all = append(all, attack{rule: "an email " + rule, as: "root", method: "POST", target: "/user", body: `{"username":"x","password":"x-password","email":"` + email + `"}`, status: 400, code: "validation_failed", field: "email"})
	}
	for rule, email := range map[string]string{"in capitals": "ADMIN@TEKNOHOLE.COM", "with its letters escaped": `\u0061dmin@teknohole.com`} {
		all = append(all, attack{rule: "the superuser's email " + rule, as: "root", method: "POST", target: "/user", body: `{"username":"x","password":"x-password","email":"` + email + `"}`, status: 400, code: "validation_failed", field: "email"})
	}
	g.refused(all...)
	g.holds("a sign-in by a look-alike is one by nobody", func(t *testing.T, s *server) {
		for _, identifier := range []string{"admin@te\u212anohole.com", "ADM\u0130N", "adm\u0131n", "\uff41dmin", "admin\u200b", "\u0430dmin"} {
			if r := s.do("POST", "/login", fmt.Sprintf(`{"identifier":%q,"password":%q}`, identifier, adminPassword)); r.status != 401 || r.code != "invalid_credentials" {
				t.Errorf("%q: got %s", identifier, r.body)
			}
		}
	})
	g.holds("an escaped letter of a name that there is means that name, with its rules", func(t *testing.T, s *server) {
		if r := ani.as(t).do("PATCH", "/user/me", `{"\u0065mail":"anita@example.com"}`); r.status != 200 || r.text("email") != "anita@example.com" {
			t.Errorf("got %s", r.body)
		}
	})

	g.refused(
		attack{rule: "JSON in UTF-16 that says so", as: "ani", method: "POST", target: "/job", body: newJobBody, header: []string{"Content-Type", "application/json; charset=utf-16"}, status: 415, code: "unsupported_media_type"},
		attack{rule: "JSON in UTF-7 that says so", as: "ani", method: "POST", target: "/job", body: newJobBody, header: []string{"Content-Type", "application/json; charset=utf-7"}, status: 415, code: "unsupported_media_type"},
		attack{rule: "two character sets", as: "ani", method: "POST", target: "/job", body: newJobBody, header: []string{"Content-Type", "application/json; charset=utf-8; charset=utf-16"}, status: 415, code: "unsupported_media_type"},
		attack{rule: "two types in one field", as: "ani", method: "POST", target: "/job", body: newJobBody, header: []string{"Content-Type", "application/json, text/plain"}, status: 415, code: "unsupported_media_type"},
		attack{rule: "a type that a form may have", as: "ani", method: "POST", target: "/job", body: newJobBody, header: []string{"Content-Type", "text/plain; application/json"}, status: 415, code: "unsupported_media_type"},
		attack{rule: "JSON in parts", as: "ani", method: "POST", target: "/job", body: newJobBody, header: []string{"Content-Type", "multipart/form-data; boundary=x"}, status: 415, code: "unsupported_media_type"},
		attack{rule: "another JSON", as: "ani", method: "POST", target: "/job", body: newJobBody, header: []string{"Content-Type", "application/vnd.api+json"}, status: 415, code: "unsupported_media_type"},
		attack{rule: "text that says it is JSON", as: "ani", method: "POST", target: "/job", body: newJobBody, header: []string{"Content-Type", "text/json"}, status: 415, code: "unsupported_media_type"},
		attack{rule: "XML", as: "ani", method: "POST", target: "/job", body: `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>`, header: []string{"Content-Type", "application/xml"}, status: 415, code: "unsupported_media_type"},
		attack{rule: "a bomb of deflate", as: "ani", method: "POST", target: "/job", body: newJobBody, header: []string{"Content-Encoding", "deflate"}, status: 415, code: "unsupported_media_type"},
		attack{rule: "a bomb of Brotli", as: "ani", method: "POST", target: "/job", body: newJobBody, header: []string{"Content-Encoding", "br"}, status: 415, code: "unsupported_media_type"},
		attack{rule: "a merge patch where none is taken", as: "ani", method: "POST", target: "/job", body: newJobBody, header: []string{"Content-Type", "application/merge-patch+json"}, status: 415, code: "unsupported_media_type"},
	)
	slow := newServer(g.t, idle, readTimeout(300*time.Millisecond))
	slow.t = g.t
	for rule, sent := range map[string]string{
		"a body that comes a byte at a time is cut off":          "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n",
		"a body in chunks that come a byte at a time is cut off": "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n",
		"a header that comes a byte at a time is cut off":        "GET / HTTP/1.1\r\nHost: localhost\r\nX: ",
	} {
		g.holds(rule, func(t *testing.T, _ *server) {
			conn, err := net.Dial("tcp", slow.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			began := time.Now()
			go func() {
				io.WriteString(conn, sent)
				for range 200 {
					if _, err := io.WriteString(conn, " "); err != nil {
						return
					}
					time.Sleep(20 * time.Millisecond)
				}
			}()
			conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			answer, err := io.ReadAll(conn)
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("after %s: %q %v", took, answer, err)
			}
			if got := string(answer); got != "" && !strings.Contains(got, "408 Request Timeout") {
				t.Errorf("got %q", got)
			}
		})
	}
}

// manyMembers is an object of n members with names of their own.
func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":1`, i)
	}
	return "{" + b.String()[1:] + "}"
}

// manyPairs are n members that are texts.
func manyPairs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"X-%d":"a",`, i)
	}
	return b.String()
}
