// Package gitea is a Gitea or a Forgejo, reached with an access token. The token needs the scope write:repository, and
// read:user too where its owner's repositories are to be listed without a search; its owner needs to be an administrator
// of the repositories.
package gitea

import (
	"context"
	"errors"
	"net/http"

	"code.gitea.io/sdk/gitea"

	"tinyforge/app"
	"tinyforge/db"
)

// Forge is one Gitea or Forgejo. It implements app.Forge and app.Hooker.
type Forge struct {
	row    db.Forge
	web    string // without a trailing slash
	api    string // the address below which /api/v1 is
	access app.Access
}

var _ app.Hooker = (*Forge)(nil)

// New opens a row: URL, Credentials.Token and, where the API is elsewhere, APIURL, without /api/v1. It makes no network
// call.
func New(row db.Forge, access app.Access) (app.Forge, error) {
	web, api, err := app.Addresses(row, "/api/v1")
	if err != nil {
		return nil, err
	}
	return &Forge{row: row, web: web, api: api, access: access}, nil
}

// client returns a client for one call: the SDK takes a context per client only. It does not ask for the server's
// version, which would be a call of its own.
func (f *Forge) client(ctx context.Context) (*gitea.Client, error) {
	return gitea.NewClient(f.api,
		gitea.SetGiteaVersion(""),
		gitea.SetHTTPClient(f.access.Client),
		gitea.SetToken(f.row.Credentials.Token),
		gitea.SetUserAgent("tinyforge"),
		gitea.SetContext(ctx),
	)
}

// call runs one call of the SDK and demands the code want: the SDK is content with any answer that it can decode.
func (f *Forge) call(ctx context.Context, op string, want int, do func(*gitea.Client) (*gitea.Response, error)) error {
	c, err := f.client(ctx)
	if err != nil {
		return app.CallError(ctx, app.CallTo(op, f.row, f.api), err)
	}
	resp, err := do(c)
	if resp != nil && resp.Response != nil && resp.StatusCode != want {
		return app.NewStatusError(op, resp.Response)
	}
	return app.CallError(ctx, app.CallTo(op, f.row, f.api), err)
}

// listed is call for a listing. The SDK crashes on the answer null.
func (f *Forge) listed(ctx context.Context, op string, do func(*gitea.Client) (*gitea.Response, error)) error {
	return f.call(ctx, op, http.StatusOK, func(c *gitea.Client) (resp *gitea.Response, err error) {
		defer func() {
			if recover() != nil {
				err = errors.New("the answer holds no list")
			}
		}()
		return do(c)
	})
}
