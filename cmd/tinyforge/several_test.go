package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/db/dbtest"
	"tinyforge/db/migratedtest"
	"tinyforge/deploy/docker"
	"tinyforge/deploy/shared"
)

// siblings are processes on one PostgreSQL and one Docker, each with a data folder and addresses of its own, all begun at once.
func siblings(t *testing.T, n int, env ...string) (all []*service) {
	t.Helper()
	all = prepareSiblings(t, n, env...)
	for _, s := range all {
		s.begin()
	}
	for _, s := range all {
		s.ready()
	}
	return all
}

func prepareSiblings(t *testing.T, n int, env ...string) (all []*service) {
	t.Helper()
	keys, err := db.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	env = append([]string{"TINYFORGE_DATABASE=" + dbtest.Postgres(t), "TINYFORGE_KEY=" + keys.Text()}, env...)
	for i := range n {
		s := prepareService(t, env...)
		if i > 0 {
			s.network = all[0].network
			s.env = append(s.env, "TINYFORGE_DOCKER_NETWORK="+s.network, "TINYFORGE_PUBLIC_URL="+all[0].control)
		}
		all = append(all, s)
	}
	return all
}

// worker is the one of them that has a deployment in its hands, and the others.
func worker(all []*service, dep db.Deployment) (it *service, others []*service) {
	for _, s := range all {
		if strings.Contains(dep.LeaseOwner, "/"+strconv.Itoa(s.process.cmd.Process.Pid)+"/") {
			it = s
		} else {
			others = append(others, s)
		}
	}
	return it, others
}

// TestSeveral: three processes with a proxy each, under load. Whichever a push comes to, it is deployed once and told once, and from
// the moment at which the row says that it serves, no proxy answers with anything else; no request fails.
func TestSeveral(t *testing.T) {
	t.Parallel()
	all := siblings(t, 3)
	a := all[0]
	forge, web := newForge(t, forgetest.Options{Kind: forgetest.GitHub}), unique("web")
	c := newClone(t, forge, "acme/site")
	a.apply(forge, manifestOf(web, "dockerfile", blueGreen))
	first := c.release("v0")
	c.ends(first, "success")
	var visitors []*load
	for _, s := range all {
		s.serves(web, "v0")
		visitors = append(visitors, newLoad(t, s.site, web+".test"))
	}
	for i := 1; i <= 4; i++ {
		version := "v" + strconv.Itoa(i)
		forge.SetAppWebhook(all[i%len(all)].hook())
		commit := c.release(version)
		a.await("it serves", func() bool {
			d := a.deployments(web)[0]
			return d.Commit == commit && d.Phase.Committed()
		})
		for n, s := range all {
			if code, body := s.get(s.site+"/", web+".test"); code != http.StatusOK || strings.TrimSpace(body) != version {
				t.Errorf("%s serves, and proxy %d answers %d %s", version, n, code, body)
			}
		}
		c.ends(commit, "success")
		if states := c.states(commit); states != "[pending success]" {
			t.Errorf("the statuses are %s", states)
		}
		a.reaches(web, commit, db.PhaseLive)
		t.Logf("%s: %s", version, phasesOf(a.deployments(web)[0]))
	}
	done, err := forge.Settle(t.Context())
	a.must(err)
	last := done[len(done)-1]
	forge.Deliver(all[0].hook(), last.Header, last.Body)
	forge.Deliver(all[1].hook(), last.Header, last.Body)
	if _, err := forge.Settle(t.Context()); err != nil || len(a.deployments(web)) != 5 {
		t.Errorf("%d deployments of 5 pushes, %v", len(a.deployments(web)), err)
	}
	for _, v := range visitors {
		v.stop()
	}
	a.serves(web, "v4")
}

// phasesOf tells how long each phase took.
func phasesOf(d db.Deployment) string {
	var said []string
	for i := 1; i < len(d.Entered); i++ {
		said = append(said, string(d.Entered[i-1].Phase)+" "+d.Entered[i].At.Sub(d.Entered[i-1].At).Round(time.Millisecond).String())
	}
	return strings.Join(said, ", ")
}

// TestSeveralOneKilled: killed in the middle of a deployment that it does, a process is not waited for longer than it takes to know
// that it is dead, and another one finishes. Started again it has the routes before its first answer.
func TestSeveralOneKilled(t *testing.T) {
	t.Parallel()
	all := siblings(t, 2)
	a := all[0]
	forge, web := newForge(t, forgetest.Options{Kind: forgetest.GitHub}), unique("web")
	c := newClone(t, forge, "acme/site")
	a.apply(forge, manifestOf(web, "dockerfile", "{deploy_strategy: blue-green, healthcheck: {path: /up, interval: 200ms, attempts: 100}}"))
	c.ends(c.release("zero"), "success")
	a.serves(web, "zero")
	commit := c.release("one", "UP_AFTER=2s")
	a.reaches(web, commit, db.PhaseGating)
	it, others := worker(all, a.deployments(web)[0])
	if it == nil {
		t.Fatalf("nobody works on %+v", a.deployments(web)[0])
	}
	survivor := others[0]
	visitors := newLoad(t, survivor.site, web+".test")
	it.process.kill()
	forge.SetAppWebhook(survivor.hook())
	c.ends(commit, "success")
	survivor.serves(web, "one")
	t.Logf("taken over: %s", phasesOf(a.deployments(web)[0]))
	next := c.release("two")
	c.ends(next, "success")
	survivor.serves(web, "two")
	t.Logf("with the other one dead: %s", phasesOf(a.deployments(web)[0]))
	visitors.stop()
	it.begin()
	code, body := 0, ""
	it.await("it answers", func() bool { code, body = it.get(it.site+"/", web+".test"); return code != 0 })
	if code != http.StatusOK || strings.TrimSpace(body) != "two" {
		t.Errorf("its first answer is %d %s", code, body)
	}
	it.ready()
}

// TestSeveralKnowWhatOneIsTold: who signs in at one is signed in at the other, and so it is with what is chosen there.
func TestSeveralKnowWhatOneIsTold(t *testing.T) {
	t.Parallel()
	all := siblings(t, 2)
	a, b := all[0], all[1]
	token, err := a.store.NewSignInLink(t.Context(), 0)
	a.must(err)
	jar, err := cookiejar.New(nil)
	a.must(err)
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	form := url.Values{"token": {token}, "username": {"ann"}, "password": {"correct horse battery staple"}, "language": {"en"}, "base_url": {a.control}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.control+"/setup", strings.NewReader(form.Encode()))
	a.must(err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	response, err := client.Do(request)
	a.must(err)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusSeeOther {
		t.Fatalf("set up: %s", response.Status)
	}
	home := response.Header.Get("Location")
	page, err := url.Parse(a.control)
	a.must(err)
	if page, err = page.Parse(home); err != nil || home == "" {
		t.Fatalf("it leads to %q, %v", home, err)
	}
	for _, s := range all {
		page.Host = strings.TrimPrefix(s.control, "http://")
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page.String(), nil)
		s.must(err)
		response, err := client.Do(request)
		s.must(err)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s is answered %s", page, response.Status)
		}
	}
	was := strings.Count(b.process.log.String(), "this Tinyforge has an address")
	if was != 1 {
		t.Errorf("its address is said %d times", was)
	}
}

// TestOneOnSQLite: a file is one process's, from whichever folder another one would serve.
func TestOneOnSQLite(t *testing.T) {
	t.Parallel()
	s := newService(t)
	other := prepareService(t, "TINYFORGE_DATABASE=sqlite://"+filepath.Join(s.dir, "data", "tinyforge.db"), "TINYFORGE_KEY="+s.key())
	other.refusesToServe("another tinyforge serves from this database: stop it, or keep the rows in PostgreSQL, which several may share (tinyforge migrate --to)")
	if code, _ := s.get(s.control+"/healthz", ""); code != http.StatusOK {
		t.Error("it ended the first")
	}
	s.process.terminate(stopMost)
	other.start()
}

// key is the text of the sealing key in the data folder.
func (s *service) key() string {
	s.Helper()
	return s.read(filepath.Join(s.dir, "data", "key"))
}

func (s *service) read(file string) string {
	s.Helper()
	text, err := os.ReadFile(file)
	s.must(err)
	return strings.TrimSpace(string(text))
}

// TestAnotherDocker: who shares the rows of a living process and has another Docker does not begin; it does when that process is gone,
// and beside it when it leaves Docker's workloads alone.
func TestAnotherDocker(t *testing.T) {
	t.Parallel()
	keys, err := db.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	s := prepareService(t, "TINYFORGE_DATABASE="+dbtest.Postgres(t), "TINYFORGE_KEY="+keys.Text())
	c, _, err := readConfig("serve", nil, s.env, io.Discard)
	s.must(err)
	store, err := readyStore(t.Context(), c)
	s.must(err)
	defer store.Close()
	elsewhere := db.Process{ID: "elsewhere", Host: "other.test", Engine: "another engine", Runtimes: []string{"docker"}}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- shared.Attend(ctx, store, elsewhere) }()
	s.await("it is there", func() bool { all, err := store.LivingProcesses(t.Context()); return err == nil && len(all) == 1 })
	s.refusesToServe("on other.test, deploys to another Docker than this one's, and each would take all workloads for its own: start this one with --runtimes swarm, or point --docker-host at the same Docker")
	end()
	s.must(<-ended)
	s.start()
	all, err := store.LivingProcesses(t.Context())
	if err != nil || len(all) != 1 || all[0].Engine == "" || !slices.Contains(all[0].Runtimes, "docker") || !all[0].Serving {
		t.Errorf("known are %+v, %v", all, err)
	}
}

// TestDockerThatAnswersLate: which one it is is asked until it is known, and then refused as at the start.
func TestDockerThatAnswersLate(t *testing.T) {
	t.Parallel()
	store := storeAt(t, migratedtest.Postgres(t))
	for _, p := range []db.Process{{ID: "one", Host: "one.test", Engine: "one"}, {ID: "late", Host: "here"}} {
		p.Runtimes = []string{"docker"}
		if err := store.JoinProcess(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	defer shared.Await(t.Context(), store, db.Process{ID: "one"})()
	defer shared.Await(t.Context(), store, db.Process{ID: "late"})()
	asked, agreed := 0, 0
	late := func(p db.Process, is docker.Identity) error {
		asked = 0
		return identifyLate(t.Context(), store, p, func(context.Context) (docker.Identity, error) {
			if asked++; asked < 3 {
				return docker.Identity{}, errors.New("it is away")
			}
			return is, nil
		}, func() { agreed++ })
	}
	err := late(db.Process{ID: "late", Runtimes: []string{"docker"}}, docker.Identity{ID: "two"})
	if other, ok := errors.AsType[*db.EngineError](err); !ok || other.Host != "one.test" || asked != 3 || agreed != 0 {
		t.Errorf("asked %d times, agreed %d times: %v", asked, agreed, err)
	}
	err = late(db.Process{ID: "late", Runtimes: []string{"docker", "swarm"}}, docker.Identity{ID: "one"})
	if err == nil || !strings.Contains(err.Error(), "start it again: this Docker is no manager of a Swarm") || agreed != 0 {
		t.Errorf("with a Docker that offers less than was said it agreed %d times: %v", agreed, err)
	}
}

// TestDockerThatComesLate: a process that began without it is ready, and touches it only when it is known to be that of the others.
func TestDockerThatComesLate(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	f.cut()
	s := prepareService(t, "TINYFORGE_DATABASE="+dbtest.Postgres(t), f.option())
	s.begin()
	s.await("it serves", func() bool { code, _ := s.get(s.control+"/healthz", ""); return code == http.StatusOK })
	s.open()
	const waits, goes = "whether the other processes of this database use the same Docker is not known yet", "recovery: that is over"
	if text := s.process.log.String(); !strings.Contains(text, waits) || strings.Contains(text, goes) {
		t.Errorf("the recovery does not wait:\n%s", text)
	}
	f.restore()
	s.ready()
	s.await("it goes on", func() bool { return strings.Contains(s.process.log.String(), goes) })
}
