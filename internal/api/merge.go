package api

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// mergePatch applies a JSON Merge Patch (RFC 7396, section 2) to a document
// and returns the result. Members keep their order and values keep their text;
// what the patch adds comes last. Both arguments are valid JSON.
func mergePatch(target, patch jsontext.Value) jsontext.Value {
	if patch.Kind() != '{' {
		return patch
	}
	var old []member
	if target.Kind() == '{' {
		old = membersOf(target)
	}
	changes := membersOf(patch)
	byName := make(map[string]jsontext.Value, len(changes))
	for _, c := range changes {
		byName[c.name] = c.value
	}
	b := []byte{'{'}
	for _, m := range old {
		change, changed := byName[m.name]
		delete(byName, m.name)
		switch {
		case !changed:
			b = appendMember(b, m.name, m.value)
		case change.Kind() != 'n':
			b = appendMember(b, m.name, mergePatch(m.value, change))
		}
	}
	for _, c := range changes {
		if _, added := byName[c.name]; added && c.value.Kind() != 'n' {
			b = appendMember(b, c.name, mergePatch(jsontext.Value("null"), c.value))
		}
	}
	return append(b, '}')
}

type member struct {
	name  string
	value jsontext.Value
}

// membersOf are the members of a valid object, in order.
func membersOf(object jsontext.Value) (all []member) {
	dec := jsontext.NewDecoder(bytes.NewReader(object), jsontext.AllowDuplicateNames(true))
	if _, err := dec.ReadToken(); err != nil {
		return nil
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil
		}
		m := member{name: name.String()}
		value, err := dec.ReadValue()
		if err != nil {
			return nil
		}
		m.value = value.Clone()
		all = append(all, m)
	}
	return all
}

func appendMember(b []byte, name string, value jsontext.Value) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = appendString(b, name)
	b = append(b, ':')
	return append(b, value...)
}
