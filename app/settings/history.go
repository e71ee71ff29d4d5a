package settings

import (
	"net/http"
	"strconv"
	"strings"

	"tinyforge/db"
)

// historyRows is how many deployments one page shows.
const historyRows = 50

// historyPage is the deployments of a workload, newest first.
type historyPage struct {
	Workload     db.Workload
	Rows         []deploymentRow
	Filters      []filter
	State, Ref   string
	Newest, More string // "" where there is nothing more
	Commits      commitLinks
}

// Path is the address of the workload's page.
func (p historyPage) Path() string { return workloadPath(p.Workload) }

// historyFilters are the states by which the history is shown in part.
var historyFilters = []struct {
	key, state string
	phases     []db.Phase
}{
	{"filter.all", "", nil},
	{"filter.released", "released", db.Released()},
	{"state.failed", "failed", []db.Phase{db.PhaseFailed}},
	{"filter.unfinished", "running", db.Unfinished()},
	{"filter.dropped", "dropped", []db.Phase{db.PhaseSuperseded, db.PhaseCancelled, db.PhaseSkipped}},
}

func (v *visit) history() error {
	w, repo, err := v.editedWorkload()
	if err != nil {
		return err
	}
	query := v.r.URL.Query()
	page := historyPage{Workload: w, State: query.Get("state"), Ref: strings.TrimSpace(query.Get("ref"))}
	part := db.Part{WorkloadID: w.ID, Ref: page.Ref, Limit: historyRows + 1}
	if before := query.Get("before"); before != "" {
		if part.Before, err = strconv.ParseInt(before, 10, 64); err != nil || part.Before < 1 {
			return refuse(http.StatusBadRequest, "http.400")
		}
	}
	path := workloadPath(w) + "/deployments"
	for _, f := range historyFilters {
		page.Filters = append(page.Filters, filter{f.key, address(path, "state", f.state, "ref", page.Ref), -1, f.state == page.State})
		if f.state == page.State {
			part.Phases = f.phases
		}
	}
	list, err := v.DB.History(v.r.Context(), part)
	if err != nil {
		return err
	}
	page.Rows = rowsOf(list)
	if len(page.Rows) > historyRows {
		page.Rows = page.Rows[:historyRows]
		page.More = address(path, "state", page.State, "ref", page.Ref, "before", strconv.FormatInt(page.Rows[historyRows-1].ID, 10))
	}
	if part.Before > 0 {
		page.Newest = address(path, "state", page.State, "ref", page.Ref)
	}
	if page.Commits, err = v.commitLinks(repo); err != nil {
		return err
	}
	f := v.workloadFrame(w, "title.deployments")
	f.Title = v.say("title.deployments") + " · " + w.Name
	f.Heading = v.say("title.deployments")
	f.Crumbs[1].Href = workloadPath(w)
	f.Crumbs = append(f.Crumbs, crumb{Text: f.Heading})
	return v.render(http.StatusOK, "overview/history", f, page)
}
