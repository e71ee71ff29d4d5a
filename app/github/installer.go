package github

import (
	"context"

	"github.com/google/go-github/v62/github"

	"tinyforge/app"
	"tinyforge/db"
)

var _ app.Installer = (*Forge)(nil)

// Installation implements app.Installer.
func (f *Forge) Installation(ctx context.Context, externalID int64) (db.Installation, error) {
	found, _, err := f.app.Apps.GetInstallation(ctx, externalID)
	if err != nil {
		return db.Installation{}, f.callError(ctx, "get installation", err)
	}
	return f.installationRow(found), nil
}

// Installations implements app.Installer.
func (f *Forge) Installations(ctx context.Context) (list []db.Installation, err error) {
	left := maxPages
	for i, err := range f.installed(ctx, &left) {
		if err != nil {
			return nil, err
		}
		list = append(list, f.installationRow(i))
	}
	return list, nil
}

func (f *Forge) installationRow(i *github.Installation) db.Installation {
	return db.Installation{ForgeID: f.row.ID, ExternalID: i.GetID(), Account: app.FirstLine(i.GetAccount().GetLogin()), Suspended: !i.GetSuspendedAt().IsZero()}
}

// SetHook implements app.Installer. Deliveries that are on their way are signed with the secret before.
func (f *Forge) SetHook(ctx context.Context, url, secret string) error {
	_, _, err := f.app.Apps.UpdateHookConfig(ctx, &github.HookConfig{
		ContentType: github.String("json"), InsecureSSL: github.String("0"), URL: &url, Secret: &secret,
	})
	if err != nil {
		return f.callError(ctx, "change the App's webhook", err)
	}
	return nil
}
