package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/teknohole/jadwal/internal/auth"
	"github.com/teknohole/jadwal/internal/harness"
)

// client is one connection with what it sends.
type client struct {
	conn    *harness.Conn
	id      int
	request []byte
	refresh string
	made    int
}

func dial(address string, n int) ([]*client, error) {
	clients := make([]*client, n)
	for i := range clients {
		c, err := harness.Dial(address)
		if err != nil {
			return nil, err
		}
		clients[i] = &client{conn: c, id: i}
	}
	return clients, nil
}

func closeAll(clients []*client) {
	for _, c := range clients {
		c.conn.Close()
	}
}

// send sends a client's request, whose answer must have the status want.
func (c *client) send(want int) ([]byte, error) {
	status, body, err := c.conn.Do(c.request)
	if err == nil && status != want {
		err = fmt.Errorf("answered %d: %s", status, body)
	}
	return body, err
}

func admin(s *harness.Server) (*harness.Client, error) {
	c := harness.NewClient(s.URL())
	return c, c.SignIn("admin", harness.AdminPassword)
}

// benchMe measures GET /user/me beside a bare net/http handler that checks the
// same token and writes the same bytes.
func benchMe(s *harness.Server, turns int, turn time.Duration) error {
	session, err := admin(s)
	if err != nil {
		return err
	}
	address, err := harness.FreeAddress()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	floor := exec.Command(self, "-floor", address)
	floor.Stderr = os.Stderr
	if err := floor.Start(); err != nil {
		return err
	}
	defer func() {
		floor.Process.Kill()
		floor.Wait()
	}()
	if err := answers("http://" + address + "/"); err != nil {
		return err
	}
	at := func(name, address string, cpu func() (time.Duration, error)) (side, error) {
		clients, err := dial(address, 16)
		for _, c := range clients {
			c.request = harness.Request("GET", "/user/me", session.Access, "")
		}
		return side{name: name, cpu: cpu, turn: func(d time.Duration) (int, error) {
			return load(d, clients, func(c *client) error {
				_, err := c.send(200)
				return err
			})
		}}, err
	}
	ours, err1 := at("GET /user/me", s.Address, s.CPU)
	bare, err2 := at("bare net/http, same token", address, func() (time.Duration, error) { return harness.ProcessorTime(floor.Process.Pid) })
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	done, void, err := duel(turns, turn, ours, bare)
	if err != nil {
		return err
	}
	report("GET /user/me, 16 connections", "ratio 0.85", []side{ours, bare}, done, void)
	return nil
}

// answers waits until a server answers.
func answers(url string) error {
	for range 500 {
		if resp, err := http.Get(url); err == nil {
			resp.Body.Close()
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("nobody answers at %s", url)
}

// serveFloor is the floor of GET /user/me, a process of its own.
func serveFloor(address string) error {
	keys, err := auth.LoadOrCreateKeys("", []byte(secret), nil)
	if err != nil {
		return err
	}
	active, retiring := keys.Derive(auth.PurposeTokens)
	tokens := auth.NewTokens(active, retiring, auth.Lifetimes{Access: time.Hour, Refresh: time.Hour, Session: time.Hour})
	body := []byte(`{"success":true,"status":200,"message":"Welcome admin!","path":"/user/me","timestamp":"2026-12-09T06:58:02Z","data":{"id":1,"username":"admin","email":"admin@teknohole.com","is_superuser":true,"created_at":"2026-12-09T03:01:40.912343Z","updated_at":"2026-12-11T13:41:00.158809Z"}}`)
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, err := tokens.ParseAccess(token, time.Now()); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Request-Id", "0123456789abcdef")
		w.Write(body)
	}))
}

// benchRefresh measures refreshes, each rotating a session of its own, durably.
func benchRefresh(s *harness.Server, turns int, turn time.Duration) error {
	// Two users: one has fewer sessions than there are clients.
	maker, err := admin(s)
	if err != nil {
		return err
	}
	second := map[string]string{"username": "second", "email": "second@example.com", "password": harness.AdminPassword}
	if a, err := maker.Call("POST", "/user", second, nil); err != nil || a.Status != 201 {
		return fmt.Errorf("second user: %v, %v", a, err)
	}
	tokens := make([]string, 64)
	for i := range tokens {
		session := harness.NewClient(s.URL())
		if err := session.SignIn([]string{"admin", "second"}[i%2], harness.AdminPassword); err != nil {
			return err
		}
		tokens[i] = session.Refresh
	}
	clients, err := dial(s.Address, len(tokens)) // now, since the server closes connections that say nothing
	if err != nil {
		return err
	}
	defer closeAll(clients)
	for i, c := range clients {
		c.refresh = tokens[i]
	}
	ours := side{name: "POST /refresh/token", cpu: s.CPU, turn: func(d time.Duration) (int, error) {
		return load(d, clients, func(c *client) error {
			c.request = harness.AppendRequest(c.request[:0], "POST", "/refresh/token", "", `{"refresh_token":"`+c.refresh+`"}`)
			body, err := c.send(200)
			if err != nil {
				return err
			}
			c.refresh, err = member(body, `"refresh_token":"`)
			return err
		})
	}}
	done, void, err := duel(turns, turn, ours)
	if err != nil {
		return err
	}
	report("refreshes, durable, 64 clients", "6,000/s", []side{ours}, done, void)
	return nil
}

// member returns the string that follows key in an answer.
func member(body []byte, key string) (string, error) {
	_, rest, found := bytes.Cut(body, []byte(key))
	value, _, closed := bytes.Cut(rest, []byte(`"`))
	if !found || !closed {
		return "", fmt.Errorf("no %s in %s", key, body)
	}
	return string(value), nil
}

// benchLogin measures sign-ins beside the bare hash that each must compute.
func benchLogin(s *harness.Server, turns int, turn time.Duration) error {
	cores := runtime.NumCPU()
	clients, err := dial(s.Address, 2*cores)
	if err != nil {
		return err
	}
	defer closeAll(clients)
	for _, c := range clients {
		c.request = harness.Request("POST", "/login", "", `{"identifier":"admin","password":"`+harness.AdminPassword+`"}`)
	}
	ours := side{name: "POST /login", cpu: s.CPU, turn: func(d time.Duration) (int, error) {
		return load(d, clients, func(c *client) error {
			_, err := c.send(200)
			return err
		})
	}}
	salt := make([]byte, 16)
	bare := side{name: "argon2id alone", cpu: ownCPU, turn: func(d time.Duration) (int, error) {
		return load(d, make([]struct{}, cores), func(struct{}) error {
			argon2.IDKey([]byte(harness.AdminPassword), salt, 2, 19<<10, 1, 32)
			return nil
		})
	}}
	done, void, err := duel(turns, max(turn, 2*time.Second), ours, bare)
	if err != nil {
		return err
	}
	report("sign-ins", "ratio 0.95", []side{ours, bare}, done, void)
	return nil
}

// benchCreate measures the creation of jobs, whose instants are far away.
func benchCreate(s *harness.Server, turns int, turn time.Duration) error {
	session, err := admin(s)
	if err != nil {
		return err
	}
	clients, err := dial(s.Address, 64)
	if err != nil {
		return err
	}
	defer closeAll(clients)
	ours := side{name: "POST /job", cpu: s.CPU, turn: func(d time.Duration) (int, error) {
		return load(d, clients, func(c *client) error {
			c.made++
			c.request = harness.AppendRequest(c.request[:0], "POST", "/job", session.Access, fmt.Sprintf(
				`{"name":"job-%d-%d","schedules":[{"cron":"0 0 1 1 *"}],"timezone":"Asia/Jakarta","target":{"type":"http","method":"POST","url":"https://example.com/invoices","body":{"n":%d}}}`, c.id, c.made, c.made))
			_, err := c.send(201)
			return err
		})
	}}
	done, void, err := duel(turns, turn, ours)
	if err != nil {
		return err
	}
	report("jobs created, durable, 64 clients", "5,000/s", []side{ours}, done, void)
	return nil
}
