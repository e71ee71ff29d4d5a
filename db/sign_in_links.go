package db

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// SignInLinkLife is how long a one-time link is good for.
const SignInLinkLife = time.Hour

// signInLink is a row for a link that was printed.
type signInLink struct {
	Hash      string `bun:",pk"`
	UserID    int64  `bun:",nullzero"` // 0 makes the first administrator
	ExpiresAt time.Time
}

// NewSignInLink makes the token of a link with which somebody may set a password once: the user with this id or, when that
// is 0, the first administrator. Earlier links of the same kind are not good any more.
func (d *DB) NewSignInLink(ctx context.Context, userID int64) (token string, err error) {
	token, hash := newToken()
	err = d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewDelete().Model((*signInLink)(nil)).
			Where("COALESCE(user_id, 0) = ? OR expires_at < ?", userID, now()).Exec(ctx)
		if err != nil {
			return err
		}
		_, err = tx.NewInsert().Model(&signInLink{Hash: hash, UserID: userID, ExpiresAt: now().Add(SignInLinkLife)}).Exec(ctx)
		return err
	})
	return token, found("make sign-in link", err)
}

// SignInLink tells whose password a link's token may set, 0 for the first administrator. It returns ErrNotFound when the
// link was used, is too old, or never was, and when it is for the first administrator and there is a user. It does not use
// it up.
func (d *DB) SignInLink(ctx context.Context, token string) (userID int64, err error) {
	err = d.tx(ctx, func(ctx context.Context, tx bun.Tx) (err error) {
		userID, err = d.readLink(ctx, tx, token)
		return err
	})
	return userID, found("read sign-in link", err)
}

func (d *DB) readLink(ctx context.Context, tx bun.Tx, token string) (int64, error) {
	var l signInLink
	q := tx.NewSelect().Model(&l).Where("hash = ? AND expires_at > ?", hashOf(token), now())
	if err := d.forUpdate(q).Scan(ctx); err != nil || l.UserID != 0 {
		return l.UserID, err
	}
	taken, err := tx.NewSelect().Model((*User)(nil)).Exists(ctx)
	if err == nil && taken {
		err = ErrNotFound
	}
	return 0, err
}

// UseSignInLink uses a link up and, in the same transaction, saves the user: u becomes the first administrator, or password
// and language of the user that SignInLink named become u's, and all their sessions, tokens and links end. It returns
// ErrNotFound when the link is not good.
func (d *DB) UseSignInLink(ctx context.Context, token string, u *User) error {
	err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		id, err := d.readLink(ctx, tx, token)
		if err != nil {
			return err
		}
		if err := endLinks(ctx, tx, id); err != nil {
			return err
		}
		if u.ID = id; id == 0 {
			u.Role = Administrator
			return d.saveUser(ctx, tx, u)
		}
		u.UpdatedAt = now()
		if _, err := tx.NewUpdate().Model(u).Column("password", "language", "updated_at").WherePK().Exec(ctx); err != nil {
			return err
		}
		for _, of := range []any{(*Session)(nil), (*APIToken)(nil)} {
			if _, err := tx.NewDelete().Model(of).Where("user_id = ?", u.ID).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	return found("use sign-in link", err)
}

// endLinks ends all links of a user, or those for the first administrator.
func endLinks(ctx context.Context, tx bun.Tx, userID int64) error {
	_, err := tx.NewDelete().Model((*signInLink)(nil)).Where("COALESCE(user_id, 0) = ?", userID).Exec(ctx)
	return found("end sign-in links", err)
}
