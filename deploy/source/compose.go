package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Stacks makes a stack from a checkout. It must be safe for concurrent use.
type Stacks interface {
	// CheckAllow tells what is wrong with an exception to what stacks are refused.
	CheckAllow(what string) error
	// Load reads the Compose files, refuses what they must not ask for, makes all images, and keeps what of the checkout
	// the stack needs. The checkout may be removed afterwards.
	Load(ctx context.Context, in deploy.StackInput, log io.Writer) (deploy.LoadedStack, error)
}

// Compose runs a repository's Compose files. It is safe for concurrent use.
type Compose struct {
	stacks  Stacks
	checker *checker
}

// NewCompose returns a Compose that loads stacks with s.
func NewCompose(s Stacks) *Compose { return &Compose{s, newChecker()} }

type composeConfig struct {
	DeployStrategy     string              `json:"deploy_strategy" example:"\"recreate\""`                                           // "", "recreate"
	ReportCommitStatus *bool               `json:"report_commit_status"`                                                             // read by db.Workload.ReportsStatus
	Files              []string            `json:"files" example:"[compose.yaml]" validate:"max=20,dive,required,max=1024,repopath"` // none means the usual names
	Service            string              `json:"service" validate:"max=128,name"`                                                  // "" means the only one
	Port               int                 `json:"port" example:"8080" validate:"omitempty,min=1,max=65535"`                         // 0 means what the service exposes
	Profiles           []string            `json:"profiles" example:"[web]" validate:"max=50,dive,required,max=128,name"`
	Env                map[string]string   `json:"env" example:"{MODE: production}"`
	Allow              []string            `json:"allow" example:"[\"web:ports:8080\"]" validate:"max=200,dive,required,max=1024"`
	Registries         map[string]registry `json:"registries" example:"{registry.example.com: {username: me, password: env:PASSWORD}}" validate:"dive"` // by host
	Healthcheck        *healthcheck        `json:"healthcheck" example:"{path: /up}"`
}

func (c *composeConfig) setDefaults() {}

func (c *composeConfig) check() Faults {
	return faults(checkStackStrategy(c.DeployStrategy), checkEnv("env", c.Env))
}

// checkStackStrategy refuses blue-green: a stack is changed in place, and to promise else would not be honest.
func checkStackStrategy(s string) Faults {
	if err := ValidateStrategy(s); err != nil {
		return Faults{{"deploy_strategy", err.Error()}}
	}
	if s == string(db.BlueGreen) {
		return Faults{{"deploy_strategy", fmt.Sprintf("a Compose stack is changed in place, service by service, and cannot run "+
			"twice: use %q, or leave it empty", db.Recreate)}}
	}
	return nil
}

// Validate implements deploy.Source. The error is a Faults.
func (s *Compose) Validate(config json.RawMessage) error {
	_, err := s.decode(config)
	return err
}

func (s *Compose) decode(config json.RawMessage) (composeConfig, error) {
	var c composeConfig
	var all Faults
	if found, ok := errors.AsType[Faults](s.checker.decode(config, &c)); ok {
		all = append(all, found...)
	}
	for i, what := range c.Allow {
		if err := s.stacks.CheckAllow(what); err != nil {
			all = append(all, Fault{fmt.Sprintf("allow[%d]", i), err.Error()})
		}
	}
	return c, all.err()
}

// Strategy implements deploy.Source: Compose manages the stack, whatever is asked.
func (s *Compose) Strategy(config json.RawMessage) (db.Strategy, string, error) {
	if _, err := s.decode(config); err != nil {
		return "", "", invalid(err)
	}
	return db.Stack, "", nil
}

// Build implements deploy.Source.
func (s *Compose) Build(ctx context.Context, in deploy.BuildInput, log io.Writer) (db.Release, error) {
	c, err := s.decode(in.Workload.Config)
	if err != nil {
		return db.Release{}, invalid(err)
	}
	dir, err := in.Checkout(ctx)
	if err != nil {
		return db.Release{}, err
	}
	loaded, err := s.stacks.Load(ctx, deploy.StackInput{
		ID:       in.ID,
		Tag:      in.Tag,
		Workload: in.Workload.Name,
		Dir:      dir,
		Files:    c.Files,
		Service:  c.Service,
		Port:     c.Port,
		Profiles: c.Profiles,
		Env:      mergeEnv(c.Env, in.Workload.Env),
		Allow:    c.Allow,
		Auth:     c.auth,
	}, log)
	if err != nil {
		return db.Release{}, err
	}
	return db.Release{Port: loaded.Port, Healthcheck: c.Healthcheck.release(), Stack: &loaded.Stack}, nil
}

// auth gives the config's accounts only, not the forge's own: whoever may push names images freely, and the forge's account
// may read those of others.
func (c *composeConfig) auth(_ context.Context, host string) (*deploy.RegistryAuth, error) {
	if r, ok := c.Registries[host]; ok {
		return r.auth(), nil
	}
	return nil, nil
}
