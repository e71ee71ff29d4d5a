package db_test

import (
	"maps"
	"slices"
	"testing"

	"tinyforge/db"
)

// leaving checks which hosts a workload has given back and nobody else has.
func (f *fixture) leaving(workloadID int64, want ...string) {
	f.t.Helper()
	got, err := f.LeavingHosts(f.t.Context(), workloadID)
	f.check(err)
	if !slices.Equal(got, want) {
		f.t.Errorf("leaving are %q, want %q", got, want)
	}
}

func TestHostsLeaveUntilTheyAreForgotten(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		api := db.Workload{Name: "api", RepositoryID: f.repo.ID, Host: "api.example.com",
			Routing: db.Routing{Aliases: []string{"b.example.com"}, Redirects: []string{"a.example.com"}}}
		f.check(f.SaveWorkload(t.Context(), &api))
		f.leaving(api.ID)

		api.Routing = db.Routing{}
		f.check(f.SaveWorkload(t.Context(), &api))
		f.check(f.SaveWorkload(t.Context(), &api)) // saved again, they leave all the same
		f.leaving(api.ID, "a.example.com", "b.example.com")

		other := db.Workload{Name: "other", RepositoryID: f.repo.ID, Host: "a.example.com"}
		f.check(f.SaveWorkload(t.Context(), &other))
		f.leaving(api.ID, "b.example.com")
		f.check(f.ForgetHost(t.Context(), api.ID, "a.example.com")) // it is another's by now
		f.leaving(other.ID)
		if err := f.SaveWorkload(t.Context(), &db.Workload{Name: "third", RepositoryID: f.repo.ID, Host: "a.example.com"}); err == nil {
			t.Error("a host that was forgotten by who had it before is free")
		}

		f.check(f.ForgetHost(t.Context(), api.ID, "b.example.com"))
		f.leaving(api.ID)
		f.check(f.ForgetHost(t.Context(), api.ID, "api.example.com")) // it stays claimed
		f.check(f.DeleteWorkload(t.Context(), api.ID, false))
		f.leaving(api.ID, "api.example.com")
		f.check(f.SaveWorkload(t.Context(), &api)) // and comes back with it
		f.leaving(api.ID)
	})
}

func TestHostsOf(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.workload.Routing.Aliases = []string{"b.example.com", "a.example.com"}
		f.check(f.SaveWorkload(t.Context(), &f.workload))
		f.workload.Routing.Aliases = []string{"a.example.com"}
		f.check(f.SaveWorkload(t.Context(), &f.workload))
		if hosts, err := f.HostsOf(t.Context(), f.workload.ID); err != nil || !slices.Equal(hosts, []string{"a.example.com", "site.example.com"}) {
			t.Errorf("hosts are %q, %v", hosts, err)
		}
	})
}

// TestUnsettled: while a deployment is in progress, and while a host leaves.
func TestUnsettled(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		are := func(want ...int64) {
			t.Helper()
			all, err := f.Unsettled(t.Context())
			if got := slices.Sorted(maps.Keys(all)); err != nil || !slices.Equal(got, want) {
				t.Errorf("unsettled are %v, %v, want %v", got, err, want)
			}
		}
		f.queued("1", "2")
		are() // nothing has begun
		dep := f.claim()
		are(f.workload.ID)
		f.save(dep, db.PhaseUndoing)
		are(f.workload.ID)
		f.save(dep, db.PhaseFailed)
		are()
		other := f.newWorkload("other")
		other.Host = "other.example.com"
		f.check(f.SaveWorkload(t.Context(), &other))
		are()
		other.Host = "elsewhere.example.com"
		f.check(f.SaveWorkload(t.Context(), &other))
		are(other.ID)
		f.check(f.ForgetHost(t.Context(), other.ID, "other.example.com"))
		are()
	})
}
