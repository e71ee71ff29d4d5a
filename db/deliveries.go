package db

import (
	"context"
	"errors"
	"time"

	"github.com/uptrace/bun"
)

// Delivery is one authentic webhook request that was recorded. (ForgeID, ExternalID) is unique.
type Delivery struct {
	ID           int64 `bun:",pk,autoincrement"`
	ForgeID      int64
	ExternalID   string // the forge's id of the delivery
	Event        string // "push", "installation"
	RepositoryID int64  `bun:",nullzero"` // 0 where it concerns no repository we know
	Ref          string
	Before       string // full hash; zeros or "" when the ref is new
	After        string // full hash; zeros when the ref was deleted
	Accepted     bool   // it moved its ref: not a duplicate, not older than what was known
	Decision     string // what was done with it and why, in words
	ReceivedAt   time.Time

	// Seen is what the delivery says of its repository where that is news, nil otherwise. It is saved with the delivery
	// when that is accepted: a copy that comes late must not bring an old name back.
	Seen *Repository `bun:"-"`

	// Under is the Sealed of the forge's row under which the delivery was verified: it is not recorded when that is not what it is
	// any more. nil is for one that nobody needs to verify.
	Under []byte `bun:"-"`
}

// ErrForgeStale is returned for a delivery that was verified under what its forge's row was before.
var ErrForgeStale = errors.New("the forge has changed since it was verified")

// Enqueued is what became of a delivery.
type Enqueued struct {
	Duplicate   bool   // its id was known already: nothing was done
	Decision    string // of this delivery, or of the first one with its id
	Deployments []int64
}

// Enqueue records a delivery and queues a deployment for each workload it moves, in one transaction: when it returns
// without error, the push is not lost. del.Decision says why there are no deployments, where there are none.
//
// Nothing is queued for a duplicate (by id, or the same push sent by two hooks), for a push that is older than what was
// delivered before it, and where the commit is live already. Older queued deployments of the workloads are superseded.
// Of each deployment WorkloadID, Ref, Commit, Message and Author are read.
func (d *DB) Enqueue(ctx context.Context, del *Delivery, deployments []Deployment) (Enqueued, error) {
	return d.take(ctx, &arrival{del: del, deployments: deployments, act: d.queuePush})
}

// Aim says what a push of a repository asks for: it returns the deployments, and writes into the delivery what is decided where there
// are none, and Seen. repo is the zero Repository where it is not known. Of the workloads Name, RepositoryID, RefPattern, Paths and
// Enabled are there. It may be called more than once.
type Aim func(del *Delivery, repo Repository, workloads []Workload) []Deployment

// EnqueuePush is Enqueue for a push of the repository that the forge knows by this id, and for what its workloads are then.
func (d *DB) EnqueuePush(ctx context.Context, del *Delivery, externalID int64, aim Aim) (Enqueued, error) {
	return d.take(ctx, &arrival{del: del, externalID: externalID, aim: aim, act: d.queuePush})
}

func (d *DB) queuePush(ctx context.Context, tx bun.Tx, del *Delivery, deployments []Deployment) ([]int64, error) {
	if del.Accepted && del.Seen != nil {
		if err := saveRepository(ctx, tx, del.Seen); err != nil {
			return nil, err
		}
	}
	if len(deployments) == 0 || !del.Accepted && del.moves() {
		return nil, nil
	}
	decision, queued, err := d.queueAll(ctx, tx, *del, deployments)
	del.Decision = decision
	return queued, err
}

// moves tells whether a delivery is of a ref that we know, which it may be too late to move.
func (del *Delivery) moves() bool { return del.RepositoryID != 0 && del.Ref != "" }

// EnqueueInstallation records a delivery that changes what we may see, and the change, in one transaction.
func (d *DB) EnqueueInstallation(ctx context.Context, del *Delivery, c InstallationChange) (Enqueued, error) {
	return d.take(ctx, &arrival{del: del, act: func(ctx context.Context, tx bun.Tx, _ *Delivery, _ []Deployment) ([]int64, error) {
		return nil, applyInstallationChange(ctx, tx, c)
	}})
}
