package db

import (
	"context"

	"github.com/uptrace/bun"
)

// Drain asks every process to tell when it has no request in flight from a host to an upstream any more. Who asks removes it; until
// then it can be asked to end what is left.
type Drain struct {
	ID        string `bun:",pk"`
	ProcessID string // of who asks; with its end nobody waits
	Host      string
	Upstream  string // as JSON
	Cut       bool   // what is left is to be ended
}

// drainEnd is that a process has nothing in flight.
type drainEnd struct {
	bun.BaseModel `bun:"table:drain_ends"`

	DrainID   string `bun:",pk"`
	ProcessID string `bun:",pk"`
}

// BeginDrain asks.
func (d *DB) BeginDrain(ctx context.Context, dr Drain) error {
	_, err := d.bun.NewInsert().Model(&dr).Exec(ctx)
	return d.saidRoutes(ctx, "begin drain", err)
}

// CutDrain asks for the end of what is left.
func (d *DB) CutDrain(ctx context.Context, id string) error {
	_, err := d.bun.NewUpdate().Model((*Drain)(nil)).Set("cut = TRUE").Where("id = ?", id).Exec(ctx)
	return d.saidRoutes(ctx, "cut drain", err)
}

// EndDrain takes the question back. Requests that are left go on.
func (d *DB) EndDrain(ctx context.Context, id string) error {
	_, err := d.bun.NewDelete().Model((*Drain)(nil)).Where("id = ?", id).Exec(ctx)
	return d.saidRoutes(ctx, "end drain", err)
}

func (d *DB) saidRoutes(ctx context.Context, what string, err error) error {
	if err == nil {
		d.notify(ctx, TopicRoutes)
	}
	return found(what, err)
}

// DrainsFor returns the drains of which a process has not told its end.
func (d *DB) DrainsFor(ctx context.Context, process string) (list []Drain, err error) {
	told := d.bun.NewSelect().Model((*drainEnd)(nil)).ColumnExpr("1").Where("drain_id = drain.id AND process_id = ?", process)
	err = d.bun.NewSelect().Model(&list).Where("NOT EXISTS (?)", told).Order("id").Scan(ctx)
	return list, found("read drains", err)
}

// Drained tells that a process has nothing in flight. That nobody waits any more is no error.
func (d *DB) Drained(ctx context.Context, id, process string) error {
	_, err := d.bun.NewRaw("INSERT INTO drain_ends (drain_id, process_id) SELECT id, ? FROM drains WHERE id = ? ON CONFLICT DO NOTHING", process, id).Exec(ctx)
	if foreignKeyViolation(err) { // it was taken back at this moment
		err = nil
	}
	if err == nil {
		d.notify(ctx, TopicConfirmed)
	}
	return found("tell of a drain", err)
}

// Undrained tells which living processes have not told the end of a drain.
func (d *DB) Undrained(ctx context.Context, id string) (ids []string, err error) {
	told := d.bun.NewSelect().Model((*drainEnd)(nil)).Column("process_id").Where("drain_id = ?", id)
	err = d.living(d.bun.NewSelect().Model((*Process)(nil)).Column("id")).Where("serving AND id NOT IN (?)", told).Order("id").Scan(ctx, &ids)
	return ids, found("read processes", err)
}
