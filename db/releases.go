package db

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// ReleaseID names a release everywhere: its container, its network name, the proxy's forward host.
// "tf-<workload>-<deployment id>", a valid DNS label, the same for every attempt of a deployment.
type ReleaseID string

// Release is what runs: the result of a build, with everything needed to start it again. It is sealed at rest, since
// Env holds secrets.
type Release struct {
	ID           ReleaseID `json:"id"`
	WorkloadID   int64     `json:"workload_id"`
	Workload     string    `json:"workload"`
	DeploymentID int64     `json:"deployment_id"`
	Commit       string    `json:"commit"`
	Runtime      string    `json:"runtime,omitempty"` // what it runs on; "" means RuntimeDocker

	Image       string            `json:"image"`              // pinned: "name@sha256:...", "sha256:...", or a tag that nobody moves
	Platform    string            `json:"platform,omitempty"` // "linux/arm64"; "" means the one that Docker runs on
	Port        int               `json:"port"`               // in the container
	Env         map[string]string `json:"env,omitempty"`
	Volumes     []Volume          `json:"volumes,omitempty"`
	Memory      int64             `json:"memory,omitempty"` // bytes; 0 means no limit
	CPUs        float64           `json:"cpus,omitempty"`   // 0 means no limit
	Healthcheck *Healthcheck      `json:"healthcheck,omitempty"`

	User         string   `json:"user,omitempty"`        // "1000:1000"; "" means the image's own
	ReadOnly     bool     `json:"read_only,omitempty"`   // the root file system
	Tmpfs        []string `json:"tmpfs,omitempty"`       // writable and in memory: "/tmp", or "/tmp:1048576" of so many bytes
	Capabilities []string `json:"capabilities,omitzero"` // all it has, without "CAP_"; nil means the usual short list
	Networks     []string `json:"networks,omitempty"`    // shared with the workloads that name them too
	LogSize      int64    `json:"log_size,omitempty"`    // bytes of one log file; 0 means the default
	LogFiles     int      `json:"log_files,omitempty"`   // how many of them; 0 means the default

	Replicas    int      `json:"replicas,omitempty"`     // how often it runs; 0 means once
	Constraints []string `json:"constraints,omitempty"`  // on which nodes it may run, as Swarm writes them: "node.role==worker"
	SecretFiles []string `json:"secret_files,omitempty"` // names of Env that it finds below /run/secrets, and not in its environment

	Stack *ComposeStack `json:"stack,omitempty"` // set for a release of several containers; then Image is "" and all but Port unused

	Origin *Origin `json:"origin,omitempty"` // nil for one from before it was kept
}

// Origin is what a workload said when a release was made of it. Nothing that runs depends on it.
type Origin struct {
	Source string            `json:"source"`
	Config json.RawMessage   `json:"config"`
	Env    map[string]string `json:"env,omitempty"`
	Plain  []string          `json:"plain,omitempty"`
}

// Origin is what the workload says now of the releases that are made of it.
func (w Workload) Origin() *Origin { return &Origin{w.Source, w.Config, w.Env, w.Plain} }

// At is the workload as it was at an origin, all else as it is now.
func (w Workload) At(o Origin) Workload {
	w.Source, w.Config, w.Env, w.Plain = o.Source, o.Config, o.Env, o.Plain
	return w
}

// ComposeStack is a release that Compose manages: containers, networks and volumes of one project, of which one service gets the
// route.
type ComposeStack struct {
	Project json.RawMessage `json:"project"` // loaded, interpolated, allowed by the policy, every image named
	Service string          `json:"service"`
	Images  []string        `json:"images"`            // all that it needs, pinned
	Allowed []string        `json:"allowed,omitempty"` // what of the policy's refusals an administrator allowed it
}

// RuntimeKind is the kind of runtime that the release is for.
func (r Release) RuntimeKind() string { return cmp.Or(r.Runtime, RuntimeDocker) }

// Scales tells whether the release can run several times: not where it would write to a volume then.
func (r Release) Scales() bool {
	return r.Stack == nil && r.RuntimeKind() != RuntimeDocker && !r.Writes()
}

// Writes tells whether the release has a volume to write to.
func (r Release) Writes() bool {
	return slices.ContainsFunc(r.Volumes, func(v Volume) bool { return !v.ReadOnly })
}

// AllImages returns the images without which the release cannot be started.
func (r Release) AllImages() []string {
	if r.Stack != nil {
		return r.Stack.Images
	}
	return []string{r.Image}
}

// Volume is a named volume mounted into the containers of a release. Its real name is prefixed with the workload's.
type Volume struct {
	Name     string `json:"name"`
	Path     string `json:"path"` // absolute, in the container
	ReadOnly bool   `json:"read_only,omitempty"`
}

// Healthcheck is the HTTP probe that gates a release.
type Healthcheck struct {
	Path        string        `json:"path"`             // "/up"
	Status      int           `json:"status,omitempty"` // expected; 0 means 200 to 399
	Interval    time.Duration `json:"interval"`         // between attempts
	Timeout     time.Duration `json:"timeout"`          // of one attempt
	Attempts    int           `json:"attempts"`         // failures in a row, after the start period, that fail the gate
	StartPeriod time.Duration `json:"start_period"`     // in which failures do not count
}
