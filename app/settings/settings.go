// Package settings is what people see of Tinyforge: the pages, in their language, and a small API for scripts. A page is a
// file here and a template of the same name; what it changes are rows, and the deployer does the rest.
package settings

import (
	"log/slog"
	"net/http"

	"tinyforge/db"
	"tinyforge/templates"
)

// Config is what the pages need to know.
type Config struct {
	DB        *db.DB
	Templates *templates.Set
	Log       *slog.Logger
	PublicURL string // at which forges and people reach this Tinyforge, without a trailing slash; "" when it is not known
	Version   string
	Forges    ForgeParts
	Server    Server // nil where nothing is known of it
}

// Settings serves the pages. It is safe for concurrent use.
type Settings struct {
	Config
	tries *tries
	hash  *hasher
	turns *turns
}

// New makes the pages.
func New(c Config) *Settings {
	return &Settings{Config: c, tries: newTries(), hash: newHasher(), turns: newTurns()}
}

// route is an address, who may use it, and what it does.
type route struct {
	pattern string
	needs   db.Role // "" is open to everybody
	do      func(*visit) error
}

// routes are all pages. A handler is in the file that is named after the noun.
func (s *Settings) routes() []route {
	return []route{
		{"GET /{$}", "", (*visit).home},
		{"GET /setup", "", (*visit).setupForm},
		{"POST /setup", "", (*visit).setup},
		{"GET /sign-in", "", (*visit).signInForm},
		{"POST /sign-in", "", (*visit).signIn},
		{"POST /sign-out", "", (*visit).signOut},
		{"POST /language", "", (*visit).setLanguage},

		{"GET /start", db.Viewer, (*visit).start},
		{"GET /workloads", db.Viewer, (*visit).workloads},
		{"POST /workloads", db.Administrator, (*visit).nothing},

		{"GET /forges", db.Viewer, (*visit).forges},
		{"GET /forges/new", db.Administrator, (*visit).newForge},
		{"GET /forges/new/github", db.Administrator, (*visit).newGitHub},
		{"POST /forges/new/github", db.Administrator, (*visit).beginGitHub},
		{"GET /forges/new/github/{id}", db.Administrator, (*visit).register},
		{"POST /forges/new/github/{id}/renew", db.Administrator, (*visit).renewRequest},
		{"POST /forges/new/github/{id}/retry", db.Administrator, (*visit).retryConvert},
		{"POST /forges/new/github/{id}/delete", db.Administrator, (*visit).deleteRequest},
		{"GET /forges/github/created", db.Administrator, (*visit).created},
		{"GET /forges/github/installed", db.Administrator, (*visit).installed},
		{"GET /forges/new/gitea", db.Administrator, (*visit).newGitea},
		{"POST /forges/new/gitea", db.Administrator, (*visit).connectGitea},
		{"GET /forges/new/gitlab", db.Administrator, (*visit).newGitLab},
		{"POST /forges/new/gitlab", db.Administrator, (*visit).connectGitLab},
		{"GET /forges/{id}", db.Viewer, (*visit).forge},
		{"POST /forges/{id}/resync", db.Administrator, (*visit).resync},
		{"POST /forges/{id}/missed", db.Deployer, (*visit).missed},
		{"GET /forges/{id}/edit", db.Administrator, (*visit).forgeEdit},
		{"POST /forges/{id}/edit", db.Administrator, (*visit).saveForge},
		{"POST /forges/{id}/rotate", db.Administrator, (*visit).rotate},
		{"GET /forges/{id}/delete", db.Administrator, (*visit).deleteForgeForm},
		{"POST /forges/{id}/delete", db.Administrator, (*visit).deleteForge},
		{"GET /deliveries/{id}", db.Viewer, (*visit).delivery},

		{"GET /", "", (*visit).nothing},
		{"POST /", "", (*visit).nothing},
	}
}

// Mount adds the pages to a mux.
func (s *Settings) Mount(mux *http.ServeMux) {
	mux.Handle("GET /static/{hash}/{name}", s.Templates.Static())
	for _, rt := range s.routes() {
		mux.Handle(rt.pattern, s.protect(s.page(rt)))
	}
}
