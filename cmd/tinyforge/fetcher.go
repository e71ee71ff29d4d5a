package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/deploy"
)

// fetcher lets package deploy fetch commits, and says in words for the user what a forge answered.
type fetcher struct{ forges *app.Forges }

// Fetch implements deploy.Fetcher.
func (f fetcher) Fetch(ctx context.Context, repo db.Repository, commit, dir string) error {
	err := f.forges.Fetch(ctx, repo, commit, dir)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return &deploy.Failure{Text: fmt.Sprintf("Fetch failed: %s", f.text(err)), Err: err}
}

func (f fetcher) text(err error) string {
	var answer *app.StatusError
	switch {
	case errors.Is(err, app.ErrNoCommit):
		return app.ErrNoCommit.Error()
	case !errors.As(err, &answer):
		return err.Error()
	}
	switch answer.Code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Sprintf("the forge refused our credentials (%d); renew the token or the installation", answer.Code)
	case http.StatusNotFound:
		return "the forge shows no such repository (404); was it removed, or our access to it?"
	}
	return fmt.Sprintf("the forge answered %d", answer.Code)
}
