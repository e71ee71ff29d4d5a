package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"tinyforge/db"
)

// TestStagesEndWithAnotherDocker: what works on Docker does not wait for the pages to end when it is not the Docker of the others.
func TestStagesEndWithAnotherDocker(t *testing.T) {
	t.Parallel()
	runner, recovery := make(chan struct{}), make(chan struct{})
	until := func(ended chan struct{}) func(context.Context) error {
		return func(ctx context.Context) error { <-ctx.Done(); close(ended); return nil }
	}
	other := &db.EngineError{Host: "other.test"}
	err := runStages(t.Context(), slog.New(slog.DiscardHandler),
		stage{"control", func(ctx context.Context) error {
			<-ctx.Done()
			for name, ended := range map[string]chan struct{}{"runner": runner, "recovery": recovery} {
				select {
				case <-ended:
				case <-time.After(20 * time.Second):
					t.Errorf("the %s goes on", name)
				}
			}
			return nil
		}},
		stage{"runner", until(runner)},
		stage{"recovery", until(recovery)},
		stage{"presence", func(context.Context) error { return fmt.Errorf("stay: %w", other) }})
	if !errors.Is(err, other) {
		t.Errorf("they ended with %v", err)
	}
}
