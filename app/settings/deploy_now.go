package settings

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"tinyforge/db"
	"tinyforge/templates"
)

var (
	fullHash  = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	shortHash = regexp.MustCompile(`^[0-9a-f]{7,64}$`)
)

// chosen is a commit that somebody wants deployed.
type chosen struct{ ref, commit string }

// againPage asks whether to deploy what is live once more.
type againPage struct {
	Workload db.Workload
	Live     db.Deployment
	Ref      string // as it was typed
}

// deployNow queues a deployment of the head of what the workload follows, or of a branch, tag or commit that was named.
func (v *visit) deployNow() error {
	w, repo, err := v.editedWorkload()
	if err != nil {
		return err
	}
	form, err := v.form()
	if err != nil {
		return err
	}
	c, err := v.choose(w, repo, form)
	if err != nil {
		return err
	}
	if !form.Valid() {
		return v.showWorkload(http.StatusUnprocessableEntity, w, repo, form)
	}
	ctx := v.r.Context()
	now, err := v.DB.History(ctx, db.Part{WorkloadID: w.ID, Phases: db.Unfinished(), Limit: 2})
	if err != nil {
		return err
	}
	if len(now) > 0 && now[0].Commit == c.commit && !now[0].GivenUp() {
		return v.redirect(deploymentPath(w, now[0].ID), templates.Message{Key: "flash.deploy_same", Values: []any{"commit", short(c.commit)}})
	}
	known, err := v.DB.DeployedCommit(ctx, w.ID, c.commit)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return err
	}
	if live, err := v.liveRelease(w.ID); err != nil {
		return err
	} else if live != nil && live.Commit == c.commit && form.Get("again") == "" {
		f := v.workloadFrame(w, "")
		f.Title, f.Path = v.say("title.again", "workload", w.Name), workloadPath(w)
		return v.render(http.StatusOK, "overview/again", f, againPage{w, live.Deployment, form.Get("ref")})
	}
	dep, err := v.DB.QueueCommit(ctx, w.ID, c.ref, c.commit, known.Message, known.Author)
	if err != nil {
		return err
	}
	return v.queued(w, dep, "deployment.queued", "flash.deploy_queued", dep.ID)
}

// queued leads to a deployment that was asked for.
func (v *visit) queued(w db.Workload, dep db.Deployment, action, said string, number int64) error {
	if err := v.audit(action, w.Name, strconv.FormatInt(dep.ID, 10)); err != nil {
		return err
	}
	return v.redirect(deploymentPath(w, dep.ID), templates.Message{Key: said, Values: []any{"number", number}})
}

// choose finds the commit that the form names. What is wrong with it is noted in the form.
func (v *visit) choose(w db.Workload, repo db.Repository, form *templates.Form) (chosen, error) {
	name := strings.TrimSpace(form.Get("ref"))
	usual, err := v.usualRef(w, repo)
	if err != nil {
		return chosen{}, err
	}
	if name == "" && usual == "" {
		form.Fail("ref", "err.ref_which", "pattern", w.RefPattern)
		return chosen{}, nil
	}
	if fullHash.MatchString(name) { // what was deployed before needs no forge
		if c, ok, err := v.byPrefix(w, nil, name); ok || err != nil {
			return c, err
		}
	}
	heads, err := v.heads(repo)
	if err != nil {
		v.Log.WarnContext(v.r.Context(), "ask forge for branches", "repository", repo.FullName, "error", err)
		form.Fail("ref", "err.heads", "detail", err.Error())
		return chosen{}, nil
	}
	wanted := name
	if wanted == "" {
		wanted = usual
	}
	for _, ref := range []string{wanted, "refs/heads/" + wanted, "refs/tags/" + strings.TrimPrefix(wanted, "tags/")} {
		if commit := heads[ref]; commit != "" {
			return chosen{ref, commit}, nil
		}
	}
	if c, ok, err := v.byPrefix(w, heads, name); ok || err != nil {
		return c, err
	}
	if fullHash.MatchString(name) { // forges show commits of other people's forks too
		form.Fail("ref", "err.commit_unknown", "commit", short(name))
		return chosen{}, nil
	}
	form.Fail("ref", "err.ref_unknown", "ref", shortRef(wanted))
	return chosen{}, nil
}

// byPrefix finds a commit by its first characters: among the heads, and among what was deployed.
func (v *visit) byPrefix(w db.Workload, heads map[string]string, name string) (chosen, bool, error) {
	if !shortHash.MatchString(name) {
		return chosen{}, false, nil
	}
	for ref, commit := range heads {
		if strings.HasPrefix(commit, name) {
			return chosen{ref, commit}, true, nil
		}
	}
	dep, err := v.DB.DeployedCommit(v.r.Context(), w.ID, name)
	if errors.Is(err, db.ErrNotFound) {
		return chosen{}, false, nil
	}
	return chosen{dep.Ref, dep.Commit}, err == nil, err
}

// usualRef is the ref that a workload follows; of several the one that was deployed last. "" where that is not known.
func (v *visit) usualRef(w db.Workload, repo db.Repository) (string, error) {
	pattern := w.RefPattern
	switch {
	case strings.ContainsAny(pattern, `*?[{\`):
		last, err := v.DB.History(v.r.Context(), db.Part{WorkloadID: w.ID, Limit: 1})
		if err != nil || len(last) == 0 {
			return "", err
		}
		return last[0].Ref, nil
	case pattern == "" && repo.DefaultBranch == "":
		return "", nil
	case pattern == "":
		return "refs/heads/" + repo.DefaultBranch, nil
	case strings.HasPrefix(pattern, "refs/"):
		return pattern, nil
	case strings.HasPrefix(pattern, "tags/"):
		return "refs/" + pattern, nil
	}
	return "refs/heads/" + pattern, nil
}

func (v *visit) heads(repo db.Repository) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(v.r.Context(), lookFor)
	defer cancel()
	return v.Code.Heads(ctx, repo)
}

func short(commit string) string { return commit[:min(7, len(commit))] }

// shortRef is a branch or tag without what git writes before it.
func shortRef(ref string) string {
	return strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/tags/")
}
