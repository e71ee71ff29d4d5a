package deploy

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"tinyforge/db"
)

// routes returns the workload's routes as its rows have them this moment, since hosts and options may be changed while a
// deployment is in progress: its own, none when it is deleted, and those of hosts that it has given back and nobody else has
// taken, which may still lead to what serves. They keep the options: what asked for a password must not be open for its
// last moments.
func (d *Deployer) routes(ctx context.Context, workloadID int64) (own, leaving []db.Route, err error) {
	w, err := d.DB.Workload(ctx, workloadID)
	if err != nil {
		return nil, nil, err
	}
	if w.DeletedAt == nil {
		own = w.Routes()
	}
	hosts, err := d.DB.LeavingHosts(ctx, workloadID)
	for _, host := range hosts {
		leaving = append(leaving, db.Route{WorkloadID: workloadID, Host: host, RouteOptions: w.Routing.RouteOptions})
	}
	return own, leaving, err
}

// routes are those that lead to what serves. The leaving ones are taken away by the recovery, as soon as nothing needs them.
func (j *job) routes(ctx context.Context) ([]db.Route, error) {
	own, leaving, err := j.Deployer.routes(ctx, j.workload.ID)
	if j.blue == nil {
		leaving = nil // they never led anywhere
	}
	return append(own, leaving...), err
}

// checkRoutes says early what the router would refuse in the end: it may be another one than when the workload was saved.
func (j *job) checkRoutes(ctx context.Context) error {
	own, _, err := j.Deployer.routes(ctx, j.workload.ID)
	for _, route := range own {
		if err := j.Router.Check(route); err != nil {
			return &Failure{Text: fmt.Sprintf("The router cannot serve %s: %v", route.Host, err)}
		}
	}
	return err
}

// point upserts the workload's routes.
func (j *job) point(ctx context.Context, up Upstream) error {
	routes, err := j.routes(ctx)
	if err != nil {
		return err
	}
	return j.pointAll(ctx, routes, up)
}

// pointBack upserts the workload's routes, but for those that the router refuses and so has never moved.
func (j *job) pointBack(ctx context.Context, up Upstream) error {
	routes, err := j.routes(ctx)
	if err != nil {
		return err
	}
	refused := func(rt db.Route) bool { return j.Router.Check(rt) != nil }
	return j.pointAll(ctx, slices.DeleteFunc(routes, refused), up)
}

func (j *job) pointAll(ctx context.Context, routes []db.Route, up Upstream) error {
	for _, route := range routes {
		if err := j.Router.Upsert(ctx, route, up); err != nil {
			return fmt.Errorf("move route: %w", err)
		}
		j.log.Printf("%s goes to %s", route.Host, cmp.Or(up.Name, "nobody"))
	}
	return nil
}
