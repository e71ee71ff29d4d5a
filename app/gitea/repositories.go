package gitea

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"

	"code.gitea.io/sdk/gitea"

	"tinyforge/app"
	"tinyforge/db"
)

const (
	pageSize = 50  // Gitea's own limit
	maxPages = 200 // 10,000 entries
)

// Repositories implements app.Forge: the repositories that the token's owner has a part in. A token without read:user may
// not list those; then all that it sees are searched for the ones that it may write to.
func (f *Forge) Repositories(ctx context.Context) iter.Seq2[app.Installed, error] {
	return func(yield func(app.Installed, error) bool) {
		list := f.owned
		for page := 1; page <= maxPages; page++ {
			repos, err := list(ctx, page)
			if status, ok := errors.AsType[*app.StatusError](err); ok && status.Code == http.StatusForbidden && page == 1 {
				list = f.searched
				repos, err = list(ctx, page)
			}
			if err != nil {
				yield(app.Installed{}, err)
				return
			}
			if len(repos) == 0 {
				return
			}
			if !f.yield(repos, yield) {
				return
			}
		}
		yield(app.Installed{}, fmt.Errorf("list repositories: there are more than %d; give the token the scope read:user", maxPages*pageSize))
	}
}

func (f *Forge) yield(repos []*gitea.Repository, yield func(app.Installed, error) bool) bool {
	for _, r := range repos {
		if r == nil || r.ID <= 0 {
			continue
		}
		if _, _, ok := app.SplitName(r.FullName); !ok || r.Permissions == nil || !r.Permissions.Push {
			continue
		}
		if !yield(app.Installed{Repository: db.Repository{
			ForgeID: f.row.ID, ExternalID: r.ID, FullName: r.FullName, DefaultBranch: app.FirstLine(r.DefaultBranch), Private: r.Private,
		}}, nil) {
			return false
		}
	}
	return true
}

func (f *Forge) owned(ctx context.Context, page int) (repos []*gitea.Repository, err error) {
	err = f.listed(ctx, "list repositories", func(c *gitea.Client) (resp *gitea.Response, err error) {
		repos, resp, err = c.ListMyRepos(gitea.ListReposOptions{ListOptions: gitea.ListOptions{Page: page, PageSize: pageSize}})
		return resp, err
	})
	return repos, err
}

func (f *Forge) searched(ctx context.Context, page int) (repos []*gitea.Repository, err error) {
	err = f.listed(ctx, "search repositories", func(c *gitea.Client) (resp *gitea.Response, err error) {
		repos, resp, err = c.SearchRepos(gitea.SearchRepoOptions{ListOptions: gitea.ListOptions{Page: page, PageSize: pageSize}})
		return resp, err
	})
	return repos, err
}

// current returns the repository under the name that it has on the forge now. The one in its row may be out of date, and be
// another repository's by now: what goes by that would go there. The name consists of two parts (see app.SplitName).
func (f *Forge) current(ctx context.Context, op string, repo db.Repository) (db.Repository, error) {
	var found *gitea.Repository
	err := f.call(ctx, op, http.StatusOK, func(c *gitea.Client) (resp *gitea.Response, err error) {
		found, resp, err = c.GetRepoByID(repo.ExternalID)
		return resp, err
	})
	if err != nil {
		return db.Repository{}, err
	}
	if _, _, ok := app.SplitName(found.FullName); !ok || found.ID != repo.ExternalID {
		return db.Repository{}, fmt.Errorf("%s: the forge answered with another repository than it was asked for", op)
	}
	repo.FullName = found.FullName
	return repo, nil
}
