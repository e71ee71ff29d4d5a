package db

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/uptrace/bun"
)

// SetHookURL records the address of a webhook on a repository of which nobody knows what it signs with; "" records that there
// is none.
func (d *DB) SetHookURL(ctx context.Context, repositoryID int64, url string) error {
	return d.SetHook(ctx, repositoryID, url, "")
}

// SetHook records the webhook that we registered on a repository: its address, and its HookFingerprint.
func (d *DB) SetHook(ctx context.Context, repositoryID int64, url, fingerprint string) error {
	_, err := d.bun.NewUpdate().Model((*Repository)(nil)).
		Set("hook_url = ?, hook_fingerprint = ?, updated_at = ?", url, fingerprint, now()).
		Where("id = ?", repositoryID).Exec(ctx)
	return found("save webhook", err)
}

// ForgetHookSecret records that nobody knows what the webhook of a repository signs with.
func (d *DB) ForgetHookSecret(ctx context.Context, repositoryID int64) error {
	_, err := d.bun.NewUpdate().Model((*Repository)(nil)).
		Set("hook_fingerprint = '', updated_at = ?", now()).Where("id = ?", repositoryID).Exec(ctx)
	return found("save webhook", err)
}

// HookFingerprint tells webhooks apart, in hexadecimal, by their id on the forge and by what they sign with. Nobody without the
// keyring learns anything from it, and with another keyring it is another one.
func (d *DB) HookFingerprint(id int64, secret string) string {
	mac := hmac.New(sha256.New, d.keys.Derive("webhook fingerprint"))
	_, _ = fmt.Fprintf(mac, "%d\n%s", id, secret)
	return hex.EncodeToString(mac.Sum(nil))
}

// HookedRepositories returns the repositories of a forge that workloads use, and those that none uses any more although we
// registered a webhook there. Of the used ones it leaves out what the forge does not let us see.
func (d *DB) HookedRepositories(ctx context.Context, forgeID int64) (used, left []Repository, err error) {
	users := d.bun.NewSelect().Model((*Workload)(nil)).Column("repository_id").Where("deleted_at IS NULL")
	read := func(into *[]Repository, where string) error {
		return d.bun.NewSelect().Model(into).Where("forge_id = ?", forgeID).Where(where, users).Order("id").Scan(ctx)
	}
	if err = read(&used, "id IN (?) AND NOT removed"); err == nil {
		err = read(&left, "id NOT IN (?) AND hook_url <> ''")
	}
	return used, left, found("read repositories with webhooks", err)
}

// WorkloadsOn returns the workloads of all repositories of a forge that are not deleted, by name.
func (d *DB) WorkloadsOn(ctx context.Context, forgeID int64) ([]Workload, error) {
	theirs := d.bun.NewSelect().Model((*Repository)(nil)).Column("id").Where("forge_id = ?", forgeID)
	return d.workloads(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("repository_id IN (?) AND deleted_at IS NULL", theirs).Order("name")
	})
}
