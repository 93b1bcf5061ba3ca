package config

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

// environment answers as os.LookupEnv would with only these variables.
func environment(set map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := set[name]
		return v, ok
	}
}

func TestDefaults(t *testing.T) {
	got, err := Flags{}.Read(environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Listen: "127.0.0.1:8080", ACMEDirectory: "https://acme-v02.api.letsencrypt.org/directory", Data: DefaultData, AdminEmail: "admin@teknohole.com",
		AccessLifetime: 15 * time.Minute, RefreshLifetime: 7 * 24 * time.Hour, SessionLifetime: 30 * 24 * time.Hour, ResetLifetime: 24 * time.Hour, MaxKeyLifetime: 365 * 24 * time.Hour,
		MaxInFlight: 4096, MaxPerHost: 256, DrainTimeout: 20 * time.Second, LogFormat: "text", LogLevel: slog.LevelInfo,
		History: 30 * 24 * time.Hour, FailureHistory: 60 * 24 * time.Hour, HistoryMax: 10e9, AuditHistory: 400 * 24 * time.Hour,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func TestEverySettingIsRead(t *testing.T) {
	secret, retiring := strings.Repeat("s", 32), strings.Repeat("r", 4096)
	got, err := Flags{
		Listen: "[::1]:0", ACMEHosts: "a.example.com, B.example.com", ACMEDirectory: "https://ca/", Data: "/data", DatabaseURL: "postgres://db/jadwal", Unsafe: true, AdminEmail: "a@b",
		AccessLifetime: "1s", RefreshLifetime: "1m0s", SessionLifetime: "87600h", ResetLifetime: "720h", MaxKeyLifetime: "0s", SecretRotation: "0s", UserJobs: "1", UserFires: "2", UserRequests: "3", SourceRequests: "1000000", CORSOrigins: "https://a.example, http://localhost:5173",
		TrustedProxies: "10.0.0.0/8, 127.0.0.1,2001:db8::/32", AllowEgress: "::1", DenyEgress: "10.0.0.0/8:443, *.internal.example:8443", MaxInFlight: "1", MaxPerHost: "2", DrainTimeout: "1h", LogFormat: "json", LogLevel: "debug",
		History: "1h", FailureHistory: "87600h", HistoryMax: "2 GiB", AuditHistory: "24h",
	}.Read(environment(map[string]string{"JADWAL_ADMIN_PASSWORD": "admin123", "JADWAL_SECRET": secret + "\n", "JADWAL_RETIRING_SECRET": retiring, "JADWAL_MASTER_KEY": secret + "m\r\n", "JADWAL_RETIRING_MASTER_KEY_COMMAND": "echo " + secret + "o"}))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Listen: "[::1]:0", ACMEHosts: []string{"a.example.com", "b.example.com"}, ACMEDirectory: "https://ca/", Data: "/data", DatabaseURL: "postgres://db/jadwal", Unsafe: true, AdminEmail: "a@b", AdminPassword: "admin123", Secret: []byte(secret), RetiringSecret: []byte(retiring), MasterKey: []byte(secret + "m"), RetiringMasterKey: []byte(secret + "o"),
		AccessLifetime: time.Second, RefreshLifetime: time.Minute, SessionLifetime: 3650 * 24 * time.Hour, ResetLifetime: 30 * 24 * time.Hour,
		History: time.Hour, FailureHistory: 3650 * 24 * time.Hour, HistoryMax: 2 << 30, AuditHistory: 24 * time.Hour,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("2001:db8::/32")},
		UserJobs:       1, UserFires: 2, UserRequests: 3, SourceRequests: 1_000_000,
		CORSOrigins: []string{"https://a.example", "http://localhost:5173"},
		AllowEgress: rules(t, "::1/128"), DenyEgress: rules(t, "10.0.0.0/8:443", "*.internal.example:8443"),
		MaxInFlight: 1, MaxPerHost: 2, DrainTimeout: time.Hour, LogFormat: "json", LogLevel: slog.LevelDebug,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	for f := range reflect.TypeFor[Flags]().Fields() {
		if f.Tag.Get("name") == "" || !strings.HasPrefix(f.Tag.Get("env"), "JADWAL_") || f.Tag.Get("help") == "" {
			t.Errorf("setting %s lacks a name, a variable or a help text", f.Name)
		}
	}
}

func rules(t *testing.T, texts ...string) (all []jadwal.EgressRule) {
	for _, text := range texts {
		r, err := jadwal.ParseEgressRule(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func TestWrongSettings(t *testing.T) {
	for _, tt := range []struct {
		name  string
		flags Flags
		env   map[string]string
		want  string // begins with the setting's names, and contains the way out
	}{
		{"an address has a port", Flags{Listen: "127.0.0.1"}, nil, `--listen (JADWAL_LISTEN): "127.0.0.1" is not an address; write host:port, such as 127.0.0.1:8080`},
		{"a port alone needs its colon", Flags{Listen: "8080"}, nil, `--listen (JADWAL_LISTEN): "8080" is not an address`},
		{"an IPv6 address needs brackets", Flags{Listen: "::1:8080"}, nil, `--listen (JADWAL_LISTEN): "::1:8080" is not an address; write host:port, such as 127.0.0.1:8080, [::1]:8080`},
		{"a URL is no address", Flags{Listen: "http://localhost:8080"}, nil, `--listen (JADWAL_LISTEN): "http://localhost:8080" is not an address`},
		{"a port is a number", Flags{Listen: "localhost:http"}, nil, `--listen (JADWAL_LISTEN): port "http" is not a number from 0 to 65535`},
		{"a port is at most 65535", Flags{Listen: ":65536"}, nil, `--listen (JADWAL_LISTEN): port "65536" is not a number`},
		{"a port has no leading zero", Flags{Listen: ":080"}, nil, `--listen (JADWAL_LISTEN): port "080" is not a number`},
		{"a port is not left out", Flags{Listen: "localhost:"}, nil, `--listen (JADWAL_LISTEN): port "" is not a number`},
		{"a certificate has a key", Flags{TLSCert: "/c"}, nil, `--tls-key (JADWAL_TLS_KEY): must be set where --tls-cert is`},
		{"a key has a certificate", Flags{TLSKey: "/k"}, nil, `--tls-cert (JADWAL_TLS_CERT): must be set where --tls-key is`},
		{"a certificate's file is there", Flags{TLSCert: "/nowhere/c", TLSKey: "/nowhere/k"}, nil, `--tls-cert (JADWAL_TLS_CERT): /nowhere/c with --tls-key /nowhere/k: open /nowhere/c: no such file or directory`},
		{"a certificate is one", Flags{TLSCert: "config.go", TLSKey: "config.go"}, nil, `--tls-cert (JADWAL_TLS_CERT): config.go with --tls-key config.go: tls: failed to find any PEM data`},
		{"a certificate has one source", Flags{TLSCert: "/c", TLSKey: "/k", ACMEHosts: "a.example.com"}, nil, `--acme-hosts (JADWAL_ACME_HOSTS): is set as well as --tls-cert; set only one of them`},
		{"an address has no ACME certificate", Flags{ACMEHosts: "192.0.2.1"}, nil, `--acme-hosts (JADWAL_ACME_HOSTS): "192.0.2.1" is not a host name that can have a certificate; write for example jadwal.example.com`},
		{"nor has a wildcard", Flags{ACMEHosts: "*.example.com"}, nil, `--acme-hosts (JADWAL_ACME_HOSTS): "*.example.com" is not`},
		{"nor has a name without a dot", Flags{ACMEHosts: "localhost"}, nil, `--acme-hosts (JADWAL_ACME_HOSTS): "localhost" is not`},
		{"nor has a name with a port", Flags{ACMEHosts: "a.example.com:443"}, nil, `--acme-hosts (JADWAL_ACME_HOSTS): "a.example.com:443" is not`},
		{"a list of host names has an end", Flags{ACMEHosts: strings.Repeat("a,", 1000) + "a"}, nil, `--acme-hosts (JADWAL_ACME_HOSTS): 1001 names are more than 1000`},
		{"an ACME server speaks TLS", Flags{ACMEDirectory: "http://ca.example.com/"}, nil, `--acme-directory (JADWAL_ACME_DIRECTORY): is not a URL that begins with https://`},
		{"a directory's name has no NUL", Flags{Data: "a\x00b"}, nil, `--data (JADWAL_DATA): must not contain`},
		{"the admin's email is an address", Flags{AdminEmail: "admin"}, nil, `--admin-email (JADWAL_ADMIN_EMAIL): email must be an address such as name@example.com`},
		{"a lifetime has a unit", Flags{AccessLifetime: "900"}, nil, `--access-lifetime (JADWAL_ACCESS_LIFETIME): "900" is not a duration; write for example 90s`},
		{"a lifetime is positive", Flags{AccessLifetime: "-15m"}, nil, `--access-lifetime (JADWAL_ACCESS_LIFETIME): -15m must be 1s to 87600h`},
		{"a lifetime is not nothing", Flags{AccessLifetime: "0s"}, nil, `--access-lifetime (JADWAL_ACCESS_LIFETIME): 0s must be 1s`},
		{"a lifetime is whole seconds", Flags{AccessLifetime: "1500ms"}, nil, `--access-lifetime (JADWAL_ACCESS_LIFETIME): 1500ms must be whole seconds`},
		{"a lifetime is at most ten years", Flags{SessionLifetime: "87601h"}, nil, `--session-lifetime (JADWAL_SESSION_LIFETIME): 87601h must be 1s to 87600h`},
		{"a code that sets a password is good for a minute at least", Flags{ResetLifetime: "59s"}, nil, `--reset-lifetime (JADWAL_RESET_LIFETIME): 59s must be 1m to 720h`},
		{"an API key lives for ten years at most, or without a limit", Flags{MaxKeyLifetime: "87601h"}, nil, `--max-key-lifetime (JADWAL_MAX_KEY_LIFETIME): 87601h must be 0s to 87600h`},
		{"a refresh token lives at least as long as an access token", Flags{RefreshLifetime: "14m"}, nil, `--refresh-lifetime (JADWAL_REFRESH_LIFETIME): 14m is shorter than the access token's 15m`},
		{"a secret is not rotated while the one before is needed", Flags{SecretRotation: "167h"}, nil, `--secret-rotation (JADWAL_SECRET_ROTATION): 167h is shorter than the 168h for which what a secret signs may be good; write 168h or more, or 0s`},
		{"a secret signs what is good for a day at least", Flags{SecretRotation: "23h", RefreshLifetime: "1h"}, nil, `--secret-rotation (JADWAL_SECRET_ROTATION): 23h is shorter than the 24h`},
		{"the server rotates only what it has made", Flags{SecretRotation: "720h"}, map[string]string{"JADWAL_SECRET": strings.Repeat("s", 32)}, `--secret-rotation (JADWAL_SECRET_ROTATION): is about the secret that the server makes itself, and JADWAL_SECRET is set`},
		{"history is kept for an hour at least", Flags{History: "59m"}, nil, `--history (JADWAL_HISTORY): 59m must be 1h to 87600h`},
		{"a size is a number with a unit", Flags{HistoryMax: "much"}, nil, `--history-max (JADWAL_HISTORY_MAX): "much" is not a size; write for example 10GB, 500MB or 20GiB`},
		{"a size is whole", Flags{HistoryMax: "1.5GB"}, nil, `--history-max (JADWAL_HISTORY_MAX): "1.5GB" is not a size`},
		{"a size is not negative", Flags{HistoryMax: "-1GB"}, nil, `--history-max (JADWAL_HISTORY_MAX): "-1GB" is not a size`},
		{"a size has a lower bound", Flags{HistoryMax: "99999999"}, nil, `--history-max (JADWAL_HISTORY_MAX): 99999999 must be 100MB to 1000TB`},
		{"a size has an upper bound", Flags{HistoryMax: "1001TB"}, nil, `--history-max (JADWAL_HISTORY_MAX): 1001TB must be 100MB to 1000TB`},
		{"a size that no number holds is out of range", Flags{HistoryMax: "9000000000000000000TiB"}, nil, `--history-max (JADWAL_HISTORY_MAX): 9000000000000000000TiB must be`},
		{"the audit log is kept for a day at least", Flags{AuditHistory: "23h"}, nil, `--audit-history (JADWAL_AUDIT_HISTORY): 23h must be`},
		{"failed runs are kept at least as long as others", Flags{FailureHistory: "719h"}, nil, `--failure-history (JADWAL_FAILURE_HISTORY): 719h is shorter than the 720h of --history; failed runs are kept at least as long as others`},
		{"a session lasts at least as long as a refresh token", Flags{SessionLifetime: "1h"}, nil, `--session-lifetime (JADWAL_SESSION_LIFETIME): 1h is shorter than the refresh token's 168h`},
		{"a proxy is a network", Flags{TrustedProxies: "proxy.example"}, nil, `--trusted-proxies (JADWAL_TRUSTED_PROXIES): "proxy.example" is not a network; write for example 10.0.0.0/8`},
		{"a list has no gaps", Flags{TrustedProxies: "10.0.0.0/8,,127.0.0.1"}, nil, `--trusted-proxies (JADWAL_TRUSTED_PROXIES): "" is not a network`},
		{"a network is written as one", Flags{TrustedProxies: "10.1.2.3/8"}, nil, `--trusted-proxies (JADWAL_TRUSTED_PROXIES): 10.1.2.3/8 has address bits beyond its length; write 10.0.0.0/8`},
		{"a network is not longer than its addresses", Flags{TrustedProxies: "10.0.0.0/33"}, nil, `--trusted-proxies (JADWAL_TRUSTED_PROXIES): "10.0.0.0/33" is not a network`},
		{"an address has no zone", Flags{TrustedProxies: "fe80::1%eth0"}, nil, `--trusted-proxies (JADWAL_TRUSTED_PROXIES): "fe80::1%eth0" is not a network`},
		{"IPv4 is written as IPv4", Flags{TrustedProxies: "::ffff:10.0.0.1"}, nil, `--trusted-proxies (JADWAL_TRUSTED_PROXIES): ::ffff:10.0.0.1 is IPv4 written as IPv6`},
		{"a list has an end", Flags{TrustedProxies: strings.Repeat("10.0.0.0/8,", 1000) + "10.0.0.0/8"}, nil, `--trusted-proxies (JADWAL_TRUSTED_PROXIES): 1001 networks are more than 1000`},
		{"what may be called is a network or a name", Flags{AllowEgress: "10.0.0.0/33"}, nil, `--allow-egress (JADWAL_ALLOW_EGRESS): "10.0.0.0/33" is neither a network nor a host name; write for example 10.0.0.0/8, 10.1.2.3:443, [fd00::/8]:443 or *.internal.example:8443`},
		{"what may not be called, too", Flags{DenyEgress: "example.com,http://example.com/"}, nil, `--deny-egress (JADWAL_DENY_EGRESS): "http://example.com/" is neither`},
		{"a list of what may be called has an end", Flags{DenyEgress: strings.Repeat("a,", 1000) + "a"}, nil, `--deny-egress (JADWAL_DENY_EGRESS): 1001 entries are more than 1000`},
		{"not everybody's pages are let in", Flags{CORSOrigins: "*"}, nil, `--cors-origins (JADWAL_CORS_ORIGINS): "*" would let pages of anybody in; list the origins, such as https://app.example.com`},
		{"nor is there a pattern", Flags{CORSOrigins: "https://*.example.com"}, nil, `--cors-origins (JADWAL_CORS_ORIGINS): "https://*.example.com" is not an origin`},
		{"null is the origin of anybody's file", Flags{CORSOrigins: "https://a.example,null"}, nil, `--cors-origins (JADWAL_CORS_ORIGINS): "null" would let pages of anybody in`},
		{"an origin has a scheme", Flags{CORSOrigins: "app.example.com"}, nil, `--cors-origins (JADWAL_CORS_ORIGINS): "app.example.com" is not an origin; write scheme, name`},
		{"an origin has no path", Flags{CORSOrigins: "https://app.example.com/ui"}, nil, `--cors-origins (JADWAL_CORS_ORIGINS): "https://app.example.com/ui" is not an origin`},
		{"nor a slash at its end", Flags{CORSOrigins: "https://app.example.com/"}, nil, `--cors-origins (JADWAL_CORS_ORIGINS): "https://app.example.com/" is sent by browsers as https://app.example.com; write that`},
		{"browsers write names in lower case", Flags{CORSOrigins: "https://App.example.com"}, nil, `--cors-origins (JADWAL_CORS_ORIGINS): "https://App.example.com" is sent by browsers as https://app.example.com`},
		{"browsers leave out the scheme's port", Flags{CORSOrigins: "https://app.example.com:443"}, nil, `--cors-origins (JADWAL_CORS_ORIGINS): "https://app.example.com:443" is sent by browsers as https://app.example.com`},
		{"an origin has no user", Flags{CORSOrigins: "https://me@app.example.com"}, nil, `--cors-origins (JADWAL_CORS_ORIGINS): "https://me@app.example.com" is not an origin`},
		{"a quota is a number", Flags{UserFires: "60/m"}, nil, `--user-fires (JADWAL_USER_FIRES): "60/m" must be a number from 0 to 1000000`},
		{"attempts in flight are a number", Flags{MaxInFlight: "many"}, nil, `--max-in-flight (JADWAL_MAX_IN_FLIGHT): "many" must be a number from 1 to 1048576`},
		{"attempts against a host are a number", Flags{MaxPerHost: "1e3"}, nil, `--max-per-host (JADWAL_MAX_PER_HOST): "1e3" must be a number from 1 to 1048576`},
		{"at least one attempt can run against a host", Flags{MaxPerHost: "0"}, nil, `--max-per-host (JADWAL_MAX_PER_HOST): "0" must be a number from 1`},
		{"at least one attempt can run", Flags{MaxInFlight: "0"}, nil, `--max-in-flight (JADWAL_MAX_IN_FLIGHT): "0" must be a number from 1`},
		{"the drain timeout is a duration", Flags{DrainTimeout: "soon"}, nil, `--drain-timeout (JADWAL_DRAIN_TIMEOUT): "soon" is not a duration`},
		{"the drain timeout is at most an hour", Flags{DrainTimeout: "61m"}, nil, `--drain-timeout (JADWAL_DRAIN_TIMEOUT): 61m must be 1s to 1h`},
		{"a log is text or json", Flags{LogFormat: "xml"}, nil, `--log-format (JADWAL_LOG_FORMAT): "xml" is not known; write text or json`},
		{"a level has a name", Flags{LogLevel: "INFO+2"}, nil, `--log-level (JADWAL_LOG_LEVEL): "INFO+2" is not known; write debug, info, warn or error`},
		{"a long value is cut", Flags{LogLevel: strings.Repeat("x", 65)}, nil, `--log-level (JADWAL_LOG_LEVEL): "` + strings.Repeat("x", 64) + `…" is not known`},
		{"the admin's password has eight bytes", Flags{}, map[string]string{"JADWAL_ADMIN_PASSWORD": "short"}, `JADWAL_ADMIN_PASSWORD: password must have at least 8 bytes`},
		{"the admin's password heads no list", Flags{}, map[string]string{"JADWAL_ADMIN_PASSWORD": "password"}, `JADWAL_ADMIN_PASSWORD: password is one of the most used ones`},
		{"the admin's password is not the email", Flags{AdminEmail: "a@example.com"}, map[string]string{"JADWAL_ADMIN_PASSWORD": "a@example.com"}, `JADWAL_ADMIN_PASSWORD: password must not be the username or the email`},
		{"a secret has 32 bytes", Flags{}, map[string]string{"JADWAL_SECRET": strings.Repeat("s", 31) + "\n"}, `JADWAL_SECRET: has 31 bytes, needs 32 to 4096; make one with: openssl rand -base64 32`},
		{"a secret has at most 4096 bytes", Flags{}, map[string]string{"JADWAL_SECRET": strings.Repeat("s", 4097)}, `JADWAL_SECRET: has 4097 bytes`},
		{"a retiring secret has 32 bytes", Flags{}, map[string]string{"JADWAL_RETIRING_SECRET": "old"}, `JADWAL_RETIRING_SECRET: has 3 bytes`},
		{"a secret is set once", Flags{}, map[string]string{"JADWAL_SECRET": strings.Repeat("s", 32), "JADWAL_SECRET_FILE": "/nowhere"}, `JADWAL_SECRET: JADWAL_SECRET_FILE is set as well; set only one of them`},
		{"a master key has 32 bytes", Flags{}, map[string]string{"JADWAL_MASTER_KEY": strings.Repeat("s", 31)}, `JADWAL_MASTER_KEY: has 31 bytes, needs 32 to 4096`},
		{"so has a retiring one", Flags{}, map[string]string{"JADWAL_RETIRING_MASTER_KEY": "old"}, `JADWAL_RETIRING_MASTER_KEY: has 3 bytes`},
		{"a master key is set once", Flags{}, map[string]string{"JADWAL_MASTER_KEY": strings.Repeat("s", 32), "JADWAL_MASTER_KEY_COMMAND": "x"}, `JADWAL_MASTER_KEY_COMMAND: JADWAL_MASTER_KEY is set as well; set only one of them`},
		{"by its file too", Flags{}, map[string]string{"JADWAL_MASTER_KEY_FILE": "/nowhere", "JADWAL_MASTER_KEY_COMMAND": "x"}, `JADWAL_MASTER_KEY_COMMAND: JADWAL_MASTER_KEY_FILE is set as well; set only one of them`},
		{"on PostgreSQL nothing retires for nothing", Flags{DatabaseURL: "postgres://db/jadwal"}, map[string]string{"JADWAL_SECRET": strings.Repeat("s", 32), "JADWAL_RETIRING_MASTER_KEY": strings.Repeat("o", 32)}, `JADWAL_RETIRING_MASTER_KEY: retires for none; set the one that takes its place as JADWAL_MASTER_KEY`},
		{"a secret's file is there", Flags{}, map[string]string{"JADWAL_SECRET_FILE": "/nowhere/at/all"}, `JADWAL_SECRET_FILE: open /nowhere/at/all: no such file or directory`},
		{"a secret's file is a file", Flags{}, map[string]string{"JADWAL_ADMIN_PASSWORD_FILE": "/"}, `JADWAL_ADMIN_PASSWORD_FILE: read /: is a directory`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.flags.Read(environment(tt.env))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Fatalf("\n got %v\nwant %s…", err, tt.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one complaint: %v", err)
			}
			for name, value := range tt.env {
				if !strings.HasSuffix(name, "_FILE") && strings.Contains(err.Error(), value) && !strings.Contains(err.Error(), "password") {
					t.Errorf("the error tells the secret: %v", err)
				}
			}
		})
	}
	t.Run("all that is wrong is told at once", func(t *testing.T) {
		_, err := Flags{Listen: "x", LogLevel: "x", AdminEmail: "x"}.Read(environment(map[string]string{"JADWAL_SECRET": "x"}))
		if err == nil || strings.Count(err.Error(), "\n") != 3 {
			t.Errorf("got %v", err)
		}
	})
}

func TestSecretsFromFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, tt := range []struct {
		name, text string
		want       string
		wrong      string
	}{
		{"a line end is none of it", "correct horse\n", "correct horse", ""},
		{"nor is that of another system", "correct horse\r\n", "correct horse", ""},
		{"no line end is fine", "correct horse", "correct horse", ""},
		{"only one line end goes, nothing is trimmed", " correct horse \n\n", " correct horse \n", ""},
		{"an empty file is an error", "", "", "is empty; write the secret into it, or unset JADWAL_ADMIN_PASSWORD_FILE"},
		{"so is one with only a line end", "\n", "", "is empty"},
		{"a file has an end", strings.Repeat("x", 8193), "", "has more than 8192 bytes"},
		{"what it holds is checked", "short\n", "", "password must have at least 8 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Flags{}.Read(environment(map[string]string{"JADWAL_ADMIN_PASSWORD_FILE": write("password", tt.text), "JADWAL_ADMIN_PASSWORD": ""}))
			switch {
			case tt.wrong == "" && (err != nil || c.AdminPassword != tt.want):
				t.Errorf("got %q, %v", c.AdminPassword, err)
			case tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong) || !strings.HasPrefix(err.Error(), "JADWAL_ADMIN_PASSWORD")):
				t.Errorf("got %v, want %s", err, tt.wrong)
			}
		})
	}
}

func TestTheFilesOfSecretsAreKnown(t *testing.T) {
	dir := t.TempDir()
	active, retiring := filepath.Join(dir, "active"), filepath.Join(dir, "retiring")
	for name, text := range map[string]string{active: strings.Repeat("s", 32) + "\n", retiring: ""} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Flags{}.Read(environment(map[string]string{"JADWAL_SECRET_FILE": active, "JADWAL_RETIRING_SECRET_FILE": retiring}))
	if err != nil || c.SecretFile != active || c.RetiringFile != retiring || len(c.RetiringSecret) > 0 || string(c.Secret) != strings.Repeat("s", 32) {
		t.Errorf("an empty retiring file means that no secret retires: got %+v, %v", c, err)
	}
	_, err = Flags{}.Read(environment(map[string]string{"JADWAL_SECRET_FILE": retiring}))
	if err == nil || !strings.HasPrefix(err.Error(), "JADWAL_SECRET_FILE: "+retiring+" is empty") {
		t.Errorf("an empty secret file: %v", err)
	}
}

// Nothing turns the check of certificates off, of the server's targets or of
// anything else.
func TestCertificatesAreAlwaysChecked(t *testing.T) {
	for f := range reflect.TypeFor[Flags]().Fields() {
		for _, word := range []string{"insecure", "skip", "verify"} {
			if strings.Contains(f.Tag.Get("name"), word) || strings.Contains(strings.ToLower(f.Tag.Get("env")), word) {
				t.Errorf("there is a setting --%s", f.Tag.Get("name"))
			}
		}
	}
	err := filepath.WalkDir("../..", func(name string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		if strings.Contains(string(text), "InsecureSkipVerify") {
			t.Errorf("%s turns the check of certificates off", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMisspeltSettingsAreFound(t *testing.T) {
	got := Unknown([]string{
		"PATH=/bin", "JADWAL_LISTN=:80", "JADWAL_LISTEN=:80", "JADWAL_SECRET_FILE=x", "JADWAL_ADMIN_PASSWORD=x", "JADWAL_MASTER_KEY_COMMAND=x", "JADWAL_SECRET_COMMAND=x", "JADWAL_DATABASE=x", "jadwal_listen=x", "JADWAL_=",
		"JADWAL_PORT=tcp://10.0.0.1:80", "JADWAL_PORT_80_TCP_ADDR=10.0.0.1", "JADWAL_SERVICE_HOST=10.0.0.1", "JADWAL_SERVICE_PORT_HTTP=80",
	})
	if want := []string{"JADWAL_", "JADWAL_DATABASE", "JADWAL_LISTN", "JADWAL_SECRET_COMMAND"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTheReferenceNamesEverySetting(t *testing.T) {
	text, err := os.ReadFile("../../docs/reference/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| `--") {
			rows = append(rows, line)
		}
	}
	i := 0
	for f := range reflect.TypeFor[Flags]().Fields() {
		def := "none"
		if d := f.Tag.Get("default"); d != "" {
			def = "`" + d + "`"
		}
		want := "| `--" + f.Tag.Get("name") + "` | `" + f.Tag.Get("env") + "` | " + def + " | "
		if i >= len(rows) || !strings.HasPrefix(rows[i], want) {
			t.Errorf("row %d must begin %s", i+1, want)
		}
		i++
	}
	if len(rows) != i {
		t.Errorf("%d rows for %d settings", len(rows), i)
	}
	for _, name := range []string{envAdminPassword, envSecret, envRetiringSecret, envMasterKey, envRetiringMasterKey} {
		if !strings.Contains(string(text), "| `"+name+"` |") {
			t.Errorf("no row for %s", name)
		}
	}
}
