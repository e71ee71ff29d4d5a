package forgetest

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// appManifest is what GitHub takes for a new App.
type appManifest struct {
	Name        string            `json:"name"`
	URL         string            `json:"url"`
	RedirectURL string            `json:"redirect_url"`
	SetupURL    string            `json:"setup_url"`
	Callbacks   []string          `json:"callback_urls"` // where people who sign in elsewhere may be sent back to
	Permissions map[string]string `json:"default_permissions"`
	Events      []string          `json:"default_events"`
	Hook        *struct {
		URL    string  `json:"url"`
		Active bool    `json:"active"`
		Secret *string `json:"secret"`
	} `json:"hook_attributes"`
}

// madeApp is the App after somebody made it of a manifest. There is one App: making another replaces what is said of it.
type madeApp struct {
	manifest     appManifest
	organization string
	code         string // for which its secrets are given, once; "" when there is none
}

// TakenName is the name that an App cannot have, since there is one of it.
const TakenName = "taken"

func (g *gitHub) routeManifest() {
	g.s.pages.HandleFunc("POST /settings/apps/new", g.offerApp)
	g.s.pages.HandleFunc("POST /organizations/{organization}/settings/apps/new", g.offerApp)
	g.s.pages.HandleFunc("POST /settings/apps", g.makeApp)
	g.s.pages.HandleFunc("GET /apps/{slug}/installations/new", g.offerInstallation)
	g.s.pages.HandleFunc("POST /apps/{slug}/installations", g.installFromPage)
}

const githubPages = `<!doctype html><html lang="en"><title>GitHub</title><h1>{{.Title}}</h1>
{{with .Problem}}<p role="alert">{{.}}</p>{{end}}
{{if .Manifest}}<form method="post" action="/settings/apps?{{.Query}}"><input type="hidden" name="manifest" value="{{.Manifest}}">
<input type="hidden" name="organization" value="{{.Organization}}">
<label>GitHub App name <input name="name" value="{{.Name}}"></label> <button>Create GitHub App</button></form>{{end}}
{{if .Accounts}}<form method="post" action="/apps/{{.Slug}}/installations?{{.Query}}">{{range .Accounts}}<label><input type="radio" name="account" value="{{.}}" checked> {{.}}</label>{{end}}
<button name="do" value="install">Install</button> <button name="do" value="request">Request</button></form>{{end}}`

type githubPage struct {
	Title, Problem, Manifest, Organization, Name, Slug string
	Query                                              template.URL
	Accounts                                           []string
}

func answerPage(w http.ResponseWriter, code int, p githubPage) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_ = template.Must(template.New("").Parse(githubPages)).Execute(w, p)
}

// offerApp shows what is about to be made, for the person to press the button.
func (g *gitHub) offerApp(w http.ResponseWriter, r *http.Request) {
	m, problem := readManifest(r)
	page := githubPage{Title: "Create GitHub App", Problem: problem, Organization: r.PathValue("organization"), Name: m.Name, Query: template.URL(r.URL.RawQuery)} //nolint:gosec // it is a test's
	if problem == "" {
		page.Manifest = r.PostFormValue("manifest")
	}
	answerPage(w, http.StatusOK, page)
}

// readManifest refuses in GitHub's words what GitHub refuses.
func readManifest(r *http.Request) (m appManifest, problem string) {
	if err := json.Unmarshal([]byte(r.PostFormValue("manifest")), &m); err != nil {
		return m, "Invalid GitHub App configuration: the manifest is not JSON"
	}
	switch {
	case m.URL == "" || m.Name == "" || m.RedirectURL == "":
		return m, `Invalid GitHub App configuration: "url" wasn't supplied`
	case m.Hook != nil && m.Hook.URL == "":
		return m, `Invalid GitHub App configuration: "url" wasn't supplied`
	case m.Hook != nil && m.Hook.Secret != nil:
		return m, `Invalid GitHub App configuration: "secret" is not a permitted key`
	case m.Hook == nil && len(m.Events) > 0:
		return m, "Invalid GitHub App configuration: events need a webhook"
	case slices.Contains(m.Events, "installation"), slices.Contains(m.Events, "installation_repositories"):
		return m, "Invalid GitHub App configuration: default events unsupported: installation"
	}
	return m, ""
}

// makeApp makes the App, unless its name is too long or taken: then the person chooses another one.
func (g *gitHub) makeApp(w http.ResponseWriter, r *http.Request) {
	const longest = 34
	m, problem := readManifest(r)
	m.Name = r.PostFormValue("name")
	switch {
	case problem != "":
	case len(m.Name) > longest:
		problem = "Name is too long (maximum is 34 characters)"
	case m.Name == TakenName:
		problem = "Name is already taken"
	}
	if problem != "" {
		answerPage(w, http.StatusUnprocessableEntity, githubPage{
			Title: "Create GitHub App", Problem: problem, Manifest: r.PostFormValue("manifest"), Organization: r.PostFormValue("organization"),
			Name: m.Name, Query: template.URL(r.URL.RawQuery), //nolint:gosec // it is a test's
		})
		return
	}
	g.s.mu.Lock()
	g.made = madeApp{manifest: m, organization: r.PostFormValue("organization"), code: randomHex(20)}
	g.s.oauth.callbacks = append([]string{}, m.Callbacks...)
	g.hook = ""
	if m.Hook != nil {
		g.hook = m.Hook.URL
	}
	code := g.made.code
	g.s.mu.Unlock()
	http.Redirect(w, r, m.RedirectURL+"?"+url.Values{"code": {code}, "state": {r.URL.Query().Get("state")}}.Encode(), http.StatusFound)
}

func (g *gitHub) slug() string { return strings.ToLower(strings.ReplaceAll(g.appName(), " ", "-")) }

func (g *gitHub) appName() string {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	if g.made.manifest.Name == "" {
		return "Tinyforge"
	}
	return g.made.manifest.Name
}

// convert gives the App's secrets for its code, once.
func (g *gitHub) convert(w http.ResponseWriter, r *http.Request) {
	slug, name := g.slug(), g.appName()
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	if g.made.code == "" || g.made.code != r.PathValue("code") {
		githubError(w, http.StatusNotFound, "Not Found")
		return
	}
	g.made.code = ""
	owner := map[string]any{"login": Developer, "id": 1, "type": "User"}
	if g.made.organization != "" {
		owner = map[string]any{"login": g.made.organization, "id": 2, "type": "Organization"}
	}
	var secret *string
	if g.hook != "" {
		secret = &g.secret
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(g.key)})
	answerJSON(w, http.StatusCreated, map[string]any{
		"id": g.appID, "slug": slug, "node_id": nodeID("App", g.appID), "owner": owner, "name": name,
		"external_url": g.made.manifest.URL, "html_url": g.s.url + "/apps/" + slug, "permissions": g.made.manifest.Permissions,
		"events": g.made.manifest.Events, "client_id": g.s.oauth.clientID, "client_secret": g.s.oauth.clientSecret, "webhook_secret": secret,
		"pem": string(private),
	})
}

// setHook changes the App's webhook.
func (g *gitHub) setHook(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		URL    *string `json:"url"`
		Secret *string `json:"secret"`
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		githubError(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	g.s.mu.Lock()
	if ask.URL != nil {
		g.hook = *ask.URL
	}
	if ask.Secret != nil {
		g.secret = *ask.Secret
	}
	hook := g.hook
	g.s.mu.Unlock()
	answerJSON(w, http.StatusOK, map[string]string{"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": hook})
}

// offerInstallation lets the person choose where to install the App.
func (g *gitHub) offerInstallation(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("slug") != g.slug() {
		http.NotFound(w, r)
		return
	}
	page := githubPage{Title: "Install " + g.appName(), Slug: g.slug(), Query: template.URL(r.URL.RawQuery)} //nolint:gosec // it is a test's
	g.s.mu.Lock()
	for _, repo := range g.s.repositories {
		if owner := repo.Owner(); !slices.Contains(page.Accounts, owner) {
			page.Accounts = append(page.Accounts, owner)
		}
	}
	g.s.mu.Unlock()
	answerPage(w, http.StatusOK, page)
}

// installFromPage installs the App, or asks those who may, and sends the browser back.
func (g *gitHub) installFromPage(w http.ResponseWriter, r *http.Request) {
	back := url.Values{"setup_action": {r.PostFormValue("do")}}
	if state := r.URL.Query().Get("state"); state != "" {
		back.Set("state", state)
	}
	if r.PostFormValue("do") == "install" {
		id, err := g.s.InstallApp(r.PostFormValue("account"))
		if err != nil {
			http.Error(w, fmt.Sprint(err), http.StatusInternalServerError)
			return
		}
		back.Set("installation_id", strconv.FormatInt(id, 10))
	}
	g.s.mu.Lock()
	setup := g.made.manifest.SetupURL
	g.s.mu.Unlock()
	http.Redirect(w, r, setup+"?"+back.Encode(), http.StatusFound)
}
