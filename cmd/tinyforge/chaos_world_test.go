//go:build chaos

package main

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tinyforge/app/forgetest"
	"tinyforge/db"
)

// world is a Tinyforge with a workload of each strategy, to which requests are sent all the time.
type world struct {
	*service
	setting   setting
	random    *rand.Rand
	forge     *forgetest.Server
	workloads []*target
	visitors  map[*target]*watch
	killFile  string
	sum       *row
	away      []gap           // when nobody could answer
	proxy     func() *process // starts the one that is apart; nil where there is none
	serving   *process        // the proxy that is apart
}

func newWorld(t *testing.T, set setting, sum *tally, random *rand.Rand, env ...string) *world {
	x := &world{setting: set, random: random, sum: sum.row(set), visitors: map[*target]*watch{}}
	x.service, x.proxy = prepareFor(t, set)
	if x.proxy != nil {
		x.serving = x.proxy()
	}
	x.killFile = filepath.Join(x.dir, "kill")
	x.env = append(x.env, "TINYFORGE_TEST_KILL="+x.killFile, "TINYFORGE_DRAIN=3s")
	x.env = append(x.env, env...)
	if address := set.address(t); address != "" {
		x.env = append(x.env, "TINYFORGE_DATABASE="+address)
	}
	x.start()
	x.forge = newForge(t, forgetest.Options{Kind: forgetest.GitHub})
	manifest := ""
	for _, w := range []*target{
		{strategy: db.BlueGreen, file: "Dockerfile"}, {strategy: db.Recreate, file: "Dockerfile"}, {strategy: db.Stack, file: "compose.yaml"},
	} {
		w.name, w.versions, w.ends = unique(string(w.strategy)), map[string]string{}, map[string]string{}
		w.clone = newClone(t, x.forge, "acme/"+w.name)
		x.workloads = append(x.workloads, w)
		manifest += strings.Replace(manifestOf(w.name, sourceOf(w.strategy), configOf(w.strategy)), "acme/site", "acme/"+w.name, 1)
	}
	x.apply(x.forge, manifest)
	for _, w := range x.workloads {
		w.serving = w.push(true)
		w.clone.ends(w.serving, "success")
		x.serves(w.name, w.versions[w.serving])
		x.visitors[w] = &watch{load: startLoad(t, x.site, w.name+".test", crowd(set.router == "npm")...)}
	}
	return x
}

// prepareFor makes a service, and what starts a proxy of its own where it is to have one.
func prepareFor(t *testing.T, set setting) (s *service, proxy func() *process) {
	switch set.router {
	case "npm":
		s, _ = prepareManagedService(t)
		return s, nil
	case "proxy":
		s, env := prepareApartService(t)
		return s, func() *process { return startProcess(t, env, "proxy") }
	}
	return prepareService(t), nil
}

// killed notes that the process is gone, and the proxy where that is in it.
func (x *world) killed(how string, w *target) {
	x.Logf("kill -9: %s", how)
	x.sum.kill(w.strategy)
	if x.setting.router == "builtin" {
		x.nobodyAnswers()
	}
}

// nobodyAnswers begins a gap.
func (x *world) nobodyAnswers() {
	x.away = append(x.away, gap{from: time.Now().Add(-500 * time.Millisecond)})
}

// somebodyAnswers ends all gaps.
func (x *world) somebodyAnswers() {
	for i := range x.away {
		if x.away[i].until.IsZero() {
			x.away[i].until = time.Now()
		}
	}
}

// settle starts the next process and looks at what it made of a commit.
func (x *world) settle(w *target, commit string, good bool) {
	x.start()
	x.somebodyAnswers()
	x.settled(w, commit, good)
}

// settled waits for the end of a commit, and looks at everything.
func (x *world) settled(w *target, commit string, good bool) {
	w.ends[commit] = "failure"
	if good {
		w.ends[commit], w.serving = "success", commit
	}
	x.ended(w, commit)
	x.check()
}
