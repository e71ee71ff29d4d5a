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
// not known which one it is, until identifyLate.
func identify(ctx context.Context, c config, store *db.DB, engine *docker.Engine, log *slog.Logger) (p db.Process, err error) {
	asking, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	is, err := engine.Identity(asking)
	if err != nil {
		log.WarnContext(ctx, "docker does not answer: whether others on this database use another one is not known until it does", "error", err)
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

// join makes a process known, or is a *db.EngineError. One with another Docker that was killed a moment ago is waited for.
func join(ctx context.Context, store *db.DB, p db.Process) error {
	deadline := time.Now().Add(db.ProcessDead + time.Second)
	for {
		err := store.JoinProcess(ctx, p)
		if _, other := errors.AsType[*db.EngineError](err); !other || time.Now().After(deadline) {
			return err
		}
		if err := deploy.Sleep(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// identifyLate asks a Docker which one it is that was away when the process began, until that is known, and again when the others may
// have forgotten it. It calls agreed whenever the process may go on beside them, and is a *db.EngineError when it may not. A Docker that
// does not offer what the process said that it deploys to is an error too, when it answers first.
func identifyLate(ctx context.Context, store *db.DB, p db.Process, ask func(context.Context) (docker.Identity, error), agreed func()) error {
	for pause, first := db.ProcessBeat, true; ; {
		asking, cancel := context.WithTimeout(ctx, db.ProcessDead)
		is, err := ask(asking)
		cancel()
		if err == nil && first {
			if err := lacks(p.Runtimes, is); err != nil {
				return err
			}
			first = false
		}
		if err == nil {
			err = store.IdentifyProcess(ctx, p.ID, is.ID)
		}
		if _, other := errors.AsType[*db.EngineError](err); other {
			return err
		}
		if err == nil {
			agreed()
			pause = time.Minute
		}
		if deploy.Sleep(ctx, pause) != nil {
			return nil
		}
	}
}

// lacks is an error when an engine does not offer one of the runtimes.
func lacks(runtimes []string, e docker.Identity) error {
	for _, name := range runtimes {
		if err := runtimeKinds()[name](e); err != nil {
			return fmt.Errorf("docker, which was away at the start, does not offer %s, and this process said that it does: start it again: %w", name, err)
		}
	}
	return nil
}
