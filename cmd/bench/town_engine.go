package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	docker "github.com/docker/docker/client"
)

// townEngine answers what Docker would, were the containers of a town there and running. Whatever else it is asked is not found.
type townEngine struct {
	socket   string
	instance string
	pace     time.Duration // of each call
	server   *http.Server

	mu    sync.Mutex
	all   map[string]container.InspectResponse // by name
	names map[string]string                    // by id
}

// townNetwork is the usual name.
const townNetwork = "tinyforge"

func listenAsEngine(ctx context.Context, socket string, pace time.Duration) (*townEngine, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	e := &townEngine{socket: socket, pace: pace, all: map[string]container.InspectResponse{}, names: map[string]string{}}
	e.server = &http.Server{Handler: e, ReadHeaderTimeout: answerPatience}
	go func() { _ = e.server.Serve(l) }()
	return e, nil
}

func (e *townEngine) end() { _ = e.server.Close() }

// add is told of a container that runs.
func (e *townEngine) add(name string, workload, deployment int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(e.all) + 2
	labels := map[string]string{"tinyforge.instance": e.instance, "tinyforge.workload": strconv.FormatInt(workload, 10),
		"tinyforge.deployment": strconv.FormatInt(deployment, 10), "tinyforge.release": name, "tinyforge.port": samplePort, "com.docker.compose.project": ""}
	id := fmt.Sprintf("%064x", n)
	e.names[id] = name
	e.all[name] = container.InspectResponse{
		ContainerJSONBase: &container.ContainerJSONBase{ID: id, Name: "/" + name, HostConfig: &container.HostConfig{},
			State: &container.State{Status: container.StateRunning, Running: true}},
		Config: &container.Config{Labels: labels},
		NetworkSettings: &container.NetworkSettings{Networks: map[string]*network.EndpointSettings{
			townNetwork: {IPAddress: fmt.Sprintf("127.1.%d.%d", n>>8, n&255)}}},
	}
}

// clear forgets all containers.
func (e *townEngine) clear() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all, e.names = map[string]container.InspectResponse{}, map[string]string{}
}

// address is where a container answers, were it there; "" when nobody told of it.
func (e *townEngine) address(name string) string {
	c := e.one(name)
	if c.ContainerJSONBase == nil {
		return ""
	}
	return net.JoinHostPort(c.NetworkSettings.Networks[townNetwork].IPAddress, samplePort)
}

// ServeHTTP implements http.Handler.
func (e *townEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(e.pace)
	w.Header().Set("Api-Version", "1.41")
	w.Header().Set("Content-Type", "application/json")
	path := strings.TrimPrefix(r.URL.Path, "/v1.41")
	say := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	name, what, _ := strings.Cut(strings.TrimPrefix(path, "/containers/"), "/")
	switch {
	case path == "/_ping":
		_, _ = w.Write([]byte("OK"))
	case path == "/version":
		say(map[string]string{"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64"})
	case path == "/events":
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	case path == "/info":
		say(map[string]string{"DockerRootDir": "/"})
	case path == "/images/json":
		say([]image.Summary{})
	case path == "/networks":
		say([]network.Summary{{Name: townNetwork, ID: strings.Repeat("1", 64)}})
	case path == "/containers/json":
		say(e.list(r))
	case what == "json" && e.has(name):
		say(e.one(name))
	case what == "logs" && e.has(name):
	default:
		w.WriteHeader(http.StatusNotFound)
		say(map[string]string{"message": "no such thing: " + path})
	}
}

func (e *townEngine) has(name string) bool { return e.one(name).ContainerJSONBase != nil }

// one is a container by its name or id.
func (e *townEngine) one(name string) container.InspectResponse {
	e.mu.Lock()
	defer e.mu.Unlock()
	if byID, found := e.names[name]; found {
		name = byID
	}
	return e.all[name]
}

// list is what a filter by labels finds.
func (e *townEngine) list(r *http.Request) []container.Summary {
	list := []container.Summary{}
	args, err := filters.FromJSON(r.URL.Query().Get("filters"))
	if err != nil {
		return list
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.all {
		if args.MatchKVList("label", c.Config.Labels) && !slices.ContainsFunc(args.Get("label"), isStack) {
			list = append(list, container.Summary{ID: c.ID, Names: []string{c.Name}, Labels: c.Config.Labels, State: container.StateRunning,
				NetworkSettings: &container.NetworkSettingsSummary{Networks: c.NetworkSettings.Networks}})
		}
	}
	return list
}

// isStack tells of a filter that asks for containers of Compose: there are none, though all have one label of it, empty.
func isStack(label string) bool { return strings.HasPrefix(label, "com.docker.compose") }

// inspectTime is how long the engine of this machine takes for a look at a container. One is made for that, and not started.
// It goes with what else has this name.
func inspectTime(ctx context.Context, engine *docker.Client, name string) (time.Duration, error) {
	empty := image.ImportSource{Source: bytes.NewReader(make([]byte, 1024)), SourceName: "-"}
	said, err := engine.ImageImport(ctx, empty, name+":empty", image.ImportOptions{})
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, said)
	if err := errors.Join(err, said.Close()); err != nil {
		return 0, err
	}
	created, err := engine.ContainerCreate(ctx, &container.Config{Image: name + ":empty", Cmd: []string{"/nothing"}}, nil, nil, nil, name+"-empty")
	if err != nil {
		return 0, err
	}
	var took []float64
	for range 50 {
		begun := time.Now()
		if _, err := engine.ContainerInspect(ctx, created.ID); err != nil {
			return 0, err
		}
		took = append(took, float64(time.Since(begun)))
	}
	return time.Duration(percentile(took, 50)), nil
}
