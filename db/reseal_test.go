package db_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/uptrace/bun"

	"tinyforge/db"
)

// killer ends a context at the n-th statement, as if the process had been killed before it.
type killer struct {
	kill func()
	left int
}

func (k *killer) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context {
	if k.left--; k.left == 0 {
		k.kill()
	}
	return ctx
}

func (*killer) AfterQuery(context.Context, *bun.QueryEvent) {}

// TestResealKilledAnywhere: killed before each of its statements it leaves what opens with both keys, and goes on; in the end the
// old key is not needed, and what is derived is still the same.
func TestResealKilledAnywhere(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		withSecrets(f)
		f.check(f.CreateAppRequest(t.Context(), &db.AppRequest{Name: "begun"}))
		f.check(f.CheckKey(t.Context()))
		was := f.Derive("purpose")
		f.check(f.KeepDerived(t.Context()))
		if !slices.Equal(f.Derive("purpose"), was) {
			t.Error("what is derived changed when it was kept")
		}
		both, err := f.keys.Rotated()
		f.check(err)
		d := open(t, f.address, both)
		kills := 0
		for {
			ctx, cancel := context.WithCancel(t.Context())
			k := &killer{kill: cancel, left: kills + 1}
			err := d.Spied(k).Reseal(ctx)
			cancel()
			opens(t, open(t, f.address, both), was)
			if k.left > 0 { // it was done before
				f.check(err)
				break
			}
			kills++
		}
		if kills < 20 {
			t.Errorf("only %d kills", kills)
		}
		newest, err := both.Newest()
		f.check(err)
		if both.Keys() != 2 || newest.Keys() != 1 {
			t.Errorf("%d keys, then %d", both.Keys(), newest.Keys())
		}
		opens(t, open(t, f.address, newest), was)
		if err := open(t, f.address, f.keys).CheckKey(t.Context()); err == nil {
			t.Error("somebody may still start with the old key")
		}
	})
}

// opens demands that every sealed value opens.
func opens(t *testing.T, d *db.DB, derived []byte) {
	t.Helper()
	defer d.Close()
	ctx := t.Context()
	_, errForges := d.Forges(ctx)
	_, errWorkloads := d.Workloads(ctx)
	_, errDeployments := d.DeploymentsOf(ctx, 1, 10)
	_, errStates := d.RuntimeStates(ctx)
	_, errRequest := d.AppRequest(ctx, 1)
	for _, err := range []error{d.CheckKey(ctx), errForges, errWorkloads, errDeployments, errStates, errRequest} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(d.Derive("purpose"), derived) {
		t.Fatal("what is derived is another")
	}
}

// TestEverySealedColumnIsKnown: a table that gets one has to be sealed anew too.
func TestEverySealedColumnIsKnown(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		var there []string
		q := f.Bun().NewSelect().TableExpr("information_schema.columns").Column("table_name").Where("column_name = 'sealed' AND table_schema = 'public'")
		if strings.HasPrefix(f.address, "sqlite:") {
			q = f.Bun().NewSelect().TableExpr("sqlite_master AS m, pragma_table_info(m.name) AS c").ColumnExpr("m.name").Where("c.name = 'sealed'")
		}
		f.check(q.Scan(t.Context(), &there))
		slices.Sort(there)
		known := db.SealedTables()
		slices.Sort(known)
		if !slices.Equal(there, known) {
			t.Errorf("there are %q, known are %q", there, known)
		}
	})
}

func TestOthers(t *testing.T) {
	address := current.Postgres(t)
	d := open(t, address, newKeys(t))
	count := func(want int) {
		t.Helper()
		if n, err := d.Others(t.Context()); err != nil || n != want {
			t.Errorf("%d others, %v; want %d", n, err, want)
		}
	}
	count(0)
	other := open(t, address, newKeys(t))
	count(1)
	_ = other
}
