package deploytest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// container is one release of a Runtime. The engine's lock guards it.
type container struct {
	engine   *engine
	release  db.Release
	app      http.Handler
	servers  []*httptest.Server // one for each replica; none unless it runs
	state    deploy.State
	exitCode int
	restarts int
	tail     []string
}

func (e *engine) start(r db.Release) (deploy.Instance, error) {
	r.Env = maps.Clone(r.Env) // the caller's may change
	e.mu.Lock()
	for _, v := range r.Volumes {
		e.volumes[r.Workload+"/"+v.Name] = true
	}
	c := e.containers[r.ID]
	var old []*httptest.Server
	var err error
	if r.Stack != nil {
		old = e.takeOver(r)
	}
	switch {
	case c != nil && sameRelease(c.release, r):
	case c != nil && scaled(c.release, r):
		old, err = c.scale(r)
	default:
		if c != nil {
			old = c.end(0)
		}
		c = &container{engine: e, release: r, app: e.app(r)}
		e.containers[r.ID] = c
	}
	if err == nil && c.state != deploy.Running {
		c.restarts = 0
		c.run()
	}
	in := c.instance()
	e.mu.Unlock()
	shutdown(old...)
	return in, err
}

// scaled tells whether releases differ by nothing but how often they run.
func scaled(a, b db.Release) bool {
	a.Replicas = b.Replicas
	return sameRelease(a, b)
}

// scale changes how often a release runs. One that would end at once is refused, as a Swarm takes back what does not stay up.
func (c *container) scale(r db.Release) (old []*httptest.Server, err error) {
	app := c.engine.app(r)
	if app == nil {
		return nil, &deploy.Failure{Text: "The change was taken back: the new replicas end at once"}
	}
	c.release = r
	if c.state != deploy.Running {
		return nil, nil
	}
	for len(c.servers) < max(1, r.Replicas) {
		c.servers = append(c.servers, httptest.NewServer(http.HandlerFunc(c.serve)))
	}
	old, c.servers = c.servers[max(1, r.Replicas):], c.servers[:max(1, r.Replicas)]
	c.engine.tell(r.ID)
	return old, nil
}

// takeOver ends the stack of the workload's release before: there is one project for all of them.
func (e *engine) takeOver(r db.Release) (old []*httptest.Server) {
	for id, c := range e.containers {
		if c.release.Stack != nil && c.release.WorkloadID == r.WorkloadID && id != r.ID {
			old = c.end(0)
			delete(e.containers, id)
		}
	}
	return old
}

// sameRelease ignores what does not concern a container.
func sameRelease(a, b db.Release) bool {
	a.Healthcheck, a.Commit = b.Healthcheck, b.Commit
	return reflect.DeepEqual(a, b)
}

func (e *engine) stop(id db.ReleaseID, remove bool) {
	e.mu.Lock()
	c := e.containers[id]
	var old []*httptest.Server
	if c != nil {
		old = c.end(0)
	}
	if remove {
		delete(e.containers, id)
	}
	e.mu.Unlock()
	shutdown(old...)
}

func (e *engine) removeVolumes(workload string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.volumes, func(name string, _ bool) bool { return strings.HasPrefix(name, workload+"/") })
}

func (e *engine) crash(id db.ReleaseID, code int, again bool) {
	e.with(id, func(c *container) {
		if c.state != deploy.Running {
			return
		}
		for _, old := range c.end(code) {
			old.CloseClientConnections()
			go old.Close()
		}
		c.restarts++
		if again {
			c.run()
		}
	})
}

func (e *engine) with(id db.ReleaseID, f func(*container)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.containers[id]; c != nil {
		f(c)
	}
}

func (e *engine) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.containers {
		for _, old := range c.end(0) {
			old.CloseClientConnections()
			old.Close()
		}
	}
}

// run starts the app. One that is to exit at once has done so when run returns.
func (c *container) run() {
	after, err := time.ParseDuration(c.release.Env["EXIT_AFTER"])
	code, _ := strconv.Atoi(c.release.Env["EXIT_CODE"])
	c.engine.tell(c.release.ID)
	if c.app == nil {
		c.state, c.exitCode = deploy.Exited, 1
		c.restarts++
		c.engine.tell(c.release.ID)
		return
	}
	if err == nil && after == 0 {
		c.print(fmt.Sprintf("sampleapp %s: will exit with %d", c.release.Env["VERSION"], code))
		c.state, c.exitCode = deploy.Exited, code
		c.restarts++
		c.engine.tell(c.release.ID)
		return
	}
	c.print(fmt.Sprintf("sampleapp %s: listening on port %d", c.release.Env["VERSION"], c.release.Port))
	c.state, c.exitCode = deploy.Running, 0
	for range max(1, c.release.Replicas) {
		c.servers = append(c.servers, httptest.NewServer(http.HandlerFunc(c.serve)))
	}
	if err == nil {
		time.AfterFunc(after, func() { c.engine.crash(c.release.ID, code, false) })
	}
}

func (c *container) serve(w http.ResponseWriter, r *http.Request) {
	c.engine.mu.Lock()
	app := c.app
	c.engine.mu.Unlock()
	app.ServeHTTP(w, r)
}

// end returns the servers that are to be shut down, without the lock.
func (c *container) end(code int) []*httptest.Server {
	old := c.servers
	c.servers = nil
	if c.state == deploy.Running {
		c.state, c.exitCode = deploy.Exited, code
		c.engine.tell(c.release.ID)
	}
	return old
}

func (c *container) print(line string) {
	c.tail = append(c.tail, line)
	c.tail = c.tail[max(0, len(c.tail)-50):]
}

func (c *container) instance() deploy.Instance {
	in := deploy.Instance{
		ID:           c.release.ID,
		WorkloadID:   c.release.WorkloadID,
		DeploymentID: c.release.DeploymentID,
		State:        c.state,
		ExitCode:     c.exitCode,
		Restarts:     c.restarts,
		Replicas:     max(1, c.release.Replicas),
	}
	var addrs []string
	for _, server := range c.servers {
		addrs = append(addrs, server.Listener.Addr().String())
	}
	if slices.Sort(addrs); len(addrs) > 0 {
		in.Upstream = deploy.Upstream{Name: string(c.release.ID), Addr: strings.Join(addrs, ","), Port: c.release.Port}
	}
	return in
}

// shutdown lets requests finish for as long as Docker would.
func shutdown(servers ...*httptest.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, old := range servers {
		_ = old.Config.Shutdown(ctx) // those that are left are cut
		old.CloseClientConnections()
		old.Close()
	}
}
