package settings_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tinyforge/app/settings"
	"tinyforge/db"
)

func TestOverview(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	b.get("/workloads").is(t, http.StatusOK, "No workload yet", `href="/workloads/new"`)
	s := newShop(w)
	b.get("/workloads").is(t, http.StatusOK, "Never deployed", `href="/workloads/shop"`)
	first := s.live("A", "First <b>cart</b>")
	b.get("/workloads").is(t, http.StatusOK, "First &lt;b&gt;cart&lt;/b&gt;", first.Commit[:7], "shop.example.com", "1 workload")
	s.failed("B", "Break it")
	b.get("/workloads?state=failed").is(t, http.StatusOK, "Failed; "+first.Commit[:7]+" is still serving")
	s.push("C", "Wait")
	b.get("/workloads?state=deploying&q=SHOP").is(t, http.StatusOK, "Queued", "1 deployment waits in the queue", `http-equiv="refresh"`)
	if p := b.get("/workloads?refresh=off"); strings.Contains(p.body, `http-equiv="refresh"`) {
		t.Error("it refreshes although that was switched off")
	}
	b.get("/workloads?q=nothing").is(t, http.StatusOK, "Nothing matches.")
	b.lang = "ru"
	b.post("/language", "language", "ru", "back", "/workloads")
	b.get("/workloads").is(t, http.StatusOK, "В очереди")
}

func TestWorkloadPage(t *testing.T) {
	s, r := newRunningShop(t)
	b := s.owner()
	b.get("/workloads/shop").is(t, http.StatusOK, "Nothing was deployed yet. Push to main or deploy now.", "no earlier release")
	first, second := s.live("A", "First"), s.live("B", "Second")
	p := b.get("/workloads/shop")
	p.is(t, http.StatusOK, second.Commit[:7], "Blue-green", "sha256:"+second.Commit, s.commits+second.Commit, fmt.Sprintf("/workloads/shop/rollback?to=%d", first.ID),
		`<span class="g">:8080</span>`, "&lt;script&gt;alert(1)", "Restarts")
	if strings.Contains(p.body, "release secret") {
		t.Error("a secret is on the page")
	}
	if p := b.get("/workloads/shop/delete"); !strings.Contains(p.body, `id="f-name"`) || strings.Contains(p.body, "f-name-hint") {
		t.Error("the name that confirms has the hint of a forge")
	}
	r.err = errors.New("docker is away")
	b.get("/workloads/shop").is(t, http.StatusOK, second.Commit[:7])
	b.post("/workloads/shop/pause").leads(t, "/workloads/shop")
	b.get("/workloads/shop").is(t, http.StatusOK, "Automatic deploys paused", `action="/workloads/shop/resume"`)
	b.post("/workloads/shop/resume").leads(t, "/workloads/shop")
	b.get("/workloads/none").is(t, http.StatusNotFound, "There is no workload called none")
	must(t, s.db.DeleteWorkload(t.Context(), s.workload.ID, false))
	b.get("/workloads/shop").is(t, http.StatusNotFound)
}

func TestDeployNow(t *testing.T) {
	s := newShop(newWorld(t))
	b := s.owner()
	b.post("/workloads/shop/deploy").leads(t, s.path(1))
	if dep := s.newest(s.workload); dep.Commit != commit || dep.Ref != "refs/heads/main" || dep.Cause != db.CauseManual {
		t.Errorf("queued %+v", dep)
	}
	b.get(s.path(1)).is(t, http.StatusOK, "Deployment 1 is queued.", "by hand")
	b.post("/workloads/shop/deploy").leads(t, s.path(1)) // it is about to be deployed
	b.get(s.path(1)).is(t, http.StatusOK, "is already being deployed")
	s.finish(s.claim())
	b.post("/workloads/shop/deploy").is(t, http.StatusOK, "This commit is live already", `name="again"`)
	b.post("/workloads/shop/deploy", "again", "yes").leads(t, s.path(2))
	for ref, want := range map[string]string{"dev": "refs/heads/dev", "v9": "refs/tags/v9", "tags/v10": "refs/tags/v10", "refs/heads/dev": "refs/heads/dev", "b2b2b2b": "refs/heads/dev"} {
		if p := b.post("/workloads/shop/deploy", "ref", " "+ref); p.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: %d %s", ref, p.StatusCode, p.body)
		}
		if dep := s.newest(s.workload); dep.Ref != want {
			t.Errorf("%s queued %s", ref, dep.Ref)
		}
	}
	before := s.newest(s.workload).ID
	b.post("/workloads/shop/deploy", "ref", hash("of a fork")).is(t, http.StatusUnprocessableEntity, "push it to a branch first", hash("of a fork"))
	b.post("/workloads/shop/deploy", "ref", "no<b>thing").is(t, http.StatusUnprocessableEntity, "no&lt;b&gt;thing is not on the forge", `value="no&lt;b&gt;thing"`, "<details open>")
	if now := s.newest(s.workload).ID; now != before {
		t.Errorf("deployment %d was queued", now)
	}
	s.code.err = errors.New("the forge answered 502")
	s.code.heads = nil
	b.post("/workloads/shop/deploy", "ref", commit, "again", "yes").leads(t, s.path(before+1)) // it was deployed before
	b.post("/workloads/shop/deploy").is(t, http.StatusUnprocessableEntity, "the forge answered 502")
}

// TestDeployNowAfterACancel: a deployment that is being undone is not the one that is asked for.
func TestDeployNowAfterACancel(t *testing.T) {
	s := newShop(newWorld(t))
	b := s.owner()
	b.post("/workloads/shop/deploy").leads(t, s.path(1))
	dep := s.claim()
	b.post(s.path(1)+"/cancel").leads(t, s.path(1))
	b.post("/workloads/shop/deploy").leads(t, s.path(2))
	s.through(dep, db.PhaseUndoing, db.PhaseCancelled)
	s.through(s.claim(), db.PhaseUndoing) // by itself
	b.post("/workloads/shop/deploy").leads(t, s.path(3))
	b.post("/workloads/shop/deploy").leads(t, s.path(3))
}

func TestRollback(t *testing.T) {
	s, r := newRunningShop(t)
	b := s.owner()
	first, second := s.live("A", "First"), s.live("B", "Second <i>")
	failed := s.failed("C", "Third")
	to := fmt.Sprintf("/workloads/shop/rollback?to=%d", first.ID)
	b.get(to).is(t, http.StatusOK, "Roll shop back to 1", "No longer live after this", "Second &lt;i&gt;", "Volumes are not rolled back.", "The release runs as it was")
	b.get(fmt.Sprintf("/workloads/shop/rollback?to=%d", second.ID)).is(t, http.StatusConflict, "is live already")
	b.get(fmt.Sprintf("/workloads/shop/rollback?to=%d", failed.ID)).is(t, http.StatusConflict, "was never live")
	b.get("/workloads/shop/rollback?to=99").is(t, http.StatusNotFound)
	b.get("/workloads/shop/rollback?to=x").is(t, http.StatusBadRequest)
	r.gone = first.Commit
	b.get(to).is(t, http.StatusConflict, "was removed", "Redeploy this commit")
	r.gone = ""
	b.post("/workloads/shop/rollback", "to", "1", "rollback_pause", "off").leads(t, s.path(4))
	if dep := s.newest(s.workload); dep.RollbackTo != first.ID || dep.Cause != db.CauseRollback {
		t.Errorf("queued %+v", dep)
	}
	if !s.saved("shop").Enabled {
		t.Error("pushes are paused without being asked for")
	}
	b.post("/workloads/shop/rollback", "to", "1", "rollback_pause", "off", "rollback_pause", "on").leads(t, s.path(5))
	if s.saved("shop").Enabled {
		t.Error("pushes are not paused")
	}
	b.get(s.path(5)).is(t, http.StatusOK, "Rolling back to 1.")
}

func TestDeploymentPage(t *testing.T) {
	s := newShop(newWorld(t))
	b := s.owner()
	first := s.live("A", "First")
	b.get(s.path(first.ID)).is(t, http.StatusOK, "<title>✓ #1 shop", "Live", "Readiness check", "waiting to be reported", s.commits+first.Commit)
	second := s.live("B", "Second")
	b.get(s.path(second.ID)).is(t, http.StatusOK, "1,354 requests served, 0 requests failed")
	b.get(s.path(first.ID)).is(t, http.StatusOK, "Was live", "Roll back to 1")
	failed := s.failed("C", "Third")
	b.get(s.path(failed.ID)).is(t, http.StatusOK, "<title>✕ #3 shop", "Nothing answers on port 8080 of the new copy", "kept serving all the time",
		"Listen on 0.0.0.0", second.Commit[:7], `href="/workloads/shop/settings"`, "Go to line 2 of the log", "not reached", "Redeploy this commit")
	b.get("/deployments/3").leads(t, s.path(3))
	s.browser().get("/deployments/3").leads(t, "/sign-in?next=%2Fdeployments%2F3")
	b.get("/deployments/99").is(t, http.StatusNotFound)
	b.get(s.path(99)).is(t, http.StatusNotFound, "has no deployment 99")
	queued := s.push("D", "Fourth")
	b.get(s.path(queued.ID)).is(t, http.StatusOK, "<title>… #4 shop", "Queued", "Cancel deployment", `http-equiv="refresh"`)
	b.post(s.path(queued.ID)+"/cancel").leads(t, s.path(queued.ID))
	b.get(s.path(queued.ID)).is(t, http.StatusOK, "Cancelled", "Redeploy this commit")
	b.post(s.path(queued.ID)+"/cancel").is(t, http.StatusConflict, "cannot be cancelled any more")
	b.post(s.path(queued.ID)+"/redeploy").leads(t, s.path(5))
	key := db.CommitKey{RepositoryID: s.repo.ID, Commit: failed.Commit}
	must(t, s.db.GiveUpReport(t.Context(), key, []db.Deployment{*failed}, "403"))
	b.get(s.path(failed.ID)).is(t, http.StatusOK, "the forge refused it (403)")
}

// TestWhatWasReported: a page says what was sent to the forge, whatever the workload is set to since.
func TestWhatWasReported(t *testing.T) {
	s := newShop(newWorld(t))
	b := s.owner()
	reports := func(on string) {
		t.Helper()
		s.workload.Config = []byte(`{"port":8080,"report_commit_status":` + on + `}`)
		must(t, s.db.SaveWorkload(t.Context(), &s.workload))
	}
	told := func(commit string, sent db.Status) {
		t.Helper()
		key := db.CommitKey{RepositoryID: s.repo.ID, Commit: commit}
		list, err := s.db.DeploymentsOfCommit(t.Context(), key)
		must(t, err)
		for i := range list {
			list[i].ReportSent = sent
		}
		must(t, s.db.MarkReported(t.Context(), key, list))
	}
	reports("false")
	quiet := s.live("A", "Nothing is sent")
	told(quiet.Commit, "")
	reports("true")
	b.get(s.path(quiet.ID)).is(t, http.StatusOK, "nothing was reported")
	loud := s.live("B", "This is sent")
	told(loud.Commit, db.StatusSuccess)
	reports("false")
	b.get(s.path(loud.ID)).is(t, http.StatusOK, "reported: success")
	reports("true")

	again, err := s.db.QueueRedeploy(t.Context(), loud.ID) // another one of its commit has the say
	must(t, err)
	must(t, s.db.Cancel(t.Context(), again.ID))
	told(loud.Commit, db.StatusSuccess)
	b.get(s.path(again.ID)).is(t, http.StatusOK, "Cancelled", "reported: success")
}

func TestRolesOnDeployments(t *testing.T) {
	s := newShop(newWorld(t))
	s.owner()
	dep := s.live("A", "First")
	for _, role := range []db.Role{db.Viewer, db.Deployer} {
		b := s.user(string(role), role)
		p := b.get("/workloads/shop")
		p.is(t, http.StatusOK)
		if shown := strings.Contains(p.body, "Deploy now</button>"); shown != (role == db.Deployer) {
			t.Errorf("%s is shown the button: %v", role, shown)
		}
		want := map[db.Role]int{db.Viewer: http.StatusForbidden, db.Deployer: http.StatusSeeOther}[role]
		if got := b.post(s.path(dep.ID) + "/redeploy").StatusCode; got != want {
			t.Errorf("%s: %d", role, got)
		}
		b.get(s.path(dep.ID)).is(t, http.StatusOK)
	}
}

func TestHistory(t *testing.T) {
	s := newShop(newWorld(t))
	b := s.owner()
	s.live("A", "First")
	failed := s.failed("B", "Second")
	for i := range 60 {
		s.push(fmt.Sprint("C", i), fmt.Sprint("Later ", i))
	}
	p := b.get("/workloads/shop/deployments")
	p.is(t, http.StatusOK, "Later 59", "Older")
	next := strings.ReplaceAll(p.between(`<a class="button" href="`, `">Older`), "&amp;", "&")
	b.get(next).is(t, http.StatusOK, "First", "Newest")
	b.get("/workloads/shop/deployments?state=failed&ref=main").is(t, http.StatusOK, fmt.Sprintf("/deployments/%d", failed.ID))
	if p := b.get("/workloads/shop/deployments?state=failed"); strings.Contains(p.body, "Later") {
		t.Error("the filter lets others through")
	}
	b.get("/workloads/shop/deployments?ref=dev").is(t, http.StatusOK, "Nothing matches.")
	b.get("/workloads/shop/deployments?before=x").is(t, http.StatusBadRequest)
}

// TestWhatServedWhileTheProxyWasAway: nobody knows, and so nothing of it is claimed; a change of settings would help nothing.
func TestWhatServedWhileTheProxyWasAway(t *testing.T) {
	s := newShop(newWorld(t))
	b := s.owner()
	serving := s.live("A", "First").Commit[:7]
	for text, want := range map[string]string{
		"The proxy does not answer":                  serving + " was to go on serving, but that could not be made sure of",
		"The proxy does not answer" + db.StillServes: serving + " serves as before. While the proxy did not answer",
	} {
		s.push(text, text)
		dep := s.claim()
		dep.Strategy = db.BlueGreen
		s.through(dep, db.PhaseGating, db.PhaseRouting)
		dep.Error, dep.Fault = text, &db.Fault{Code: "proxy_silent", Values: map[string]string{"socket": "/run/proxy.sock"}}
		s.through(dep, db.PhaseUndoing, db.PhaseFailed)
		p := b.get(s.path(dep.ID))
		p.is(t, http.StatusOK, "The proxy did not answer", want, "systemctl start tinyforge-proxy", "/run/proxy.sock", "or did not answer then")
		if strings.Contains(p.body, "all the time") || strings.Contains(p.body, `href="/workloads/shop/settings">Change`) {
			t.Errorf("more is claimed: %s", p.between(`<div class="panel bad">`, "</div>"))
		}
	}
}

// TestEveryFaultIsSaid: each code has a title in both languages, and what it names is on the page.
func TestEveryFaultIsSaid(t *testing.T) {
	s := newShop(newWorld(t))
	b := s.owner()
	for code, c := range map[string]struct {
		values map[string]string
		en, ru string
	}{
		"fetch_auth":     {nil, "The forge refused access", "Git-сервер не дал доступ"},
		"fetch_gone":     {map[string]string{"commit": hash("gone")}, "Commit " + hash("gone")[:7] + " is not on the forge", "Коммита " + hash("gone")[:7]},
		"build_exit":     {map[string]string{"step": "RUN make", "code": "2"}, "Build step RUN make ended with code 2", "Шаг сборки RUN make"},
		"build_timeout":  {map[string]string{"limit": "1h0m0s"}, "took longer than 1\u00a0h 0\u00a0min", "заняла больше"},
		"no_dockerfile":  {map[string]string{"path": "Dockerfile"}, "Dockerfile is not in the repository", "нет файла Dockerfile"},
		"image_denied":   {map[string]string{"image": "acme/x"}, "The registry refused acme/x", "Реестр не отдал"},
		"image_missing":  {map[string]string{"image": "acme/x"}, "acme/x does not exist", "не существует"},
		"disk_low":       {map[string]string{"free": "5000000", "need": "1000000000"}, "5.0\u00a0MB free", "Мало места"},
		"exited":         {map[string]string{"code": "3"}, "stopped with exit code 3", "завершилась с кодом 3"},
		"restarted":      {nil, "ended by itself and had to be restarted", "сама завершилась, и её пришлось перезапустить"},
		"oom":            {nil, "ran out of memory", "не хватило памяти"},
		"check_status":   {map[string]string{"path": "/up", "status": "500", "expected": "200–399"}, "/up answered 500, expected 200–399", "Ответ на /up: 500"},
		"check_timeout":  {map[string]string{"path": "/up", "limit": "5s"}, "/up gave no answer within 5.0\u00a0s", "Нет ответа на /up"},
		"unreachable":    {map[string]string{"address": "10.0.0.3:49153"}, "Tinyforge could not connect to 10.0.0.3:49153", "Tinyforge не смог подключиться к 10.0.0.3:49153"},
		"interrupted":    {nil, "Tinyforge was restarted", "был перезапущен"},
		"route_refused":  {map[string]string{"host": "shop.example.com"}, "did not take the route of shop.example.com", "Прокси не принял маршрут"},
		"proxy_silent":   {map[string]string{"socket": "/run/proxy.sock"}, "The proxy did not answer", "Прокси не ответил"},
		"host_port_busy": {map[string]string{"port": "8080"}, "Port 8080 of the machine is taken", "Порт 8080 машины занят"},
		"of_tomorrow":    {nil, "The new copy did not get ready", "так и не стала готова"},
	} {
		s.push(code, code)
		dep := s.claim()
		s.through(dep, db.PhaseGating)
		dep.Error, dep.Fault = "In its own words", &db.Fault{Code: code, Values: c.values}
		s.through(dep, db.PhaseUndoing, db.PhaseFailed)
		for lang, want := range map[string]string{"en": c.en, "ru": c.ru} {
			b.post("/language", "language", lang, "back", "/")
			p := b.get(s.path(dep.ID))
			p.is(t, http.StatusOK, `<p lang="en">In its own words</p>`)
			if !strings.Contains(strings.ReplaceAll(p.body, "\u00a0", " "), strings.ReplaceAll(want, "\u00a0", " ")) {
				t.Errorf("%s in %s is not said as %q: %s", code, lang, want, p.between(`<div class="panel bad">`, "</div>"))
			}
		}
	}
}

// TestDeploymentThatNobodyTakes: the page and the API say what is missing, in their language, as long as it is.
func TestDeploymentThatNobodyTakes(t *testing.T) {
	s := newShop(newWorldOf(t, func(c *settings.Config) { c.Runtimes = []string{"swarm"} }))
	b, scripts := s.owner(), s.script(db.Deployer)
	dep := s.push("A", "First")
	b.get(s.path(dep.ID)).is(t, http.StatusOK, "no running process deploys to docker. Start one without --runtimes, or with docker in it.")
	b.post("/language", "language", "ru", "back", "/workloads")
	b.get(s.path(dep.ID)).is(t, http.StatusOK, "ни один из работающих процессов не разворачивает в docker")
	const waits = `"waits":"no running process deploys to docker: start one without --runtimes, or with docker in it"`
	for _, path := range []string{"/api/v1/deployments/1", "/api/v1/workloads/shop/deployments"} {
		if got := scripts.call("GET", path, "", http.StatusOK); !strings.Contains(got, waits) {
			t.Errorf("%s answers %s", path, got)
		}
	}
	s.finish(s.claim())
	if got := scripts.call("GET", "/api/v1/deployments/1", "", http.StatusOK); !strings.Contains(got, `"waits":""`) {
		t.Errorf("afterwards it answers %s", got)
	}
}
