// Package pgserver makes private PostgreSQL clusters, for tests and for what
// measures and disturbs servers: it finds PostgreSQL's programs, installs them
// where it may, and runs them as a user that PostgreSQL accepts.
package pgserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// Cluster is a database cluster that no server may be running on.
type Cluster struct {
	Dir string // that it is in, which belongs to the user that runs it

	bin  string
	attr *syscall.SysProcAttr
}

// Init makes a cluster in dir, which must exist, with a superuser of that name
// whom it trusts; args are more of initdb's. Its databases are in UTF8.
func Init(dir, superuser string, args ...string) (*Cluster, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	attr, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir, bin: bin, attr: attr}
	cmd := c.Command(c.Program("initdb"), append([]string{"-D", c.Data(), "-U", superuser, "-A", "trust", "-E", "UTF8"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	return c, nil
}

// Data is the directory for postgres -D.
func (c *Cluster) Data() string { return filepath.Join(c.Dir, "data") }

// Program is the path of one of PostgreSQL's programs.
func (c *Cluster) Program(name string) string { return filepath.Join(c.bin, name) }

// Command is a command in Dir as the user that the cluster belongs to.
func (c *Cluster) Command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.SysProcAttr = c.Dir, c.attr
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC", "HOME="+c.Dir)
	return cmd
}

// unprivileged gives dir to the user that the server runs as: this one, or,
// since PostgreSQL refuses to be root, one of those that are for such things.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errU := strconv.Atoi(u.Uid)
		gid, errG := strconv.Atoi(u.Gid)
		if err := errors.Join(errU, errG, os.Chown(dir, uid, gid)); err != nil {
			return nil, err
		}
		return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return nil, errors.New("there is no user postgres or nobody to run it as")
}

// programs is the directory of PostgreSQL's programs. Where there are none,
// root installs them on Debian and its kin.
func programs() (string, error) {
	if dir, ok := installed(); ok {
		return dir, nil
	}
	apt, err := exec.LookPath("apt-get")
	if os.Getuid() != 0 || err != nil {
		return "", errors.New("it is not installed; install it with: apt-get install postgresql")
	}
	for _, args := range [][]string{{"update", "-qq"}, {"install", "-qqy", "--no-install-recommends", "postgresql"}} {
		cmd := exec.Command(apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("it is not installed, and apt-get %s failed: %w: %s", args[0], err, out)
		}
	}
	if dir, ok := installed(); ok {
		return dir, nil
	}
	return "", errors.New("it was installed and is not to be found")
}

func installed() (string, bool) {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	version := func(dir string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		return n
	}
	slices.SortFunc(dirs, func(a, b string) int { return version(b) - version(a) })
	if path, err := exec.LookPath("initdb"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "postgres")); err == nil {
			return dir, true
		}
	}
	return "", false
}
