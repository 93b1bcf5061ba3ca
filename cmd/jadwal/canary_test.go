package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Two secrets that are easy to find, however they are written.
const (
	canary       = "canary5f2d81e6"
	headerCanary = "geheim93ab07c4"
)

// forms are a canary as it may be written: it has no letter that JSON, URLs or
// HTML escape.
func forms(canary string) []string {
	all := []string{canary, hex.EncodeToString([]byte(canary))}
	for before := range 3 {
		encoded := base64.StdEncoding.EncodeToString([]byte("xx"[:before] + canary))
		all = append(all, encoded[(8*before+5)/6:8*(before+len(canary))/6])
	}
	return all
}

// holds tells which form of the canaries a text has in it; "": none.
func holds(text string) string {
	for _, c := range []string{canary, headerCanary} {
		for _, form := range forms(c) {
			if strings.Contains(text, form) {
				return form
			}
		}
	}
	return ""
}

// A canary secret is nowhere after runs whose target echoes it, in every way it
// can think of.
func TestCanary(t *testing.T) {
	for name, setUp := range map[string]func(t *testing.T) (data string, env []string, files func() string){
		"sqlite": func(t *testing.T) (string, []string, func() string) {
			data := filepath.Join(t.TempDir(), "data")
			return data, nil, func() string { return data }
		},
		"postgres": func(t *testing.T) (string, []string, func() string) {
			database := newDatabase(t)
			env := []string{"JADWAL_DATABASE_URL=" + database, sharedSecret, "JADWAL_UNSAFE=yes", "JADWAL_MASTER_KEY_COMMAND=echo the master key of this test, and no other"}
			return filepath.Join(t.TempDir(), "data"), env, func() string {
				c, err := pgx.Connect(t.Context(), database)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close(t.Context())
				dir := ""
				if err := c.QueryRow(t.Context(), "SELECT current_setting('data_directory')").Scan(&dir); err != nil {
					t.Fatal(err)
				}
				if _, err := c.Exec(t.Context(), "CHECKPOINT"); err != nil {
					t.Fatal(err)
				}
				return dir
			}
		},
	} {
		t.Run(name, func(t *testing.T) { testCanary(t, setUp) })
	}
}

func testCanary(t *testing.T, setUp func(t *testing.T) (string, []string, func() string)) {
	var mu sync.Mutex
	arrived := map[string]int{}
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		said := r.RequestURI + "|" + r.Header.Get("X-Auth") + "|" + r.Header.Get("Authorization") + "|" + string(body)
		mu.Lock()
		for _, c := range []string{canary, headerCanary} {
			if strings.Contains(said, c) {
				arrived[c]++
			}
		}
		mu.Unlock()
		w.Header().Set("X-Echo", said)
		w.Header().Set("Set-Cookie", "session="+r.Header.Get("X-Auth"))
		if strings.HasPrefix(r.URL.Path, "/fails") {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		all := []string{said, base64.StdEncoding.EncodeToString([]byte(said)), hex.EncodeToString([]byte(r.Header.Get("X-Auth")))}
		json.NewEncoder(w).Encode(map[string]any{"said": all})
		io.WriteString(w, said)
	}))
	defer echo.Close()

	data, env, files := setUp(t)
	s := startServer(t, data, append(env, "JADWAL_ADMIN_PASSWORD=correct horse"), "--log-level", "debug")
	admin := s.mustSignIn("admin", "correct horse")
	var told strings.Builder
	ask := func(status int, method, path, body string) string {
		t.Helper()
		r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+admin.Access)
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != status {
			t.Fatalf("%s %s: %d, %s", method, path, answer.StatusCode, text)
		}
		told.WriteString(path + "\n")
		told.Write(text)
		answer.Header.Write(&told)
		return string(text)
	}
	target := func(path string) string {
		return `"target":{"url":"` + echo.URL + path + `?k={{secret \"token\"}}","headers":{"X-Auth":"v1 {{secret \"token\"}}","Authorization":"Bearer ` + headerCanary + `"},"body":{"a":["{{secret \"token\"}}","{{run.id}}"]}}`
	}
	ask(201, "POST", "/secret", `{"name":"token","value":"`+canary+`","origins":["`+echo.URL+`"]}`)
	ask(409, "POST", "/secret", `{"name":"token","value":"`+canary+`","origins":["`+echo.URL+`"]}`)
	ask(400, "POST", "/secret", `{"name":"token","value":"`+canary+`","origins":["`+canary+`"]}`)
	ask(400, "POST", "/secret", `{"name":"token","value":{"a":"`+canary+`"},"origins":[]}`)
	ask(200, "PATCH", "/secret/token", `{"value":"`+canary+`"}`)
	ask(201, "POST", "/job", `{"name":"fails","retry":{"max_attempts":2,"min_backoff":"1s"},`+target("/fails")+`}`)
	ask(201, "POST", "/job", `{"name":"succeeds","output":{"success":4096},`+target("/ok")+`}`)
	ask(201, "POST", "/job", `{"name":"deleted",`+target("/ok")+`}`)
	ask(400, "POST", "/job", `{"name":"refused","target":{"url":"http://elsewhere.example.com/","body":"{{secret \"token\"}}"}}`)
	for _, job := range []string{"fails", "succeeds", "deleted"} {
		ask(201, "POST", "/job/"+job+"/run", "")
		ask(200, "POST", "/job/"+job+"/test", "")
	}
	run := func(job string) (id string) {
		t.Helper()
		eventually(t, "the end of a run of "+job, func() bool {
			var all struct {
				Data []struct{ ID, State string }
			}
			if err := json.Unmarshal([]byte(ask(200, "GET", "/job/"+job+"/run", "")), &all); err != nil {
				t.Fatal(err)
			}
			id = all.Data[0].ID
			return all.Data[0].State == "failed" || all.Data[0].State == "succeeded"
		})
		return id
	}
	failed, succeeded := run("fails"), run("succeeds")
	run("deleted")
	for _, id := range []string{failed, succeeded} {
		if text := ask(200, "GET", "/run/"+id, ""); !strings.Contains(text, "[redacted]") || !strings.Contains(text, id) {
			t.Errorf("what was echoed is not kept: %s", text)
		}
		ask(200, "GET", "/run/"+id+"/attempt", "")
	}
	ask(200, "PATCH", "/job/fails", `{"target":{"headers":{"Authorization":"Bearer another"}}}`)
	ask(200, "POST", "/job/fails/version/1/restore", "")
	ask(200, "DELETE", "/job/deleted", "")
	for _, path := range []string{"/secret", "/secret/token", "/job", "/job/fails", "/job/fails/version", "/job/fails/version/1", "/job/fails/ledger", "/run", "/audit?limit=500", "/metrics"} {
		ask(200, "GET", path, "")
	}
	mu.Lock()
	if arrived[canary] < 7 || arrived[headerCanary] < 7 {
		t.Errorf("the target was told them only %v times", arrived)
	}
	mu.Unlock()

	if form := holds(told.String()); form != "" {
		i := strings.Index(told.String(), form)
		t.Errorf("an answer has %s: …%s", form, told.String()[max(0, i-300):i+100])
	}
	search := func(when string) {
		t.Helper()
		if form := holds(s.stderr.String() + s.stdout.String()); form != "" {
			t.Errorf("%s, the log has %s", when, form)
		}
		known := false
		dir := files()
		err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return nil // what the database has removed meanwhile
			}
			b, err := os.ReadFile(name)
			if err != nil {
				return nil
			}
			known = known || strings.Contains(string(b), "http://elsewhere.example.com/") || strings.Contains(string(b), "{{secret")
			if form := holds(string(b)); form != "" {
				t.Errorf("%s, %s has %s", when, strings.TrimPrefix(name, dir), form)
			}
			return nil
		})
		if err != nil || !known {
			t.Errorf("%s, nothing of the jobs is found either: %v", when, err)
		}
	}
	search("while it runs")
	s.stop()
	search("after its end")

	t.Run("a restart opens what was sealed", func(t *testing.T) {
		s := startServer(t, data, env)
		again := s.mustSignIn("admin", "correct horse")
		mu.Lock()
		before := arrived[canary]
		mu.Unlock()
		call(t, again, http.StatusCreated, "POST", "/job/succeeds/run", nil, nil)
		eventually(t, "a delivery with the secret", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return arrived[canary] > before && arrived[headerCanary] > before
		})
		s.stop()
	})
	t.Run("another master key is refused, and none", func(t *testing.T) {
		without := append(env[:len(env):len(env)], "JADWAL_MASTER_KEY_COMMAND=")
		refused(t, "JADWAL_MASTER_KEY: what is sealed in this database needs another master key", data, append(without, "JADWAL_MASTER_KEY="+strings.Repeat("x", 32)))
		if len(env) > 0 {
			refused(t, "JADWAL_MASTER_KEY: this database may hold secrets", data, without)
			return
		}
		file := filepath.Join(data, "master.key")
		if err := os.WriteFile(file, []byte(strings.Repeat("y", 32)), 0600); err != nil {
			t.Fatal(err)
		}
		refused(t, "master.key: what is sealed in this database needs another master key", data, without)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		refused(t, "master.key is gone, and the secrets in the database are sealed with it", data, without)
	})
}
