package forgetest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"tinyforge/db"
)

// gitHub has GitHub's manners, as a GitHub Enterprise Server: API below /api/v3/, one App with one webhook. The App may
// read contents and write statuses, and is subscribed to push and delete.
type gitHub struct {
	s      *Server
	appID  int64
	key    *rsa.PrivateKey
	secret string
	quota  atomic.Int64 // requests made, for the rate limit headers

	// Under Server.mu.
	hook          string // address of the App's webhook
	made          madeApp
	installations map[int64]*installation
	tokens        map[string]*installationToken
}

// hookID is the App's webhook's. GitHub sends it with each delivery.
const hookID = "109948940"

func newGitHub(s *Server) (*gitHub, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make app key: %w", err)
	}
	return &gitHub{
		s: s, appID: 29310, key: key, secret: randomHex(20),
		installations: map[int64]*installation{}, tokens: map[string]*installationToken{},
	}, nil
}

func (g *gitHub) apiURL() string                 { return g.s.url + "/api/v3/" }
func (g *gitHub) deliveryTimeout() time.Duration { return 10 * time.Second }
func (g *gitHub) nests() bool                    { return false }
func (g *gitHub) hookEvents() []string           { return nil }
func (g *gitHub) answered(int64, Delivery)       {}

func (g *gitHub) complete(row *db.Forge) {
	row.Kind, row.AppID = string(GitHub), g.appID
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(g.key)})
	row.Credentials = db.Credentials{WebhookSecret: g.secret, PrivateKey: string(private)}
}

// created installs the App on the owner if need be and lets it see the repository.
func (g *gitHub) created(r *repository) {
	i := g.installationOn(r.Owner())
	if i == nil {
		i = g.install(r.Owner())
	}
	i.repositories[r.ID] = true
	r.Installation = i.id
}

// allow accepts an installation token as the password of any user, as git sends it after the URL or the header told it.
func (g *gitHub) allow(req *http.Request, r *repository, write bool) int {
	_, password, given := req.BasicAuth()
	if !given {
		if r != nil && !r.Private && !write {
			return 0
		}
		return http.StatusUnauthorized
	}
	t := g.tokens[password]
	switch {
	case t == nil || t.expired() || t.installation.suspended():
		return http.StatusUnauthorized
	case r == nil || r.Private && !t.sees(r.ID):
		return http.StatusNotFound
	case write, r.Private && !t.may("contents", "read"):
		return http.StatusForbidden
	}
	return 0
}

// installationOn returns the App's installation on an account, or nil.
func (g *gitHub) installationOn(account string) *installation {
	for _, i := range g.installations {
		if strings.EqualFold(i.account, account) {
			return i
		}
	}
	return nil
}

func (g *gitHub) install(account string) *installation {
	g.s.lastID++
	i := &installation{
		id: 7_000_000 + g.s.lastID, account: account, created: time.Now().UTC().Truncate(time.Second),
		repositories: map[int64]bool{},
	}
	g.installations[i.id] = i
	return i
}
