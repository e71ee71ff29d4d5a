package source

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tinyforge/db"
	"tinyforge/deploy/shorten"
)

// placement is the part of a config that says where a release runs, and how often.
type placement struct {
	Runtime     string   `json:"runtime" example:"swarm"`                                                             // "" means docker
	Replicas    int      `json:"replicas" example:"3" validate:"omitempty,min=1,max=1000"`                            // 0 means 1
	Constraints []string `json:"constraints" example:"[node.role==worker]" validate:"max=32,dive,max=256,constraint"` // all of which a node must meet
	SecretFiles []string `json:"secret_files" example:"[PASSWORD]" validate:"max=64,dive,max=128"`                    // names of env, found below /run/secrets
}

// runtimeKind is what a runtime can do that not all of them can.
type runtimeKind struct {
	spreads bool // over several nodes: replicas, constraints and secrets as files
}

// runtimes are those that a config may name.
var runtimes = map[string]runtimeKind{db.RuntimeDocker: {}, "swarm": {spreads: true}}

func (p *placement) check(c *common) Faults {
	kind, known := runtimes[p.kind()]
	if !known {
		names := strings.Join(slices.Sorted(maps.Keys(runtimes)), `" or "`)
		return Faults{{"runtime", fmt.Sprintf("unknown runtime %q: use \"%s\", or leave it empty for docker", shorten.Typed(p.Runtime), names)}}
	}
	if !kind.spreads {
		return p.checkAlone()
	}
	all := unique("secret_files", p.SecretFiles)
	for i, name := range p.SecretFiles {
		if !isEnvName(name) {
			all = append(all, Fault{fmt.Sprintf("secret_files[%d]", i), "must be the name of an environment variable"})
		}
	}
	for i, v := range c.Volumes {
		if strings.Contains(v.Path, "{{") {
			all = append(all, Fault{fmt.Sprintf("volumes[%d].path", i), "must not have {{ in it, which Swarm takes for a template"})
		}
	}
	for i, folder := range c.Tmpfs {
		if strings.Contains(folder, "{{") {
			all = append(all, Fault{fmt.Sprintf("tmpfs[%d]", i), "must not have {{ in it, which Swarm takes for a template"})
		}
	}
	if len(c.Volumes) > 0 && !slices.ContainsFunc(p.Constraints, isOfOneNode) {
		all = append(all, Fault{"volumes", `are on one node: name it in constraints, such as "node.hostname==one", so that the release always runs there`})
	}
	if writable(c.Volumes) != nil && p.Replicas > 1 {
		all = append(all, Fault{"replicas", "would write to one volume at once: use 1, or make the volumes read_only"})
	}
	return all
}

func (p *placement) kind() string { return db.Release{Runtime: p.Runtime}.RuntimeKind() }

// checkAlone finds what only a runtime with nodes can do.
func (p *placement) checkAlone() Faults {
	var all Faults
	for _, key := range []struct {
		name string
		used bool
	}{{"replicas", p.Replicas > 1}, {"constraints", len(p.Constraints) > 0}, {"secret_files", len(p.SecretFiles) > 0}} {
		if key.used {
			all = append(all, Fault{key.name, `needs the runtime "swarm": set "runtime: swarm" in the workload's config, or leave it out`})
		}
	}
	return all
}

var constraintPattern = regexp.MustCompile(`^(node\.(id|hostname|role|ip|platform\.(os|arch))|(node|engine)\.labels\.[a-zA-Z0-9_./-]+)\s*(==|!=)\s*[^\s=!][^\n]*$`)

func isConstraint(s string) bool { return constraintPattern.MatchString(s) }

func isOfOneNode(constraint string) bool {
	name, _, found := strings.Cut(constraint, "==")
	name = strings.TrimSpace(name)
	return found && (name == "node.id" || name == "node.hostname")
}
