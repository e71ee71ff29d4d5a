package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tinyforge/app"
	"tinyforge/db"
)

const deployURL = "https://deploy.example.com"

// hooking is a real Hooker that says what it did.
type hooking struct {
	app.Forge
	done chan<- string
}

func (h hooking) FindHook(ctx context.Context, repo db.Repository, url string) (int64, error) {
	id, err := h.Forge.(app.Hooker).FindHook(ctx, repo, url)
	if id != 0 {
		h.say("ensured", false, err)
	}
	return id, err
}

func (h hooking) RenewHook(ctx context.Context, repo db.Repository, url string) (int64, error) {
	id, err := h.Forge.(app.Hooker).RenewHook(ctx, repo, url)
	h.say("ensured", err == nil, err)
	return id, err
}

func (h hooking) RemoveHook(ctx context.Context, repo db.Repository, url string) error {
	err := h.Forge.(app.Hooker).RemoveHook(ctx, repo, url)
	h.say("removed", true, err)
	return err
}

func (h hooking) HookSecret(repo db.Repository) string { return h.Forge.(app.Hooker).HookSecret(repo) }

// say never waits: only the newest is of interest to a test that does not listen.
func (h hooking) say(what string, changed bool, err error) {
	select {
	case h.done <- fmt.Sprint(what, " ", changed, " ", err):
	default:
	}
}

// keeper is a HookKeeper at work.
type keeper struct {
	d    *desk
	done chan string
	stop func()
}

func (d *desk) keep(publicURL string, every time.Duration) *keeper {
	return d.keepAt(func(context.Context) (string, error) { return publicURL, nil }, every)
}

func (d *desk) keepAt(publicURL app.PublicURL, every time.Duration) *keeper {
	k := &keeper{d: d, done: make(chan string)}
	open := func(row db.Forge) (app.Forge, error) {
		forge, err := d.forges.OpenRow(row)
		if _, ok := forge.(app.Hooker); !ok || err != nil {
			return forge, err
		}
		return hooking{forge, k.done}, nil
	}
	ctx, cancel := context.WithCancel(d.t.Context())
	ended := make(chan error, 1)
	log := slog.New(slog.NewTextHandler(d.log, nil))
	hooks := app.NewHookKeeper(d.db, open, publicURL, every, log)
	hooks.RetryAfter(50 * time.Millisecond)
	go func() { ended <- hooks.Run(ctx) }()
	k.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			d.t.Errorf("keeper: %v", err)
		}
	})
	d.t.Cleanup(k.stop)
	return k
}

// until waits for a step of the keeper after which something is so.
func (k *keeper) until(what string, is func() bool) {
	k.d.t.Helper()
	deadline, again := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-k.done:
		case <-again.C: // what the keeper writes down after its step
		case <-deadline:
			k.d.t.Fatalf("waited in vain until %s; log:\n%s", what, k.d.log)
		}
	}
}

// ours are the working webhooks of a place with an address, and how the row calls it.
func (p *place) ours(url string) (working int, row string) {
	p.d.t.Helper()
	for _, h := range p.forge.Hooks(p.repo.FullName) {
		if h.URL == url && !h.Inactive && h.Secret == app.RepositorySecret(p.row.Credentials.WebhookSecret, p.repo.ExternalID) {
			working++
		}
	}
	repo, err := p.d.db.Repository(p.d.t.Context(), p.repo.ID)
	must(p.d.t, err)
	return working, repo.HookURL
}

func (p *place) hooked(url string) func() bool {
	return func() bool {
		n, row := p.ours(url)
		repo, err := p.d.db.Repository(p.d.t.Context(), p.repo.ID)
		must(p.d.t, err)
		return n == 1 && len(p.forge.Hooks(p.repo.FullName)) == 1 && row == url && repo.HookFingerprint != ""
	}
}

func (p *place) unhooked() bool {
	_, row := p.ours("")
	return len(p.forge.Hooks(p.repo.FullName)) == 0 && row == ""
}
