package db_test

import (
	"encoding/json"
	"errors"
	"testing"

	"tinyforge/db"
)

func TestCreateWorkload(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		w := db.Workload{Name: "shop", RepositoryID: f.repo.ID, Source: "image", Host: "Shop.example.com", Enabled: true, FormKey: "k1",
			Config: json.RawMessage(`{"image":"a"}`), Env: map[string]string{"A": "1", "TOKEN": "s3cret"}, Plain: []string{"A"}}
		f.check(f.CreateWorkload(t.Context(), &w))
		got, err := f.WorkloadByName(t.Context(), "shop")
		f.check(err)
		same(t, got, w)
		again := w
		again.ID, again.Host = 0, ""
		if err := f.CreateWorkload(t.Context(), &again); !errors.Is(err, db.ErrWorkloadExists) {
			t.Errorf("got %v", err)
		}
		other := db.Workload{Name: "other", RepositoryID: f.repo.ID, Host: "shop.example.com"}
		if err := f.CreateWorkload(t.Context(), &other); !errors.Is(err, db.ErrHostTaken) {
			t.Errorf("got %v", err)
		}
		if _, err := f.WorkloadByName(t.Context(), "other"); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("the one without its host is there: %v", err)
		}
	})
}

func TestChangeWorkload(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first, err := f.Workload(t.Context(), f.workload.ID)
		f.check(err)
		second := first
		first.Host, first.Env, first.Config = "new.example.com", map[string]string{"A": "2"}, json.RawMessage(`{"port":1}`)
		f.check(f.ChangeWorkload(t.Context(), &first))
		got, err := f.Workload(t.Context(), f.workload.ID)
		f.check(err)
		same(t, got, first)
		f.leaving(first.ID, "site.example.com")
		if err := f.ChangeWorkload(t.Context(), &second); !errors.Is(err, db.ErrStale) {
			t.Errorf("got %v", err)
		}
		first.Host = "newer.example.com"
		f.check(f.ChangeWorkload(t.Context(), &first)) // it knows the version that it made
		f.check(f.EnableWorkload(t.Context(), first.ID, false))
		if err := f.ChangeWorkload(t.Context(), &first); !errors.Is(err, db.ErrStale) {
			t.Errorf("after a pause: %v", err)
		}
		if got, err = f.Workload(t.Context(), first.ID); err != nil || got.Enabled {
			t.Errorf("got %+v, %v", got, err)
		}
		f.check(f.DeleteWorkload(t.Context(), first.ID, false))
		if err := f.ChangeWorkload(t.Context(), &got); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("of a deleted one: %v", err)
		}
		if err := f.EnableWorkload(t.Context(), first.ID, true); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("of a deleted one: %v", err)
		}
	})
}

func TestFindRepositories(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		second := db.Forge{Name: "second", Kind: "gitea", URL: "https://git.example.com"}
		f.check(f.SaveForge(t.Context(), &second))
		for i, name := range []string{"acme/Shop", "acme/shop_admin", "acme/100%", "other/shop"} {
			f.check(f.SaveRepository(t.Context(), &db.Repository{ForgeID: second.ID, ExternalID: int64(i + 1), FullName: name}))
		}
		f.check(f.SaveRepository(t.Context(), &db.Repository{ForgeID: second.ID, ExternalID: 99, FullName: "acme/shop-gone", Removed: true}))
		for _, c := range []struct {
			forge  int64
			query  string
			offset int
			want   []string
			total  int
		}{
			{0, "", 0, []string{"acme/100%", "acme/Shop"}, 5},
			{0, "", 4, []string{"other/shop"}, 5},
			{second.ID, "", 2, []string{"acme/shop_admin", "other/shop"}, 4},
			{0, "SHOP", 0, []string{"acme/Shop", "acme/shop_admin"}, 3},
			{0, "shop acme", 0, []string{"acme/Shop", "acme/shop_admin"}, 2},
			{0, "p_a", 0, []string{"acme/shop_admin"}, 1},
			{0, "0%", 0, []string{"acme/100%"}, 1},
			{0, "!", 0, nil, 0},
		} {
			list, total, err := f.DB.FindRepositories(t.Context(), c.forge, c.query, c.offset, 2)
			f.check(err)
			var names []string
			for _, r := range list {
				names = append(names, r.FullName)
			}
			same(t, names, c.want)
			if total != c.total {
				t.Errorf("%q: %d in all, want %d", c.query, total, c.total)
			}
		}
	})
}
