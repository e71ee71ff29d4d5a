package settings_test

import (
	"strconv"
	"strings"

	"tinyforge/db"
)

func idOf(id int64) string { return strconv.FormatInt(id, 10) }

// user makes somebody, by a link as a person does, and is signed in as that.
func (w *world) user(name string, role db.Role) *browser {
	w.t.Helper()
	u, err := w.db.UserByName(w.t.Context(), name)
	if err != nil {
		u = db.User{Name: name, Role: role}
		must(w.t, w.db.SaveUser(w.t.Context(), &u))
	}
	token, err := w.db.NewSignInLink(w.t.Context(), u.ID)
	must(w.t, err)
	b := w.browser()
	b.post("/setup", "token", token, "password", "a tree house in spring", "language", "en").leads(w.t, "/workloads")
	return b
}

// forge saves a Gitea on loopback that does not answer.
func (w *world) forge() db.Forge {
	w.t.Helper()
	row := db.Forge{Name: "hub", Kind: "gitea", URL: "http://127.0.0.1:1", Networks: []string{"loopback"}, Credentials: db.Credentials{Token: "token", WebhookSecret: "secret"}}
	must(w.t, w.db.SaveForge(w.t.Context(), &row))
	return row
}

// workload saves one of the forge.
func (w *world) workload(name string) db.Workload {
	w.t.Helper()
	repo := db.Repository{ForgeID: w.forge().ID, ExternalID: 7, FullName: "acme/site", DefaultBranch: "main"}
	must(w.t, w.db.SaveRepository(w.t.Context(), &repo))
	wl := db.Workload{Name: name, RepositoryID: repo.ID, Source: "dockerfile", Host: name + ".example.com", Enabled: true, Config: []byte("{}")}
	must(w.t, w.db.SaveWorkload(w.t.Context(), &wl))
	return wl
}

// audited checks that the newest entry of an action has a detail.
func (w *world) audited(action, detail string) {
	w.t.Helper()
	kind, _, _ := strings.Cut(action, ".")
	list, err := w.db.AuditEntries(w.t.Context(), kind, 0, 100)
	must(w.t, err)
	for _, e := range list {
		if e.Action == action && strings.Contains(e.Detail, detail) && e.Actor != "" && e.Address != "" {
			return
		}
	}
	w.t.Errorf("nothing says %s %q: %+v", action, detail, list)
}
