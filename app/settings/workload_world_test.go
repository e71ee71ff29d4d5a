package settings_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tinyforge/app/settings"
	"tinyforge/db"
)

// sources know a few rules of the real ones, which these pages must not import; cmd/tinyforge tries the form with those.
type sources struct{}

var knownKeys = map[string]string{
	"dockerfile": "context dockerfile target build_args build_secrets memory cpus volumes env user runtime replicas constraints secret_files",
	"compose":    "files service profiles env allow registries",
	"static":     "mode root spa entrypoint serve task storage memory cpus volumes env runtime replicas constraints secret_files",
	"image":      "image platform registry memory cpus volumes env runtime replicas constraints secret_files",
}

func (sources) Check(source string, config json.RawMessage) (all []settings.Fault) {
	var c map[string]json.RawMessage
	if json.Unmarshal(config, &c) != nil {
		return []settings.Fault{{Path: "", Text: "must be an object"}}
	}
	for key := range c {
		if !slices.Contains(strings.Fields(knownKeys[source]+" deploy_strategy report_commit_status port healthcheck"), key) {
			all = append(all, settings.Fault{Path: key, Text: "is not a known key"})
		}
	}
	var typed struct {
		Port     int    `json:"port"`
		Strategy string `json:"deploy_strategy"`
		Report   *bool  `json:"report_commit_status"`
		Runtime  string
		Replicas int
		Volumes  []struct {
			Name, Path string
			ReadOnly   bool `json:"read_only"`
		}
	}
	if err := json.Unmarshal(config, &typed); err != nil {
		var wrong *json.UnmarshalTypeError
		errors.As(err, &wrong)
		return append(all, settings.Fault{Path: wrong.Field, Text: "must be a " + wrong.Type.String()})
	}
	for i, v := range typed.Volumes {
		if !strings.HasPrefix(v.Path, "/") {
			all = append(all, settings.Fault{Path: fmt.Sprintf("volumes[%d].path", i), Text: "must be an absolute path"})
		}
		if !v.ReadOnly && typed.Strategy == "blue-green" {
			all = append(all, settings.Fault{Path: "deploy_strategy", Text: "blue-green would mount the writable volume twice"})
		}
	}
	if typed.Replicas > 1 && typed.Runtime != "swarm" {
		all = append(all, settings.Fault{Path: "replicas", Text: "needs the runtime swarm"})
	}
	if typed.Replicas > 1 && len(typed.Volumes) > 0 {
		all = append(all, settings.Fault{Path: "volumes", Text: "would be written to by several"})
	}
	if source == "compose" && typed.Strategy == "blue-green" {
		all = append(all, settings.Fault{Path: "deploy_strategy", Text: "a Compose stack is changed in place"})
	}
	if !slices.Contains([]string{"", "recreate", "blue-green"}, typed.Strategy) {
		all = append(all, settings.Fault{Path: "deploy_strategy", Text: "unknown strategy"})
	}
	return all
}

func (s sources) Strategy(source string, config json.RawMessage) (db.Strategy, string, error) {
	if faults := s.Check(source, config); len(faults) > 0 {
		return "", "", errors.New(faults[0].Text)
	}
	var c struct {
		Strategy db.Strategy `json:"deploy_strategy"`
		Storage  struct{ Enabled bool }
	}
	_ = json.Unmarshal(config, &c)
	switch {
	case source == "compose":
		return db.Stack, "", nil
	case c.Storage.Enabled:
		return db.Recreate, "the site has storage", nil
	case c.Strategy != "":
		return c.Strategy, "", nil
	case source == "image":
		return db.BlueGreen, "", nil
	}
	return db.Recreate, "", nil
}

func (sources) Keys(source string) (all []settings.Key) {
	for _, key := range strings.Fields(knownKeys[source]) {
		all = append(all, settings.Key{Path: key, Example: `"<example>"`})
	}
	return all
}

// code is what the repositories hold.
type code struct {
	heads map[string]string
	found []settings.Found
	err   error

	during func() // is called while one is looked into
}

func (c *code) Heads(context.Context, db.Repository) (map[string]string, error) {
	return c.heads, c.err
}
func (c *code) Detect(context.Context, db.Repository, string) ([]settings.Found, error) {
	if c.during != nil {
		c.during()
	}
	return c.found, c.err
}

type prober struct{}

func (prober) Probe(_ context.Context, _ db.Workload, path string) (int, time.Duration, error) {
	switch path {
	case "/up":
		return 204, 12 * time.Millisecond, nil
	case "/down":
		return 503, time.Second, nil
	}
	return 0, 0, errors.New("nothing listens on port 8080")
}

func checkRoute(rt db.Route) error {
	if len(rt.Paths) > 0 && !strings.HasPrefix(rt.Paths[0], "/") {
		return errors.New(`the path prefix must begin with "/"`)
	}
	return nil
}

var commit = strings.Repeat("a1", 20)

// repository adds one, of a forge of its own.
func (w *world) repository(name string) db.Repository {
	w.t.Helper()
	forge := db.Forge{Name: "git", Kind: "gitea", URL: "https://git.example.com"}
	must(w.t, w.db.SaveForge(w.t.Context(), &forge))
	repo := db.Repository{ForgeID: forge.ID, ExternalID: 7, FullName: name, DefaultBranch: "main"}
	must(w.t, w.db.SaveRepository(w.t.Context(), &repo))
	w.code.heads = map[string]string{"refs/heads/main": commit, "refs/heads/dev": strings.Repeat("b2", 20), "refs/tags/v9": strings.Repeat("c3", 20), "refs/tags/v10": strings.Repeat("d4", 20)}
	return repo
}

// live makes a deployment of the workload serve.
func (w *world) live(workload db.Workload) {
	w.t.Helper()
	ctx := w.t.Context()
	_, err := w.db.QueueCommit(ctx, workload.ID, "refs/heads/main", commit, "", "")
	must(w.t, err)
	dep, err := w.db.Claim(ctx, "test", time.Hour)
	must(w.t, err)
	dep.Release = &db.Release{ID: "tf-shop-1", WorkloadID: workload.ID, DeploymentID: dep.ID, Commit: commit, Image: "sha256:1", Port: 8080, Origin: workload.Origin(),
		Volumes: []db.Volume{{Name: "data", Path: "/data"}}}
	dep.Phase = db.PhaseCommitting
	must(w.t, w.db.Save(ctx, dep))
	dep.Phase = db.PhaseDraining
	must(w.t, w.db.Commit(ctx, dep, db.RuntimeState{WorkloadID: workload.ID, DeploymentID: dep.ID, ReleaseID: dep.Release.ID, Commit: commit, Release: *dep.Release}))
	dep.Phase = db.PhaseLive
	must(w.t, w.db.Save(ctx, dep))
}

func (w *world) saved(name string) db.Workload {
	w.t.Helper()
	got, err := w.db.WorkloadByName(w.t.Context(), name)
	must(w.t, err)
	return got
}

// newest is the newest deployment of a workload.
func (w *world) newest(workload db.Workload) db.Deployment {
	w.t.Helper()
	list, err := w.db.DeploymentsOf(w.t.Context(), workload.ID, 1)
	must(w.t, err)
	if len(list) == 0 {
		w.t.Fatal("nothing was deployed")
	}
	return list[0]
}

// between returns what stands between two texts of a page, "" when it is not there.
func (p page) between(before, after string) string {
	_, rest, _ := strings.Cut(p.body, before)
	inner, _, found := strings.Cut(rest, after)
	if !found {
		return ""
	}
	return inner
}
