package forgetest

import (
	"fmt"
	"net/http"
	"strings"
)

// onRepository answers a request about one repository.
type onRepository func(w http.ResponseWriter, r *http.Request, repo Repository)

// reading lets in whoever may read the repository: for a private one, a token that sees it and has the permission.
func (g *gitHub) reading(permission string, next onRepository) http.HandlerFunc {
	return g.permitted(next, func(r Repository, t *installationToken) (int, string) {
		if t != nil && t.sees(r.ID) && !t.may(permission, "read") {
			return http.StatusForbidden, "Resource not accessible by integration"
		}
		return 0, ""
	})
}

// writing lets in only a token that sees the repository and has the permission to write.
func (g *gitHub) writing(permission string, next onRepository) http.HandlerFunc {
	return g.permitted(next, func(r Repository, t *installationToken) (int, string) {
		if t == nil {
			return http.StatusUnauthorized, "Requires authentication"
		}
		if !t.sees(r.ID) || !t.may(permission, "write") {
			return http.StatusForbidden, "Resource not accessible by integration"
		}
		return 0, ""
	})
}

// permitted answers 404 for what the request may not know of, then what refuse says, then redirects a former name.
func (g *gitHub) permitted(
	next onRepository, refuse func(Repository, *installationToken) (code int, problem string),
) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t, code, problem := g.token(r)
		if code != 0 {
			githubError(w, code, problem)
			return
		}
		found, moved := g.resolve(r)
		repo, visible := g.visible(found, t)
		if !visible {
			githubError(w, http.StatusNotFound, "Not Found")
			return
		}
		if code, problem := refuse(repo, t); code != 0 {
			githubError(w, code, problem)
			return
		}
		if moved {
			g.redirect(w, r, repo.ID)
			return
		}
		next(w, r, repo)
	}
}

func (g *gitHub) resolve(r *http.Request) (repo *repository, moved bool) {
	if id := pathID(r, "id"); id != 0 {
		g.s.mu.Lock()
		defer g.s.mu.Unlock()
		return g.s.repositories[id], false
	}
	return g.s.resolve(r.PathValue("owner") + "/" + r.PathValue("name"))
}

func (g *gitHub) visible(repo *repository, t *installationToken) (Repository, bool) {
	if repo == nil {
		return Repository{}, false
	}
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	return repo.Repository, !repo.Private || t != nil && t.sees(repo.ID)
}

// redirect sends a request for a former name to the address by id: 301 for reading, 307 for anything else.
func (g *gitHub) redirect(w http.ResponseWriter, r *http.Request, id int64) {
	former := "repos/" + r.PathValue("owner") + "/" + r.PathValue("name")
	rest := strings.TrimPrefix(r.URL.Path, "/api/v3/"+former)
	to := fmt.Sprintf("%srepositories/%d%s", g.apiURL(), id, rest)
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	code := http.StatusTemporaryRedirect
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		code = http.StatusMovedPermanently
	}
	w.Header().Set("Location", to)
	answerJSON(w, code, map[string]string{
		"message": "Moved Permanently", "url": to, "documentation_url": "https://docs.github.com/rest",
	})
}
