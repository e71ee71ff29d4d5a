// Package settings is what people see of Tinyforge: the pages, in their language, and a small API for scripts. A page is a
// file here and a template of the same name; what it changes are rows, and the deployer does the rest.
package settings

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/templates"
)

// Config is what the pages need to know.
type Config struct {
	DB        *db.DB
	Templates *templates.Set
	Log       *slog.Logger
	Version   string

	Sources    Sources
	Runtimes   []string // that workloads can be put on, as their configs name them; nil means this server's Docker alone
	Code       Code
	Prober     Prober
	Releases   Releases                        // nil means that no runtime can be asked
	CheckRoute func(db.Route) error            // says what the router cannot do of a route
	Choices    *Choices                        // nil means that the process was started with none
	Forges     *app.Forges                     // nil means that there is no kind of forge
	Health     Health                          // nil means that nothing is known
	Tidy       func(ctx context.Context) error // removes what is not kept any more; nil means that nothing can be
	Apps       Apps                            // makes GitHub Apps

	MaxReplicas int // how often people may have a workload run without changing its config in other ways; 0 means 1000

	TrustedProxies []netip.Prefix // of reverse proxies that are believed whom a request comes from; nil means loopback

	LinkCommand string // prints a link to sign in with, on the server; "" is that of a server with default options

	// Site is the address of a host that is served here, for a visitor on this machine or elsewhere; nil is "//" and the host.
	Site func(host string, here bool) string

	// Missed looks for pushes that were not delivered, records them, and returns how many there were and the deployments that
	// were queued for them.
	Missed func(ctx context.Context, row db.Forge) (found int, queued []int64, err error)
}

// Settings serves the pages. It is safe for concurrent use.
type Settings struct {
	Config
	tries      *tries // of passwords and of accounts
	tokenTries *tries // of tokens that nobody has
	hash       *hasher
	turns      *turns // of forges
	looks      *turns // of users, into repositories
	streams    *streams
	disk       disk
	recheck    time.Duration // after which an open stream looks again whether it may go on

	ended   chan struct{} // from then on streams of events end
	endOnce sync.Once
}

// New makes the pages.
func New(c Config) *Settings {
	if c.Choices == nil {
		c.Choices = NewChoices(c.DB, nil)
	}
	if c.LinkCommand == "" {
		c.LinkCommand = "tinyforge sign-in-link"
	}
	if c.Forges == nil {
		c.Forges = app.NewForges(c.DB, nil)
	}
	if c.TrustedProxies == nil {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	return &Settings{Config: c, tries: newTries(), tokenTries: newTries(), hash: newHasher(), turns: newTurns(), looks: newTurns(), streams: newStreams(),
		recheck: streamCheck, ended: make(chan struct{})}
}

// Mount adds the pages to a mux.
func (s *Settings) Mount(mux *http.ServeMux) {
	mux.Handle("GET /static/{hash}/{name}", s.Templates.Static())
	for _, rt := range s.routes() {
		mux.Handle(rt.pattern, s.protect(s.page(rt)))
	}
	for _, method := range methods {
		mux.Handle(method+" /", s.protect(s.page(route{do: func(v *visit) error { return v.nothing(mux) }})))
	}
	s.mountAPI(mux)
}
