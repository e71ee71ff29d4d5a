package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	gitlab "gitlab.com/gitlab-org/api/client-go"

	"tinyforge/app"
	"tinyforge/db"
)

// hook is a webhook as GitLab shows it: without its secrets. Whether it has any is told since GitLab 19.0, and unknown to the
// SDK.
type hook struct {
	gitlab.ProjectHook
	TokenPresent        *bool `json:"token_present"` // nil where GitLab does not tell
	SigningTokenPresent bool  `json:"signing_token_present"`
}

type hookOptions struct {
	gitlab.AddProjectHookOptions
	SigningToken string `json:"signing_token,omitempty"`
}

// FindHook implements app.Hooker. It leaves out a hook that GitLab has disabled because its deliveries failed. GitLab never shows
// a hook's secrets.
func (f *Forge) FindHook(ctx context.Context, repo db.Repository, url string) (id int64, err error) {
	hooks, err := f.hooks(ctx, repo, url)
	if err != nil || len(hooks) != 1 || !f.sound(hooks[0]) {
		return 0, err
	}
	return hooks[0].ID, nil
}

// RenewHook implements app.Hooker.
func (f *Forge) RenewHook(ctx context.Context, repo db.Repository, url string) (id int64, err error) {
	id, err = f.createHook(ctx, repo, url)
	if err != nil {
		return 0, err
	}
	hooks, err := f.hooks(ctx, repo, url)
	if err != nil {
		return 0, err
	}
	return id, f.deleteHooks(ctx, repo, slices.DeleteFunc(hooks, func(h *hook) bool { return h.ID >= id }))
}

// RemoveHook implements app.Hooker.
func (f *Forge) RemoveHook(ctx context.Context, repo db.Repository, url string) error {
	hooks, err := f.hooks(ctx, repo, url)
	if err != nil {
		return err
	}
	return f.deleteHooks(ctx, repo, hooks)
}

// HookSecret implements app.Hooker: the secret token and, where the forge has one, the signing token.
func (f *Forge) HookSecret(repo db.Repository) string {
	token, signing := f.hookTokens(repo)
	return token + "\n" + signing
}

func (f *Forge) hookTokens(repo db.Repository) (token, signing string) {
	token = app.RepositorySecret(f.row.Credentials.WebhookSecret, repo.ExternalID)
	if f.signingKey != nil {
		signing = repositorySigningToken(f.row.Credentials.SigningToken, repo.ExternalID)
	}
	return token, signing
}

// hooks returns the repository's hooks with this address.
func (f *Forge) hooks(ctx context.Context, repo db.Repository, url string) (found []*hook, err error) {
	const op = "list webhooks"
	for page := range int64(maxPages) {
		var hooks []*hook
		options := &gitlab.ListProjectHooksOptions{ListOptions: gitlab.ListOptions{Page: page + 1, PerPage: pageSize}}
		if err := f.call(ctx, op, http.StatusOK, f.request(http.MethodGet, "projects/%d/hooks", options, &hooks, repo.ExternalID)); err != nil {
			return nil, err
		}
		if len(hooks) == 0 {
			return found, nil
		}
		for _, h := range hooks {
			if h != nil && h.URL == url {
				found = append(found, h)
			}
		}
	}
	return nil, fmt.Errorf("%s: %s has more than %d", op, repo.FullName, maxPages*pageSize)
}

// sound tells whether a hook does what createHook asks for, as far as GitLab shows.
func (f *Forge) sound(h *hook) bool {
	unfiltered := h.PushEventsBranchFilter == "" && h.BranchFilterStrategy != "regex" && h.CustomWebhookTemplate == ""
	enabled := h.AlertStatus == "" || h.AlertStatus == "executable"
	secret := (h.TokenPresent == nil || *h.TokenPresent) && (h.SigningTokenPresent || f.signingKey == nil)
	return h.PushEvents && h.TagPushEvents && !h.tellsMore() && h.EnableSSLVerification && unfiltered && enabled && secret
}

// tellsMore tells whether a hook sends what nobody asked it for. Pipelines and jobs could be those of our own statuses.
func (h *hook) tellsMore() bool {
	return h.IssuesEvents || h.ConfidentialIssuesEvents || h.MergeRequestsEvents || h.NoteEvents || h.ConfidentialNoteEvents ||
		h.JobEvents || h.PipelineEvents || h.WikiPageEvents || h.DeploymentEvents || h.ReleasesEvents || h.MilestoneEvents ||
		h.FeatureFlagEvents || h.EmojiEvents || h.RepositoryUpdateEvents || h.ResourceAccessTokenEvents || h.VulnerabilityEvents
}

// createHook returns the id of a new hook.
func (f *Forge) createHook(ctx context.Context, repo db.Repository, url string) (int64, error) {
	const op = "create webhook"
	if f.row.Credentials.WebhookSecret == "" {
		return 0, errors.New(op + ": the forge has no webhook secret; without one no delivery is accepted")
	}
	token, signing := f.hookTokens(repo)
	options := &hookOptions{SigningToken: signing, AddProjectHookOptions: gitlab.AddProjectHookOptions{
		Name:                  gitlab.Ptr("Tinyforge"),
		URL:                   &url,
		Token:                 &token,
		PushEvents:            gitlab.Ptr(true),
		TagPushEvents:         gitlab.Ptr(true),
		EnableSSLVerification: gitlab.Ptr(true),
	}}
	var made *hook
	if err := f.call(ctx, op, http.StatusCreated, f.request(http.MethodPost, "projects/%d/hooks", options, &made, repo.ExternalID)); err != nil {
		return 0, err
	}
	if made != nil && f.sound(made) {
		return made.ID, nil
	}
	if made != nil && made.ID > 0 && made.URL == url { // nothing that it sends would be accepted
		if err := f.deleteHooks(ctx, repo, []*hook{made}); err != nil {
			return 0, err
		}
	}
	if f.signingKey != nil && made != nil && !made.SigningTokenPresent {
		return 0, errors.New(op + ": this GitLab does not sign its webhooks, which needs GitLab 19.0; leave the signing token out")
	}
	return 0, errors.New(op + ": the forge made another one than it was asked for; is it a supported version?")
}

// deleteHooks goes on after an error. A hook that is gone already is not one.
func (f *Forge) deleteHooks(ctx context.Context, repo db.Repository, hooks []*hook) error {
	var faults []error
	for _, h := range hooks {
		err := f.call(ctx, "delete webhook", http.StatusNoContent, func(with gitlab.RequestOptionFunc) (*gitlab.Response, error) {
			return f.client.Projects.DeleteProjectHook(repo.ExternalID, h.ID, with)
		})
		if status, ok := errors.AsType[*app.StatusError](err); ok && status.Code == http.StatusNotFound {
			continue
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}
