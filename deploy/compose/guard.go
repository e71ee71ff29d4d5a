package compose

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// guard goes through Compose files before they are loaded, and follows what they include and extend as the library will:
// it lets them pass when all of that is in the checkout and none of it is too large. Paths are judged after interpolation,
// by the library's own parser, so that both see the same.
type guard struct {
	tree    *tree
	project string
	seen    map[string]bool // files in this environment, so that each is read once
	files   int
	passed  []passed
}

// visit is a Compose file that will be loaded.
type visit struct {
	path     string // absolute
	dir      string // absolute; what its paths are relative to
	env      types.Mapping
	includes bool // whether its include counts: not for one that is extended
	top      bool // whether it is one of the stack's own files
}

const (
	maxServices = 100
	maxNodes    = 100_000 // of all values in a file, aliases followed
	maxText     = 2 << 20 // bytes of all texts in it, aliases followed and variables filled in
)

// pass reads a file and all that it leads to. The content is returned as it was judged.
func (g *guard) pass(ctx context.Context, v visit) ([]byte, error) {
	name := g.tree.named(v.path)
	key := fmt.Sprint(v.path, "\x00", v.dir, "\x00", v.includes, "\x00", v.env)
	if g.files++; g.files > maxFiles {
		return nil, faults{fmt.Sprintf("the stack is made of too many files: at most %d are read", maxFiles)}
	}
	content, err := g.tree.read(v.path, name)
	if err != nil || g.seen[key] {
		return content, err
	}
	if g.seen == nil {
		g.seen = map[string]bool{}
	}
	g.seen[key] = true
	model, err := g.parse(ctx, v, content, name)
	if err != nil {
		return nil, err
	}
	g.passed = append(g.passed, passed{v, content})
	if v.includes {
		if err := g.passIncludes(ctx, v, model, name); err != nil {
			return nil, err
		}
	}
	return content, g.passExtends(ctx, v, model, name)
}

// parse returns the file's own content as the library sees it, once it is known not to be a bomb.
func (g *guard) parse(ctx context.Context, v visit, content []byte, name string) (map[string]any, error) {
	m, err := weighYAML(content)
	if err != nil {
		return nil, faults{fmt.Sprintf("%s cannot be read: %v", name, err)}
	}
	if m.services > maxServices {
		return nil, tooManyServices(name, m.services)
	}
	if m.nodes > maxNodes || m.text+m.dollars*longestOf(v.env, 0) > maxText {
		return nil, faults{name + " is too large once its aliases and variables are filled in"}
	}
	return g.model(ctx, v, content, name)
}

func tooManyServices(name string, n int) error {
	return faults{fmt.Sprintf("%s has %d services: a stack may have at most %d", name, n, maxServices)}
}

// model is one file, with nothing that it includes or extends.
func (g *guard) model(ctx context.Context, v visit, content []byte, name string) (model map[string]any, err error) {
	defer func() {
		if recover() != nil {
			err = faults{name + " is not a valid Compose file"}
		}
	}()
	if len(bytes.TrimSpace(content)) == 0 {
		return map[string]any{}, nil
	}
	details := types.ConfigDetails{
		WorkingDir:  v.dir,
		ConfigFiles: []types.ConfigFile{{Filename: v.path, Content: content}},
		Environment: v.env.Clone(),
	}
	model, err = loader.LoadModelWithContext(ctx, details, func(o *loader.Options) {
		o.SetProjectName(g.project, true)
		o.SkipInclude, o.SkipExtends = true, true
		o.SkipValidation, o.SkipNormalization, o.SkipConsistencyCheck = true, true, true
		o.SkipDefaultValues, o.ResolvePaths = true, false
		o.MaxNodeVisits = maxNodes
	})
	if err != nil {
		return nil, faults{fmt.Sprintf("%s cannot be read: %v", name, err)}
	}
	return model, nil
}

// passIncludes follows include. Its project_directory, and the env_file of what is included itself, are relative to other
// places than they seem: they are refused.
func (g *guard) passIncludes(ctx context.Context, v visit, model map[string]any, name string) error {
	list, ok := model["include"].([]any)
	if !ok && model["include"] != nil {
		return faults{name + ": include is not a list"}
	}
	for _, item := range list {
		entry, ok := item.(map[string]any)
		if !ok {
			entry = map[string]any{"path": item}
		}
		if entry["project_directory"] != nil {
			return faults{name + ": include with project_directory cannot be used here: write paths relative to the included file"}
		}
		paths, err := g.localPaths(entry["path"], v.dir, name+": include")
		if err != nil {
			return err
		}
		if len(paths) == 0 {
			return faults{name + ": include has no path"}
		}
		dir := filepath.Dir(paths[0])
		env, err := g.includedEnv(v, entry["env_file"], dir, name)
		if err != nil {
			return err
		}
		for _, path := range paths {
			if _, err := g.pass(ctx, visit{path: path, dir: dir, env: env, includes: true}); err != nil {
				return err
			}
		}
	}
	return nil
}

// includedEnv is the environment of what is included: its own env files fill in what is not set.
func (g *guard) includedEnv(v visit, files any, dir, name string) (types.Mapping, error) {
	env := v.env.Clone()
	if files != nil && !v.top {
		return nil, faults{name + ": env_file of an include within an include cannot be used here"}
	}
	paths, err := g.localPaths(files, v.dir, name+": env_file of an include")
	if err != nil {
		return nil, err
	}
	if own := filepath.Join(dir, ".env"); len(paths) == 0 {
		if rel, ok := g.tree.inside(own); ok {
			if _, err := g.tree.root.Lstat(rel); err == nil {
				paths = []string{own}
			}
		}
	}
	for _, path := range paths {
		content, err := g.tree.read(path, g.tree.named(path))
		if err != nil {
			return nil, err
		}
		if bytes.ContainsRune(content, '$') {
			return nil, faults{g.tree.named(path) + ": the env file of an include cannot use variables here: write the values out"}
		}
		own := types.Mapping{}
		if err := evaluate(string(content), g.tree.named(path), own, nil); err != nil {
			return nil, err
		}
		env.Merge(own)
	}
	return env, nil
}

// passExtends follows extends with a file, of services that have one.
func (g *guard) passExtends(ctx context.Context, v visit, model map[string]any, name string) error {
	for _, kind := range []string{"services", "jobs"} {
		services, _ := model[kind].(map[string]any)
		for _, service := range slices.Sorted(maps.Keys(services)) {
			body, _ := services[service].(map[string]any)
			extends, _ := body["extends"].(map[string]any)
			paths, err := g.localPaths(extends["file"], v.dir, fmt.Sprintf("%s: service %s: extends", name, service))
			if err != nil {
				return err
			}
			for _, path := range paths {
				if _, err := g.pass(ctx, visit{path: path, dir: filepath.Dir(path), env: v.env}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// localPaths returns one path or a list of them as absolute paths in the checkout.
func (g *guard) localPaths(value any, dir, name string) ([]string, error) {
	list, ok := value.([]any)
	if !ok && value != nil {
		list = []any{value}
	}
	var paths []string
	for _, item := range list {
		path, ok := item.(string)
		switch {
		case !ok || path == "":
			return nil, faults{name + " is not a path"}
		case strings.HasPrefix(path, "~"), strings.Contains(path, "://"), strings.HasPrefix(path, "git@"),
			strings.HasPrefix(path, "github.com/"), strings.HasPrefix(path, "oci:"):
			return nil, faults{fmt.Sprintf("%s %s is not in the repository, and nothing is fetched from elsewhere: copy it there", name, path)}
		case !filepath.IsAbs(path):
			path = filepath.Join(dir, path)
		}
		if _, ok := g.tree.inside(path); !ok {
			return nil, faults{fmt.Sprintf("%s %s is outside the repository", name, item)}
		}
		paths = append(paths, path)
	}
	return paths, nil
}
