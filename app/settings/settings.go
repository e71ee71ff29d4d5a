// Package settings is what people see of Tinyforge: the pages, in their language, and a small API for scripts. A page is a
// file here and a template of the same name; what it changes are rows, and the deployer does the rest.
package settings

import (
	"log/slog"
	"net/http"

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
	Choices   *Choices    // nil means that the process was started with none
	Forges    *app.Forges // nil means that there is no kind of forge
}

// Settings serves the pages. It is safe for concurrent use.
type Settings struct {
	Config
	tries *tries
	hash  *hasher
}

// New makes the pages.
func New(c Config) *Settings {
	if c.Choices == nil {
		c.Choices = NewChoices(c.DB, nil)
	}
	if c.Forges == nil {
		c.Forges = app.NewForges(c.DB, nil)
	}
	return &Settings{Config: c, tries: newTries(), hash: newHasher()}
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
