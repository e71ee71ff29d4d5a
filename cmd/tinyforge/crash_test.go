package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/db/dbtest"
)

// scene is a workload of which a release serves, on a Docker that can be stopped in the middle.
type scene struct {
	*service
	docker *front
	forge  *forgetest.Server
	clone  *clone
	name   string // of the workload
}

func newScene(t *testing.T, config string, env ...string) *scene {
	t.Helper()
	x := &scene{docker: newFront(t), forge: newForge(t, forgetest.Options{Kind: forgetest.GitHub}), name: unique("web")}
	x.service = newService(t, append(env, x.docker.option())...)
	x.clone = newClone(t, x.forge, "acme/site")
	x.apply(x.forge, manifestOf(x.name, "dockerfile", config))
	x.clone.ends(x.clone.release("zero"), "success")
	x.serves(x.name, "zero")
	return x
}

// moment is a point in a deployment. It returns a function that waits until the deployment has got there.
type moment func(x *scene) (reached func())

// whileFetching is when git waits for the forge.
func whileFetching(x *scene) func() {
	arrived := make(chan struct{}, 10)
	x.forge.Fault(func(r *http.Request) *forgetest.Fault {
		if !fetches(r) {
			return nil
		}
		arrived <- struct{}{}
		return &forgetest.Fault{Silent: true}
	})
	return func() { <-arrived }
}

// whileBuilding is when a step of the Dockerfile runs.
func whileBuilding(x *scene) func() {
	begun := in(db.PhaseBuilding)(x)
	return func() {
		begun()
		x.await("the step runs", func() bool {
			if d := x.deployments(x.name)[0]; d.Phase.Final() {
				x.Fatalf("it is %s already: %s\n%s", d.Phase, d.Error, x.deploymentLog(x.name))
			}
			return strings.Contains(x.deploymentLog(x.name), "RUN")
		})
	}
}

// before is when a request of this kind is on its way to Docker; after is when Docker has done it and nobody knows.
func before(method, path string) moment {
	return func(x *scene) func() { return x.at(x.docker.stopAt(method, path, false)) }
}

func afterwards(method, path string) moment {
	return func(x *scene) func() { return x.at(x.docker.stopAt(method, path, true)) }
}

// beforeBlueStarts is when the release that was stopped is about to be started again.
func beforeBlueStarts(x *scene) func() {
	blue := x.releases(x.name)[0].ID
	return x.at(x.docker.stopAt(http.MethodPost, "/"+blue+"/start", false))
}

// in is when the row says so.
func in(phase db.Phase) moment {
	return func(x *scene) func() {
		was := x.deployments(x.name)[0].ID
		return func() {
			x.await(string(phase), func() bool {
				d := x.deployments(x.name)[0]
				if d.ID > was && d.Phase.Final() {
					x.Fatalf("it is %s already: %s", d.Phase, d.Error)
				}
				return d.ID > was && d.Phase == phase
			})
		}
	}
}

// whileDraining is when a request to blue lasts, though green serves and the commit says so.
func whileDraining(x *scene) func() {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		x.get(x.site+"/slow?ms=6000", x.name+".test")
	}()
	x.Cleanup(func() { <-ended })
	x.await("the request is being served", func() bool {
		_, page := x.get(x.control+"/metrics", "")
		return strings.Contains(page, `tinyforge_proxy_in_flight{host="`+x.name+`.test"} 1`)
	})
	return func() {
		x.await("the commit is green", func() bool {
			d := x.deployments(x.name)[0]
			return d.Phase == db.PhaseDraining && x.clone.last(d.Commit).State == "success"
		})
	}
}

func (x *scene) at(reached <-chan struct{}) func() {
	return func() {
		x.Helper()
		select {
		case <-reached:
		case <-time.After(time.Minute):
			x.Fatalf("the request never came\n%s", x.process.log.String())
		}
	}
}

// TestKilled: kill -9 at moments that only a real git, builder and engine have, then a new process. What it makes of the
// deployment is what would have become of it without, and nothing is left over. Every point of every phase is killed by
// TestKilledAnywhere of package deploy, and by "make chaos" on a real Docker.
func TestKilled(t *testing.T) {
	t.Parallel()
	type kill struct {
		at  string
		m   moment
		env []string // of the release
	}
	const slow, sick = "UP_AFTER=1500ms", "UNHEALTHY=1"
	const patient = "{deploy_strategy: blue-green, healthcheck: {path: /up, interval: 200ms, attempts: 10}}"
	recreate := strings.Replace(patient, "blue-green", "recreate", 1)
	for name, group := range map[string]struct {
		config string
		state  string
		kills  []kill
	}{
		"blue-green": {patient, "success", []kill{
			{"fetching", whileFetching, nil},
			{"building", whileBuilding, []string{"EXIT_AFTER=1500ms", "EXIT_CODE=0"}},
			{"green created, answer lost", afterwards(http.MethodPost, "/containers/create"), nil},
			{"green started, answer lost", afterwards(http.MethodPost, "/start"), nil},
			{"draining", whileDraining, nil},
			{"blue removed, answer lost", afterwards(http.MethodDelete, "/containers/"), nil},
		}},
		"recreate": {recreate, "success", []kill{
			{"blue stopped, answer lost", afterwards(http.MethodPost, "/stop"), nil},
			{"gating", in(db.PhaseGating), []string{slow}},
		}},
		"recreate undone": {recreate, "failure", []kill{
			{"blue not started again", beforeBlueStarts, []string{sick}},
			{"green not removed", before(http.MethodDelete, "/containers/"), []string{sick}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newScene(t, group.config)
			serving := "zero"
			for _, k := range group.kills {
				t.Logf("kill -9: %s", k.at)
				reached := k.m(x)
				version := unique(strings.ReplaceAll(k.at, " ", "-")) // so that no step's result is known already
				commit := x.clone.push("Dockerfile", crashDockerfile(version, k.env))
				reached()
				x.process.kill()
				x.forge.Fault(nil)
				x.start()
				x.clone.ends(commit, group.state)
				if group.state == "success" {
					serving = version
				}
				x.serves(x.name, serving)
				x.swept()
			}
		})
	}
}

// crashDockerfile has a step that lasts where the variables say how long.
func crashDockerfile(version string, env []string) string {
	if len(env) == 0 || !strings.HasPrefix(env[0], "EXIT_AFTER") {
		return dockerfile(append(env, "VERSION="+version)...)
	}
	step := dockerfile(append(env, "VERSION="+version)...) + "RUN [\"/sampleapp\"]\n"
	return step + "ENV EXIT_AFTER=\n"
}

// swept demands that no checkout was left behind.
func (s *service) swept() {
	s.Helper()
	left, err := os.ReadDir(filepath.Join(s.dir, "data", "checkouts"))
	if err != nil || len(left) > 0 {
		s.Errorf("checkouts are left: %v, error %v", left, err)
	}
}

// TestKilledWhileIdle: the site's container does not need us, and is served again by the next process.
func TestKilledWhileIdle(t *testing.T) {
	t.Parallel()
	x := newScene(t, blueGreen)
	was := x.releases(x.name)[0]
	x.process.kill()
	if code, body := x.get("http://"+newDockerAPI(t).address(was.ID, x.network)+"/", ""); code != http.StatusOK || strings.TrimSpace(body) != "zero" {
		t.Errorf("the container answers %d %s", code, body)
	}
	x.start()
	x.serves(x.name, "zero")
	if is := x.releases(x.name)[0]; is.ID != was.ID {
		t.Errorf("%+v was replaced by %+v", was, is)
	}
	if states := x.clone.states(x.deployments(x.name)[0].Commit); states != "[pending success]" {
		t.Errorf("the statuses are %s", states)
	}
}

// TestKilledAndContainerRemoved: what the row says should run is made anew.
func TestKilledAndContainerRemoved(t *testing.T) {
	t.Parallel()
	x := newScene(t, blueGreen)
	x.process.kill()
	newDockerAPI(t).call(http.MethodDelete, "/containers/"+x.releases(x.name)[0].ID+"?force=1", nil)
	x.start()
	x.serves(x.name, "zero")
}

// TestKilledAgainAndAgain: a deployment in which we die each time is given up.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	x := newScene(t, "{deploy_strategy: blue-green, healthcheck: {path: /up, attempts: 1000}}")
	commit := x.clone.release("one", "UP_AFTER=1h")
	for attempt := 1; attempt <= 5; attempt++ {
		x.await("it is being gated", func() bool {
			d := x.deployments(x.name)[0]
			return d.Commit == commit && d.Phase == db.PhaseGating && d.Attempt == attempt
		})
		x.process.kill()
		x.start()
	}
	x.clone.ends(commit, "failure", "Given up after 5 attempts", "the previous release still serves")
	x.serves(x.name, "zero")
}

// TestKilledOnPostgreSQL: there, another process may be at work, so that a dead one's deployment waits for its lease to end.
func TestKilledOnPostgreSQL(t *testing.T) {
	t.Parallel()
	x := newScene(t, blueGreen, "TINYFORGE_DATABASE="+dbtest.Postgres(t))
	reached := afterwards(http.MethodPost, "/start")(x)
	commit := x.clone.release("one")
	reached()
	x.process.kill()
	x.start()
	x.clone.ends(commit, "success")
	x.serves(x.name, "one")
}
