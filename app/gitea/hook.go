package gitea

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"code.gitea.io/sdk/gitea"

	"tinyforge/app"
	"tinyforge/db"
)

// hookEvents are what a hook sends: push for moved refs and deleted tags, delete for deleted branches, which Gitea tells
// in no push. A hook with more could answer to our own statuses.
func hookEvents() []string { return []string{"delete", "push"} }

// FindHook implements app.Hooker. Gitea's API never shows a hook's secret. Its pages do show it, to all who administer the
// repository: hence one per repository.
func (f *Forge) FindHook(ctx context.Context, repo db.Repository, url string) (id int64, err error) {
	repo, err = f.current(ctx, "list webhooks", repo)
	if err != nil {
		return 0, err
	}
	hooks, err := f.hooks(ctx, repo, url)
	if err != nil || len(hooks) != 1 || !sound(hooks[0]) {
		return 0, err
	}
	return hooks[0].ID, nil
}

// RenewHook implements app.Hooker. A hook that is not as it should be is replaced, since Gitea's editing leaves parts of it alone.
func (f *Forge) RenewHook(ctx context.Context, repo db.Repository, url string) (id int64, err error) {
	repo, err = f.current(ctx, "list webhooks", repo)
	if err != nil {
		return 0, err
	}
	id, err = f.createHook(ctx, repo, url)
	if err != nil {
		return 0, err
	}
	hooks, err := f.hooks(ctx, repo, url)
	if err != nil {
		return 0, err
	}
	return id, f.deleteHooks(ctx, repo, slices.DeleteFunc(hooks, func(h *gitea.Hook) bool { return h.ID >= id }))
}

// RemoveHook implements app.Hooker.
func (f *Forge) RemoveHook(ctx context.Context, repo db.Repository, url string) error {
	repo, err := f.current(ctx, "list webhooks", repo)
	if err != nil {
		return err
	}
	hooks, err := f.hooks(ctx, repo, url)
	if err != nil {
		return err
	}
	return f.deleteHooks(ctx, repo, hooks)
}

// HookSecret implements app.Hooker.
func (f *Forge) HookSecret(repo db.Repository) string {
	return app.RepositorySecret(f.row.Credentials.WebhookSecret, repo.ExternalID)
}

// hooks returns the repository's hooks with this address.
func (f *Forge) hooks(ctx context.Context, repo db.Repository, url string) ([]*gitea.Hook, error) {
	const op = "list webhooks"
	owner, name, _ := app.SplitName(repo.FullName)
	var found []*gitea.Hook
	for page := 1; page <= maxPages; page++ {
		var hooks []*gitea.Hook
		err := f.listed(ctx, op, func(c *gitea.Client) (resp *gitea.Response, err error) {
			hooks, resp, err = c.ListRepoHooks(owner, name, gitea.ListHooksOptions{ListOptions: gitea.ListOptions{Page: page, PageSize: pageSize}})
			return resp, err
		})
		if err != nil {
			return nil, err
		}
		if len(hooks) == 0 {
			return found, nil
		}
		for _, h := range hooks {
			if h != nil && h.Config["url"] == url {
				found = append(found, h)
			}
		}
	}
	return nil, fmt.Errorf("%s: %s has more than %d", op, repo.FullName, maxPages*pageSize)
}

// sound tells whether a hook does what createHook asks for, as far as Gitea shows.
func sound(h *gitea.Hook) bool {
	events := slices.Clone(h.Events)
	slices.Sort(events)
	return h.Active && h.Config["content_type"] == "json" && slices.Equal(slices.Compact(events), hookEvents()) &&
		(h.BranchFilter == "" || h.BranchFilter == "*")
}

// createHook returns the id of a new hook.
func (f *Forge) createHook(ctx context.Context, repo db.Repository, url string) (int64, error) {
	const op = "create webhook"
	if f.row.Credentials.WebhookSecret == "" {
		return 0, errors.New(op + ": the forge has no webhook secret; without one no delivery is accepted")
	}
	owner, name, _ := app.SplitName(repo.FullName)
	var made *gitea.Hook
	err := f.call(ctx, op, http.StatusCreated, func(c *gitea.Client) (resp *gitea.Response, err error) {
		made, resp, err = c.CreateRepoHook(owner, name, gitea.CreateHookOption{
			Type:   gitea.HookTypeGitea,
			Config: map[string]string{"url": url, "content_type": "json", "secret": f.HookSecret(repo)},
			Events: hookEvents(),
			Active: true,
		})
		return resp, err
	})
	if err != nil {
		return 0, err
	}
	if made == nil || !sound(made) {
		if made != nil && made.ID > 0 && made.Config["url"] == url { // the next try would make one more
			if err := f.deleteHooks(ctx, repo, []*gitea.Hook{made}); err != nil {
				return 0, err
			}
		}
		return 0, errors.New(op + ": the forge made another one than it was asked for; is it a supported version?")
	}
	return made.ID, nil
}

// deleteHooks goes on after an error. A hook that is gone already is not one.
func (f *Forge) deleteHooks(ctx context.Context, repo db.Repository, hooks []*gitea.Hook) error {
	owner, name, _ := app.SplitName(repo.FullName)
	var faults []error
	for _, h := range hooks {
		err := f.call(ctx, "delete webhook", http.StatusNoContent, func(c *gitea.Client) (*gitea.Response, error) {
			return c.DeleteRepoHook(owner, name, h.ID)
		})
		if status, ok := errors.AsType[*app.StatusError](err); ok && status.Code == http.StatusNotFound {
			continue
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}
