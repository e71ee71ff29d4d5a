package main

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"tinyforge/app/settings"
	"tinyforge/db"
	"tinyforge/deploy/docker"
)

// health implements settings.Health.
type health struct {
	config   config
	db       *db.DB
	engine   *docker.Engine
	sites    sites
	choices  *settings.Choices
	instance string
	started  time.Time
}

const healthPatience = 3 * time.Second

// Facts implements settings.Health.
func (h *health) Facts(ctx context.Context) []settings.Fact {
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	facts := append(buildFacts(), settings.Fact{Key: "system", Value: runtime.GOOS + "/" + runtime.GOARCH}, settings.Fact{Key: "started", At: h.started},
		settings.Fact{Key: "instance", Value: h.instance})
	kind := "PostgreSQL"
	if isSQLite(h.config) {
		kind = "SQLite"
	}
	facts = append(facts, settings.Fact{Key: "database", Value: kind})
	if info, err := os.Stat(strings.TrimPrefix(h.config.Database, "sqlite://")); isSQLite(h.config) && err == nil {
		facts = append(facts, settings.Fact{Key: "database_size", Bytes: info.Size()})
	}
	if name, err := h.db.LastMigration(ctx); err == nil {
		facts = append(facts, settings.Fact{Key: "migration", Value: name})
	}
	if d, err := h.engine.Describe(ctx); err == nil {
		facts = append(facts, settings.Fact{Key: "docker", Value: d.Version}, settings.Fact{Key: "api", Value: d.API}, settings.Fact{Key: "storage", Value: d.Driver},
			settings.Fact{Key: "memory", Bytes: d.Memory})
	}
	if free := h.Free(ctx); free > 0 {
		facts = append(facts, settings.Fact{Key: "free_docker", Bytes: free})
	}
	if free := freeOn(h.config.Data); free > 0 {
		facts = append(facts, settings.Fact{Key: "free_data", Bytes: free})
	}
	return append(facts, settings.Fact{Key: "proxy", Value: h.config.Router})
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

// shortVersion is the version for the foot of the pages.
func shortVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return strings.Trim(info.Main.Version, "()")
	}
	return "?"
}

// Checks implements settings.Health.
func (h *health) Checks(ctx context.Context) []settings.Check {
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	checks := []settings.Check{h.check("database", h.db.Ping(ctx)), h.check("docker", h.engine.Ping(ctx))}
	proxy := settings.Check{Key: "proxy", State: "ok"}
	if word, _ := h.sites.State(ctx); word != "ok" {
		proxy.State, proxy.Detail = "failed", word
	}
	checks = append(checks, proxy)
	chosen, err := h.choices.Read(ctx)
	if err != nil {
		return checks
	}
	address, disk := settings.Check{Key: "address", State: "ok", Detail: chosen.PublicURL}, settings.Check{Key: "disk", State: "ok"}
	if chosen.PublicURL == "" {
		address.State = "warn"
	}
	for _, free := range []int64{h.Free(ctx), freeOn(h.config.Data)} {
		if free > 0 && free < chosen.MinFree {
			disk.State = "failed"
		}
	}
	return append(checks, address, disk)
}

func (h *health) check(key string, err error) settings.Check {
	if err != nil {
		return settings.Check{Key: key, State: "failed", Detail: "does not answer"}
	}
	return settings.Check{Key: key, State: "ok"}
}

// Proxy implements settings.Health.
func (h *health) Proxy(ctx context.Context) settings.Proxy {
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	word, _ := h.sites.State(ctx)
	p := proxyFacts()[h.config.Router](&h.config)
	p.OK, p.Word = word == "ok", word
	return p
}

// proxyFacts are what the pages say of a router, by --router.
func proxyFacts() map[string]func(*config) settings.Proxy {
	return map[string]func(*config) settings.Proxy{
		"builtin": func(c *config) settings.Proxy {
			return settings.Proxy{Kind: "built_in", Facts: []settings.Fact{
				{Key: "proxy_http", Value: cmp.Or(c.ProxyHTTP, off)}, {Key: "proxy_https", Value: cmp.Or(c.ProxyHTTPS, off)},
			}}
		},
		"npm": func(c *config) settings.Proxy {
			return settings.Proxy{Kind: "npm", Facts: []settings.Fact{{Key: "npm_url", Value: c.NPMURL}, {Key: "proxy_http", Value: c.NPMProxy}}}
		},
	}
}

// Free implements settings.Health.
func (h *health) Free(ctx context.Context) int64 {
	free, err := h.engine.FreeSpace(ctx)
	if err != nil {
		return 0
	}
	return free
}

// freeOn are the bytes that are free on the disk of a folder, 0 when that cannot be told.
func freeOn(dir string) int64 {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(filepath.Clean(dir), &fs); err != nil {
		return 0
	}
	return int64(fs.Bavail) * fs.Bsize
}
