package main

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

// A guard is a burst of one user's jobs.
type guard struct {
	side
	user string // "": admin; any other has a signature key
	more string // members of the targets; they may name the user's secret, token
}

// guards are the sides of benchGuarded, the bare one first. Their connections
// are kept apart, and rest equally long.
var guards = []guard{
	{side: side{name: "a superuser's, nothing on"}, more: body},
	{side: side{name: "signed, filled in, and bound"}, user: "all", more: body + filled},
}

const (
	body   = `,"body":{"invoice":17,"customer":"Toko Hole","amount":"1500000","currency":"IDR","lines":[{"sku":"A-1","count":3},{"sku":"B-2","count":1}]}`
	filled = `,"headers":{"Authorization":"Bearer {{secret \"token\"}}","X-Due":"{{run.due_at \"date\"}}"}`
)

// benchGuarded measures bursts of jobs whose requests are signed, have secrets
// and templates filled in and are under a normal user's egress rules, beside those
// of a superuser's jobs with nothing of it, on one server.
func benchGuarded(b *bench) error {
	dir, err := os.MkdirTemp(b.dir, "guarded-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return b.onServer(dir, func(s *harness.Server) error { return b.guarded(&servers{all: []*harness.Server{s}}) }, "JADWAL_ALLOW_EGRESS=127.0.0.0/8")
}

func (b *bench) guarded(s *servers) error {
	first, err := s.admin()
	if err != nil {
		return err
	}
	tokens := make([]string, len(guards))
	for i, g := range guards {
		if tokens[i], err = g.signIn(first, b.sink.URL()); err != nil {
			return err
		}
	}
	clients, err := s.dial(64)
	if err != nil {
		return err
	}
	defer closeAll(clients)
	making := 2 * time.Second
	var turns [][]total
	void := 0
	for i := -1; i < 2*b.turns; { // a burst is short, and the two of a turn differ by what the machine does besides
		machine, turn := harness.ReadStolen(), make([]total, len(guards))
		for n := range guards {
			k := (n + max(i, 0)) % len(guards) // nobody always goes first
			took := making
			if turn[k], err = b.burstOfJobs(s, tokens[k], clients, &took, guards[k].more); err != nil {
				return fmt.Errorf("%s: %w", guards[k].name, err)
			}
			making = max(making, took) // some take longer to make than others
		}
		if harness.ReadStolen().Since(machine) > maxStolen && void < 5 {
			void++
			continue
		}
		if i++; i > 0 { // the first one warms up
			turns = append(turns, turn)
		}
	}
	reportGuards(turns, void)
	return nil
}

// reportGuards prints what each side did in all turns together, and how the
// guarded one stands to the bare one in the turn in the middle: the two of a turn
// are seconds apart, and what the machine does besides meets a few turns and not
// all.
func reportGuards(turns [][]total, void int) {
	done, sides := make([]total, len(guards)), make([]side, len(guards))
	for k, g := range guards {
		sides[k] = g.side
		for _, turn := range turns {
			done[k].ops, done[k].wall, done[k].cpu = done[k].ops+turn[k].ops, done[k].wall+turn[k].wall, done[k].cpu+turn[k].cpu
		}
	}
	var loss, dearer []float64 // by turn
	for _, turn := range turns {
		bare, all := turn[0], turn[1]
		loss = append(loss, 100*(1-all.perSecond()/bare.perSecond()))
		dearer = append(dearer, 100*(float64(all.cpuPerOp())/float64(bare.cpuPerOp())-1))
	}
	slices.Sort(loss)
	slices.Sort(dearer)
	report(fmt.Sprintf("bursts of %d fires on SQLite, bare and guarded", burst), "", sides, done, void)
	fmt.Printf("  in the middle of %d turns the guarded burst loses %.1f %% of throughput (quartiles %.1f and %.1f, aim 10 %%)\n", len(turns), median(loss), quartile(loss, 1), quartile(loss, 3))
	fmt.Printf("  and takes %.1f %% more processor time (quartiles %.1f and %.1f)\n", median(dearer), quartile(dearer, 1), quartile(dearer, 3))
}

// median is the one in the middle of what is sorted, or half way between the two.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// quartile is the first, second or third quartile of what is sorted, one of it.
func quartile(sorted []float64, which int) float64 { return sorted[which*(len(sorted)-1)/4] }

// signIn makes the user of a guard, unless it is admin, with a signature key and
// a secret for that origin, and returns an access token of that user's.
func (g guard) signIn(admin *harness.Client, origin string) (string, error) {
	if g.user == "" {
		return admin.Access, nil
	}
	user := map[string]any{"username": g.user, "email": g.user + "@example.com", "password": harness.AdminPassword}
	if a, err := admin.Call("POST", "/user", user, nil); err != nil || !a.OK() {
		return "", fmt.Errorf("user %s: %v, %w", g.user, a, err)
	}
	c := harness.NewClient(admin.Base)
	if err := c.SignIn(g.user, harness.AdminPassword); err != nil {
		return "", err
	}
	secret := map[string]any{"name": "token", "value": "a-token-of-some-forty-characters-in-all", "origins": []string{origin}}
	if a, err := c.Call("POST", "/secret", secret, nil); err != nil || !a.OK() {
		return "", fmt.Errorf("secret of %s: %v, %w", g.user, a, err)
	}
	if a, err := c.Call("POST", "/signature-key", nil, nil); err != nil || !a.OK() {
		return "", fmt.Errorf("signature key of %s: %v, %w", g.user, a, err)
	}
	return c.Access, nil
}
