package db_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
)

func TestSessions(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ann, bob := f.user("ann", db.Administrator), f.user("bob", db.Viewer)
		token, err := f.StartSession(ctx, ann.ID, "192.0.2.1", "Browser\x00 "+strings.Repeat("ж", 300))
		f.check(err)
		s, u, err := f.SessionUser(ctx, token, "192.0.2.1")
		f.check(err)
		if s.Renewed {
			t.Error("a session that has just begun is renewed")
		}
		if u.Name != "ann" || s.Address != "192.0.2.1" || s.Hash == token || len(s.Agent) > 310 || s.SeenAt.Location() != time.UTC {
			t.Errorf("session %+v of %+v", s, u)
		}
		if f.count("sessions", "hash LIKE ?", "%"+token+"%") != 0 {
			t.Error("the token is stored")
		}
		s, _, err = f.SessionUser(ctx, token, "2001:db8::1")
		if f.check(err); !s.Renewed {
			t.Error("the browser is not told how long its session lasts now")
		}
		other, err := f.StartSession(ctx, ann.ID, "192.0.2.2", "")
		f.check(err)
		bobs, err := f.StartSession(ctx, bob.ID, "192.0.2.3", "")
		f.check(err)
		list, err := f.Sessions(ctx, ann.ID)
		f.check(err)
		if len(list) != 2 || list[1].ID != s.ID || list[1].Address != "2001:db8::1" {
			t.Errorf("sessions %+v", list)
		}
		if err := f.EndSession(ctx, bob.ID, s.ID); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("somebody else's: %v", err)
		}
		if n, err := f.EndOtherSessions(ctx, ann.ID, s.ID); n != 1 || err != nil {
			t.Errorf("others: %d, %v", n, err)
		}
		f.signedIn(map[string]bool{token: true, other: false, bobs: true, "": false, "x": false})
		f.check(f.EndSession(ctx, ann.ID, s.ID))
		f.signedIn(map[string]bool{token: false, bobs: true})
		f.check(f.DeleteUser(ctx, bob.ID))
		f.signedIn(map[string]bool{bobs: false})
	})
}

func TestSessionsExpire(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ann := f.user("ann", db.Administrator)
		token, err := f.StartSession(ctx, ann.ID, "192.0.2.1", "")
		f.check(err)
		old := time.Now().UTC().Add(-time.Hour)
		f.exec("UPDATE sessions SET seen_at = ?", old)
		s, _, err := f.SessionUser(ctx, token, "192.0.2.1")
		f.check(err)
		if time.Since(s.SeenAt) > time.Minute || time.Until(s.ExpiresAt) < db.SessionLife-time.Minute {
			t.Errorf("used, it is seen at %v and ends at %v", s.SeenAt, s.ExpiresAt)
		}
		f.exec("UPDATE sessions SET expires_at = ?", old)
		f.signedIn(map[string]bool{token: false})
		if owner, err := f.SessionOwner(ctx, token); err != nil || owner != ann.ID {
			t.Errorf("expired, it was of %d (%v)", owner, err)
		}
		if _, err := f.SessionOwner(ctx, "another"); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("a session that never was: %v", err)
		}
		if list, err := f.Sessions(ctx, ann.ID); err != nil || len(list) != 0 {
			t.Errorf("sessions %v, %v", list, err)
		}
		_, err = f.StartSession(ctx, ann.ID, "192.0.2.1", "")
		f.check(err)
		if n := f.count("sessions", "TRUE"); n != 1 {
			t.Errorf("%d rows: what expired stays", n)
		}
	})
}

// signedIn checks which tokens are good.
func (f *fixture) signedIn(want map[string]bool) {
	f.t.Helper()
	for token, good := range want {
		_, _, err := f.SessionUser(f.t.Context(), token, "192.0.2.1")
		if (err == nil) != good || err != nil && !errors.Is(err, db.ErrNotFound) {
			f.t.Errorf("token %q: %v, want %v", token, err, good)
		}
	}
}
