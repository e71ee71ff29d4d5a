package gitlab

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"

	gitlab "gitlab.com/gitlab-org/api/client-go"

	"tinyforge/app"
	"tinyforge/db"
)

const (
	pageSize = 100 // GitLab's own limit
	maxPages = 200 // 20,000 entries
)

// Repositories implements app.Forge: the projects in which the token's owner is at least a Developer, which commit statuses
// take. They are listed by id, each page from the last id of the one before: what is made or removed in the meantime moves
// nothing from one page to another.
func (f *Forge) Repositories(ctx context.Context) iter.Seq2[app.Installed, error] {
	return func(yield func(app.Installed, error) bool) {
		after := int64(0)
		for range maxPages {
			projects, err := f.member(ctx, after)
			if err != nil {
				yield(app.Installed{}, err)
				return
			}
			if len(projects) == 0 {
				return
			}
			last := after
			for _, p := range projects {
				row, ok := f.repository(p)
				if ok && !yield(app.Installed{Repository: row}, nil) {
					return
				}
				last = max(last, row.ExternalID)
			}
			if last == after {
				yield(app.Installed{}, errors.New("list repositories: the forge's answer could not be understood"))
				return
			}
			after = last
		}
		yield(app.Installed{}, fmt.Errorf("list repositories: there are more than %d; use a token that sees fewer projects", maxPages*pageSize))
	}
}

// member returns the projects with the lowest ids above after.
func (f *Forge) member(ctx context.Context, after int64) (projects []*gitlab.Project, err error) {
	options := &gitlab.ListProjectsOptions{
		ListOptions:    gitlab.ListOptions{PerPage: pageSize, Pagination: "keyset", OrderBy: "id", Sort: "asc"},
		Membership:     gitlab.Ptr(true),
		MinAccessLevel: gitlab.Ptr(gitlab.DeveloperPermissions),
	}
	if after > 0 {
		options.IDAfter = &after
	}
	err = f.call(ctx, "list repositories", http.StatusOK, func(with gitlab.RequestOptionFunc) (resp *gitlab.Response, err error) {
		projects, resp, err = f.client.Projects.ListProjects(options, with)
		return resp, err
	})
	return projects, err
}

// repository is a project as a row. It reports false for what cannot be one.
func (f *Forge) repository(p *gitlab.Project) (row db.Repository, ok bool) {
	if p == nil || p.ID <= 0 {
		return db.Repository{}, false
	}
	return db.Repository{
		ForgeID: f.row.ID, ExternalID: p.ID, FullName: p.PathWithNamespace,
		DefaultBranch: app.FirstLine(p.DefaultBranch), Private: p.Visibility != gitlab.PublicVisibility,
	}, app.NestedName(p.PathWithNamespace)
}

// current returns the repository under the name that it has on the forge now. The one in its row may be out of date, and be
// another repository's by now: what goes by that would go there. Only git goes by names: the API takes the id.
func (f *Forge) current(ctx context.Context, op string, repo db.Repository) (db.Repository, error) {
	var project *gitlab.Project
	err := f.call(ctx, op, http.StatusOK, func(with gitlab.RequestOptionFunc) (resp *gitlab.Response, err error) {
		project, resp, err = f.client.Projects.GetProject(repo.ExternalID, nil, with)
		return resp, err
	})
	if err != nil {
		return db.Repository{}, err
	}
	found, ok := f.repository(project)
	if !ok || found.ExternalID != repo.ExternalID {
		return db.Repository{}, fmt.Errorf("%s: the forge answered with another repository than it was asked for", op)
	}
	repo.FullName = found.FullName
	return repo, nil
}
