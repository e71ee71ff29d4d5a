package db_test

import (
	"errors"
	"testing"

	"tinyforge/db"
)

func TestInstallation(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		saved := db.Installation{ForgeID: f.forge.ID, ExternalID: 5, Account: "acme", Suspended: true}
		f.check(f.SaveInstallation(t.Context(), &saved))
		got, err := f.Installation(t.Context(), saved.ID)
		f.check(err)
		same(t, got, saved)
		changed := db.Installation{ForgeID: f.forge.ID, ExternalID: 5, Account: "acme-inc"}
		f.check(f.SaveInstallation(t.Context(), &changed))
		got, err = f.Installation(t.Context(), saved.ID)
		f.check(err)
		if same(t, got, changed); changed.ID != saved.ID || !changed.CreatedAt.Equal(saved.CreatedAt) || got.Suspended {
			t.Errorf("got %v, want id and creation of %v", changed, saved)
		}
		if _, err := f.Installation(t.Context(), 999); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
}

func TestInstallationChange(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		removed := func(externalID int64) bool {
			t.Helper()
			r, err := f.RepositoryByExternalID(t.Context(), f.forge.ID, externalID)
			f.check(err)
			return r.Removed
		}
		inst := db.Installation{ForgeID: f.forge.ID, ExternalID: 5, Account: "acme"}
		change := func(c db.InstallationChange) {
			t.Helper()
			c.Installation = inst
			f.check(f.ApplyInstallationChange(t.Context(), c))
		}
		change(db.InstallationChange{Added: []db.Repository{{ExternalID: 42, FullName: "acme/site"}, {ExternalID: 43, FullName: "acme/api"}}})
		site, err := f.Repository(t.Context(), f.repo.ID)
		f.check(err)
		if site.InstallationID == 0 || site.DefaultBranch != "main" {
			t.Errorf("added: got %v, want the row that was there, in the installation", site)
		}
		change(db.InstallationChange{Removed: []int64{43, 999}})
		if removed(42) || !removed(43) {
			t.Error("43 was removed, 42 not")
		}
		change(db.InstallationChange{Added: []db.Repository{{ExternalID: 43, FullName: "acme/api"}}})
		if removed(43) {
			t.Error("43 was added again")
		}
		other := db.InstallationChange{Installation: db.Installation{ForgeID: f.forge.ID, ExternalID: 6}, Deleted: true}
		f.check(f.ApplyInstallationChange(t.Context(), other))
		if removed(42) || removed(43) {
			t.Error("another installation was deleted")
		}
		change(db.InstallationChange{Deleted: true})
		if !removed(42) || !removed(43) {
			t.Error("the installation was deleted")
		}
	})
}
