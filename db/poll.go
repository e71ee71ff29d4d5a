package db

import (
	"context"
	"log/slog"
	"time"

	"github.com/uptrace/bun"
)

// pollEvery is how soon a server on SQLite notices what another process (tinyforge apply, redeploy, cancel) changed.
const pollEvery = time.Second

// polled is something that other processes change, in one text that is another one whenever it changed.
type polled struct {
	query  *bun.SelectQuery
	topics []Topic
	seen   string
}

// poll wakes those who wait for what another process changed: SQLite tells nobody.
func (d *DB) poll(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	all := []*polled{
		{topics: []Topic{TopicWorkloads}, query: d.bun.NewSelect().Model((*Workload)(nil)).
			ColumnExpr("count(*) || ' ' || coalesce(max(updated_at), '')")},
		{topics: []Topic{TopicQueued, TopicCancel}, query: d.bun.NewSelect().Model((*Deployment)(nil)).
			ColumnExpr("count(*) || ' ' || coalesce(max(id), 0) || ' ' || coalesce(sum(cancelled), 0)").
			Where("phase IN (?)", bun.List(unfinished))},
	}
	for {
		for _, p := range all {
			d.look(ctx, p)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (d *DB) look(ctx context.Context, p *polled) {
	var now string
	if err := p.query.Scan(ctx, &now); err != nil {
		if ctx.Err() == nil {
			slog.WarnContext(ctx, "look for what other processes changed", "error", err)
		}
		return
	}
	if now != p.seen { // the first time too: something may have changed before
		for _, topic := range p.topics {
			d.topics.wake(topic)
		}
	}
	p.seen = now
}
