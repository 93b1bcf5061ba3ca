// Package auth decides who somebody is: tokens, passwords, the limits on
// failed sign-ins, and who may use the bootstrap credential. It keeps nothing
// durable but the secret that signs tokens, and the master key of secrets.
package auth

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/teknohole/jadwal"
)

// KeyFile is the name of the secret's file in the data directory,
// RetiringKeyFile that of the one before it while that retires, and
// MasterKeyFile that of the master key of secrets.
const (
	KeyFile         = "jadwal.key"
	RetiringKeyFile = "jadwal.retiring.key"
	MasterKeyFile   = "master.key"
)

// Purpose names what a key is for. Keys of different purposes have nothing in
// common, though all come from one secret.
type Purpose string

// PurposeTokens is the key that signs access and refresh tokens.
const PurposeTokens Purpose = "jadwal tokens v1"

// PurposeRequests is the key that requests are hashed with, to tell whether
// one is the same as before.
const PurposeRequests Purpose = "jadwal requests v1"

// PurposeCheck is what servers compare, to tell whether they have one secret.
const PurposeCheck Purpose = "jadwal check v1"

// Keys derives the server's keys from its secret.
type Keys struct {
	active   []byte
	retiring []byte // nil: none
}

// LoadOrCreateKeys is LoadKeys, but makes KeyFile in dir (mode 0600) when it
// would be read and is not there; the caller then holds dir's lock.
func LoadOrCreateKeys(dir string, configured, retiring []byte) (Keys, error) {
	k, err := LoadKeys(dir, configured, retiring)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if _, err := createKeyFile(filepath.Join(dir, KeyFile)); err != nil {
		return Keys{}, err
	}
	return LoadKeys(dir, configured, retiring)
}

// LoadKeys returns the keys of the configured secret. Without one it reads the
// secret from KeyFile in dir, and the one before it from RetiringKeyFile, when
// that is there and not empty. retiring, when not empty, is the secret that
// was in use before: what it signed stays good until it expires.
//
// A secret's end of line does not count, so that a file and the environment
// can hold the same one. One that jadwal.CheckServerSecret refuses is an
// error; so is a key file that everybody on the machine can read.
func LoadKeys(dir string, configured, retiring []byte) (Keys, error) {
	k := Keys{active: trimEOL(configured), retiring: trimEOL(retiring)}
	if err := jadwal.CheckServerSecret(k.retiring); len(k.retiring) > 0 && err != nil {
		return Keys{}, fmt.Errorf("retiring secret: %w", err)
	}
	if len(k.active) > 0 {
		if err := jadwal.CheckServerSecret(k.active); err != nil {
			return Keys{}, fmt.Errorf("secret: %w", err)
		}
		return k.distinct(), nil
	}
	// A rotation writes the retiring secret first, so this order never misses it.
	active, err := readKeyFile(filepath.Join(dir, KeyFile), "or remove it: a new one is made and everybody signs in again")
	if err != nil {
		return Keys{}, err
	}
	before, err := readRetiringFile(filepath.Join(dir, RetiringKeyFile))
	if err != nil {
		return Keys{}, err
	}
	if k.active = active; len(before) > 0 {
		k.retiring = before
	}
	return k.distinct(), nil
}

// distinct is k without a retiring secret that is the active one, as a rotation
// leaves it when it is cut short.
func (k Keys) distinct() Keys {
	if len(k.retiring) == 0 || bytes.Equal(k.active, k.retiring) {
		k.retiring = nil
	}
	return k
}

// Equal tells whether both are of the same secrets.
func (k Keys) Equal(o Keys) bool {
	return bytes.Equal(k.active, o.active) && bytes.Equal(k.retiring, o.retiring)
}

// Holder is the secrets by names that do not tell them.
func (k Keys) Holder() jadwal.SigningHolder {
	active, retiring := k.Derive(PurposeCheck)
	return jadwal.SigningHolder{Active: secretName(active), Retiring: secretName(retiring)}
}

func secretName(key []byte) string {
	if key == nil {
		return ""
	}
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:])
}

// InForce is the keys that a server signs with and accepts, given what the
// servers on its database agree on: the secret that signs first, and not the
// one before it when what that signed was good for at most lifetime and that
// is over at now.
func (k Keys) InForce(agreed jadwal.SigningRecord, lifetime time.Duration, now time.Time) Keys {
	h := k.Holder()
	if agreed.Signs != h.Active && agreed.Signs == h.Retiring {
		k.active, k.retiring = k.retiring, k.active
		h.Active, h.Retiring = h.Retiring, h.Active
	}
	if agreed.Retired(h.Retiring, lifetime, now) {
		k.retiring = nil
	}
	return k
}

// LoadOrCreateMasterKey returns the master key of secrets in MasterKeyFile in
// dir, and makes that file (mode 0600) when it is not there; the caller then
// holds dir's lock. When something is sealed already a file that is not there
// is an error: a new key would open nothing of it. What is wrong with a key
// file is wrong with this one, too.
func LoadOrCreateMasterKey(dir string, sealed bool) ([]byte, error) {
	name := filepath.Join(dir, MasterKeyFile)
	key, err := readKeyFile(name, "without it what is sealed is lost")
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return key, err
	case sealed:
		return nil, fmt.Errorf("%s is gone, and the secrets in the database are sealed with it; restore it from a backup, or set JADWAL_MASTER_KEY when the key is elsewhere now", name)
	}
	return createKeyFile(name)
}

// Derive returns the 32-byte keys for a purpose (HKDF with SHA-256, RFC 5869):
// the active one, which signs, and the retiring one, which may still verify;
// nil when no secret retires.
func (k Keys) Derive(p Purpose) (active, retiring []byte) {
	return derive(k.active, p), derive(k.retiring, p)
}

func derive(secret []byte, p Purpose) []byte {
	if len(secret) == 0 {
		return nil
	}
	key, err := hkdf.Key(sha256.New, secret, nil, string(p), sha256.Size)
	if err != nil {
		panic(err) // only for a length over 255 hashes
	}
	return key
}

// HasKeyFile tells whether LoadOrCreateKeys has made a key file in dir before.
func HasKeyFile(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, KeyFile))
	return err == nil
}

func trimEOL(b []byte) []byte { return bytes.TrimRight(b, "\r\n") }

// readKeyFile reads the secret in a file. What else can be done about one that
// holds none, besides restoring it, is given.
func readKeyFile(name, otherwise string) ([]byte, error) {
	secret, err := readPrivate(name)
	if err != nil {
		return nil, err
	}
	if err := jadwal.CheckServerSecret(secret); err != nil {
		return nil, fmt.Errorf("%s: %w; restore it from a backup, %s", name, err, otherwise)
	}
	return secret, nil
}

// readRetiringFile reads the secret in a file that may be empty or not there:
// nothing retires.
func readRetiringFile(name string) ([]byte, error) {
	secret, err := readPrivate(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(secret) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := jadwal.CheckServerSecret(secret); err != nil {
		return nil, fmt.Errorf("%s: %w; restore it from a backup, or empty it: what the secret in it signed is good no more", name, err)
	}
	return secret, nil
}

// readPrivate reads a file, without its end of line, and refuses one that
// everybody can read. The group may: volumes of a container platform are often
// opened to the group at every mount.
func readPrivate(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return nil, fmt.Errorf("%s: mode %04o lets everybody read the secret; run: chmod 600 %s", name, mode, name)
	}
	secret, err := io.ReadAll(io.LimitReader(f, jadwal.MaxServerSecret+3))
	return trimEOL(secret), err
}

// createKeyFile writes a new secret.
func createKeyFile(name string) ([]byte, error) {
	line := newSecretLine()
	return trimEOL(line), writeWhole(name, line, 0o600, nil)
}

// newSecretLine is a new secret, with an end of line.
func newSecretLine() []byte {
	var raw [32]byte
	rand.Read(raw[:]) // never fails: crypto/rand, func Read
	return append(base64.RawURLEncoding.AppendEncode(nil, raw[:]), '\n')
}

// partial is what the name of a file ends with, before some digits, that is
// not whole yet.
const partial = ".partial-"

// removePartial removes what a crash has left of the writing of a file.
func removePartial(name string) error {
	left, err := filepath.Glob(name + partial + "*")
	for _, name := range left {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

// writeWhole puts text into a file so that the file is whole, or as it was,
// also after a power failure. owner, when not nil, is whose it becomes.
func writeWhole(name string, text []byte, mode fs.FileMode, owner *syscall.Stat_t) error {
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, filepath.Base(name)+partial+"*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil && owner != nil && int(owner.Uid) != os.Geteuid() {
		err = f.Chown(int(owner.Uid), int(owner.Gid))
	}
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
