package db

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// AppRequestLife is for how long GitHub lets somebody make an App, and for how long its answer is good.
const AppRequestLife = time.Hour

// AppRequest is a GitHub App that somebody has begun to make: a forge that is not one yet.
type AppRequest struct {
	ID           int64    `bun:",pk,autoincrement"`
	Name         string   // of the forge that it becomes; unique among forges and requests
	URL          string   // of the GitHub, without a trailing slash
	Networks     []string `bun:"type:jsonb"` // of the forge
	AppName      string   // that GitHub is asked for
	Organization string   // whose App it becomes; "" is the person's own
	Webhook      bool     // whether GitHub is to deliver pushes
	UserID       int64    `bun:",nullzero"` // who has begun it, and nobody else may end it; 0 once they were removed

	Hash   string // of State
	State  string `bun:"-"` // what comes back from GitHub proves with it that we have asked
	Code   string `bun:"-"` // what GitHub gave for the App; "" before
	Sealed []byte // State and Code, sealed

	Returned  bool // GitHub's answer has come: State is not good any more
	ExpiresAt time.Time
	CreatedAt time.Time
}

// Expired tells whether it has to be begun anew.
func (r AppRequest) Expired() bool { return now().After(r.ExpiresAt) }

const sealAppRequest = "app_requests.state"

type sealedAppRequest struct {
	State string `json:"state"`
	Code  string `json:"code,omitempty"`
}

// CreateAppRequest inserts a request, with a state of its own. It returns ErrForgeTaken when the name is in use. It fills in
// ID and the times.
func (d *DB) CreateAppRequest(ctx context.Context, r *AppRequest) error {
	r.renew()
	if err := r.seal(d.keys); err != nil {
		return err
	}
	r.CreatedAt = now()
	err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		taken, err := tx.NewSelect().Model((*Forge)(nil)).Where("name = ?", r.Name).Exists(ctx)
		if err == nil && taken {
			err = ErrForgeTaken
		}
		if err != nil {
			return err
		}
		_, err = tx.NewInsert().Model(r).Exec(ctx)
		if uniqueViolation(err) {
			err = ErrForgeTaken
		}
		return err
	})
	return found("create app request", err)
}

// RenewAppRequest gives a request another state and another hour, and to the user who asks.
func (d *DB) RenewAppRequest(ctx context.Context, r *AppRequest) error {
	r.renew()
	if err := r.seal(d.keys); err != nil {
		return err
	}
	_, err := d.bun.NewUpdate().Model(r).Column("user_id", "hash", "sealed", "returned", "expires_at").WherePK().Exec(ctx)
	return found("renew app request", err)
}

func (r *AppRequest) renew() {
	r.State, r.Hash = newToken()
	r.Code, r.Returned, r.ExpiresAt = "", false, now().Add(AppRequestLife)
}

// ReturnAppRequest takes GitHub's answer: the request with this state, of this user, whose code is kept from now on. Each
// state is taken once. It returns ErrNotFound for one that was used, is too old, is another user's or never was ours.
func (d *DB) ReturnAppRequest(ctx context.Context, state, code string, userID int64) (AppRequest, error) {
	var r AppRequest
	err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		r = AppRequest{}
		q := tx.NewSelect().Model(&r).Where("hash = ? AND user_id = ? AND NOT returned AND expires_at > ?", hashOf(state), userID, now())
		if err := d.forUpdate(q).Scan(ctx); err != nil {
			return err
		}
		r.State, r.Code, r.Returned = state, code, true
		if err := r.seal(d.keys); err != nil {
			return err
		}
		_, err := tx.NewUpdate().Model(&r).Column("sealed", "returned").WherePK().Exec(ctx)
		return err
	})
	return r, found("take app request", err)
}

// FinishAppRequest makes a forge of a request, in one transaction. It returns ErrForgeTaken when somebody has taken the name,
// and ErrNotFound when the request is not there any more.
func (d *DB) FinishAppRequest(ctx context.Context, id int64, f *Forge) error {
	err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		ok, err := affected(tx.NewDelete().Model((*AppRequest)(nil)).Where("id = ?", id).Exec(ctx))
		if err == nil && !ok {
			err = ErrNotFound
		}
		if err != nil {
			return err
		}
		return d.createForge(ctx, tx, f)
	})
	return found("finish app request", err)
}

// AppRequest returns the request with this id, or ErrNotFound.
func (d *DB) AppRequest(ctx context.Context, id int64) (AppRequest, error) {
	var r AppRequest
	if err := d.bun.NewSelect().Model(&r).Where("id = ?", id).Scan(ctx); err != nil {
		return AppRequest{}, found("read app request", err)
	}
	return r, r.unseal(d.keys)
}

// AppRequests returns all of them, by name, without their secrets.
func (d *DB) AppRequests(ctx context.Context) (list []AppRequest, err error) {
	err = d.bun.NewSelect().Model(&list).Order("name").Scan(ctx)
	return list, found("read app requests", err)
}

// DeleteAppRequest forgets a request.
func (d *DB) DeleteAppRequest(ctx context.Context, id int64) error {
	_, err := d.bun.NewDelete().Model((*AppRequest)(nil)).Where("id = ?", id).Exec(ctx)
	return found("delete app request", err)
}

func (r *AppRequest) seal(keys *Keyring) (err error) {
	r.Sealed, err = keys.seal(sealedAppRequest{r.State, r.Code}, sealAppRequest)
	return err
}

func (r *AppRequest) unseal(keys *Keyring) error {
	var s sealedAppRequest
	err := keys.open(r.Sealed, &s, sealAppRequest)
	r.State, r.Code = s.State, s.Code
	return err
}
