//go:build chaos

package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/db/dbtest"
)

// crew are processes that share one PostgreSQL and one Docker, each with a proxy of its own to which requests are sent all
// the time. The forge delivers to any of them.
type crew struct {
	*service  // the first member; it removes at the end what all have made
	members   []*member
	random    *rand.Rand
	forge     *forgetest.Server
	workloads []*target
	latest    map[*target]string // the newest commit
	killFile  string
	points    map[db.Strategy][]string // at which a process may kill itself; nil where it cannot
	sum       *severalRow
}

// member is one of a crew.
type member struct {
	*service
	visitors map[*target]*watch
	away     []gap
}

// gap is from a kill until the next process was ready.
type gap struct{ from, until time.Time }

// newCrew starts n processes with a workload of each of the strategies.
func newCrew(t *testing.T, n int, sum *severalRow, random *rand.Rand, strategies ...db.Strategy) *crew {
	t.Helper()
	x := &crew{random: random, sum: sum, latest: map[*target]string{}}
	front := httptest.NewServer(http.HandlerFunc(x.deliver))
	t.Cleanup(front.Close)
	x.service = prepareService(t, "TINYFORGE_DATABASE="+dbtest.Postgres(t), "TINYFORGE_PUBLIC_URL="+front.URL, "TINYFORGE_DRAIN=3s")
	x.killFile = filepath.Join(x.dir, "kill")
	x.env = append(x.env, "TINYFORGE_TEST_KILL="+x.killFile)
	for i := range n {
		x.join(i)
	}
	x.forge = newForge(t, forgetest.Options{Kind: forgetest.GitHub})
	manifest := ""
	for _, strategy := range strategies {
		w := &target{strategy: strategy, file: "Dockerfile", name: unique(string(strategy)), versions: map[string]string{}, ends: map[string]string{}}
		if strategy == db.Stack {
			w.file = "compose.yaml"
		}
		w.clone = newClone(t, x.forge, "acme/"+w.name)
		x.workloads = append(x.workloads, w)
		manifest += strings.Replace(manifestOf(w.name, sourceOf(strategy), configOf(strategy)), "acme/site", "acme/"+w.name, 1)
	}
	x.apply(x.forge, manifest)
	x.forge.SetAppWebhook(front.URL + "/webhooks/forge")
	for _, w := range x.workloads {
		x.push(w, true)
		w.clone.ends(w.serving, "success")
	}
	x.check()
	for _, m := range x.members {
		for _, w := range x.workloads {
			visitors := crowd(false)
			for i := range visitors {
				visitors[i].every *= time.Duration(n)
			}
			m.visitors[w] = &watch{load: startLoad(t, m.site, w.name+".test", visitors...)}
		}
	}
	return x
}

// join makes a member and starts it. It listens where nobody is given a port by chance while it is dead.
func (x *crew) join(i int) {
	x.Helper()
	m := &member{service: x.service, visitors: map[*target]*watch{}}
	var own []string
	for range 2 {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+x.random.IntN(250), x.random.IntN(250), 2+x.random.IntN(250)))
		x.must(err)
		own = append(own, listener.Addr().String())
		x.must(listener.Close())
	}
	if i > 0 {
		c, _, err := readConfig("serve", nil, x.env, io.Discard)
		x.must(err)
		m.service = &service{T: x.T, dir: x.TempDir(), network: x.network, store: x.store, instance: x.instance}
		m.env = append(m.env, x.env...)
		m.env = append(m.env, "TINYFORGE_DATA="+filepath.Join(m.dir, "data"), "TINYFORGE_KEY="+textOf(x.T, c))
	}
	m.control, m.site = "http://"+own[0], "http://"+own[1]
	m.env = append(m.env, "TINYFORGE_LISTEN="+own[0], "TINYFORGE_PROXY_HTTP="+own[1])
	m.start()
	x.members = append(x.members, m)
}

// deliver sends a request of the forge on to any of the members, and to another one when that is dead or dies of it.
func (x *crew) deliver(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	for _, i := range rand.Perm(len(x.members)) {
		out, err := http.NewRequestWithContext(r.Context(), r.Method, x.members[i].control+r.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			continue
		}
		out.Header, out.Host = r.Header, r.Host
		res, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			continue
		}
		answer, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			continue
		}
		w.WriteHeader(res.StatusCode)
		_, _ = w.Write(answer)
		return
	}
	http.Error(w, "nobody answers", http.StatusBadGateway)
}

// push is one to a workload, of which it notes how it has to end.
func (x *crew) push(w *target, good bool) {
	x.Helper()
	commit := w.push(good)
	x.latest[w], w.ends[commit] = commit, "failure"
	if good {
		w.ends[commit], w.serving = "success", commit
	}
	x.sum.pushes++
}

// pushSomewhere pushes to a workload that is not being deployed, if there is one.
func (x *crew) pushSomewhere() *target {
	x.Helper()
	for _, i := range x.random.Perm(len(x.workloads)) {
		w := x.workloads[i]
		if last := w.clone.last(x.latest[w]).State; last == "success" || last == "failure" {
			x.push(w, x.random.IntN(3) > 0)
			return w
		}
	}
	return nil
}

// killOne pushes, kills one of the members at a point of that deployment or at any time, and starts it again.
func (x *crew) killOne() {
	x.Helper()
	x.revive()
	if w := x.pushSomewhere(); w != nil && x.points != nil && x.random.IntN(2) == 0 {
		all := x.points[w.strategy]
		x.killAtPoint(w, all[x.random.IntN(len(all))])
		return
	}
	after := time.Duration(x.random.Int64N(int64(3 * time.Second)))
	time.Sleep(after)
	m := x.members[x.random.IntN(len(x.members))]
	m.process.kill()
	x.Logf("kill -9: %s, %s after a push", m.site, after.Round(time.Millisecond))
	x.sum.kills++
	x.again(m)
}

// killAtPoint waits until somebody has killed itself at a point, or the workload's deployment has ended without coming there.
func (x *crew) killAtPoint(w *target, point string) {
	x.Helper()
	x.must(os.WriteFile(x.killFile, []byte(point), 0o600))
	var dead *member
	x.expect(&x.sum.untrue, w.name+" is killed at "+point+" or ends", func() string {
		dead = x.dead()
		newest := x.deployments(w.name)[0]
		if dead != nil || newest.Commit == x.latest[w] && newest.Phase.Final() {
			return ""
		}
		return fmt.Sprintf("deployment %d of %s is %s", newest.ID, newest.Commit, newest.Phase)
	})
	x.must(os.RemoveAll(x.killFile))
	if dead == nil {
		return
	}
	x.Logf("kill -9: %s at %s of %s", dead.site, point, w.name)
	x.sum.atPoint++
	x.again(dead)
}

// revive starts who came to a point when it was no longer waited for.
func (x *crew) revive() {
	x.Helper()
	for m := x.dead(); m != nil; m = x.dead() {
		x.Logf("kill -9: %s at a point, late", m.site)
		x.sum.atPoint++
		x.again(m)
	}
}

// dead returns a member whose process has ended.
func (x *crew) dead() *member {
	for _, m := range x.members {
		select {
		case <-m.process.ended:
			return m
		default:
		}
	}
	return nil
}

// again starts a member that was killed, sometimes after a while.
func (x *crew) again(m *member) {
	x.Helper()
	m.away = append(m.away, gap{from: m.process.died.Add(-500 * time.Millisecond)}) // it is known some time after
	if x.random.IntN(3) == 0 {
		time.Sleep(time.Duration(x.random.Int64N(int64(2 * time.Second))))
	}
	m.start()
	m.away[len(m.away)-1].until = time.Now()
}
