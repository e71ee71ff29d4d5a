package db

import (
	"encoding/json"
	"time"
)

// Workload is what a repository deploys to.
type Workload struct {
	ID           int64  `bun:",pk,autoincrement"`
	Name         string // unique; a DNS label of at most 40 characters
	RepositoryID int64

	Source string          // "dockerfile", "image": the key under which serve.go registered it
	Config json.RawMessage `bun:"-"` // the source's config; its schema belongs to deploy/source

	RefPattern string   // "main", "release/*", "tags/v*"; "" means the repository's default branch
	Paths      []string `bun:"type:jsonb"` // globs over changed files, "!" excludes; empty means every push

	Host string            // where people reach it: "www.example.com"; "" means it has no route
	Env  map[string]string `bun:"-"` // of the containers; wins over the config's env

	Enabled bool

	Sealed    []byte     // Config and Env, sealed
	DeletedAt *time.Time // set by DeleteWorkload: the releases are taken down, then the row goes
	CreatedAt time.Time
	UpdatedAt time.Time
}

// ReportsStatus tells whether commit statuses are wanted: the config's report_commit_status, true unless it says false.
func (w Workload) ReportsStatus() bool {
	var c struct {
		Report *bool `json:"report_commit_status"`
	}
	if json.Unmarshal(w.Config, &c) != nil || c.Report == nil {
		return true
	}
	return *c.Report
}

// Route is an address on the reverse proxy.
type Route struct {
	WorkloadID int64
	Host       string // lower case, no port
}
