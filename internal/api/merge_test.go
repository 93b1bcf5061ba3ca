package api

import (
	stdjson "encoding/json"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/teknohole/jadwal"
)

// The examples of RFC 7396, appendix A.
func TestMergePatchAsInTheRFC(t *testing.T) {
	for _, c := range []struct{ target, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"n":1.50,"m":{"x":1e400}}`, `{"m":{"y":9007199254740993}}`, `{"n":1.50,"m":{"x":1e400,"y":9007199254740993}}`},
		{`{"\u0061":1}`, `{"a":2}`, `{"a":2}`},
	} {
		if got := string(mergePatch(jsontext.Value(c.target), jsontext.Value(c.patch))); got != c.want {
			t.Errorf("%s + %s: got %s, want %s", c.target, c.patch, got, c.want)
		}
	}
}

// FuzzMergePatch compares with a merge of decoded values.
func FuzzMergePatch(f *testing.F) {
	f.Add(`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null},"e":[null]}`)
	f.Add(`[1]`, `{"a":null}`)
	f.Fuzz(func(t *testing.T, target, patch string) {
		a, b := jsontext.Value(target), jsontext.Value(patch)
		if !a.IsValid() || !b.IsValid() {
			return
		}
		a.Compact()
		b.Compact()
		merged := mergePatch(a, b)
		var x, y, got any
		if stdjson.Unmarshal(a, &x) != nil || stdjson.Unmarshal(b, &y) != nil {
			return // numbers that float64 cannot hold
		}
		if err := stdjson.Unmarshal(merged, &got); err != nil {
			t.Fatalf("%s + %s: %s: %v", a, b, merged, err)
		}
		if want := mergeValues(x, y); !reflect.DeepEqual(got, want) {
			t.Fatalf("%s + %s: got %v, want %v", a, b, got, want)
		}
	})
}

func mergeValues(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	result := map[string]any{}
	if old, ok := target.(map[string]any); ok {
		for name, v := range old {
			result[name] = v
		}
	}
	for name, v := range changes {
		if v == nil {
			delete(result, name)
		} else {
			result[name] = mergeValues(result[name], v)
		}
	}
	return result
}

func TestASecretStaysOnlyWithItsOrigin(t *testing.T) {
	before := jadwal.DefaultDefinition()
	before.Name, before.Target.URL = "a", "https://a.example/x"
	before.Target.Headers = map[string]string{"Authorization": "Bearer s3cret", "X-Plain": "p"}
	for _, c := range []struct {
		rule, patch, want string // want: the Authorization afterwards; "refused"
	}{
		{"it stays when it is not mentioned", `{"description":"x"}`, "Bearer s3cret"},
		{"it stays when other headers change", `{"target":{"headers":{"X-Plain":null}}}`, "Bearer s3cret"},
		{"it stays when the path changes", `{"target":{"url":"https://a.example:443/y"}}`, "Bearer s3cret"},
		{"it can be changed", `{"target":{"headers":{"Authorization":"new"}}}`, "new"},
		{"it can be removed", `{"target":{"headers":{"Authorization":null}}}`, ""},
		{"it does not go to another host", `{"target":{"url":"https://b.example/x"}}`, "refused"},
		{"it does not go to another scheme", `{"target":{"url":"http://a.example/x"}}`, "refused"},
		{"it does not go to another port", `{"target":{"url":"https://a.example:8443/x"}}`, "refused"},
		{"a new one goes to a new host", `{"target":{"url":"https://b.example/x","headers":{"Authorization":"new"}}}`, "new"},
		{"null in another case takes it nowhere", `{"target":{"url":"https://b.example/x","headers":{"authorization":null}}}`, ""},
		{"nor does it with its name besides", `{"target":{"url":"https://b.example/x","headers":{"AUTHORIZATION":null},"secret_headers":["Authorization"]}}`, ""},
		{"nor does a value in another case", `{"target":{"url":"https://b.example/x","headers":{"authorization":""}}}`, ""},
		{"none goes to a new host", `{"target":{"url":"https://b.example/x","headers":{"Authorization":null}}}`, ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			var p jobPatch
			if err := p.readPatch([]byte(c.patch)); err != nil {
				t.Fatal(err)
			}
			after, err := p.apply(&jadwal.Job{Definition: before})
			if (err != nil) != (c.want == "refused") {
				t.Fatalf("got %v", err)
			}
			if err == nil && after.Target.Headers["Authorization"] != c.want {
				t.Errorf("got %q", after.Target.Headers)
			}
		})
	}
}
