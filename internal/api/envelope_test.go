package api

import (
	stdjson "encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/teknohole/jadwal"
)

var someTime = time.Date(2025, 12, 9, 6, 58, 2, 912340000, time.FixedZone("", 3600))

func TestEnvelopeBytes(t *testing.T) {
	user := viewUser(jadwal.User{ID: 1, Username: "admin", Email: "admin@teknohole.com", IsSuperuser: true, CreatedAt: someTime, UpdatedAt: someTime.Add(time.Microsecond)})
	for _, c := range []struct {
		rule   string
		answer answer
		want   string
	}{
		{"without data there is no member data", answer{status: 200, message: "ok"},
			`{"success":true,"status":200,"message":"ok","path":"/x","timestamp":"2025-12-09T05:58:02Z"}`},
		{"an empty list is []", answer{status: 200, message: "ok", data: &userViews{}},
			`{"success":true,"status":200,"message":"ok","path":"/x","timestamp":"2025-12-09T05:58:02Z","data":[]}`},
		{"an empty list of others is [] too", answer{status: 200, message: "ok", data: &[]jobView{}},
			`{"success":true,"status":200,"message":"ok","path":"/x","timestamp":"2025-12-09T05:58:02Z","data":[]}`},
		{"a time has six decimals and is UTC", answer{status: 201, message: "ok", data: &user},
			`{"success":true,"status":201,"message":"ok","path":"/x","timestamp":"2025-12-09T05:58:02Z","data":{"id":1,"username":"admin","email":"admin@teknohole.com","is_superuser":true,"created_at":"2025-12-09T05:58:02.912340Z","updated_at":"2025-12-09T05:58:02.912341Z"}}`},
		{"an error is no success", answer{status: 404, message: `"x"`, data: &problem{Code: jadwal.CodeNotFound}},
			`{"success":false,"status":404,"message":"\"x\"","path":"/x","timestamp":"2025-12-09T05:58:02Z","data":{"code":"not_found"}}`},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got, err := appendEnvelope(nil, "/x", someTime, &c.answer)
			if err != nil || string(got) != c.want+"\n" {
				t.Errorf("got  %s (%v)\nwant %s", got, err, c.want)
			}
		})
	}
}

// What writes itself as JSON writes what the JSON package would.
func TestAppendersAgreeWithTheirTypes(t *testing.T) {
	user := viewUser(jadwal.User{ID: -5, Username: "a\"\\\n\x01\u2028é😀", Email: "<&>", CreatedAt: someTime})
	for _, a := range []appender{
		&user, &userViews{user, user}, &userViews{}, &tokens{"a.b", "c\x7f"},
		&problem{Code: "x"},
		&problem{"x", []jadwal.FieldError{{Field: "a", Code: "b", Message: "c"}, {Field: "d\t", Code: "e", Message: "f"}}},
	} {
		want, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var x, y any
		if err := stdjson.Unmarshal(a.appendJSON(nil), &x); err != nil {
			t.Fatalf("%T: %v", a, err)
		}
		if err := stdjson.Unmarshal(want, &y); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(x, y) {
			t.Errorf("%T: got %s, want %s", a, a.appendJSON(nil), want)
		}
	}
}

func TestPathsThatAreNotUTF8DoNotBreakTheEnvelope(t *testing.T) {
	for path, want := range map[string]string{
		"/a%ff": "/a%ff", "/a\xffb": "/a%FFb", "/é": "/é", "/\xc3": "/%C3", "/\x80\xe2\x82": "/%80%E2%82", "/\"\\": `/"\`,
	} {
		b, err := appendEnvelope(nil, path, someTime, &answer{status: 404})
		var got struct{ Path string }
		if err == nil {
			err = stdjson.Unmarshal(b, &got)
		}
		if err != nil || got.Path != want {
			t.Errorf("%q: got %q, want %q (%v)", path, got.Path, want, err)
		}
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "a\"b\\c", "\x00\x1f\x7f", "é\xff😀", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := appendString(nil, s)
		var got string
		if err := stdjson.Unmarshal(b, &got); err != nil || !utf8.Valid(b) {
			t.Fatalf("%q: %s: %v", s, b, err)
		}
		if want := strings.ToValidUTF8(s, "\uFFFD"); utf8.ValidString(s) && got != want {
			t.Fatalf("%q: got %q", s, got)
		}
	})
}
