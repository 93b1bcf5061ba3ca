package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/teknohole/jadwal"
)

var (
	testKey   = []byte("0123456789abcdef0123456789abcdef")
	otherKey  = []byte("fedcba9876543210fedcba9876543210")
	testTimes = Lifetimes{Access: 15 * time.Minute, Refresh: 7 * 24 * time.Hour, Session: 30 * 24 * time.Hour}
	testNow   = time.Date(2026, 11, 23, 6, 58, 2, 345_678_000, time.UTC)
)

func testSession() jadwal.Session {
	return jadwal.Session{ID: 1<<63 - 1, UserID: 42, Generation: 7, CreatedAt: testNow, RotatedAt: testNow, ExpiresAt: testNow.Add(testTimes.Session)}
}

// signedBy makes a token of any header and payload.
func signedBy(key []byte, header, payload string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func payloadOf(t *testing.T, token string) string {
	t.Helper()
	part := strings.Split(token, ".")
	if len(part) != 3 {
		t.Fatalf("%d segments, want 3: %s", len(part), token)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(part[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPairIsReadBack(t *testing.T) {
	tokens := NewTokens(testKey, nil, testTimes)
	s := testSession()
	access, refresh := tokens.Pair(s, testNow)

	c, err := tokens.ParseAccess(access, testNow)
	want := Claims{UserID: 42, SessionID: s.ID, IssuedAt: testNow.Truncate(time.Second), ExpiresAt: testNow.Add(testTimes.Access).Truncate(time.Second)}
	if err != nil || c != want {
		t.Errorf("access: got %+v, %v; want %+v", c, err, want)
	}
	c, err = tokens.ParseRefresh(refresh, testNow)
	want.Generation, want.ExpiresAt = 7, testNow.Add(testTimes.Refresh).Truncate(time.Second)
	if err != nil || c != want {
		t.Errorf("refresh: got %+v, %v; want %+v", c, err, want)
	}
}

func TestPayloadsAreFixedByteForByte(t *testing.T) {
	tokens := NewTokens(testKey, nil, testTimes)
	access, refresh := tokens.Pair(testSession(), testNow)
	for _, token := range []string{access, refresh} {
		if !strings.HasPrefix(token, "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.") {
			t.Errorf("header is not ours: %s", token)
		}
	}
	got := payloadOf(t, access)
	jti := got[strings.Index(got, `"jti":"`)+7:][:22]
	if want := `{"sub":42,"iat":1795417082,"exp":1795417982,"sid":"9223372036854775807","use":"access","jti":"` + jti + `"}`; got != want {
		t.Errorf("access payload\n got %s\nwant %s", got, want)
	}
	want := `{"sub":42,"iat":1795417082,"exp":1796021882,"sid":"9223372036854775807","use":"refresh","jti":"9223372036854775807.7","gen":7}`
	if got := payloadOf(t, refresh); got != want {
		t.Errorf("refresh payload\n got %s\nwant %s", got, want)
	}
}

func TestNoTwoTokensAreAlikeButARepeatedRefreshToken(t *testing.T) {
	tokens := NewTokens(testKey, nil, testTimes)
	s := testSession()
	access1, refresh1 := tokens.Pair(s, testNow)
	access2, refresh2 := tokens.Pair(s, testNow.Add(20*time.Second))
	access3, _ := tokens.Pair(s, testNow)
	if access1 == access2 || access1 == access3 {
		t.Error("two access tokens of one second are alike")
	}
	if refresh1 != refresh2 {
		t.Error("the same successor could not be made again")
	}
	seen := map[string]string{refresh1: "itself"}
	for what, change := range map[string]func(*jadwal.Session){
		"another generation": func(s *jadwal.Session) { s.Generation++ },
		"another session":    func(s *jadwal.Session) { s.ID-- },
		"another user":       func(s *jadwal.Session) { s.UserID++ },
		"another rotation":   func(s *jadwal.Session) { s.RotatedAt = s.RotatedAt.Add(time.Second) },
	} {
		s := testSession()
		change(&s)
		_, refresh := tokens.Pair(s, testNow)
		if like, ok := seen[refresh]; ok {
			t.Errorf("the refresh token of %s is that of %s", what, like)
		}
		seen[refresh] = what
	}
}

func TestLifetimesOfAPair(t *testing.T) {
	day := 24 * time.Hour
	for _, tt := range []struct {
		name            string
		lifetimes       Lifetimes
		now, sessionEnd time.Duration // after the rotation
		access, refresh time.Duration // until they end, after the rotation in whole seconds
	}{
		{"each has its own lifetime", Lifetimes{15 * time.Minute, 7 * day, 30 * day}, 0, 30 * day, 15 * time.Minute, 7 * day},
		{"neither outlives the session", Lifetimes{15 * time.Minute, 7 * day, 30 * day}, 0, 10 * time.Minute, 10 * time.Minute, 10 * time.Minute},
		{"the access token of a repeated answer is counted from now", Lifetimes{15 * time.Minute, 7 * day, 30 * day}, 29 * time.Second, 30 * day, 15*time.Minute + 29*time.Second, 7 * day},
		{"an access token never outlives its refresh token, even when it is made later", Lifetimes{time.Hour, time.Hour, 30 * day}, 29 * time.Second, 30 * day, time.Hour, time.Hour},
		{"nor when it is configured to", Lifetimes{2 * time.Hour, time.Hour, 30 * day}, 0, 30 * day, time.Hour, time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := testNow.Truncate(time.Second)
			s := jadwal.Session{ID: 1, UserID: 1, Generation: 1, RotatedAt: testNow, ExpiresAt: testNow.Add(tt.sessionEnd)}
			tokens := NewTokens(testKey, nil, tt.lifetimes)
			access, refresh := tokens.Pair(s, testNow.Add(tt.now))
			a, err := tokens.ParseAccess(access, testNow)
			if err != nil || a.ExpiresAt.Sub(start) != tt.access {
				t.Errorf("access token ends after %s, %v; want %s", a.ExpiresAt.Sub(start), err, tt.access)
			}
			r, err := tokens.ParseRefresh(refresh, testNow)
			if err != nil || r.ExpiresAt.Sub(start) != tt.refresh {
				t.Errorf("refresh token ends after %s, %v; want %s", r.ExpiresAt.Sub(start), err, tt.refresh)
			}
		})
	}
	tokens := NewTokens(testKey, nil, testTimes)
	if end := tokens.SessionEnd(testNow); end != testNow.Add(30*day).Truncate(time.Second) {
		t.Errorf("session ends %s", end)
	}
}

func TestTokensEndAtTheirSecond(t *testing.T) {
	tokens := NewTokens(testKey, nil, testTimes)
	access, refresh := tokens.Pair(testSession(), testNow)
	for _, tt := range []struct {
		what  string
		parse func(string, time.Time) (Claims, error)
		token string
		end   time.Time
	}{
		{"access", tokens.ParseAccess, access, testNow.Add(testTimes.Access).Truncate(time.Second)},
		{"refresh", tokens.ParseRefresh, refresh, testNow.Add(testTimes.Refresh).Truncate(time.Second)},
	} {
		if _, err := tt.parse(tt.token, tt.end.Add(-time.Nanosecond)); err != nil {
			t.Errorf("%s token is dead before its end: %v", tt.what, err)
		}
		for _, late := range []time.Duration{0, time.Nanosecond, time.Hour} {
			if _, err := tt.parse(tt.token, tt.end.Add(late)); err != errExpired {
				t.Errorf("%s token %s after its end: %v", tt.what, late, err)
			}
		}
	}
}

func TestAccessTokensOfTheFuture(t *testing.T) {
	tokens := NewTokens(testKey, nil, testTimes)
	access, refresh := tokens.Pair(testSession(), testNow)
	second := testNow.Truncate(time.Second)
	for _, c := range []struct {
		rule string
		now  time.Time
		want error
	}{
		{"a clock may be a minute behind the one that minted", second.Add(-time.Minute), nil},
		{"and not more", second.Add(-time.Minute - 1), errNotOurs},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if _, err := tokens.ParseAccess(access, c.now); err != c.want {
				t.Errorf("got %v", err)
			}
			if _, err := tokens.ParseRefresh(refresh, c.now); err != nil {
				t.Errorf("the refresh token: %v", err)
			}
		})
	}
}

func TestTokensThatAreNotOurs(t *testing.T) {
	tokens := NewTokens(testKey, nil, testTimes)
	access, refresh := tokens.Pair(testSession(), testNow)
	head, body := `{"typ":"JWT","alg":"HS256"}`, payloadOf(t, access)
	part := strings.Split(access, ".")
	change := func(old, new string) string {
		if !strings.Contains(body, old) {
			t.Fatalf("%s is not in %s", old, body)
		}
		return signedBy(testKey, head, strings.Replace(body, old, new, 1))
	}
	lastBits := func(s string) string { // the same bytes to a decoder that overlooks trailing bits
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		i := strings.IndexByte(alphabet, s[len(s)-1])
		return s[:len(s)-1] + string(alphabet[i^1])
	}
	if _, err := tokens.ParseAccess(signedBy(testKey, head, body), testNow); err != nil {
		t.Fatalf("the forgery of this test does not pass as it is: %v", err)
	}
	for name, token := range map[string]string{
		"nothing":                               "",
		"dots":                                  "..",
		"a word":                                "null",
		"only a header":                         tokenHeader,
		"no payload":                            tokenHeader + "." + part[2],
		"two segments":                          part[0] + "." + part[1],
		"four segments":                         access + "." + part[2],
		"no signature":                          part[0] + "." + part[1] + ".",
		"a signature cut short":                 access[:len(access)-1],
		"a signature with padding":              access + "=",
		"a signature with trailing bits":        part[0] + "." + part[1] + "." + lastBits(part[2]),
		"a signature with a line end":           access + "\n",
		"a line end inside the payload":         part[0] + "." + part[1][:8] + "\n" + part[1][8:] + "." + part[2],
		"a leading space":                       " " + access,
		"the scheme in front":                   "Bearer " + access,
		"another key":                           signedBy(otherKey, head, body),
		"no key":                                signedBy(nil, head, body),
		"a payload of another token":            part[0] + "." + strings.Split(refresh, ".")[1] + "." + part[2],
		"alg none, unsigned":                    base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"JWT","alg":"none"}`)) + "." + part[1] + ".",
		"alg none, signed":                      signedBy(testKey, `{"typ":"JWT","alg":"none"}`, body),
		"alg HS512":                             signedBy(testKey, `{"typ":"JWT","alg":"HS512"}`, body),
		"members of the header the other way":   signedBy(testKey, `{"alg":"HS256","typ":"JWT"}`, body),
		"a kid":                                 signedBy(testKey, `{"typ":"JWT","alg":"HS256","kid":"1"}`, body),
		"a header with a space":                 signedBy(testKey, `{"typ":"JWT", "alg":"HS256"}`, body),
		"a refresh token":                       refresh,
		"a very long one":                       access + strings.Repeat("A", 1<<20),
		"a long payload":                        signedBy(testKey, head, body+strings.Repeat(" ", 300)),
		"no claims":                             signedBy(testKey, head, `{}`),
		"null":                                  signedBy(testKey, head, `null`),
		"a subject that is a string":            change(`"sub":42`, `"sub":"42"`),
		"a subject of zero":                     change(`"sub":42`, `"sub":0`),
		"a subject with a leading zero":         change(`"sub":42`, `"sub":042`),
		"a negative subject":                    change(`"sub":42`, `"sub":-42`),
		"a fraction":                            change(`"sub":42`, `"sub":42.0`),
		"a subject beyond int64":                change(`"sub":42`, `"sub":9223372036854775808`),
		"a session beyond int64":                change(`9223372036854775807`, `9223372036854775808`),
		"a session of twenty digits":            change(`9223372036854775807`, `18446744073709551617`),
		"an end without digits":                 change(`"exp":1795417982`, `"exp":`),
		"an unknown use":                        change(`"use":"access"`, `"use":"admin"`),
		"a claim twice":                         change(`"use":"access"`, `"use":"access","use":"access"`),
		"an unknown use of the same length":     change(`"use":"access"`, `"use":"secret"`),
		"a claim of another issuer":             change(`"use":"access"`, `"iss":"x","use":"access"`),
		"text behind the claims":                signedBy(testKey, head, body+" "),
		"a jti cut short":                       signedBy(testKey, head, body[:len(body)-4]),
		"a refresh token that says access":      signedBy(testKey, head, strings.Replace(payloadOf(t, refresh), useRefresh, useAccess, 1)),
		"base64 of the other alphabet":          strings.NewReplacer("-", "+", "_", "/").Replace(part[0] + "." + part[1] + "." + strings.Repeat("-", macLength)),
		"a signature over an undecodable claim": forgeText(testKey, tokenHeader+"A"),
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := tokens.ParseAccess(token, testNow); err != errNotOurs || c != (Claims{}) {
				t.Errorf("got %+v, %v", c, err)
			}
		})
	}
	body = payloadOf(t, refresh)
	for name, token := range map[string]string{
		"an access token":                        access,
		"a jti of another generation":            change(`.7"`, `.8"`),
		"a jti of another session":               change(`"jti":"9223372036854775807`, `"jti":"9223372036854775806`),
		"a generation of zero":                   change(`"gen":7`, `"gen":0`),
		"an access token that says refresh":      signedBy(testKey, head, strings.Replace(payloadOf(t, access), useAccess, useRefresh, 1)),
		"a claim behind the generation":          change(`"gen":7`, `"gen":7,"x":1`),
		"a refresh token that is not terminated": signedBy(testKey, head, body[:len(body)-1]),
	} {
		t.Run("as a refresh token, "+name, func(t *testing.T) {
			if c, err := tokens.ParseRefresh(token, testNow); err != errNotOurs || c != (Claims{}) {
				t.Errorf("got %+v, %v", c, err)
			}
		})
	}
	if jadwal.CodeOf(errNotOurs) != jadwal.CodeInvalidToken || jadwal.CodeOf(errExpired) != jadwal.CodeInvalidToken {
		t.Error("errors do not have CodeInvalidToken")
	}
}

func forgeText(key []byte, text string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func TestEveryChangedByteIsNoticed(t *testing.T) {
	tokens := NewTokens(testKey, nil, testTimes)
	access, _ := tokens.Pair(testSession(), testNow)
	for i := range access {
		for _, b := range []byte{access[i] ^ 1, access[i] ^ 0x20, 0} {
			forged := access[:i] + string(b) + access[i+1:]
			if _, err := tokens.ParseAccess(forged, testNow); err == nil {
				t.Fatalf("byte %d may be %q", i, b)
			}
		}
	}
}

func TestARetiringKeyVerifiesButDoesNotSign(t *testing.T) {
	before := NewTokens(otherKey, nil, testTimes)
	during := NewTokens(testKey, otherKey, testTimes)
	after := NewTokens(testKey, nil, testTimes)
	oldAccess, oldRefresh := before.Pair(testSession(), testNow)
	newAccess, _ := during.Pair(testSession(), testNow)

	if _, err := during.ParseAccess(oldAccess, testNow); err != nil {
		t.Errorf("a token of the retiring key: %v", err)
	}
	if _, err := during.ParseRefresh(oldRefresh, testNow); err != nil {
		t.Errorf("a refresh token of the retiring key: %v", err)
	}
	if _, err := after.ParseAccess(oldAccess, testNow); err != errNotOurs {
		t.Errorf("a token of a retired key: %v", err)
	}
	if _, err := after.ParseAccess(newAccess, testNow); err != nil {
		t.Errorf("a token made while a key retires is not of the active key: %v", err)
	}
}

func TestAnotherLibraryReadsOurTokens(t *testing.T) {
	tokens := NewTokens(testKey, nil, testTimes)
	access, refresh := tokens.Pair(testSession(), testNow)
	key := func(*jwt.Token) (any, error) { return testKey, nil }
	at := func(now time.Time) jwt.ParserOption { return jwt.WithTimeFunc(func() time.Time { return now }) }
	for use, token := range map[string]string{useAccess: access, useRefresh: refresh} {
		got := jwt.MapClaims{}
		parsed, err := jwt.ParseWithClaims(token, got, key, jwt.WithValidMethods([]string{"HS256"}), jwt.WithStrictDecoding(),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithJSONNumber(), at(testNow))
		if err != nil || !parsed.Valid {
			t.Fatalf("%s: %v", use, err)
		}
		if fmt.Sprint(got["sub"]) != "42" || got["use"] != use || got["sid"] != "9223372036854775807" || fmt.Sprint(got["iat"]) != "1795417082" {
			t.Errorf("%s: %v", use, got)
		}
		if _, isNumber := got["exp"].(json.Number); !isNumber {
			t.Errorf("%s: exp is a %T", use, got["exp"])
		}
		_, err = jwt.ParseWithClaims(token, jwt.MapClaims{}, key, at(testNow.Add(31*24*time.Hour)))
		if err == nil {
			t.Errorf("%s: alive after its end", use)
		}
	}
	theirs, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": 42, "exp": testNow.Unix() + 60, "use": useAccess}).SignedString(testKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.ParseAccess(theirs, testNow); err != errNotOurs {
		t.Errorf("what another program signed with our key: %v", err)
	}
}

func FuzzParseAccess(f *testing.F) {
	tokens := NewTokens(testKey, otherKey, testTimes)
	access, refresh := tokens.Pair(testSession(), testNow)
	f.Add(access)
	f.Add(refresh)
	f.Add(tokenHeader + ".")
	// Another process of the fuzzer mints other access tokens with the same key,
	// so one that is accepted need not be this one, but it must be signed, and
	// written in the one way there is.
	minted := func(token string) bool {
		part := strings.Split(token, ".")
		if len(part) != 3 {
			return false
		}
		payload, err := base64.RawURLEncoding.Strict().DecodeString(part[1])
		return err == nil && (tokens.signers.Load().active.sign(payload) == token || tokens.signers.Load().retiring.sign(payload) == token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := tokens.ParseAccess(token, testNow); err == nil && !minted(token) {
			t.Errorf("accepted %q", token)
		}
		if _, err := tokens.ParseRefresh(token, testNow); err == nil && token != refresh {
			t.Errorf("accepted as a refresh token %q", token)
		}
	})
}

// FuzzReadClaims looks behind the signature: whatever is read is written back
// as it was.
func FuzzReadClaims(f *testing.F) {
	f.Add([]byte(`{"sub":1,"iat":1,"exp":1,"sid":"1","use":"access","jti":"0123456789012345678901"}`), false)
	f.Add([]byte(`{"sub":1,"iat":1,"exp":1,"sid":"1","use":"refresh","jti":"1.9","gen":9}`), true)
	f.Fuzz(func(t *testing.T, payload []byte, refresh bool) {
		use := useAccess
		if refresh {
			use = useRefresh
		}
		c, ok := readClaims(payload, use)
		if !ok {
			return
		}
		again := appendClaims(nil, c.UserID, c.IssuedAt, c.ExpiresAt, fmt.Sprint(c.SessionID), use)
		if refresh {
			again = fmt.Appendf(again, `%d.%d","gen":%d}`, c.SessionID, c.Generation, c.Generation)
		} else {
			again = append(again, payload[len(payload)-24:]...)
		}
		if string(again) != string(payload) {
			t.Errorf("read %q, which is written %q", payload, again)
		}
	})
}

func BenchmarkParseAccess(b *testing.B) {
	tokens := NewTokens(testKey, nil, testTimes)
	access, _ := tokens.Pair(testSession(), testNow)
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := tokens.ParseAccess(access, testNow); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("golang-jwt", func(b *testing.B) {
		b.ReportAllocs()
		p := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithTimeFunc(func() time.Time { return testNow }))
		for b.Loop() {
			var c jwt.MapClaims
			if _, err := p.ParseWithClaims(access, &c, func(*jwt.Token) (any, error) { return testKey, nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("the bare HMAC", func(b *testing.B) {
		b.ReportAllocs()
		text := []byte(access[:len(access)-44])
		mac := hmac.New(sha256.New, testKey)
		var sum [32]byte
		for b.Loop() {
			mac.Reset()
			mac.Write(text)
			mac.Sum(sum[:0])
		}
	})
}

func BenchmarkPair(b *testing.B) {
	tokens := NewTokens(testKey, nil, testTimes)
	s := testSession()
	b.ReportAllocs()
	for b.Loop() {
		tokens.Pair(s, testNow)
	}
}
