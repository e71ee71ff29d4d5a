package docker

import (
	"context"
	"fmt"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Watch implements deploy.Runtime. Tasks have no events, so they are looked at every now and then: what begins and ends between two looks
// is told of only where it has changed the release's state or addresses.
func (s *Swarm) Watch(ctx context.Context, changed func(db.ReleaseID)) error {
	var before map[db.ReleaseID]string
	away := false
	for ctx.Err() == nil {
		now, err := s.states(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			before = nil
			if !away {
				away = true
				s.engine.cfg.Log.WarnContext(ctx, "the Swarm does not answer: nothing can be deployed on it until it is back; it is asked again and again", "error", err)
			}
		default:
			if away {
				away = false
				s.engine.cfg.Log.InfoContext(ctx, "the Swarm answers again")
			}
			tell(before, now, changed)
			before = now
		}
		_ = deploy.Sleep(ctx, s.cfg.Look)
	}
	return nil
}

// tell calls changed for what differs; once with "" where nothing is known of before.
func tell(before, now map[db.ReleaseID]string, changed func(db.ReleaseID)) {
	if before == nil {
		changed("")
		return
	}
	for id, state := range now {
		if before[id] != state {
			changed(id)
		}
	}
	for id := range before {
		if _, there := now[id]; !there {
			changed(id)
		}
	}
}

// states say of each release all that matters to who watches: where it answers, and which tasks run.
func (s *Swarm) states(ctx context.Context) (map[db.ReleaseID]string, error) {
	list, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	states := map[db.ReleaseID]string{}
	for _, in := range list {
		states[in.ID] = fmt.Sprint(in.State, " ", in.Upstream.Addr)
	}
	return states, nil
}
