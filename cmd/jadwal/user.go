package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/auth"
	"github.com/teknohole/jadwal/internal/config"
	"github.com/teknohole/jadwal/internal/store"
)

type resetPasswordCommand struct {
	Name        string `arg:"" help:"Username or email."`
	DatabaseURL string `name:"database-url" env:"JADWAL_DATABASE_URL" placeholder:"URL" help:"PostgreSQL database (${env}, or the file of ${env}_FILE; default: SQLite in the data directory)."`
	Data        string `name:"data" env:"JADWAL_DATA" default:"./jadwal-data" placeholder:"DIR" help:"Data directory (${env}, default ${default})."`
}

// resetHint is the command that sets a user's password where the server keeps
// it. The URL of a database is not shown, nor is it put on a command line, where
// whoever lists processes sees it: it may hold a password.
func resetHint(username string, cfg config.Config) string {
	hint := "jadwal user reset-password " + username
	switch {
	case cfg.DatabaseURL != "":
		hint += " with JADWAL_DATABASE_URL set as for the server"
	case cfg.Data != config.DefaultData:
		hint += " --data '" + strings.ReplaceAll(cfg.Data, "'", `'\''`) + "'"
	}
	return hint
}

// Run sets a user's password in the database itself, whether a server runs on
// it or not.
func (c *resetPasswordCommand) Run(sys *system) error {
	ctx := context.Background()
	url, err := config.DatabaseURL(c.DatabaseURL, os.LookupEnv)
	if err != nil {
		return usageError{err}
	}
	// What fsync is matters to the server, which has said what it thinks of it.
	st, err := store.OpenOffline(ctx, store.Options{Dir: c.Data, URL: url, Unsafe: true})
	if err != nil {
		return dataError(url, err)
	}
	defer st.Close()
	user, err := st.Credentials(ctx, c.Name)
	if jadwal.CodeOf(err) == jadwal.CodeNotFound {
		return jadwal.Errorf(jadwal.CodeNotFound, "no user has the name or email %q in %s", c.Name, st.Name())
	}
	if err != nil {
		return err
	}
	password, err := askPassword(sys, user.Username)
	if err != nil {
		return err
	}
	if e := jadwal.CheckPassword(password, user.Username, user.Email); e != nil {
		return usageError{errors.New(e.Message)}
	}
	hash, err := auth.NewHasher().Hash(ctx, password)
	if err != nil {
		return err
	}
	if err := st.SetPassword(ctx, operator, user.ID, hash, false, time.Now()); err != nil {
		return err
	}
	fmt.Fprintf(sys.stderr, "The password of %s is set; all of that user's sessions have ended.\n", user.Username)
	return nil
}

// askPassword reads a password twice from a terminal, without echo, or one
// line from anything else.
func askPassword(sys *system, username string) (string, error) {
	fd := int(sys.stdin.Fd())
	if !term.IsTerminal(fd) {
		return readLine(sys.stdin)
	}
	defer restoreOnSignal(fd)()
	ask := func(prompt string) (string, error) {
		fmt.Fprintf(sys.stderr, prompt, username)
		b, err := term.ReadPassword(fd)
		fmt.Fprintln(sys.stderr)
		return string(b), err
	}
	first, err := ask("New password of %s: ")
	if err != nil {
		return "", err
	}
	again, err := ask("The same again for %s: ")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", usageError{errors.New("the two passwords differ; nothing was changed")}
	}
	return first, nil
}

// restoreOnSignal sees to it that a terminal shows again what is typed when
// the process is interrupted while it does not.
func restoreOnSignal(fd int) (done func()) {
	state, err := term.GetState(fd)
	if err != nil {
		return func() {}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		if _, ok := <-signals; ok {
			term.Restore(fd, state)
			os.Exit(exitInterrupted)
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
	}
}

// readLine reads one line, or what there is without a line's end. Longer than
// a password may be is enough to refuse it.
func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 4096)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	if line == "" {
		return "", usageError{errors.New("no password on standard input; write it there as one line")}
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}
