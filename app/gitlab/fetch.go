package gitlab

import (
	"context"

	"tinyforge/app"
	"tinyforge/db"
)

// Fetch implements app.Forge.
func (f *Forge) Fetch(ctx context.Context, repo db.Repository, commit, dir string) (db.CommitText, error) {
	remote, err := f.remote(ctx, "fetch commit", repo)
	if err != nil {
		return db.CommitText{}, err
	}
	return f.git.Fetch(ctx, remote, commit, dir)
}

// Heads implements app.Forge.
func (f *Forge) Heads(ctx context.Context, repo db.Repository) (map[string]string, error) {
	remote, err := f.remote(ctx, "list refs", repo)
	if err != nil {
		return nil, err
	}
	return f.git.Heads(ctx, remote)
}

// remote takes the token as the password of the user oauth2, which works for every kind of access token.
func (f *Forge) remote(ctx context.Context, op string, repo db.Repository) (app.Remote, error) {
	repo, err := f.current(ctx, op, repo)
	if err != nil {
		return app.Remote{}, err
	}
	return app.Remote{URL: f.web + "/" + repo.FullName + ".git", Username: "oauth2", Password: f.row.Credentials.Token}, nil
}
