package compose

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/docker/compose/v5/pkg/api"
	"github.com/moby/moby/client"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Watch implements deploy.Runtime. changed is called once at a time. It is told of a service's end or start as one of the
// release that owns the stack.
func (r *Runtime) Watch(ctx context.Context, changed func(db.ReleaseID)) error {
	var mu sync.Mutex
	tell := func(id db.ReleaseID) {
		mu.Lock()
		defer mu.Unlock()
		changed(id)
	}
	inner := make(chan error, 1)
	go func() { inner <- r.inner.Watch(ctx, tell) }()
	r.watchStacks(ctx, tell)
	return <-inner
}

// watchStacks reconnects, with growing pauses, until ctx is done.
func (r *Runtime) watchStacks(ctx context.Context, changed func(db.ReleaseID)) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 100*time.Millisecond, 5*time.Second
	for ctx.Err() == nil {
		_ = r.follow(ctx, func(id db.ReleaseID) {
			pause.Reset()
			changed(id)
		})
		if deploy.Sleep(ctx, pause.NextBackOff()) != nil {
			return
		}
	}
}

// follow calls changed("") once it is connected, and then for each start and end, until the connection is lost. That the
// connection was lost is told by the inner runtime, which has one to the same engine.
func (r *Runtime) follow(ctx context.Context, changed func(db.ReleaseID)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, err := r.docker.Ping(ctx, client.PingOptions{}); err != nil {
		return err
	}
	now := time.Now()
	events := r.docker.Events(ctx, client.EventsListOptions{
		Since:   fmt.Sprintf("%d.%09d", now.Unix(), now.Nanosecond()),
		Filters: client.Filters{}.Add("type", "container").Add("event", "start", "die").Add("label", labelInstance+"="+r.cfg.Instance, labelRouted),
	})
	select {
	case err := <-events.Err:
		return err
	default:
		changed("")
	}
	for {
		select {
		case m := <-events.Messages:
			project := m.Actor.Attributes[api.ProjectLabel]
			if !strings.HasPrefix(project, projectName("")) {
				continue
			}
			id := db.ReleaseID(m.Actor.Attributes[labelRelease])
			if s, err := r.stack(ctx, project); err == nil && m.Actor.Attributes[labelRouted] != "true" && s.owner() != "" {
				id = s.owner()
			}
			changed(id)
		case err := <-events.Err:
			return err
		}
	}
}
