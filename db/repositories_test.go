package db_test

import (
	"errors"
	"testing"

	"tinyforge/db"
)

func TestRepository(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		inst := db.Installation{ForgeID: f.forge.ID, ExternalID: 5, Account: "acme"}
		f.check(f.SaveInstallation(t.Context(), &inst))
		saved := db.Repository{ForgeID: f.forge.ID, InstallationID: inst.ID, ExternalID: 43, FullName: "Acme/Tools", DefaultBranch: "trunk"}
		f.check(f.SaveRepository(t.Context(), &saved))
		byID, err := f.Repository(t.Context(), saved.ID)
		f.check(err)
		byExternal, err := f.RepositoryByExternalID(t.Context(), f.forge.ID, 43)
		f.check(err)
		byName, err := f.RepositoryByName(t.Context(), f.forge.ID, "acme/tools")
		f.check(err)
		for _, got := range []db.Repository{byID, byExternal, byName} {
			same(t, got, saved)
		}
		if f.repo.InstallationID != 0 {
			t.Errorf("installation of %v", f.repo)
		}
		for _, get := range []func() (db.Repository, error){
			func() (db.Repository, error) { return f.Repository(t.Context(), 999) },
			func() (db.Repository, error) { return f.RepositoryByExternalID(t.Context(), f.forge.ID, 999) },
			func() (db.Repository, error) { return f.RepositoryByExternalID(t.Context(), 999, 43) },
			func() (db.Repository, error) { return f.RepositoryByName(t.Context(), f.forge.ID, "acme/absent") },
		} {
			if got, err := get(); !errors.Is(err, db.ErrNotFound) {
				t.Errorf("got %v, %v", got, err)
			}
		}
	})
}

func TestRepositoryIsKnownByTheForgesID(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		inst := db.Installation{ForgeID: f.forge.ID, ExternalID: 5, Account: "acme"}
		f.check(f.SaveInstallation(t.Context(), &inst))
		save := func(r db.Repository) db.Repository {
			t.Helper()
			r.ForgeID, r.ExternalID = f.forge.ID, f.repo.ExternalID
			f.check(f.SaveRepository(t.Context(), &r))
			if r.ID != f.repo.ID || !r.CreatedAt.Equal(f.repo.CreatedAt) {
				t.Errorf("got %v, want id and creation of %v", r, f.repo)
			}
			stored, err := f.Repository(t.Context(), r.ID)
			f.check(err)
			same(t, r, stored)
			return r
		}
		if r := save(db.Repository{FullName: "acme/renamed", InstallationID: inst.ID, Removed: true}); r.DefaultBranch != "main" ||
			r.FullName != "acme/renamed" || r.InstallationID != inst.ID || r.Private || !r.Removed {
			t.Errorf("got %v", r)
		}
		if _, err := f.RepositoryByName(t.Context(), f.forge.ID, "acme/renamed"); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("a removed repository is found by name: %v", err)
		}
		if r := save(db.Repository{FullName: "acme/renamed", DefaultBranch: "trunk"}); r.DefaultBranch != "trunk" ||
			r.InstallationID != inst.ID || r.Removed {
			t.Errorf("seen again: got %v", r)
		}
	})
}
