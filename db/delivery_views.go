package db

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"
)

// DeliveryOutcome is what became of a delivery, in one word.
type DeliveryOutcome string

const (
	DeliveryDeployed DeliveryOutcome = "deployed" // it started a deployment
	DeliveryIgnored  DeliveryOutcome = "ignored"  // nothing was to be done
	DeliveryRefused  DeliveryOutcome = "refused"  // it was known already, or older than what was known
	DeliveryNoted    DeliveryOutcome = "noted"    // it told what the forge lets us see
)

// DeliveryView is a delivery with what became of it.
type DeliveryView struct {
	Delivery
	Repository  string // full name; "" where it concerns none that we know
	Forge       string // name
	Deployments []QueuedDeployment
}

// QueuedDeployment is a deployment that a delivery started.
type QueuedDeployment struct {
	ID, DeliveryID int64
	Workload       string
	Phase          Phase
}

// Outcome is what became of it, in one word.
func (v DeliveryView) Outcome() DeliveryOutcome {
	switch {
	case len(v.Deployments) > 0:
		return DeliveryDeployed
	case v.RepositoryID != 0 && v.Ref != "" && !v.Accepted:
		return DeliveryRefused
	case v.RepositoryID == 0 && v.Ref == "":
		return DeliveryNoted
	}
	return DeliveryIgnored
}

// DeliveryQuery asks for deliveries of a forge.
type DeliveryQuery struct {
	ForgeID int64
	Outcome DeliveryOutcome // "" is all
	Before  int64           // only older ones than the one with this id; 0 begins with the newest
	Limit   int
}

// DeliveryViews returns deliveries, newest first.
func (d *DB) DeliveryViews(ctx context.Context, q DeliveryQuery) ([]DeliveryView, error) {
	var rows []Delivery
	query := d.bun.NewSelect().Model(&rows).Where("forge_id = ?", q.ForgeID).Order("id DESC").Limit(int64(q.Limit))
	if q.Before > 0 {
		query = query.Where("id < ?", q.Before)
	}
	started := d.bun.NewSelect().TableExpr("deployments AS dep").ColumnExpr("1").Where("dep.delivery_id = delivery.id")
	const refused = "(repository_id IS NOT NULL AND ref <> '' AND NOT accepted)"
	switch q.Outcome {
	case DeliveryDeployed:
		query = query.Where("EXISTS (?)", started)
	case DeliveryRefused:
		query = query.Where(refused)
	case DeliveryIgnored:
		query = query.Where("NOT "+refused+" AND NOT EXISTS (?)", started)
	}
	if err := query.Scan(ctx); err != nil {
		return nil, found("read deliveries", err)
	}
	list, err := d.viewDeliveries(ctx, rows)
	return list, found("read deliveries", err)
}

// DeliveryView returns the delivery with this id, or ErrNotFound.
func (d *DB) DeliveryView(ctx context.Context, id int64) (DeliveryView, error) {
	var rows []Delivery
	err := d.bun.NewSelect().Model(&rows).Where("id = ?", id).Scan(ctx)
	if err == nil && len(rows) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return DeliveryView{}, found("read delivery", err)
	}
	list, err := d.viewDeliveries(ctx, rows)
	if err != nil {
		return DeliveryView{}, fmt.Errorf("read delivery: %w", err)
	}
	return list[0], nil
}

func (d *DB) viewDeliveries(ctx context.Context, rows []Delivery) ([]DeliveryView, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	list, at, repositories := make([]DeliveryView, len(rows)), map[int64]int{}, []int64{0}
	var ids, forges []int64
	for i, row := range rows {
		list[i].Delivery, at[row.ID] = row, i
		ids, forges, repositories = append(ids, row.ID), append(forges, row.ForgeID), append(repositories, row.RepositoryID)
	}
	names, err := d.namesOf(ctx, "repositories", "full_name", repositories)
	if err != nil {
		return nil, err
	}
	forgeNames, err := d.namesOf(ctx, "forges", "name", forges)
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].Repository, list[i].Forge = names[list[i].RepositoryID], forgeNames[list[i].ForgeID]
	}
	var started []QueuedDeployment
	err = d.bun.NewSelect().TableExpr("deployments AS dep").Join("JOIN workloads AS w ON w.id = dep.workload_id").
		ColumnExpr("dep.id, dep.delivery_id, dep.phase, w.name AS workload").
		Where("dep.delivery_id IN (?)", bun.List(ids)).Order("dep.id").Scan(ctx, &started)
	for _, dep := range started {
		v := &list[at[dep.DeliveryID]]
		v.Deployments = append(v.Deployments, dep)
	}
	return list, err
}

// namesOf reads one column of rows, by their ids.
func (d *DB) namesOf(ctx context.Context, table, column string, ids []int64) (map[int64]string, error) {
	var rows []struct {
		ID   int64
		Name string
	}
	err := d.bun.NewSelect().TableExpr("?", bun.Ident(table)).ColumnExpr("id, ? AS name", bun.Ident(column)).
		Where("id IN (?)", bun.List(ids)).Scan(ctx, &rows)
	names := map[int64]string{}
	for _, r := range rows {
		names[r.ID] = r.Name
	}
	return names, err
}

// LastMoves returns to which commit deliveries moved the refs of a repository last, by ref.
func (d *DB) LastMoves(ctx context.Context, repositoryID int64) (map[string]string, error) {
	var list []Delivery
	last := d.bun.NewSelect().Model((*Delivery)(nil)).ColumnExpr("MAX(id)").Where("repository_id = ? AND accepted", repositoryID).Group("ref")
	if err := d.bun.NewSelect().Model(&list).Column("ref", "after").Where("id IN (?)", last).Scan(ctx); err != nil {
		return nil, found("read last deliveries", err)
	}
	moves := map[string]string{}
	for _, del := range list {
		moves[del.Ref] = del.After
	}
	return moves, nil
}

// IsMute tells whether a forge has delivered nothing yet, or last something of this event.
func (d *DB) IsMute(ctx context.Context, forgeID int64, event string) (bool, error) {
	var last []Delivery
	err := d.bun.NewSelect().Model(&last).Column("event").Where("forge_id = ?", forgeID).Order("id DESC").Limit(1).Scan(ctx)
	return len(last) == 0 || last[0].Event == event, found("read last delivery", err)
}

// UsedRepositories returns the repositories of a forge that workloads use and that it lets us see.
func (d *DB) UsedRepositories(ctx context.Context, forgeID int64) (list []Repository, err error) {
	users := d.bun.NewSelect().Model((*Workload)(nil)).Column("repository_id").Where("deleted_at IS NULL")
	err = d.bun.NewSelect().Model(&list).Where("forge_id = ? AND NOT removed AND id IN (?)", forgeID, users).Order("id").Scan(ctx)
	return list, found("read repositories in use", err)
}
