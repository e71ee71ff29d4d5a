package db

import (
	"context"
	"time"
)

// maxLogLine is the length of a log line in bytes, above which it is cut.
const maxLogLine = 8 << 10

// LogLine is one line of a deployment's log, in order of ID.
type LogLine struct {
	ID           int64 `bun:",pk,autoincrement"`
	DeploymentID int64
	Phase        Phase
	At           time.Time
	Text         string // no line end; at most 8 KiB
}

// AppendLog adds lines to the logs of deployments, in order. Text is made valid UTF-8 without NUL, since PostgreSQL
// stores nothing else.
func (d *DB) AppendLog(ctx context.Context, lines ...LogLine) error {
	if len(lines) == 0 {
		return nil
	}
	rows := make([]LogLine, len(lines))
	for i, l := range lines {
		l.Text = cut(clean(cut(l.Text, maxLogLine)), maxLogLine) // to replace what is invalid may make it longer
		l.At = l.At.UTC().Truncate(time.Microsecond)
		rows[i] = l
	}
	_, err := d.bun.NewInsert().Model(&rows).Exec(ctx)
	return found("append log", err)
}

// Log returns up to limit lines of a deployment's log that come after a line's id, in order.
func (d *DB) Log(ctx context.Context, deploymentID, after int64, limit int) ([]LogLine, error) {
	var lines []LogLine
	err := d.bun.NewSelect().Model(&lines).Where("deployment_id = ? AND id > ?", deploymentID, after).
		Order("id").Limit(int64(limit)).Scan(ctx)
	return lines, found("read log", err)
}
