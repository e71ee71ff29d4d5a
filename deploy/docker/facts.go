package docker

import "context"

// facts are what was found out about an engine that cannot change while it runs, and takes it long to say. They hold for as
// long as its events are followed without a break (see Watch): once those end, another engine may answer.
type facts struct {
	root     string // its folder; "" means that it was not asked yet
	buildKit bool   // its BuildKit has answered
}

// rootFolder is where the engine keeps all that it has.
func (e *Engine) rootFolder(ctx context.Context) (string, error) {
	known := e.facts.Load()
	if known != nil && known.root != "" {
		return known.root, nil
	}
	info, err := e.docker.Info(ctx)
	if err != nil {
		return "", err
	}
	e.learn(known, func(f *facts) { f.root = info.DockerRootDir })
	return info.DockerRootDir, nil
}

// learn adds to what is known, unless that has changed since, or nobody follows the events.
func (e *Engine) learn(known *facts, add func(*facts)) {
	if known == nil {
		return
	}
	more := *known
	add(&more)
	e.facts.CompareAndSwap(known, &more)
}
