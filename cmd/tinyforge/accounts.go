package main

import (
	"context"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/deploy"
)

// accounts lets package deploy pull from the registries of the forges.
type accounts struct{ forges *app.Forges }

// RegistryAuth implements deploy.Accounts.
func (a accounts) RegistryAuth(ctx context.Context, repo db.Repository, host string) (*deploy.RegistryAuth, error) {
	account, ok, err := a.forges.RegistryAccount(ctx, repo, host)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, &deploy.Failure{Text: forgeText(err), Err: err}
	case !ok:
		return nil, nil
	}
	return &deploy.RegistryAuth{Username: account.Username, Password: account.Password}, nil
}
