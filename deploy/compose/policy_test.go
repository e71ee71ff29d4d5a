package compose

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// TestPolicy has one file for each thing that is refused, the beginning of what is said, and what allows it ("" is nothing).
func TestPolicy(t *testing.T) {
	for name, tt := range map[string]struct{ text, want, allow string }{
		"privileged":     {web("privileged: true"), "service web: privileged is refused: it gives", "privileged"},
		"capability":     {web("cap_add: [NET_ADMIN]"), "service web: cap_add NET_ADMIN is refused", "web:cap_add:NET_ADMIN"},
		"all of them":    {web("cap_add: [ALL]"), "service web: cap_add ALL is refused", "cap_add:ALL"},
		"raw sockets":    {web("cap_add: [CAP_NET_RAW]"), "service web: cap_add NET_RAW is refused", "cap_add"},
		"network_mode":   {web("network_mode: host"), "service web: network_mode host is refused", ""},
		"container's":    {web("pid: container:abc"), "service web: pid container:abc is refused", "pid"},
		"pid":            {web("pid: host"), "service web: pid host is refused", "web:pid:host"},
		"ipc":            {web("ipc: host"), "service web: ipc host is refused", "ipc"},
		"uts":            {web("uts: host"), "service web: uts host is refused", "uts"},
		"userns":         {web("userns_mode: host"), "service web: userns_mode host is refused", "userns_mode"},
		"cgroup":         {web("cgroup: host"), "service web: cgroup host is refused", "cgroup"},
		"cgroup_parent":  {web("cgroup_parent: /x"), "service web: cgroup_parent /x is refused", "cgroup_parent"},
		"devices":        {web("devices: [/dev/kvm]"), "service web: devices /dev/kvm is refused", "devices:/dev/kvm"},
		"device rules":   {web("device_cgroup_rules: ['c 1:3 rwm']"), "service web: device_cgroup_rules c 1:3 rwm is refused", "device_cgroup_rules"},
		"gpus":           {web("gpus: all"), "service web: gpus is refused", "gpus"},
		"reserved":       {web("deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}]}}}"), "service web: devices is refused", "devices"},
		"socket":         {web("volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro']"), "service web: docker_socket /var/run/docker.sock is refused", "docker_socket"},
		"api socket":     {web("use_api_socket: true"), "service web: docker_socket is refused", "docker_socket"},
		"bind":           {web("volumes: ['/srv/data:/data']"), "service web: bind /srv/data is refused", "bind:/srv/data"},
		"root":           {web("volumes: ['/:/host:ro']"), "service web: bind / is refused", "bind:/"},
		"parent":         {web("volumes: ['..:/up:ro']"), "service web: bind ", ""},
		"home":           {web("volumes: ['~/x:/up:ro']"), "service web: bind ", ""},
		"seccomp":        {web("security_opt: ['seccomp:unconfined']"), "service web: security_opt seccomp:unconfined is refused", "security_opt"},
		"seccomp file":   {web("security_opt: ['seccomp=/etc/passwd']"), "service web: security_opt seccomp=/etc/passwd is refused", ""},
		"sysctls":        {web("sysctls: {kernel.shmmax: 1}"), "service web: sysctls kernel.shmmax is refused", "sysctls"},
		"runtime":        {web("runtime: kata"), "service web: runtime kata is refused", "runtime"},
		"oom_score":      {web("oom_score_adj: -900"), "service web: oom_score_adj -900 is refused", "oom_score_adj"},
		"oom_kill":       {web("oom_kill_disable: true"), "service web: oom_kill_disable is refused", "oom_kill_disable"},
		"pids":           {web("pids_limit: -1"), "service web: pids_limit -1 is refused", "pids_limit"},
		"deploy's pids":  {web("deploy: {resources: {limits: {pids: -1}}}"), "service web: pids_limit -1 is refused", "pids_limit"},
		"many pids":      {web("pids_limit: 2000000000"), "service web: pids_limit 2000000000 is refused: without a limit of at most 4096", "pids_limit"},
		"deploy's many":  {web("deploy: {resources: {limits: {pids: 4097}}}"), "service web: pids_limit 4097 is refused", "web:pids_limit:4097"},
		"containers":     {web() + copies(5, "{image: x, scale: 20}"), "the stack runs 101 containers in all: at most 100 are taken", ""},
		"networks":       {web("networks: {n0: , n1: , n2: , n3: , n4: , n5: , n6: , n7: , n8: , n9: , m0: , m1: , m2: , m3: , m4: , m5: , m6: , m7: , m8: , m9: , x: }") + "networks:\n" + strings.NewReplacer("s", "n").Replace(copies(10, "{}")) + strings.NewReplacer("s", "m").Replace(copies(10, "{}")) + "  x: {}\n", "the stack has 21 networks: at most 20 are taken", ""},
		"logging":        {web("logging: {driver: syslog, options: {syslog-address: 'tcp://10.0.0.1'}}"), "service web: logging syslog is refused", "logging"},
		"annotations":    {web("annotations: {a: b}"), "service web: annotations is refused", "annotations"},
		"ports":          {web("ports: ['8080:80']"), "service web: ports 8080 is refused", "web:ports:8080"},
		"local port":     {web("ports: ['127.0.0.1:5432:5432']"), "service web: ports 5432 is refused", "ports"},
		"name":           {web("container_name: web"), "service web: container_name is refused", ""},
		"provider":       {"services:\n  web:\n    provider: {type: x}\n", "service web: provider is refused", ""},
		"external links": {web("external_links: [other]"), "service web: external other is refused", "external"},
		"volumes_from":   {web("volumes_from: ['container:other']"), "service web: external container:other is refused", "external"},
		"hooks":          {web("post_start: [{command: [x], privileged: true}]"), "service web: privileged is refused", "privileged"},
		"init container": {web("pre_start: [{image: x, command: [x]}]"), "service web: pre_start is refused", ""},
		"our label":      {web("labels: {tinyforge.release: tf-x-1}"), "service web: label tinyforge.release is refused", ""},
		"compose label":  {web("labels: {com.docker.compose.project: x}"), "service web: label com.docker.compose.project is refused", ""},
		"scale":          {web("scale: 2"), "service web: it stands for the stack and runs 2 times", ""},
		"replicas":       {web("deploy: {replicas: 3}"), "service web: it stands for the stack and runs 3 times", ""},
		"many":           {web() + "  worker:\n    image: x\n    scale: 1000\n", "service worker: it runs 1000 times: at most 20", ""},
		"swarm":          {web("deploy: {mode: global}"), "service web: deploy.mode global is for a Swarm", ""},
		"models":         {web("models: [m]") + "models: {m: {model: x}}\n", "models cannot be used here", ""},
		"foreign volume": {web("volumes: ['data:/d']") + "volumes: {data: {external: true, name: tfstack-other_data}}\n", "volume data: external tfstack-other_data is refused", "external:tfstack-other_data"},
		"its name":       {web("volumes: ['data:/d']") + "volumes: {data: {name: tfstack-other_data}}\n", "volume data: external tfstack-other_data is refused", "external"},
		"disguised bind": {web("volumes: ['data:/d']") + "volumes: {data: {driver_opts: {type: none, o: bind, device: /}}}\n", "volume data: driver_opts is refused", "driver_opts"},
		"nfs":            {web("volumes: ['data:/d']") + "volumes: {data: {driver_opts: {type: nfs, o: 'addr=10.0.0.1', device: ':/x'}}}\n", "volume data: driver_opts is refused", "driver_opts"},
		"volume driver":  {web("volumes: ['data:/d']") + "volumes: {data: {driver: rclone}}\n", "volume data: volume_driver rclone is refused", "volume_driver"},
		"shared network": {web("networks: [n]") + "networks: {n: {external: true, name: tinyforge}}\n", "network n: external tinyforge is refused", "external:tinyforge"},
		"network's name": {web() + "networks: {default: {name: tinyforge}}\n", "network default: external tinyforge is refused", "external"},
		"network driver": {web("networks: [n]") + "networks: {n: {driver: macvlan}}\n", "network n: network_driver macvlan is refused", "network_driver"},
		"network opts":   {web("networks: [n]") + "networks: {n: {driver_opts: {parent: eth0}}}\n", "network n: driver_opts is refused", "driver_opts"},
		"subnet":         {web("networks: [n]") + "networks: {n: {ipam: {config: [{subnet: 198.51.100.0/24, gateway: 198.51.100.1}]}}}\n", "network n: subnet 198.51.100.0/24 is refused: the machine would reach", "subnet:198.51.100.0/24"},
		"half of all":    {web() + "networks: {default: {ipam: {config: [{subnet: 0.0.0.0/1}]}}}\n", "network default: subnet 0.0.0.0/1 is refused", "subnet"},
		"second subnet":  {web("networks: [n]") + "networks: {n: {ipam: {config: [{}, {subnet: 'fd00::/64'}]}}}\n", "network n: subnet fd00::/64 is refused", "subnet:fd00::/64"},
		"gateway":        {web("networks: [n]") + "networks: {n: {ipam: {config: [{gateway: 169.254.169.254}]}}}\n", "network n: subnet 169.254.169.254 is refused", "subnet"},
		"ip_range":       {web("networks: [n]") + "networks: {n: {ipam: {config: [{ip_range: 10.0.0.0/8}]}}}\n", "network n: subnet 10.0.0.0/8 is refused", "subnet"},
		"volume label":   {web("volumes: ['data:/d']") + "volumes: {data: {labels: {tinyforge.instance: x}}}\n", "volume data: label tinyforge.instance is refused", ""},
		"swarm secret":   {web("secrets: [s]") + "secrets: {s: {external: true}}\n", "secret s: external, driver and template_driver are for a Swarm", ""},
		"image volume":   {web("volumes: [{type: image, source: x, target: /x}]"), "service web: volumes of type image cannot be used here", ""},
		"build network":  {"services:\n  web:\n    build: {context: ., network: host}\n", "service web: build.network cannot be used here", ""},
		"build power":    {"services:\n  web:\n    build: {context: ., privileged: true, entitlements: [network.host]}\n", "service web: build.privileged cannot be used here", ""},
		"build ssh":      {"services:\n  web:\n    build: {context: ., ssh: [default]}\n", "service web: build.ssh cannot be used here", ""},
		"more contexts":  {"services:\n  web:\n    build: {context: ., additional_contexts: {x: /etc}}\n", "service web: build.additional_contexts cannot be used here", ""},
		"remote context": {"services:\n  web:\n    build: https://example.com/x.git\n", "service web: build.context https://example.com/x.git is not in the repository", ""},
		"context":        {"services:\n  web:\n    build: ../..\n", "service web: build.context ", ""},
		"dockerfile":     {"services:\n  web:\n    build: {context: ., dockerfile: /etc/passwd}\n", "service web: build.dockerfile /etc/passwd is outside the repository", ""},
		"nothing":        {"services:\n  web:\n    command: [x]\n", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := refusal(t, loadOne(t, tt.text, nil).err); !strings.Contains(got, tt.want) {
				t.Errorf("it says %q, want %q", got, tt.want)
			}
			if tt.allow == "" {
				return
			}
			l := loadOne(t, tt.text, allow(tt.allow))
			if l.err != nil {
				t.Fatalf("with %s allowed: %v", tt.allow, l.err)
			}
			if len(l.Stack.Allowed) != 1 || !strings.Contains(l.log, "Allowed by an administrator: "+l.Stack.Allowed[0]) {
				t.Errorf("what was allowed is noted as %q, and the log says %q", l.Stack.Allowed, l.log)
			}
			if l = loadOne(t, tt.text, allow("other:"+strings.TrimPrefix(tt.allow, "web:"))); l.err == nil && strings.HasPrefix(tt.want, "service") {
				t.Error("what another service is allowed is allowed to all")
			}
		})
	}
}

// copies are things of the same text: s0, s1 and so on.
func copies(n int, text string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  s%d: %s\n", i, text)
	}
	return b.String()
}

func TestPolicyTellsAllAtOnce(t *testing.T) {
	l := loadOne(t, web("privileged: true", "pid: host", "ports: ['80:80']")+"  db:\n    image: x\n    ipc: host\n", nil)
	text := refusal(t, l.err)
	for _, want := range []string{"service web: privileged", "service web: pid host", "service web: ports 80", "service db: ipc host"} {
		if !strings.Contains(text, want) || !strings.Contains(l.log, want) {
			t.Errorf("%q is not told in %q and the log %q", want, text, l.log)
		}
	}
}

func TestPolicyLetsPass(t *testing.T) {
	l := loadOne(t, web("cap_add: [NET_BIND_SERVICE, CAP_CHOWN]", "cap_drop: [ALL]", "security_opt: ['no-new-privileges:true']",
		"sysctls: {net.core.somaxconn: 1024}", "ipc: shareable", "logging: {driver: local}", "init: true", "read_only: true", "tmpfs: [/tmp]",
		"user: '1000'", "mem_limit: 64m", "labels: {traefik.enable: 'true'}", "volumes: ['data:/d', '/anonymous']", "expose: ['3000']",
		"depends_on: {db: {condition: service_healthy}}")+
		"  db:\n    image: postgres:16\n    ipc: private\n    healthcheck: {test: [CMD, x]}\n    restart: always\n"+
		"volumes: {data: {}}\nnetworks: {default: {internal: true}}\nx-more: {privileged: true}\n", nil)
	must(t, l.err)
	if l.Port != 3000 || l.Stack.Service != "web" || len(l.Stack.Allowed) > 0 {
		t.Errorf("loaded %+v", l.LoadedStack)
	}
}

func TestCheckAllow(t *testing.T) {
	for text, ok := range map[string]bool{
		"privileged": true, "web:privileged": true, "cap_add:NET_ADMIN": true, "web:cap_add:NET_ADMIN": true, "bind:/srv": true,
		"web:bind:/srv": true, "ports:ports": true, "external:a:b": true,
		"": false, "everything": false, "web:everything": false, "bind": false, "bind:srv": false, "web:bind": false, "container_name": false,
	} {
		if err := NewLoader(nil).CheckAllow(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// judged are the fields of a service that the policy, the build or the settling looks at; harmlessFields those that reach
// nothing beyond the container. A field that a newer library has is in neither, and somebody has to think.
var judged = strings.Fields(`Annotations CapAdd CapDrop CgroupParent Cgroup Configs CredentialSpec DeviceCgroupRules Devices
	Environment EnvFiles Gpus Image Ipc Labels LabelFiles CustomLabels Logging LogDriver Models NetworkMode Networks OomKillDisable OomScoreAdj
	Pid PidsLimit Platform Privileged PullPolicy ReadOnly Runtime Secrets SecurityOpt Sysctls Tmpfs UseAPISocket UserNSMode Uts
	VolumeDriver Volumes VolumesFrom Build DependsOn Dockerfile Expose Ports Name Profiles Deploy Develop Restart Scale
	ContainerName Provider Extends ExternalLinks Net PreStart PostStart PreStop Extensions Hostname DomainName StopGracePeriod`)

var harmlessFields = strings.Fields(`BlkioConfig CPUCount CPUPercent CPUPeriod CPUQuota CPURTPeriod CPURTRuntime CPUS CPUSet
	CPUShares Command DNS DNSOpts DNSSearch Entrypoint ExtraHosts GroupAdd Init Isolation LogOpt MemLimit
	MemReservation MemSwapLimit MemSwappiness MacAddress PullRefreshAfter ShmSize StopSignal StorageOpt Ulimits
	User WorkingDir HealthCheck StdinOpen Tty Attach Links`)

func TestPolicyKnowsEveryField(t *testing.T) {
	known := slices.Concat(judged, harmlessFields)
	for _, f := range reflect.VisibleFields(reflect.TypeFor[types.ServiceConfig]()) {
		if !f.Anonymous && !slices.Contains(known, f.Name) {
			t.Errorf("field %s of a service is new: does the policy have to judge it?", f.Name)
		}
	}
	judgedBuild := strings.Fields(`Context Dockerfile DockerfileInline Entitlements Args SSH Labels AdditionalContexts ExtraHosts
		Network Target Secrets Platforms Privileged`)
	ignored := strings.Fields(`Provenance SBOM CacheFrom CacheTo NoCache NoCacheFilter Pull Isolation ShmSize Tags Ulimits Extensions`)
	for _, f := range reflect.VisibleFields(reflect.TypeFor[types.BuildConfig]()) {
		if !slices.Contains(slices.Concat(judgedBuild, ignored), f.Name) {
			t.Errorf("field %s of a build is new", f.Name)
		}
	}
}
