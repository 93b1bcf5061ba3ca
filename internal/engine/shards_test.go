package engine

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store/storetest"
	"github.com/teknohole/jadwal/internal/target"
)

// landless is a store whose engine has no shards from the start.
type landless struct{ *faults }

func (landless) Begin(context.Context) (*jadwal.Holding, error) { return new(jadwal.Holding), nil }

// A state is several engines that share out the shards of one store.
type state struct {
	w       *world
	engines []*Engine
	faults  []*faults
	stops   []func()
	epochs  jadwal.Holding
	owner   [jadwal.Shards]int // of engines; -1: nobody
}

func newState(w *world, engines int) *state {
	s := &state{w: w}
	if w.url != "" {
		if err := storetest.Own(w.st); err != nil { // they are of one node
			w.t.Fatal(err)
		}
	}
	for i := range s.owner {
		s.owner[i] = -1
	}
	for range engines {
		fault := &faults{Store: w.st}
		http := target.New(target.Options{Version: "test", DialContext: fault.dial(w.sink)})
		e := New(Options{Store: landless{fault}, Target: http, Log: slog.New(slog.NewTextHandler(logWriter{w.t}, &slog.HandlerOptions{Level: slog.LevelWarn})), DrainTimeout: w.drain})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() {
			err := e.Run(ctx)
			http.Close()
			ended <- err
		}()
		s.engines, s.faults = append(s.engines, e), append(s.faults, fault)
		s.stops = append(s.stops, func() {
			cancel()
			if err := <-ended; err != nil {
				w.t.Errorf("engine ended with: %v", err)
			}
		})
	}
	w.t.Cleanup(func() {
		for _, stop := range s.stops {
			stop()
		}
	})
	return s
}

// give gives shards that nobody has to an engine, in their next epoch.
func (s *state) give(to int, set jadwal.ShardSet) {
	var h jadwal.Holding
	for shard := range set.Each() {
		s.epochs[shard]++
		h[shard] = s.epochs[shard]
		s.owner[shard] = to
	}
	s.engines[to].Gain(&h)
}

// move hands shards over from their owner to another one, each as soon as it
// is released, and returns when all are.
func (s *state) move(from, to int, set jadwal.ShardSet) {
	released := make(chan jadwal.ShardSet, jadwal.Shards)
	s.engines[from].Yield(set, func(gone jadwal.ShardSet) { released <- gone })
	for left := set.Len(); left > 0; {
		gone := <-released
		left -= gone.Len()
		s.give(to, gone)
	}
}

func TestShards(t *testing.T) {
	scenario(t, "shards that change hands lose, double, miss and skip nothing", func(t *testing.T, w *world) {
		rng := rand.New(rand.NewPCG(1, 2))
		w.sink.takes = func(d delivery) time.Duration {
			return time.Duration(len(d.run)*int(d.run[10])*7919%900) * time.Millisecond
		}
		s := newState(w, 3)
		var ids []int64
		for i := range 30 {
			ids = append(ids, w.job(fmt.Sprintf("j%d", i), "every 1s").ID)
		}
		s.give(0, jadwal.AllShards())
		for range 60 {
			time.Sleep(time.Duration(rng.IntN(700)) * time.Millisecond)
			from, to := rng.IntN(3), rng.IntN(3)
			var set jadwal.ShardSet
			for shard, owner := range s.owner {
				if owner == from && rng.IntN(2) == 0 {
					set.Add(shard)
				}
			}
			if from != to && set.Len() > 0 {
				s.move(from, to, set)
			}
		}
		time.Sleep(2 * time.Second)
		seen := map[string]bool{}
		for _, d := range w.sink.deliveries() {
			if seen[d.run] || d.redelivery {
				t.Errorf("run %s of job %s came again", d.run, d.job)
			}
			seen[d.run] = true
		}
		epochs := map[string]int{}
		for _, d := range w.sink.deliveries() {
			if d.epoch < epochs[d.job] {
				t.Errorf("job %s: epoch %d after %d", d.job, d.epoch, epochs[d.job])
			}
			epochs[d.job] = d.epoch
		}
		for _, id := range ids {
			last := int64(0)
			runs := w.runs(id)
			for _, r := range runs {
				if r.State != jadwal.RunSucceeded || last != 0 && r.Key.DueAt != last+1e6 {
					t.Errorf("job %d: %s", id, tell(runs))
					break
				}
				last = r.Key.DueAt
			}
			if len(runs) < 25 {
				t.Errorf("job %d ran %d times", id, len(runs))
			}
		}
	})
	scenario(t, "what runs for long keeps its shard, and the shard can be had back", func(t *testing.T, w *world) {
		job := w.job("long", "0 1 * * *")
		other := w.job("minutely", "* * * * *")
		w.sink.takes = func(d delivery) time.Duration {
			if d.job == "long" {
				return 10 * time.Minute
			}
			return 0
		}
		s := newState(w, 2)
		s.give(0, jadwal.AllShards())
		until("01:02:30")
		released := jadwal.ShardSet{}
		s.engines[0].Yield(jadwal.AllShards(), func(gone jadwal.ShardSet) { released.Union(&gone) })
		time.Sleep(time.Second)
		synctest.Wait()
		if released.Len() != jadwal.Shards-1 || released.HasJob(job.ID) {
			t.Fatalf("%d shards were released, the one of the long run: %v", released.Len(), released.HasJob(job.ID))
		}
		s.give(1, released)
		back := jadwal.Holding{}
		back[jadwal.ShardOf(job.ID)] = 1
		s.engines[0].Gain(&back)
		until("01:20:30")
		w.check(job.ID, "01:00 succeeded")
		if runs := w.runs(other.ID); len(runs) != 80 {
			t.Errorf("the other job ran %d times: %s", len(runs), tell(runs))
		}
		if n := len(w.sink.deliveries()); n != 81 {
			t.Errorf("%d deliveries, want 81", n)
		}
	})
	scenario(t, "what has ended and is not recorded yet when its shard comes back is not made again", func(t *testing.T, w *world) {
		job := w.job("minutely", "* * * * *")
		hourly := w.job("hourly", "0 * * * *")
		w.sink.set(2 * time.Second)
		s := newState(w, 1)
		s.give(0, jadwal.AllShards())
		until("00:59:30")
		s.faults[0].on(func(f *faults) { f.before = func([]*jadwal.Outcome) error { return unavailable() } })
		until("01:00:01")
		s.engines[0].Yield(jadwal.AllShards(), func(jadwal.ShardSet) {})
		until("01:00:04")
		var back jadwal.Holding
		for _, id := range []int64{job.ID, hourly.ID} {
			back[jadwal.ShardOf(id)] = 1
		}
		s.engines[0].Gain(&back)
		until("01:00:10")
		s.faults[0].on(func(f *faults) { f.before = nil })
		until("01:02:30")
		w.check(hourly.ID, "01:00 succeeded")
		if runs := w.runs(job.ID); len(runs) != 62 {
			t.Errorf("the other job ran %d times: %s", len(runs), tell(runs))
		}
		if n := len(w.sink.deliveries()); n != 63 {
			t.Errorf("%d deliveries, want 63", n)
		}
	})
	scenario(t, "a job is not over for who lets go of it when the last run there ends, but when its waiting runs have ended elsewhere", func(t *testing.T, w *world) {
		w.sink.set(2500 * time.Millisecond)
		s := newState(w, 2)
		def := definitionOf("a", "every 1s")
		def.Overlap, def.MaxRuns, def.AfterCompletion = jadwal.OverlapQueueAll, 3, jadwal.CompletionKeep
		job, err := w.create(def, time.Now().UTC())
		if err != nil {
			t.Fatal(err)
		}
		s.give(0, jadwal.AllShards())
		time.Sleep(3200 * time.Millisecond) // the first runs, two wait, and no instant is left
		s.move(0, 1, jadwal.AllShards())
		time.Sleep(10 * time.Second)
		runs := w.runs(job.ID)
		for _, r := range runs {
			if r.State != jadwal.RunSucceeded || r.Version != 1 {
				t.Errorf("%+v", r)
			}
		}
		if now, err := w.st.Job(context.Background(), job.ID); err != nil || now.State != jadwal.JobCompleted || len(runs) != 3 {
			t.Errorf("%s, %+v, %v", tell(runs), now, err)
		}
	})
	scenario(t, "a pause asked for while nobody has the shard is applied before anything starts", func(t *testing.T, w *world) {
		job := w.job("minutely", "* * * * *")
		s := newState(w, 2)
		s.give(0, jadwal.AllShards())
		until("00:02:30")
		s.engines[0].Yield(jadwal.AllShards(), func(jadwal.ShardSet) {})
		time.Sleep(time.Second)
		change := w.update(job.ID, pause)
		until("00:04:30")
		s.give(1, jadwal.AllShards())
		w.applied(change)
		until("00:06:30")
		w.apply(job.ID, resume)
		until("00:07:30")
		w.check(job.ID, "00:01 succeeded, 00:02 succeeded, 00:03 missed server_down, 00:04 succeeded, 00:05-00:06 skipped paused, 00:07 succeeded")
	})
	scenario(t, "forfeited shards are fired again by the next owner, and recorded once", func(t *testing.T, w *world) {
		rng := rand.New(rand.NewPCG(3, 4))
		w.sink.set(300 * time.Millisecond)
		s := newState(w, 2)
		var ids []int64
		for i := range 20 {
			ids = append(ids, w.job(fmt.Sprintf("j%d", i), "every 1s").ID)
		}
		s.give(0, jadwal.AllShards())
		at := 0
		for range 40 {
			time.Sleep(time.Duration(500+rng.IntN(1000)) * time.Millisecond)
			s.engines[at].Forfeit()
			at = rng.IntN(2)
			s.give(at, jadwal.AllShards())
		}
		time.Sleep(3 * time.Second)
		seen, again := map[string]bool{}, 0
		for _, d := range w.sink.deliveries() {
			if seen[d.run] {
				again++
			}
			seen[d.run] = true
		}
		if again == 0 {
			t.Error("nothing was delivered again")
		}
		for _, id := range ids {
			last := int64(0)
			runs := w.runs(id)
			for _, r := range runs {
				if last != 0 && r.Key.DueAt != last+1e6 {
					t.Errorf("job %d: %s", id, tell(runs))
					break
				}
				if last = r.Key.DueAt; !r.ThroughAt.IsZero() {
					last = r.ThroughAt.UnixMicro()
				}
			}
		}
	})
	scenario(t, "nothing starts after the moment until which the engine is trusted", func(t *testing.T, w *world) {
		job := w.job("minutely", "* * * * *")
		s := newState(w, 1)
		s.give(0, jadwal.AllShards())
		s.engines[0].Trust(time.Now().Add(2*time.Minute + 30*time.Second))
		until("00:05:30")
		w.check(job.ID, "00:01 succeeded, 00:02 succeeded")
		s.engines[0].Trust(time.Now().Add(time.Hour))
		until("00:06:30")
		if n := len(w.sink.deliveries()); n != 4 {
			t.Errorf("%d deliveries, want 4", n)
		}
	})
}
