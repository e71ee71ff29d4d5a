package compose

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// harmless are capabilities that containers have by default, or had. NET_RAW is not one: with it a container can pass for
// a neighbour on its network.
var harmless = []string{
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID",
	"SETPCAP", "SETUID", "SYS_CHROOT",
}

// container judges what a service asks for its containers.
func (p *policy) container(name string, c types.ContainerSpec) {
	if c.Privileged {
		p.refuse(name, "privileged", "")
	}
	for _, capability := range c.CapAdd {
		if c := strings.TrimPrefix(strings.ToUpper(capability), "CAP_"); !slices.Contains(harmless, c) {
			p.refuse(name, "cap_add", c)
		}
	}
	p.namespaces(name, c)
	p.machine(name, c)
	for _, option := range c.SecurityOpt {
		if option != "no-new-privileges" && option != "no-new-privileges:true" && option != "no-new-privileges=true" {
			p.refuse(name, "security_opt", option)
		}
	}
	for key := range c.Sysctls {
		if !strings.HasPrefix(key, "net.") {
			p.refuse(name, "sysctls", key)
		}
	}
	p.logging(name, c)
	if c.UseAPISocket {
		p.refuse(name, "docker_socket", "")
	}
	if len(c.Models) > 0 {
		p.fault(name, "models cannot be used here: run the model in a service")
	}
	if c.CredentialSpec != nil {
		p.fault(name, "credential_spec cannot be used here")
	}
	if len(c.Annotations) > 0 {
		p.refuse(name, "annotations", "")
	}
	p.labels("service "+name, c.Labels)
	p.mounts(name, c)
	p.references(name, c)
}

// namespaces may be the container's own, and those of its stack where that is written "service:NAME".
func (p *policy) namespaces(name string, c types.ContainerSpec) {
	for _, n := range []struct {
		key, value string
		own        []string
	}{
		{"network_mode", c.NetworkMode, []string{"none"}},
		{"pid", c.Pid, nil},
		{"ipc", c.Ipc, []string{"private", "shareable", "none"}},
		{"uts", c.Uts, nil},
		{"userns_mode", c.UserNSMode, nil},
		{"cgroup", c.Cgroup, []string{"private"}},
		{"cgroup_parent", c.CgroupParent, nil},
	} {
		_, ours := p.project.Services[strings.TrimPrefix(n.value, types.ServicePrefix)]
		ours = ours && strings.HasPrefix(n.value, types.ServicePrefix)
		if n.value != "" && !ours && !slices.Contains(n.own, n.value) {
			p.refuse(name, n.key, n.value)
		}
	}
}

// machine is what a container may not use or change of the machine.
func (p *policy) machine(name string, c types.ContainerSpec) {
	for _, d := range c.Devices {
		p.refuse(name, "devices", d.Source)
	}
	for _, rule := range c.DeviceCgroupRules {
		p.refuse(name, "device_cgroup_rules", rule)
	}
	if len(c.Gpus) > 0 {
		p.refuse(name, "gpus", "")
	}
	if c.Runtime != "" && c.Runtime != "runc" {
		p.refuse(name, "runtime", c.Runtime)
	}
	if c.OomScoreAdj != 0 {
		p.refuse(name, "oom_score_adj", fmt.Sprint(c.OomScoreAdj))
	}
	if c.OomKillDisable {
		p.refuse(name, "oom_kill_disable", "")
	}
	if c.PidsLimit < 0 || c.PidsLimit > pidsLimit {
		p.refuse(name, "pids_limit", fmt.Sprint(c.PidsLimit))
	}
}

func (p *policy) logging(name string, c types.ContainerSpec) {
	driver := c.LogDriver
	if c.Logging != nil {
		driver = cmp.Or(c.Logging.Driver, driver)
	}
	if driver != "" && !slices.Contains([]string{"json-file", "local", "none"}, driver) {
		p.refuse(name, "logging", driver)
	}
}

// mounts judges volumes, and notes what of the checkout is mounted.
func (p *policy) mounts(name string, c types.ContainerSpec) {
	if c.VolumeDriver != "" && c.VolumeDriver != "local" {
		p.refuse(name, "volume_driver", c.VolumeDriver)
	}
	for _, from := range c.VolumesFrom {
		if strings.HasPrefix(from, types.ContainerPrefix) {
			p.refuse(name, "external", from)
		}
	}
	for _, v := range c.Volumes {
		switch v.Type {
		case types.VolumeTypeBind:
			p.bind(name, v)
		case types.VolumeTypeVolume:
			if v.Volume != nil {
				p.labels("service "+name, types.Labels(v.Volume.Labels))
			}
		case types.VolumeTypeTmpfs:
		default:
			p.fault(name, "volumes of type %s cannot be used here", v.Type)
		}
	}
}

func (p *policy) bind(name string, v types.ServiceVolumeConfig) {
	if _, ok := p.tree.inside(v.Source); ok {
		p.copyBind(name, v)
		return
	}
	if isSocket(v.Source) {
		p.refuse(name, "docker_socket", v.Source)
		return
	}
	p.refuse(name, "bind", v.Source)
	if v.Bind != nil && v.Bind.Propagation != "" && v.Bind.Propagation != types.PropagationRPrivate && v.Bind.Propagation != types.PropagationPrivate {
		p.fault(name, "bind propagation %s cannot be used here", v.Bind.Propagation)
	}
}

func isSocket(path string) bool {
	for _, name := range []string{"docker.sock", "containerd.sock", "podman.sock", "crio.sock"} {
		if strings.HasSuffix(path, "/"+name) {
			return true
		}
	}
	return false
}
