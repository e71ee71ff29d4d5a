package db_test

import (
	"testing"

	"tinyforge/db"
	"tinyforge/db/dbtest"
)

func TestHookOutlivesWhatIsSeenOfARepository(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const address = "https://deploy.example.com/webhooks/hub"
		fingerprint := f.HookFingerprint(1, "secret")
		f.check(f.SetHook(t.Context(), f.repo.ID, address, fingerprint))
		seen := db.Repository{ForgeID: f.forge.ID, ExternalID: f.repo.ExternalID, FullName: "acme/renamed"}
		f.check(f.SaveRepository(t.Context(), &seen))
		if seen.HookURL != address || seen.HookFingerprint != fingerprint || seen.FullName != "acme/renamed" || seen.DefaultBranch != "main" {
			t.Errorf("saved as %+v", seen)
		}
		for _, url := range []string{address, ""} {
			f.check(f.SetHookURL(t.Context(), f.repo.ID, url))
			row, err := f.Repository(t.Context(), f.repo.ID)
			f.check(err)
			if row.HookURL != url || row.HookFingerprint != "" {
				t.Errorf("the webhook is %q, its secret %q", row.HookURL, row.HookFingerprint)
			}
		}
	})
}

func TestHookFingerprint(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t))
	one := f.HookFingerprint(1, "one")
	if one != f.again().HookFingerprint(1, "one") || one == f.HookFingerprint(1, "two") || one == f.HookFingerprint(2, "one") || len(one) != 64 {
		t.Errorf("got %q", one)
	}
	if other := open(t, dbtest.SQLite(t), newKeys(t)); other.HookFingerprint(1, "one") == one {
		t.Error("with other keys it is the same")
	}
}

func TestHookedRepositories(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		hooked := func(forge int64, wantUsed, wantLeft int) {
			t.Helper()
			used, left, err := f.HookedRepositories(t.Context(), forge)
			f.check(err)
			if len(used) != wantUsed || len(left) != wantLeft {
				t.Errorf("used %+v, left %+v; want %d and %d", used, left, wantUsed, wantLeft)
			}
		}
		unused := db.Repository{ForgeID: f.forge.ID, ExternalID: 43, FullName: "acme/unused"}
		f.check(f.SaveRepository(t.Context(), &unused))
		hooked(f.forge.ID, 1, 0)
		hooked(f.forge.ID+1, 0, 0)
		f.check(f.SetHookURL(t.Context(), unused.ID, "https://deploy.example.com/webhooks/hub"))
		hooked(f.forge.ID, 1, 1)
		f.check(f.SetHookURL(t.Context(), f.repo.ID, "https://deploy.example.com/webhooks/hub"))
		second := f.newWorkload("second")
		f.check(f.DeleteWorkload(t.Context(), f.workload.ID, false))
		hooked(f.forge.ID, 1, 1)
		f.check(f.DeleteWorkload(t.Context(), second.ID, false))
		hooked(f.forge.ID, 0, 2)
	})
}

func TestWorkloadsOn(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		gone := f.newWorkload("gone")
		f.check(f.DeleteWorkload(t.Context(), gone.ID, false))
		f.newWorkload("api")
		for forge, want := range map[int64]int{f.forge.ID: 2, f.forge.ID + 1: 0} {
			list, err := f.WorkloadsOn(t.Context(), forge)
			f.check(err)
			if len(list) != want || want > 0 && (list[0].Name != "api" || list[1].Name != "site" || list[1].Config == nil) {
				t.Errorf("forge %d has %+v", forge, list)
			}
		}
	})
}
