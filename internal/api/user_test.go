package api

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/teknohole/jadwal"
)

func TestPatchMe(t *testing.T) {
	s := newServer(t)
	admin, arbath := s.login("admin", adminPassword), s.asUser("arbath", false)
	t.Run("a new user was updated when it was created", func(t *testing.T) {
		r := arbath.do("GET", "/user/me", "")
		if r.text("created_at") != r.text("updated_at") {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("an empty patch changes nothing", func(t *testing.T) {
		before, digest := arbath.do("GET", "/user/me", ""), s.digest()
		r := arbath.do("PATCH", "/user/me", `{}`)
		if r.status != 200 || r.message != "Profile updated successfully!" || fmt.Sprint(r.data) != fmt.Sprint(before.data) || s.digest() != digest {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("the same value sets updated_at", func(t *testing.T) {
		before := arbath.do("GET", "/user/me", "")
		r := arbath.do("PATCH", "/user/me", `{"username":"arbath"}`)
		if r.status != 200 || r.text("updated_at") <= before.text("updated_at") || r.text("created_at") != before.text("created_at") {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("changes that follow each other have later and later times", func(t *testing.T) {
		last := ""
		for i := range 20 {
			r := arbath.do("PATCH", "/user/me", fmt.Sprintf(`{"email":"arbath%d@example.com"}`, i))
			if at := r.text("updated_at"); at <= last {
				t.Errorf("%s is not after %s", at, last)
			} else {
				last = at
			}
		}
	})
	t.Run("sessions survive a change of name and email, and the welcome is to the new name", func(t *testing.T) {
		if r := arbath.do("PATCH", "/user/me", `{"username":"Arbath.2","email":"new@example.com"}`); r.status != 200 || r.text("username") != "Arbath.2" || r.text("email") != "new@example.com" {
			t.Errorf("got %s", r.body)
		}
		if r := arbath.do("GET", "/user/me", ""); r.message != "Welcome Arbath.2!" || r.text("username") != "Arbath.2" {
			t.Errorf("got %s", r.body)
		}
		if r := arbath.renew(); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
		s.login("ARBATH.2", userPassword)
		s.login("NEW@example.com", userPassword)
	})
	t.Run("a taken name or email, in any case, changes nothing at all", func(t *testing.T) {
		before := s.digest()
		for body, field := range map[string]string{
			`{"username":"ADMIN","email":"free@example.com"}`:         "username",
			`{"username":"free","email":"ADMIN@teknohole.com"}`:       "email",
			`{"email":"admin@teknohole.com"}`:                         "email",
			`{"username":"free","email":"no"}`:                        "email",
			`{"username":"free name","email":"free@example.com"}`:     "username",
			`{"username":"free","is_superuser":false,"password":"x"}`: "password",
			`{"username":"free","id":1}`:                              "id",
		} {
			r := arbath.do("PATCH", "/user/me", body)
			if r.status != 400 || r.code != "validation_failed" || r.text("errors.0.field") != field {
				t.Errorf("%s: got %s", body, r.body)
			}
		}
		if s.digest() != before {
			t.Error("the database has changed")
		}
	})
	t.Run("who is no superuser cannot become one", func(t *testing.T) {
		before := s.digest()
		if r := arbath.do("PATCH", "/user/me", `{"is_superuser":true,"username":"free"}`); r.status != 403 || r.code != "forbidden" {
			t.Errorf("got %s", r.body)
		}
		if s.digest() != before {
			t.Error("the database has changed")
		}
		if r := arbath.do("PATCH", "/user/me", `{"is_superuser":false}`); r.status != 200 {
			t.Errorf("the unchanged value: %s", r.body)
		}
	})
	t.Run("the last superuser cannot be demoted, the last but one can", func(t *testing.T) {
		if r := admin.do("PATCH", "/user/me", `{"is_superuser":false}`); r.status != 403 || r.code != "last_superuser" {
			t.Errorf("got %s", r.body)
		}
		other := s.asUser("other", true)
		if r := other.do("PATCH", "/user/me", `{"is_superuser":false}`); r.status != 200 || r.text("is_superuser") != "false" {
			t.Errorf("got %s", r.body)
		}
		if r := other.do("GET", "/user", ""); r.status != 403 {
			t.Errorf("rights outlive the demotion: %s", r.body)
		}
	})
}

func TestCreateUser(t *testing.T) {
	s := newServer(t)
	admin := s.login("admin", adminPassword)
	t.Run("only is_superuser may be left out", func(t *testing.T) {
		r := admin.do("POST", "/user", `{"username":"a","password":"a-password","email":"a@x"}`)
		if r.status != 201 || r.message != "User a has been created successfully!" || r.text("is_superuser") != "false" {
			t.Errorf("got %s", r.body)
		}
		if names := sortedNames(r.data.(map[string]any)); strings.Join(names, " ") != "created_at email id is_superuser updated_at username" {
			t.Error(names)
		}
		if strings.Contains(string(r.body), "password") {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("names, emails and passwords at their limits are fine and are kept as sent", func(t *testing.T) {
		for i, body := range []string{
			`{"username":"` + strings.Repeat("N", 64) + `","password":"12345679","email":"Limit1@Example.COM"}`,
			`{"username":"0._-","password":"` + strings.Repeat("é", 512) + `","email":"` + strings.Repeat("l", 64) + "@" + strings.Repeat("d.", 90) + `x"}`,
			`{"username":"arbath","password":"arbath123","email":"!#$%&'*+-/=?^_{|}~.x@127.0.0.1"}`,
			`{"username":"spaces","password":" ` + "\\t" + ` leading and trailing  ","email":"s@local"}`,
			`{"username":"quotes","password":"\"\\\u2028\ud83d\ude00\r\n","email":"q@local"}`,
		} {
			if r := admin.do("POST", "/user", body); r.status != 201 {
				t.Errorf("%d: got %s", i, r.body)
			}
		}
		s.login("limit1@example.com", "12345679")
		s.login("spaces", " \t leading and trailing  ")
		if r := s.do("POST", "/login", `{"identifier":"spaces","password":"leading and trailing"}`); r.status != 401 {
			t.Errorf("a password was trimmed: %s", r.body)
		}
		if r := s.do("POST", "/login", `{"identifier":"quotes","password":"\"\\\u2028\ud83d\ude00\r\n"}`); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("ids are never used again", func(t *testing.T) {
		r := admin.do("POST", "/user", `{"username":"last","password":"last-password","email":"last@x"}`)
		first := r.text("id")
		admin.do("DELETE", "/user/"+first, "")
		r = admin.do("POST", "/user", `{"username":"last","password":"last-password","email":"last@x"}`)
		if r.status != 201 || r.text("id") == first {
			t.Errorf("got %s after id %s", r.body, first)
		}
	})
	t.Run("of many at once with one name exactly one is created", func(t *testing.T) {
		var wg sync.WaitGroup
		got := make([]*response, 6)
		for i := range got {
			wg.Go(func() {
				got[i] = admin.do("POST", "/user", fmt.Sprintf(`{"username":"%s","password":"race-password","email":"race%d@x"}`, []string{"race", "RACE"}[i%2], i))
			})
		}
		wg.Wait()
		made := 0
		for _, r := range got {
			switch {
			case r.status == 201:
				made++
			case r.status != 400 || r.text("errors.0.code") != "taken":
				t.Errorf("got %s", r.body)
			}
		}
		if made != 1 {
			t.Errorf("%d were created", made)
		}
	})
}

func TestDeleteUser(t *testing.T) {
	s := newServer(t)
	admin, other := s.login("admin", adminPassword), s.asUser("other", true)
	for target, want := range map[string]int{
		"/user/1": 403, "/user/999": 404, "/user/0": 404, "/user/9223372036854775807": 404, "/user/99999999999999999999999": 404,
		"/user/01": 400, "/user/+2": 400, "/user/-2": 400, "/user/2.0": 400, "/user/%32": 400, "/user/2%20": 400, "/user/0x2": 400, "/user/two": 400, "/user/٢": 400,
	} {
		if r := admin.do("DELETE", target, ""); r.status != want {
			t.Errorf("%s: got %d %s", target, r.status, r.body)
		}
	}
	if r := admin.do("DELETE", "/user/1", ""); r.code != "own_account" {
		t.Errorf("got %s", r.body)
	}
	r := admin.do("DELETE", "/user/2?anything", "")
	if r.status != 200 || r.message != "User with id 2 has been deleted successfully!" || r.data != nil {
		t.Errorf("got %s", r.body)
	}
	if r := other.do("GET", "/user/me", ""); r.status != 401 {
		t.Errorf("the tokens of a deleted user live: %s", r.body)
	}
	if r := admin.do("DELETE", "/user/2", ""); r.status != 404 || r.code != "not_found" {
		t.Errorf("got %s", r.body)
	}
}

// Two superusers that demote or delete each other at once: one always stays.
func TestTheLastSuperuserStaysWhateverHappensAtOnce(t *testing.T) {
	s := newServer(t)
	first := s.login("admin", adminPassword)
	for round := range 8 {
		name := fmt.Sprintf("second%d", round)
		second := s.asUser(name, true)
		id := second.do("GET", "/user/me", "").text("id")
		var wg sync.WaitGroup
		var got [2]*response
		wg.Go(func() { got[0] = first.do("PATCH", "/user/me", `{"is_superuser":false}`) })
		if round%2 == 0 {
			wg.Go(func() { got[1] = second.do("PATCH", "/user/me", `{"is_superuser":false}`) })
		} else {
			wg.Go(func() { got[1] = first.do("DELETE", "/user/"+id, "") })
		}
		wg.Wait()
		users, err := s.store.Users(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		var left []jadwal.User
		for _, u := range users {
			if u.IsSuperuser {
				left = append(left, u)
			}
		}
		if len(left) != 1 {
			t.Fatalf("round %d: %d superusers are left: %s %s", round, len(left), got[0].body, got[1].body)
		}
		if left[0].Username == name {
			first = second
		}
	}
}
