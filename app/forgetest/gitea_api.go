package forgetest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// giteaPaging is Gitea's.
func giteaPaging() paging { return paging{size: "limit", usual: 30, largest: 50} }

// onGitea answers a request about one repository.
type onGitea func(w http.ResponseWriter, r *http.Request, repo Repository, right Right)

func (g *gitea) route(mux *http.ServeMux) {
	handle := func(pattern string, h http.HandlerFunc, scopes ...string) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" /api/v1"+path, g.scoped(h, scopes...))
	}
	handle("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusOK, map[string]string{"version": g.version()})
	})
	handle("GET /user", g.known(func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusOK, g.user(Developer))
	}), "read:user")
	handle("GET /users/{login}", g.known(func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("login") == Nobody {
			g.notFound(w)
			return
		}
		answerJSON(w, http.StatusOK, g.user(r.PathValue("login")))
	}), "read:user")
	handle("GET /user/repos", g.known(func(w http.ResponseWriter, r *http.Request) {
		answerJSON(w, http.StatusOK, g.visible(w, r))
	}), "read:user", "read:repository")
	handle("GET /repos/search", func(w http.ResponseWriter, r *http.Request) {
		answerJSON(w, http.StatusOK, map[string]any{"ok": true, "data": g.visible(w, r)})
	}, "read:repository")
	for pattern, h := range map[string]onGitea{
		"":                        g.getRepository,
		"/branches":               g.listBranches,
		"/branches/{branch...}":   g.getBranch,
		"/tags":                   g.listTags,
		"/git/refs":               g.listGitRefs,
		"/git/refs/{prefix...}":   g.listGitRefs,
		"/statuses/{sha}":         g.listStatuses,
		"/commits/{sha}/statuses": g.listStatuses,
		"/commits/{sha}/status":   g.combinedStatus,
	} {
		handle("GET /repos/{owner}/{name}"+pattern, g.on(Anonymous, h), "read:repository")
	}
	handle("GET /repositories/{id}", g.on(Anonymous, g.getRepository), "read:repository")
	handle("POST /repos/{owner}/{name}/statuses/{sha}", g.on(Write, g.createStatus), "write:repository")
	hooks := "/repos/{owner}/{name}/hooks"
	handle("GET "+hooks, g.on(Admin, g.listHooks), "read:repository")
	handle("POST "+hooks, g.on(Admin, g.createHook), "write:repository")
	handle("GET "+hooks+"/{hook}", g.on(Admin, g.withHook(g.getHook)), "read:repository")
	handle("PATCH "+hooks+"/{hook}", g.on(Admin, g.withHook(g.editHook)), "write:repository")
	handle("DELETE "+hooks+"/{hook}", g.on(Admin, g.withHook(g.deleteHook)), "write:repository")
	handle("POST "+hooks+"/{hook}/tests", g.on(Admin, g.withHook(g.testHook)), "write:repository")
	mux.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) { g.notFound(w) })
}

func (g *gitea) fail(w http.ResponseWriter, code int, message string) {
	answerJSON(w, code, map[string]string{"message": message, "url": g.s.url + "/api/swagger"})
}

func (g *gitea) notFound(w http.ResponseWriter) {
	answerJSON(w, http.StatusNotFound, map[string]any{"errors": nil, "message": "not found", "url": g.s.url + "/api/swagger"})
}

// scoped refuses unknown credentials and tokens that lack a scope, before it looks at what they ask for.
func (g *gitea) scoped(next http.HandlerFunc, scopes ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if login := g.s.signedIn(r); login != "" && r.Pattern == "GET /api/v1/user" {
			answerJSON(w, http.StatusOK, g.user(login))
			return
		}
		g.s.mu.Lock()
		access, given, known := g.access(r)
		g.s.mu.Unlock()
		if given && !known {
			g.fail(w, http.StatusUnauthorized, "invalid username, password or token")
			return
		}
		for _, scope := range scopes {
			if known && !access.has(scope) {
				g.fail(w, http.StatusForbidden, fmt.Sprintf(
					"token does not have at least one of required scope(s), required=[%s], token scope=%s",
					scope, strings.Join(access.Scopes, ",")))
				return
			}
		}
		next(w, r)
	}
}

// known lets no stranger in.
func (g *gitea) known(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g.s.mu.Lock()
		_, _, known := g.access(r)
		g.s.mu.Unlock()
		if !known {
			g.fail(w, http.StatusUnauthorized, "token is required")
			return
		}
		next(w, r)
	}
}

// on redirects a former name, hides what the user may not see, and refuses a user with less than the right.
func (g *gitea) on(needed Right, next onGitea) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		found, moved := g.resolve(r)
		if found == nil {
			g.notFound(w)
			return
		}
		g.s.mu.Lock()
		access, _, known := g.access(r)
		repo := found.Repository
		g.s.mu.Unlock()
		switch {
		case moved:
			g.redirect(w, r, repo)
		case repo.Private && access.Right > Read:
			g.notFound(w)
		case needed < Anonymous && !known:
			g.fail(w, http.StatusUnauthorized, "token is required")
		case access.Right > needed && needed == Admin:
			g.fail(w, http.StatusForbidden, "user should be an owner or a collaborator with admin write of a repository")
		case access.Right > needed:
			g.fail(w, http.StatusForbidden, "user should have a permission to write to a repo")
		default:
			next(w, r, repo, access.Right)
		}
	}
}

func (g *gitea) resolve(r *http.Request) (repo *repository, moved bool) {
	if id := pathID(r, "id"); id != 0 {
		g.s.mu.Lock()
		defer g.s.mu.Unlock()
		return g.s.repositories[id], false
	}
	return g.s.resolve(r.PathValue("owner") + "/" + r.PathValue("name"))
}

// redirect answers 301 to every method: a client that follows it turns a POST into a GET.
func (g *gitea) redirect(w http.ResponseWriter, r *http.Request, repo Repository) {
	former := "/repos/" + r.PathValue("owner") + "/" + r.PathValue("name")
	to := *r.URL
	to.Path = strings.Replace(r.URL.Path, former, "/repos/"+repo.FullName, 1)
	http.Redirect(w, r, to.String(), http.StatusMovedPermanently)
}

// visible returns a page of the repositories that the user may read.
func (g *gitea) visible(w http.ResponseWriter, r *http.Request) []giteaRepository {
	g.s.mu.Lock()
	access, _, _ := g.access(r)
	all := []giteaRepository{}
	for _, id := range slices.Sorted(maps.Keys(g.s.repositories)) {
		repo := g.s.repositories[id].Repository
		named := strings.Contains(strings.ToLower(repo.Name()), strings.ToLower(r.URL.Query().Get("q")))
		if named && (!repo.Private || access.Right <= Read) {
			all = append(all, g.shape(repo, access.Right))
		}
	}
	g.s.mu.Unlock()
	return giteaPage(w, r, g.s.url, all)
}

func giteaPage[T any](w http.ResponseWriter, r *http.Request, base string, all []T) []T {
	w.Header().Set("X-Total-Count", strconv.Itoa(len(all)))
	return page(w, r, giteaPaging(), base, all)
}

func (g *gitea) getRepository(w http.ResponseWriter, _ *http.Request, repo Repository, right Right) {
	answerJSON(w, http.StatusOK, g.shape(repo, right))
}
