package github_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tinyforge"
	"tinyforge/app"
	"tinyforge/app/github"
	"tinyforge/db"
)

// TestAppsByManifest makes an App as a browser does, and takes its secrets once.
func TestAppsByManifest(t *testing.T) {
	s, repo, _ := start(t)
	apps, err := github.NewApps(tinyforge.AppManifest)
	if err != nil {
		t.Fatal(err)
	}
	n := app.NewApp{Name: "tinyforge x7k2", Forge: "hub", PublicURL: "http://127.0.0.1:1", Webhook: true}
	manifest, err := apps.Manifest(n)
	if err != nil {
		t.Fatal(err)
	}
	code := made(t, s.URL(), manifest)
	row := db.Forge{Name: "hub", Kind: "github", URL: s.URL(), Networks: []string{"loopback"}}
	if err := apps.Convert(t.Context(), &row, code); err != nil {
		t.Fatal(err)
	}
	want := s.Row("hub")
	if row.AppID != want.AppID || row.Credentials.PrivateKey != want.Credentials.PrivateKey ||
		row.Credentials.WebhookSecret != want.Credentials.WebhookSecret || row.Credentials.ClientSecret == "" ||
		row.AppURL != s.URL()+"/apps/tinyforge-x7k2" || row.AppSlug != "tinyforge-x7k2" || row.OwnerIsOrganization {
		t.Errorf("got %+v", row)
	}
	err = apps.Convert(t.Context(), &row, code)
	checkStatus(t, err, http.StatusNotFound, 0)
	row.ID, row.APIURL = 1, s.APIURL()
	forge, err := open(t, row)
	if err != nil {
		t.Fatal(err)
	}
	installer := forge.(app.Installer)
	list, err := installer.Installations(t.Context())
	if err != nil || len(list) != 1 || list[0].Account != "acme" || list[0].ExternalID != repo.InstallationID {
		t.Fatalf("installations: %+v, %v", list, err)
	}
	if one, err := installer.Installation(t.Context(), list[0].ExternalID); err != nil || one != list[0] {
		t.Errorf("installation: %+v, %v", one, err)
	}
	_, err = installer.Installation(t.Context(), 1)
	checkStatus(t, err, http.StatusNotFound, 0)
	if err := installer.SetHook(t.Context(), "http://127.0.0.1:1/webhooks/hub", "another"); err != nil {
		t.Error(err)
	}
	if secret := s.Row("hub").Credentials.WebhookSecret; secret != "another" {
		t.Errorf("the secret is %q", secret)
	}
}

// made posts a manifest and presses the button, and returns the code that comes back.
func made(t *testing.T, address, manifest string) string {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.PostForm(address+"/settings/apps?state=s", url.Values{"manifest": {manifest}, "name": {"tinyforge x7k2"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || !strings.HasPrefix(back.String(), "http://127.0.0.1:1/forges/github/created?") || back.Query().Get("state") != "s" {
		t.Fatalf("answered %d, back to %q", resp.StatusCode, back)
	}
	return back.Query().Get("code")
}

func TestManifest(t *testing.T) {
	apps, err := github.NewApps(tinyforge.AppManifest)
	if err != nil {
		t.Fatal(err)
	}
	for _, webhook := range []bool{true, false} {
		text, err := apps.Manifest(app.NewApp{Name: "n", Forge: "hub", PublicURL: "https://d.example.org", Webhook: webhook})
		if err != nil {
			t.Fatal(err)
		}
		var m struct {
			Hook   map[string]any `json:"hook_attributes"`
			Events []string       `json:"default_events"`
		}
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		if (m.Hook != nil) != webhook || (m.Events != nil) != webhook || strings.Contains(text, "deploy.example.com") || strings.Contains(text, "secret") {
			t.Errorf("webhook %v: %s", webhook, text)
		}
	}
	if _, err := github.NewApps("a: ["); err == nil {
		t.Error("it is no YAML")
	}
}
