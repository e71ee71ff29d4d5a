package gitea

import (
	"context"
	"net/http"

	"code.gitea.io/sdk/gitea"

	"tinyforge/app"
	"tinyforge/db"
)

// SetStatus implements app.Forge. Gitea answers 500 for a commit that it does not have.
func (f *Forge) SetStatus(ctx context.Context, repo db.Repository, s app.Status) error {
	const op = "set commit status"
	if err := s.Check(); err != nil { // Gitea stores any state it is sent, and shows what it does not know as pending for ever
		return err
	}
	repo, err := f.current(ctx, op, repo)
	if err != nil {
		return err
	}
	owner, name, _ := app.SplitName(repo.FullName)
	return f.call(ctx, op, http.StatusCreated, func(c *gitea.Client) (*gitea.Response, error) {
		_, resp, err := c.CreateStatus(owner, name, s.Commit, gitea.CreateStatusOption{
			State: gitea.StatusState(s.State), TargetURL: s.TargetURL, Description: s.Description, Context: app.StatusContext,
		})
		return resp, err
	})
}
