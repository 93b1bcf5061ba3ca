package store

import (
	"time"

	"github.com/teknohole/jadwal"
)

const userColumns = "id, username, email, is_superuser, disabled_at, created_at, updated_at"

func scanUser(r row) jadwal.User {
	return jadwal.User{
		ID: r.int(0), Username: r.text(1), Email: r.text(2), IsSuperuser: r.bool(3),
		DisabledAt: r.time(4), CreatedAt: r.time(5), UpdatedAt: r.time(6),
	}
}

const sessionColumns = "id, user_id, generation, created_at, rotated_at, expires_at"

func scanSession(r row) jadwal.Session {
	return jadwal.Session{
		ID: r.int(0), UserID: r.int(1), Generation: r.int(2),
		CreatedAt: r.time(3), RotatedAt: r.time(4), ExpiresAt: r.time(5),
	}
}

var _ = time.Second
