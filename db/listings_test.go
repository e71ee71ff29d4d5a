package db_test

import (
	"errors"
	"strings"
	"testing"

	"tinyforge/db"
)

func TestListings(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		if _, err := f.Previous(ctx, f.workload.ID); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("nothing served before: %v", err)
		}
		first := f.live("", "A")
		second := f.live("A", "B")
		if id, err := f.Previous(ctx, f.workload.ID); err != nil || id != first.ID {
			t.Errorf("before the live one is %d, %v", id, err)
		}
		f.queued("B", "C")
		if queued, working, err := f.CountUnfinished(ctx); err != nil || queued != 1 || working != 0 {
			t.Errorf("unfinished: %d, %d, %v", queued, working, err)
		}
		claimed := f.claim()
		if queued, working, err := f.CountUnfinished(ctx); err != nil || queued != 0 || working != 1 {
			t.Errorf("then: %d, %d, %v", queued, working, err)
		}
		for before, want := range map[int64]int64{0: claimed.ID, claimed.ID: second.ID, second.ID: first.ID} {
			list, err := f.DeploymentsBefore(ctx, f.workload.ID, before, 1)
			f.check(err)
			if len(list) != 1 || list[0].ID != want {
				t.Errorf("before %d: %v, want %d", before, list, want)
			}
		}
		for host, want := range map[string]string{f.workload.Host: f.workload.Name, "nobody.example.com": ""} {
			if name, err := f.WorkloadOfHost(ctx, host); err != nil || name != want {
				t.Errorf("%s is of %q, %v", host, name, err)
			}
		}
		other := db.Repository{ForgeID: f.forge.ID, ExternalID: 43, FullName: "acme/unused"}
		f.check(f.SaveRepository(ctx, &other))
		repositories, err := f.RepositoriesOfWorkloads(ctx)
		f.check(err)
		if len(repositories) != 1 || repositories[f.repo.ID].FullName != "acme/site" {
			t.Errorf("repositories %v", repositories)
		}
		all := migrations(t)
		if name, err := f.LastMigration(ctx); err != nil || !strings.HasPrefix(all[len(all)-1], name) {
			t.Errorf("the last migration is %q, %v", name, err)
		}
	})
}
