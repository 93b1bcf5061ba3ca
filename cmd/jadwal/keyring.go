package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/auth"
	"github.com/teknohole/jadwal/internal/config"
	"github.com/teknohole/jadwal/internal/store"
)

type rotateSecretCommand struct {
	Data    string `name:"data" env:"JADWAL_DATA" default:"./jadwal-data" placeholder:"DIR" help:"Data directory (${env}, default ${default})."`
	SignOut bool   `name:"sign-out" help:"Accept nothing any more that was signed before: everybody has to sign in again."`
}

// Run puts a new secret into the file that a server reads it from, whether one
// runs or not, and the one before into the file of the retiring one.
func (c *rotateSecretCommand) Run(sys *system) error {
	active, retiring, err := c.files(os.LookupEnv)
	if err != nil {
		return usageError{err}
	}
	if c.SignOut {
		if err := auth.ReplaceFiles(active, retiring); err != nil {
			return c.orWhere(err)
		}
		fmt.Fprintln(sys.stderr, "The secret is another one; within about a second everybody has to sign in again.")
		return nil
	}
	err = auth.RotateFiles(active, retiring)
	if errors.Is(err, auth.ErrRetiring) {
		return fmt.Errorf("%w; a server drops it by itself when that is over, and its log tells when. To end all sessions now, and not wait: --sign-out", err)
	}
	if err != nil {
		return c.orWhere(err)
	}
	fmt.Fprintln(sys.stderr, "The secret is rotated; a server signs with the new one within about a second, and accepts what the old one signed until that expires.")
	return nil
}

// orWhere is err, with where else the secret may be when there is none.
func (c *rotateSecretCommand) orWhere(err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if os.Getenv("JADWAL_SECRET_FILE") != "" {
		return fmt.Errorf("JADWAL_SECRET_FILE: %w; name the file that the server reads", err)
	}
	return fmt.Errorf("--data (JADWAL_DATA): %w; %s is not the data directory of a server: name the one that the server has, which is jadwal-data where it was started unless it was told another", err, c.Data)
}

// files returns the files of the secrets: those that the variables name, else
// those in the data directory.
func (c *rotateSecretCommand) files(environment func(string) (string, bool)) (active, retiring string, err error) {
	is := func(name string) string { value, _ := environment(name); return value }
	active, retiring = is("JADWAL_SECRET_FILE"), is("JADWAL_RETIRING_SECRET_FILE")
	switch {
	case is("JADWAL_SECRET") != "":
		err = errors.New("JADWAL_SECRET: the variables of a running server cannot be changed; put the secret into a file, and name it in JADWAL_SECRET_FILE")
	case active != "" && retiring == "":
		err = errors.New("JADWAL_RETIRING_SECRET_FILE: must name the file for the secret before, for the server too; it may be empty")
	case active != "" && c.SignOut:
		err = errors.New("--sign-out: is about the data directory; with JADWAL_SECRET_FILE rotate, and when every server signs with the new secret, empty the file of JADWAL_RETIRING_SECRET_FILE")
	case active != "":
	case is("JADWAL_DATABASE_URL") != "" || is("JADWAL_DATABASE_URL_FILE") != "":
		err = errors.New("JADWAL_SECRET_FILE: must name the file that the servers on a PostgreSQL database have the secret from, and JADWAL_RETIRING_SECRET_FILE that of the one before")
	default:
		active, retiring = filepath.Join(c.Data, auth.KeyFile), filepath.Join(c.Data, auth.RetiringKeyFile)
	}
	return active, retiring, err
}

// keyring keeps the keys of a running server as the files say, and as the
// servers on its database agree on.
type keyring struct {
	cfg   config.Config
	store *store.Store
	log   *slog.Logger
	id    string          // of this process among the servers
	use   func(auth.Keys) // nil before the server is made

	read    auth.Keys // as they were read last and could be used
	agreed  jadwal.SigningRecord
	inForce auth.Keys
	told    string // the last complaint
}

// keysEvery is how often files and database are looked at for other keys.
const keysEvery = time.Second

// openKeyring reads the keys at a start, and makes them where they are the
// server's own. Where servers share the database it refuses to serve beside
// others that sign with a secret that this one does not have.
func openKeyring(ctx context.Context, st *store.Store, cfg config.Config, log *slog.Logger, now time.Time) (*keyring, error) {
	keys, err := auth.LoadOrCreateKeys(cfg.Data, cfg.Secret, cfg.RetiringSecret)
	if err != nil {
		return nil, err
	}
	k := &keyring{cfg: cfg, store: st, log: log, id: rand.Text(), read: keys}
	agreed, same, err := st.MeetSigning(ctx, k.id, keys.Holder(), true, now)
	if err == nil && !same {
		err = errors.New("JADWAL_SECRET: the servers on this database have another one; set the same here, or, to change it, set the one they have as JADWAL_RETIRING_SECRET")
	}
	if err != nil {
		return nil, err
	}
	k.agreed = agreed
	k.inForce = keys.InForce(agreed, cfg.SignedFor(), now)
	return k, nil
}

// watch keeps the keys up to date until ctx ends.
func (k *keyring) watch(ctx context.Context) {
	tick := time.NewTicker(keysEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := k.step(ctx, time.Now())
		if ctx.Err() != nil {
			return
		}
		k.complain(err)
	}
}

// leave tells the other servers that this one has ended, if the database is
// there; if not, they find out after half a minute.
func (k *keyring) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := k.store.LeaveSigning(ctx, k.id); err != nil {
		k.log.Warn("the other servers were not told that this one has ended", "err", err)
	}
}

// complain logs an error once, however often it comes again.
func (k *keyring) complain(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != k.told {
		k.log.Error("the secret stays as it was", "err", err)
	}
	k.told = text
}

// step looks at the files and meets the other servers, once.
func (k *keyring) step(ctx context.Context, now time.Time) error {
	read, err := k.load()
	if err != nil {
		read = k.read
	}
	changed := !read.Equal(k.read)
	if holder := read.Holder(); changed && (k.agreed.Signs == holder.Active || k.agreed.Signs == holder.Retiring) {
		// What the others are told that this server knows, it knows by then.
		k.put(read.InForce(k.agreed, k.cfg.SignedFor(), now))
	}
	if changed || k.store.Shared() {
		agreed, same, failed := k.store.MeetSigning(ctx, k.id, read.Holder(), k.owns(), now)
		if failed == nil && !same {
			err = errors.New("JADWAL_SECRET_FILE: has a secret that is new, and JADWAL_RETIRING_SECRET_FILE has not the one that signs; write that one there, or start the server again without it, so that everybody signs in again")
			read = k.read
			agreed, same, failed = k.store.MeetSigning(ctx, k.id, read.Holder(), false, now)
		}
		if failed != nil {
			return errors.Join(err, failed)
		}
		if same {
			k.tell(read, agreed)
			k.read, k.agreed = read, agreed
		}
	}
	k.put(k.read.InForce(k.agreed, k.cfg.SignedFor(), now))
	if k.owns() {
		err = errors.Join(err, k.turn(now))
	}
	return err
}

// owns tells whether the secrets are the server's own, in the data directory.
func (k *keyring) owns() bool { return len(k.cfg.Secret) == 0 }

// load reads the secrets again, from what can be read again.
func (k *keyring) load() (_ auth.Keys, err error) {
	secret, retiring := k.cfg.Secret, k.cfg.RetiringSecret
	if k.cfg.SecretFile != "" {
		if secret, err = config.ReadSecret(k.cfg.SecretFile); err != nil {
			return auth.Keys{}, fmt.Errorf("JADWAL_SECRET_FILE: %w", err)
		}
		if err := jadwal.CheckServerSecret(secret); err != nil {
			return auth.Keys{}, fmt.Errorf("JADWAL_SECRET_FILE: %s: %w", k.cfg.SecretFile, err)
		}
	}
	if k.cfg.RetiringFile != "" {
		if retiring, err = config.ReadSecret(k.cfg.RetiringFile); err != nil {
			return auth.Keys{}, fmt.Errorf("JADWAL_RETIRING_SECRET_FILE: %w", err)
		}
	}
	return auth.LoadKeys(k.cfg.Data, secret, retiring)
}

// put has the server use other keys, if they are.
func (k *keyring) put(keys auth.Keys) {
	if !keys.Equal(k.inForce) {
		k.inForce = keys
		k.use(keys)
	}
}

// tell logs what is about to change.
func (k *keyring) tell(read auth.Keys, agreed jadwal.SigningRecord) {
	switch {
	case agreed.Signs != k.agreed.Signs && read.Holder().Retiring == "":
		k.log.Info("a new secret signs, and nothing is good any more that another one signed")
	case agreed.Signs != k.agreed.Signs:
		k.log.Info("a new secret signs", "what the one before signed may be good until", agreed.RetiresAt(k.cfg.SignedFor()).UTC().Format(time.RFC3339))
	case !read.Equal(k.read) && agreed.Signs != read.Holder().Active:
		k.log.Info("a new secret is known, and signs as soon as every server knows it")
	}
}

// turn drops the server's own secret that has retired, and makes a new one
// when it is time.
func (k *keyring) turn(now time.Time) error {
	retiring := k.read.Holder().Retiring
	switch {
	case k.agreed.Retired(retiring, k.cfg.SignedFor(), now):
		k.log.Info("the secret before is dropped: nothing that it signed is good any more")
		return auth.DropRetiring(k.cfg.Data, k.read)
	case retiring == "" && k.cfg.SecretRotation > 0 && now.Sub(k.agreed.Since) >= k.cfg.SecretRotation:
		return auth.RotateFiles(filepath.Join(k.cfg.Data, auth.KeyFile), filepath.Join(k.cfg.Data, auth.RetiringKeyFile))
	}
	return nil
}
