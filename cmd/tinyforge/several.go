package main

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"tinyforge/db"
	"tinyforge/deploy/docker"
	"tinyforge/deploy/shared"
)

// several is a gateway of a process that may be one of several on a database: the routes are rows, and each proxy has all of them.
type several struct {
	*shared.Router
	besideRouting
	local gateway
	here  presence
}

// presence is a process as the others on its database see it, before it serves and while its Docker is away.
type presence struct {
	db.Process
	store  *db.DB
	engine *docker.Engine
	log    *slog.Logger
	begin  func() // ends what says that it is there before it serves
	agreed func() // its Docker is known, and that of the others too; it may be called again
}

// always are the loops of every such process, and of one that began without its Docker.
func (p presence) always() []stage {
	watch := stage{"others", func(ctx context.Context) error { shared.Watch(ctx, p.store, p.ID, p.log); return nil }}
	if p.Engine != "" {
		return []stage{watch}
	}
	return []stage{watch, {"identity", func(ctx context.Context) error {
		return identifyLate(ctx, p.store, p.Process, p.engine.Identity, p.agreed)
	}}}
}

// share makes the routes rows where several processes may use the database. Nginx Proxy Manager is one for all of them anyway: of such
// a process the others know that it is there. known is closed as soon as its Docker is that of the others; nil means that it is.
func share(ctx context.Context, c config, store *db.DB, engine *docker.Engine, process db.Process, local gateway, log *slog.Logger) (shares gateway, known <-chan struct{}) {
	if isSQLite(c) {
		return local, nil
	}
	here := presence{process, store, engine, log, shared.Await(ctx, store, process), func() {}}
	if process.Engine == "" {
		agreed := make(chan struct{})
		known, here.agreed = agreed, sync.OnceFunc(func() { close(agreed) })
	}
	table, ok := local.(leader)
	if !ok {
		return present{local, here}, known
	}
	router := shared.New(shared.Config{
		DB: store, Process: process, Local: local, Log: log, Reserved: table.Reserved, Away: isAway,
		Hosts: func() []string { return hostsOf(local, table) },
	})
	if p, ok := local.(replaced); ok {
		p.OnAnother(router.Reread)
	}
	return several{router, local, local, here}, known
}

// replaced is a gateway whose proxy may be another process suddenly, which may have lost its routes.
type replaced interface{ OnAnother(f func()) }

// hostsOf are the hosts with a route that are not Tinyforge's own; none of a proxy that does not answer.
func hostsOf(c counted, table leader) (hosts []string) {
	own, err := table.Reserved()
	if err != nil {
		return nil
	}
	for _, s := range c.Stats() {
		if !slices.Contains(own, s.Host) {
			hosts = append(hosts, s.Host)
		}
	}
	return hosts
}

// Stages implements gateway: the proxy has every route before it serves, and follows until its last request has ended.
func (s several) Stages() []stage {
	proxy := stage{"proxy", func(ctx context.Context) error {
		s.here.begin()
		return s.Run(ctx, func(ctx context.Context) error {
			group, ctx := errgroup.WithContext(ctx)
			for _, stage := range s.local.Stages() {
				group.Go(func() error { return stage.run(ctx) })
			}
			return group.Wait()
		})
	}}
	return append(s.here.always(), proxy, stage{"presence", s.Stay})
}

// present is a gateway of a process that tells others that it is there.
type present struct {
	gateway
	here presence
}

// Stages implements gateway.
func (p present) Stages() []stage {
	return append(append(p.here.always(), p.gateway.Stages()...), stage{"presence", func(ctx context.Context) error {
		p.here.begin()
		return shared.Attend(ctx, p.here.store, p.here.Process)
	}})
}
