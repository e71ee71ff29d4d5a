package app

import (
	"context"
	"errors"
	"net/http"

	"tinyforge/db"
)

// HookURL is where a forge delivers its webhooks. publicURL is where this Tinyforge is reached, without a trailing slash.
func HookURL(publicURL, forge string) string { return publicURL + "/webhooks/" + forge }

// RegisterHook makes the repository's webhook the one with this address and h's secret for it, and its row say so. A webhook
// that is not the one of which the row says so is renewed, as nobody knows what it signs with. The webhook that the row names
// goes when it has another address, after the new one is there. It reports whether anything changed on the forge. Repeating it
// is harmless, also after it was killed in the middle. Of two that do so at once the row may name the webhook that is gone:
// the next one finds that.
func RegisterHook(ctx context.Context, d *db.DB, h Hooker, repositoryID int64, url string) (changed bool, err error) {
	repo, err := d.Repository(ctx, repositoryID)
	if err != nil {
		return false, err
	}
	if repo.HookURL == "" { // first, so that whatever becomes of us the webhook is found again
		if err := d.SetHookURL(ctx, repo.ID, url); err != nil {
			return false, err
		}
	}
	id, err := h.FindHook(ctx, repo, url)
	if err != nil {
		return false, err
	}
	if id != 0 && repo.HookURL == url && repo.HookFingerprint == d.HookFingerprint(id, h.HookSecret(repo)) {
		return false, nil
	}
	if id, err = h.RenewHook(ctx, repo, url); err != nil {
		return true, err
	}
	if repo.HookURL != "" && repo.HookURL != url {
		if err := removeHook(ctx, h, repo, repo.HookURL); err != nil {
			return true, err
		}
	}
	return true, d.SetHook(ctx, repo.ID, url, d.HookFingerprint(id, h.HookSecret(repo)))
}

// UnregisterHook removes the repository's webhooks with this address and with the one that its row names, and makes the row
// say so. A url of "" stands for the row's alone. A repository that the forge does not have any more has none.
func UnregisterHook(ctx context.Context, d *db.DB, h Hooker, repositoryID int64, url string) error {
	repo, err := d.Repository(ctx, repositoryID)
	if err != nil {
		return err
	}
	for _, address := range Paths([]string{url, repo.HookURL}) {
		if address == "" {
			continue
		}
		if err := removeHook(ctx, h, repo, address); err != nil {
			return err
		}
	}
	return d.SetHookURL(ctx, repo.ID, "")
}

func removeHook(ctx context.Context, h Hooker, repo db.Repository, url string) error {
	err := h.RemoveHook(ctx, repo, url)
	if status, ok := errors.AsType[*StatusError](err); ok && status.Code == http.StatusNotFound {
		return nil
	}
	return err
}
