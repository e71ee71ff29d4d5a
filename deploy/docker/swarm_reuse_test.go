//go:build chaos

package docker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/docker"
	"tinyforge/deploy/swarmtest"
)

// neighbours is a source whose releases run on one node and answer the name of their workload.
type neighbours struct{ image, node string }

func (*neighbours) Validate(json.RawMessage) error { return nil }

func (*neighbours) Strategy(json.RawMessage) (db.Strategy, string, error) {
	return db.BlueGreen, "", nil
}

func (n *neighbours) Build(_ context.Context, in deploy.BuildInput, _ io.Writer) (db.Release, error) {
	return db.Release{Image: n.image, Runtime: "swarm", Replicas: 1, Port: 8080, Constraints: []string{"node.hostname==" + n.node},
		Env: map[string]string{"VERSION": in.Workload.Name}}, nil
}

// TestPortsAreGivenAnew: a node whose Docker was started again gives the ports of before to others. Nobody's visitors see another
// workload's container, since the routes lead to nobody by then. It runs alone: a process has one proxy, and TestNodesFail's is another.
func TestPortsAreGivenAnew(t *testing.T) {
	f := &fleet{T: t, router: runProxy(t), Cluster: swarmtest.StartWith(t, swarmtest.Config{Nodes: 2})}
	image, repo := f.equip(time.Second, docker.SwarmConfig{}) // with the times that it really has
	f.work(&deploy.Deployer{
		Sources: map[string]deploy.Source{"neighbours": &neighbours{image, f.Nodes[1].Name}},
		Config:  deploy.Config{Workers: 1, Drain: time.Second, Liveness: 100 * time.Millisecond, Workspace: t.TempDir()},
	})
	var all []db.Workload
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		f.workload = db.Workload{Name: name, RepositoryID: repo.ID, Source: "neighbours", Config: json.RawMessage(`{"runtime":"swarm"}`), Host: name + ".test", Enabled: true}
		f.must(f.db.SaveWorkload(t.Context(), &f.workload))
		f.live(f.push())
		all = append(all, f.workload)
	}
	led := f.led(all)
	for _, w := range all {
		f.watchVisits(w)
	}
	before, reused := led(), 0
	for _, ends := range []func(int) error{f.Kill, f.Crash, f.Kill} {
		f.must(ends(1))
		restarted := make(chan error, 1)
		go func() { restarted <- f.Restart(t.Context(), 1) }() // at once, before the Swarm calls the node down
		await(t, "nobody is led to the node", func() bool { return len(led()) == 0 })
		f.must(<-restarted)
		await(t, "all run again", func() bool { return len(led()) == len(all) })
		after := led()
		for addr, of := range after {
			if was, known := before[addr]; known && was != of {
				reused++
			}
		}
		before = after
	}
	if t.Logf("%d times a workload got what had been another's", reused); reused == 0 {
		t.Errorf("no port was given to another workload: at last they are %v", slices.Sorted(maps.Keys(before)))
	}
}

// led returns what tells which addresses the routes lead to, and whose those are.
func (f *fleet) led(all []db.Workload) func() map[string]string {
	return func() map[string]string {
		of := map[string]string{}
		for _, w := range all {
			for _, rt := range w.Routes() {
				up, err := f.router.Current(f.Context(), rt)
				f.must(err)
				for _, addr := range up.Addrs() {
					of[addr] = w.Name
				}
			}
		}
		return of
	}
}

// watchVisits visits a workload until the test ends, and looks at who answers.
func (f *fleet) watchVisits(w db.Workload) {
	ctx, cancel := context.WithCancel(context.Background())
	var visitor sync.WaitGroup
	f.Cleanup(func() { cancel(); visitor.Wait() })
	visitor.Go(func() {
		for ctx.Err() == nil {
			text, status := f.visited(ctx, w.Host)
			if status == http.StatusOK && text != w.Name+"\n" {
				f.Errorf("a visitor of %s got %q", w.Name, text)
			}
			_ = deploy.Sleep(ctx, 5*time.Millisecond)
		}
	})
}

func (f *fleet) visited(ctx context.Context, host string) (text string, status int) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/", f.router.HTTPAddr()), nil)
	f.must(err)
	req.Host = host
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", 0
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", 0
	}
	return string(body), answer.StatusCode
}
