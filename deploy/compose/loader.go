// Package compose makes stacks of containers from Compose files and runs them. It is the only importer of the Compose
// libraries.
//
// A Compose file is input from whoever may push. It is read so that nothing outside the checkout is opened, nothing is
// fetched, and no small file becomes a large one; then a policy refuses what would reach beyond the stack.
package compose

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Images makes images. It must be safe for concurrent use.
type Images interface {
	Build(ctx context.Context, spec deploy.BuildSpec, log io.Writer) (string, error)
	Pull(ctx context.Context, spec deploy.PullSpec, log io.Writer) (string, error)
}

// Loader makes stacks from checkouts. It is safe for concurrent use.
type Loader struct{ images Images }

// NewLoader returns a Loader whose images are made by i. One with a nil i can CheckAllow only.
func NewLoader(i Images) *Loader { return &Loader{i} }

// projectName is the Compose project of a workload's stack: the same for all its releases, so that volumes last and
// services that did not change go on. No release's container is named so.
func projectName(workload string) string { return "tfstack-" + workload }

// Load reads, checks and builds a stack. All that is wrong with it is one *deploy.Failure; the log has a line for each.
// Two loads of one release make the same images.
func (l *Loader) Load(ctx context.Context, in deploy.StackInput, log io.Writer) (deploy.LoadedStack, error) {
	tree, err := openTree(in.Dir)
	if err != nil {
		return deploy.LoadedStack{}, err
	}
	defer tree.close()
	project, err := read(ctx, tree, in)
	if err != nil {
		return deploy.LoadedStack{}, l.tell(log, in, err)
	}
	service, port, err := stands(project, in)
	if err != nil {
		return deploy.LoadedStack{}, l.tell(log, in, err)
	}
	allowed, files, err := check(project, tree, service, in.Allow)
	if err != nil {
		return deploy.LoadedStack{}, l.tell(log, in, err)
	}
	for _, what := range allowed {
		_, _ = fmt.Fprintln(log, "Allowed by an administrator: "+what)
	}
	m := maker{images: l.images, in: in, tree: tree, project: project, log: log, made: map[string]string{}}
	images, err := m.all(ctx, files)
	if err != nil {
		return deploy.LoadedStack{}, err
	}
	for _, line := range settle(project, service) {
		_, _ = fmt.Fprintln(log, line)
	}
	text, err := encode(project)
	if err != nil {
		return deploy.LoadedStack{}, l.tell(log, in, err)
	}
	stack := db.ComposeStack{Project: text, Service: service, Images: images, Allowed: allowed}
	return deploy.LoadedStack{Stack: stack, Port: port}, nil
}

// tell writes each fault to the log and makes one failure of all. What the libraries say may quote the checkout's place on
// this machine and values that are secret: neither is shown.
func (l *Loader) tell(log io.Writer, in deploy.StackInput, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var all faults
	if !errors.As(err, &all) {
		all = faults{err.Error()}
	}
	for i, text := range all {
		all[i] = blot(strings.ReplaceAll(strings.ReplaceAll(text, in.Dir+"/", ""), in.Dir, "the repository"), in.Env)
		_, _ = fmt.Fprintln(log, all[i])
	}
	return &deploy.Failure{Text: "The stack cannot be deployed: " + strings.Join(all, "; ")}
}

// blot hides values of more than a few characters.
func blot(text string, env map[string]string) string {
	for _, value := range env {
		if len(value) > 4 {
			text = strings.ReplaceAll(text, value, "***")
		}
	}
	return text
}

// faults is all that is wrong with a stack.
type faults []string

func (f faults) Error() string { return strings.Join(f, "; ") }

// maxProject bounds what is kept of a stack in the database.
const maxProject = 4 << 20

// encode is the project as it is kept.
func encode(project *types.Project) (json.RawMessage, error) {
	text, err := project.MarshalJSON(types.WithSecretContent)
	if err != nil {
		return nil, fmt.Errorf("encode stack: %w", err)
	}
	if len(text) > maxProject {
		return nil, faults{fmt.Sprintf("the stack is too large: %d bytes once loaded, at most %d are taken", len(text), maxProject)}
	}
	return text, nil
}
