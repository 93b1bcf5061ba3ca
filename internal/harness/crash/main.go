package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

func main() {
	rounds := flag.Int("rounds", 200, "how many times the server is killed")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the random choices")
	keep := flag.Bool("keep", false, "leave the data directory and the log behind, and say where")
	flag.Parse()
	dir, err := os.MkdirTemp("", "jadwal-crash-")
	if err == nil {
		err = run(dir, *rounds, *seed)
	}
	if *keep {
		fmt.Println("left behind:", dir)
	} else {
		os.RemoveAll(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}

func run(dir string, rounds int, seed uint64) error {
	fmt.Printf("crash: %d rounds, seed %d\n", rounds, seed)
	binary, err := harness.Build(dir)
	if err != nil {
		return err
	}
	sink, err := harness.ListenSink("127.0.0.1:0", nil)
	if err != nil {
		return err
	}
	defer sink.Close()
	address, err := harness.FreeAddress()
	if err != nil {
		return err
	}
	server := &harness.Server{
		Binary: binary, Dir: dir, Address: address,
		Env: []string{harness.AdminEnv, "JADWAL_ACCESS_LIFETIME=24h", "JADWAL_LOG_LEVEL=warn", "JADWAL_DRAIN_TIMEOUT=1s"},
	}
	defer server.End()
	if err := server.Start(); err != nil {
		return err
	}
	if err := server.Ready(20 * time.Second); err != nil {
		return err
	}

	rng := rand.New(rand.NewPCG(seed, 0))
	p, err := invite(server.URL(), sink.URL(), seed)
	if err != nil {
		return err
	}
	begun := time.Now()
	lives, err := killAgainAndAgain(&haunted{Server: server, ledger: p.ledger}, rng, rounds)
	lasted := time.Since(begun)
	p.leave()
	if err != nil {
		return err
	}

	time.Sleep(6 * time.Second) // until every job has had an undisturbed instant
	now := time.Now()
	p.registrar.verdict()
	live, err := p.records()
	if err != nil {
		return err
	}
	p.observer.verdict(live)
	if err := server.Stop(30 * time.Second); err != nil {
		return err
	}
	deleted, broken, err := inspect(server.Data(), p.deletedJobs())
	if err != nil {
		return err
	}
	return p.verdict(summary{
		rounds: rounds, lives: lives, lasted: lasted, now: now,
		live: live, deleted: deleted, broken: broken, errors: errorsIn(server.LogTail(1 << 30)), deliveries: sink.Deliveries(),
	})
}

// life is what happened to one process of the server.
type life struct {
	started time.Time
	ready   time.Time // when it was seen to answer; zero: it was killed before
	ended   time.Time // when it was killed, or asked to stop; zero: it is the last one
	asked   bool      // it was asked to stop
	gone    time.Time // when the process was gone
}

func (l life) String() string {
	text := clock(l.started) + " started"
	if !l.ready.IsZero() {
		text += ", " + clock(l.ready) + " ready"
	}
	switch {
	case l.ended.IsZero():
		return text
	case l.asked:
		text += ", " + clock(l.ended) + " asked to stop"
	default:
		text += ", " + clock(l.ended) + " killed"
	}
	return text + ", " + clock(l.gone) + " gone"
}

// killAgainAndAgain kills and starts the server rounds times and returns what
// became of each process. Most live for less than a second, one in six for
// longer than a run is in memory only. One time in ten it is killed while it
// starts, and one in twelve it is asked to stop instead. One time in twelve it
// stays away for a while.
func killAgainAndAgain(server *haunted, rng *rand.Rand, rounds int) ([]life, error) {
	now := time.Now()
	lives := []life{{started: now, ready: now}}
	ready := true
	for i := range rounds {
		span := 30 + rng.IntN(700)
		switch {
		case !ready:
			span = rng.IntN(60)
		case rng.IntN(6) == 0:
			span += rng.IntN(1600)
		}
		if ready {
			if err := server.round(i); err != nil {
				return nil, fmt.Errorf("round %d: a former owner: %w", i+1, err)
			}
		}
		time.Sleep(time.Duration(span) * time.Millisecond)
		l := &lives[len(lives)-1]
		l.ended, l.asked = time.Now(), ready && rng.IntN(12) == 0
		if l.asked {
			if err := server.Stop(30 * time.Second); err != nil {
				return nil, err
			}
		} else {
			server.Kill()
		}
		l.gone = time.Now()
		if rng.IntN(12) == 0 {
			time.Sleep(time.Duration(rng.IntN(4000)) * time.Millisecond) // an outage of several instants
		}
		lives = append(lives, life{started: time.Now()})
		if err := server.Start(); err != nil {
			return nil, err
		}
		ready = i == rounds-1 || rng.IntN(10) > 0
		if !ready {
			continue
		}
		if err := server.Ready(30 * time.Second); err != nil {
			return nil, fmt.Errorf("round %d: %w", i+1, err)
		}
		lives[len(lives)-1].ready = time.Now()
		if i%20 == 19 {
			fmt.Printf("  %d kills\n", i+1)
		}
	}
	if server.former != nil {
		return lives, server.former.leave()
	}
	return lives, nil
}

// people are all the clients.
type people struct {
	*ledger
	admin     *harness.Client
	registrar *registrar
	observer  *observer
	stop      chan struct{}
	done      sync.WaitGroup
}

// invite signs everybody in, makes the jobs that nobody will touch, and sets
// them to work.
func invite(url, sink string, seed uint64) (*people, error) {
	p := &people{ledger: &ledger{confirmed: map[string]int{}}, stop: make(chan struct{})}
	client := func() (*harness.Client, error) {
		c := harness.NewClient(url)
		return c, c.SignIn("admin", harness.AdminPassword)
	}
	var err error
	if p.admin, err = client(); err != nil {
		return nil, err
	}
	author := func(name string, i uint64) *author {
		return &author{ledger: p.ledger, client: p.admin, sink: sink, name: name, rng: rand.New(rand.NewPCG(seed, i)), stop: p.stop}
	}
	steady := author("steady", 100)
	for i := range 40 {
		t := terms{every: time.Duration(1+i%3) * time.Second, overlap: "skip", slots: 1, catchup: "latest"}
		if i >= 20 {
			t = draw(steady.rng, 0)
		}
		steady.createJob(story{}, t)
	}
	for i := range uint64(7) {
		a := author(fmt.Sprintf("author%d", i), i)
		a.pause = 10 * time.Millisecond << i // the slow ones give a stale definition time to show itself
		p.done.Go(func() { a.run(12) })
	}
	p.registrar = &registrar{ledger: p.ledger, client: p.admin, rng: rand.New(rand.NewPCG(seed, 200)), stop: p.stop}
	p.done.Go(p.registrar.run)
	session, err := client()
	if err != nil {
		return nil, err
	}
	p.observer = &observer{ledger: p.ledger, client: p.admin, rng: rand.New(rand.NewPCG(seed, 300)), stop: p.stop, jobs: steady.jobs}
	p.done.Go(p.observer.run)
	k := &keeper{ledger: p.ledger, client: session, stop: p.stop}
	p.done.Go(k.run)
	return p, nil
}

// leave tells everybody to stop and waits for them.
func (p *people) leave() {
	close(p.stop)
	p.done.Wait()
}

// errorsIn returns the lines of a server's log that tell of errors: a kill is
// no cause for any.
func errorsIn(log string) []string {
	var found []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, "level=ERROR") || strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
			found = append(found, "the server's log: "+strings.TrimSpace(line))
		}
	}
	return found
}

func (p *people) deletedJobs() map[int64]bool {
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

// records gets all records of the jobs that are there, by job, oldest first,
// and the jobs' states. A job that is gone, or is there, and should not be, is
// complained about.
func (p *people) records() (map[int64][]record, error) {
	all := map[int64][]record{}
	for _, s := range p.stories {
		var view jobView
		answer, err := p.admin.Call("GET", fmt.Sprintf("/job/%d", s.id), nil, &view)
		gone := answer.Status == 404
		switch {
		case err != nil || !answer.OK() && !gone:
			return nil, fmt.Errorf("job %s: %v %w", s.name, answer, err)
		case gone && !s.last().deleted:
			p.complain("job %s was confirmed and is gone", s.name)
		case !gone && s.last().deleted && !s.last().acked.IsZero():
			p.complain("job %s was deleted and is there", s.name)
		case !gone && !s.ends() && !s.last().acked.IsZero() && (view.State == "paused") != s.last().paused:
			p.complain("job %s is %s after: %v", s.name, view.State, s.last())
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
	return all, nil
}
