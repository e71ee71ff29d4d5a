package settings_test

import (
	"net/http"
	"path/filepath"
	"strconv"
	"testing"

	"tinyforge"
	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/app/gitea"
	"tinyforge/app/github"
	"tinyforge/app/gitlab"
	"tinyforge/app/settings"
	"tinyforge/db"
	"tinyforge/webhooks"
)

// addForges fills in what the pages of forges need, with the real thing, and receives webhooks.
func (w *world) addForges(c *settings.Config, mux *http.ServeMux) {
	forges := app.NewForges(w.db, map[string]app.Opener{"github": github.New, "gitea": gitea.New, "forgejo": gitea.New, "gitlab": gitlab.New})
	hooks := webhooks.New(w.db, forges.OpenRow, c.Log)
	apps, err := github.NewApps(tinyforge.AppManifest)
	must(w.t, err)
	w.opener = forges.OpenRow
	c.Forges, c.Apps, c.Missed = forges, apps, hooks.LookForMissed
	c.Health = healthy{}
	mux.Handle("POST /webhooks/{forge}", hooks)
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
}

// forgeServer is a forge with the repository acme/site, which is private and has one commit on main.
type forgeServer struct {
	*forgetest.Server
	t    testing.TB
	work *forgetest.Worktree
}

func newForgeServer(t testing.TB, o forgetest.Options) *forgeServer {
	t.Helper()
	s, err := forgetest.Start(o)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	_, err = s.CreateRepository("acme/site", true)
	must(t, err)
	f := &forgeServer{Server: s, t: t}
	f.work, err = s.Clone(t.Context(), "acme/site", filepath.Join(t.TempDir(), "work"))
	must(t, err)
	f.push("Add site")
	return f
}

// push pushes a commit to main and returns it.
func (f *forgeServer) push(message string) string {
	f.t.Helper()
	must(f.t, f.work.Write("index.html", "<h1>"+message+"</h1>\n", 0))
	commit, err := f.work.Commit(f.t.Context(), message)
	must(f.t, err)
	must(f.t, f.work.Push(f.t.Context(), "main"))
	_, err = f.Settle(f.t.Context())
	must(f.t, err)
	return commit
}

// workload makes one on the default branch of acme/site.
func (w *world) site(forge db.Forge) db.Workload {
	w.t.Helper()
	repo, err := w.db.RepositoryByName(w.t.Context(), forge.ID, "acme/site")
	must(w.t, err)
	workload := db.Workload{Name: "site", RepositoryID: repo.ID, Source: "static", Config: []byte("{}"), RefPattern: "main", Enabled: true}
	must(w.t, w.db.SaveWorkload(w.t.Context(), &workload))
	return workload
}

func (w *world) forgeNamed(name string) db.Forge {
	w.t.Helper()
	row, err := w.db.ForgeByName(w.t.Context(), name)
	must(w.t, err)
	return row
}

func forgeAt(row db.Forge, more string) string {
	return "/forges/" + strconv.FormatInt(row.ID, 10) + more
}

func (w *world) open(row db.Forge) app.Forge {
	w.t.Helper()
	forge, err := w.opener(row)
	must(w.t, err)
	return forge
}

func (w *world) siteOf(row db.Forge) db.Repository {
	w.t.Helper()
	repo, err := w.db.RepositoryByName(w.t.Context(), row.ID, "acme/site")
	must(w.t, err)
	return repo
}

// as is signed in as somebody with a role.
func (w *world) as(role db.Role) *browser {
	w.t.Helper()
	user := db.User{Name: string(role), Role: role, Language: "en"}
	must(w.t, w.db.SaveUser(w.t.Context(), &user))
	token, err := w.db.NewSignInLink(w.t.Context(), user.ID)
	must(w.t, err)
	b := w.browser()
	b.post("/setup", "token", token, "password", password, "language", "en").leads(w.t, "/workloads")
	return b
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
