package forgetest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"time"
)

type giteaHook struct {
	ID            int64             `json:"id"`
	Name          string            `json:"name"`
	Type          string            `json:"type"`
	BranchFilter  string            `json:"branch_filter"`
	Config        map[string]string `json:"config"` // never the secret
	Events        []string          `json:"events"`
	Authorization string            `json:"authorization_header"`
	Active        bool              `json:"active"`
	UpdatedAt     time.Time         `json:"updated_at"`
	CreatedAt     time.Time         `json:"created_at"`
}

// giteaHookAsk is the body of the requests that make and change a hook.
type giteaHookAsk struct {
	Type          string            `json:"type"`
	Config        map[string]string `json:"config"`
	Events        []string          `json:"events"`
	BranchFilter  string            `json:"branch_filter"`
	Active        *bool             `json:"active"`
	Authorization string            `json:"authorization_header"`
}

func (h *hook) shape() giteaHook {
	contentType := "json"
	if h.Form {
		contentType = "form"
	}
	return giteaHook{
		ID: h.ID, Type: "gitea", Config: map[string]string{"content_type": contentType, "url": h.URL},
		Events: append([]string{}, h.Events...), Authorization: h.Authorization, Active: !h.Inactive,
		UpdatedAt: h.updated, CreatedAt: h.created,
	}
}

func (g *gitea) listHooks(w http.ResponseWriter, r *http.Request, repo Repository, _ Right) {
	g.s.mu.Lock()
	shapes := []giteaHook{}
	for _, h := range g.s.hooksOf(repo.ID) {
		shapes = append(shapes, h.shape())
	}
	g.s.mu.Unlock()
	answerJSON(w, http.StatusOK, giteaPage(w, r, g.s.url, shapes))
}

// createHook drops unknown events in silence, takes no events for push, and leaves the hook inactive unless asked
// otherwise. It does not mind a second hook with the same address.
func (g *gitea) createHook(w http.ResponseWriter, r *http.Request, repo Repository, _ Right) {
	ask, problem := readHook(r)
	if problem == "" {
		problem = ask.incomplete()
	}
	if problem != "" {
		g.fail(w, http.StatusUnprocessableEntity, problem)
		return
	}
	g.s.mu.Lock()
	h := g.s.keepHook(&hook{repository: repo.ID, Hook: Hook{
		URL: ask.Config["url"], Secret: ask.Config["secret"], Form: ask.Config["content_type"] == "form",
		Events: chosen(ask.Events), Inactive: ask.Active == nil || !*ask.Active, Authorization: ask.Authorization,
	}})
	shape := h.shape()
	g.s.mu.Unlock()
	answerJSON(w, http.StatusCreated, shape)
}

func readHook(r *http.Request) (ask giteaHookAsk, problem string) {
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		return ask, err.Error()
	}
	if ask.BranchFilter != "" && ask.BranchFilter != "*" {
		return ask, "this forge does not filter branches"
	}
	if t, given := ask.Config["content_type"]; given && t != "json" && t != "form" {
		return ask, "Invalid content type"
	}
	return ask, ""
}

// incomplete says what is missing for a new hook, "" when nothing is.
func (ask giteaHookAsk) incomplete() string {
	if ask.Type != "gitea" && ask.Type != "gogs" {
		return "Invalid hook type: " + ask.Type
	}
	for _, option := range []string{"url", "content_type"} {
		if ask.Config[option] == "" {
			return "Missing config option: " + option
		}
	}
	u, err := url.Parse(ask.Config["url"])
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "Invalid url"
	}
	return ""
}

func chosen(events []string) []string {
	if len(events) == 0 {
		return []string{"push"}
	}
	known := []string{}
	for _, event := range knownEvents() {
		if slices.Contains(events, event) {
			known = append(known, event)
		}
	}
	return known
}

// withHook finds the hook of the path.
func (g *gitea) withHook(next func(w http.ResponseWriter, r *http.Request, repo Repository, h *hook)) onGitea {
	return func(w http.ResponseWriter, r *http.Request, repo Repository, _ Right) {
		h := g.s.hookOf(repo.ID, r)
		if h == nil {
			g.notFound(w)
			return
		}
		next(w, r, repo, h)
	}
}

func (g *gitea) getHook(w http.ResponseWriter, _ *http.Request, _ Repository, h *hook) {
	g.s.mu.Lock()
	shape := h.shape()
	g.s.mu.Unlock()
	answerJSON(w, http.StatusOK, shape)
}

// editHook changes what is given; no events mean push, as at creation. A secret that is given is ignored: Gitea keeps
// the first one.
func (g *gitea) editHook(w http.ResponseWriter, r *http.Request, _ Repository, h *hook) {
	ask, problem := readHook(r)
	if problem != "" {
		g.fail(w, http.StatusUnprocessableEntity, problem)
		return
	}
	g.s.mu.Lock()
	if u, given := ask.Config["url"]; given {
		h.URL = u
	}
	if t, given := ask.Config["content_type"]; given {
		h.Form = t == "form"
	}
	h.Events, h.Authorization = chosen(ask.Events), ask.Authorization
	if ask.Active != nil {
		h.Inactive = !*ask.Active
	}
	h.updated = time.Now().UTC().Truncate(time.Second)
	shape := h.shape()
	g.s.mu.Unlock()
	answerJSON(w, http.StatusOK, shape)
}

func (g *gitea) deleteHook(w http.ResponseWriter, _ *http.Request, _ Repository, h *hook) {
	g.s.dropHook(h)
	w.WriteHeader(http.StatusNoContent)
}

func (g *gitea) testHook(w http.ResponseWriter, r *http.Request, repo Repository, h *hook) {
	past := history{ctx: r.Context(), git: g.s.git, dir: g.s.gitDir(repo.ID)}
	head, err := past.one("refs/heads/" + repo.DefaultBranch)
	if err != nil {
		g.fail(w, http.StatusNotFound, "repository is empty")
		return
	}
	g.s.mu.Lock()
	to := *h
	g.s.mu.Unlock()
	o, err := g.to(to, repo, "push", g.testDelivery(repo, head))
	if err != nil {
		g.fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	g.s.sender.send(o)
	w.WriteHeader(http.StatusNoContent)
}
