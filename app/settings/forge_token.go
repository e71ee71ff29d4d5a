package settings

import (
	"cmp"
	"errors"
	"net/http"
	"strings"
	"time"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/templates"
)

// tokenForge is a kind of forge that is connected by address and token, by the last part of the form's address.
type tokenForge struct {
	Kind  string // of the row, until the forge says itself
	Title string // as people call it
	URL   string // the usual one; "" means that there is none
	Path  string // of the page at which tokens are made
}

func tokenForges() map[string]tokenForge {
	return map[string]tokenForge{
		"gitea":  {Kind: "gitea", Title: "Gitea / Forgejo", Path: "/user/settings/applications"},
		"gitlab": {Kind: "gitlab", Title: "GitLab", URL: "https://gitlab.com", Path: "/-/user_settings/personal_access_tokens"},
	}
}

// tokenKind is the kind of tokenForges of a forge that is there.
func tokenKind(row db.Forge) string {
	return map[string]string{"gitea": "gitea", "forgejo": "gitea", "gitlab": "gitlab"}[row.Kind]
}

// tokenPage is the form of a forge that is connected by address and token.
type tokenPage struct {
	Form    *templates.Form
	Kind    string // of tokenForges
	Of      tokenForge
	Draft   string         // sealed: the token that was typed
	Offers  []networkOffer // networks that can be allowed
	Works   bool           // all was tried, and is as it should be
	TokenAt string         // where tokens are made
	Refusal *hookRefusal   // what may keep the forge from delivering here
	Forge   *db.Forge      // that is changed; nil for a new one
	Version string         // of it
	Hook    string         // address of its webhook
}

const tokenDraft = "forge.token"

func (v *visit) tokenPage(kind string, form *templates.Form) tokenPage {
	of := tokenForges()[kind]
	page := tokenPage{Form: form, Kind: kind, Of: of, TokenAt: strings.TrimRight(cmp.Or(form.Get("base_url"), "https://git.example.com"), "/") + of.Path}
	if privateHost(v.publicHost()) {
		page.Refusal = v.hookRefusal(of.Kind)
	}
	return page
}

// hookRefusal is what a forge's administrator has to do for webhooks to a private address, which forges refuse.
type hookRefusal struct {
	Text     templates.Message
	Lines    string // of a file; "" where there are none
	Variable string // the same for a container
}

func (v *visit) hookRefusal(kind string) *hookRefusal {
	host := v.publicHost()
	gitea := func(title, prefix string) hookRefusal {
		return hookRefusal{
			Text:  templates.Message{Key: "text.gitea_hosts", Values: []any{"kind", title}},
			Lines: "[webhook]\nALLOWED_HOST_LIST = external," + host, Variable: prefix + "__webhook__ALLOWED_HOST_LIST=external," + host,
		}
	}
	refusal, ok := map[string]hookRefusal{
		"github":  {Text: templates.Message{Key: "text.github_private", Values: []any{"host", host}}},
		"gitea":   gitea("Gitea", "GITEA"),
		"forgejo": gitea("Forgejo", "FORGEJO"),
		"gitlab":  {Text: templates.Message{Key: "text.gitlab_hosts"}},
	}[kind]
	if !ok {
		return nil
	}
	return &refusal
}

func (v *visit) tokenTitle(page tokenPage) string {
	return v.say("title.forge_connect", "kind", page.Of.Title)
}

func (v *visit) newGitea() error  { return v.newTokenForge("gitea") }
func (v *visit) newGitLab() error { return v.newTokenForge("gitlab") }

func (v *visit) newTokenForge(kind string) error {
	page := v.tokenPage(kind, filled("base_url", tokenForges()[kind].URL))
	return v.render(http.StatusOK, "forges/token", v.tokenFrame(page), page)
}

func (v *visit) tokenFrame(page tokenPage) frame {
	return v.forgeFrame(v.tokenTitle(page), crumb{v.say("title.forge_new"), "/forges/new"})
}

func (v *visit) connectGitea() error  { return v.connectTokenForge("gitea") }
func (v *visit) connectGitLab() error { return v.connectTokenForge("gitlab") }

func (v *visit) connectTokenForge(kind string) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	page := v.tokenPage(kind, form)
	row := db.Forge{Kind: page.Of.Kind, URL: typedAddress(form, "base_url"), Networks: allowed(form)}
	if form.Get("forge_name") == "" && form.Valid() {
		form.Values.Set("forge_name", v.freeName(forgeName(hostAndPort(row.URL))))
	}
	if checkForgeName(form, "forge_name"); form.Get("forge_name") == "" {
		form.Errors = withoutField(form.Errors, "forge_name") // it follows from the address, which is wrong
	}
	row.Name = form.Get("forge_name")
	row.Credentials.Token, row.Credentials.WebhookSecret = v.typedToken(&page), newSecret()
	if row.Credentials.Token == "" {
		form.Fail("token", "err.required")
	}
	if _, err := v.DB.ForgeByName(v.r.Context(), row.Name); err == nil {
		form.Fail("forge_name", "err.forge_taken", "name", row.Name)
	} else if !errors.Is(err, db.ErrNotFound) {
		return err
	}
	probed, err := v.tryToken(&page, row)
	if err != nil {
		return err
	}
	if !form.Valid() || form.Get("op") == "check.forge" {
		return v.showToken(page)
	}
	known(&row, probed)
	if err := v.DB.CreateForge(v.r.Context(), &row); errors.Is(err, db.ErrForgeTaken) {
		form.Fail("forge_name", "err.forge_taken", "name", row.Name)
		return v.showToken(page)
	} else if err != nil {
		return err
	}
	if err := v.audit("forge.connected", row.Name, row.Kind); err != nil {
		return err
	}
	if err := v.sync(row); err != nil {
		v.Log.WarnContext(v.r.Context(), "list repositories", "forge", row.Name, "error", err)
	}
	return v.redirect(forgePath(row.ID), v.connected(row, probed))
}

// connected says that a forge is there, and what is worth knowing of it.
func (v *visit) connected(row db.Forge, probed app.Probed) templates.Message {
	switch {
	case probed.NoHook != "":
		return templates.Message{Key: "text.not_admin", Values: []any{"repo", probed.NoHook, "url", app.HookURL(v.publicURL(), row.Name)}}
	case len(probed.Lacks) > 0:
		return templates.Message{Key: "flash.forge_lacks", Values: []any{"forge", row.Name, "missing", v.List(probed.Lacks)}}
	}
	return templates.Message{Key: "flash.forge_connected", Values: []any{"forge", row.Name}}
}

// known writes down what a probe found out.
func known(row *db.Forge, p app.Probed) {
	row.Kind, row.Owner, row.TokenUntil = p.Kind, p.Account, p.TokenUntil
}

// typedToken is the token of a form: what was typed, else what was typed before the form was wrong. It is kept, sealed, for
// when the form is shown again.
func (v *visit) typedToken(page *tokenPage) string {
	token := page.Form.Get("token")
	if token == "" {
		if v.DB.OpenDraft(tokenDraft, page.Form.Get("token_draft"), &token) != nil {
			return ""
		}
	}
	for _, r := range token {
		if r <= ' ' || r > '~' {
			page.Form.Fail("token", "err.token_chars")
			return token
		}
	}
	return token
}

// tryToken probes, once the form is right by itself.
func (v *visit) tryToken(page *tokenPage, row db.Forge) (app.Probed, error) {
	for _, word := range allowed(page.Form) {
		page.Offers = append(page.Offers, networkOffer{word, hostAndPort(row.URL)})
	}
	if row.Credentials.Token != "" {
		var err error
		if page.Draft, err = v.DB.SealDraft(tokenDraft, row.Credentials.Token, 15*time.Minute); err != nil {
			return app.Probed{}, err
		}
	}
	if !page.Form.Valid() {
		return app.Probed{}, nil
	}
	probed, offer, err := v.probe(page.Form, row, page.Of)
	if offer != nil {
		page.Offers = append(page.Offers, *offer)
	}
	page.Works = err == nil && page.Form.Valid()
	return probed, err
}

// showToken shows the form again: with what is wrong, or with what was tried.
func (v *visit) showToken(page tokenPage) error {
	if page.Draft != "" && page.Form.Error("token") != nil { // it is not the right one
		page.Draft = ""
	}
	f := v.tokenFrame(page)
	if page.Form.Valid() {
		return v.render(http.StatusOK, "forges/token", f, page)
	}
	return v.invalid("forges/token", f, page.Form, page)
}

func withoutField(list []templates.FieldError, field string) (rest []templates.FieldError) {
	for _, e := range list {
		if e.Field != field {
			rest = append(rest, e)
		}
	}
	return rest
}
