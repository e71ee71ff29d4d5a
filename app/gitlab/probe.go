package gitlab

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	gitlab "gitlab.com/gitlab-org/api/client-go"

	"tinyforge/app"
)

var _ app.Prober = (*Forge)(nil)

// Probe implements app.Prober.
func (f *Forge) Probe(ctx context.Context) (p app.Probed, err error) {
	if err := f.kind(ctx); err != nil {
		return p, err
	}
	p.Kind = "gitlab"
	if err := f.account(ctx, &p); err != nil {
		return p, err
	}
	projects, err := f.member(ctx, 0)
	switch {
	case code(err) == http.StatusForbidden:
		return p, &app.ProbeError{Step: app.ProbeScopes, Missing: []string{"api"}, Err: err}
	case err != nil:
		return p, &app.ProbeError{Step: app.ProbeList, Err: err}
	}
	return p, f.probeProjects(ctx, projects, &p)
}

// probeProjects looks for one of the first projects in which the role suffices for webhooks.
func (f *Forge) probeProjects(ctx context.Context, projects []*gitlab.Project, p *app.Probed) error {
	const most = 20
	for _, project := range projects[:min(most, len(projects))] {
		row, ok := f.repository(project)
		if !ok {
			continue
		}
		p.Repositories = true
		_, err := f.hooks(ctx, row, "")
		switch c := code(err); {
		case c == http.StatusForbidden || c == http.StatusUnauthorized || c == http.StatusNotFound:
			p.NoHook = row.FullName
			continue
		case err != nil:
			return &app.ProbeError{Step: app.ProbeList, Err: err}
		}
		p.NoHook = ""
		if _, err := f.Heads(ctx, row); err != nil {
			return &app.ProbeError{Step: app.ProbeClone, Err: err}
		}
		break
	}
	return nil
}

// kind asks, without the token, for something that GitLab tells to nobody: it says so in JSON.
func (f *Forge) kind(ctx context.Context) error {
	const op = "ask for the version"
	resp, err := f.plain(ctx, "version")
	if err != nil {
		return &app.ProbeError{Step: app.ProbeAddress, Err: app.CallError(ctx, op, err)}
	}
	defer func() { _ = resp.Body.Close() }()
	var answer map[string]any
	isJSON := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&answer) == nil
	switch {
	case resp.StatusCode >= 500:
		return &app.ProbeError{Step: app.ProbeAddress, Err: app.NewStatusError(op, resp)}
	case !isJSON || resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusUnauthorized:
		return &app.ProbeError{Step: app.ProbeKind, Err: app.NewStatusError(op, resp)}
	}
	return nil
}

// plain is a request without credentials.
func (f *Forge) plain(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(f.client.BaseURL().String(), "/")+"/"+path, nil)
	if err != nil {
		return nil, errors.New("the address cannot be used")
	}
	req.Header.Set("User-Agent", "tinyforge")
	return f.http.Do(req)
}

// account looks at the token itself: every kind of access token may do that.
func (f *Forge) account(ctx context.Context, p *app.Probed) error {
	var token *gitlab.PersonalAccessToken
	err := f.call(ctx, "ask about the token", http.StatusOK, func(with gitlab.RequestOptionFunc) (resp *gitlab.Response, err error) {
		token, resp, err = f.client.PersonalAccessTokens.GetSinglePersonalAccessToken(with)
		return resp, err
	})
	switch c := code(err); {
	case c == http.StatusUnauthorized:
		return &app.ProbeError{Step: app.ProbeToken, Err: err}
	case c == http.StatusForbidden:
		return &app.ProbeError{Step: app.ProbeScopes, Missing: []string{"api"}, Err: err}
	case c == http.StatusNotFound: // before GitLab 15.5
		return nil
	case err != nil:
		return &app.ProbeError{Step: app.ProbeAddress, Err: err}
	}
	if token.ExpiresAt != nil {
		p.TokenUntil = time.Time(*token.ExpiresAt)
	}
	switch {
	case !token.Active || token.Revoked:
		return &app.ProbeError{Step: app.ProbeToken, Until: p.TokenUntil, Err: errors.New("the token is not active")}
	case !slices.Contains(token.Scopes, "api"):
		return &app.ProbeError{Step: app.ProbeScopes, Missing: []string{"api"}, Err: errors.New("a scope is missing")}
	}
	return nil
}

// code is what the forge answered; 0 where it did not.
func code(err error) int {
	if status, ok := errors.AsType[*app.StatusError](err); ok {
		return status.Code
	}
	return 0
}
