package api

import (
	"context"
	stdjson "encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// dataOf is the data of an answer as text, as an editor would have it.
func dataOf(t *testing.T, r *response) string {
	t.Helper()
	text, err := stdjson.MarshalIndent(r.data, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// leavesOf are the members of an object that are no objects themselves, by
// their paths.
func leavesOf(path string, v any) map[string]any {
	all := map[string]any{}
	object, ok := v.(map[string]any)
	if !ok || path == "target.body" || path == "target.headers" {
		all[path] = v
		return all
	}
	for name, member := range object {
		for inner, value := range leavesOf(strings.TrimPrefix(path+"."+name, "."), member) {
			all[inner] = value
		}
	}
	return all
}

// richJob is a job that has no member as it would be by itself.
func richJob(t *testing.T, name string) string {
	cert, key := selfSigned(t)
	text, err := stdjson.Marshal(map[string]any{
		"name": name, "description": "é <all> of it", "tags": []string{"b", "a"},
		"schedules": []any{map[string]any{"cron": "30 2 * * *"}, map[string]any{"every": "6h"}, map[string]any{"at": "2098-12-31T23:00:00"}, map[string]any{"rrule": "FREQ=MONTHLY;BYDAY=-1FR"}},
		"timezone":  "Asia/Jakarta", "start_at": "2026-01-01T00:00:00+07:00", "end_at": "2099-01-01T00:00:00.123456Z", "dst": map[string]any{"gap": "skip", "overlap": "both"},
		"target": map[string]any{
			"method": "PUT", "url": "https://example.com/{{run.id}}", "headers": map[string]any{"Authorization": "Bearer hunter2", "X-Plain": "p"},
			"body": map[string]any{"n": 1.5, "s": "<é>"}, "expect": map[string]any{"status": "200-204", "body": "ok"}, "redirects": 3,
			"tls": map[string]any{"ca": cert, "min_version": "1.3", "client_cert": cert, "client_key": key},
		},
		"timeout": "1m", "output": map[string]any{"success": 1, "failure": 2}, "overlap": "allow", "max_runs": 5, "jitter": "1s",
		"retry":          map[string]any{"max_attempts": 7, "min_backoff": "1s", "max_backoff": "2m", "multiplier": 1.5, "max_duration": "1h"},
		"max_concurrent": 4, "catchup": "all", "catchup_window": "2h", "after_completion": "delete", "pause_after_failures": 9,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWhatIsReadCanBeSentBack(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	if r := c.do("POST", "/job", richJob(t, "rich")); r.status != 201 {
		t.Fatalf("got %s", r.body)
	}
	c.do("POST", "/job", `{"name":"plain",`+hook+`}`)
	t.Run("the rich job has nothing as it would be by itself", func(t *testing.T) {
		plain := leavesOf("", c.do("GET", "/job/plain", "").data)
		for path, value := range leavesOf("", c.do("GET", "/job/rich", "").data) {
			same := reflect.DeepEqual(plain[path], value)
			if same && !slices.Contains([]string{"target.type", "owner_id", "state", "pause", "due_since", "last_run", "version"}, path) {
				t.Errorf("%s is %v", path, value)
			}
		}
	})
	c.do("POST", "/job/plain/pause", `{"reason":"é","until":"2098-01-01T00:00:00Z"}`)
	c.do("POST", "/job", `{"name":"ran",`+hook+`}`)
	c.do("POST", "/job/ran/run", "")
	eventually(t, func() (*response, bool) {
		r := c.do("GET", "/job/ran", "")
		return r, r.member("last_run") != nil
	})
	for _, name := range []string{"rich", "plain", "ran"} {
		for _, method := range []string{"PUT", "PATCH"} {
			t.Run(method+" of "+name+" as it was read changes nothing", func(t *testing.T) {
				got := c.do("GET", "/job/"+name, "")
				before := s.digest()
				r := c.do(method, "/job/"+name, dataOf(t, got))
				if r.status != 200 || r.text("version") != got.text("version") {
					t.Fatalf("got %s", r.body)
				}
				if s.digest() != before {
					t.Error("the database has changed")
				}
				if r := c.do(method, "/job/"+got.text("id"), dataOf(t, got)); r.status != 200 || r.text("version") != got.text("version") {
					t.Errorf("by its id: got %s", r.body)
				}
			})
			t.Run(method+" of "+name+" with one thing edited changes that, and keeps what is not shown", func(t *testing.T) {
				got := c.do("GET", "/job/"+name, "")
				got.data.(map[string]any)["description"] = "edited by " + method
				r := c.do(method, "/job/"+name, dataOf(t, got))
				if r.status != 200 || r.text("description") != "edited by "+method || r.text("state") != got.text("state") {
					t.Fatalf("got %s", r.body)
				}
				changes := c.do("GET", "/job/"+name+"/version/"+r.text("version"), "")
				if list, _ := changes.member("changes").([]any); len(list) != 1 || changes.text("changes.0.field") != "description" {
					t.Errorf("changed is %s", changes.body)
				}
			})
		}
	}
	job, err := s.store.Job(context.Background(), 1)
	if err != nil || job.Definition.Target.Headers["Authorization"] != "Bearer hunter2" || !strings.Contains(job.Definition.Target.TLS.ClientKey, "PRIVATE") {
		t.Errorf("the secrets did not stay: %v", err)
	}
	t.Run("what is read can be tested with an edit", func(t *testing.T) {
		if r := c.do("POST", "/job/plain/test", dataOf(t, c.do("GET", "/job/plain", ""))); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
		if r := c.do("POST", "/job/plain/test", `{"version":1}`); r.status != 412 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("null is none of what need not be there", func(t *testing.T) {
		r := c.do("PUT", "/job/nulls", `{"start_at":null,"end_at":null,"catchup_window":null,`+hook+`}`)
		if r.status != 201 || r.member("start_at") != nil {
			t.Errorf("got %s", r.body)
		}
	})
}

func TestWhatOnlyTheServerSets(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	c.do("POST", "/job", `{"name":"a","schedules":[{"cron":"0 * * * *"}],`+hook+`}`)
	next, err := time.Parse(time.RFC3339, c.do("GET", "/job/a", "").text("next_at"))
	if err != nil {
		t.Fatal(err)
	}
	before := s.digest()
	for _, member := range []struct {
		name, value string
		status      int
		says        string
	}{
		{"id", `2`, 400, ""}, {"id", `"1"`, 400, ""}, {"id", `null`, 400, ""},
		{"owner_id", `1`, 400, "/owner"},
		{"state", `"paused"`, 400, "/pause"}, {"state", `"Enabled"`, 400, "/pause"}, {"state", `null`, 400, ""},
		{"pause", `{"reason":"x","by":2,"until":null}`, 400, "/pause"}, {"pause", `{}`, 400, ""},
		{"created_at", `"2020-01-01T00:00:00.000000Z"`, 400, ""}, {"updated_at", `"2020-01-01T00:00:00.000000Z"`, 400, ""},
		{"next_at", `"2098-01-01T00:30:00.000000Z"`, 400, "schedules"}, {"next_at", `"soon"`, 400, ""}, {"next_at", `1`, 400, ""},
		{"version", `"1"`, 400, ""}, {"version", `null`, 400, ""},
		{"version", `7`, 412, "version 1"},
		{"next_at", fmt.Sprintf("%q", next.Add(time.Hour).Format(time.RFC3339)), 200, ""}, {"next_at", `null`, 200, ""},
		{"due_since", `"2026-01-01T00:00:00.000000Z"`, 200, ""}, {"last_run", `null`, 200, ""}, {"due_since", `null`, 200, ""}, {"due_since", `"x"`, 400, ""},
		{"last_run", `{}`, 400, ""}, {"last_run", `"x"`, 400, ""}, {"last_run", `{"id":"00000000000000000000000000000"}`, 400, ""},
		{"id", ` 1 `, 200, ""}, {"pause", `null`, 200, ""},
	} {
		for _, method := range []string{"PUT", "PATCH"} {
			rest := ""
			if method == "PUT" {
				rest = `,"schedules":[{"cron":"0 * * * *"}],` + hook
			}
			r := c.do(method, "/job/a", fmt.Sprintf(`{"%s":%s%s}`, member.name, member.value, rest))
			if r.status != member.status || member.status == 400 && (r.code != "validation_failed" || r.text("errors.0.field") != member.name || r.text("errors.0.code") != "read_only") ||
				!strings.Contains(r.message, member.says) {
				t.Errorf("%s %s %s: got %s", method, member.name, member.value, r.body)
			}
		}
	}
	for _, call := range [][2]string{{"POST", "/job"}, {"PUT", "/job/new"}} {
		r := c.do(call[0], call[1], `{"name":"new","created_at":"2020-01-01T00:00:00.000000Z",`+hook+`}`)
		if r.status != 400 || r.text("errors.0.field") != "created_at" || r.text("errors.0.code") != "read_only" {
			t.Errorf("%s: got %s", call[0], r.body)
		}
	}
	if s.digest() != before {
		t.Error("the database has changed")
	}
	t.Run("who has read before somebody else's change is told", func(t *testing.T) {
		read := dataOf(t, c.do("GET", "/job/a", ""))
		c.do("PATCH", "/job/a", `{"description":"x"}`)
		for _, method := range []string{"PUT", "PATCH"} {
			if r := c.do(method, "/job/a", read); r.status != 412 || r.code != "version_mismatch" {
				t.Errorf("%s: got %s", method, r.body)
			}
		}
	})
	t.Run("who has read before it was deleted makes no new one of it", func(t *testing.T) {
		read := dataOf(t, c.do("GET", "/job/a", ""))
		c.do("DELETE", "/job/a", "")
		if r := c.do("PUT", "/job/a", read); r.status != 400 || r.text("errors.0.code") != "read_only" {
			t.Errorf("got %s", r.body)
		}
	})
}

// TestSecretsThatAreNotSentAgain holds what becomes of the secret values of a
// target in a body that, like an answer, does not have them.
func TestSecretsThatAreNotSentAgain(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	cert, key := selfSigned(t)
	quoted := func(text string) string { return strings.ReplaceAll(text, "\n", `\n`) }
	own := `"tls":{"client_cert":"` + quoted(cert) + `","client_key":"` + quoted(key) + `"}`
	for i, step := range []struct {
		rule, method, target string // PUT and PATCH of the target
		headers, key         string // afterwards: what the secret headers are, and whether there is a key
		field, code          string // of the error instead
	}{
		{"PUT of neither a value nor a name is refused", "PUT", `"url":"https://a.example/","tls":{"has_client_key":false}`, "", "", "target.headers.Authorization", "required"},
		{"PUT of no word about the key is refused", "PUT", `"url":"https://a.example/","secret_headers":[]`, "", "", "target.tls.client_key", "required"},
		{"PUT of an empty list drops the headers", "PUT", `"url":"https://a.example/","secret_headers":[],"tls":{"has_client_key":false}`, "", "false", "", ""},
		{"PUT keeps what it names, and only that", "PUT", `"url":"https://a.example/b","secret_headers":["X-Key"],"tls":{"client_cert":"` + quoted(cert) + `","has_client_key":true}`, "X-Key=k", "true", "", ""},
		{"what is sent counts, named or not", "PUT", `"url":"https://a.example/","headers":{"authorization":"new","X-Key":"k2"},"secret_headers":["Authorization"],` + own, "X-Key=k2 authorization=new", "true", "", ""},
		{"PUT keeps nothing for another origin", "PUT", `"url":"https://b.example/","secret_headers":["Authorization","X-Key"],"tls":{"has_client_key":false}`, "", "", "target.headers.Authorization", "required"},
		{"nor a key", "PUT", `"url":"https://b.example/","secret_headers":[],"tls":{"client_cert":"` + quoted(cert) + `","has_client_key":true}`, "", "", "target.tls.client_key", "required"},
		{"a name that is none", "PUT", `"url":"https://a.example/","secret_headers":["X-Token"],"tls":{"has_client_key":false}`, "", "", "target.secret_headers[0]", "unknown"},
		{"a plain header is none", "PUT", `"url":"https://a.example/","secret_headers":["X-Plain"],"tls":{"has_client_key":false}`, "", "", "target.secret_headers[0]", "unknown"},
		{"PATCH of a list drops what it does not name", "PATCH", `"secret_headers":["X-Key"]`, "X-Key=k", "true", "", ""},
		{"PATCH without one keeps all", "PATCH", `"url":"https://a.example/c"`, "Authorization=a X-Key=k", "true", "", ""},
		{"PATCH of null drops, named or not", "PATCH", `"headers":{"X-Key":null},"secret_headers":["Authorization","X-Key"]`, "Authorization=a", "true", "", ""},
		{"PATCH in another case replaces", "PATCH", `"headers":{"AUTHORIZATION":"new"}`, "AUTHORIZATION=new X-Key=k", "true", "", ""},
		{"PATCH of null in another case drops, wherever to", "PATCH", `"url":"https://b.example/","headers":{"authorization":null,"x-key":null},"tls":{"client_cert":null,"has_client_key":false}`, "", "false", "", ""},
		{"PATCH of null for all headers drops all", "PATCH", `"headers":null`, "", "true", "", ""},
		{"PATCH to another origin keeps none", "PATCH", `"url":"https://b.example/","secret_headers":["Authorization","X-Key"]`, "", "", "target.headers.Authorization", "required"},
		{"PATCH drops a key", "PATCH", `"tls":{"client_cert":null,"has_client_key":false}`, "Authorization=a X-Key=k", "false", "", ""},
	} {
		t.Run(step.rule, func(t *testing.T) {
			name := fmt.Sprintf("a%d", i)
			r := c.do("POST", "/job", `{"name":"`+name+`","target":{"url":"https://a.example/","headers":{"Authorization":"a","X-Key":"k","X-Plain":"p"},`+own+`}}`)
			if r.status != 201 {
				t.Fatalf("got %s", r.body)
			}
			r = c.do(step.method, "/job/"+name, `{"target":{`+step.target+`}}`)
			if step.field != "" {
				if r.status != 400 || r.text("errors.0.field") != step.field || r.text("errors.0.code") != step.code {
					t.Errorf("got %s", r.body)
				}
				return
			}
			job, err := s.store.Job(context.Background(), int64(i+1))
			if err != nil || r.status != 200 {
				t.Fatalf("got %s, %v", r.body, err)
			}
			var headers []string
			for _, name := range job.Definition.Target.SecretHeaders() {
				headers = append(headers, name+"="+job.Definition.Target.Headers[name])
			}
			if got := strings.Join(headers, " "); got != step.headers || r.text("target.tls.has_client_key") != step.key {
				t.Errorf("got %s, and a key: %s", got, r.text("target.tls.has_client_key"))
			}
		})
	}
}

func TestManyHeadersAndNamesToKeepAreRefusedAtOnce(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	c.createJob("mine")
	var headers, names strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&headers, `"X-%d":"",`, i)
		fmt.Fprintf(&names, `"Y-%d",`, i)
	}
	body := `{"target":{"headers":{` + headers.String() + `"X":""},"secret_headers":[` + names.String() + `"Y"]}}`
	begun := time.Now()
	r := c.do("PATCH", "/job/mine", body)
	if took := time.Since(begun); r.status != 400 || r.text("errors.0.field") != "target.secret_headers[0]" || len(r.body) > 2000 || took > 3*time.Second {
		t.Errorf("%v, %d bytes: %.200s", took, len(r.body), r.body)
	}
}
