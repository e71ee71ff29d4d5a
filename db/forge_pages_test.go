package db_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"tinyforge/db"
)

func TestAppRequest(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		u := f.user("ann", db.Administrator)
		r := db.AppRequest{Name: "github", URL: "https://github.com", AppName: "tinyforge-x", Organization: "acme", Webhook: true, UserID: u.ID}
		f.check(f.CreateAppRequest(t.Context(), &r))
		for _, name := range []string{"github", f.forge.Name} {
			again := db.AppRequest{Name: name, UserID: u.ID}
			if err := f.CreateAppRequest(t.Context(), &again); !errors.Is(err, db.ErrForgeTaken) {
				t.Errorf("a second %s: %v", name, err)
			}
		}
		read, err := f.AppRequest(t.Context(), r.ID)
		f.check(err)
		if read.State != r.State || read.State == "" || read.Expired() || read.Organization != "acme" {
			t.Errorf("read %+v, want %+v", read, r)
		}
		if _, err := f.ReturnAppRequest(t.Context(), r.State, "code", u.ID+1); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("returned to somebody else: %v", err)
		}
		if _, err := f.ReturnAppRequest(t.Context(), "wrong", "code", u.ID); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("returned with a wrong state: %v", err)
		}
		back, err := f.ReturnAppRequest(t.Context(), r.State, "code", u.ID)
		f.check(err)
		if back.ID != r.ID || back.Code != "code" {
			t.Errorf("returned %+v", back)
		}
		if _, err := f.ReturnAppRequest(t.Context(), r.State, "other", u.ID); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("a state is good twice: %v", err)
		}
		if read, err = f.AppRequest(t.Context(), r.ID); err != nil || read.Code != "code" {
			t.Errorf("the code is lost: %+v, %v", read, err)
		}
		f.check(f.RenewAppRequest(t.Context(), &read))
		if read.State == r.State || read.Code != "" || read.Returned {
			t.Errorf("renewed %+v", read)
		}
		row := db.Forge{Name: "github", Kind: "github", URL: r.URL, AppID: 8, AppURL: "https://github.com/apps/x", Owner: "acme",
			OwnerIsOrganization: true, Credentials: db.Credentials{PrivateKey: "key", ClientSecret: "client"}}
		f.check(f.FinishAppRequest(t.Context(), r.ID, &row))
		saved, err := f.ForgeByName(t.Context(), "github")
		f.check(err)
		if same(t, saved, row); saved.Credentials != row.Credentials {
			t.Errorf("saved %+v", saved)
		}
		if err := f.FinishAppRequest(t.Context(), r.ID, &db.Forge{Name: "other", Kind: "github"}); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("finished twice: %v", err)
		}
		list, err := f.AppRequests(t.Context())
		if err != nil || len(list) != 0 {
			t.Errorf("requests: %v, %v", list, err)
		}
	})
}

func TestChangeForge(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first, err := f.Forge(t.Context(), f.forge.ID)
		f.check(err)
		second := first
		first.URL, first.TokenUntil = "https://hub.example.com", time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
		first.Credentials.Rotate("new")
		first.Credentials.Rotate("newer") // while the forge was not told the one before
		f.check(f.ChangeForge(t.Context(), &first))
		got, err := f.Forge(t.Context(), f.forge.ID)
		f.check(err)
		if got.URL != first.URL || !got.TokenUntil.Equal(first.TokenUntil) || fmt.Sprint(got.Credentials.WebhookSecrets()) != "[new hook secret]" {
			t.Errorf("got %+v, %v", got, got.Credentials.WebhookSecrets())
		}
		if got.Credentials.OldUntil = 1; len(got.Credentials.WebhookSecrets()) != 2 {
			t.Error("what the forge signs with is not good any more, and it was not told another secret")
		}
		if got.Credentials.Told(); fmt.Sprint(got.Credentials.WebhookSecrets()) != "[new hook secret]" {
			t.Errorf("what was signed before the forge was told is refused: %v", got.Credentials.WebhookSecrets())
		}
		got.Credentials.OldUntil = 1
		if secrets := got.Credentials.WebhookSecrets(); fmt.Sprint(secrets) != "[new]" {
			t.Errorf("an old secret is good for ever: %v", secrets)
		}
		if err := f.ChangeForge(t.Context(), &second); !errors.Is(err, db.ErrForgeChanged) {
			t.Errorf("the later one of two: %v", err)
		}
		if err := f.CreateForge(t.Context(), &db.Forge{Name: "hub", Kind: "gitea"}); !errors.Is(err, db.ErrForgeTaken) {
			t.Errorf("a second one of its name: %v", err)
		}
	})
}

// TestAChangedForgeIsAllOrNothing: statuses that were not made due again with it would never be told.
func TestAChangedForgeIsAllOrNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		was, err := f.Forge(t.Context(), f.forge.ID)
		f.check(err)
		_, err = f.Bun().ExecContext(t.Context(), "ALTER TABLE deployments RENAME TO away")
		f.check(err)
		changed := was
		changed.URL = "https://hub.example.com"
		if err := f.ChangeForge(t.Context(), &changed); err == nil {
			t.Error("the statuses cannot be due again, and nobody says so")
		}
		now, err := f.Forge(t.Context(), was.ID)
		f.check(err)
		if now.URL != was.URL || !changed.UpdatedAt.Equal(was.UpdatedAt) {
			t.Errorf("half of it is done: %s, as of %s", now.URL, changed.UpdatedAt)
		}
	})
}

func TestSaveListing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.check(f.SetForgeRequested(t.Context(), f.forge.ID))
		f.check(f.SetForgeFault(t.Context(), f.forge.ID, "it did not answer"))
		gone := db.Installation{ForgeID: f.forge.ID, ExternalID: 6, Account: "gone"}
		f.check(f.SaveInstallation(t.Context(), &gone))
		f.check(f.SaveListing(t.Context(), db.Listing{ForgeID: f.forge.ID, Started: time.Now(),
			Installations: []db.Installation{{ExternalID: 7, Account: "acme"}},
			Repositories: []db.ListedRepository{
				{Repository: db.Repository{ExternalID: 43, FullName: "acme/shop", DefaultBranch: "main"}, Installation: 7},
				{Repository: db.Repository{ExternalID: 44, FullName: "acme/50%_off"}, Installation: 7},
			}}))
		forge, err := f.Forge(t.Context(), f.forge.ID)
		f.check(err)
		if forge.Requested || forge.Fault != "" || forge.SyncedAt.IsZero() {
			t.Errorf("the forge is %+v", forge)
		}
		installations, err := f.Installations(t.Context(), f.forge.ID)
		f.check(err)
		if len(installations) != 1 || installations[0].Account != "acme" {
			t.Errorf("installations: %v", installations)
		}
		shop, err := f.RepositoryByName(t.Context(), f.forge.ID, "acme/shop")
		f.check(err)
		if shop.InstallationID != installations[0].ID {
			t.Errorf("shop is seen through %d", shop.InstallationID)
		}
		site, err := f.Repository(t.Context(), f.repo.ID)
		f.check(err)
		if !site.Removed {
			t.Error("what is not listed is not removed")
		}
		for search, want := range map[string]string{"": "[acme/site acme/50%_off acme/shop]", "SHOP": "[acme/shop]", "50%_": "[acme/50%_off]", "%": "[acme/50%_off]", "none": "[]"} {
			list, total, err := f.RepositoryViews(t.Context(), db.RepositoryQuery{ForgeID: f.forge.ID, Search: search, Limit: 10})
			f.check(err)
			names := []string{}
			for _, v := range list {
				names = append(names, v.FullName)
			}
			if fmt.Sprint(names) != want || total != len(list) {
				t.Errorf("search %q: %v of %d, want %s", search, names, total, want)
			}
		}
	})
}

func TestDeliveryViews(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		c1 := "1111111111111111111111111111111111111111"
		deliver := func(id, after string, deployments ...db.Deployment) {
			del := db.Delivery{ForgeID: f.forge.ID, ExternalID: id, Event: "push", RepositoryID: f.repo.ID, Ref: "refs/heads/main", After: after, Decision: "no workload follows it"}
			_, err := f.Enqueue(t.Context(), &del, deployments)
			f.check(err)
		}
		deliver("1", c1, db.Deployment{WorkloadID: f.workload.ID, Ref: "refs/heads/main", Commit: c1})
		deliver("2", c1)
		deliver("3", "2222222222222222222222222222222222222222")
		for outcome, want := range map[db.DeliveryOutcome]string{"": "[3 2 1]", db.DeliveryDeployed: "[1]", db.DeliveryRefused: "[2]", db.DeliveryIgnored: "[3]"} {
			list, err := f.DeliveryViews(t.Context(), db.DeliveryQuery{ForgeID: f.forge.ID, Outcome: outcome, Limit: 10})
			f.check(err)
			ids := []string{}
			for _, v := range list {
				ids = append(ids, v.ExternalID)
				if outcome != "" && v.Outcome() != outcome {
					t.Errorf("%s is %s, want %s", v.ExternalID, v.Outcome(), outcome)
				}
			}
			if fmt.Sprint(ids) != want {
				t.Errorf("%q: %v, want %s", outcome, ids, want)
			}
		}
		first, err := f.DeliveryView(t.Context(), 1)
		f.check(err)
		if first.Repository != "acme/site" || first.Forge != "hub" || len(first.Deployments) != 1 || first.Deployments[0].Workload != "site" {
			t.Errorf("got %+v", first)
		}
		if _, err := f.DeliveryView(t.Context(), 99); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("none: %v", err)
		}
		moves, err := f.LastMoves(t.Context(), f.repo.ID)
		if err != nil || len(moves) != 1 || moves["refs/heads/main"] != "2222222222222222222222222222222222222222" {
			t.Errorf("last moves: %v, %v", moves, err)
		}
		summaries, err := f.ForgeSummaries(t.Context())
		f.check(err)
		if s := summaries[f.forge.ID]; s.Repositories != 1 || s.Workloads != 1 || s.LastDelivery == nil || s.LastDelivery.ExternalID != "3" {
			t.Errorf("summary: %+v", s)
		}
	})
}

func TestRefusedStatus(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.queued("", "aa")
		for why, refused := range map[string]bool{"403": true, "500": false, "silent": false} {
			f.check(f.GiveUpReport(t.Context(), f.key(first.Commit), []db.Deployment{first}, why))
			got, err := f.RefusedStatus(t.Context(), f.forge.ID)
			if refused && (err != nil || got.ID != first.ID) || !refused && !errors.Is(err, db.ErrNotFound) {
				t.Errorf("after %s: %d, %v", why, got.ID, err)
			}
		}
		if _, err := f.RefusedStatus(t.Context(), f.forge.ID+1); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("another forge: %v", err)
		}
	})
}
