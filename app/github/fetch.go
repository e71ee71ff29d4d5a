package github

import (
	"context"
	"fmt"

	"tinyforge/app"
	"tinyforge/db"
)

// Fetch implements app.Forge. It needs the permission contents: read.
func (f *Forge) Fetch(ctx context.Context, repo db.Repository, commit, dir string) (said db.CommitText, err error) {
	err = f.through(ctx, repo, func(i *installation) error {
		remote, err := f.remote(ctx, repo, i)
		if err != nil {
			return err
		}
		said, err = f.access.Git.Fetch(ctx, remote, commit, dir)
		return err
	})
	return said, err
}

// Heads implements app.Forge.
func (f *Forge) Heads(ctx context.Context, repo db.Repository) (map[string]string, error) {
	var heads map[string]string
	err := f.through(ctx, repo, func(i *installation) error {
		remote, err := f.remote(ctx, repo, i)
		if err != nil {
			return err
		}
		heads, err = f.access.Git.Heads(ctx, remote)
		return err
	})
	return heads, err
}

func (f *Forge) remote(ctx context.Context, repo db.Repository, i *installation) (app.Remote, error) {
	if _, _, ok := app.SplitName(repo.FullName); !ok {
		return app.Remote{}, fmt.Errorf("%q is not a repository's name", repo.FullName)
	}
	ctx, cancel := context.WithTimeout(ctx, f.access.Client.Timeout)
	defer cancel()
	token, err := i.token(ctx)
	if err != nil {
		return app.Remote{}, err
	}
	return app.Remote{URL: f.web + "/" + repo.FullName + ".git", Username: "x-access-token", Password: token}, nil
}
