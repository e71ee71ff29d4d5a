package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Place names where this database is kept: the same to all who use it on one machine, another than that of a copy of it, whether
// restored from a backup or copied as a file, or with its whole PostgreSQL, which has another port then.
func (d *DB) Place(ctx context.Context) (place string, err error) {
	if d.postgres() {
		err = d.bun.NewSelect().ColumnExpr("(SELECT system_identifier FROM pg_control_system()) || '.' || oid || '.' || current_setting('port')").
			TableExpr("pg_database").Where("datname = current_database()").Scan(ctx, &place)
		return place, found("read the database's place", err)
	}
	var path string
	if err := d.bun.NewSelect().ColumnExpr("file").TableExpr("pragma_database_list").Where("name = 'main'").Scan(ctx, &path); err != nil {
		return "", found("read the database's place", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("read the database's place: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", errors.New("read the database's place: this system numbers no files")
	}
	return strings.Join([]string{"file", fmt.Sprint(stat.Dev), fmt.Sprint(stat.Ino)}, "."), nil
}
