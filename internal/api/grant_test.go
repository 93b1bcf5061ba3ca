package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/teknohole/jadwal"
)

func (c *session) grant(job, user string, level jadwal.Level) {
	c.s.t.Helper()
	if r := c.do("PUT", "/job/"+job+"/grant/"+user, `{"level":"`+string(level)+`"}`); r.status/100 != 2 {
		c.s.t.Fatalf("got %s", r.body)
	}
}

func TestGrants(t *testing.T) {
	s := newServer(t)
	ani, budi, admin := s.asUser("ani", false), s.asUser("budi", false), s.login("admin", adminPassword)
	mine, budis := ani.createJob("mine"), budi.createJob("mine")
	second, budisSecond := ani.createJob("second"), budi.createJob("second")

	t.Run("a grant is made, changed and listed", func(t *testing.T) {
		r := ani.do("PUT", "/job/mine/grant/"+budi.id(), `{"level":"viewer"}`)
		if r.status != 201 || r.text("level") != "viewer" || r.text("granted_by") != ani.id() || r.text("user_id") != budi.id() {
			t.Errorf("got %s", r.body)
		}
		r = admin.do("PUT", "/job/"+mine+"/grant/"+budi.id(), `{"level":"operator"}`)
		if r.status != 200 || r.text("level") != "operator" || r.text("granted_by") != "1" {
			t.Errorf("got %s", r.body)
		}
		if r := ani.do("GET", "/job/mine/grant", ""); r.status != 200 || len(r.data.([]any)) != 1 || r.text("0.level") != "operator" {
			t.Errorf("got %s", r.body)
		}
		if r := ani.do("GET", "/job/second/grant", ""); r.status != 200 || len(r.data.([]any)) != 0 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("jobs that are shared are listed among one's own, by id", func(t *testing.T) {
		ani.grant(second, budi.id(), jadwal.LevelViewer)
		r := budi.do("GET", "/job?count=true", "")
		if want := []string{mine, budis, second, budisSecond}; !slices.Equal(idsOf(r), want) || r.header.Get("X-Total-Count") != "4" {
			t.Errorf("got %v of %s, want %v", idsOf(r), r.header.Get("X-Total-Count"), want)
		}
		var paged []string
		for target := "/job?limit=1"; ; {
			r := budi.do("GET", target, "")
			paged = append(paged, idsOf(r)...)
			link := r.header.Get("Link")
			if link == "" {
				break
			}
			target = link[1:strings.Index(link, ">")]
		}
		if !slices.Equal(paged, idsOf(r)) {
			t.Errorf("in pages: %v", paged)
		}
		for target, want := range map[string][]string{
			"/job?owner=" + ani.id(): {mine, second}, "/job?owner=" + budi.id(): {budis, budisSecond}, "/job?owner=1": nil, "/job?owner=999": nil, "/job?owner=0": nil,
		} {
			if r := budi.do("GET", target+"&count=true", ""); !slices.Equal(idsOf(r), want) || r.header.Get("X-Total-Count") != fmt.Sprint(len(want)) {
				t.Errorf("%s: got %v of %s, want %v", target, idsOf(r), r.header.Get("X-Total-Count"), want)
			}
		}
		if r := ani.do("GET", "/job", ""); !slices.Equal(idsOf(r), []string{mine, second}) {
			t.Errorf("the other way round: %v", idsOf(r))
		}
		if r := admin.do("GET", "/job?owner="+ani.id(), ""); !slices.Equal(idsOf(r), []string{mine, second}) {
			t.Errorf("for a superuser: %v", idsOf(r))
		}
		for _, nobody := range []string{"0", "999", "99999999999999999999"} {
			if r := admin.do("GET", "/job?owner="+nobody, ""); r.status != 404 || r.message != "There is no such user" {
				t.Errorf("of nobody, for a superuser: got %s", r.body)
			}
		}
	})
	t.Run("a name is one's own job, whatever is shared", func(t *testing.T) {
		if r := budi.do("GET", "/job/mine", ""); r.text("id") != budis {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("runs of jobs that are shared are listed, and stay in sight when the job is deleted", func(t *testing.T) {
		run := budi.do("POST", "/job/"+mine+"/run", "")
		if run.status != 201 {
			t.Fatalf("got %s", run.body)
		}
		id := run.text("id")
		if r := budi.do("GET", "/run", ""); !slices.Contains(idsOf(r), id) {
			t.Errorf("got %s", r.body)
		}
		if r := ani.do("DELETE", "/job/mine", ""); r.status != 200 {
			t.Fatalf("got %s", r.body)
		}
		for _, target := range []string{"/run/" + id, "/run?job=" + mine} {
			if r := budi.do("GET", target, ""); r.status != 200 {
				t.Errorf("got %s", r.body)
			}
		}
		if r := budi.do("GET", "/job", ""); slices.Contains(idsOf(r), mine) {
			t.Errorf("a deleted job is listed: %v", idsOf(r))
		}
	})
	t.Run("a grant that is taken away is gone at once", func(t *testing.T) {
		if r := budi.do("GET", "/job/"+second, ""); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
		if r := ani.do("DELETE", "/job/second/grant/"+budi.id(), ""); r.status != 200 || r.data != nil {
			t.Errorf("got %s", r.body)
		}
		for _, r := range []*response{budi.do("GET", "/job/"+second, ""), budi.do("POST", "/job/"+second+"/run", ""), ani.do("DELETE", "/job/second/grant/"+budi.id(), "")} {
			if r.status != 404 {
				t.Errorf("got %s", r.body)
			}
		}
	})
	t.Run("a deleted user's grants are gone", func(t *testing.T) {
		gone := s.asUser("gone", false)
		ani.grant(second, gone.id(), jadwal.LevelViewer)
		admin.do("DELETE", "/user/"+gone.id(), "")
		if r := ani.do("GET", "/job/second/grant", ""); len(r.data.([]any)) != 0 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a job has 100 at most", func(t *testing.T) {
		for i := range jadwal.MaxGrants {
			user := s.addUser(fmt.Sprintf("crowd%d", i), userPassword, fmt.Sprintf("crowd%d@example.com", i), false, false)
			ani.grant(second, fmt.Sprint(user.ID), jadwal.LevelViewer)
		}
		if r := ani.do("PUT", "/job/second/grant/1", `{"level":"viewer"}`); r.status != 409 || r.code != "conflict" {
			t.Errorf("got %s", r.body)
		}
		last := ani.do("GET", "/job/second/grant", "").text("99.user_id")
		ani.grant(second, last, jadwal.LevelEditor) // a change is none more
	})
}

// limited tells whether a job has a normal user's egress rules whoever owns it.
func (s *server) limited(job string) bool {
	return s.column("SELECT egress_limited FROM job WHERE id = "+job) == "1\n"
}

func TestAGrantGivesNoEgress(t *testing.T) {
	s := newServer(t)
	admin, ani := s.login("admin", adminPassword), s.asUser("ani", false)
	job := admin.createJob("inside")
	admin.grant(job, ani.id(), jadwal.LevelEditor)
	edit := func(c *session, text string) {
		t.Helper()
		if r := c.do("PATCH", "/job/"+job, `{"description":"`+text+`"}`); r.status != 200 {
			t.Fatalf("got %s", r.body)
		}
	}
	if s.limited(job) {
		t.Error("a superuser's job is limited")
	}
	if r := ani.do("POST", "/job/"+job+"/pause", ""); r.status != 200 || s.limited(job) {
		t.Errorf("a pause limits: %s", r.body)
	}
	edit(ani, "by an editor")
	if !s.limited(job) {
		t.Error("an editor's definition has a superuser's egress")
	}
	admin.do("POST", "/job/"+job+"/resume", "")
	if !s.limited(job) {
		t.Error("a resume lifts the limit")
	}
	edit(admin, "by the owner")
	if s.limited(job) {
		t.Error("the owner's own definition is limited")
	}
	edit(s.asUser("root", true), "by another superuser")
	if s.limited(job) {
		t.Error("a superuser's definition is limited")
	}
}

func TestHandingOver(t *testing.T) {
	s := newServer(t)
	admin, ani, budi := s.login("admin", adminPassword), s.asUser("ani", false), s.asUser("budi", false)
	give := func(c *session, job, to string) *response {
		return c.do("POST", "/job/"+job+"/owner", `{"owner":`+to+`}`)
	}
	job := ani.createJob("report")
	ani.grant(job, budi.id(), jadwal.LevelViewer)
	t.Run("the new owner has it, the old one knows nothing of it, and the engine does too", func(t *testing.T) {
		r := give(ani, "report", budi.id())
		if r.status != 200 || r.text("owner_id") != budi.id() || r.text("version") != "2" || r.header.Get("Etag") != `"2"` {
			t.Fatalf("got %s", r.body)
		}
		if r := ani.do("GET", "/job/"+job, ""); r.status != 404 {
			t.Errorf("got %s", r.body)
		}
		if r := budi.do("GET", "/job/report", ""); r.status != 200 || r.text("id") != job {
			t.Errorf("got %s", r.body)
		}
		if got := s.column("SELECT owner_id FROM cursor WHERE job_id = " + job); got != budi.id()+"\n" {
			t.Errorf("the cursor is of %s", got)
		}
		if r := budi.do("GET", "/job/report/grant", ""); len(r.data.([]any)) != 0 {
			t.Errorf("the owner has a grant: %s", r.body)
		}
	})
	t.Run("to the same owner nothing changes", func(t *testing.T) {
		before := s.digest()
		if r := give(budi, "report", budi.id()); r.status != 200 || r.text("version") != "2" || s.digest() != before {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a name that is taken is a conflict, and nothing changes", func(t *testing.T) {
		ani.createJob("report")
		before := s.digest()
		if r := give(budi, "report", ani.id()); r.status != 409 || r.code != "name_taken" {
			t.Errorf("got %s", r.body)
		}
		if s.digest() != before {
			t.Error("the database has changed")
		}
	})
	t.Run("a disabled user gets nothing", func(t *testing.T) {
		off := s.asUser("off", false).id()
		admin.do("POST", "/user/"+off+"/disable", "")
		if r := give(budi, "report", off); r.status != 400 || r.text("errors.0.field") != "owner" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("what a normal user wrote has no superuser's egress until a superuser edits it", func(t *testing.T) {
		if r := give(budi, "report", "1"); r.status != 200 || !s.limited(job) {
			t.Errorf("got %s", r.body)
		}
		if r := admin.do("PATCH", "/job/report", `{"description":"read and approved"}`); r.status != 200 || s.limited(job) {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a superuser gives away anybody's", func(t *testing.T) {
		theirs := ani.createJob("theirs")
		if r := give(admin, theirs, budi.id()); r.status != 200 || r.text("owner_id") != budi.id() {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("it is audited with both owners", func(t *testing.T) {
		if got := s.column("SELECT detail FROM audit WHERE action = 'job.owner' ORDER BY id LIMIT 1"); got != `{"changes":[{"field":"owner_id","from":`+ani.id()+`,"to":`+budi.id()+`}],"name":"report","version":2}`+"\n" {
			t.Errorf("got %s", got)
		}
	})
}
