package db_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"tinyforge/db"
	"tinyforge/db/dbtest"
)

// What an older version wrote is read, and gone on with, after the migrations that it did not know.
func TestMigrateKeepsTheRowsOfOlderVersions(t *testing.T) {
	for version, older := range map[string]struct {
		seed    func(f *fixture)
		applied []string // by Migrate
		hookURL string
		leaving []string
		cause   db.Cause // of what is live
	}{
		initial: {seedInitial, migrations(t)[1:], "", nil, db.CausePush},
		second: {seedSecond, migrations(t)[2:], "https://deploy.example.com/webhooks/hub",
			[]string{"old.example.com"}, db.CausePackage},
	} {
		for dialect, address := range dbtest.Databases(t) {
			t.Run(version+"/"+dialect, func(t *testing.T) {
				f := &fixture{t: t, address: address, keys: newKeys(t)}
				f.DB = open(t, address, f.keys)
				older.seed(f)
				names, err := f.Migrate(t.Context())
				f.check(err)
				equal(t, "applied", names, older.applied)
				f.readOlder()
				if f.repo.HookURL != older.hookURL || f.repo.HookFingerprint != "" {
					t.Errorf("the webhook is %q, its secret %q", f.repo.HookURL, f.repo.HookFingerprint)
				}
				state, err := f.RuntimeState(t.Context(), f.workload.ID)
				f.check(err)
				f.leaving(f.workload.ID, older.leaving...)
				if live := f.read(2); live.Cause != older.cause || live.Phase != db.PhaseLive || state.DeploymentID != live.ID {
					t.Errorf("live is %+v", live)
				}
				f.goOnWithOlder()
			})
		}
	}
}

const seededAt = "2026-11-25 00:00:00"

// seedInitial writes what a version with the first migration alone had of everything.
func seedInitial(f *fixture) {
	f.check(f.ApplyMigrations(f.t.Context(), 1))
	f.seedCommon()
	f.exec("INSERT INTO runtime_states (workload_id, deployment_id, release_id, commit_hash, host, sealed, updated_at) VALUES (1, 2, 'tf-site-2', ?, 'www.example.com', ?, ?)",
		hash("B"), f.sealed(`{"id":"tf-site-2","workload_id":1,"image":"sha256:b","port":8080}`, "release"), seededAt)
}

// seedSecond writes what a version with the second migration had besides.
func seedSecond(f *fixture) {
	f.check(f.ApplyMigrations(f.t.Context(), 2))
	f.seedCommon()
	f.exec("UPDATE repositories SET hook_url = 'https://deploy.example.com/webhooks/hub'")
	f.exec("UPDATE deployments SET cause = 'package' WHERE id = 2")
	f.exec("INSERT INTO hosts (host, workload_id) VALUES ('www.example.com', 1)")
	f.exec("INSERT INTO runtime_states (workload_id, deployment_id, release_id, commit_hash, hosts, sealed, updated_at) VALUES (1, 2, 'tf-site-2', ?, 'old.example.com', ?, ?)",
		hash("B"), f.sealed(`{"id":"tf-site-2","workload_id":1,"image":"sha256:b","port":8080}`, "release"), seededAt)
}

// seedCommon writes a forge with a repository, a workload, one that is being deleted, and three deployments: one that was
// live, one that is and one that waits.
func (f *fixture) seedCommon() {
	f.exec("INSERT INTO settings (name, value) VALUES ('instance', 'seeded01')")
	f.exec("INSERT INTO forges (name, kind, url, api_url, networks, app_id, sealed, created_at, updated_at) VALUES ('hub', 'gitea', 'https://git.example.com', '', '[\"private\"]', 0, ?, ?, ?)",
		f.sealed(`{"webhook_secret":"hook secret","token":"token"}`, "forges.credentials"), seededAt, seededAt)
	f.exec("INSERT INTO repositories (forge_id, external_id, full_name, default_branch, private, removed, created_at, updated_at) VALUES (1, 42, 'acme/site', 'main', TRUE, FALSE, ?, ?)",
		seededAt, seededAt)
	config := f.sealed(`{"config":{"port":8080},"env":{"A":"b"}}`, "workloads.config")
	for name, deletedAt := range map[string]any{"site": nil, "gone": seededAt} {
		id := map[string]int{"site": 1, "gone": 2}[name]
		f.exec("INSERT INTO workloads (id, name, repository_id, source, ref_pattern, paths, host, enabled, sealed, deleted_at, created_at, updated_at) VALUES (?, ?, 1, 'dockerfile', '', '[\"src/**\"]', 'www.example.com', TRUE, ?, ?, ?, ?)",
			id, name, config, deletedAt, seededAt, seededAt)
	}
	if f.postgres() { // its counter did not see the ids
		f.exec("SELECT setval('workloads_id_seq', 2)")
	}
	f.exec("INSERT INTO deliveries (forge_id, external_id, event, repository_id, ref, before, after, accepted, decision, received_at) VALUES (1, 'seeded', 'push', 1, ?, ?, ?, TRUE, 'deployment 3 queued', ?)",
		main, hash("B"), hash("C"), seededAt)
	for i, phase := range []string{"retired", "live", "queued"} {
		commit, status := string(rune('A'+i)), "success"
		if phase == "queued" {
			status = "pending"
		}
		release := fmt.Sprintf(`{"id":"tf-site-%d","workload_id":1,"image":"sha256:%s","port":8080,"env":{"PASSWORD":"secret"}}`, i+1, commit)
		f.exec("INSERT INTO deployments (workload_id, repository_id, ref, commit_hash, message, author, phase, strategy, error, tail, superseded_by, sealed, lease_owner, attempt, status, reported, report_attempts, report_after, created_at, updated_at) VALUES (1, 1, ?, ?, 'change', 'Ann', ?, 'blue-green', '', '', '', ?, '', 1, ?, ?, 0, ?, ?, ?)",
			main, hash(commit), phase, f.sealed(release, "deployments.release"), status, status, seededAt, seededAt, seededAt)
	}
	f.exec("INSERT INTO log_lines (deployment_id, phase, at, text) VALUES (2, 'building', ?, 'Built')", seededAt)
}

// sealed is a JSON text as the rows hold it.
func (f *fixture) sealed(text, purpose string) []byte {
	f.t.Helper()
	sealed, err := f.keys.Seal(json.RawMessage(text), purpose)
	f.check(err)
	return sealed
}

// readOlder reads the seeded rows, and makes the fixture's of them.
func (f *fixture) readOlder() {
	t := f.t
	t.Helper()
	ctx := t.Context()
	var err error
	f.forge, err = f.ForgeByName(ctx, "hub")
	f.check(err)
	if f.forge.Credentials.WebhookSecret != "hook secret" || f.forge.Credentials.Token != "token" || len(f.forge.Networks) != 1 {
		t.Errorf("the forge is %+v", f.forge)
	}
	f.repo, err = f.RepositoryByExternalID(ctx, f.forge.ID, 42)
	f.check(err)
	f.workload, err = f.Workload(ctx, 1)
	f.check(err)
	if w := f.workload; string(w.Config) != `{"port":8080}` || w.Env["A"] != "b" || w.Host != "www.example.com" || w.DeletedAt != nil || len(w.Paths) != 1 {
		t.Errorf("the workload is %+v", w)
	}
	if gone, err := f.Workload(ctx, 2); err != nil || gone.DeletedAt == nil || gone.VolumesToo {
		t.Errorf("the deleted workload is %+v, %v", gone, err)
	}
	if old := f.read(1); old.Cause != db.CausePush || old.RollbackTo != 0 || old.Cancelled || old.StrategyReason != "" || old.Release.Env["PASSWORD"] != "secret" {
		t.Errorf("what was live is %+v", old)
	}
	lines, err := f.Log(ctx, 2, 0, 10)
	f.check(err)
	id, err := f.InstanceID(ctx)
	f.check(err)
	if id != "seeded01" || len(lines) != 1 || lines[0].Text != "Built" {
		t.Errorf("the instance is %q, the log %+v", id, lines)
	}
}

// goOnWithOlder does with the seeded rows what is done every day.
func (f *fixture) goOnWithOlder() {
	t := f.t
	t.Helper()
	ctx := t.Context()
	other := db.Workload{Name: "other", RepositoryID: f.repo.ID, Source: "dockerfile", Host: "www.example.com", Enabled: true}
	if err := f.SaveWorkload(ctx, &other); !errors.Is(err, db.ErrHostTaken) {
		t.Errorf("the host is free: %v", err)
	}
	f.check(f.SaveWorkload(ctx, &f.workload))
	if out := f.push("A", "B"); len(out.Deployments) != 0 {
		t.Errorf("a push that is older than the seeded one: %+v", out)
	}
	if next := f.queued("C", "D"); f.read(3).Phase != db.PhaseSuperseded || next.ID != 4 {
		t.Errorf("queued %+v", next)
	}
	back, err := f.QueueRollback(ctx, 1)
	f.check(err)
	dep := f.claim()
	if dep.ID != back.ID || dep.RollbackTo != 1 {
		t.Errorf("claimed %+v", dep)
	}
	f.commit(dep)
	f.save(dep, db.PhaseLive)
	if state, err := f.RuntimeState(ctx, f.workload.ID); err != nil || state.DeploymentID != back.ID || f.read(2).Phase != db.PhaseRetired {
		t.Errorf("live is %+v, %v", state, err)
	}
	used, left, err := f.HookedRepositories(ctx, f.forge.ID)
	f.check(err)
	if len(used) != 1 || len(left) != 0 {
		t.Errorf("repositories with webhooks: %+v and %+v", used, left)
	}
}
