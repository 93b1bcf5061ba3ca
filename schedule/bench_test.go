package schedule

import (
	"testing"
	"time"

	"github.com/hashicorp/cronexpr"
	"github.com/robfig/cron/v3"
)

// benchMix is a typical mix: what crontabs hold, in zones with and without
// daylight saving.
var benchMix = func() (mix []struct{ expr, zone string }) {
	for _, expr := range []string{"*/5 * * * *", "0 * * * *", "30 2 * * *", "0 9 * * 1-5", "0 0 1 * *", "15 14 1 * *", "0 22 * * 1-5", "0 0 1 1 *", "*/15 9-17 * * 1-5", "0 4 8-14 * *"} {
		for _, zone := range []string{"UTC", "Asia/Jakarta", "America/New_York", "Europe/Berlin"} {
			mix = append(mix, struct{ expr, zone string }{expr, zone})
		}
	}
	return mix
}()

var benchStart = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// BenchmarkNext asks each schedule of the mix for its next instant, again and
// again from the answer. One op is one answer.
func BenchmarkNext(b *testing.B) {
	run := func(b *testing.B, next []func(time.Time) time.Time) {
		b.ReportAllocs()
		at := make([]time.Time, len(next))
		for n := 0; b.Loop(); n++ {
			i := n % len(next)
			if n/len(next)%32 == 0 {
				at[i] = benchStart
			}
			at[i] = next[i](at[i])
		}
	}
	var ours, theirs, other []func(time.Time) time.Time
	for _, m := range benchMix {
		loc := mustZone(b, m.zone)
		p, err := Compile(Config{Specs: []Spec{{Cron: m.expr}}, Zone: loc})
		if err != nil {
			b.Fatal(err)
		}
		ours = append(ours, func(at time.Time) time.Time { at, _ = p.Next(at); return at })
		s, err := cron.ParseStandard("CRON_TZ=" + m.zone + " " + m.expr)
		if err != nil {
			b.Fatal(err)
		}
		s.(*cron.SpecSchedule).Location = loc
		theirs = append(theirs, s.Next)
		e := cronexpr.MustParse(m.expr)
		other = append(other, func(at time.Time) time.Time { return e.Next(at.In(loc)) })
	}
	b.Run("jadwal", func(b *testing.B) { run(b, ours) })
	b.Run("robfig", func(b *testing.B) { run(b, theirs) })
	b.Run("cronexpr", func(b *testing.B) { run(b, other) })
}

// BenchmarkParse compiles the expressions of the mix. One op is one expression.
func BenchmarkParse(b *testing.B) {
	run := func(b *testing.B, parse func(expr string) error) {
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			if err := parse(benchMix[n%len(benchMix)].expr); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("jadwal", func(b *testing.B) {
		run(b, func(expr string) error { _, err := ParseCron(expr, 1); return err })
	})
	b.Run("robfig", func(b *testing.B) {
		run(b, func(expr string) error { _, err := cron.ParseStandard(expr); return err })
	})
	b.Run("cronexpr", func(b *testing.B) {
		run(b, func(expr string) error { _, err := cronexpr.Parse(expr); return err })
	})
}
