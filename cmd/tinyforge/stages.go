package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tinyforge/db"
)

// stage is a background loop. The order of stages is the order in which they end.
type stage struct {
	name string
	run  func(ctx context.Context) error
}

// stopMost bounds the end of one stage. Whatever is cut then is resumed by the next start.
const stopMost = 45 * time.Second

// runStages runs all stages at once until ctx is done or one of them ends by itself, which is an error. Then it ends them
// one after the other. Where that error is a *db.EngineError, those that work on Docker are told at once, whatever ends before them.
func runStages(ctx context.Context, log *slog.Logger, stages ...stage) error {
	ended := make(chan error, len(stages))
	stops := make([]func() error, len(stages))
	for i, s := range stages {
		stops[i] = start(ctx, s, ended)
	}
	var errs []error
	select {
	case <-ctx.Done():
		log.InfoContext(ctx, "tinyforge stops")
	case err := <-ended:
		errs = append(errs, err)
		if _, other := errors.AsType[*db.EngineError](err); other {
			for i, stop := range stops {
				if stages[i].worksOnDocker() {
					go func() { _ = stop() }()
				}
			}
		}
	}
	for i, stop := range stops {
		if err := stop(); err != nil {
			log.WarnContext(ctx, "stop", "stage", stages[i].name, "error", err)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s stage) worksOnDocker() bool {
	return s.name == "runner" || s.name == "recovery" || s.name == "janitor"
}

// start runs a stage apart from ctx, so that it ends only when its turn comes. stop ends it, and may be called several times at once.
func start(ctx context.Context, s stage, ended chan<- error) (stop func() error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	stopping := false
	var mu sync.Mutex
	go func() {
		err := s.run(ctx)
		mu.Lock()
		defer mu.Unlock()
		if !stopping {
			ended <- fmt.Errorf("%s ended: %w", s.name, errOr(err, errors.New("by itself, without an error")))
			err = nil // said
		}
		done <- err
	}()
	return sync.OnceValue(func() error {
		mu.Lock()
		stopping = true
		mu.Unlock()
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(stopMost):
			return fmt.Errorf("%s did not end within %s", s.name, stopMost)
		}
	})
}

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
