// Package source turns commits into releases: one type per source kind, each with a config of its own, written in JSON.
//
// Configs are read strictly: an unknown key is an error, and all faults of a config are returned at once, as Faults.
package source

import (
	"context"
	"io"
	"maps"

	"tinyforge/db"
	"tinyforge/deploy"
)

// defaultPort is where a release is expected to listen when its config does not say.
const defaultPort = 8080

// Builder builds images from a checkout. It writes the build's log to log, line by line, and returns the image, pinned
// by its digest. It must be safe for concurrent use.
type Builder interface {
	Build(ctx context.Context, spec deploy.BuildSpec, log io.Writer) (string, error)
}

// Puller fetches images from registries and returns them pinned: "name@sha256:...", or a tag that is never moved where a
// platform is asked for. It must be safe for concurrent use.
type Puller interface {
	Pull(ctx context.Context, spec deploy.PullSpec, log io.Writer) (string, error)
}

// common is the part of a config that is the same for every source kind.
type common struct {
	DeployStrategy     string            `json:"deploy_strategy" example:"\"recreate\""` // "", "recreate", "blue-green"
	ReportCommitStatus *bool             `json:"report_commit_status"`                   // read by db.Workload.ReportsStatus
	Port               int               `json:"port" example:"8080" validate:"min=1,max=65535"`
	Healthcheck        *healthcheck      `json:"healthcheck" example:"{path: /up}"`
	Env                map[string]string `json:"env" example:"{MODE: production}"`
	Volumes            []volume          `json:"volumes" example:"[{name: data, path: /data}]" validate:"dive"`
	Memory             size              `json:"memory" validate:"omitempty,min=6291456,max=1125899906842624"`
	CPUs               float64           `json:"cpus" example:"0.5" validate:"omitempty,min=0.01,max=1024"`

	container
	placement
}

func (c *common) setDefaults() { c.Port = defaultPort }

func (c *common) check() Faults {
	return faults(checkStrategy(c), checkVolumes(c.Volumes), checkEnv("env", c.Env), c.container.check(c.Volumes), c.placement.check(c))
}

// release is what the config says about how to run what was built for in.
func (c *common) release(in deploy.BuildInput, image string) db.Release {
	return db.Release{
		Image:       image,
		Port:        c.Port,
		Env:         mergeEnv(c.Env, in.Workload.Env),
		Volumes:     releaseVolumes(c.Volumes),
		Memory:      int64(c.Memory),
		CPUs:        c.CPUs,
		Healthcheck: c.Healthcheck.release(),

		User:         c.User,
		ReadOnly:     c.ReadOnly,
		Tmpfs:        releaseTmpfs(c.Tmpfs),
		Capabilities: releaseCapabilities(c.Capabilities),
		Networks:     c.Networks,
		LogSize:      int64(c.Log.MaxSize),
		LogFiles:     c.Log.MaxFiles,

		Runtime:     c.Runtime,
		Replicas:    c.Replicas,
		Constraints: c.Constraints,
		SecretFiles: c.SecretFiles,
	}
}

// mergeEnv returns a map of its own in which the entries of over win; nil when there are none.
func mergeEnv(env, over map[string]string) map[string]string {
	if len(env)+len(over) == 0 {
		return nil
	}
	all := make(map[string]string, len(env)+len(over))
	maps.Copy(all, env)
	maps.Copy(all, over)
	return all
}
