package api

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/teknohole/jadwal/internal/auth"
)

const ourHeader = `{"typ":"JWT","alg":"HS256"}`

// signingKey is the key that the server signs tokens with: what an attacker
// does not have. With it what is wrong with a token besides is seen.
func (s *server) signingKey() []byte { return s.keyFor(auth.PurposeTokens) }

func base64url(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// mac signs a text as JSON Web Signatures are.
func mac(h func() hash.Hash, key []byte, text string) string {
	m := hmac.New(h, key)
	m.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// sealed is a token of two texts that are encoded already.
func sealed(key []byte, header, claims string) string {
	return header + "." + claims + "." + mac(sha256.New, key, header+"."+claims)
}

// forge is a token with that header and those claims, rightly signed.
func forge(key []byte, header, claims string) string {
	return sealed(key, base64url(header), base64url(claims))
}

// attackTokens is about what surrounds the claims: how a token is sent, its
// header, its signature, its encoding.
func attackTokens(g *siege) {
	key := g.s.signingKey()
	ani := g.person("ani", false)
	_, claims := claimsOf(g.t, ani.access)
	g.holds("a token that is forged in our way with our key is good: what follows is refused for what it says", func(t *testing.T, s *server) {
		if r := (&session{s, forge(key, ourHeader, claims), ""}).do("GET", "/user/me", ""); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
	})
	part := strings.Split(ani.access, ".")
	send := func(code string, fields map[string]string) {
		var all []attack
		for rule, field := range fields {
			all = append(all, attack{rule: rule, method: "GET", target: "/user/me", header: []string{"Authorization", field}, status: 401, code: code})
		}
		g.refused(all...)
	}
	wrong := func(tokens map[string]string) {
		for rule, token := range tokens {
			tokens[rule] = "Bearer " + token
		}
		send("invalid_token", tokens)
	}

	unsigned := func(header string) string { return base64url(header) + "." + part[1] + "." }
	hashed := func(alg string, h func() hash.Hash) string {
		text := base64url(`{"typ":"JWT","alg":"`+alg+`"}`) + "." + part[1]
		return text + "." + mac(h, key, text)
	}
	header := func(text string) string { return forge(key, text, claims) }
	oct := base64url("a key of the attacker's, 32 bytes")
	wrong(map[string]string{
		"alg none, without a signature":                unsigned(`{"typ":"JWT","alg":"none"}`),
		"alg None, without a signature":                unsigned(`{"typ":"JWT","alg":"None"}`),
		"alg NONE, without a signature":                unsigned(`{"typ":"JWT","alg":"NONE"}`),
		"alg nOnE, without a signature":                unsigned(`{"typ":"JWT","alg":"nOnE"}`),
		"alg none, and no dot behind":                  strings.TrimSuffix(unsigned(`{"typ":"JWT","alg":"none"}`), "."),
		"alg none, with our signature":                 base64url(`{"typ":"JWT","alg":"none"}`) + "." + part[1] + "." + part[2],
		"alg none, signed with our key":                header(`{"typ":"JWT","alg":"none"}`),
		"our header, without a signature":              part[0] + "." + part[1] + ".",
		"alg of the empty text":                        header(`{"typ":"JWT","alg":""}`),
		"alg null":                                     header(`{"typ":"JWT","alg":null}`),
		"alg in a list":                                header(`{"typ":"JWT","alg":["HS256"]}`),
		"no alg":                                       header(`{"typ":"JWT"}`),
		"alg HS384, rightly signed":                    hashed("HS384", sha512.New384),
		"alg HS512, rightly signed":                    hashed("HS512", sha512.New),
		"alg HS256, signed as HS512":                   part[0] + "." + part[1] + "." + mac(sha512.New, key, part[0]+"."+part[1]),
		"alg hs256 in small letters":                   header(`{"typ":"JWT","alg":"hs256"}`),
		"alg RS256, with our key as a key of HMAC":     header(`{"typ":"JWT","alg":"RS256"}`),
		"alg ES256, with our key as a key of HMAC":     header(`{"typ":"JWT","alg":"ES256"}`),
		"alg HS256, signed with no key":                forge(nil, ourHeader, claims),
		"alg HS256, signed with a key of zeros":        forge(make([]byte, 32), ourHeader, claims),
		"a kid":                                        header(`{"typ":"JWT","alg":"HS256","kid":"1"}`),
		"a kid of an empty file":                       forge(nil, `{"typ":"JWT","alg":"HS256","kid":"../../../dev/null"}`, claims),
		"a kid of SQL":                                 forge([]byte("x"), `{"typ":"JWT","alg":"HS256","kid":"' UNION SELECT 'x"}`, claims),
		"a jku":                                        header(`{"typ":"JWT","alg":"HS256","jku":"https://evil.example/keys"}`),
		"an x5u":                                       header(`{"typ":"JWT","alg":"HS256","x5u":"https://evil.example/cert"}`),
		"an x5c":                                       header(`{"typ":"JWT","alg":"HS256","x5c":["MIIB"]}`),
		"a jwk, signed with it":                        forge([]byte("a key of the attacker's, 32 bytes"), `{"typ":"JWT","alg":"HS256","jwk":{"kty":"oct","k":"`+oct+`"}}`, claims),
		"a crit":                                       header(`{"typ":"JWT","alg":"HS256","crit":["exp"]}`),
		"a crit with an unencoded payload":             header(`{"typ":"JWT","alg":"HS256","crit":["b64"],"b64":false}`),
		"a zip":                                        header(`{"typ":"JWT","alg":"HS256","zip":"DEF"}`),
		"a cty of a nested token":                      header(`{"typ":"JWT","alg":"HS256","cty":"JWT"}`),
		"typ at+jwt":                                   header(`{"typ":"at+jwt","alg":"HS256"}`),
		"typ in small letters":                         header(`{"typ":"jwt","alg":"HS256"}`),
		"no typ":                                       header(`{"alg":"HS256"}`),
		"the members of the header the other way":      header(`{"alg":"HS256","typ":"JWT"}`),
		"a space in the header":                        header(`{"typ":"JWT", "alg":"HS256"}`),
		"a line's end behind the header":               header(ourHeader + "\n"),
		"a byte order mark before the header":          header("\xef\xbb\xbf" + ourHeader),
		"alg twice, ours first":                        header(`{"typ":"JWT","alg":"HS256","alg":"none"}`),
		"alg twice, ours last":                         header(`{"typ":"JWT","alg":"none","alg":"HS256"}`),
		"an escaped letter in the header":              header(`{"typ":"JWT","\u0061lg":"HS256"}`),
		"a header that is a list":                      header(`[]`),
		"a header that is nothing":                     header(``),
		"a header with padding":                        sealed(key, part[0]+"=", part[1]),
		"RS256, with its key in the header":            byLibrary(g.t, jwt.SigningMethodRS256, claims),
		"PS256, with its key in the header":            byLibrary(g.t, jwt.SigningMethodPS256, claims),
		"ES256, with its key in the header":            byLibrary(g.t, jwt.SigningMethodES256, claims),
		"EdDSA, with its key in the header":            byLibrary(g.t, jwt.SigningMethodEdDSA, claims),
		"another installation's secret":                forge(keyIn(g.t, g.t.TempDir(), auth.PurposeTokens), ourHeader, claims),
		"the secret itself, not the key made of it":    forge(secretIn(g.t, g.s.dir), ourHeader, claims),
		"the key of another purpose":                   forge(g.s.keyFor(auth.PurposeRequests), ourHeader, claims),
		"the signature of another token":               part[0] + "." + part[1] + "." + strings.Split(ani.refresh, ".")[2],
		"the claims of another token":                  part[0] + "." + strings.Split(ani.refresh, ".")[1] + "." + part[2],
		"a signature with padding":                     ani.access + "=",
		"a signature with more padding":                ani.access + "==",
		"a signature in the standard alphabet":         standardAlphabet(key, claims),
		"a signature in hexadecimal":                   part[0] + "." + part[1] + "." + hexOf(part[2]),
		"a signature of half its length":               part[0] + "." + part[1] + "." + part[2][:21],
		"a signature that is a byte short":             ani.access[:len(ani.access)-1],
		"a signature that is a byte long":              ani.access + "A",
		"a signature of zeros":                         part[0] + "." + part[1] + "." + strings.Repeat("A", 43),
		"a signature twice":                            ani.access + part[2],
		"claims with padding, rightly signed":          sealed(key, part[0], part[1]+"="),
		"claims of the standard alphabet":              sealed(key, part[0], strings.NewReplacer("-", "+", "_", "/").Replace(base64url(claims[:len(claims)-1]+`,"x":"~~~???"}`))),
		"two parts":                                    part[0] + "." + part[1],
		"one part":                                     part[1],
		"four parts":                                   ani.access + "." + part[2],
		"five parts, as encrypted tokens have":         part[0] + ".." + part[1] + "." + part[2] + "." + part[2],
		"a dot in front":                               "." + ani.access,
		"a dot behind":                                 ani.access + ".",
		"no claims":                                    sealed(key, part[0], ""),
		"only dots":                                    "..",
		"a token in quotes":                            `"` + ani.access + `"`,
		"a token in angle brackets":                    "<" + ani.access + ">",
		"a token with an encoded dot":                  strings.Replace(ani.access, ".", "%2E", 1),
		"a token in base64 once more":                  base64url(ani.access),
		"a token in capitals":                          strings.ToUpper(ani.access),
		"a token of 30,000 bytes":                      forge(key, ourHeader, claims[:len(claims)-1]+`,"x":"`+strings.Repeat("x", 22_000)+`"}`),
		"a token of one byte more than is looked at":   strings.Repeat("x", 513),
		"a space within":                               part[0] + ". " + part[1] + "." + part[2],
		"a tab within":                                 part[0] + "." + part[1] + "\t." + part[2],
		"a second token behind a space":                ani.access + " " + ani.access,
		"a second token behind a comma":                ani.access + "," + ani.access,
		"a parameter behind it":                        ani.access + `, realm="jadwal"`,
		"an unbreakable space before it":               "\u00a0" + ani.access,
		"the word null":                                "null",
		"the word undefined":                           "undefined",
		"a token in the way of the JSON serialization": `{"protected":"` + part[0] + `","payload":"` + part[1] + `","signature":"` + part[2] + `"}`,
	})
	send("unauthenticated", map[string]string{
		"a token behind a tab":           "Bearer\t" + ani.access,
		"a token behind a colon":         "Bearer: " + ani.access,
		"a token of the scheme Token":    "Token " + ani.access,
		"a token of the scheme JWT":      "JWT " + ani.access,
		"a token as a password":          "Basic " + base64.StdEncoding.EncodeToString([]byte("ani:"+ani.access)),
		"a password":                     "Basic " + base64.StdEncoding.EncodeToString([]byte("ani:"+userPassword)),
		"a scheme of look-alike letters": "\u0412earer " + ani.access,
		"a scheme in quotes":             `"Bearer" ` + ani.access,
		"two schemes":                    "Bearer,Bearer " + ani.access,
	})
	var all []attack
	for rule, header := range map[string][]string{
		"a token in Proxy-Authorization":            {"Proxy-Authorization", "Bearer " + ani.access},
		"a token in X-Authorization":                {"X-Authorization", "Bearer " + ani.access},
		"a token in X-Access-Token":                 {"X-Access-Token", ani.access},
		"a token in a cookie":                       {"Cookie", "access_token=" + ani.access + "; Authorization=Bearer " + ani.access},
		"a field whose name ends in an underscore":  {"Authorization_", "Bearer " + ani.access},
		"a WebSocket's protocol, as browsers do it": {"Sec-WebSocket-Protocol", "bearer, " + ani.access},
	} {
		all = append(all, attack{rule: rule, method: "GET", target: "/user/me", header: header, status: 401, code: "unauthenticated"})
	}
	all = append(all,
		attack{rule: "a token in the query", method: "GET", target: "/job?access_token=" + ani.access, status: 401, code: "unauthenticated"},
		attack{rule: "a token in the user part of the target", method: "GET", target: "http://ani:" + ani.access + "@localhost/user/me", status: 401, code: "unauthenticated"},
		attack{rule: "a token in a form", method: "PATCH", target: "/user/me", body: "access_token=" + ani.access, header: []string{"Content-Type", "application/x-www-form-urlencoded"}, status: 401, code: "unauthenticated"},
		attack{rule: "a good field after a bad one", method: "GET", target: "/user/me", header: []string{"Authorization", "Bearer x", "Authorization", "Bearer " + ani.access}, status: 401, code: "invalid_token"},
		attack{rule: "a good field before an empty one", method: "GET", target: "/user/me", header: []string{"Authorization", "Bearer " + ani.access, "Authorization", ""}, status: 401, code: "invalid_token"},
	)
	g.refused(all...)

	g.holds("each byte of the header counts, though it is rightly signed", func(t *testing.T, s *server) {
		for i := range part[0] {
			for _, c := range "AbZ0-_=" {
				if changed := part[0][:i] + string(c) + part[0][i+1:]; changed != part[0] {
					if r := (&session{s, sealed(key, changed, part[1]), ""}).do("GET", "/user/me", ""); r.status != 401 || r.code != "invalid_token" {
						t.Errorf("%s: got %s", changed, r.body)
					}
					break
				}
			}
		}
	})
	g.holds("each byte of the claims and of the signature counts", func(t *testing.T, s *server) {
		for i := len(part[0]) + 1; i < len(ani.access); i++ {
			c := byte('A')
			if ani.access[i] == 'A' {
				c = 'B'
			}
			if r := (&session{s, ani.access[:i] + string(c) + ani.access[i+1:], ""}).do("GET", "/user/me", ""); r.status != 401 || r.code != "invalid_token" {
				t.Errorf("byte %d: got %s", i, r.body)
			}
		}
	})
	g.holds("the bits of the signature's last letter that a decoder overlooks count", func(t *testing.T, s *server) {
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		last := strings.IndexByte(alphabet, part[2][42])
		for bits := 1; bits < 4; bits++ {
			token := ani.access[:len(ani.access)-1] + string(alphabet[last&^3|(last+bits)&3])
			if a, err := base64.RawURLEncoding.DecodeString(token[len(token)-43:]); err != nil || base64.RawURLEncoding.EncodeToString(a) != part[2] {
				t.Fatalf("%s is another signature", token)
			}
			if r := (&session{s, token, ""}).do("GET", "/user/me", ""); r.status != 401 || r.code != "invalid_token" {
				t.Errorf("got %s", r.body)
			}
		}
	})
}

// keyFor is the server's key for a purpose.
func (s *server) keyFor(p auth.Purpose) []byte {
	s.t.Helper()
	return keyIn(s.t, s.dir, p)
}

// keyIn is the key for a purpose of the installation in that directory.
func keyIn(t testing.TB, dir string, p auth.Purpose) []byte {
	t.Helper()
	keys, err := auth.LoadOrCreateKeys(dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	active, _ := keys.Derive(p)
	return active
}

// secretIn is the secret of the installation in that directory.
func secretIn(t testing.TB, dir string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, auth.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(text)
}

// byLibrary is a token that another library signs with a key pair of its own,
// the public half of which is in the header for whoever believes that.
func byLibrary(t *testing.T, method jwt.SigningMethod, claims string) string {
	t.Helper()
	var key crypto.Signer
	var err error
	switch method.Alg() {
	case "RS256", "PS256":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	text := base64url(fmt.Sprintf(`{"typ":"JWT","alg":%q,"jwk":{"kty":"RSA","n":%q}}`, method.Alg(), fmt.Sprintf("%.40v", key.Public()))) + "." + base64url(claims)
	signature, err := method.Sign(text, key)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// standardAlphabet is a good token but for its signature, which is written with
// plus and slash.
func standardAlphabet(key []byte, claims string) string {
	for i := 0; ; i++ { // sooner or later there is one
		other := strings.Replace(claims, `"jti":"`, fmt.Sprintf(`"jti":"%03d`, i), 1)
		other = other[:len(other)-5] + `"}`
		token := forge(key, ourHeader, other)
		dot := strings.LastIndexByte(token, '.')
		if signature := strings.NewReplacer("-", "+", "_", "/").Replace(token[dot:]); signature != token[dot:] {
			return token[:dot] + signature
		}
	}
}

// hexOf writes a signature in hexadecimal.
func hexOf(signature string) string {
	b, _ := base64.RawURLEncoding.DecodeString(signature)
	return hex.EncodeToString(b)
}

// attackClaims is about what tokens say that are rightly signed, and about those
// that were good once.
func attackClaims(g *siege) {
	s, key := g.s, g.s.signingKey()
	ani, admin := g.person("ani", false), g.person("root", true)
	_, claims := claimsOf(g.t, ani.access)
	_, refresh := claimsOf(g.t, ani.refresh)
	_, theirs := claimsOf(g.t, admin.access)
	sub, theirSub := numberIn(g.t, claims, `"sub":`), numberIn(g.t, theirs, `"sub":`)
	exp, iat, sid := numberIn(g.t, claims, `"exp":`), numberIn(g.t, claims, `"iat":`), numberIn(g.t, claims, `"sid":"`)
	with := func(old, new string) string {
		if !strings.Contains(claims, old) {
			g.t.Fatalf("%s is not in %s", old, claims)
		}
		return strings.Replace(claims, old, new, 1)
	}
	more := func(member string) string { return strings.TrimSuffix(claims, "}") + "," + member + "}" }
	var all []attack
	for rule, text := range map[string]string{
		"a refresh token's claims as they are":      refresh,
		"a refresh token's claims of the other use": strings.Replace(refresh, `"use":"refresh"`, `"use":"access"`, 1),
		"an access token's use in capitals":         with(`"use":"access"`, `"use":"ACCESS"`),
		"no use":                                    with(`"use":"access",`, ``),
		"both uses":                                 with(`"use":"access"`, `"use":["access","refresh"]`),
		"another user, with one's own session":      with(`"sub":`+sub, `"sub":`+theirSub),
		"oneself, with another user's session":      with(`"sid":"`+sid, `"sid":"`+numberIn(g.t, theirs, `"sid":"`)),
		"sub as text":                               with(`"sub":`+sub, `"sub":"`+sub+`"`),
		"sub with a fraction":                       with(`"sub":`+sub, `"sub":`+sub+`.0`),
		"sub with an exponent":                      with(`"sub":`+sub, `"sub":`+sub+`e0`),
		"sub with a leading zero":                   with(`"sub":`+sub, `"sub":0`+sub),
		"sub below zero":                            with(`"sub":`+sub, `"sub":-`+sub),
		"sub of zero":                               with(`"sub":`+sub, `"sub":0`),
		"sub beyond any number":                     with(`"sub":`+sub, `"sub":18446744073709551618`),
		"sub null":                                  with(`"sub":`+sub, `"sub":null`),
		"no sub":                                    with(`"sub":`+sub+`,`, ``),
		"sub twice, another user's last":            with(`"sub":`+sub, `"sub":`+sub+`,"sub":`+theirSub),
		"sub twice, another user's first":           with(`"sub":`+sub, `"sub":`+theirSub+`,"sub":`+sub),
		"sub twice, another user's at the end":      more(`"sub":` + theirSub),
		"sub in capitals at the end":                more(`"SUB":` + theirSub),
		"sub with an escaped letter at the end":     more(`"s\u0075b":` + theirSub),
		"sub with an escaped letter":                with(`"sub"`, `"s\u0075b"`),
		"exp in the past":                           with(`"exp":`+exp, `"exp":1000000000`),
		"exp just now":                              with(`"exp":`+exp, fmt.Sprintf(`"exp":%d`, s.clock.now().Unix())),
		"exp as text":                               with(`"exp":`+exp, `"exp":"`+exp+`"`),
		"exp with a fraction":                       with(`"exp":`+exp, `"exp":`+exp+`.5`),
		"exp of 1e300":                              with(`"exp":`+exp, `"exp":1e300`),
		"exp beyond any number":                     with(`"exp":`+exp, `"exp":9223372036854775808`),
		"exp below zero":                            with(`"exp":`+exp, `"exp":-1`),
		"exp null":                                  with(`"exp":`+exp, `"exp":null`),
		"exp true":                                  with(`"exp":`+exp, `"exp":true`),
		"no exp":                                    with(`"exp":`+exp+`,`, ``),
		"exp twice":                                 with(`"exp":`+exp, `"exp":1000000000,"exp":`+exp),
		"iat in an hour":                            with(`"iat":`+iat, fmt.Sprintf(`"iat":%d`, s.clock.now().Add(time.Hour).Unix())),
		"iat in two minutes":                        with(`"iat":`+iat, fmt.Sprintf(`"iat":%d`, s.clock.now().Add(2*time.Minute).Unix())),
		"iat as text":                               with(`"iat":`+iat, `"iat":"`+iat+`"`),
		"no iat":                                    with(`"iat":`+iat+`,`, ``),
		"an nbf that has not come":                  more(fmt.Sprintf(`"nbf":%d`, s.clock.now().Add(time.Hour).Unix())),
		"an nbf that has come":                      more(`"nbf":1`),
		"an aud of others":                          more(`"aud":"elsewhere"`),
		"an iss of others":                          more(`"iss":"elsewhere"`),
		"a claim to be a superuser":                 more(`"is_superuser":true`),
		"a claim to have scopes":                    more(`"scope":"user:read audit:read"`),
		"no jti":                                    with(`,"jti":"`, `,"jtx":"`),
		"a jti that is too long":                    with(`"jti":"`, `"jti":"A`),
		"no sid":                                    with(`"sid":"`+sid+`",`, ``),
		"sid as a number":                           with(`"sid":"`+sid+`"`, `"sid":`+sid),
		"sid of zero":                               with(`"sid":"`+sid+`"`, `"sid":"0"`),
		"sid below zero":                            with(`"sid":"`+sid+`"`, `"sid":"-`+sid+`"`),
		"sid of nobody":                             with(`"sid":"`+sid+`"`, `"sid":"4711"`),
		"sid of SQL":                                with(`"sid":"`+sid+`"`, `"sid":"`+sid+` OR 1=1"`),
		"the claims in another order":               `{"iat":` + iat + `,"sub":` + sub + strings.TrimPrefix(claims, `{"sub":`+sub+`,"iat":`+iat),
		"a space in the claims":                     strings.Replace(claims, ",", ", ", 1),
		"a line's end behind the claims":            claims + "\n",
		"a byte order mark before the claims":       "\xef\xbb\xbf" + claims,
		"claims in a list":                          "[" + claims + "]",
		"claims twice":                              claims + claims,
		"claims that are a text":                    `"` + sub + `"`,
		"claims that are null":                      "null",
		"claims that are no JSON":                   claims[:len(claims)-1],
		"no claim":                                  "{}",
		"a NUL in the claims":                       with(`"use":"access"`, "\"use\":\"access\x00\""),
	} {
		all = append(all, attack{rule: rule, method: "GET", target: "/user/me", header: []string{"Authorization", "Bearer " + forge(key, ourHeader, text)}, status: 401, code: "invalid_token"})
	}
	all = append(all, attack{rule: "a refresh token", method: "GET", target: "/user/me", header: []string{"Authorization", "Bearer " + ani.refresh}, status: 401, code: "invalid_token"})
	g.refused(all...)

	dead := func(t *testing.T, c *session) {
		t.Helper()
		if r := c.do("GET", "/user/me", ""); r.status != 401 || r.code != "invalid_token" {
			t.Errorf("got %s", r.body)
		}
	}
	g.holds("a deleted user's token is dead, and names nobody who comes after", func(t *testing.T, s *server) {
		gone := s.asUser("gone", false)
		if r := admin.as(t).do("DELETE", "/user/"+gone.id(), ""); r.status != 200 {
			t.Fatalf("got %s", r.body)
		}
		dead(t, gone)
		next := s.asUser("gone", false)
		dead(t, gone)
		if r := next.do("GET", "/user/me", ""); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
	})
	g.holds("a disabled user's token is dead, and stays so when the user is enabled", func(t *testing.T, s *server) {
		off := s.asUser("off", false)
		id := off.id()
		admin.as(t).do("POST", "/user/"+id+"/disable", "")
		dead(t, off)
		admin.as(t).do("POST", "/user/"+id+"/enable", "")
		dead(t, off)
	})
	g.holds("an ended session's token is dead though it has not expired", func(t *testing.T, s *server) {
		ended := s.asUser("ended", false)
		ended.do("DELETE", "/session/"+ended.do("GET", "/session", "").text("0.id"), "")
		dead(t, ended)
	})
	g.holds("a demoted superuser's token has a user's rights", func(t *testing.T, s *server) {
		was := s.asUser("was", true)
		admin.as(t).do("PATCH", "/user/"+was.id(), `{"is_superuser":false}`)
		if r := was.do("GET", "/user", ""); r.status != 403 || r.code != "forbidden" {
			t.Errorf("got %s", r.body)
		}
	})
	g.holds("another installation's token is nobody's, though the ids are the same", func(t *testing.T, s *server) {
		other := newServer(t, idle)
		_, foreign := claimsOf(t, other.login("admin", adminPassword).access)
		for _, token := range []string{other.login("admin", adminPassword).access, forge(key, ourHeader, foreign)} {
			dead(t, &session{s, token, ""})
		}
	})
	g.holds("a token that is to live for ever ends with its session", func(t *testing.T, s *server) {
		for _, end := range []string{"4102444800", "9223372036854775807", "999999999999"} {
			c := s.asUser("ever"+end, false)
			_, text := claimsOf(t, c.access)
			ever := &session{s, forge(key, ourHeader, strings.Replace(text, `"exp":`+numberIn(t, text, `"exp":`), `"exp":`+end, 1)), ""}
			c.do("DELETE", "/session/"+c.do("GET", "/session", "").text("0.id"), "")
			dead(t, ever)
		}
	})
	g.holds("a token is dead at its end, and the refresh token is not", func(t *testing.T, s *server) {
		c := s.asUser("late", false)
		s.pass(15 * time.Minute)
		dead(t, c)
		if r := c.renew(); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
	})
}

// numberIn is the number behind a text.
func numberIn(t testing.TB, text, before string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, before)
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if !found || end < 1 {
		t.Fatalf("no number behind %s in %s", before, text)
	}
	return rest[:end]
}
