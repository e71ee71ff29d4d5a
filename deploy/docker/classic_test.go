package docker

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"tinyforge/deploy"
)

func TestBuildWithoutBuildKit(t *testing.T) {
	real := testEngine(t)
	e := newFront(t, real, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/grpc" && r.URL.Path != "/session" {
			return false
		}
		http.NotFound(w, r)
		return true
	}).engine(real)
	dir := t.TempDir()
	write(t, dir, "tool", string(must(toolBinary(t))))
	write(t, dir, "site.txt", "the site")
	write(t, dir, "secret.txt", "left out")
	write(t, dir, ".dockerignore", "*.txt\n!site.txt\nDockerfile\n")
	write(t, dir, "Dockerfile", `FROM scratch AS first
ARG COLOR
LABEL color=$COLOR
COPY . /
RUN ["/tool","say","hello"]

FROM first AS second
RUN ["/tool","exit","4"]
`)
	spec := deploy.BuildSpec{
		Dir: dir, Context: ".", Dockerfile: "Dockerfile", Target: "first", Tag: e.tag("classic"),
		Args: map[string]string{"COLOR": "green"}, Labels: map[string]string{"tinyforge.release": "tf-web-17"},
	}
	var log bytes.Buffer
	id, err := e.Build(t.Context(), spec, &log)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	if !strings.Contains(log.String(), "no BuildKit") || !strings.Contains(log.String(), "hello\n") {
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
