package forgetest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	"tinyforge/app"
	"tinyforge/db"
)

// EnsureHook renews a repository's webhook unless there is one, of whatever secret, and reports whether it did.
func EnsureHook(ctx context.Context, h app.Hooker, repo db.Repository, url string) (changed bool, err error) {
	id, err := h.FindHook(ctx, repo, url)
	if err != nil || id != 0 {
		return false, err
	}
	_, err = h.RenewHook(ctx, repo, url)
	return err == nil, err
}

// hook keeps exactly one webhook of ours. A forge whose App has one needs none.
func (e *exercise) hook() {
	h, ok := e.forge.(app.Hooker)
	if !ok {
		return
	}
	row := e.row()
	const foreign = "https://ci.example.com/hook"
	_, err := e.s.AddHook(e.full, Hook{URL: foreign, Events: []string{"push"}})
	e.must(err)
	ensure := func(changes bool) {
		e.Helper()
		changed, err := EnsureHook(e.ctx, h, row, e.receiver)
		e.must(err)
		if changed != changes {
			e.Errorf("changed is %t, want %t", changed, changes)
		}
		e.checkHook()
	}
	ensure(true)
	ensure(false)

	secrets := e.s.Row("").Credentials
	_, err = e.s.AddHook(e.full, Hook{
		URL: e.receiver, Secret: secrets.WebhookSecret, SigningToken: secrets.SigningToken, Events: e.s.manners.hookEvents(),
	})
	e.must(err)
	ensure(true) // one of two goes
	ensure(false)

	for range 2 {
		e.must(h.RemoveHook(e.ctx, row, e.receiver))
		if left := e.s.Hooks(e.full); len(left) != 1 || left[0].URL != foreign {
			e.Errorf("after removal there are %+v", left)
		}
	}
	_, err = e.s.AddHook(e.full, Hook{URL: e.receiver, Inactive: true, Events: []string{"issues"}})
	e.must(err)
	ensure(true) // it was there, and good for nothing
	ensure(false)
	e.manyHooks(h)
}

// checkHook checks that there is one hook of ours, that it works, and that the other was left alone.
func (e *exercise) checkHook() {
	e.Helper()
	var ours []Hook
	for _, h := range e.s.Hooks(e.full) {
		if h.URL == e.receiver {
			ours = append(ours, h)
		}
	}
	if len(ours) != 1 || len(e.s.Hooks(e.full)) != 2 {
		e.Fatalf("there are %d hooks, %d of them ours", len(e.s.Hooks(e.full)), len(ours))
	}
	it := ours[0]
	for _, event := range e.s.manners.hookEvents() {
		if it.Inactive || it.Form || it.Unverified || !slices.Contains(it.Events, event) {
			e.Errorf("the hook is %+v", it)
		}
	}
	if slices.Contains(it.Events, "status") || slices.Contains(it.Events, "pipeline") {
		e.Error("the hook hears of the statuses we set")
	}
	if (it.SigningToken != "") != (e.s.Row("").Credentials.SigningToken != "") || it.SigningToken != "" && it.SigningToken == e.s.Row("").Credentials.SigningToken {
		e.Error("the hook signs with what is not its repository's, or not at all")
	}
	if all := e.forge.(app.Hooker).HookSecret(e.row()); !strings.Contains(all, it.Secret) || !strings.Contains(all, it.SigningToken) {
		e.Error("the hook signs with another secret than HookSecret says")
	}
	if it.Secret != app.RepositorySecret(e.s.Row("").Credentials.WebhookSecret, e.row().ExternalID) {
		e.Error("the hook has not the secret of its repository")
	}
}

// manyHooks puts ours behind more than a page of others.
func (e *exercise) manyHooks(h app.Hooker) {
	e.Helper()
	row := e.row()
	e.must(h.RemoveHook(e.ctx, row, e.receiver))
	for range 60 {
		_, err := e.s.AddHook(e.full, Hook{URL: "https://ci.example.com/other", Events: []string{"push"}})
		e.must(err)
	}
	for _, want := range []bool{true, false} {
		changed, err := EnsureHook(e.ctx, h, row, e.receiver)
		e.must(err)
		if changed != want {
			e.Errorf("behind 60 others: changed is %t, want %t", changed, want)
		}
	}
}

// disabled repairs a webhook that the forge has disabled because its deliveries failed. Where failures do not matter to the
// forge, nothing is to be repaired.
func (e *exercise) disabled() {
	h, ok := e.forge.(app.Hooker)
	if !ok {
		return
	}
	for _, code := range []int{http.StatusUnauthorized, http.StatusServiceUnavailable} {
		failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		defer failing.Close()
		_, err := EnsureHook(e.ctx, h, e.row(), failing.URL)
		e.must(err)
		sent := 0
		for range 6 {
			before := len(e.s.Deliveries())
			e.commit("Change")
			e.must(e.work.Push(e.ctx, "main"))
			all, err := e.s.Settle(e.ctx)
			e.must(err)
			sent += len(all) - before
		}
		changed, err := EnsureHook(e.ctx, h, e.row(), failing.URL)
		e.must(err)
		if stopped := sent < 6; changed != stopped {
			e.Errorf("answered %d, the forge sent %d of 6 deliveries; changed is %t", code, sent, changed)
		}
		hooks := e.s.Hooks(e.full)
		if it := hooks[0]; len(hooks) != 1 || it.Inactive || !it.DisabledUntil.IsZero() {
			e.Errorf("answered %d, the hooks are %+v", code, hooks)
		}
		e.must(h.RemoveHook(e.ctx, e.row(), failing.URL))
	}
}
