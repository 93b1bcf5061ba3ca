package api

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/teknohole/jadwal"
)

func TestPagesOfJobs(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	for i := range 7 {
		c.createJob(fmt.Sprint("job", i))
	}
	var names []string
	target := "/job?limit=3"
	for pages := 0; target != ""; pages++ {
		r := c.do("GET", target, "")
		if r.status != 200 || r.message != "List of jobs" || pages > 3 {
			t.Fatalf("got %s", r.body)
		}
		for _, job := range r.data.([]any) {
			names = append(names, job.(map[string]any)["name"].(string))
		}
		target = nextOf(t, r)
	}
	if strings.Join(names, " ") != "job0 job1 job2 job3 job4 job5 job6" {
		t.Error(names)
	}
	for target, want := range map[string]int{"/job": 7, "/job?limit=7": 7, "/job?limit=500": 7, "/job?cursor=0": 7, "/job?cursor=999": 0, "/job?limit=6": 6, "/job?count=false": 7} {
		r := c.do("GET", target, "")
		if r.status != 200 || len(r.data.([]any)) != want || (nextOf(t, r) != "") != (want == 6) || r.header.Get("X-Total-Count") != "" {
			t.Errorf("%s: got %d %q %s", target, r.status, r.header, r.body)
		}
	}
	r := c.do("GET", "/job?limit=2&count=true", "")
	if r.header.Get("X-Total-Count") != "7" || r.header.Get("X-Total-Count-Exact") != "" {
		t.Errorf("got %q", r.header)
	}
	if !strings.Contains(nextOf(t, r), "count=true") {
		t.Errorf("the next page forgets what was asked: %q", nextOf(t, r))
	}
}

func TestJobsByStateAndTag(t *testing.T) {
	s := newServer(t)
	c, budi := s.asUser("arbath", false), s.asUser("budi", false)
	for i, tags := range []string{`"a"`, `"a","b:1"`, `"b:1"`, ``, `"a","b:1"`} {
		if r := c.do("POST", "/job", fmt.Sprintf(`{"name":"job%d","tags":[%s],%s}`, i, tags, hook)); r.status != 201 {
			t.Fatalf("got %s", r.body)
		}
	}
	c.do("POST", "/job/job1/pause", "")
	c.grant("2", budi.id(), jadwal.LevelViewer)
	admin := s.login("admin", adminPassword)
	for _, list := range []struct {
		as    *session
		query string
		names string
	}{
		{c, "tag=a", "job0 job1 job4"}, {c, "tag=a,b:1", "job1 job4"}, {c, "tag=none", ""},
		{c, "state=paused", "job1"}, {c, "state=enabled", "job0 job2 job3 job4"}, {c, "state=paused,enabled", "job0 job1 job2 job3 job4"}, {c, "state=completed", ""},
		{c, "state=enabled&tag=b:1", "job2 job4"}, {c, "tag=a&owner=" + c.id(), "job0 job1 job4"},
		{budi, "tag=a", "job1"}, {budi, "state=enabled", ""}, {budi, "state=paused&owner=" + c.id(), "job1"},
		{admin, "tag=a", "job0 job1 job4"}, {admin, "tag=a&owner=1", ""}, {admin, "state=paused", "job1"},
	} {
		for _, limit := range []string{"1", "50"} {
			var names []string
			for target := "/job?count=true&limit=" + limit + "&" + list.query; target != ""; {
				r := list.as.do("GET", target, "")
				if r.status != 200 {
					t.Fatalf("got %s", r.body)
				}
				if n := r.header.Get("X-Total-Count"); n != fmt.Sprint(len(strings.Fields(list.names))) {
					t.Errorf("%s: %s are counted", list.query, n)
				}
				for _, job := range r.data.([]any) {
					names = append(names, job.(map[string]any)["name"].(string))
				}
				target = nextOf(t, r)
			}
			if strings.Join(names, " ") != list.names {
				t.Errorf("%s: got %v, want %s", list.query, names, list.names)
			}
		}
	}
	for query, says := range map[string]string{
		"state=Paused": "enabled, paused, completed", "state=": "enabled, paused, completed", "state=paused,paused": "twice", "tag=": "such as billing", "tag=a,": "such as billing", "tag=A": "such as billing",
		"tag=a,a": "twice", "tags=a": `did you mean "tag"?`, "tag=a&tag=b": "there twice", "tag=" + manyTags(33): "at most 32",
	} {
		if r := c.do("GET", "/job?"+query, ""); r.status != 400 || !strings.Contains(r.message, says) {
			t.Errorf("%s: got %s", query, r.body)
		}
	}
	if r := c.do("GET", "/job?tag="+manyTags(32), ""); r.status != 200 {
		t.Errorf("got %s", r.body)
	}
}

// manyTags are n tags, separated by commas.
func manyTags(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint("t", i)
	}
	return strings.Join(all, ",")
}

var linkPattern = regexp.MustCompile(`^<([^>]*)>; rel="next"$`)

func nextOf(t *testing.T, r *response) string {
	t.Helper()
	link := r.header.Get("Link")
	if link == "" {
		return ""
	}
	m := linkPattern.FindStringSubmatch(link)
	if m == nil {
		t.Fatalf("Link is %s", link)
	}
	if _, err := url.Parse(m[1]); err != nil {
		t.Fatal(err)
	}
	return m[1]
}
