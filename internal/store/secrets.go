package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/vault"
)

const secretColumns = "id, owner_id, name, origins, version, created_at, updated_at"

func scanSecret(r row) jadwal.Secret {
	return jadwal.Secret{
		ID: r.int(0), OwnerID: r.int(1), Name: r.text(2), Origins: strings.Fields(r.text(3)),
		Version: r.int(4), CreatedAt: r.time(5), UpdatedAt: r.time(6),
	}
}

// placeOfSecret is where the value of a secret belongs. It is bound to the
// origins that may get it: in the database no other can be added.
func placeOfSecret(n *jadwal.Secret) vault.Place {
	return vault.Place{Table: "secret", ID: n.ID, Field: "value", Version: n.Version, Bound: strings.Join(n.Origins, " ")}
}

func errNoSecret() error { return jadwal.Errorf(jadwal.CodeNotFound, "There is no such secret") }

// Secrets returns a user's secrets, by name.
func (s *Store) Secrets(ctx context.Context, ownerID int64) (all []jadwal.Secret, err error) {
	err = s.single(ctx, func(t *tx) error {
		all = all[:0]
		return t.query("SELECT "+secretColumns+" FROM secret WHERE owner_id = $1 ORDER BY name", func(r row) error {
			all = append(all, scanSecret(r))
			return nil
		}, ownerID)
	})
	return all, err
}

// Secret returns a secret. CodeNotFound: there is none.
func (s *Store) Secret(ctx context.Context, id int64) (n jadwal.Secret, err error) {
	err = s.single(ctx, func(t *tx) error {
		n, err = oneSecret(t, "id = $1", id)
		return err
	})
	return n, err
}

// SecretByName returns the owner's secret of that name. CodeNotFound: there is
// none.
func (s *Store) SecretByName(ctx context.Context, ownerID int64, name string) (n jadwal.Secret, err error) {
	err = s.single(ctx, func(t *tx) error {
		n, err = oneSecret(t, "owner_id = $1 AND name = $2", ownerID, name)
		return err
	})
	return n, err
}

func oneSecret(t *tx, where string, args ...any) (n jadwal.Secret, err error) {
	found, err := t.one("SELECT "+secretColumns+" FROM secret WHERE "+where, func(r row) { n = scanSecret(r) }, args...)
	if err == nil && !found {
		err = errNoSecret()
	}
	return n, err
}

func secretObject(id int64) string { return object("secret", id) }

// CreateSecret stores a new secret of the caller's: n's Name and Origins, and
// its value. CodeNameTaken: there is one of that name; CodeConflict: there are
// jadwal.MaxSecrets; CodeNoMasterKey.
func (s *Store) CreateSecret(ctx context.Context, by jadwal.Actor, n jadwal.Secret, value string, now time.Time) (jadwal.Secret, error) {
	now = now.Truncate(time.Microsecond).UTC()
	n.OwnerID, n.Version, n.CreatedAt, n.UpdatedAt = by.User.ID, 1, now, now
	err := s.write(ctx, laneAPI, func(t *tx) error {
		if err := allowed(t, by, jadwal.ActionWriteSecret, jadwal.Object{}); err != nil {
			return err
		}
		if err := t.nameMaster(); err != nil {
			return err
		}
		have := 0
		if _, err := t.one("SELECT COUNT(*) FROM secret WHERE owner_id = $1", func(r row) { have = int(r.int(0)) }, n.OwnerID); err != nil {
			return err
		}
		if have >= jadwal.MaxSecrets {
			return jadwal.Errorf(jadwal.CodeConflict, "You have %d secrets already: delete one", have)
		}
		if _, err := t.one(`INSERT INTO secret (owner_id, name, origins, version, sealed, created_at, updated_at) VALUES ($1, $2, $3, 1, $4, $5, $5) RETURNING id`,
			func(r row) { n.ID = r.int(0) }, n.OwnerID, n.Name, strings.Join(n.Origins, " "), []byte{}, now); err != nil {
			if isUnique(err) {
				e := jadwal.Errorf(jadwal.CodeNameTaken, "There is a secret named %s already", n.Name)
				e.Fields = []jadwal.FieldError{{Field: "name", Code: "taken", Message: e.Message}}
				return e
			}
			return err
		}
		if err := s.putValue(t, &n, value); err != nil {
			return err
		}
		return audited(t, by, now, "secret.create", secretObject(n.ID), detail{"name": n.Name, "origins": n.Origins})
	})
	return n, err
}

// putValue stores n's version and origins with a value, and has it forgotten
// elsewhere: the id of a secret is in memory only with its value.
func (s *Store) putValue(t *tx, n *jadwal.Secret, value string) error {
	sealed, err := t.seal(placeOfSecret(n), []byte(value))
	if err != nil {
		return err
	}
	if _, err := t.exec("UPDATE secret SET origins = $2, version = $3, sealed = $4, updated_at = $5 WHERE id = $1",
		n.ID, strings.Join(n.Origins, " "), n.Version, sealed, n.UpdatedAt); err != nil {
		return err
	}
	return s.secretChanged(t, n.ID)
}

func (s *Store) secretChanged(t *tx, id int64) error {
	return s.identityChanged(t, kindSecret, id, func() { s.opened.drop(id) })
}

// UpdateSecret gives a secret another value, nil: the one that it has, and other
// origins; nil: those that it has. From the answer on no request gets the old
// one; on other servers, some tenths of a second later. CodeNotFound: there is
// none, or the caller may not know of it; CodeValidation: an origin is new, and
// the value was not sent with it; CodeNoMasterKey.
func (s *Store) UpdateSecret(ctx context.Context, by jadwal.Actor, id int64, value *string, origins []string, now time.Time) (n jadwal.Secret, err error) {
	now = now.Truncate(time.Microsecond).UTC()
	err = s.write(ctx, laneAPI, func(t *tx) error {
		if n, err = allowedSecret(t, by, id); err != nil {
			return err
		}
		text := ""
		if value != nil {
			text = *value
		} else if text, err = s.openSecret(t, &n); err != nil {
			return err
		}
		changes := []changed{}
		if origins != nil && !slices.Equal(origins, n.Origins) {
			for i, origin := range origins {
				if value == nil && !slices.Contains(n.Origins, origin) {
					return jadwal.Invalid("value", "required", "value must be sent again, since it is bound to its origins and origins[%d] is a new one", i)
				}
			}
			changes = append(changes, changed{Field: "origins", From: n.Origins, To: origins})
			n.Origins = origins
		}
		if value != nil {
			n.Version++
			changes = append(changes, changed{Field: "value", Secret: true})
		}
		if len(changes) == 0 {
			return nil
		}
		n.UpdatedAt = later(now, n.UpdatedAt)
		if err := s.putValue(t, &n, text); err != nil {
			return err
		}
		return audited(t, by, now, "secret.update", secretObject(id), detail{"name": n.Name, "version": n.Version, "changes": changes})
	})
	return n, err
}

// allowedSecret returns a secret that the caller may change. CodeNotFound: there
// is none, or the caller may not know of it.
func allowedSecret(t *tx, by jadwal.Actor, id int64) (jadwal.Secret, error) {
	n, err := oneSecret(t, "id = $1", id)
	if err != nil {
		return n, err
	}
	err = allowed(t, by, jadwal.ActionWriteSecret, jadwal.Object{OwnerID: n.OwnerID})
	if jadwal.CodeOf(err) == jadwal.CodeNotFound {
		err = errNoSecret()
	}
	return n, err
}

// DeleteSecret removes a secret that none of its owner's jobs names.
// CodeNotFound: there is none, or the caller may not know of it; CodeConflict:
// some jobs name it, the first five of which are told.
func (s *Store) DeleteSecret(ctx context.Context, by jadwal.Actor, id int64, now time.Time) error {
	return s.write(ctx, laneAPI, func(t *tx) error {
		n, err := allowedSecret(t, by, id)
		if err != nil {
			return err
		}
		var jobs []string
		if err := t.query(`SELECT j.name FROM job_secret u JOIN job j ON j.id = u.job_id
			WHERE u.secret_id = $1 AND j.deleted_at IS NULL AND j.owner_id = $2 ORDER BY j.id LIMIT 6`, func(r row) error {
			jobs = append(jobs, r.text(0))
			return nil
		}, id, n.OwnerID); err != nil {
			return err
		}
		if len(jobs) > 0 {
			if len(jobs) == 1 {
				return jadwal.Errorf(jadwal.CodeConflict, "Secret %s is used by the job %s: change or delete it first", n.Name, jobs[0])
			}
			more := ""
			if len(jobs) > 5 {
				jobs, more = jobs[:5], " and others"
			}
			return jadwal.Errorf(jadwal.CodeConflict, "Secret %s is used by the jobs %s%s: change or delete them first", n.Name, strings.Join(jobs, ", "), more)
		}
		if _, err := t.exec("DELETE FROM secret WHERE id = $1", id); err != nil {
			return err
		}
		if err := s.secretChanged(t, id); err != nil {
			return err
		}
		return audited(t, by, now, "secret.delete", secretObject(id), detail{"name": n.Name})
	})
}

// openSecret opens the value of a secret that was read. CodeConflict: it does
// not open; CodeNoMasterKey.
func (s *Store) openSecret(t *tx, n *jadwal.Secret) (string, error) {
	var sealed []byte
	if _, err := t.one("SELECT sealed FROM secret WHERE id = $1", func(r row) { sealed = r.bytes(0) }, n.ID); err != nil {
		return "", err
	}
	text, err := s.open(placeOfSecret(n), sealed)
	if err != nil && jadwal.CodeOf(err) != jadwal.CodeNoMasterKey {
		s.log.Error("a secret cannot be opened", "error", err)
		err = jadwal.Errorf(jadwal.CodeConflict, "Secret %s cannot be opened: send its value again", n.Name)
	}
	return string(text), err
}

// bind notes which secrets of its owner the templates of a job name, returns
// their values, and refuses what cannot be filled in with them. Who may edit the
// job only by a grant brings no secret in that it does not name already.
func (s *Store) bind(t *tx, by jadwal.Actor, before *jadwal.Definition, job *jadwal.Job, now time.Time) (values []jadwal.SecretValue, err error) {
	job.Definition.Target.Secrets = nil
	templates := job.Definition.Templates()
	if templates == nil {
		return nil, nil
	}
	var bound []jadwal.SecretID
	guest := by.User.ID != 0 && by.User.ID != job.OwnerID && !by.User.IsSuperuser
	for _, use := range templates.Uses() {
		if guest && !slices.ContainsFunc(before.Target.Secrets, use.IsOf) {
			return nil, jadwal.Invalid(use.Field, "unknown_secret", "%s, at byte %d: only the job's owner can have it use secret %s", use.Field, use.At, use.Name)
		}
		if slices.ContainsFunc(bound, use.IsOf) {
			continue
		}
		n, err := oneSecret(t, "owner_id = $1 AND name = $2", job.OwnerID, use.Name)
		if jadwal.CodeOf(err) == jadwal.CodeNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		value, err := s.openSecret(t, &n)
		if err != nil {
			return nil, err
		}
		bound = append(bound, jadwal.SecretID{Name: n.Name, ID: n.ID})
		values = append(values, jadwal.SecretValue{Name: n.Name, OwnerID: n.OwnerID, Value: value, Origins: n.Origins})
	}
	if wrong := templates.Try(now, job.OwnerID, values); len(wrong) > 0 {
		return nil, jadwal.InvalidFields(wrong...)
	}
	slices.SortFunc(bound, func(a, b jadwal.SecretID) int { return strings.Compare(a.Name, b.Name) })
	job.Definition.Target.Secrets = bound
	return values, nil
}

// noteSecrets stores which secrets a job names.
func noteSecrets(t *tx, jobID int64, before, after []jadwal.SecretID) error {
	if slices.Equal(before, after) {
		return nil
	}
	if _, err := t.exec("DELETE FROM job_secret WHERE job_id = $1", jobID); err != nil {
		return err
	}
	for _, secret := range after {
		if _, err := t.exec("INSERT INTO job_secret (job_id, secret_id) VALUES ($1, $2)", jobID, secret.ID); err != nil {
			return err
		}
	}
	return nil
}

// OpenSecrets returns the values of secrets, by the names that a job has for
// them, in any order. One that is gone has no owner, and one that cannot be
// opened is Locked. Values are in memory for a while.
func (s *Store) OpenSecrets(ctx context.Context, ids []jadwal.SecretID) ([]jadwal.SecretValue, error) {
	values, missing, at := s.opened.get(ids)
	if len(missing) == 0 {
		return values, nil
	}
	// Attempts that want the same of them at once read it once.
	shared, err, _ := s.opened.reads.Do(readOf(at, missing), func() (any, error) {
		var read []jadwal.SecretValue
		err := s.read(context.WithoutCancel(ctx), func(t *tx) (err error) {
			read, err = s.readSecrets(t, missing)
			return err
		})
		if err == nil {
			s.opened.put(missing, read, at)
		}
		return read, err
	})
	if err != nil {
		return nil, err
	}
	return append(values, shared.([]jadwal.SecretValue)...), nil
}

// readOf names a read of secrets that was begun after at: none that was begun
// before a change serves whoever may have been told of it.
func readOf(at uint64, ids []jadwal.SecretID) string {
	key := strconv.AppendUint(nil, at, 10)
	for _, secret := range ids {
		key = append(append(key, ' '), secret.Name...)
		key = strconv.AppendInt(append(key, '='), secret.ID, 10)
	}
	return string(key)
}

// readSecrets reads those secrets, as OpenSecrets returns them, in that order.
func (s *Store) readSecrets(t *tx, ids []jadwal.SecretID) ([]jadwal.SecretValue, error) {
	read := make([]jadwal.SecretValue, 0, len(ids))
	for _, secret := range ids {
		v := jadwal.SecretValue{Name: secret.Name}
		n, err := oneSecret(t, "id = $1", secret.ID)
		switch {
		case jadwal.CodeOf(err) == jadwal.CodeNotFound:
			read = append(read, v)
			continue
		case err != nil:
			return nil, err
		}
		v.OwnerID, v.Origins = n.OwnerID, n.Origins
		switch v.Value, err = s.openSecret(t, &n); jadwal.CodeOf(err) {
		case "":
		case jadwal.CodeConflict, jadwal.CodeNoMasterKey:
			v.Locked = true
		default:
			return nil, err
		}
		read = append(read, v)
	}
	return read, nil
}

// maxOpened bounds the bytes of values that are in memory.
const maxOpened = 16 << 20

// opened are the values of secrets that were used lately, by id. A value is
// taken in only when none was dropped since before it was read: so an old one
// does not come back.
type opened struct {
	reads singleflight.Group // under way

	mu     sync.RWMutex
	values map[int64]jadwal.SecretValue
	bytes  int
	drops  uint64
}

// get returns those of ids that are in memory, the others, and what put wants
// to know.
func (o *opened) get(ids []jadwal.SecretID) (values []jadwal.SecretValue, missing []jadwal.SecretID, at uint64) {
	values = make([]jadwal.SecretValue, 0, len(ids))
	o.mu.RLock()
	defer o.mu.RUnlock()
	for _, secret := range ids {
		if v, ok := o.values[secret.ID]; ok {
			v.Name = secret.Name
			values = append(values, v)
		} else {
			missing = append(missing, secret)
		}
	}
	return values, missing, o.drops
}

// put takes in what was read of ids, in their order.
func (o *opened) put(ids []jadwal.SecretID, read []jadwal.SecretValue, at uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.drops != at {
		return
	}
	for i, v := range read {
		if v.OwnerID == 0 || v.Locked { // it is gone, or its master key may come
			continue
		}
		id := ids[i].ID
		if o.values == nil || o.bytes+len(v.Value) > maxOpened {
			o.values, o.bytes = map[int64]jadwal.SecretValue{}, 0
		}
		o.bytes += len(v.Value) - len(o.values[id].Value) // somebody else may have read it at the same time
		o.values[id] = v
	}
}

func (o *opened) drop(id int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drops++
	o.bytes -= len(o.values[id].Value)
	delete(o.values, id)
}

func (o *opened) dropAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drops++
	o.values, o.bytes = nil, 0
}
