package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"tinyforge/db"
	"tinyforge/deploy/proxy"
)

// apart is the proxy in a process of its own, the command proxy. It may be away, and may come and go.
type apart struct {
	*proxy.Client
	log *slog.Logger

	leading       sync.Mutex
	host, address string // what Lead was called with last; guarded by leading

	mu    sync.Mutex
	known proxy.State // guarded by mu

	due     bool   // Lead is to be repeated; watch alone uses it
	another func() // is called when another process of the proxy answers; nil for nothing. Set before watch runs
}

func newApart(c config, _ *db.DB, _ string, log *slog.Logger) (gateway, error) {
	return &apart{Client: proxy.NewClient(c.proxySocket()), log: log.With("socket", c.proxySocket())}, nil
}

// isAway tells whether an error is that the proxy does not answer.
func isAway(err error) bool {
	_, away := errors.AsType[*proxy.AwayError](err)
	return away
}

// whyAway is what the system says of a proxy that does not answer, without what is said beside it already.
func whyAway(err error) error {
	if away, ok := errors.AsType[*proxy.AwayError](err); ok {
		return away
	}
	return err
}

// Listen implements gateway: the other process does. That it is away is no error, since it may be started later.
func (a *apart) Listen(ctx context.Context) error {
	now, err := a.Client.State(ctx)
	if err != nil {
		a.log.WarnContext(ctx, awayText, "error", whyAway(err))
	}
	a.know(now)
	return nil
}

const awayText = "the proxy does not answer: sites may be down, and no route can be moved; start tinyforge proxy"

// State implements sites. A push that comes is recorded all the same.
func (a *apart) State(ctx context.Context) (word string, ready bool) {
	if _, err := a.Client.State(ctx); err != nil {
		return "does not answer", true
	}
	return "ok", true
}

// Serves implements sites.
func (a *apart) Serves() (http, https string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known.HTTP, a.known.HTTPS
}

// Folder implements sites.
func (a *apart) Folder() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known.DataDir == "" {
		return ""
	}
	return filepath.Dir(a.known.DataDir) // newProxy makes one in it
}

// Lead implements gateway.
func (a *apart) Lead(host, address string) error {
	a.leading.Lock()
	defer a.leading.Unlock()
	a.host, a.address = host, address
	return lead(a.Client, host, address)
}

// leadAgain repeats the last Lead.
func (a *apart) leadAgain() error {
	a.leading.Lock()
	defer a.leading.Unlock()
	if a.address == "" {
		return nil // there was none
	}
	return lead(a.Client, a.host, a.address)
}

// know takes note of what the proxy says of itself; the zero State is that it does not answer. It tells whether a proxy
// answers that is another one than before, or is back.
func (a *apart) know(now proxy.State) (another bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.ID == "" {
		a.known.ID = "" // its addresses are still right
		return false
	}
	another = a.known.ID != now.ID
	a.known = now
	return another
}

// OnAnother implements replaced.
func (a *apart) OnAnother(f func()) { a.another = f }

const lookEvery = 2 * time.Second

// Stages implements gateway.
func (a *apart) Stages() []stage { return []stage{{"proxy", a.watch}} }

// watch says once that the proxy is away, and once that it is back: then it is told the host that is Tinyforge's own again,
// since it may have been away before.
func (a *apart) watch(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		a.look(ctx)
	}
}

func (a *apart) look(ctx context.Context) {
	before := a.answers()
	now, err := a.Client.State(ctx)
	if ctx.Err() != nil {
		return
	}
	another := a.know(now)
	switch {
	case err != nil && before:
		a.log.WarnContext(ctx, awayText, "error", whyAway(err))
	case another:
		a.log.InfoContext(ctx, "the proxy answers")
		a.due = true
		if a.another != nil {
			a.another()
		}
	}
	if err != nil || !a.due {
		return
	}
	if err := a.leadAgain(); err != nil {
		a.log.WarnContext(ctx, "lead the host of this Tinyforge; it is tried again", "error", whyAway(err))
		return
	}
	a.due = false
}

// Away implements sites.
func (a *apart) Away() bool { return !a.answers() }

// answers tells whether the proxy did when it was last asked.
func (a *apart) answers() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known.ID != ""
}
