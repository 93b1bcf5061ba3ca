package api

import "strings"

// targetPath returns the path of a request's target as it came, still
// percent-encoded, without scheme, host and query (RFC 9112, section 3.2):
// "/a" of the origin form, "/a" of "http://host/a", "*" of the asterisk form,
// and "" of the authority form of CONNECT, which has none.
func targetPath(method, target string) string {
	if strings.HasPrefix(target, "/") {
		path, _, _ := strings.Cut(target, "?")
		return path
	}
	if target == "*" {
		return target
	}
	if method == "CONNECT" {
		return ""
	}
	target, _, _ = strings.Cut(target, "?")
	_, rest, ok := strings.Cut(target, "://")
	if !ok {
		return ""
	}
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return "/" // an empty path is the same as "/": RFC 9110, section 4.2.3
}

// A pattern is a path of literal segments and parameters: "/user/{id}".
type pattern struct {
	segments []string // a parameter keeps its braces
}

func parsePattern(s string) pattern {
	return pattern{strings.Split(s[1:], "/")}
}

func isParam(segment string) bool { return strings.HasPrefix(segment, "{") }

// params are the values of a pattern's parameters, as they came and in its
// order. A pattern has at most two.
type params [2]string

// match tells whether path is p, byte for byte: nothing is decoded, cleaned or
// folded. A parameter is never empty and never a dot segment, encoded or not.
func (p pattern) match(path string) (values params, ok bool) {
	if path == "" || path[0] != '/' {
		return params{}, false
	}
	rest, more, n := path[1:], true, 0
	for _, want := range p.segments {
		if !more {
			return params{}, false
		}
		var got string
		got, rest, more = strings.Cut(rest, "/")
		if isParam(want) {
			if got == "" || isDots(got) {
				return params{}, false
			}
			values[n] = got
			n++
		} else if got != want {
			return params{}, false
		}
	}
	return values, !more
}

// isDots tells whether a segment is "." or "..", where each dot may be
// percent-encoded.
func isDots(segment string) bool {
	dots := 0
	for segment != "" {
		switch {
		case segment[0] == '.':
			segment = segment[1:]
		case len(segment) >= 3 && (segment[:3] == "%2e" || segment[:3] == "%2E"):
			segment = segment[3:]
		default:
			return false
		}
		dots++
	}
	return dots == 1 || dots == 2
}

// A resource is a path with the routes of its methods.
type resource struct {
	pattern pattern
	routes  []*route
	allow   string // of the Allow header
}

// A router finds the resource of a path. Literal paths go before patterns with
// a parameter.
type router struct {
	literal map[string]*resource
	params  []*resource
}

func newRouter(routes []*route) *router {
	rt := &router{literal: map[string]*resource{}}
	byPattern := map[string]*resource{}
	for _, r := range routes {
		res := byPattern[r.pattern]
		if res == nil {
			res = &resource{pattern: parsePattern(r.pattern)}
			byPattern[r.pattern] = res
			if strings.Contains(r.pattern, "{") {
				rt.params = append(rt.params, res)
			} else {
				rt.literal[r.pattern] = res
			}
		}
		res.routes = append(res.routes, r)
		if res.allow != "" {
			res.allow += ", "
		}
		res.allow += r.method
		if r.method == "GET" {
			res.allow += ", HEAD"
		}
	}
	return rt
}

// find returns the resource of a path as it came, nil when there is none.
func (rt *router) find(path string) (res *resource, values params) {
	if res := rt.literal[path]; res != nil {
		return res, params{}
	}
	for _, res := range rt.params {
		if values, ok := res.pattern.match(path); ok {
			return res, values
		}
	}
	return nil, params{}
}

// route returns the route of a method; HEAD is answered where GET is.
func (res *resource) route(method string) *route {
	if method == "HEAD" {
		method = "GET"
	}
	for _, r := range res.routes {
		if r.method == method {
			return r
		}
	}
	return nil
}
