package docker

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Watch implements deploy.Runtime. It reconnects, with growing pauses of at most 5 s, until ctx is done, and then returns
// nil. changed is called by one goroutine; a slow one delays later calls and loses none. It may be told of a change twice.
// Containers that carry our labels and not the name of their release are none of ours. However often it tries, the log says
// once that Docker has gone and once that it is back.
func (e *Engine) Watch(ctx context.Context, changed func(db.ReleaseID)) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 100*time.Millisecond, 5*time.Second
	away := false
	for ctx.Err() == nil {
		err := e.follow(ctx, func(id db.ReleaseID) {
			if away {
				away = false
				e.cfg.Log.InfoContext(ctx, "docker answers again")
			}
			pause.Reset()
			changed(id)
		})
		if ctx.Err() != nil {
			break
		}
		if !away {
			away = true
			e.cfg.Log.WarnContext(ctx, "docker does not answer: nothing can be deployed until it is back; it is asked again and again", "error", err)
		}
		_ = deploy.Sleep(ctx, pause.NextBackOff())
	}
	return nil
}

// follow calls changed("") once it is connected, and then for each start and end, until the connection is lost.
func (e *Engine) follow(ctx context.Context, changed func(db.ReleaseID)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, err := e.docker.Ping(ctx); err != nil {
		return err
	}
	now := time.Now()
	messages, errs := e.docker.Events(ctx, events.ListOptions{
		// The engine answers before it listens to its events: ask for those in between too.
		Since: fmt.Sprintf("%d.%09d", now.Unix(), now.Nanosecond()),
		Filters: filters.NewArgs(
			filters.Arg("type", string(events.ContainerEventType)),
			filters.Arg("event", string(events.ActionStart)),
			filters.Arg("event", string(events.ActionDie)),
			filters.Arg("label", labelInstance+"="+e.cfg.Instance)),
	})
	select {
	case err := <-errs:
		return err
	default:
		e.facts.Store(new(facts))
		defer e.facts.Store(nil)
		changed("")
	}
	for {
		select {
		case m := <-messages:
			if id := m.Actor.Attributes[labelRelease]; id != "" && id == m.Actor.Attributes["name"] {
				changed(db.ReleaseID(id))
			}
		case err := <-errs:
			return err
		}
	}
}
