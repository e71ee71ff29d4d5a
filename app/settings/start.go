package settings

import (
	"net/http"

	"tinyforge/db"
)

// startPage is the way from nothing to the first deployment.
type startPage struct {
	Steps  []startStep
	Checks []check
	Done   bool // all of it
	May    bool // the visitor may do it
}

// startStep is one step.
type startStep struct {
	Title   string // key
	Text    string // key of what it is for
	Number  int
	Done    bool
	Current bool // the first that is not done
	Href    string
	Action  string // key of what its button says
}

func (v *visit) start() error {
	sums, err := v.DB.ForgeSummaries(v.r.Context())
	if err != nil {
		return err
	}
	repositories, workloads, only := 0, 0, "/forges"
	for id, s := range sums {
		repositories, workloads = repositories+s.Repositories, workloads+s.Workloads
		if len(sums) == 1 {
			only = forgePath(id)
		}
	}
	may := v.user.Role.May(db.Administrator)
	page := startPage{May: may, Checks: v.checks(may && v.r.URL.Query().Get("check") == "address"), Steps: []startStep{
		{Title: "start.forge", Text: "start.forge_text", Done: len(sums) > 0, Href: "/forges/new", Action: "act.connect_forge"},
		{Title: "start.repositories", Text: "start.repositories_text", Done: repositories > 0, Href: only, Action: "act.choose_repositories"},
		{Title: "start.workload", Text: "start.workload_text", Done: workloads > 0, Href: "/workloads/new", Action: "act.add_workload"},
	}}
	page.Done = true
	for i := range page.Steps {
		step := &page.Steps[i]
		step.Number = i + 1
		step.Current, page.Done = !step.Done && page.Done, page.Done && step.Done
	}
	return v.render(http.StatusOK, "other/start", frame{Title: v.say("title.start")}, page)
}
