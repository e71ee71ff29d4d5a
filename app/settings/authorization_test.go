package settings_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tinyforge/app/settings"
	"tinyforge/db"
)

// Who may use an address at least.
const (
	anybody       = "anybody"
	viewer        = "viewer"
	deployer      = "deployer"
	administrator = "administrator"
)

// allowedOnPages is written down apart from the routes: one that is new has to be entered, and one that changes as well.
var allowedOnPages = map[string]string{
	"GET /":                     anybody, // says that there is no such page
	"GET /{$}":                  anybody,
	"GET /setup":                anybody,
	"POST /setup":               anybody,
	"GET /sign-in":              anybody,
	"POST /sign-in":             anybody,
	"POST /sign-out":            anybody,
	"POST /language":            anybody,
	"GET /sign-in/with/{forge}": anybody,
	"GET /sign-in/callback":     anybody,

	"GET /start":                                         viewer,
	"GET /about":                                         viewer,
	"GET /settings":                                      viewer,
	"POST /settings":                                     viewer,
	"GET /settings/password":                             viewer,
	"POST /settings/password":                            viewer,
	"GET /settings/sessions":                             viewer,
	"POST /settings/sessions/{id}/end":                   viewer,
	"POST /settings/sessions/end-others":                 viewer,
	"GET /settings/tokens":                               viewer,
	"POST /settings/tokens":                              viewer,
	"POST /settings/tokens/{id}/end":                     viewer,
	"GET /events":                                        viewer,
	"GET /workloads":                                     viewer,
	"GET /workloads/{name}":                              viewer,
	"GET /workloads/{name}/events":                       viewer,
	"GET /workloads/{name}/deployments":                  viewer,
	"GET /deployments/{number}":                          viewer,
	"GET /forges":                                        viewer,
	"GET /forges/{id}":                                   viewer,
	"GET /deliveries/{id}":                               viewer,
	"GET /workloads/{name}/deployments/{number}":         viewer,
	"GET /workloads/{name}/deployments/{number}/events":  viewer,
	"GET /workloads/{name}/deployments/{number}/log.txt": viewer,

	"POST /workloads/{name}/deploy":                        deployer,
	"GET /workloads/{name}/rollback":                       deployer,
	"POST /workloads/{name}/scale":                         deployer,
	"POST /workloads/{name}/rollback":                      deployer,
	"POST /workloads/{name}/pause":                         deployer,
	"POST /workloads/{name}/resume":                        deployer,
	"POST /workloads/{name}/deployments/{number}/cancel":   deployer,
	"POST /workloads/{name}/deployments/{number}/redeploy": deployer,
	"POST /forges/{id}/missed":                             deployer,

	"GET /audit":                             administrator,
	"GET /audit.csv":                         administrator,
	"GET /settings/users":                    administrator,
	"POST /settings/users":                   administrator,
	"GET /settings/users/new":                administrator,
	"GET /settings/users/{id}":               administrator,
	"POST /settings/users/{id}":              administrator,
	"POST /settings/users/{id}/link":         administrator,
	"POST /settings/users/{id}/end-sessions": administrator,
	"POST /settings/users/{id}/remove":       administrator,
	"GET /settings/sign-in/{id}":             administrator,
	"POST /settings/sign-in/{id}":            administrator,
	"GET /settings/proxy":                    administrator,
	"GET /settings/networks":                 administrator,
	"POST /settings/networks":                administrator,
	"GET /settings/retention":                administrator,
	"POST /settings/retention":               administrator,
	"POST /settings/retention/tidy":          administrator,
	"GET /workloads/new":                     administrator,
	"POST /workloads":                        administrator,
	"GET /workloads/{name}/settings":         administrator,
	"POST /workloads/{name}/settings":        administrator,
	"GET /workloads/{name}/env":              administrator,
	"GET /workloads/{name}/delete":           administrator,
	"POST /workloads/{name}/delete":          administrator,
	"GET /forges/new":                        administrator,
	"GET /forges/new/github":                 administrator,
	"POST /forges/new/github":                administrator,
	"GET /forges/new/github/{id}":            administrator,
	"POST /forges/new/github/{id}/renew":     administrator,
	"POST /forges/new/github/{id}/retry":     administrator,
	"POST /forges/new/github/{id}/delete":    administrator,
	"GET /forges/github/created":             administrator,
	"GET /forges/github/installed":           administrator,
	"GET /forges/new/gitea":                  administrator,
	"POST /forges/new/gitea":                 administrator,
	"GET /forges/new/gitlab":                 administrator,
	"POST /forges/new/gitlab":                administrator,
	"POST /forges/{id}/resync":               administrator,
	"GET /forges/{id}/edit":                  administrator,
	"POST /forges/{id}/edit":                 administrator,
	"POST /forges/{id}/rotate":               administrator,
	"GET /forges/{id}/delete":                administrator,
	"POST /forges/{id}/delete":               administrator,
}

// allowedOnAPI needs a token of such a user: a session of the pages is nobody there.
var allowedOnAPI = map[string]string{
	"GET /api/v1/workloads":                     viewer,
	"GET /api/v1/workloads/{name}":              viewer,
	"GET /api/v1/workloads/{name}/deployments":  viewer,
	"GET /api/v1/deployments/{id}":              viewer,
	"GET /api/v1/deployments/{id}/log":          viewer,
	"POST /api/v1/workloads/{name}/deployments": deployer,
	"POST /api/v1/workloads/{name}/rollback":    deployer,
	"POST /api/v1/workloads/{name}/scale":       deployer,
	"POST /api/v1/deployments/{id}/cancel":      deployer,
	"POST /api/v1/deployments/{id}/redeploy":    deployer,
}

// mayUse tells whether somebody with a role, "" for nobody, is let in where another one is needed.
func mayUse(role db.Role, needs string) bool {
	ranks := []string{anybody, viewer, deployer, administrator}
	return slices.Index(ranks, needs) <= max(slices.Index(ranks, string(role)), 0)
}

// caller is somebody who asks, and what they show.
type caller struct {
	name    string
	role    db.Role // on the pages; "" is nobody
	apiRole db.Role // on the API
	cookie  func() string
	token   string
}

// walker goes to every address as everybody.
type walker struct {
	*full
	asked int
}

// callers are everybody there is, each with what could let somebody in by mistake.
func (f *walker) callers() []caller {
	all := []caller{{name: "nobody"}, {name: "a made-up session", cookie: func() string { return "MADEUP" }}, {name: "a made-up token", token: "MADEUP"}}
	for _, role := range []db.Role{db.Viewer, db.Deployer, db.Administrator} {
		u := db.User{Name: "walker " + string(role), Role: role}
		must(f.t, f.db.SaveUser(f.t.Context(), &u))
		session, token := f.credentials(u)
		all = append(all, caller{name: "session of " + u.Name, role: role, cookie: session},
			caller{name: "token of " + u.Name, apiRole: role, token: token})
		gone := db.User{Name: "removed " + string(role), Role: role}
		must(f.t, f.db.SaveUser(f.t.Context(), &gone))
		session, token = f.credentials(gone)
		left := session()
		must(f.t, f.db.DeleteUser(f.t.Context(), gone.ID))
		all = append(all, caller{name: "session of " + gone.Name, cookie: func() string { return left }}, caller{name: "token of " + gone.Name, token: token})
	}
	return all
}

// credentials makes an API token, and sessions: some requests end them.
func (f *walker) credentials(u db.User) (session func() string, token string) {
	token, err := f.db.NewAPIToken(f.t.Context(), &db.APIToken{UserID: u.ID, Name: "walk"})
	must(f.t, err)
	return func() string {
		s, err := f.db.StartSession(f.t.Context(), u.ID, "127.0.0.1", "")
		must(f.t, err)
		return s
	}, token
}

// send asks as c. Only the beginning of the answer is read: some do not end.
func (f *walker) send(c caller, method, path string, headers ...string) page {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	defer cancel()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader("")
	}
	req, err := http.NewRequestWithContext(ctx, method, f.server.URL+path, body)
	must(f.t, err)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if c.cookie != nil {
		req.AddCookie(&http.Cookie{Name: "session", Value: c.cookie()})
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	f.asked++
	req.Header.Set("X-Forwarded-For", fmt.Sprintf("198.18.%d.%d", f.asked>>8, f.asked&255)) // whoever tries many tokens is kept out
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	must(f.t, err)
	defer func() { _ = res.Body.Close() }()
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return page{Response: res}
	}
	raw, err := io.ReadAll(res.Body)
	must(f.t, err)
	return page{res, string(raw)}
}

// outcome says what the middleware made of a request: "in", "sign in", "role" or "foreign".
func (p page) outcome() string {
	switch {
	case p.StatusCode == http.StatusSeeOther && strings.HasPrefix(p.Header.Get("Location"), "/sign-in?next="),
		p.StatusCode == http.StatusUnauthorized:
		return "sign in"
	case p.StatusCode == http.StatusForbidden && (p.says("This needs the role ") || p.says("this needs the role ")):
		return "role"
	case p.StatusCode == http.StatusForbidden && p.says("This form was sent from another site"):
		return "foreign"
	}
	return "in"
}

// there and nowhere fill in what stands in a pattern: what there is, for those who are kept out, and what there is not, so that
// those who are let in change as little as can be.
func (f *walker) there(path string) string {
	return strings.NewReplacer("{name}", "shop", "{number}", strconv.FormatInt(f.failed.ID, 10), "{id}", "1", "{forge}", "1", "{$}", "").Replace(path)
}

func nowhere(path string) string {
	return strings.NewReplacer("{name}", "none", "{number}", "999", "{id}", "999", "{forge}", "999", "{$}", "").Replace(path)
}

// changed counts what those who are kept out must not change.
func (f *walker) changed() [4]int {
	audit, err := f.db.AuditEntries(f.t.Context(), "", 0, 10_000)
	must(f.t, err)
	all, err := f.db.DeploymentsOf(f.t.Context(), f.workload.ID, 10_000)
	must(f.t, err)
	workloads, err := f.db.Workloads(f.t.Context())
	must(f.t, err)
	users, err := f.db.Users(f.t.Context())
	must(f.t, err)
	return [4]int{len(audit), len(all), len(workloads), len(users)}
}

// TestWhoMayDoWhat asks for every address as everybody, and compares with the tables above.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	f := &walker{full: newFull(t)}
	callers := f.callers()
	sameRoutes(t, f.pages.Patterns(), allowedOnPages)
	sameRoutes(t, settings.APIRoutes(), allowedOnAPI)
	walk := func(table map[string]string, address func(string) string, roleOf func(caller) db.Role, in bool) {
		for pattern, needs := range table {
			method, path, _ := strings.Cut(pattern, " ")
			for _, c := range callers {
				may := mayUse(roleOf(c), needs)
				if may != in {
					continue
				}
				want := "in"
				if !may && roleOf(c) == "" {
					want = "sign in"
				} else if !may {
					want = "role"
				}
				if p := f.send(c, method, address(path)); p.outcome() != want || p.StatusCode >= http.StatusInternalServerError {
					t.Errorf("%s as %s: %d %q, want %q", pattern, c.name, p.StatusCode, p.outcome(), want)
				}
			}
		}
	}
	onPages, onAPI := func(c caller) db.Role { return c.role }, func(c caller) db.Role { return c.apiRole }
	before := f.changed()
	walk(allowedOnPages, f.there, onPages, false)
	walk(allowedOnAPI, f.there, onAPI, false)
	if after := f.changed(); after != before {
		t.Errorf("those who were kept out changed something: before %v, after %v", before, after)
	}
	walk(allowedOnPages, nowhere, onPages, true)
	walk(allowedOnAPI, nowhere, onAPI, true)
}

// TestNoOtherSiteActsForSomebody: whatever a browser sends along, a write from another site does nothing.
func TestNoOtherSiteActsForSomebody(t *testing.T) {
	t.Parallel()
	f := &walker{full: newFull(t)}
	u := db.User{Name: "walker", Role: db.Administrator}
	must(t, f.db.SaveUser(t.Context(), &u))
	session, _ := f.credentials(u)
	admin := caller{name: "administrator", role: db.Administrator, cookie: session}
	before := f.changed()
	for pattern := range allowedOnPages {
		method, path, _ := strings.Cut(pattern, " ")
		if method != http.MethodPost {
			continue
		}
		for _, headers := range [][]string{
			{"Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Site", "same-site", "Origin", "https://evil.example.com"},
			{"Sec-Fetch-Site", "", "Origin", "https://evil.example.com"},
			{"Sec-Fetch-Site", "", "Origin", "null"},
		} {
			if p := f.send(admin, method, f.there(path), headers...); p.outcome() != "foreign" {
				t.Errorf("%s with %q: %d %q", pattern, headers, p.StatusCode, p.outcome())
			}
		}
	}
	for pattern := range allowedOnAPI {
		method, path, _ := strings.Cut(pattern, " ")
		if p := f.send(admin, method, f.there(path), "Content-Type", "text/plain"); p.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s with a session: %d", pattern, p.StatusCode)
		}
	}
	if after := f.changed(); after != before {
		t.Errorf("something changed: before %v, after %v", before, after)
	}
}

func sameRoutes(t *testing.T, routes []string, table map[string]string) {
	t.Helper()
	for _, pattern := range routes {
		if table[pattern] == "" {
			t.Errorf("%s is not in the table", pattern)
		}
	}
	for pattern := range table {
		if !slices.Contains(routes, pattern) {
			t.Errorf("there is no %s", pattern)
		}
	}
}
