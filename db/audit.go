package db

import (
	"context"
	"strings"
	"time"
)

// AuditEntry is one thing that somebody did.
type AuditEntry struct {
	ID      int64 `bun:",pk,autoincrement"`
	At      time.Time
	Actor   string // the user's name; "" is Tinyforge itself
	Kind    string // what Action begins with, filled in: "workload"
	Action  string // a code such as "workload.saved"; what it means is in the locales, under "audit."
	Subject string // what was acted on: a workload's or forge's name, a deployment's id
	Detail  string // names of what changed, never values
	Address string // from where, without a port; "" where it was a command
}

// auditKept is how long entries are kept.
const auditKept = 365 * 24 * time.Hour

// Audit writes an entry down. At and Kind are filled in.
func (d *DB) Audit(ctx context.Context, e AuditEntry) error {
	e.At = now()
	e.Kind, _, _ = strings.Cut(e.Action, ".")
	for _, text := range []*string{&e.Actor, &e.Subject, &e.Detail, &e.Address} {
		*text = clean(cut(*text, 300))
	}
	_, err := d.bun.NewInsert().Model(&e).Exec(ctx)
	return found("write audit entry", err)
}

// AuditEntries returns up to limit entries, newest first, that are older than the one with the id before; 0 begins with the
// newest. A kind of "" means all.
func (d *DB) AuditEntries(ctx context.Context, kind string, before int64, limit int) (list []AuditEntry, err error) {
	q := d.bun.NewSelect().Model(&list).Order("id DESC").Limit(int64(limit))
	if before > 0 {
		q = q.Where("id < ?", before)
	}
	if kind != "" {
		q = q.Where("kind = ?", kind)
	}
	return list, found("read audit", q.Scan(ctx))
}

// PruneAudit removes entries that are older than a year.
func (d *DB) PruneAudit(ctx context.Context) error {
	_, err := d.bun.NewDelete().Model((*AuditEntry)(nil)).Where("at < ?", now().Add(-auditKept)).Exec(ctx)
	return found("prune audit", err)
}
