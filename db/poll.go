package db

import (
	"context"
	"log/slog"
	"time"
)

// pollEvery is how soon a server on SQLite notices what another process (tinyforge apply) changed.
const pollEvery = time.Second

// pollWorkloads wakes those who wait for workloads when another process changed one: SQLite tells nobody.
func (d *DB) pollWorkloads(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	seen := ""
	for {
		var now string
		err := d.bun.NewSelect().Model((*Workload)(nil)).
			ColumnExpr("count(*) || ' ' || coalesce(max(updated_at), '')").Scan(ctx, &now)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			slog.WarnContext(ctx, "look for changed workloads", "error", err)
		case now != seen && seen != "":
			d.topics.wake(TopicWorkloads)
		}
		if err == nil {
			seen = now
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
