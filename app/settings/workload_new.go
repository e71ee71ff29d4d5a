package settings

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tinyforge/db"
	"tinyforge/templates"
)

const (
	pickedAtOnce = 20               // repositories on a page
	lookFor      = 20 * time.Second // what a forge may take to show what is in a repository
)

// pickPage is where the repository of a new workload is picked.
type pickPage struct {
	Forges       []db.Forge
	Names        map[int64]string // of forges
	Forge        int64
	Query        string
	Repositories []db.Repository
	Total        int
	From, To     int64
	Back, On     string // addresses of the pages before and after; "" is none
}

// newWorkload shows the form of a new workload, once its repository is picked.
func (v *visit) newWorkload() error {
	query := v.r.URL.Query()
	if query.Get("repo") == "" {
		return v.pickRepository(query)
	}
	repo, err := v.pickedRepository(query.Get("repo"))
	if err != nil {
		return err
	}
	f := &workloadForm{Form: filled(), repo: repo, known: newSecrets(), typed: newSecrets()}
	unread := v.look(f, query.Get("ref"))
	if err := v.proposeName(f); err != nil {
		return err
	}
	return v.showWorkloadForm(http.StatusOK, f, func(p *workloadFormPage) { p.Unread = unread })
}

func (v *visit) pickRepository(query url.Values) error {
	forges, err := v.DB.Forges(v.r.Context())
	if err != nil {
		return err
	}
	page := pickPage{Forges: forges, Names: map[int64]string{}, Query: query.Get("q")}
	for _, f := range forges {
		page.Names[f.ID] = f.Name
	}
	page.Forge, _ = strconv.ParseInt(query.Get("forge"), 10, 64)
	number, _ := strconv.Atoi(query.Get("page"))
	number = min(max(number, 1), 1_000_000)
	offset := (number - 1) * pickedAtOnce
	if page.Repositories, page.Total, err = v.DB.FindRepositories(v.r.Context(), page.Forge, page.Query, offset, pickedAtOnce); err != nil {
		return err
	}
	page.From, page.To = int64(offset+1), int64(offset+len(page.Repositories))
	address := func(number int) string {
		return "/workloads/new?" + url.Values{"forge": {query.Get("forge")}, "q": {page.Query}, "page": {strconv.Itoa(number)}}.Encode()
	}
	if number > 1 {
		page.Back = address(number - 1)
	}
	if page.To < int64(page.Total) {
		page.On = address(number + 1)
	}
	title := v.say("title.workload_new")
	return v.render(http.StatusOK, "workload-form/pick", frame{Title: title, Section: "workloads",
		Crumbs: []crumb{{v.say("nav.workloads"), "/workloads"}, {Text: title}}}, page)
}

func (v *visit) pickedRepository(id string) (db.Repository, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return db.Repository{}, refuse(http.StatusNotFound, "form.no_repository")
	}
	repo, err := v.DB.Repository(v.r.Context(), n)
	if errors.Is(err, db.ErrNotFound) || err == nil && repo.Removed {
		return db.Repository{}, refuse(http.StatusNotFound, "form.no_repository")
	}
	return repo, err
}

// look fills the form from what is in the repository, at the head of a branch or the default one. It returns why nothing
// was read.
func (v *visit) look(f *workloadForm, branch string) *templates.Message {
	if branch == "" {
		branch = f.repo.DefaultBranch
	}
	for name, value := range map[string]string{"repo": strconv.FormatInt(f.repo.ID, 10), "ref": branch, "key": rand.Text(), "trigger": "branch", "ref_pattern": branch,
		"strip_prefix": "off", "source_type": "dockerfile", "source_was": "dockerfile", "config_base": "{}", "check_kind": "none"} {
		f.Values.Set(name, value)
	}
	f.fillRest(3)
	ctx, cancel := context.WithTimeout(v.r.Context(), lookFor)
	defer cancel()
	var found []Found
	unread := &templates.Message{Key: "form.look_busy"} // each look may fetch a repository
	_ = v.looks.take(v.user.ID, func() error {
		found, unread = v.detect(ctx, f, branch)
		return nil
	})
	if len(found) > 0 {
		f.Values.Set("found", string(rawJSON(found)))
		for i := len(found) - 1; i >= 0; i-- { // the best one last: the fields that several have are its
			fillConfig(f.Form, found[i].Source, found[i].Config)
		}
		f.Values.Set("found_used", "0")
		f.fillRest(3)
	}
	if why, _ := f.strategies(v.Sources); why.Key == "" && why.Detail == "" {
		f.Values.Set("deploy_strategy", string(db.BlueGreen))
	}
	return unread
}

func (v *visit) detect(ctx context.Context, f *workloadForm, branch string) ([]Found, *templates.Message) {
	failed := func(err error) *templates.Message {
		v.Log.WarnContext(ctx, "look into repository", "repository", f.repo.FullName, "error", err)
		return &templates.Message{Key: "form.unread", Detail: err.Error()}
	}
	heads, err := v.Code.Heads(ctx, f.repo)
	if err != nil {
		return nil, failed(err)
	}
	var refs []string
	for ref := range heads {
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, func(a, b string) int { return naturally(b, a) })
	f.Values.Set("refs", strings.Join(refs[:min(len(refs), 2000)], "\n"))
	commit, ok := heads["refs/heads/"+branch]
	if !ok {
		return nil, &templates.Message{Key: "err.ref_unknown", Values: []any{"ref", branch}}
	}
	found, err := v.Code.Detect(ctx, f.repo, commit)
	switch {
	case err != nil:
		return nil, failed(err)
	case len(found) == 0:
		return nil, &templates.Message{Key: "text.detect_none", Values: []any{"ref", branch}}
	}
	return found[:min(len(found), 20)], nil
}

// proposeName fills in a name that is free, made of the repository's.
func (v *visit) proposeName(f *workloadForm) error {
	name := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(f.repo.FullName[strings.LastIndexByte(f.repo.FullName, '/')+1:]))
	name = strings.Trim(name[:min(len(name), 36)], "-")
	if name == "" || name == "new" {
		name = "site"
	}
	for i := 1; i < 20; i++ {
		free := name
		if i > 1 {
			free = fmt.Sprintf("%s-%d", name, i)
		}
		_, err := v.DB.WorkloadByName(v.r.Context(), free)
		if errors.Is(err, db.ErrNotFound) {
			f.Values.Set("name", free)
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// createWorkload makes the workload of the form. The same form twice makes one.
func (v *visit) createWorkload() error {
	form, err := v.form()
	if err != nil {
		return err
	}
	repo, err := v.pickedRepository(form.Get("repo"))
	if err != nil {
		return err
	}
	f, w, done, err := v.sentWorkload(form, repo, db.Workload{})
	if done {
		return err
	}
	err = v.DB.CreateWorkload(v.r.Context(), &w)
	switch {
	case errors.Is(err, db.ErrWorkloadExists):
		return v.nameTaken(f, w)
	case errors.Is(err, db.ErrHostTaken):
		f.hostTaken(w, err)
		return v.wrongWorkload(f)
	case err != nil:
		return err
	}
	if err := v.audit("workload.created", w.Name, repo.FullName); err != nil {
		return err
	}
	created := templates.Message{Key: "flash.workload_created", Values: []any{"name", w.Name}}
	if form.Get("op") == "create" {
		return v.redirect("/workloads/"+w.Name, created)
	}
	return v.deployHead(w, repo, created)
}

// nameTaken answers a form whose name another workload has, unless that was made by the very same form.
func (v *visit) nameTaken(f *workloadForm, w db.Workload) error {
	there, err := v.DB.WorkloadByName(v.r.Context(), w.Name)
	switch {
	case err != nil && !errors.Is(err, db.ErrNotFound):
		return err
	case err == nil && w.FormKey != "" && there.FormKey == w.FormKey:
		return v.redirect("/workloads/"+w.Name, templates.Message{Key: "flash.workload_created", Values: []any{"name", w.Name}})
	case err != nil: // it is being taken down
		f.Fail("name", "err.slug_leaving", "name", w.Name)
	default:
		f.Fail("name", "err.slug_taken", "name", w.Name)
	}
	return v.wrongWorkload(f)
}

// wrongWorkload shows the form again with what is wrong with it.
func (v *visit) wrongWorkload(f *workloadForm) error {
	setEnv(f.Form, f.rows, 3)
	setVolumes(f.Form, volumeRows(f.Form), 2)
	return v.showWorkloadForm(http.StatusUnprocessableEntity, f, nil)
}

// hostTaken notes which of the hosts another workload has.
func (f *workloadForm) hostTaken(w db.Workload, err error) {
	var taken *db.HostTakenError
	if !errors.As(err, &taken) {
		f.Fail("domain", "err.domain_busy")
		return
	}
	field := "domain"
	switch {
	case slices.Contains(w.Routing.Aliases, taken.Host):
		field = "extra_domains"
	case slices.Contains(w.Routing.Redirects, taken.Host):
		field = "redirects"
	}
	f.Fail(field, "err.domain_taken", "domain", taken.Host, "name", taken.Workload)
}

// notDeployed are what is said in the place of other texts where nothing could be deployed.
var notDeployed = map[string]struct{ unread, noRef string }{
	"flash.saved":            {"flash.saved_unread", "flash.saved_no_ref"},
	"flash.workload_created": {"flash.workload_created_unread", "flash.workload_created_no_ref"},
}

// deployHead queues the newest commit that the workload follows, and leads to its deployment. Where there is none, or the
// forge does not answer, the workload's page says so.
func (v *visit) deployHead(w db.Workload, repo db.Repository, saved templates.Message) error {
	page := "/workloads/" + w.Name
	ctx, cancel := context.WithTimeout(v.r.Context(), lookFor)
	defer cancel()
	heads, err := v.Code.Heads(ctx, repo)
	if err != nil {
		v.Log.WarnContext(ctx, "look for what to deploy", "repository", repo.FullName, "error", err)
		return v.redirect(page, templates.Message{Key: notDeployed[saved.Key].unread, Values: saved.Values, Detail: err.Error()})
	}
	var refs []string
	for ref := range heads {
		refs = append(refs, ref)
	}
	found := matches(w, repo, refs)
	if len(found) == 0 {
		return v.redirect(page, templates.Message{Key: notDeployed[saved.Key].noRef, Values: saved.Values})
	}
	dep, err := v.DB.QueueCommit(v.r.Context(), w.ID, found[0], heads[found[0]], "", "")
	if err != nil {
		return err
	}
	number := strconv.FormatInt(dep.ID, 10)
	if err := v.audit("deployment.queued", w.Name, number); err != nil {
		return err
	}
	return v.redirect(page+"/deployments/"+number, templates.Message{Key: "flash.deploy_queued", Values: []any{"number", number}})
}
