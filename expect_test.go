package jadwal

import (
	"strings"
	"testing"
)

func TestExpectedStatus(t *testing.T) {
	for _, tt := range []struct {
		rule, status string
		yes, no      []int
	}{
		{"a class", "2xx", []int{200, 204, 299}, []int{199, 300, 404}},
		{"nothing said is 2xx", "", []int{200, 299}, []int{199, 300}},
		{"a single one", "204", []int{204}, []int{200, 205}},
		{"a range with its ends", "200-204", []int{200, 202, 204}, []int{199, 205}},
		{"several", "200-204,404,5xx", []int{200, 204, 404, 500, 599}, []int{205, 403, 405}},
		{"any", "100-599", []int{100, 302, 599}, nil},
		{"what cannot be read is nothing", "ok", nil, []int{200, 0}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			e := Expect{Status: tt.status}
			for _, code := range tt.yes {
				if !e.HasStatus(code) {
					t.Errorf("%d is not expected", code)
				}
			}
			for _, code := range tt.no {
				if e.HasStatus(code) {
					t.Errorf("%d is expected", code)
				}
			}
		})
	}
}

func TestExpectedBody(t *testing.T) {
	for _, tt := range []struct {
		rule, body, answer string
		want               bool
	}{
		{"nothing said is anything", "", "", true},
		{"a text anywhere", "ok", `{"status":"ok"}`, true},
		{"a text in its own case", "OK", "ok", false},
		{"a text is no pattern", "o.", "ok", false},
		{"between slashes it is one", "/^o.$/", "ok", true},
		{"that may not match", "/^o.$/", "oak", false},
		{"and can have flags", "/(?i)OK/", "ok", true},
		{"a single slash is a text", "/", "a/b", true},
		{"so are two", "//", "a//b", true},
		{"a pattern that is none matches nothing", "/(/", "(", false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := (Expect{Body: tt.body}).HasBody([]byte(tt.answer)); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestExpectIsChecked(t *testing.T) {
	status := func(s string) Expect { return Expect{Status: s} }
	body := func(s string) Expect { return Expect{Status: "2xx", Body: s} }
	for _, tt := range []struct {
		rule   string
		expect Expect
		field  string // "": nothing is wrong
	}{
		{"the default", status("2xx"), ""},
		{"a list", status("200-204,404,3xx"), ""},
		{"nothing", status(""), "status"},
		{"an empty part", status("200,"), "status"},
		{"a space", status("200, 204"), "status"},
		{"a class that is none", status("6xx"), "status"},
		{"half a class", status("20x"), "status"},
		{"a range of classes", status("2xx-3xx"), "status"},
		{"a range backwards", status("204-200"), "status"},
		{"a range without an end", status("200-"), "status"},
		{"too low", status("099"), "status"},
		{"too high", status("600"), "status"},
		{"a sign", status("+20"), "status"},
		{"too long a list", status(strings.Repeat("200,", 40) + "200"), "status"},
		{"a text", body("ok"), ""},
		{"as long as may be", body(strings.Repeat("x", MaxExpectBody)), ""},
		{"too long a text", body(strings.Repeat("x", MaxExpectBody+1)), "body"},
		{"a pattern", body(`/"(ok|done)"\s*:\s*true/`), ""},
		{"a pattern that is none", body("/(/"), "body"},
		{"a pattern that repeats beyond what is allowed", body("/a{2000}/"), "body"},
		{"a pattern that costs too much", body("/(a{100}){9}/"), "body"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			wrong := tt.expect.check()
			switch {
			case tt.field == "" && len(wrong) > 0:
				t.Errorf("got %v", wrong)
			case tt.field != "" && (len(wrong) != 1 || wrong[0].Field != "target.expect."+tt.field):
				t.Errorf("got %v, want one about %s", wrong, tt.field)
			}
		})
	}
}
