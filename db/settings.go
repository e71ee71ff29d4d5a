package db

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
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

// Setting returns what somebody set under a name, "" when nobody has.
func (d *DB) Setting(ctx context.Context, name string) (string, error) {
	s := setting{Name: name}
	err := d.bun.NewSelect().Model(&s).WherePK().Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return s.Value, found("read setting", err)
}

// Settings returns all that is set, by name.
func (d *DB) Settings(ctx context.Context) (map[string]string, error) {
	var list []setting
	if err := d.bun.NewSelect().Model(&list).Scan(ctx); err != nil {
		return nil, found("read settings", err)
	}
	all := make(map[string]string, len(list))
	for _, s := range list {
		all[s.Name] = s.Value
	}
	return all, nil
}

// SetSettings sets what is in values, all or nothing.
func (d *DB) SetSettings(ctx context.Context, values map[string]string) error {
	if len(values) == 0 {
		return nil
	}
	var list []setting
	for _, name := range slices.Sorted(maps.Keys(values)) { // in order, so that two who save do not wait for each other
		list = append(list, setting{Name: name, Value: clean(values[name])})
	}
	_, err := d.bun.NewInsert().Model(&list).On("CONFLICT (name) DO UPDATE").Set("value = EXCLUDED.value").Exec(ctx)
	if err == nil {
		d.notify(ctx, TopicSettings)
	}
	return found("save settings", err)
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
		return fmt.Errorf("check sealing key: %w: put back the key that belongs to this database (the file key in the data folder, or TINYFORGE_KEY). "+
			"Where another Tinyforge uses this database too, give this one its key, with TINYFORGE_KEY_FILE", err)
	}
	return d.loadDerived(ctx)
}

// Sealed tells whether a key has sealed this database, migrated or not: it opens with no other.
func (d *DB) Sealed(ctx context.Context) (bool, error) {
	if has, err := d.hasTable(ctx, "settings"); err != nil || !has {
		return false, err
	}
	check, err := d.Setting(ctx, "key_check")
	return check != "", err
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
