package deploy

import (
	"context"
	"errors"

	"tinyforge/db"
)

// ErrReserved is the cause of a Router's refusal of a host that is Tinyforge's own.
var ErrReserved = errors.New("the host is reserved")

// Sharer is a Router whose routes other processes move too.
type Sharer interface {
	// Since returns a Router that changes no route which somebody else has changed after this call: that is db.ErrMoved. What is
	// decided by rows that were read later than Since so undoes nothing of what another process does meanwhile.
	Since(ctx context.Context) (Router, error)
}

// Lister is a Router that tells in one call where all routes lead: asking for each takes long where there are thousands.
type Lister interface {
	// Targets are the routes by host, in lower case. It returns errors.ErrUnsupported where it cannot tell at present.
	Targets(ctx context.Context) (map[string]Target, error)
}

// Target is a route as the proxy has it.
type Target struct {
	Route    db.Route // without the workload where the proxy does not know that
	Upstream Upstream
	Held     bool // new requests wait
	Pending  bool // it is not so yet in all proxies that share it
}

// Is tells whether an Upsert of this route and upstream would change nothing.
func (t Target) Is(rt db.Route, up Upstream) bool {
	t.Route.Host = rt.Host
	if t.Route.WorkloadID == 0 {
		t.Route.WorkloadID = rt.WorkloadID
	}
	return !t.Held && !t.Pending && t.Upstream == up && t.Route.SameAs(rt)
}

type leaseKey struct{}

// WithLease returns a context under which a Router that keeps its routes in rows changes them for as long only as the deployment is
// under this lease. Then its error is db.ErrLeaseLost.
func WithLease(ctx context.Context, deploymentID int64, owner string) context.Context {
	return context.WithValue(ctx, leaseKey{}, db.Guard{DeploymentID: deploymentID, LeaseOwner: owner})
}

// GuardOf is the condition of WithLease, zero where there is none.
func GuardOf(ctx context.Context) db.Guard {
	g, _ := ctx.Value(leaseKey{}).(db.Guard)
	return g
}
