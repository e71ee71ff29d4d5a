package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tinyforge/db"
)

// apiDeployment is a deployment as scripts see it.
type apiDeployment struct {
	ID       int64     `json:"id"`
	Workload string    `json:"workload"`
	Ref      string    `json:"ref"`
	Commit   string    `json:"commit"`
	Phase    db.Phase  `json:"phase"`
	Status   db.Status `json:"status"`   // what the commit says: pending, success, failure
	Finished bool      `json:"finished"` // nothing more will happen
	Cause    db.Cause  `json:"cause"`
	Waits    string    `json:"waits"` // why no running process takes it; "" where one does, or will
	Error    string    `json:"error"` // why it failed; "" when it has not
	Strategy string    `json:"strategy"`

	Created time.Time  `json:"created_at"`
	Started *time.Time `json:"started_at"`
	Ended   *time.Time `json:"finished_at"`
}

// shown is a deployment of a workload.
func (c *apiCall) shown(w db.Workload, d db.Deployment) (apiDeployment, error) {
	nobody, err := c.nobody(c.r.Context(), d)
	if err != nil {
		return apiDeployment{}, err
	}
	waits := ""
	if nobody != nil {
		waits = nobody.String()
	}
	return apiDeployment{ID: d.ID, Workload: w.Name, Waits: waits, Ref: d.Ref, Commit: d.Commit, Phase: d.Phase, Status: d.Phase.Status(), Finished: d.Phase.Final(),
		Cause: d.Cause, Error: d.Error, Strategy: string(d.Strategy), Created: d.CreatedAt, Started: timeOrNull(d.StartedAt), Ended: timeOrNull(d.FinishedAt)}, nil
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func idText(id int64) string { return strconv.FormatInt(id, 10) }

const (
	deploymentsShown = 50
	logShown         = 1000
	logMost          = 10_000
)

// count reads a number of the query.
func (c *apiCall) count(q url.Values, name string, otherwise, most int64) (int64, error) {
	if q.Get(name) == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(q.Get(name), 10, 64)
	if err != nil || n < 0 || n > most {
		return 0, apiRefuse(http.StatusBadRequest, "%s=%s: give a whole number from 0 to %d", name, q.Get(name), most)
	}
	return n, nil
}

func (c *apiCall) deployments() (any, error) {
	w, err := c.named()
	if err != nil {
		return nil, err
	}
	limit, err := c.count(c.r.URL.Query(), "limit", deploymentsShown, 200)
	if err != nil {
		return nil, err
	}
	before, err := c.count(c.r.URL.Query(), "before", 0, 1<<62)
	if err != nil {
		return nil, err
	}
	history, err := c.DB.DeploymentsBefore(c.r.Context(), w.ID, before, int(max(1, limit)))
	if err != nil {
		return nil, err
	}
	list := []apiDeployment{}
	for _, d := range history {
		one, err := c.shown(w, d)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return map[string]any{"deployments": list}, nil
}

// one reads the deployment in the address, and the name of its workload.
func (c *apiCall) one() (db.Deployment, db.Workload, error) {
	id, err := strconv.ParseInt(c.r.PathValue("id"), 10, 64)
	if err != nil {
		return db.Deployment{}, db.Workload{}, apiRefuse(http.StatusNotFound, "%q is not the number of a deployment", c.r.PathValue("id"))
	}
	dep, err := c.DB.Deployment(c.r.Context(), id)
	if errors.Is(err, db.ErrNotFound) {
		return dep, db.Workload{}, apiRefuse(http.StatusNotFound, "there is no deployment %d", id)
	} else if err != nil {
		return dep, db.Workload{}, err
	}
	w, err := c.DB.Workload(c.r.Context(), dep.WorkloadID)
	if err == nil && w.DeletedAt != nil {
		err = apiRefuse(http.StatusNotFound, "the workload of deployment %d was deleted", id)
	}
	return dep, w, err
}

func (c *apiCall) deployment() (any, error) {
	dep, w, err := c.one()
	if err != nil {
		return nil, err
	}
	return c.shown(w, dep)
}

func (c *apiCall) cancel() (any, error) {
	dep, w, err := c.one()
	if err != nil {
		return nil, err
	}
	switch err := c.DB.Cancel(c.r.Context(), dep.ID); {
	case errors.Is(err, db.ErrTooLate):
		return nil, apiRefuse(http.StatusConflict, "deployment %d cannot be cancelled any more: it is %s", dep.ID, dep.Phase)
	case err != nil:
		return nil, err
	}
	if err := c.audit("deployment.cancelled", w.Name, idText(dep.ID)); err != nil {
		return nil, err
	}
	if dep, _, err = c.one(); err != nil {
		return nil, err
	}
	return c.shown(w, dep)
}

func (c *apiCall) redeploy() (any, error) {
	dep, w, err := c.one()
	if err != nil {
		return nil, err
	}
	again, err := c.DB.QueueRedeploy(c.r.Context(), dep.ID)
	if errors.Is(err, db.ErrNotFound) {
		return nil, apiRefuse(http.StatusConflict, "workload %s is being taken down", w.Name)
	} else if err != nil {
		return nil, err
	}
	return c.queued(w, again, "deployment.redeployed")
}

// apiLogLine is a line of a log.
type apiLogLine struct {
	ID    int64     `json:"id"` // for after=
	At    time.Time `json:"at"`
	Phase db.Phase  `json:"phase"`
	Text  string    `json:"text"`
}

// log sends lines of the log after a line: as text, or as a JSON value a line where that is asked for. The header
// Tinyforge-Last has the id of the last one.
func (c *apiCall) log() (any, error) {
	dep, _, err := c.one()
	if err != nil {
		return nil, err
	}
	q := c.r.URL.Query()
	after, err := c.count(q, "after", 0, 1<<62)
	if err != nil {
		return nil, err
	}
	limit, err := c.count(q, "limit", logShown, logMost)
	if err != nil {
		return nil, err
	}
	lines, err := c.DB.Log(c.r.Context(), dep.ID, after, int(max(1, limit)))
	if err != nil {
		return nil, err
	}
	asJSON := strings.Contains(c.r.Header.Get("Accept"), "application/x-ndjson")
	h := c.w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	if asJSON {
		h.Set("Content-Type", "application/x-ndjson")
	}
	if n := len(lines); n > 0 {
		after = lines[n-1].ID
	}
	h.Set("Tinyforge-Last", idText(after))
	encoder := json.NewEncoder(c.w)
	for _, l := range lines {
		if asJSON {
			err = encoder.Encode(apiLogLine{l.ID, l.At, l.Phase, l.Text})
		} else {
			_, err = fmt.Fprintf(c.w, "%s %-10s %s\n", l.At.Format(time.RFC3339), l.Phase, l.Plain())
		}
		if err != nil {
			return nil, nil // who asked has gone
		}
	}
	return nil, nil
}
