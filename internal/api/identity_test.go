package api

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

// id is the id of the caller.
func (c *session) id() string {
	c.s.t.Helper()
	return c.do("GET", "/user/me", "").text("id")
}

// idsOf are the ids of a list, in order.
func idsOf(r *response) (ids []string) {
	list, _ := r.data.([]any)
	for i := range list {
		ids = append(ids, r.text(fmt.Sprintf("%d.id", i)))
	}
	return ids
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	s := newServer(t, trusting("127.0.0.1/32"))
	admin := s.login("admin", adminPassword)
	s.addUser("arbath", "arbath123", "arbath@example.com", false, false)
	r := s.do("POST", "/login", `{"identifier":"arbath","password":"arbath123"}`, "User-Agent", "curl/8.14.1", "X-Forwarded-For", "192.0.2.7")
	phone := &session{s, r.text("access_token"), r.text("refresh_token")}
	s.pass(time.Second)
	laptop := s.login("arbath", "arbath123")

	t.Run("each tells where it is from, and which one asks", func(t *testing.T) {
		r := laptop.do("GET", "/session", "")
		if r.status != 200 || len(idsOf(r)) != 2 || r.text("0.current") != "true" || r.text("1.current") != "false" {
			t.Fatalf("got %s", r.body)
		}
		if r.text("1.source") != "192.0.2.7" || r.text("1.user_agent") != "curl/8.14.1" || r.text("0.source") != "127.0.0.1" || r.text("0.user_agent") != "" || r.text("1.user_id") != laptop.id() {
			t.Errorf("got %s", r.body)
		}
		if _, isText := r.member("0.id").(string); !isText {
			t.Errorf("an id is no text: %s", r.body)
		}
	})
	t.Run("a use is told within a minute, and is stored", func(t *testing.T) {
		before := laptop.do("GET", "/session", "").text("1.last_used_at")
		s.pass(2 * time.Minute)
		phone.do("GET", "/user/me", "")
		after := laptop.do("GET", "/session", "").text("1.last_used_at")
		if after <= before {
			t.Errorf("%s, then %s", before, after)
		}
		if err := s.store.WriteUsage(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := laptop.do("GET", "/session", "").text("1.last_used_at"); got != after {
			t.Errorf("stored %s, then told %s", after, got)
		}
	})
	t.Run("it ends when it is not refreshed in time", func(t *testing.T) {
		idle := s.login("arbath", "arbath123")
		before := idle.do("GET", "/session", "").text("0.expires_at")
		s.pass(time.Minute)
		idle.renew()
		if after := idle.do("GET", "/session", "").text("0.expires_at"); after <= before {
			t.Errorf("a refresh leaves the end at %s", after)
		}
		s.pass(7*24*time.Hour + time.Minute)
		laptop = s.login("arbath", "arbath123")
		if r := laptop.do("GET", "/session", ""); len(idsOf(r)) != 1 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("others' are not found, by anybody but a superuser", func(t *testing.T) {
		other := s.asUser("other", false)
		theirs := laptop.do("GET", "/session", "").text("0.id")
		for _, target := range []string{"/session/" + theirs, "/session/4711"} {
			if r := other.do("DELETE", target, ""); r.status != 404 || r.message != "There is no such session" {
				t.Errorf("%s: got %s", target, r.body)
			}
		}
		for _, user := range []string{laptop.id(), "999"} {
			if r := other.do("GET", "/session?user="+user, ""); r.status != 404 || r.message != "There is no such user" {
				t.Errorf("got %s", r.body)
			}
		}
		if r := other.do("GET", "/session?user="+other.id(), ""); r.status != 200 || len(idsOf(r)) != 1 {
			t.Errorf("got %s", r.body)
		}
		admin = s.login("admin", adminPassword)
		if r := admin.do("GET", "/session?user="+laptop.id(), ""); r.status != 200 || len(idsOf(r)) != 1 || r.text("0.id") != theirs || r.text("0.current") != "false" {
			t.Errorf("got %s", r.body)
		}
		if r := admin.do("DELETE", "/session/"+theirs, ""); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
		if r := laptop.do("GET", "/user/me", ""); r.status != 401 {
			t.Errorf("an ended session is alive: %s", r.body)
		}
		if r := laptop.renew(); r.status != 401 {
			t.Errorf("an ended session is refreshed: %s", r.body)
		}
	})
	t.Run("one's own may end, too", func(t *testing.T) {
		c := s.login("arbath", "arbath123")
		if r := c.do("DELETE", "/session/"+c.do("GET", "/session", "").text("0.id"), ""); r.status != 200 || r.data != nil {
			t.Errorf("got %s", r.body)
		}
		if r := c.do("GET", "/session", ""); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
	})
}

func TestTheOldestSessionGivesWay(t *testing.T) {
	s := newServer(t, idle)
	user := s.addUser("arbath", userPassword, "arbath@example.com", false, false)
	start := func() *session {
		s.pass(time.Second)
		now := s.clock.now()
		n, err := s.store.StartSession(t.Context(), jadwal.Actor{User: user}, now, s.api.tokens.SessionEnd(now), hashOf(userPassword))
		if err != nil {
			t.Fatal(err)
		}
		access, refresh := s.api.tokens.Pair(n, now)
		return &session{s, access, refresh}
	}
	var all []*session
	for range jadwal.MaxSessions {
		all = append(all, start())
	}
	s.pass(time.Second)
	all[0].renew()
	for _, c := range all {
		if r := c.do("GET", "/user/me", ""); r.status != 200 {
			t.Fatalf("got %s", r.body)
		}
	}
	last := start()
	for i, want := range map[int]int{0: 200, 1: 401, 2: 200} {
		if r := all[i].do("GET", "/user/me", ""); r.status != want {
			t.Errorf("%d: got %s", i, r.body)
		}
	}
	if r := last.do("GET", "/session", ""); len(idsOf(r)) != jadwal.MaxSessions {
		t.Errorf("there are %d", len(idsOf(r)))
	}
	if got := s.column("SELECT count(*) FROM audit WHERE action = 'session.evict'"); got != "1\n" {
		t.Errorf("audited %s", got)
	}
}

func TestChangePassword(t *testing.T) {
	s := newServer(t)
	s.addUser("arbath", "arbath123", "arbath@example.com", false, false)
	c, other := s.login("arbath", "arbath123"), s.login("arbath", "arbath123")
	change := func(current, next string) *response {
		return c.do("POST", "/user/me/password", fmt.Sprintf(`{"current_password":%q,"new_password":%q}`, current, next))
	}
	t.Run("a wrong current password is forbidden and changes nothing", func(t *testing.T) {
		before := s.digest()
		if r := change("arbath124", "correct horse"); r.status != 403 || r.code != "wrong_password" {
			t.Errorf("got %s", r.body)
		}
		if s.digest() != before {
			t.Error("the database has changed")
		}
	})
	t.Run("the other sessions end, this one goes on", func(t *testing.T) {
		if r := change("arbath123", "correct horse"); r.status != 200 || r.message != "Password changed successfully!" || r.data != nil {
			t.Fatalf("got %s", r.body)
		}
		if r := other.do("GET", "/user/me", ""); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
		if r := c.do("GET", "/user/me", ""); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
		if r := c.renew(); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
		if r := s.do("POST", "/login", `{"identifier":"arbath","password":"arbath123"}`); r.status != 401 {
			t.Errorf("the old password is good: %s", r.body)
		}
		s.login("arbath", "correct horse")
	})
	t.Run("guesses with a token are limited as sign-ins are, and together with them", func(t *testing.T) {
		s.stop()
		for range 5 {
			change("a guess", "whatever next")
			s.do("POST", "/login", `{"identifier":"arbath","password":"a guess"}`)
		}
		if r := change("correct horse", "whatever next"); r.status != 429 {
			t.Errorf("got %s", r.body)
		}
		if r := s.do("POST", "/login", `{"identifier":"arbath","password":"correct horse"}`); r.status != 429 {
			t.Errorf("got %s", r.body)
		}
		s.pass(6 * time.Second)
		if r := change("correct horse", "whatever next"); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("of two changes at once one is lost", func(t *testing.T) {
		var wg sync.WaitGroup
		var got [2]*response
		for i := range got {
			wg.Go(func() { got[i] = change("whatever next", fmt.Sprintf("next and next %d", i)) })
		}
		wg.Wait()
		if got[0].status+got[1].status != 200+403 {
			t.Errorf("got %s and %s", got[0].body, got[1].body)
		}
	})
	t.Run("the password of a first start is replaced, and does not replace itself", func(t *testing.T) {
		s.addUser("first", "first-admin", "first@example.com", true, true)
		c = s.login("first", "first-admin")
		if r := change("first-admin", "first-admin"); r.status != 400 || r.text("errors.0.field") != "new_password" {
			t.Errorf("got %s", r.body)
		}
		if s.column("SELECT bootstrap FROM account WHERE username = 'first'") != "1\n" {
			t.Error("the mark is gone")
		}
		if r := change("first-admin", "correct horse"); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
		if s.column("SELECT bootstrap FROM account WHERE username = 'first'") != "0\n" {
			t.Error("the mark is still there")
		}
	})
}

func TestPasswordReset(t *testing.T) {
	s := newServer(t)
	admin := s.login("admin", adminPassword)
	s.addUser("arbath", "arbath123", "arbath@example.com", false, false)
	arbath := s.login("arbath", "arbath123")
	target := "/user/" + arbath.id() + "/password/reset"
	redeem := func(code, password string) *response {
		return s.do("POST", "/user/password/reset", fmt.Sprintf(`{"code":%q,"new_password":%q}`, code, password))
	}
	code := func() string {
		t.Helper()
		r := admin.do("POST", target, "")
		if r.status != 201 || !strings.HasPrefix(r.text("code"), "jdr_") {
			t.Fatalf("got %s", r.body)
		}
		return r.text("code")
	}
	first := code()
	t.Run("the old password and the sessions are good until the code is used", func(t *testing.T) {
		s.login("arbath", "arbath123")
		if r := arbath.do("GET", "/user/me", ""); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("the code is stored nowhere", func(t *testing.T) {
		if all := s.column("SELECT hash FROM password_reset") + s.column("SELECT detail FROM audit") + s.log.String(); strings.Contains(all, first) {
			t.Error("it is there")
		}
	})
	t.Run("a password that cannot be leaves the code good", func(t *testing.T) {
		if r := redeem(first, "short"); r.status != 400 || r.text("errors.0.field") != "new_password" {
			t.Errorf("got %s", r.body)
		}
		if r := redeem(first, "arbath@example.com"); r.status != 400 {
			t.Errorf("got %s", r.body)
		}
	})
	second := code()
	t.Run("a newer code takes its place", func(t *testing.T) {
		if r := redeem(first, "correct horse"); r.status != 401 || r.code != "invalid_credentials" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("it sets the password once, and all sessions end", func(t *testing.T) {
		if r := redeem(second, "correct horse"); r.status != 200 || r.message != "Password reset successfully!" || r.data != nil {
			t.Fatalf("got %s", r.body)
		}
		if r := arbath.do("GET", "/user/me", ""); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
		if r := redeem(second, "correct horse 2"); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
		arbath = s.login("arbath", "correct horse")
	})
	t.Run("it expires after a day", func(t *testing.T) {
		late := code()
		s.pass(24 * time.Hour)
		if r := redeem(late, "correct horse 3"); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
		admin, arbath = s.login("admin", adminPassword), s.login("arbath", "correct horse")
	})
	t.Run("a change of the password, a disabled user and a deleted one make it worthless", func(t *testing.T) {
		old := code()
		if r := arbath.do("POST", "/user/me/password", `{"current_password":"correct horse","new_password":"battery staple"}`); r.status != 200 {
			t.Fatalf("got %s", r.body)
		}
		if r := redeem(old, "correct horse 4"); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
		old = code()
		admin.do("POST", "/user/"+arbath.id()+"/disable", "")
		if r := redeem(old, "correct horse 5"); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
		old = code() // of a disabled user
		if r := redeem(old, "correct horse 5"); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
		admin.do("DELETE", strings.TrimSuffix(target, "/password/reset"), "")
		if r := redeem(old, "correct horse 6"); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
	})
}

func TestDisabledUsers(t *testing.T) {
	s := newServer(t)
	admin := s.login("admin", adminPassword)
	s.addUser("arbath", "arbath123", "arbath@example.com", false, false)
	arbath := s.login("arbath", "arbath123")
	target := "/user/" + arbath.id()
	if r := admin.do("GET", target+"/status", ""); r.status != 200 || r.text("sessions") != "1" || r.member("disabled_at") != nil || r.member("reset_expires_at") != nil {
		t.Fatalf("got %s", r.body)
	}
	if r := admin.do("POST", target+"/disable", ""); r.status != 200 || r.message != "User with id 2 has been disabled successfully!" || r.text("disabled_at") == "" || r.text("sessions") != "0" {
		t.Fatalf("got %s", r.body)
	}
	t.Run("nothing of a disabled user's works", func(t *testing.T) {
		if r := arbath.do("GET", "/user/me", ""); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
		if r := arbath.renew(); r.status != 401 {
			t.Errorf("got %s", r.body)
		}
		if r := s.do("POST", "/login", `{"identifier":"arbath","password":"arbath123"}`); r.status != 401 || r.message != "Invalid credentials" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("disabling again changes nothing", func(t *testing.T) {
		before := s.digest()
		if r := admin.do("POST", target+"/disable", ""); r.status != 200 || s.digest() != before {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("the user object stays what it is", func(t *testing.T) {
		r := admin.do("GET", target, "")
		if names := sortedNames(r.data.(map[string]any)); r.status != 200 || strings.Join(names, " ") != "created_at email id is_superuser updated_at username" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("an enabled one signs in anew", func(t *testing.T) {
		if r := admin.do("POST", target+"/enable", ""); r.status != 200 || r.member("disabled_at") != nil {
			t.Errorf("got %s", r.body)
		}
		before := s.digest()
		if r := admin.do("POST", target+"/enable", ""); r.status != 200 || s.digest() != before {
			t.Errorf("got %s", r.body)
		}
		if r := arbath.do("GET", "/user/me", ""); r.status != 401 {
			t.Errorf("an old session lives again: %s", r.body)
		}
		arbath = s.login("arbath", "arbath123")
	})
	t.Run("a superuser changes another user as that user would", func(t *testing.T) {
		r := admin.do("PATCH", target, `{"username":"anita","is_superuser":true}`)
		if r.status != 200 || r.message != "User with id 2 updated successfully!" || r.text("username") != "anita" || r.text("is_superuser") != "true" {
			t.Errorf("got %s", r.body)
		}
		if r := arbath.do("GET", "/user", ""); r.status != 200 {
			t.Errorf("the new right is not there: %s", r.body)
		}
		before := s.digest()
		if r := admin.do("PATCH", target, `{}`); r.status != 200 || s.digest() != before {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("of two superusers who disable each other one stays", func(t *testing.T) {
		for range 4 {
			var wg sync.WaitGroup
			var got [2]*response
			wg.Go(func() { got[0] = admin.do("POST", target+"/disable", "") })
			wg.Go(func() { got[1] = arbath.do("POST", "/user/1/disable", "") })
			wg.Wait()
			if left := s.column("SELECT id FROM account WHERE is_superuser = 1 AND disabled_at IS NULL"); left != "1\n" && left != "2\n" {
				t.Fatalf("left are %q: %s, %s", left, got[0].body, got[1].body)
			}
			if got[0].status == 200 {
				admin.do("POST", target+"/enable", "")
				arbath = s.login("anita", "arbath123")
			} else {
				arbath.do("POST", "/user/1/enable", "")
				admin = s.login("admin", adminPassword)
			}
		}
	})
	t.Run("the last superuser cannot be disabled", func(t *testing.T) {
		s.execute("UPDATE account SET is_superuser = 0 WHERE id = 2")
		if err := s.store.DisableUser(t.Context(), jadwal.Actor{}, 1, true, s.clock.now()); jadwal.CodeOf(err) != jadwal.CodeLastSuperuser {
			t.Errorf("got %v", err)
		}
	})
}

// TestIdentityTranscript is the calls about accounts beyond the contract, byte
// for byte.
func TestIdentityTranscript(t *testing.T) {
	s := newServer(t)
	tr := &transcript{t: t}
	c := s.login("admin", adminPassword)
	do := func(what, method, target, body string) *response {
		return tr.tell(what, method+" "+target, body, c.do(method, target, body))
	}
	do("My sessions", "GET", "/session", "")
	do("A session that is none of mine", "DELETE", "/session/4711", "")
	do("A wrong current password", "POST", "/user/me/password", `{"current_password": "wrong", "new_password": "correct horse"}`)
	do("Change my password", "POST", "/user/me/password", `{"current_password": "admin123", "new_password": "correct horse"}`)
	c.do("POST", "/user", `{"username":"arbath","password":"arbath123","email":"arbath@teknohole.com"}`)
	do("A user", "GET", "/user/2", "")
	do("Change a user", "PATCH", "/user/2", `{"email": "arbath@example.com"}`)
	r := do("A code for a new password", "POST", "/user/2/password/reset", "")
	do("A user's status", "GET", "/user/2/status", "")
	tr.tell("Use the code", "POST /user/password/reset", `{"code": "<code>", "new_password": "battery staple"}`,
		s.do("POST", "/user/password/reset", `{"code":"`+r.text("code")+`","new_password":"battery staple"}`))
	do("A code that is none", "POST", "/user/password/reset", `{"code": "nonsense", "new_password": "battery staple"}`)
	do("Disable a user", "POST", "/user/2/disable", "")
	do("Enable a user", "POST", "/user/2/enable", "")
	do("Disable oneself", "POST", "/user/1/disable", "")
	do("Reset one's own password", "POST", "/user/1/password/reset", "")
	r = do("Make an API key", "POST", "/key", `{"name": "deploy", "scopes": ["job:read"]}`)
	key := &session{s: s, access: r.text("key")}
	do("My API keys", "GET", "/key", "")
	tr.tell("What the key may not do", "POST /job", "{}", key.do("POST", "/job", "{}"))
	tr.tell("What no key may do", "GET /session", "", key.do("GET", "/session", ""))
	do("Delete an API key", "DELETE", "/key/"+r.text("id"), "")
	tr.tell("A key that is dead", "GET /user/me", "", key.do("GET", "/user/me", ""))
	job := c.createJob("report")
	do("Share a job", "PUT", "/job/report/grant/2", `{"level": "operator"}`)
	do("Who has a grant", "GET", "/job/report/grant", "")
	do("Share it no more", "DELETE", "/job/report/grant/2", "")
	do("Give a job away", "POST", "/job/"+job+"/owner", `{"owner": 2}`)
	do("What was done to a job", "GET", "/audit?object=job/"+job+"&limit=2", "")
	do("The audit log by an action that is none", "GET", "/audit?action=jobs", "")
	do("End a session", "DELETE", "/session/"+c.do("GET", "/session", "").text("0.id"), "")
	tr.check("identity.txt")
}
