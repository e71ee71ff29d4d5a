package forgetest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// gitlabFailures is how many deliveries in a row may fail before a hook is disabled.
const gitlabFailures = 4

// gitlabEvents are what a hook can ask for. In the API the words have "_events" behind them.
func gitlabEvents() []string {
	return strings.Fields(`push tag_push issues confidential_issues merge_requests note confidential_note job pipeline
		wiki_page deployment feature_flag releases milestone emoji resource_access_token`)
}

// answered counts failures. After the fourth in a row, an answer that says the hook is wrong disables it for good, and any
// other for a minute, then for two, for four, up to a day. A delivery that arrives forgives everything.
func (g *gitLab) answered(id int64, d Delivery) {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	i := slices.IndexFunc(g.s.hooks, func(h *hook) bool { return h.ID == id })
	if i < 0 {
		return
	}
	h := g.s.hooks[i]
	if d.Code >= 200 && d.Code < 300 {
		h.failures, h.Inactive, h.DisabledUntil = 0, false, time.Time{}
		return
	}
	h.failures++
	switch {
	case h.failures < gitlabFailures:
	case d.Code >= 400 && d.Code < 500:
		h.Inactive = true
	default:
		pause := min(time.Minute<<min(h.failures-gitlabFailures, 11), 24*time.Hour)
		h.DisabledUntil = time.Now().Add(pause)
	}
}

// shape is a hook without its secrets.
func (g *gitLab) hookShape(h *hook) map[string]any {
	shape := map[string]any{
		"id": h.ID, "url": h.URL, "name": "", "description": "", "project_id": h.repository, "created_at": h.created,
		"push_events_branch_filter": h.Filter, "branch_filter_strategy": "wildcard", "custom_webhook_template": nil,
		"enable_ssl_verification": !h.Unverified, "repository_update_events": false, "url_variables": []string{},
		"custom_headers": []string{}, "alert_status": "executable", "disabled_until": nil,
	}
	for _, event := range gitlabEvents() {
		shape[event+"_events"] = slices.Contains(h.Events, event)
	}
	if h.Inactive {
		shape["alert_status"] = "disabled"
	} else if time.Now().Before(h.DisabledUntil) {
		shape["alert_status"], shape["disabled_until"] = "temporarily_disabled", h.DisabledUntil
	}
	if !g.unable {
		shape["token_present"], shape["signing_token_present"] = h.Secret != "", h.SigningToken != ""
	}
	return shape
}

func (g *gitLab) listHooks(w http.ResponseWriter, r *http.Request, repo Repository, _ Right) {
	g.s.mu.Lock()
	shapes := []map[string]any{}
	for _, h := range g.s.hooksOf(repo.ID) {
		shapes = append(shapes, g.hookShape(h))
	}
	g.s.mu.Unlock()
	answerJSON(w, http.StatusOK, g.page(w, r, len(shapes), page(w, r, gitlabPaging(), g.s.url, shapes)))
}

// createHook takes pushes for granted unless told otherwise. It does not mind a second hook with the same address, nor
// parameters that it does not know.
func (g *gitLab) createHook(w http.ResponseWriter, r *http.Request, repo Repository, _ Right) {
	h := &hook{repository: repo.ID, Hook: Hook{Events: []string{"push"}}}
	if !g.change(w, r, h) {
		return
	}
	g.s.mu.Lock()
	shape := g.hookShape(g.s.keepHook(h))
	g.s.mu.Unlock()
	answerJSON(w, http.StatusCreated, shape)
}

// change does to h what a request asks for, or answers why not.
func (g *gitLab) change(w http.ResponseWriter, r *http.Request, h *hook) bool {
	var ask map[string]any
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		answerJSON(w, http.StatusBadRequest, map[string]string{"error": "Problems parsing JSON"})
		return false
	}
	address, _ := ask["url"].(string)
	signing, _ := ask["signing_token"].(string)
	u, err := url.Parse(address)
	switch {
	case address == "":
		answerJSON(w, http.StatusBadRequest, map[string]string{"error": "url is missing"})
		return false
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		answerJSON(w, http.StatusUnprocessableEntity, map[string]string{"error": "Invalid url given"})
		return false
	case signing != "" && !g.unable && !isSigningToken(signing):
		answerJSON(w, http.StatusBadRequest, map[string]any{"message": map[string][]string{"signing_token": {"is invalid"}}})
		return false
	}
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	h.apply(ask, address)
	if signing != "" && !g.unable {
		h.SigningToken = signing
	}
	h.updated = time.Now().UTC().Truncate(time.Second)
	return true
}

// apply sets what is given. With another address, GitLab forgets the secrets, which the new one should not get.
func (h *hook) apply(ask map[string]any, address string) {
	if h.URL != address {
		h.URL, h.Secret, h.SigningToken = address, "", ""
	}
	if token, given := ask["token"].(string); given {
		h.Secret = token
	}
	if verify, given := ask["enable_ssl_verification"].(bool); given {
		h.Unverified = !verify
	}
	if filter, given := ask["push_events_branch_filter"].(string); given {
		h.Filter = filter
	}
	for _, event := range gitlabEvents() {
		wanted, given := ask[event+"_events"].(bool)
		if !given {
			continue
		}
		h.Events = slices.DeleteFunc(h.Events, func(e string) bool { return e == event })
		if wanted {
			h.Events = append(h.Events, event)
		}
	}
}

func isSigningToken(s string) bool {
	text, prefixed := strings.CutPrefix(s, signingPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	return prefixed && err == nil && len(key) == 32
}

// withHook finds the hook of the path.
func (g *gitLab) withHook(next func(w http.ResponseWriter, r *http.Request, repo Repository, h *hook)) onGitLab {
	return func(w http.ResponseWriter, r *http.Request, repo Repository, _ Right) {
		h := g.s.hookOf(repo.ID, r)
		if h == nil {
			g.fail(w, http.StatusNotFound, "Not found")
			return
		}
		next(w, r, repo, h)
	}
}

func (g *gitLab) getHook(w http.ResponseWriter, _ *http.Request, _ Repository, h *hook) {
	g.s.mu.Lock()
	shape := g.hookShape(h)
	g.s.mu.Unlock()
	answerJSON(w, http.StatusOK, shape)
}

// editHook changes what is given. It does not enable a hook that was disabled.
func (g *gitLab) editHook(w http.ResponseWriter, r *http.Request, repo Repository, h *hook) {
	if g.change(w, r, h) {
		g.getHook(w, r, repo, h)
	}
}

func (g *gitLab) deleteHook(w http.ResponseWriter, _ *http.Request, _ Repository, h *hook) {
	g.s.dropHook(h)
	w.WriteHeader(http.StatusNoContent)
}

// testHook sends the newest commits of the default branch once more, also where the hook is disabled.
func (g *gitLab) testHook(w http.ResponseWriter, r *http.Request, repo Repository, h *hook) {
	if r.PathValue("trigger") != "push_events" {
		answerJSON(w, http.StatusBadRequest, map[string]string{"error": "trigger does not have a valid value"})
		return
	}
	past := history{ctx: r.Context(), git: g.s.git, dir: g.s.gitDir(repo.ID)}
	commits, err := past.list(3, "refs/heads/"+repo.DefaultBranch)
	if err != nil || len(commits) == 0 {
		answerJSON(w, http.StatusUnprocessableEntity, map[string]string{"message": "Ensure the project has at least one commit."})
		return
	}
	head, oldest := commits[0].ID, commits[len(commits)-1].ID
	u := update{Ref: "refs/heads/" + repo.DefaultBranch, Before: oldest, After: head, Commit: head, PreviousCommit: oldest}
	event, err := g.pushEvent(repo, push{history: past}, u)
	if err != nil {
		g.fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	g.s.mu.Lock()
	to := *h
	g.s.mu.Unlock()
	o, err := g.to(to, repo, "push", event)
	if err != nil {
		g.fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	g.s.sender.send(o)
	g.fail(w, http.StatusCreated, "Created")
}
