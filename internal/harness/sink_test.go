package harness

import (
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/target"
)

func TestSink(t *testing.T) {
	s, err := ListenSink("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h := target.New(target.Options{})
	defer h.Close()
	due := time.Date(2027, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	call := func(path, body string, redelivery bool) target.Result {
		return h.Do(t.Context(), target.Call{
			Key: jadwal.RunKey{DueAt: due.UnixMicro(), JobID: 7}, Attempt: 2, DueAt: due, JobID: 7, Epoch: 3, Redelivery: redelivery, Timeout: time.Minute,
			Job: &jadwal.Definition{Name: "x", Output: jadwal.DefaultOutput, Target: jadwal.Target{Type: "http", Method: "POST", URL: s.URL() + path, Body: jadwal.RawJSON(body)}},
		})
	}
	t.Run("it answers as the path asks", func(t *testing.T) {
		if r := call("/a", "", false); r.State != jadwal.RunSucceeded || string(r.Output) != "ok\n" {
			t.Errorf("%+v", r)
		}
		if r := call("/b?status=503", `{"some": "body"}`, false); r.StatusCode != 503 {
			t.Errorf("%+v", r)
		}
		if r := call("/c?delay=30ms", `{"some": "body"}`, true); r.FinishedAt.Sub(r.StartedAt) < 30*time.Millisecond {
			t.Errorf("%+v", r)
		}
	})
	t.Run("their order is that of their times, however many come at once", func(t *testing.T) {
		s, err := ListenSink("127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		const callers, calls = 64, 200
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				c, err := net.Dial("tcp", s.listener.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				answer := make([]byte, len(ok))
				for range calls {
					io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
					if _, err := io.ReadFull(c, answer); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		got := s.Deliveries()
		if len(got) != callers*calls || !slices.IsSortedFunc(got, func(a, b Delivery) int { return a.At.Compare(b.At) }) {
			t.Errorf("%d deliveries, and not in order", len(got))
		}
	})
	t.Run("it records every delivery", func(t *testing.T) {
		got := s.Deliveries()
		if len(got) != 3 {
			t.Fatalf("%d deliveries", len(got))
		}
		for i, path := range []string{"/a", "/b?status=503", "/c?delay=30ms"} {
			d := got[i]
			if d.At.IsZero() || d.Answered.Before(d.At) {
				t.Errorf("read at %v, answered at %v", d.At, d.Answered)
			}
			if took := d.Answered.Sub(d.At); i == 2 && took < 30*time.Millisecond {
				t.Errorf("answered after %v", took)
			}
			d.At, d.Answered = time.Time{}, time.Time{}
			want := Delivery{Method: "POST", Path: path, RunID: jadwal.RunKey{DueAt: due.UnixMicro(), JobID: 7}.ID(), Job: "x", Attempt: 2, Epoch: 3, DueAt: due, Redelivery: i == 2}
			if d != want {
				t.Errorf("got  %+v\nwant %+v", d, want)
			}
		}
	})
}
