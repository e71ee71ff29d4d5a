package db

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
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

// CheckKey tells whether the keyring is the one that sealed this database: the first call seals a text, the others open
// it. It returns an error that wraps ErrSealed when it is another one.
func (d *DB) CheckKey(ctx context.Context) error {
	sealed, err := d.keys.seal("tinyforge", sealCheck)
	if err != nil {
		return err
	}
	value, err := d.settingOr(ctx, "key_check", base64.StdEncoding.EncodeToString(sealed))
	if err != nil {
		return err
	}
	var text string
	if sealed, err = base64.StdEncoding.DecodeString(value); err == nil {
		err = d.keys.open(sealed, &text, sealCheck)
	}
	if err != nil {
		return fmt.Errorf("check sealing key: %w: put back the key that belongs to this database (the file key in the data folder, or TINYFORGE_KEY)", err)
	}
	return nil
}

const sealCheck = "settings.key_check"

// settingOr returns the value of a setting, which becomes value when there is none yet.
func (d *DB) settingOr(ctx context.Context, name, value string) (string, error) {
	s := setting{Name: name, Value: value}
	if _, err := d.bun.NewInsert().Model(&s).On("CONFLICT (name) DO NOTHING").Exec(ctx); err != nil {
		return "", found("save setting", err)
	}
	err := d.bun.NewSelect().Model(&s).WherePK().Scan(ctx)
	return s.Value, found("read setting", err)
}
