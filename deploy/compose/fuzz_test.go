package compose

import (
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// FuzzPolicy: whatever a Compose file says, it is refused, or what would be started has none of what is forbidden. What that
// is stands here once more, in other words than the policy's.
func FuzzPolicy(f *testing.F) {
	for _, lines := range []string{
		"privileged: true", "network_mode: host", "pid: host", "volumes: ['/var/run/docker.sock:/s']", "volumes: ['./a:/a:ro', 'd:/d']",
		"cap_add: [SYS_ADMIN]", "devices: [/dev/kvm]", "ports: ['80:80', '9000']", "extends: {file: ../x.yaml, service: a}", "env_file: [/etc/passwd]",
		"build: {context: /, dockerfile_inline: FROM x}", "security_opt: [seccomp=unconfined]", "labels: {tinyforge.workload: x}", "tmpfs: /run",
		"deploy: {replicas: 3}", "<<: *x", "image: !!binary aGVsbG8=", "environment: {A: '${B:-${C}}'}", "healthcheck: {test: [CMD, x]}",
		"volumes: [{type: bind, source: /, target: /x, bind: {create_host_path: true}}]", "userns_mode: host", "ipc: service:web",
	} {
		f.Add(web(lines))
	}
	f.Add("include: [../x.yaml]\n" + web())
	f.Add(web("volumes: ['d:/d']") + "volumes: {d: {driver: local, driver_opts: {type: none, o: bind, device: /}}}\n")
	f.Add(web("networks: [n]") + "networks: {n: {external: true, name: bridge}}\n")
	f.Add(web("secrets: [s]") + "secrets: {s: {file: /etc/shadow}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		l := loadOne(t, text, nil)
		if l.err != nil {
			return
		}
		for name, s := range l.project.Services {
			if fault := forbidden(l.project, s); fault != "" {
				t.Errorf("service %s: %s in\n%s", name, fault, text)
			}
		}
		for key, v := range l.project.Volumes {
			if bool(v.External) || len(v.DriverOpts) > 0 || v.Driver != "" && v.Driver != "local" || !strings.HasPrefix(v.Name, "tfstack-web_") {
				t.Errorf("volume %s: %+v", key, v)
			}
		}
		for key, n := range l.project.Networks {
			if bool(n.External) || len(n.DriverOpts) > 0 || n.Driver != "" && n.Driver != "bridge" || !strings.HasPrefix(n.Name, "tfstack-web_") {
				t.Errorf("network %s: %+v", key, n)
			}
		}
	})
}

// forbidden names what a service has that it must not have.
func forbidden(project *types.Project, s types.ServiceConfig) string {
	for name, there := range map[string]bool{
		"privileged":   s.Privileged,
		"devices":      len(s.Devices)+len(s.DeviceCgroupRules)+len(s.Gpus) > 0,
		"security_opt": len(s.SecurityOpt) > 0 && strings.Contains(strings.Join(s.SecurityOpt, " "), "unconfined"),
		"pid":          s.Pid != "" && !ofStack(s.Pid),
		"ipc":          s.Ipc != "" && s.Ipc != "private" && s.Ipc != "shareable" && s.Ipc != "none" && !ofStack(s.Ipc),
		"uts":          s.Uts != "",
		"userns":       s.UserNSMode != "",
		"cgroup":       s.Cgroup == "host" || s.CgroupParent != "",
		"network_mode": s.NetworkMode != "" && s.NetworkMode != "none" && !ofStack(s.NetworkMode),
		"provider":     s.Provider != nil || s.UseAPISocket,
		"name":         s.ContainerName != "",
	} {
		if there {
			return name
		}
	}
	for _, c := range s.CapAdd {
		if c = strings.TrimPrefix(strings.ToUpper(c), "CAP_"); c == "ALL" || c == "SYS_ADMIN" || c == "NET_ADMIN" || c == "SYS_PTRACE" || c == "SYS_MODULE" {
			return "cap_add " + c
		}
	}
	for _, p := range s.Ports {
		if p.Published != "" && p.Published != "0" {
			return "ports " + p.Published
		}
	}
	for _, v := range s.Volumes {
		if v.Type == types.VolumeTypeBind || v.Type == types.VolumeTypeNamedPipe || v.Type == types.VolumeTypeCluster {
			return v.Type + " " + v.Source
		}
		if _, known := project.Volumes[v.Source]; v.Type == types.VolumeTypeVolume && v.Source != "" && !known {
			return "foreign volume " + v.Source
		}
	}
	for name := range s.Labels {
		if strings.HasPrefix(name, "com.docker.compose.project") && !strings.Contains(s.Labels[name], "tfstack-web") {
			return "label " + name
		}
	}
	return ""
}

// ofStack tells whether a namespace is that of a service of the same stack.
func ofStack(mode string) bool { return strings.HasPrefix(mode, "service:") }
