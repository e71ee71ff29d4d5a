package gitea

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"code.gitea.io/sdk/gitea"

	"tinyforge/app"
	"tinyforge/db"
)

var _ app.Prober = (*Forge)(nil)

// Probe implements app.Prober. The webhook that it removes to try the right to webhooks has a number that none has.
func (f *Forge) Probe(ctx context.Context) (p app.Probed, err error) {
	if p.Kind, err = f.kind(ctx); err != nil {
		return p, err
	}
	if err := f.account(ctx, &p); err != nil {
		return p, err
	}
	repos, err := f.owned(ctx, 1)
	own := code(err) != http.StatusForbidden
	if !own {
		repos, err = f.searched(ctx, 1)
	}
	switch {
	case code(err) == http.StatusForbidden:
		return p, &app.ProbeError{Step: app.ProbeScopes, Missing: []string{"write:repository"}, Err: err}
	case err != nil:
		return p, &app.ProbeError{Step: app.ProbeList, Err: err}
	}
	best := mostAllowed(repos)
	if err := f.probeScope(ctx, best); err != nil {
		return p, err
	}
	switch {
	case best == nil && own && len(repos) > 0:
		return p, &app.ProbeError{Step: app.ProbeStatus, Err: errors.New("the account may only read its repositories")}
	case best == nil:
		return p, nil
	}
	p.Repositories = true
	if !best.Permissions.Admin {
		p.NoHook = best.FullName
	}
	if _, err := f.Heads(ctx, db.Repository{ForgeID: f.row.ID, ExternalID: best.ID, FullName: best.FullName}); err != nil {
		return p, &app.ProbeError{Step: app.ProbeClone, Err: err}
	}
	return p, nil
}

// kind asks for the version without the token, which is nobody else's to see. A forge that shows strangers nothing does not
// tell it.
func (f *Forge) kind(ctx context.Context) (string, error) {
	const op = "ask for the version"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.api+"/api/v1/version", nil)
	if err != nil {
		return "", &app.ProbeError{Step: app.ProbeAddress, Err: errors.New("the address cannot be used")}
	}
	req.Header.Set("User-Agent", "tinyforge")
	resp, err := f.access.Client.Do(req)
	if err != nil {
		return "", &app.ProbeError{Step: app.ProbeAddress, Err: app.CallError(ctx, op, err)}
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 500 {
		return "", &app.ProbeError{Step: app.ProbeAddress, Err: app.NewStatusError(op, resp)}
	}
	var answer struct {
		Version string `json:"version"`
	}
	known := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&answer) == nil
	switch {
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return "gitea", nil
	case resp.StatusCode != http.StatusOK || !known || answer.Version == "":
		return "", &app.ProbeError{Step: app.ProbeKind, Err: app.NewStatusError(op, resp)}
	case strings.Contains(answer.Version, "+gitea-"):
		return "forgejo", nil
	}
	return "gitea", nil
}

// account asks whose the token is. One that may not tell is good all the same.
func (f *Forge) account(ctx context.Context, p *app.Probed) error {
	err := f.call(ctx, "ask whose the token is", http.StatusOK, func(c *gitea.Client) (*gitea.Response, error) {
		user, resp, err := c.GetMyUserInfo()
		if user != nil {
			p.Account = app.FirstLine(user.UserName)
		}
		return resp, err
	})
	switch {
	case code(err) == http.StatusUnauthorized:
		return &app.ProbeError{Step: app.ProbeToken, Err: err}
	case code(err) == http.StatusForbidden:
		p.Lacks = []string{"read:user"}
	case err != nil:
		return &app.ProbeError{Step: app.ProbeAddress, Err: err}
	}
	return nil
}

// mostAllowed is the repository in which the account may do most; nil when there is none that it may write to.
func mostAllowed(repos []*gitea.Repository) (best *gitea.Repository) {
	for _, r := range repos {
		if r == nil || r.Permissions == nil || !r.Permissions.Push {
			continue
		}
		if _, _, ok := app.SplitName(r.FullName); ok && (best == nil || r.Permissions.Admin && !best.Permissions.Admin) {
			best = r
		}
	}
	return best
}

// probeScope tells by an answer that only differs for tokens which may write whether this one may: the scope is looked at
// before anything else. Who does not administer the repository is refused in the same way, and needs no webhooks.
func (f *Forge) probeScope(ctx context.Context, best *gitea.Repository) error {
	owner, name := "tinyforge", "probe"
	if best != nil {
		if owner, name, _ = app.SplitName(best.FullName); !best.Permissions.Admin {
			return nil
		}
	}
	err := f.call(ctx, "try the right to webhooks", http.StatusNoContent, func(c *gitea.Client) (*gitea.Response, error) {
		return c.DeleteRepoHook(owner, name, 0)
	})
	switch c := code(err); {
	case c == http.StatusForbidden, c == http.StatusUnauthorized:
		return &app.ProbeError{Step: app.ProbeScopes, Missing: []string{"write:repository"}, Err: err}
	case c != 0 || err == nil:
		return nil
	}
	return &app.ProbeError{Step: app.ProbeAddress, Err: fmt.Errorf("probe: %w", err)}
}

// code is what the forge answered; 0 where it did not.
func code(err error) int {
	if status, ok := errors.AsType[*app.StatusError](err); ok {
		return status.Code
	}
	return 0
}
