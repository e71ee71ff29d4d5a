// Package forgetest is a forge for tests and for the demo: real git over HTTP, signed webhooks on a real push, and the
// part of GitHub's or Gitea's API that Tinyforge uses, with every credential checked. It listens on loopback only.
//
// It imitates answers that were measured at the real forges, the unpleasant ones included: GitHub refuses long
// descriptions, Gitea answers 500 to an unknown commit and accepts any state, both redirect after a rename.
package forgetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tinyforge/db"
)

// Kind says whose manners a Server has.
type Kind string

const (
	GitHub Kind = "github"
	Gitea  Kind = "gitea" // and Forgejo, see Options
	GitLab Kind = "gitlab"
)

// Options are what Start needs.
type Options struct {
	Kind    Kind
	Forgejo bool         // Gitea only: name itself Forgejo, send its headers as well
	Signing bool         // GitLab only: the row has a signing token
	Unable  bool         // GitLab only: it is older than 19.0 and knows of no signing tokens
	Log     *slog.Logger // nil means no log
	Dir     string       // for the repositories; "" means a temporary folder, which Close removes
	Listen  string       // an address; "" means a port of loopback that is free
}

// Server is a running forge. Its methods are safe for concurrent use.
type Server struct {
	dir     string
	ownsDir bool
	git     gitCommand
	log     *slog.Logger
	url     string
	http    *http.Server
	stop    context.CancelFunc // ends the requests that are being answered
	manners manners
	api     *http.ServeMux
	pages   *http.ServeMux // what people see in a browser
	sender  *sender
	oauth   *oauth

	password string // the developer's

	mu           sync.Mutex
	fault        func(*http.Request) *Fault
	lastID       int64
	repositories map[int64]*repository
	names        map[string]int64 // lower case, current
	formerNames  map[string]int64
	hooks        []*hook
}

// manners is what forges differ in.
type manners interface {
	apiURL() string
	// complete adds the kind and the credentials to a row.
	complete(row *db.Forge)
	// route registers the API.
	route(mux *http.ServeMux)
	// created is told of each new repository. The server is locked.
	created(r *repository)
	// allow returns 0 when the credentials of a git request suffice, otherwise the answer's code. r is nil when there is
	// no such repository.
	allow(req *http.Request, r *repository, write bool) int
	// pushed returns the deliveries that a push causes.
	pushed(r Repository, p push) ([]outgoing, error)
	// answered is told how a delivery of a hook ended, before anybody else is.
	answered(hook int64, d Delivery)
	// hookEvents are what a repository's webhook asks for to hear of every branch and tag that is moved or deleted; nil where
	// repositories have no webhooks.
	hookEvents() []string
	// nests tells whether owners may lie within owners, as in "acme/tools/site".
	nests() bool
	// deliveryTimeout is how long the forge waits for an answer.
	deliveryTimeout() time.Duration
	// sign returns a new delivery's id and headers, signed with the secret of the row.
	sign(event string, body []byte) (id string, h http.Header)
	// again returns the redelivery of d.
	again(d Delivery) outgoing
}

// Start starts a forge on a free port of 127.0.0.1. It needs the git command with its http-backend.
func Start(o Options) (*Server, error) {
	s, err := newServer(o)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", cmp.Or(o.Listen, "127.0.0.1:0"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen: %w", err), s.removeDir())
	}
	s.url = "http://" + listener.Addr().String()
	if s.manners, err = newManners(s, o); err != nil {
		return nil, errors.Join(err, listener.Close(), s.removeDir())
	}
	s.manners.route(s.api)
	s.sender = newSender(s.manners, s.log)

	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.http = &http.Server{
		Handler:           s,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	go func() { _ = s.http.Serve(listener) }()
	return s, nil
}

func newServer(o Options) (*Server, error) {
	exe, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("find git: %w", err)
	}
	s := &Server{
		dir: o.Dir, log: o.Log, password: randomHex(16),
		api:          http.NewServeMux(),
		oauth:        newOAuth(),
		pages:        http.NewServeMux(),
		repositories: map[int64]*repository{}, names: map[string]int64{}, formerNames: map[string]int64{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.dir == "" {
		s.ownsDir = true
		if s.dir, err = os.MkdirTemp("", "forgetest-"); err != nil {
			return nil, fmt.Errorf("make folder: %w", err)
		}
	}
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return nil, fmt.Errorf("find folder: %w", err)
	}
	s.git = gitCommand{exe: exe, home: s.dir}
	return s, nil
}

func newManners(s *Server, o Options) (manners, error) {
	switch o.Kind {
	case GitHub:
		return newGitHub(s)
	case Gitea:
		return newGitea(s, o.Forgejo), nil
	case GitLab:
		return newGitLab(s, o), nil
	default:
		return nil, fmt.Errorf("unknown kind of forge %q", o.Kind)
	}
}

// Close stops listening, ends what is being answered, waits for the delivery in flight and drops the queued ones.
func (s *Server) Close() error {
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.sender.close()
	return errors.Join(err, s.removeDir())
}

func (s *Server) removeDir() error {
	if !s.ownsDir {
		return nil
	}
	return os.RemoveAll(s.dir)
}

// URL is where people and git find the forge, without a trailing slash.
func (s *Server) URL() string { return s.url }

// APIURL is what the forge's SDK takes as its base: with /api/v3/ for GitHub, as GitHub Enterprise has it; URL for the others.
func (s *Server) APIURL() string { return s.manners.apiURL() }

// Row returns the row of this forge: addresses, networks, credentials and a webhook secret. Two calls differ in the name
// only.
func (s *Server) Row(name string) db.Forge {
	row := db.Forge{ID: 1, Name: name, URL: s.URL(), APIURL: s.APIURL(), Networks: []string{"loopback"}}
	s.manners.complete(&row)
	return row
}

// ServeHTTP answers API requests below /api/, the pages that there are, people who sign in elsewhere below /login/oauth/, and
// git below everything else.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	fault := s.fault
	s.mu.Unlock()
	if fault != nil {
		if f := fault(r); f != nil {
			f.answer(w, r)
			return
		}
	}
	if strings.HasPrefix(r.URL.Path, "/api/") {
		s.api.ServeHTTP(w, r)
		return
	}
	if _, pattern := s.pages.Handler(r); pattern != "" {
		s.pages.ServeHTTP(w, r)
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /login/oauth/authorize":
		s.authorize(w, r)
	case "POST /login/oauth/access_token":
		s.redeem(w, r)
	default:
		s.serveSmart(w, r)
	}
}
