package forgetest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

type giteaStatus struct {
	ID          int64     `json:"id"`
	State       string    `json:"status"`
	TargetURL   string    `json:"target_url"`
	Description string    `json:"description"`
	URL         string    `json:"url"`
	Context     string    `json:"context"`
	Creator     giteaUser `json:"creator"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

func (g *gitea) status(repo Repository, st Status) giteaStatus {
	at := st.At.UTC().Truncate(time.Second)
	return giteaStatus{
		ID: st.ID, State: st.State, TargetURL: st.TargetURL, Description: st.Description, Context: st.Context,
		URL:     g.s.url + "/api/v1/repos/" + repo.FullName + "/statuses/" + st.Commit,
		Creator: g.user(Developer), CreatedAt: at, UpdatedAt: at,
	}
}

// createStatus takes any state and any length, as Gitea does, and a commit by any name that git resolves.
func (g *gitea) createStatus(w http.ResponseWriter, r *http.Request, repo Repository, _ Right) {
	var ask struct {
		State       string `json:"state"`
		TargetURL   string `json:"target_url"`
		Description string `json:"description"`
		Context     string `json:"context"`
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil && err != io.EOF {
		g.fail(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	commit, found := g.commitOf(w, r, repo)
	if !found {
		return
	}
	st := g.s.addStatus(repo, Status{
		Commit: commit, State: ask.State, Context: ask.Context, Description: ask.Description, TargetURL: ask.TargetURL,
	})
	answerJSON(w, http.StatusCreated, g.status(repo, st))
}

// commitOf resolves the commit of the path, or answers 500, as Gitea does.
func (g *gitea) commitOf(w http.ResponseWriter, r *http.Request, repo Repository) (string, bool) {
	name := r.PathValue("sha")
	commit := history{ctx: r.Context(), git: g.s.git, dir: g.s.gitDir(repo.ID)}.resolve(name)
	if commit == "" {
		g.fail(w, http.StatusInternalServerError,
			fmt.Sprintf("GetCommit[%s]: object does not exist [id: %s, rel_path: ]", name, name))
		return "", false
	}
	return commit, true
}

func (g *gitea) listStatuses(w http.ResponseWriter, r *http.Request, repo Repository, _ Right) {
	commit, found := g.commitOf(w, r, repo)
	if !found {
		return
	}
	shapes := []giteaStatus{}
	for _, st := range g.s.Statuses(repo.FullName, commit) {
		shapes = append(shapes, g.status(repo, st))
	}
	answerJSON(w, http.StatusOK, giteaPage(w, r, g.s.url, shapes))
}

func (g *gitea) combinedStatus(w http.ResponseWriter, r *http.Request, repo Repository, right Right) {
	commit, found := g.commitOf(w, r, repo)
	if !found {
		return
	}
	var shapes []giteaStatus // null, not [], when there is none
	var states []string
	for _, st := range newestStatuses(g.s.Statuses(repo.FullName, commit)) {
		shapes = append(shapes, g.status(repo, st))
		states = append(states, st.State)
	}
	api := g.s.url + "/api/v1/repos/" + repo.FullName + "/commits/" + commit
	answerJSON(w, http.StatusOK, map[string]any{
		"state": giteaCombined(states), "sha": commit, "total_count": len(shapes), "statuses": shapes,
		"repository": g.shape(repo, right), "commit_url": api, "url": api + "/status",
	})
}

func giteaCombined(states []string) string {
	combined := "success"
	for _, state := range states {
		switch state {
		case "error", "failure", "warning":
			return "failure"
		case "success", "skipped":
		default:
			combined = "pending"
		}
	}
	if len(states) == 0 {
		return "pending"
	}
	return combined
}
