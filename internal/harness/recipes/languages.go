package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A language is a way to verify. Its driver reads cases from its input, one a
// line, and prints yes or no for each.
type language struct {
	name    string
	library bool              // of Standard Webhooks, and not a recipe
	recipe  [2]string         // the block's language on the page, and the file that it becomes
	files   map[string]string // besides, by name
	install []string          // a command that runs first, in its directory
	run     []string
	must    bool // it must be there
}

// errAbsent is that a language is not on this machine.
var errAbsent = errors.New("is not on this machine")

const goDriver = `package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	"recipe/webhook"
)

func main() {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var c struct {
			Key     string
			Headers map[string]string
			Body    []byte
		}
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			panic(err)
		}
		header := http.Header{}
		for name, value := range c.Headers {
			header.Set(name, value)
		}
		if webhook.Verify(c.Key, header, c.Body) == nil {
			fmt.Println("yes")
		} else {
			fmt.Println("no")
		}
	}
}
`

const nodeDriver = `import { createInterface } from "node:readline";
import { verify } from "./verify.mjs";

for await (const line of createInterface({ input: process.stdin })) {
  const c = JSON.parse(line);
  try {
    verify(c.key, c.headers, Buffer.from(c.body, "base64"));
    console.log("yes");
  } catch {
    console.log("no");
  }
}
`

const nodeLibrary = `import { Webhook } from "standardwebhooks";

export function verify(key, headers, body) {
  new Webhook(key).verify(body.toString(), headers);
}
`

const pythonDriver = `import base64
import json
import sys

from recipe import verify

for line in sys.stdin:
    c = json.loads(line)
    try:
        verify(c["key"], c["headers"], base64.b64decode(c["body"] or ""))
        print("yes")
    except ValueError:
        print("no")
`

const phpDriver = `<?php
require 'recipe.php';

while (($line = fgets(STDIN)) !== false) {
    $c = json_decode($line, true);
    echo verify($c['key'], $c['headers'], base64_decode($c['body'])) ? "yes\n" : "no\n";
}
`

var languages = []language{
	{
		name: "the Go recipe", recipe: [2]string{"go", "webhook/verify.go"}, must: true,
		files: map[string]string{"go.mod": "module recipe\n\ngo 1.21\n", "main.go": goDriver},
		run:   []string{"go", "run", "."},
	},
	{
		name: "the Node recipe", recipe: [2]string{"js", "verify.mjs"}, must: true,
		files: map[string]string{"driver.mjs": nodeDriver}, run: []string{"node", "driver.mjs"},
	},
	{
		name: "the Python recipe", recipe: [2]string{"python", "recipe.py"},
		files: map[string]string{"driver.py": pythonDriver}, run: []string{"python3", "driver.py"},
	},
	{
		name: "the PHP recipe", recipe: [2]string{"php", "recipe.php"},
		files: map[string]string{"driver.php": phpDriver}, run: []string{"php", "driver.php"},
	},
	{
		name: "the library for Node", library: true, must: true,
		files:   map[string]string{"driver.mjs": nodeDriver, "verify.mjs": nodeLibrary},
		install: []string{"npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"}, run: []string{"node", "driver.mjs"},
	},
}

// prepare puts what l consists of into a directory. errAbsent: l is not on this
// machine, and need not be.
func (l language) prepare(root, dir, page string) error {
	for _, command := range [][]string{l.run, l.install} {
		if command == nil {
			continue
		}
		if _, err := exec.LookPath(command[0]); err != nil {
			if l.must {
				return err
			}
			return fmt.Errorf("%s %w", command[0], errAbsent)
		}
	}
	write := func(name, text string) error {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		return os.WriteFile(name, []byte(text), 0o600)
	}
	for name, text := range l.files {
		if err := write(name, text); err != nil {
			return err
		}
	}
	if !l.library {
		code, err := block(page, l.recipe[0])
		if err != nil {
			return err
		}
		return write(l.recipe[1], code)
	}
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join(root, "internal", "harness", "recipes", "node", name))
		if err != nil {
			return err
		}
		if err := write(name, string(text)); err != nil {
			return err
		}
	}
	return nil
}

// verdicts tells for each case whether l has verified it.
func (l language) verdicts(dir string, cases []testCase) (said []bool, err error) {
	in, err := lines(cases)
	if err != nil {
		return nil, err
	}
	if l.install != nil {
		if _, err := execute(dir, "", l.install); err != nil {
			return nil, err
		}
	}
	out, err := execute(dir, in, l.run)
	if err != nil {
		return nil, err
	}
	for word := range strings.FieldsSeq(out) {
		said = append(said, word == "yes")
	}
	if len(said) != len(cases) {
		return nil, fmt.Errorf("%d verdicts on %d requests:\n%s", len(said), len(cases), out)
	}
	return said, nil
}

// execute runs a command in a directory and returns what it printed.
func execute(dir, in string, command []string) (string, error) {
	cmd := exec.Command(command[0], command[1:]...)
	var out, complaints bytes.Buffer
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, strings.NewReader(in), &out, &complaints
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(command, " "), err, out.String(), complaints.String())
	}
	return out.String(), nil
}
