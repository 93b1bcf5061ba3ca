package store

import (
	"strings"
	"testing"

	"github.com/teknohole/jadwal/internal/store/dirtest"
)

func TestPlansOfLedgers(t *testing.T) {
	s := openTest(t, dirtest.New(t), nil)
	defer s.Close()
	for _, c := range []struct {
		rule, text string
		args       []any
		want       string
	}{
		{"versions are read along the key", ledgerVersionsSQL, []any{1, 1, 1, 10}, "SEARCH job_version USING PRIMARY KEY (job_id=? AND version>? AND version<?)"},
		{"the record before is found along the index", ledgerBeforeSQL, []any{1, 1}, "SEARCH r USING INDEX run_job (job_id=? AND due_at<?)"},
		{"records are read along the index", ledgerRunsSQL, []any{1, 1, 10}, "SEARCH r USING INDEX run_job (job_id=? AND due_at>?)"},
		{"open runs are read along the index", ledgerOpenSQL, []any{1, 1, 10}, "SEARCH open_run USING INDEX open_run_job (job_id=? AND due_at>?)"},
		{"saved answers that are old are found by their age", "SELECT user_id, key FROM idempotency WHERE created_at <= $1 ORDER BY created_at LIMIT CAST($2 AS BIGINT)", []any{1, 8},
			"SEARCH idempotency USING COVERING INDEX idempotency_age (created_at<?)"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got := planOf(t, s, c.text, c.args...)
			if !strings.Contains(got, c.want) || strings.Contains(got, "SCAN") || strings.Contains(got, "TEMP B-TREE") {
				t.Errorf("got %s", got)
			}
		})
	}
}
