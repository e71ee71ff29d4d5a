// Package registry keeps images in a folder and gives them to Docker engines: the registry of the CNCF's Distribution, with two
// accounts, one log and a sweep that runs while it serves.
package registry

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // which NewApp finds by its name
	"github.com/sirupsen/logrus"
)

// Config says what a Registry keeps and for whom.
type Config struct {
	Dir      string // the folder; made when absent. One process at a time may have it
	User     string
	Password string // secret

	PullUser     string // may get images and change nothing; "" means nobody
	PullPassword string // secret

	Keep time.Duration // what no image needs goes when nobody has asked for it for so long; longer than a push takes. 0 means 6 h
	Log  *slog.Logger  // nil means slog.Default()
}

// Registry is an http.Handler. It is safe for concurrent use, and whole on disk at every moment, however the process ends.
type Registry struct {
	cfg     Config
	app     http.Handler
	touched *touched
	disk    string // a folder on the disk that may be full

	// sweeping keeps requests that change what is marked, which hold it for reading, apart from a sweep.
	sweeping sync.RWMutex
}

// New opens the registry of a folder. The log of its library, which all the process shares, becomes a part of cfg.Log. What runs
// beside requests ends with ctx.
func New(ctx context.Context, cfg Config) (*Registry, error) {
	if cfg.Dir == "" || cfg.User == "" || cfg.Password == "" || cfg.PullUser != "" && cfg.PullPassword == "" || cfg.PullUser == cfg.User {
		return nil, errors.New("configure registry: the folder, the user or the password is missing")
	}
	cfg.Keep = cmp.Or(cfg.Keep, 6*time.Hour)
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of registry: %w", err)
	}
	logrus.SetOutput(io.Discard)
	logrus.StandardLogger().ReplaceHooks(hooksTo(cfg.Log))
	app, err := newApp(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &Registry{cfg: cfg, app: app, touched: newTouched(), disk: cfg.Dir}, nil
}

// newApp is the library's handler. No cache is asked for: it would remember what a sweep has removed.
func newApp(ctx context.Context, cfg Config) (app http.Handler, err error) {
	defer func() {
		if fault := recover(); fault != nil { // the library's way to refuse a configuration
			err = fmt.Errorf("configure registry: %v", fault)
		}
	}()
	secret := sha256.Sum256([]byte("uploads:" + cfg.Password)) // the same after a restart, so that uploads go on
	c := &configuration.Configuration{Storage: configuration.Storage{
		"filesystem":  {"rootdirectory": cfg.Dir},
		"delete":      {"enabled": true},
		"maintenance": {"uploadpurging": map[any]any{"enabled": false}}, // Sweep does it
	}}
	c.HTTP.Secret = hex.EncodeToString(secret[:])
	c.HTTP.RelativeURLs = true // whatever stands before it
	c.Catalog.MaxEntries = 1000
	return handlers.NewApp(ctx, c), nil
}

// mostManifest is the size in bytes of the largest manifest, which is the library's own limit.
const mostManifest = 4 << 20

// ServeHTTP implements http.Handler.
func (g *Registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	pushes := has(r, g.cfg.User, g.cfg.Password)
	if !pushes && (g.cfg.PullUser == "" || !has(r, g.cfg.PullUser, g.cfg.PullPassword)) {
		w.Header().Set("WWW-Authenticate", `Basic realm="Tinyforge registry"`)
		w.Header().Set("Connection", "close") // it must not keep others from one of the connections there are
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		return
	}
	if !pushes && r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuse(w, http.StatusForbidden, "DENIED", "this account may only pull")
		return
	}
	full := &fullWriter{ResponseWriter: w, dir: g.disk}
	if !pushes { // what is not there is remembered for nobody
		g.app.ServeHTTP(full, r)
		if full.status < 300 {
			g.touched.touch(path.Base(r.URL.Path))
		}
		return
	}
	g.touched.note(r)
	if !changesImages(r) {
		g.app.ServeHTTP(full, r)
		if full.full {
			if err := g.dropUpload(r.URL.Path); err != nil {
				g.cfg.Log.WarnContext(r.Context(), "the disk of the registry is full", "error", err)
			}
		}
		return
	}
	if err := readAhead(w, r); err != nil { // a slow client must not hold up the sweep
		refuse(w, http.StatusRequestEntityTooLarge, "MANIFEST_INVALID", "the manifest cannot be read, or is larger than 4 MiB")
		return
	}
	g.sweeping.RLock()
	g.app.ServeHTTP(full, r)
	g.sweeping.RUnlock()
	if full.status >= 200 && full.status < 300 {
		g.cfg.Log.InfoContext(r.Context(), "image "+map[string]string{http.MethodPut: "stored", http.MethodDelete: "deleted"}[r.Method], "path", r.URL.Path)
	}
}
