package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"tinyforge/db"
)

// routes are those that lead to what serves, as the rows have them this moment, since hosts and options may be changed while
// a deployment is in progress: the workload's own, and those of hosts that it has given back and nobody else has taken, until
// the recovery takes them away. They keep the options: what asked for a password must not be open for its last moments.
func (j *job) routes(ctx context.Context) ([]db.Route, error) {
	w, err := j.DB.Workload(ctx, j.workload.ID)
	if err != nil || j.blue == nil { // without blue, hosts that were given back never led anywhere
		return w.Routes(), err
	}
	leaving, err := j.DB.LeavingHosts(ctx, w.ID)
	routes := w.Routes()
	for _, host := range leaving {
		routes = append(routes, db.Route{WorkloadID: w.ID, Host: host, RouteOptions: w.Routing.RouteOptions})
	}
	return routes, err
}

// checkRoutes says early what the router would refuse in the end: it may be another one than when the workload was saved.
func (j *job) checkRoutes(ctx context.Context) error {
	w, err := j.DB.Workload(ctx, j.workload.ID)
	for _, route := range w.Routes() {
		if err := j.Router.Check(route); err != nil {
			return &Failure{Text: fmt.Sprintf("The router cannot serve %s: %v", route.Host, err), Fault: FaultOf("route_refused", "host", route.Host)}
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

// known is where a release answers by what its runtime knows and, of what that does not know any more, by where routes led until now.
func known(ctx context.Context, router Router, routes []db.Route, in Instance) (Upstream, error) {
	if in.Elsewhere == "" {
		return in.Upstream, nil
	}
	addrs := in.Upstream.Addrs()
	for _, rt := range routes {
		current, err := router.Current(ctx, rt)
		if err != nil && !errors.Is(err, ErrNoRoute) {
			return Upstream{}, err
		}
		for _, addr := range current.Addrs() {
			host, _, _ := net.SplitHostPort(addr)
			if current.Name == string(in.ID) && slices.Contains(strings.Split(in.Elsewhere, ","), host) {
				addrs = append(addrs, addr)
			}
		}
	}
	if len(addrs) == 0 {
		return Upstream{}, nil
	}
	slices.Sort(addrs)
	return Upstream{Name: string(in.ID), Addr: strings.Join(slices.Compact(addrs), ","), Port: in.Upstream.Port}, nil
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

// notTaken gives what a router says of a route the code for it.
func notTaken(route db.Route, err error) error {
	said, ok := errors.AsType[*Failure](err)
	if !ok || said.Fault != nil {
		return err
	}
	return &Failure{Text: said.Text, Fault: FaultOf("route_refused", "host", route.Host), Err: err}
}

func (j *job) pointAll(ctx context.Context, routes []db.Route, up Upstream) error {
	for _, route := range routes {
		if err := j.Router.Upsert(ctx, route, up); err != nil {
			return fmt.Errorf("move route: %w", notTaken(route, err))
		}
		j.log.Printf("%s goes to %s", route.Host, cmp.Or(up.Name, "nobody"))
	}
	return nil
}
