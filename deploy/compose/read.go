package compose

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"tinyforge/deploy"
)

// read loads the project of a checkout. The environment of this process plays no part in it.
func read(ctx context.Context, t *tree, in deploy.StackInput) (*types.Project, error) {
	files, err := t.composeFiles(in)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(files[0]) // Compose calls it the project's folder
	env, err := t.environment(dir, in)
	if err != nil {
		return nil, err
	}
	g := guard{tree: t, project: projectName(in.Workload)}
	details := types.ConfigDetails{WorkingDir: dir, Environment: env}
	for _, file := range files {
		content, err := g.pass(ctx, visit{path: file, dir: dir, env: env, includes: true, top: true})
		if err != nil {
			return nil, err
		}
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: file, Content: content})
	}
	project, err := load(ctx, details, func(o *loader.Options) {
		o.SetProjectName(projectName(in.Workload), true)
		o.Profiles = in.Profiles
		o.SkipResolveEnvironment, o.SkipResolveLabels = true, true // they read files: see resolveFiles
		o.MaxNodeVisits = maxNodes
	})
	if err != nil {
		return nil, g.explain(ctx, details, err)
	}
	if n := len(project.Services); n > maxServices {
		return nil, tooManyServices("the stack", n)
	}
	if len(project.Services) == 0 {
		return nil, faults{"the Compose files have no service, or only some of other profiles: name the config's profiles"}
	}
	project = project.WithoutUnnecessaryResources()
	return project, t.resolveFiles(project)
}

// load calls the library, which is not made for input that it has not validated yet. The error may quote files: see explain.
func load(ctx context.Context, details types.ConfigDetails, options func(*loader.Options)) (project *types.Project, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("they are not valid")
		}
	}()
	return loader.LoadWithContext(ctx, details, options)
}

// environment is what ${VAR} stands for: the checkout's own .env, and what wins over it.
func (t *tree) environment(dir string, in deploy.StackInput) (types.Mapping, error) {
	env := types.Mapping{}
	path := filepath.Join(dir, ".env")
	if rel, ok := t.inside(path); ok {
		if _, err := t.root.Lstat(rel); err == nil {
			content, err := t.read(path, t.named(path))
			if err != nil {
				return nil, err
			}
			if err := evaluate(string(content), t.named(path), env, in.Env); err != nil {
				return nil, err
			}
		}
	}
	maps.Copy(env, in.Env)
	size := 0
	for _, value := range env {
		size += len(value)
	}
	if size > maxFile {
		return nil, faults{fmt.Sprintf("the variables are too large: at most %d bytes are taken", maxFile)}
	}
	return env, nil
}

// resolveFiles does what Compose does with env_file and label_file, once they are known to be in the checkout.
func (t *tree) resolveFiles(project *types.Project) error {
	var all faults
	for name, s := range project.Services {
		s.Environment = s.Environment.Resolve(project.Environment.Resolve)
		env := types.Mapping{}
		given := types.Mapping{}
		for key, value := range s.Environment {
			if value != nil {
				given[key] = *value
			}
		}
		over := maps.Clone(given)
		maps.Copy(over, project.Environment)
		for _, file := range s.EnvFiles {
			all = append(all, t.addFile(name, "env_file", file, env, over)...)
		}
		s.Environment = env.ToMappingWithEquals().OverrideBy(s.Environment)
		labels := types.Mapping{}
		for _, file := range s.LabelFiles {
			all = append(all, t.addFile(name, "label_file", types.EnvFile{Path: file, Required: true}, labels, nil)...)
		}
		maps.Copy(labels, s.Labels)
		if s.Labels = types.Labels(labels); len(labels) == 0 {
			s.Labels = nil
		}
		s.EnvFiles, s.LabelFiles = nil, nil
		project.Services[name] = s
	}
	if len(all) > 0 {
		return all
	}
	return nil
}

func (t *tree) addFile(service, key string, file types.EnvFile, into, over types.Mapping) faults {
	at := fmt.Sprintf("service %s: %s %s", service, key, t.named(file.Path))
	rel, ok := t.inside(file.Path)
	if !ok {
		return faults{at + " is outside the repository"}
	}
	if _, err := t.root.Lstat(rel); err != nil && !file.Required {
		return nil
	}
	content, err := t.read(file.Path, at)
	if err == nil {
		if file.Format == "raw" {
			err = evaluateRaw(string(content), at, into)
		} else {
			err = evaluate(string(content), at, into, over)
		}
	}
	return asFaults(err)
}

func asFaults(err error) faults {
	if err == nil {
		return nil
	}
	if all, ok := errors.AsType[faults](err); ok {
		return all
	}
	return faults{err.Error()}
}
