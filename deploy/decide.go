package deploy

import (
	"tinyforge/db"
)

// What the recovery does about a workload is decided here, from what it has found out and from nothing else. R is the
// release that the runtime state row names; "one" is any deployment.
//
//	deleted  in progress  row  R          routes  R      others
//	yes      one          any  any        leave   leave  leave   its runner undoes the deployment first
//	yes      none         any  any        delete  -      remove  R too, then the rows
//	no       one          no   -          leave   -      leave   its runner moves the routes from nobody to the first release
//	no       none         no   -          clear   -      remove  nothing was ever live
//	no       in place     yes  any        hold    leave  leave   R may be stopped, or half replaced, on purpose
//	no       led          yes  runs       fill    leave  leave   another process moves the routes and goes on or back, and
//	                                                             its recovery starts R
//	no       led          yes  otherwise  fill    leave  leave
//	no       led          yes  does not   leave   leave  leave
//	no       beside       yes  runs       point   leave  leave   the deployment's release, or the one it drains, runs besides
//	no       beside       yes  otherwise  point   leave  leave   it may be scaled on purpose
//	no       beside       yes  does not   point   start  leave
//	no       none         yes  runs       point   leave  remove
//	no       none         yes  otherwise  point   start  remove  nobody has finished the undo of a scaling
//	no       none         yes  does not   point   start  remove
//
// And to one route, by where the proxy really points:
//
//	         no route  nobody  R     R's address of before  another, gone, or somebody else's
//	leave    -         -       -     -                      -
//	fill     to R      to R    -     to R                   -
//	hold     hold      hold    -     -                      -
//	point    to R      to R    to R  to R                   to R, and it is logged
//	clear    to nobody, whatever it is
//	delete   of hosts that the workload has given back: deleted, whatever it is
//
// Where several processes move the same routes (see Sharer), each of these is done only while nobody else has changed the route since
// before the facts were found out: what another process does under its lease is not undone by what was true before.
//
// What is started, and what a deleted workload loses, is decided once more while no deployment goes on beyond building in any process
// (see Recovery.keep).
//
// R's address is what its runtime knows and, of what that has forgotten, where its routes led (see known): R runs then too.
//
// A route that points to R may be held, which Current does not tell of: pointing it there once more lets the requests go. While R
// does not run, "point" leads to nobody: the address that R had may be another container's by now. A stack of which only another
// service is down is led to, and started. Nothing is removed that R's row names or that a route points to after that, and
// removing is by the name of a release of ours.

// facts are what the recovery knows of a workload when it decides.
type facts struct {
	deleted bool
	row     bool // the runtime state row names a release
	runs    runs // and what that one does
	work    work
}

// runs is what a release does.
type runs string

const (
	runsNot   runs = "does not"  // or it has no address
	runsOther runs = "otherwise" // and has an address, but is to run more often than its row says, or less
	runsSo    runs = "runs"
)

// work is how far a deployment in progress is, as far as it concerns what serves.
type work string

const (
	workNone    work = "none"
	workInPlace work = "in place" // before the commit point, and it ends what serves before its own release runs
	workLed     work = "led"      // before the commit point, beside what serves, under the lease of another process that lives
	workBeside  work = "beside"   // it builds, or its process is dead or this one, or it is committed
)

// workOf tells how far dep is; nil is none. Led means that it is under the lease of another process. Under one of this process
// the runner does not touch the routes before it has the workload back.
func workOf(dep *db.Deployment, state *db.RuntimeState, led bool) work {
	switch {
	case dep == nil:
		return workNone
	case dep.Phase == db.PhaseBuilding || dep.Phase.Committed():
		return workBeside
	case dep.Strategy == db.Recreate, dep.Strategy == db.Stack && state != nil && state.Release.Stack != nil:
		return workInPlace
	case led:
		return workLed
	}
	return workBeside
}

// action is what the recovery does about a workload.
type action struct {
	routes routesVerb
	start  bool // R, alone
	remove bool // every other release of the workload
}

type routesVerb string

const (
	routesLeave  routesVerb = "leave"
	routesFill   routesVerb = "fill"
	routesHold   routesVerb = "hold"
	routesPoint  routesVerb = "point"
	routesClear  routesVerb = "clear"
	routesDelete routesVerb = "delete"
)

// decide is the table.
func decide(f facts) action {
	switch {
	case f.deleted && f.work == workNone:
		return action{routes: routesDelete, remove: true}
	case f.deleted:
		return action{routes: routesLeave}
	case !f.row && f.work == workNone:
		return action{routes: routesClear, remove: true}
	case !f.row:
		return action{routes: routesLeave}
	case f.work == workInPlace:
		return action{routes: routesHold}
	case f.work == workLed && f.runs == runsNot:
		return action{routes: routesLeave}
	case f.work == workLed:
		return action{routes: routesFill}
	}
	start := f.runs == runsNot || f.runs == runsOther && f.work == workNone
	return action{routes: routesPoint, start: start, remove: f.work == workNone}
}

// target is where a route really points.
type target string

const (
	targetAbsent  target = "no route"
	targetNobody  target = "nobody"
	targetLive    target = "what serves"
	targetMoved   target = "an address of before"
	targetAnother target = "another release"
	targetForeign target = "somebody else's" // what is no release of the workload
)

// routeVerb is what is done to one route.
type routeVerb string

const (
	routeLeave routeVerb = "leave"
	routeLive  routeVerb = "to what serves"
	routeHold  routeVerb = "hold"
)

// decideRoute is the second table, for routes of hosts that the workload has, and R's address as it is now.
func decideRoute(v routesVerb, t target) routeVerb {
	nowhere := t == targetAbsent || t == targetNobody
	switch {
	case v == routesPoint, v == routesFill && (nowhere || t == targetMoved):
		return routeLive
	case v == routesHold && nowhere:
		return routeHold
	}
	return routeLeave
}

// targetOf tells where a route points whose proxy says current; live is where R answers. Some proxies know of an upstream
// either the name or the address.
func targetOf(current, live Upstream, ours func(name string) bool) target {
	same := func(a, b string) bool { return a == b || a == "" || b == "" }
	switch {
	case current == Upstream{}:
		return targetNobody
	case live != Upstream{} && same(current.Name, live.Name) && same(current.Addr, live.Addr):
		return targetLive
	case live.Name != "" && current.Name == live.Name:
		return targetMoved
	case ours(current.Name):
		return targetAnother
	}
	return targetForeign
}
