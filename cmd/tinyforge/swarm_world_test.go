package main

import (
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
	"tinyforge/deploy/docker"
	"tinyforge/deploy/swarmtest"
)

// swarm is the runtime.
const swarm = "swarm"

// onSwarm is a workload of a Tinyforge that runs on the manager of a Swarm of three nodes, and so do its proxy, which is a process
// of its own, and the registry that the nodes pull from, with an account. Its repository needs no other image.
type onSwarm struct {
	*apartScene
	cluster  *swarmtest.Cluster
	registry string // its address
	runtimes map[string]deploy.Runtime
	table    []string
}

// newOnSwarm starts it with these variables for serve.
func newOnSwarm(t *testing.T, env ...string) *onSwarm {
	t.Helper()
	cluster := swarmtest.StartWith(t, swarmtest.Config{Nodes: 3, Heartbeat: time.Second})
	manager, password := cluster.Nodes[0], rand.Text()
	o := &onSwarm{cluster: cluster, registry: manager.IP + ":5000", apartScene: &apartScene{scene: scene{
		name: unique("web"), forge: newForge(t, forgetest.Options{Kind: forgetest.GitHub, Listen: cluster.Gateway + ":0"}),
	}}}
	o.service, o.proxyEnv = prepareApartService(t, append(env, "TINYFORGE_DOCKER_HOST="+manager.Host, "TINYFORGE_REGISTRY="+o.registry+"/apps",
		"TINYFORGE_REGISTRY_USER=tinyforge", "TINYFORGE_REGISTRY_PASSWORD="+password)...)
	o.within, o.networks, o.secrets = manager.Within(), cluster.Gateway+"/32", append(o.secrets, password)
	o.control, o.site = "http://"+manager.IP+":4040", "http://"+manager.IP+":8000"
	o.env = append(o.env, "TINYFORGE_LISTEN="+manager.IP+":4040", "TINYFORGE_PUBLIC_URL="+o.control)
	o.proxyEnv = append(o.proxyEnv, "TINYFORGE_PROXY_HTTP="+manager.IP+":8000")
	o.keepImages(password)
	o.startProxy()
	o.start()
	engine, err := docker.New(docker.Config{Host: manager.Host, Instance: o.instance, Network: o.network})
	o.must(err)
	t.Cleanup(func() { _ = engine.Close() })
	o.runtimes = map[string]deploy.Runtime{db.RuntimeDocker: engine, swarm: docker.NewSwarm(engine, docker.SwarmConfig{})}
	o.clone = newClone(t, o.forge, "acme/site")
	program, err := os.ReadFile(filepath.Join(deploytest.SampleCheckout(t), "sampleapp"))
	o.must(err)
	o.clone.commit("sampleapp", string(program))
	return o
}

// keepImages starts the registry.
func (o *onSwarm) keepImages(password string) {
	o.Helper()
	p := startWithin(o.T, o.within, []string{"TINYFORGE_DATA=" + filepath.Join(o.dir, "images"), "TINYFORGE_REGISTRY_PASSWORD=" + password},
		"registry", "--registry-listen", o.registry, "--registry-plain-http")
	o.Cleanup(func() {
		o.inspect(p.log.String())
		if o.Failed() {
			o.Logf("the registry's log:\n%s", p.log.String())
		}
	})
	o.await("the registry wants an account", func() bool {
		code, _ := o.get("http://"+o.registry+"/v2/", "")
		return code == http.StatusUnauthorized
	})
}

// beside is another workload there, of another repository.
func (o *onSwarm) beside(source, config string) *onSwarm {
	o.Helper()
	other, scene := *o, *o.apartScene
	scene.name, scene.clone = unique(source), newClone(o.T, o.forge, "acme/"+source)
	other.apartScene, other.table = &scene, nil
	o.apply(o.forge, strings.ReplaceAll(manifestOf(scene.name, source, config), "acme/site", "acme/"+source))
	return &other
}

// version pushes a version of the site that stands on nothing but the program.
func (o *onSwarm) version(version string, env ...string) (commit string) {
	o.Helper()
	text := "FROM scratch\nCOPY --chmod=0755 sampleapp /sampleapp\nENTRYPOINT [\"/sampleapp\"]\nENV VERSION=" + version + "\n"
	for _, variable := range env {
		text += "ENV " + variable + "\n"
	}
	return o.clone.push("Dockerfile", text)
}

func (o *onSwarm) configure(config string) {
	o.Helper()
	o.apply(o.forge, manifestOf(o.name, "dockerfile", config))
}

// scale asks for it as a person does, and waits for its end.
func (o *onSwarm) scale(replicas string) {
	o.Helper()
	o.ask("scale", o.name, replicas)
	o.await("it is scaled", func() bool { return o.deployments(o.name)[0].Phase.Final() })
	if dep := o.deployments(o.name)[0]; dep.Phase != db.PhaseLive || dep.Strategy != db.Scale {
		o.Errorf("scaling to %s is %s: %s", replicas, dep.Phase, dep.Error)
	}
}

// answers waits until the workload has come to rest, and checks what it answers then.
func (o *onSwarm) answers(version string) {
	o.Helper()
	o.await("the workload has come to rest", func() bool { return o.deployments(o.name)[0].Phase.Final() })
	if code, body := o.get(o.site+"/", o.name+".test"); code != http.StatusOK || strings.TrimSpace(body) != version {
		o.Errorf("the site answers %d %q, want %s", code, body, version)
	}
}

// runs checks where the live release runs and how often, and that it is the only one.
func (o *onSwarm) runs(runtime string, replicas int) db.RuntimeState {
	o.Helper()
	w := o.workload(o.name)
	state, err := o.store.RuntimeState(o.Context(), w.ID)
	o.must(err)
	o.await("only what is live runs", func() bool {
		var all []deploy.Instance
		for name, r := range o.runtimes {
			list, err := r.List(o.Context())
			o.must(err)
			for _, in := range list {
				if in.WorkloadID == w.ID {
					all = append(all, in)
				}
				if in.WorkloadID == w.ID && name != runtime {
					return false
				}
			}
		}
		return len(all) == 1 && all[0].ID == state.ReleaseID && len(all[0].Upstream.Addrs()) == replicas
	})
	return state
}

// pulled checks that every node has the live image, by its digest, from the registry, which gives it to nobody else.
func (o *onSwarm) pulled(live db.RuntimeState) {
	o.Helper()
	image := live.Release.Image
	if !strings.HasPrefix(image, o.registry+"/apps/"+o.name+"@sha256:") {
		o.Errorf("the nodes pull %s", image)
	}
	for _, n := range o.cluster.Nodes {
		if err := n.Ask(o.Context(), "GET", "/images/"+image+"/json", nil, nil); err != nil {
			o.Errorf("a node has not pulled it: %v", err)
		}
	}
	name, digest, _ := strings.Cut(strings.TrimPrefix(image, o.registry+"/"), "@")
	if code, _ := o.get("http://"+o.registry+"/v2/"+name+"/manifests/"+digest, ""); code != http.StatusUnauthorized {
		o.Errorf("who has no account is answered %d", code)
	}
}
