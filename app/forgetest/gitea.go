package forgetest

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"tinyforge/db"
)

// gitea has Gitea's manners: API below /api/v1/, tokens with scopes, a webhook per repository or organisation.
type gitea struct {
	s       *Server
	forgejo bool
	secret  string
	token   string // of the row

	tokens map[string]Access // under Server.mu
}

// Right is what the user of a token may do in the repositories.
type Right int

const (
	Admin     Right = iota // everything, webhooks included
	Write                  // push and set statuses
	Read                   // read private repositories
	Anonymous              // see what is public
)

// Access is what a token of Gitea or GitLab is good for.
type Access struct {
	Scopes []string // "write:repository", "all" is every one; on GitLab "read_api", "api" is every one
	Right  Right
	Until  string // GitLab only: the day on which it expires, "2026-01-31"; it is told, and not acted on
}

func newGitea(s *Server, forgejo bool) *gitea {
	g := &gitea{s: s, forgejo: forgejo, secret: randomHex(20), token: randomHex(20)}
	g.tokens = map[string]Access{g.token: {Scopes: []string{"write:repository", "read:user"}}}
	return g
}

// NewToken makes another token of Gitea or GitLab. GitHub's tokens are made through its API: there it returns "".
func (s *Server) NewToken(a Access) string {
	g, ok := s.manners.(interface{ grant(token string, a Access) })
	if !ok {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	token := randomHex(20)
	g.grant(token, a)
	return token
}

func (g *gitea) apiURL() string                 { return g.s.url }
func (g *gitea) deliveryTimeout() time.Duration { return 5 * time.Second }
func (g *gitea) created(*repository)            {}
func (g *gitea) nests() bool                    { return false }
func (g *gitea) hookEvents() []string           { return []string{"push", "delete"} }
func (g *gitea) answered(int64, Delivery)       {}
func (g *gitea) grant(token string, a Access)   { g.tokens[token] = a }

func (g *gitea) complete(row *db.Forge) {
	row.Kind = string(Gitea)
	if g.forgejo {
		row.Kind = "forgejo"
	}
	row.Credentials = db.Credentials{WebhookSecret: g.secret, Token: g.token}
}

func (g *gitea) version() string {
	if g.forgejo {
		return "15.0.0+gitea-1.22.0"
	}
	return "1.26.4"
}

// allow accepts a token as password, as user name, or in the Authorization header.
func (g *gitea) allow(req *http.Request, r *repository, write bool) int {
	access, given, known := g.access(req)
	switch {
	case given && !known:
		return http.StatusUnauthorized
	case !given && (write || r == nil || r.Private):
		return http.StatusUnauthorized
	case !given:
		return 0
	case !access.has(scopeFor(write)):
		return http.StatusForbidden
	case r == nil || r.Private && access.Right > Read:
		return http.StatusNotFound
	case write && access.Right > Write:
		return http.StatusForbidden
	}
	return 0
}

func scopeFor(write bool) string {
	if write {
		return "write:repository"
	}
	return "read:repository"
}

// access returns what the credentials of a request are good for. The server is locked.
func (g *gitea) access(r *http.Request) (a Access, given, known bool) {
	candidates := []string{r.URL.Query().Get("token")}
	if user, password, ok := r.BasicAuth(); ok {
		if user == Developer && password == g.s.password {
			return Access{Scopes: []string{"all"}}, true, true
		}
		candidates = []string{password, user}
	} else if header := bearer(r); header != "" {
		candidates = []string{header}
	}
	for _, token := range candidates {
		given = given || token != ""
		if a, known = g.tokens[token]; known {
			return a, true, true
		}
	}
	return Access{Right: Anonymous}, given || r.Header.Get("Authorization") != "", false
}

// has tells whether the scopes include one; writing includes reading.
func (a Access) has(scope string) bool {
	category := scope[strings.Index(scope, ":"):]
	return slices.Contains(a.Scopes, "all") || slices.Contains(a.Scopes, scope) ||
		slices.Contains(a.Scopes, "write"+category)
}
