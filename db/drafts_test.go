package db_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
)

func TestDrafts(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		sealed, err := f.SealDraft("form", map[string]string{"token": "s3cret"}, time.Minute)
		f.check(err)
		var got map[string]string
		f.check(f.again().OpenDraft("form", sealed, &got))
		if got["token"] != "s3cret" || strings.Contains(sealed, "s3cret") {
			t.Errorf("sealed %q, opened %v", sealed, got)
		}
		old, err := f.SealDraft("form", "x", -time.Second)
		f.check(err)
		foreign, err := open(t, f.address, newKeys(t)).SealDraft("form", "x", time.Minute)
		f.check(err)
		var text string
		for name, draft := range map[string]string{"old": old, "foreign": foreign, "empty": "", "no base64": "?", "cut": sealed[:20], "another value": sealed} {
			if err := f.OpenDraft("form", draft, &text); !errors.Is(err, db.ErrDraft) || text != "" {
				t.Errorf("%s: %v, %q", name, err, text)
			}
		}
		if err := f.OpenDraft("other", sealed, &got); !errors.Is(err, db.ErrDraft) {
			t.Errorf("of another purpose: %v", err)
		}
	})
}
