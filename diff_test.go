package jadwal

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal/schedule"
)

func TestDifferences(t *testing.T) {
	base := func() Definition {
		d := DefaultDefinition()
		d.Name = "report"
		d.Schedules = []schedule.Spec{{Cron: "30 2 * * *"}}
		d.Target.URL = "https://example.com/?a=1&b=2"
		d.Target.Headers = map[string]string{"B": "1", "Authorization": "hunter2", "D": "4", "X-Key": `{{secret "a"}}`}
		d.Target.Body = RawJSON(`{"n":1.50}`)
		return d
	}
	for _, c := range []struct {
		rule   string
		change func(*Definition)
		want   string
	}{
		{"nothing differs", func(*Definition) {}, ""},
		{"a text", func(d *Definition) { d.Name = "b" }, `name "report" -> "b"`},
		{"a list as a whole", func(d *Definition) { d.Schedules = append(d.Schedules, schedule.Spec{Every: "1h"}) },
			`schedules [{"cron":"30 2 * * *"}] -> [{"cron":"30 2 * * *"},{"every":"1h"}]`},
		{"a member of an object", func(d *Definition) { d.DST.Gap = schedule.GapSkip }, `dst.gap "run_after" -> "skip"`},
		{"an ampersand is one", func(d *Definition) { d.Target.URL = "https://example.com/?b=2&a=1" },
			`target.url "https://example.com/?a=1&b=2" -> "https://example.com/?b=2&a=1"`},
		{"a body as a whole, in its own text", func(d *Definition) { d.Target.Body = RawJSON(`{"n":1.5}`) }, `target.body {"n":1.50} -> {"n":1.5}`},
		{"a body that is gone", func(d *Definition) { d.Target.Body = nil }, `target.body {"n":1.50} -> null`},
		{"a time that is new", func(d *Definition) { at := time.Unix(0, 0).UTC(); d.EndAt = &at }, `end_at null -> "1970-01-01T00:00:00Z"`},
		{"headers one by one", func(d *Definition) {
			d.Target.Headers = map[string]string{"A": "0", "B": "2", "Authorization": "hunter2", "C": "3", "X-Key": `{{secret "a"}}`}
		}, `target.headers.A  -> "0"; target.headers.B "1" -> "2"; target.headers.D "4" -> ; target.headers.C  -> "3"`},
		{"of a secret header only that it differs", func(d *Definition) { d.Target.Headers["Authorization"] = "hunter3" }, `target.headers.Authorization secret`},
		{"a secret header that is new", func(d *Definition) { d.Target.Headers["X-Api-Key"] = "hunter3" }, `target.headers.X-Api-Key secret`},
		{"a secret header that is gone", func(d *Definition) { delete(d.Target.Headers, "Authorization") }, `target.headers.Authorization secret`},
		{"of one that only names a secret, which", func(d *Definition) { d.Target.Headers["X-Key"] = `Token {{secret "b"}}` },
			`target.headers.X-Key "{{secret \"a\"}}" -> "Token {{secret \"b\"}}"`},
		{"of one that held a secret, not what it names now", func(d *Definition) { d.Target.Headers["Authorization"] = `{{secret "b"}}` }, `target.headers.Authorization secret`},
		{"of one that named a secret, not what it holds now", func(d *Definition) { d.Target.Headers["X-Key"] = "hunter3" }, `target.headers.X-Key secret`},
		{"several, in the order of the members", func(d *Definition) { d.Timeout = Duration(time.Minute); d.Description = "x"; d.Tags = []string{"t"} },
			`description "" -> "x"; tags [] -> ["t"]; timeout "30s" -> "1m"`},
	} {
		t.Run(c.rule, func(t *testing.T) {
			before, after := base(), base()
			c.change(&after)
			all, err := Differences(&before, &after)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range all {
				if text := fmt.Sprintf("%s %s -> %s", d.Field, d.From, d.To); d.Secret {
					got = append(got, d.Field+" secret")
				} else {
					got = append(got, text)
				}
				if strings.Contains(string(d.From)+string(d.To), "hunter") {
					t.Errorf("a secret is told: %s", d.Field)
				}
			}
			if text := strings.Join(got, "; "); text != c.want {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
		})
	}
}
