package api

import (
	"bytes"
	"errors"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/teknohole/jadwal"
)

// The limits of what is told about the members of a body.
const (
	maxWrong  = 5    // errors
	maxLooked = 1000 // values that are looked at: a body of 1 MiB may have 350,000
)

// explainAll is explain of the error for which a body could not be read into a
// type, with all that is wrong with its members in the same way behind it: names
// that are not known and values that are of another type.
func explainAll(err error, body []byte, t reflect.Type, null nulls) error {
	err = explain(err)
	first, ok := errors.AsType[*jadwal.Error](err)
	if !ok || len(first.Fields) == 0 {
		return err
	}
	w := wrongs{null: null}
	w.look("", body, t)
	if len(w.all) == 0 || w.all[0] != first.Fields[0] {
		return err // something else, such as a member that is there twice, or what follows is no JSON
	}
	return jadwal.InvalidFields(w.all...)
}

// wrongs are the names and values in a body that are wrong, in its order, at
// most maxWrong, of the first maxLooked.
type wrongs struct {
	null   nulls
	looked int
	all    []jadwal.FieldError
}

// look adds what is wrong with a value that is read into a type.
func (w *wrongs) look(at jsontext.Pointer, value jsontext.Value, t reflect.Type) {
	kind := value.Kind()
	for kind != 'n' && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	object := kind == '{' && (t.Kind() == reflect.Map || len(members(t)) > 0)
	if object || kind == '[' && t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8 {
		w.lookInto(at, value, t)
		return
	}
	err := json.Unmarshal(value, reflect.New(t).Interface(), json.WithUnmarshalers(refuseNulls))
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		e.JSONPointer = at + e.JSONPointer
		w.add(e)
	}
}

// lookInto looks at each member of an object or element of an array, until it
// has looked at enough, or enough are wrong.
func (w *wrongs) lookInto(at jsontext.Pointer, value jsontext.Value, t reflect.Type) {
	dec := jsontext.NewDecoder(bytes.NewReader(value), jsontext.AllowDuplicateNames(true))
	begin, err := dec.ReadToken()
	for i := 0; err == nil && len(w.all) < maxWrong && w.looked < maxLooked && dec.PeekKind() != '}' && dec.PeekKind() != ']'; i++ {
		w.looked++
		name := strconv.Itoa(i)
		if begin.Kind() == '{' {
			token, err := dec.ReadToken()
			if err != nil {
				return
			}
			name = token.String()
		}
		value, err = dec.ReadValue()
		at, to := at.AppendToken(name), memberType(t, name)
		switch {
		case err != nil:
		case to == nil:
			w.add(&json.SemanticError{JSONPointer: at, GoType: t, Err: json.ErrUnknownName})
		case value.Kind() == 'n' && begin.Kind() == '{' && w.null == nullsRemove:
		default:
			w.look(at, value, to)
		}
	}
}

func (w *wrongs) add(err error) {
	if e, ok := errors.AsType[*jadwal.Error](explain(err)); ok {
		w.all = append(w.all, e.Fields...)
	}
}

// memberType is the type of what has that name in a value that is read into t, a
// map, a slice or a struct; nil: there is none.
func memberType(t reflect.Type, name string) reflect.Type {
	if t.Kind() != reflect.Struct {
		return t.Elem()
	}
	for _, f := range reflect.VisibleFields(t) {
		if known, _, _ := strings.Cut(f.Tag.Get("json"), ","); known == name && name != "" {
			return f.Type
		}
	}
	return nil
}
