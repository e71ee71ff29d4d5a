package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/deploy"
)

// fetcher lets package deploy fetch commits, and says in words for the user what a forge answered.
type fetcher struct{ forges *app.Forges }

// Fetch implements deploy.Fetcher.
func (f fetcher) Fetch(ctx context.Context, repo db.Repository, commit, dir string) (db.CommitText, error) {
	said, err := f.forges.Fetch(ctx, repo, commit, dir)
	if err == nil || ctx.Err() != nil {
		return said, err
	}
	return said, &deploy.Failure{Text: fmt.Sprintf("Fetch failed: %s", forgeText(err)), Fault: fetchFault(commit, err), Err: err}
}

// fetchFault is the code of what a forge answered, nil where there is none for it.
func fetchFault(commit string, err error) *db.Fault {
	answer, answered := errors.AsType[*app.StatusError](err)
	switch {
	case errors.Is(err, app.ErrNoCommit):
		return deploy.FaultOf("fetch_gone", "commit", commit)
	case answered && (answer.Code == http.StatusUnauthorized || answer.Code == http.StatusForbidden || answer.Code == http.StatusNotFound):
		return deploy.FaultOf("fetch_auth")
	}
	return nil
}

// forgeText says in words for the user what a forge answered.
func forgeText(err error) string {
	var answer *app.StatusError
	switch {
	case errors.Is(err, app.ErrNoCommit):
		return app.ErrNoCommit.Error()
	case !errors.As(err, &answer):
		return strings.TrimPrefix(err.Error(), "fetch commit: ")
	}
	switch code := answer.Code; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fmt.Sprintf("the forge refused our credentials (%d); renew the token or the installation", code)
	case code == http.StatusNotFound:
		return "the forge shows no such repository (404); was it removed, or our access to it?"
	case code >= 300 && code < 400:
		return fmt.Sprintf("the forge answered with a redirect (%d); was the repository renamed?", code)
	}
	return fmt.Sprintf("the forge answered %d", answer.Code)
}
