package gitea

import (
	"context"
	"errors"
	"net/http"

	"code.gitea.io/sdk/gitea"

	"tinyforge/app"
	"tinyforge/db"
)

// SetStatus implements app.Forge. Gitea answers 500 for a commit that it does not have.
func (f *Forge) SetStatus(ctx context.Context, repo db.Repository, s app.Status) error {
	const op = "set commit status"
	if !app.ValidHash(s.Commit) {
		return errors.New(op + ": not a full commit hash")
	}
	state, err := stateOf(s.State)
	if err != nil {
		return err
	}
	repo, err = f.current(ctx, op, repo)
	if err != nil {
		return err
	}
	owner, name, _ := app.SplitName(repo.FullName)
	return f.call(ctx, op, http.StatusCreated, func(c *gitea.Client) (*gitea.Response, error) {
		_, resp, err := c.CreateStatus(owner, name, s.Commit, gitea.CreateStatusOption{
			State: state, TargetURL: s.TargetURL, Description: s.Description, Context: app.StatusContext,
		})
		return resp, err
	})
}

// stateOf maps by name: Gitea stores any word it is sent, and shows what it does not know as pending for ever.
func stateOf(s db.Status) (gitea.StatusState, error) {
	switch s {
	case db.StatusPending:
		return gitea.StatusPending, nil
	case db.StatusSuccess:
		return gitea.StatusSuccess, nil
	case db.StatusFailure:
		return gitea.StatusFailure, nil
	}
	return "", errors.New("set commit status: unknown state")
}
