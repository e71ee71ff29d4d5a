package compose_test

import (
	"fmt"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/compose"
	"tinyforge/deploy/deploytest"
)

const config = `{"service":"web","healthcheck":{"path":"/up","interval":"100ms","attempts":5}}`

// stack is web, which asks db, which keeps what it is told.
func stack(version, more string) map[string]string {
	return map[string]string{"compose.yaml": `
services:
  web:
    build: .
    environment: {VERSION: ` + version + more + `}
    depends_on: {db: {condition: service_started}, migrate: {condition: service_completed_successfully}}
  migrate:
    build: .
    environment: {JOB: migrate}
  db:
    build: .
    environment: {VERSION: db}
    volumes: ['data:/data']
volumes: {data: {}}
`}
}

// TestStackKeepsServing is promise 2 for stacks: whatever goes wrong, what served serves, and its data is there.
func TestStackKeepsServing(t *testing.T) {
	w := newWorld(t, config)
	first := w.live("a", stack("one", ""))
	w.want("/", "200 one")
	w.want(ask("/write?path=/data/x&text=kept"), "200")
	w.want(ask("/read?path=/data/x"), "200 kept")

	sick := w.deploy("x", stack("two", ", SICK: '1'"))
	if sick.Phase != db.PhaseFailed || !strings.HasPrefix(sick.Error, "Gate failed: GET /up answered 500") || !strings.HasSuffix(sick.Error, "; the previous release still serves") {
		t.Errorf("%s: %s", sick.Phase, sick.Error)
	}
	if !strings.Contains(sick.Tail, "keeper listens") {
		t.Errorf("its last lines are %q", sick.Tail)
	}
	w.want("/", "200 one")
	w.want(ask("/read?path=/data/x"), "200 kept")

	other := stack("three", "")
	other["compose.yaml"] = strings.Replace(other["compose.yaml"], "VERSION: db}", "VERSION: newer}\n    entrypoint: [/absent]", 1)
	failed := w.deploy("y", other)
	if failed.Phase != db.PhaseFailed || !strings.Contains(failed.Error, "/absent") {
		t.Errorf("%s: %s", failed.Phase, failed.Error)
	}
	w.want("/", "200 one")
	w.want(ask("/"), "200 db")
	w.want(ask("/read?path=/data/x"), "200 kept")

	refused := w.deploy("z", map[string]string{"compose.yaml": "services: {web: {build: ., privileged: true}}\n"})
	if refused.Phase != db.PhaseFailed || !strings.Contains(refused.Error, "service web: privileged is refused") {
		t.Errorf("%s: %s", refused.Phase, refused.Error)
	}
	w.want("/", "200 one")

	second := w.live("b", stack("four", ""))
	w.want("/", "200 four")
	w.want(ask("/read?path=/data/x"), "200 kept")
	list, err := w.runtime.List(t.Context())
	must(t, err)
	if len(list) != 1 || list[0].ID != second.Release.ID || list[0].State != deploy.Running {
		t.Errorf("listed %+v", list)
	}
	if first, err := w.store.Deployment(t.Context(), first.ID); err != nil || first.Phase != db.PhaseRetired {
		t.Errorf("the first deployment is %s, %v", first.Phase, err)
	}
}

// TestStackResumes: a process ends in the middle of an up, and the next one goes on.
func TestStackResumes(t *testing.T) {
	w := newWorld(t, config)
	w.live("a", stack("one", ""))
	for i, letter := range []string{"b", "c"} {
		w.commits[letter] = stack("next"+letter, "")
		w.pushes++
		out, err := w.store.Enqueue(t.Context(), &db.Delivery{
			ForgeID: w.repo.ForgeID, ExternalID: fmt.Sprint(w.pushes), Event: "push", RepositoryID: w.repo.ID, Ref: "refs/heads/main",
			Before: fmt.Sprintf("%040d", w.pushes), After: fmt.Sprintf("%040d", w.pushes+1),
		}, []db.Deployment{{WorkloadID: w.workload.ID, Ref: "refs/heads/main", Commit: strings.Repeat(letter, 40)}})
		must(t, err)
		id := out.Deployments[0]
		w.work(id, func(d db.Deployment) bool { return d.Phase == db.PhaseStarting })
		if i == 1 {
			must(t, deploy.NewRecovery(w.deployer).Pass(t.Context())) // leaves it alone
		}
		d := w.work(id, func(d db.Deployment) bool { return d.Phase.Final() })
		if d.Phase != db.PhaseLive {
			t.Fatalf("%s: %s\n%s", d.Phase, d.Error, w.log(id))
		}
		w.want("/", "200 next"+letter)
	}
}

// TestFirstStackFails leaves no container.
func TestFirstStackFails(t *testing.T) {
	w := newWorld(t, config)
	if d := w.deploy("x", stack("one", ", SICK: '1'")); d.Phase != db.PhaseFailed {
		t.Errorf("phase %s", d.Phase)
	}
	if list, err := w.runtime.List(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("left %+v, %v", list, err)
	}
	if status, _ := w.router.Get(site, "/"); status != 503 {
		t.Errorf("status %d", status)
	}
}

// TestSourceChanges from a stack to one container and back; the volume lasts.
func TestSourceChanges(t *testing.T) {
	w := newWorld(t, config)
	w.live("a", stack("one", ""))
	w.want(ask("/write?path=/data/x&text=kept"), "200")
	w.configure("dockerfile", `{"env":{"VERSION":"alone"}}`)
	alone := w.live("b", nil)
	w.want("/", "200 alone")
	if list, err := w.runtime.List(t.Context()); err != nil || len(list) != 1 || list[0].ID != alone.Release.ID {
		t.Errorf("listed %+v, %v", list, err)
	}
	w.configure("compose", config)
	sick := w.deploy("x", stack("two", ", SICK: '1'"))
	if sick.Phase != db.PhaseFailed {
		t.Errorf("phase %s", sick.Phase)
	}
	w.want("/", "200 alone")
	if list, err := w.runtime.List(t.Context()); err != nil || len(list) != 1 || list[0].ID != alone.Release.ID {
		t.Errorf("listed %+v, %v", list, err)
	}
	w.live("c", stack("three", ""))
	w.want("/", "200 three")
	w.want(ask("/read?path=/data/x"), "200 kept")
}

// TestRestOfStackIsStarted: when another service is down, the site goes on, and the service is started again.
func TestRestOfStackIsStarted(t *testing.T) {
	w := newWorld(t, config)
	d := w.live("a", stack("one", ""))
	compose.StopService(t, w.runtime, w.workload.Name, "db")
	var routes []string
	w.router.SetHook(deploytest.Record(func(string) { routes = append(routes, w.router.Routes()[site]) }))
	must(t, deploy.NewRecovery(w.deployer).Pass(t.Context()))
	for _, route := range routes {
		if route != string(d.Release.ID) {
			t.Errorf("the route pointed to %q meanwhile", route)
		}
	}
	w.want(ask("/"), "200 db")
}

// TestFilesOfTheCheckout are there after it is gone, with what the container can see of them, in a service that is not
// made anew as long as they are the same.
func TestFilesOfTheCheckout(t *testing.T) {
	w := newWorld(t, config)
	files := func(version, text, value string) map[string]string {
		return map[string]string{
			"compose.yaml": `
services:
  web:
    build: {context: ., args: {X: y}}
    environment: {VERSION: ` + version + `}
    read_only: true
    volumes: ['./web.conf:/etc/web/web.conf', './conf.d:/etc/web/conf.d:ro']
    configs: [{source: app, target: /app.json, mode: 0444}, inner]
    secrets: [token]
  db:
    build: {dockerfile_inline: "FROM ` + w.keeper + `\nCOPY notes /notes\n", context: .}
    volumes: ['./web.conf:/etc/db.conf:ro']
    configs: [text]
    secrets: [given]
configs:
  app: {file: ./app.json}
  inner: {file: ./app.json}
  text: {content: "given ${VALUE}"}
secrets: {token: {file: ./token}, given: {environment: VALUE}}
`,
			"web.conf": text, "conf.d/a": "a of " + text, "conf.d/deep/b": "b", "app.json": "{}", "token": "hush", ".env": "VALUE=" + value + "\n",
		}
	}
	d := w.live("a", files("one", "first", "text"))
	for path, want := range map[string]string{
		"/etc/web/web.conf": "first", "/etc/web/conf.d/a": "a of first", "/etc/web/conf.d/deep/b": "b", "/app.json": "{}", "/inner": "{}", "/run/secrets/token": "hush",
	} {
		w.want("/read?path="+path, "200 "+want)
	}
	w.want(ask("/read?path=/etc/db.conf"), "200 first")
	w.want(ask("/read?path=/text"), "200 given text")
	if log := w.log(d.ID); !strings.Contains(log, "web: web.conf of the repository is copied to /etc/web/web.conf") {
		t.Errorf("the log does not tell of files:\n%s", log)
	}
	must(t, w.runtime.Stop(t.Context(), d.Release.ID)) // as after a restart of the machine
	must(t, deploy.NewRecovery(w.deployer).Pass(t.Context()))
	w.want("/read?path=/etc/web/web.conf", "200 first")
	w.want(ask("/write?path=/mark&text=same"), "200")
	w.live("b", files("two", "first", "text"))
	w.want("/", "200 two")
	w.want(ask("/read?path=/mark"), "200 same")   // db is the same container
	w.live("s", files("three", "first", "other")) // only what Compose puts there
	w.want(ask("/read?path=/text"), "200 given other")
	w.want(ask("/read?path=/run/secrets/given"), "200 other")
	w.live("c", files("four", "second", "other"))
	w.want("/read?path=/etc/web/web.conf", "200 second")
	w.want(ask("/read?path=/etc/db.conf"), "200 second")
}

// TestTakeDown ends a deleted workload, with its volumes where that is asked for.
func TestTakeDown(t *testing.T) {
	for _, volumesToo := range []bool{false, true} {
		t.Run(fmt.Sprint(volumesToo), func(t *testing.T) {
			w := newWorld(t, config)
			d := w.live("a", stack("one", ""))
			must(t, w.store.MarkReported(t.Context(), db.CommitKey{RepositoryID: w.repo.ID, Commit: d.Commit}, []db.Deployment{d}))
			must(t, w.store.DeleteWorkload(t.Context(), w.workload.ID, volumesToo))
			must(t, deploy.NewRecovery(w.deployer).Pass(t.Context()))
			if list, err := w.runtime.List(t.Context()); err != nil || len(list) > 0 {
				t.Errorf("left %+v, %v", list, err)
			}
			if left := compose.HasVolume(t, w.runtime, "tfstack-"+w.workload.Name+"_data"); left == volumesToo {
				t.Errorf("volume left: %t", left)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
