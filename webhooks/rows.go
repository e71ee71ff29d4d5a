package webhooks

import (
	"context"
	"sync"
	"time"

	"tinyforge/db"
)

// rows reads the rows of forges, one at a time for each name, and once for all who wait for it: a flood of unsigned deliveries
// must not keep the database from the signed ones. What it returns was read after it was asked. Safe for concurrent use.
type rows struct {
	db *db.DB

	mu    sync.Mutex
	names map[string]*reading // of those who are read, or waited for
}

// reading is the last read of a name. Its lock is held during a read.
type reading struct {
	mu     sync.Mutex
	begun  time.Time
	row    db.Forge
	err    error
	askers int // guarded by the lock of rows
}

func newRows(d *db.DB) *rows { return &rows{db: d, names: map[string]*reading{}} }

// read returns the row of a forge by its name, or db.ErrNotFound; "" is no forge's name.
func (s *rows) read(ctx context.Context, name string) (db.Forge, error) {
	if name == "" {
		return db.Forge{}, db.ErrNotFound
	}
	asked := time.Now()
	last, done := s.ask(name)
	defer done()
	last.mu.Lock()
	defer last.mu.Unlock()
	if last.begun.After(asked) && last.err == nil {
		return last.row, nil
	}
	last.begun = time.Now()
	last.row, last.err = s.db.ForgeByName(ctx, name)
	return last.row, last.err
}

// ask returns the reading of a name, which is forgotten when nobody asks any more.
func (s *rows) ask(name string) (one *reading, done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one = s.names[name]
	if one == nil {
		one = &reading{}
		s.names[name] = one
	}
	one.askers++
	return one, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if one.askers--; one.askers == 0 {
			delete(s.names, name)
		}
	}
}
