package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/teknohole/jadwal"
)

// The roles that every route is tried by. The owner owns the job, the run and
// nothing else.
var roles = []string{"nobody", "deleted", "other", "owner", "superuser"}

// rights says with what each role comes through each route: 0 is the route's
// own success, anything else is the refusal.
var rights = map[string][5]int{ // nobody, deleted, other, owner, superuser
	"GET /":                               {0, 0, 0, 0, 0},
	"GET /openapi.json":                   {0, 0, 0, 0, 0},
	"GET /docs":                           {0, 0, 0, 0, 0},
	"GET /health/live":                    {0, 0, 0, 0, 0},
	"GET /health/ready":                   {0, 0, 0, 0, 0},
	"GET /metrics":                        {401, 401, 403, 403, 0},
	"GET /node":                           {401, 401, 403, 403, 0},
	"POST /login":                         {0, 0, 0, 0, 0},
	"POST /refresh/token":                 {0, 0, 0, 0, 0},
	"POST /logout":                        {401, 401, 0, 0, 0},
	"GET /user/me":                        {401, 401, 0, 0, 0},
	"PATCH /user/me":                      {401, 401, 0, 0, 0},
	"GET /user":                           {401, 401, 403, 403, 0},
	"POST /user":                          {401, 401, 403, 403, 0},
	"DELETE /user/{id}":                   {401, 401, 403, 403, 0},
	"GET /job":                            {401, 401, 0, 0, 0},
	"POST /job":                           {401, 401, 0, 0, 0},
	"GET /job/{job}":                      {401, 401, 404, 0, 0},
	"PATCH /job/{job}":                    {401, 401, 404, 0, 0},
	"PUT /job/{job}":                      {401, 401, 404, 0, 0},
	"DELETE /job/{job}":                   {401, 401, 404, 0, 0},
	"POST /job/{job}/clone":               {401, 401, 404, 0, 0},
	"GET /job/{job}/next":                 {401, 401, 404, 0, 0},
	"GET /job/{job}/ledger":               {401, 401, 404, 0, 0},
	"GET /job/{job}/why":                  {401, 401, 404, 0, 0},
	"GET /job/{job}/version":              {401, 401, 404, 0, 0},
	"GET /job/{job}/version/{n}":          {401, 401, 404, 0, 0},
	"POST /job/{job}/version/{n}/restore": {401, 401, 404, 0, 0},
	"POST /job/{job}/pause":               {401, 401, 404, 0, 0},
	"POST /job/{job}/resume":              {401, 401, 404, 0, 0},
	"GET /job/{job}/run":                  {401, 401, 404, 0, 0},
	"GET /run":                            {401, 401, 0, 0, 0},
	"POST /job/{job}/run":                 {401, 401, 404, 0, 0},
	"POST /run/{id}/cancel":               {401, 401, 404, 0, 0},
	"POST /run/{id}/retry":                {401, 401, 404, 0, 0},
	"GET /run/{id}/attempt":               {401, 401, 404, 0, 0},
	"GET /run/{id}":                       {401, 401, 404, 0, 0},
	"POST /schedule/preview":              {401, 401, 0, 0, 0},
}

func TestRoleByRoute(t *testing.T) {
	s := newServer(t)
	admin := s.login("admin", adminPassword)
	for _, r := range routes() {
		name := r.method + " " + r.pattern
		want, known := rights[name]
		if !known {
			t.Errorf("%s has no row in the table of rights", name)
			continue
		}
		for i, role := range roles {
			t.Run(name+" by "+role, func(t *testing.T) {
				s := s.in(t)
				unique := fmt.Sprintf("r%d%s", i, strings.ToLower(r.doc.id))
				who := &session{s: s}
				owner := s.asUser(unique+"-owner", false)
				switch role {
				case "other":
					who = s.asUser(unique+"-other", false)
				case "owner":
					who = owner
				case "superuser":
					who = s.asUser(unique+"-super", true)
				case "deleted":
					who = s.asUser(unique+"-gone", false)
					(&session{s, admin.access, ""}).do("DELETE", "/user/"+who.do("GET", "/user/me", "").text("id"), "")
				}
				target := strings.Replace(r.pattern, "{n}", "1", 1)
				switch {
				case strings.Contains(target, "{job}"):
					target = strings.Replace(target, "{job}", owner.createJob("mine"), 1)
				case target == "/user/{id}":
					target = "/user/" + s.asUser(unique+"-victim", false).do("GET", "/user/me", "").text("id")
				case target == "/run/{id}/cancel":
					target = "/run/" + aWaitingRun(t, owner) + "/cancel"
				case strings.HasPrefix(target, "/run/{id}"):
					target = strings.Replace(target, "{id}", aRun(t, owner), 1)
				}
				if r.doc.id == "whyInstant" {
					target += "?at=2026-11-23T00:00:00Z"
				}
				body := map[string]string{
					"login": `{"identifier":"admin","password":"admin123"}`, "refreshToken": `{"refresh_token":"` + admin.refresh + `"}`,
					"logout": `{"refresh_token":"` + who.refresh + `"}`, "patchMe": `{"is_superuser":false}`,
					"createUser": `{"username":"` + unique + `-new","password":"new-password","email":"` + unique + `@new"}`,
					"createJob":  `{"name":"new",` + hook + `}`, "putJob": `{` + hook + `}`, "cloneJob": `{"name":"copy"}`, "patchJob": `{"description":"x"}`, "previewSchedule": `{"schedules":[{"every":"1h"}]}`,
				}[r.doc.id]
				got := s.status(r.method, target, body, who.access)
				expected := want[i]
				if expected == 0 {
					expected = successOf(r)
				}
				if r.doc.id == "refreshToken" && role != "nobody" {
					expected = 200 // the token before the last, within its grace
				}
				if got != expected {
					t.Errorf("got %d, want %d", got, expected)
				}
			})
		}
	}
	for name := range rights {
		method, pattern, _ := strings.Cut(name, " ")
		found := false
		for _, r := range routes() {
			found = found || r.method == method && r.pattern == pattern
		}
		if !found {
			t.Errorf("%s is no route", name)
		}
	}
}

// aRun is the id of a finished run of the caller's.
func aRun(t *testing.T, c *session) string {
	t.Helper()
	r := c.do("POST", "/job", fmt.Sprintf(`{"name":"once","schedules":[{"at":%q}],%s}`, justNow(), hook))
	if r.status != 201 {
		t.Fatalf("got %s", r.body)
	}
	return eventually(t, func() (*response, bool) {
		r := c.do("GET", "/job/once", "")
		return r, r.text("last_run.id") != ""
	}).text("last_run.id")
}

// aWaitingRun is the id of a run of the caller's that waits for its next
// attempt.
func aWaitingRun(t *testing.T, c *session) string {
	t.Helper()
	r := c.do("POST", "/job", `{"name":"waits","retry":{"min_backoff":"1h"},"target":{"url":"https://example.com/fails"}}`)
	if r.status != 201 {
		t.Fatalf("got %s", r.body)
	}
	if r = c.do("POST", "/job/waits/run", ""); r.status != 201 {
		t.Fatalf("got %s", r.body)
	}
	id := r.text("id")
	eventually(t, func() (*response, bool) {
		r := c.do("GET", "/run/"+id, "")
		return r, r.text("next_attempt_at") != ""
	})
	return id
}

// A rule that forgets an action forbids it.
func TestAnActionWithoutARuleIsForbidden(t *testing.T) {
	root := jadwal.User{ID: 1, IsSuperuser: true}
	if err := jadwal.Allow(root, "no.such.action", jadwal.Object{}); jadwal.CodeOf(err) != jadwal.CodeForbidden {
		t.Errorf("got %v", err)
	}
	for _, r := range routes() {
		if err := jadwal.Allow(root, r.action, jadwal.Object{}); err != nil {
			t.Errorf("%s %s: a superuser gets %v", r.method, r.pattern, err)
		}
		err := jadwal.Allow(jadwal.User{}, r.action, jadwal.Object{})
		if (err == nil) != (r.action == jadwal.ActionPublic) {
			t.Errorf("%s %s: nobody gets %v", r.method, r.pattern, err)
		}
	}
}
