package store

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/schedule"
)

// filled sets every member of v, all the way down, to something else than its
// zero value.
func filled(t *testing.T, v reflect.Value) {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = time.Date(2027, 3, 14, 2, 30, 0, 123456000, time.UTC)
		return
	case *jadwal.RawJSON:
		*x = jadwal.RawJSON(`{"a":[1,"\u2028<&>",null,1.50,{}]}`)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			filled(t, v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		filled(t, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			filled(t, v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		element := reflect.New(v.Type().Elem()).Elem()
		filled(t, element)
		v.SetMapIndex(reflect.ValueOf("X-Ünï"), element)
	case reflect.String:
		v.SetString("a\x00\"\\/<&>\u2028\u2029 💥 ü")
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(90 * time.Second))
	case reflect.Float64:
		v.SetFloat(1.25)
	case reflect.Bool:
		v.SetBool(true)
	default:
		t.Fatalf("a definition has a member of kind %s now, which this test cannot fill", v.Kind())
	}
}

func TestDecode(t *testing.T) {
	full := jadwal.Definition{}
	filled(t, reflect.ValueOf(&full).Elem())
	wild := jadwal.DefaultDefinition()
	wild.Description, wild.Schedules = "not UTF-8: \xff\xc0", []schedule.Spec{{Cron: "@daily"}, {Every: "6h"}}
	twice := jadwal.DefaultDefinition()
	twice.Target.Body = jadwal.RawJSON("{\"a\":1,\"a\":\"\xff\"}")
	for _, tt := range []struct {
		rule string
		d    jadwal.Definition
	}{
		{"a definition of which every member is set comes back as it was", full},
		{"one with the defaults does, its empty lists included", jadwal.DefaultDefinition()},
		{"one of zero values does", jadwal.Definition{}},
		{"what is not UTF-8 comes back as encoding/json wrote it", wild},
		{"a body with a name twice and bytes that are not UTF-8 does", twice},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			text, err := json.Marshal(tt.d)
			if err != nil {
				t.Fatal(err)
			}
			var got, want jadwal.Definition
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			if err := new(tx).decode(1, text, &got); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%v, got\n%+v, want\n%+v", err, got, want)
			}
		})
	}
	t.Run("what is stored comes back, and of an ordinary job it is little", func(t *testing.T) {
		ordinary := jadwal.DefaultDefinition()
		ordinary.Name, ordinary.Target.URL, ordinary.Schedules = "invoices", "https://api.example.com/invoices", []schedule.Spec{{Cron: "30 2 * * *"}}
		within := ordinary // members of a target that are unusual among usual ones
		within.Target.Method, within.Target.Body = "PUT", jadwal.RawJSON(`{"retry":null,"target":{"method":"POST"}}`)
		within.Retry.MaxAttempts, within.MaxRuns = 2, 5
		open := full
		open.Target.TLS.ClientKey = "" // which would be sealed
		open.Target.Secrets = []jadwal.SecretID{{Name: "a", ID: 1 << 60}, {Name: "b\"", ID: 2}}
		for _, tt := range []struct {
			d    jadwal.Definition
			want string // "": not told
		}{
			{ordinary, `{"name":"invoices","schedules":[{"cron":"30 2 * * *"}],"target":{"url":"https://api.example.com/invoices"}}`},
			{within, `{"name":"invoices","schedules":[{"cron":"30 2 * * *"}],"target":{"method":"PUT","url":"https://api.example.com/invoices","body":{"retry":null,"target":{"method":"POST"}}},` +
				`"max_runs":5,"retry":{"max_attempts":2,"min_backoff":"10s","max_backoff":"1h","multiplier":2,"max_duration":"24h"}}`},
			{open, ""}, {jadwal.DefaultDefinition(), ""}, {jadwal.Definition{}, ""}, {wild, ""}, {twice, ""},
		} {
			text, err := new(tx).encode(&tt.d, 1, 1)
			if err != nil || tt.want != "" && text != tt.want {
				t.Fatalf("%v, got %s, want %s", err, text, tt.want)
			}
			whole, err := encodeWhole(&storedDefinition{Definition: &tt.d})
			if err != nil {
				t.Fatal(err)
			}
			var got, want jadwal.Definition
			err = errors.Join(new(tx).decode(1, []byte(text), &got), json.Unmarshal(whole, &want))
			want.Target.Secrets = tt.d.Target.Secrets
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %v, got\n%+v, want\n%+v", text, err, got, want)
			}
		}
	})
	t.Run("what is not stored is not for later versions to choose", func(t *testing.T) {
		const golden = `{"name":"","description":"","tags":[],"schedules":[],"timezone":"UTC","start_at":null,"end_at":null,"dst":{"gap":"run_after","overlap":"auto"},` +
			`"target":{"type":"http","method":"POST","url":"","headers":{},"body":null,"expect":{"status":"2xx","body":""},"redirects":0},` +
			`"timeout":"30s","output":{"success":1024,"failure":65536},"overlap":"skip","max_runs":0,"jitter":"0s",` +
			`"retry":{"max_attempts":3,"min_backoff":"10s","max_backoff":"1h","multiplier":2,"max_duration":"24h"},` +
			`"max_concurrent":1,"catchup":"latest","catchup_window":null,"after_completion":"keep","pause_after_failures":0}`
		d := usual()
		if got, err := encodeWhole(&storedDefinition{Definition: &d}); err != nil || string(got) != golden {
			t.Errorf("%v, got\n%s, want\n%s", err, got, golden)
		}
	})
	t.Run("no member whose zero value is not written is usually another", func(t *testing.T) {
		var look func(path string, v reflect.Value)
		look = func(path string, v reflect.Value) {
			for i := range v.NumField() {
				field := v.Type().Field(i)
				if tag := field.Tag.Get("json"); strings.Contains(tag, ",omit") && !v.Field(i).IsZero() {
					t.Errorf("the zero value of %s%s would come back as the usual one: have it written", path, field.Name)
				}
				if v.Field(i).Kind() == reflect.Struct {
					look(path+field.Name+".", v.Field(i))
				}
			}
		}
		look("", reflect.ValueOf(usual()))
	})
	t.Run("one that was stored before jobs could choose what they keep has the default", func(t *testing.T) {
		var got jadwal.Definition
		if err := new(tx).decode(1, []byte(`{"name":"old"}`), &got); err != nil || got.Output != jadwal.DefaultOutput {
			t.Errorf("%v, %+v", err, got.Output)
		}
	})
	t.Run("what is no definition is an error that names the job", func(t *testing.T) {
		for _, text := range []string{"", "{", `{"name":1}`, `{"timeout":"soon"}`, `{} {}`} {
			err := new(tx).decode(77, []byte(text), new(jadwal.Definition))
			if err == nil || err.Error()[:len("definition of job 77: ")] != "definition of job 77: " {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}

func TestADefinitionReaderShares(t *testing.T) {
	const plain, sealed = `"url":"https://a.example.com/"`, `,"sealed":{"version":1,"text":"AAAA"}`
	with := func(headers, rest string) string {
		return `{"name":"a","target":{` + plain + `,"headers":` + headers + `}` + rest + `}`
	}
	const bearer = `{"Authorization":"Bearer {{secret \"token\"}}"}`
	for _, tt := range []struct {
		rule           string
		before, after  string
		headers, names bool // shared
	}{
		{"the same ones are one", with(bearer, `,"secrets":{"token":7}`), with(bearer, `,"secrets":{"token":7}`), true, true},
		{"another header is not", with(bearer, ""), with(`{"Authorization":"Bearer a"}`, ""), false, false},
		{"a secret of the same name is another one", with(bearer, `,"secrets":{"token":7}`), with(bearer, `,"secrets":{"token":8}`), false, false},
		{"nor has one without secrets any", with(bearer, `,"secrets":{"token":7}`), with(bearer, ""), false, false},
		{"nor one without headers", with(bearer, ""), `{"name":"a","target":{` + plain + `}}`, false, false},
		{"what is sealed belongs to nobody else: before", with(`{"X-Key":""}`, sealed), with(`{"X-Key":""}`, ""), false, false},
		{"after", with(`{"X-Key":""}`, ""), with(`{"X-Key":""}`, sealed), false, false},
		{"both", with(`{"X-Key":""}`, sealed), with(`{"X-Key":""}`, sealed), false, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			var reader definitionReader
			var before, after, alone jadwal.Definition
			if err := errors.Join(reader.decode(new(tx), 1, []byte(tt.before), &before), reader.decode(new(tx), 2, []byte(tt.after), &after),
				new(tx).decode(2, []byte(tt.after), &alone)); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(after, alone) {
				t.Errorf("got\n%+v, want\n%+v", after.Target, alone.Target)
			}
			a, b := &before.Target, &after.Target
			if got := reflect.ValueOf(a.Headers).UnsafePointer() == reflect.ValueOf(b.Headers).UnsafePointer(); got != tt.headers {
				t.Errorf("headers shared: %v", got)
			}
			if got := len(a.Secrets) > 0 && len(b.Secrets) > 0 && &a.Secrets[0] == &b.Secrets[0]; got != tt.names {
				t.Errorf("secrets shared: %v", got)
			}
		})
	}
}

// BenchmarkDecode reads the definition of an ordinary job, beside encoding/json
// (ratio is its time over ours) and beside all members of it written; and one
// with headers that names a secret, which are those of the job before, or not.
func BenchmarkDecode(b *testing.B) {
	d := jadwal.DefaultDefinition()
	d.Name, d.Target.URL, d.Schedules = "invoices", "https://api.example.com/invoices", []schedule.Spec{{Cron: "30 2 * * *"}}
	named := d
	named.Target.Headers = map[string]string{"Authorization": `Bearer {{secret "token"}}`, "X-Due": `{{run.due_at "date"}}`}
	named.Target.Secrets = []jadwal.SecretID{{Name: "token", ID: 7}}
	other := named
	other.Target.Secrets = []jadwal.SecretID{{Name: "token", ID: 8}}
	write := func(d *jadwal.Definition, encode func(*storedDefinition) ([]byte, error)) []byte {
		text, err := encode(&storedDefinition{Definition: d, Secrets: d.Target.Secrets})
		if err != nil {
			b.Fatal(err)
		}
		return text
	}
	short := func(d *storedDefinition) ([]byte, error) {
		text, err := encodePlain(d)
		return []byte(text), err
	}
	ordinary := write(&d, short)
	names := []string{"ordinary-ns", "whole-ns", "shared-ns", "named-ns"}
	texts := [][2][]byte{
		{ordinary, ordinary}, {write(&d, encodeWhole), write(&d, encodeWhole)},
		{write(&named, short), write(&named, short)}, {write(&named, short), write(&other, short)},
	}
	const round = 1000
	run := func(read func(i int, d *jadwal.Definition) error) time.Duration {
		begun := time.Now()
		for i := range round {
			if err := read(i, new(jadwal.Definition)); err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(begun)
	}
	var ours [4]time.Duration
	var theirs time.Duration
	for b.Loop() {
		for i, text := range texts {
			var reader definitionReader
			ours[i] += run(func(i int, d *jadwal.Definition) error { return reader.decode(new(tx), 1, text[i%2], d) })
		}
		theirs += run(func(_ int, d *jadwal.Definition) error { return json.Unmarshal(ordinary, d) })
	}
	b.ReportMetric(0, "ns/op")
	for i, name := range names {
		b.ReportMetric(float64(ours[i].Nanoseconds())/float64(b.N*round), name)
	}
	b.ReportMetric(float64(theirs)/float64(ours[0]), "ratio")
}
