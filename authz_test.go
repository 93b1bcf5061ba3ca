package jadwal

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// Who asks, and in which relation to an object: the columns of the table.
var askers = []string{"nobody", "disabled", "other", "viewer", "operator", "editor", "owner", "superuser"}

// outcomes has one letter an asker: y for yes, f for forbidden, n for not
// found.
var outcomes = map[Action]string{
	ActionPublic:       "yyyyyyyy",
	ActionReadSelf:     "ffyyyyyy",
	ActionOwnAccount:   "ffyyyyyy",
	ActionOwnSession:   "ffnfffyy",
	ActionOwnKey:       "ffnfffyy",
	ActionOwnSignature: "ffnfffyy",
	ActionReadSecret:   "ffnfffyy",
	ActionWriteSecret:  "ffnfffyy",
	ActionReadUser:     "ffffff" + "fy",
	ActionCreateUser:   "ffffff" + "fy",
	ActionEditUser:     "ffffff" + "fy",
	ActionDeleteUser:   "ffffff" + "fy",
	ActionCreateJob:    "ffyyyyyy",
	ActionReadJob:      "ffnyyyyy",
	ActionOperateJob:   "ffnfyyyy",
	ActionEditJob:      "ffnffyyy",
	ActionCloneJob:     "ffnfffyy",
	ActionShareJob:     "ffnfffyy",
	ActionReadRun:      "ffnyyyyy",
	ActionOperateRun:   "ffnfyyyy",
	ActionPreview:      "ffyyyyyy",
	ActionReadMetrics:  "ffffff" + "fy",
	ActionReadAudit:    "ffffff" + "fy",
	ActionListNodes:    "ffffff" + "fy",
	"no.such.action":   "ffffff" + "ff",
}

// asks is an asker as Allow sees one.
func asks(who string) (by Actor, on Object) {
	on = Object{OwnerID: 7}
	switch who {
	case "nobody":
	case "disabled":
		by.User = User{ID: 7, IsSuperuser: true, DisabledAt: time.Unix(1, 0)}
	case "other":
		by.User = User{ID: 8}
	case "owner":
		by.User = User{ID: 7}
	case "superuser":
		by.User = User{ID: 9, IsSuperuser: true}
	default:
		by.User, on.Level = User{ID: 8}, Level(who)
	}
	return by, on
}

func letter(err error) string {
	switch CodeOf(err) {
	case "":
		return "y"
	case CodeForbidden:
		return "f"
	case CodeNotFound:
		return "n"
	case CodeInsufficientScope:
		return "s"
	}
	return "?"
}

func TestAllow(t *testing.T) {
	for action, want := range outcomes {
		got, early := "", ""
		for _, who := range askers {
			by, on := asks(who)
			got += letter(Allow(by, action, on))
			early += letter(Allow(by, action, Object{}))
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", action, got, want)
		}
		// Of no object yet: whoever may do it to some object.
		for i := range want {
			allowed := want[i] == 'y' || want[i] == 'n' || want[i] == 'f' && strings.Contains("viewer operator editor", askers[i]) && want[2] == 'n'
			if (early[i] == 'y') != allowed {
				t.Errorf("%s by %s, of no object yet: %c", action, askers[i], early[i])
			}
		}
	}
	for action := range rights {
		if _, there := outcomes[action]; !there {
			t.Errorf("%s has no row", action)
		}
	}
}

// A key never opens more than its user has, and of that only what its scopes
// name.
func TestAllowWithAKey(t *testing.T) {
	for _, action := range slices.Sorted(maps.Keys(rights)) {
		for _, who := range askers {
			by, on := asks(who)
			without := Allow(by, action, on)
			scope, open := KeyNeeds(action)
			for i, has := range append([]Scope{""}, Scopes...) {
				by.Key = &Key{}
				if i > 0 {
					by.Key.Scopes = []Scope{has}
				}
				want := letter(without)
				switch {
				case action == ActionPublic, who == "nobody", who == "disabled":
				case !open:
					want = "f"
				case scope != "" && scope != has:
					want = "s"
				}
				if got := letter(Allow(by, action, on)); got != want {
					t.Errorf("%s by %s with a key of %q: got %s, want %s", action, who, has, got, want)
				}
			}
		}
	}
	used := map[Scope]bool{}
	for action := range rights {
		if scope, ok := KeyNeeds(action); ok {
			used[scope] = true
		}
	}
	for _, scope := range Scopes {
		if !used[scope] {
			t.Errorf("scope %s opens nothing", scope)
		}
	}
}

func TestLevels(t *testing.T) {
	for i, l := range Levels {
		for j, other := range Levels {
			if l.Includes(other) != (i >= j) {
				t.Errorf("%s includes %s: %v", l, other, l.Includes(other))
			}
		}
		if l.Includes("") || Level("").Includes(l) || Level("owner").Includes(l) || l.Includes("owner") {
			t.Errorf("%s and what is no level", l)
		}
	}
}
