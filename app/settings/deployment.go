package settings

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tinyforge/db"
	"tinyforge/templates"
)

// deploymentPage is one deployment: how it went, phase by phase, and its log.
type deploymentPage struct {
	Deployment db.Deployment
	Sites      []siteLink
	Workload   db.Workload
	Commit     string // its address at the forge; "" where that is not known
	Delivery   *db.Delivery
	State      string // "failed"
	Took       time.Duration
	Ahead      int    // of a queued one: how many are before it
	Nobody     string // the runtimes that it needs where no running process has them all
	Phases     []phaseRow
	Failure    *failure // nil unless it failed
	Downtime   time.Duration
	Swap       swap
	Report     report
	Replaced   int64 // by which deployment it was superseded; 0 where that is not known
	Log        logPart
	MayDeploy  bool
	MayCancel  bool
	Again      bool // it may be deployed once more
	Back       bool // its release may serve again
	Stream     string
	Reload     reload
}

// report is how the commit's status stands at the forge.
type report struct {
	State string // "off", "waiting", "sent", "refused"; "none" where there is nothing to report
	Sent  db.Status
	Tries int
	At    time.Time // of the next try
	Code  string    // why it was refused
}

// swap is what visitors saw while the route moved.
type swap struct {
	Shown, Measured bool
	Served, Failed  int
}

// Path is the address of the page.
func (p *deploymentPage) Path() string { return deploymentPath(p.Workload, p.Deployment.ID) }

func deploymentPath(w db.Workload, id int64) string {
	return workloadPath(w) + "/deployments/" + strconv.FormatInt(id, 10)
}

// namedDeployment finds the deployment of the address.
func (v *visit) namedDeployment() (w db.Workload, dep db.Deployment, err error) {
	if w, _, err = v.editedWorkload(); err != nil {
		return w, dep, err
	}
	id, err := strconv.ParseInt(v.r.PathValue("number"), 10, 64)
	if err != nil {
		return w, dep, refuse(http.StatusNotFound, "http.404")
	}
	dep, err = v.DB.Deployment(v.r.Context(), id)
	if errors.Is(err, db.ErrNotFound) || err == nil && dep.WorkloadID != w.ID {
		return w, dep, refuse(http.StatusNotFound, "http.404_deployment", "number", id, "workload", w.Name)
	}
	return w, dep, err
}

// permanentLink leads from what commit statuses link to, which outlives names, to the page of a deployment.
func (v *visit) permanentLink() error {
	id, err := strconv.ParseInt(v.r.PathValue("number"), 10, 64)
	if err != nil {
		return refuse(http.StatusNotFound, "http.404")
	}
	dep, err := v.DB.Deployment(v.r.Context(), id)
	if errors.Is(err, db.ErrNotFound) {
		return refuse(http.StatusNotFound, "http.404_deployment_gone", "number", id)
	}
	if err != nil {
		return err
	}
	w, err := v.DB.Workload(v.r.Context(), dep.WorkloadID)
	if errors.Is(err, db.ErrNotFound) || err == nil && w.DeletedAt != nil {
		return refuse(http.StatusNotFound, "http.404_deployment_gone", "number", id)
	}
	if err != nil {
		return err
	}
	return v.redirect(deploymentPath(w, id), templates.Message{})
}

func (v *visit) deployment() error {
	w, dep, err := v.namedDeployment()
	if err != nil {
		return err
	}
	page, err := v.deploymentPage(w, dep)
	if err != nil {
		return err
	}
	if page.Log, err = v.logPart(w, dep, v.r.URL.Query()); err != nil {
		return err
	}
	f := v.workloadFrame(w, "title.deployments")
	f.Title, f.Icon = deploymentTitle(w, dep), deploymentIcon(dep)
	f.Heading = v.say("title.deployment", "number", dep.ID)
	f.Crumbs[1].Href = workloadPath(w)
	f.Crumbs = append(f.Crumbs, crumb{v.say("title.deployments"), workloadPath(w) + "/deployments"}, crumb{Text: strconv.FormatInt(dep.ID, 10)})
	f.Refresh = page.Reload.Seconds
	return v.render(http.StatusOK, "deployments/deployment", f, page)
}

// deploymentTitle begins with the state, so that a tab tells it.
func deploymentTitle(w db.Workload, dep db.Deployment) string {
	glyph := map[db.Status]string{db.StatusPending: "…", db.StatusSuccess: "✓", db.StatusFailure: "✕"}[dep.Phase.Status()]
	return glyph + " #" + strconv.FormatInt(dep.ID, 10) + " " + w.Name
}

func deploymentIcon(dep db.Deployment) string {
	switch {
	case !dep.Phase.Final():
		return "icon-running.svg"
	case dep.Phase == db.PhaseFailed:
		return "icon-failed.svg"
	}
	return "icon-neutral.svg"
}

// badgeOf is what the badge of a deployment says.
func badgeOf(phase db.Phase) string {
	switch phase {
	case db.PhaseQueued, db.PhaseLive, db.PhaseFailed, db.PhaseSuperseded, db.PhaseCancelled, db.PhaseSkipped, db.PhaseRetired:
		return string(phase)
	}
	return "running"
}

// deploymentPage reads what the page shows beside the log.
func (v *visit) deploymentPage(w db.Workload, dep db.Deployment) (*deploymentPage, error) {
	ctx := v.r.Context()
	p := &deploymentPage{
		Sites:      v.sites(w.Hosts()...),
		Deployment: dep, Workload: w, State: badgeOf(dep.Phase), Took: dep.Duration(), Report: reportOf(w, dep),
		MayDeploy: v.user.Role.May(db.Deployer), Stream: deploymentPath(w, dep.ID) + "/events",
	}
	p.MayCancel = p.MayDeploy && cancellable(dep)
	p.Again = p.MayDeploy && dep.Phase.Final()
	p.Back = p.MayDeploy && dep.Phase == db.PhaseRetired && dep.Release != nil
	p.Reload = v.reload(!dep.Phase.Final(), 5)
	waits, err := v.nobody(ctx, dep)
	if err != nil {
		return nil, err
	}
	if waits != nil {
		p.Nobody = strings.Join(waits.Runtimes, ", ")
	}
	repo, err := v.DB.Repository(ctx, dep.RepositoryID)
	if err != nil {
		return nil, err
	}
	links, err := v.commitLinks(repo)
	if err != nil {
		return nil, err
	}
	p.Commit = links.URL(dep.Commit)
	before, err := v.DB.History(ctx, db.Part{WorkloadID: w.ID, Phases: db.Released(), Before: dep.ID, Limit: 1})
	if err != nil {
		return nil, err
	}
	p.Phases = phaseRows(dep, time.Now())
	if len(before) > 0 {
		p.Downtime = downtime(dep, time.Now())
		p.Swap = swapOf(dep)
	}
	if p.Failure, err = v.failure(w, dep, before); err != nil {
		return nil, err
	}
	if dep.Phase == db.PhaseQueued {
		if p.Ahead, err = v.DB.CountAhead(ctx, dep.ID); err != nil {
			return nil, err
		}
	}
	if dep.Phase == db.PhaseSuperseded {
		next, err := v.DB.DeployedCommit(ctx, w.ID, dep.SupersededBy)
		if err == nil && next.ID > dep.ID {
			p.Replaced = next.ID
		} else if err != nil && !errors.Is(err, db.ErrNotFound) {
			return nil, err
		}
	}
	return p, nil
}

// nobody tells why no running process takes an unfinished deployment; nil where one does, or will.
func (c *Config) nobody(ctx context.Context, dep db.Deployment) (*db.Unoffered, error) {
	if dep.Phase.Final() {
		return nil, nil
	}
	own := c.Runtimes
	if own == nil {
		own = []string{db.RuntimeDocker}
	}
	return c.DB.UnofferedWorkload(ctx, dep.WorkloadID, own...)
}

// cancellable tells whether it is not too late.
func cancellable(dep db.Deployment) bool {
	return !dep.GivenUp() && !dep.Phase.Final() && !dep.Phase.Committed()
}

func reportOf(w db.Workload, dep db.Deployment) report {
	switch {
	case dep.Cause == db.CauseScale:
		return report{State: "none"}
	case w.ReportsStatus() && dep.Reported != dep.Status:
		return report{State: "waiting", Tries: dep.ReportAttempts, At: dep.ReportAfter}
	case dep.ReportError != "":
		return report{State: "refused", Code: dep.ReportError}
	case w.ReportsStatus() && dep.ReportSent != "" && dep.ReportSent != dep.Status:
		return report{State: "shared", Sent: dep.ReportSent}
	case dep.ReportSent != "":
		return report{State: "sent", Sent: dep.ReportSent}
	}
	return report{State: "off"}
}

func swapOf(dep db.Deployment) swap {
	moved := false
	for _, e := range dep.Entered {
		moved = moved || e.Phase == db.PhaseRouting
	}
	if dep.Served == nil || dep.Refused == nil {
		return swap{Shown: moved && dep.Phase.Final()}
	}
	return swap{true, true, int(*dep.Served), int(*dep.Refused)}
}

func (v *visit) cancel() error {
	w, dep, err := v.namedDeployment()
	if err != nil {
		return err
	}
	switch err := v.DB.Cancel(v.r.Context(), dep.ID); {
	case errors.Is(err, db.ErrTooLate):
		return refuse(http.StatusConflict, "err.too_late", "number", dep.ID)
	case err != nil:
		return err
	}
	return v.queued(w, dep, "deployment.cancelled", "flash.cancelled", dep.ID)
}

func (v *visit) redeploy() error {
	w, dep, err := v.namedDeployment()
	if err != nil {
		return err
	}
	again, err := v.DB.QueueRedeploy(v.r.Context(), dep.ID)
	if err != nil {
		return err
	}
	return v.queued(w, again, "deployment.redeployed", "flash.deploy_queued", again.ID)
}
