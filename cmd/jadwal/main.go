// Command jadwal is the scheduler: the server, and the operator's commands
// beside it. Data goes to stdout, everything else to stderr.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/schedule"
)

// The exit statuses.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitInterrupted = 130
)

type commands struct {
	Serve serveCommand `cmd:"" help:"Run the server."`
	User  struct {
		ResetPassword resetPasswordCommand `cmd:"" help:"Set a user's password and end that user's sessions; beside a running server too."`
	} `cmd:"" help:"The operator's hand on accounts."`
	Secret struct {
		Rotate rotateSecretCommand `cmd:"" help:"Make a new secret to sign tokens with; beside a running server too, and nobody is signed out."`
	} `cmd:"" help:"The operator's hand on what tokens are signed with."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// system is what a command may touch besides its arguments.
type system struct {
	stdin          *os.File
	stdout, stderr io.Writer
}

func main() {
	os.Exit(run(os.Args[1:], &system{os.Stdin, os.Stdout, os.Stderr}))
}

// run is the whole program; it returns the exit status.
func run(args []string, sys *system) int {
	if os.Getenv("JADWAL_UNSAFE") == "" {
		os.Unsetenv("JADWAL_UNSAFE") // kong takes no empty flag
	}
	var c commands
	parser, err := kong.New(&c,
		kong.Name("jadwal"),
		kong.Description("A job scheduler that is an API first.\n\nSecrets are no flags: JADWAL_ADMIN_PASSWORD, JADWAL_SECRET, JADWAL_RETIRING_SECRET, JADWAL_MASTER_KEY and JADWAL_RETIRING_MASTER_KEY come from the environment, or with _FILE behind the name from a file; the master keys, with _COMMAND behind the name, from a command."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Writers(sys.stdout, sys.stderr),
	)
	if err != nil {
		panic(err) // the tags above are wrong
	}
	command, err := parser.Parse(args)
	if err != nil {
		wrong, help := misuse(err.(*kong.ParseError))
		fmt.Fprintf(sys.stderr, "jadwal: %s\nSee: %s --help\n", wrong, help)
		return exitUsage
	}
	err = command.Run(sys)
	if err != nil {
		complain(sys.stderr, err)
	}
	return exitStatus(err)
}

// misuse is what is wrong with a command line, and the command whose help tells
// how it should be.
func misuse(err *kong.ParseError) (wrong, command string) {
	node := err.Context.Selected()
	if node == nil {
		node = err.Context.Model.Node
	}
	wrong = err.Error()
	if flag, _, found := strings.Cut(wrong, ": expected string value but got "); found {
		wrong = flag + " needs a value"
	}
	if name, found := strings.CutPrefix(wrong, "unexpected argument "); found && len(node.Children) > 0 {
		wrong = "unknown command " + name
		if !strings.HasSuffix(name, "?") { // did you mean …?
			var known []string
			for _, child := range node.Children {
				known = append(known, child.Name)
			}
			wrong += ", known: " + strings.Join(known, ", ")
		}
	}
	return wrong, node.FullPath()
}

// usageError is an error in what was asked, not in the doing of it.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func exitStatus(err error) int {
	if err == nil {
		return exitOK
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	switch jadwal.CodeOf(err) {
	case jadwal.CodeValidation:
		return exitUsage
	case jadwal.CodeNotFound:
		return exitNotFound
	}
	return exitError
}

// complain writes each of the joined errors on a line of its own.
func complain(w io.Writer, err error) {
	text := err.Error()
	if e, ok := errors.AsType[*jadwal.Error](err); ok {
		text = e.Message
	}
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintln(w, "jadwal:", line)
	}
}

type versionCommand struct{}

func (versionCommand) Run(sys *system) error {
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " (" + s.Value[:min(12, len(s.Value))] + ")"
			}
		}
	}
	_, err := fmt.Fprintf(sys.stdout, "jadwal %s%s, %s %s/%s, zone database %s\n",
		jadwal.Version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH, schedule.ZoneVersion())
	return err
}
