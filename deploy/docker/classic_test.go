package docker

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tinyforge/deploy"
)

func TestBuildWithoutBuildKit(t *testing.T) {
	t.Parallel()
	real := testEngine(t)
	e := newFront(t, real, withoutBuildKit).engine(real)
	dir := t.TempDir() // with a first step of its own: what another build has of it may be on its way out
	write(t, dir, "tool", string(must(toolBinary(t))))
	write(t, dir, "site.txt", "the site")
	write(t, dir, "secret.txt", "left out")
	write(t, dir, ".dockerignore", "*.txt\n!site.txt\nDockerfile\n")
	write(t, dir, "Dockerfile", `FROM scratch AS first
LABEL of=`+e.cfg.Instance+`
ARG COLOR
LABEL color=$COLOR
COPY . /
RUN ["/tool","say","hello"]

FROM first AS second
RUN ["/tool","exit","4"]
`)
	spec := deploy.BuildSpec{
		Dir: dir, Context: ".", Dockerfile: "Dockerfile", Target: "first", Tag: e.tag("17-" + strings.Repeat("0f", 16)),
		Args: map[string]string{"COLOR": "green"}, Labels: map[string]string{"tinyforge.release": "tf-web-17"},
	}
	var log bytes.Buffer
	id, err := e.Build(t.Context(), spec, &log)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	if !strings.Contains(log.String(), "no BuildKit") || !strings.Contains(log.String(), "hello\n") || unguessable.MatchString(log.String()) {
		t.Errorf("log is %s", log.String())
	}
	found, err := e.docker.ImageInspect(t.Context(), spec.Tag)
	if err != nil {
		t.Fatal(err)
	}
	if found.ID != id || found.Config.Labels["color"] != "green" || found.Config.Labels["tinyforge.release"] != "tf-web-17" {
		t.Errorf("image %s has labels %v", found.ID, found.Config.Labels)
	}
	if files := imageFiles(t, e, id); files["site.txt"] != "the site" || files["secret.txt"] != "" {
		t.Errorf("image has files %v", files)
	}
	spec.Target, spec.Tag = "second", e.tag("failed")
	_, err = e.Build(t.Context(), spec, &log)
	if text := failure(t, err); text != "Build failed: step `RUN [\"/tool\",\"exit\",\"4\"]` exited with 4" {
		t.Errorf("failure is %q", text)
	}
	spec.Secrets = map[string]string{"token": "sesame"}
	_, err = e.Build(t.Context(), spec, &log)
	if text := failure(t, err); !strings.Contains(text, "need BuildKit") {
		t.Errorf("failure is %q", text)
	}
	spec.Secrets, spec.Context = nil, "sub"
	write(t, dir, "sub/file", "")
	_, err = e.Build(t.Context(), spec, &log)
	if text := failure(t, err); !strings.Contains(text, "needs BuildKit") {
		t.Errorf("failure is %q", text)
	}
}

// The .dockerignore is read by this process: one that leads out of the checkout must not be.
func TestClassicIgnoreFile(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	write(t, outside, "patterns", "secret.txt\n")
	for name, test := range map[string]struct {
		link   string // what web/.dockerignore points to; "" is no such file
		ignore []string
		fails  bool
	}{
		"absent":         {"", nil, false},
		"inside":         {"../patterns", []string{"secret.txt"}, false},
		"dangling":       {"nowhere", nil, false},
		"absolute":       {outside + "/patterns", nil, true},
		"upwards":        {"../../../" + filepath.Base(filepath.Dir(outside)) + "/" + filepath.Base(outside) + "/patterns", nil, true},
		"device":         {"/dev/zero", nil, true},
		"folder":         {"../web", nil, true},
		"through a link": {"../out/patterns", nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "web/Dockerfile", "FROM scratch\n")
			write(t, dir, "patterns", "secret.txt\n")
			link := func(to, from string) {
				if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
					t.Fatal(err)
				}
			}
			link(outside, "out")
			if test.link != "" {
				link(test.link, "web/.dockerignore")
			}
			got, err := ignorePatterns(deploy.BuildSpec{Dir: dir, Context: "web"})
			if !test.fails {
				if err != nil || !slices.Equal(got, test.ignore) {
					t.Errorf("ignores %q, %v", got, err)
				}
			} else if text := failure(t, err); !strings.Contains(text, "must be a file of the repository") {
				t.Errorf("failure is %q", text)
			}
		})
	}
}
