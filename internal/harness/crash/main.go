package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
	"github.com/teknohole/jadwal/internal/harness/people"
	"github.com/teknohole/jadwal/internal/store"
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
	p, err := people.Invite(people.Options{URL: server.URL(), Sink: sink.URL(), Seed: seed})
	if err != nil {
		return err
	}
	begun := time.Now()
	lives, err := killAgainAndAgain(&haunted{Server: server, Ledger: p.Ledger}, rng, rounds)
	lasted := time.Since(begun)
	p.Leave()
	if err != nil {
		return err
	}

	time.Sleep(6 * time.Second) // until every job has had an undisturbed instant
	now := time.Now()
	live, err := p.Records()
	if err != nil {
		return err
	}
	if err := server.Stop(30 * time.Second); err != nil {
		return err
	}
	deleted, broken, err := people.Inspect(store.Options{Dir: server.Data()}, p.DeletedJobs())
	if err != nil {
		return err
	}
	return p.Verdict(people.Summary{
		Title: fmt.Sprintf("crash: %d kills", rounds), Lives: lives, Lasted: lasted, Now: now,
		Live: live, Deleted: deleted, Broken: broken, Errors: people.ErrorsIn(server.LogTail(1 << 30)), Deliveries: sink.Deliveries(),
	})
}

// killAgainAndAgain kills and starts the server rounds times and returns what
// became of each process. Most live for less than a second, one in six for
// longer than a run is in memory only. One time in ten it is killed while it
// starts, and one in twelve it is asked to stop instead. One time in twelve it
// stays away for a while.
func killAgainAndAgain(server *haunted, rng *rand.Rand, rounds int) ([]people.Life, error) {
	now := time.Now()
	lives := []people.Life{{Started: now, Ready: now}}
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
		l.Ended, l.Asked = time.Now(), ready && rng.IntN(12) == 0
		if l.Asked {
			if err := server.Stop(30 * time.Second); err != nil {
				return nil, err
			}
		} else {
			server.Kill()
		}
		l.Gone = time.Now()
		if rng.IntN(12) == 0 {
			time.Sleep(time.Duration(rng.IntN(4000)) * time.Millisecond) // an outage of several instants
		}
		lives = append(lives, people.Life{Started: time.Now()})
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
		lives[len(lives)-1].Ready = time.Now()
		if i%20 == 19 {
			fmt.Printf("  %d kills\n", i+1)
		}
	}
	if server.former != nil {
		return lives, server.former.leave()
	}
	return lives, nil
}
