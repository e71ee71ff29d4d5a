package settings

import (
	"context"
	"encoding/json"
	"time"

	"tinyforge/db"
)

// Sources check what the sources' configs say. It must be safe for concurrent use.
type Sources interface {
	// Check returns what is wrong with a config, nil when nothing is. The texts hold no value that may be secret.
	Check(source string, config json.RawMessage) []Fault
	// Strategy returns how a valid config is deployed, and why that is another strategy than the config asks for.
	Strategy(source string, config json.RawMessage) (strategy db.Strategy, why string, err error)
	// Keys are those that a config may have, in the order in which they are to be read.
	Keys(source string) []Key
}

// Key is one that a config may have, with an example of its value in JSON.
type Key struct{ Path, Example string }

// Fault is what is wrong at one path of a config: "healthcheck.path", "volumes[0].name"; "" is the config itself.
type Fault struct{ Path, Text string }

// Code looks into repositories, through their forges. Errors are in words for people.
type Code interface {
	// Heads returns the commit of each branch and tag, by full ref name.
	Heads(ctx context.Context, repo db.Repository) (map[string]string, error)
	// Detect tells which sources fit a commit, best first.
	Detect(ctx context.Context, repo db.Repository, commit string) ([]Found, error)
}

// Found is a source that fits a checkout.
type Found struct {
	Source   string          `json:"source"`
	Folder   string          `json:"folder"`   // "." or one level down
	Evidence []string        `json:"evidence"` // what was found, in words
	Config   json.RawMessage `json:"config"`
}

// Prober asks the running release of a workload. The error says in words what came instead of an answer.
type Prober interface {
	Probe(ctx context.Context, w db.Workload, path string) (status int, took time.Duration, err error)
}
