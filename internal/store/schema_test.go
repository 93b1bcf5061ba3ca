package store

import (
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"

	"github.com/teknohole/jadwal/internal/store/dirtest"
)

func TestTheSchemaRefuses(t *testing.T) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) { testTheSchemaRefuses(t, open(t)) })
	}
}

func testTheSchemaRefuses(t *testing.T, s *Store) {
	_, shared := s.db.(*postgresDB)
	const (
		account = "INSERT INTO account (username, email, password_hash, is_superuser, created_at, updated_at) VALUES "
		session = "INSERT INTO session (id, user_id, generation, created_at, rotated_at, expires_at) VALUES "
		job     = "INSERT INTO job (owner_id, name, definition, state, version, created_at, updated_at) VALUES "
		version = "INSERT INTO job_version (job_id, version, definition, state, effective_at) VALUES "
		open    = "INSERT INTO open_run (due_at, job_id, n, version, state, trigger_by, attempt, ready_at, started_at) VALUES "
		run     = "INSERT INTO run (due_at, job_id, n, through_at, version, state, reason, trigger_by, attempts, started_at, finished_at, status_code, message) VALUES "
		key     = "INSERT INTO api_key (id, user_id, name, scopes, created_at, expires_at, hash) VALUES "
		grant   = "INSERT INTO job_grant (job_id, user_id, level, granted_by, created_at, updated_at) VALUES "
		sign    = "INSERT INTO signature_key (id, user_id, job_id, created_at, retires_at, sealed) VALUES "
		code    = "INSERT INTO password_reset (user_id, created_at, expires_at, hash) VALUES "
	)
	hash := func(size int) string {
		digits := strings.Repeat("00", size)
		if shared {
			return "decode('" + digits + "', 'hex'))"
		}
		return "x'" + digits + "')"
	}
	good := []string{
		account + "('ani', 'ani@x', 'h', 0, 1, 1)",
		account + "('budi', 'budi@x', 'h', 0, 1, 1)",
		session + "(1, 1, 1, 1, 1, 2)",
		job + "(1, 'a', '{}', 'enabled', 1, 1, 1)",
		version + "(1, 1, '{}', 'paused', 1)",
		open + "(1, 1, 0, 1, 'queued', 'schedule', 0, 1, NULL)",
		open + "(2, 1, 0, 1, 'running', 'schedule', 1, 1, 2)",
		run + "(1, 1, 0, NULL, 1, 'succeeded', '', 'schedule', 1, 1, 2, 200, '')",
		run + "(2, 1, 0, 3, 1, 'missed', 'server_down', 'schedule', 0, NULL, 4, 0, '')",
		key + "(1, 1, 'k', 's', 1, NULL, " + hash(32),
		grant + "(1, 1, 'viewer', 1, 1, 1)",
		code + "(1, 1, 2, " + hash(32),
		sign + "(1, 1, NULL, 1, NULL, " + hash(1),
		sign + "(2, 1, NULL, 1, 2, " + hash(1),
		sign + "(3, NULL, 1, 1, NULL, " + hash(1),
	}
	if err := s.write(t.Context(), laneAPI, func(t *tx) error {
		for _, sql := range good {
			if _, err := t.exec(sql); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for rule, sql := range map[string]string{
		"a username that looks like an email":  account + "('b@x', 'b@x', 'h', 0, 1, 1)",
		"no username":                          account + "('', 'b@x', 'h', 0, 1, 1)",
		"an email without an at sign":          account + "('b', 'b', 'h', 0, 1, 1)",
		"a username in another case":           account + "('ANI', 'b@x', 'h', 0, 1, 1)",
		"an email in another case":             account + "('b', 'ANI@X', 'h', 0, 1, 1)",
		"a flag that is neither 0 nor 1":       account + "('b', 'b@x', 'h', 2, 1, 1)",
		"text for a time":                      account + "('b', 'b@x', 'h', 0, 'now', 1)",
		"an update before the creation":        account + "('b', 'b@x', 'h', 0, 2, 1)",
		"a session of nobody":                  session + "(2, 9, 1, 1, 1, 2)",
		"a session id that is not positive":    session + "(0, 1, 1, 1, 1, 2)",
		"a generation that is not positive":    session + "(2, 1, 0, 1, 1, 2)",
		"a session that ends before it begins": session + "(2, 1, 1, 2, 2, 2)",
		"two sessions of one id":               session + "(1, 1, 1, 1, 1, 2)",
		"a job of nobody":                      job + "(0, 'b', '{}', 'enabled', 1, 1, 1)",
		"a job without a name":                 job + "(1, '', '{}', 'enabled', 1, 1, 1)",
		"two jobs of one name":                 job + "(1, 'a', '{}', 'enabled', 1, 1, 1)",
		"a job in an unknown state":            job + "(1, 'b', '{}', 'deleted', 1, 1, 1)",
		"a job in version 0":                   job + "(1, 'b', '{}', 'enabled', 0, 1, 1)",
		"one version of a job twice":           version + "(1, 1, '{}', 'paused', 1)",
		"a version in an unknown state":        version + "(1, 2, '{}', 'gone', 1)",
		"a final state among the open runs":    open + "(3, 1, 0, 1, 'failed', 'schedule', 1, 1, 2)",
		"a running run that has no attempt":    open + "(3, 1, 0, 1, 'running', 'schedule', 0, 1, 2)",
		"a running run that has not started":   open + "(3, 1, 0, 1, 'running', 'schedule', 1, 1, NULL)",
		"an open run twice":                    open + "(1, 1, 0, 1, 'queued', 'schedule', 0, 1, NULL)",
		"an open state in history":             run + "(3, 1, 0, NULL, 1, 'running', '', 'schedule', 1, 1, 2, 0, '')",
		"a failure without a reason":           run + "(3, 1, 0, NULL, 1, 'failed', '', 'schedule', 1, 1, 2, 0, '')",
		"a success with a reason":              run + "(3, 1, 0, NULL, 1, 'succeeded', 'timeout', 'schedule', 1, 1, 2, 0, '')",
		"a run in history twice":               run + "(1, 1, 0, NULL, 1, 'succeeded', '', 'schedule', 1, 1, 2, 200, '')",
		"a range of successes":                 run + "(3, 1, 0, 4, 1, 'succeeded', '', 'schedule', 1, 1, 2, 0, '')",
		"a range that ends where it begins":    run + "(3, 1, 0, 3, 1, 'missed', 'overload', 'schedule', 0, NULL, 4, 0, '')",
		"a key of no user":                     key + "(2, 9, 'k', 's', 1, NULL, " + hash(32),
		"a key without a name":                 key + "(2, 1, '', 's', 1, NULL, " + hash(32),
		"a key without scopes":                 key + "(2, 1, 'k', '', 1, NULL, " + hash(32),
		"a key that is no hash":                key + "(2, 1, 'k', 's', 1, NULL, " + hash(31),
		"a key that was never alive":           key + "(2, 1, 'k', 's', 1, 1, " + hash(32),
		"two keys of one id":                   key + "(1, 1, 'k', 's', 1, NULL, " + hash(32),
		"a grant for no job":                   grant + "(9, 2, 'viewer', 1, 1, 1)",
		"a grant for no user":                  grant + "(1, 9, 'viewer', 1, 1, 1)",
		"a grant of no level":                  grant + "(1, 2, 'owner', 1, 1, 1)",
		"two grants for one job and user":      grant + "(1, 1, 'editor', 1, 1, 1)",
		"a code of no user":                    code + "(9, 1, 2, " + hash(32),
		"a code without a hash":                code + "(2, 1, 2, " + hash(1),
		"a code that was never good":           code + "(2, 1, 1, " + hash(32),
		"two codes of one user":                code + "(1, 1, 2, " + hash(32),
		"a signature key of nobody":            sign + "(4, NULL, NULL, 1, NULL, " + hash(1),
		"a signature key of a user and a job":  sign + "(4, 2, 1, 1, 2, " + hash(1),
		"a signature key of no user":           sign + "(4, 9, NULL, 1, NULL, " + hash(1),
		"a signature key of no job":            sign + "(4, NULL, 9, 1, NULL, " + hash(1),
		"a signature key without the key":      sign + "(4, 2, NULL, 1, NULL, " + hash(0),
		"two active keys of a user":            sign + "(4, 1, NULL, 1, NULL, " + hash(1),
		"two active keys of a job":             sign + "(4, NULL, 1, 1, NULL, " + hash(1),
		"an audit line without an action":      "INSERT INTO audit (at, actor_id, actor, action, object) VALUES (1, 1, 'a', '', 'b')",
		"a blob for a definition":              job + "(1, 'b', x'00', 'enabled', 1, 1, 1)",
		"an account without most of it":        "INSERT INTO account (id, username) VALUES (9, 'x')",
	} {
		t.Run(rule, func(t *testing.T) {
			err := s.write(t.Context(), laneAPI, func(t *tx) error {
				_, err := t.exec(sql)
				return err
			})
			refused := sqlite.ErrCode(err).ToPrimary() == sqlite.ResultConstraint
			if shared { // PostgreSQL manual, appendix A: 22 data, 23 constraint, 42804 type
				state := sqlState(err)
				refused = strings.HasPrefix(state, "22") || strings.HasPrefix(state, "23") || state == "42804"
				switch rule {
				case "a run in history twice":
					refused = err == nil // its partitions have no common key: Check looks for it
				case "a blob for a definition":
					refused = err == nil // x'00' is bits there, which have a text
				}
			}
			if !refused {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestPlans(t *testing.T) {
	s := openTest(t, dirtest.New(t), nil)
	for _, c := range []struct {
		what, sql string
		plan      []string
	}{
		{"sign-in by username", "SELECT id FROM account WHERE lower(username) = lower($1)", []string{"account_username"}},
		{"sign-in by email", "SELECT id FROM account WHERE lower(email) = lower($1)", []string{"account_email"}},
		{"another superuser", "SELECT id FROM account WHERE is_superuser = 1 AND disabled_at IS NULL AND id <> $1 ORDER BY id LIMIT 1", []string{"SCAN account USING INDEX account_superuser"}}, // two rows of it at most
		{"rotation", rotateSQL, []string{"SEARCH session USING INTEGER PRIMARY KEY"}},
		{"sessions past their end", sweepSQL, []string{"session_expiry"}},
		{"sessions of a user", "DELETE FROM session WHERE user_id = $1", []string{"session_user"}},
		{"a job by id", jobByID, []string{"SEARCH j USING INTEGER PRIMARY KEY", "SEARCH c USING INTEGER PRIMARY KEY"}},
		{"a job by name", jobByName, []string{"SEARCH j USING INDEX job_owner_name (owner_id=? AND name=?)", "SEARCH c USING INTEGER PRIMARY KEY"}},
		{"the jobs that a user sees", jobIDsSQL, []string{"job_owner", "job_grant_user", "SEARCH j USING INTEGER PRIMARY KEY"}},
		{"a page of the audit log", auditOfAllSQL, []string{"SEARCH audit USING INDEX audit_time (at>? AND at<?)"}},
		{"what a user did", auditOfActorSQL, []string{"audit_actor (actor_id=? AND at>? AND at<?)"}},
		{"what was done to an object", auditOfObjectSQL, []string{"audit_object (object=? AND at>? AND at<?)"}},
		{"a run by its key", runByKeySQL, []string{"SEARCH r USING PRIMARY KEY (due_at=? AND job_id=? AND n=?)", "SEARCH o USING PRIMARY KEY (due_at=? AND job_id=? AND n=?)"}},
		{"jobs that a user leaves", inheritSQL, []string{"job_owner"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			var plan []string
			if err := s.read(t.Context(), func(tx *tx) error {
				st, err := tx.c.prepare("EXPLAIN QUERY PLAN " + c.sql)
				if err != nil {
					return err
				}
				return tx.query("EXPLAIN QUERY PLAN "+c.sql, func(r row) error {
					plan = append(plan, r.text(3))
					return nil
				}, make([]any, st.args)...)
			}); err != nil {
				t.Fatal(err)
			}
			all := strings.Join(plan, "; ")
			for _, part := range c.plan {
				if !strings.Contains(all, part) {
					t.Errorf("%s; want %s", all, part)
				}
				all = strings.ReplaceAll(all, part, "")
			}
			if strings.Contains(all, "SCAN") || strings.Contains(all, "TEMP B-TREE") {
				t.Errorf("it scans or sorts: %s", all)
			}
		})
	}
}
