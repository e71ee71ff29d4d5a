package db_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/uptrace/bun"

	"tinyforge/db"
)

// TestTransactionsShareACommit lets some wait for another: all of them are in one transaction then, and what becomes of one is
// nothing to the others.
func TestTransactionsShareACommit(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	refused := errors.New("refused")
	for name, test := range map[string]struct {
		odd     func(ctx context.Context, tx bun.Tx) error // after it has written
		ctx     context.Context
		commits int64
		check   func(err error, panicked any) bool
	}{
		"one is refused": {func(context.Context, bun.Tx) error { return refused }, t.Context(), 2,
			func(err error, _ any) bool { return errors.Is(err, refused) }},
		"one is cancelled": {func(context.Context, bun.Tx) error { return nil }, gone, 2,
			func(err error, _ any) bool { return errors.Is(err, context.Canceled) }},
		"one breaks a rule": {func(ctx context.Context, tx bun.Tx) error { return note(ctx, tx, "first") }, t.Context(), 2,
			func(err error, _ any) bool { return err != nil }},
		"one fails in SQLite": {func(ctx context.Context, tx bun.Tx) error { _, err := tx.ExecContext(ctx, "nonsense"); return err }, t.Context(), 6,
			func(err error, _ any) bool { return err != nil }},
		"one panics": {func(context.Context, bun.Tx) error { panic(refused) }, t.Context(), 6,
			func(_ error, panicked any) bool { return panicked == any(refused) }},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, current.SQLite(t))
			var commits commits
			d := f.Spied(&commits)
			begun, proceed := make(chan struct{}), make(chan struct{})
			var all sync.WaitGroup
			all.Go(func() {
				f.check(d.Tx(t.Context(), func(ctx context.Context, tx bun.Tx) error {
					close(begun)
					<-proceed
					return note(ctx, tx, "first")
				}))
			})
			<-begun
			for _, key := range []string{"a", "b", "c", "d", "e"} {
				all.Go(func() {
					f.check(d.Tx(t.Context(), func(ctx context.Context, tx bun.Tx) error { return note(ctx, tx, key) }))
				})
			}
			all.Go(func() {
				defer func() {
					if panicked := recover(); panicked != nil && !test.check(nil, panicked) {
						t.Error(panicked)
					}
				}()
				err := d.Tx(test.ctx, func(ctx context.Context, tx bun.Tx) error {
					return errors.Join(note(ctx, tx, "odd"), test.odd(ctx, tx))
				})
				if !test.check(err, nil) {
					t.Errorf("the odd one: %v", err)
				}
			})
			for d.Waiting() < 6 {
				runtime.Gosched()
			}
			close(proceed)
			all.Wait()
			if got := noted(t, d); !slices.Equal(got, []string{"a", "b", "c", "d", "e", "first"}) {
				t.Errorf("written: %q", got)
			}
			if n := commits.Load(); n != test.commits {
				t.Errorf("%d commits", n)
			}
		})
	}
}

// commits counts them.
type commits struct{ atomic.Int64 }

func (*commits) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (c *commits) AfterQuery(_ context.Context, e *bun.QueryEvent) {
	if e.Query == "COMMIT" {
		c.Add(1)
	}
}

const noteValue = "of a group"

func note(ctx context.Context, tx bun.Tx, key string) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO settings (name, value) VALUES (?, ?)", key, noteValue)
	return err
}

func noted(t *testing.T, d *db.DB) (keys []string) {
	t.Helper()
	if err := d.Bun().NewRaw("SELECT name FROM settings WHERE value = ? ORDER BY name", noteValue).Scan(t.Context(), &keys); err != nil {
		t.Fatal(err)
	}
	return keys
}
