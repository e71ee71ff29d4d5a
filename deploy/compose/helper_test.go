package compose

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"tinyforge/deploy"
)

// recorded are images that are only noted: what would be built and pulled.
type recorded struct {
	specs  []deploy.BuildSpec
	files  []string // of the staged folder of each spec, with their content
	pulled []string
}

func (r *recorded) Build(_ context.Context, spec deploy.BuildSpec, _ io.Writer) (string, error) {
	r.specs = append(r.specs, spec)
	content, err := os.ReadFile(filepath.Join(spec.Dir, filepath.FromSlash(spec.Dockerfile)))
	r.files = append(r.files, string(content))
	return "sha256:" + spec.Tag, err
}

func (r *recorded) Pull(_ context.Context, spec deploy.PullSpec, _ io.Writer) (string, error) {
	r.pulled = append(r.pulled, spec.Ref)
	name, _, _ := strings.Cut(spec.Ref, ":")
	return name + "@sha256:" + strings.Repeat("ab", 32), nil
}

// loaded is what a load of some files gave.
type loaded struct {
	deploy.LoadedStack
	project *types.Project
	images  recorded
	log     string
	err     error
}

// loadFiles makes a checkout of files, below a folder that is outside of it, and loads it. A file whose content begins
// with "-> " is a symbolic link.
func loadFiles(t *testing.T, files map[string]string, change func(*deploy.StackInput)) (l loaded) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "checkout")
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		must(t, os.MkdirAll(filepath.Dir(file), 0o755))
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			must(t, os.Symlink(target, file))
			continue
		}
		must(t, os.WriteFile(file, []byte(content), 0o644))
	}
	in := deploy.StackInput{Tag: "tinyforge/web:17", Workload: "web", Dir: dir, Service: "web"}
	if change != nil {
		change(&in)
	}
	var log bytes.Buffer
	l.LoadedStack, l.err = NewLoader(&l.images).Load(t.Context(), in, &log)
	if l.log = log.String(); l.err == nil {
		var err error
		l.project, err = decode(t.Context(), "tfstack-web", l.Stack.Project)
		must(t, err)
	}
	return l
}

// loadOne loads one Compose file.
func loadOne(t *testing.T, text string, change func(*deploy.StackInput)) loaded {
	t.Helper()
	return loadFiles(t, map[string]string{"compose.yaml": text}, change)
}

func allow(what ...string) func(*deploy.StackInput) {
	return func(in *deploy.StackInput) { in.Allow = what }
}

// refusal returns the text of the failure, and fails the test where there is none.
func refusal(t *testing.T, err error) string {
	t.Helper()
	f, ok := errors.AsType[*deploy.Failure](err)
	if !ok {
		t.Fatalf("error is %v (%T), want a *deploy.Failure", err, err)
	}
	return f.Text
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	return string(text)
}

// web is a Compose file with one service that has more keys, each on a line of its own.
func web(lines ...string) string {
	return "services:\n  web:\n    image: nginx:1\n" + indent(4, lines...)
}

func indent(n int, lines ...string) string {
	var b strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&b, "%s%s\n", strings.Repeat(" ", n), line)
	}
	return b.String()
}
