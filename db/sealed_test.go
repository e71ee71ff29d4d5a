package db_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/db/dbtest"
)

// withSecrets fills every sealed column. Each secret contains "s3cret".
func withSecrets(f *fixture) *db.Deployment {
	f.t.Helper()
	f.forge.Credentials = db.Credentials{WebhookSecret: "s3cret-hook", Token: "s3cret-token", PrivateKey: "s3cret-key"}
	f.check(f.SaveForge(f.t.Context(), &f.forge))
	f.workload.Config = json.RawMessage(`{"build_secrets":{"NPM":"s3cret-config"}}`)
	f.workload.Env = map[string]string{"PASSWORD": "s3cret-env"}
	f.check(f.SaveWorkload(f.t.Context(), &f.workload))
	f.queued("", "A")
	dep := f.claim()
	dep.Release = &db.Release{ID: "tf-site-1", WorkloadID: dep.WorkloadID, Workload: "site", DeploymentID: dep.ID, Commit: dep.Commit,
		Image: "sha256:1", Port: 80, Env: map[string]string{"PASSWORD": "s3cret-release"}, Memory: 1 << 30, CPUs: 0.5,
		Volumes:     []db.Volume{{Name: "data", Path: "/data", ReadOnly: true}},
		Healthcheck: &db.Healthcheck{Path: "/up", Status: 204, Interval: time.Second, Timeout: time.Minute, Attempts: 3, StartPeriod: time.Hour}}
	f.save(dep, db.PhaseCommitting)
	dep.Phase = db.PhaseDraining
	f.check(f.Commit(f.t.Context(), dep, state(dep)))
	f.check(f.SaveCertificateFiles(f.t.Context(), db.CertificateFile{Name: "certificates/www.example.com.key", Content: []byte("s3cret-certificate")}))
	_, err := f.ChangeRoute(f.t.Context(), "www.example.com", db.Guard{}, func(db.RouteTarget) (db.RouteTarget, bool) {
		r := db.Route{Host: "www.example.com"}
		r.BasicAuth = []db.BasicAuth{{Username: "ann", Hash: "s3cret-hash"}}
		return db.RouteTarget{Route: r, Upstream: `"s3cret-upstream"`}, true
	})
	f.check(err)
	return dep
}

func TestSealedValues(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		dep := withSecrets(f)
		forge, err := f.Forge(t.Context(), f.forge.ID)
		f.check(err)
		if forge.Credentials != f.forge.Credentials {
			t.Errorf("got %#v", forge)
		}
		workload, err := f.Workload(t.Context(), f.workload.ID)
		f.check(err)
		if string(workload.Config) != string(f.workload.Config) || !reflect.DeepEqual(workload.Env, f.workload.Env) {
			t.Errorf("got %+v", workload)
		}
		if got := f.read(dep.ID); !reflect.DeepEqual(got.Release, dep.Release) {
			t.Errorf("got %+v", got.Release)
		}
		serves, err := f.RuntimeState(t.Context(), f.workload.ID)
		f.check(err)
		if !reflect.DeepEqual(serves.Release, *dep.Release) || serves.ReleaseID != "tf-site-1" || serves.Commit != dep.Commit ||
			serves.DeploymentID != dep.ID {
			t.Errorf("got %+v", serves)
		}
	})
}

// TestCapabilities: no capabilities at all is another thing than those that are usual, also after it was written down.
func TestCapabilities(t *testing.T) {
	for text, want := range map[string]db.Release{
		`"capabilities":[]`:        {Capabilities: []string{}},
		`"capabilities":["CHOWN"]`: {Capabilities: []string{"CHOWN"}},
		``:                         {},
	} {
		written, err := json.Marshal(want)
		if err != nil || !strings.Contains(string(written), text) || strings.Contains(string(written), "capabilities") != (text != "") {
			t.Errorf("%s, %v, want %s in it", written, err, text)
		}
		var got db.Release
		if err := json.Unmarshal(written, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as %#v, %v", written, got.Capabilities, err)
		}
	}
}

func TestNoSecretIsStoredInClear(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		withSecrets(f)
		tables := []string{"settings", "forges", "installations", "repositories", "workloads", "deliveries", "deployments",
			"runtime_states", "log_lines", "certificate_files", "route_targets"}
		seen := 0
		for _, table := range tables {
			rows, err := f.Bun().QueryContext(t.Context(), "SELECT * FROM "+table)
			f.check(err)
			columns, err := rows.Columns()
			f.check(err)
			before := seen
			for rows.Next() {
				values := make([][]byte, len(columns))
				dest := make([]any, len(columns))
				for i := range values {
					dest[i] = &values[i]
				}
				f.check(rows.Scan(dest...))
				for i, value := range values {
					seen++
					if bytes.Contains(value, []byte("s3cret")) {
						t.Errorf("%s.%s is stored in clear: %q", table, columns[i], value)
					}
				}
			}
			f.check(errors.Join(rows.Err(), rows.Close()))
			if empty := table == "settings" || table == "installations" || table == "log_lines"; seen == before && !empty {
				t.Errorf("nothing is in %s", table)
			}
		}
		if seen < 60 {
			t.Errorf("saw only %d values", seen)
		}
	})
}

func TestWrongKey(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		dep := withSecrets(f)
		f.queued("A", "B")
		other := open(t, f.address, newKeys(t))
		_, forge := other.Forge(t.Context(), f.forge.ID)
		_, byName := other.ForgeByName(t.Context(), f.forge.Name)
		_, forges := other.Forges(t.Context())
		_, workload := other.Workload(t.Context(), f.workload.ID)
		_, workloads := other.Workloads(t.Context())
		_, deployment := other.Deployment(t.Context(), dep.ID)
		_, deployments := other.DeploymentsOf(t.Context(), f.workload.ID, 10)
		_, serves := other.RuntimeState(t.Context(), f.workload.ID)
		_, states := other.RuntimeStates(t.Context())
		for name, err := range map[string]error{"forge": forge, "by name": byName, "forges": forges, "workload": workload,
			"workloads": workloads, "deployment": deployment, "deployments": deployments, "state": serves, "states": states} {
			if !errors.Is(err, db.ErrSealed) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestASealedValueOpensOnlyInItsOwnColumn(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t))
	withSecrets(f)
	f.exec("UPDATE workloads SET sealed = (SELECT sealed FROM forges LIMIT 1)")
	if _, err := f.Workload(t.Context(), f.workload.ID); !errors.Is(err, db.ErrSealed) {
		t.Errorf("got %v", err)
	}
}

func TestKeyring(t *testing.T) {
	keys := newKeys(t)
	if _, err := db.ParseKeyring("\n" + keys.Text() + "\n"); err != nil {
		t.Errorf("its own text: %v", err)
	}
	if newKeys(t).Text() == keys.Text() {
		t.Error("two keyrings are equal")
	}
	for _, text := range []string{"", "password", "{}", `{"primaryKeyId":1,"key":[]}`, keys.Text()[:len(keys.Text())/2]} {
		if _, err := db.ParseKeyring(text); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestTokensAreStoredAsHashes: what signs somebody in is in no row, so that nobody signs in with a copy of the database.
func TestTokensAreStoredAsHashes(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		u := db.User{Name: "ann", Role: db.Viewer}
		f.check(f.SaveUser(t.Context(), &u))
		session, err := f.StartSession(t.Context(), u.ID, "192.0.2.1", "browser")
		f.check(err)
		token, err := f.NewAPIToken(t.Context(), &db.APIToken{UserID: u.ID, Name: "ci"})
		f.check(err)
		link, err := f.NewSignInLink(t.Context(), u.ID)
		f.check(err)
		_, err = f.InstanceID(t.Context())
		f.check(errors.Join(err, f.CheckKey(t.Context())))
		s, err := f.Snapshot(t.Context())
		f.check(err)
		defer s.Close()
		var all strings.Builder
		f.check(s.Records(t.Context(), func(r db.Record) error { return json.NewEncoder(&all).Encode(r) }))
		for name, secret := range map[string]string{"session": session, "token": strings.TrimPrefix(token, "tfp_"), "link": link} {
			if len(secret) < 40 || strings.Contains(all.String(), secret) {
				t.Errorf("the %s is stored: %s", name, all.String())
			}
		}
		if !strings.Contains(all.String(), "192.0.2.1") {
			t.Error("the session is not among what was looked at")
		}
	})
}
