package github

import (
	"encoding/json"
	"fmt"

	"tinyforge/app"
	"tinyforge/db"
)

// installationEvent is what we read of the events installation and installation_repositories.
type installationEvent struct {
	Action       string `json:"action"`
	Installation struct {
		ID      int64 `json:"id"`
		Account struct {
			Login string `json:"login"`
		} `json:"account"`
		SuspendedAt *string `json:"suspended_at"`
	} `json:"installation"`
	Repositories []repositoryEntry `json:"repositories"`
	Added        []repositoryEntry `json:"repositories_added"`
	Removed      []repositoryEntry `json:"repositories_removed"`
}

func (f *Forge) decodeInstallation(text []byte, p *app.Push) error {
	e, change, err := f.readInstallation(text)
	if err != nil {
		return err
	}
	switch e.Action {
	case "created", "unsuspend", "new_permissions_accepted":
		change.Added, err = f.rows(e.Repositories)
	case "suspend":
		change.Installation.Suspended = true
	case "deleted":
		change.Deleted = true
	default:
		return fmt.Errorf("%w: installation %q changes nothing here", app.ErrIgnored, app.FirstLine(e.Action))
	}
	p.Installation = change
	return err
}

func (f *Forge) decodeSelection(text []byte, p *app.Push) error {
	e, change, err := f.readInstallation(text)
	if err != nil {
		return err
	}
	if change.Added, err = f.rows(e.Added); err != nil {
		return err
	}
	for _, r := range e.Removed {
		change.Removed = append(change.Removed, r.ID)
	}
	p.Installation = change
	return nil
}

func (f *Forge) readInstallation(text []byte) (installationEvent, *app.InstallationChange, error) {
	var e installationEvent
	if json.Unmarshal(text, &e) != nil {
		return e, nil, fmt.Errorf("%w: the installation event is not the JSON that it should be", app.ErrMalformed)
	}
	account := app.FirstLine(e.Installation.Account.Login)
	if e.Installation.ID <= 0 || account == "" {
		return e, nil, fmt.Errorf("%w: an installation without id or account", app.ErrMalformed)
	}
	return e, &app.InstallationChange{Installation: db.Installation{
		ForgeID: f.row.ID, ExternalID: e.Installation.ID, Account: account, Suspended: e.Installation.SuspendedAt != nil,
	}}, nil
}

func (f *Forge) rows(entries []repositoryEntry) ([]db.Repository, error) {
	var rows []db.Repository
	for _, entry := range entries {
		row, err := entry.row(f.row.ID)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}
