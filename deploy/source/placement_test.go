package source

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
)

// TestPlacement: where a release runs, and how often, is checked whole, and is the release's.
func TestPlacement(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{
		`"runtime":"swarm","replicas":3,"constraints":["node.role==worker","node.labels.disk != slow"]`: "",
		`"runtime":"docker","replicas":1`:                        "",
		`"runtime":"moon"`:                                       `runtime: unknown runtime "moon": use "docker" or "swarm"`,
		`"replicas":2`:                                           `replicas: needs the runtime "swarm"`,
		`"constraints":["node.role==worker"]`:                    `constraints: needs the runtime "swarm"`,
		`"env":{"A":"1"},"secret_files":["A"]`:                   `secret_files: needs the runtime "swarm"`,
		`"runtime":"swarm","replicas":1001`:                      "replicas: must be at most 1000",
		`"runtime":"swarm","constraints":["role"]`:               "constraints[0]: must compare something of a node",
		`"runtime":"swarm","secret_files":["A","A"]`:             "secret_files[1]: is the same as secret_files[0]",
		`"runtime":"swarm","secret_files":["../A"]`:              "secret_files[0]: must be the name of an environment variable",
		`"runtime":"swarm","tmpfs":["/{{.Node.ID}}"]`:            "tmpfs[0]: must not have {{ in it",
		`"runtime":"swarm","volumes":[{"name":"d","path":"/d"}]`: "volumes: are on one node",
		`"runtime":"swarm","volumes":[{"name":"d","path":"/d"}],"constraints":["node.hostname==one"]`:                         "",
		`"runtime":"swarm","volumes":[{"name":"d","path":"/{{\"proc\"}}"}],"constraints":["node.hostname==one"]`:              "volumes[0].path: must not have {{ in it",
		`"runtime":"swarm","replicas":2,"volumes":[{"name":"d","path":"/d"}],"constraints":["node.hostname==one"]`:            "replicas: would write to one volume at once",
		`"runtime":"swarm","replicas":2,"volumes":[{"name":"d","path":"/d","read_only":true}],"constraints":["node.id==abc"]`: "",
	} {
		err := NewImage(nil).Validate(json.RawMessage(`{"image":"web",` + config + `}`))
		if text := fmt.Sprint(err); want == "" && err != nil || want != "" && !strings.Contains(text, want) {
			t.Errorf("%s\ngot  %s\nwant %s", config, text, want)
		}
	}
	config := `{"image":"web","runtime":"swarm","replicas":3,"constraints":["node.role==worker"],"env":{"A":"1"},"secret_files":["A"]}`
	r, err := NewImage(pinned{}).Build(t.Context(), deploy.BuildInput{ID: "tf-web-1", Workload: db.Workload{Name: "web", Config: json.RawMessage(config)}}, io.Discard)
	if err != nil || r.Runtime != "swarm" || r.Replicas != 3 || !slices.Equal(r.Constraints, []string{"node.role==worker"}) || !slices.Equal(r.SecretFiles, []string{"A"}) {
		t.Errorf("the release is %+v, %v", r, err)
	}
}

type pinned struct{}

func (pinned) Pull(_ context.Context, spec deploy.PullSpec, _ io.Writer) (string, error) {
	return spec.Ref + "@sha256:0", nil
}
