package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/google/go-github/v62/github"

	"tinyforge/app"
	"tinyforge/db"
)

// Apps makes GitHub Apps of a manifest. It is safe for concurrent use.
type Apps struct {
	manifest map[string]any
}

// NewApps reads the manifest of every App, in YAML: its addresses and its name are those of an example.
func NewApps(manifest string) (*Apps, error) {
	var m map[string]any
	if err := yaml.Unmarshal([]byte(manifest), &m); err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	return &Apps{m}, nil
}

// Manifest is what GitHub is posted for one App, as JSON. Without a webhook it has none at all, since GitHub takes an
// inactive one for an incomplete one, and no events, which nobody would receive.
func (a *Apps) Manifest(n app.NewApp) (string, error) {
	m := map[string]any{}
	for key, value := range a.manifest {
		m[key] = value
	}
	m["name"], m["url"], m["public"] = n.Name, n.PublicURL, false
	m["redirect_url"] = n.PublicURL + "/forges/github/created"
	m["setup_url"], m["setup_on_update"] = n.PublicURL+"/forges/github/installed", true
	m["callback_urls"], m["request_oauth_on_install"] = []string{n.PublicURL + "/sign-in/callback"}, false
	m["hook_attributes"] = map[string]any{"url": app.HookURL(n.PublicURL, n.Forge), "active": true}
	if !n.Webhook {
		delete(m, "hook_attributes")
		delete(m, "default_events")
	}
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return "", fmt.Errorf("write manifest: %w", err)
	}
	return string(raw), nil
}

// Convert exchanges the code that GitHub gave for a new App for its id, its address and its secrets, and puts them into the
// row. GitHub does that once: a code that was used, is wrong or is older than an hour is a *app.StatusError of 404 or 422.
func (a *Apps) Convert(ctx context.Context, row *db.Forge, code string) error {
	const op = "get the new App"
	client, err := app.NewClient(row.Networks)
	if err != nil {
		return err
	}
	f := &Forge{row: *row, web: strings.TrimSuffix(row.URL, "/"), access: app.Access{Client: client}}
	api, err := f.apiURL()
	if err != nil {
		return err
	}
	f.app = f.client(client.Transport, api)
	made, resp, err := f.app.Apps.CompleteAppManifest(ctx, url.PathEscape(code))
	switch {
	case err != nil:
		return f.callError(ctx, op, err)
	case resp.StatusCode != http.StatusCreated:
		return app.NewStatusError(op, resp.Response)
	case made.GetID() <= 0 || made.GetPEM() == "":
		return errors.New(op + ": GitHub's answer has no key")
	}
	row.AppID, row.AppSlug, row.AppURL = made.GetID(), app.FirstLine(made.GetSlug()), f.pageOf(made)
	row.Owner, row.OwnerIsOrganization = app.FirstLine(made.GetOwner().GetLogin()), made.GetOwner().GetType() == "Organization"
	row.Credentials.PrivateKey, row.Credentials.WebhookSecret = made.GetPEM(), made.GetWebhookSecret()
	row.Credentials.ClientID, row.Credentials.ClientSecret = made.GetClientID(), made.GetClientSecret()
	return nil
}

// pageOf is the App's page, "" where GitHub's answer leads elsewhere.
func (f *Forge) pageOf(made *github.AppConfig) string {
	page := strings.TrimSuffix(made.GetHTMLURL(), "/")
	if u, err := url.Parse(page); err != nil || u.User != nil || u.RawQuery != "" || !strings.HasPrefix(page, f.web+"/") {
		return ""
	}
	return page
}
