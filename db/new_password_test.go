package db_test

import (
	"errors"
	"testing"
	"time"

	"tinyforge/db"
)

// TestNewPasswordEndsLinks: who had a link made before the password was changed cannot change it back.
func TestNewPasswordEndsLinks(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ann, bob := f.user("ann", db.Administrator), f.user("bob", db.Viewer)
		anns, err := f.NewSignInLink(ctx, ann.ID)
		f.check(err)
		bobs, err := f.NewSignInLink(ctx, bob.ID)
		f.check(err)
		f.check(f.SetPassword(ctx, bob.ID, "other"))
		f.link(bobs, 0, false)
		f.link(anns, ann.ID, true)
	})
}

// TestLinkEndsTokens: it is for somebody who may have lost all of what signs in.
func TestLinkEndsTokens(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ann, bob := f.user("ann", db.Administrator), f.user("bob", db.Viewer)
		tokens := map[string]bool{}
		for _, u := range []db.User{ann, bob, bob} {
			token, err := f.NewAPIToken(ctx, &db.APIToken{UserID: u.ID, Name: "ci"})
			f.check(err)
			tokens[token] = u.ID == ann.ID
		}
		link, err := f.NewSignInLink(ctx, bob.ID)
		f.check(err)
		f.check(f.UseSignInLink(ctx, link, &db.User{Password: "new"}))
		for token, good := range tokens {
			if _, _, err := f.APITokenUser(ctx, token); (err == nil) != good || err != nil && !errors.Is(err, db.ErrNotFound) {
				t.Errorf("a token: %v, want %v", err, good)
			}
		}
		if n, err := f.EndAPITokens(ctx, ann.ID); n != 1 || err != nil || f.count("api_tokens", "TRUE") != 0 {
			t.Errorf("%d of hers ended: %v", n, err)
		}
	})
}

// TestSavedUserKeepsANewPassword: a form that was filled in before does not bring the old one back.
func TestSavedUserKeepsANewPassword(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.user("ann", db.Administrator)
		bob := f.user("bob", db.Viewer)
		f.check(f.SetPassword(ctx, bob.ID, "other"))
		f.check(f.SetLanguage(ctx, bob.ID, "en"))
		bob.Role = db.Deployer
		f.check(f.SaveUser(ctx, &bob))
		got, err := f.User(ctx, bob.ID)
		f.check(err)
		if got.Password != "other" || got.Language != "en" || got.Role != db.Deployer {
			t.Errorf("saved as %+v", got)
		}
	})
}

// TestNumberOfAnAccountIsSaved: where the forge has said it; later ones do not change it.
func TestNumberOfAnAccountIsSaved(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.user("ann", db.Administrator)
		bob := f.user("bob", db.Viewer)
		for _, c := range []struct{ login, number, want string }{{"octo", "", ""}, {"octo", "7", "7"}, {"octo", "8", "7"}, {"cat", "9", "9"}, {"octo", "", ""}} {
			bob.Account, bob.AccountID = db.AccountOf(1, c.login), c.number
			f.check(f.SaveUser(ctx, &bob))
			if got, err := f.User(ctx, bob.ID); err != nil || got.AccountID != c.want {
				t.Errorf("%+v: %q (%v)", c, got.AccountID, err)
			}
		}
	})
}

// TestSessionsEndAtAnAge: also the ones that are in use.
func TestSessionsEndAtAnAge(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ann := f.user("ann", db.Administrator)
		token, err := f.StartSession(ctx, ann.ID, "192.0.2.1", "")
		f.check(err)
		made := time.Now().UTC().Add(time.Hour - db.LongestSession).Truncate(time.Second)
		f.exec("UPDATE sessions SET created_at = ?, seen_at = ?", made, made)
		s, _, err := f.SessionUser(ctx, token, "192.0.2.1")
		f.check(err)
		if !s.ExpiresAt.Equal(made.Add(db.LongestSession)) {
			t.Errorf("made at %v, it ends at %v", made, s.ExpiresAt)
		}
	})
}
