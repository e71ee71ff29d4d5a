package webhooks

import (
	"context"
	"sync"
	"time"

	"tinyforge/db"
)

// rowLasts is for how long the row of a forge that was read is taken for what it is. Nobody is refused, and nothing recorded, by one
// that is not so any more.
const rowLasts = 100 * time.Millisecond

// rows reads the rows of forges, one at a time for each name, and once for all who wait for it: a flood of unsigned deliveries
// must not keep the database from the signed ones. Safe for concurrent use.
type rows struct {
	db *db.DB

	mu    sync.Mutex
	names map[string]*reading // of the forges that there are, and of those that are asked for
}

// reading is the last read of a name. Its lock is held during a read.
type reading struct {
	mu    sync.Mutex
	begun time.Time
	row   db.Forge
	err   error

	askers int // guarded by the lock of rows, as is known
	known  bool
}

func newRows(d *db.DB) *rows { return &rows{db: d, names: map[string]*reading{}} }

// read returns the row of a forge by its name as it was at some time after since, or db.ErrNotFound; "" is no forge's name.
func (s *rows) read(ctx context.Context, name string, since time.Time) (db.Forge, error) {
	if name == "" {
		return db.Forge{}, db.ErrNotFound
	}
	last := s.ask(name)
	last.mu.Lock()
	defer last.mu.Unlock()
	if !last.begun.After(since) || last.err != nil {
		last.begun = time.Now()
		last.row, last.err = s.db.ForgeByName(ctx, name)
	}
	s.leave(name, last, last.err == nil)
	return last.row, last.err
}

func (s *rows) ask(name string) *reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.names[name]
	if one == nil {
		one = &reading{}
		s.names[name] = one
	}
	one.askers++
	return one
}

// leave forgets the names of no forge, when nobody asks for them any more: anybody can make them up.
func (s *rows) leave(name string, one *reading, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one.known = known
	if one.askers--; one.askers == 0 && !one.known {
		delete(s.names, name)
	}
}
