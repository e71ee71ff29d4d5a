// Package gitlab is a GitLab, reached with an access token of a project, a group or a person. The token needs the scope
// api; its owner needs the role Maintainer in the projects for their webhooks, and Developer for all else.
package gitlab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	gitlab "gitlab.com/gitlab-org/api/client-go"

	"tinyforge/app"
	"tinyforge/db"
)

// Forge is one GitLab. It implements app.Forge and app.Hooker.
type Forge struct {
	row    db.Forge
	web    string // without a trailing slash
	api    string // the address below which /api/v4 is
	git    *app.Git
	client *gitlab.Client

	signingKey []byte // of the row's signing token; nil when it has none
	now        func() time.Time
}

var _ app.Hooker = (*Forge)(nil)

// New opens a row: URL, Credentials.Token and, where the API is elsewhere, APIURL, without /api/v4. It makes no network
// call.
func New(row db.Forge, access app.Access) (app.Forge, error) {
	web, api, err := app.Addresses(row, "/api/v4")
	if err != nil {
		return nil, err
	}
	f := &Forge{row: row, web: web, api: api, git: access.Git, now: time.Now}
	if f.signingKey, err = parseSigningToken(row.Credentials.SigningToken); err != nil {
		return nil, err
	}
	if f.client, err = newClient(api, row.Credentials.Token, access); err != nil {
		return nil, errors.New("the address must look like https://HOST")
	}
	return f, nil
}

// newClient returns a client that does as it is told, once: the SDK's own repeats hide what the forge answered, and its
// rate limiter waits for as long as a header says.
func newClient(api, token string, access app.Access) (*gitlab.Client, error) {
	own := *access.Client // the SDK takes the client it is given for its own
	return gitlab.NewAuthSourceClient(bearer(token),
		gitlab.WithBaseURL(api),
		gitlab.WithHTTPClient(&own),
		gitlab.WithoutRetries(),
		gitlab.WithCustomLimiter(unlimited{}),
		gitlab.WithUserAgent("tinyforge"),
		gitlab.WithURLWarningLogger(slog.New(slog.DiscardHandler)),
	)
}

// bearer is an access token. Unlike in the header PRIVATE-TOKEN, net/http never takes it along to another host.
type bearer string

func (bearer) Init(context.Context, *gitlab.Client) error { return nil }

func (b bearer) Header(context.Context) (key, value string, err error) {
	return "Authorization", "Bearer " + string(b), nil
}

type unlimited struct{}

func (unlimited) Wait(context.Context) error { return nil }

// call runs one call of the SDK and demands the code want: the SDK is content with any good one. Its errors quote what the
// forge answered, and are not passed on.
func (f *Forge) call(ctx context.Context, op string, want int, do func(gitlab.RequestOptionFunc) (*gitlab.Response, error)) error {
	resp, err := do(gitlab.WithContext(ctx))
	if resp != nil && resp.Response != nil && resp.StatusCode != want {
		return app.NewStatusError(op, resp.Response)
	}
	return app.CallError(ctx, app.CallTo(op, f.row, f.api), err)
}

// request is a call of what the SDK has no words for. path is below /api/v4/ and is formatted with args, all of them numbers.
func (f *Forge) request(method, path string, options, answer any, args ...any) func(gitlab.RequestOptionFunc) (*gitlab.Response, error) {
	return func(with gitlab.RequestOptionFunc) (*gitlab.Response, error) {
		req, err := f.client.NewRequest(method, fmt.Sprintf(path, args...), options, []gitlab.RequestOptionFunc{with})
		if err != nil {
			return nil, err
		}
		return f.client.Do(req, answer)
	}
}
