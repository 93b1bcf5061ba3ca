// Package config reads the server's settings: from a flag, else from the
// environment, else the default. All of them are checked before anything is
// touched; what is wrong is told with the setting's names and the way out.
package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/teknohole/jadwal"
)

// Flags is the settings of the server as they are written. It is made to be
// embedded in a command of package kong. An empty value stands for the
// default, since that is what an unset variable of a container file becomes.
// Secrets are not here: whoever lists processes sees flags.
type Flags struct {
	Listen          string `name:"listen" env:"JADWAL_LISTEN" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to listen on; :8080 is every address (${env}, default ${default})."`
	TLSCert         string `name:"tls-cert" env:"JADWAL_TLS_CERT" placeholder:"FILE" help:"Certificate, with the chain behind it, in PEM: then the server speaks TLS only; read again when it changes (${env}, default none)."`
	TLSKey          string `name:"tls-key" env:"JADWAL_TLS_KEY" placeholder:"FILE" help:"Private key of --tls-cert in PEM (${env}, default none)."`
	ACMEHosts       string `name:"acme-hosts" env:"JADWAL_ACME_HOSTS" placeholder:"NAME,…" help:"Host names that certificates are got for by ACME, over port 443 (TLS-ALPN-01); says yes to the terms of the ACME server (${env}, default none)."`
	ACMEDirectory   string `name:"acme-directory" env:"JADWAL_ACME_DIRECTORY" default:"https://acme-v02.api.letsencrypt.org/directory" placeholder:"URL" help:"Directory of the ACME server (${env}, default ${default})."`
	Data            string `name:"data" env:"JADWAL_DATA" default:"./jadwal-data" placeholder:"DIR" help:"Data directory (${env}, default ${default})."`
	DatabaseURL     string `name:"database-url" env:"JADWAL_DATABASE_URL" placeholder:"URL" help:"PostgreSQL database that servers share, as postgres://user@host:5432/name; a password is better off in the variable, or in the file of JADWAL_DATABASE_URL_FILE (${env}, default: SQLite in the data directory)."`
	Unsafe          bool   `name:"unsafe" env:"JADWAL_UNSAFE" help:"Use a PostgreSQL that a power failure may destroy: with fsync or full_page_writes off (${env})."`
	AdminEmail      string `name:"admin-email" env:"JADWAL_ADMIN_EMAIL" default:"admin@teknohole.com" placeholder:"EMAIL" help:"Email of the first user, admin, at the first start (${env}, default ${default})."`
	AccessLifetime  string `name:"access-lifetime" env:"JADWAL_ACCESS_LIFETIME" default:"15m" placeholder:"DURATION" help:"How long an access token lives (${env}, default ${default})."`
	RefreshLifetime string `name:"refresh-lifetime" env:"JADWAL_REFRESH_LIFETIME" default:"168h" placeholder:"DURATION" help:"How long a refresh token lives, at least as long as an access token (${env}, default ${default})."`
	SessionLifetime string `name:"session-lifetime" env:"JADWAL_SESSION_LIFETIME" default:"720h" placeholder:"DURATION" help:"How long a sign-in lasts, however often it is refreshed (${env}, default ${default})."`
	ResetLifetime   string `name:"reset-lifetime" env:"JADWAL_RESET_LIFETIME" default:"24h" placeholder:"DURATION" help:"How long a code that sets a password is good (${env}, default ${default})."`
	MaxKeyLifetime  string `name:"max-key-lifetime" env:"JADWAL_MAX_KEY_LIFETIME" default:"8760h" placeholder:"DURATION" help:"How long an API key lives at most; 0s: as long as is asked for, even for ever (${env}, default ${default})."`
	SecretRotation  string `name:"secret-rotation" env:"JADWAL_SECRET_ROTATION" default:"0s" placeholder:"DURATION" help:"How often the server makes a new secret to sign tokens with; 0s: never by itself (${env}, default ${default})."`
	TrustedProxies  string `name:"trusted-proxies" env:"JADWAL_TRUSTED_PROXIES" placeholder:"CIDR,…" help:"Proxies whose X-Forwarded-For is believed (${env}, default none)."`
	CORSOrigins     string `name:"cors-origins" env:"JADWAL_CORS_ORIGINS" placeholder:"ORIGIN,…" help:"Origins whose pages may call the API from a browser, each exactly as https://app.example.com (${env}, default none)."`
	AllowEgress     string `name:"allow-egress" env:"JADWAL_ALLOW_EGRESS" placeholder:"RULE,…" help:"What every user's jobs may call, though loopback, private or reserved: networks and host names, with or without a port, such as 10.0.0.0/8:443 or *.internal.example (${env}, default none)."`
	DenyEgress      string `name:"deny-egress" env:"JADWAL_DENY_EGRESS" placeholder:"RULE,…" help:"What nobody's jobs may call, superusers' neither, even where it is allowed (${env}, default none)."`
	MaxInFlight     string `name:"max-in-flight" env:"JADWAL_MAX_IN_FLIGHT" default:"4096" placeholder:"N" help:"Attempts that may run at once; never more than half of the limit of open files (${env}, default ${default})."`
	MaxPerHost      string `name:"max-per-host" env:"JADWAL_MAX_PER_HOST" default:"256" placeholder:"N" help:"Attempts that may run at once against one host (${env}, default ${default})."`
	UserJobs        string `name:"user-jobs" env:"JADWAL_USER_JOBS" default:"0" placeholder:"N" help:"Jobs that a user who is no superuser may have; 0: any number (${env}, default ${default})."`
	UserFires       string `name:"user-fires" env:"JADWAL_USER_FIRES" default:"0" placeholder:"N" help:"Planned runs of a user's jobs that may start a minute; 0: any number (${env}, default ${default})."`
	UserRequests    string `name:"user-requests" env:"JADWAL_USER_REQUESTS" default:"0" placeholder:"N" help:"Requests that a user may make a minute; 0: any number (${env}, default ${default})."`
	SourceRequests  string `name:"source-requests" env:"JADWAL_SOURCE_REQUESTS" default:"0" placeholder:"N" help:"Requests that an address may make a minute without being signed in; 0: any number (${env}, default ${default})."`
	DrainTimeout    string `name:"drain-timeout" env:"JADWAL_DRAIN_TIMEOUT" default:"20s" placeholder:"DURATION" help:"How long running attempts may go on after the server is told to stop (${env}, default ${default})."`
	History         string `name:"history" env:"JADWAL_HISTORY" default:"720h" placeholder:"DURATION" help:"How long runs are kept after the instant they were due (${env}, default ${default})."`
	FailureHistory  string `name:"failure-history" env:"JADWAL_FAILURE_HISTORY" default:"1440h" placeholder:"DURATION" help:"How long failed runs are kept, at least as long as others (${env}, default ${default})."`
	HistoryMax      string `name:"history-max" env:"JADWAL_HISTORY_MAX" default:"10GB" placeholder:"BYTES" help:"How large history may become; then the oldest runs go before their time (${env}, default ${default})."`
	AuditHistory    string `name:"audit-history" env:"JADWAL_AUDIT_HISTORY" default:"9600h" placeholder:"DURATION" help:"How long lines of the audit log are kept (${env}, default ${default})."`
	LogFormat       string `name:"log-format" env:"JADWAL_LOG_FORMAT" default:"text" placeholder:"text|json" help:"Form of the log on stderr (${env}, default ${default})."`
	LogLevel        string `name:"log-level" env:"JADWAL_LOG_LEVEL" default:"info" placeholder:"LEVEL" help:"debug, info, warn or error (${env}, default ${default})."`
}

// The settings that are no flags. Each can also be a file, named by the
// variable with _FILE behind it.
const (
	envAdminPassword  = "JADWAL_ADMIN_PASSWORD"
	envSecret         = "JADWAL_SECRET"
	envRetiringSecret = "JADWAL_RETIRING_SECRET"

	// These two can also be what a command prints, the variable with _COMMAND
	// behind it.
	envMasterKey         = "JADWAL_MASTER_KEY"
	envRetiringMasterKey = "JADWAL_RETIRING_MASTER_KEY"
)

// envDatabaseURL is a flag as well, but a URL may hold a password.
const envDatabaseURL = "JADWAL_DATABASE_URL"

// Config is the settings of the server, all of them valid.
type Config struct {
	Listen         string // host:port
	TLSCert        string // a file, with TLSKey; "": none
	TLSKey         string
	ACMEHosts      []string // that certificates are got for; none: no ACME
	ACMEDirectory  string   // a URL
	Data           string   // a directory, which may not be there yet
	DatabaseURL    string   // of PostgreSQL; "": SQLite in Data
	Unsafe         bool     // PostgreSQL need not survive a power failure
	AdminEmail     string
	AdminPassword  string // "": none is set
	Secret         []byte // signs tokens; empty: the key file of the data directory
	RetiringSecret []byte // what Secret was before; empty: none
	SecretFile     string // that Secret was read from; "": none
	RetiringFile   string // that RetiringSecret was read from
	MasterKey      []byte // secrets are sealed with it; empty: the file of the data directory, on PostgreSQL none

	RetiringMasterKey []byte // what MasterKey was before, or is to be; empty: none
	AccessLifetime    time.Duration
	RefreshLifetime   time.Duration
	SessionLifetime   time.Duration
	ResetLifetime     time.Duration
	MaxKeyLifetime    time.Duration // 0: no limit
	SecretRotation    time.Duration // 0: never
	TrustedProxies    []netip.Prefix
	CORSOrigins       []string
	AllowEgress       []jadwal.EgressRule
	DenyEgress        []jadwal.EgressRule
	MaxInFlight       int
	MaxPerHost        int
	UserJobs          int // 0, here and in the next three: any number
	UserFires         int // a minute, and so the next two
	UserRequests      int
	SourceRequests    int
	DrainTimeout      time.Duration
	History           time.Duration
	FailureHistory    time.Duration
	HistoryMax        int64 // bytes
	AuditHistory      time.Duration
	LogFormat         string // text or json
	LogLevel          slog.Level
}

// AdminUsername is the name of the first user, DefaultData the directory that
// is used when none is set.
const (
	AdminUsername = "admin"
	DefaultData   = "./jadwal-data"
)

const (
	maxInFlight    = 1 << 20
	maxQuota       = 1_000_000
	maxSecretFile  = 8 << 10 // bytes
	maxSession     = 3650 * 24 * time.Hour
	maxReset       = 30 * 24 * time.Hour
	maxDrain       = time.Hour
	maxHistory     = 3650 * 24 * time.Hour
	minHistoryMax  = 100e6 // bytes
	maxHistoryMax  = 1e15
	maxListEntries = 1000
)

// Read checks all settings and returns them, or an error that joins one for
// each setting that is wrong. environment is os.LookupEnv.
func (f Flags) Read(environment func(string) (string, bool)) (Config, error) {
	f.fillDefaults()
	r := reader{environment: environment}
	c := Config{
		Listen:          r.listen(f.Listen),
		TLSCert:         f.TLSCert,
		TLSKey:          f.TLSKey,
		ACMEHosts:       r.hosts("ACMEHosts", f.ACMEHosts),
		ACMEDirectory:   f.ACMEDirectory,
		Data:            f.Data,
		DatabaseURL:     r.databaseURL(f.DatabaseURL),
		Unsafe:          f.Unsafe,
		AdminEmail:      f.AdminEmail,
		AdminPassword:   string(r.secret(envAdminPassword)),
		Secret:          r.secret(envSecret),
		RetiringSecret:  r.retiringSecret(),
		SecretFile:      r.file(envSecret),
		RetiringFile:    r.file(envRetiringSecret),
		MasterKey:       r.masterKey(envMasterKey),
		AccessLifetime:  r.duration("AccessLifetime", f.AccessLifetime, time.Second, maxSession),
		RefreshLifetime: r.duration("RefreshLifetime", f.RefreshLifetime, time.Second, maxSession),
		SessionLifetime: r.duration("SessionLifetime", f.SessionLifetime, time.Second, maxSession),
		ResetLifetime:   r.duration("ResetLifetime", f.ResetLifetime, time.Minute, maxReset),
		MaxKeyLifetime:  r.duration("MaxKeyLifetime", f.MaxKeyLifetime, 0, maxSession),
		SecretRotation:  r.duration("SecretRotation", f.SecretRotation, 0, maxSession),
		TrustedProxies:  r.prefixes("TrustedProxies", f.TrustedProxies),
		CORSOrigins:     r.origins("CORSOrigins", f.CORSOrigins),
		AllowEgress:     r.egress("AllowEgress", f.AllowEgress),
		DenyEgress:      r.egress("DenyEgress", f.DenyEgress),
		MaxInFlight:     r.number("MaxInFlight", f.MaxInFlight, 1, maxInFlight),
		MaxPerHost:      r.number("MaxPerHost", f.MaxPerHost, 1, maxInFlight),
		UserJobs:        r.number("UserJobs", f.UserJobs, 0, maxQuota),
		UserFires:       r.number("UserFires", f.UserFires, 0, maxQuota),
		UserRequests:    r.number("UserRequests", f.UserRequests, 0, maxQuota),
		SourceRequests:  r.number("SourceRequests", f.SourceRequests, 0, maxQuota),
		DrainTimeout:    r.duration("DrainTimeout", f.DrainTimeout, time.Second, maxDrain),
		History:         r.duration("History", f.History, time.Hour, maxHistory),
		FailureHistory:  r.duration("FailureHistory", f.FailureHistory, time.Hour, maxHistory),
		HistoryMax:      r.bytes("HistoryMax", f.HistoryMax, minHistoryMax, maxHistoryMax),
		AuditHistory:    r.duration("AuditHistory", f.AuditHistory, 24*time.Hour, maxHistory),
		LogFormat:       f.LogFormat,

		RetiringMasterKey: r.masterKey(envRetiringMasterKey),
	}
	r.tls(c)
	if strings.ContainsRune(f.Data, 0) {
		r.bad("Data", "must not contain a NUL byte")
	}
	if c.DatabaseURL != "" && len(c.Secret) == 0 {
		r.badSecret(envSecret, "must be set where a PostgreSQL database is: all servers on it share what signs tokens; make one with: openssl rand -base64 32")
	}
	if c.DatabaseURL != "" && len(c.RetiringMasterKey) > 0 && len(c.MasterKey) == 0 {
		r.badSecret(envRetiringMasterKey, "retires for none; set the one that takes its place as %s", envMasterKey)
	}
	if c.Unsafe && c.DatabaseURL == "" {
		r.bad("Unsafe", "is about PostgreSQL, and no --database-url is set")
	}
	if e := jadwal.CheckEmail(f.AdminEmail); e != nil {
		r.bad("AdminEmail", "%s", e.Message)
	}
	if c.AdminPassword != "" {
		if e := jadwal.CheckPassword(c.AdminPassword, AdminUsername, c.AdminEmail); e != nil {
			r.badSecret(envAdminPassword, "%s", e.Message)
		}
	}
	r.secretLength(envSecret, c.Secret)
	r.secretLength(envRetiringSecret, c.RetiringSecret)
	r.secretLength(envMasterKey, c.MasterKey)
	r.secretLength(envRetiringMasterKey, c.RetiringMasterKey)
	if c.AccessLifetime > 0 && c.RefreshLifetime > 0 && c.RefreshLifetime < c.AccessLifetime {
		r.bad("RefreshLifetime", "%s is shorter than the access token's %s; a refresh token must live at least as long", f.RefreshLifetime, f.AccessLifetime)
	}
	if c.RefreshLifetime > 0 && c.SessionLifetime > 0 && c.SessionLifetime < c.RefreshLifetime {
		r.bad("SessionLifetime", "%s is shorter than the refresh token's %s; a session must last at least as long", f.SessionLifetime, f.RefreshLifetime)
	}
	switch signed := c.SignedFor(); {
	case c.SecretRotation == 0:
	case len(c.Secret) > 0:
		r.bad("SecretRotation", "is about the secret that the server makes itself, and %s is set: rotate it where that comes from", envSecret)
	case c.SecretRotation < signed:
		r.bad("SecretRotation", "%s is shorter than the %s for which what a secret signs may be good; write %[2]s or more, or 0s", f.SecretRotation, jadwal.Duration(signed))
	}
	if c.History > 0 && c.FailureHistory > 0 && c.FailureHistory < c.History {
		r.bad("FailureHistory", "%s is shorter than the %s of --history; failed runs are kept at least as long as others", f.FailureHistory, f.History)
	}
	if f.LogFormat != "text" && f.LogFormat != "json" {
		r.bad("LogFormat", "%q is not known; write text or json", clip(f.LogFormat))
	}
	switch f.LogLevel {
	case "debug", "info", "warn", "error":
		c.LogLevel.UnmarshalText([]byte(f.LogLevel))
	default:
		r.bad("LogLevel", "%q is not known; write debug, info, warn or error", clip(f.LogLevel))
	}
	if err := errors.Join(r.errs...); err != nil {
		return Config{}, err
	}
	return c, nil
}

// SignedFor is for how long at most what a secret has signed is good: refresh
// tokens, and hashes of requests under an Idempotency-Key.
func (c *Config) SignedFor() time.Duration {
	return max(c.AccessLifetime, c.RefreshLifetime, jadwal.OnceFor)
}

// fillDefaults gives every setting that is empty its default.
func (f *Flags) fillDefaults() {
	v := reflect.ValueOf(f).Elem()
	for i := range v.NumField() {
		if v.Field(i).Kind() == reflect.String && v.Field(i).String() == "" {
			v.Field(i).SetString(v.Type().Field(i).Tag.Get("default"))
		}
	}
}

// Unknown returns the names in environ (as of os.Environ) that look like
// settings and are none, sorted: a misspelt setting must not pass unnoticed.
// What Kubernetes sets for a service called jadwal does not count.
func Unknown(environ []string) []string {
	known := map[string]bool{}
	for f := range reflect.TypeFor[Flags]().Fields() {
		known[f.Tag.Get("env")] = true
	}
	for _, name := range []string{envAdminPassword, envSecret, envRetiringSecret, envDatabaseURL, envMasterKey, envRetiringMasterKey} {
		known[name], known[name+"_FILE"] = true, true
	}
	known[envMasterKey+command], known[envRetiringMasterKey+command] = true, true
	var unknown []string
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		switch {
		case !strings.HasPrefix(name, "JADWAL_"), known[name]:
		case name == "JADWAL_PORT", strings.HasPrefix(name, "JADWAL_PORT_"), strings.HasPrefix(name, "JADWAL_SERVICE_"):
		default:
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return unknown
}

// reader parses settings and collects what is wrong with them.
type reader struct {
	environment func(string) (string, bool)
	errs        []error
}

// bad notes what is wrong with the setting of a field of Flags.
func (r *reader) bad(field, format string, args ...any) {
	f, ok := reflect.TypeFor[Flags]().FieldByName(field)
	if !ok {
		panic("no setting " + field)
	}
	r.errs = append(r.errs, fmt.Errorf("--%s (%s): %s", f.Tag.Get("name"), f.Tag.Get("env"), fmt.Sprintf(format, args...)))
}

func (r *reader) badSecret(name, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("%s: %s", name, fmt.Sprintf(format, args...)))
}

func (r *reader) listen(s string) string {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		r.bad("Listen", "%q is not an address; write host:port, such as 127.0.0.1:8080, [::1]:8080, or :8080 for every address", clip(s))
		return ""
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		r.bad("Listen", "port %q is not a number from 0 to 65535; write for example 127.0.0.1:8080", clip(port))
	}
	return s
}

func (r *reader) duration(field, s string, min, max time.Duration) time.Duration {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		r.bad(field, "%q is not a duration; write for example 90s, 15m or 1h30m", clip(s))
	case d < min || d > max:
		r.bad(field, "%s must be %s to %s", clip(s), jadwal.Duration(min), jadwal.Duration(max))
	case d%time.Second != 0:
		r.bad(field, "%s must be whole seconds", clip(s))
	default:
		return d
	}
	return 0
}

func (r *reader) number(field, s string, min, max int) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < min || n > max {
		r.bad(field, "%q must be a number from %d to %d", clip(s), min, max)
		return 0
	}
	return n
}

// The units of bytes: SI's, and those of IEC 80000-13.
var byteUnits = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

func (r *reader) bytes(field, s string, min, max int64) int64 {
	for _, u := range byteUnits {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 63)
		switch {
		case err != nil:
			r.bad(field, "%q is not a size; write for example 10GB, 500MB or 20GiB", clip(s))
		case int64(n) > max/u.bytes || int64(n)*u.bytes < min:
			r.bad(field, "%s must be %s to %s", clip(s), sizeText(min), sizeText(max))
		default:
			return int64(n) * u.bytes
		}
		return 0
	}
	return 0
}

func sizeText(n int64) string {
	if n%1e12 == 0 {
		return strconv.FormatInt(n/1e12, 10) + "TB"
	}
	return strconv.FormatInt(n/1e6, 10) + "MB"
}

// list splits a list, separated by commas, into its entries, without the space
// around each.
func (r *reader) list(field, s, entries string) []string {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	parts := strings.Split(s, ",")
	if len(parts) > maxListEntries {
		r.bad(field, "%d %s are more than %d", len(parts), entries, maxListEntries)
		return nil
	}
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// prefixes reads a list of networks and addresses.
func (r *reader) prefixes(field, s string) (all []netip.Prefix) {
	for _, part := range r.list(field, s, "networks") {
		p, err := netip.ParsePrefix(part)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(part); err == nil && a.Zone() == "" {
				p = netip.PrefixFrom(a, a.BitLen())
			}
		}
		switch {
		case err != nil || !p.IsValid():
			r.bad(field, "%q is not a network; write for example 10.0.0.0/8, or 10.1.2.3", clip(part))
		case p.Masked() != p:
			r.bad(field, "%s has address bits beyond its length; write %s", clip(part), p.Masked())
		case p.Addr().Is4In6():
			r.bad(field, "%s is IPv4 written as IPv6; write it as IPv4", clip(part))
		default:
			all = append(all, p)
		}
	}
	return all
}

// egress reads a list of what jobs may or may not call.
func (r *reader) egress(field, s string) (all []jadwal.EgressRule) {
	for _, part := range r.list(field, s, "entries") {
		rule, err := jadwal.ParseEgressRule(part)
		if err != nil {
			r.bad(field, "%q %v", clip(part), err)
			continue
		}
		all = append(all, rule)
	}
	return all
}

// databaseURL reads where the database is, and tells nothing of it.
func (r *reader) databaseURL(s string) string {
	url, err := DatabaseURL(s, r.environment)
	if err != nil {
		r.errs = append(r.errs, err)
	}
	return url
}

// DatabaseURL is the URL of the PostgreSQL database: that of the flag or the
// variable, given, else what the file named by JADWAL_DATABASE_URL_FILE holds;
// "" when there is none. environment is os.LookupEnv.
func DatabaseURL(given string, environment func(string) (string, bool)) (string, error) {
	r := reader{environment: environment}
	url := given
	if file, _ := environment(envDatabaseURL + "_FILE"); file != "" {
		if given != "" {
			r.bad("DatabaseURL", "%s_FILE is set as well; set only one of them", envDatabaseURL)
			return "", errors.Join(r.errs...)
		}
		r.environment = func(name string) (string, bool) {
			if name == envDatabaseURL {
				return "", false
			}
			return environment(name)
		}
		url = string(r.secret(envDatabaseURL))
	}
	if url != "" && !strings.HasPrefix(url, "postgres://") && !strings.HasPrefix(url, "postgresql://") {
		r.bad("DatabaseURL", "is not of the form postgres://user@host:5432/name")
	}
	return url, errors.Join(r.errs...)
}

// file is the file that a secret is in; "" when there is none.
func (r *reader) file(name string) string {
	file, _ := r.environment(name + "_FILE")
	return file
}

// secret reads a secret from the environment, or from the file that the
// variable with _FILE behind it names. One end of line at its end is none of
// it. Empty is unset.
func (r *reader) secret(name string) []byte {
	secret, file := r.secretOrEmpty(name)
	if file != "" && len(secret) == 0 {
		r.badSecret(name+"_FILE", "%s is empty; write the secret into it, or unset %[2]s_FILE", file, name)
	}
	return secret
}

// retiringSecret is secret, but its file may be empty: no secret retires.
func (r *reader) retiringSecret() []byte {
	secret, _ := r.secretOrEmpty(envRetiringSecret)
	return secret
}

func (r *reader) secretOrEmpty(name string) (secret []byte, file string) {
	value, _ := r.environment(name)
	file = r.file(name)
	switch {
	case value != "" && file != "":
		r.badSecret(name, "%s_FILE is set as well; set only one of them", name)
		return nil, ""
	case file == "" && value == "":
		return nil, ""
	case file == "":
		return trimEOL([]byte(value)), ""
	}
	secret, err := ReadSecret(file)
	if err != nil {
		r.badSecret(name+"_FILE", "%v", err)
		return nil, ""
	}
	return secret, file
}

// ReadSecret reads a secret from a file. One end of line at its end is none of
// it; an empty file is no secret.
func ReadSecret(file string) ([]byte, error) {
	b, err := readFile(file)
	return trimEOL(b), err
}

func (r *reader) secretLength(name string, secret []byte) {
	if err := jadwal.CheckServerSecret(secret); len(secret) > 0 && err != nil {
		r.badSecret(name, "%v", err)
	}
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err == nil && len(b) > maxSecretFile {
		err = fmt.Errorf("%s has more than %d bytes", name, maxSecretFile)
	}
	return b, err
}

// trimEOL removes one line feed, or carriage return and line feed, at the end.
func trimEOL(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
		if n > 1 && b[n-2] == '\r' {
			b = b[:n-2]
		}
	}
	return b
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
