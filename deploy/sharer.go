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
