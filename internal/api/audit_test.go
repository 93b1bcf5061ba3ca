package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

// actionsOf are the actions of a page of the audit log.
func actionsOf(r *response) (actions []string) {
	list, _ := r.data.([]any)
	for i := range list {
		actions = append(actions, r.text(fmt.Sprintf("%d.action", i)))
	}
	return actions
}

func TestAudit(t *testing.T) {
	s := newServer(t, trusting("127.0.0.1/32"))
	s.stop()
	admin := s.login("admin", adminPassword)
	s.addUser("ani", userPassword, "ani@example.com", false, false)
	s.pass(time.Second)
	ani := s.login("ani", userPassword)
	s.pass(time.Second)
	key := &session{s: s, access: ani.newKey(jadwal.ScopeWriteJob).text("key")}
	s.pass(time.Second)
	r := key.do("POST", "/job", `{"name":"report","target":{"url":"https://example.com/a","headers":{"Authorization":"Bearer hunter2","X-Plain":"1"}}}`,
		"X-Forwarded-For", "192.0.2.9")
	if r.status != 201 {
		t.Fatalf("got %s", r.body)
	}
	job := r.text("id")
	s.pass(time.Second)
	edited := ani.do("PATCH", "/job/"+job, `{"timeout":"10s","tags":["a"],"description":"`+strings.Repeat("long ", 300)+`",
		"target":{"headers":{"Authorization":"Bearer hunter3","X-Plain":"2"}}}`)
	if edited.status != 200 {
		t.Fatalf("got %s", edited.body)
	}
	s.pass(time.Second)
	admin.do("PATCH", "/user/"+ani.id(), `{"email":"anita@example.com"}`)

	t.Run("a line tells who, what, when, from where and by which means", func(t *testing.T) {
		r := admin.do("GET", "/audit?action=job.create", "")
		if r.status != 200 || len(actionsOf(r)) != 1 || r.text("0.actor") != "ani" || r.text("0.actor_id") != ani.id() || r.text("0.object") != "job/"+job ||
			r.text("0.source") != "192.0.2.9" || r.text("0.request_id") == "" || r.text("0.means") != "key/"+ani.do("GET", "/key", "").text("0.id") {
			t.Errorf("got %s", r.body)
		}
		r = admin.do("GET", "/audit?action=job.edit", "")
		if r.text("0.means") != "session/"+ani.do("GET", "/session", "").text("0.id") {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("and what is not as before, without secrets and without what is long", func(t *testing.T) {
		r := admin.do("GET", "/audit?action=job.edit&object=job/"+job, "")
		got := map[string]string{}
		for _, c := range r.member("0.detail.changes").([]any) {
			c := c.(map[string]any)
			got[fmt.Sprint(c["field"])] = fmt.Sprint(c["from"], " ", c["to"], " ", c["secret"], " ", c["long"])
		}
		for field, want := range map[string]string{
			"timeout": "30s 10s <nil> <nil>", "tags": "[] [a] <nil> <nil>", "description": "<nil> <nil> <nil> true",
			"target.headers.Authorization": "<nil> <nil> true <nil>", "target.headers.X-Plain": "1 2 <nil> <nil>",
		} {
			if got[field] != want {
				t.Errorf("%s: got %q, want %q", field, got[field], want)
			}
		}
		if len(got) != 5 {
			t.Errorf("got %v", got)
		}
		if r := admin.do("GET", "/audit?action=user.update", ""); r.text("0.detail.changes.0.field") != "email" || r.text("0.detail.changes.0.from") != "ani@example.com" || r.text("0.detail.changes.0.to") != "anita@example.com" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("nothing of it is a secret", func(t *testing.T) {
		code := admin.do("POST", "/user/"+ani.id()+"/password/reset", "").text("code")
		ani.do("POST", "/user/me/password", `{"current_password":"`+userPassword+`","new_password":"correct horse"}`)
		all := string(admin.do("GET", "/audit?limit=500", "").body)
		for _, secret := range []string{"hunter", userPassword, adminPassword, "correct horse", "argon2", key.access[15:], code[15:], ani.access, ani.refresh} {
			if code == "" || strings.Contains(all, secret) {
				t.Errorf("%s is in it", secret)
			}
		}
	})
	all := admin.do("GET", "/audit?limit=500", "")
	t.Run("it is in the order of time, newest first, and in pages the same", func(t *testing.T) {
		var paged []string
		for target := "/audit?limit=2"; ; {
			r := admin.do("GET", target, "")
			paged = append(paged, idsOf(r)...)
			link := r.header.Get("Link")
			if link == "" {
				break
			}
			target = link[1:strings.Index(link, ">")]
		}
		if !slices.Equal(paged, idsOf(all)) || len(paged) < 9 {
			t.Errorf("got %v, want %v", paged, idsOf(all))
		}
		for i := range len(paged) - 1 {
			if all.text(fmt.Sprintf("%d.at", i)) < all.text(fmt.Sprintf("%d.at", i+1)) {
				t.Errorf("line %d is older than the one after it", i)
			}
		}
	})
	t.Run("each filter takes out what it says, and together what all say", func(t *testing.T) {
		from, to := all.text("3.at"), all.text("1.at")
		for query, keep := range map[string]func(i int) bool{
			"actor=" + ani.id():                        func(i int) bool { return all.text(fmt.Sprintf("%d.actor_id", i)) == ani.id() },
			"actor=0":                                  func(i int) bool { return all.member(fmt.Sprintf("%d.actor_id", i)) == nil },
			"actor=999":                                func(i int) bool { return false },
			"action=session.start":                     func(i int) bool { return all.text(fmt.Sprintf("%d.action", i)) == "session.start" },
			"object=job/" + job:                        func(i int) bool { return all.text(fmt.Sprintf("%d.object", i)) == "job/"+job },
			"object=job/" + job + "&actor=1":           func(i int) bool { return false },
			"object=job/" + job + "&actor=" + ani.id(): func(i int) bool { return all.text(fmt.Sprintf("%d.object", i)) == "job/"+job },
			"from=" + from:                             func(i int) bool { return all.text(fmt.Sprintf("%d.at", i)) >= from },
			"to=" + to:                                 func(i int) bool { return all.text(fmt.Sprintf("%d.at", i)) < to },
			"from=" + from + "&to=" + to:               func(i int) bool { at := all.text(fmt.Sprintf("%d.at", i)); return at >= from && at < to },
			"action=session.start&actor=1&from=2020-01-01T00:00:00Z": func(i int) bool {
				return all.text(fmt.Sprintf("%d.action", i)) == "session.start" && all.text(fmt.Sprintf("%d.actor_id", i)) == "1"
			},
		} {
			var want []string
			for i, id := range idsOf(all) {
				if keep(i) {
					want = append(want, id)
				}
			}
			if r := admin.do("GET", "/audit?limit=500&"+query, ""); r.status != 200 || !slices.Equal(idsOf(r), want) {
				t.Errorf("%s: got %v, want %v", query, idsOf(r), want)
			}
		}
	})
	t.Run("an action that there is not is refused, with the one that was probably meant", func(t *testing.T) {
		for action, says := range map[string]string{
			"jobs.edit": `did you mean "job.edit"?`, "Job.Edit": `did you mean "job.edit"?`, "job.vanish": "there are session.start", "": "there are session.start",
		} {
			if r := admin.do("GET", "/audit?action="+action, ""); r.status != 400 || r.text("errors.0.field") != "action" || !strings.Contains(r.message, says) {
				t.Errorf("%s: got %s", action, r.body)
			}
		}
	})
	t.Run("actions and objects with a hyphen can be asked for", func(t *testing.T) {
		made := ani.do("POST", "/signature-key", `{}`)
		r := admin.do("GET", "/audit?action=signature-key.create&object=signature-key/"+made.text("id"), "")
		if r.status != 200 || len(actionsOf(r)) != 1 {
			t.Errorf("got %s: %s", made.body, r.body)
		}
	})
	t.Run("what is refused leaves no line", func(t *testing.T) {
		before := len(idsOf(admin.do("GET", "/audit?limit=500", "")))
		ani.do("DELETE", "/job/999", "")
		ani.do("POST", "/user", newUserBody)
		admin.do("DELETE", "/user/1", "")
		admin.do("POST", "/user/1/disable", "")
		if after := len(idsOf(admin.do("GET", "/audit?limit=500", ""))); after != before {
			t.Errorf("%d lines, then %d", before, after)
		}
	})
}
