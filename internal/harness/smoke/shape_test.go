package main

import (
	"slices"
	"strings"
	"testing"
)

func TestStepsOf(t *testing.T) {
	readme := "# x\n```sh\nmake test\n```\n```json\n{\"no\": 1}\n```\n```sh\nA=1\ncurl -s x\n```\ntext\n```json\n{\"a\": 1}\n```\n```json\n{\"b\": 1}\n```\n```sh\ncurl y -d z\n```\n"
	want := []step{{"A=1\ncurl -s x", `{"a": 1}`}, {"curl y -d z", ""}}
	got := stepsOf(readme)
	if !slices.Equal(got, want) {
		t.Fatalf("got %q", got)
	}
	if !got[0].reads() || got[1].reads() {
		t.Error("what reads and what does not is mixed up")
	}
	if got[0].title() != "curl -s x" {
		t.Errorf("title %q", got[0].title())
	}
}

func TestFormOf(t *testing.T) {
	for _, tt := range []struct {
		rule, a, b string
		same       bool
	}{
		{"an id is of its own alphabet", "06:44:55.457 POST /hello job hello run 00361qvegeug00000000000004000 attempt 1, 1.7ms after it was due",
			"16:00:00.001 POST /hello job hello run 00361qzzz0ug00000000000004000 attempt 1, 600µs after it was due", false},
		{"times, ids and durations may differ", "06:44:55.457 POST /hello job hello run 00361qvegeug00000000000004000 attempt 1, 1.7ms after it was due",
			"16:00:00.001 POST /hello job hello run 00361quuu0ug00000000000004000 attempt 1, 600µs after it was due", true},
		{"versions and directories may differ", "Jadwal 0.1.0 · data ./x (new, SQLite) · zone database 2025c",
			"Jadwal 0.2.0 · data /tmp/y (new, SQLite) · zone database 2026a", true},
		{"words may not differ", "First start: sign in as admin", "First start: log in as admin", false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if (formOf(tt.a) == formOf(tt.b)) != tt.same {
				t.Errorf("%q and %q", formOf(tt.a), formOf(tt.b))
			}
		})
	}
	if got := linesOf("```text\na\n  b\n```\n```sh\nc\n```\n"); !slices.Equal(got, []string{"a", "  b"}) {
		t.Errorf("lines %q", got)
	}
}

func TestSameShape(t *testing.T) {
	for _, tt := range []struct {
		rule, shown, got, want string
	}{
		{"other ids, times and tokens are fine", `{"id": 1, "token": "abc", "at": "2026-01-02T03:04:05.123456Z"}`, `{"id": 29, "token": "xyz", "at": "2027-11-12T13:14:15.000000Z"}`, ""},
		{"a member more", `{"a": 1}`, `{"a": 1, "b": 2}`, "[a], there are [a b]"},
		{"a member less", `{"a": 1, "b": 2}`, `{"a": 1}`, "[a b], there are [a]"},
		{"another type", `{"a": 1}`, `{"a": "1"}`, ".a: README.md shows 1"},
		{"null for a string", `{"a": "x"}`, `{"a": null}`, ".a: README.md shows a string"},
		{"a string for null", `{"a": null}`, `{"a": "x"}`, ".a: README.md shows <nil>"},
		{"another message", `{"message": "Login success!"}`, `{"message": "Welcome!"}`, ".message: README.md shows Login success!"},
		{"another status", `{"status": 200}`, `{"status": 401}`, ".status: README.md shows 200, it is 401"},
		{"a time without its decimals", `{"at": "2026-01-02T03:04:05.123456Z"}`, `{"at": "2026-01-02T03:04:05Z"}`, ".at: README.md shows a time such as"},
		{"a longer list", `[{"a": 1}]`, `[{"a": 1}, {"a": 2}, {"b": 3}]`, ""},
		{"an empty list where one is shown", `[{"a": 1}]`, `[]`, "a list of 1"},
		{"another element", `{"data": [{"a": 1}]}`, `{"data": [{"b": 1}]}`, ".data[0]: README.md shows the members"},
		{"an object for a list", `[]`, `{}`, "a list of 0"},
		{"no JSON", `{}`, `curl: (7) Failed to connect`, "the output is no JSON"},
		{"README.md shows no JSON", `{"a": …}`, `{}`, "what README.md shows is no JSON"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			err := sameShape(tt.shown, tt.got)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestShell(t *testing.T) {
	sh, err := startShell()
	if err != nil {
		t.Fatal(err)
	}
	defer sh.stop()
	for _, tt := range []struct{ rule, command, want string }{
		{"several lines and no newline at the end", "printf 'a\nb'", "a\nb"},
		{"nothing printed", "X=hello", ""},
		{"what was assigned is still there", "echo \"$X\" |\n tr a-z A-Z", "HELLO"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got, err := sh.run(tt.command); got != tt.want || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	t.Run("a command that fails is an error, and the next one runs", func(t *testing.T) {
		if _, err := sh.run("false"); err == nil {
			t.Error("no error")
		}
		if got, err := sh.run("echo on"); got != "on" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}
