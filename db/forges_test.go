package db_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"tinyforge/db"
)

func TestForge(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		saved := db.Forge{Name: "git", Kind: "gitea", URL: "https://git.example.com", APIURL: "https://git.example.com/api",
			Networks: []string{"private", "10.0.0.0/8"}, Credentials: db.Credentials{WebhookSecret: "one", Token: "two"}}
		f.check(f.SaveForge(t.Context(), &saved))
		byID, err := f.Forge(t.Context(), saved.ID)
		f.check(err)
		byName, err := f.ForgeByName(t.Context(), "git")
		f.check(err)
		list, err := f.Forges(t.Context())
		f.check(err)
		if len(list) != 2 || list[0].Name != "git" || list[1].Name != "hub" {
			t.Fatalf("forges: got %v", list)
		}
		for _, got := range []db.Forge{byID, byName, list[0]} {
			if same(t, got, saved); got.Credentials != saved.Credentials {
				t.Errorf("got credentials %#v", got.Credentials)
			}
		}
		if list[1].Networks != nil || list[1].APIURL != "" || list[1].AppID != 7 {
			t.Errorf("got %v", list[1])
		}
	})
}

// same compares all that is encoded of two rows.
func same(t *testing.T, got, want any) {
	t.Helper()
	g, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	w, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if string(g) != string(w) {
		t.Errorf("got\n%s, want\n%s", g, w)
	}
}

func TestForgeIsKnownByName(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		changed := db.Forge{Name: "hub", Kind: "gitea", URL: "https://other.example.com", Networks: []string{"loopback"},
			Credentials: db.Credentials{Token: "new"}}
		f.check(f.SaveForge(t.Context(), &changed))
		if changed.ID != f.forge.ID || !changed.CreatedAt.Equal(f.forge.CreatedAt) || !changed.UpdatedAt.After(f.forge.UpdatedAt) {
			t.Errorf("got %v, want id and creation of %v", changed, f.forge)
		}
		got, err := f.Forge(t.Context(), f.forge.ID)
		f.check(err)
		if same(t, got, changed); got.Credentials != changed.Credentials {
			t.Error("the credentials did not change")
		}
	})
}

func TestForgeNotFound(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, byID := f.Forge(t.Context(), 999)
		_, byName := f.ForgeByName(t.Context(), "absent")
		for _, err := range []error{byID, byName} {
			if !errors.Is(err, db.ErrNotFound) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestDeleteForge(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		if f.DeleteForge(t.Context(), f.forge.ID) == nil {
			t.Error("deleted a forge whose repository a workload uses")
		}
		f.push("", "A")
		f.check(f.DeleteWorkload(t.Context(), f.workload.ID, false))
		f.reportAll()
		if gone, err := f.PurgeWorkload(t.Context(), f.workload.ID); err != nil || !gone {
			t.Fatalf("purge: %v, %v", gone, err)
		}
		f.check(f.DeleteForge(t.Context(), f.forge.ID))
		for _, table := range []string{"forges", "repositories", "deliveries"} {
			if n := f.count(table, "1 = 1"); n != 0 {
				t.Errorf("%d rows are left in %s", n, table)
			}
		}
	})
}

// reportAll tells the forge everything.
func (f *fixture) reportAll() {
	f.t.Helper()
	keys, err := f.DueReports(f.t.Context(), 100)
	f.check(err)
	for _, key := range keys {
		list, err := f.DeploymentsOfCommit(f.t.Context(), key)
		f.check(err)
		f.check(f.MarkReported(f.t.Context(), key, list))
	}
}

func TestCredentialsAreNotPrinted(t *testing.T) {
	const secret = "do not print"
	forge := db.Forge{Name: "hub", Credentials: db.Credentials{WebhookSecret: secret, Token: secret, PrivateKey: secret}}
	var out strings.Builder
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("forge", "row", forge, "pointer", &forge, "credentials", forge.Credentials)
	}
	encoded, err := json.Marshal(forge)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(&out, "%v %+v %#v %s %v %s", forge, forge, forge, forge.Credentials, fmt.Errorf("open %v", &forge), encoded)
	if text := out.String(); strings.Contains(text, secret) || strings.Count(text, "[secret]") < 10 {
		t.Errorf("got %s", text)
	}
}
