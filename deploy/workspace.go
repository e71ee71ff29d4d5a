package deploy

import (
	"errors"
	"fmt"
	"os"
)

// EmptyWorkspace makes the folder for checkouts, and removes those in it that a process left behind which was killed. No
// other process may use it.
func EmptyWorkspace(dir string) error {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return fmt.Errorf("empty workspace: %w", err)
	}
	return nil
}

// workspace is a temporary folder that is made when it is first needed.
type workspace struct{ parent, dir string }

func (w *workspace) make() (dir string, err error) {
	if w.dir == "" {
		if w.dir, err = os.MkdirTemp(w.parent, "checkout-"); err != nil {
			return "", &Failure{Text: "There is no room for a checkout: " + w.parent, Err: err}
		}
	}
	return w.dir, nil
}

func (w *workspace) remove() {
	if w.dir != "" {
		_ = os.RemoveAll(w.dir) // the next start empties the workspace
	}
}
