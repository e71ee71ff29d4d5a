package db

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/uptrace/bun"
)

// sealedColumns are the tables that have a column "sealed", with what names a row and what its value is sealed for. Those
// of the settings are apart.
var sealedColumns = []sealedColumn{
	{"forges", "id", sealForge},
	{"workloads", "id", sealWorkload},
	{"deployments", "id", sealDeployment},
	{"runtime_states", "workload_id", sealRelease},
	{"app_requests", "id", sealAppRequest},
	{"route_targets", "version", sealRouteTarget},
	{"certificate_files", "id", sealCertificate},
}

type sealedColumn struct{ table, id, purpose string }

// sealedSettings are the settings that are sealed, as base64, with their purposes.
var sealedSettings = map[string]string{"key_check": sealCheck, settingDerived: sealDerived}

const (
	settingDerived = "derived"
	sealDerived    = "settings.derived"
	resealBatch    = 200 // rows of a transaction
)

// ResealCheck seals what CheckKey opens with the keyring's primary key: from then on nobody starts with a keyring that lacks it.
func (d *DB) ResealCheck(ctx context.Context) error {
	if _, err := d.resealSettings(ctx); err != nil {
		return fmt.Errorf("reseal settings: %w", err)
	}
	return nil
}

// Reseal seals every value with the keyring's primary key that another of its keys has sealed. It may be ended anywhere and
// begun again; meanwhile everything opens with the keyring. Nobody may use the database with another one. When it returns
// without an error, nothing needs the other keys.
func (d *DB) Reseal(ctx context.Context) error {
	for {
		if n, err := d.resealOnce(ctx); err != nil || n == 0 {
			return err
		}
	}
}

func (d *DB) resealOnce(ctx context.Context) (all int, err error) {
	if all, err = d.resealSettings(ctx); err != nil {
		return all, fmt.Errorf("reseal settings: %w", err)
	}
	for _, c := range sealedColumns {
		for last := int64(0); last >= 0; {
			n := 0
			err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) (err error) {
				n, last, err = d.resealRows(ctx, tx, c, last)
				return err
			})
			if err != nil {
				return all, fmt.Errorf("reseal %s: %w", c.table, err)
			}
			all += n
		}
	}
	return all, nil
}

func (d *DB) resealSettings(ctx context.Context) (n int, err error) {
	err = d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		n = 0
		for name, purpose := range sealedSettings {
			s := setting{Name: name}
			err := d.forUpdate(tx.NewSelect().Model(&s).WherePK()).Scan(ctx)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			} else if err != nil {
				return err
			}
			sealed, err := base64.StdEncoding.DecodeString(s.Value)
			if err != nil {
				return err
			}
			sealed, changed, err := d.keys.reseal(sealed, purpose)
			if err != nil {
				return err
			}
			if !changed {
				continue
			}
			n++
			s.Value = base64.StdEncoding.EncodeToString(sealed)
			if _, err := tx.NewUpdate().Model(&s).WherePK().Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// resealRows deals with the next rows behind one. last is -1 when there are no more.
func (d *DB) resealRows(ctx context.Context, tx bun.Tx, c sealedColumn, after int64) (n int, last int64, err error) {
	var rows []struct {
		ID     int64
		Sealed []byte
	}
	q := tx.NewSelect().Table(c.table).ColumnExpr("? AS id, sealed", bun.Ident(c.id)).
		Where("? > ? AND sealed IS NOT NULL", bun.Ident(c.id), after).OrderExpr("?", bun.Ident(c.id)).Limit(resealBatch)
	if err := d.forUpdate(q).Scan(ctx, &rows); err != nil {
		return 0, 0, err
	}
	for _, row := range rows {
		sealed, changed, err := d.keys.reseal(row.Sealed, c.purpose)
		if err != nil {
			return 0, 0, fmt.Errorf("row %d: %w", row.ID, err)
		}
		if !changed {
			continue
		}
		n++
		_, err = tx.NewUpdate().Table(c.table).Set("sealed = ?", sealed).Where("? = ?", bun.Ident(c.id), row.ID).Exec(ctx)
		if err != nil {
			return 0, 0, err
		}
	}
	if len(rows) < resealBatch {
		return n, -1, nil
	}
	return n, rows[len(rows)-1].ID, nil
}

// KeepDerived makes what Derive returns outlast the keyring: what it is made of is sealed in the database from now on.
func (d *DB) KeepDerived(ctx context.Context) error {
	root := sha256.Sum256([]byte(d.keys.text)) // what HMAC makes of a text that long
	sealed, err := d.keys.seal(root[:], sealDerived)
	if err != nil {
		return err
	}
	if _, err := d.settingOr(ctx, settingDerived, base64.StdEncoding.EncodeToString(sealed)); err != nil {
		return err
	}
	return d.loadDerived(ctx)
}

func (d *DB) loadDerived(ctx context.Context) error {
	value, err := d.Setting(ctx, settingDerived)
	if err != nil || value == "" {
		return err
	}
	var root []byte
	sealed, err := base64.StdEncoding.DecodeString(value)
	if err == nil {
		err = d.keys.open(sealed, &root, sealDerived)
	}
	if err != nil {
		return fmt.Errorf("read what is derived from the first key: %w", err)
	}
	d.derived.Store(&root)
	return nil
}

// Derive returns a secret for one purpose, the same for as long as there is this database, once CheckKey has been called.
// Nobody without the keyring can know it.
func (d *DB) Derive(purpose string) []byte {
	if root := d.derived.Load(); root != nil {
		return derive(*root, purpose)
	}
	return d.keys.Derive(purpose)
}

// Others returns how many other connections of Tinyforge the database has. On SQLite nobody can tell: it is 0. Between two
// calls of the DB's methods it has one connection itself.
func (d *DB) Others(ctx context.Context) (n int, err error) {
	if !d.postgres() {
		return 0, nil
	}
	err = d.bun.NewSelect().TableExpr("pg_stat_activity").ColumnExpr("count(*)").
		Where("application_name = ? AND datname = current_database() AND pid <> pg_backend_pid()", applicationName).Scan(ctx, &n)
	return n, found("count connections", err)
}
