package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tinyforge/deploy"
)

func TestBuild(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	dir := t.TempDir()
	write(t, dir, "web/site.txt", "the site")
	write(t, dir, "web/secret.txt", "left out")
	write(t, dir, "web/.dockerignore", "secret.txt\n")
	write(t, dir, "deploy/Dockerfile.prod", `FROM scratch AS first
ARG COLOR
LABEL color=$COLOR
COPY . /site/

FROM first AS second
COPY nowhere /
`)
	spec := deploy.BuildSpec{
		Dir: dir, Context: "web", Dockerfile: "deploy/Dockerfile.prod", Target: "first", Tag: e.tag("17-" + strings.Repeat("0f", 16)),
		Args: map[string]string{"COLOR": "green"}, Labels: map[string]string{"tinyforge.release": "tf-web-17"},
	}
	var log bytes.Buffer
	id, err := e.Build(t.Context(), spec, &log)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	if !strings.HasPrefix(id, "sha256:") {
		t.Errorf("image is %q", id)
	}
	if want := "COPY . /site/\nexporting to image\n"; !strings.HasSuffix(log.String(), want) {
		t.Errorf("log is %q", log.String())
	}
	again := spec
	again.Tag += "_web" // a layer of files, of a stack
	for range 2 {
		if _, err := e.Build(t.Context(), again, &log); err != nil || unguessable.MatchString(log.String()) {
			t.Errorf("a layer: %v, the log is %q", err, log.String())
		}
	}
	if _, err := e.Build(t.Context(), spec, &log); err != nil || unguessable.MatchString(log.String()) || !strings.HasSuffix(log.String(), "Using the image "+e.tag("17")+", which is built already\n") {
		t.Errorf("built again: %v, the log is %q", err, log.String())
	}
	found, err := e.docker.ImageInspect(t.Context(), spec.Tag)
	if err != nil {
		t.Fatal(err)
	}
	labels := found.Config.Labels
	if found.ID != id || labels["color"] != "green" || labels["tinyforge.release"] != "tf-web-17" || labels[labelBuiltBy] != e.cfg.Instance {
		t.Errorf("image %s has labels %v", found.ID, labels)
	}
	if files := imageFiles(t, e, id); files["site/site.txt"] != "the site" || files["site/secret.txt"] != "" {
		t.Errorf("image has files %v", files)
	}
}

// A tag names one build: the second is not made, even though it could not be.
func TestBuildAgainUsesTheImage(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	spec := deploy.BuildSpec{Dir: toolDir(t, "", nil), Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("1"), Labels: map[string]string{"tinyforge.release": "tf-web-1"}}
	first := mustBuild(t, e, spec)
	spec.Dir = t.TempDir()
	if again := mustBuild(t, e, spec); again != first {
		t.Errorf("image changed from %s to %s", first, again)
	}
	spec.Dir, spec.Labels = toolDir(t, "ENV OTHER=1\n", nil), map[string]string{"tinyforge.release": "tf-web-2"}
	if other := mustBuild(t, e, spec); other == first {
		t.Error("an image of another release was used")
	}
}

// Files of the same size and time, as two commits of one second have them, are not taken for one another.
func TestBuildSeesEveryChange(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	at := time.Unix(1_700_000_000, 0)
	for _, version := range []string{"1", "2"} {
		dir := t.TempDir()
		write(t, dir, "Dockerfile", "FROM scratch\nCOPY version /\n")
		write(t, dir, "version", version)
		if err := os.Chtimes(filepath.Join(dir, "version"), at, at); err != nil {
			t.Fatal(err)
		}
		id := mustBuild(t, e, deploy.BuildSpec{Dir: dir, Context: ".", Dockerfile: "Dockerfile", Tag: e.tag(version)})
		if got := imageFiles(t, e, id)["version"]; got != version {
			t.Errorf("built version %q from %q", got, version)
		}
	}
}

func TestBuildSecrets(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	const secret = "-----BEGIN KEY-----\nopen sesame\n-----END KEY-----\n"
	dir := toolDir(t, `ARG UNIQUE
RUN --mount=type=secret,id=token,target=/secret ["/tool","length","/secret","/length"]
RUN --mount=type=secret,id=token,target=/secret ["/tool","cat","/secret"]
RUN --mount=type=secret,id=token,target=/secret ["/tool","say","open sesame"]
`, nil)
	spec := deploy.BuildSpec{
		Dir: dir, Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("1"),
		Args: map[string]string{"UNIQUE": e.cfg.Instance}, Secrets: map[string]string{"token": secret},
	}
	var log bytes.Buffer
	id, err := e.Build(t.Context(), spec, &log)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	if strings.Contains(log.String(), "sesame") || !strings.Contains(log.String(), "    [secret token]\n") {
		t.Errorf("log is %s", log.String())
	}
	files := imageFiles(t, e, id)
	if files["length"] != strconv.Itoa(len(secret)) {
		t.Errorf("the step saw a secret of %q bytes", files["length"])
	}
	found, err := e.docker.ImageInspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if strings.Contains(text, "open sesame\n") {
			t.Errorf("the secret is in the image, in %s", name)
		}
	}
	for _, env := range found.Config.Env {
		if strings.Contains(env, "sesame") {
			t.Errorf("the secret is in the image, as %s", env)
		}
	}
}

// Builds share a cache only when they have the namespace and the instance in common, whatever their arguments say.
func TestBuildCachesAreApart(t *testing.T) {
	t.Parallel()
	e, other := testEngine(t), testEngine(t)
	for i, test := range []struct {
		engine          *Engine
		namespace, want string
	}{{e, "web", "0"}, {e, "web", "1"}, {e, "api", "0"}, {e, "web", "2"}, {other, "web", "0"}, {e, "", "0"}} {
		dir := toolDir(t, `ARG ATTEMPT
RUN --mount=type=cache,id=`+e.cfg.Instance+`,target=/cache ["/tool","count","/cache","/count"]
`, nil)
		spec := deploy.BuildSpec{
			Dir: dir, Context: ".", Dockerfile: "Dockerfile", Tag: test.engine.tag(strconv.Itoa(i)), CacheNamespace: test.namespace,
			Args: map[string]string{"ATTEMPT": e.cfg.Instance + strconv.Itoa(i), "BUILDKIT_CACHE_MOUNT_NS": e.cfg.Instance + "/web"},
		}
		if got := imageFiles(t, e, mustBuild(t, test.engine, spec))["count"]; got != test.want {
			t.Errorf("build %d, in %q of %s, found %q files in its cache, want %s", i, test.namespace, test.engine.cfg.Instance, got, test.want)
		}
	}
}

func TestBuildFailures(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	for name, test := range map[string]struct {
		dockerfile string
		change     func(*deploy.BuildSpec)
		want       string // the text for the user
		log        string // a line of the log
	}{
		"step":                {`RUN ["/tool","exit","2"]`, nil, "Build failed: step `RUN [\"/tool\",\"exit\",\"2\"]` exited with 2", "ERROR: "},
		"step with output":    {`RUN ["/tool","cat","/nope"]`, nil, "Build failed: step `RUN [\"/tool\",\"cat\",\"/nope\"]` exited with 1", "    open /nope: no such file or directory\n"},
		"step with flags":     {`RUN --mount=type=tmpfs,target=/x --mount=type=tmpfs,target=/y ["/tool","exit","3"]`, nil, "Build failed: step `RUN [\"/tool\",\"exit\",\"3\"]` exited with 3", "RUN --mount=type=tmpfs"},
		"full disk":           {`RUN ["/tool","fill","/dev/shm/x","100"]`, nil, "Build failed: step `RUN [\"/tool\",\"fill\",\"/dev/shm/x\",\"100\"]` exited with 1: no space left on device", "    write /dev/shm/x: no space left on device\n"},
		"absent file":         {`COPY nope /`, nil, "Build failed: step `COPY nope /`: \"/nope\" not found", "ERROR: "},
		"parse error":         {`FROB it`, nil, "Build failed: dockerfile parse error line 3: unknown instruction: FROB", "ERROR: dockerfile parse error"},
		"unknown target":      {``, func(s *deploy.BuildSpec) { s.Target = "nope" }, "Build failed: target stage nope could not be found", "ERROR: "},
		"absent secret":       {`RUN --mount=type=secret,id=nope,required=true ["/tool","exit","0"]`, nil, "Build failed: step `RUN [\"/tool\",\"exit\",\"0\"]`: secret nope not found", "ERROR: "},
		"silent registry":     {`FROM 127.0.0.1:1/base:1`, nil, "Build failed: base image 127.0.0.1:1/base:1: its registry does not answer: check the name and the network", "connection refused"},
		"no Dockerfile":       {``, func(s *deploy.BuildSpec) { s.Dockerfile = "./sub/Dockerfile" }, "Build failed: there is no file sub/Dockerfile in the repository", ""},
		"Dockerfile a folder": {``, func(s *deploy.BuildSpec) { s.Dockerfile = "." }, "Build failed: there is no file . in the repository", ""},
		"no context":          {``, func(s *deploy.BuildSpec) { s.Context = "sub" }, "Build failed: there is no folder sub in the repository", ""},
	} {
		t.Run(name, func(t *testing.T) {
			spec := deploy.BuildSpec{Dir: toolDir(t, test.dockerfile, nil), Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("failed")}
			if test.change != nil {
				test.change(&spec)
			}
			var log bytes.Buffer
			id, err := e.Build(t.Context(), spec, &log)
			if text := failure(t, err); text != test.want || id != "" {
				t.Errorf("failure is %q, image %q", text, id)
			}
			if !strings.Contains(log.String(), test.log) {
				t.Errorf("log lacks %q: %s", test.log, log.String())
			}
			if there, err := e.ImageExists(t.Context(), spec.Tag); err != nil || there {
				t.Errorf("it left an image: %t, %v", there, err)
			}
		})
	}
}

func TestBuildCancelled(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	dir := toolDir(t, `RUN ["/tool","wait","`+e.cfg.Instance+`"]`, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := &signalLog{text: "waiting", seen: make(chan struct{})}
	go func() {
		<-log.seen
		cancel()
	}()
	_, err := e.Build(ctx, deploy.BuildSpec{Dir: dir, Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("1")}, log)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if f, ok := errors.AsType[*deploy.Failure](err); ok {
		t.Errorf("it is the user's failure: %s", f.Text)
	}
	deadline, tick := time.After(10*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for stepRuns(t, e.cfg.Instance) {
		select {
		case <-deadline:
			t.Fatal("the step still runs")
		case <-tick.C:
		}
	}
}

// stepRuns looks for a process of this machine with the word as its last argument.
func stepRuns(t *testing.T, word string) bool {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if line, err := os.ReadFile(f); err == nil && bytes.HasSuffix(line, []byte("\x00wait\x00"+word+"\x00")) {
			return true
		}
	}
	return false
}

func TestRemoveImage(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	id := sampleImage(t, e)
	for _, ref := range []string{id, e.tag("sample")} {
		if there, err := e.ImageExists(t.Context(), ref); err != nil || !there {
			t.Errorf("%s exists: %t, %v", ref, there, err)
		}
	}
	for range 2 {
		if err := e.RemoveImage(t.Context(), e.tag("sample")); err != nil {
			t.Error(err)
		}
	}
	if there, err := e.ImageExists(t.Context(), e.tag("sample")); err != nil || there {
		t.Errorf("after its removal it exists: %t, %v", there, err)
	}
}

func TestBuildTextOfAFullDisk(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"failed to solve: failed to copy files: copy file range failed: no space left on device",
		"failed to solve: write /var/lib/docker/tmp/x: No space left on device",
	} {
		if got := buildText(text, &step{name: "[2/2] COPY . /", err: text}); got != deploy.FullText {
			t.Errorf("%s is told as %q", text, got)
		}
	}
}

// imageFiles are the small files of an image.
func imageFiles(t *testing.T, e *Engine, id string) map[string]string {
	t.Helper()
	saved, err := e.docker.ImageSave(t.Context(), []string{id})
	if err != nil {
		t.Fatal(err)
	}
	defer saved.Close()
	files := map[string]string{}
	for layers := tar.NewReader(saved); ; {
		h, err := layers.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(h.Name, "layer.tar") && h.Typeflag == tar.TypeReg || strings.HasPrefix(h.Name, "blobs/") {
			readLayer(layers, files)
		}
	}
}

// readLayer reads what is a tar; other blobs are none.
func readLayer(r io.Reader, files map[string]string) {
	for layer := tar.NewReader(r); ; {
		h, err := layer.Next()
		if err != nil {
			return
		}
		if h.Typeflag == tar.TypeReg && h.Size < 1<<20 {
			text, _ := io.ReadAll(layer)
			files[h.Name] = string(text)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
