package store

import (
	"context"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/vault"
)

const signatureColumns = "id, user_id, job_id, created_at, retires_at"

func scanSignature(r row) jadwal.SignatureKey {
	return jadwal.SignatureKey{
		ID: r.int(0), Of: jadwal.SignatureHolder{UserID: r.int(1), JobID: r.int(2)},
		CreatedAt: r.time(3), RetiresAt: r.time(4),
	}
}

// The keys of a user or of a job, the active one first.
const (
	signatureOrder  = " ORDER BY COALESCE(retires_at, 0), created_at DESC, id"
	signatureOfUser = "SELECT " + signatureColumns + ", sealed FROM signature_key WHERE user_id = $1" + signatureOrder
	signatureOfJob  = "SELECT " + signatureColumns + ", sealed FROM signature_key WHERE job_id = $1" + signatureOrder
	signatureAll    = "SELECT " + signatureColumns + ", sealed FROM signature_key" + signatureOrder
)

func ofHolder(of jadwal.SignatureHolder) (sql string, id int64) {
	if of.JobID != 0 {
		return signatureOfJob, of.JobID
	}
	return signatureOfUser, of.UserID
}

// holderObject names whose a signature key is.
func holderObject(of jadwal.SignatureHolder) string {
	if of.JobID != 0 {
		return object("job", of.JobID)
	}
	return object("user", of.UserID)
}

// placeOfSignature is where a signature key is sealed: in another row, or for
// another user or job, it does not open.
func placeOfSignature(k jadwal.SignatureKey) vault.Place {
	return vault.Place{Table: "signature_key", ID: k.ID, Field: "sealed", Bound: holderObject(k.Of)}
}

// signatureObject names a signature key in a line of the audit log.
func signatureObject(id int64) string { return "signature-key/" + jadwal.FormatKeyID(id) }

// Signer returns what the requests of a job of that owner are signed with: by
// the job's own keys, else by the owner's, as memory has them; nil: by none.
func (s *Store) Signer(jobID, ownerID int64) *jadwal.Signer {
	s.live.mu.RLock()
	defer s.live.mu.RUnlock()
	if signer := s.live.signers[jadwal.SignatureHolder{JobID: jobID}]; signer != nil {
		return signer
	}
	return s.live.signers[jadwal.SignatureHolder{UserID: ownerID}]
}

// SignatureKeys returns the keys of a user or a job that sign at now, the active
// one first.
func (s *Store) SignatureKeys(ctx context.Context, of jadwal.SignatureHolder, now time.Time) (keys []jadwal.SignatureKey, err error) {
	err = s.single(ctx, func(t *tx) error {
		keys, err = signatureKeys(t, of, now)
		return err
	})
	return keys, err
}

func signatureKeys(t *tx, of jadwal.SignatureHolder, now time.Time) (keys []jadwal.SignatureKey, err error) {
	sql, id := ofHolder(of)
	err = t.query(sql, func(r row) error {
		if k := scanSignature(r); k.RetiresAt.IsZero() || k.RetiresAt.After(now) {
			keys = append(keys, k)
		}
		return nil
	}, id)
	return keys, err
}

// allowedSignature asks whether the caller may see to the signature keys of a user
// or of a job.
func allowedSignature(t *tx, by jadwal.Actor, of jadwal.SignatureHolder) error {
	if of.JobID == 0 {
		return allowed(t, by, jadwal.ActionOwnSignature, jadwal.Object{OwnerID: of.UserID})
	}
	job, err := oneJob(t, jobByID, of.JobID)
	if err != nil {
		return err
	}
	return allowedJob(t, by, jadwal.ActionOwnSignature, job)
}

// CreateSignatureKey stores a new key of the caller's or of a job, which is the
// active one from now on. The former one signs beside it for overlap more; 0:
// not at all. CodeNotFound: there is no such job, or the caller may not know of
// it; CodeConflict: a former key has not retired yet; CodeNoMasterKey: the
// server has no master key to seal it with.
func (s *Store) CreateSignatureKey(ctx context.Context, by jadwal.Actor, of jadwal.SignatureHolder, key []byte, overlap time.Duration, now time.Time) (jadwal.SignatureKey, error) {
	now = now.Truncate(time.Microsecond).UTC()
	k := jadwal.SignatureKey{ID: newSessionID(), Of: of, CreatedAt: now}
	err := s.write(ctx, laneAPI, func(t *tx) error {
		if err := allowedSignature(t, by, of); err != nil {
			return err
		}
		sealed, err := t.seal(placeOfSignature(k), key)
		if err != nil {
			return err
		}
		keys, err := signatureKeys(t, of, now)
		if err != nil {
			return err
		}
		if len(keys) > 1 {
			return jadwal.Errorf(jadwal.CodeConflict, "The former key, %s, signs until %s; delete it first, or wait", jadwal.FormatKeyID(keys[1].ID), instantText(keys[1].RetiresAt))
		}
		d := detail{"of": holderObject(of)}
		if len(keys) == 1 {
			former := now.Add(overlap)
			if _, err := t.exec("UPDATE signature_key SET retires_at = $2 WHERE id = $1", keys[0].ID, former); err != nil {
				return err
			}
			d["former"], d["retires_at"] = jadwal.FormatKeyID(keys[0].ID), instantText(former)
		}
		if err := sweepSignature(t, of, now); err != nil {
			return err
		}
		if _, err := t.exec("INSERT INTO signature_key (id, user_id, job_id, sealed, created_at) VALUES ($1, $2, $3, $4, $5)",
			k.ID, orNull(of.UserID), orNull(of.JobID), sealed, now); err != nil {
			return err
		}
		if err := s.signersChanged(t, of); err != nil {
			return err
		}
		return audited(t, by, now, "signature-key.create", signatureObject(k.ID), d)
	})
	return k, err
}

// sweepSignature removes the keys of a user or a job that sign no more.
func sweepSignature(t *tx, of jadwal.SignatureHolder, now time.Time) error {
	_, err := t.exec("DELETE FROM signature_key WHERE (user_id = $1 OR job_id = $2) AND retires_at <= $3", of.UserID, of.JobID, now)
	return err
}

// DeleteSignatureKey removes a key, which signs nothing any more. Beside a former
// one that has not retired, the active one's removal takes the rotation back:
// the former one is active again. CodeNotFound: there is none, or the caller may
// not know of it.
func (s *Store) DeleteSignatureKey(ctx context.Context, by jadwal.Actor, id int64, now time.Time) error {
	none := jadwal.Errorf(jadwal.CodeNotFound, "There is no such signature key")
	return s.write(ctx, laneAPI, func(t *tx) error {
		var k jadwal.SignatureKey
		found, err := t.one("SELECT "+signatureColumns+" FROM signature_key WHERE id = $1", func(r row) { k = scanSignature(r) }, id)
		if err != nil {
			return err
		}
		if !found {
			return none
		}
		if err := allowedSignature(t, by, k.Of); jadwal.CodeOf(err) == jadwal.CodeNotFound {
			return none
		} else if err != nil {
			return err
		}
		if _, err := t.exec("DELETE FROM signature_key WHERE id = $1", id); err != nil {
			return err
		}
		if err := sweepSignature(t, k.Of, now); err != nil {
			return err
		}
		d := detail{"of": holderObject(k.Of)}
		if left, err := signatureKeys(t, k.Of, now); err != nil {
			return err
		} else if len(left) == 1 && !left[0].RetiresAt.IsZero() {
			d["active"] = jadwal.FormatKeyID(left[0].ID)
			if _, err := t.exec("UPDATE signature_key SET retires_at = NULL WHERE id = $1", left[0].ID); err != nil {
				return err
			}
		}
		if err := s.signersChanged(t, k.Of); err != nil {
			return err
		}
		return audited(t, by, now, "signature-key.delete", signatureObject(id), d)
	})
}

// findSignature finds, for Retain, whose keys sign no more, or are of deleted jobs.
func findSignature(t *tx, now time.Time) (of []jadwal.SignatureHolder, err error) {
	err = t.query(`SELECT DISTINCT k.user_id, k.job_id FROM signature_key k LEFT JOIN job j ON j.id = k.job_id
		WHERE k.retires_at <= $1 OR j.deleted_at IS NOT NULL`, func(r row) error {
		of = append(of, jadwal.SignatureHolder{UserID: r.int(0), JobID: r.int(1)})
		return nil
	}, now)
	return of, err
}

// removeSignature removes what findSignature has found.
func (s *Store) removeSignature(t *tx, all []jadwal.SignatureHolder, now time.Time) error {
	for _, of := range all {
		if err := sweepSignature(t, of, now); err != nil {
			return err
		}
		if _, err := t.exec("DELETE FROM signature_key WHERE job_id IN (SELECT id FROM job WHERE id = $1 AND deleted_at IS NOT NULL)", of.JobID); err != nil {
			return err
		}
		if err := s.signersChanged(t, of); err != nil {
			return err
		}
	}
	return nil
}

// signersChanged tells that the keys of a user or a job are other ones now.
func (s *Store) signersChanged(t *tx, of jadwal.SignatureHolder) error {
	sql, id := ofHolder(of)
	signers, err := s.readSigners(t, sql, id)
	if err != nil {
		return err
	}
	kind := kindSigner
	if of.JobID != 0 {
		kind = kindJobSigner
	}
	return s.identityChanged(t, kind, id, func() { s.live.putSigner(of, signers[of]) })
}

// readSigners reads the signers of all rows of a query, by whose they are. A
// holder of a key that cannot be opened has one that is locked.
func (s *Store) readSigners(t *tx, sql string, args ...any) (map[jadwal.SignatureHolder]*jadwal.Signer, error) {
	type key struct {
		jadwal.SignatureKey
		sealed []byte
	}
	var keys []key
	if err := t.query(sql, func(r row) error {
		keys = append(keys, key{scanSignature(r), r.bytes(5)})
		return nil
	}, args...); err != nil {
		return nil, err
	}
	signers := map[jadwal.SignatureHolder]*jadwal.Signer{}
	for i := len(keys) - 1; i >= 0; i-- { // the newest last, which comes first then
		k := keys[i]
		switch text, err := s.open(placeOfSignature(k.SignatureKey), k.sealed); {
		case signers[k.Of].Locked():
		case err != nil:
			s.log.Error("a signature key cannot be opened: what it is to sign is not sent", "key", jadwal.FormatKeyID(k.ID), "of", holderObject(k.Of), "error", err)
			signers[k.Of] = jadwal.LockedSigner()
		default:
			signers[k.Of] = signers[k.Of].With(text, k.RetiresAt)
		}
	}
	return signers, nil
}

// loadSigners takes in the keys of all, once the store has its vault, or is to
// have none: then all are locked, so that nothing goes out unsigned.
func (s *Store) loadSigners(ctx context.Context) error {
	s.live.mu.Lock()
	s.live.signers = map[jadwal.SignatureHolder]*jadwal.Signer{} // from now on changes are taken in
	s.live.mu.Unlock()
	return s.single(ctx, s.reloadSigners)
}

// reloadSigners replaces what is in memory of signature keys by what is stored,
// unless none were taken in yet.
func (s *Store) reloadSigners(t *tx) error {
	if !s.live.unlocked() {
		return nil
	}
	s.live.signature.Lock()
	defer s.live.signature.Unlock()
	for {
		at := s.live.signerChanges()
		signers, err := s.readSigners(t, signatureAll)
		if err != nil || s.live.replaceSigners(signers, at) {
			return err
		}
	}
}

// refreshSigners reads the keys of those users and jobs again.
func (s *Store) refreshSigners(t *tx, users, jobs []int64) error {
	if len(users)+len(jobs) == 0 || !s.live.unlocked() {
		return nil
	}
	s.live.signature.Lock()
	defer s.live.signature.Unlock()
	var all []jadwal.SignatureHolder
	for _, id := range users {
		all = append(all, jadwal.SignatureHolder{UserID: id})
	}
	for _, id := range jobs {
		all = append(all, jadwal.SignatureHolder{JobID: id})
	}
	for _, of := range all {
		sql, id := ofHolder(of)
		signers, err := s.readSigners(t, sql, id)
		if err != nil {
			return err
		}
		s.live.putSigner(of, signers[of])
	}
	return nil
}

// unlocked tells whether signature keys have been taken in.
func (l *identities) unlocked() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.signers != nil
}

// signerChanges counts the calls of putSigner.
func (l *identities) signerChanges() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.signerPuts
}

// replaceSigners takes in what was read of all keys since signerChanges returned
// at; false: not when one has changed meanwhile, which the read may have missed.
func (l *identities) replaceSigners(signers map[jadwal.SignatureHolder]*jadwal.Signer, at uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.signerPuts != at {
		return false
	}
	l.signers = signers
	return true
}

// putSigner sets what requests of a user or a job are signed with; nil: nothing.
func (l *identities) putSigner(of jadwal.SignatureHolder, signer *jadwal.Signer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.signerPuts++
	_, orphaned := l.dead[identity{kindUser, of.UserID}]
	switch {
	case l.signers == nil:
	case signer == nil || orphaned:
		delete(l.signers, of)
	default:
		l.signers[of] = signer
	}
}
