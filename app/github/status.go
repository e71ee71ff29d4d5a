package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-github/v62/github"

	"tinyforge/app"
	"tinyforge/db"
)

// maxDescription is GitHub's limit, in characters: it answers 422 to more.
const maxDescription = 140

// SetStatus implements app.Forge. It needs the permission statuses: write. It goes by the
// repository's id, as GitHub's own redirects do: after a rename the name leads nowhere, or to another repository.
func (f *Forge) SetStatus(ctx context.Context, repo db.Repository, s app.Status) error {
	const op = "set commit status"
	if err := s.Check(); err != nil {
		return err
	}
	if repo.ExternalID <= 0 {
		return errors.New(op + ": not a repository's id")
	}
	status := &github.RepoStatus{
		State:       github.String(string(s.State)),
		Description: github.String(app.Shorten(s.Description, maxDescription)),
		Context:     github.String(app.StatusContext),
	}
	if s.TargetURL != "" {
		status.TargetURL = github.String(s.TargetURL)
	}
	return f.through(ctx, repo, func(i *installation) error {
		req, err := i.api.NewRequest(http.MethodPost, fmt.Sprintf("repositories/%d/statuses/%s", repo.ExternalID, s.Commit), status)
		if err != nil {
			return f.callError(ctx, op, err)
		}
		resp, err := i.api.Do(ctx, req, new(github.RepoStatus))
		if err != nil {
			return f.callError(ctx, op, err)
		}
		if resp.StatusCode != http.StatusCreated {
			return app.NewStatusError(op, resp.Response)
		}
		return nil
	})
}
