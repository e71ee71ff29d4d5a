package forgetest

import (
	"slices"

	"tinyforge/app"
)

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
		changed, err := h.EnsureHook(e.ctx, row, e.receiver)
		e.must(err)
		if changed != changes {
			e.Errorf("changed is %t, want %t", changed, changes)
		}
		e.checkHook()
	}
	ensure(true)
	ensure(false)

	_, err = e.s.AddHook(e.full, Hook{URL: e.receiver, Secret: e.s.Row("").Credentials.WebhookSecret, Events: []string{"push", "delete"}})
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
	if it.Inactive || it.Form || !slices.Contains(it.Events, "push") || !slices.Contains(it.Events, "delete") {
		e.Errorf("the hook is %+v", it)
	}
	if slices.Contains(it.Events, "status") {
		e.Error("the hook hears of the statuses we set")
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
		changed, err := h.EnsureHook(e.ctx, row, e.receiver)
		e.must(err)
		if changed != want {
			e.Errorf("behind 60 others: changed is %t, want %t", changed, want)
		}
	}
}
