package deploytest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
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
	server   *httptest.Server // nil unless it runs
	state    deploy.State
	exitCode int
	restarts int
	tail     []string
}

func (e *engine) start(r db.Release) deploy.Instance {
	r.Env = maps.Clone(r.Env) // the caller's may change
	e.mu.Lock()
	for _, v := range r.Volumes {
		e.volumes[r.Workload+"/"+v.Name] = true
	}
	c := e.containers[r.ID]
	var old *httptest.Server
	if r.Stack != nil {
		old = e.takeOver(r)
	}
	if c == nil || !sameRelease(c.release, r) {
		if c != nil {
			old = c.end(0)
		}
		c = &container{engine: e, release: r, app: e.app(r)}
		e.containers[r.ID] = c
	}
	if c.state != deploy.Running {
		c.restarts = 0
		c.run()
	}
	in := c.instance()
	e.mu.Unlock()
	shutdown(old)
	return in
}

// takeOver ends the stack of the workload's release before: there is one project for all of them.
func (e *engine) takeOver(r db.Release) (old *httptest.Server) {
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
	var old *httptest.Server
	if c != nil {
		old = c.end(0)
	}
	if remove {
		delete(e.containers, id)
	}
	e.mu.Unlock()
	shutdown(old)
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
		if old := c.end(code); old != nil {
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
		if old := c.end(0); old != nil {
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
	c.server = httptest.NewServer(http.HandlerFunc(c.serve))
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

// end returns the server that is to be shut down, without the lock.
func (c *container) end(code int) *httptest.Server {
	old := c.server
	c.server = nil
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
	}
	if c.server != nil {
		in.Upstream = deploy.Upstream{Name: string(c.release.ID), Addr: c.server.Listener.Addr().String(), Port: c.release.Port}
	}
	return in
}

// shutdown lets requests finish for as long as Docker would.
func shutdown(old *httptest.Server) {
	if old == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = old.Config.Shutdown(ctx) // those that are left are cut
	old.CloseClientConnections()
	old.Close()
}
