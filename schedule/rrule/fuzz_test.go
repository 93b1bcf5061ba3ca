package rrule

import (
	"errors"
	"testing"
	"time"
)

func FuzzParse(f *testing.F) {
	for _, c := range refusals {
		if len(c.text) < 500 {
			f.Add(c.text)
		}
	}
	f.Add("DTSTART;TZID=America/New_York:19970105T083000\nRRULE:FREQ=YEARLY;INTERVAL=2;BYMONTH=1;\r\n BYDAY=SU;BYHOUR=8,9;BYMINUTE=30\nEXDATE;VALUE=DATE:19970112\nRDATE:19970201T000000Z")
	f.Add("FREQ=MONTHLY;BYDAY=-1FR,+2MO;BYSETPOS=1,-1;COUNT=7;WKST=SU")
	f.Add("DTSTART;VALUE=DATE:20111230\nFREQ=WEEKLY;UNTIL=20271231;INTERVAL=3")
	zone := mustZone(f, "Pacific/Apia")
	f.Fuzz(func(t *testing.T, text string) {
		rule, err := Parse(text, zone, anchor, "shift", "both")
		if err != nil {
			if refusal := (*Error)(nil); !errors.As(err, &refusal) || refusal.Code == "" || refusal.Message == "" || len(refusal.Message) > 400 {
				t.Fatalf("%q gives %#v", text, err)
			}
			return
		}
		canonical := rule.String()
		again, err := Parse(canonical, zone, anchor, "shift", "both")
		if err != nil {
			t.Fatalf("%q is %q, which gives %v", text, canonical, err)
		}
		if again.String() != canonical {
			t.Fatalf("%q is %q, which is %q", text, canonical, again.String())
		}
		if rule.Describe("en") == "" || rule.Describe("id") == "" || rule.Describe("en") != again.Describe("en") {
			t.Fatalf("%q is described as %q and %q", text, rule.Describe("en"), again.Describe("en"))
		}
		at := time.Unix(-1<<40, 0)
		for range 5 {
			a, okA := rule.Next(at)
			b, okB := again.Next(at)
			if okA != okB || !a.Equal(b) {
				t.Fatalf("%q: after %v come %v and %v", text, at, a, b)
			}
			if !okA {
				break
			}
			at = a
		}
	})
}

// FuzzNextPrev checks that the two are each other's reverse at any instant, for
// rules that the seed of the oracle's generator makes.
func FuzzNextPrev(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed, int64(seed*7919))
	}
	f.Fuzz(func(t *testing.T, seed uint64, offset int64) {
		o, days := randomOracle(newRand(seed), t)
		rule, err := Parse(o.text(), nil, time.Time{}, o.gap, o.overlap)
		if err != nil {
			return
		}
		at := o.begin.Add(time.Duration(offset%(int64(days)*86400)) * time.Second)
		next, ok := rule.Next(at)
		if !ok {
			return
		}
		if !next.After(at) {
			t.Fatalf("%s\nafter %v comes %v", o.text(), at, next)
		}
		prev, ok := rule.Prev(next)
		if ok && prev.After(at) {
			t.Fatalf("%s\n%v lies between %v and the next, %v", o.text(), prev, at, next)
		}
		if ok {
			if back, _ := rule.Next(prev); !back.Equal(next) {
				t.Fatalf("%s\nafter %v comes %v, but the one before %v is that", o.text(), prev, back, next)
			}
		}
		if same, ok := rule.Prev(next.Add(1)); !ok || !same.Equal(next) {
			t.Fatalf("%s\nbefore just after %v comes %v, %v", o.text(), next, same, ok)
		}
		if same, ok := rule.Next(next.Add(-1)); !ok || !same.Equal(next) {
			t.Fatalf("%s\nafter just before %v comes %v, %v", o.text(), next, same, ok)
		}
	})
}
