package db

import (
	"context"
	"time"
)

// APIToken lets a script do what its user may. The token itself is shown once and not stored.
type APIToken struct {
	ID        int64 `bun:",pk,autoincrement"`
	Hash      string
	UserID    int64
	Name      string // what it is for
	CreatedAt time.Time
	SeenAt    time.Time `bun:",nullzero"` // to the minute; zero when it was never used
	ExpiresAt time.Time `bun:",nullzero"` // zero means never
}

// tokenPrefix lets people and scanners of secrets see what a token is for.
const tokenPrefix = "tfp_"

// NewAPIToken makes a token for a user and returns it. It fills in t's ID.
func (d *DB) NewAPIToken(ctx context.Context, t *APIToken) (token string, err error) {
	token, _ = newToken()
	token = tokenPrefix + token
	t.Hash, t.CreatedAt, t.Name = hashOf(token), now(), clean(cut(t.Name, 100))
	_, err = d.bun.NewInsert().Model(t).Exec(ctx)
	return token, found("make token", err)
}

// APITokenUser returns what is known of a token and whose it is, or ErrNotFound. It notes that the token is in use.
func (d *DB) APITokenUser(ctx context.Context, token string) (t APIToken, u User, err error) {
	err = d.bun.NewSelect().Model(&t).Where("hash = ? AND (expires_at IS NULL OR expires_at > ?)", hashOf(token), now()).Scan(ctx)
	if err != nil {
		return t, u, found("read token", err)
	}
	if now().Sub(t.SeenAt) > seenEvery {
		t.SeenAt = now()
		if _, err := d.bun.NewUpdate().Model(&t).Column("seen_at").WherePK().Exec(ctx); err != nil {
			return t, u, found("save token", err)
		}
	}
	u, err = d.User(ctx, t.UserID)
	return t, u, err
}

// APITokens returns a user's tokens, the newest first.
func (d *DB) APITokens(ctx context.Context, userID int64) (list []APIToken, err error) {
	err = d.bun.NewSelect().Model(&list).Where("user_id = ?", userID).Order("id DESC").Scan(ctx)
	return list, found("read tokens", err)
}

// DeleteAPIToken ends a token of a user. It returns ErrNotFound when there is none.
func (d *DB) DeleteAPIToken(ctx context.Context, userID, id int64) error {
	ok, err := affected(d.bun.NewDelete().Model((*APIToken)(nil)).Where("id = ? AND user_id = ?", id, userID).Exec(ctx))
	if err == nil && !ok {
		err = ErrNotFound
	}
	return found("delete token", err)
}

// EndAPITokens ends all tokens of a user. It returns how many.
func (d *DB) EndAPITokens(ctx context.Context, userID int64) (int, error) {
	r, err := d.bun.NewDelete().Model((*APIToken)(nil)).Where("user_id = ?", userID).Exec(ctx)
	if err != nil {
		return 0, found("end tokens", err)
	}
	n, err := r.RowsAffected()
	return int(n), found("end tokens", err)
}
