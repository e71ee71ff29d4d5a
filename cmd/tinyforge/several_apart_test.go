package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/db/dbtest"
)

// TestSeveralApart: two processes, each beside a proxy of its own process. While one of the proxies is dead the other's sites are
// deployed all the same; when it is back it serves what was deployed meanwhile.
func TestSeveralApart(t *testing.T) {
	t.Parallel()
	keys, err := db.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"TINYFORGE_DATABASE=" + dbtest.Postgres(t), "TINYFORGE_KEY=" + keys.Text()}
	a, proxyA := prepareApartService(t, env...)
	b, proxyB := prepareApartService(t, append(env, "TINYFORGE_DOCKER_NETWORK="+a.network, "TINYFORGE_PUBLIC_URL="+a.control)...)
	b.network = a.network
	startProcess(t, proxyA, "proxy")
	dies := startProcess(t, proxyB, "proxy")
	a.begin()
	b.begin()
	a.ready()
	b.ready()
	forge, web := newForge(t, forgetest.Options{Kind: forgetest.GitHub}), unique("web")
	c := newClone(t, forge, "acme/site")
	a.apply(forge, manifestOf(web, "dockerfile", blueGreen))
	c.ends(c.release("zero"), "success")
	a.serves(web, "zero")
	b.serves(web, "zero")
	visitors := newLoad(t, a.site, web+".test")
	c.ends(c.release("one"), "success")
	b.serves(web, "one")
	dies.kill()
	b.process.kill() // or it would do the next one, and say that its proxy does not answer
	c.ends(c.release("two"), "success")
	a.serves(web, "two")
	visitors.stop()
	b.start()
	again := startProcess(t, proxyB, "proxy")
	b.await("its proxy has what was deployed meanwhile", func() bool {
		code, body := b.get(b.site+"/", web+".test")
		return code == http.StatusOK && strings.TrimSpace(body) == "two"
	})
	c.ends(c.release("three"), "success")
	a.serves(web, "three")
	b.serves(web, "three")

	again.kill()
	data, _ := strings.CutPrefix(proxyB[0], "TINYFORGE_DATA=")
	b.must(os.RemoveAll(filepath.Join(data, "routes")))
	startProcess(t, proxyB, "proxy")
	b.await("its proxy has all routes again, which it has lost", func() bool {
		code, body := b.get(b.site+"/", web+".test")
		return code == http.StatusOK && strings.TrimSpace(body) == "three"
	})
}
