package api

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/teknohole/jadwal"
)

// attackGrants is about users who were let into a job and want more of it.
func attackGrants(g *siege) {
	ani, root := g.person("ani", false), g.person("root", true)
	job := ani.createJob("mine")
	run := aRun(g.t, ani)
	g.person("nobody", false)
	ids := map[string]string{"ani": ani.id(), "root": root.id(), "nobody": g.people["nobody"].id()}
	for _, level := range jadwal.Levels {
		name := string(level)
		ids[name] = g.person(name, false).id()
		ani.grant(job, ids[name], level)
		ani.grant(jobOf(g.t, run), ids[name], level)
	}
	target := "/job/" + job
	var all []attack
	for _, who := range []string{"viewer", "operator", "editor"} {
		no := func(rule, method, target, body string) {
			all = append(all, attack{rule: rule + " as " + who, as: who, method: method, target: target, body: body, status: 403, code: "forbidden"})
		}
		no("a higher level for oneself", "PUT", target+"/grant/"+ids[who], `{"level":"editor"}`)
		no("a lower level for oneself", "PUT", target+"/grant/"+ids[who], `{"level":"viewer"}`)
		no("a level for a friend", "PUT", target+"/grant/"+ids["nobody"], `{"level":"viewer"}`)
		no("a level for the owner", "PUT", target+"/grant/"+ids["ani"], `{"level":"viewer"}`)
		no("a level for somebody who is not there", "PUT", target+"/grant/4711", `{"level":"viewer"}`)
		no("the end of another's grant", "DELETE", target+"/grant/"+ids["root"], "")
		no("the list of grants", "GET", target+"/grant", "")
		no("the job for oneself", "POST", target+"/owner", `{"owner":`+ids[who]+`}`)
		no("the job for a friend", "POST", target+"/owner", `{"owner":`+ids["nobody"]+`}`)
		no("a copy of the job", "POST", target+"/clone", `{"name":"copy"}`)
		if who == "editor" {
			continue
		}
		no("a change of the job", "PATCH", target, `{"description":"x"}`)
		no("a change of where the job's secrets go", "PATCH", target, `{"target":{"url":"https://evil.example/"}}`)
		no("another job in its place", "PUT", target, `{`+hook+`}`)
		no("its deletion", "DELETE", target, "")
		no("an older version", "POST", target+"/version/1/restore", "")
		if who == "operator" {
			continue
		}
		no("a pause", "POST", target+"/pause", "")
		no("a resume", "POST", target+"/resume", "")
		no("a run", "POST", target+"/run", "")
		no("a run again", "POST", "/run/"+run+"/retry", "")
		no("the end of a run", "POST", "/run/"+run+"/cancel", "")
	}
	for level, text := range map[string]string{
		"owner": `"owner"`, "superuser": `"superuser"`, "editor in capitals": `"EDITOR"`, "editor with a space": `"editor "`, "two levels": `"viewer,editor"`, "a list of levels": `["editor"]`, "a number": `3`,
		"editor with a Cyrillic letter": `"\u0435ditor"`, "all": `"*"`, "an object": `{"level":"editor"}`,
	} {
		all = append(all, attack{rule: "a level that there is not: " + level, as: "ani", method: "PUT", target: target + "/grant/" + ids["nobody"], body: `{"level":` + text + `}`, status: 400, code: "validation_failed", field: "level"})
	}
	all = append(all,
		attack{rule: "a grant for oneself as nobody", as: "nobody", method: "PUT", target: target + "/grant/" + ids["nobody"], body: `{"level":"editor"}`, status: 404, code: "not_found"},
		attack{rule: "a grant for the owner as the owner", as: "ani", method: "PUT", target: target + "/grant/" + ids["ani"], body: `{"level":"editor"}`, status: 400, code: "validation_failed", field: "user"},
		attack{rule: "a user's id in another spelling", as: "ani", method: "PUT", target: target + "/grant/0" + ids["nobody"], body: `{"level":"editor"}`, status: 400, code: "validation_failed", field: "user"},
		attack{rule: "a user by name", as: "ani", method: "PUT", target: target + "/grant/nobody", body: `{"level":"editor"}`, status: 400, code: "validation_failed", field: "user"},
		attack{rule: "another's job by its name, with a grant", as: "editor", method: "GET", target: "/job/mine", status: 404, code: "not_found"},
		attack{rule: "the job for somebody who is not there", as: "ani", method: "POST", target: target + "/owner", body: `{"owner":4711}`, status: 400, code: "validation_failed", field: "owner"},
	)
	g.refused(all...)

	g.holds("a secret header is not told to an editor, and does not follow to another origin", func(t *testing.T, s *server) {
		const secret = "the secret of the header"
		r := ani.as(t).do("POST", "/job", `{"name":"secret","target":{"url":"https://example.com/a","headers":{"Authorization":"`+secret+`"}}}`)
		if r.status != 201 {
			t.Fatalf("got %s", r.body)
		}
		id := r.text("id")
		ani.as(t).grant(id, ids["editor"], jadwal.LevelEditor)
		editor := g.people["editor"].as(t)
		for _, path := range []string{"", "/version", "/version/1"} {
			if r := editor.do("GET", "/job/"+id+path, ""); r.status != 200 || strings.Contains(string(r.body), secret) {
				t.Errorf("got %s", r.body)
			}
		}
		for _, headers := range []string{"", `,"headers":{"authorization":null}`, `,"headers":{"AUTHORIZATION":null},"secret_headers":["Authorization"]`, `,"headers":{"authorization":""}`} {
			before := s.digest()
			r = editor.do("PATCH", "/job/"+id, `{"target":{"url":"https://evil.example/a"`+headers+`}}`)
			if r.status == 200 {
				n, err := strconv.ParseInt(id, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				job, err := s.store.Job(t.Context(), n)
				if stored := fmt.Sprint(job.Definition.Target); err != nil || strings.Contains(stored, secret) {
					t.Errorf("the secret goes to another origin: %s, %v", stored, err)
				}
				ani.as(t).do("POST", "/job/"+id+"/version/1/restore", "")
			} else if r.status != 400 || s.digest() != before {
				t.Errorf("got %s", r.body)
			}
		}
	})
	for _, level := range jadwal.Levels {
		g.holds("when the grant of a "+string(level)+" is taken away the job is not there", func(t *testing.T, s *server) {
			who := s.asUser("was-"+string(level), false)
			mine := ani.as(t).createJob("for-" + string(level))
			ani.as(t).grant(mine, who.id(), level)
			if r := who.do("GET", "/job/"+mine, ""); r.status != 200 {
				t.Errorf("got %s", r.body)
			}
			ani.as(t).do("DELETE", "/job/"+mine+"/grant/"+who.id(), "")
			before := s.digest()
			for _, c := range []struct{ method, path, body string }{
				{"GET", "", ""}, {"PATCH", "", `{"description":"x"}`}, {"PUT", "", `{` + hook + `}`}, {"DELETE", "", ""}, {"POST", "/pause", ""}, {"POST", "/resume", ""}, {"POST", "/run", ""},
				{"POST", "/clone", `{"name":"copy"}`}, {"GET", "/run", ""}, {"GET", "/ledger", ""}, {"GET", "/version", ""}, {"GET", "/version/1", ""}, {"GET", "/next", ""}, {"GET", "/grant", ""},
			} {
				if r := who.do(c.method, "/job/"+mine+c.path, c.body); r.status != 404 || r.code != "not_found" {
					t.Errorf("%s %s: got %s", c.method, c.path, r.body)
				}
			}
			if s.digest() != before {
				t.Error("the database has changed")
			}
		})
	}
	g.holds("who gave a job away has no more to say about it", func(t *testing.T, s *server) {
		old, heir := s.asUser("old", false), s.asUser("heir", false)
		given := old.createJob("given")
		key := &session{s: s, access: old.newKey(jadwal.Scopes...).text("key")}
		if r := old.do("POST", "/job/given/owner", `{"owner":`+heir.id()+`}`); r.status != 200 {
			t.Fatalf("got %s", r.body)
		}
		before := s.digest()
		for _, c := range []*session{old, key} {
			for _, r := range []*response{c.do("GET", "/job/"+given, ""), c.do("PATCH", "/job/"+given, `{"description":"x"}`), c.do("DELETE", "/job/"+given, ""), c.do("POST", "/job/"+given+"/run", "")} {
				if r.status != 404 {
					t.Errorf("got %s", r.body)
				}
			}
		}
		if r := old.do("POST", "/job/"+given+"/owner", `{"owner":`+old.id()+`}`); r.status != 404 {
			t.Errorf("got %s", r.body)
		}
		if s.digest() != before {
			t.Error("the database has changed")
		}
	})
	g.holds("a job that is given to two users at once is one user's", func(t *testing.T, s *server) {
		old, a, b := s.asUser("giver", false), s.asUser("heir-a", false), s.asUser("heir-b", false)
		given := old.createJob("twice")
		toA, toB := `{"owner":`+a.id()+`}`, `{"owner":`+b.id()+`}`
		var got [2]*response
		atOnce(
			func() { got[0] = old.do("POST", "/job/"+given+"/owner", toA) },
			func() { got[1] = old.do("POST", "/job/"+given+"/owner", toB) },
		)
		if got[0].status+got[1].status != 200+404 {
			t.Errorf("got %s and %s", got[0].body, got[1].body)
		}
		if x, y := a.do("GET", "/job/"+given, ""), b.do("GET", "/job/"+given, ""); x.status+y.status != 200+404 {
			t.Errorf("got %s and %s", x.body, y.body)
		}
	})
	g.holds("an editor and the end of the grant at once: nothing is written after the end is answered", func(t *testing.T, s *server) {
		mine := ani.as(t).createJob("raced")
		for range 5 {
			ani.as(t).grant(mine, ids["editor"], jadwal.LevelEditor)
			var fns []func()
			for range 4 {
				fns = append(fns, func() {
					if r := g.people["editor"].as(t).do("PATCH", "/job/"+mine, `{"description":"by the editor"}`); r.status != 200 && r.status != 404 {
						t.Errorf("got %s", r.body)
					}
				})
			}
			var version string
			fns = append(fns, func() {
				ani.as(t).do("DELETE", "/job/"+mine+"/grant/"+ids["editor"], "")
				version = s.column("SELECT version FROM job WHERE id = " + mine)
			})
			atOnce(fns...)
			if got := s.column("SELECT version FROM job WHERE id = " + mine); got != version {
				t.Errorf("it is at version %s, and was at %s", got, version)
			}
		}
	})
}
