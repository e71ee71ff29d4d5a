package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"tinyforge/db"
)

// past says where the deployments and deliveries go that were before those that are live.
type past struct{ workloads, deployment, delivery int64 }

const scaleLogged = 3 // of the newest deployments, which have a log

// keepFree makes the next deployment and delivery have ids that leave room for those before it.
func (t *city) keepFree(ctx context.Context, workloads int) (p past, err error) {
	p.workloads = int64(workloads)
	for table, first := range map[string]*int64{"deployments": &p.deployment, "deliveries": &p.delivery} {
		if err := t.raw.NewSelect().TableExpr(table).ColumnExpr("COALESCE(max(id), 0) + 1").Scan(ctx, first); err != nil {
			return p, err
		}
		next := *first + p.workloads*scaleDeployments
		if t.kind == "SQLite" {
			_, err = t.raw.ExecContext(ctx, "DELETE FROM sqlite_sequence WHERE name = ?", table)
			if err == nil {
				_, err = t.raw.ExecContext(ctx, "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", table, next)
			}
		} else {
			_, err = t.raw.ExecContext(ctx, "SELECT setval(pg_get_serial_sequence(?, 'id'), ?)", table, next)
		}
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

// fillPast fills in what was before of the workloads that have moved in last: of each a deployment a day.
func (t *city) fillPast(ctx context.Context, p past) error {
	err := t.withoutIndexes(ctx, func() error {
		for day := range int64(scaleDeployments - 1) {
			if err := t.raw.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error { return t.fillDay(ctx, tx, p, day) }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || t.kind == "SQLite" {
		return err
	}
	_, err = t.raw.ExecContext(ctx, "VACUUM ANALYZE") // as PostgreSQL does by itself a little later
	return err
}

// withoutIndexes makes the indexes of what is filled anew afterwards, which takes a tenth of what it takes to keep them all the time.
func (t *city) withoutIndexes(ctx context.Context, do func() error) error {
	if t.kind == "SQLite" {
		if _, err := t.raw.ExecContext(ctx, "PRAGMA cache_size = -500000"); err != nil { // kB, of this connection alone
			return err
		}
	}
	var list []struct{ Name, SQL string }
	filled := bun.List([]string{"deliveries", "deployments", "log_lines"})
	query := t.raw.NewSelect().TableExpr("sqlite_master").ColumnExpr("name, sql").Where("type = 'index' AND sql IS NOT NULL AND tbl_name IN (?)", filled)
	if t.kind != "SQLite" {
		query = t.raw.NewSelect().TableExpr("pg_indexes").ColumnExpr("indexname AS name, indexdef AS sql").
			Where("tablename IN (?) AND indexname NOT IN (SELECT conname FROM pg_constraint)", filled)
	}
	if err := query.Scan(ctx, &list); err != nil {
		return err
	}
	for _, index := range list {
		if _, err := t.raw.ExecContext(ctx, "DROP INDEX ?", bun.Ident(index.Name)); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	for _, index := range list {
		if _, err := t.raw.ExecContext(ctx, index.SQL); err != nil {
			return fmt.Errorf("make index %s: %w", index.Name, err)
		}
	}
	return nil
}

// fillDay copies what is live, as the deployments of a day: of ten in a row two were superseded, and one failed.
func (t *city) fillDay(ctx context.Context, tx bun.Tx, p past, day int64) error {
	at := time.Now().UTC().Add(-time.Duration(scaleDeployments-day) * 24 * time.Hour).Truncate(time.Microsecond)
	hash := "printf('%040x', ?)"
	if t.kind != "SQLite" {
		hash = "lpad(to_hex(?), 40, '0')"
	}
	commit := func(id string) any { return bun.SafeQuery(hash, bun.SafeQuery(id)) }
	ended := endedOf(day, at)
	newest := bun.SafeQuery(`(SELECT d.*, row_number() OVER (ORDER BY d.id) - 1 AS n FROM runtime_states AS s JOIN deployments AS d ON d.id = s.deployment_id
		WHERE d.id >= ?) AS live`, p.deployment+p.workloads*scaleDeployments)
	id, delivery := bun.SafeQuery("? + n", p.deployment+day*p.workloads), bun.SafeQuery("? + n", p.delivery+day*p.workloads)
	_, err := tx.ExecContext(ctx, `INSERT INTO deliveries (id, forge_id, external_id, event, repository_id, ref, before, after, accepted, decision, received_at)
		SELECT ?, ?, 'past-' || (?), 'push', repository_id, ref, ?, ?, TRUE, 'deployment ' || (?) || ' queued', ? FROM ?`,
		delivery, t.installation.ForgeID, delivery, commit(fmt.Sprintf("%d + n", p.deployment+(day-1)*p.workloads)), commit(fmt.Sprintf("%d + n", p.deployment+day*p.workloads)), id, at, newest)
	if err != nil {
		return fmt.Errorf("deliveries: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO deployments (id, workload_id, repository_id, delivery_id, ref, commit_hash, message, author, phase, strategy, error, tail,
			superseded_by, sealed, lease_owner, attempt, status, reported, report_attempts, report_after, created_at, started_at, finished_at, updated_at, entered)
		SELECT ?, workload_id, repository_id, ?, ref, ?, message, author, ?, strategy, ?, '', '', sealed, lease_owner, 1, ?, ?, 0, ?, ?, ?, ?, ?, ? FROM ?`,
		id, delivery, commit(fmt.Sprintf("%d + n", p.deployment+day*p.workloads)), ended.phase, ended.text, ended.phase.Status(), ended.phase.Status(), at, at, at.Add(time.Second),
		at.Add(3*time.Second), at.Add(3*time.Second), ended.entered, newest)
	if err != nil {
		return fmt.Errorf("deployments: %w", err)
	}
	if day < scaleDeployments-1-scaleLogged {
		return nil
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO log_lines (deployment_id, phase, at, text)
		WITH RECURSIVE line (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM line WHERE i < 20)
		SELECT ?, 'building', ?, 'Step ' || i || ' of 20: RUN npm install --omit=dev && npm run build' FROM ? CROSS JOIN line`, id, at, newest)
	if err != nil {
		return fmt.Errorf("log lines: %w", err)
	}
	return nil
}

// ended is how a deployment of before ended.
type ended struct {
	phase         db.Phase
	text, entered string
}

func endedOf(day int64, at time.Time) ended {
	e := ended{phase: db.PhaseRetired}
	passed := []db.Phase{db.PhaseBuilding, db.PhaseStarting, db.PhaseGating}
	switch day % 10 {
	case 3:
		e.phase, e.text = db.PhaseFailed, "Gate failed: GET /up answered 500 for 10s"
		passed = append(passed, db.PhaseUndoing, db.PhaseFailed)
	case 5, 8:
		e.phase, passed = db.PhaseSuperseded, nil
	default:
		passed = append(passed, db.PhaseRouting, db.PhaseCommitting, db.PhaseDraining, db.PhaseReaping, db.PhaseLive)
	}
	entered := []db.Entered{}
	for n, phase := range passed {
		entered = append(entered, db.Entered{Phase: phase, At: at.Add(time.Second + time.Duration(n)*250*time.Millisecond)})
	}
	text, _ := json.Marshal(entered) // it never fails
	e.entered = string(text)
	return e
}
