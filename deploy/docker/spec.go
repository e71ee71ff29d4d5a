package docker

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"

	"tinyforge/db"
	"tinyforge/deploy"
)

// pidsLimit is how many processes and threads a release may have.
const pidsLimit = 4096

// usualCapabilities are what a container has when its release does not say: what images need that begin as root, make
// their folders their own and give their rights up (CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID, SETPCAP), that end
// their children (KILL) and listen below port 1024 (NET_BIND_SERVICE). Of Docker's own list raw sockets are left out, with
// which a container could pass for a neighbour on the network, and device nodes, chroot, file capabilities and what writes
// into the host's audit log.
var usualCapabilities = []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETPCAP", "SETUID"}

const (
	logSize  = 10 << 20
	logFiles = 3
)

// spec is the container of a release.
//
// The restart policy starts it again after a crash, counting each, and after a restart of the engine, but not when Stop
// ended it. No init process is put in front: images with one of their own refuse to run behind another. Swap is not given
// beyond the memory limit; engines that cannot count it ignore that. The limit of processes keeps a fork bomb from the rest
// of the machine; engines without the pids controller drop it with a warning.
func (e *Engine) spec(r db.Release) (*container.Config, *container.HostConfig, *network.NetworkingConfig) {
	config := &container.Config{
		Image:  r.Image,
		User:   r.User,
		Env:    environ(r.Env),
		Labels: e.labels(r),
	}
	pids, capabilities := int64(pidsLimit), r.Capabilities
	if capabilities == nil {
		capabilities = usualCapabilities
	}
	host := &container.HostConfig{
		NetworkMode:   container.NetworkMode(e.cfg.Network),
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyUnlessStopped},
		SecurityOpt:   []string{"no-new-privileges"},
		CapDrop:       []string{"ALL"},
		CapAdd:        capabilities,

		ReadonlyRootfs: r.ReadOnly,
		Tmpfs:          tmpfs(r),
		Mounts:         mounts(r),
		LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{
			"max-size": strconv.FormatInt(cmp.Or(r.LogSize, logSize), 10),
			"max-file": strconv.Itoa(cmp.Or(r.LogFiles, logFiles)),
		}},
		Resources: container.Resources{
			Memory:     r.Memory,
			MemorySwap: r.Memory,
			NanoCPUs:   int64(r.CPUs * 1e9),
			PidsLimit:  &pids,
		},
	}
	net := &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
		e.cfg.Network: {Aliases: []string{string(r.ID)}},
	}}
	return config, host, net
}

func environ(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// tmpfs are the folders in memory, which everybody in the container may write to, as to /tmp. Docker lets none of them hold
// programs that can be run.
func tmpfs(r db.Release) map[string]string {
	folders := make(map[string]string, len(r.Tmpfs))
	for _, folder := range r.Tmpfs {
		options := "mode=1777"
		path, size, limited := strings.Cut(folder, ":")
		if limited {
			options += ",size=" + size
		}
		folders[path] = options
	}
	return folders
}

func mounts(r db.Release) []mount.Mount {
	list := make([]mount.Mount, 0, len(r.Volumes))
	for _, v := range r.Volumes {
		list = append(list, mount.Mount{Type: mount.TypeVolume, Source: volumeName(r, v), Target: v.Path, ReadOnly: v.ReadOnly})
	}
	return list
}

// checkRelease finds what Docker would refuse in words that repeat a secret value.
func checkRelease(r db.Release) error {
	for name, value := range r.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
			return &deploy.Failure{Text: fmt.Sprintf("The environment variable %q cannot be passed to a container: its name is empty or has a '=' in it, or it holds a NUL", name)}
		}
	}
	return nil
}

// configHash changes whenever the release needs another container. It depends on the release alone, so that a newer
// Tinyforge leaves running containers be. Where there are secrets that nobody who asks Docker is told, their values cannot be tried
// with it, and it changes with Config.HashKey.
func (e *Engine) configHash(r db.Release) string {
	r.Healthcheck, r.Commit, r.Origin = nil, "", nil // matter to others only
	text, err := json.Marshal(r)
	if err != nil {
		panic("a release is always JSON: " + err.Error())
	}
	sum := sha256.New()
	if len(r.SecretFiles) > 0 {
		sum = hmac.New(sha256.New, e.cfg.HashKey)
	}
	sum.Write(text)
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
