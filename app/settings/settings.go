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

	Sources    Sources
	Code       Code
	Prober     Prober
	CheckRoute func(db.Route) error // says what the router cannot do of a route
}

// Settings serves the pages. It is safe for concurrent use.
type Settings struct {
	Config
	tries *tries
	hash  *hasher
}

// New makes the pages.
func New(c Config) *Settings { return &Settings{Config: c, tries: newTries(), hash: newHasher()} }

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
		{"GET /workloads/new", db.Administrator, (*visit).newWorkload},
		{"POST /workloads", db.Administrator, (*visit).createWorkload},
		{"GET /workloads/{name}/settings", db.Administrator, (*visit).workloadSettings},
		{"POST /workloads/{name}/settings", db.Administrator, (*visit).saveWorkload},
		{"GET /workloads/{name}/env", db.Administrator, (*visit).workloadEnv},
		{"POST /workloads/{name}/pause", db.Administrator, (*visit).pauseWorkload},
		{"POST /workloads/{name}/resume", db.Administrator, (*visit).resumeWorkload},
		{"GET /workloads/{name}/delete", db.Administrator, (*visit).deleteWorkloadForm},
		{"POST /workloads/{name}/delete", db.Administrator, (*visit).deleteWorkload},

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
