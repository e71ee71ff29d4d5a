package forgetest

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"
)

type githubStatus struct {
	URL         string     `json:"url"`
	ID          int64      `json:"id"`
	NodeID      string     `json:"node_id"`
	State       string     `json:"state"`
	Description *string    `json:"description"`
	TargetURL   *string    `json:"target_url"`
	Context     string     `json:"context"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
	Creator     githubUser `json:"creator"`
}

// fieldError is one entry of GitHub's answer to a request it cannot accept.
type fieldError struct {
	Resource string `json:"resource"`
	Field    string `json:"field,omitempty"`
	Code     string `json:"code"`
	Message  string `json:"message,omitempty"`
}

func (g *gitHub) createStatus(w http.ResponseWriter, r *http.Request, repo Repository) {
	if repo.Archived {
		githubError(w, http.StatusForbidden, "Repository was archived so is read-only.")
		return
	}
	var ask struct {
		State       string `json:"state"`
		TargetURL   string `json:"target_url"`
		Description string `json:"description"`
		Context     string `json:"context"`
	}
	if json.NewDecoder(r.Body).Decode(&ask) != nil {
		githubError(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	st := Status{
		Commit: r.PathValue("sha"), State: ask.State, Context: ask.Context,
		Description: ask.Description, TargetURL: ask.TargetURL,
	}
	if st.Context == "" {
		st.Context = "default"
	}
	h := history{ctx: r.Context(), git: g.s.git, dir: g.s.gitDir(repo.ID)}
	if !regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(st.Commit) || h.resolve(st.Commit) != st.Commit {
		githubError(w, http.StatusUnprocessableEntity, "No commit found for SHA: "+st.Commit)
		return
	}
	if e := g.refuseStatus(repo, st); e != nil {
		answerJSON(w, http.StatusUnprocessableEntity, map[string]any{
			"message": "Validation Failed", "errors": []fieldError{*e},
			"documentation_url": "https://docs.github.com/rest", "status": "422",
		})
		return
	}
	answerJSON(w, http.StatusCreated, g.githubStatus(repo, g.s.addStatus(repo, st)))
}

// refuseStatus returns why GitHub would not take a status, or nil.
func (g *gitHub) refuseStatus(repo Repository, st Status) *fieldError {
	const longest, most = 140, 1000
	if !slices.Contains([]string{"error", "failure", "pending", "success"}, st.State) {
		return &fieldError{Resource: "Status", Field: "state", Code: "custom", Message: "state is not included in the list"}
	}
	if utf8.RuneCountInString(st.Description) > longest {
		return &fieldError{
			Resource: "Status", Field: "description", Code: "custom",
			Message: "description is too long (maximum is 140 characters)",
		}
	}
	had := 0
	for _, old := range g.s.Statuses(repo.FullName, st.Commit) {
		if old.Context == st.Context {
			had++
		}
	}
	if had >= most {
		return &fieldError{
			Resource: "Status", Code: "custom", Message: "This SHA and context has reached the maximum number of statuses.",
		}
	}
	return nil
}

func (g *gitHub) listStatuses(w http.ResponseWriter, r *http.Request, repo Repository) {
	shapes := []githubStatus{}
	for _, st := range slices.Backward(g.s.Statuses(repo.FullName, g.resolveCommit(r, repo))) {
		shapes = append(shapes, g.githubStatus(repo, st))
	}
	answerJSON(w, http.StatusOK, page(w, r, githubPaging(), g.s.url, shapes))
}

func (g *gitHub) combinedStatus(w http.ResponseWriter, r *http.Request, repo Repository) {
	sha := g.resolveCommit(r, repo)
	newest := newestStatuses(g.s.Statuses(repo.FullName, sha))
	state, shapes := "success", []githubStatus{}
	for _, st := range newest {
		shapes = append(shapes, g.githubStatus(repo, st))
		if st.State == "error" || st.State == "failure" {
			state = "failure"
		} else if st.State == "pending" && state == "success" {
			state = "pending"
		}
	}
	if len(newest) == 0 {
		state = "pending"
	}
	api := g.apiURL() + "repos/" + repo.FullName + "/commits/" + sha
	answerJSON(w, http.StatusOK, map[string]any{
		"state": state, "sha": sha, "total_count": len(shapes), "statuses": shapes,
		"repository": g.githubRepository(repo), "commit_url": api, "url": api + "/status",
	})
}

func (g *gitHub) resolveCommit(r *http.Request, repo Repository) string {
	return history{ctx: r.Context(), git: g.s.git, dir: g.s.gitDir(repo.ID)}.resolve(r.PathValue("sha"))
}

func (g *gitHub) githubStatus(repo Repository, st Status) githubStatus {
	optional := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	at := st.At.UTC().Truncate(time.Second)
	return githubStatus{
		URL: g.apiURL() + "repos/" + repo.FullName + "/statuses/" + st.Commit, ID: st.ID, NodeID: nodeID("Status", st.ID),
		State: st.State, Description: optional(st.Description), TargetURL: optional(st.TargetURL), Context: st.Context,
		CreatedAt: at, UpdatedAt: at, Creator: githubUser{
			Login: "tinyforge[bot]", ID: g.appID, Type: "Bot", URL: g.apiURL() + "users/tinyforge[bot]",
		},
	}
}
