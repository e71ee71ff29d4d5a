package shared

import (
	"context"
	"errors"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Await says that a process is there that has joined and does not serve yet, until end is called or ctx is done: it may take longer than
// db.ProcessDead before Run or Attend do.
func Await(ctx context.Context, store *db.DB, p db.Process) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for deploy.Sleep(ctx, db.ProcessBeat) == nil {
			if alive, err := store.BeatProcess(ctx, p, false); err == nil && !alive {
				return // who is forgotten joins again when it begins
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// Attend tells until ctx is done that a process is there whose proxy follows no rows. It is a *db.EngineError when others took it for
// dead and one with another Docker is there now.
func Attend(ctx context.Context, store *db.DB, p db.Process) error {
	tick := time.NewTicker(db.ProcessBeat)
	defer tick.Stop()
	for {
		alive, err := store.BeatProcess(ctx, p, false)
		if err == nil && !alive {
			err = store.JoinProcess(ctx, p)
		}
		if _, refused := errors.AsType[*db.EngineError](err); refused {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), db.ProcessDead)
			defer cancel()
			return errors.Join(store.TidyProcesses(leaving), store.LeaveProcess(leaving, p.ID))
		}
	}
}
