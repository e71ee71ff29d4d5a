package settings

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"tinyforge/db"
	"tinyforge/templates"
)

// rollbackPage asks whether to make an earlier release serve again.
type rollbackPage struct {
	Workload db.Workload
	Live     *liveRelease
	Target   db.Deployment
	Leaving  []db.Deployment // of which the commits serve no more after it, newest first
	More     bool            // there are more than are listed
	Gone     string          // why the release cannot be started any more, in words; "" when it can
	Form     *templates.Form
	Commits  commitLinks
}

// mostLeaving bounds the list of what leaves.
const mostLeaving = 50

func (v *visit) rollbackForm() error {
	w, target, err := v.rollbackTarget(v.r.URL.Query().Get("to"))
	if err != nil {
		return err
	}
	page, err := v.rollbackPage(w, target)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if page.Gone != "" {
		status = http.StatusConflict
	}
	f := v.workloadFrame(w, "")
	f.Title = v.say("title.rollback", "workload", w.Name, "number", target.ID)
	f.Crumbs[1].Href = workloadPath(w)
	f.Crumbs = append(f.Crumbs, crumb{Text: v.say("act.rollback_to", "number", target.ID)})
	return v.render(status, "overview/rollback", f, page)
}

// rollbackTarget finds the release that is to serve again, and refuses one that never did or that serves.
func (v *visit) rollbackTarget(number string) (w db.Workload, target db.Deployment, err error) {
	if w, _, err = v.editedWorkload(); err != nil {
		return w, target, err
	}
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return w, target, refuse(http.StatusBadRequest, "http.400")
	}
	target, err = v.DB.Deployment(v.r.Context(), id)
	switch {
	case errors.Is(err, db.ErrNotFound) || err == nil && target.WorkloadID != w.ID:
		return w, target, refuse(http.StatusNotFound, "http.404_deployment", "number", id, "workload", w.Name)
	case err != nil:
		return w, target, err
	case target.Phase == db.PhaseLive:
		return w, target, refuse(http.StatusConflict, "err.rollback_live", "number", id)
	case target.Phase != db.PhaseRetired || target.Release == nil:
		return w, target, refuse(http.StatusConflict, "err.rollback_never", "number", id)
	}
	return w, target, nil
}

func (v *visit) rollbackPage(w db.Workload, target db.Deployment) (*rollbackPage, error) {
	ctx := v.r.Context()
	page := &rollbackPage{Workload: w, Target: target, Form: filled("to", strconv.FormatInt(target.ID, 10))}
	var err error
	if page.Live, err = v.liveRelease(w.ID); err != nil {
		return nil, err
	}
	since, err := v.DB.History(ctx, db.Part{WorkloadID: w.ID, Phases: db.Released(), Limit: mostLeaving + 1})
	if err != nil {
		return nil, err
	}
	for _, dep := range since {
		known := func(other db.Deployment) bool { return other.Commit == dep.Commit }
		if dep.ID > target.ID && dep.Commit != target.Commit && !slices.ContainsFunc(page.Leaving, known) {
			page.Leaving = append(page.Leaving, dep)
		}
	}
	page.More = len(since) > mostLeaving && since[mostLeaving].ID > target.ID
	if v.Releases != nil {
		ctx, cancel := context.WithTimeout(ctx, inspectLimit)
		defer cancel()
		if err := v.Releases.Ready(ctx, *target.Release); err != nil {
			page.Gone = err.Error()
		}
	}
	repo, err := v.DB.Repository(ctx, w.RepositoryID)
	if err != nil {
		return nil, err
	}
	page.Commits, err = v.commitLinks(repo)
	return page, err
}

func (v *visit) rollback() error {
	form, err := v.form()
	if err != nil {
		return err
	}
	w, target, err := v.rollbackTarget(form.Get("to"))
	if err != nil {
		return err
	}
	queue, pause := v.DB.QueueRollback, form.Is("rollback_pause", "on") && w.Enabled
	if pause {
		queue = v.DB.QueueRollbackPaused
	}
	dep, err := queue(v.r.Context(), target.ID)
	switch {
	case errors.Is(err, db.ErrNoRollback):
		return refuse(http.StatusConflict, "err.rollback_live", "number", target.ID)
	case err != nil:
		return err
	}
	if pause {
		if err := v.audit("workload.paused", w.Name, ""); err != nil {
			return err
		}
	}
	return v.queued(w, dep, "deployment.rollback", "flash.rollback_queued", target.ID)
}
