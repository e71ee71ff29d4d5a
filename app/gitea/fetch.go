package gitea

import (
	"context"
	"fmt"

	"tinyforge/app"
	"tinyforge/db"
)

// Fetch implements app.Forge.
func (f *Forge) Fetch(ctx context.Context, repo db.Repository, commit, dir string) error {
	remote, err := f.remote(repo)
	if err != nil {
		return err
	}
	return f.access.Git.Fetch(ctx, remote, commit, dir)
}

// Heads implements app.Forge.
func (f *Forge) Heads(ctx context.Context, repo db.Repository) (map[string]string, error) {
	remote, err := f.remote(repo)
	if err != nil {
		return nil, err
	}
	return f.access.Git.Heads(ctx, remote)
}

// remote takes the token as a password: the user's name does not matter then.
func (f *Forge) remote(repo db.Repository) (app.Remote, error) {
	if _, _, ok := app.SplitName(repo.FullName); !ok {
		return app.Remote{}, fmt.Errorf("%q is not a repository's name", repo.FullName)
	}
	return app.Remote{URL: f.web + "/" + repo.FullName + ".git", Username: "tinyforge", Password: f.row.Credentials.Token}, nil
}
