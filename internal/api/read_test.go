package api

import (
	"bytes"
	stdjson "encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/teknohole/jadwal"
)

func TestBodiesThatAreRefused(t *testing.T) {
	job := func(s string) string { return `{"name":"a","target":{"url":"http://a"},` + s + `}` }
	for _, c := range []struct {
		rule, body  string
		field, code string // "": malformed
		message     string // part of it
	}{
		{"nothing", "", "", "", "empty"},
		{"only space", " \n", "", "", "empty"},
		{"not JSON", "name=a", "", "", "not valid JSON: see byte"},
		{"cut off", `{"name":"a`, "", "", "not valid JSON"},
		{"a comma too many", `{"name":"a",}`, "", "", "not valid JSON"},
		{"single quotes", `{'name':'a'}`, "", "", "not valid JSON"},
		{"a comment", `{"name":"a"/**/}`, "", "", "not valid JSON"},
		{"two values", `{} {}`, "", "", "not valid JSON"},
		{"something after the value", `{"name":"a"}x`, "", "", "not valid JSON"},
		{"a byte order mark", "\xef\xbb\xbf{}", "", "", "byte order mark"},
		{"UTF-16", "\xff\xfe{\x00}\x00", "", "", "UTF-8"},
		{"a byte that is not UTF-8", "{\"name\":\"a\xff\"}", "", "", "UTF-8"},
		{"an overlong slash", "{\"name\":\"\xc0\xaf\"}", "", "", "UTF-8"},
		{"half a surrogate pair", `{"name":"\ud800"}`, "", "", "not valid JSON"},
		{"the halves of a pair in the wrong order", `{"name":"\udc00\ud800"}`, "", "", "not valid JSON"},
		{"a bad escape", `{"name":"\x"}`, "", "", "not valid JSON"},
		{"a control character", "{\"name\":\"a\nb\"}", "", "", "not valid JSON"},
		{"NaN", job(`"timeout":NaN`), "", "", "not valid JSON"},
		{"a leading zero", job(`"tags":01`), "tags", "wrong_type", ""},
		{"too deep", strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), "", "", "deeper than 64"},
		{"too deep in arrays", strings.Repeat("[", 100000), "", "", "deeper than 64"},
		{"an array", `[]`, "", "", "must be a JSON object, got an array"},
		{"null", `null`, "", "", "must be a JSON object, got null"},
		{"a string", `"a"`, "", "", "must be a JSON object, got a string"},
		{"a number", `1`, "", "", "must be a JSON object, got a number"},
		{"true", `true`, "", "", "must be a JSON object, got a boolean"},
		{"an unknown member", job(`"retries":3`), "retries", "unknown", `unknown member "retries"; there are name`},
		{"a mistyped member", job(`"time_zone":"UTC"`), "time_zone", "unknown", `did you mean "timezone"?`},
		{"a member of a schedule beside them", job(`"cron":"* * * * *"`), "cron", "unknown", `did you mean "schedules[0].cron"?`},
		{"a member of the target beside it", job(`"method":"GET"`), "method", "unknown", `did you mean "target.method"?`},
		{"another case", `{"Name":"a"}`, "Name", "unknown", `did you mean "name"?`},
		{"an empty name", `{"":1}`, "", "", ""},
		{"a member twice", `{"name":"a","name":"b"}`, "name", "duplicate", `"name" is there twice`},
		{"a member twice, written otherwise", `{"name":"a","\u006eame":"b"}`, "name", "duplicate", ""},
		{"a member twice further down", `{"target":{"url":"a","url":"b"}}`, "target.url", "duplicate", ""},
		{"a header twice", `{"target":{"headers":{"A":"1","A":"2"}}}`, "target.headers.A", "duplicate", ""},
		{"a member twice in what is any JSON", `{"target":{"body":{"a":1,"a":2}}}`, "target.body.a", "duplicate", ""},
		{"a number for a string", `{"name":1}`, "name", "wrong_type", "name must be a string, got a number"},
		{"true for a string", `{"name":true}`, "name", "wrong_type", "got a boolean"},
		{"an object for a string", `{"name":{}}`, "name", "wrong_type", "got an object"},
		{"an array for a string", `{"name":["a"]}`, "name", "wrong_type", "got an array"},
		{"a string for a number", `{"retry":{"multiplier":"2"}}`, "retry.multiplier", "wrong_type", "retry.multiplier must be a number, got a string"},
		{"a fraction for a whole number", `{"max_runs":1.5}`, "max_runs", "wrong_type", "max_runs must be a whole number, got a number"},
		{"too large a number", `{"retry":{"multiplier":1e400}}`, "retry.multiplier", "out_of_range", "retry.multiplier is out of range"},
		{"too large a whole number", `{"max_runs":9223372036854775808}`, "max_runs", "out_of_range", "max_runs is out of range"},
		{"null for a string", `{"name":null}`, "name", "wrong_type", "name must be a string, got null"},
		{"null for a list", job(`"tags":null`), "tags", "wrong_type", "an array, got null"},
		{"null in a list", job(`"tags":["a",null]`), "tags[1]", "wrong_type", "got null"},
		{"null for an object", `{"target":null}`, "target", "wrong_type", "an object, got null"},
		{"null for a map", `{"target":{"headers":null}}`, "target.headers", "wrong_type", "got null"},
		{"null in a map", `{"target":{"headers":{"A":null}}}`, "target.headers.A", "wrong_type", "got null"},
		{"null for a duration", job(`"timeout":null`), "timeout", "wrong_type", `timeout must be a string such as "90s", got null`},
		{"a number for a duration", job(`"timeout":30`), "timeout", "wrong_type", `timeout must be a string such as "90s", got a number`},
		{"a number for an instant", job(`"start_at":1795833000`), "start_at", "wrong_type", `start_at must be a string such as "2026-12-31T23:00:00Z", got a number`},
		{"no duration", job(`"timeout":"soon"`), "timeout", "invalid", "not a duration"},
		{"no duration, and the way out is told to its end", job(`"timeout":"thirty seconds or so"`), "timeout", "invalid", `"thirty seconds or so" is not a duration such as 90s, 1h30m or, for 30 days, 720h`},
		{"no duration, of which 64 bytes are named", job(`"timeout":"` + strings.Repeat("x", 100) + `"`), "timeout", "invalid", `not valid: "` + strings.Repeat("x", 64) + `" is not a duration`},
		{"a string for a list", job(`"tags":"a"`), "tags", "wrong_type", "an array, got a string"},
		{"a string for an object", `{"target":"http://a"}`, "target", "wrong_type", "an object, got a string"},
		{"a list for an object", `{"target":[]}`, "target", "wrong_type", "an object, got an array"},
		{"an unknown member further down", job(`"schedules":[{"cron":"* * * * *"},{"corn":"* * * * *"}]`), "schedules[1].corn", "unknown", `did you mean "cron"?`},
		{"a wrong type further down", job(`"schedules":[{"cron":5}]`), "schedules[0].cron", "wrong_type", "schedules[0].cron must be a string"},
		{"a member that is not built yet", job(`"priority":1`), "priority", "unknown", ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			var body jobBody
			err := readJSON([]byte(c.body), &body, nullsRefused)
			e, ok := err.(*jadwal.Error)
			if !ok {
				t.Fatalf("got %v", err)
			}
			if c.field == "" && c.code == "" {
				if e.Code != jadwal.CodeMalformed && c.rule != "an empty name" {
					t.Errorf("got %+v", e)
				}
			} else if e.Code != jadwal.CodeValidation || len(e.Fields) != 1 || e.Fields[0].Field != c.field || e.Fields[0].Code != c.code {
				t.Errorf("got %+v, want %s %s", e, c.field, c.code)
			}
			if !strings.Contains(e.Message, c.message) {
				t.Errorf("got %q, want %q in it", e.Message, c.message)
			}
		})
	}
}

func TestAllMembersThatAreWrongAreTold(t *testing.T) {
	for _, c := range []struct {
		rule, body string
		null       nulls
		want       string // fields and codes, in order
	}{
		{"types, in the order of the body", `{"timeout":true,"name":1,"tags":"a"}`, nullsRefused, "timeout wrong_type, name wrong_type, tags wrong_type"},
		{"further down, and in lists and maps", `{"target":{"url":1,"headers":{"A":1,"B":"b"}},"schedules":[{"cron":5},1,{"at":false}]}`, nullsRefused,
			"target.url wrong_type, target.headers.A wrong_type, schedules[0].cron wrong_type, schedules[1] wrong_type, schedules[2].at wrong_type"},
		{"names that are not known beside types", `{"nmae":"a","retry":{"max":3,"multiplier":"x"},"timeout":5}`, nullsRefused, "nmae unknown, retry.max unknown, retry.multiplier wrong_type, timeout wrong_type"},
		{"what is of the type and no value of it", `{"timeout":"soon","jitter":"later","start_at":"noon","max_runs":1.5}`, nullsRefused, "timeout invalid, jitter invalid, start_at invalid, max_runs wrong_type"},
		{"nulls", `{"name":null,"tags":["a",null],"start_at":null,"target":{"body":null,"url":null}}`, nullsRefused, "name wrong_type, tags[1] wrong_type, target.url wrong_type"},
		{"in a patch a null is none, but for those in lists", `{"name":null,"tags":["a",null],"target":{"headers":{"A":null,"B":1}}}`, nullsRemove, "tags[1] wrong_type, target.headers.B wrong_type"},
		{"what only the server sets may be there", `{"id":1,"last_run":{"x":1},"name":1,"state":5,"timeout":1}`, nullsRefused, "name wrong_type, timeout wrong_type"},
		{"no more than five", `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1}`, nullsRefused, "a unknown, b unknown, c unknown, d unknown, e unknown"},
		{"and none behind the first thousand values", `{"nmae":1,"tags":[` + strings.Repeat(`"a",`, 1000) + `"a"],"timeout":1}`, nullsRefused, "nmae unknown"},
		{"that a member is there twice is told once what is before it is right", `{"name":1,"timeout":1,"name":"a"}`, nullsRefused, "name wrong_type, timeout wrong_type"},
		{"and then alone", `{"name":"a","name":"b","timeout":1}`, nullsRefused, "name duplicate"},
		{"what follows may be no JSON", `{"name":1,"timeout":}`, nullsRefused, "name wrong_type"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			err := readJSON([]byte(c.body), new(patchShape), c.null)
			e, ok := err.(*jadwal.Error)
			if !ok {
				t.Fatalf("got %v", err)
			}
			var got []string
			for _, f := range e.Fields {
				got = append(got, f.Field+" "+f.Code)
			}
			if strings.Join(got, ", ") != c.want || e.Message != e.Fields[0].Message {
				t.Errorf("got %s: %s", strings.Join(got, ", "), e.Message)
			}
		})
	}
}

func TestAnErrorNamesAtMost64BytesOfAValue(t *testing.T) {
	long := strings.Repeat("é", 5000)
	for _, body := range []string{`{"` + long + `":1}`, `{"target":{"headers":{"` + long + `":1}}}`, `{"name":"a","timeout":"` + long + `"}`} {
		var b jobBody
		e, ok := readJSON([]byte(body), &b, nullsRefused).(*jadwal.Error)
		if !ok {
			t.Fatal("accepted")
		}
		for _, s := range []string{e.Message, e.Fields[0].Field, e.Fields[0].Message} {
			if strings.Count(s, "é") > 32 || !utf8.ValidString(s) {
				t.Errorf("got %q", s)
			}
		}
	}
}

func TestWhatIsLeftOutHasItsDefault(t *testing.T) {
	var got jobBody
	if err := readJSON([]byte(`{"name":"a","target":{"url":"http://a","body": {"n": 1.50} }}`), &got, nullsRefused); err != nil {
		t.Fatal(err)
	}
	want := jadwal.DefaultDefinition()
	want.Name, want.Target.URL, want.Target.Body = "a", "http://a", jadwal.RawJSON(`{"n":1.50}`)
	if d := got.definition(); !reflect.DeepEqual(d, want) {
		t.Errorf("got %+v", d)
	}
}

func TestNullIsNoBody(t *testing.T) {
	var got jobBody
	if err := readJSON([]byte(`{"name":"a","target":{"url":"http://a","body":null}}`), &got, nullsRefused); err != nil {
		t.Fatal(err)
	}
	if d := got.definition(); len(d.Target.Body) != 0 {
		t.Errorf("got %q", d.Target.Body)
	}
}

// FuzzReadJSON holds the reader to the standard library: what is read is valid
// JSON of one object in UTF-8, and reads the same there, where no rule of ours
// is broken.
func FuzzReadJSON(f *testing.F) {
	for _, seed := range []string{
		`{"name":"a","target":{"url":"http://a","headers":{"A":"b"},"body":[1,{"c":null}]},"tags":["x"],"schedules":[{"cron":"* * * * *"}],"timeout":"1m"}`,
		`{"name":null}`, `{"a":1}`, `[]`, "\xef\xbb\xbf{}", `{"name":"\ud800"}`, `{"name":"a","name":"b"}`, `{"target":{"body":"x"}}`, `{}x`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got jobBody
		err := readJSON(text, &got, nullsRefused)
		if e, ok := err.(*jadwal.Error); err != nil {
			if !ok || e.Message == "" || !utf8.ValidString(e.Message) || e.Code != jadwal.CodeMalformed && len(e.Fields) == 0 {
				t.Fatalf("got %#v", err)
			}
			return
		}
		if !utf8.Valid(text) || !stdjson.Valid(text) || bytes.TrimSpace(text)[0] != '{' {
			t.Fatalf("accepted %q", text)
		}
		want := bodyOf(jadwal.DefaultDefinition())
		dec := stdjson.NewDecoder(bytes.NewReader(text))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&want); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %+v, want %+v", text, got, want)
		}
		again, err := (&jobPatch{text: text}).apply(&jadwal.Job{Definition: jadwal.DefaultDefinition()})
		if err != nil {
			t.Fatal(err)
		}
		if len(again.Target.Body) == 0 && len(got.Target.Body) == 0 && !reflect.DeepEqual(again, got.definition()) {
			t.Fatalf("%q as a patch: got %+v, want %+v", text, again, got.definition())
		}
	})
}

func TestWhatWasProbablyMeant(t *testing.T) {
	for _, c := range []struct {
		got   string
		names []string
		want  string
	}{
		{"onwer", []string{"owner", "limit"}, `; did you mean "owner"?`},
		{"Limit", []string{"owner", "limit"}, `; did you mean "limit"?`},
		{"colour", []string{"owner", "limit"}, "; there are owner, limit"},
		{"colour", []string{"owner"}, "; there is only owner"},
		{"colour", nil, ""},
	} {
		if got := suggest(c.got, c.names); got != c.want {
			t.Errorf("%s of %v: got %q, want %q", c.got, c.names, got, c.want)
		}
	}
}
