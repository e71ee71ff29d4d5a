package db

import (
	"context"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// ForgeSummary is a forge with what there is on it.
type ForgeSummary struct {
	ForgeID       int64
	Repositories  int // that it lets us see
	Installations int
	Workloads     int
	LastDelivery  *Delivery // nil when none has come
}

// ForgeSummaries returns a summary of each forge, by its id.
func (d *DB) ForgeSummaries(ctx context.Context) (map[int64]ForgeSummary, error) {
	var list []ForgeSummary
	err := d.bun.NewSelect().TableExpr("forges AS f").ColumnExpr("f.id AS forge_id").
		ColumnExpr("(SELECT count(*) FROM repositories r WHERE r.forge_id = f.id AND NOT r.removed) AS repositories").
		ColumnExpr("(SELECT count(*) FROM installations i WHERE i.forge_id = f.id) AS installations").
		ColumnExpr("(SELECT count(*) FROM workloads w JOIN repositories r ON r.id = w.repository_id "+
			"WHERE r.forge_id = f.id AND w.deleted_at IS NULL) AS workloads").
		Scan(ctx, &list)
	if err != nil {
		return nil, found("sum up forges", err)
	}
	var last []Delivery
	newest := d.bun.NewSelect().TableExpr("forges AS f").
		ColumnExpr("(SELECT max(d.id) FROM deliveries d WHERE d.forge_id = f.id)")
	if err := d.bun.NewSelect().Model(&last).Where("id IN (?)", newest).Scan(ctx); err != nil {
		return nil, found("sum up forges", err)
	}
	all := map[int64]ForgeSummary{}
	for _, s := range list {
		all[s.ForgeID] = s
	}
	for _, del := range last {
		s := all[del.ForgeID]
		s.LastDelivery = &del
		all[del.ForgeID] = s
	}
	return all, nil
}

// RefusedStatus returns the newest deployment of which a forge did not let its commit status be set, or ErrNotFound when there is
// none among the newest ones of its workloads.
func (d *DB) RefusedStatus(ctx context.Context, forgeID int64) (Deployment, error) {
	var newest []int64
	err := d.bun.NewSelect().TableExpr("workloads AS w").Join("JOIN repositories AS r ON r.id = w.repository_id").
		ColumnExpr("COALESCE((SELECT max(d.id) FROM deployments AS d WHERE d.workload_id = w.id), 0)").
		Where("r.forge_id = ? AND w.deleted_at IS NULL", forgeID).Scan(ctx, &newest)
	if err != nil {
		return Deployment{}, found("read newest deployments", err)
	}
	list, err := d.deployments(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("id IN (?) AND report_error IN (?)", bun.List(newest), bun.List(refusals)).Order("id DESC").Limit(1)
	})
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Deployment{}, found("read refused commit status", err)
	}
	return list[0], nil
}

// RepositoryView is a repository with who uses it and when it was last heard of.
type RepositoryView struct {
	Repository
	Workloads []string  // names, sorted
	LastAt    time.Time // zero when it never was
}

// RepositoryQuery asks for a page of the repositories of a forge.
type RepositoryQuery struct {
	ForgeID int64
	Search  string // part of the full name, whatever its case
	Offset  int
	Limit   int
}

// RepositoryViews returns a page of what a forge lets us see, those that workloads use first, then by name. total is how many
// there are on all pages.
func (d *DB) RepositoryViews(ctx context.Context, q RepositoryQuery) (list []RepositoryView, total int, err error) {
	var rows []Repository
	used := d.bun.NewSelect().Model((*Workload)(nil)).Column("repository_id").Where("deleted_at IS NULL")
	query := d.bun.NewSelect().Model(&rows).Where("forge_id = ? AND (NOT removed OR id IN (?))", q.ForgeID, used)
	if q.Search != "" {
		query = query.Where(`lower(full_name) LIKE ? ESCAPE '\'`, "%"+likeEscaped(strings.ToLower(q.Search))+"%")
	}
	count, err := query.OrderExpr("CASE WHEN id IN (?) THEN 0 ELSE 1 END, lower(full_name), id", used).
		Offset(int64(q.Offset)).Limit(int64(q.Limit)).ScanAndCount(ctx)
	if total = int(count); err != nil || len(rows) == 0 {
		return nil, total, found("read repositories", err)
	}
	list, err = d.viewed(ctx, rows)
	return list, total, found("read repositories", err)
}

// viewed adds to rows who uses them and when they were last heard of.
func (d *DB) viewed(ctx context.Context, rows []Repository) ([]RepositoryView, error) {
	var ids []int64
	list, at := make([]RepositoryView, len(rows)), map[int64]int{}
	for i, r := range rows {
		list[i].Repository, at[r.ID] = r, i
		ids = append(ids, r.ID)
	}
	var names []struct {
		RepositoryID int64
		Name         string
	}
	err := d.bun.NewSelect().Model((*Workload)(nil)).Column("repository_id", "name").
		Where("repository_id IN (?) AND deleted_at IS NULL", bun.List(ids)).Order("name").Scan(ctx, &names)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		v := &list[at[n.RepositoryID]]
		v.Workloads = append(v.Workloads, n.Name)
	}
	var last []Delivery
	newest := d.bun.NewSelect().TableExpr("repositories AS r").
		ColumnExpr("(SELECT max(d.id) FROM deliveries d WHERE d.repository_id = r.id)").Where("r.id IN (?)", bun.List(ids))
	if err := d.bun.NewSelect().Model(&last).Where("id IN (?)", newest).Scan(ctx); err != nil {
		return nil, err
	}
	for _, del := range last {
		list[at[del.RepositoryID]].LastAt = del.ReceivedAt
	}
	return list, nil
}

func likeEscaped(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}
