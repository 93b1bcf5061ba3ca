// Command recipes lets the recipes of docs/reference/signatures.md verify the
// requests of a real server, those very lines, and requests that they must
// refuse; and the libraries of Standard Webhooks for Go and Node beside them. A
// language that is not on this machine is named and left out; Go and Node must be
// there.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/teknohole/jadwal/internal/harness"
)

func main() {
	dir, err := os.MkdirTemp("", "jadwal-recipes-")
	if err == nil {
		err = run(dir)
	}
	os.RemoveAll(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "recipes:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	root, err := harness.Root()
	if err != nil {
		return err
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "reference", "signatures.md"))
	if err != nil {
		return err
	}
	requests, err := record(dir)
	if err != nil {
		return err
	}
	cases := casesOf(requests)
	for i, l := range languages {
		place := filepath.Join(dir, fmt.Sprintf("recipe%d", i))
		if err := os.Mkdir(place, 0o700); err != nil {
			return err
		}
		if err := l.prepare(root, place, string(page)); errors.Is(err, errAbsent) {
			fmt.Printf("recipes: %s: %v: NOT RUN\n", l.name, err)
			continue
		} else if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		said, err := l.verdicts(place, cases)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		var wrong []string
		for j, c := range cases {
			if said[j] != c.right && !(l.library && c.recipes) {
				wrong = append(wrong, fmt.Sprintf("%s: verified %v, want %v", c.rule, said[j], c.right))
			}
		}
		if wrong != nil {
			return fmt.Errorf("%s:\n  %s", l.name, strings.Join(wrong, "\n  "))
		}
		fmt.Printf("recipes: %s: %d of %d requests verified, the others refused\n", l.name, count(said), len(cases))
	}
	return nil
}

func count(said []bool) int {
	return len(slices.DeleteFunc(slices.Clone(said), func(verified bool) bool { return !verified }))
}

// block returns the first block of code in that language on a page.
func block(page, language string) (string, error) {
	_, after, found := strings.Cut(page, "```"+language+"\n")
	code, _, closed := strings.Cut(after, "\n```\n")
	if !found || !closed {
		return "", fmt.Errorf("the page has no recipe in %s", language)
	}
	return code + "\n", nil
}
