package deploy

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"tinyforge/db"
)

// route does to each route what the tables say. One that cannot be moved keeps the others from nothing.
func (p *patient) route(ctx context.Context, v routesVerb) error {
	if v == routesLeave {
		return nil
	}
	errs := p.routeAll(ctx, v)
	if v == routesPoint || v == routesClear {
		errs = append(errs, p.leaveHosts(ctx))
	}
	return errors.Join(errs...)
}

func (p *patient) routeAll(ctx context.Context, v routesVerb) (errs []error) {
	p.hosts.RLock()
	defer p.hosts.RUnlock()
	has, err := p.DB.HostsOf(ctx, p.w.ID)
	if err != nil {
		return []error{err}
	}
	for _, rt := range p.w.Routes() {
		errs = append(errs, p.routeOne(ctx, v, rt, slices.Contains(has, rt.Host)))
	}
	return errs
}

// routeOne points a route without knowing where it points, where the proxy does not tell. One of a host that was given away since the
// workload's row was read leads to another one.
func (p *patient) routeOne(ctx context.Context, v routesVerb, rt db.Route, has bool) error {
	if v == routesClear {
		return p.Router.Upsert(ctx, rt, Upstream{})
	}
	at, was, unknown := p.look(ctx, rt)
	if unknown != nil && v != routesPoint {
		return unknown
	}
	switch decideRoute(v, at) {
	case routeLive:
		if !has {
			return nil
		}
		err := p.Router.Upsert(ctx, rt, p.upstream())
		if err == nil && unknown == nil {
			p.report(ctx, rt, at, was)
		}
		return err
	case routeHold:
		if err := p.Router.Hold(ctx, rt); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return nil
}

// look tells where a route really points.
func (p *patient) look(ctx context.Context, rt db.Route) (target, Upstream, error) {
	current, err := p.Router.Current(ctx, rt)
	switch {
	case errors.Is(err, ErrNoRoute):
		return targetAbsent, current, nil
	case err != nil:
		return targetForeign, current, err
	}
	return targetOf(current, p.upstream(), p.made), current, nil
}

// made tells whether a name is that of a release of the workload, be it there or not.
func (p *patient) made(name string) bool {
	id, err := strconv.ParseInt(name[strings.LastIndex(name, "-")+1:], 10, 64)
	return err == nil && name == string(BuildGreenName(p.w.Name, id))
}

func (p *patient) report(ctx context.Context, rt db.Route, at target, was Upstream) {
	log := p.Log.With("host", rt.Host, "was", nameOf(was), "is", nameOf(p.upstream()))
	switch at {
	case targetForeign:
		log.WarnContext(ctx, "put a route back that somebody changed")
	case targetAnother, targetMoved:
		log.InfoContext(ctx, "correct route")
	}
}

func nameOf(up Upstream) string {
	if up == (Upstream{}) {
		return "none"
	}
	return strings.TrimSpace(up.Name + " " + up.Addr)
}

// leaveHosts takes the routes away of hosts that the workload has no more, unless another one has them by now.
func (p *patient) leaveHosts(ctx context.Context) error {
	leaving, err := p.DB.LeavingHosts(ctx, p.w.ID)
	if err != nil {
		return err
	}
	for _, host := range leaving {
		if err := p.leaveHost(ctx, host); err != nil {
			return err
		}
	}
	return nil
}

func (p *patient) leaveHost(ctx context.Context, host string) error {
	p.hosts.Lock()
	defer p.hosts.Unlock()
	leaving, err := p.DB.LeavingHosts(ctx, p.w.ID)
	if err != nil || !slices.Contains(leaving, host) { // another one may have claimed it while we waited
		return err
	}
	if err := p.Router.Delete(ctx, db.Route{WorkloadID: p.w.ID, Host: host}); err != nil {
		return err
	}
	return p.DB.ForgetHost(ctx, p.w.ID, host)
}
