package db

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// maxLogLine is the length of a log line in bytes, above which it is cut.
const maxLogLine = 8 << 10

var (
	// colour is what sets the colour of the text after it.
	colour = regexp.MustCompile("\x1b\\[[0-9;:]*m")

	// steering is whatever else a terminal takes as an order, colours included; a string that has no end goes to the line's.
	steering = regexp.MustCompile("\x1b\\[[0-?]*[ -/]*[@-~]?|\x1b[\\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\\\)?|\x1b[ -/]*[0-~]?")
)

// LogLine is one line of a deployment's log, in order of ID.
type LogLine struct {
	ID           int64 `bun:",pk,autoincrement"`
	DeploymentID int64
	Phase        Phase
	At           time.Time
	Text         string // no line end; at most 8 KiB. Of control characters it has tabs and what sets colours
}

// calm takes out of a line what a terminal would not show but do, colours excepted. Where it was written over from its
// beginning, the last state stays.
func calm(line string) string {
	if !strings.ContainsFunc(line, unicode.IsControl) {
		return line
	}
	line = strings.TrimRight(line, "\r")
	line = line[strings.LastIndexByte(line, '\r')+1:]
	line = steering.ReplaceAllStringFunc(line, func(order string) string {
		if colour.MatchString(order) {
			return order
		}
		return ""
	})
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' && r != '\x1b' {
			return -1
		}
		return r
	}, line)
}

// Plain is the text without colours.
func (l LogLine) Plain() string {
	if strings.IndexByte(l.Text, '\x1b') < 0 {
		return l.Text
	}
	return colour.ReplaceAllString(l.Text, "")
}

// AppendLog adds lines to the logs of deployments, in order. Text is made valid UTF-8 without NUL, since PostgreSQL
// stores nothing else; of a line that was written over the last state stays, and what else would steer a terminal goes.
func (d *DB) AppendLog(ctx context.Context, lines ...LogLine) error {
	if len(lines) == 0 {
		return nil
	}
	rows := make([]LogLine, len(lines))
	for i, l := range lines {
		l.Text = cut(clean(cut(calm(l.Text), maxLogLine)), maxLogLine) // to replace what is invalid may make it longer
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

// CountLog returns how many lines a deployment's log has.
func (d *DB) CountLog(ctx context.Context, deploymentID int64) (int, error) {
	n, err := d.bun.NewSelect().Model((*LogLine)(nil)).Where("deployment_id = ?", deploymentID).Count(ctx)
	return int(n), found("count log lines", err)
}

// LogFrom returns up to limit lines of a deployment's log, in order, from the one with a number on. The first is 1.
func (d *DB) LogFrom(ctx context.Context, deploymentID int64, number, limit int) ([]LogLine, error) {
	var lines []LogLine
	err := d.bun.NewSelect().Model(&lines).Where("deployment_id = ?", deploymentID).Order("id").
		Offset(int64(max(number, 1) - 1)).Limit(int64(limit)).Scan(ctx)
	return lines, found("read log", err)
}

// LogNumber returns the number of the line with this id in its deployment's log.
func (d *DB) LogNumber(ctx context.Context, deploymentID, id int64) (int, error) {
	n, err := d.bun.NewSelect().Model((*LogLine)(nil)).Where("deployment_id = ? AND id <= ?", deploymentID, id).Count(ctx)
	return int(n), found("count log lines", err)
}

// FindLog returns the numbers of the first lines, at most limit, that hold a text in whatever case, and how many lines do.
// All lines are read: that is faster than to have either database search and number them, and is the same for both.
func (d *DB) FindLog(ctx context.Context, deploymentID int64, text string, limit int) (numbers []int, count int, err error) {
	rows, err := d.bun.NewSelect().Model((*LogLine)(nil)).Column("text").Where("deployment_id = ?", deploymentID).Order("id").Rows(ctx)
	if err != nil {
		return nil, 0, found("search log", err)
	}
	defer func() { err = found("search log", errors.Join(err, rows.Close())) }()
	text = strings.ToLower(clean(text))
	var line LogLine
	for number := 1; rows.Next(); number++ {
		if err := rows.Scan(&line.Text); err != nil {
			return nil, 0, err
		}
		if !strings.Contains(strings.ToLower(line.Plain()), text) {
			continue
		}
		if count++; count <= limit {
			numbers = append(numbers, number)
		}
	}
	return numbers, count, rows.Err()
}

// LastLogLine returns the number of the last line that was not written in a phase; 0 when there is none.
func (d *DB) LastLogLine(ctx context.Context, deploymentID int64, but Phase) (int, error) {
	var id int64
	err := d.bun.NewSelect().Model((*LogLine)(nil)).Column("id").Where("deployment_id = ? AND phase <> ?", deploymentID, but).
		Order("id DESC").Limit(1).Scan(ctx, &id)
	if err = found("read log", err); isNotFound(err) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	return d.LogNumber(ctx, deploymentID, id)
}
