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

// BenchmarkWorst asks for the rarest instants: the searches that are bounded
// by a limit and not by an answer.
func BenchmarkWorst(b *testing.B) {
	for _, tc := range []struct {
		name, expr, zone string
		dst              DST
		at               time.Time
	}{
		{"Sunday February 29 over 2100", "0 0 29 2 */7", "UTC", DST{}, time.Date(2072, 3, 1, 0, 0, 0, 0, time.UTC)},
		{"always in a gap, skipped", "30 2 8-14 3 */7", "America/New_York", DST{Gap: GapSkip}, benchStart},
		{"always in a gap, skipped, after 2100", "30 2 8-14 3 */7", "America/New_York", DST{Gap: GapSkip}, time.Date(2101, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"after 2100", "30 2 * * *", "America/New_York", DST{}, time.Date(2101, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		b.Run(tc.name, func(b *testing.B) {
			p, err := Compile(Config{Specs: []Spec{{Cron: tc.expr}}, Zone: mustZone(b, tc.zone), DST: tc.dst})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				p.Next(tc.at)
				p.Prev(tc.at)
			}
		})
	}
}

// BenchmarkRefuseHuge refuses inputs of a million characters.
func BenchmarkRefuseHuge(b *testing.B) {
	huge := string(make([]byte, 1_000_000))
	for _, member := range []string{"cron", "every", "at", "zone"} {
		b.Run(member, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				refuse(member, huge, nil, DST{})
			}
		})
	}
}

// BenchmarkCompile compiles a whole plan in a zone whose table is known, and
// the table itself.
func BenchmarkCompile(b *testing.B) {
	loc := mustZone(b, "America/New_York")
	b.Run("plan", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Compile(Config{Specs: []Spec{{Cron: "30 2 * * *"}}, Zone: loc}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("zone table", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			newZone(loc)
		}
	})
}
