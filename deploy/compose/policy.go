package compose

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"tinyforge/deploy/shorten"
)

// policy judges a loaded project: its types, not its text, so that there is one way to say each thing.
type policy struct {
	project *types.Project
	tree    *tree
	allow   []exception
	found   faults
	used    map[string]bool
	files   map[string][]copied // by service: what it needs of the checkout
	size    int64               // of those files
	count   int
}

// check refuses what reaches beyond the stack, all of it at once. It returns what was allowed though refused to others, and
// what of the checkout each service needs.
func check(project *types.Project, t *tree, routed string, allow []string) (allowed []string, files map[string][]copied, err error) {
	p := policy{project: project, tree: t, used: map[string]bool{}, files: map[string][]copied{}}
	for _, text := range allow {
		e, err := parseException(text)
		if err != nil {
			return nil, nil, faults{fmt.Sprintf("allow: %q %v", text, err)}
		}
		p.allow = append(p.allow, e)
	}
	for _, name := range project.ServiceNames() {
		p.service(name, project.Services[name])
	}
	p.routed(routed, project.Services[routed])
	p.resources()
	if len(p.found) > 0 {
		return nil, nil, p.found
	}
	return slices.Sorted(maps.Keys(p.used)), p.files, nil
}

// refuse notes a fault of a service, or of what is called at, unless it is allowed.
func (p *policy) refuse(service, key, value string) {
	for _, e := range p.allow {
		if e.covers(service, key, value) {
			p.used[strings.TrimSuffix(fmt.Sprintf("%s: %s: %s", service, key, value), ": ")] = true
			return
		}
	}
	shown := key
	if value != "" {
		shown += " " + shorten.Typed(value)
	}
	hint := key
	if key == "bind" {
		hint += ":" + value
	}
	p.fault(service, "%s is refused: %s (an administrator can allow %q)", shown, refusals[key], service+":"+hint)
}

// fault notes what nobody can allow.
func (p *policy) fault(service, format string, args ...any) {
	p.found = append(p.found, "service "+service+": "+fmt.Sprintf(format, args...))
}

func (p *policy) global(format string, args ...any) {
	p.found = append(p.found, fmt.Sprintf(format, args...))
}

// maxScale bounds the containers of a service.
const maxScale = 20

func (p *policy) service(name string, s types.ServiceConfig) {
	p.container(name, s.ContainerSpec)
	p.foreign(name, s)
	if s.ContainerName != "" {
		p.fault(name, "container_name is refused: the containers of a stack are named after its workload; remove it")
	}
	for _, port := range s.Ports {
		if port.Published != "" && port.Published != "0" {
			p.refuse(name, "ports", port.Published)
		}
	}
	if n := s.GetScale(); n > maxScale {
		p.fault(name, "it runs %d times: at most %d are taken", n, maxScale)
	}
	if d := s.Deploy; d != nil {
		if d.Mode != "" && d.Mode != "replicated" {
			p.fault(name, "deploy.mode %s is for a Swarm: remove it", d.Mode)
		}
		if l := d.Resources.Limits; l != nil && (l.Pids < 0 || l.Pids > pidsLimit) {
			p.refuse(name, "pids_limit", fmt.Sprint(l.Pids))
		}
		if r := d.Resources.Reservations; r != nil && len(r.Devices)+len(r.GenericResources) > 0 {
			p.refuse(name, "devices", "")
		}
	}
	for _, hook := range slices.Concat(s.PostStart, s.PreStop) {
		if hook.Privileged {
			p.refuse(name, "privileged", "")
		}
	}
	if s.Image == "" && s.Build == nil {
		p.fault(name, "it has neither image nor build")
	}
	if s.Build != nil {
		p.build(name, *s.Build)
	}
}

// foreign refuses what is done by something else than containers of this stack.
func (p *policy) foreign(name string, s types.ServiceConfig) {
	if s.Provider != nil {
		p.fault(name, "provider is refused: it runs a program on the machine")
	}
	if len(s.ExternalLinks) > 0 {
		p.refuse(name, "external", s.ExternalLinks[0])
	}
	if s.Net != "" {
		p.refuse(name, "network_mode", s.Net)
	}
	if len(s.PreStart) > 0 {
		p.fault(name, "pre_start is refused: use a service of its own and depends_on with service_completed_successfully")
	}
}

// routed is what the service that stands for the stack must be.
func (p *policy) routed(name string, s types.ServiceConfig) {
	if n := s.GetScale(); n != 1 {
		p.fault(name, "it stands for the stack and runs %d times: a route leads to one container, so leave scale and replicas at 1", n)
	}
	if s.NetworkMode != "" {
		p.fault(name, "it stands for the stack and has network_mode %s: without networks of its own it cannot be reached", s.NetworkMode)
	}
	for _, other := range p.project.Services {
		if d, ok := other.DependsOn[name]; ok && d.Condition == types.ServiceConditionCompletedSuccessfully {
			p.fault(name, "it stands for the stack, and %s waits until it has ended: name another one as the config's service", other.Name)
		}
	}
}

// resources judges what is shared by the services.
func (p *policy) resources() {
	if len(p.project.Jobs) > 0 {
		p.global("jobs cannot be used here: make each a service that others wait for with service_completed_successfully")
	}
	if len(p.project.Models) > 0 {
		p.global("models cannot be used here: run the model in a service")
	}
	p.bounds()
	for key, n := range p.project.Networks {
		p.network(key, n)
	}
	for key, v := range p.project.Volumes {
		p.volume(key, v)
	}
	for key, c := range p.project.Configs {
		p.object("config "+key, types.FileObjectConfig(c))
	}
	for key, s := range p.project.Secrets {
		p.object("secret "+key, types.FileObjectConfig(s))
	}
	slices.Sort(p.found)
}

func (p *policy) network(key string, n types.NetworkConfig) {
	at := "network " + key
	if bool(n.External) || n.Name != p.project.Name+"_"+key {
		p.refuseShared(at, "external", cmp.Or(n.Name, key))
	}
	if n.Driver != "" && n.Driver != "bridge" {
		p.refuseShared(at, "network_driver", n.Driver)
	}
	if len(n.DriverOpts)+len(n.Ipam.Options) > 0 || n.Ipam.Driver != "" && n.Ipam.Driver != "default" {
		p.refuseShared(at, "driver_opts", "")
	}
	for _, pool := range n.Ipam.Config {
		if pool == nil {
			continue
		}
		if place := cmp.Or(pool.Subnet, pool.Gateway, pool.IPRange); place != "" {
			p.refuseShared(at, "subnet", place)
		}
	}
	p.labels(at, n.Labels)
}

func (p *policy) volume(key string, v types.VolumeConfig) {
	at := "volume " + key
	if bool(v.External) || v.Name != p.project.Name+"_"+key {
		p.refuseShared(at, "external", cmp.Or(v.Name, key))
	}
	if v.Driver != "" && v.Driver != "local" {
		p.refuseShared(at, "volume_driver", v.Driver)
	}
	if len(v.DriverOpts) > 0 {
		p.refuseShared(at, "driver_opts", "")
	}
	p.labels(at, v.Labels)
}

// object judges a config or a secret. Files of the checkout are judged where they are used.
func (p *policy) object(at string, o types.FileObjectConfig) {
	if o.External || o.Driver != "" || o.TemplateDriver != "" {
		p.global("%s: external, driver and template_driver are for a Swarm: use file, environment or content", at)
	}
}

// refuseShared refuses something that no single service is to blame for.
func (p *policy) refuseShared(at, key, value string) {
	for _, e := range p.allow {
		if e.service == "" && e.covers("", key, value) {
			p.used[strings.TrimSuffix(fmt.Sprintf("%s: %s: %s", at, key, value), ": ")] = true
			return
		}
	}
	shown := key
	if value != "" {
		shown += " " + shorten.Typed(value)
	}
	p.global("%s: %s is refused: %s (an administrator can allow %q)", at, shown, refusals[key], key)
}

func (p *policy) labels(at string, labels types.Labels) {
	for name := range labels {
		if strings.HasPrefix(name, "tinyforge.") || strings.HasPrefix(name, "com.docker.compose.") {
			p.global("%s: label %s is refused: such labels say what belongs to whom; remove it", at, shorten.Typed(name))
		}
	}
}
