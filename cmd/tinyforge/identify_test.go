package main

import (
	"slices"
	"testing"

	"tinyforge/deploy/docker"
)

// TestOfferedRuntimes: a Swarm that is locked, or has no leader, when the process starts is one that it deploys to.
func TestOfferedRuntimes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		asked  string
		engine docker.Identity
		used   []string
		want   []string // none means that it does not begin
	}{
		"alone":                     {"", docker.Identity{ID: "e"}, nil, []string{"docker"}},
		"a manager":                 {"", docker.Identity{ID: "e", Manager: true}, nil, []string{"docker", "swarm"}},
		"locked":                    {"", docker.Identity{ID: "e", Swarm: "locked"}, nil, []string{"docker", "swarm"}},
		"locked, and asked for":     {"swarm", docker.Identity{ID: "e", Swarm: "locked"}, nil, []string{"swarm"}},
		"no manager, and asked for": {"swarm", docker.Identity{ID: "e"}, nil, nil},
		"away":                      {"", docker.Identity{}, []string{"swarm"}, []string{"docker", "swarm"}},
	} {
		got, err := (&config{Runtimes: tt.asked}).offered(tt.engine, tt.used)
		if !slices.Equal(got, tt.want) || (err != nil) != (tt.want == nil) {
			t.Errorf("%s: offers %q, %v, want %q", name, got, err, tt.want)
		}
	}
}
