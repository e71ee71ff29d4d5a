package settings

import (
	"errors"
	"net/http"
	"path"
	"strings"
	"time"

	"tinyforge/app"
	"tinyforge/db"
)

// apiWorkload is a workload as scripts see it. Its config and variables are not there: they may hold secrets.
type apiWorkload struct {
	Name       string   `json:"name"`
	Repository string   `json:"repository"`
	Source     string   `json:"source"`
	Ref        string   `json:"ref"` // the pattern; the default branch when the workload has none
	Host       string   `json:"host"`
	Runtime    string   `json:"runtime"`  // what its config says; what serves may be on another one
	Replicas   int      `json:"replicas"` // the same
	Enabled    bool     `json:"enabled"`  // pushes deploy it
	Live       *apiLive `json:"live"`     // null when nothing ever was
}

// apiLive is what serves.
type apiLive struct {
	Deployment int64     `json:"deployment"`
	Commit     string    `json:"commit"`
	Since      time.Time `json:"since"`
	Runtime    string    `json:"runtime"`
	Replicas   int       `json:"replicas"`
}

func newAPIWorkload(w db.Workload, repo db.Repository, state *db.RuntimeState) apiWorkload {
	out := apiWorkload{Name: w.Name, Repository: repo.FullName, Source: w.Source, Ref: w.RefPattern, Host: w.Host, Enabled: w.Enabled,
		Runtime: db.Release{Runtime: w.Runtime}.RuntimeKind(), Replicas: w.Replicas()}
	if out.Ref == "" {
		out.Ref = repo.DefaultBranch
	}
	if state != nil {
		out.Live = &apiLive{state.DeploymentID, state.Commit, state.UpdatedAt, state.Release.RuntimeKind(), max(1, state.Release.Replicas)}
	}
	return out
}

func (c *apiCall) workloads() (any, error) {
	ctx := c.r.Context()
	workloads, err := c.DB.Workloads(ctx)
	if err != nil {
		return nil, err
	}
	repositories, err := c.DB.RepositoriesOfWorkloads(ctx)
	if err != nil {
		return nil, err
	}
	states, err := c.DB.RuntimeStates(ctx)
	if err != nil {
		return nil, err
	}
	live := map[int64]*db.RuntimeState{}
	for i, s := range states {
		live[s.WorkloadID] = &states[i]
	}
	list := []apiWorkload{}
	for _, w := range workloads {
		if w.DeletedAt == nil {
			list = append(list, newAPIWorkload(w, repositories[w.RepositoryID], live[w.ID]))
		}
	}
	return map[string]any{"workloads": list}, nil
}

// named reads the workload in the address.
func (c *apiCall) named() (db.Workload, error) {
	name := c.r.PathValue("name")
	w, err := c.DB.WorkloadByName(c.r.Context(), name)
	if errors.Is(err, db.ErrNotFound) {
		return w, apiRefuse(http.StatusNotFound, "there is no workload %q: GET /api/v1/workloads lists them", name)
	}
	return w, err
}

func (c *apiCall) workload() (any, error) {
	w, err := c.named()
	if err != nil {
		return nil, err
	}
	repo, err := c.DB.Repository(c.r.Context(), w.RepositoryID)
	if err != nil {
		return nil, err
	}
	state, err := c.DB.RuntimeState(c.r.Context(), w.ID)
	if errors.Is(err, db.ErrNotFound) {
		return newAPIWorkload(w, repo, nil), nil
	} else if err != nil {
		return nil, err
	}
	return newAPIWorkload(w, repo, &state), nil
}

// deploy queues the newest commit of a ref: the one that is asked for, else the one that the workload follows.
func (c *apiCall) deploy() (any, error) {
	w, err := c.named()
	if err != nil {
		return nil, err
	}
	var wanted struct {
		Ref string `json:"ref"`
	}
	if err := c.read(&wanted); err != nil {
		return nil, err
	}
	ref, commit, err := c.head(w, wanted.Ref)
	if err != nil {
		return nil, err
	}
	known, err := c.DB.DeployedCommit(c.r.Context(), w.ID, commit)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return nil, err
	}
	dep, err := c.DB.QueueCommit(c.r.Context(), w.ID, ref, commit, known.Message, known.Author)
	if err != nil {
		return nil, err
	}
	return c.queued(w, dep, "deployment.queued")
}

// head asks the forge where a ref is.
func (c *apiCall) head(w db.Workload, wanted string) (ref, commit string, err error) {
	ctx := c.r.Context()
	repo, err := c.DB.Repository(ctx, w.RepositoryID)
	if err != nil {
		return "", "", err
	}
	if wanted == "" {
		wanted = w.RefPattern
	}
	if wanted == "" {
		wanted = repo.DefaultBranch
	}
	if strings.ContainsAny(wanted, "*?[{") {
		return "", "", apiRefuse(http.StatusUnprocessableEntity, "workload %s follows %s: say which branch or tag is meant with {\"ref\": \"...\"}", w.Name, wanted)
	}
	forge, err := c.Forges.Open(ctx, repo.ForgeID)
	if err != nil {
		return "", "", err
	}
	heads, err := forge.Heads(ctx, repo)
	if err != nil {
		c.Log.WarnContext(ctx, "ask a forge for the heads of a repository", "repository", repo.FullName, "error", err)
		var answer *app.StatusError
		if errors.As(err, &answer) {
			return "", "", apiRefuse(http.StatusBadGateway, "the forge answered %d when it was asked for the branches of %s: check the connection on the page of the forge", answer.Code, repo.FullName)
		}
		return "", "", apiRefuse(http.StatusBadGateway, "the forge could not be asked for the branches of %s: try again, or check the connection on the page of the forge", repo.FullName)
	}
	for _, ref := range []string{wanted, "refs/heads/" + wanted, "refs/tags/" + strings.TrimPrefix(wanted, "tags/")} {
		if commit, ok := heads[ref]; ok {
			return ref, commit, nil
		}
	}
	return "", "", apiRefuse(http.StatusUnprocessableEntity, "%s has no branch or tag %s", repo.FullName, path.Clean(wanted))
}

// rollback makes an earlier release serve again: the one before the live one where none is named.
func (c *apiCall) rollback() (any, error) {
	w, err := c.named()
	if err != nil {
		return nil, err
	}
	var wanted struct {
		Deployment int64 `json:"deployment"`
	}
	if err := c.read(&wanted); err != nil {
		return nil, err
	}
	if wanted.Deployment == 0 {
		if wanted.Deployment, err = c.DB.Previous(c.r.Context(), w.ID); errors.Is(err, db.ErrNotFound) {
			return nil, apiRefuse(http.StatusConflict, "workload %s has no earlier release to go back to", w.Name)
		} else if err != nil {
			return nil, err
		}
	}
	old, err := c.DB.Deployment(c.r.Context(), wanted.Deployment)
	if errors.Is(err, db.ErrNotFound) || err == nil && old.WorkloadID != w.ID {
		return nil, apiRefuse(http.StatusNotFound, "workload %s has no deployment %d: GET /api/v1/workloads/%s/deployments lists them", w.Name, wanted.Deployment, w.Name)
	} else if err != nil {
		return nil, err
	}
	dep, err := c.DB.QueueRollback(c.r.Context(), old.ID)
	if errors.Is(err, db.ErrNoRollback) {
		return nil, apiRefuse(http.StatusConflict, "deployment %d is live already, or never was: choose another one that was live", old.ID)
	} else if err != nil {
		return nil, err
	}
	return c.queued(w, dep, "deployment.rollback")
}

// queued answers with a deployment that has just been queued.
func (c *apiCall) queued(w db.Workload, dep db.Deployment, action string) (any, error) {
	if err := c.audit(action, w.Name, idText(dep.ID)); err != nil {
		return nil, err
	}
	shown, err := c.shown(w, dep)
	if err != nil {
		return nil, err
	}
	c.send(http.StatusAccepted, shown)
	return nil, nil
}
