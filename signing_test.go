package jadwal

import (
	"testing"
	"time"
)

func TestWhichSecretSigns(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	old := SigningRecord{Signs: "old", Since: now.Add(-time.Hour)}
	rotated := SigningRecord{Signs: "new", Before: "old", Since: now}
	type holders = []SigningHolder
	for _, tt := range []struct {
		name   string
		record SigningRecord
		self   SigningHolder
		others holders
		want   SigningRecord
		same   bool
	}{
		{"the first server's signs", SigningRecord{}, SigningHolder{"old", ""}, nil, SigningRecord{Signs: "old", Since: now}, true},
		{"a server with the same one changes nothing", old, SigningHolder{"old", ""}, holders{{"old", ""}}, old, true},
		{"a server with another one is none of them", old, SigningHolder{"new", ""}, nil, old, false},
		{"nor is one whose retiring secret is another one", old, SigningHolder{"new", "older"}, nil, old, false},
		{"alone, a new one signs at once", old, SigningHolder{"new", "old"}, nil, rotated, true},
		{"it waits for a server that does not know it", old, SigningHolder{"new", "old"}, holders{{"new", "old"}, {"old", ""}}, old, true},
		{"it is enough that the others accept it", old, SigningHolder{"new", "old"}, holders{{"old", "new"}, {"new", "old"}}, rotated, true},
		{"a server that was not told follows", rotated, SigningHolder{"old", "new"}, holders{{"new", "old"}, {"old", "new"}}, rotated, true},
		{"a server that never heard of the new one is none of them", rotated, SigningHolder{"old", ""}, holders{{"new", "old"}}, rotated, false},
		{"the one before comes back when everybody wants it", rotated, SigningHolder{"old", "new"}, holders{{"old", "new"}}, SigningRecord{Signs: "old", Before: "new", Since: now}, true},
		{"the retiring one is left out and nothing changes", rotated, SigningHolder{"new", ""}, holders{{"new", "old"}}, rotated, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, same := tt.record.Meet(tt.self, tt.others, now)
			if got != tt.want || same != tt.same {
				t.Errorf("got %+v, %v, want %+v, %v", got, same, tt.want, tt.same)
			}
		})
	}
}

// In whichever order three servers get a new secret, each signs only with one
// that all of them accept at that moment.
func TestNoServerSignsWithASecretThatAnotherOneDoesNotKnow(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	before, between, after := SigningHolder{"old", ""}, SigningHolder{"old", "new"}, SigningHolder{"new", "old"}
	// Each server goes from before to after, some by way of between; state holds
	// how far each is, and every order of steps and meetings is walked through.
	type state struct {
		at     [3]int
		record SigningRecord
	}
	ways := [][]SigningHolder{{before, after}, {before, between, after}}
	for choice := range 8 {
		way := [3][]SigningHolder{}
		for i := range way {
			way[i] = ways[choice>>i&1]
		}
		seen := map[state]bool{}
		var walk func(state)
		walk = func(s state) {
			if seen[s] {
				return
			}
			seen[s] = true
			for i := range s.at {
				if !way[i][s.at[i]].accepts(s.record.Signs) {
					t.Fatalf("%v: server %d does not know what signs: %+v", s.at, i, s.record)
				}
				var others []SigningHolder
				for j := range s.at {
					if j != i {
						others = append(others, way[j][s.at[j]])
					}
				}
				met := s
				met.record, _ = s.record.Meet(way[i][s.at[i]], others, now)
				walk(met)
				if s.at[i]+1 < len(way[i]) {
					next := s
					next.at[i]++
					walk(next)
				}
			}
		}
		walk(state{record: SigningRecord{Signs: "old", Since: now}})
		end := state{record: SigningRecord{Signs: "new", Before: "old", Since: now}}
		for i := range end.at {
			end.at[i] = len(way[i]) - 1
		}
		if !seen[end] {
			t.Errorf("choice %d: the new one never signs", choice)
		}
	}
}

func TestWhenASecretHasRetired(t *testing.T) {
	since := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	r := SigningRecord{Signs: "new", Before: "old", Since: since}
	end := since.Add(time.Hour + time.Minute)
	for _, tt := range []struct {
		name   string
		secret string
		now    time.Time
		want   bool
	}{
		{"while something that it signed may be good", "old", end.Add(-1), false},
		{"when nothing is", "old", end, true},
		{"the one that signs never", "new", end, false},
		{"one that has not signed yet never", "next", end, false},
		{"none is none", "", end, false},
	} {
		if got := r.Retired(tt.secret, time.Hour, tt.now); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if (SigningRecord{Signs: "a"}).Retired("", 0, since) {
		t.Error("without one before")
	}
}
