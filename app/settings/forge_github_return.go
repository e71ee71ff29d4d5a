package settings

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/templates"
)

// haltPage says why something could not go on, and how it can.
type haltPage struct {
	Text   templates.Message
	More   *templates.Message
	Detail string // in English
	Ways   []way
}

// way is a way on. Post is for what changes something.
type way struct {
	Key, Href string
	Post      bool
	Outside   bool
}

// halt answers with a page that says why it does not go on.
func (v *visit) halt(status int, page haltPage) error {
	return v.render(status, "forges/halt", v.forgeFrame(v.say("title.forge_halt"), crumb{v.say("title.forge_github"), "/forges/new/github"}), page)
}

// created is where GitHub sends the browser after somebody has made an App. The state proves that we have asked, and is good
// once.
func (v *visit) created() error {
	q := v.r.URL.Query()
	state, code := q.Get("state"), q.Get("code")
	if state == "" || code == "" || len(code) > 200 {
		return v.strayed()
	}
	r, err := v.DB.ReturnAppRequest(v.r.Context(), state, code, v.user.ID)
	if errors.Is(err, db.ErrNotFound) {
		return v.strayed()
	}
	if err != nil {
		return err
	}
	return v.stay(forgePatience, func() error { return v.convert(r) })
}

func (v *visit) strayed() error {
	return v.halt(http.StatusForbidden, haltPage{
		Text: templates.Message{Key: "text.app_state"}, More: &templates.Message{Key: "text.app_state_more"},
		Ways: []way{{Key: "act.to_forges", Href: "/forges"}},
	})
}

// retryConvert asks GitHub once more for what it could not be asked for.
func (v *visit) retryConvert() error {
	r, err := v.pathRequest()
	if err != nil {
		return err
	}
	if r.Code == "" || !v.mayEnd(r) {
		return v.redirect(requestPath(r.ID), templates.Message{})
	}
	return v.stay(forgePatience, func() error { return v.convert(r) })
}

// convert makes a forge of an App that was made, and leads on to where it is installed. GitHub tells the App's key once: one that
// is not stored is lost, and the App with it.
func (v *visit) convert(r db.AppRequest) error {
	row := db.Forge{Name: r.Name, Kind: "github", URL: r.URL, Networks: r.Networks}
	err := v.Apps.Convert(v.r.Context(), &row, r.Code)
	if err != nil {
		return v.unconverted(r, err)
	}
	if row.Credentials.WebhookSecret == "" { // GitHub makes none for an App without a webhook
		row.Credentials.WebhookSecret = newSecret()
	}
	err = v.DB.FinishAppRequest(v.r.Context(), r.ID, &row)
	if errors.Is(err, db.ErrForgeTaken) { // while somebody was at GitHub: the key would be lost
		row.Name = v.freeName(r.Name + "-app")
		err = v.DB.FinishAppRequest(v.r.Context(), r.ID, &row)
	}
	if err != nil {
		return err
	}
	if err := v.audit("forge.connected", row.Name, row.Kind); err != nil {
		return err
	}
	if row.AppURL == "" {
		return v.redirect(forgePath(row.ID), templates.Message{Key: "flash.app_made"})
	}
	to, err := v.installPath(row)
	if err != nil {
		return err
	}
	return v.redirect(to, templates.Message{})
}

// leaving is who left for GitHub to install the App of which forge.
type leaving struct{ ForgeID, UserID int64 }

const leavingLife = 24 * time.Hour

// installPath is where GitHub lets people choose what the App may see. The state that it brings back is of this visitor.
func (v *visit) installPath(row db.Forge) (string, error) {
	state, err := v.DB.SealDraft("install", leaving{row.ID, v.user.ID}, leavingLife)
	return row.AppURL + "/installations/new?state=" + state, err
}

// leftFor is the forge for which the visitor has left with this state; 0 where nobody has.
func (v *visit) leftFor(state string) int64 {
	var l leaving
	if v.DB.OpenDraft("install", state, &l) != nil || l.UserID != v.user.ID {
		return 0
	}
	return l.ForgeID
}

// unconverted says why GitHub did not tell the App's secrets: never, or not now.
func (v *visit) unconverted(r db.AppRequest, err error) error {
	v.Log.WarnContext(v.r.Context(), "get the new GitHub App", "error", err)
	status, answered := errors.AsType[*app.StatusError](err)
	if answered && status.Permanent() {
		page := haltPage{Text: templates.Message{Key: "text.app_code"}, More: &templates.Message{Key: "text.app_code_more"}, Detail: detailOf(err)}
		page.Ways = []way{
			{Key: "act.start_again", Href: requestPath(r.ID) + "/renew", Post: true},
			{Key: "act.apps_at_github", Href: appsPath(r.URL, r.Organization), Outside: true},
		}
		return v.halt(http.StatusGone, page)
	}
	return v.halt(http.StatusBadGateway, haltPage{
		Text: templates.Message{Key: "text.app_network", Values: []any{"host", hostAndPort(r.URL)}}, More: &templates.Message{Key: "text.app_network_more"},
		Detail: detailOf(err), Ways: []way{{Key: "act.retry", Href: requestPath(r.ID) + "/retry", Post: true}, {Key: "act.to_forges", Href: "/forges"}},
	})
}

// appsPath is where GitHub lists the Apps of a person or an organisation.
func appsPath(web, organization string) string {
	if organization == "" {
		return web + "/settings/apps"
	}
	return web + "/organizations/" + url.PathEscape(organization) + "/settings/apps"
}

// installed is where GitHub sends the browser after somebody has installed an App, or has asked for it. Anybody can write such
// an address: what it says is asked of GitHub with the keys of our Apps.
func (v *visit) installed() error {
	q := v.r.URL.Query()
	left := v.leftFor(q.Get("state"))
	forges, err := v.githubForges(left)
	if err != nil {
		return err
	}
	if q.Get("setup_action") == "request" {
		if len(forges) == 0 || forges[0].ID != left { // it did not begin here
			return v.redirect("/forges", templates.Message{})
		}
		if err := v.DB.SetForgeRequested(v.r.Context(), forges[0].ID); err != nil {
			return err
		}
		return v.redirect(forgePath(forges[0].ID), templates.Message{Key: "flash.forge_waiting"})
	}
	id, err := strconv.ParseInt(q.Get("installation_id"), 10, 64)
	if err != nil || id <= 0 || len(forges) == 0 {
		return v.notOurs()
	}
	row, trouble := v.whose(forges, id)
	switch {
	case trouble != nil:
		return v.halt(http.StatusBadGateway, haltPage{
			Text: templates.Message{Key: "text.app_network", Values: []any{"host", hostAndPort(row.URL)}}, Detail: detailOf(trouble),
			Ways: []way{{Key: "act.retry", Href: v.r.URL.RequestURI()}, {Key: "act.to_forges", Href: "/forges"}},
		})
	case row.ID == 0:
		return v.notOurs()
	}
	said := templates.Message{Key: "flash.forge_connected", Values: []any{"forge", row.Name}}
	if err := v.sync(row); err != nil {
		v.Log.WarnContext(v.r.Context(), "list repositories", "forge", row.Name, "error", err)
		said = templates.Message{}
	}
	if err := v.audit("forge.installed", row.Name, ""); err != nil {
		return err
	}
	return v.redirect(forgePath(row.ID), said)
}

func (v *visit) notOurs() error {
	return v.halt(http.StatusForbidden, haltPage{
		Text: templates.Message{Key: "text.installation_foreign"}, More: &templates.Message{Key: "text.installation_foreign_more"},
		Ways: []way{{Key: "act.to_forges", Href: "/forges"}},
	})
}

// githubForges are the forges that are Apps: the one with this id first, then the newest.
func (v *visit) githubForges(first int64) (list []db.Forge, err error) {
	all, err := v.DB.Forges(v.r.Context())
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		switch {
		case f.AppID == 0:
		case f.ID == first || len(list) > 0 && list[0].ID != first && f.ID > list[0].ID:
			list = append([]db.Forge{f}, list...)
		default:
			list = append(list, f)
		}
	}
	return list, nil
}

// whose finds the forge whose App an installation is of; a row without an ID is none of ours. trouble is why one of them could
// not be asked, with its row.
func (v *visit) whose(forges []db.Forge, installation int64) (row db.Forge, trouble error) {
	for _, f := range forges {
		forge, err := v.Forges.OpenRow(f)
		if err != nil {
			continue
		}
		installer, ok := forge.(app.Installer)
		if !ok {
			continue
		}
		_, err = installer.Installation(v.r.Context(), installation)
		status, answered := errors.AsType[*app.StatusError](err)
		switch {
		case err == nil:
			return f, nil
		case !answered || !status.Permanent():
			row, trouble = f, err
		}
	}
	return row, trouble
}

// appSettings is the page of an App's own settings at GitHub; "" where that is not known.
func appSettings(f db.Forge) string {
	if f.AppSlug == "" || strings.Contains(f.AppSlug, "/") {
		return ""
	}
	organization := ""
	if f.OwnerIsOrganization {
		organization = f.Owner
	}
	return appsPath(f.URL, organization) + "/" + url.PathEscape(f.AppSlug)
}
