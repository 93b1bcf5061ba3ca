package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// command is behind the name of a variable that says what to run for a key.
const command = "_COMMAND"

// commandTimeout is how long a command that prints a key may take.
const commandTimeout = 30 * time.Second

// masterKey reads a master key as secret does, or runs the command that the
// variable with _COMMAND behind it holds and takes what it prints, without the
// line end at its end. So the key can stay in the custody of another program.
func (r *reader) masterKey(name string) []byte {
	line, _ := r.environment(name + command)
	if line == "" {
		return r.secret(name)
	}
	for _, other := range []string{name, name + "_FILE"} {
		if value, _ := r.environment(other); value != "" {
			r.badSecret(name+command, "%s is set as well; set only one of them", other)
			return nil
		}
	}
	key, err := output(line)
	switch {
	case err != nil:
		r.badSecret(name+command, "the command %v", err)
	case len(trimEOL(key)) == 0:
		r.badSecret(name+command, "the command has printed nothing; it must print the key on its standard output")
	}
	return trimEOL(key)
}

// output runs a line of sh and returns what it prints. What it says on its
// standard error goes to ours. No error repeats the line, which may hold a
// secret, or what was printed.
func output(line string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	var printed bounded
	c := exec.CommandContext(ctx, "sh", "-c", line)
	c.Stdout, c.Stderr = &printed, os.Stderr
	c.WaitDelay = time.Second // for what it has left running in the background
	err := c.Run()
	failed, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("has not ended within %s", commandTimeout)
	case printed.over:
		return nil, fmt.Errorf("has printed more than %d bytes", maxSecretFile)
	case exited:
		return nil, fmt.Errorf("has failed: %s", failed)
	case err != nil:
		return nil, fmt.Errorf("cannot be run: %w", err)
	}
	return printed.bytes, nil
}

// bounded takes as many bytes as a file of a secret may have.
type bounded struct {
	bytes []byte
	over  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(b.bytes)+len(p) > maxSecretFile {
		b.over = true
		return 0, errors.New("too much")
	}
	b.bytes = append(b.bytes, p...)
	return len(p), nil
}
