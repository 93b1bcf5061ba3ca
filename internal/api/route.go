package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/teknohole/jadwal"
)

// A route is one thing that the API does.
type route struct {
	method  string
	pattern string
	action  jadwal.Action
	input   *input
	serve   func(s *Server, c *call, body []byte) (*answer, error)
	doc     doc
	output  reflect.Type // of data; nil: none
}

// doc is what a reader of the API's documentation is told about a route.
type doc struct {
	id        string // of the operation
	summary   string
	detail    string
	tag       string
	status    int           // of success; 0: 200
	also      int           // another status of success; 0: none
	headers   []string      // of success
	fails     []jadwal.Code // besides those that follow from the route's form
	once      bool          // it takes an Idempotency-Key
	uncounted bool          // however often it is asked for, it counts against no quota
	fixed     bool          // an endpoint of the fixed contract: the query is ignored
}

// none is the input of a handler that takes nothing, and the data of one that
// has nothing to say.
type none struct{}

// A reply is what a handler returns: a message, and data of type T unless T is
// none.
type reply[T any] struct {
	status  int
	message string
	data    T
	header  http.Header
	file    *file
}

// answer is what the client gets of r.
func (r *reply[T]) answer() *answer {
	a := &answer{status: r.status, message: r.message, header: r.header, file: r.file}
	if _, nothing := any(&r.data).(*none); !nothing && r.file == nil {
		a.data = &r.data
	}
	return a
}

// ok is a reply with status 200.
func ok[T any](data T, format string, args ...any) *reply[T] {
	return &reply[T]{status: http.StatusOK, message: fmt.Sprintf(format, args...), data: data}
}

// created is a reply with status 201.
func created[T any](data T, format string, args ...any) *reply[T] {
	return &reply[T]{status: http.StatusCreated, message: fmt.Sprintf(format, args...), data: data}
}

// done is a reply with status 200 and no data.
func done(format string, args ...any) *reply[none] { return ok(none{}, format, args...) }

// with adds a header field, its name in canonical form.
func (r *reply[T]) with(name, value string) *reply[T] {
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header[name] = []string{value}
	return r
}

// endpoint makes a route of a typed handler. In is a struct whose fields say
// by their tags where they are read from: `path:"id"`, `query:"limit"`,
// `header:"If-Match"`; a field named Body is read from the body, and a body
// that may be left out is a pointer.
func endpoint[In, Out any](method, pattern string, action jadwal.Action, handler func(*Server, context.Context, *In) (*reply[Out], error), d doc) *route {
	r := &route{method: method, pattern: pattern, action: action, input: newInput(reflect.TypeFor[In](), pattern, d.fixed), doc: d}
	if reflect.TypeFor[Out]() != reflect.TypeFor[none]() {
		r.output = reflect.TypeFor[Out]()
	}
	r.serve = func(s *Server, c *call, body []byte) (*answer, error) {
		in := new(In)
		if err := r.input.read(c, body, in); err != nil {
			return nil, err
		}
		out, err := handler(s, c, in)
		if err != nil {
			return nil, err
		}
		return out.answer(), nil
	}
	return r
}

// input is how the input of a handler is read from a request.
type input struct {
	typ                  reflect.Type
	path, query, headers []param // path in the order of the pattern
	body                 int     // index of the field; -1: none
	bodyOptional         bool
	mergePatch           bool
	fixed                bool
}

type param struct {
	index int
	name  string
}

// value is a field that is read from one text of a request. Its error is an
// *jadwal.Error about the field of that name.
type value interface {
	read(name, text string) error
}

// patcher is a body that is a merge patch.
type patcher interface{ readPatch(body []byte) error }

func newInput(t reflect.Type, pattern string, fixed bool) *input {
	in := &input{typ: t, body: -1, fixed: fixed}
	for i := range t.NumField() {
		f := t.Field(i)
		if name := f.Tag.Get("path"); name != "" {
			in.path = append(in.path, param{i, name})
		}
		if name := f.Tag.Get("query"); name != "" {
			in.query = append(in.query, param{i, name})
		}
		if name := f.Tag.Get("header"); name != "" {
			in.headers = append(in.headers, param{i, name})
		}
		if f.Name == "Body" {
			in.body = i
			in.bodyOptional = f.Type.Kind() == reflect.Pointer
			in.mergePatch = reflect.PointerTo(f.Type).Implements(reflect.TypeFor[patcher]()) || f.Type.Implements(reflect.TypeFor[patcher]())
		}
	}
	slices.SortFunc(in.path, func(a, b param) int {
		return strings.Index(pattern, "{"+a.name+"}") - strings.Index(pattern, "{"+b.name+"}")
	})
	return in
}

// takesBody tells whether the body of r is to be read. One that may be left
// out counts as left out when nothing announces it.
func (in *input) takesBody(r *http.Request) bool {
	return in.body >= 0 && (!in.bodyOptional || r.ContentLength != 0)
}

// refusesBody tells whether r announces a body where none is taken. That of a
// GET means nothing (RFC 9110, section 9.3.1), as one does on the endpoints of
// the fixed contract that take none.
func (in *input) refusesBody(r *http.Request) bool {
	return in.body < 0 && !in.fixed && r.ContentLength != 0 && r.Method != http.MethodGet && r.Method != http.MethodHead
}

// read fills in, a pointer to a struct, from a request.
func (in *input) read(c *call, body []byte, into any) error {
	if in.body < 0 && in.fixed && in.path == nil {
		return nil
	}
	v := reflect.ValueOf(into).Elem()
	for i, p := range in.path {
		if err := fieldValue(v, p).read(p.name, c.params[i]); err != nil {
			return err
		}
	}
	if !in.fixed {
		if err := in.readQuery(c.request.URL.RawQuery, v); err != nil {
			return err
		}
	}
	for _, p := range in.headers {
		if values := c.request.Header[p.name]; len(values) > 0 {
			if err := fieldValue(v, p).read(p.name, strings.Join(values, ", ")); err != nil {
				return err
			}
		}
	}
	if in.body < 0 || body == nil {
		return nil
	}
	field := v.Field(in.body)
	if in.bodyOptional {
		field.Set(reflect.New(field.Type().Elem()))
		field = field.Elem()
	}
	if patch, ok := field.Addr().Interface().(patcher); ok {
		return patch.readPatch(body)
	}
	return readJSON(body, field.Addr().Interface(), nullsRefused)
}

func fieldValue(v reflect.Value, p param) value { return v.Field(p.index).Addr().Interface().(value) }

// readQuery reads the query strictly: each parameter is known and is there
// once.
func (in *input) readQuery(raw string, v reflect.Value) error {
	if raw == "" {
		return nil
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return malformed("the query is not well-formed")
	}
	names := in.queryNames()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if !slices.Contains(names, name) {
			return jadwal.Invalid(clip(name), "unknown", "unknown parameter %q%s", clip(name), suggest(clip(name), names))
		}
	}
	for _, p := range in.query {
		switch values := query[p.name]; {
		case len(values) > 1:
			return jadwal.Invalid(p.name, "duplicate", "parameter %q is there twice", p.name)
		case len(values) == 1:
			if err := fieldValue(v, p).read(p.name, values[0]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (in *input) queryNames() (names []string) {
	for _, p := range in.query {
		names = append(names, p.name)
	}
	return names
}
