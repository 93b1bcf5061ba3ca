package store

import (
	"encoding/json"
	"reflect"
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

// BenchmarkDecode reads the definition of an ordinary job, beside encoding/json;
// ratio is its time over ours.
func BenchmarkDecode(b *testing.B) {
	d := jadwal.DefaultDefinition()
	d.Name, d.Target.URL, d.Schedules = "invoices", "https://api.example.com/invoices", []schedule.Spec{{Cron: "30 2 * * *"}}
	text, err := json.Marshal(d)
	if err != nil {
		b.Fatal(err)
	}
	const round = 1000
	run := func(read func(d *jadwal.Definition) error) time.Duration {
		begun := time.Now()
		for range round {
			if err := read(new(jadwal.Definition)); err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(begun)
	}
	var ours, theirs time.Duration
	for b.Loop() {
		ours += run(func(d *jadwal.Definition) error { return new(tx).decode(1, text, d) })
		theirs += run(func(d *jadwal.Definition) error { return json.Unmarshal(text, d) })
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N*round), "ns/definition")
	b.ReportMetric(float64(theirs)/float64(ours), "ratio")
}
