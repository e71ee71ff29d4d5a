package forgetest

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// gitlabPaging is GitLab's.
func gitlabPaging() paging { return paging{size: "per_page", usual: 20, largest: 100} }

// onGitLab answers a request about one project.
type onGitLab func(w http.ResponseWriter, r *http.Request, repo Repository, right Right)

func (g *gitLab) route(mux *http.ServeMux) {
	handle := func(pattern, scope string, h http.HandlerFunc) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" /api/v4"+path, g.scoped(scope, h))
	}
	mux.HandleFunc("GET /api/v4/version", g.version)
	mux.HandleFunc("GET /api/v4/personal_access_tokens/self", g.self)
	handle("GET /projects", "read_api", g.listProjects)
	handle("GET /projects/{id}", "read_api", g.on(Anonymous, g.getProject))
	handle("GET /projects/{id}/repository/commits/{sha}/statuses", "read_api", g.on(Read, g.listStatuses))
	handle("POST /projects/{id}/statuses/{sha}", "api", g.on(Write, g.createStatus))
	hooks := "/projects/{id}/hooks"
	handle("GET "+hooks, "read_api", g.on(Admin, g.listHooks))
	handle("POST "+hooks, "api", g.on(Admin, g.createHook))
	handle("GET "+hooks+"/{hook}", "read_api", g.on(Admin, g.withHook(g.getHook)))
	handle("PUT "+hooks+"/{hook}", "api", g.on(Admin, g.withHook(g.editHook)))
	handle("DELETE "+hooks+"/{hook}", "api", g.on(Admin, g.withHook(g.deleteHook)))
	handle("POST "+hooks+"/{hook}/test/{trigger}", "api", g.on(Admin, g.withHook(g.testHook)))
	mux.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusNotFound, map[string]string{"error": "404 Not Found"})
	})
}

// fail answers as GitLab does: the code is part of the message.
func (g *gitLab) fail(w http.ResponseWriter, code int, what string) {
	answerJSON(w, code, map[string]string{"message": strings.TrimSpace(fmt.Sprintf("%d %s", code, what))})
}

// scoped refuses unknown credentials and tokens that lack a scope, before it looks at what they ask for.
func (g *gitLab) scoped(scope string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g.s.mu.Lock()
		access, given, known := g.access(r)
		g.s.mu.Unlock()
		enough := access.covers(scope) || scope == "read_api" && slices.Contains(access.Scopes, scope)
		switch {
		case given && !known:
			g.fail(w, http.StatusUnauthorized, "Unauthorized")
		case known && !enough:
			answerJSON(w, http.StatusForbidden, map[string]string{
				"error": "insufficient_scope", "scope": "api read_api",
				"error_description": "The request requires higher privileges than provided by the access token.",
			})
		default:
			next(w, r)
		}
	}
}

// on hides what the user may not see, and refuses a user with less than the right.
func (g *gitLab) on(needed Right, next onGitLab) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g.s.mu.Lock()
		access, _, known := g.access(r)
		found := g.find(r.PathValue("id"))
		var repo Repository
		if found != nil {
			repo = found.Repository
		}
		g.s.mu.Unlock()
		switch {
		case !known && (needed < Anonymous || r.Method != http.MethodGet):
			g.fail(w, http.StatusUnauthorized, "Unauthorized")
		case found == nil || repo.Private && access.Right > Read:
			g.fail(w, http.StatusNotFound, "Project Not Found")
		case access.Right > needed:
			g.fail(w, http.StatusForbidden, "Forbidden")
		default:
			next(w, r, repo, access.Right)
		}
	}
}

// find takes an id, or a path of which the slashes are escaped. The server is locked.
func (g *gitLab) find(id string) *repository {
	if number, err := strconv.ParseInt(id, 10, 64); err == nil {
		return g.s.repositories[number]
	}
	return g.s.find(id)
}

// listProjects pages by number or, as it is asked, by id. Who asks for membership gets nothing else.
func (g *gitLab) listProjects(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	byID := q.Get("pagination") == "keyset"
	if byID && q.Get("order_by") != "id" {
		answerJSON(w, http.StatusMethodNotAllowed, map[string]string{"error": "Keyset pagination is not yet available for this type of request"})
		return
	}
	after, _ := strconv.ParseInt(q.Get("id_after"), 10, 64)
	least, _ := strconv.Atoi(q.Get("min_access_level"))
	g.s.mu.Lock()
	access, _, _ := g.access(r)
	all := []gitlabProject{}
	for _, id := range slices.Sorted(maps.Keys(g.s.repositories)) {
		repo := g.s.repositories[id].Repository
		member := access.Right.level() > 0 && access.Right.level() >= least
		if id > after && (member || least == 0 && q.Get("membership") != "true" && !repo.Private) {
			all = append(all, g.shape(repo, access.Right))
		}
	}
	g.s.mu.Unlock()
	if q.Get("sort") != "asc" {
		slices.Reverse(all)
	}
	if byID {
		answerJSON(w, http.StatusOK, g.firstOf(w, r, all))
		return
	}
	answerJSON(w, http.StatusOK, g.page(w, r, len(all), page(w, r, gitlabPaging(), g.s.url, all)))
}

// firstOf returns the first page of what is left, and links to what is left then.
func (g *gitLab) firstOf(w http.ResponseWriter, r *http.Request, all []gitlabProject) []gitlabProject {
	size := min(atLeastOne(r.URL.Query().Get("per_page"), gitlabPaging().usual), gitlabPaging().largest)
	if len(all) <= size {
		return all
	}
	q := r.URL.Query()
	q.Set("id_after", strconv.FormatInt(all[size-1].ID, 10))
	next := url.URL{Path: r.URL.Path, RawQuery: q.Encode()}
	w.Header().Set("Link", fmt.Sprintf("<%s%s>; rel=\"next\"", g.s.url, next.String()))
	return all[:size]
}

// page adds the headers with which GitLab numbers pages.
func (g *gitLab) page(w http.ResponseWriter, r *http.Request, total int, part any) any {
	size := min(atLeastOne(r.URL.Query().Get("per_page"), gitlabPaging().usual), gitlabPaging().largest)
	number := atLeastOne(r.URL.Query().Get("page"), 1)
	w.Header().Set("X-Page", strconv.Itoa(number))
	w.Header().Set("X-Per-Page", strconv.Itoa(size))
	w.Header().Set("X-Total", strconv.Itoa(total))
	next := ""
	if number*size < total {
		next = strconv.Itoa(number + 1)
	}
	w.Header().Set("X-Next-Page", next)
	return part
}

// version is for those who are known.
func (g *gitLab) version(w http.ResponseWriter, r *http.Request) {
	g.s.mu.Lock()
	_, _, known := g.access(r)
	g.s.mu.Unlock()
	if !known {
		g.fail(w, http.StatusUnauthorized, "Unauthorized")
		return
	}
	answerJSON(w, http.StatusOK, map[string]string{"version": "18.6.1", "revision": "0123abc"})
}

// self tells a token of itself, whatever its scopes.
func (g *gitLab) self(w http.ResponseWriter, r *http.Request) {
	g.s.mu.Lock()
	access, _, known := g.access(r)
	g.s.mu.Unlock()
	if !known {
		g.fail(w, http.StatusUnauthorized, "Unauthorized")
		return
	}
	until := access.Until
	if until == "" {
		until = "2099-12-31"
	}
	active := time.Now().UTC().Format(time.DateOnly) < until
	answerJSON(w, http.StatusOK, map[string]any{
		"id": 4, "name": "deploy", "revoked": false, "active": active, "scopes": access.Scopes, "user_id": 7, "expires_at": until,
	})
}

func (g *gitLab) getProject(w http.ResponseWriter, _ *http.Request, repo Repository, right Right) {
	answerJSON(w, http.StatusOK, g.shape(repo, right))
}
