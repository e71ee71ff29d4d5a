package db_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/uptrace/bun"

	"tinyforge/db"
	"tinyforge/db/dbtest"
)

const (
	initial = "20261123000000_initial"
	second  = "20261126000000_sources_routes"
)

// migrations are the names of all, in order.
func migrations(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("migrations/*.tx.up.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".tx.up.sql"))
	}
	return names
}

func TestMigrateIsIdempotent(t *testing.T) {
	for dialect, address := range dbtest.Databases(t) {
		t.Run(dialect, func(t *testing.T) {
			d := open(t, address, newKeys(t))
			migrated(t, d, false)
			names, err := d.Migrate(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "first", names, migrations(t))
			migrated(t, d, true)
			names, err = d.Migrate(t.Context())
			if err != nil || len(names) != 0 {
				t.Errorf("second: applied %v, error %v", names, err)
			}
			migrated(t, d, true)
		})
	}
}

func migrated(t *testing.T, d *db.DB, want bool) {
	t.Helper()
	if got, err := d.Migrated(t.Context()); err != nil || got != want {
		t.Errorf("migrated: %v, %v; want %v", got, err, want)
	}
}

func TestMigrateAtOnceInOneProcess(t *testing.T) {
	for dialect, address := range dbtest.Databases(t) {
		t.Run(dialect, func(t *testing.T) {
			var wg sync.WaitGroup
			applied := make([][]string, 6)
			for i := range applied {
				d := open(t, address, newKeys(t))
				wg.Go(func() {
					var err error
					if applied[i], err = d.Migrate(t.Context()); err != nil {
						t.Errorf("handle %d: %v", i, err)
					}
				})
			}
			wg.Wait()
			all := slices.Concat(applied...)
			slices.Sort(all)
			equal(t, "applied", all, migrations(t))
		})
	}
}

// migrateVariable makes TestMigrateHelper one of the processes of TestMigrateInSeveralProcesses.
const migrateVariable = "DB_TEST_MIGRATE"

func TestMigrateHelper(t *testing.T) {
	address := os.Getenv(migrateVariable)
	if address == "" {
		return
	}
	names, err := open(t, address, newKeys(t)).Migrate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("applied", len(names))
}

func TestMigrateInSeveralProcesses(t *testing.T) {
	for dialect, address := range dbtest.Databases(t) {
		t.Run(dialect, func(t *testing.T) {
			var wg sync.WaitGroup
			outputs := make([]string, 3)
			for i := range outputs {
				cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMigrateHelper$", "-test.v")
				cmd.Env = append(os.Environ(), migrateVariable+"="+address)
				wg.Go(func() {
					out, err := cmd.CombinedOutput()
					if err != nil {
						t.Errorf("process %d: %v\n%s", i, err, out)
					}
					outputs[i] = string(out)
				})
			}
			wg.Wait()
			applied := 0
			for _, out := range outputs {
				_, after, _ := strings.Cut(out, "applied ")
				var n int
				if _, err := fmt.Sscan(after, &n); err != nil {
					t.Errorf("got %q: %v", out, err)
				}
				applied += n
			}
			if want := len(migrations(t)); applied != want {
				t.Errorf("%d migrations applied, want %d:\n%s", applied, want, strings.Join(outputs, ""))
			}
			migrated(t, open(t, address, newKeys(t)), true)
		})
	}
}

func TestMigrationOfAKilledProcessIsNotRepeated(t *testing.T) {
	for dialect, address := range dbtest.Databases(t) {
		t.Run(dialect, func(t *testing.T) {
			d := open(t, address, newKeys(t))
			if err := d.ApplyMigrations(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			migrated(t, d, false)
			names, err := d.Migrate(t.Context())
			if err != nil {
				t.Errorf("migrate: %v", err)
			}
			equal(t, "applied", names, migrations(t)[1:])
			migrated(t, d, true)
		})
	}
}

func TestBothDatabasesHaveTheSameColumns(t *testing.T) {
	columns := map[string][]string{}
	each(t, func(t *testing.T, f *fixture) {
		name := t.Name()[strings.LastIndex(t.Name(), "/")+1:]
		query := `SELECT m.name || '.' || c.name || CASE WHEN c."notnull" = 1 OR c.pk > 0 THEN ' NOT NULL' ELSE '' END
			FROM sqlite_master m JOIN pragma_table_xinfo(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`
		if f.postgres() {
			query = `SELECT table_name || '.' || column_name || CASE WHEN is_nullable = 'NO' THEN ' NOT NULL' ELSE '' END
				FROM information_schema.columns WHERE table_schema = 'public'`
		}
		var list []string
		f.check(f.Bun().NewRaw(query).Scan(t.Context(), &list))
		slices.Sort(list)
		columns[name] = list
		indexes(t, f)
	})
	if len(columns["sqlite"]) < 80 {
		t.Fatalf("found only the columns %v", columns["sqlite"])
	}
	equal(t, "columns on PostgreSQL as on SQLite", columns["postgres"], columns["sqlite"])
}

// indexes checks that the statements which rely on unique indexes have them.
func indexes(t *testing.T, f *fixture) {
	t.Helper()
	query, args := "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name", []any{}
	if f.postgres() {
		query = "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND indexname IN (?) ORDER BY indexname"
		args = append(args, bun.List(expectedIndexes))
	}
	var names []string
	f.check(f.Bun().NewRaw(query, args...).Scan(t.Context(), &names))
	names = slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(expectedIndexes, name) })
	equal(t, "indexes", names, expectedIndexes)
}

var expectedIndexes = []string{"api_tokens_user", "audit_entries_at", "audit_entries_kind", "deliveries_after", "deliveries_before", "deliveries_last",
	"deployments_commit", "deployments_due", "deployments_in_progress", "deployments_phase", "deployments_queued", "deployments_ref",
	"deployments_unfinished", "deployments_unreported",
	"deployments_workload", "hosts_workload", "log_lines_deployment", "sessions_user", "users_account", "workloads_repository"}
