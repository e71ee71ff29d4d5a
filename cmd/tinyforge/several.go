package main

import (
	"context"
	"log/slog"
	"slices"

	"golang.org/x/sync/errgroup"

	"tinyforge/db"
	"tinyforge/deploy/shared"
)

// several is a gateway of a process that may be one of several on a database: the routes are rows, and each proxy has all of them.
type several struct {
	*shared.Router
	besideRouting
	local gateway
}

// share makes the routes rows where several processes may use the database. Nginx Proxy Manager is one for all of them anyway: of such
// a process the others know that it is there.
func share(c config, store *db.DB, process db.Process, local gateway, log *slog.Logger) gateway {
	table, ok := local.(leader)
	switch {
	case isSQLite(c):
		return local
	case !ok:
		return present{local, store, process, log}
	}
	router := shared.New(shared.Config{
		DB: store, Process: process, Local: local, Log: log, Reserved: table.Reserved, Away: isAway,
		Hosts: func() []string { return hostsOf(local, table) },
	})
	if p, ok := local.(replaced); ok {
		p.OnAnother(router.Reread)
	}
	return several{router, local, local}
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
	return []stage{{"proxy", func(ctx context.Context) error {
		return s.Run(ctx, func(ctx context.Context) error {
			group, ctx := errgroup.WithContext(ctx)
			for _, stage := range s.local.Stages() {
				group.Go(func() error { return stage.run(ctx) })
			}
			return group.Wait()
		})
	}}}
}

// present is a gateway of a process that tells others that it is there.
type present struct {
	gateway
	store   *db.DB
	process db.Process
	log     *slog.Logger
}

// Stages implements gateway.
func (p present) Stages() []stage {
	return append(p.gateway.Stages(), stage{"presence", func(ctx context.Context) error {
		return shared.Attend(ctx, p.store, p.process, p.log)
	}})
}
