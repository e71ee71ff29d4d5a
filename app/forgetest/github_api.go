package forgetest

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// githubPaging is GitHub's.
func githubPaging() paging { return paging{size: "per_page", usual: 30, largest: 100} }

func (g *gitHub) route(mux *http.ServeMux) {
	handle := func(pattern string, h http.HandlerFunc) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" /api/v3"+path, g.counted(h))
	}
	g.routeManifest()
	handle("POST /app-manifests/{code}/conversions", g.convert)
	handle("PATCH /app/hook/config", g.app(g.setHook))
	handle("GET /app/hook/deliveries", g.app(g.listDeliveries))
	handle("POST /app/hook/deliveries/{delivery}/attempts", g.app(g.redeliver))
	handle("GET /app", g.app(g.getApp))
	handle("GET /app/installations", g.app(g.listInstallations))
	handle("GET /app/installations/{installation}", g.app(g.getInstallation))
	handle("POST /app/installations/{installation}/access_tokens", g.app(g.createToken))
	handle("GET /installation/repositories", g.listRepositories)
	handle("GET /user", func(w http.ResponseWriter, r *http.Request) {
		if login := g.s.signedIn(r); login != "" {
			answerJSON(w, http.StatusOK, g.githubAccount(login))
			return
		}
		githubError(w, http.StatusUnauthorized, "Requires authentication")
	})
	handle("GET /users/{login}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("login") == Nobody {
			githubError(w, http.StatusNotFound, "Not Found")
			return
		}
		answerJSON(w, http.StatusOK, g.githubAccount(r.PathValue("login")))
	})
	for _, repository := range []string{"/repos/{owner}/{name}", "/repositories/{id}"} {
		handle("GET "+repository+"/installation", g.app(g.getRepositoryInstallation))
		handle("GET "+repository, g.reading("metadata", g.getRepository))
		handle("GET "+repository+"/branches", g.reading("contents", g.listBranches))
		handle("GET "+repository+"/tags", g.reading("contents", g.listTags))
		handle("GET "+repository+"/git/matching-refs/{prefix...}", g.reading("contents", g.matchingRefs))
		handle("GET "+repository+"/commits/{sha}/status", g.reading("statuses", g.combinedStatus))
		handle("GET "+repository+"/commits/{sha}/statuses", g.reading("statuses", g.listStatuses))
		handle("POST "+repository+"/statuses/{sha}", g.writing("statuses", g.createStatus))
	}
	mux.HandleFunc("/api/", g.counted(func(w http.ResponseWriter, _ *http.Request) {
		githubError(w, http.StatusNotFound, "Not Found")
	}))
}

// counted adds the rate limit headers.
func (g *gitHub) counted(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		const limit = 5000
		used := g.quota.Add(1)
		h := w.Header()
		h.Set("X-RateLimit-Limit", strconv.Itoa(limit))
		h.Set("X-RateLimit-Used", strconv.FormatInt(used, 10))
		h.Set("X-RateLimit-Remaining", strconv.FormatInt(max(0, limit-used), 10))
		h.Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10))
		h.Set("X-RateLimit-Resource", "core")
		h.Set("X-GitHub-Request-Id", randomHex(8))
		h.Set("X-GitHub-Media-Type", "github.v3; format=json")
		next(w, r)
	}
}

func githubError(w http.ResponseWriter, code int, message string) {
	answerJSON(w, code, map[string]string{
		"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(code),
	})
}

func (g *gitHub) getApp(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, map[string]any{
		"id": g.appID, "slug": g.slug(), "name": g.appName(), "owner": g.githubAccount(Developer),
		"permissions": appPermissions(), "events": []string{"delete", "push", "registry_package"},
	})
}

func (g *gitHub) listInstallations(w http.ResponseWriter, r *http.Request) {
	g.s.mu.Lock()
	all := []githubInstallation{}
	for _, id := range slices.Sorted(maps.Keys(g.installations)) {
		all = append(all, g.githubInstallation(g.installations[id]))
	}
	g.s.mu.Unlock()
	answerJSON(w, http.StatusOK, page(w, r, githubPaging(), g.s.url, all))
}

func (g *gitHub) getInstallation(w http.ResponseWriter, r *http.Request) {
	g.s.mu.Lock()
	i := g.installations[pathID(r, "installation")]
	g.s.mu.Unlock()
	g.answerInstallation(w, i)
}

// getRepositoryInstallation tells the App through which installation it sees a repository.
func (g *gitHub) getRepositoryInstallation(w http.ResponseWriter, r *http.Request) {
	repo, moved := g.resolve(r)
	if repo == nil {
		githubError(w, http.StatusNotFound, "Not Found")
		return
	}
	g.s.mu.Lock()
	i := g.installations[repo.Installation]
	id := repo.ID
	g.s.mu.Unlock()
	if i != nil && moved {
		g.redirect(w, r, id)
		return
	}
	g.answerInstallation(w, i)
}

func (g *gitHub) answerInstallation(w http.ResponseWriter, i *installation) {
	if i == nil {
		githubError(w, http.StatusNotFound, "Not Found")
		return
	}
	g.s.mu.Lock()
	shape := g.githubInstallation(i)
	g.s.mu.Unlock()
	answerJSON(w, http.StatusOK, shape)
}

func (g *gitHub) listRepositories(w http.ResponseWriter, r *http.Request) {
	t, code, problem := g.token(r)
	if t == nil {
		if code == 0 {
			code, problem = http.StatusUnauthorized, "Requires authentication"
		}
		githubError(w, code, problem)
		return
	}
	g.s.mu.Lock()
	all := []githubRepository{}
	for _, repo := range g.repositoriesOf(t.installation) {
		if t.sees(repo.ID) {
			all = append(all, g.githubRepository(repo))
		}
	}
	g.s.mu.Unlock()
	total := len(all)
	answerJSON(w, http.StatusOK, map[string]any{
		"total_count": total, "repository_selection": "selected", "repositories": page(w, r, githubPaging(), g.s.url, all),
	})
}

func (g *gitHub) getRepository(w http.ResponseWriter, _ *http.Request, repo Repository) {
	answerJSON(w, http.StatusOK, g.githubRepository(repo))
}

func (g *gitHub) listBranches(w http.ResponseWriter, r *http.Request, repo Repository) {
	g.listRefs(w, r, repo, "refs/heads/", func(name string, at ref) any {
		return map[string]any{"name": strings.TrimPrefix(name, "refs/heads/"), "commit": g.commitAt(repo, at), "protected": false}
	})
}

func (g *gitHub) listTags(w http.ResponseWriter, r *http.Request, repo Repository) {
	g.listRefs(w, r, repo, "refs/tags/", func(name string, at ref) any {
		return map[string]any{"name": strings.TrimPrefix(name, "refs/tags/"), "commit": g.commitAt(repo, at)}
	})
}

func (g *gitHub) commitAt(repo Repository, at ref) map[string]string {
	return map[string]string{"sha": at.Commit, "url": g.apiURL() + "repos/" + repo.FullName + "/commits/" + at.Commit}
}

// matchingRefs answers 409 for an empty repository, as all of GitHub's git database does.
func (g *gitHub) matchingRefs(w http.ResponseWriter, r *http.Request, repo Repository) {
	if rs, err := g.s.refs(r.Context(), repo.ID); err == nil && len(rs) == 0 {
		githubError(w, http.StatusConflict, "Git Repository is empty.")
		return
	}
	g.listRefs(w, r, repo, "refs/"+r.PathValue("prefix"), func(name string, at ref) any {
		kind := "commit"
		if at.Object != at.Commit {
			kind = "tag"
		}
		api := g.apiURL() + "repos/" + repo.FullName + "/git/"
		return map[string]any{
			"ref": name, "node_id": nodeID("Ref", repo.ID), "url": api + name,
			"object": map[string]string{"type": kind, "sha": at.Object, "url": api + kind + "s/" + at.Object},
		}
	})
}

func (g *gitHub) listRefs(
	w http.ResponseWriter, r *http.Request, repo Repository, prefix string, shape func(string, ref) any,
) {
	all, err := g.s.shapedRefs(r.Context(), repo.ID, prefix, shape)
	if err != nil {
		githubError(w, http.StatusInternalServerError, err.Error())
		return
	}
	answerJSON(w, http.StatusOK, page(w, r, githubPaging(), g.s.url, all))
}

// shapedRefs returns the refs below a prefix, by name.
func (s *Server) shapedRefs(ctx context.Context, id int64, prefix string, shape func(string, ref) any) ([]any, error) {
	rs, err := s.refs(ctx, id)
	if err != nil {
		return nil, err
	}
	all := []any{}
	for _, name := range slices.Sorted(maps.Keys(rs)) {
		if strings.HasPrefix(name, prefix) {
			all = append(all, shape(name, rs[name]))
		}
	}
	return all, nil
}

// pathID returns a number of the path, 0 where there is none.
func pathID(r *http.Request, name string) int64 {
	id, err := strconv.ParseInt(r.PathValue(name), 10, 64)
	if err != nil {
		return 0
	}
	return id
}
