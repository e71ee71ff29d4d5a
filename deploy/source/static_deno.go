package source

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"

	"tinyforge/db"
	"tinyforge/deploy"
)

// denoMode is mode "deno": a program for Deno that answers requests.
type denoMode struct{}

// defaultDenoImage is Deno's own image.
const defaultDenoImage = "denoland/deno:2.9.6"

// Where things are in the image of a program.
const (
	denoFolder = "/app"      // the program
	denoCache  = "/deno-dir" // what it imports from elsewhere
)

func (denoMode) check(c *staticConfig) Faults {
	all := only("static", map[string]bool{
		"spa":       c.SPA,
		"not_found": c.NotFound != "",
		"headers":   len(c.Headers) > 0,
		"redirects": len(c.Redirects) > 0,
	})
	if c.Entrypoint == "" {
		all = append(all, Fault{"entrypoint", `is required in mode "deno": the program's file in root, such as "main.ts"`})
	}
	for _, name := range []string{portName, addressName} {
		if _, set := c.Env[name]; set {
			all = append(all, Fault{join("env", name), "follows from port: set that instead"})
		}
	}
	if image, err := reference.ParseNormalizedNamed(cmp.Or(c.DenoImage, defaultDenoImage)); err != nil {
		all = append(all, Fault{"deno_image", fmt.Sprintf("is not a valid image name: write one such as %q", defaultDenoImage)})
	} else if deploy.IsBuiltHere(image) {
		all = append(all, Fault{"deno_image", "is refused: " + builtHereText})
	}
	all = append(all, c.checkStorage()...)
	return append(all, c.Permissions.check(append(writablePlaces(c.mounted()), tmpfsPaths(c.tmpfs())...))...)
}

// tmpfs are the folders in memory.
func (c *staticConfig) tmpfs() []string {
	if slices.Contains(tmpfsPaths(c.Tmpfs), "/tmp") {
		return c.Tmpfs
	}
	return append([]string{"/tmp"}, c.Tmpfs...)
}

func (c *staticConfig) checkStorage() (all Faults) {
	for i, v := range c.Volumes {
		if text := checkMount(v.Path); text != "" {
			all = append(all, Fault{fmt.Sprintf("volumes[%d].path", i), text})
		}
		if c.Storage.Enabled && path.Clean(v.Path) == path.Clean(c.Storage.Mount) {
			all = append(all, Fault{fmt.Sprintf("volumes[%d].path", i), "is the same as storage.mount"})
		}
	}
	for i, at := range tmpfsPaths(c.Tmpfs) {
		switch {
		case at == denoFolder, at == denoCache:
			all = append(all, Fault{fmt.Sprintf("tmpfs[%d]", i), "would hide the program"})
		case c.Storage.Enabled && at == path.Clean(c.Storage.Mount):
			all = append(all, Fault{fmt.Sprintf("tmpfs[%d]", i), "is the same as storage.mount"})
		}
	}
	if text := checkMount(c.Storage.Mount); c.Storage.Enabled && text != "" {
		all = append(all, Fault{"storage.mount", text})
	}
	return all
}

// mounted are all volumes of the release.
func (c *staticConfig) mounted() []volume {
	if !c.Storage.Enabled {
		return c.Volumes
	}
	return append(slices.Clone(c.Volumes), c.Storage.volume())
}

// Names of the variables that say where to listen. Deno's own server heeds the second without being asked.
const (
	portName    = "PORT"
	addressName = "DENO_SERVE_ADDRESS"
)

func (denoMode) run(c *staticConfig, r *db.Release) {
	r.Volumes = releaseVolumes(c.mounted())
	r.Tmpfs = releaseTmpfs(c.tmpfs())
	r.Env = mergeEnv(r.Env, map[string]string{portName: strconv.Itoa(c.Port), addressName: fmt.Sprintf("tcp:0.0.0.0:%d", c.Port)})
}

func (denoMode) build(ctx context.Context, s *Static, c *staticConfig, st *stage) (string, error) {
	tree, err := st.copy(ctx, "app")
	if err != nil {
		return "", err
	}
	if _, found := tree.Files[path.Clean(c.Entrypoint)]; !found {
		return "", &deploy.Failure{Text: fmt.Sprintf("entrypoint: %q is not a file of %s at this commit", c.Entrypoint, rootName(c.Root))}
	}
	if err := os.Mkdir(st.path("empty"), 0o755); err != nil {
		return "", fmt.Errorf("make stage: %w", err)
	}
	_, npm := tree.Files["package.json"]
	if err := st.write("Dockerfile", c.denoDockerfile(st.in.Workload.Env, npm)); err != nil {
		return "", err
	}
	return s.builder.Build(ctx, st.spec(), st.log)
}

// denoDockerfile makes an image that has all that the program needs: at run time nothing is fetched, and nothing but the
// volumes can be written. A volume takes the owner of the folder that it is mounted over when it is made.
//
// env are further variables that it is given; npm tells that it has a package.json, whose modules a task may need.
func (c *staticConfig) denoDockerfile(env map[string]string, npm bool) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	entrypoint := "./" + path.Clean(c.Entrypoint)
	line("FROM %s", cmp.Or(c.DenoImage, defaultDenoImage))
	line("USER 0:0")
	line("ENV DENO_DIR=%s DENO_NO_UPDATE_CHECK=1 NO_COLOR=1", denoCache)
	line("WORKDIR %s", denoFolder)
	line("COPY app %s", denoFolder)
	if c.Task != "" && npm {
		line("RUN %s", words("deno", "install"))
	}
	if c.Task != "" { // before the rest, since it may make what the program imports
		line("RUN %s", words("deno", "task", c.Task))
	}
	line("RUN %s", words("deno", "install", "--entrypoint", entrypoint))
	for _, v := range c.mounted() {
		line("COPY --chown=%s %s", c.user(), words("empty", path.Clean(v.Path)+"/"))
	}
	line("USER %s", c.user())
	names := slices.Sorted(maps.Keys(mergeEnv(mergeEnv(c.Env, env), map[string]string{portName: ""})))
	run := []string{"deno", "run", "--cached-only", "--no-prompt"}
	if c.Serve {
		run = []string{"deno", "serve", "--cached-only", "--no-prompt", "--host", "0.0.0.0", "--port", strconv.Itoa(c.Port)}
	}
	run = append(run, c.Permissions.flags(c.Port, names, c.mounted())...)
	line("ENTRYPOINT %s", words(append(run, entrypoint)...))
	return b.String()
}
