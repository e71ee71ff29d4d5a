package compose

import (
	"context"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// passed is a file as the guard let it pass.
type passed struct {
	visit
	content []byte
}

// explain says why the library could not load what the guard let pass. The library's words may quote any file that it
// opened itself, so they are told of contents only that the guard read, with nothing that they include or extend.
func (g *guard) explain(ctx context.Context, details types.ConfigDetails, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	alone := func(o *loader.Options) {
		o.SetProjectName(g.project, true)
		o.SkipInclude, o.SkipExtends = true, true
		o.SkipResolveEnvironment, o.SkipResolveLabels = true, true
		o.MaxNodeVisits = maxNodes
		o.SkipConsistencyCheck = len(g.passed) > len(details.ConfigFiles) // what is missing may be in another file
	}
	if _, found := load(ctx, details, alone); found != nil {
		return faults{unreadable + found.Error()}
	}
	for _, p := range g.passed {
		if p.top {
			continue
		}
		details := types.ConfigDetails{
			WorkingDir: p.dir, Environment: p.env.Clone(), ConfigFiles: []types.ConfigFile{{Filename: p.path, Content: p.content}},
		}
		if _, found := load(ctx, details, alone); found != nil {
			return faults{g.tree.named(p.path) + " cannot be read: " + found.Error()}
		}
	}
	if text := err.Error(); strings.Contains(text, "cycle") || strings.Contains(text, "ircular") {
		return faults{unreadable + "they include or extend each other in a circle"}
	}
	return faults{unreadable + "each can be read alone, but what they include or extend does not fit together. " +
		"docker compose config says more"}
}

const unreadable = "the Compose files cannot be read: "
