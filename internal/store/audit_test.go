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
	operator := jadwal.Actor{User: jadwal.User{Username: "operator"}, Means: "command"}
	signing := by
	signing.Means = "password"
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
			n, err = s.StartSession(ctx, signing, now, now.Add(time.Hour), "secret1")
			return err
		},
		func() error {
			leaving := by
			leaving.SessionID = 7 // EndSessions asks nobody's rights
			return s.EndSessions(ctx, leaving, now, n.ID, 4711)
		},
		func() error { return s.SetPassword(ctx, operator, admin.ID, "secret3", false, now) },
		func() (err error) {
			m, err = s.StartSession(ctx, signing, now, now.Add(time.Hour), "secret3")
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
		return tx.query("SELECT actor_id, actor, action, object, detail, source, request_id, at, means FROM audit ORDER BY id", func(r row) error {
			got = append(got, strings.Join([]string{r.text(0), r.text(1), r.text(2), strings.ReplaceAll(strings.ReplaceAll(r.text(3), strconv.FormatInt(n.ID, 10), "N"), strconv.FormatInt(m.ID, 10), "M"), r.text(4), r.text(5), r.text(6), r.text(8)}, " "))
			if at := r.time(7); at.Before(now) {
				t.Errorf("at %v", at)
			}
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`0 server user.create user/1 {"email":"admin@x","is_superuser":true,"username":"admin"}   `,
		`1 admin user.create user/2 {"email":"ani@x","is_superuser":false,"username":"ani"} 192.0.2.1 r1 `,
		`1 admin user.update user/2 {"changes":[{"field":"username","from":"ani","to":"anita"}]} 192.0.2.1 r1 `,
		`1 admin session.start session/N {} 192.0.2.1 r1 password`,
		`1 admin session.end session/N {"user_id":1} 192.0.2.1 r1 session/7`,
		`0 operator user.password user/1 {"sessions_ended":0}   command`,
		`1 admin session.start session/M {} 192.0.2.1 r1 password`,
		`0 server session.theft session/M {"user_id":1}   `,
		`1 admin job.create job/1 {"name":"j"} 192.0.2.1 r1 `,
		`1 admin job.pause job/1 {"changes":[{"field":"state","from":"enabled","to":"paused"}],"name":"j","version":2} 192.0.2.1 r1 `,
		`1 admin user.delete user/2 {"email":"ani@x","jobs":1,"jobs_to":1,"username":"anita"} 192.0.2.1 r1 `,
		`1 admin job.delete job/1 {"name":"j"} 192.0.2.1 r1 `,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Where few of many lines are asked for, a page looks at 20,000 of them and
// leads on.
func TestAPageOfTheAuditLogIsBounded(t *testing.T) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) { testAPageOfTheAuditLogIsBounded(t, open(t)) })
	}
}

func testAPageOfTheAuditLogIsBounded(t *testing.T, s *Store) {
	ctx := t.Context()
	const lines = 2*maxScan + 5000
	if err := s.write(ctx, laneAPI, func(t *tx) error {
		_, err := t.exec(`INSERT INTO audit (at, actor_id, actor, action, object)
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
			SELECT 1000000 + i / 3, 1, 'ani', CASE WHEN i % 30000 = 1 THEN 'job.delete' ELSE 'job.edit' END, 'job/1' FROM n`, lines)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, q := range []AuditQuery{{Action: "job.delete"}, {Action: "job.delete", ByActor: true, ActorID: 1}, {Action: "job.delete", Object: "job/1"}} {
		q.Limit = 2
		var found []int64
		pages := 0
		for {
			page, next, err := s.Audit(ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			pages++
			for _, l := range page {
				found = append(found, l.ID)
			}
			if next == (AuditPlace{}) {
				break
			}
			q.Before = next
		}
		if want := []int64{30001, 1}; !slices.Equal(found, want) || pages != 3 {
			t.Errorf("found %v on %d pages, want %v", found, pages, want)
		}
		q.Before = AuditPlace{}
		q.To = time.UnixMicro(1000000 + 18000/3)
		page, _, err := s.Audit(ctx, q)
		if err != nil || len(page) != 1 || page[0].ID != 1 {
			t.Errorf("before the middle: %v, %v", page, err)
		}
	}
}
