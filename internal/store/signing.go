package store

import (
	"context"
	"strconv"
	"time"

	"github.com/teknohole/jadwal"
)

// The keys of table meta for what the servers agree on about secrets.
const (
	secretSigns  = "secret"
	secretBefore = "secret_before"
	secretSince  = "secret_since"
)

// A server that has not been heard of for holderGone does not live, as far as
// secrets go; each is heard of every holderSeen.
const (
	holderGone = 30 * time.Second
	holderSeen = 10 * time.Second
)

// MeetSigning has this server, id, meet the others on its database about what
// signs (jadwal.SigningRecord.Meet), and returns what they agree on. replace is
// to have its active secret sign whatever the record says, as it may where
// there are no others: on SQLite. same is false when the server has none of
// the secrets that they agree on; nothing is written then.
//
// Others are servers on PostgreSQL that met within the last 30 s. It is to be called
// at least that often, and costs one read when there is nothing new.
func (s *Store) MeetSigning(ctx context.Context, id string, self jadwal.SigningHolder, replace bool, now time.Time) (agreed jadwal.SigningRecord, same bool, err error) {
	shared := s.Shared()
	meet := func(t *tx) (stored jadwal.SigningRecord, seen bool, err error) {
		if stored, err = signingRecord(t); err != nil {
			return stored, false, err
		}
		var others []jadwal.SigningHolder
		if shared {
			if others, seen, err = signingHolders(t, id, self); err != nil {
				return stored, false, err
			}
		}
		if agreed, same = stored.Meet(self, others, now); !same && replace && !shared {
			agreed, same = stored.Replace(self, now), true
		}
		return stored, seen || !shared, nil
	}
	changed := false
	if err := s.read(ctx, func(t *tx) error {
		stored, seen, err := meet(t)
		changed = same && (!seen || stored != agreed)
		return err
	}); err != nil || !changed {
		return agreed, same, err
	}
	err = s.write(ctx, laneAPI, func(t *tx) error {
		stored, _, err := meet(t)
		if err != nil || !same {
			return err
		}
		if shared {
			if err := seeHolder(t, id, self); err != nil {
				return err
			}
		}
		if stored == agreed {
			return nil
		}
		if err := setSigningRecord(t, agreed); err != nil || stored.Signs == "" {
			return err
		}
		return audited(t, jadwal.Actor{}, now, "signing.rotate", "signing/"+agreed.Signs[:16], detail{"before": "signing/" + stored.Signs[:16]})
	})
	return agreed, same, err
}

func signingRecord(t *tx) (r jadwal.SigningRecord, err error) {
	err = t.query("SELECT key, value FROM meta WHERE key IN ($1, $2, $3)", func(row row) error {
		switch value := row.text(1); row.text(0) {
		case secretSigns:
			r.Signs = value
		case secretBefore:
			r.Before = value
		case secretSince:
			micros, err := strconv.ParseInt(value, 10, 64)
			r.Since = time.UnixMicro(micros).UTC()
			return err
		}
		return nil
	}, secretSigns, secretBefore, secretSince)
	return r, err
}

func setSigningRecord(t *tx, r jadwal.SigningRecord) error {
	for _, pair := range [...][2]string{{secretSigns, r.Signs}, {secretBefore, r.Before}, {secretSince, strconv.FormatInt(r.Since.UnixMicro(), 10)}} {
		if _, err := t.exec("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value", pair[0], pair[1]); err != nil {
			return err
		}
	}
	return nil
}

// signingHolders returns the servers that live but id, and whether id is known
// as self and was heard of just now.
func signingHolders(t *tx, id string, self jadwal.SigningHolder) (others []jadwal.SigningHolder, seen bool, err error) {
	err = t.query("SELECT id, active, retiring, "+clockSQL+" - seen_at FROM signing_holder WHERE seen_at > "+clockSQL+" - $1", func(r row) error {
		h := jadwal.SigningHolder{Active: r.text(1), Retiring: r.text(2)}
		if r.text(0) == id {
			seen = h == self && r.int(3) < holderSeen.Microseconds()
		} else {
			others = append(others, h)
		}
		return nil
	}, holderGone.Microseconds())
	return others, seen, err
}

// seeHolder notes that a server lives, and forgets those that do not.
func seeHolder(t *tx, id string, self jadwal.SigningHolder) error {
	if _, err := t.exec("DELETE FROM signing_holder WHERE seen_at <= "+clockSQL+" - $1", holderGone.Microseconds()); err != nil {
		return err
	}
	_, err := t.exec(`INSERT INTO signing_holder (id, active, retiring, seen_at) VALUES ($1, $2, $3, `+clockSQL+`)
		ON CONFLICT (id) DO UPDATE SET active = excluded.active, retiring = excluded.retiring, seen_at = excluded.seen_at`, id, self.Active, self.Retiring)
	return err
}

// LeaveSigning tells the others that this server has ended.
func (s *Store) LeaveSigning(ctx context.Context, id string) error {
	if !s.Shared() {
		return nil
	}
	return s.write(ctx, laneAPI, func(t *tx) error {
		_, err := t.exec("DELETE FROM signing_holder WHERE id = $1", id)
		return err
	})
}
