package db

import (
	"context"

	"github.com/uptrace/bun"
)

// judge returns the deliveries whose id is not known, and says of each push, in their order, whether it is accepted, or else in
// Decision why it must not move anything.
func judge(ctx context.Context, tx bun.Tx, arrivals []*arrival) (fresh []*arrival, err error) {
	earlier, err := earlier(ctx, tx, arrivals)
	if err != nil {
		return nil, err
	}
	known := map[identity]*arrival{}
	for _, del := range earlier {
		known[del.identity()] = &arrival{recorded: del}
	}
	for _, a := range arrivals {
		if a.first = known[a.del.identity()]; a.first != nil {
			continue
		}
		known[a.del.identity()] = a
		fresh = append(fresh, a)
		a.recorded.judge(earlier)
		earlier = append(earlier, a.recorded)
	}
	return fresh, nil
}

// judge compares a push with what was delivered before, oldest first.
func (del *Delivery) judge(earlier []Delivery) {
	if !del.moves() {
		return
	}
	var touching []Delivery
	var last *Delivery // of those that moved the ref
	for _, e := range earlier {
		if e.RepositoryID != del.RepositoryID || e.Ref != del.Ref {
			continue
		}
		if e.Accepted {
			last = &e
		}
		if e.touches(*del) {
			touching = append(touching, e)
		}
	}
	var refusal string
	if last != nil {
		refusal = order(*last, *del, touching)
	}
	if del.Accepted = refusal == ""; refusal != "" {
		del.Decision = refusal
	}
}

// earlier returns, oldest first, the deliveries that have the id of one of these, or begin or end where a push of the same ref does, and
// those that moved each ref last. Each is found by an index.
func earlier(ctx context.Context, tx bun.Tx, arrivals []*arrival) (list []Delivery, err error) {
	var ids, refs, ends []bun.TupleValues
	for _, a := range arrivals {
		del := a.recorded
		ids = append(ids, bun.Tuple([]any{del.ForgeID, del.ExternalID}))
		if del.moves() {
			refs = append(refs, bun.Tuple([]any{del.RepositoryID, del.Ref}))
			ends = append(ends, bun.Tuple([]any{del.RepositoryID, del.Ref, del.Before}), bun.Tuple([]any{del.RepositoryID, del.Ref, del.After}))
		}
	}
	which := tx.NewRaw(`SELECT id FROM (VALUES ?) AS sent CROSS JOIN deliveries
		WHERE forge_id = sent.column1 AND external_id = sent.column2`, bun.List(ids))
	if len(refs) > 0 {
		which = tx.NewRaw(`? UNION ALL SELECT (SELECT max(id) FROM deliveries
				WHERE accepted AND repository_id = sent.column1 AND ref = sent.column2) FROM (VALUES ?) AS sent
			UNION ALL SELECT id FROM (VALUES ?) AS sent CROSS JOIN deliveries
				WHERE repository_id = sent.column1 AND ref = sent.column2 AND before = sent.column3
			UNION ALL SELECT id FROM (VALUES ?) AS sent CROSS JOIN deliveries
				WHERE repository_id = sent.column1 AND ref = sent.column2 AND after = sent.column3`,
			which, bun.List(refs), bun.List(ends), bun.List(ends))
	}
	err = tx.NewSelect().Model(&list).Column("id", "forge_id", "external_id", "repository_id", "ref", "before", "after", "accepted", "decision").
		Where("id IN (?)", which).Order("id").Scan(ctx)
	return list, err
}
