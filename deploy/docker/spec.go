package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"

	"tinyforge/db"
	"tinyforge/deploy"
)

// pidsLimit is how many processes and threads a release may have.
const pidsLimit = 4096

// spec is the container of a release.
//
// The restart policy starts it again after a crash, counting each, and after a restart of the engine, but not when Stop
// ended it. No init process is put in front: images with one of their own refuse to run behind another. Swap is not given
// beyond the memory limit; engines that cannot count it ignore that. Raw sockets, with which a container could pass for a
// neighbour on the network, are denied. The limit of processes keeps a fork bomb from the rest of the machine; engines
// without the pids controller drop it with a warning.
func (e *Engine) spec(r db.Release) (*container.Config, *container.HostConfig, *network.NetworkingConfig) {
	config := &container.Config{
		Image:  r.Image,
		Env:    environ(r.Env),
		Labels: e.labels(r),
	}
	pids := int64(pidsLimit)
	host := &container.HostConfig{
		NetworkMode:   container.NetworkMode(e.cfg.Network),
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyUnlessStopped},
		SecurityOpt:   []string{"no-new-privileges"},
		CapDrop:       []string{"NET_RAW"},
		LogConfig:     container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "3"}},
		Mounts:        mounts(r),
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
// Tinyforge leaves running containers be.
func configHash(r db.Release) string {
	r.Healthcheck, r.Commit = nil, "" // matter to others only
	text, err := json.Marshal(r)
	if err != nil {
		panic("a release is always JSON: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}
