package compose

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/distribution/reference"

	"tinyforge/deploy"
	"tinyforge/deploy/shorten"
)

// maker makes the images of a project and writes them into it.
type maker struct {
	images  Images
	in      deploy.StackInput
	tree    *tree
	project *types.Project
	log     io.Writer
	made    map[string]string // pulled: pinned names by names
}

// all returns the images that the project then consists of.
func (m *maker) all(ctx context.Context, files map[string][]copied) ([]string, error) {
	staging, err := os.MkdirTemp(filepath.Dir(m.tree.dir), "stack-") // beside the checkout: it is no part of a build context
	if err != nil {
		return nil, &deploy.Failure{Text: "There is no room for the files of a stack", Err: err}
	}
	defer func() { _ = os.RemoveAll(staging) }()
	var images []string
	for _, name := range m.project.ServiceNames() {
		s := m.project.Services[name]
		image, from, err := m.image(ctx, name, s)
		if err == nil && len(files[name]) > 0 {
			image, err = m.layer(ctx, staging, name, from, files[name])
		}
		if err != nil {
			return nil, named(name, err)
		}
		s.Image, s.Build, s.PullPolicy, s.Platform = image, nil, types.PullPolicyNever, ""
		s.Volumes = slices.DeleteFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool {
			_, ok := m.tree.inside(v.Source)
			return v.Type == types.VolumeTypeBind && ok
		})
		s.Configs = slices.DeleteFunc(s.Configs, func(r types.ServiceConfigObjConfig) bool { return m.project.Configs[r.Source].File != "" })
		s.Secrets = slices.DeleteFunc(s.Secrets, func(r types.ServiceSecretConfig) bool { return m.project.Secrets[r.Source].File != "" })
		m.project.Services[name] = s
		images = append(images, image)
	}
	slices.Sort(images)
	return slices.Compact(images), nil
}

// named says of which service a failure is.
func named(service string, err error) error {
	var failure *deploy.Failure
	if errors.As(err, &failure) {
		return &deploy.Failure{Text: "Service " + service + ": " + failure.Text, Err: failure.Err}
	}
	return fmt.Errorf("service %s: %w", service, err)
}

// image makes a service's image. from is the name under which a Dockerfile can refer to it.
func (m *maker) image(ctx context.Context, name string, s types.ServiceConfig) (image, from string, err error) {
	if s.Build == nil {
		return m.pull(ctx, s.Image)
	}
	spec, err := m.spec(name, *s.Build)
	if err != nil {
		return "", "", err
	}
	_, _ = fmt.Fprintf(m.log, "Building %s\n", name)
	image, err = m.images.Build(ctx, spec, m.log)
	return image, spec.Tag, err
}

func (m *maker) pull(ctx context.Context, ref string) (image, from string, err error) {
	parsed, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", "", &deploy.Failure{Text: fmt.Sprintf("%q is not the name of an image", shorten.Typed(ref))}
	}
	image, ok := m.made[ref]
	if !ok {
		var auth *deploy.RegistryAuth
		if m.in.Auth != nil {
			if auth, err = m.in.Auth(ctx, reference.Domain(parsed)); err != nil {
				return "", "", err
			}
		}
		_, _ = fmt.Fprintf(m.log, "Pulling %s\n", ref)
		if image, err = m.images.Pull(ctx, deploy.PullSpec{Ref: reference.TagNameOnly(parsed).String(), Auth: auth}, m.log); err != nil {
			return "", "", err
		}
		m.made[ref] = image
	}
	if from = image; !strings.Contains(image, "@") { // an id: the image is in no registry, and is called by its name
		from = ref
	}
	return image, from, nil
}

// spec is the build of a service. Its labels are the same for each release, so that one whose files did not change gives
// the same image, and the service is left running.
func (m *maker) spec(name string, b types.BuildConfig) (deploy.BuildSpec, error) {
	spec := m.base(m.in.Tag + "-" + name)
	var err error
	if spec.Context, err = m.tree.resolved(b.Context); err != nil {
		return spec, err
	}
	spec.Dir, spec.Target, spec.Args = m.tree.dir, b.Target, map[string]string{}
	for key, value := range b.Labels {
		spec.Labels[key] = value
	}
	for key, value := range b.Args {
		if value != nil {
			spec.Args[key] = *value
		}
	}
	if spec.Secrets, err = m.secrets(b); err != nil {
		return spec, err
	}
	if b.DockerfileInline != "" {
		spec.Dockerfile = ".tinyforge-" + name + ".Dockerfile"
		return spec, m.tree.write(spec.Dockerfile, b.DockerfileInline)
	}
	spec.Dockerfile, err = m.tree.resolved(dockerfile(b))
	return spec, err
}

func (m *maker) base(tag string) deploy.BuildSpec {
	return deploy.BuildSpec{
		Context: ".", Dockerfile: "Dockerfile", Tag: tag,
		Labels: map[string]string{labelWorkload: m.in.Workload}, CacheNamespace: m.in.Workload,
	}
}

func (m *maker) secrets(b types.BuildConfig) (map[string]string, error) {
	secrets := map[string]string{}
	for _, ref := range b.Secrets {
		secret := m.project.Secrets[ref.Source]
		value := secret.Content
		if secret.File != "" {
			content, err := m.tree.read(secret.File, "secret "+ref.Source)
			if err != nil {
				return nil, err
			}
			value = string(content)
		}
		secrets[path.Base(cmp.Or(ref.Target, ref.Source))] = value
	}
	return secrets, nil
}

// layer puts files of the checkout onto a service's image.
func (m *maker) layer(ctx context.Context, staging, name, from string, files []copied) (string, error) {
	dir := filepath.Join(staging, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	lines, err := m.tree.stage(dir, files)
	if err != nil {
		return "", err
	}
	text := "FROM " + from + "\n" + strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write Dockerfile: %w", err)
	}
	for _, c := range files {
		_, _ = fmt.Fprintf(m.log, "%s: %s of the repository is copied to %s\n", name, m.tree.named(c.source), c.target)
	}
	spec := m.base(m.in.Tag + "_" + name)
	spec.Dir, spec.Base = dir, from
	return m.images.Build(ctx, spec, m.log)
}

// write makes a file in the checkout's root that replaces what is there, a link too.
func (t *tree) write(name, content string) error {
	_ = t.root.RemoveAll(name)
	if err := t.root.WriteFile(name, []byte(content), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
