package deploytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// FakeNginx is an Nginx in memory: it reads as much of nginx's language as an NPM writes, and refuses what it does not
// know. A reload is not done when it returns: for some time the workers before go on to accept connections beside the new
// ones, and then those that they have left go on. Names are resolved for each request and remembered by each generation.
type FakeNginx struct {
	Addr string // "host:port" of the HTTP that it serves

	server *httptest.Server
	conns  sync.Map // net.Conn -> *generation

	mu      sync.Mutex
	files   map[string]string
	names   map[string]string // to which address a name leads
	old     *generation       // accepts connections too, for now; may be nil
	current *generation
	turn    bool
	down    bool
	starts  int

	generations int
	reloads     sync.WaitGroup
}

// How long after a reload the new workers begin to accept connections, and the old ones cease to.
const (
	nginxBegins = 40 * time.Millisecond
	nginxCeases = 110 * time.Millisecond
)

// generation are the workers from one reload to the next.
type generation struct {
	number  int
	config  []nginxDirective
	resolve func(name string) (string, bool)

	mu    sync.Mutex
	cache map[string]string
	idle  map[net.Conn]bool
	over  bool
}

type generationKey struct{}

// NewFakeNginx returns one that serves its default page alone. It is ended with the test.
func NewFakeNginx(t testing.TB) *FakeNginx {
	n := &FakeNginx{files: map[string]string{}, names: map[string]string{}}
	n.current = n.generation(nil)
	n.server = httptest.NewUnstartedServer(http.HandlerFunc(n.serve))
	n.server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		g := n.accept()
		n.conns.Store(c, g)
		return context.WithValue(ctx, generationKey{}, g)
	}
	n.server.Config.ConnState = n.connState
	n.server.Start()
	t.Cleanup(n.server.Close)
	n.Addr = n.server.Listener.Addr().String()
	return n
}

// Name makes a name lead to an address, as Docker does for containers; the address "" takes the name away.
func (n *FakeNginx) Name(name, address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if address == "" {
		delete(n.names, strings.ToLower(name))
		return
	}
	n.names[strings.ToLower(name)] = address
}

// Stop ends nginx.
func (n *FakeNginx) Stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = true
	n.endAll()
}

// endAll ends all workers. The caller holds mu.
func (n *FakeNginx) endAll() {
	n.current.end()
	if n.old != nil {
		n.old.end()
	}
}

// Start starts nginx by its files, anew if it runs.
func (n *FakeNginx) Start() {
	n.mu.Lock()
	defer n.mu.Unlock()
	config, _ := n.parse()
	n.endAll()
	n.starts++
	n.down, n.old, n.current = false, nil, n.generation(config)
}

// Listen implements Nginx.
func (n *FakeNginx) Listen() string { return "80" }

// Write implements Nginx.
func (n *FakeNginx) Write(file, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.files[file] = text
}

// Remove implements Nginx.
func (n *FakeNginx) Remove(file string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.files, file)
}

// Test implements Nginx.
func (n *FakeNginx) Test() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, err := n.parse()
	return err
}

// Reload implements Nginx.
func (n *FakeNginx) Reload() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return errors.New("nginx: [error] open() \"/run/nginx.pid\" failed (2: No such file or directory)")
	}
	config, err := n.parse()
	if err != nil {
		return nil // the signal is sent; the master keeps what it has
	}
	next, start := n.generation(config), n.starts
	n.reloads.Add(1)
	time.AfterFunc(nginxBegins, func() { n.begin(next, start) })
	return nil
}

// Quiet returns when every reload so far is done.
func (n *FakeNginx) Quiet() { n.reloads.Wait() }

func (n *FakeNginx) begin(next *generation, start int) {
	defer time.AfterFunc(nginxCeases-nginxBegins, func() { n.cease(next) })
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down || start != n.starts || next.number < n.current.number { // timers may be late
		return
	}
	if n.old != nil {
		n.old.end()
	}
	n.old, n.current = n.current, next
}

// cease ends what next came after, unless somebody did so already.
func (n *FakeNginx) cease(next *generation) {
	defer n.reloads.Done()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.current == next && n.old != nil {
		n.old.end()
		n.old = nil
	}
}

// accept returns the generation that takes a connection: each in turn while there are two.
func (n *FakeNginx) accept() *generation {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.turn = !n.turn; n.old != nil && n.turn {
		return n.old
	}
	return n.current
}

func (n *FakeNginx) connState(c net.Conn, state http.ConnState) {
	g, ok := n.conns.Load(c)
	if !ok {
		return
	}
	g.(*generation).rests(c, state == http.StateIdle)
	if state == http.StateClosed {
		n.conns.Delete(c)
	}
}

func (n *FakeNginx) isDown() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.down
}

// parse reads all files. The caller holds mu.
func (n *FakeNginx) parse() (all []nginxDirective, err error) {
	for _, file := range slices.Sorted(maps.Keys(n.files)) {
		directives, err := parseNginx(n.files[file], func(name string) bool { _, ok := n.address(name); return ok })
		if err != nil {
			var fault *nginxFault
			errors.As(err, &fault)
			return nil, fmt.Errorf("2026/11/23 08:32:40 [emerg] 7980#7980: %w in /data/nginx/%s:%d\nnginx: configuration file /etc/nginx/nginx.conf test failed", err, file, fault.line)
		}
		all = append(all, directives...)
	}
	return all, nil
}

// address resolves a name; an address is its own. The caller holds mu.
func (n *FakeNginx) address(name string) (string, bool) {
	if net.ParseIP(strings.Trim(name, "[]")) != nil {
		return name, true
	}
	address, ok := n.names[strings.ToLower(name)]
	return address, ok
}

func (n *FakeNginx) generation(config []nginxDirective) *generation {
	n.generations++
	return &generation{number: n.generations, config: config, cache: map[string]string{}, idle: map[net.Conn]bool{}, resolve: func(name string) (string, bool) {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.address(name)
	}}
}

// lookup remembers what it found, as nginx does for ten seconds.
func (g *generation) lookup(name string) (string, bool) {
	g.mu.Lock()
	known, ok := g.cache[name]
	g.mu.Unlock()
	if ok {
		return known, true
	}
	address, ok := g.resolve(name)
	if !ok {
		return "", false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cache[name] = address
	return address, true
}

// end makes the generation take no further request on the connections that it has.
func (g *generation) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
	for c := range g.idle {
		_ = c.Close()
	}
}

// rests notes whether a connection waits for its next request. Workers that are to end close such.
func (g *generation) rests(c net.Conn, idle bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if delete(g.idle, c); idle && !g.over {
		g.idle[c] = true
	} else if idle {
		_ = c.Close()
	}
}

func (g *generation) isOver() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.over
}
