package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"tinyforge/app/settings"
	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/docker"
)

// health implements settings.Health.
type health struct {
	config   config
	db       *db.DB
	engine   *docker.Engine
	sites    sites
	instance string
	started  time.Time
	runtimes []string // that this process offers
}

const healthPatience = 3 * time.Second

// Facts implements settings.Health.
func (h *health) Facts(ctx context.Context) []settings.Fact {
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	facts := append(buildFacts(), settings.Fact{Key: "system", Value: runtime.GOOS + "/" + runtime.GOARCH}, settings.Fact{Key: "started", At: h.started},
		settings.Fact{Key: "instance", Value: h.instance})
	facts = append(facts, h.processes(ctx)...)
	facts = append(facts, settings.Fact{Key: "database", Value: databaseKind(h.config)})
	if size := databaseSize(h.config); size > 0 {
		facts = append(facts, settings.Fact{Key: "database_size", Bytes: size})
	}
	if name, err := h.db.LastMigration(ctx); err == nil {
		facts = append(facts, settings.Fact{Key: "migration", Value: name})
	}
	if d, err := h.engine.Describe(ctx); err == nil {
		facts = append(facts, settings.Fact{Key: "docker", Value: d.Version}, settings.Fact{Key: "api", Value: d.API}, settings.Fact{Key: "storage", Value: d.Driver},
			settings.Fact{Key: "memory", Bytes: d.Memory})
	}
	if free, err := h.Free(ctx); err == nil {
		facts = append(facts, settings.Fact{Key: "free_docker", Bytes: free})
	}
	if free, err := deploy.FreeSpace(h.config.Data); err == nil {
		facts = append(facts, settings.Fact{Key: "free_data", Bytes: free})
	}
	return append(facts, settings.Fact{Key: "proxy", Text: "about.kind_" + proxyFacts()[h.config.Router](&h.config, h.sites).Kind})
}

// processes are what this process deploys to, and who else shares its database.
func (h *health) processes(ctx context.Context) []settings.Fact {
	registry := settings.Fact{Key: "registry", Value: h.config.Registry, Named: true}
	if h.config.Registry == "" {
		registry = settings.Fact{Key: "registry", Text: "about.none"}
	}
	facts := []settings.Fact{{Key: "runtimes", Value: strings.Join(h.runtimes, ", ")}, registry}
	if isSQLite(h.config) {
		return facts
	}
	all, err := h.db.LivingProcesses(ctx)
	if err != nil {
		return facts
	}
	for _, p := range all {
		value := p.Host + ": " + strings.Join(p.Runtimes, ", ")
		facts = append(facts, settings.Fact{Key: "process", Value: value, Named: true})
	}
	return facts
}

func databaseKind(c config) string {
	if isSQLite(c) {
		return "SQLite"
	}
	return "PostgreSQL"
}

// databaseSize is what a SQLite database takes, with what has been written last and is still in a file beside it. It is 0 for
// others.
func databaseSize(c config) (size int64) {
	path, sqlite := strings.CutPrefix(c.Database, "sqlite://")
	if !sqlite {
		return 0
	}
	for _, file := range []string{path, path + "-wal"} {
		if info, err := os.Stat(file); err == nil {
			size += info.Size()
		}
	}
	return size
}

// buildFacts are what the program knows of itself.
func buildFacts() (facts []settings.Fact) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			facts = append(facts, settings.Fact{Key: "commit", Value: s.Value[:min(12, len(s.Value))]})
		case "vcs.time":
			if at, err := time.Parse(time.RFC3339, s.Value); err == nil {
				facts = append(facts, settings.Fact{Key: "built", At: at})
			}
		}
	}
	return append(facts, settings.Fact{Key: "go", Value: strings.TrimPrefix(info.GoVersion, "go")})
}

// Database implements settings.Health.
func (h *health) Database(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	return h.db.Ping(ctx)
}

// Docker implements settings.Health.
func (h *health) Docker(ctx context.Context) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	return h.engine.Version(ctx)
}

// Memory implements settings.Health.
func (h *health) Memory() (int64, error) {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("read size of memory: %w", err)
	}
	return int64(info.Totalram) * int64(info.Unit), nil //nolint:gosec // no machine has 8 exabytes
}

// Proxy implements settings.Health.
func (h *health) Proxy(ctx context.Context) settings.Proxy {
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	word, _ := h.sites.State(ctx)
	p := proxyFacts()[h.config.Router](&h.config, h.sites)
	p.OK, p.Commands = word == "ok", h.config.proxyCommands(h.sites)
	return p
}

// ProxyAway implements settings.Health.
func (h *health) ProxyAway() bool { return h.sites.Away() }

// proxyFacts are what the pages say of a router, by --router.
func proxyFacts() map[string]func(*config, sites) settings.Proxy {
	return map[string]func(*config, sites) settings.Proxy{
		"builtin": func(_ *config, s sites) settings.Proxy {
			return settings.Proxy{Kind: "built_in", Facts: servesFacts(s)}
		},
		"proxy": func(c *config, s sites) settings.Proxy {
			return settings.Proxy{Kind: "apart", Facts: append(servesFacts(s), settings.Fact{Key: "proxy_socket", Value: c.proxySocket()})}
		},
		"npm": func(c *config, _ sites) settings.Proxy {
			return settings.Proxy{Kind: "npm", Facts: []settings.Fact{{Key: "npm_url", Value: c.NPMURL}, {Key: "proxy_http", Value: c.NPMProxy}}}
		},
	}
}

// servesFacts are none of a proxy that has not answered yet.
func servesFacts(s sites) []settings.Fact {
	http, https := s.Serves()
	if http == "" && https == "" {
		return nil
	}
	facts := []settings.Fact{{Key: "proxy_http", Value: http}, {Key: "proxy_https", Value: https}}
	for i := range facts {
		if facts[i].Value == "" {
			facts[i].Text = "about.off"
		}
	}
	return facts
}

// Free implements settings.Health: of Docker's disk or, where that cannot be told, of the data's.
func (h *health) Free(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	free, err := h.engine.FreeSpace(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		return deploy.FreeSpace(h.config.Data)
	}
	return free, err
}
