package settings

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/templates"
)

const (
	repositoriesShown = 25
	deliveriesShown   = 20
)

// forgePage is a forge with its repositories and what it delivered.
type forgePage struct {
	Forge         db.Forge
	State         forgeState
	Hook          string // where it delivers to
	Installations []db.Installation
	Install       string // where an App is installed; "" where there is nothing to install
	AppSettings   string
	Next          string       // where the first workload of it is made; "" when there is one, or no repository
	HooksItself   bool         // each repository has a webhook of its own
	Refusal       *hookRefusal // what may keep it from delivering, while nothing was

	Repositories []db.RepositoryView
	Search       string
	Total        int
	Pages        []pageLink

	Deliveries []db.DeliveryView
	Outcomes   []outcomeLink
	Older      string // address of the next older deliveries; "" when there are none

	May       bool // the visitor may change the forge
	MayDeploy bool
}

// pageLink is a page of many.
type pageLink struct {
	Number  int64
	Href    string
	Current bool
}

// outcomeLink shows the deliveries of one outcome.
type outcomeLink struct {
	Outcome db.DeliveryOutcome
	Href    string
	Current bool
}

func (v *visit) forge() error {
	row, err := v.pathForge()
	if err != nil {
		return err
	}
	page := forgePage{
		Forge: row, Hook: app.HookURL(v.publicURL(), row.Name), AppSettings: appSettings(row),
		May: v.user.Role.May(db.Administrator), MayDeploy: v.user.Role.May(db.Deployer),
	}
	if page.Installations, err = v.DB.Installations(v.r.Context(), row.ID); err != nil {
		return err
	}
	page.State = forgeStateOf(row, len(page.Installations), time.Now())
	page.HooksItself = row.AppID == 0
	if row.AppURL != "" {
		if page.Install, err = v.installPath(row); err != nil {
			return err
		}
	}
	if err := v.fillRepositories(&page); err != nil {
		return err
	}
	if page.Next, err = v.firstWorkload(&page); err != nil {
		return err
	}
	if err := v.fillDeliveries(&page); err != nil {
		return err
	}
	f := v.forgeFrame(row.Name)
	if row.Fault != "" {
		f.Notices = append(f.Notices, templates.Message{Key: "note.forge_fault", Values: []any{"detail", row.Fault}})
	}
	if row.Credentials.Untold && page.May {
		f.Notices = append(f.Notices, templates.Message{Key: "note.secret_untold"})
	}
	refused, err := v.DB.RefusedStatus(v.r.Context(), row.ID)
	switch {
	case err == nil:
		f.Notices = append(f.Notices, templates.Message{Key: "note.status_refused", Values: []any{"number", refused.ID, "code", refused.ReportError}},
			templates.Message{Key: statusRight(row)})
	case !errors.Is(err, db.ErrNotFound):
		return err
	}
	if page.State.Word == "expired" || page.State.Word == "expires" {
		f.Notices = append(f.Notices, templates.Message{Key: "note.token_until", Values: []any{"date", v.Short(row.TokenUntil)}})
	}
	return v.render(http.StatusOK, "forges/forge", f, page)
}

// statusRight is the key of what gives a forge's account the right to set commit statuses.
func statusRight(row db.Forge) string {
	if row.AppID != 0 {
		return "text.status_right_app"
	}
	return "text.status_right"
}

func (v *visit) fillRepositories(page *forgePage) (err error) {
	q := v.r.URL.Query()
	page.Search = q.Get("q")
	number, _ := strconv.Atoi(q.Get("page"))
	number = min(max(number, 1), 1_000_000)
	page.Repositories, page.Total, err = v.DB.RepositoryViews(v.r.Context(), db.RepositoryQuery{
		ForgeID: page.Forge.ID, Search: page.Search, Offset: (number - 1) * repositoriesShown, Limit: repositoriesShown,
	})
	last := (page.Total + repositoriesShown - 1) / repositoriesShown
	for n := 1; n <= last && last > 1; n++ {
		if n == 1 || n == last || n >= number-2 && n <= number+2 {
			page.Pages = append(page.Pages, pageLink{int64(n), v.with("repositories", "page", strconv.Itoa(n)), n == number})
		}
	}
	return err
}

// firstWorkload is where the first workload of the forge is made.
func (v *visit) firstWorkload(page *forgePage) (string, error) {
	used := func(r db.RepositoryView) bool { return len(r.Workloads) > 0 }
	if !page.May || page.Total == 0 || page.Search != "" || slices.ContainsFunc(page.Repositories, used) {
		return "", nil
	}
	sums, err := v.DB.ForgeSummaries(v.r.Context())
	if err != nil || sums[page.Forge.ID].Workloads > 0 {
		return "", err
	}
	form := []string{"forge", strconv.FormatInt(page.Forge.ID, 10)}
	if len(page.Repositories) == 1 {
		form = append(form, "repo", strconv.FormatInt(page.Repositories[0].ID, 10))
	}
	return address("/workloads/new", form...), nil
}

func (v *visit) fillDeliveries(page *forgePage) (err error) {
	q := v.r.URL.Query()
	outcome := db.DeliveryOutcome(q.Get("outcome"))
	before, _ := strconv.ParseInt(q.Get("before"), 10, 64)
	page.Deliveries, err = v.DB.DeliveryViews(v.r.Context(), db.DeliveryQuery{
		ForgeID: page.Forge.ID, Outcome: outcome, Before: before, Limit: deliveriesShown + 1,
	})
	if len(page.Deliveries) > deliveriesShown {
		page.Deliveries = page.Deliveries[:deliveriesShown]
		page.Older = v.with("deliveries", "before", strconv.FormatInt(page.Deliveries[deliveriesShown-1].ID, 10))
	}
	for _, o := range []db.DeliveryOutcome{"", db.DeliveryDeployed, db.DeliveryIgnored, db.DeliveryRefused} {
		page.Outcomes = append(page.Outcomes, outcomeLink{o, v.with("deliveries", "outcome", string(o), "before", ""), o == outcome})
	}
	if len(page.Deliveries) == 0 && outcome == "" && before == 0 && privateHost(v.publicHost()) {
		page.Refusal = v.hookRefusal(page.Forge.Kind)
	}
	return err
}

// with is the address of this page with other parameters, at a place on it.
func (v *visit) with(place string, pairs ...string) string {
	q := url.Values{}
	for name, values := range v.r.URL.Query() {
		q[name] = values
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if q.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			q.Del(pairs[i])
		}
	}
	u := url.URL{Path: v.r.URL.Path, RawQuery: q.Encode(), Fragment: place}
	return u.String()
}
