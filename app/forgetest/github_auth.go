package forgetest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// bearer returns the credentials of an API request, "" when there are none.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "token") {
		return strings.TrimSpace(token)
	}
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	return ""
}

// app lets only the App itself in, which proves itself by a token it signed with its key.
func (g *gitHub) app(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := g.verifyApp(bearer(r), time.Now()); err != nil {
			githubError(w, http.StatusUnauthorized, err.Error())
			return
		}
		next(w, r)
	}
}

// verifyApp checks an App's JSON web token as GitHub does: RS256, the App as issuer, issued in the past, expiring within
// ten minutes.
func (g *gitHub) verifyApp(token string, now time.Time) error {
	undecodable := errors.New("A JSON web token could not be decoded")
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return undecodable
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	var claims struct {
		Issuer  any     `json:"iss"`
		Issued  float64 `json:"iat"`
		Expires float64 `json:"exp"`
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || decodePart(parts[0], &header) != nil || decodePart(parts[1], &claims) != nil || header.Algorithm != "RS256" {
		return undecodable
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if rsa.VerifyPKCS1v15(&g.key.PublicKey, crypto.SHA256, sum[:], signature) != nil {
		return undecodable
	}
	return g.verifyClaims(claims.Issuer, claims.Issued, claims.Expires, float64(now.Unix()))
}

// verifyClaims answers in GitHub's words.
func (g *gitHub) verifyClaims(issuer any, issued, expires, now float64) error {
	const skew, longest = 60, 10 * 60
	switch id := issuer.(type) {
	case string:
		if id != strconv.FormatInt(g.appID, 10) {
			return errors.New("Integration not found")
		}
	case float64:
		if int64(id) != g.appID {
			return errors.New("Integration not found")
		}
	default:
		return errors.New("'Issuer' claim ('iss') must be an Integer")
	}
	if expires <= now {
		return errors.New("'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	}
	if expires > now+longest+skew {
		return errors.New("'Expiration time' claim ('exp') is too far in the future")
	}
	if issued > now+skew {
		return errors.New("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	}
	return nil
}

func decodePart(part string, v any) error {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, v)
}

// token returns the installation token of a request. Both are nil for a request without credentials; the error is
// GitHub's answer in words.
func (g *gitHub) token(r *http.Request) (*installationToken, int, string) {
	value := bearer(r)
	if value == "" {
		return nil, 0, ""
	}
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	t := g.tokens[value]
	switch {
	case t == nil || t.expired():
		return nil, http.StatusUnauthorized, "Bad credentials"
	case t.installation.suspended():
		return nil, http.StatusForbidden, "This installation has been suspended"
	}
	return t, 0, ""
}
