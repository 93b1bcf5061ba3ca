package api

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/teknohole/jadwal"
)

// The roles that every route is tried by. The owner owns the job, the run and
// nothing else; viewer, operator and editor have a grant for the job.
var roles = []string{"nobody", "deleted", "other", "viewer", "operator", "editor", "owner", "superuser"}

// rights says with what each role comes through each route: 0 is the route's
// own success, anything else is the refusal.
var rights = map[string][8]int{ // nobody, deleted, other, viewer, operator, editor, owner, superuser
	"GET /":                               {0, 0, 0, 0, 0, 0, 0, 0},
	"GET /openapi.json":                   {0, 0, 0, 0, 0, 0, 0, 0},
	"GET /docs":                           {0, 0, 0, 0, 0, 0, 0, 0},
	"GET /health/live":                    {0, 0, 0, 0, 0, 0, 0, 0},
	"GET /health/ready":                   {0, 0, 0, 0, 0, 0, 0, 0},
	"GET /metrics":                        {401, 401, 403, 403, 403, 403, 403, 0},
	"GET /node":                           {401, 401, 403, 403, 403, 403, 403, 0},
	"POST /login":                         {0, 0, 0, 0, 0, 0, 0, 0},
	"POST /refresh/token":                 {0, 0, 0, 0, 0, 0, 0, 0},
	"POST /logout":                        {401, 401, 0, 0, 0, 0, 0, 0},
	"GET /user/me":                        {401, 401, 0, 0, 0, 0, 0, 0},
	"PATCH /user/me":                      {401, 401, 0, 0, 0, 0, 0, 0},
	"GET /user":                           {401, 401, 403, 403, 403, 403, 403, 0},
	"POST /user":                          {401, 401, 403, 403, 403, 403, 403, 0},
	"DELETE /user/{id}":                   {401, 401, 403, 403, 403, 403, 403, 0},
	"POST /user/me/password":              {401, 401, 0, 0, 0, 0, 0, 0},
	"POST /user/password/reset":           {0, 0, 0, 0, 0, 0, 0, 0},
	"GET /user/{id}":                      {401, 401, 403, 403, 403, 403, 403, 0},
	"PATCH /user/{id}":                    {401, 401, 403, 403, 403, 403, 403, 0},
	"GET /user/{id}/status":               {401, 401, 403, 403, 403, 403, 403, 0},
	"POST /user/{id}/disable":             {401, 401, 403, 403, 403, 403, 403, 0},
	"POST /user/{id}/enable":              {401, 401, 403, 403, 403, 403, 403, 0},
	"POST /user/{id}/password/reset":      {401, 401, 403, 403, 403, 403, 403, 0},
	"GET /session":                        {401, 401, 0, 0, 0, 0, 0, 0},
	"DELETE /session/{id}":                {401, 401, 404, 404, 404, 404, 0, 0},
	"GET /key":                            {401, 401, 0, 0, 0, 0, 0, 0},
	"POST /key":                           {401, 401, 0, 0, 0, 0, 0, 0},
	"DELETE /key/{id}":                    {401, 401, 404, 404, 404, 404, 0, 0},
	"GET /secret":                         {401, 401, 0, 0, 0, 0, 0, 0},
	"POST /secret":                        {401, 401, 0, 0, 0, 0, 0, 0},
	"GET /secret/{secret}":                {401, 401, 404, 404, 404, 404, 0, 0},
	"PATCH /secret/{secret}":              {401, 401, 404, 404, 404, 404, 0, 0},
	"DELETE /secret/{secret}":             {401, 401, 404, 404, 404, 404, 0, 0},
	"GET /signature-key":                  {401, 401, 0, 0, 0, 0, 0, 0},
	"POST /signature-key":                 {401, 401, 0, 0, 0, 0, 0, 0},
	"DELETE /signature-key/{id}":          {401, 401, 404, 404, 404, 404, 0, 0},
	"GET /job":                            {401, 401, 0, 0, 0, 0, 0, 0},
	"POST /job":                           {401, 401, 0, 0, 0, 0, 0, 0},
	"GET /job/{job}":                      {401, 401, 404, 0, 0, 0, 0, 0},
	"PATCH /job/{job}":                    {401, 401, 404, 403, 403, 0, 0, 0},
	"PUT /job/{job}":                      {401, 401, 404, 403, 403, 0, 0, 0},
	"DELETE /job/{job}":                   {401, 401, 404, 403, 403, 0, 0, 0},
	"POST /job/{job}/clone":               {401, 401, 404, 403, 403, 403, 0, 0},
	"GET /job/{job}/grant":                {401, 401, 404, 403, 403, 403, 0, 0},
	"PUT /job/{job}/grant/{user}":         {401, 401, 404, 403, 403, 403, 0, 0},
	"DELETE /job/{job}/grant/{user}":      {401, 401, 404, 403, 403, 403, 0, 0},
	"POST /job/{job}/owner":               {401, 401, 404, 403, 403, 403, 0, 0},
	"GET /job/{job}/next":                 {401, 401, 404, 0, 0, 0, 0, 0},
	"GET /job/{job}/ledger":               {401, 401, 404, 0, 0, 0, 0, 0},
	"GET /job/{job}/why":                  {401, 401, 404, 0, 0, 0, 0, 0},
	"GET /job/{job}/version":              {401, 401, 404, 0, 0, 0, 0, 0},
	"GET /job/{job}/version/{n}":          {401, 401, 404, 0, 0, 0, 0, 0},
	"POST /job/{job}/version/{n}/restore": {401, 401, 404, 403, 403, 0, 0, 0},
	"POST /job/{job}/pause":               {401, 401, 404, 403, 0, 0, 0, 0},
	"POST /job/{job}/resume":              {401, 401, 404, 403, 0, 0, 0, 0},
	"GET /job/{job}/run":                  {401, 401, 404, 0, 0, 0, 0, 0},
	"GET /run":                            {401, 401, 0, 0, 0, 0, 0, 0},
	"POST /job/{job}/run":                 {401, 401, 404, 403, 0, 0, 0, 0},
	"POST /job/{job}/test":                {401, 401, 404, 403, 0, 0, 0, 0},
	"POST /run/{id}/cancel":               {401, 401, 404, 403, 0, 0, 0, 0},
	"POST /run/{id}/retry":                {401, 401, 404, 403, 0, 0, 0, 0},
	"GET /run/{id}/attempt":               {401, 401, 404, 0, 0, 0, 0, 0},
	"GET /run/{id}":                       {401, 401, 404, 0, 0, 0, 0, 0},
	"GET /audit":                          {401, 401, 403, 403, 403, 403, 403, 0},
	"POST /schedule/preview":              {401, 401, 0, 0, 0, 0, 0, 0},
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
				who, jobID := &session{s: s}, ""
				owner := s.asUser(unique+"-owner", false)
				switch role {
				case "other", "viewer", "operator", "editor":
					who = s.asUser(unique+"-other", false)
				case "owner":
					who = owner
				case "superuser":
					who = s.asUser(unique+"-super", true)
				case "deleted":
					who = s.asUser(unique+"-gone", false)
					(&session{s, admin.access, ""}).do("DELETE", "/user/"+who.do("GET", "/user/me", "").text("id"), "")
				}
				target, code, victim := strings.Replace(r.pattern, "{n}", "1", 1), "", "0"
				switch {
				case strings.Contains(target, "{job}"):
					jobID = owner.createJob("mine")
					target = strings.Replace(target, "{job}", jobID, 1)
					if strings.Contains(target, "{user}") || r.doc.id == "setOwner" {
						victim = s.asUser(unique+"-victim", false).id()
						target = strings.Replace(target, "{user}", victim, 1)
					}
					if r.doc.id == "deleteGrant" {
						owner.do("PUT", target, `{"level":"viewer"}`)
					}
				case strings.HasPrefix(target, "/user/{id}"):
					target = strings.Replace(target, "{id}", s.asUser(unique+"-victim", false).do("GET", "/user/me", "").text("id"), 1)
				case target == "/key/{id}":
					target = "/key/" + owner.newKey(jadwal.ScopeReadJob).text("id")
				case target == "/secret/{secret}":
					target = "/secret/" + owner.newSecret("token", "https://example.com").text("id")
				case target == "/signature-key/{id}":
					target = "/signature-key/" + owner.do("POST", "/signature-key", `{}`).text("id")
				case target == "/session/{id}":
					target = "/session/" + owner.do("GET", "/session", "").text("0.id")
				case target == "/user/password/reset":
					code = s.resetCode(unique + "-victim")
				case target == "/run/{id}/cancel":
					run := aWaitingRun(t, owner)
					jobID, target = jobOf(t, run), "/run/"+run+"/cancel"
				case strings.HasPrefix(target, "/run/{id}"):
					run := aRun(t, owner)
					jobID, target = jobOf(t, run), strings.Replace(target, "{id}", run, 1)
				}
				if jobID != "" && slices.Contains(jadwal.Levels, jadwal.Level(role)) {
					if a := owner.do("PUT", "/job/"+jobID+"/grant/"+who.id(), `{"level":"`+role+`"}`); a.status != 201 {
						t.Fatalf("got %s", a.body)
					}
				}
				if r.doc.id == "whyInstant" {
					target += "?at=2026-11-23T00:00:00Z"
				}
				body := map[string]string{
					"login": `{"identifier":"admin","password":"admin123"}`, "refreshToken": `{"refresh_token":"` + admin.refresh + `"}`,
					"logout": `{"refresh_token":"` + who.refresh + `"}`, "patchMe": `{"is_superuser":false}`, "patchUser": `{"is_superuser":false}`,
					"putGrant": `{"level":"viewer"}`, "setOwner": `{"owner":` + victim + `}`,
					"createSecret": `{"name":"new","value":"a secret","origins":["https://example.com"]}`, "patchSecret": `{"value":"another"}`,
					"createSignatureKey": `{}`,
					"createKey":          `{"name":"new","scopes":["job:read"]}`,
					"changePassword":     `{"current_password":"` + userPassword + `","new_password":"another one"}`,
					"redeemReset":        `{"code":"` + code + `","new_password":"another one"}`,
					"createUser":         `{"username":"` + unique + `-new","password":"new-password","email":"` + unique + `@new"}`,
					"createJob":          `{"name":"new",` + hook + `}`, "putJob": `{` + hook + `}`, "cloneJob": `{"name":"copy"}`, "patchJob": `{"description":"x"}`, "previewSchedule": `{"schedules":[{"every":"1h"}]}`,
				}[r.doc.id]
				got := s.status(r.method, target, body, who.access)
				expected := want[i]
				if expected == 0 {
					expected = successOf(r)
				}
				if r.doc.id == "putGrant" && expected == 200 {
					expected = 201
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

// newKey makes an API key of the caller's.
func (c *session) newKey(scopes ...jadwal.Scope) *response {
	c.s.t.Helper()
	words := make([]string, len(scopes))
	for i, scope := range scopes {
		words[i] = strconv.Quote(string(scope))
	}
	r := c.do("POST", "/key", `{"name":"key","scopes":[`+strings.Join(words, ",")+`]}`)
	if r.status != 201 {
		c.s.t.Fatalf("got %s", r.body)
	}
	return r
}

// scopes says which scope an API key needs for each route: "" any, "-" that
// none will do. What is not named is public.
var scopes = map[string]string{
	"POST /logout": "-", "GET /session": "-", "DELETE /session/{id}": "-", "GET /key": "-", "POST /key": "-", "DELETE /key/{id}": "-",
	"GET /secret": "secret:read", "GET /secret/{secret}": "secret:read",
	"POST /secret": "secret:write", "PATCH /secret/{secret}": "secret:write", "DELETE /secret/{secret}": "secret:write",
	"GET /signature-key": "-", "POST /signature-key": "-", "DELETE /signature-key/{id}": "-",
	"GET /user/me": "", "PATCH /user/me": "-", "POST /user/me/password": "-", "GET /user": "user:read", "GET /user/{id}": "user:read", "GET /user/{id}/status": "user:read",
	"POST /user": "-", "DELETE /user/{id}": "-", "PATCH /user/{id}": "-", "POST /user/{id}/disable": "-", "POST /user/{id}/enable": "-", "POST /user/{id}/password/reset": "-",
	"GET /metrics": "metrics:read", "GET /node": "-", "GET /audit": "audit:read", "POST /schedule/preview": "",
	"GET /job": "job:read", "GET /job/{job}": "job:read", "GET /job/{job}/next": "job:read", "GET /job/{job}/ledger": "job:read", "GET /job/{job}/why": "job:read",
	"GET /job/{job}/version": "job:read", "GET /job/{job}/version/{n}": "job:read",
	"POST /job": "job:write", "PUT /job/{job}": "job:write", "PATCH /job/{job}": "job:write", "DELETE /job/{job}": "job:write", "POST /job/{job}/clone": "job:write",
	"GET /job/{job}/grant": "-", "PUT /job/{job}/grant/{user}": "-", "DELETE /job/{job}/grant/{user}": "-", "POST /job/{job}/owner": "-",
	"POST /job/{job}/version/{n}/restore": "job:write", "POST /job/{job}/pause": "job:write", "POST /job/{job}/resume": "job:write",
	"GET /run": "run:read", "GET /job/{job}/run": "run:read", "GET /run/{id}": "run:read", "GET /run/{id}/attempt": "run:read",
	"POST /job/{job}/run": "run:write", "POST /job/{job}/test": "run:write", "POST /run/{id}/cancel": "run:write", "POST /run/{id}/retry": "run:write",
}

// Each route is tried with a superuser's key that lacks one scope, and with one
// that has only that.
func TestScopeByRoute(t *testing.T) {
	s := newServer(t)
	admin := s.login("admin", adminPassword)
	keyOf := func(scopes ...jadwal.Scope) *session {
		return &session{s, admin.newKey(scopes...).text("key"), ""}
	}
	with, without := map[string]*session{}, map[string]*session{}
	for i, scope := range jadwal.Scopes {
		with[string(scope)] = keyOf(scope)
		without[string(scope)] = keyOf(slices.Delete(slices.Clone(jadwal.Scopes), i, i+1)...)
	}
	all := keyOf(jadwal.Scopes...)
	before := s.digest()
	for _, r := range routes() {
		name := r.method + " " + r.pattern
		want, known := scopes[name]
		if known == (r.action == jadwal.ActionPublic) {
			t.Errorf("%s has no row in the table of scopes, or is public and has one", name)
			continue
		}
		if !known {
			continue
		}
		// Ids of nothing, and no bodies: what is asked is refused in any case.
		target := strings.NewReplacer("/user/{id}", "/user/999", "/session/{id}", "/session/999", "/signature-key/{id}", "/signature-key/"+jadwal.FormatKeyID(9), "/key/{id}", "/key/"+jadwal.FormatKeyID(9), "{job}", "none", "{secret}", "none", "{n}", "1", "{user}", "2",
			"/run/{id}", "/run/"+(jadwal.RunKey{DueAt: 1, JobID: 1}).ID()).Replace(r.pattern)
		if target == "/metrics" {
			target += "?x=1"
		}
		forbidden := func(c *session, code string) {
			t.Helper()
			a := c.do(r.method, target, "")
			if a.status != 403 || a.code != code {
				t.Errorf("%s: got %s", name, a.body)
			}
			if challenge := `Bearer realm="jadwal", error="insufficient_scope", scope="` + want + `"`; code == "insufficient_scope" && a.header.Get("Www-Authenticate") != challenge {
				t.Errorf("%s: got %s", name, a.header.Get("Www-Authenticate"))
			}
		}
		passes := func(c *session) {
			t.Helper()
			if a := c.do(r.method, target, ""); a.status == 401 || a.status == 403 {
				t.Errorf("%s: got %s", name, a.body)
			}
		}
		switch want {
		case "-":
			forbidden(all, "forbidden")
		case "":
			passes(with["metrics:read"])
		default:
			forbidden(without[want], "insufficient_scope")
			passes(with[want])
		}
	}
	if s.digest() != before {
		t.Error("the database has changed")
	}
	for name := range scopes {
		if _, there := rights[name]; !there {
			t.Errorf("%s is no route", name)
		}
	}
}

// resetCode makes a user and a code that sets the user's password.
func (s *server) resetCode(name string) string {
	s.t.Helper()
	id := s.asUser(name, false).do("GET", "/user/me", "").text("id")
	r := s.login("admin", adminPassword).do("POST", "/user/"+id+"/password/reset", "")
	if r.status != 201 {
		s.t.Fatalf("got %s", r.body)
	}
	return r.text("code")
}

// jobOf is the id of the job of a run.
func jobOf(t *testing.T, run string) string {
	t.Helper()
	key, ok := jadwal.ParseRunID(run)
	if !ok {
		t.Fatalf("%q is the id of no run", run)
	}
	return strconv.FormatInt(key.JobID, 10)
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
	root := jadwal.Actor{User: jadwal.User{ID: 1, IsSuperuser: true}}
	if err := jadwal.Allow(root, "no.such.action", jadwal.Object{}); jadwal.CodeOf(err) != jadwal.CodeForbidden {
		t.Errorf("got %v", err)
	}
	for _, r := range routes() {
		if err := jadwal.Allow(root, r.action, jadwal.Object{}); err != nil {
			t.Errorf("%s %s: a superuser gets %v", r.method, r.pattern, err)
		}
		err := jadwal.Allow(jadwal.Actor{}, r.action, jadwal.Object{})
		if (err == nil) != (r.action == jadwal.ActionPublic) {
			t.Errorf("%s %s: nobody gets %v", r.method, r.pattern, err)
		}
	}
}
