package github

import (
	"context"
	"fmt"
	"iter"

	"github.com/google/go-github/v62/github"

	"tinyforge/app"
	"tinyforge/db"
)

// maxPages bounds all requests of one listing: up to 100,000 entries.
const maxPages = 1000

// Repositories implements app.Forge. Suspended installations yield nothing.
func (f *Forge) Repositories(ctx context.Context) iter.Seq2[app.Installed, error] {
	return func(yield func(app.Installed, error) bool) {
		left := maxPages
		for i, err := range f.installed(ctx, &left) {
			if err != nil {
				yield(app.Installed{}, err)
				return
			}
			if i.GetSuspendedAt().IsZero() && !f.yieldRepositories(ctx, i, &left, yield) {
				return
			}
		}
	}
}

// yieldRepositories reports whether to go on. An installation that fails does not end the listing by itself.
func (f *Forge) yieldRepositories(ctx context.Context, i *github.Installation, left *int, yield func(app.Installed, error) bool) bool {
	row := db.Installation{ForgeID: f.row.ID, ExternalID: i.GetID(), Account: app.FirstLine(i.GetAccount().GetLogin())}
	for repo, err := range f.visible(ctx, row.ExternalID, left) {
		if err != nil {
			return yield(app.Installed{}, err)
		}
		if _, _, ok := app.SplitName(repo.GetFullName()); !ok || repo.GetID() == 0 {
			continue
		}
		if !yield(app.Installed{Installation: &row, Repository: db.Repository{
			ForgeID:       f.row.ID,
			ExternalID:    repo.GetID(),
			FullName:      repo.GetFullName(),
			DefaultBranch: app.FirstLine(repo.GetDefaultBranch()),
			Private:       repo.GetPrivate(),
		}}, nil) {
			return false
		}
	}
	return true
}

func (f *Forge) installed(ctx context.Context, left *int) iter.Seq2[*github.Installation, error] {
	return pages(ctx, f, "list installations", left, func(o *github.ListOptions) ([]*github.Installation, *github.Response, error) {
		return f.app.Apps.ListInstallations(ctx, o)
	})
}

func (f *Forge) visible(ctx context.Context, installationID int64, left *int) iter.Seq2[*github.Repository, error] {
	return pages(ctx, f, "list repositories", left, func(o *github.ListOptions) ([]*github.Repository, *github.Response, error) {
		i, err := f.installation(installationID)
		if err != nil {
			return nil, nil, err
		}
		if _, err := i.nextToken(ctx); err != nil {
			return nil, nil, err
		}
		list, resp, err := i.api.Apps.ListRepos(ctx, o)
		if list == nil {
			return nil, resp, err
		}
		return list.Repositories, resp, err
	})
}

// pages yields all entries of a listing, or what it has until an error, which is the last. left is how many requests may still
// be made, by others too.
func pages[T any](ctx context.Context, f *Forge, op string, left *int, list func(*github.ListOptions) ([]T, *github.Response, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		o := &github.ListOptions{Page: 1, PerPage: 100}
		for *left > 0 {
			*left--
			page, resp, err := list(o)
			if err != nil {
				var none T
				yield(none, f.callError(ctx, op, err))
				return
			}
			for _, entry := range page {
				if !yield(entry, nil) {
					return
				}
			}
			if o.Page = resp.NextPage; o.Page == 0 {
				return
			}
		}
		var none T
		yield(none, fmt.Errorf("%s: there are more than %d pages", op, maxPages))
	}
}
