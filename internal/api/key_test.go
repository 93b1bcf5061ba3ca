package api

import (
	"fmt"
	"hash/crc32"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/auth"
)

func TestKeys(t *testing.T) {
	s := newServer(t)
	admin, arbath, other := s.login("admin", adminPassword), s.asUser("arbath", false), s.asUser("other", false)
	made := arbath.newKey(jadwal.ScopeReadJob, jadwal.ScopeWriteRun)
	key := &session{s: s, access: made.text("key")}
	job := arbath.createJob("mine")

	t.Run("a key has the form that scanners look for, and its id in it", func(t *testing.T) {
		if !regexp.MustCompile(`^jdw_[0-9A-Za-z]{49}$`).MatchString(key.access) || !strings.HasPrefix(key.access, "jdw_"+made.text("id")) {
			t.Errorf("got %s", made.body)
		}
	})
	t.Run("it is told once and stored nowhere", func(t *testing.T) {
		r := arbath.do("GET", "/key", "")
		all := string(r.body) + s.column("SELECT hash FROM api_key") + s.column("SELECT name || scopes FROM api_key") + s.column("SELECT detail FROM audit") + s.log.String()
		if r.status != 200 || len(idsOf(r)) != 1 || strings.Contains(all, key.access[15:]) {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("it does what its scopes say", func(t *testing.T) {
		if r := key.do("GET", "/job/"+job, ""); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
		if r := key.do("POST", "/job/mine/run", ""); r.status != 201 {
			t.Errorf("got %s", r.body)
		}
		if r := key.do("GET", "/user/me", ""); r.status != 200 || r.text("username") != "arbath" {
			t.Errorf("got %s", r.body)
		}
		if r := key.do("PATCH", "/job/"+job, `{"description":"x"}`); r.status != 403 || r.code != "insufficient_scope" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("and no more than its owner may", func(t *testing.T) {
		all := &session{s: s, access: other.newKey(jadwal.Scopes...).text("key")}
		if r := all.do("GET", "/job/"+job, ""); r.status != 404 {
			t.Errorf("got %s", r.body)
		}
		if r := all.do("GET", "/user", ""); r.status != 403 || r.code != "forbidden" {
			t.Errorf("got %s", r.body)
		}
		admin.do("PATCH", "/user/"+other.id(), `{"is_superuser":true}`)
		if r := all.do("GET", "/user", ""); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
		admin.do("PATCH", "/user/"+other.id(), `{"is_superuser":false}`)
		if r := all.do("GET", "/job/"+job, ""); r.status != 404 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a text that is nearly one is a token that is not valid", func(t *testing.T) {
		_, foreign, _ := auth.NewKey()
		forged := []byte(key.access[:15] + foreign[15:47]) // the id of a real one, and a checksum that is right
		forged = jadwal.AppendBase62(forged, uint64(crc32.ChecksumIEEE(forged)), 6)
		other := other.newKey(jadwal.ScopeReadJob).text("key")
		reset, _ := auth.NewResetCode(2)
		for _, text := range []string{
			key.access[:52], key.access + "0", "jdw_", "jdw_x", strings.ToLower(key.access), foreign, string(forged), reset, key.access[:15] + other[15:],
		} {
			if r := (&session{s: s, access: text}).do("GET", "/user/me", ""); r.status != 401 || r.code != "invalid_token" {
				t.Errorf("%q: got %s", text, r.body)
			}
		}
	})
	t.Run("its use is told within a minute, and stored", func(t *testing.T) {
		used := arbath.do("GET", "/key", "").text("0.last_used_at")
		s.pass(2 * time.Minute)
		key.do("GET", "/user/me", "")
		later := arbath.do("GET", "/key", "").text("0.last_used_at")
		if used == "" || later <= used {
			t.Errorf("%q, then %q", used, later)
		}
		if err := s.store.WriteUsage(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := arbath.do("GET", "/key", "").text("0.last_used_at"); got != later {
			t.Errorf("stored %s, then told %s", later, got)
		}
	})
	t.Run("others' are not found, by anybody but a superuser", func(t *testing.T) {
		if r := other.do("DELETE", "/key/"+made.text("id"), ""); r.status != 404 || r.message != "There is no such API key" {
			t.Errorf("got %s", r.body)
		}
		if r := admin.do("GET", "/key?user="+arbath.id(), ""); r.status != 200 || !slices.Equal(idsOf(r), []string{made.text("id")}) {
			t.Errorf("got %s", r.body)
		}
		if r := other.do("GET", "/key?user="+arbath.id(), ""); r.status != 404 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a disabled owner's key is dead, and lives again", func(t *testing.T) {
		admin.do("POST", "/user/"+arbath.id()+"/disable", "")
		if r := key.do("GET", "/user/me", ""); r.status != 401 || r.code != "invalid_token" {
			t.Errorf("got %s", r.body)
		}
		admin.do("POST", "/user/2/enable", "")
		if r := key.do("GET", "/user/me", ""); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
		arbath = s.login("arbath", userPassword)
	})
	t.Run("a change of the password leaves it", func(t *testing.T) {
		if r := arbath.do("POST", "/user/me/password", `{"current_password":"`+userPassword+`","new_password":"correct horse"}`); r.status != 200 {
			t.Fatalf("got %s", r.body)
		}
		if r := key.do("GET", "/user/me", ""); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("what it writes tells that it did", func(t *testing.T) {
		if got := s.column("SELECT means FROM audit WHERE action = 'job.run'"); got != "key/"+made.text("id")+"\n" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("it survives a restart of the store's memory", func(t *testing.T) {
		s.execute("UPDATE account SET email = 'another@example.com' WHERE id = 1") // as another process would
		eventually(t, func() (*response, bool) {
			r := admin.do("GET", "/user/me", "")
			return r, r.text("email") == "another@example.com"
		})
		if r := key.do("GET", "/user/me", ""); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a deleted one is dead at once", func(t *testing.T) {
		if r := arbath.do("DELETE", "/key/"+made.text("id"), ""); r.status != 200 || r.data != nil {
			t.Errorf("got %s", r.body)
		}
		if r := key.do("GET", "/user/me", ""); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a deleted owner's is dead at once", func(t *testing.T) {
		key := &session{s: s, access: other.newKey(jadwal.ScopeReadJob).text("key")}
		admin.do("DELETE", "/user/"+other.id(), "")
		if r := key.do("GET", "/user/me", ""); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
	})
}

func TestTheEndOfKeys(t *testing.T) {
	s := newServer(t, idle)
	s.stop()
	admin := s.login("admin", adminPassword)
	made := admin.newKey(jadwal.ScopeReadJob)
	key := &session{s: s, access: made.text("key")}
	if want := s.clock.now().Add(90 * 24 * time.Hour).UTC().Format("2006-01-02T15:04:05.000000Z"); made.text("expires_at") != want {
		t.Errorf("it expires at %s, not at %s", made.text("expires_at"), want)
	}
	s.pass(90*24*time.Hour - time.Second)
	if r := key.do("GET", "/user/me", ""); r.status != 200 {
		t.Errorf("got %s", r.body)
	}
	s.pass(time.Second)
	if r := key.do("GET", "/user/me", ""); r.status != 401 || r.code != "invalid_token" {
		t.Errorf("got %s", r.body)
	}
	admin = s.login("admin", adminPassword)
	if r := admin.do("GET", "/key", ""); len(idsOf(r)) != 1 {
		t.Errorf("got %s", r.body)
	}
	for range jadwal.MaxKeys {
		admin.newKey(jadwal.ScopeReadRun)
	}
	if r := admin.do("GET", "/key", ""); len(idsOf(r)) != jadwal.MaxKeys {
		t.Errorf("there are %d", len(idsOf(r)))
	}
	if r := admin.do("POST", "/key", `{"name":"one more","scopes":["job:read"]}`); r.status != 409 || r.code != "conflict" {
		t.Errorf("got %s", r.body)
	}
	end := s.clock.now().Add(time.Hour).UTC()
	admin.do("DELETE", "/key/"+admin.do("GET", "/key", "").text("0.id"), "")
	r := admin.do("POST", "/key", fmt.Sprintf(`{"name":"short","scopes":["job:read"],"expires_at":%q}`, end.Format(time.RFC3339Nano)))
	if r.status != 201 || r.text("expires_at") != end.Format("2006-01-02T15:04:05.000000Z") {
		t.Errorf("got %s", r.body)
	}
}

func TestKeysWithoutAnEnd(t *testing.T) {
	for _, c := range []struct {
		longest          time.Duration
		without, forever string // expires_at, or the refusal's field
	}{
		{0, "in 90 days", ""},
		{time.Hour, "in an hour", "expires_at"},
	} {
		s := newServer(t, idle, func(o *settings) { o.api.MaxKeyLifetime = c.longest })
		s.stop()
		admin := s.login("admin", adminPassword)
		want := s.clock.now().Add(map[string]time.Duration{"in 90 days": 90 * 24 * time.Hour, "in an hour": time.Hour}[c.without]).UTC().Format("2006-01-02T15:04:05.000000Z")
		if got := admin.newKey(jadwal.ScopeReadJob).text("expires_at"); got != want {
			t.Errorf("%s: got %s, want %s", c.longest, got, want)
		}
		r := admin.do("POST", "/key", `{"name":"x","scopes":["job:read"],"expires_at":null}`)
		switch {
		case c.forever != "" && (r.status != 400 || r.text("errors.0.field") != c.forever),
			c.forever == "" && (r.status != 201 || r.member("expires_at") != nil):
			t.Errorf("%s: got %s", c.longest, r.body)
		}
	}
}

func FuzzAuthorization(f *testing.F) {
	for _, field := range []string{"", "Bearer", "Bearer x", "bearer  x", "Basic YTpi", "Bearer a b", "Bearer\tx", "\xff"} {
		f.Add(field)
	}
	f.Fuzz(func(t *testing.T, field string) {
		token, err := bearer([]string{field})
		if (err == nil) != (token != "") {
			t.Fatalf("%q is %q, %v", field, token, err)
		}
		if err == nil && (!strings.EqualFold(field[:7], "bearer ") || strings.HasPrefix(token, " ") || !strings.HasSuffix(field, " "+token)) {
			t.Errorf("%q is %q", field, token)
		}
		if _, err := bearer([]string{field, field}); jadwal.CodeOf(err) != jadwal.CodeInvalidToken {
			t.Errorf("twice is %v", err)
		}
	})
}

// What cannot be looked up is not refused as if it were known to be wrong: on
// PostgreSQL another server may have made a key a moment ago.
func TestAKeyThatCannotBeLookedUp(t *testing.T) {
	s := newServer(t, idle)
	_, text, _ := auth.NewKey()
	program := &session{s: s, access: text}
	if r := program.do("GET", "/user/me", ""); r.status != 401 {
		t.Errorf("got %s", r.body)
	}
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	want := 401
	if s.url != "" {
		want = 503
	}
	if r := program.do("GET", "/user/me", ""); r.status != want {
		t.Errorf("got %s, want %d", r.body, want)
	}
}
