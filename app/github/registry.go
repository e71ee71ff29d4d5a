package github

import (
	"context"
	"fmt"
	"net/url"

	"github.com/google/go-github/v62/github"

	"tinyforge/app"
	"tinyforge/db"
)

var _ app.Registrar = (*Forge)(nil)

// RegistryAccount implements app.Registrar: ghcr.io for github.com, containers.HOST for GitHub Enterprise. The password is a
// new token of the installation that can read packages and nothing else. It needs the permission packages: read.
func (f *Forge) RegistryAccount(ctx context.Context, repo db.Repository, host string) (a app.RegistryAccount, ok bool, err error) {
	if !app.SameHost(f.registry(), host) {
		return app.RegistryAccount{}, false, nil
	}
	if repo.InstallationID == 0 {
		return app.RegistryAccount{}, true, fmt.Errorf("the GitHub App is not installed on %s: install it there", repo.FullName)
	}
	row, err := f.access.Installation(ctx, repo.InstallationID)
	if err != nil {
		return app.RegistryAccount{}, true, fmt.Errorf("read installation of %s: %w", repo.FullName, err)
	}
	reader, err := f.newInstallation(row.ExternalID)
	if err != nil {
		return app.RegistryAccount{}, true, err
	}
	reader.tokens.InstallationTokenOptions = &github.InstallationTokenOptions{
		Permissions: &github.InstallationPermissions{Packages: github.String("read")},
	}
	token, err := reader.token(ctx)
	return app.RegistryAccount{Username: "x-access-token", Password: token}, true, err
}

// registry is the address of the forge's container registry.
func (f *Forge) registry() string {
	web, err := url.Parse(f.web)
	switch {
	case err != nil || web.Host == "":
		return ""
	case web.Host == "github.com":
		return "https://ghcr.io"
	}
	return web.Scheme + "://containers." + web.Host
}
