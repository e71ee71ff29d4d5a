package db

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// Role is what a user may do. Each may do what the ones after it may.
type Role string

const (
	Administrator Role = "administrator" // everything
	Deployer      Role = "deployer"      // deploys, rolls back, cancels
	Viewer        Role = "viewer"        // looks
)

// May tells whether the role allows what needs another one.
func (r Role) May(needed Role) bool {
	rank := map[Role]int{Viewer: 1, Deployer: 2, Administrator: 3}
	return rank[r] >= rank[needed] && rank[r] > 0
}

var (
	// ErrNameTaken is returned by SaveUser when another user has the name or the account.
	ErrNameTaken = errors.New("another user has this name or account")

	// ErrLastAdministrator is returned where nobody would be left who may do everything.
	ErrLastAdministrator = errors.New("the last administrator must stay")
)

// User is somebody who may sign in.
type User struct {
	ID       int64  `bun:",pk,autoincrement"`
	Name     string // unique
	Role     Role
	Password string // a hash, as argon2id writes it; "" means that no password signs in
	Account  string // of a forge that signs in too, see AccountOf; "" means none. Unique

	// AccountID is the forge's own number of the account, "" until it is known. Logins can be given up and taken by somebody
	// else, numbers cannot. SaveUser changes it with the account, or while it is "".
	AccountID string

	Language string // "en", "ru"; "" means what the browser asks for

	CreatedAt time.Time
	UpdatedAt time.Time
}

// AccountOf is what User.Account is for a login at a forge.
func AccountOf(forgeID int64, login string) string {
	return strconv.FormatInt(forgeID, 10) + "/" + strings.ToLower(login)
}

// Users returns all of them, by name.
func (d *DB) Users(ctx context.Context) (list []User, err error) {
	err = d.bun.NewSelect().Model(&list).Order("name").Scan(ctx)
	return list, found("read users", err)
}

// User returns the user with this id, or ErrNotFound.
func (d *DB) User(ctx context.Context, id int64) (User, error) { return d.user(ctx, "id = ?", id) }

// UserByName returns the user with this name, or ErrNotFound.
func (d *DB) UserByName(ctx context.Context, name string) (User, error) {
	return d.user(ctx, "name = ?", name)
}

// UserByAccount returns the user whom an account of a forge signs in, or ErrNotFound.
func (d *DB) UserByAccount(ctx context.Context, account string) (User, error) {
	return d.user(ctx, "account = ? AND account <> ''", account)
}

func (d *DB) user(ctx context.Context, where string, arg any) (u User, err error) {
	err = d.bun.NewSelect().Model(&u).Where(where, arg).Scan(ctx)
	return u, found("read user", err)
}

// HasUsers tells whether anybody may sign in.
func (d *DB) HasUsers(ctx context.Context) (bool, error) {
	ok, err := d.bun.NewSelect().Model((*User)(nil)).Exists(ctx)
	return ok, found("read users", err)
}

// SaveUser inserts the user when ID is 0, filling it in, or changes name, role and account of the one with this ID. It returns
// ErrNameTaken, ErrLastAdministrator and ErrNotFound.
func (d *DB) SaveUser(ctx context.Context, u *User) error {
	err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) error { return d.saveUser(ctx, tx, u) })
	if uniqueViolation(err) {
		return fmt.Errorf("save user %s: %w", u.Name, ErrNameTaken)
	}
	return found("save user "+u.Name, err)
}

func (d *DB) saveUser(ctx context.Context, tx bun.Tx, u *User) error {
	u.UpdatedAt = now()
	if u.ID == 0 {
		u.CreatedAt = u.UpdatedAt
		_, err := tx.NewInsert().Model(u).Exec(ctx)
		return err
	}
	ok, err := affected(tx.NewUpdate().Model(u).Column("name", "role", "account", "updated_at").
		Set("account_id = CASE WHEN account = ? AND account_id <> '' THEN account_id ELSE ? END", u.Account, u.AccountID).WherePK().Exec(ctx))
	if err == nil && !ok {
		return ErrNotFound
	}
	return errors.Join(err, d.keepAdministrator(ctx, tx))
}

// SetLanguage changes the language of a user alone.
func (d *DB) SetLanguage(ctx context.Context, id int64, language string) error {
	return d.setUser(ctx, d.bun, id, "language", language)
}

// SetPassword changes the password of a user alone: a hash. Links that would set another are not good any more.
func (d *DB) SetPassword(ctx context.Context, id int64, hash string) error {
	return d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := d.setUser(ctx, tx, id, "password", hash); err != nil {
			return err
		}
		return endLinks(ctx, tx, id)
	})
}

// SetAccountID notes the number of a user's account.
func (d *DB) SetAccountID(ctx context.Context, id int64, number string) error {
	return d.setUser(ctx, d.bun, id, "account_id", number)
}

func (d *DB) setUser(ctx context.Context, in bun.IDB, id int64, column, value string) error {
	ok, err := affected(in.NewUpdate().Model((*User)(nil)).Set("? = ?", bun.Ident(column), value).Set("updated_at = ?", now()).
		Where("id = ?", id).Exec(ctx))
	if err == nil && !ok {
		err = ErrNotFound
	}
	return found("save user", err)
}

// DeleteUser removes a user with all sessions and tokens. It returns ErrLastAdministrator.
func (d *DB) DeleteUser(ctx context.Context, id int64) error {
	err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewDelete().Model((*User)(nil)).Where("id = ?", id).Exec(ctx); err != nil {
			return err
		}
		return d.keepAdministrator(ctx, tx)
	})
	return found("delete user", err)
}

// keepAdministrator refuses a change after which there is no administrator. The rows are locked, so that two who give up
// the role at once do not both think that the other stays.
func (d *DB) keepAdministrator(ctx context.Context, tx bun.Tx) error {
	var left []int64
	q := tx.NewSelect().Model((*User)(nil)).Column("id").Where("role = ?", Administrator)
	if err := d.forUpdate(q).Scan(ctx, &left); err != nil {
		return err
	}
	if len(left) == 0 {
		return ErrLastAdministrator
	}
	return nil
}
