// Package npm routes with Nginx Proxy Manager: one of its proxy hosts for each host of ours, repointed in place. What it
// answers is not believed: a change has happened when nginx itself says so, several times in a row, on fresh connections.
package npm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Forward says by what Nginx Proxy Manager knows a release.
type Forward string

// By name it needs to share a Docker network with the releases; by address it needs to reach what this machine reaches.
const (
	ByName    Forward = "name"
	ByAddress Forward = "address"
)

// Config says where Nginx Proxy Manager is and what we may do there.
type Config struct {
	URL      string   // of its administration, such as http://127.0.0.1:81
	Identity string   // the e-mail address of a user that may manage proxy hosts
	Password string   // of that user
	Proxy    string   // "host:port" of the HTTP that it serves, as seen from here
	Forward  Forward  // default ByName
	Adopt    []string // hosts whose proxy hosts somebody else made, and which we may take over
	Instance string   // names this Tinyforge in the marks that it leaves
	Key      []byte   // the probes' secrets are derived from it; at least 16 bytes

	Grace  time.Duration // for which Drain lets requests to an old release end; default 5 s
	Settle time.Duration // within which nginx must serve a change; default 15 s
}

const (
	defaultGrace  = 5 * time.Second
	defaultSettle = 15 * time.Second
)

// Router is a deploy.Router. It writes to Nginx Proxy Manager one change at a time, since two at once break each other;
// several processes that write to the same one need an order among themselves. It is ready at once, whether or not
// Nginx Proxy Manager can be reached.
type Router struct {
	cfg    Config
	log    *slog.Logger
	api    *client
	probes *prober
	writer chan struct{} // holds one token: whoever has it may write
	memory *memory

	mu       sync.Mutex
	reserved map[string]bool
}

var _ deploy.Router = (*Router)(nil)

// New returns a Router. It calls nobody yet.
func New(cfg Config, log *slog.Logger) (*Router, error) {
	if cfg.Forward == "" {
		cfg.Forward = ByName
	}
	if cfg.Grace == 0 {
		cfg.Grace = defaultGrace
	}
	if cfg.Settle == 0 {
		cfg.Settle = defaultSettle
	}
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("make router: %w", err)
	}
	for i, host := range cfg.Adopt {
		cfg.Adopt[i] = hostKey(host)
	}
	return &Router{
		cfg:      cfg,
		log:      log,
		api:      newClient(cfg.URL, cfg.Identity, cfg.Password),
		probes:   newProber(cfg.Proxy, cfg.Key),
		writer:   make(chan struct{}, 1),
		memory:   newMemory(),
		reserved: map[string]bool{},
	}, nil
}

func (c *Config) check() error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("the URL of Nginx Proxy Manager is none")
	}
	if _, port, err := net.SplitHostPort(c.Proxy); err != nil || port == "" {
		return fmt.Errorf("the proxy's address %q is not host:port", c.Proxy)
	}
	switch {
	case c.Identity == "" || c.Password == "":
		return errors.New("identity or password is empty")
	case c.Forward != ByName && c.Forward != ByAddress:
		return fmt.Errorf("unknown way to forward %q", c.Forward)
	case c.Instance == "" || len(c.Key) < 16:
		return errors.New("instance or key is missing")
	}
	c.Adopt = slices.Clone(c.Adopt)
	return nil
}

// Ping tells whether Nginx Proxy Manager answers.
func (r *Router) Ping(ctx context.Context) error { return r.api.health(ctx) }

// Reserve keeps workloads off a host, which is Tinyforge's own.
func (r *Router) Reserve(host string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reserved[hostKey(host)] = true
}

// Release lets workloads have a host that was reserved.
func (r *Router) Release(host string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.reserved, hostKey(host))
}

func (r *Router) isReserved(host string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reserved[host]
}

// Hold implements deploy.Router: nginx cannot.
func (r *Router) Hold(_ context.Context, rt db.Route) error {
	return fmt.Errorf("hold route %q: %w", rt.Host, errors.ErrUnsupported)
}

// lock waits for our turn to write.
func (r *Router) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case r.writer <- struct{}{}:
		return func() { <-r.writer }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// hostKey is a host as routes spell it.
func hostKey(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }
