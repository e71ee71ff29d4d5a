package compose

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"tinyforge/deploy"
	"tinyforge/deploy/shorten"
)

const defaultPort = 8080

// stands returns the service that stands for the stack, and its port: what the input says, or else the one there is.
func stands(project *types.Project, in deploy.StackInput) (service string, port int, err error) {
	names := project.ServiceNames()
	service = in.Service
	if service == "" && len(names) == 1 {
		service = names[0]
	}
	if service == "" {
		return "", 0, faults{fmt.Sprintf("the stack has %d services: name the config's service, the one that gets the route: %s",
			len(names), strings.Join(names, ", "))}
	}
	s, ok := project.Services[service]
	if !ok {
		return "", 0, faults{fmt.Sprintf("there is no service %s, or only in another profile: the config's service may be %s",
			shorten.Typed(service), strings.Join(names, ", "))}
	}
	if port = cmp.Or(in.Port, exposed(s)); port == 0 {
		port = defaultPort
	}
	return service, port, nil
}

// exposed is the one port that a service says it listens on, 0 when there are several or none.
func exposed(s types.ServiceConfig) int {
	var ports []int
	for _, p := range s.Ports {
		ports = append(ports, int(p.Target))
	}
	for _, text := range s.Expose {
		number, _, _ := strings.Cut(text, "/")
		if n, err := strconv.Atoi(number); err == nil {
			ports = append(ports, n)
		}
	}
	slices.Sort(ports)
	if ports = slices.Compact(ports); len(ports) == 1 {
		return ports[0]
	}
	return 0
}

// settle makes the project what is kept and run: free of what is done already or for other tools, and with the limits that
// every container of ours has. It returns lines for the log.
func settle(project *types.Project, routed string) (lines []string) {
	jobs := map[string]bool{}
	for _, s := range project.Services {
		for name, d := range s.DependsOn {
			jobs[name] = jobs[name] || d.Condition == types.ServiceConditionCompletedSuccessfully
		}
	}
	for _, name := range project.ServiceNames() {
		s := project.Services[name]
		kept := s.Ports[:0]
		for _, p := range s.Ports {
			if p.Published == "" || p.Published == "0" {
				lines = append(lines, fmt.Sprintf("%s: port %d is not published on the machine: services and the route reach it without", name, p.Target))
				continue
			}
			kept = append(kept, p)
		}
		s.Ports = kept
		s.Profiles, s.Develop, s.Extends, s.Dockerfile, s.Extensions = nil, nil, nil, "", nil
		s.Restart = restart(s, jobs[name])
		if name == routed {
			s.Restart = types.RestartPolicyUnlessStopped
			lines = append(lines, unname(name, &s)...)
		}
		if s.Deploy != nil {
			s.Deploy.RestartPolicy, s.Deploy.Placement, s.Deploy.Labels = nil, types.Placement{}, nil
		}
		if sum := contents(project, s); sum != "" {
			s.Labels = s.Labels.Add(labelContent, sum)
		}
		harden(&s)
		lines = append(lines, bound(name, &s)...)
		project.Services[name] = s
	}
	project.Extensions = nil
	*project = *project.WithoutUnnecessaryResources() // secrets of builds, and files that are in images by now
	return lines
}

// unname takes from the routed service what could be a name on the network that all routed releases share: there it must
// not answer as another one.
func unname(name string, s *types.ServiceConfig) (lines []string) {
	for key, value := range map[string]string{"hostname": s.Hostname, "domainname": s.DomainName} {
		if value != "" {
			lines = append(lines, fmt.Sprintf("%s: %s is left out: others reach the service that gets the route by its service's name", name, key))
		}
	}
	s.Hostname, s.DomainName = "", ""
	slices.Sort(lines)
	return lines
}

// contents changes with what Compose puts into a service's container, which is no part of its hash of the service.
func contents(project *types.Project, s types.ServiceConfig) string {
	var all []string
	for _, ref := range s.Configs {
		all = append(all, "config", ref.Source, project.Configs[ref.Source].Content)
	}
	for _, ref := range s.Secrets {
		all = append(all, "secret", ref.Source, project.Secrets[ref.Source].Content)
	}
	if all == nil {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", all))
	return hex.EncodeToString(sum[:16])
}

// restart is the policy of a service: as for every release, unless it says that it may end.
func restart(s types.ServiceConfig, job bool) string {
	policy := s.Restart
	if d := s.Deploy; d != nil && d.RestartPolicy != nil {
		policy = map[string]string{"none": types.RestartPolicyNo, "on-failure": types.RestartPolicyOnFailure}[d.RestartPolicy.Condition]
		if n := d.RestartPolicy.MaxAttempts; n != nil && policy == types.RestartPolicyOnFailure {
			policy += ":" + strconv.FormatUint(*n, 10)
		}
	}
	switch {
	case policy == "" && job:
		return types.RestartPolicyNo
	case policy == "", policy == types.RestartPolicyAlways: // one that is stopped stays so
		return types.RestartPolicyUnlessStopped
	}
	return policy
}

// mayEnd tells whether a service is one that ends by itself when it is done.
func mayEnd(s types.ServiceConfig) bool { return s.Restart != types.RestartPolicyUnlessStopped }

// harden adds what the project does not say otherwise. See the container of a release that is not a stack for why.
func harden(s *types.ServiceConfig) {
	if !slices.ContainsFunc(s.SecurityOpt, func(o string) bool { return strings.HasPrefix(o, "no-new-privileges") }) && !s.Privileged {
		s.SecurityOpt = append(s.SecurityOpt, "no-new-privileges:true")
	}
	if !s.Privileged && !adds(s.CapAdd, "NET_RAW") && !adds(s.CapDrop, "NET_RAW") {
		s.CapDrop = append(s.CapDrop, "NET_RAW")
	}
	if d := s.Deploy; d != nil && d.Resources.Limits != nil { // Compose wants both to be the same
		s.PidsLimit = cmp.Or(s.PidsLimit, d.Resources.Limits.Pids, pidsLimit)
		d.Resources.Limits.Pids = s.PidsLimit
	}
	s.PidsLimit = cmp.Or(s.PidsLimit, pidsLimit)
}

func adds(capabilities []string, name string) bool {
	return slices.ContainsFunc(capabilities, func(c string) bool {
		c = strings.TrimPrefix(strings.ToUpper(c), "CAP_")
		return c == name || c == "ALL"
	})
}
