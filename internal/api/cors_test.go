package api

import (
	"slices"
	"strings"
	"testing"
)

const page = "https://app.example.com"

func origins(listed ...string) serverOption { return func(o *settings) { o.api.Origins = listed } }

func TestPagesOfListedOriginsReadAnswers(t *testing.T) {
	s := newServer(t, origins("http://localhost:5173", page), idle)
	admin := s.login("admin", adminPassword)
	reads := func(r *response) bool {
		if vary := r.header["Vary"]; !slices.Contains(vary, "Origin") {
			t.Errorf("a cache would give the answer to others: Vary is %q", vary)
		}
		origin := r.header["Access-Control-Allow-Origin"]
		if r.header["Access-Control-Allow-Credentials"] != nil || len(origin) > 0 && (len(origin) > 1 || origin[0] != page || !strings.Contains(r.header.Get("Access-Control-Expose-Headers"), "X-Request-Id")) {
			t.Errorf("header %q", r.header)
		}
		return len(origin) > 0
	}
	for _, tt := range []struct {
		name   string
		method string
		target string
		header []string
		status int
		reads  bool
	}{
		{"a page of a listed origin", "GET", "/job", []string{"Origin", page}, 200, true},
		{"and the reason of an error", "GET", "/job/nothing", []string{"Origin", page}, 404, true},
		{"also where there is no path", "GET", "/nowhere", []string{"Origin", page}, 404, true},
		{"an answer that varies anyhow", "GET", "/", []string{"Origin", page}, 200, true},
		{"no origin", "GET", "/job", nil, 200, false},
		{"another origin", "GET", "/job", []string{"Origin", "https://evil.example"}, 200, false},
		{"another scheme", "GET", "/job", []string{"Origin", "http://app.example.com"}, 200, false},
		{"another port", "GET", "/job", []string{"Origin", page + ":8443"}, 200, false},
		{"another case", "GET", "/job", []string{"Origin", "https://APP.example.com"}, 200, false},
		{"a name that begins so", "GET", "/job", []string{"Origin", page + ".evil.example"}, 200, false},
		{"a file", "GET", "/job", []string{"Origin", "null"}, 200, false},
		{"two origins", "GET", "/job", []string{"Origin", page, "Origin", page}, 200, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if r := admin.do(tt.method, tt.target, "", tt.header...); r.status != tt.status || reads(r) != tt.reads {
				t.Errorf("%d %q", r.status, r.header)
			}
		})
	}
	if r := s.do("GET", "/", "", "Origin", page); !slices.Equal(r.header["Vary"], []string{"Accept, Sec-Fetch-Mode", "Origin"}) {
		t.Errorf("Vary of GET / is %q", r.header["Vary"])
	}
}

func TestPreflights(t *testing.T) {
	s := newServer(t, origins(page), idle)
	ask := func(target string, header ...string) *response { return s.do("OPTIONS", target, "", header...) }
	t.Run("one of a listed origin is told what the path takes", func(t *testing.T) {
		r := ask("/job/5", "Origin", page, "Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "authorization,content-type,if-match")
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin":  page,
			"Access-Control-Allow-Methods": "GET, HEAD, PUT, PATCH, DELETE",
			"Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match",
			"Access-Control-Max-Age":       "600",
			"Vary":                         "Origin",
		} {
			if got := r.header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if r.status != 200 {
			t.Errorf("status %d", r.status)
		}
	})
	for _, tt := range []struct {
		name, target string
		header       []string
		status       int
	}{
		{"of a path that there is not", "/nowhere", []string{"Origin", page, "Access-Control-Request-Method", "GET"}, 404},
		{"of an unclean path", "/job/", []string{"Origin", page, "Access-Control-Request-Method", "GET"}, 404},
		{"of the server as a whole", "*", []string{"Origin", page, "Access-Control-Request-Method", "GET"}, 404},
		{"of an origin that is not listed", "/job", []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "GET"}, 405},
		{"without an origin", "/job", []string{"Access-Control-Request-Method", "GET"}, 405},
		{"that asks for no method", "/job", []string{"Origin", page}, 405},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := ask(tt.target, tt.header...)
			if r.status != tt.status || r.header["Access-Control-Allow-Methods"] != nil || r.header["Access-Control-Allow-Headers"] != nil {
				t.Errorf("%d %q", r.status, r.header)
			}
		})
	}
}

func TestWithoutTheSettingNoPageReadsAnything(t *testing.T) {
	s := newServer(t, idle)
	for _, r := range []*response{
		s.do("GET", "/health/live", "", "Origin", page),
		s.do("OPTIONS", "/job", "", "Origin", page, "Access-Control-Request-Method", "GET"),
	} {
		if r.header["Access-Control-Allow-Origin"] != nil || r.header["Vary"] != nil || r.status == 200 && r.header.Get("Allow") != "" {
			t.Errorf("%d %q", r.status, r.header)
		}
	}
	if r := s.do("OPTIONS", "/job", "", "Origin", page, "Access-Control-Request-Method", "GET"); r.status != 405 || r.header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("%d %q", r.status, r.header)
	}
}
