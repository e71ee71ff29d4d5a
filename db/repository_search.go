package db

import (
	"context"
	"strings"
)

// FindRepositories returns the repositories of a forge, of all when forgeID is 0, whose names hold all words of a query in
// whatever case, by name; and how many there are in all.
func (d *DB) FindRepositories(ctx context.Context, forgeID int64, query string, offset, limit int) (list []Repository, total int, err error) {
	q := d.bun.NewSelect().Model(&list).Where("NOT removed")
	if forgeID != 0 {
		q = q.Where("forge_id = ?", forgeID)
	}
	for _, word := range strings.Fields(strings.ToLower(query)) {
		q = q.Where(`lower(full_name) LIKE ? ESCAPE '!'`, "%"+strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(word)+"%")
	}
	n, err := q.OrderExpr("lower(full_name), id").Offset(int64(offset)).Limit(int64(limit)).ScanAndCount(ctx)
	return list, int(n), found("find repositories", err)
}
