package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/pkg/jsonmessage"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/tonistiigi/fsutil"

	"tinyforge/deploy"
)

// buildClassic builds with the engine's builder of old. It cannot give secrets to steps, and does not see a Dockerfile
// outside of the context; builds that need either are refused.
func (e *Engine) buildClassic(ctx context.Context, spec deploy.BuildSpec, out *lines) error {
	if len(spec.Secrets) > 0 {
		return &deploy.Failure{Text: "This build has secrets, which need BuildKit, and this Docker has none: upgrade Docker"}
	}
	folder := filepath.Join(spec.Dir, filepath.FromSlash(spec.Context))
	file, err := filepath.Rel(folder, filepath.Join(spec.Dir, filepath.FromSlash(spec.Dockerfile)))
	if err != nil || !filepath.IsLocal(file) {
		return &deploy.Failure{Text: "A Dockerfile outside of its build context needs BuildKit, and this Docker has none: upgrade Docker"}
	}
	if err := checkIDs(spec); err != nil {
		return err
	}
	ignored, err := ignorePatterns(spec)
	if err != nil {
		return err
	}
	archive, err := contextArchive(ctx, folder, file, ignored)
	if err != nil {
		return err
	}
	defer archive.Close()
	opt := build.ImageBuildOptions{
		Version:     build.BuilderV1,
		Tags:        []string{spec.Tag},
		Dockerfile:  filepath.ToSlash(file),
		Target:      spec.Target,
		Labels:      spec.Labels,
		BuildArgs:   map[string]*string{},
		Remove:      true,
		ForceRemove: true,
	}
	for name, value := range spec.Args {
		opt.BuildArgs[name] = &value
	}
	answer, err := e.docker.ImageBuild(ctx, archive, opt)
	if err != nil {
		return classicFailure(err, "", out)
	}
	defer answer.Body.Close()
	return readClassic(ctx, answer.Body, out)
}

// contextArchive streams the context as a tar, without what is ignored.
func contextArchive(ctx context.Context, folder, dockerfile string, ignored []string) (io.ReadCloser, error) {
	files, err := fsutil.NewFS(folder)
	if err != nil {
		return nil, err
	}
	if len(ignored) > 0 {
		ignored = append(ignored, "!"+dockerfile, "!.dockerignore")
	}
	files, err = fsutil.NewFilterFS(files, &fsutil.FilterOpt{ExcludePatterns: ignored})
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(fsutil.WriteTar(ctx, files, w)) }()
	return r, nil
}

// ignorePatterns reads the .dockerignore of the context, which may be a symlink inside of the checkout.
func ignorePatterns(spec deploy.BuildSpec) ([]string, error) {
	f, err := os.OpenInRoot(spec.Dir, filepath.Join(filepath.FromSlash(spec.Context), ".dockerignore"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, ignoreFailure(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, ignoreFailure(err)
	}
	patterns, err := ignorefile.ReadAll(f)
	if err != nil {
		return nil, ignoreFailure(err)
	}
	return patterns, nil
}

func ignoreFailure(err error) error {
	return &deploy.Failure{Text: "Build failed: the .dockerignore cannot be read: it must be a file of the repository", Err: err}
}

// readClassic writes the builder's output to the log until it ends or fails.
func readClassic(ctx context.Context, r io.Reader, out *lines) error {
	text, step := &splitter{}, ""
	text.emit = func(line string) {
		if _, name, found := strings.Cut(line, " : "); found && strings.HasPrefix(line, "Step ") {
			step = name
		}
		if line != "" {
			out.emit(line)
		}
	}
	defer text.flush()
	for decoder := json.NewDecoder(r); ; {
		var m jsonmessage.JSONMessage
		switch err := decoder.Decode(&m); {
		case errors.Is(err, io.EOF):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("read the builder's answer: %w", err)
		case m.Error != nil:
			text.flush()
			out.emit("ERROR: " + cleanLine(m.Error.Message))
			return classicFailure(m.Error, step, out)
		}
		_, _ = text.Write([]byte(m.Stream))
	}
}

func classicFailure(err error, name string, out *lines) error {
	if isOutside(err) {
		return err
	}
	text := daemonText(err)
	if name == "" {
		return buildFailure(text, nil, out.blot)
	}
	return buildFailure(text, &step{name: name, err: text}, out.blot)
}
