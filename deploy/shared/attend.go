package shared

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tinyforge/db"
)

// Attend tells until ctx is done that a process is there whose proxy follows no rows.
func Attend(ctx context.Context, store *db.DB, p db.Process, log *slog.Logger) error {
	tick := time.NewTicker(db.ProcessBeat)
	defer tick.Stop()
	for said := false; ; {
		alive, err := store.BeatProcess(ctx, p, false)
		if err == nil && !alive {
			err = store.JoinProcess(ctx, p)
		}
		if err != nil && ctx.Err() == nil && !said {
			log.WarnContext(ctx, "tell that this process lives; it is tried again", "error", err)
		}
		said = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), db.ProcessDead)
			defer cancel()
			return errors.Join(store.TidyProcesses(leaving), store.LeaveProcess(leaving, p.ID))
		}
	}
}
