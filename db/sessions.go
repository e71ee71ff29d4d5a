package db

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/uptrace/bun"
)

// SessionLife is how long a session lasts that is not used.
const SessionLife = 30 * 24 * time.Hour

// LongestSession is how long a session lasts, however much it is used.
const LongestSession = 90 * 24 * time.Hour

// seenEvery is how often a session in use is written down.
const seenEvery = time.Minute

// Session is a browser that somebody is signed in with. Its token is known to the browser alone.
type Session struct {
	ID        int64  `bun:",pk,autoincrement"`
	Hash      string // of the token
	UserID    int64
	Address   string // it was last seen from, without a port
	Agent     string // what the browser says it is
	CreatedAt time.Time
	SeenAt    time.Time // to the minute
	ExpiresAt time.Time
	Renewed   bool `bun:"-"` // ExpiresAt is later than the browser knows
}

// newToken makes a secret that cannot be guessed, and what of it is stored.
func newToken() (token, hash string) {
	token = rand.Text() + rand.Text()
	return token, hashOf(token)
}

// hashOf needs no salt: what it is given is random.
func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// StartSession signs a user in and returns the token for the browser.
func (d *DB) StartSession(ctx context.Context, userID int64, address, agent string) (token string, err error) {
	token, hash := newToken()
	t := now()
	s := Session{Hash: hash, UserID: userID, Address: address, Agent: clean(cut(agent, 300)), CreatedAt: t, SeenAt: t, ExpiresAt: t.Add(SessionLife)}
	err = d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewDelete().Model((*Session)(nil)).Where("expires_at < ?", t).Exec(ctx); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(&s).Exec(ctx)
		return err
	})
	return token, found("start session", err)
}

// SessionUser returns a session by its token, and who is signed in; ErrNotFound when it ended. It notes that the session is
// in use.
func (d *DB) SessionUser(ctx context.Context, token, address string) (s Session, u User, err error) {
	t := now()
	err = d.bun.NewSelect().Model(&s).Where("hash = ? AND expires_at > ?", hashOf(token), t).Scan(ctx)
	if err != nil {
		return s, u, found("read session", err)
	}
	if t.Sub(s.SeenAt) > seenEvery || s.Address != address {
		s.SeenAt, s.ExpiresAt, s.Address = t, t.Add(SessionLife), address
		if last := s.CreatedAt.Add(LongestSession); s.ExpiresAt.After(last) {
			s.ExpiresAt = last
		}
		_, err := d.bun.NewUpdate().Model(&s).Column("seen_at", "expires_at", "address").WherePK().Exec(ctx)
		if err != nil {
			return s, u, found("save session", err)
		}
		s.Renewed = true
	}
	u, err = d.User(ctx, s.UserID)
	return s, u, err
}

// SessionOwner returns whose a session was by its token, also when its time is over; ErrNotFound when somebody ended it.
func (d *DB) SessionOwner(ctx context.Context, token string) (userID int64, err error) {
	err = d.bun.NewSelect().Model((*Session)(nil)).Column("user_id").Where("hash = ?", hashOf(token)).Scan(ctx, &userID)
	return userID, found("read session", err)
}

// Sessions returns a user's sessions, the one last seen first.
func (d *DB) Sessions(ctx context.Context, userID int64) (list []Session, err error) {
	err = d.bun.NewSelect().Model(&list).Where("user_id = ? AND expires_at > ?", userID, now()).
		Order("seen_at DESC", "id DESC").Scan(ctx)
	return list, found("read sessions", err)
}

// EndSession ends one session of a user. It returns ErrNotFound when there is none.
func (d *DB) EndSession(ctx context.Context, userID, id int64) error {
	ok, err := affected(d.bun.NewDelete().Model((*Session)(nil)).Where("id = ? AND user_id = ?", id, userID).Exec(ctx))
	if err == nil && !ok {
		err = ErrNotFound
	}
	return found("end session", err)
}

// EndOtherSessions ends all sessions of a user but one; 0 means all. It returns how many.
func (d *DB) EndOtherSessions(ctx context.Context, userID, but int64) (int, error) {
	r, err := d.bun.NewDelete().Model((*Session)(nil)).Where("user_id = ? AND id <> ?", userID, but).Exec(ctx)
	if err != nil {
		return 0, found("end sessions", err)
	}
	n, err := r.RowsAffected()
	return int(n), found("end sessions", err)
}
