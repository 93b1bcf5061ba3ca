package api

import (
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/auth"
)

// attackKeys is about texts that are nearly API keys, and keys that try to do
// more than they are for.
func attackKeys(g *siege) {
	ani, root := g.person("ani", false), g.person("root", true)
	mine, theirs := ani.createJob("mine"), root.createJob("theirs")
	key := func(name string, of *session, scopes ...jadwal.Scope) *session {
		c := &session{s: g.s, access: of.newKey(scopes...).text("key")}
		g.know(name, c)
		return c
	}
	all := key("ani's key", ani, jadwal.Scopes...)
	reads := key("ani's reading key", ani, jadwal.ScopeReadJob)
	key("ani's run key", ani, jadwal.ScopeReadRun, jadwal.ScopeWriteRun)
	key("root's reading key", root, jadwal.ScopeReadJob, jadwal.ScopeReadUser)
	key("root's key", root, jadwal.Scopes...)

	signed := func(text string) string { // with the checksum that it must have
		b := []byte(text)
		return string(jadwal.AppendBase62(b, uint64(crc32.ChecksumIEEE(b)), 6))
	}
	k, other := all.access, reads.access
	_, foreign, _ := auth.NewKey()
	swap := func(s string, i int) string { // another digit there
		c := byte('0')
		if s[i] == '0' {
			c = '1'
		}
		return s[:i] + string(c) + s[i+1:]
	}
	reset, _ := auth.NewResetCode(1)
	var forged []attack
	for rule, text := range map[string]string{
		"a key that nobody made":                           foreign,
		"a real id, another's secret, the right checksum":  signed(k[:15] + foreign[15:47]),
		"a real id, a secret of zeros, the right checksum": signed(k[:15] + strings.Repeat("0", 32)),
		"the id of one key, the secret of another":         signed(other[:15] + k[15:47]),
		"the id of one key, all else of another":           other[:15] + k[15:],
		"a digit of the id changed, the right checksum":    signed(swap(k, 14)[:47]),
		"a digit of the secret changed, right checksum":    signed(swap(k, 30)[:47]),
		"a digit of the secret changed":                    swap(k, 30),
		"a digit of the checksum changed":                  swap(k, 52),
		"a checksum of zeros":                              k[:47] + "000000",
		"a checksum that is too large":                     k[:47] + "zzzzzz",
		"no checksum":                                      k[:47],
		"the id alone":                                     k[:15],
		"the prefix alone":                                 "jdw_",
		"an id of zero, the right checksum":                signed("jdw_00000000000" + k[15:47]),
		"an id beyond any number, the right checksum":      signed("jdw_zzzzzzzzzzz" + k[15:47]),
		"an id with a minus, the right checksum":           signed("jdw_-0000000001" + k[15:47]),
		"a key that is a digit short":                      k[:52],
		"a key that is a digit long":                       k + "0",
		"a key with padding":                               k + "=",
		"a key in small letters":                           strings.ToLower(k),
		"a key in capitals behind its prefix":              "jdw_" + strings.ToUpper(k[4:]),
		"a key with another digit zero":                    "jdw_" + "\u0660" + k[6:],
		"a key with a hyphen":                              "jdw_" + k[4:10] + "-" + k[11:],
		"two keys":                                         k + "," + other,
		"a key and a token":                                k + "." + ani.access,
		"a key twice":                                      k + k,
		"a key in quotes":                                  `"` + k + `"`,
		"a key in base64":                                  base64.StdEncoding.EncodeToString([]byte(k)),
		"a code that sets a password":                      reset,
		"a code with the prefix of keys":                   signed("jdw_" + reset[4:47]),
		"a key that is cut by an encoded NUL":              k + "%00",
		"a key that is 20,000 digits long":                 k + strings.Repeat("0", 20_000),
	} {
		forged = append(forged, attack{rule: rule, method: "GET", target: "/user/me", header: []string{"Authorization", "Bearer " + text}, status: 401, code: "invalid_token"})
	}
	for rule, header := range map[string][]string{
		"a key with the prefix in capitals":  {"Authorization", "Bearer JDW_" + k[4:]},
		"a key with the prefix of codes":     {"Authorization", "Bearer jdr_" + k[4:]},
		"a key without its prefix":           {"Authorization", "Bearer " + k[4:]},
		"a key behind another key's field":   {"Authorization", "Bearer " + other, "Authorization", "Bearer " + k},
		"a key whose prefix is a look-alike": {"Authorization", "Bearer \u0458dw_" + k[4:]},
	} {
		forged = append(forged, attack{rule: rule, method: "GET", target: "/user/me", header: header, status: 401, code: "invalid_token"})
	}
	for rule, header := range map[string][]string{
		"a key in X-API-Key":                 {"X-API-Key", k},
		"a key in Api-Key":                   {"Api-Key", k},
		"a key in a cookie":                  {"Cookie", "api_key=" + k},
		"a key as a password of Basic":       {"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("ani:"+k))},
		"a key as a name of Basic":           {"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(k+":"))},
		"a key of the scheme ApiKey":         {"Authorization", "ApiKey " + k},
		"a key without a scheme":             {"Authorization", k},
		"a key in Proxy-Authorization":       {"Proxy-Authorization", "Bearer " + k},
		"a key of the scheme Bearer in KOI8": {"Authorization", "\xe2earer " + k},
	} {
		forged = append(forged, attack{rule: rule, method: "GET", target: "/user/me", header: header, status: 401, code: "unauthenticated"})
	}
	forged = append(forged,
		attack{rule: "a key in the query", method: "GET", target: "/job?api_key=" + k, status: 401, code: "unauthenticated"},
		attack{rule: "a key as a password", method: "POST", target: "/login", body: `{"identifier":"ani","password":"` + k + `"}`, status: 401, code: "invalid_credentials"},
		attack{rule: "a key as a name", method: "POST", target: "/login", body: `{"identifier":"` + k + `","password":"` + userPassword + `"}`, status: 401, code: "invalid_credentials"},
		attack{rule: "a key as a refresh token", method: "POST", target: "/refresh/token", body: `{"refresh_token":"` + k + `"}`, status: 401, code: "invalid_token"},
		attack{rule: "a key as a code that sets a password", method: "POST", target: "/user/password/reset", body: `{"code":"` + k + `","new_password":"another one"}`, status: 401, code: "invalid_credentials"},
		attack{rule: "a key as a code, with the right prefix and checksum", method: "POST", target: "/user/password/reset", body: `{"code":"` + signed("jdr_"+k[4:47]) + `","new_password":"another one"}`, status: 401, code: "invalid_credentials"},
	)
	g.refused(forged...)

	aniID, rootID := ani.id(), root.id()
	signIn := ani.do("GET", "/session", "").text("0.id")
	no := func(rule, as, method, target, body string) attack {
		return attack{rule: rule, as: as, method: method, target: target, body: body, status: 403, code: "forbidden"}
	}
	g.refused(
		no("a key makes a key", "ani's key", "POST", "/key", `{"name":"more","scopes":["job:read"]}`),
		no("a superuser's key makes a key", "root's key", "POST", "/key", `{"name":"more","scopes":["job:read"]}`),
		no("a key lists keys", "ani's key", "GET", "/key", ""),
		no("a superuser's key lists another's keys", "root's key", "GET", "/key?user="+aniID, ""),
		no("a key deletes itself", "ani's key", "DELETE", "/key/"+k[4:15], ""),
		no("a superuser's key deletes another's", "root's key", "DELETE", "/key/"+k[4:15], ""),
		no("a key lists sign-ins", "ani's key", "GET", "/session", ""),
		no("a key ends a sign-in", "ani's key", "DELETE", "/session/"+signIn, ""),
		no("a key signs its owner out", "ani's key", "POST", "/logout", `{"refresh_token":"`+ani.refresh+`"}`),
		no("a key changes its owner's password", "ani's key", "POST", "/user/me/password", `{"current_password":"`+userPassword+`","new_password":"another one"}`),
		no("a key changes its owner's email", "ani's key", "PATCH", "/user/me", `{"email":"x@example.com"}`),
		no("a key makes its owner a superuser", "ani's key", "PATCH", "/user/me", `{"is_superuser":true}`),
		no("a superuser's key makes a user", "root's key", "POST", "/user", newUserBody),
		no("a superuser's key makes another a superuser", "root's key", "PATCH", "/user/"+aniID, `{"is_superuser":true}`),
		no("a superuser's key makes a code for a password", "root's key", "POST", "/user/"+aniID+"/password/reset", ""),
		no("a superuser's key disables a user", "root's key", "POST", "/user/"+aniID+"/disable", ""),
		no("a superuser's key deletes a user", "root's key", "DELETE", "/user/"+aniID, ""),
		no("a key shares a job", "ani's key", "PUT", "/job/mine/grant/"+rootID, `{"level":"editor"}`),
		no("a key lists who a job is shared with", "ani's key", "GET", "/job/mine/grant", ""),
		no("a key gives a job away", "ani's key", "POST", "/job/mine/owner", `{"owner":`+rootID+`}`),
		no("a user's key with the scope reads users", "ani's key", "GET", "/user", ""),
		no("a user's key with the scope reads a user", "ani's key", "GET", "/user/"+rootID, ""),
		no("a user's key with the scope reads the audit log", "ani's key", "GET", "/audit", ""),
		no("a user's key with the scope reads what is measured", "ani's key", "GET", "/metrics", ""),
		attack{rule: "a user's key reads another's job", as: "ani's key", method: "GET", target: "/job/" + theirs, status: 404, code: "not_found"},
		attack{rule: "a user's key runs another's job", as: "ani's run key", method: "POST", target: "/job/" + theirs + "/run", status: 404, code: "not_found"},
		attack{rule: "a user's key deletes another's job", as: "ani's key", method: "DELETE", target: "/job/" + theirs, status: 404, code: "not_found"},
	)
	lacks := func(rule, as, method, target, body string) attack {
		return attack{rule: rule, as: as, method: method, target: target, body: body, status: 403, code: "insufficient_scope"}
	}
	g.refused(
		lacks("a key that reads jobs makes one", "ani's reading key", "POST", "/job", newJobBody),
		lacks("a key that reads jobs makes one by name", "ani's reading key", "PUT", "/job/new", `{`+hook+`}`),
		lacks("a key that reads jobs changes one", "ani's reading key", "PATCH", "/job/mine", `{"description":"x"}`),
		lacks("a key that reads jobs deletes one", "ani's reading key", "DELETE", "/job/mine", ""),
		lacks("a key that reads jobs copies one", "ani's reading key", "POST", "/job/mine/clone", `{"name":"x"}`),
		lacks("a key that reads jobs pauses one", "ani's reading key", "POST", "/job/mine/pause", ""),
		lacks("a key that reads jobs restores a version", "ani's reading key", "POST", "/job/mine/version/1/restore", ""),
		lacks("a key that reads jobs runs one", "ani's reading key", "POST", "/job/mine/run", ""),
		lacks("a key that reads jobs reads runs", "ani's reading key", "GET", "/run", ""),
		lacks("a key that reads jobs reads a job's runs", "ani's reading key", "GET", "/job/mine/run", ""),
		lacks("a key for runs reads jobs", "ani's run key", "GET", "/job", ""),
		lacks("a key for runs reads a job", "ani's run key", "GET", "/job/mine", ""),
		lacks("a key for runs pauses a job", "ani's run key", "POST", "/job/mine/pause", ""),
		lacks("a superuser's reading key changes another's job", "root's reading key", "PATCH", "/job/"+mine, `{"description":"x"}`),
		lacks("a superuser's reading key runs another's job", "root's reading key", "POST", "/job/"+mine+"/run", ""),
		lacks("a superuser's reading key reads the audit log", "root's reading key", "GET", "/audit", ""),
		lacks("a superuser's reading key reads what is measured", "root's reading key", "GET", "/metrics", ""),
		lacks("a scope in a header", "ani's reading key", "POST", "/job", newJobBody).withHeader("X-Scopes", "job:write"),
		lacks("a scope in Idempotency-Key", "ani's reading key", "POST", "/job", newJobBody).withHeader("Idempotency-Key", "job:write"),
	)

	dead := func(t *testing.T, c *session) {
		t.Helper()
		for _, target := range []string{"/user/me", "/job", "/user"} {
			if r := c.as(t).do("GET", target, ""); r.status != 401 || r.code != "invalid_token" {
				t.Errorf("got %s", r.body)
			}
		}
	}
	anew := func(s *server, name string, superuser bool, scopes ...jadwal.Scope) (owner, k *session, id string) {
		owner = s.asUser(name, superuser)
		made := owner.newKey(scopes...)
		return owner, &session{s: s, access: made.text("key")}, made.text("id")
	}
	g.holds("a deleted key is dead", func(t *testing.T, s *server) {
		owner, k, id := anew(s, "deletes", false, jadwal.ScopeReadJob)
		owner.do("DELETE", "/key/"+id, "")
		dead(t, k)
	})
	g.holds("a key that a superuser deletes is dead", func(t *testing.T, s *server) {
		_, k, id := anew(s, "loses", false, jadwal.ScopeReadJob)
		root.as(t).do("DELETE", "/key/"+id, "")
		dead(t, k)
	})
	g.holds("a disabled owner's keys are dead", func(t *testing.T, s *server) {
		owner, k, _ := anew(s, "off", false, jadwal.ScopeReadJob)
		root.as(t).do("POST", "/user/"+owner.id()+"/disable", "")
		dead(t, k)
	})
	g.holds("a deleted owner's keys are dead, and those of nobody who comes after", func(t *testing.T, s *server) {
		owner, k, _ := anew(s, "gone", false, jadwal.ScopeReadJob)
		root.as(t).do("DELETE", "/user/"+owner.id(), "")
		s.asUser("gone", false)
		dead(t, k)
	})
	g.holds("a demoted owner's keys do what a user may", func(t *testing.T, s *server) {
		owner, k, _ := anew(s, "was", true, jadwal.Scopes...)
		if r := k.do("GET", "/user", ""); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
		root.as(t).do("PATCH", "/user/"+owner.id(), `{"is_superuser":false}`)
		for _, target := range []string{"/user", "/audit", "/metrics"} {
			if r := k.do("GET", target, ""); r.status != 403 || r.code != "forbidden" {
				t.Errorf("got %s", r.body)
			}
		}
		if r := k.do("GET", "/job/"+mine, ""); r.status != 404 {
			t.Errorf("got %s", r.body)
		}
	})
	g.holds("a promoted owner's keys have no scope more", func(t *testing.T, s *server) {
		owner, k, _ := anew(s, "becomes", false, jadwal.ScopeReadJob)
		root.as(t).do("PATCH", "/user/"+owner.id(), `{"is_superuser":true}`)
		if r := k.do("GET", "/user", ""); r.status != 403 || r.code != "insufficient_scope" {
			t.Errorf("got %s", r.body)
		}
	})
	g.holds("a key of a viewer with all scopes is a viewer's", func(t *testing.T, s *server) {
		viewer, k, _ := anew(s, "viewer", false, jadwal.Scopes...)
		ani.as(t).grant("mine", viewer.id(), jadwal.LevelViewer)
		for _, c := range []struct{ method, path, body string }{{"PATCH", "", `{"description":"x"}`}, {"DELETE", "", ""}, {"POST", "/pause", ""}, {"POST", "/run", ""}} {
			if r := k.do(c.method, "/job/"+mine+c.path, c.body); r.status != 403 || r.code != "forbidden" {
				t.Errorf("%s %s: got %s", c.method, c.path, r.body)
			}
		}
	})
	g.holds("an answer that is kept under an Idempotency-Key is no other user's", func(t *testing.T, s *server) {
		_, k, _ := anew(s, "first", false, jadwal.ScopeWriteJob)
		_, l, _ := anew(s, "second", false, jadwal.ScopeWriteJob)
		a := k.do("POST", "/job", newJobBody, "Idempotency-Key", "the same")
		b := l.do("POST", "/job", newJobBody, "Idempotency-Key", "the same")
		if a.status != 201 || b.status != 201 || a.text("id") == b.text("id") || b.header.Get("Idempotent-Replayed") != "" {
			t.Errorf("got %s, then %s", a.body, b.body)
		}
	})
	g.holds("what a key may not do is not told to it from what was answered before", func(t *testing.T, s *server) {
		owner, k, _ := anew(s, "replays", false, jadwal.ScopeReadJob)
		if r := owner.do("POST", "/job", newJobBody, "Idempotency-Key", "kept"); r.status != 201 {
			t.Fatalf("got %s", r.body)
		}
		if r := k.do("POST", "/job", newJobBody, "Idempotency-Key", "kept"); r.status != 403 || r.code != "insufficient_scope" {
			t.Errorf("got %s", r.body)
		}
	})
	g.holds("a key that is deleted while the body is on its way writes nothing", func(t *testing.T, s *server) {
		owner, k, id := anew(s, "late", false, jadwal.ScopeWriteJob)
		if status := k.held("POST", "/job", newJobBody, func() { owner.do("DELETE", "/key/"+id, "") }); status != 401 {
			t.Errorf("got %d", status)
		}
		if r := owner.do("GET", "/job", ""); len(idsOf(r)) != 0 {
			t.Errorf("got %s", r.body)
		}
	})
	g.holds("of 60 keys made at once a user has 50", func(t *testing.T, s *server) {
		owner := s.asUser("greedy", false)
		var fns []func()
		for i := range 60 {
			fns = append(fns, func() {
				if r := owner.do("POST", "/key", fmt.Sprintf(`{"name":"k%d","scopes":["job:read"]}`, i)); r.status != 201 && (r.status != 409 || r.code != "conflict") {
					t.Errorf("got %s", r.body)
				}
			})
		}
		atOnce(fns...)
		if r := owner.do("GET", "/key", ""); len(idsOf(r)) != jadwal.MaxKeys {
			t.Errorf("there are %d", len(idsOf(r)))
		}
	})
	g.holds("a key that has expired is dead", func(t *testing.T, s *server) {
		_, k, _ := anew(s, "expires", false, jadwal.ScopeReadJob)
		s.pass(90 * 24 * time.Hour)
		dead(t, k)
	})
}

// withHeader is an attack with one more header field.
func (a attack) withHeader(name, value string) attack {
	a.header = append(a.header, name, value)
	return a
}
