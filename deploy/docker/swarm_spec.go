package docker

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"tinyforge/db"
)

// nowhere is a placement constraint that no node meets: a release that is stopped has it.
const nowhere = "node.id==stopped-by-tinyforge"

const (
	restartPause = time.Second     // between the end of a task and the next one in its place
	rollMonitor  = 5 * time.Second // for which a task is watched that replaced another one, before the next
)

// spec is the service of a release. Its labels are those of the engine's containers; its tasks' labelConfig changes only when the tasks
// have to be others, so that more replicas do not replace those that run.
func (s *Swarm) spec(r db.Release, networks []string, secrets []*swarm.SecretReference) swarm.ServiceSpec {
	replicas := uint64(max(1, r.Replicas))
	pause, unlimited := restartPause, uint64(0)
	labels := s.engine.labels(r)
	delete(labels, labelProject)
	return swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: string(r.ID), Labels: labels},
		Mode:        swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &replicas}},
		TaskTemplate: swarm.TaskSpec{
			ContainerSpec: s.containerSpec(r, secrets),
			Resources: &swarm.ResourceRequirements{
				Limits: &swarm.Limit{MemoryBytes: r.Memory, NanoCPUs: int64(r.CPUs * 1e9), Pids: pidsLimit},
			},
			RestartPolicy: &swarm.RestartPolicy{Condition: swarm.RestartPolicyConditionAny, Delay: &pause, MaxAttempts: &unlimited},
			Placement:     &swarm.Placement{Constraints: r.Constraints, Platforms: platforms(r.Platform)},
			Networks:      attachments(r, networks),
			LogDriver: &swarm.Driver{Name: "json-file", Options: map[string]string{
				"max-size": strconv.FormatInt(cmp.Or(r.LogSize, logSize), 10),
				"max-file": strconv.Itoa(cmp.Or(r.LogFiles, logFiles)),
			}},
		},
		UpdateConfig:   s.oneByOne(r, swarm.UpdateFailureActionRollback),
		RollbackConfig: s.oneByOne(r, swarm.UpdateFailureActionPause),
		EndpointSpec: &swarm.EndpointSpec{
			Mode:  swarm.ResolutionModeDNSRR,
			Ports: []swarm.PortConfig{{Protocol: swarm.PortConfigProtocolTCP, TargetPort: uint32(r.Port), PublishMode: swarm.PortConfigPublishModeHost}}, //nolint:gosec // checked: 1 to 65535
		},
	}
}

func (s *Swarm) containerSpec(r db.Release, secrets []*swarm.SecretReference) *swarm.ContainerSpec {
	capabilities, grace := r.Capabilities, s.engine.cfg.StopTimeout
	if capabilities == nil {
		capabilities = usualCapabilities
	}
	labels := map[string]string{labelVolume: ""}
	for name := range s.engine.labels(r) { // so that none is the image's
		labels[name] = ""
	}
	labels[labelConfig] = s.templateHash(r)
	return &swarm.ContainerSpec{
		Image:           r.Image,
		Labels:          labels,
		Env:             literal(environ(plainEnv(r))),
		User:            r.User,
		ReadOnly:        r.ReadOnly,
		Mounts:          s.mounts(r),
		Secrets:         secrets,
		StopGracePeriod: &grace,
		CapabilityAdd:   prefixed(capabilities),
		CapabilityDrop:  []string{"ALL"},
		Privileges:      &swarm.Privileges{NoNewPrivileges: true},
	}
}

// prefixed are capabilities as a Swarm wants them.
func prefixed(capabilities []string) []string {
	all := make([]string, len(capabilities))
	for i, c := range capabilities {
		all[i] = "CAP_" + c
	}
	return all
}

// literal keeps Docker from taking what is written in an environment for a template, which it would carry out.
func literal(env []string) []string {
	for i, text := range env {
		env[i] = strings.ReplaceAll(text, "{{", `{{"{{"}}`)
	}
	return env
}

// mounts are the volumes, each of which is on its node alone, and the folders in memory. No other node can be asked whose a volume is, so
// its name cannot be another's: "tf-<workload>.<volume>", and no name of a workload has a dot. It is another one than the engine's.
func (s *Swarm) mounts(r db.Release) []mount.Mount {
	list := mounts(r)
	for i, v := range r.Volumes {
		list[i].Source = "tf-" + r.Workload + "." + v.Name
		list[i].VolumeOptions = &mount.VolumeOptions{Labels: map[string]string{
			labelInstance: s.engine.cfg.Instance, labelVolume: r.Workload + "/" + v.Name,
		}}
	}
	for _, folder := range r.Tmpfs {
		path, size, _ := strings.Cut(folder, ":")
		bytes, _ := strconv.ParseInt(size, 10, 64)
		list = append(list, mount.Mount{Type: mount.TypeTmpfs, Target: path, TmpfsOptions: &mount.TmpfsOptions{SizeBytes: bytes, Mode: 0o1777}})
	}
	return list
}

// attachments join the tasks to networks in which the workload's name leads to them, beside the release's.
func attachments(r db.Release, networks []string) []swarm.NetworkAttachmentConfig {
	list := make([]swarm.NetworkAttachmentConfig, len(networks))
	for i, id := range networks {
		list[i] = swarm.NetworkAttachmentConfig{Target: id, Aliases: []string{r.Workload}}
	}
	return list
}

func platforms(wanted string) []swarm.Platform {
	p := platform(wanted)
	if p == nil {
		return nil
	}
	return []swarm.Platform{{OS: p.OS, Architecture: p.Architecture}}
}

// oneByOne replaces a task, when the next one runs beside it; one that writes to a volume first ends.
func (s *Swarm) oneByOne(r db.Release, failing string) *swarm.UpdateConfig {
	order := swarm.UpdateOrderStartFirst
	if r.Writes() {
		order = swarm.UpdateOrderStopFirst
	}
	return &swarm.UpdateConfig{Parallelism: 1, FailureAction: failing, Monitor: rollMonitor, Order: order}
}

// atOnce ends all tasks, or begins them, without looking at what becomes of them.
func atOnce() *swarm.UpdateConfig {
	return &swarm.UpdateConfig{FailureAction: swarm.UpdateFailureActionContinue, Order: swarm.UpdateOrderStopFirst}
}

func isStopped(spec swarm.TaskSpec) bool {
	return spec.Placement != nil && slices.Contains(spec.Placement.Constraints, nowhere)
}

// stopped is a spec of which no task may run.
func stopped(spec swarm.ServiceSpec) swarm.ServiceSpec {
	placement := swarm.Placement{}
	if spec.TaskTemplate.Placement != nil {
		placement = *spec.TaskTemplate.Placement
	}
	placement.Constraints = append(slices.Clone(placement.Constraints), nowhere)
	spec.TaskTemplate.Placement, spec.UpdateConfig = &placement, atOnce()
	return spec
}

// templateHash changes whenever the release needs other tasks.
func (s *Swarm) templateHash(r db.Release) string {
	r.Replicas = 0
	return s.engine.configHash(r)
}

// templateOf is the templateHash that a service was made with.
func templateOf(spec swarm.ServiceSpec) string {
	if spec.TaskTemplate.ContainerSpec == nil {
		return ""
	}
	return spec.TaskTemplate.ContainerSpec.Labels[labelConfig]
}

// plainEnv is the environment without what the release gets as files.
func plainEnv(r db.Release) map[string]string {
	env := maps.Clone(r.Env)
	for _, name := range r.SecretFiles {
		delete(env, name)
	}
	return env
}
