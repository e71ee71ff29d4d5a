package settings

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tinyforge/db"
	"tinyforge/templates"
)

// Releases tells how the releases of workloads are.
type Releases interface {
	// Inspect tells how a release is. One that does not exist is not running.
	Inspect(ctx context.Context, id db.ReleaseID) (Running, error)
	// Ready tells whether all that is needed to start a release is there still. The error says in words what is not.
	Ready(ctx context.Context, r db.Release) error
}

// Running is how a release is.
type Running struct {
	Running  bool
	Restarts int      // how often it had to be started again
	Tail     []string // the last lines of its output, oldest first
}

const (
	inspectLimit = time.Second // for which a page waits for the runtime
	recentRows   = 10
)

// workloadPage is one workload: what serves, what was before, what went on.
type workloadPage struct {
	Workload   db.Workload
	Sites      []siteLink
	Repository db.Repository
	State      string         // "live"
	Now        *db.Deployment // in progress, or queued; nil when there is neither
	Live       *liveRelease   // nil when nothing ever was
	Later      []string       // settings that changed since what serves was made, and need a deployment
	Running    *Running       // nil where it cannot be told
	Output     [][]piece      // the last lines of what serves
	Kept       []deploymentRow
	Recent     []deploymentRow
	Commits    commitLinks
	Form       *templates.Form // "ref" of what is to be deployed, "replicas" of how often what is live is to run
	Scales     bool            // what is live can run several times
	MayDeploy  bool
	MayChange  bool
	Stream     string
	Reload     reload
}

// deploymentRow is a deployment in a table.
type deploymentRow struct {
	db.Deployment
	State string // of its badge
}

func rowsOf(list []db.Deployment) (rows []deploymentRow) {
	for _, dep := range list {
		rows = append(rows, deploymentRow{dep, badgeOf(dep.Phase)})
	}
	return rows
}

// liveRelease is what serves.
type liveRelease struct {
	db.Deployment
	Release db.Release
	Since   time.Time
}

// Path is the address of the workload's page.
func (p *workloadPage) Path() string { return workloadPath(p.Workload) }

// Serving is the commit that serves; "" when nothing ever did.
func (p *workloadPage) Serving() string {
	if p.Live == nil {
		return ""
	}
	return p.Live.Commit
}

func workloadPath(w db.Workload) string { return "/workloads/" + url.PathEscape(w.Name) }

func (v *visit) workload() error {
	w, repo, err := v.editedWorkload()
	if err != nil {
		return err
	}
	return v.showWorkload(http.StatusOK, w, repo, filled())
}

// showWorkload answers with a workload's page, with a form of what to deploy.
func (v *visit) showWorkload(status int, w db.Workload, repo db.Repository, form *templates.Form) error {
	page, err := v.workloadPage(w, repo)
	if err != nil {
		return err
	}
	if page.Form = form; !form.Values.Has("replicas") {
		form.Values.Set("replicas", strconv.Itoa(w.Replicas()))
	}
	v.inspect(page)
	f := v.workloadFrame(w, "tab.workload")
	f.Refresh, f.Path = page.Reload.Seconds, workloadPath(w)
	if !form.Valid() {
		f.Form = form
	}
	return v.render(status, "overview/workload", f, page)
}

// workloadFrame is around the pages of one workload. tab is the key of the present one.
func (v *visit) workloadFrame(w db.Workload, tabKey string) frame {
	f := frame{Title: w.Name, Section: "workloads", Crumbs: []crumb{{v.say("nav.workloads"), "/workloads"}, {Text: w.Name}}}
	tabs := []tab{{Key: "tab.workload", Href: workloadPath(w)}, {Key: "title.deployments", Href: workloadPath(w) + "/deployments"}}
	if v.user.Role.May(db.Administrator) {
		tabs = append(tabs, tab{Key: "nav.settings", Href: workloadPath(w) + "/settings"})
	}
	for _, t := range tabs {
		t.Current = t.Key == tabKey
		f.Tabs = append(f.Tabs, t)
	}
	return f
}

// workloadPage reads what the page shows of the rows.
func (v *visit) workloadPage(w db.Workload, repo db.Repository) (*workloadPage, error) {
	ctx := v.r.Context()
	p := &workloadPage{Workload: w, Sites: v.sites(w.Hosts()...), Repository: repo, MayDeploy: v.user.Role.May(db.Deployer), MayChange: v.user.Role.May(db.Administrator),
		Stream: workloadPath(w) + "/events"}
	var err error
	if p.Commits, err = v.commitLinks(p.Repository); err != nil {
		return nil, err
	}
	recent, err := v.DB.History(ctx, db.Part{WorkloadID: w.ID, Limit: recentRows})
	if err != nil {
		return nil, err
	}
	if p.Live, err = v.liveRelease(w.ID); err != nil {
		return nil, err
	}
	kept, err := v.DB.History(ctx, db.Part{WorkloadID: w.ID, Phases: db.Released(), Limit: v.KeepReleases})
	if err != nil {
		return nil, err
	}
	p.Recent, p.Kept = rowsOf(recent), rowsOf(kept)
	now, err := v.DB.History(ctx, db.Part{WorkloadID: w.ID, Phases: db.Unfinished(), Limit: 2})
	if err != nil {
		return nil, err
	}
	s := db.Standing{}
	if n := len(now); n > 0 {
		p.Now = &now[n-1]
		s.NowID, s.NowPhase = p.Now.ID, p.Now.Phase
	}
	if len(p.Recent) > 0 {
		s.LastPhase = p.Recent[0].Phase
	}
	if p.Live != nil {
		s.LiveID = p.Live.ID
		p.Scales = p.Live.Release.Scales()
		if p.Live.Release.Origin != nil {
			_, p.Later = v.changed(differences(w, p.Live.madeOf(w)))
		}
	}
	p.State = stateOf(s)
	p.Reload = v.reload(p.Now != nil, 10)
	return p, nil
}

func (v *visit) liveRelease(workloadID int64) (*liveRelease, error) {
	state, err := v.DB.RuntimeState(v.r.Context(), workloadID)
	if errors.Is(err, db.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	live := &liveRelease{Release: state.Release, Since: state.UpdatedAt}
	live.Deployment, err = v.DB.Deployment(v.r.Context(), state.DeploymentID)
	if errors.Is(err, db.ErrNotFound) {
		live.Deployment, err = db.Deployment{ID: state.DeploymentID, Commit: state.Commit}, nil
	}
	return live, err
}

// inspect asks the runtime how the live release is. The page does not wait for it long.
func (v *visit) inspect(p *workloadPage) {
	if v.Releases == nil || p.Live == nil {
		return
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), inspectLimit)
	defer cancel()
	running, err := v.Releases.Inspect(ctx, p.Live.Release.ID)
	if err != nil {
		v.Log.WarnContext(ctx, "inspect release for its page", "release", p.Live.Release.ID, "error", err)
		return
	}
	p.Running = &running
	for _, line := range running.Tail {
		p.Output = append(p.Output, paint(line))
	}
}
