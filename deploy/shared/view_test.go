package shared_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// TestTargetsInOneCall: with more than one process, what not all of them have taken yet is not in effect.
func TestTargetsInOneCall(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1)
	a := g.members[0]
	gone, held := db.Route{Host: "gone.example.com"}, db.Route{Host: "held.example.com"}
	must(t, a.Upsert(t.Context(), rt, blue))
	for _, other := range []db.Route{gone, held} {
		must(t, a.Upsert(t.Context(), other, blue))
	}
	must(t, a.Delete(t.Context(), gone))
	must(t, a.Hold(t.Context(), held))
	targets := func() map[string]deploy.Target {
		view, err := a.Since(t.Context())
		must(t, err)
		all, err := view.(deploy.Lister).Targets(t.Context())
		must(t, err)
		return all
	}
	all := targets()
	if hosts := slices.Sorted(maps.Keys(all)); !slices.Equal(hosts, []string{held.Host, rt.Host}) {
		t.Errorf("the hosts are %v", hosts)
	}
	if !all[rt.Host].Is(rt, blue) || all[rt.Host].Is(rt, green) || !all[held.Host].Held || all[held.Host].Is(held, blue) {
		t.Errorf("the targets are %+v", all)
	}

	deaf := db.Process{ID: "deaf", Host: "elsewhere", Engine: a.Process.Engine, Serving: true}
	must(t, a.DB.JoinProcess(t.Context(), deaf))
	other := db.Route{Host: "new.example.com"}
	moving := make(chan error, 1)
	go func() { moving <- a.Upsert(t.Context(), other, blue) }()
	for targets()[other.Host].Upstream != blue { // the row is not there yet
		must(t, deploy.Sleep(t.Context(), time.Millisecond))
	}
	if all = targets(); all[other.Host].Is(other, blue) || !all[rt.Host].Is(rt, blue) {
		t.Errorf("the targets are %+v", all)
	}
	must(t, a.DB.LeaveProcess(t.Context(), deaf.ID))
	must(t, <-moving)
	if all = targets(); !all[other.Host].Is(other, blue) {
		t.Errorf("the targets are %+v", all)
	}
}
