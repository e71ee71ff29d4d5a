package shared_test

import (
	"slices"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/db/dbtest"
)

// TestDatabaseLosesTheLastMoves: what it says after that is what all proxies do, and its next versions are not taken for those that
// were applied before.
func TestDatabaseLosesTheLastMoves(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 2)
	a, b := g.members[0], g.members[1]
	must(t, a.Upsert(t.Context(), rt, blue))
	dbtest.Exec(t, g.address, "CREATE TABLE kept AS SELECT *, (SELECT version FROM route_versions) AS counted FROM route_targets")
	for range 3 {
		must(t, a.Upsert(t.Context(), rt, green))
		must(t, a.Upsert(t.Context(), rt, blue))
	}
	must(t, a.Upsert(t.Context(), rt, green))
	b.points(t, green.Name)
	dbtest.Exec(t, g.address, "BEGIN; DELETE FROM route_targets; INSERT INTO route_targets SELECT host, sealed, held, deleted, version FROM kept; "+
		"UPDATE route_versions SET version = (SELECT counted FROM kept); COMMIT")
	deadline := time.After(30 * time.Second)
	for a.local.Routes()[rt.Host] != blue.Name || b.local.Routes()[rt.Host] != blue.Name || g.ahead(t) {
		select {
		case <-deadline:
			t.Fatalf("they lead to %v and %v", a.local.Routes(), b.local.Routes())
		case <-time.After(20 * time.Millisecond):
		}
	}
	must(t, a.Upsert(t.Context(), rt, green))
	a.points(t, green.Name)
	b.points(t, green.Name)
}

// ahead tells whether a process says that it has applied what the database has forgotten: a real loss takes such rows with it.
func (g *group) ahead(t *testing.T) bool {
	t.Helper()
	version, err := g.members[0].DB.RouteVersion(t.Context())
	must(t, err)
	all, err := g.members[0].DB.LivingProcesses(t.Context())
	must(t, err)
	return slices.ContainsFunc(all, func(p db.Process) bool { return p.Applied > version })
}
