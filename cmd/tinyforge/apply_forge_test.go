package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
)

// TestApplyKeepsWhatPagesStored: what the file does not speak of stays, and a rotation is not undone.
func TestApplyKeepsWhatPagesStored(t *testing.T) {
	b := newApplyBench(t)
	if _, err := b.apply(benchAll, false); err != nil {
		t.Fatal(err)
	}
	row, err := b.store.ForgeByName(t.Context(), "git")
	must(b, err)
	first := row.Credentials.WebhookSecret
	row.Owner, row.TokenUntil = "acme", time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
	row.Credentials.ClientID, row.Credentials.ClientSecret = "id", "client secret"
	row.Credentials.Rotate("rotated")
	must(b, b.store.ChangeForge(t.Context(), &row))
	if out, err := b.apply(benchAll, false); err != nil || !strings.Contains(out, "forge git: unchanged") {
		t.Errorf("error %v after\n%s", err, out)
	}
	for _, manifest := range []string{benchAll, strings.Replace(benchAll, "networks: [loopback]\nworkloads", "networks: [loopback, private]\nworkloads", 1)} {
		if _, err := b.apply(manifest, false); err != nil {
			t.Fatal(err)
		}
		if now, err := b.store.ForgeByName(t.Context(), "git"); err != nil || now.Credentials != row.Credentials || now.Owner != "acme" || !now.TokenUntil.Equal(row.TokenUntil) {
			t.Errorf("error %v; of what pages stored is left %+v", err, now)
		}
	}
	b.write("git.secret", "of the file")
	withSecret := strings.Replace(benchAll, "token: file:git.token", "token: file:git.token\n    webhook_secret: file:git.secret", 1)
	for range 2 {
		if _, err := b.apply(withSecret, false); err != nil {
			t.Fatal(err)
		}
		if now, err := b.store.ForgeByName(t.Context(), "git"); err != nil || !slices.Equal(now.Credentials.WebhookSecrets(), []string{"of the file", first}) {
			t.Errorf("error %v; what the forge signs with is refused", err)
		}
	}
}

// TestApplyOfAnotherApp: what was known of the one before is forgotten.
func TestApplyOfAnotherApp(t *testing.T) {
	f := manifestForge{row: db.Forge{AppID: 2, Credentials: db.Credentials{WebhookSecret: "new", Token: "token"}}}
	row := f.over(db.Forge{ID: 7, AppID: 1, AppURL: "https://x", AppSlug: "x", Owner: "acme", TokenUntil: time.Now(),
		Credentials: db.Credentials{WebhookSecret: "old", ClientID: "id", ClientSecret: "client"}})
	if row.ID != 7 || row.AppID != 2 || row.AppURL+row.AppSlug+row.Owner+row.Credentials.ClientID+row.Credentials.ClientSecret != "" || !row.TokenUntil.IsZero() {
		t.Errorf("it becomes %+v", row)
	}
	if secrets := row.Credentials.WebhookSecrets(); !slices.Equal(secrets, []string{"new", "old"}) {
		t.Errorf("its secrets are %v", secrets)
	}
}
