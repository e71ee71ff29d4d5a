package settings

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"tinyforge/db"
	"tinyforge/templates"
)

var (
	// ErrNotLive is returned by Scale for a workload of which nothing serves.
	ErrNotLive = errors.New("nothing of the workload is live: deploy it first")

	// ErrRunsOnce is returned by Scale where what serves can run only once, whatever the config says by now.
	ErrRunsOnce = errors.New("what is live can run only once, on one Docker or for a volume that it writes to: the settings take effect with a deployment")
)

// ScaleRefused is the error of Scale for a number that the config must not have.
type ScaleRefused []Fault

func (r ScaleRefused) Error() string {
	var all []string
	for _, f := range r {
		all = append(all, strings.TrimSpace(f.Path+" "+f.Text))
	}
	return strings.Join(all, "; ")
}

// scaleTries is how often a config that somebody else saves meanwhile is read again.
const scaleTries = 5

// Scale writes into the config of a workload how often it is to run, which changes nothing else of it, and queues the deployment that
// makes it so. changed tells whether the config said another number. It returns ErrNotLive, ErrRunsOnce, ScaleRefused, or
// db.ErrNotFound.
func Scale(ctx context.Context, d *db.DB, sources Sources, workloadID int64, replicas int) (dep db.Deployment, changed bool, err error) {
	for try := 1; ; try++ {
		changed, err = setReplicas(ctx, d, sources, workloadID, replicas)
		if !errors.Is(err, db.ErrStale) || try == scaleTries {
			break
		}
	}
	if err != nil {
		return dep, false, err
	}
	dep, err = d.QueueScale(ctx, workloadID)
	return dep, changed, err
}

func setReplicas(ctx context.Context, d *db.DB, sources Sources, workloadID int64, replicas int) (changed bool, err error) {
	w, err := d.Workload(ctx, workloadID)
	if err != nil {
		return false, err
	}
	if replicas < 1 {
		return false, ScaleRefused{{"replicas", "must be 1 or more"}}
	}
	saved := readObject(w.Config)
	config := saved.with(rawJSON(replicas), "replicas")
	if faults := sources.Check(w.Source, config.raw()); len(faults) > 0 {
		return false, ScaleRefused(faults)
	}
	live, err := d.RuntimeState(ctx, workloadID)
	switch {
	case errors.Is(err, db.ErrNotFound):
		return false, ErrNotLive
	case err != nil:
		return false, err
	case !live.Release.Scales():
		return false, ErrRunsOnce
	case w.Replicas() == replicas:
		return false, nil
	}
	w.Config = config.raw()
	return true, d.ChangeWorkload(ctx, &w)
}

// Copies is how often the release is to run.
func (l *liveRelease) Copies() int { return max(1, l.Release.Replicas) }

// madeOf is the workload as what serves was made of it. How often that runs was perhaps changed since, in place.
func (l *liveRelease) madeOf(w db.Workload) db.Workload {
	was := w.At(*l.Release.Origin)
	if !l.Release.Scales() {
		return was
	}
	says := rawJSON(l.Copies())
	if w.Replicas() == l.Copies() {
		says = readObject(w.Config).get("replicas")
	}
	was.Config = readObject(was.Config).with(says, "replicas").raw()
	return was
}

// CheckReplicas is an error for a number above what people may ask for: most, 0 being 1000, or as many as an administrator has allowed by
// the workload's config.
func CheckReplicas(w db.Workload, replicas, most int) error {
	if most = mostOf(w, most); replicas > most {
		return fmt.Errorf("replicas must be %d or less: an administrator can allow more in the workload's settings, or with --max-replicas", most)
	}
	return nil
}

func mostOf(w db.Workload, most int) int { return max(cmp.Or(most, mostReplicas), w.Replicas()) }

// scale makes what is live run more often, or less.
func (v *visit) scale() error {
	w, repo, err := v.editedWorkload()
	if err != nil {
		return err
	}
	form, err := v.form()
	if err != nil {
		return err
	}
	replicas, err := strconv.Atoi(strings.TrimSpace(form.Get("replicas")))
	if err != nil || replicas < 1 || CheckReplicas(w, replicas, v.MaxReplicas) != nil {
		form.Fail("replicas", "err.number", "min", 1, "max", mostOf(w, v.MaxReplicas))
		return v.showWorkload(http.StatusUnprocessableEntity, w, repo, form)
	}
	dep, changed, err := Scale(v.r.Context(), v.DB, v.Sources, w.ID, replicas)
	var refused ScaleRefused
	switch {
	case errors.As(err, &refused):
		for _, fault := range refused {
			form.Refuse("replicas", scaleMessage(fault))
		}
		return v.showWorkload(http.StatusUnprocessableEntity, w, repo, form)
	case errors.Is(err, ErrNotLive):
		return refuse(http.StatusConflict, "err.scale_not_live")
	case errors.Is(err, ErrRunsOnce):
		return refuse(http.StatusConflict, "err.scale_once")
	case err != nil:
		return err
	}
	if changed {
		if err := v.audit("workload.saved", w.Name, "replicas"); err != nil {
			return err
		}
	}
	if dep.Cause != db.CauseScale {
		return v.queued(w, dep, "deployment.scaled", "flash.scale_waits", dep.ID)
	}
	return v.queued(w, dep, "deployment.scaled", "flash.scale_queued", int64(replicas))
}

func scaleMessage(f Fault) templates.Message {
	if f.Path == "replicas" {
		return templates.Message{Detail: f.Text}
	}
	return templates.Message{Key: "err.at", Values: []any{"path", f.Path}, Detail: f.Text}
}

// scale is scale of the pages.
func (c *apiCall) scale() (any, error) {
	w, err := c.named()
	if err != nil {
		return nil, err
	}
	var wanted struct {
		Replicas *int `json:"replicas"`
	}
	if err := c.read(&wanted); err != nil {
		return nil, err
	}
	if wanted.Replicas == nil {
		return nil, apiRefuse(http.StatusUnprocessableEntity, `say how often it is to run, with {"replicas": 3}`)
	}
	if err := CheckReplicas(w, *wanted.Replicas, c.MaxReplicas); err != nil {
		return nil, apiRefuse(http.StatusUnprocessableEntity, "%s", err)
	}
	dep, changed, err := Scale(c.r.Context(), c.DB, c.Sources, w.ID, *wanted.Replicas)
	var refused ScaleRefused
	switch {
	case errors.As(err, &refused):
		return nil, apiRefuse(http.StatusUnprocessableEntity, "%s", refused)
	case errors.Is(err, ErrNotLive), errors.Is(err, ErrRunsOnce):
		return nil, apiRefuse(http.StatusConflict, "%s", err)
	case err != nil:
		return nil, err
	}
	if changed {
		if err := c.audit("workload.saved", w.Name, "replicas"); err != nil {
			return nil, err
		}
	}
	return c.queued(w, dep, "deployment.scaled")
}
