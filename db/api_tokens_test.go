package db_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
)

func TestAPITokens(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ann, bob := f.user("ann", db.Administrator), f.user("bob", db.Viewer)
		made := db.APIToken{UserID: ann.ID, Name: "ci\x00"}
		token, err := f.NewAPIToken(ctx, &made)
		f.check(err)
		if !strings.HasPrefix(token, "tfp_") || len(token) < 40 || made.ID == 0 || strings.Contains(made.Hash, token) {
			t.Errorf("token %q, %+v", token, made)
		}
		_, u, err := f.APITokenUser(ctx, token)
		f.check(err)
		list, err := f.APITokens(ctx, ann.ID)
		f.check(err)
		if u.ID != ann.ID || len(list) != 1 || list[0].Name != "ci" || list[0].SeenAt.IsZero() || !list[0].ExpiresAt.IsZero() {
			t.Errorf("%+v has %+v", u, list)
		}
		if err := f.DeleteAPIToken(ctx, bob.ID, made.ID); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("somebody else's: %v", err)
		}
		f.check(f.DeleteAPIToken(ctx, ann.ID, made.ID))
		soon := db.APIToken{UserID: bob.ID, Name: "soon", ExpiresAt: time.Now().UTC().Add(time.Hour)}
		limited, err := f.NewAPIToken(ctx, &soon)
		f.check(err)
		_, _, err = f.APITokenUser(ctx, limited)
		f.check(err)
		f.exec("UPDATE api_tokens SET expires_at = ?", time.Now().UTC().Add(-time.Second))
		for _, bad := range []string{token, limited, "", "tfp_"} {
			if _, _, err := f.APITokenUser(ctx, bad); !errors.Is(err, db.ErrNotFound) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		f.check(f.DeleteUser(ctx, bob.ID))
		if n := f.count("api_tokens", "TRUE"); n != 0 {
			t.Errorf("%d tokens of nobody", n)
		}
	})
}
