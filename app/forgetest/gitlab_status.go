package forgetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

type gitlabStatus struct {
	ID          int64     `json:"id"`
	SHA         string    `json:"sha"`
	Ref         string    `json:"ref"`
	State       string    `json:"status"`
	Name        string    `json:"name"`
	TargetURL   *string   `json:"target_url"`
	Description *string   `json:"description"`
	CreatedAt   time.Time `json:"created_at"`
	Coverage    *float64  `json:"coverage"`
	PipelineID  int64     `json:"pipeline_id"`
}

func (g *gitLab) status(st Status, ref string) gitlabStatus {
	optional := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	return gitlabStatus{
		ID: st.ID, SHA: st.Commit, Ref: ref, State: strings.Replace(st.State, "failure", "failed", 1), Name: st.Context, TargetURL: optional(st.TargetURL),
		Description: optional(st.Description), CreatedAt: st.At.UTC().Truncate(time.Second), PipelineID: 1,
	}
}

// createStatus takes a commit by any name that git resolves, if a branch holds it.
func (g *gitLab) createStatus(w http.ResponseWriter, r *http.Request, repo Repository, _ Right) {
	var ask struct {
		State       string `json:"state"`
		Name        string `json:"name"`
		Context     string `json:"context"`
		TargetURL   string `json:"target_url"`
		Description string `json:"description"`
	}
	if json.NewDecoder(r.Body).Decode(&ask) != nil || !slices.Contains(gitlabStates(), ask.State) {
		answerJSON(w, http.StatusBadRequest, map[string]string{"error": "state does not have a valid value"})
		return
	}
	if repo.Archived {
		g.fail(w, http.StatusForbidden, "Forbidden")
		return
	}
	commit, ref, missing := g.commitOf(r, repo)
	if missing != "" {
		g.fail(w, http.StatusNotFound, missing+" Not Found")
		return
	}
	for name, text := range map[string]string{"description": ask.Description, "target_url": ask.TargetURL} {
		if utf8.RuneCountInString(text) > 255 {
			answerJSON(w, http.StatusBadRequest, map[string]any{
				"message": map[string][]string{name: {"is too long (maximum is 255 characters)"}},
			})
			return
		}
	}
	st := Status{
		Commit: commit, State: strings.Replace(ask.State, "failed", "failure", 1), Context: ask.Name,
		Description: ask.Description, TargetURL: ask.TargetURL,
	}
	if st.Context == "" {
		st.Context = ask.Context
	}
	if st.Context == "" {
		st.Context = "default"
	}
	st, problem := g.transition(repo, st)
	if problem != "" {
		answerJSON(w, http.StatusBadRequest, map[string]string{"message": problem})
		return
	}
	answerJSON(w, http.StatusCreated, g.status(st, ref))
}

func gitlabStates() []string {
	return []string{"pending", "running", "success", "failed", "canceled", "skipped"}
}

// commitOf returns the commit of the path and a branch that holds it, or which of the two is missing.
func (g *gitLab) commitOf(r *http.Request, repo Repository) (commit, ref, missing string) {
	dir := g.s.gitDir(repo.ID)
	commit = history{ctx: r.Context(), git: g.s.git, dir: dir}.resolve(r.PathValue("sha"))
	if commit == "" {
		return "", "", "Commit"
	}
	branches, err := g.s.git.run(r.Context(), dir, nil, "for-each-ref", "--contains="+commit, "--format=%(refname:short)", "refs/heads/")
	if err != nil || branches == "" {
		return "", "", "References for commit"
	}
	return commit, strings.Fields(branches)[0], ""
}

// transition changes the status of this name that is not final yet, or makes a new one. What was posted is kept: entries
// with the same ID are one status that has changed.
func (g *gitLab) transition(repo Repository, st Status) (made Status, problem string) {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	stored := g.s.repositories[repo.ID]
	if stored == nil {
		return st, "404 Project Not Found"
	}
	open := openStatus(stored.statusesOf(st.Commit), st.Context)
	event := map[string]string{"pending": "enqueue", "running": "run"}[st.State]
	switch {
	case open == nil:
		g.s.lastID++
		st.ID = g.s.lastID
	case event != "" && (open.State == st.State || open.State == "running"):
		return st, fmt.Sprintf("Cannot transition status via :%s from :%s (Reason(s): Status cannot transition via %q)", event, open.State, event)
	default:
		st.ID = open.ID
	}
	st.At = time.Now()
	stored.statuses = append(stored.statuses, st)
	return st, ""
}

// openStatus returns the newest status of a name when it is pending or running, otherwise nil.
func openStatus(all []Status, name string) *Status {
	for _, st := range slices.Backward(all) {
		if st.Context != name {
			continue
		}
		if st.State == "pending" || st.State == "running" {
			return &st
		}
		return nil
	}
	return nil
}

// listStatuses lists the newest status of each name or, with all, every one.
func (g *gitLab) listStatuses(w http.ResponseWriter, r *http.Request, repo Repository, _ Right) {
	commit, ref, missing := g.commitOf(r, repo)
	if missing != "" {
		g.fail(w, http.StatusNotFound, missing+" Not Found")
		return
	}
	shapes, seen := []gitlabStatus{}, map[any]bool{}
	for _, st := range slices.Backward(g.s.Statuses(repo.FullName, commit)) {
		key := any(st.Context)
		if r.URL.Query().Get("all") == "true" {
			key = st.ID
		}
		if !seen[key] {
			seen[key] = true
			shapes = append(shapes, g.status(st, ref))
		}
	}
	answerJSON(w, http.StatusOK, g.page(w, r, len(shapes), page(w, r, gitlabPaging(), g.s.url, shapes)))
}
