package deploy_test

import (
	"fmt"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// whileBuilding pushes a commit, calls f when its build has begun, lets the recovery pass, and waits for the end.
func (w *world) whileBuilding(letter string, f func()) db.Deployment {
	w.t.Helper()
	w.builds.begun, w.builds.wait = make(chan struct{}, 1), make(chan struct{})
	dep := w.push(letter)
	stop := w.runInBackground()
	defer stop()
	<-w.builds.begun
	f()
	w.pass()
	close(w.builds.wait)
	return w.await(dep.ID, func(d db.Deployment) bool { return d.Phase.Final() })
}

// TestHostsChangeHandsDuringABuild: neither the deployment nor its undo takes a host from who has it by now.
func TestHostsChangeHandsDuringABuild(t *testing.T) {
	t.Parallel()
	for letter, serves := range map[string]string{"c": "c", "x": "a"} {
		t.Run(letter, func(t *testing.T) {
			w := newWorld(t, "dockerfile", blueGreen)
			w.route(db.Routing{Aliases: []string{shop}})
			w.live("a")
			api, _ := w.second("api", "api.example.com", "b")
			w.whileBuilding(letter, func() {
				w.route(db.Routing{Aliases: []string{apex}})
				api.Routing = db.Routing{Aliases: []string{shop}}
				must(t, w.db.SaveWorkload(t.Context(), &api))
			})
			w.answers(shop, http.StatusOK, "b")
			w.answers(apex, http.StatusOK, serves)
			w.answers(host, http.StatusOK, serves)
			w.pass()
			w.answers(shop, http.StatusOK, "b")
			w.leaving()
		})
	}
}

func TestPasswordSetDuringABuild(t *testing.T) {
	t.Parallel()
	hash, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	must(t, err)
	for _, letter := range []string{"b", "x"} {
		w := newWorld(t, "dockerfile", blueGreen)
		w.live("a")
		w.whileBuilding(letter, func() {
			w.route(db.Routing{RouteOptions: db.RouteOptions{BasicAuth: []db.BasicAuth{{Username: "ann", Hash: string(hash)}}}})
		})
		w.answers(host, http.StatusUnauthorized, "")
	}
}

// TestWorkloadDeletedDuringABuild: what was built is not even started, and the host that is another's stays that.
func TestWorkloadDeletedDuringABuild(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	api, _ := w.second("api", "api.example.com", "b")
	dep := w.whileBuilding("c", func() {
		must(t, w.db.DeleteWorkload(t.Context(), w.workload.ID, false))
		api.Routing = db.Routing{Aliases: []string{host}}
		must(t, w.db.SaveWorkload(t.Context(), &api))
	})
	if dep.Phase != db.PhaseFailed || dep.Error != "The workload was deleted; the previous release still serves" {
		t.Errorf("%s: %s", dep.Phase, dep.Error)
	}
	w.pass()
	w.answers(host, http.StatusOK, "b")
	all, err := w.runtime.List(t.Context())
	if err != nil || len(all) != 1 || all[0].WorkloadID != api.ID {
		t.Errorf("left are %+v (%v)", all, err)
	}
}

// whileStarting lets the recovery pass, and calls f while it starts releases again that had ended: that one, and those of as
// many other workloads, whose routes it returns, as keep the pass from coming to any other one before.
func (w *world) whileStarting(id db.ReleaseID, f func()) map[string]db.Deployment {
	w.t.Helper()
	routes := map[string]db.Deployment{}
	w.runtime.Exit(id, 1)
	for n := range deploy.HealedAtOnce - 1 {
		name := fmt.Sprintf("api-%d", n)
		_, dep := w.second(name, name+".example.com", "b")
		w.runtime.Exit(dep.Release.ID, 1)
		routes[name+".example.com"] = dep
	}
	var once sync.Once
	var called atomic.Bool
	w.deployer.Runtime = w.runtime.With(deploytest.Record(func(point string) {
		if point == "runtime.start:after" {
			once.Do(func() { f(); called.Store(true) })
		}
	}))
	w.pass()
	w.deployer.Runtime = w.runtime
	if !called.Load() {
		w.t.Error("nothing was started")
	}
	return routes
}

// TestHostsChangeHandsDuringAPass: a pass that takes long does not do what was right at its beginning. What was in order then is
// looked at again by the next one, which the change wakes.
func TestHostsChangeHandsDuringAPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	web := w.live("a")
	api, other := w.second("api", "api.example.com", "b") // the pass comes to it first
	routes := w.whileStarting(other.Release.ID, func() {
		w.workload.Host = "web.example.com"
		must(t, w.db.SaveWorkload(t.Context(), &w.workload))
		api.Routing = db.Routing{Aliases: []string{host}}
		must(t, w.db.SaveWorkload(t.Context(), &api))
	})
	maps.Copy(routes, map[string]db.Deployment{"api.example.com": other, host: other})
	w.routesAre(routes)
	w.pass()
	routes["web.example.com"] = web
	w.routesAre(routes)
}

func TestWorkloadComesBackDuringAPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", `{"deploy_strategy":"recreate","volumes":[{"name":"data","path":"/data"}]}`)
	w.live("a")
	_, other := w.second("api", "api.example.com", "b")
	must(t, w.db.DeleteWorkload(t.Context(), w.workload.ID, true))
	w.whileStarting(other.Release.ID, func() { must(t, w.db.SaveWorkload(t.Context(), &w.workload)) })
	w.answers(host, http.StatusOK, "a")
	if got := w.runtime.Volumes(); len(got) != 1 {
		t.Errorf("volumes %q", got)
	}
}

// TestHostGivenBackBeforeTheFirstRelease: its route goes too.
func TestHostGivenBackBeforeTheFirstRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.route(db.Routing{Aliases: []string{shop}})
	w.pass()
	w.answers(shop, http.StatusServiceUnavailable, "")
	w.route(db.Routing{})
	w.run(w.push("x"))
	w.pass()
	w.answers(shop, http.StatusNotFound, "")
	w.leaving()
}

// TestAnotherProcessLeavesTheRouteAlone: its recovery looks at the rows between the move of the route and the commit.
func TestAnotherProcessLeavesTheRouteAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	var other *deploy.Recovery
	var armed atomic.Bool
	w.start(deploytest.Record(func(point string) {
		if point == "router.upsert:after" && armed.CompareAndSwap(true, false) {
			must(t, other.Pass(t.Context()))
			w.answers(host, http.StatusOK, "b")
		}
	}))
	d := w.deployer
	other = deploy.NewRecovery(&deploy.Deployer{DB: d.DB, Runtime: d.Runtime, Images: d.Images, Router: d.Router,
		Fetcher: d.Fetcher, Sources: d.Sources, Log: d.Log, Config: d.Config})
	w.pass()
	w.answers(host, http.StatusOK, "a")
	dep := w.push("b")
	armed.Store(true)
	if got := w.run(dep); got.Phase != db.PhaseLive || armed.Load() {
		t.Errorf("phase %s, looked %v", got.Phase, !armed.Load())
	}
	w.answers(host, http.StatusOK, "b")
}

// TestWorkloadComesBackWhileItIsTakenDown: its release is gone already, and its volumes stay.
func TestWorkloadComesBackWhileItIsTakenDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", `{"deploy_strategy":"recreate","volumes":[{"name":"data","path":"/data"}]}`)
	w.live("a")
	must(t, w.db.DeleteWorkload(t.Context(), w.workload.ID, true))
	w.deployer.Runtime = w.runtime.With(deploytest.Record(func(point string) {
		switch point {
		case "runtime.remove:after":
			must(t, w.db.SaveWorkload(t.Context(), &w.workload))
		case "runtime.volumes:before":
			t.Error("its volumes are removed")
		}
	}))
	w.pass()
	w.deployer.Runtime = w.runtime
	w.pass()
	w.serves("a")
}
