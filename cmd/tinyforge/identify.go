package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/compose"
	"tinyforge/deploy/docker"
)

// runtimeKinds are what a process may deploy to, and whether an engine offers it.
func runtimeKinds() map[string]func(docker.Identity) error {
	return map[string]func(docker.Identity) error{
		db.RuntimeDocker: func(docker.Identity) error { return nil },
		"swarm": func(e docker.Identity) error {
			if e.Manager || e.Swarm != "" { // it may be one as soon as it is unlocked, or finds the others
				return nil
			}
			return errors.New("this Docker is no manager of a Swarm: make it one (docker swarm init), or point --docker-host at one")
		},
	}
}

// runtimes are those of --runtimes; none means all that there is.
func (c *config) runtimes() (names []string, err error) {
	for _, name := range strings.FieldsFunc(c.Runtimes, func(r rune) bool { return r == ',' || r == ' ' }) {
		if _, ok := runtimeKinds()[name]; !ok {
			return nil, fmt.Errorf("--runtimes %q: use docker or swarm", name)
		}
		names = append(names, name)
	}
	return names, nil
}

// offered are the runtimes of this process on this engine. While that does not answer they are those that workloads use.
func (c *config) offered(e docker.Identity, used []string) (names []string, err error) {
	asked, err := c.runtimes()
	if err != nil {
		return nil, err
	}
	for name, check := range runtimeKinds() {
		missing := check(e)
		wanted := slices.Contains(asked, name)
		switch {
		case e.ID == "" && len(asked) == 0:
			wanted = name == db.RuntimeDocker || slices.Contains(used, name)
		case wanted && missing != nil && e.ID != "":
			return nil, fmt.Errorf("--runtimes %s: %w", name, missing)
		case len(asked) == 0:
			wanted = missing == nil
		}
		if wanted {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// runtimesOf are those that are offered, as one.
func runtimesOf(offered []string, engine *docker.Engine, stacks *compose.Runtime) deploy.Runtimes {
	all := map[string]deploy.Runtime{db.RuntimeDocker: stacks, "swarm": docker.NewSwarm(engine, docker.SwarmConfig{})}
	chosen := deploy.Runtimes{}
	for _, name := range offered {
		chosen[name] = all[name]
	}
	return chosen
}

// identify says which process this is, and makes it known to the others on its database, or refuses. Docker may be away: then it is
// not known which one it is, and nobody is refused for it.
func identify(ctx context.Context, c config, store *db.DB, engine *docker.Engine, log *slog.Logger) (p db.Process, err error) {
	asking, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	is, err := engine.Identity(asking)
	if err != nil {
		log.WarnContext(ctx, "docker does not answer: whether others on this database use another one is not known", "error", err)
	}
	if p.Host, err = os.Hostname(); err != nil {
		p.Host = "unknown"
	}
	p.ID, p.Engine = strings.ToLower(rand.Text()[:12]), is.ID
	used, err := store.UsedRuntimes(ctx)
	if err != nil {
		return p, err
	}
	if p.Runtimes, err = c.offered(is, used); err != nil || isSQLite(c) {
		return p, err
	}
	return p, join(ctx, store, p)
}

// join makes a process known, unless a living one would deploy the same workloads to another Docker. One that was killed a moment
// ago is waited for. Two that are started at the same moment both look again.
func join(ctx context.Context, store *db.DB, p db.Process) error {
	deadline := time.Now().Add(db.ProcessDead + time.Second)
	for {
		if err := store.JoinProcess(ctx, p); err != nil {
			return err
		}
		others, err := store.LivingProcesses(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(others, func(other db.Process) bool { return disagree(p, other) })
		if i < 0 {
			return nil
		}
		if err := store.LeaveProcess(ctx, p.ID); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("another tinyforge on this database, on %s, deploys to another Docker than this one's, and each would take all workloads for its own: "+
				"start this one with --runtimes swarm, or point --docker-host at the same Docker", others[i].Host)
		}
		var apart [1]byte // from another that was started now
		_, _ = rand.Read(apart[:])
		if err := deploy.Sleep(ctx, 100*time.Millisecond+4*time.Duration(apart[0])*time.Millisecond); err != nil {
			return err
		}
	}
}

// disagree tells whether two processes would each run all workloads of Docker on a Docker of its own.
func disagree(p, other db.Process) bool {
	return p.ID != other.ID && p.Engine != "" && other.Engine != "" && p.Engine != other.Engine &&
		slices.Contains(p.Runtimes, db.RuntimeDocker) && slices.Contains(other.Runtimes, db.RuntimeDocker)
}
