package settings

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"tinyforge/app"
	"tinyforge/db"
)

// Apps makes GitHub Apps by GitHub's manifest flow.
type Apps interface {
	// Manifest is what GitHub is posted, as JSON.
	Manifest(n app.NewApp) (string, error)

	// Convert puts what GitHub gives for a code, once, into the row. An answer of GitHub is a *app.StatusError.
	Convert(ctx context.Context, row *db.Forge, code string) error
}

// pathForge is the forge that the address names.
func (v *visit) pathForge() (db.Forge, error) {
	id, err := v.pathID("id")
	if err != nil {
		return db.Forge{}, err
	}
	return v.DB.Forge(v.r.Context(), id)
}

// pathID is a number of the address. What is no number is not found.
func (v *visit) pathID(name string) (int64, error) {
	id, err := strconv.ParseInt(v.r.PathValue(name), 10, 64)
	if err != nil || id <= 0 {
		return 0, db.ErrNotFound
	}
	return id, nil
}

func forgePath(id int64) string { return "/forges/" + strconv.FormatInt(id, 10) }

// errBusy is returned for work that somebody else is doing.
var errBusy = errors.New("somebody is doing that already")

// turns lets one at a time do something with what has an id: to a forge, for a user.
type turns struct {
	mu   sync.Mutex
	busy map[int64]bool
}

func newTurns() *turns { return &turns{busy: map[int64]bool{}} }

// take does something, or returns errBusy.
func (t *turns) take(id int64, do func() error) error {
	t.mu.Lock()
	taken := t.busy[id]
	t.busy[id] = true
	t.mu.Unlock()
	if taken {
		return errBusy
	}
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.busy, id)
	}()
	return do()
}
