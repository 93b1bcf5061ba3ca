package api

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// documentOf is openapi.json as encoding/json reads it.
var documentOf = sync.OnceValue(func() map[string]any {
	document, _ := decode(openAPI).(map[string]any)
	return document
})

// checkAgainstDocument checks the answer of a route against what openapi.json
// says of it: the status is one of the route's, the body has its schema, and
// so had the request's body if it was accepted.
func checkAgainstDocument(t testing.TB, method, path, request string, resp *http.Response, answer []byte) {
	t.Helper()
	res, _ := newRouter(routes()).find(path)
	if res == nil || res.route(method) == nil || resp.StatusCode == http.StatusRequestURITooLong || method == "HEAD" {
		return
	}
	pattern := res.route(method).pattern
	op := at(documentOf(), "paths", pattern, strings.ToLower(method))
	described := follow(at(op, "responses", strconv.Itoa(resp.StatusCode)))
	if described == nil {
		t.Errorf("%s %s: openapi.json knows no status %d", method, pattern, resp.StatusCode)
		return
	}
	if schema := at(described, "content", "application/json", "schema"); at(schema, "properties", "success") != nil {
		checkSchema(t, method+" "+pattern+": the answer", schema, decode(answer))
	}
	for name := range resp.Header {
		switch name {
		case "Etag", "Location", "Link", "X-Total-Count", "X-Total-Count-Exact", "Retry-After", "Www-Authenticate", "Idempotent-Replayed":
			headers, _ := at(described, "headers").(map[string]any)
			if !slices.ContainsFunc(sortedNames(headers), func(known string) bool { return strings.EqualFold(known, name) }) {
				t.Errorf("%s %s: openapi.json knows no header %s with status %d", method, pattern, name, resp.StatusCode)
			}
		}
	}
	if schema := at(op, "requestBody", "content", "application/json", "schema"); schema != nil && resp.StatusCode/100 == 2 && request != "" {
		checkSchema(t, method+" "+pattern+": the accepted body", schema, decode([]byte(request)))
	}
}

func decode(text []byte) (v any) {
	dec := stdjson.NewDecoder(bytes.NewReader(text))
	dec.UseNumber() // targets may be sent numbers that float64 cannot hold
	if err := dec.Decode(&v); err != nil {
		return err.Error()
	}
	return v
}

// floatOf is a number of a schema or of a value.
func floatOf(v any) float64 {
	n, _ := v.(stdjson.Number).Float64()
	return n
}

// at walks into objects.
func at(v any, steps ...string) any {
	for _, step := range steps {
		m, _ := v.(map[string]any)
		v = m[step]
	}
	return v
}

// follow resolves a reference.
func follow(v any) any {
	if ref, ok := at(v, "$ref").(string); ok {
		return at(documentOf(), strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	return v
}

func checkSchema(t testing.TB, where string, schema, v any) {
	t.Helper()
	for _, wrong := range mismatches(schema, v) {
		t.Errorf("%s does not fit openapi.json: %s", where, wrong)
	}
}

// mismatches is what of a value does not fit a schema (JSON Schema 2020-12, as
// far as the document uses it).
func mismatches(schema, v any) (wrong []string) {
	s, _ := follow(schema).(map[string]any)
	fail := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	within := func(name string, inner []string) {
		for _, w := range inner {
			fail("%s: %s", name, w)
		}
	}
	for keyword, rule := range s {
		switch keyword {
		case "type":
			if !slices.ContainsFunc(listOf(rule), func(kind any) bool { return kind == kindOf(v) || kind == "number" && kindOf(v) == "integer" }) {
				fail("%v is not of type %v", v, rule)
			}
		case "enum":
			if !slices.Contains(listOf(rule), v) {
				fail("%v is none of %v", v, rule)
			}
		case "properties":
			object, _ := v.(map[string]any)
			for name, member := range object {
				if inner := at(rule, name); inner != nil {
					within(name, mismatches(inner, member))
				} else if s["additionalProperties"] == false {
					fail("%s is not known", name)
				}
			}
		case "additionalProperties":
			if _, ok := rule.(map[string]any); ok {
				object, _ := v.(map[string]any)
				for name, member := range object {
					within(name, mismatches(rule, member))
				}
			}
		case "required":
			for _, name := range listOf(rule) {
				if object, ok := v.(map[string]any); ok {
					if _, there := object[name.(string)]; !there {
						fail("%v is missing", name)
					}
				}
			}
		case "items":
			list, _ := v.([]any)
			for i, e := range list {
				within(strconv.Itoa(i), mismatches(rule, e))
			}
		case "anyOf":
			if !slices.ContainsFunc(listOf(rule), func(one any) bool { return len(mismatches(one, v)) == 0 }) {
				fail("%v fits none of %v", v, rule)
			}
		case "allOf":
			for _, one := range listOf(rule) {
				wrong = append(wrong, mismatches(one, v)...)
			}
		case "pattern":
			if text, ok := v.(string); ok && !regexp.MustCompile(rule.(string)).MatchString(text) {
				fail("%q does not match %s", text, rule)
			}
		case "minimum", "maximum":
			if n, ok := v.(stdjson.Number); ok && (keyword == "minimum" && floatOf(n) < floatOf(rule) || keyword == "maximum" && floatOf(n) > floatOf(rule)) {
				fail("%v is beyond the %s %v", n, keyword, rule)
			}
		case "minItems", "maxItems":
			if list, ok := v.([]any); ok {
				if n := float64(len(list)); keyword == "minItems" && n < floatOf(rule) || keyword == "maxItems" && n > floatOf(rule) {
					fail("%d elements are beyond the %s %v", len(list), keyword, rule)
				}
			}
		case "minLength", "maxLength":
			if text, ok := v.(string); ok {
				if n := float64(len([]rune(text))); keyword == "minLength" && n < floatOf(rule) || keyword == "maxLength" && n > floatOf(rule) {
					fail("%q is beyond the %s %v", text, keyword, rule)
				}
			}
		case "format", "description", "examples", "default", "readOnly":
		default:
			fail("the schema says %s, which this test does not know", keyword)
		}
	}
	return wrong
}

func listOf(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case stdjson.Number:
		if _, err := v.Int64(); err == nil {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

func TestMismatchesAreSeen(t *testing.T) {
	schema := decode([]byte(`{"type":"object","required":["a"],"additionalProperties":false,"properties":{
		"a":{"type":["string","null"],"enum":["x",null]},"b":{"type":"array","items":{"type":"integer","minimum":1},"maxItems":2},"c":{"anyOf":[{"type":"null"},{"$ref":"#/components/schemas/Description"}]}}}`))
	for value, want := range map[string]bool{
		`{"a":"x"}`: true, `{"a":null,"b":[1,2]}`: true, `{"a":"x","c":null}`: true, `{"a":"x","c":{"en":"","id":""}}`: true,
		`{}`: false, `[]`: false, `{"a":"y"}`: false, `{"a":1}`: false, `{"a":"x","d":1}`: false, `{"a":"x","b":[0]}`: false, `{"a":"x","b":[1,2,3]}`: false, `{"a":"x","b":[1.5]}`: false, `{"a":"x","c":{"en":""}}`: false,
	} {
		if got := len(mismatches(schema, decode([]byte(value)))) == 0; got != want {
			t.Errorf("%s: got %t", value, got)
		}
	}
}
