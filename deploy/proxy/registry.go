package proxy

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"

	// the modules that our config names
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddypki"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls/standardstek"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
)

// network is the name under which Caddy gets the listeners that a Proxy has opened.
const network = "tinyforge"

// registry is where the modules that Caddy makes from JSON find the Proxy they belong to, by the id in their JSON.
type registry struct {
	running sync.Mutex // held by the Proxy that runs: Caddy runs one config in a process

	mu      sync.Mutex
	last    int
	proxies map[string]*Proxy
}

// theRegistry registers our modules with Caddy on its first use. It belongs to the process because Caddy's table of
// modules does.
var theRegistry = sync.OnceValue(func() *registry {
	r := &registry{proxies: map[string]*Proxy{}}
	caddy.RegisterModule(&handler{part: part{registry: r}})
	caddy.RegisterModule(&permission{part: part{registry: r}})
	caddy.RegisterModule(&storageModule{part: part{registry: r}})
	caddy.RegisterModule(&logCore{part: part{registry: r}})
	caddy.RegisterNetwork(network, r.listener)
	return r
})

// add makes p findable and returns its id, and a function that forgets it.
func (r *registry) add(p *Proxy) (id string, remove func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	id = strconv.Itoa(r.last)
	r.proxies[id] = p
	return id, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.proxies, id)
	}
}

func (r *registry) find(id string) (*Proxy, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.proxies[id]
	if !ok {
		return nil, fmt.Errorf("find proxy %q: none of this id runs", id)
	}
	return p, nil
}

const (
	schemeHTTP  = "http"
	schemeHTTPS = "https"
)

// listenAddress is the address under which Caddy gets one of the Proxy's listeners. Its port is the real one: Caddy tells
// from it what is HTTP.
func (p *Proxy) listenAddress(id, scheme string) string {
	return network + "/" + net.JoinHostPort(id+"."+scheme, strconv.Itoa(portOf(p.listener(scheme))))
}

// listener is a caddy.ListenerFunc for the addresses of listenAddress.
func (r *registry) listener(_ context.Context, _, host, _ string, _ uint, _ net.ListenConfig) (any, error) {
	id, scheme, _ := strings.Cut(host, ".")
	p, err := r.find(id)
	if err != nil {
		return nil, err
	}
	return &counting{Listener: p.listener(scheme), tally: &p.work.fresh}, nil
}

func (p *Proxy) listener(scheme string) net.Listener {
	if scheme == schemeHTTPS {
		return p.https
	}
	return p.http
}

func portOf(ln net.Listener) int { return ln.Addr().(*net.TCPAddr).Port }

// part is what our modules have in common.
type part struct {
	ProxyID string `json:"proxy"`

	registry *registry
	proxy    *Proxy
}

// Provision implements caddy.Provisioner.
func (m *part) Provision(caddy.Context) (err error) {
	m.proxy, err = m.registry.find(m.ProxyID)
	return err
}
