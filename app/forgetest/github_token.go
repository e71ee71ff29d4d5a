package forgetest

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"time"
)

// tokenRequest narrows an installation token.
type tokenRequest struct {
	Repositories  []string          `json:"repositories"`
	RepositoryIDs []int64           `json:"repository_ids"`
	Permissions   map[string]string `json:"permissions"`
}

func (g *gitHub) createToken(w http.ResponseWriter, r *http.Request) {
	var ask tokenRequest
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil && err != io.EOF {
		githubError(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	i := g.installations[pathID(r, "installation")]
	if i == nil {
		githubError(w, http.StatusNotFound, "Not Found")
		return
	}
	if i.suspended() {
		githubError(w, http.StatusForbidden, "This installation has been suspended")
		return
	}
	t, problem := g.newToken(i, ask)
	if problem != "" {
		githubError(w, http.StatusUnprocessableEntity, problem)
		return
	}
	value := "ghs_" + randomHex(18)
	g.tokens[value] = t
	answer := map[string]any{
		"token": value, "expires_at": t.expires.UTC().Format(time.RFC3339), "permissions": t.permissions,
		"repository_selection": "selected",
	}
	answerJSON(w, http.StatusCreated, answer)
}

// newToken grants what is asked for, or says why it cannot.
func (g *gitHub) newToken(i *installation, ask tokenRequest) (t *installationToken, problem string) {
	t = &installationToken{installation: i, expires: time.Now().Add(time.Hour).Truncate(time.Second), permissions: appPermissions()}
	if ask.Permissions != nil {
		has := appPermissions()
		for name, level := range ask.Permissions {
			if has[name] != level && has[name] != "write" {
				return nil, "The permissions requested are not granted to this installation."
			}
		}
		t.permissions = maps.Clone(ask.Permissions)
		t.permissions["metadata"] = "read"
	}
	if len(ask.Repositories)+len(ask.RepositoryIDs) == 0 {
		return t, ""
	}
	t.only = map[int64]bool{}
	for _, name := range ask.Repositories {
		id := int64(0)
		if r := g.s.find(i.account + "/" + name); r != nil {
			id = r.ID
		}
		ask.RepositoryIDs = append(ask.RepositoryIDs, id)
	}
	for _, id := range ask.RepositoryIDs {
		if !i.repositories[id] {
			return nil, "There is at least one repository that does not exist or is not accessible to the parent installation."
		}
		t.only[id] = true
	}
	return t, ""
}
