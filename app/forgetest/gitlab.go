package forgetest

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"

	"tinyforge/db"
)

// gitLab has GitLab's manners: API below /api/v4/, tokens with scopes and roles, a webhook per project or group, which is
// disabled when its deliveries fail.
type gitLab struct {
	s       *Server
	secret  string
	token   string // of the row
	signing string // of the row
	unable  bool   // to sign

	tokens map[string]Access // under Server.mu
}

func newGitLab(s *Server, o Options) *gitLab {
	g := &gitLab{s: s, secret: randomHex(20), token: "glpat-" + randomHex(10), unable: o.Unable}
	if o.Signing {
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		g.signing = signingPrefix + base64.StdEncoding.EncodeToString(key)
	}
	g.tokens = map[string]Access{g.token: {Scopes: []string{"api"}}}
	return g
}

func (g *gitLab) apiURL() string                 { return g.s.url }
func (g *gitLab) deliveryTimeout() time.Duration { return 10 * time.Second }
func (g *gitLab) created(*repository)            {}
func (g *gitLab) nests() bool                    { return true }
func (g *gitLab) hookEvents() []string           { return []string{"push", "tag_push"} }
func (g *gitLab) grant(token string, a Access)   { g.tokens[token] = a }

func (g *gitLab) complete(row *db.Forge) {
	row.Kind = string(GitLab)
	row.Credentials = db.Credentials{WebhookSecret: g.secret, Token: g.token, SigningToken: g.signing}
}

// allow accepts a token as the password of any user.
func (g *gitLab) allow(req *http.Request, r *repository, write bool) int {
	access, given, known := g.access(req)
	scope := "read_repository"
	if write {
		scope = "write_repository"
	}
	switch {
	case given && !known:
		return http.StatusUnauthorized
	case !given && (write || r == nil || r.Private):
		return http.StatusUnauthorized
	case !given:
		return 0
	case !access.covers(scope):
		return http.StatusForbidden
	case r == nil || r.Private && access.Right > Read:
		return http.StatusNotFound
	case write && access.Right > Write:
		return http.StatusForbidden
	}
	return 0
}

// access returns what the credentials of a request are good for. The server is locked.
func (g *gitLab) access(r *http.Request) (a Access, given, known bool) {
	token := r.Header.Get("Private-Token")
	if scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		token = value
	}
	if user, password, ok := r.BasicAuth(); ok && user != "" {
		token = password
	}
	if a, known = g.tokens[token]; known {
		return a, true, true
	}
	return Access{Right: Anonymous}, token != "" || r.Header.Get("Authorization") != "", false
}

// covers tells whether GitLab's scopes include one.
func (a Access) covers(scope string) bool {
	return slices.Contains(a.Scopes, "api") || slices.Contains(a.Scopes, scope) ||
		scope == "read_repository" && slices.Contains(a.Scopes, "write_repository")
}

// level is GitLab's number for a role.
func (r Right) level() int {
	return map[Right]int{Admin: 40, Write: 30, Read: 20}[r]
}
