package api

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

func TestLedgerAndWhy(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	if r := c.do("POST", "/job", `{"name":"often","schedules":[{"every":"1s"}],"timezone":"Asia/Jakarta",`+hook+`}`); r.status != 201 {
		t.Fatalf("got %s", r.body)
	}
	eventually(t, func() (*response, bool) {
		r := c.do("GET", "/job/often/run", "")
		return r, len(r.data.([]any)) >= 3
	})
	c.do("POST", "/job/often/pause", "")
	paused := time.Now()

	runs := c.do("GET", "/job/often/run", "")
	newest, _ := time.Parse(time.RFC3339Nano, runs.text("0.due_at"))
	ledger := func(query string) (states []string, r *response) {
		for target := "/job/often/ledger?" + query; target != ""; {
			r = c.do("GET", target, "")
			if r.status != 200 {
				t.Fatalf("got %s", r.body)
			}
			for _, e := range r.data.([]any) {
				e := e.(map[string]any)
				states = append(states, fmt.Sprint(e["state"], " ", e["run_id"]))
			}
			target = nextOf(t, r)
		}
		return states, r
	}
	t.Run("what ran is in it with its runs, and what is paused with the ids that they would have", func(t *testing.T) {
		until := newest.Add(3 * time.Second)
		var want []string
		for i := len(runs.data.([]any)) - 1; i >= 0; i-- {
			want = append(want, runs.text(fmt.Sprint(i, ".state"))+" "+runs.text(fmt.Sprint(i, ".id")))
		}
		for i := range 2 {
			want = append(want, "paused "+jadwal.RunKey{DueAt: newest.Add(time.Duration(i+1) * time.Second).UnixMicro(), JobID: 1}.ID())
		}
		for _, size := range []int{1, 2, 500} {
			got, r := ledger(fmt.Sprintf("limit=%d&to=%s", size, until.Format(time.RFC3339Nano)))
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%d a page: got\n%s\nwant\n%s", size, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if r.message != "Ledger of job often" || !strings.Contains(string(r.body), "+07:00") {
				t.Errorf("got %s", r.body)
			}
		}
	})
	t.Run("a pause that is over is skipped, told from a range", func(t *testing.T) {
		time.Sleep(time.Until(paused.Add(2200 * time.Millisecond)))
		c.do("POST", "/job/often/resume", "")
		got, _ := ledger("from=" + newest.Add(time.Second).Format(time.RFC3339Nano) + "&to=" + newest.Add(3*time.Second).Format(time.RFC3339Nano))
		id := jadwal.RunKey{DueAt: newest.Add(time.Second).UnixMicro(), JobID: 1}.ID()
		if want := "skipped " + id + "\nskipped " + id; strings.Join(got, "\n") != want {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
		}
	})
	t.Run("without from and to it is a day each way, and a page has its limit", func(t *testing.T) {
		c.do("POST", "/job", `{"name":"hourly","schedules":[{"every":"1h"}],`+hook+`}`)
		r := c.do("GET", "/job/hourly/ledger", "")
		if n := len(r.data.([]any)); (n != 23 && n != 24) || r.text("0.state") != "planned" || r.text("0.due_at") != c.do("GET", "/job/hourly", "").text("next_at") || r.text("0.reason") != "" {
			t.Errorf("got %d: %s", n, r.body)
		}
		far := time.Now().Add(240 * time.Hour).UTC().Format(time.RFC3339)
		if r := c.do("GET", "/job/hourly/ledger?limit=7&from="+far, ""); len(r.data.([]any)) != 7 || nextOf(t, r) == "" {
			t.Errorf("got %s", r.body)
		}
	})
	why := func(at time.Time) *response {
		return c.do("GET", "/job/often/why?at="+at.Format(time.RFC3339Nano), "")
	}
	t.Run("why: it ran", func(t *testing.T) {
		r := why(newest)
		last := fmt.Sprint(len(r.member("steps").([]any)) - 1)
		if r.status != 200 || r.text("instant.state") != "succeeded" || r.text("instant.run_id") != runs.text("0.id") ||
			r.text("steps."+last+".question") != "succeeded" || r.text("steps."+last+".yes") != "true" || r.message != r.text("steps."+last+".message") {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("why: it was paused", func(t *testing.T) {
		if r := why(newest.Add(time.Second)); r.text("instant.reason") != "paused" || r.message != "The job was paused, and nothing made up for it." {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("why: it was never planned", func(t *testing.T) {
		r := why(newest.Add(500 * time.Millisecond))
		if v, there := memberOf(r, "instant"); v != nil || !there || !strings.HasPrefix(r.message, "Its schedules do not have this instant.") {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("what is recorded and no version planned is told all the same", func(t *testing.T) {
		blocker, skipped := newest.Add(-10*time.Second), newest.Add(-9*time.Second)
		now := time.Now()
		job, err := s.store.CreateJob(context.Background(), jadwal.Actor{}, jadwal.Job{OwnerID: 2, Definition: jadwal.Definition{Name: "held", Timezone: "UTC"}, State: jadwal.JobPaused}, now)
		if err != nil {
			t.Fatal(err)
		}
		key := jadwal.RunKey{DueAt: blocker.UnixMicro(), JobID: job.ID}
		if _, err := s.store.Commit(context.Background(), now, []*jadwal.Outcome{{JobID: job.ID, Version: 1, Records: []jadwal.Run{
			{Key: key, Version: 1, State: jadwal.RunSucceeded, Trigger: jadwal.TriggerSchedule, Attempts: 1, StartedAt: blocker, FinishedAt: now},
			{Key: jadwal.RunKey{DueAt: skipped.UnixMicro(), JobID: job.ID}, Version: 1, State: jadwal.RunSkipped, Reason: jadwal.ReasonOverlap, Trigger: jadwal.TriggerSchedule, FinishedAt: now},
		}}}); err != nil {
			t.Fatal(err)
		}
		r := c.do("GET", "/job/held/ledger?from="+blocker.Format(time.RFC3339Nano)+"&to="+now.UTC().Format(time.RFC3339Nano), "")
		if r.text("0.state") != "succeeded" || r.text("1.state") != "skipped" || r.text("1.reason") != "overlap" {
			t.Errorf("got %s", r.body)
		}
	})
}
