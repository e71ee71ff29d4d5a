package main

import (
	"net/http"
	"strings"
	"testing"

	"tinyforge/app/forgetest"
	"tinyforge/db"
)

func TestApplyWithoutPrune(t *testing.T) {
	b := newApplyBench(t)
	if _, err := b.apply(benchAll, false); err != nil {
		t.Fatal(err)
	}
	b.applied("forges:"+benchHub+"workloads:"+benchWeb, false,
		"forge hub: unchanged", "repository acme/site on hub: unchanged",
		"workload api: not in the file (left; --prune deletes it)", "workload web: unchanged",
		"forge git: not in the file (left, since workload api uses it)",
	)
	b.applied(benchForges+"workloads:"+benchWeb, false,
		"forge hub: unchanged", "forge git: unchanged", "repository acme/site on hub: unchanged",
		"workload api: not in the file (left; --prune deletes it)", "workload web: unchanged",
		"webhook of acme/api on git: unchanged",
	)
	if b.workload("api").DeletedAt != nil {
		t.Error("the workload was deleted")
	}
}

func TestApplyPrune(t *testing.T) {
	b := newApplyBench(t)
	if _, err := b.apply(benchAll, false); err != nil {
		t.Fatal(err)
	}
	less := "forges:" + benchHub + "workloads:" + benchWeb
	kept := []string{"forge hub: unchanged", "repository acme/site on hub: unchanged"}
	stillThere := "forge git: not in the file (left, since workload api is still being taken down; the next --prune deletes it)"
	b.applied(less, true, append(kept,
		"workload api: deleted", "workload web: unchanged", "webhook of acme/api on git: deleted", stillThere)...)
	if hooks := b.git.Hooks("acme/api"); len(hooks) > 0 {
		t.Errorf("the hooks are %+v", hooks)
	}
	b.applied(less, true, append(kept, "workload api: is being taken down", "workload web: unchanged", stillThere)...)

	if gone, err := b.store.PurgeWorkload(t.Context(), b.workload("api").ID); err != nil || !gone {
		t.Fatalf("purged is %t, error %v", gone, err)
	}
	b.applied(less, false, append(kept, "workload web: unchanged", "forge git: not in the file (left; --prune deletes it)")...)
	b.applied(less, true, append(kept, "workload web: unchanged", "forge git: deleted")...)
	b.applied(less, true, append(kept, "workload web: unchanged")...)
	if forges, workloads, _ := b.rows(); len(forges) != 1 || len(workloads) != 1 {
		t.Errorf("there are %+v, %+v", forges, workloads)
	}
}

// TestApplyPruneComesBack: a workload that is being taken down is created anew by its being in the file again.
func TestApplyPruneComesBack(t *testing.T) {
	b := newApplyBench(t)
	if _, err := b.apply(benchAll, false); err != nil {
		t.Fatal(err)
	}
	if _, err := b.apply(benchForges+"workloads:"+benchWeb, true); err != nil {
		t.Fatal(err)
	}
	out, err := b.apply(benchAll, true)
	if err != nil || !strings.Contains(out, "workload api: created\nwebhook of acme/api on git: created\n") || b.workload("api").DeletedAt != nil {
		t.Errorf("error %v after\n%s", err, out)
	}
}

// TestApplyPruneHook: a webhook that cannot be removed is reported and holds nothing up.
func TestApplyPruneHook(t *testing.T) {
	b := newApplyBench(t)
	if _, err := b.apply(benchAll, false); err != nil {
		t.Fatal(err)
	}
	less := "forges:" + benchHub + "workloads:" + benchWeb
	b.git.Fault(func(*http.Request) *forgetest.Fault { return &forgetest.Fault{Status: 500, Reflect: true} })
	b.refused(less, true, "webhook of acme/api on git: it was left, remove it there by hand: list webhooks: forge answered 500: try again later")
	if b.workload("api").DeletedAt == nil {
		t.Error("the workload was not deleted")
	}
	b.git.Fault(nil)
	b.publicURL = ""
	home := b.workload("api").RepositoryID
	must(b, b.store.SetHookURL(t.Context(), home, "")) // as if it had been made by hand
	if out, err := b.apply(less, true); err != nil ||
		!strings.Contains(out, "webhook of acme/api on git: left, since without --public-url its address is not known\n") {
		t.Errorf("error %v after\n%s", err, out)
	}
	must(b, b.store.SetHookURL(t.Context(), home, "https://deploy.example.com/webhooks/git"))
	if _, err := b.apply(less, true); err != nil { // what we registered ourselves is known
		t.Error(err)
	}
	if hooks := b.git.Hooks("acme/api"); len(hooks) > 0 {
		t.Errorf("the hooks are %+v", hooks)
	}
}

// TestApplyPruneCutOff: a file that lost its end deletes nothing.
func TestApplyPruneCutOff(t *testing.T) {
	b := newApplyBench(t)
	if _, err := b.apply(benchAll, false); err != nil {
		t.Fatal(err)
	}
	b.refused("", true, "file: is empty: it needs forges and workloads")
	b.refused(benchForges, true, `workloads (line 1): is missing: with --prune, write "workloads: []" to delete all of them`)
	b.refused(benchForges+"workloads:\n", true, `workloads (line 1): is missing: with --prune, write "workloads: []" to delete all of them`)
	if b.workload("web").DeletedAt != nil {
		t.Error("the workload was deleted")
	}
	out, err := b.apply("forges: []\nworkloads: []\n", true)
	if err != nil || !strings.Contains(out, "workload api: deleted\nworkload web: deleted\n") {
		t.Errorf("error %v after\n%s", err, out)
	}
}

// TestApplyMove: a workload that moves takes its webhook along, and its history keeps the forge that it comes from.
func TestApplyMove(t *testing.T) {
	b := newApplyBench(t)
	if _, err := b.apply(benchAll, false); err != nil {
		t.Fatal(err)
	}
	api := b.workload("api")
	home, err := b.store.Repository(t.Context(), api.RepositoryID)
	must(b, err)
	delivery := db.Delivery{ForgeID: home.ForgeID, ExternalID: "1", Event: "push", RepositoryID: home.ID, Ref: "refs/heads/main", After: "a", Accepted: true}
	_, err = b.store.Enqueue(t.Context(), &delivery, []db.Deployment{{WorkloadID: api.ID, RepositoryID: home.ID, Ref: "refs/heads/main", Commit: "a"}})
	must(b, err)

	moved := "forges:" + benchHub + "workloads:" + benchWeb + strings.NewReplacer("git", "hub").Replace(benchAPI)
	b.applied(moved, true,
		"forge hub: unchanged", "repository acme/site on hub: unchanged", "repository acme/api on hub: created",
		"workload web: unchanged", "workload api: changed",
		"webhook of acme/api on git: deleted",
		"forge git: not in the file (left, since a workload that moved away still has deployments from it in its history)",
	)
	if hooks := b.git.Hooks("acme/api"); len(hooks) > 0 {
		t.Errorf("the hooks are %+v", hooks)
	}
}

// TestApplyHosts: hosts can be handed on, exchanged and taken over from what is deleted; nothing else loses one.
func TestApplyHosts(t *testing.T) {
	b := newApplyBench(t)
	hosts := func(web, api, app string) string {
		text := "forges:" + benchHub + "workloads:\n"
		for name, host := range map[string]string{"web": web, "api": api, "app": app} {
			if host != "" {
				text += "  - {name: " + name + ", forge: hub, repository: acme/site, source: dockerfile, host: " + host + "}\n"
			}
		}
		return text
	}
	check := func(manifest string, prune bool, web, api, app string) {
		t.Helper()
		if out, err := b.apply(manifest, prune); err != nil {
			t.Fatalf("%v after\n%s", err, out)
		}
		for name, host := range map[string]string{"web": web, "api": api, "app": app} {
			if w := b.workload(name); w.Host != host || w.DeletedAt != nil {
				t.Errorf("workload %s has %s, want %s", name, w.Host, host)
			}
		}
	}
	check(hosts("a", "b", "c"), false, "a", "b", "c")
	check(hosts("b", "c", "d"), false, "b", "c", "d") // a chain
	check(hosts("c", "d", "b"), false, "c", "d", "b") // a ring
	check(hosts("d", "c", "b"), false, "d", "c", "b") // an exchange

	_, err := b.apply(hosts("b", "c", ""), false)
	if err == nil || !strings.Contains(err.Error(), "is the host of the workload app, which is not in the file; --prune deletes it") {
		t.Errorf("error %v", err)
	}
	if _, err := b.apply(hosts("b", "c", ""), true); err != nil {
		t.Error(err)
	}
	if web, app := b.workload("web"), b.workload("app"); web.Host != "b" || app.DeletedAt == nil {
		t.Errorf("the workloads are %+v, %+v", web, app)
	}
}
