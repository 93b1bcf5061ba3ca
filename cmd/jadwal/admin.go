package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/auth"
	"github.com/teknohole/jadwal/internal/config"
	"github.com/teknohole/jadwal/internal/store"
)

// bootstrapPassword is that of the first user when nobody chose one and only
// this machine can reach the server.
const bootstrapPassword = "admin123"

// firstUserID is the id of the user that the first start creates. Ids are
// never used again.
const firstUserID = 1

// operator is who acts when nobody is signed in: the command line, or the
// server itself.
var operator = jadwal.Actor{User: jadwal.User{Username: "operator"}, Means: "command"}

// adminState is what a start finds or makes of the first user.
type adminState struct {
	isNew     bool   // this is the first start
	username  string // of the first user; "": it was deleted
	bootstrap bool   // its password is the well-known one
	random    string // its password, when this start made it up
}

// adminPlan is what a start does about the first user's password.
type adminPlan int

const (
	adminKeep            adminPlan = iota
	adminCreateChosen              // first start: the operator's password
	adminCreateBootstrap           // first start: the well-known password
	adminCreateRandom              // first start: a random password
	adminReplace                   // later start: the operator's password instead of the well-known one
	adminRefuse                    // later start: the well-known password, where others reach the server
)

// planAdmin is the rule of the first user. isNew: there are no users yet;
// chosen: the operator set a password; loopback: only this machine reaches the
// server; bootstrap: the well-known password is in use.
func planAdmin(isNew, chosen, loopback, bootstrap bool) adminPlan {
	switch {
	case isNew && chosen:
		return adminCreateChosen
	case isNew && loopback:
		return adminCreateBootstrap
	case isNew:
		return adminCreateRandom
	case !bootstrap:
		return adminKeep
	case chosen:
		return adminReplace
	case !loopback:
		return adminRefuse
	}
	return adminKeep
}

// firstUser carries out planAdmin. addr is where the server listens, though it
// does not yet answer.
func firstUser(ctx context.Context, st *store.Store, hasher *auth.Hasher, cfg config.Config, addr net.Addr, now time.Time) (adminState, error) {
	state, err := findFirstUser(ctx, st)
	if err != nil {
		return adminState{}, err
	}
	if state.isNew && cfg.DatabaseURL == "" && auth.HasKeyFile(cfg.Data) {
		return adminState{}, fmt.Errorf("--data (JADWAL_DATA): %s has a key of earlier days and a database without users: the database was lost; restore it from a backup, or, to begin anew, remove %s",
			cfg.Data, filepath.Join(cfg.Data, auth.KeyFile))
	}
	password := cfg.AdminPassword
	plan := planAdmin(state.isNew, password != "", isLoopback(addr), state.bootstrap)
	switch plan {
	case adminKeep:
		return state, nil
	case adminRefuse:
		return adminState{}, fmt.Errorf("the password %s of the first start is still in use, so listening on %s is refused; run: %s, or set JADWAL_ADMIN_PASSWORD",
			bootstrapPassword, addr, resetHint(state.username, cfg))
	case adminCreateBootstrap:
		password = bootstrapPassword
	case adminCreateRandom:
		password = strings.ToLower(rand.Text())
		state.random = password
	}
	hash, err := hasher.Hash(ctx, password)
	if err != nil {
		return adminState{}, err
	}
	state.bootstrap = plan == adminCreateBootstrap
	if plan == adminReplace {
		return state, st.SetPassword(ctx, operator, firstUserID, hash, false, now)
	}
	u, err := st.CreateUser(ctx, operator, jadwal.NewUser{
		Username:     config.AdminUsername,
		Email:        cfg.AdminEmail,
		PasswordHash: hash,
		IsSuperuser:  true,
		Bootstrap:    state.bootstrap,
	}, now)
	if jadwal.CodeOf(err) == jadwal.CodeValidation {
		return findFirstUser(ctx, st) // another server on the same database was quicker
	}
	state.username = u.Username
	return state, err
}

func findFirstUser(ctx context.Context, st *store.Store) (adminState, error) {
	n, err := st.CountUsers(ctx)
	if err != nil || n == 0 {
		return adminState{isNew: n == 0}, err
	}
	u, err := st.User(ctx, firstUserID)
	if jadwal.CodeOf(err) == jadwal.CodeNotFound {
		return adminState{}, nil
	}
	if err != nil {
		return adminState{}, err
	}
	c, err := st.Credentials(ctx, u.Username)
	return adminState{username: u.Username, bootstrap: c.Bootstrap}, err
}

// isLoopback tells whether only this machine can reach addr.
func isLoopback(addr net.Addr) bool {
	ap, err := netip.ParseAddrPort(addr.String())
	return err == nil && ap.Addr().Unmap().IsLoopback()
}
