package api

import (
	"strings"
	"testing"
)

func TestTargetPath(t *testing.T) {
	for _, c := range []struct{ method, target, want string }{
		{"GET", "/", "/"},
		{"GET", "/user/me?x=/y", "/user/me"},
		{"GET", "/user%2fme", "/user%2fme"},
		{"GET", "//user", "//user"},
		{"GET", "/a?", "/a"},
		{"GET", "/a#b", "/a#b"},
		{"GET", "http://example.com/user/me?x", "/user/me"},
		{"GET", "http://example.com", "/"},
		{"GET", "http://example.com?x=/y", "/"},
		{"GET", "http://user@example.com:80//a", "//a"},
		{"OPTIONS", "*", "*"},
		{"CONNECT", "example.com:443", ""},
		{"CONNECT", "/user/me", "/user/me"},
		{"GET", "", ""},
	} {
		if got := targetPath(c.method, c.target); got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.method, c.target, got, c.want)
		}
	}
}

func TestPathsMatchAsTheyCame(t *testing.T) {
	rt := newRouter(routes())
	for _, c := range []struct{ rule, path, pattern, param string }{
		{"the root", "/", "/", ""},
		{"a literal path", "/user/me", "/user/me", ""},
		{"a literal goes before a parameter", "/user/me", "/user/me", ""},
		{"a parameter", "/user/5", "/user/{id}", "5"},
		{"a parameter is not decoded", "/user/%35", "/user/{id}", "%35"},
		{"a parameter may look like anything but dots", "/job/...", "/job/{job}", "..."},
		{"a parameter in the middle", "/job/12/run", "/job/{job}/run", "12"},
		{"two parameters", "/job/12/version/3", "/job/{job}/version/{n}", "12/3"},
		{"an empty second parameter", "/job/12/version/", "", ""},
		{"dots as a second parameter", "/job/12/version/%2e%2e", "", ""},
		{"an encoded slash does not separate", "/job/a%2fb", "/job/{job}", "a%2fb"},
		{"no path at all", "", "", ""},
		{"the asterisk", "*", "", ""},
		{"an unknown path", "/nothing", "", ""},
		{"a trailing slash", "/user/", "", ""},
		{"a trailing slash after a literal", "/user/me/", "", ""},
		{"a trailing slash after a parameter", "/user/5/", "", ""},
		{"a doubled slash", "//user", "", ""},
		{"a doubled slash within", "/user//me", "", ""},
		{"two slashes", "//", "", ""},
		{"another case", "/User/me", "", ""},
		{"an encoded letter", "/%75ser/me", "", ""},
		{"a dot segment", "/./user", "", ""},
		{"a dot segment at the end", "/user/.", "", ""},
		{"a double dot segment", "/job/../user", "", ""},
		{"a dot as a parameter", "/job/.", "", ""},
		{"two dots as a parameter", "/job/..", "", ""},
		{"an encoded dot as a parameter", "/job/%2e", "", ""},
		{"two encoded dots as a parameter", "/job/%2E%2e", "", ""},
		{"half encoded dots as a parameter", "/job/.%2e/run", "", ""},
		{"an empty parameter", "/job//run", "", ""},
		{"an encoded slash is no separator", "/user%2fme", "", ""},
		{"a backslash", `/user\me`, "", ""},
		{"a matrix parameter", "/user/me;x=1", "/user/{id}", "me;x=1"},
		{"no leading slash", "user/me", "", ""},
		{"more than there is", "/user/me/more", "", ""},
		{"under /ui/ too", "/ui/../user/me", "", ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			res, values := rt.find(c.path)
			param := strings.TrimSuffix(values[0]+"/"+values[1], "/")
			got := ""
			if res != nil {
				got = "/" + strings.Join(res.pattern.segments, "/")
			}
			if got != c.pattern || param != c.param {
				t.Errorf("%q: got %q with %q, want %q with %q", c.path, got, param, c.pattern, c.param)
			}
		})
	}
}

// FuzzMatch compares the matcher with one that splits and looks at every
// segment.
func FuzzMatch(f *testing.F) {
	for _, path := range []string{"/", "/user/5", "/job/../run", "/job/%2e%2E/run", "//", "/job/12/run/", "", "*", "/schedule/preview"} {
		f.Add(path)
	}
	rt := newRouter(routes())
	f.Fuzz(func(t *testing.T, path string) {
		got := ""
		res, values := rt.find(path)
		if res != nil {
			got = "/" + strings.Join(res.pattern.segments, "/")
		}
		want, wantValues := "", params{}
		segments := strings.Split(path, "/")
		for _, r := range routes() {
			pattern := strings.Split(r.pattern, "/")
			if len(pattern) != len(segments) || segments[0] != "" || want == path {
				continue
			}
			value, n, same := params{}, 0, true
			for i := range pattern {
				plain := strings.ReplaceAll(strings.ReplaceAll(segments[i], "%2e", "."), "%2E", ".")
				switch {
				case pattern[i] == segments[i]:
				case strings.HasPrefix(pattern[i], "{") && plain != "" && plain != "." && plain != "..":
					value[n] = segments[i]
					n++
				default:
					same = false
				}
			}
			if same {
				want, wantValues = r.pattern, value
			}
		}
		if got != want || values != wantValues {
			t.Errorf("%q: got %q with %q, want %q with %q", path, got, values, want, wantValues)
		}
	})
}
