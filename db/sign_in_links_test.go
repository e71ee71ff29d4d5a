package db_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"tinyforge/db"
)

// link checks whether a link's token is good, and whose it is.
func (f *fixture) link(token string, want int64, good bool) {
	f.t.Helper()
	id, err := f.SignInLink(f.t.Context(), token)
	if id != want || (err == nil) != good || err != nil && !errors.Is(err, db.ErrNotFound) {
		f.t.Errorf("link: %d, %v; want %d, good %v", id, err, want, good)
	}
}

func TestFirstLink(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		old, err := f.NewSignInLink(ctx, 0)
		f.check(err)
		token, err := f.NewSignInLink(ctx, 0)
		f.check(err)
		f.link(old, 0, false)
		f.link(token, 0, true)
		f.link(token, 0, true) // looking does not use it up
		var wg sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			wg.Go(func() {
				errs[i] = f.UseSignInLink(ctx, token, &db.User{Name: string(rune('a' + i)), Role: db.Viewer, Password: "hash"})
			})
		}
		wg.Wait()
		used := 0
		for _, err := range errs {
			if err == nil {
				used++
			} else if !errors.Is(err, db.ErrNotFound) {
				t.Error(err)
			}
		}
		list, err := f.Users(ctx)
		f.check(err)
		if used != 1 || len(list) != 1 || list[0].Role != db.Administrator {
			t.Errorf("used %d times, users %+v", used, list)
		}
		late, err := f.NewSignInLink(ctx, 0)
		f.check(err)
		f.link(late, 0, false) // there is somebody
		if err := f.UseSignInLink(ctx, late, &db.User{Name: "late"}); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("a second first administrator: %v", err)
		}
	})
}

func TestLinkOfAUser(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ann, bob := f.user("ann", db.Administrator), f.user("bob", db.Viewer)
		forBob, err := f.NewSignInLink(ctx, bob.ID)
		f.check(err)
		forAnn, err := f.NewSignInLink(ctx, ann.ID)
		f.check(err)
		session, err := f.StartSession(ctx, bob.ID, "192.0.2.1", "")
		f.check(err)
		f.link(forBob, bob.ID, true)
		f.link(forAnn, ann.ID, true)
		stale := bob
		bob.Role = db.Deployer // by somebody, meanwhile
		f.check(f.SaveUser(ctx, &bob))
		stale.Password, stale.Language = "new", "en"
		f.check(f.UseSignInLink(ctx, forBob, &stale))
		got, err := f.User(ctx, bob.ID)
		f.check(err)
		if got.Password != "new" || got.Language != "en" || got.Role != db.Deployer {
			t.Errorf("got %+v", got)
		}
		f.signedIn(map[string]bool{session: false})
		f.link(forBob, 0, false)
		f.exec("UPDATE sign_in_links SET expires_at = ?", time.Now().UTC().Add(-time.Second))
		f.link(forAnn, 0, false)
	})
}
