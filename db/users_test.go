package db_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"tinyforge/db"
)

// user saves somebody.
func (f *fixture) user(name string, role db.Role) db.User {
	f.t.Helper()
	u := db.User{Name: name, Role: role, Password: "hash of " + name, Language: "ru"}
	f.check(f.SaveUser(f.t.Context(), &u))
	return u
}

func TestRoles(t *testing.T) {
	order := []db.Role{db.Viewer, db.Deployer, db.Administrator}
	for i, has := range order {
		for j, needed := range order {
			if has.May(needed) != (i >= j) {
				t.Errorf("%s may what needs %s: %v", has, needed, has.May(needed))
			}
		}
	}
	if db.Role("").May("") || db.Role("root").May(db.Viewer) {
		t.Error("an unknown role may something")
	}
}

func TestUsers(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		if has, err := f.HasUsers(ctx); err != nil || has {
			t.Errorf("at first: %v, %v", has, err)
		}
		ann, bob := f.user("ann", db.Administrator), f.user("Боб 🚀", db.Viewer)
		if has, err := f.HasUsers(ctx); err != nil || !has {
			t.Errorf("then: %v, %v", has, err)
		}
		got, err := f.UserByName(ctx, "Боб 🚀")
		f.check(err)
		same(t, got, bob)
		if ann.CreatedAt.IsZero() || ann.CreatedAt.Location() != time.UTC || got.CreatedAt.Location() != time.UTC {
			t.Errorf("times %v %v", ann.CreatedAt, got.CreatedAt)
		}
		list, err := f.Users(ctx)
		f.check(err)
		if len(list) != 2 || list[0].Name != "ann" {
			t.Errorf("users %v", list)
		}
		for _, wrong := range []db.User{{Name: "ann", Role: db.Viewer}, {ID: bob.ID, Name: "ann", Role: db.Viewer}} {
			if err := f.SaveUser(ctx, &wrong); !errors.Is(err, db.ErrNameTaken) {
				t.Errorf("a second ann: %v", err)
			}
		}
		if err := f.SaveUser(ctx, &db.User{ID: 999, Name: "x"}); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("nobody is changed: %v", err)
		}
		f.check(f.SetLanguage(ctx, bob.ID, "en"))
		f.check(f.SetPassword(ctx, bob.ID, "other"))
		got, err = f.User(ctx, bob.ID)
		f.check(err)
		if got.Language != "en" || got.Password != "other" || got.Role != db.Viewer || !got.CreatedAt.Equal(bob.CreatedAt) {
			t.Errorf("changed to %+v", got)
		}
		if err := f.SetPassword(ctx, 999, "x"); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("nobody's password: %v", err)
		}
	})
}

func TestAccounts(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.user("ann", db.Administrator)
		f.user("eve", db.Viewer) // two without an account are no conflict
		if _, err := f.UserByAccount(ctx, ""); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("no account: %v", err)
		}
		bob := f.user("bob", db.Deployer)
		bob.Account = db.AccountOf(7, "Octo-Cat")
		f.check(f.SaveUser(ctx, &bob))
		got, err := f.UserByAccount(ctx, "7/octo-cat")
		f.check(err)
		if got.ID != bob.ID || got.AccountID != "" {
			t.Errorf("got %+v", got)
		}
		if err := f.SaveUser(ctx, &db.User{Name: "dan", Role: db.Viewer, Account: bob.Account}); !errors.Is(err, db.ErrNameTaken) {
			t.Errorf("a second one: %v", err)
		}
		number := func() string {
			u, err := f.User(ctx, bob.ID)
			f.check(err)
			return u.AccountID
		}
		f.check(f.SetAccountID(ctx, bob.ID, "12"))
		f.check(f.SaveUser(ctx, &bob)) // with an older AccountID
		if got := number(); got != "12" {
			t.Errorf("the number is %q", got)
		}
		bob.Account = db.AccountOf(7, "other")
		f.check(f.SaveUser(ctx, &bob))
		if got := number(); got != "" {
			t.Errorf("the number of another account is %q", got)
		}
	})
}

func TestTheLastAdministratorStays(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ann, bob := f.user("ann", db.Administrator), f.user("bob", db.Administrator)
		f.user("eve", db.Deployer)
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, u := range []db.User{ann, bob} { // each leaves at once
			wg.Go(func() {
				if i == 0 {
					errs[i] = f.DeleteUser(ctx, u.ID)
					return
				}
				u.Role = db.Viewer
				errs[i] = f.again().SaveUser(ctx, &u)
			})
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("one of two may leave: %v, %v", errs[0], errs[1])
		}
		for _, err := range errs {
			if err != nil && !errors.Is(err, db.ErrLastAdministrator) {
				t.Error(err)
			}
		}
		if n := f.count("users", "role = ?", db.Administrator); n != 1 {
			t.Errorf("%d administrators", n)
		}
	})
}
