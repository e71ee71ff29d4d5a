package db

import (
	"context"
	"crypto/rand"
	"strings"
)

type setting struct {
	Name  string `bun:",pk"`
	Value string
}

// InstanceID names this Tinyforge among others that may share a Docker: eight letters and digits, made at the first call
// and the same ever after.
func (d *DB) InstanceID(ctx context.Context) (string, error) {
	return d.settingOr(ctx, "instance", strings.ToLower(rand.Text()[:8]))
}

// settingOr returns the value of a setting, which becomes value when there is none yet.
func (d *DB) settingOr(ctx context.Context, name, value string) (string, error) {
	s := setting{Name: name, Value: value}
	if _, err := d.bun.NewInsert().Model(&s).On("CONFLICT (name) DO NOTHING").Exec(ctx); err != nil {
		return "", found("save setting", err)
	}
	err := d.bun.NewSelect().Model(&s).WherePK().Scan(ctx)
	return s.Value, found("read setting", err)
}
