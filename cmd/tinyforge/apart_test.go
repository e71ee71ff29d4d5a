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
)

// apartScene is a scene whose proxy is a process of its own.
type apartScene struct {
	scene
	proxyEnv []string
	proxy    *process
}

// newApartScene starts the proxy after serve, which waits for it, and deploys version zero.
func newApartScene(t *testing.T, config string) *apartScene {
	t.Helper()
	x := &apartScene{scene: scene{docker: newFront(t), forge: newForge(t, forgetest.Options{Kind: forgetest.GitHub}), name: unique("web")}}
	x.service, x.proxyEnv = prepareApartService(t, x.docker.option())
	x.start()
	x.wantProxy("does not answer")
	if log := x.process.log.String(); strings.Count(log, awayText) != 1 || strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("that the proxy is away is not said once and calmly:\n%s", log)
	}
	x.startProxy()
	x.wantProxy("ok")
	x.clone = newClone(t, x.forge, "acme/site")
	x.apply(x.forge, manifestOf(x.name, "dockerfile", config))
	x.clone.ends(x.clone.release("zero"), "success")
	x.serves(x.name, "zero")
	return x
}

// prepareApartService is a service whose sites a proxy of its own serves, and the environment of that.
func prepareApartService(t *testing.T, env ...string) (s *service, proxyEnv []string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "tf") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := "TINYFORGE_PROXY_SOCKET=" + filepath.Join(dir, "proxy.sock")
	s = prepareService(t, append(env, "TINYFORGE_ROUTER=proxy", "TINYFORGE_PROXY_HTTP=off", socket)...)
	return s, []string{"TINYFORGE_DATA=" + filepath.Join(dir, "data"), "TINYFORGE_PROXY_HTTP=" + strings.TrimPrefix(s.site, "http://"),
		"TINYFORGE_PROXY_HTTPS=off", "TINYFORGE_DRAIN=30s", socket}
}

func (x *apartScene) startProxy() {
	x.Helper()
	p := startWithin(x.T, x.within, x.proxyEnv, "proxy")
	x.proxy = p
	x.Cleanup(func() {
		x.inspect(p.log.String())
		if x.Failed() {
			x.Logf("the proxy's log:\n%s", p.log.String())
		}
	})
	x.await("the proxy serves", func() bool {
		select {
		case <-p.ended:
			x.Fatalf("it ended: %v\n%s", p.err, p.log.String())
		default:
		}
		code, _ := x.get(x.site, "nobody.test")
		return code != 0
	})
}

// wantProxy waits for the word of /readyz, which answers 200 whatever it is, and demands that /metrics says the same.
func (x *apartScene) wantProxy(word string) {
	x.Helper()
	x.await("the proxy is said to be "+word, func() bool {
		code, text := x.get(x.control+"/readyz", "")
		return code == http.StatusOK && strings.Contains(text, `"proxy":"`+word+`"`)
	})
	up := map[string]string{"ok": "1", "does not answer": "0"}[word]
	if _, text := x.get(x.control+"/metrics", ""); !strings.Contains(text, "\ntinyforge_proxy_up "+up+"\n") {
		x.Errorf("/metrics does not say that the proxy %s:\n%s", word, text)
	}
}

// TestSitesOutliveTheControlPlane: serve is killed while it is idle and in the middle of deployments of both strategies, is
// started anew and told to end, and no request to the site fails. The proxy that is started anew has its routes before
// anybody tells it.
func TestSitesOutliveTheControlPlane(t *testing.T) {
	t.Parallel()
	const patient = "{deploy_strategy: blue-green, healthcheck: {path: /up, interval: 200ms, attempts: 10}}"
	x := newApartScene(t, patient)
	own := strings.TrimPrefix(x.control, "http://")
	leads := func() bool {
		code, body := x.get(x.site+"/healthz", own)
		return code == http.StatusOK && strings.TrimSpace(body) == "ok"
	}
	x.await("the public URL leads here", leads)
	visitors := newLoad(t, x.site, x.name+".test")

	x.process.kill()
	x.serves(x.name, "zero")
	x.start()
	x.clone.ends(x.clone.release("one"), "success")
	x.serves(x.name, "one")

	for version, m := range map[string]moment{"gated": in(db.PhaseGating), "removed": before(http.MethodDelete, "/containers/")} {
		x.killedIn(version, m)
	}
	x.apply(x.forge, manifestOf(x.name, "dockerfile", strings.Replace(patient, "blue-green", "recreate", 1)))
	x.killedIn("recreated", afterwards(http.MethodPost, "/stop"))

	x.process.terminate(time.Minute)
	x.serves(x.name, "recreated")
	x.start()
	if !leads() {
		t.Error("the public URL does not lead to the new process")
	}
	x.clone.ends(x.clone.release("last"), "success")
	x.serves(x.name, "last")
	_, page := x.get(x.control+"/metrics", "")
	for _, sample := range []string{"requests_total", "failed_total", "in_flight", "waiting"} {
		if !strings.Contains(page, "tinyforge_proxy_"+sample+`{host="`+x.name+`.test"} `) {
			t.Errorf("/metrics does not tell of %s:\n%s", sample, page)
		}
	}
	visitors.stop()

	x.process.kill()
	x.proxy.kill()
	x.startProxy()
	x.serves(x.name, "last")
	x.proxy.terminate(30 * time.Second)
}

// killedIn pushes a version, kills serve when the deployment has got to the moment, and starts the next one, which goes on.
func (x *apartScene) killedIn(version string, m moment) {
	x.Helper()
	reached := m(&x.scene)
	commit := x.clone.push("Dockerfile", dockerfile("VERSION="+version, "UP_AFTER=1500ms"))
	reached()
	x.process.kill()
	x.start()
	x.clone.ends(commit, "success")
	x.serves(x.name, version)
}

// TestTwoProxies: a second one on the same data, or on the same socket, is refused in words, and harms nothing.
func TestTwoProxies(t *testing.T) {
	dir, err := os.MkdirTemp("", "tf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	addresses := freeAddresses(t, 3)
	start := func(address, data string) *process {
		return startProcess(t, nil, "proxy", "--data", filepath.Join(dir, data), "--proxy-http", address, "--proxy-https", "off",
			"--proxy-socket", filepath.Join(dir, "proxy.sock"))
	}
	first := start(addresses[0], "a")
	await(t, "the first one has its socket", func() bool { _, err := os.Stat(filepath.Join(dir, "proxy.sock")); return err == nil })
	for data, words := range map[string]string{"a": "another proxy keeps its routes in", "b": "another proxy listens on"} {
		second := start(addresses[1], data)
		if second.wait(30*time.Second) == nil || !strings.Contains(second.log.String(), words) {
			t.Errorf("the second one with %s says\n%s", data, second.log.String())
		}
	}
	if third := start(addresses[0], "c"); third.wait(30*time.Second) == nil || !strings.Contains(third.log.String(), "choose another address with --proxy-http") {
		t.Errorf("one on the same address says\n%s", third.log.String())
	}
	first.terminate(30 * time.Second)
	if _, err := os.Stat(filepath.Join(dir, "proxy.sock")); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}
