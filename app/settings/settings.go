// Package settings is what people see of Tinyforge: the pages, in their language, and a small API for scripts. A page is a
// file here and a template of the same name; what it changes are rows, and the deployer does the rest.
package settings

import (
	"log/slog"
	"net/http"
	"sync"

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

	Heads        Heads    // nil where no forge can be asked
	Releases     Releases // nil where no runtime can be asked
	KeepReleases int      // how many releases of a workload are kept to go back to, the live one included; 0 means the default
}

// Settings serves the pages. It is safe for concurrent use.
type Settings struct {
	Config
	tries *tries
	hash  *hasher

	ended   chan struct{} // from then on streams of events end
	endOnce sync.Once
}

// New makes the pages.
func New(c Config) *Settings {
	return &Settings{Config: c, tries: newTries(), hash: newHasher(), ended: make(chan struct{})}
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
		{"GET /events", db.Viewer, (*visit).overviewEvents},
		{"GET /workloads/{name}", db.Viewer, (*visit).workload},
		{"GET /workloads/{name}/events", db.Viewer, (*visit).workloadEvents},
		{"POST /workloads/{name}/deploy", db.Deployer, (*visit).deployNow},
		{"POST /workloads/{name}/pause", db.Deployer, (*visit).pause},
		{"POST /workloads/{name}/resume", db.Deployer, (*visit).unpause},
		{"GET /workloads/{name}/rollback", db.Deployer, (*visit).rollbackForm},
		{"POST /workloads/{name}/rollback", db.Deployer, (*visit).rollback},
		{"GET /workloads/{name}/deployments", db.Viewer, (*visit).history},
		{"GET /workloads/{name}/deployments/{number}", db.Viewer, (*visit).deployment},
		{"GET /workloads/{name}/deployments/{number}/events", db.Viewer, (*visit).deploymentEvents},
		{"GET /workloads/{name}/deployments/{number}/log.txt", db.Viewer, (*visit).logText},
		{"POST /workloads/{name}/deployments/{number}/cancel", db.Deployer, (*visit).cancel},
		{"POST /workloads/{name}/deployments/{number}/redeploy", db.Deployer, (*visit).redeploy},
		{"GET /deployments/{number}", db.Viewer, (*visit).permanentLink},
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
