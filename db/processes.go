package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
)

// Process is a running Tinyforge, as all that share its database see it.
type Process struct {
	ID       string   `bun:",pk"` // another one for each start
	Host     string   // the machine's name
	Engine   string   // the ID of its Docker engine; "" while that is not known
	Runtimes []string `bun:"type:jsonb"` // that it offers, such as "docker"
	Serving  bool     // its proxy takes what the rows say, and is waited for
	Applied  int64    // the version of the routes that its proxy has in effect, and all before
	SeenAt   time.Time
}

const (
	// ProcessBeat is how often a process says that it is there.
	ProcessBeat = time.Second

	// ProcessDead is after how long without a word a process counts as dead. Four lost beats are no reason yet, so that a pause
	// of the machine, or a restart of the database, takes nobody out; and a swap waits no longer than that for one that was killed,
	// which is less than the lease of a deployment, so that who takes a deployment over does not wait for the dead one's proxy. A workload
	// that the dead one kept is waited for as long as that lease lasts: see KeepWorkload.
	ProcessDead = 5 * time.Second
)

// EngineError is returned for a process that may not be beside another one, since both deploy to Docker and each has another one.
type EngineError struct{ Host string } // the other's machine

func (e *EngineError) Error() string {
	return fmt.Sprintf("another tinyforge on this database, on %s, deploys to another Docker than this one's, and each would take all workloads for its own: "+
		"start this one with --runtimes swarm, or point --docker-host at the same Docker", e.Host)
}

// JoinProcess makes a process known, or known again, as alive, unless that is an EngineError. Of several that begin at the same moment
// one is the first. Its times are those of the database's clock, on PostgreSQL.
func (d *DB) JoinProcess(ctx context.Context, p Process) error {
	if p.Runtimes == nil {
		p.Runtimes = []string{}
	}
	return d.agreed(ctx, "join processes", &p, func(ctx context.Context, tx bun.Tx) error {
		return tx.NewInsert().Model(&p).ModelTableExpr("processes AS process").Value("seen_at", "?", d.ago(0)).
			On("CONFLICT (id) DO UPDATE").
			Set("host = EXCLUDED.host, engine = COALESCE(NULLIF(EXCLUDED.engine, ''), process.engine), runtimes = EXCLUDED.runtimes").
			Set("serving = EXCLUDED.serving, applied = EXCLUDED.applied, seen_at = EXCLUDED.seen_at").
			Returning("engine").Scan(ctx, &p.Engine)
	})
}

// IdentifyProcess writes down which engine a process has that joined without knowing that, unless that is an EngineError. It returns
// ErrNotFound for one that others have forgotten: it has to join again.
func (d *DB) IdentifyProcess(ctx context.Context, id, engine string) error {
	var p Process
	return d.agreed(ctx, "identify process", &p, func(ctx context.Context, tx bun.Tx) error {
		return tx.NewUpdate().Model(&p).Set("engine = ?", engine).Where("id = ?", id).Returning("*").Scan(ctx)
	})
}

// agreed writes a process, which is in p then, if all others that live may be beside it.
func (d *DB) agreed(ctx context.Context, what string, p *Process, write func(context.Context, bun.Tx) error) error {
	err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if d.postgres() { // or two at the same moment would not see each other
			if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(?)", int64(processLock)); err != nil {
				return err
			}
		}
		if err := write(ctx, tx); err != nil {
			return err
		}
		var others []Process
		if err := d.living(tx.NewSelect().Model(&others)).Order("id").Scan(ctx); err != nil {
			return err
		}
		if i := slices.IndexFunc(others, p.disagrees); i >= 0 {
			return &EngineError{others[i].Host}
		}
		return nil
	})
	if refused, ok := errors.AsType[*EngineError](err); ok {
		return refused
	}
	return found(what, err)
}

// processLock is the key of the advisory lock under which processes agree: "tinyproc" read as a number.
const processLock = 0x74696e7970726f63

// disagrees tells whether two processes would each run all workloads of Docker on a Docker of its own.
func (p *Process) disagrees(other Process) bool {
	return p.ID != other.ID && p.Engine != "" && other.Engine != "" && p.Engine != other.Engine &&
		slices.Contains(p.Runtimes, RuntimeDocker) && slices.Contains(other.Runtimes, RuntimeDocker)
}

// BeatProcess renews a living process, and writes Serving and Applied; tell wakes those who wait for that. It tells false, and does
// nothing, when the process counts as dead: others may not have waited for it. Nobody waits for the disk: what a crash of the database
// takes back is older than what was true, and is written again by the next beat.
func (d *DB) BeatProcess(ctx context.Context, p Process, tell bool) (alive bool, err error) {
	q := d.bun.NewUpdate().Model((*Process)(nil)).
		Set("serving = ?, applied = ?, seen_at = ?", p.Serving, p.Applied, d.ago(0)).
		Where("id = ? AND seen_at > ?", p.ID, d.ago(ProcessDead))
	if d.postgres() {
		q = q.TableExpr("(SELECT set_config('synchronous_commit', 'off', true) AS is) AS lazy").Where("lazy.is = 'off'")
	}
	alive, err = affected(q.Exec(ctx))
	if alive && tell {
		d.notify(ctx, TopicConfirmed)
	}
	return alive, found("renew process", err)
}

// LeaveProcess ends a process for the others: nobody waits for it any more.
func (d *DB) LeaveProcess(ctx context.Context, id string) error {
	_, err := d.bun.NewDelete().Model((*Process)(nil)).Where("id = ?", id).Exec(ctx)
	if err == nil {
		d.notify(ctx, TopicConfirmed)
	}
	return found("leave processes", err)
}

// LivingProcesses returns who is there, by ID.
func (d *DB) LivingProcesses(ctx context.Context) (list []Process, err error) {
	err = d.living(d.bun.NewSelect().Model(&list)).Order("id").Scan(ctx)
	return list, found("read processes", err)
}

// HasProcess tells whether a process is known: one that does not live and is fell silent, one that has left is not.
func (d *DB) HasProcess(ctx context.Context, id string) (bool, error) {
	known, err := d.bun.NewSelect().Model((*Process)(nil)).Where("id = ?", id).Exists(ctx)
	return known, found("read process", err)
}

// TidyProcesses forgets processes that are dead for long, drains that nobody waits for any more, and deleted routes that every
// living process has taken away.
func (d *DB) TidyProcesses(ctx context.Context) error {
	if _, err := d.bun.NewDelete().Model((*Process)(nil)).Where("seen_at < ?", d.ago(12*ProcessDead)).Exec(ctx); err != nil {
		return found("tidy processes", err)
	}
	waits := d.living(d.bun.NewSelect().Model((*Process)(nil)).Column("id"))
	if _, err := d.bun.NewDelete().Model((*Drain)(nil)).Where("process_id NOT IN (?)", waits).Exec(ctx); err != nil {
		return found("tidy drains", err)
	}
	least := d.living(d.bun.NewSelect().Model((*Process)(nil)).ColumnExpr("min(applied)"))
	_, err := d.bun.NewDelete().Model((*routeTarget)(nil)).Where("deleted AND version <= (?)", least).Exec(ctx)
	return found("tidy routes", err)
}

func (d *DB) living(q *bun.SelectQuery) *bun.SelectQuery {
	return q.Where("seen_at > ?", d.ago(ProcessDead))
}

// ago is a time in the past, by the database's clock where it has one: machines may differ.
func (d *DB) ago(age time.Duration) schema.QueryWithArgs {
	if d.postgres() {
		return bun.SafeQuery("clock_timestamp() - ? * interval '1 microsecond'", age.Microseconds())
	}
	return bun.SafeQuery("?", now().Add(-age))
}
