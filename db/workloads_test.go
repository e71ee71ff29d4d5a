package db_test

import (
	"encoding/json"
	"errors"
	"testing"

	"tinyforge/db"
)

func TestWorkload(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		saved := db.Workload{Name: "api", RepositoryID: f.repo.ID, Source: "image", RefPattern: "release/*", Host: "API.Example.COM",
			Paths: []string{"api/**", "!api/docs/**"}, Config: json.RawMessage(`{"image":"acme/api"}`), Env: map[string]string{"A": "1"},
			Routing: db.Routing{Aliases: []string{"Api.Example.org"}, Redirects: []string{"www.api.example.com"},
				RouteOptions: db.RouteOptions{MaxBody: 1 << 20, BasicAuth: []db.BasicAuth{{Username: "me", Hash: "$2a$"}}}}}
		f.check(f.SaveWorkload(t.Context(), &saved))
		got, err := f.Workload(t.Context(), saved.ID)
		f.check(err)
		if same(t, got, saved); got.Host != "api.example.com" || got.Enabled || got.DeletedAt != nil {
			t.Errorf("got %+v", got)
		}
		options := saved.Routing.RouteOptions
		same(t, got.Routes(), []db.Route{
			{WorkloadID: got.ID, Host: "api.example.com", RouteOptions: options},
			{WorkloadID: got.ID, Host: "api.example.org", RouteOptions: options},
			{WorkloadID: got.ID, Host: "www.api.example.com", RedirectTo: "api.example.com"},
		})
		list, err := f.WorkloadsOf(t.Context(), f.repo.ID)
		f.check(err)
		same(t, list, []db.Workload{saved, f.workload})
		if none, err := f.WorkloadsOf(t.Context(), 999); err != nil || len(none) != 0 {
			t.Errorf("of another repository: %v, %v", none, err)
		}
		if _, err := f.Workload(t.Context(), 999); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
}

func TestWorkloadWithoutAnything(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, name := range []string{"one", "two"} { // no host is not a host that is taken
			w := db.Workload{Name: name, RepositoryID: f.repo.ID, Source: "image"}
			f.check(f.SaveWorkload(t.Context(), &w))
			got, err := f.Workload(t.Context(), w.ID)
			f.check(err)
			if got.Routes() != nil || got.Paths != nil || got.Env != nil || !got.ReportsStatus() {
				t.Errorf("got %+v", got)
			}
		}
		lost := db.Workload{Name: "lost", RepositoryID: 999, Source: "image"}
		if f.SaveWorkload(t.Context(), &lost) == nil {
			t.Error("saved a workload of no repository")
		}
	})
}

func TestReportsStatus(t *testing.T) {
	for config, want := range map[string]bool{"": true, "{}": true, `{"report_commit_status":null}`: true,
		`{"report_commit_status":true}`: true, `{"report_commit_status":false}`: false, `{"report_commit_status":"no"}`: true} {
		if got := (db.Workload{Config: json.RawMessage(config)}).ReportsStatus(); got != want {
			t.Errorf("%s: got %v", config, got)
		}
	}
}

func TestWorkloadIsKnownByName(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		changed := db.Workload{Name: "site", RepositoryID: f.repo.ID, Source: "image", RefPattern: "tags/v*", Paths: []string{"web/**"},
			Host: "www.example.com", Config: json.RawMessage(`{"image":"acme/site"}`), Env: map[string]string{"B": "2"}}
		f.check(f.SaveWorkload(t.Context(), &changed))
		if changed.ID != f.workload.ID || !changed.CreatedAt.Equal(f.workload.CreatedAt) || !changed.UpdatedAt.After(f.workload.UpdatedAt) {
			t.Errorf("got %+v, want id and creation of %+v", changed, f.workload)
		}
		got, err := f.Workload(t.Context(), f.workload.ID)
		f.check(err)
		same(t, got, changed)
	})
}

func TestHostTaken(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		other := db.Workload{Name: "other", RepositoryID: f.repo.ID, Source: "image", Host: "Site.Example.com"}
		if err := f.SaveWorkload(t.Context(), &other); !errors.Is(err, db.ErrHostTaken) {
			t.Errorf("a new workload takes the host: %v", err)
		}
		other.Host = "other.example.com"
		f.check(f.SaveWorkload(t.Context(), &other))
		other.Host = "SITE.example.com"
		if err := f.SaveWorkload(t.Context(), &other); !errors.Is(err, db.ErrHostTaken) {
			t.Errorf("a workload is changed to take the host: %v", err)
		}
		f.check(f.SaveWorkload(t.Context(), &f.workload)) // its own
		if got, err := f.Workload(t.Context(), other.ID); err != nil || got.Host != "other.example.com" {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestAHostIsOneWorkloads(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		api := db.Workload{Name: "api", RepositoryID: f.repo.ID, Source: "image", Host: "api.example.com",
			Routing: db.Routing{Aliases: []string{"api.example.org"}, Redirects: []string{"www.api.example.com"}}}
		f.check(f.SaveWorkload(t.Context(), &api))
		f.check(f.SaveWorkload(t.Context(), &api)) // its own hosts are not in its way
		for _, host := range api.Hosts() {
			for _, other := range []db.Workload{
				{Host: host},
				{Host: "other.example.com", Routing: db.Routing{Aliases: []string{host}}},
				{Host: "other.example.com", Routing: db.Routing{Redirects: []string{host}}},
			} {
				other.Name, other.RepositoryID = "other", f.repo.ID
				err := f.SaveWorkload(t.Context(), &other)
				taken, ok := errors.AsType[*db.HostTakenError](err)
				if !ok || *taken != (db.HostTakenError{Host: host, Workload: "api"}) || !errors.Is(err, db.ErrHostTaken) {
					t.Errorf("%s claimed twice: %v", host, err)
				}
			}
		}
		api.Routing = db.Routing{}
		f.check(f.SaveWorkload(t.Context(), &api))
		free := db.Workload{Name: "other", RepositoryID: f.repo.ID, Host: "api.example.org"}
		f.check(f.SaveWorkload(t.Context(), &free))
	})
}

func TestDeletedWorkload(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.live("", "A")
		queued := f.queued("A", "B")
		f.check(f.DeleteWorkload(t.Context(), f.workload.ID, false))
		if got, err := f.Workload(t.Context(), f.workload.ID); err != nil || got.DeletedAt == nil {
			t.Errorf("got %+v, %v", got, err)
		}
		if list, err := f.WorkloadsOf(t.Context(), f.repo.ID); err != nil || len(list) != 0 {
			t.Errorf("of the repository: %v, %v", list, err)
		}
		if list, err := f.Workloads(t.Context()); err != nil || len(list) != 1 {
			t.Errorf("all: %v, %v", list, err)
		}
		if dep := f.read(queued.ID); dep.Phase != db.PhaseFailed || dep.Status != db.StatusFailure || dep.Error == "" || dep.FinishedAt.IsZero() {
			t.Errorf("the queued deployment: %+v", dep)
		}

		other := db.Workload{Name: "other", RepositoryID: f.repo.ID, Source: "image", Host: f.workload.Host}
		f.check(f.SaveWorkload(t.Context(), &other)) // the host is free
		back := f.workload
		if err := f.SaveWorkload(t.Context(), &back); !errors.Is(err, db.ErrHostTaken) {
			t.Errorf("comes back with a host that is taken: %v", err)
		}
		back.Host = "back.example.com"
		f.check(f.SaveWorkload(t.Context(), &back))
		got, err := f.Workload(t.Context(), back.ID)
		f.check(err)
		if got.ID != f.workload.ID || got.DeletedAt != nil || !got.CreatedAt.Equal(f.workload.CreatedAt) {
			t.Errorf("came back as %+v", got)
		}
		if gone, err := f.PurgeWorkload(t.Context(), back.ID); err != nil || gone {
			t.Errorf("purged although it came back: %v", err)
		}
	})
}

func TestPushToAWorkloadDeletedMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		other := f.newWorkload("other")
		f.check(f.DeleteWorkload(t.Context(), f.workload.ID, false))
		gone := db.Workload{ID: 999}
		out := f.enqueue(f.delivery(main, "", "A"), deploy(main, "A", f.workload, gone, other)...)
		if len(out.Deployments) != 1 || f.read(out.Deployments[0]).WorkloadID != other.ID {
			t.Errorf("got %+v", out)
		}
	})
}

func TestPurge(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		purge := func(why string, want bool) {
			t.Helper()
			if gone, err := f.PurgeWorkload(t.Context(), f.workload.ID); err != nil || gone != want {
				t.Errorf("%s: purged %v, %v; want %v", why, gone, err, want)
			}
		}
		other := f.newWorkload("other")
		dep := f.live("", "A")
		f.check(f.AppendLog(t.Context(), db.LogLine{DeploymentID: dep.ID, Text: "hello"}))
		f.queued("A", "B")
		busy := f.claim()
		purge("not deleted", false)
		f.check(f.DeleteWorkload(t.Context(), f.workload.ID, false))
		f.reportAll()
		purge("in progress", false)
		f.save(busy, db.PhaseFailed)
		purge("not reported", false)
		f.reportAll()
		purge("all done", true)
		purge("gone already", false)
		if _, err := f.Workload(t.Context(), f.workload.ID); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		for _, table := range []string{"deployments", "runtime_states", "log_lines"} {
			if n := f.count(table, "1 = 1"); n != 0 {
				t.Errorf("%d rows are left in %s", n, table)
			}
		}
		if _, err := f.Workload(t.Context(), other.ID); err != nil {
			t.Errorf("the other workload: %v", err)
		}
	})
}

func TestWorkloadByName(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		w, err := f.WorkloadByName(t.Context(), "site")
		f.check(err)
		if w.ID != f.workload.ID || string(w.Config) != string(f.workload.Config) || !w.Enabled {
			t.Errorf("got %+v", w)
		}
		f.check(f.EnableWorkload(t.Context(), w.ID, false))
		if w, err = f.WorkloadByName(t.Context(), "site"); err != nil || w.Enabled || w.Host != f.workload.Host {
			t.Errorf("disabled: %+v (%v)", w, err)
		}
		f.check(f.DeleteWorkload(t.Context(), w.ID, false))
		if _, err := f.WorkloadByName(t.Context(), "site"); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("a deleted one: %v", err)
		}
		if err := f.EnableWorkload(t.Context(), w.ID, true); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("enabling a deleted one: %v", err)
		}
	})
}
