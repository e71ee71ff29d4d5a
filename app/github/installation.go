package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v62/github"

	"tinyforge/app"
	"tinyforge/db"
)

// installation is the access that the App has through one installation. It is safe for concurrent use.
type installation struct {
	forge  *Forge
	tokens *ghinstallation.Transport
	api    *github.Client
	turn   chan struct{} // to ask for a token: ghinstallation has all others wait at a lock, from which no context calls them back
}

func (f *Forge) newInstallation(id int64) (*installation, error) {
	api := f.app.BaseURL
	tr, err := f.appTransport(api)
	if err != nil {
		return nil, err
	}
	tokens := ghinstallation.NewFromAppsTransport(tr, id)
	return &installation{forge: f, tokens: tokens, api: f.client(tokens, api), turn: make(chan struct{}, 1)}, nil
}

// token returns an installation token that is good for at least a minute.
func (i *installation) token(ctx context.Context) (string, error) {
	token, err := i.nextToken(ctx)
	if err != nil {
		return "", i.forge.callError(ctx, "get installation token", err)
	}
	return token, nil
}

func (i *installation) nextToken(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, i.forge.access.Client.Timeout)
	defer cancel()
	select {
	case i.turn <- struct{}{}:
		defer func() { <-i.turn }()
		return i.tokens.Token(ctx)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// through runs do with the access to repo's installation. A cached token may have been revoked, by a suspension or a
// change of permissions: when GitHub answers 401, do runs once more with a new one.
func (f *Forge) through(ctx context.Context, repo db.Repository, do func(*installation) error) error {
	if repo.InstallationID == 0 {
		return fmt.Errorf("the GitHub App is not installed on %s: install it there", repo.FullName)
	}
	row, err := f.access.Installation(ctx, repo.InstallationID)
	if err != nil {
		return fmt.Errorf("read installation of %s: %w", repo.FullName, err)
	}
	for first := true; ; first = false {
		inst, err := f.installation(row.ExternalID)
		if err != nil {
			return err
		}
		if _, err = inst.token(ctx); err == nil {
			err = do(inst)
		}
		status, ok := errors.AsType[*app.StatusError](err)
		if !ok || status.Code != http.StatusUnauthorized || !first {
			return err
		}
		f.forget(row.ExternalID, inst)
	}
}

func (f *Forge) installation(id int64) (*installation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if inst, ok := f.installations[id]; ok {
		return inst, nil
	}
	inst, err := f.newInstallation(id)
	if err != nil {
		return nil, err
	}
	f.installations[id] = inst
	return inst, nil
}

func (f *Forge) forget(id int64, inst *installation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.installations[id] == inst {
		delete(f.installations, id)
	}
}
