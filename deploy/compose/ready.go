package compose

import (
	"context"
	"fmt"
	"time"

	"github.com/moby/moby/api/types/container"

	"tinyforge/db"
	"tinyforge/deploy"
)

const (
	lookEvery = 200 * time.Millisecond
	crashes   = 3 // restarts after which a service is given up
)

// ready waits until every service is: it is healthy, or stays up if it has no healthcheck, or has ended well if it is one
// that ends.
func (r *Runtime) ready(ctx context.Context, release db.Release) error {
	deadline := time.Now().Add(r.cfg.Patience)
	since := map[string]time.Time{} // by container and how often it was restarted
	for {
		s, err := r.stack(ctx, projectName(release.Workload))
		if err != nil {
			return err
		}
		waiting := ""
		for _, m := range s.members {
			switch ready, err := m.ready(release.ID, since, r.cfg.Stays); {
			case err != nil:
				return err
			case !ready:
				waiting = m.service()
			}
		}
		if waiting == "" {
			return nil
		}
		if time.Now().After(deadline) {
			return &deploy.Failure{Text: fmt.Sprintf("Service %s did not get ready within %s", waiting, r.cfg.Patience)}
		}
		if err := deploy.Sleep(ctx, lookEvery); err != nil {
			return err
		}
	}
}

// ready tells whether a container is; the error is a *deploy.Failure that says why it will not be. The routed service is
// judged by its healthcheck only: the gate does the rest. limit is for how long one without must be seen to run.
func (m member) ready(id db.ReleaseID, since map[string]time.Time, limit time.Duration) (bool, error) {
	s := m.detail.State
	ended := s.Status == container.StateExited || s.Status == container.StateDead
	health := s.Health != nil && s.Health.Status != container.NoHealthcheck
	switch {
	case m.routed() && (ended || s.Restarting || m.detail.RestartCount > 0 || m.runs() && !health):
		return true, nil
	case m.job() && ended && s.ExitCode == 0:
		return true, nil
	case ended, m.restarts(id) >= crashes:
		return false, m.failure(id)
	case !m.runs():
		return false, nil
	case !health:
		return m.job() || m.stays(since) >= limit, nil
	case s.Health.Status == container.Unhealthy:
		return false, m.failure(id)
	}
	return s.Health.Status == container.Healthy, nil
}

// stays is for how long a container was seen to run, without a restart in between.
func (m member) stays(since map[string]time.Time) time.Duration {
	key := fmt.Sprint(m.ID, m.detail.RestartCount)
	if _, seen := since[key]; !seen {
		since[key] = time.Now()
	}
	return time.Since(since[key])
}
