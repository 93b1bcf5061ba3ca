package jadwal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// Difference is one member that two definitions do not have in common. Field
// is its path, such as "target.url"; From and To are its values, empty where it
// is not there. Of a secret header and a client key only that it differs is told.
type Difference struct {
	Field    string
	From, To RawJSON
	Secret   bool
}

// Differences returns what is not the same in two definitions, in the order of
// their members. Lists and target.body are compared as a whole.
func Differences(before, after *Definition) ([]Difference, error) {
	old, err := leaves(before)
	if err != nil {
		return nil, err
	}
	now, err := leaves(after)
	if err != nil {
		return nil, err
	}
	all := []Difference{}
	differ := func(field string, from, to RawJSON, secret bool) {
		switch {
		case bytes.Equal(from, to):
		case secret:
			all = append(all, Difference{Field: field, Secret: true})
		default:
			all = append(all, Difference{Field: field, From: from, To: to})
		}
	}
	// Both are in the order of the members, but for some that one does not have.
	for len(old) > 0 || len(now) > 0 {
		switch {
		case len(now) == 0 || len(old) > 0 && !slices.ContainsFunc(now, old[0].same):
			differ(old[0].field, old[0].value, nil, old[0].secret)
			old = old[1:]
		case len(old) == 0 || !slices.ContainsFunc(old, now[0].same):
			differ(now[0].field, nil, now[0].value, now[0].secret)
			now = now[1:]
		default:
			differ(old[0].field, old[0].value, now[0].value, old[0].secret || now[0].secret)
			old, now = old[1:], now[1:]
		}
	}
	return all, nil
}

// leaf is a member of a definition that is no object itself.
type leaf struct {
	field  string
	value  RawJSON
	secret bool
}

func (l leaf) same(other leaf) bool { return l.field == other.field }

// leaves are the members of a definition, in order.
func leaves(d *Definition) ([]leaf, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		return nil, fmt.Errorf("definition of job %s: %w", d.Name, err)
	}
	return appendLeaves(nil, "", bytes.TrimSpace(b.Bytes()))
}

func appendLeaves(all []leaf, field string, value json.RawMessage) ([]leaf, error) {
	if value[0] != '{' || field == "target.body" {
		return append(all, leaf{field, RawJSON(value), field == ClientKeyField}), nil
	}
	dec := json.NewDecoder(bytes.NewReader(value))
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%s of a definition: %w", field, err)
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("%s of a definition: %w", field, err)
		}
		var member json.RawMessage
		if err := dec.Decode(&member); err != nil {
			return nil, fmt.Errorf("%s of a definition: %w", field, err)
		}
		path := name.(string)
		if field != "" {
			path = field + "." + path
		}
		if field == "target.headers" {
			var text string
			if err := json.Unmarshal(member, &text); err != nil {
				return nil, fmt.Errorf("%s of a definition: %w", path, err)
			}
			all = append(all, leaf{path, RawJSON(member), hides(name.(string), text)})
			continue
		}
		if all, err = appendLeaves(all, path, member); err != nil {
			return nil, err
		}
	}
	return all, nil
}
