package settings

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/templates"
)

const (
	githubURL      = "https://github.com"
	longestAppName = 34
)

// githubPage is the form in which somebody begins to make a GitHub App.
type githubPage struct {
	Form    *templates.Form
	Private bool   // GitHub cannot reach this Tinyforge
	Host    string // of this Tinyforge
	Offers  []networkOffer
	More    bool     // what is rarely changed is to be seen
	Choices []string // how pushes may arrive
}

func (v *visit) githubPage(form *templates.Form) githubPage {
	return githubPage{Form: form, Choices: []string{"deliver", "none"}, Private: privateHost(v.publicHost()), Host: v.publicHost()}
}

func (v *visit) githubFrame() frame {
	return v.forgeFrame(v.say("title.forge_github"), crumb{v.say("title.forge_new"), "/forges/new"})
}

func (v *visit) newGitHub() error {
	page := v.githubPage(filled("host", githubURL, "app_name", v.appName(), "webhook", "deliver"))
	if page.Private {
		page.Form.Values.Set("webhook", "none")
	}
	return v.render(http.StatusOK, "forges/github", v.githubFrame(), page)
}

// appName proposes a name, which has to be free on all of GitHub.
func (v *visit) appName() string {
	end := "-" + strings.ToLower(rand.Text()[:4])
	name := "tinyforge-" + forgeName(v.publicHost())
	return strings.TrimRight(name[:min(len(name), longestAppName-len(end))], "-") + end
}

var organizationName = regexp.MustCompile(`^[A-Za-z0-9](-?[A-Za-z0-9])*$`)

func checkGitHub(form *templates.Form) {
	if name := form.Get("organisation"); name != "" && (len(name) > 39 || !organizationName.MatchString(name)) {
		form.Fail("organisation", "err.org_name")
	}
	if w := form.Get("webhook"); w != "deliver" && w != "none" {
		form.Fail("webhook", "err.choose")
	}
	switch name := strings.TrimSpace(form.Get("app_name")); {
	case name == "":
		form.Fail("app_name", "err.required")
	case len([]rune(name)) > longestAppName:
		form.Fail("app_name", "err.app_name")
	case strings.ContainsFunc(name, isControl):
		form.Fail("app_name", "err.one_line")
	}
}

func (v *visit) beginGitHub() error {
	form, err := v.form()
	if err != nil {
		return err
	}
	page := v.githubPage(form)
	checkGitHub(form)
	host := typedAddress(form, "host")
	networks := allowed(form)
	for _, word := range networks {
		page.Offers = append(page.Offers, networkOffer{word, hostAndPort(host)})
	}
	if form.Error("host") == nil && host != githubURL && !form.Resumed {
		if offer := v.reach(form, "host", host, networks); offer != nil {
			page.Offers = append(page.Offers, *offer)
		}
	}
	page.Private = page.Private && len(page.Offers) == 0 // a server in a private network may reach what GitHub cannot
	page.More = form.Error("host") != nil || form.Error("app_name") != nil
	if !form.Valid() {
		return v.invalid("forges/github", v.githubFrame(), form, page)
	}
	r := db.AppRequest{
		Name: v.freeName(forgeName(strings.TrimSuffix("github-"+form.Get("organisation"), "-"))), URL: host, Networks: networks,
		AppName: strings.TrimSpace(form.Get("app_name")), Organization: form.Get("organisation"),
		Webhook: form.Get("webhook") == "deliver", UserID: v.user.ID,
	}
	if err := v.DB.CreateAppRequest(v.r.Context(), &r); err != nil {
		return err
	}
	if err := v.audit("forge.begun", r.Name, ""); err != nil {
		return err
	}
	return v.redirect(requestPath(r.ID), templates.Message{})
}

// reach notes in the form when nothing answers at an address.
func (v *visit) reach(form *templates.Form, field, address string, networks []string) *networkOffer {
	client, err := app.NewClient(networks)
	if err != nil {
		form.Fail(field, "err.url")
		return nil
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(v.r.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/api/v3/meta", nil)
	if err != nil {
		form.Fail(field, "err.url")
		return nil
	}
	resp, err := client.Do(req)
	if err == nil {
		_ = resp.Body.Close()
		return nil
	}
	offer, isRefusal := refused(form, field, address, err)
	if !isRefusal {
		form.Fail(field, "err.host_unreachable", "host", hostAndPort(address), "detail", detailOf(app.CallError(ctx, "call", err)))
	}
	return offer
}

// freeName is a name that no forge has: this one, or this one with a number.
func (v *visit) freeName(name string) string {
	var taken []string
	forges, err := v.DB.Forges(v.r.Context())
	if err != nil {
		return name // whoever saves it is told
	}
	for _, f := range forges {
		taken = append(taken, f.Name)
	}
	requests, err := v.DB.AppRequests(v.r.Context())
	if err != nil {
		return name
	}
	for _, r := range requests {
		taken = append(taken, r.Name)
	}
	free := name
	for n := 2; slices.Contains(taken, free); n++ {
		end := fmt.Sprintf("-%d", n)
		free = name[:min(len(name), longestForgeName-len(end))] + end
	}
	return free
}

func requestPath(id int64) string { return fmt.Sprintf("/forges/new/github/%d", id) }

// registerPage shows what GitHub is about to be asked for, with the button that leads there.
type registerPage struct {
	Request  db.AppRequest
	Manifest string
	Target   string // to which the button posts
	Private  bool
	Host     string
	Mine     bool // the visitor has begun it
	Packages bool // images of the forge's registry may be read
}

// pathRequest is the App that is being made and that the address names.
func (v *visit) pathRequest() (db.AppRequest, error) {
	id, err := v.pathID("id")
	if err != nil {
		return db.AppRequest{}, err
	}
	return v.DB.AppRequest(v.r.Context(), id)
}

// mayEnd tells whether the visitor has begun the App. What GitHub answered to somebody who was removed is everybody's.
func (v *visit) mayEnd(r db.AppRequest) bool {
	return r.UserID == v.user.ID || r.UserID == 0 && r.Returned
}

func (v *visit) register() error {
	r, err := v.pathRequest()
	if err != nil {
		return err
	}
	page := registerPage{Request: r, Private: privateHost(v.publicHost()) && len(r.Networks) == 0, Host: v.publicHost(), Mine: v.mayEnd(r)}
	page.Manifest, err = v.Apps.Manifest(app.NewApp{Name: r.AppName, Forge: r.Name, PublicURL: v.publicURL(), Webhook: r.Webhook})
	if err != nil {
		return err
	}
	var m struct {
		Permissions map[string]string `json:"default_permissions"`
	}
	if err := json.Unmarshal([]byte(page.Manifest), &m); err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	page.Packages = m.Permissions["packages"] != ""
	target, err := url.Parse(r.URL)
	if err != nil {
		return fmt.Errorf("read address of request %d: %w", r.ID, err)
	}
	allowFormTo(v.w.Header(), target)
	target = target.JoinPath("settings/apps/new")
	if r.Organization != "" {
		target, _ = url.Parse(r.URL)
		target = target.JoinPath("organizations", r.Organization, "settings/apps/new")
	}
	target.RawQuery = url.Values{"state": {r.State}}.Encode()
	page.Target = target.String()
	return v.render(http.StatusOK, "forges/register", v.forgeFrame(v.say("title.forge_register"), crumb{v.say("title.forge_github"), "/forges/new/github"}), page)
}

// renewRequest begins an App anew that took too long, or that somebody else had begun.
func (v *visit) renewRequest() error {
	r, err := v.pathRequest()
	if err != nil {
		return err
	}
	r.UserID = v.user.ID
	if err := v.DB.RenewAppRequest(v.r.Context(), &r); err != nil {
		return err
	}
	return v.redirect(requestPath(r.ID), templates.Message{})
}

func (v *visit) deleteRequest() error {
	r, err := v.pathRequest()
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return err
	}
	if err := v.DB.DeleteAppRequest(v.r.Context(), r.ID); err != nil {
		return err
	}
	if err := v.audit("forge.given_up", r.Name, ""); err != nil {
		return err
	}
	return v.redirect("/forges", templates.Message{Key: "flash.request_deleted", Values: []any{"name", r.AppName}})
}
