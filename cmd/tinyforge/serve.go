package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"tinyforge"
	"tinyforge/app"
	"tinyforge/app/gitea"
	"tinyforge/app/github"
	"tinyforge/app/gitlab"
	"tinyforge/app/settings"
	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/compose"
	"tinyforge/deploy/docker"
	"tinyforge/deploy/npm"
	"tinyforge/deploy/proxy"
	"tinyforge/deploy/source"
	"tinyforge/templates"
	"tinyforge/webhooks"
)

// forgeKinds are the forges by the kind in their row.
func forgeKinds() map[string]app.Opener {
	return map[string]app.Opener{"github": github.New, "gitea": gitea.New, "forgejo": gitea.New, "gitlab": gitlab.New}
}

// sourceKinds are the sources by the source in the workloads' rows. A nil engine is enough to validate configs. program
// serves static sites.
func sourceKinds(engine *docker.Engine, program string) map[string]deploy.Source {
	return map[string]deploy.Source{
		"compose":    source.NewCompose(compose.NewLoader(engine)),
		"dockerfile": source.NewDockerfile(engine),
		"image":      source.NewImage(engine),
		"static":     source.NewStatic(engine, program),
	}
}

// routerKinds are what can serve the sites, by --router.
func routerKinds() map[string]func(config, *db.DB, string, *slog.Logger) (gateway, error) {
	return map[string]func(config, *db.DB, string, *slog.Logger) (gateway, error){"builtin": newBuiltin, "npm": newOutside, "proxy": newApart}
}

// serve is everything in one process: it is the one place where concrete things meet.
func serve(ctx context.Context, c config, guard *guardedLog, out io.Writer) error {
	log := newLogger(c, guard)
	slog.SetDefault(log) // Caddy has taken the standard logger for itself
	store, release, err := prepare(ctx, c)
	if err != nil {
		return err
	}
	defer release()
	secrets := guardKeeper{guard: guard, db: store, log: log, own: c.secrets()}
	if err := secrets.learn(ctx); err != nil { // before anybody can put it into the log
		return err
	}
	instance, err := store.InstanceID(ctx)
	if err != nil {
		return err
	}
	engine, stacks, closeRuntime, err := openRuntime(c, instance, store.Derive("hash of a release"), log)
	if err != nil {
		return err
	}
	defer closeRuntime()
	router, known, offers, err := openRouter(ctx, c, store, engine, instance, log)
	if err != nil {
		return err
	}
	runtime := runtimesOf(offers, engine, stacks)
	forges := app.NewForges(store, forgeKinds())
	choices := settings.NewChoices(store, c.chosen())
	checkouts := filepath.Join(c.Data, "checkouts")
	deployer := &deploy.Deployer{
		DB: store, Sources: sourceKinds(engine, c.siteProgram()), Runtime: runtime, Images: engine, Router: router,
		Fetcher: fetcher{forges}, Accounts: accounts{forges}, Log: log, Limits: limitsOf(choices), Point: killPoint(), Offers: offers, Known: known,
		Config: deploy.Config{Workers: c.Workers, Liveness: c.Liveness, Drain: c.Drain, Build: c.Build, Workspace: checkouts},
	}
	janitor := deploy.NewJanitor(deployer)
	hooks := webhooks.New(store, forges.OpenRow, log)
	pages, err := newPages(c, settings.Config{DB: store, Log: log, Choices: choices, Forges: forges, Tidy: janitor.Pass,
		Sources: pageSources(deployer.Sources), Runtimes: offers, Code: pageCode{forges, checkouts}, Prober: pageProber{store, runtime}, Releases: pageReleases{store, runtime}, CheckRoute: router.Check,
		Missed: hooks.LookForMissed, LinkCommand: linkCommand(c), Site: siteAddress(router),
		Health: &health{config: c, db: store, engine: engine, sites: router, instance: instance, started: time.Now(), runtimes: offers}})
	if err != nil {
		return err
	}
	control, err := newControl(ctx, c.Listen, c.ListenPublic, controlParts{db: store, hooks: hooks, pages: pages, engine: engine, sites: router, counted: router, log: log})
	if err != nil {
		return err
	}
	chosen := &chosenKeeper{choices: choices, db: store, forges: forges, router: router, address: control.PublicAddr(), log: log, retry: 5 * time.Second}
	if err := chosen.apply(ctx); err != nil && !isAway(err) { // it goes on trying
		return err
	}
	makeNetwork(ctx, deployer.Known, engine, log)
	recovery := recoverFirst(ctx, deployer, log)
	if err := printFirstLink(ctx, store, choices, control.PrivateAddr(), out); err != nil {
		return err
	}
	log.InfoContext(ctx, "tinyforge starts", "version", version(), "data", c.Data, "listen", c.Listen,
		"listen_public", control.PublicAddr(), "router", c.Router, "database", databaseKind(c), "runtimes", offers, "registry", c.Registry)
	stages := append([]stage{
		{"control", control.Run},
		{"runner", deploy.NewRunner(deployer, owner()).Run},
		{"recovery", recovery.Run},
		{"janitor", janitor.Run},
		{"reporter", app.NewReporter(store, forges.Open, choices.PublicURL, log).Run},
		{"hooks", app.NewHookKeeper(store, forges.OpenRow, choices.PublicURL, 10*time.Minute, log).Run},
		{"poller", webhooks.NewPoller(hooks, log).Run},
		{"settings", chosen.Run},
		{"secrets", secrets.Run}, {"registry", checkRegistry(engine.CheckRegistry, log)},
	}, router.Stages()...)
	return runStages(ctx, log, append(stages, stage{"listener", store.Listen})...)
}

// openRuntime is Docker, and what runs stacks on it.
func openRuntime(c config, instance string, hashKey []byte, log *slog.Logger) (engine *docker.Engine, runtime *compose.Runtime, closeBoth func(), err error) {
	images, err := c.registry()
	if err != nil {
		return nil, nil, nil, err
	}
	engine, err = docker.New(docker.Config{Host: c.DockerHost, Instance: instance, Network: c.Network, Log: log, Registry: images, HashKey: hashKey})
	if err != nil {
		return nil, nil, nil, err
	}
	runtime, err = compose.New(compose.Config{
		Host: c.DockerHost, Instance: instance, Network: c.Network, ConfigDir: filepath.Join(c.Data, "docker"), Log: log,
	}, engine)
	if err != nil {
		_ = engine.Close()
		return nil, nil, nil, err
	}
	return engine, runtime, func() { _ = errors.Join(runtime.Close(), engine.Close()) }, nil
}

// openRouter is what serves the sites, with its addresses open, and the runtimes that this process offers, which may be touched as soon
// as known is closed, or at once where it is nil.
func openRouter(ctx context.Context, c config, store *db.DB, engine *docker.Engine, instance string, log *slog.Logger) (router gateway, known <-chan struct{}, offers []string, err error) {
	process, err := identify(ctx, c, store, engine, log)
	if err != nil {
		return nil, nil, nil, err
	}
	router, err = routerKinds()[c.Router](c, store, instance, log)
	if err != nil {
		return nil, nil, nil, err
	}
	router, known = share(ctx, c, store, engine, process, router, log)
	return router, known, process.Runtimes, router.Listen(ctx)
}

// newPages completes the configuration of the pages.
func newPages(c config, p settings.Config) (*settings.Settings, error) {
	texts, err := templates.New(time.Now)
	if err != nil {
		return nil, err
	}
	p.Templates, p.Version, p.MaxReplicas = texts, shortVersion(), c.MaxReplicas
	if p.Apps, err = github.NewApps(tinyforge.AppManifest); err != nil {
		return nil, err
	}
	p.TrustedProxies, err = c.trusted()
	return settings.New(p), err
}

// prepare makes folder and database ready for one server. release closes the database and gives the folder back.
func prepare(ctx context.Context, c config) (store *db.DB, release func(), err error) {
	if store, err = readyStore(ctx, c); err != nil {
		return nil, nil, err
	}
	unlock, err := lockBoth(c)
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	end, err := refuseTwin(ctx, c, store)
	if err != nil {
		unlock()
		return nil, nil, errors.Join(err, store.Close())
	}
	release = func() { _ = store.Close(); end(); unlock() }
	err = deploy.EmptyWorkspace(filepath.Join(c.Data, "checkouts"))
	if err == nil && isSQLite(c) { // nobody else can hold a lease: the lock says so
		_, err = store.BreakLeases(ctx)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return store, release, nil
}

// routeChecks are what the routers say of a route, for who runs none.
func routeChecks() map[string]func(db.Route) error {
	return map[string]func(db.Route) error{"builtin": new(proxy.Table).Check, "npm": new(npm.Router).Check, "proxy": new(proxy.Client).Check}
}

// makeNetwork makes the network of the containers, so that others can be connected to it before the first push. Docker may
// be away, or not be known to be that of the others: then it is made when it is needed.
func makeNetwork(ctx context.Context, known <-chan struct{}, engine *docker.Engine, log *slog.Logger) {
	if known != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := engine.EnsureNetwork(ctx); err != nil {
		log.WarnContext(ctx, "make the network of the containers; it is made when it is needed", "error", err)
	}
}

// recoverFirst fills the route table before anybody connects, and returns what goes on with it. Docker may be away: then it is
// left to that.
func recoverFirst(ctx context.Context, d *deploy.Deployer, log *slog.Logger) *deploy.Recovery {
	recovery := deploy.NewRecovery(d)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := recovery.Pass(ctx); err != nil {
		log.ErrorContext(ctx, "recovery at start; it goes on trying", "error", err)
	}
	return recovery
}

// owner names this process in leases.
func owner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}
