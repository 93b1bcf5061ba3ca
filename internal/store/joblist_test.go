package store

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store/dirtest"
)

// jobLists are the ways that lists of jobs are read, as SQLite does and by which
// index PostgreSQL.
var jobLists = []struct {
	rule     string
	q        JobQuery
	sqlite   string
	postgres string
}{
	{"all jobs go along the key", JobQuery{}, "SEARCH j USING INTEGER PRIMARY KEY (rowid>?)", "job_pkey"},
	{"an owner's along theirs", JobQuery{OwnerID: 1}, "SEARCH j USING INDEX job_owner (owner_id=? AND id>?)", "job_owner"},
	{"those that are shared along the grants", JobQuery{SeenBy: 2}, "SEARCH g USING COVERING INDEX job_grant_user (user_id=? AND job_id>?)", "job_grant_user"},
	{"those of one owner that are shared along the grants", JobQuery{SeenBy: 2, OwnerID: 1}, "SEARCH g USING COVERING INDEX job_grant_user (user_id=? AND job_id>? AND job_id<?)", "job_grant_user"},
	{"those in a state along it", JobQuery{States: []jadwal.JobState{"paused"}}, "SEARCH j USING INDEX job_state (state=? AND id>?)", "job_state"},
	{"an owner's in a state along both", JobQuery{OwnerID: 1, States: []jadwal.JobState{"paused"}}, "SEARCH j USING INDEX job_owner_state (owner_id=? AND state=? AND id>?)", "job_owner_state"},
	{"those that are enabled along the key", JobQuery{States: []jadwal.JobState{"enabled"}}, "SEARCH j USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)", "job_pkey"},
	{"an owner's that are enabled along theirs", JobQuery{OwnerID: 1, States: []jadwal.JobState{"enabled"}}, "SEARCH j USING INDEX job_owner (owner_id=? AND id>? AND id<?)", "job_owner"},
	{"those with a tag along it", JobQuery{Tags: []string{"a"}}, "SEARCH w USING PRIMARY KEY (tag=? AND job_id>?)", "job_tag_pkey"},
	{"those with two tags along the first", JobQuery{Tags: []string{"a", "b"}}, "SEARCH w USING PRIMARY KEY (tag=? AND job_id>? AND job_id<?)", "job_tag_pkey"},
	{"an owner's with a tag along the owner's", JobQuery{OwnerID: 1, Tags: []string{"a"}}, "SEARCH j USING INDEX job_owner (owner_id=? AND id>? AND id<?)", "job_owner"},
}

// textsOf are the statements of the first way along which the jobs of q are
// found.
func (q JobQuery) textsOf() (page, end string) {
	w, upTo := q.walks()[0], int64(math.MaxInt64)
	if w.narrow {
		upTo = 1 << 40
	}
	return w.page(0, upTo, 50).String(), w.end(0).String()
}

func TestPlansOfJobLists(t *testing.T) {
	s := openTest(t, dirtest.New(t), nil)
	defer s.Close()
	for _, c := range jobLists {
		t.Run(c.rule, func(t *testing.T) {
			page, end := c.q.textsOf()
			args := func(text string) []any { return make([]any, parameters(text)) }
			if got := planOf(t, s, page, args(page)...); !strings.Contains(got, c.sqlite+"\n") || strings.Contains(got, "SCAN") || strings.Contains(got, "TEMP B-TREE") {
				t.Errorf("got %s", got)
			}
			if got := planOf(t, s, end, args(end)...); strings.Contains(got, "SCAN") || strings.Contains(got, "TEMP B-TREE") {
				t.Errorf("its end: got %s", got)
			}
		})
	}
}

func TestAPageOfJobsLooksAtABoundedNumber(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *Store{"sqlite": openSQLiteTest, "postgres": openPostgresTest} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			n := maxScan*2 + 10
			if err := s.write(t.Context(), laneAPI, func(t *tx) error {
				numbers := t.text("WITH RECURSIVE g (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM g WHERE i < $1) SELECT ", "SELECT ")
				of := t.text(" FROM g", " FROM generate_series(1, CAST($1 AS BIGINT)) AS g (i)")
				if _, err := t.exec("INSERT INTO job (id, owner_id, name, definition, state, version, created_at, updated_at) "+
					numbers+"i, 1, 'j' || i, '{}', CASE WHEN i = $1 - 5 THEN 'paused' ELSE 'enabled' END, 1, 1, 1"+of, n); err != nil {
					return err
				}
				if _, err := t.exec("INSERT INTO job_tag (job_id, tag) "+numbers+"i, 'all'"+of, n); err != nil {
					return err
				}
				_, err := t.exec("INSERT INTO job_tag (job_id, tag) VALUES ($1, 'rare')", n-5)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				q     JobQuery
				pages int
			}{
				{JobQuery{OwnerID: 1, Tags: []string{"rare"}}, 3},
				{JobQuery{Tags: []string{"all"}, States: []jadwal.JobState{"paused"}}, 3},
				{JobQuery{Tags: []string{"all", "rare"}}, 3},
				{JobQuery{Tags: []string{"rare", "all"}}, 1},
				{JobQuery{Tags: []string{"rare"}}, 1},
				{JobQuery{States: []jadwal.JobState{"paused", "completed"}}, 1},
				{JobQuery{OwnerID: 1, States: []jadwal.JobState{"paused"}}, 1},
			} {
				count, exact, err := s.CountJobs(t.Context(), c.q)
				if wantCount := map[bool]int{true: 1}[c.pages == 1]; err != nil || exact != (c.pages == 1) || count != wantCount {
					t.Errorf("%+v: %d are counted, exactly %v, %v", c.q, count, exact, err)
				}
				var found []int64
				pages := 0
				for c.q.Limit = 10; ; pages++ {
					jobs, next, err := s.Jobs(t.Context(), c.q)
					if err != nil {
						t.Fatal(err)
					}
					for _, j := range jobs {
						found = append(found, j.ID)
					}
					if next == 0 {
						break
					}
					if next != int64((pages+1)*maxScan) {
						t.Errorf("%+v: page %d ends at %d", c.q, pages, next)
					}
					c.q.AfterID = next
				}
				if !slices.Equal(found, []int64{int64(n - 5)}) || pages+1 != c.pages {
					t.Errorf("%+v: found %d on %d pages", c.q, found, pages+1)
				}
			}
		})
	}
}

func TestJobsOfAnOlderSchemaAreFoundByTheirTags(t *testing.T) {
	steps := map[string]int{"sqlite": 4, "postgres": 5}
	for name, open := range aged {
		t.Run(name, func(t *testing.T) {
			job := "INSERT INTO job (id, owner_id, name, definition, state, version, created_at, updated_at, deleted_at) VALUES "
			s := open(t, steps[name],
				job+`(1, 1, 'a', '{"tags":["x","y"],"description":"\u0000"}', 'enabled', 1, 1, 1, NULL)`,
				job+`(2, 1, 'b', '{"description":"\"tags\":[\"z\"]","tags":[],"target":{"body":{"tags":["w"]}}}', 'enabled', 1, 1, 1, NULL)`,
				job+`(3, 1, 'c', '{"tags":["x"]}', 'enabled', 1, 1, 1, 5)`,
				job+`(4, 1, 'd', '{"tags":["x"]}', 'enabled', 1, 1, 1, NULL)`)
			var got []string
			if err := s.read(t.Context(), func(x *tx) error {
				return x.query("SELECT job_id, tag FROM job_tag ORDER BY job_id, tag", func(r row) error {
					got = append(got, fmt.Sprint(r.int(0), r.text(1)))
					return nil
				})
			}); err != nil || strings.Join(got, " ") != "1x 1y 4x" {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
