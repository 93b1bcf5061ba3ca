package store

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

func TestAudit(t *testing.T) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) { testAudit(t, open(t)) })
	}
}

func testAudit(t *testing.T, s *Store) {
	ctx := context.Background()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	admin, err := s.CreateUser(ctx, jadwal.Actor{}, jadwal.NewUser{Username: "admin", Email: "admin@x", PasswordHash: "secret1", IsSuperuser: true}, now)
	if err != nil {
		t.Fatal(err)
	}
	by := jadwal.Actor{User: admin, Source: netip.MustParseAddr("192.0.2.1"), RequestID: "r1"}
	operator := jadwal.Actor{User: jadwal.User{Username: "operator"}}
	var ani jadwal.User
	var job jadwal.Job
	var n, m jadwal.Session
	for _, step := range []func() error{
		func() (err error) {
			ani, err = s.CreateUser(ctx, by, jadwal.NewUser{Username: "ani", Email: "ani@x", PasswordHash: "secret2"}, now)
			return err
		},
		func() (err error) {
			_, err = s.UpdateUser(ctx, by, ani.ID, jadwal.UserPatch{Username: new("anita")}, now)
			return err
		},
		func() (err error) {
			n, err = s.StartSession(ctx, by, now, now.Add(time.Hour), "secret1")
			return err
		},
		func() error { return s.EndSessions(ctx, by, now, n.ID, 4711) },
		func() error { return s.SetPassword(ctx, operator, admin.ID, "secret3", false, now) },
		func() (err error) {
			m, err = s.StartSession(ctx, by, now, now.Add(time.Hour), "secret3")
			return err
		},
		func() error { // rotation writes no line
			for range 2 {
				if _, _, err := s.RotateSession(ctx, m.ID, 1, now); err != nil {
					return err
				}
			}
			_, _, err := s.RotateSession(ctx, m.ID, 1, now.Add(time.Minute))
			return err
		},
		func() (err error) {
			job, err = s.CreateJob(ctx, by, jadwal.Job{OwnerID: ani.ID, State: jadwal.JobEnabled, Definition: jadwal.Definition{Name: "j", Timezone: "UTC"}}, now)
			return err
		},
		func() (err error) {
			job.State = jadwal.JobPaused
			job, _, err = s.UpdateJob(ctx, by, job, 1, now)
			return err
		},
		func() (err error) { // refused: no line
			if _, _, err := s.UpdateJob(ctx, by, job, 1, now); jadwal.CodeOf(err) != jadwal.CodeVersionMismatch {
				return err
			}
			return nil
		},
		func() error { return s.DeleteUser(ctx, by, ani.ID, now) },
		func() (err error) {
			_, err = s.DeleteJob(ctx, by, job.ID, now)
			return err
		},
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	if err := s.read(ctx, func(tx *tx) error {
		return tx.query("SELECT actor_id, actor, action, object, detail, source, request_id, at FROM audit ORDER BY id", func(r row) error {
			got = append(got, strings.Join([]string{r.text(0), r.text(1), r.text(2), strings.ReplaceAll(strings.ReplaceAll(r.text(3), strconv.FormatInt(n.ID, 10), "N"), strconv.FormatInt(m.ID, 10), "M"), r.text(4), r.text(5), r.text(6)}, " "))
			if at := r.time(7); at.Before(now) {
				t.Errorf("at %v", at)
			}
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`0 server user.create user/1 {"email":"admin@x","is_superuser":true,"username":"admin"}  `,
		`1 admin user.create user/2 {"email":"ani@x","is_superuser":false,"username":"ani"} 192.0.2.1 r1`,
		`1 admin user.update user/2 {"username":["ani","anita"]} 192.0.2.1 r1`,
		`1 admin session.start session/N {} 192.0.2.1 r1`,
		`1 admin session.end session/N {"user_id":1} 192.0.2.1 r1`,
		`0 operator user.password user/1 {"sessions_ended":0}  `,
		`1 admin session.start session/M {} 192.0.2.1 r1`,
		`0 server session.theft session/M {"user_id":1}  `,
		`1 admin job.create job/1 {"name":"j"} 192.0.2.1 r1`,
		`1 admin job.pause job/1 {"name":"j","version":2} 192.0.2.1 r1`,
		`1 admin user.delete user/2 {"email":"ani@x","jobs":1,"jobs_to":1,"username":"anita"} 192.0.2.1 r1`,
		`1 admin job.delete job/1 {"name":"j"} 192.0.2.1 r1`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
