package shared

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tinyforge/db"
)

// Watch tells in the log until ctx is done who else joins the database and goes, once each, and when that is away and when it is back.
// ID is this process.
func Watch(ctx context.Context, store *db.DB, id string, log *slog.Logger) {
	tick := time.NewTicker(db.ProcessBeat)
	defer tick.Stop()
	w := watcher{DB: store, id: id, log: log}
	for {
		w.look(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// watcher is what Watch remembers.
type watcher struct {
	*db.DB
	id   string
	log  *slog.Logger
	seen map[string]db.Process // nil at first
	away bool
	back time.Time // when the database came back
}

func (w *watcher) look(ctx context.Context) {
	asking, cancel := context.WithTimeout(ctx, db.ProcessDead)
	defer cancel()
	list, err := w.LivingProcesses(asking)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil && !w.away:
		w.log.WarnContext(ctx, "the database does not answer: sites are served as they are, nothing is deployed", "error", err)
	case err == nil && w.away:
		w.log.InfoContext(ctx, "the database answers again")
		w.back = time.Now()
	}
	if w.away = err != nil; w.away {
		return
	}
	there := map[string]db.Process{}
	for _, p := range list {
		if p.ID == w.id {
			continue
		}
		there[p.ID] = p
		if _, known := w.seen[p.ID]; !known {
			said := "another process joined"
			if w.seen == nil {
				said = "another process is there"
			}
			w.log.InfoContext(ctx, said, "host", p.Host, "runtimes", p.Runtimes)
		}
	}
	for id, p := range w.seen {
		if _, still := there[id]; !still && !w.gone(asking, p) {
			there[id] = p
		}
	}
	w.seen = there
}

// gone tells of a process that lives no more, unless that is not sure: while the database was away nobody could say that it lives.
func (w *watcher) gone(ctx context.Context, p db.Process) bool {
	known, err := w.HasProcess(ctx, p.ID)
	switch {
	case err != nil || time.Since(w.back) < db.ProcessDead:
		return false
	case known:
		w.log.InfoContext(ctx, "another process has not answered for 5 s: it is not waited for any more", "host", p.Host)
	default:
		w.log.InfoContext(ctx, "another process left", "host", p.Host)
	}
	return true
}

// complain logs what went wrong. That the database is away Watch says, once.
func (r *Router) complain(ctx context.Context, what string, err error) {
	level := slog.LevelWarn
	if errors.Is(err, db.ErrAway) || errors.Is(err, context.DeadlineExceeded) && !r.Away(err) {
		level = slog.LevelDebug
	}
	if err != nil && ctx.Err() == nil {
		r.Log.Log(ctx, level, what, "error", err)
	}
}
