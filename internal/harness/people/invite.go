// Package people are the clients of the tests that disturb a server, and what
// they know: authors that make jobs and change them, a registrar of users, an
// observer of records, the story of each job, and the verdict over it all. A
// call may go to any node; what became of one whose answer was lost is read.
package people

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

// Options say where people go.
type Options struct {
	URL    string // of the API
	Sink   string // URL of the target
	Seed   uint64
	HTTP   *http.Client  // nil: the client's own
	Nodes  bool          // there are several: each author is a user, and newcomers come
	Settle time.Duration // after a lost answer, until what was asked for is stored or never will be
}

// People are all the clients.
type People struct {
	*Ledger
	admin     *harness.Client
	registrar *registrar
	observer  *observer
	stop      chan struct{}
	done      sync.WaitGroup
}

// Invite signs everybody in, makes the jobs that nobody will touch, and sets
// them to work.
func Invite(o Options) (*People, error) {
	p := &People{Ledger: &Ledger{confirmed: map[string]int{}, settle: o.Settle}, stop: make(chan struct{})}
	client := func(name string) (*harness.Client, error) {
		c := harness.NewClient(o.URL)
		if o.HTTP != nil {
			c.HTTP = o.HTTP
		}
		return c, c.SignIn(name, harness.AdminPassword)
	}
	var err error
	if p.admin, err = client("admin"); err != nil {
		return nil, err
	}
	author := func(name string, i uint64) *author {
		return &author{Ledger: p.Ledger, client: p.admin, sink: o.Sink, name: name, rng: rand.New(rand.NewPCG(o.Seed, i)), stop: p.stop}
	}
	steady := author("steady", 100)
	for i := range 40 {
		t := terms{every: time.Duration(1+i%3) * time.Second, overlap: "skip", slots: 1, catchup: "latest"}
		if i >= 20 {
			t = draw(steady.rng, 0)
		}
		steady.createJob(story{}, t)
	}
	p.registrar = &registrar{Ledger: p.Ledger, client: p.admin, rng: rand.New(rand.NewPCG(o.Seed, 200)), stop: p.stop, users: map[string]int64{"admin": 1}, gone: map[string]bool{}}
	for i := range uint64(7) {
		a := author(fmt.Sprintf("author%d", i), i)
		if o.Nodes {
			if err := p.registrar.admit(a.name); err != nil {
				return nil, err
			}
			if a.client, err = client(a.name); err != nil {
				return nil, err
			}
		}
		a.pause = 10 * time.Millisecond << i // the slow ones give a stale definition time to show itself
		p.done.Go(func() { a.run(12) })
	}
	p.done.Go(p.registrar.run)
	if o.Nodes {
		p.done.Go(func() { p.welcome(client, author) })
	}
	session, err := client("admin")
	if err != nil {
		return nil, err
	}
	p.observer = &observer{Ledger: p.Ledger, client: p.admin, rng: rand.New(rand.NewPCG(o.Seed, 300)), stop: p.stop, jobs: steady.jobs}
	p.done.Go(p.observer.run)
	k := &keeper{Ledger: p.Ledger, client: session, stop: p.stop}
	p.done.Go(k.run)
	return p, nil
}

// welcome has somebody new come every now and then, whose first job is due
// before every node can have heard of them.
func (p *People) welcome(client func(string) (*harness.Client, error), author func(string, uint64) *author) {
	for i := uint64(1); ; i++ {
		select {
		case <-p.stop:
			return
		case <-time.After(3 * time.Second):
		}
		name := fmt.Sprintf("newcomer%d", i)
		if p.registrar.admit(name) != nil {
			continue // nobody is there who would know
		}
		c, err := client(name)
		if err != nil {
			continue
		}
		a := author(name, 1000+i)
		a.client = c
		at := time.Now().UTC().Truncate(time.Millisecond).Add(100 * time.Millisecond)
		a.createJob(story{at: at}, terms{overlap: "skip", slots: 1, catchup: "latest"})
	}
}

// Leave tells everybody to stop and waits for them.
func (p *People) Leave() {
	close(p.stop)
	p.done.Wait()
}

// ErrorsIn returns the lines of a server's log that tell of errors: a kill is
// no cause for any.
func ErrorsIn(log string) []string {
	var found []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, "level=ERROR") || strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
			found = append(found, "the server's log: "+strings.TrimSpace(line))
		}
	}
	return found
}

// DeletedJobs returns the ids of the jobs that were deleted.
func (p *People) DeletedJobs() map[int64]bool {
	ids := map[int64]bool{}
	for _, s := range p.stories {
		if s.last().deleted {
			ids[s.id] = true
		}
	}
	return ids
}

// runView is as much of a run in an answer as is looked at.
type runView struct {
	ID         string
	State      string
	Reason     string
	DueAt      time.Time  `json:"due_at"`
	ThroughAt  *time.Time `json:"through_at"`
	StartedAt  *time.Time `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
	Attempts   int
	Version    int64
}

// Records gets all records of the jobs that are there, by job, oldest first,
// and the jobs' states. A job that is gone, or is there, and should not be, is
// complained about, as is whatever of users and of final records is not as it was.
func (p *People) Records() (map[int64][]Record, error) {
	p.registrar.verdict()
	all := map[int64][]Record{}
	for _, s := range p.stories {
		var view jobView
		answer, err := p.admin.Call("GET", fmt.Sprintf("/job/%d", s.id), nil, &view)
		gone := answer.Status == 404
		switch {
		case err != nil || !answer.OK() && !gone:
			return nil, fmt.Errorf("job %s: %v %w", s.name, answer, err)
		case gone && !s.last().deleted:
			p.Complain("job %s was confirmed and is gone", s.name)
		case !gone && s.last().deleted && !s.last().acked.IsZero():
			p.Complain("job %s was deleted and is there", s.name)
		case !gone && !s.ends() && !s.last().acked.IsZero() && (view.State == "paused") != s.last().paused:
			p.Complain("job %s is %s after: %v", s.name, view.State, s.last())
		}
		if s.state = view.State; gone {
			continue
		}
		var bad error
		err = harness.List(p.admin, fmt.Sprintf("/job/%d/run?limit=500", s.id), func(page []runView) {
			for _, v := range page {
				r, err := v.record()
				if err != nil {
					bad = err
				}
				all[s.id] = append(all[s.id], r)
			}
		})
		if err == nil {
			err = bad
		}
		if err != nil {
			return nil, fmt.Errorf("the runs of job %s: %w", s.name, err)
		}
		slices.Reverse(all[s.id])
	}
	p.observer.verdict(all)
	return all, nil
}
