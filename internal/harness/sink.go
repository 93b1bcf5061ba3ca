// Package harness is what the programs beside it share: a target that records
// what is delivered to it, a real server that can be started and killed, and
// clients for its API. They test and measure Jadwal from outside.
package harness

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Delivery is one call of a target as the target saw it.
type Delivery struct {
	At         time.Time // when the request was read
	Answered   time.Time // just before the answer was sent; zero: not yet, or not kept
	Method     string
	Path       string // with the query
	RunID      string
	Job        string
	Attempt    int
	Epoch      int64
	DueAt      time.Time
	Redelivery bool
}

// String tells of a delivery in a line: when it came, what it was, how late it is.
func (d Delivery) String() string {
	text := fmt.Sprintf("%s %s %s", d.At.UTC().Format("15:04:05.000"), d.Method, d.Path)
	if d.RunID == "" {
		return text
	}
	text += fmt.Sprintf(" job %s run %s attempt %d, %v after it was due", d.Job, d.RunID, d.Attempt, d.At.Sub(d.DueAt).Round(100*time.Microsecond))
	if d.Redelivery {
		text += ", maybe delivered before"
	}
	return text
}

// Sink is a fast HTTP/1.1 target. It answers 200 with a short body, unless the
// path's query says otherwise: delay=50ms waits before the answer, status=503
// answers that. It understands what net/http's client sends and no more:
// requests with a Content-Length or no body.
type Sink struct {
	listener net.Listener
	seen     func(Delivery)
	conns    sync.WaitGroup

	mu         sync.Mutex
	open       map[net.Conn]bool
	deliveries []Delivery
}

// ListenSink starts a sink on address ("127.0.0.1:0"). seen, unless nil, gets
// each delivery before it is answered, and nothing is kept; otherwise
// Deliveries returns them all.
func ListenSink(address string, seen func(Delivery)) (*Sink, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &Sink{listener: l, seen: seen, open: map[net.Conn]bool{}}
	s.conns.Go(s.accept)
	return s, nil
}

// URL is the sink's address as the beginning of a target's URL, without a slash at its end.
func (s *Sink) URL() string { return "http://" + s.listener.Addr().String() }

// Deliveries returns what has arrived so far, in order.
func (s *Sink) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.deliveries)
}

// Close closes the listener and every connection and waits for their ends.
func (s *Sink) Close() {
	s.listener.Close()
	s.mu.Lock()
	for c := range s.open {
		c.Close()
	}
	s.open = nil
	s.mu.Unlock()
	s.conns.Wait()
}

func (s *Sink) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.open == nil {
			c.Close()
			s.mu.Unlock()
			return
		}
		s.open[c] = true
		s.mu.Unlock()
		s.conns.Go(func() {
			s.serve(c)
			s.mu.Lock()
			delete(s.open, c)
			s.mu.Unlock()
			c.Close()
		})
	}
}

func (s *Sink) serve(c net.Conn) {
	r := bufio.NewReaderSize(c, 4<<10)
	for {
		d, err := readDelivery(r)
		if err != nil {
			return
		}
		place := -1
		if s.seen != nil {
			s.seen(d)
		} else {
			s.mu.Lock()
			place = len(s.deliveries)
			d.At = time.Now() // again: while s.mu was waited for, others have come
			s.deliveries = append(s.deliveries, d)
			s.mu.Unlock()
		}
		answer := answerTo(d.Path)
		if place >= 0 {
			s.mu.Lock()
			s.deliveries[place].Answered = time.Now()
			s.mu.Unlock()
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

var ok = []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")

// answerTo waits as the path asks and returns the answer it asks for.
func answerTo(path string) []byte {
	_, query, asked := strings.Cut(path, "?")
	if !asked {
		return ok
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return ok
	}
	if delay, err := time.ParseDuration(q.Get("delay")); err == nil {
		time.Sleep(delay)
	}
	status, err := strconv.Atoi(q.Get("status"))
	if err != nil || status < 200 || status > 599 {
		return ok
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d x\r\nContent-Length: 3\r\n\r\nno\n", status)
}

var errBadRequest = errors.New("not a request as net/http's client sends it")

// readDelivery reads one request. The lines it returns parts of must fit the
// reader's buffer.
func readDelivery(r *bufio.Reader) (Delivery, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return Delivery{}, err
	}
	method, rest, ok1 := bytes.Cut(line, []byte(" "))
	path, _, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok1 || !ok2 {
		return Delivery{}, errBadRequest
	}
	d := Delivery{At: time.Now(), Method: string(method), Path: string(path)}
	size := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return Delivery{}, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, found := bytes.Cut(line, []byte(": "))
		if !found {
			return Delivery{}, errBadRequest
		}
		switch string(name) {
		case "Content-Length":
			if size, err = strconv.Atoi(string(value)); err != nil {
				return Delivery{}, errBadRequest
			}
		case "Jadwal-Run-Id":
			d.RunID = string(value)
		case "Jadwal-Job":
			d.Job = string(value)
		case "Jadwal-Attempt":
			d.Attempt, _ = strconv.Atoi(string(value))
		case "Jadwal-Epoch":
			d.Epoch, _ = strconv.ParseInt(string(value), 10, 64)
		case "Jadwal-Due-At":
			d.DueAt, _ = time.Parse(time.RFC3339Nano, string(value))
		case "Jadwal-Redelivery":
			d.Redelivery = true
		}
	}
	if _, err := io.CopyN(io.Discard, r, int64(size)); err != nil {
		return Delivery{}, err
	}
	return d, nil
}
