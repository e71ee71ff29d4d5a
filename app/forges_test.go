package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
)

// rows is a Store of what a test put there.
type rows struct {
	forges        map[int64]db.Forge
	installations map[int64]db.Installation
}

var errNoRow = errors.New("no such row")

func (r rows) Forge(_ context.Context, id int64) (db.Forge, error) {
	row, ok := r.forges[id]
	if !ok {
		return db.Forge{}, errNoRow
	}
	return row, nil
}

func (r rows) Installation(_ context.Context, id int64) (db.Installation, error) {
	row, ok := r.installations[id]
	if !ok {
		return db.Installation{}, errNoRow
	}
	return row, nil
}

// fetcher is a forge that can only be fetched from.
type fetcher struct {
	Forge
	row     db.Forge
	access  Access
	fetched []string
}

func (f *fetcher) Fetch(_ context.Context, repo db.Repository, commit, dir string) (db.CommitText, error) {
	f.fetched = append(f.fetched, repo.FullName+" "+commit+" "+dir)
	return db.CommitText{}, nil
}

func testForges(store rows) (*Forges, *[]*fetcher) {
	var opened []*fetcher
	return NewForges(store, map[string]Opener{
		"one": func(row db.Forge, access Access) (Forge, error) {
			f := &fetcher{row: row, access: access}
			opened = append(opened, f)
			return f, nil
		},
		"two": func(db.Forge, Access) (Forge, error) { return nil, errors.New("no key") },
	}), &opened
}

func TestForgesOpensARowOncePerUpdate(t *testing.T) {
	store := rows{forges: map[int64]db.Forge{1: {ID: 1, Kind: "one", UpdatedAt: time.Unix(1, 0)}}, installations: map[int64]db.Installation{7: {ExternalID: 70}}}
	forges, opened := testForges(store)
	first, err := forges.Open(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	row := store.forges[1]
	row.UpdatedAt = row.UpdatedAt.UTC()
	if again, err := forges.OpenRow(row); err != nil || again != first {
		t.Errorf("opened anew: %v", err)
	}
	row.UpdatedAt = row.UpdatedAt.Add(time.Microsecond)
	store.forges[1] = row
	if again, err := forges.Open(t.Context(), 1); err != nil || again == first {
		t.Errorf("an updated row was not opened anew: %v", err)
	}
	if len(*opened) != 2 || (*opened)[0].access.Client == nil || (*opened)[0].access.Git == nil {
		t.Fatalf("opened %d", len(*opened))
	}
	if i, err := (*opened)[0].access.Installation(t.Context(), 7); err != nil || i.ExternalID != 70 {
		t.Errorf("installation: %v, %v", i, err)
	}
}

func TestForgesDoesNotKeepRowsWithoutID(t *testing.T) {
	forges, opened := testForges(rows{})
	for range 2 {
		if _, err := forges.OpenRow(db.Forge{Kind: "one"}); err != nil {
			t.Fatal(err)
		}
	}
	if len(*opened) != 2 {
		t.Errorf("opened %d", len(*opened))
	}
}

func TestForgesErrors(t *testing.T) {
	forges, _ := testForges(rows{})
	if _, err := forges.Open(t.Context(), 3); !errors.Is(err, errNoRow) {
		t.Errorf("no row: %v", err)
	}
	for want, row := range map[string]db.Forge{
		`open forge "x": unknown kind "gitlab": use one of one, two`: {Name: "x", Kind: "gitlab"},
		`open forge "x": no key`:                                     {Name: "x", Kind: "two"},
		`open forge "x": unknown network "lan"`:                      {Name: "x", Kind: "one", Networks: []string{"lan"}},
	} {
		if _, err := forges.OpenRow(row); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestForgesFetch(t *testing.T) {
	forges, opened := testForges(rows{forges: map[int64]db.Forge{1: {ID: 1, Kind: "one"}}})
	if _, err := forges.Fetch(t.Context(), db.Repository{ForgeID: 1, FullName: "acme/site"}, "c", "/d"); err != nil {
		t.Fatal(err)
	}
	if got := (*opened)[0].fetched; len(got) != 1 || got[0] != "acme/site c /d" {
		t.Errorf("got %v", got)
	}
	if _, err := forges.Fetch(t.Context(), db.Repository{ForgeID: 2}, "c", "/d"); !errors.Is(err, errNoRow) {
		t.Errorf("got %v", err)
	}
}

// keyed is a forge with a registry.
type keyed struct{ Forge }

func (keyed) RegistryAccount(_ context.Context, repo db.Repository, host string) (RegistryAccount, bool, error) {
	return RegistryAccount{Username: repo.FullName, Password: host}, true, nil
}

func TestForgesRegistryAccount(t *testing.T) {
	store := rows{forges: map[int64]db.Forge{1: {ID: 1, Kind: "keyed"}, 2: {ID: 2, Kind: "bare"}}}
	forges := NewForges(store, map[string]Opener{
		"keyed": func(db.Forge, Access) (Forge, error) { return keyed{}, nil },
		"bare":  func(db.Forge, Access) (Forge, error) { return &fetcher{}, nil },
	})
	account, ok, err := forges.RegistryAccount(t.Context(), db.Repository{ForgeID: 1, FullName: "acme/site"}, "ghcr.io")
	if err != nil || !ok || account != (RegistryAccount{Username: "acme/site", Password: "ghcr.io"}) {
		t.Errorf("got %+v, %t, %v", account, ok, err)
	}
	if _, ok, err := forges.RegistryAccount(t.Context(), db.Repository{ForgeID: 2}, "ghcr.io"); ok || err != nil {
		t.Errorf("a forge without a registry: %t, %v", ok, err)
	}
	if _, ok, err := forges.RegistryAccount(t.Context(), db.Repository{ForgeID: 3}, "ghcr.io"); ok || !errors.Is(err, errNoRow) {
		t.Errorf("no forge: %t, %v", ok, err)
	}
}
