package deploy

import (
	"context"

	"tinyforge/db"
)

// StackInput says which stack of a checkout to load, and what it may do.
type StackInput struct {
	ID       db.ReleaseID // of the release to be
	Tag      string       // begins the names of its images; see BuildInput
	Workload string
	Dir      string   // the checkout
	Files    []string // Compose files in it, slash-separated; none means those with the usual names
	Service  string   // the one that stands for the stack and gets its route; "" means the only one
	Port     int      // of that service; 0 means the one that it exposes
	Profiles []string
	Env      map[string]string // for ${VAR}; wins over the checkout's .env
	Allow    []string          // what an administrator allows of what is refused otherwise

	// Auth returns the account for a registry by its host, nil for none. It may be nil.
	Auth func(ctx context.Context, host string) (*RegistryAuth, error)
}

// LoadedStack is a stack with all its images made.
type LoadedStack struct {
	Stack db.ComposeStack
	Port  int // of the service that gets the route
}

// startStack changes a stack in place. Requests to the one that serves are kept waiting meanwhile, where the router can.
func (j *job) startStack(ctx context.Context) error {
	if j.mixed() {
		instances, err := j.others(ctx, j.dep.Release.ID)
		if err != nil {
			return err
		}
		if err := j.hold(ctx, instances); err != nil {
			return err
		}
	}
	return j.start(ctx)
}

// mixed tells whether what runs may be a mix of both releases: a stack is changed service by service, in place, and so is what is
// scaled; only starting the one that served makes it whole again.
func (j *job) mixed() bool {
	if j.dep.Strategy == db.Scale {
		return j.blue != nil
	}
	return j.blue != nil && j.blue.Release.Stack != nil && j.dep.Release != nil && j.dep.Release.Stack != nil
}
