package db

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/uptrace/bun"
)

// intakeMost is how many deliveries are recorded in one transaction.
const intakeMost = 64

// intake records deliveries that wait for each other in one transaction, whose statements are of all of them: what a statement costs by
// itself is most of what a delivery does.
type intake = crowd[*arrival]

// arrival is a delivery on its way into the database.
type arrival struct {
	del *Delivery

	// aim finds the deployments that a push asks for, of the repository which the forge knows as externalID, with its workloads. It
	// may be called again. Where it is nil, del and deployments say all.
	aim         Aim
	externalID  int64
	deployments []Deployment
	ofForge     bool // its order among those of its forge matters, not of a repository

	// act does what is to come of a delivery that is recorded now, and writes into it what was decided. It may be called again.
	act func(ctx context.Context, tx bun.Tx, del *Delivery, deployments []Deployment) (queued []int64, err error)

	recorded Delivery
	asked    []Deployment
	first    *arrival // with the same id; nil means this one
	stale    bool     // its forge has changed: it is not recorded
	out      Enqueued
}

// errRaced is the end of a transaction in which somebody else has recorded a delivery of the same id.
var errRaced = errors.New("recorded meanwhile")

// take records a delivery, unless its id is known, and does what is to come of it.
func (d *DB) take(ctx context.Context, a *arrival) (Enqueued, error) {
	a.del.clean()
	err := d.intake.join(ctx, a,
		func(ctx context.Context) error { return d.record(ctx, []*arrival{a}) },
		d.recordTogether)
	if err == nil && a.stale {
		err = ErrForgeStale
	}
	if err != nil {
		return Enqueued{}, found("record delivery", err)
	}
	*a.del = a.recorded
	return a.out, nil
}

// recordTogether heeds nobody's context once it has begun.
func (d *DB) recordTogether(members []*member[*arrival]) error {
	var arrivals []*arrival
	for _, m := range members {
		if m.err = m.ctx.Err(); m.err == nil {
			arrivals = append(arrivals, m.what)
		}
	}
	if len(arrivals) == 0 {
		return nil
	}
	return d.record(context.Background(), arrivals)
}

// record is for all or none.
func (d *DB) record(ctx context.Context, arrivals []*arrival) error {
	err := errRaced
	for range 3 {
		if err = d.tx(ctx, func(ctx context.Context, tx bun.Tx) error { return d.recordIn(ctx, tx, arrivals) }); !errors.Is(err, errRaced) {
			break
		}
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(arrivals, func(a *arrival) bool { return len(a.out.Deployments) > 0 }) {
		d.notify(ctx, TopicQueued, TopicPhase)
	}
	return nil
}

func (d *DB) recordIn(ctx context.Context, tx bun.Tx, arrivals []*arrival) error {
	for _, a := range arrivals {
		a.recorded, a.asked, a.first, a.stale, a.out = *a.del, a.deployments, nil, false, Enqueued{}
	}
	if len(arrivals) > 1 && d.postgres() { // or who waits for a row that somebody else holds would stop all others
		if _, err := tx.ExecContext(ctx, "SET LOCAL lock_timeout = '1s'"); err != nil {
			return err
		}
	}
	arrivals, err := upToDate(ctx, tx, arrivals)
	if err != nil || len(arrivals) == 0 {
		return err
	}
	if err := d.lookUp(ctx, tx, arrivals); err != nil {
		return err
	}
	fresh, err := judge(ctx, tx, arrivals)
	if err != nil {
		return err
	}
	if err := insertDeliveries(ctx, tx, fresh); err != nil {
		return err
	}
	for _, a := range fresh {
		if err := a.finish(ctx, tx); err != nil {
			return err
		}
	}
	for _, a := range arrivals {
		if a.first != nil {
			a.out = Enqueued{Duplicate: true, Decision: a.first.recorded.Decision}
		}
	}
	return nil
}

// finish does what comes of a recorded delivery.
func (a *arrival) finish(ctx context.Context, tx bun.Tx) (err error) {
	accepted, decision := a.recorded.Accepted, a.recorded.Decision
	if a.act != nil {
		a.out.Deployments, err = a.act(ctx, tx, &a.recorded, a.asked)
	}
	if a.out.Decision = a.recorded.Decision; err != nil || a.out.Decision == decision && a.recorded.Accepted == accepted {
		return err
	}
	_, err = tx.NewUpdate().Model(&a.recorded).Column("accepted", "decision").WherePK().Exec(ctx)
	return err
}

// upToDate returns those whose forge is what it was when they were verified.
func upToDate(ctx context.Context, tx bun.Tx, arrivals []*arrival) (fine []*arrival, err error) {
	var ids []int64
	for _, a := range arrivals {
		if a.del.Under != nil && !slices.Contains(ids, a.del.ForgeID) {
			ids = append(ids, a.del.ForgeID)
		}
	}
	if len(ids) == 0 {
		return arrivals, nil
	}
	var forges []Forge
	if err := tx.NewSelect().Model(&forges).Column("id", "sealed").Where("id IN (?)", bun.List(ids)).Scan(ctx); err != nil {
		return nil, err
	}
	for _, a := range arrivals {
		a.stale = a.del.Under != nil && !slices.ContainsFunc(forges, func(f Forge) bool {
			return f.ID == a.del.ForgeID && bytes.Equal(f.Sealed, a.del.Under)
		})
		if !a.stale {
			fine = append(fine, a)
		}
	}
	return fine, nil
}

// lookUp finds the repositories of the deliveries, and what they ask for. On PostgreSQL those of one repository, or forge, come one
// after the other from then on; on SQLite all do.
func (d *DB) lookUp(ctx context.Context, tx bun.Tx, arrivals []*arrival) error {
	var wanted []bun.TupleValues
	var ids, forges []int64
	for _, a := range arrivals {
		switch {
		case a.aim != nil:
			wanted = append(wanted, bun.Tuple([]int64{a.del.ForgeID, a.externalID}))
		case a.del.RepositoryID != 0:
			ids = append(ids, a.del.RepositoryID)
		case a.ofForge:
			forges = append(forges, a.del.ForgeID)
		}
	}
	if err := errors.Join(d.lock(ctx, tx, (*Forge)(nil), forges), d.lock(ctx, tx, (*Repository)(nil), ids)); err != nil {
		return err
	}
	if len(wanted) == 0 {
		return nil
	}
	var repositories []Repository
	err := d.forUpdate(tx.NewSelect().Model(&repositories).
		Where("(forge_id, external_id) IN (VALUES ?)", bun.List(wanted)).Order("id")).Scan(ctx)
	if err != nil {
		return err
	}
	workloads, err := followers(ctx, tx, repositories)
	if err != nil {
		return err
	}
	for _, a := range arrivals {
		if a.aim == nil {
			continue
		}
		var repo Repository
		if i := slices.IndexFunc(repositories, func(r Repository) bool { return r.ForgeID == a.del.ForgeID && r.ExternalID == a.externalID }); i >= 0 {
			repo = repositories[i]
		}
		a.recorded.RepositoryID = repo.ID
		a.asked = a.aim(&a.recorded, repo, workloads[repo.ID])
		a.recorded.clean()
	}
	return nil
}

// lock locks rows of a model on PostgreSQL.
func (d *DB) lock(ctx context.Context, tx bun.Tx, model any, ids []int64) error {
	if len(ids) == 0 || !d.postgres() {
		return nil
	}
	return d.forUpdate(tx.NewSelect().Model(model).Column("id").Where("id IN (?)", bun.List(ids)).Order("id")).Scan(ctx, new([]int64))
}

// followers are the workloads of some repositories, by the ID of those, with what says which pushes they follow: nothing of them is
// unsealed.
func followers(ctx context.Context, tx bun.Tx, repositories []Repository) (map[int64][]Workload, error) {
	if len(repositories) == 0 {
		return nil, nil
	}
	var ids []int64
	for _, r := range repositories {
		ids = append(ids, r.ID)
	}
	var list []Workload
	err := tx.NewSelect().Model(&list).Column("id", "name", "repository_id", "ref_pattern", "paths", "enabled").
		Where("repository_id IN (?) AND deleted_at IS NULL", bun.List(ids)).Order("name").Scan(ctx)
	of := map[int64][]Workload{}
	for _, w := range list {
		of[w.RepositoryID] = append(of[w.RepositoryID], w)
	}
	return of, err
}

// identity is what no two deliveries share.
type identity struct {
	forgeID    int64
	externalID string
}

func (del *Delivery) identity() identity { return identity{del.ForgeID, del.ExternalID} }

// insertDeliveries gives them their ids.
func insertDeliveries(ctx context.Context, tx bun.Tx, fresh []*arrival) error {
	if len(fresh) == 0 {
		return nil
	}
	t := now()
	var rows []*Delivery
	for _, a := range fresh {
		a.recorded.ReceivedAt = t
		rows = append(rows, &a.recorded)
	}
	var inserted []Delivery
	err := tx.NewInsert().Model(&rows).On("CONFLICT (forge_id, external_id) DO NOTHING").
		Returning("id, forge_id, external_id").Scan(ctx, &inserted)
	switch {
	case foreignKeyViolation(err): // of a forge or a repository that was deleted meanwhile
		return ErrNotFound
	case err != nil:
		return err
	case len(inserted) < len(fresh):
		return errRaced
	}
	ids := map[identity]int64{}
	for _, del := range inserted {
		ids[del.identity()] = del.ID
	}
	for _, a := range fresh {
		a.recorded.ID = ids[a.recorded.identity()]
	}
	return nil
}
