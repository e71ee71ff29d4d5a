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
// that signs with another secret than that, for all that the row says, is renewed. The webhook that the row names goes when
// it has another address, after the new one is there. It reports whether anything changed on the forge. Repeating it is
// harmless, also after it was killed in the middle, and while another process does the same.
func RegisterHook(ctx context.Context, d *db.DB, h Hooker, repositoryID int64, url string) (changed bool, err error) {
	repo, err := d.Repository(ctx, repositoryID)
	if err != nil {
		return false, err
	}
	if repo.HookURL == "" { // first, so that whatever becomes of us the webhook is found again
		if err := d.SetHookURL(ctx, repo.ID, url); err != nil {
			return false, err
		}
		repo.HookFingerprint = ""
	}
	was := repo
	if was.HookURL == "" {
		was.HookURL = url
	}
	fingerprint := d.HookFingerprint(h.HookSecret(repo))
	if repo.HookFingerprint == fingerprint {
		changed, err = h.EnsureHook(ctx, repo, url)
	} else {
		changed, err = true, h.RenewHook(ctx, repo, url)
	}
	if err != nil {
		return changed, err
	}
	if repo.HookURL != "" && repo.HookURL != url {
		if err := removeHook(ctx, h, repo, repo.HookURL); err != nil {
			return changed, err
		}
		changed = true
	}
	if repo.HookURL == url && repo.HookFingerprint == fingerprint {
		return changed, nil
	}
	return changed, d.SetHook(ctx, was, url, fingerprint)
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
