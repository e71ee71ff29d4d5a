package settings

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tinyforge/db"
)

// overviewRows is how many workloads one page shows.
const overviewRows = 50

// overviewPage is all workloads, or those that were searched for.
type overviewPage struct {
	Query, State string
	Filters      []filter
	Problems     []problem
	Rows         []overviewRow
	Workloads    int  // that match, whatever their state
	Queued       int  // deployments that wait for their turn
	Any          bool // whether there is any workload at all
	Newer, Older string
	MayChange    bool
	Live         string // the stream that keeps the page up to date
	Reload       reload
}

// filter is a link that shows a part of a list.
type filter struct {
	Key, Href string
	Count     int64 // -1 where it is not counted
	Current   bool
}

// overviewRow is a workload in the table.
type overviewRow struct {
	db.Standing
	Sites   []siteLink // its first host
	State   string
	Serving db.Deployment // what serves; zero when nothing ever did
	Last    db.Deployment // the newest; zero when there is none
}

// stateOf is what a workload's badge says.
func stateOf(s db.Standing) string {
	switch {
	case s.NowID != 0 && s.NowPhase == db.PhaseQueued:
		return "queued"
	case s.NowID != 0:
		return "deploying"
	case s.LastPhase == db.PhaseFailed:
		return "failed"
	case s.LiveID != 0:
		return "live"
	}
	return "none"
}

// among tells whether a state is one of a filter's.
func among(filter, state string) bool {
	return filter == "" || filter == state || filter == "deploying" && state == "queued"
}

func (v *visit) workloads() error {
	page, err := v.overview(v.r.URL.Query())
	if err != nil {
		return err
	}
	if page.Problems, err = v.problems(); err != nil {
		return err
	}
	return v.render(http.StatusOK, "overview/list",
		frame{Title: v.say("nav.workloads"), Section: "workloads", Refresh: page.Reload.Seconds}, page)
}

func (v *visit) overview(query url.Values) (*overviewPage, error) {
	all, err := v.DB.Standings(v.r.Context())
	if err != nil {
		return nil, err
	}
	page := &overviewPage{Query: strings.TrimSpace(query.Get("q")), State: query.Get("state"), Any: len(all) > 0, MayChange: v.user.Role.May(db.Administrator)}
	counts := map[string]int64{}
	var shown []overviewRow
	for _, s := range all {
		if s.NowPhase == db.PhaseQueued || s.LastPhase == db.PhaseQueued {
			page.Queued++
		}
		if !sought(s, page.Query) {
			continue
		}
		row := overviewRow{Standing: s, State: stateOf(s)}
		if s.Host != "" {
			row.Sites = v.sites(s.Host)
		}
		page.Workloads++
		for _, f := range []string{"failed", "deploying"} {
			if among(f, row.State) {
				counts[f]++
			}
		}
		if among(page.State, row.State) {
			shown = append(shown, row)
		}
	}
	for _, f := range []struct{ key, state string }{{"filter.all", ""}, {"state.failed", "failed"}, {"state.deploying", "deploying"}} {
		count := counts[f.state]
		if f.state == "" {
			count = int64(page.Workloads)
		}
		page.Filters = append(page.Filters, filter{f.key, address("/workloads", "q", page.Query, "state", f.state), count, f.state == page.State})
	}
	slices.SortStableFunc(shown, compareRows)
	page.Rows = page.cut(shown, query.Get("page"))
	page.Live = address("/events", "q", page.Query, "state", page.State, "page", query.Get("page"))
	page.Reload = v.reload(counts["deploying"] > 0, 10)
	return page, v.serving(page.Rows)
}

// sought tells whether a workload is what somebody searches for.
func sought(s db.Standing, query string) bool {
	query = strings.ToLower(query)
	return strings.Contains(s.Name, query) || strings.Contains(s.Host, query) || strings.HasPrefix(s.LiveCommit, query)
}

// compareRows orders by what people need to see: what moves, what failed, then what moved last.
func compareRows(a, b overviewRow) int {
	weight := map[string]int{"live": 1, "failed": 2, "queued": 3, "deploying": 3}
	if order := cmp.Compare(weight[b.State], weight[a.State]); order != 0 {
		return order
	}
	return cmp.Compare(b.LastID, a.LastID)
}

// cut returns the rows of one page of the list, and notes where the others are.
func (p *overviewPage) cut(rows []overviewRow, number string) []overviewRow {
	n, err := strconv.Atoi(number)
	last := max(1, (len(rows)+overviewRows-1)/overviewRows)
	if err != nil || n < 1 {
		n = 1
	}
	n = min(n, last)
	at := func(n int) string {
		return address("/workloads", "q", p.Query, "state", p.State, "page", strconv.Itoa(n))
	}
	if n > 1 {
		p.Newer = at(n - 1)
	}
	if n < last {
		p.Older = at(n + 1)
	}
	return rows[(n-1)*overviewRows : min(len(rows), n*overviewRows)]
}

// serving reads of the rows what serves, and what moved last.
func (v *visit) serving(rows []overviewRow) error {
	var ids []int64
	for _, r := range rows {
		ids = append(ids, r.LiveID, r.LastID)
	}
	byID, err := v.DB.DeploymentsByID(v.r.Context(), ids...)
	for i, r := range rows {
		rows[i].Serving, rows[i].Last = byID[r.LiveID], byID[r.LastID]
	}
	return err
}

// address is a path of ours with those of the parameters that are not empty: name, value, name, value.
func address(path string, parameters ...string) string {
	query := url.Values{}
	for i := 0; i+1 < len(parameters); i += 2 {
		if parameters[i+1] != "" {
			query.Set(parameters[i], parameters[i+1])
		}
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

// reload is how a browser without script keeps a page up to date while something runs.
type reload struct {
	Seconds int    // 0 where the page stays as it is
	Off     string // the same page, left alone
}

// reload is how a page follows what runs. The answer to a form stays as it is: it cannot be asked for again.
func (v *visit) reload(running bool, seconds int) reload {
	query := v.r.URL.Query()
	if !running || v.r.Method != http.MethodGet || query.Get("refresh") == "off" {
		return reload{}
	}
	query.Set("refresh", "off")
	return reload{seconds, v.r.URL.Path + "?" + query.Encode()}
}
