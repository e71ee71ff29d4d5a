package db

import (
	"context"
	"slices"
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
}

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
	var theirs *bun.SelectQuery // deliveries of one repository
	if del.RepositoryID != 0 {
		theirs = d.bun.NewSelect().Model((*Repository)(nil)).Column("id").Where("id = ?", del.RepositoryID)
	}
	return d.record(ctx, del, theirs, func(ctx context.Context, tx bun.Tx, del *Delivery) ([]int64, error) {
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
	})
}

// moves tells whether a delivery is of a ref that we know, which it may be too late to move.
func (del *Delivery) moves() bool { return del.RepositoryID != 0 && del.Ref != "" }

// EnqueueInstallation records a delivery that changes what we may see, and the change, in one transaction.
func (d *DB) EnqueueInstallation(ctx context.Context, del *Delivery, c InstallationChange) (Enqueued, error) {
	return d.record(ctx, del, nil, func(ctx context.Context, tx bun.Tx, _ *Delivery) ([]int64, error) {
		return nil, applyInstallationChange(ctx, tx, c)
	})
}

// record judges and inserts a delivery, unless its id is known, and does what is to come of it, in one transaction. act may be
// called again, and writes into its delivery what was decided. Those with the same row in theirs come one after the other; nil is
// for those in whose order nothing lies.
func (d *DB) record(ctx context.Context, del *Delivery, theirs *bun.SelectQuery,
	act func(ctx context.Context, tx bun.Tx, del *Delivery) (queued []int64, err error),
) (out Enqueued, err error) {
	del.clean()
	var recorded Delivery
	err = d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		recorded, out = *del, Enqueued{}
		if theirs != nil && d.postgres() { // on SQLite all come one after the other
			if err := d.forUpdate(theirs.Conn(tx)).Scan(ctx, new(int64)); err != nil {
				return err
			}
		}
		if err := judge(ctx, tx, &recorded); err != nil {
			return err
		}
		known, err := d.insertDelivery(ctx, tx, &recorded)
		switch {
		case err != nil:
			return err
		case known != nil:
			out = Enqueued{Duplicate: true, Decision: known.Decision}
			return nil
		}
		accepted, decision := recorded.Accepted, recorded.Decision
		out.Deployments, err = act(ctx, tx, &recorded)
		if out.Decision = recorded.Decision; err != nil || out.Decision == decision && recorded.Accepted == accepted {
			return err
		}
		_, err = tx.NewUpdate().Model(&recorded).Column("accepted", "decision").WherePK().Exec(ctx)
		return err
	})
	if err != nil {
		return Enqueued{}, found("record delivery", err)
	}
	*del = recorded
	if len(out.Deployments) > 0 {
		d.notify(ctx, TopicQueued)
		d.notify(ctx, TopicPhase)
	}
	return out, nil
}

// insertDelivery returns the delivery that has the id already, if there is one.
func (d *DB) insertDelivery(ctx context.Context, tx bun.Tx, del *Delivery) (known *Delivery, err error) {
	del.ReceivedAt = now()
	inserted, err := affected(tx.NewInsert().Model(del).On("CONFLICT (forge_id, external_id) DO NOTHING").Exec(ctx))
	if foreignKeyViolation(err) { // of a forge or a repository that was deleted meanwhile
		err = ErrNotFound
	}
	if err != nil || inserted {
		return nil, err
	}
	known = new(Delivery)
	err = tx.NewSelect().Model(known).Where("forge_id = ? AND external_id = ?", del.ForgeID, del.ExternalID).Scan(ctx)
	return known, err
}

// judge compares a push with what was delivered before for the same ref, and accepts it or says in Decision why it must not move
// anything.
func judge(ctx context.Context, tx bun.Tx, del *Delivery) error {
	if !del.moves() {
		return nil
	}
	refusal, err := refuse(ctx, tx, *del)
	if del.Accepted = err == nil && refusal == ""; refusal != "" {
		del.Decision = refusal
	}
	return err
}

func refuse(ctx context.Context, tx bun.Tx, del Delivery) (refusal string, err error) {
	earlier := func(what string) *bun.SelectQuery {
		return tx.NewSelect().Model((*Delivery)(nil)).ColumnExpr(what).Where("repository_id = ? AND ref = ?", del.RepositoryID, del.Ref)
	}
	ends := bun.List([]string{del.Before, del.After})
	ids := earlier("max(id)").Where("accepted").
		UnionAll(earlier("id").Where("before IN (?)", ends)).UnionAll(earlier("id").Where("after IN (?)", ends)) // each by its index
	var known []Delivery
	if err := tx.NewSelect().Model(&known).Where("id IN (?)", ids).Order("id").Scan(ctx); err != nil {
		return "", err
	}
	for _, last := range slices.Backward(known) {
		if last.Accepted {
			return order(last, del, slices.DeleteFunc(known, func(d Delivery) bool { return !d.touches(del) })), nil
		}
	}
	return "", nil
}
