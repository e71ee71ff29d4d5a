package db

import "time"

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

	Image       string            `json:"image"` // pinned: "name@sha256:..." or "sha256:..."
	Port        int               `json:"port"`  // in the container
	Env         map[string]string `json:"env,omitempty"`
	Volumes     []Volume          `json:"volumes,omitempty"`
	Memory      int64             `json:"memory,omitempty"` // bytes; 0 means no limit
	CPUs        float64           `json:"cpus,omitempty"`   // 0 means no limit
	Healthcheck *Healthcheck      `json:"healthcheck,omitempty"`
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
