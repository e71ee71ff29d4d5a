// Package github is a GitHub App on github.com or on a GitHub Enterprise Server.
package github

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v62/github"

	"tinyforge/app"
	"tinyforge/db"
)

// Forge is one GitHub App. It implements app.Forge.
type Forge struct {
	row    db.Forge
	web    string // without a trailing slash
	access app.Access
	app    *github.Client // as the App itself

	mu            sync.Mutex
	installations map[int64]*installation // by GitHub's id
}

// New opens a row: AppID, Credentials.PrivateKey and, unless they are github.com's, URL and APIURL, which for GitHub
// Enterprise is https://HOST/api/v3 by default. It makes no network call.
func New(row db.Forge, access app.Access) (app.Forge, error) {
	if row.AppID <= 0 {
		return nil, errors.New("the id of the GitHub App is missing")
	}
	if row.Credentials.PrivateKey == "" {
		return nil, errors.New("the private key of the GitHub App is missing")
	}
	f := &Forge{
		row:           row,
		web:           strings.TrimSuffix(cmp.Or(row.URL, "https://github.com"), "/"),
		access:        access,
		installations: map[int64]*installation{},
	}
	api, err := f.apiURL()
	if err != nil {
		return nil, err
	}
	tr, err := f.appTransport(api)
	if err != nil {
		return nil, err
	}
	f.app = f.client(tr, api)
	return f, nil
}

// apiURL returns the base of the API, with the trailing slash that go-github asks for.
func (f *Forge) apiURL() (*url.URL, error) {
	raw := f.row.APIURL
	if raw == "" {
		raw = f.web + "/api/v3"
		if f.web == "https://github.com" {
			raw = "https://api.github.com"
		}
	}
	if !app.ValidAddress(raw) {
		return nil, errors.New("the API address must look like https://HOST/api/v3")
	}
	return url.Parse(strings.TrimSuffix(raw, "/") + "/")
}

// appTransport returns a transport that signs requests as the App. Each user gets one of its own: ghinstallation writes
// into the one it is given.
func (f *Forge) appTransport(api *url.URL) (*ghinstallation.AppsTransport, error) {
	tr, err := ghinstallation.NewAppsTransport(&tokenCheck{base: f.access.Client.Transport}, f.row.AppID, []byte(f.row.Credentials.PrivateKey))
	if err != nil {
		return nil, errors.New("the private key of the GitHub App is not an RSA key in PEM format")
	}
	tr.BaseURL = strings.TrimSuffix(api.String(), "/")
	return tr, nil
}

// client returns an API client with the limits and the redirect rule of our HTTP client.
func (f *Forge) client(tr http.RoundTripper, api *url.URL) *github.Client {
	c := github.NewClient(&http.Client{
		Transport: tr, CheckRedirect: f.access.Client.CheckRedirect, Timeout: f.access.Client.Timeout,
	})
	c.BaseURL, c.UserAgent = api, "tinyforge"
	return c
}
