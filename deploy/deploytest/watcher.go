package deploytest

import (
	"context"
	"sync"

	"tinyforge/db"
)

// watcher queues what a Watch is to be told, however slow it is.
type watcher struct {
	mu    sync.Mutex
	queue []db.ReleaseID
	more  chan struct{}
}

func newWatcher() *watcher { return &watcher{more: make(chan struct{}, 1)} }

func (w *watcher) tell(id db.ReleaseID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, id)
	select {
	case w.more <- struct{}{}:
	default:
	}
}

func (w *watcher) run(ctx context.Context, changed func(db.ReleaseID)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.more:
		}
		for _, id := range w.take() {
			changed(id)
		}
	}
}

func (w *watcher) take() []db.ReleaseID {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.queue
	w.queue = nil
	return taken
}

func (e *engine) watch(w *watcher) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.watchers[w] = struct{}{}
}

func (e *engine) unwatch(w *watcher) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.watchers, w)
}

// tell needs the engine's lock.
func (e *engine) tell(id db.ReleaseID) {
	for w := range e.watchers {
		w.tell(id)
	}
}
