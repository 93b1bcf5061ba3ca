package api

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/teknohole/jadwal"
)

var anyParam = regexp.MustCompile(`\{[a-z]+\}`)

// attackMembers is about members that nobody may set, in every body that there
// is: each is unknown, or not as the server has set it.
func attackMembers(g *siege) {
	ani, _ := g.person("ani", false), g.person("root", true)
	ani.createJob("mine")
	const user = `"username":"x","password":"x-password","email":"x@example.com"`
	for _, c := range []struct {
		as, method, target, good string
		members                  []string
	}{
		{"root", "POST", "/user", user, []string{"created_at", "updated_at", "disabled_at", "password_hash", "hash", "bootstrap", "is_admin", "is_staff", "isSuperuser", "IS_SUPERUSER", "role", "roles", "scopes", "sessions", "owner_id", "__proto__", "constructor"}},
		{"ani", "PATCH", "/user/me", `"username":"anita"`, []string{"id", "user_id", "password", "password_hash", "new_password", "created_at", "updated_at", "disabled_at", "bootstrap", "is_admin", "Is_Superuser", "is_superuser ", "is-superuser", "superuser", "role", "scopes", "version", "sub", "$set"}},
		{"root", "PATCH", "/user/2", `"username":"anita"`, []string{"id", "password", "password_hash", "created_at", "updated_at", "bootstrap", "role"}},
		{"ani", "POST", "/key", `"name":"x","scopes":["job:read"]`, []string{"id", "user_id", "owner_id", "hash", "key", "secret", "created_at", "last_used_at", "is_superuser"}},
		{"ani", "POST", "/job", `"name":"x",` + hook, []string{"state", "pause", "next_at", "last_run", "created_at", "updated_at", "shard", "egress_limited", "anchor_at", "deleted_at", "owner", "user_id", "grants", "is_superuser"}},
		{"ani", "PATCH", "/job/mine", `"description":"x"`, []string{"owner", "id", "owner_id", "version", "state", "pause", "next_at", "last_run", "created_at", "updated_at", "egress_limited", "deleted_at"}},
		{"ani", "PUT", "/job/mine", hook, []string{"egress_limited", "id", "owner_id", "version", "state", "created_at", "due_since", "next_at", "last_run"}},
		{"ani", "POST", "/job/mine/clone", `"name":"x"`, []string{"owner_id", "owner", "version", "id", "egress_limited"}},
		{"ani", "POST", "/job/mine/pause", `"reason":"x"`, []string{"by", "state", "owner_id"}},
		{"ani", "PUT", "/job/mine/grant/1", `"level":"viewer"`, []string{"user_id", "job_id", "granted_by", "created_at", "owner"}},
		{"ani", "POST", "/job/mine/owner", `"owner":1`, []string{"owner_id", "egress_limited", "keep_grant", "version"}},
		{"ani", "POST", "/user/me/password", `"current_password":"` + userPassword + `","new_password":"another one"`, []string{"user_id", "username", "keep_sessions", "id"}},
		{"", "POST", "/user/password/reset", `"code":"x","new_password":"another one"`, []string{"user_id", "username", "id"}},
		{"", "POST", "/login", `"identifier":"ani","password":"` + userPassword + `"`, []string{"user_id", "is_superuser", "scope", "exp", "grant_type"}},
		{"ani", "POST", "/logout", `"refresh_token":"` + ani.refresh + `"`, []string{"all", "user_id"}},
		{"", "POST", "/refresh/token", `"refresh_token":"` + ani.refresh + `"`, []string{"sub", "exp", "scope", "access_token"}},
	} {
		var all []attack
		for i, member := range c.members {
			value := []string{`1`, `true`, `"2020-01-01T00:00:00.000000Z"`, `{}`, `null`}[i%5]
			body := fmt.Sprintf(`{%s,%q:%s}`, c.good, member, value)
			if i%2 == 1 {
				body = fmt.Sprintf(`{%q:%s,%s}`, member, value, c.good)
			}
			all = append(all, attack{rule: member + " for " + c.method + " " + c.target, as: c.as, method: c.method, target: c.target, body: body,
				status: 400, code: "validation_failed", field: member})
		}
		g.refused(all...)
	}
	var all []attack
	for _, r := range routes() {
		if r.input.body < 0 {
			continue
		}
		target := strings.NewReplacer("/key/{id}", "/key/"+jadwal.FormatKeyID(1), "/run/{id}", "/run/"+(jadwal.RunKey{DueAt: 1, JobID: 1}).ID(), "{id}", "4711", "{job}", "mine").Replace(r.pattern)
		target = anyParam.ReplaceAllString(target, "1")
		all = append(all, attack{rule: "a member that nothing has for " + r.method + " " + r.pattern, as: "root", method: r.method, target: target, body: `{"granted_by":1}`, status: 400, code: "validation_failed", field: "granted_by"})
	}
	g.refused(all...)
	g.refused(
		attack{rule: "a superuser's flag with an escaped letter in its name", as: "ani", method: "PATCH", target: "/user/me", body: `{"is_superus\u0065r":true}`, status: 403, code: "forbidden"},
		attack{rule: "a superuser's flag twice, the harmless one first", as: "ani", method: "PATCH", target: "/user/me", body: `{"is_superuser":false,"is_superuser":true}`, status: 400, code: "validation_failed", field: "is_superuser"},
		attack{rule: "a superuser's flag twice, the harmless one last", as: "ani", method: "PATCH", target: "/user/me", body: `{"is_superuser":true,"is_superuser":false}`, status: 400, code: "validation_failed", field: "is_superuser"},
		attack{rule: "a superuser's flag twice, one with an escaped letter", as: "ani", method: "PATCH", target: "/user/me", body: `{"is_superuser":false,"is_superu\u0073er":true}`, status: 400, code: "validation_failed", field: "is_superuser"},
		attack{rule: "a superuser's flag beside a name that is good", as: "ani", method: "PATCH", target: "/user/me", body: `{"username":"anita","email":"anita@example.com","is_superuser":true}`, status: 403, code: "forbidden"},
		attack{rule: "a superuser's flag in an object", as: "ani", method: "PATCH", target: "/user/me", body: `{"is_superuser":{"$ne":false}}`, status: 400, code: "validation_failed", field: "is_superuser"},
		attack{rule: "a patch in the way of RFC 6902", as: "ani", method: "PATCH", target: "/user/me", body: `[{"op":"replace","path":"/is_superuser","value":true}]`, status: 400, code: "malformed"},
		attack{rule: "a patch of the type of RFC 6902", as: "ani", method: "PATCH", target: "/user/me", body: `[{"op":"replace","path":"/is_superuser","value":true}]`, header: []string{"Content-Type", "application/json-patch+json"}, status: 415, code: "unsupported_media_type"},
		attack{rule: "members in the query of an endpoint of the contract", as: "ani", method: "PATCH", target: "/user/me?is_superuser=true", body: `{"is_superuser":true}`, status: 403, code: "forbidden"},
		attack{rule: "members in the query", as: "ani", method: "POST", target: "/job?owner_id=1", body: newJobBody, status: 400, code: "validation_failed", field: "owner_id"},
	)
}

// attackPrivilege is about things that are others', rights that are not there,
// and those that go while they are used.
func attackPrivilege(g *siege) {
	ani, root := g.person("ani", false), g.person("root", true)
	g.person("budi", false)
	theirs := root.createJob("theirs")
	for i := range 5 { // an id that is nothing else's
		root.createJob(fmt.Sprintf("more%d", i))
	}
	job := ani.createJob("mine")
	run, waits := aRun(g.t, ani), aWaitingRun(g.t, ani)
	key, signIn := ani.newKey(jadwal.ScopeReadJob), ani.do("GET", "/session", "").text("0.id")

	signature := ani.do("POST", "/signature-key", `{}`).text("id")
	secret := ani.do("POST", "/secret", `{"name":"token","value":"the value of it","origins":["https://example.com"]}`).text("id")
	g.secrets = append(g.secrets, "the value of it")

	// What is somebody else's is answered as what is not there is: nobody finds
	// out which ids there are.
	noRun := (jadwal.RunKey{DueAt: 1, JobID: 1}).ID()
	bodies := map[string]string{
		"patchJob": `{"description":"x"}`, "putJob": `{` + hook + `}`, "cloneJob": `{"name":"copy"}`, "putGrant": `{"level":"editor"}`, "setOwner": `{"owner":3}`,
		"patchUser": `{"is_superuser":true}`, "patchSecret": `{"value":"another"}`,
	}
	cut := func(r *response, id string) string {
		return strings.NewReplacer(`"`+id+`"`, "", "/"+id, "/", " "+id+" ", " ").Replace(cutTimestamp(r.body))
	}
	for _, r := range routes() {
		var mine, none string
		switch {
		case strings.Contains(r.pattern, "{job}"):
			mine, none = job, "4711"
		case strings.HasPrefix(r.pattern, "/user/{id}"):
			mine, none = "2", "4711"
		case r.pattern == "/key/{id}":
			mine, none = key.text("id"), jadwal.FormatKeyID(4711)
		case r.pattern == "/session/{id}":
			mine, none = signIn, "4711"
		case r.pattern == "/signature-key/{id}":
			mine, none = signature, jadwal.FormatKeyID(4711)
		case r.pattern == "/secret/{secret}":
			mine, none = secret, "4711"
		case strings.HasPrefix(r.pattern, "/run/{id}"):
			mine, none = run, noRun
			if strings.HasSuffix(r.pattern, "/cancel") {
				mine = waits
			}
		default:
			continue
		}
		target := func(id string) string {
			text := strings.NewReplacer("{job}", id, "{id}", id, "{secret}", id, "{n}", "1", "{user}", "3").Replace(r.pattern)
			if r.doc.id == "whyInstant" {
				text += "?at=2026-11-23T00:00:00Z"
			}
			return text
		}
		g.holds(r.method+" "+r.pattern+" of somebody else's is answered as of nothing", func(t *testing.T, s *server) {
			before := s.digest()
			budi := g.people["budi"].as(t)
			a, b := budi.do(r.method, target(mine), bodies[r.doc.id]), budi.do(r.method, target(none), bodies[r.doc.id])
			if a.status != 404 && a.status != 403 || a.status == 404 != (r.action != jadwal.ActionReadUser && r.action != jadwal.ActionEditUser && r.action != jadwal.ActionDeleteUser) {
				t.Errorf("got %s", a.body)
			}
			if cut(a, mine) != cut(b, none) {
				t.Errorf("got\n%s\n%s", a.body, b.body)
			}
			if s.digest() != before {
				t.Error("the database has changed")
			}
		})
	}

	var all []attack
	for _, header := range [][]string{
		{"X-HTTP-Method-Override", "DELETE"}, {"X-Method-Override", "DELETE"}, {"X-Original-URL", "/user/me"}, {"X-Rewrite-URL", "/user/me"}, {"X-User-Id", "1"}, {"X-Forwarded-User", "admin"},
		{"X-Remote-User", "admin"}, {"X-Superuser", "true"}, {"Impersonate-User", "admin"}, {"X-Forwarded-For", "127.0.0.1"}, {"X-Real-IP", "127.0.0.1"}, {"Origin", "null"}, {"Cookie", "is_superuser=true"},
	} {
		all = append(all, attack{rule: "a user with " + header[0] + " is a user", as: "budi", method: "GET", target: "/user", header: header, status: 403, code: "forbidden"},
			attack{rule: "nobody with " + header[0] + " is nobody", method: "GET", target: "/user", header: header, status: 401, code: "unauthenticated"})
	}
	all = append(all,
		attack{rule: "a user gives another a job that is a superuser's", as: "budi", method: "POST", target: "/job/" + theirs + "/owner", body: `{"owner":3}`, status: 404, code: "not_found"},
		attack{rule: "the name of another's job is no name of one's own", as: "budi", method: "GET", target: "/job/mine", status: 404, code: "not_found"},
		attack{rule: "others' jobs by owner are none", as: "budi", method: "GET", target: "/run?job=" + job, status: 404, code: "not_found"},
		attack{rule: "a superuser deletes themselves", as: "root", method: "DELETE", target: "/user/" + root.id(), status: 403, code: "own_account"},
		attack{rule: "a superuser disables themselves", as: "root", method: "POST", target: "/user/" + root.id() + "/disable", status: 403, code: "own_account"},
		attack{rule: "a superuser resets their own password", as: "root", method: "POST", target: "/user/" + root.id() + "/password/reset", status: 403, code: "own_account"},
	)
	g.refused(all...)

	for _, c := range []struct {
		rule   string
		super  bool
		method string
		target string
		body   string
		take   func(s *server, c *session)
		want   int
	}{
		{"a demotion", true, "POST", "/user", `{"username":"late","password":"late-password","email":"late@example.com","is_superuser":true}`,
			func(s *server, c *session) { root.as(s.t).do("PATCH", "/user/"+c.id(), `{"is_superuser":false}`) }, 403},
		{"being disabled", false, "POST", "/job", newJobBody, func(s *server, c *session) { root.as(s.t).do("POST", "/user/"+c.id()+"/disable", "") }, 401},
		{"being deleted", false, "POST", "/job", newJobBody, func(s *server, c *session) { root.as(s.t).do("DELETE", "/user/"+c.id(), "") }, 401},
		{"a logout", false, "PATCH", "/user/me", `{"username":"late"}`, func(_ *server, c *session) { c.do("POST", "/logout", `{"refresh_token":"`+c.refresh+`"}`) }, 401},
		{"the end of the session", false, "POST", "/key", `{"name":"late","scopes":["job:read"]}`, func(_ *server, c *session) { c.do("DELETE", "/session/"+c.do("GET", "/session", "").text("0.id"), "") }, 401},
		{"a grant that is taken away", false, "PATCH", "/job/" + job, `{"description":"late"}`, func(s *server, c *session) { ani.as(s.t).do("DELETE", "/job/mine/grant/"+c.id(), "") }, 404},
		{"a grant that is made less", false, "PATCH", "/job/" + job, `{"description":"late"}`, func(s *server, c *session) { ani.as(s.t).grant("mine", c.id(), jadwal.LevelViewer) }, 403},
	} {
		g.holds(c.rule+" while the body is on its way leaves nothing to be written", func(t *testing.T, s *server) {
			who := s.asUser(strings.ReplaceAll(c.rule, " ", "-"), c.super)
			ani.as(t).grant("mine", who.id(), jadwal.LevelEditor)
			var before string
			status := who.held(c.method, c.target, c.body, func() {
				c.take(s, who)
				before = s.digest()
			})
			if status != c.want {
				t.Errorf("got %d, want %d", status, c.want)
			}
			if s.digest() != before {
				t.Error("something was written")
			}
		})
	}

	left := func(t *testing.T, s *server) string {
		t.Helper()
		return strings.TrimSpace(s.column("SELECT count(*) FROM account WHERE is_superuser = 1 AND disabled_at IS NULL"))
	}
	for what, do := range map[string]func(by, other *session, id string) *response{
		"demotes another": func(by, _ *session, id string) *response {
			return by.do("PATCH", "/user/"+id, `{"is_superuser":false}`)
		},
		"disables another":  func(by, _ *session, id string) *response { return by.do("POST", "/user/"+id+"/disable", "") },
		"deletes another":   func(by, _ *session, id string) *response { return by.do("DELETE", "/user/"+id, "") },
		"steps down itself": func(by, _ *session, _ string) *response { return by.do("PATCH", "/user/me", `{"is_superuser":false}`) },
	} {
		g.holds("of five superusers at once each "+what+": one stays, whoever it is", func(t *testing.T, s *server) {
			s.execute("UPDATE account SET is_superuser = 0")
			five, ids := make([]*session, 5), make([]string, 5)
			for i := range five {
				five[i] = s.asUser(strings.ReplaceAll(what, " ", "-")+fmt.Sprint(i), true)
				ids[i] = five[i].id()
			}
			eventually(t, func() (*response, bool) { // what another process wrote is heard of
				r := root.as(t).do("GET", "/user", "")
				return r, r.status == 403
			})
			var all []func()
			for i, by := range five {
				for j := range five {
					if j != i && (what != "steps down itself" || j == (i+1)%5) {
						all = append(all, func() {
							if r := do(by, five[j], ids[j]); r.status != 200 && r.status != 401 && r.status != 403 && r.status != 404 {
								t.Errorf("got %s", r.body)
							}
						})
					}
				}
			}
			atOnce(all...)
			if n := left(t, s); n == "0" || what == "steps down itself" && n != "1" {
				t.Errorf("%s are left", n)
			}
		})
	}
}
