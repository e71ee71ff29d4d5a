package docker

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/distribution/reference"

	"tinyforge/deploy"
)

// victim is an image of another workload with a secret in it.
func victim(t *testing.T, e *Engine) (tag, id string) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "secret", "open sesame")
	write(t, dir, "Dockerfile", "FROM scratch\nCOPY secret /\n")
	return e.tag("17"), mustBuild(t, e, deploy.BuildSpec{Dir: dir, Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("17")})
}

// named are Dockerfiles that take something from an image of another workload.
func named(tag string) map[string]string {
	name := strings.TrimPrefix(tag, deploy.BuiltPrefix)
	return map[string]string{
		"from":              "FROM " + tag + "\nENV A=1\n",
		"from docker.io":    "FROM docker.io/" + tag + "\nENV A=1\n",
		"from index":        "FROM index.docker.io/" + tag + " AS x\nENV A=1\n",
		"lower case":        "from --platform=$BUILDPLATFORM " + tag + "\nENV A=1\n",
		"quoted":            "FROM \"" + tag + "\"\nENV A=1\n",
		"continued":         "FROM \\\n" + tag + "\nENV A=1\n",
		"another escape":    "# escape=`\nFROM `\n" + tag + "\nENV A=1\n",
		"argument":          "ARG BASE=" + tag + "\nFROM $BASE\nENV A=1\n",
		"part of a name":    "ARG A=forge\nARG B=tiny$A OTHER=1\nFROM ${B}/" + name + "\nENV A=1\n",
		"default":           "ARG A\nFROM ${A:-tinyforge}/" + name + "\nENV A=1\n",
		"argument of ours":  "FROM tiny${TARGETARCH:+forge}/" + name + "\nENV A=1\n",
		"given argument":    "ARG GIVEN=alpine\nFROM $GIVEN\nENV A=1\n",
		"copy":              "FROM scratch\nCOPY --from=" + tag + " /secret /\n",
		"copy with flags":   "FROM scratch\ncopy --chown=1:1 --from=docker.io/" + tag + " /secret /\n",
		"mount":             "FROM scratch\nCOPY --chmod=0755 tool /tool\nRUN --mount=type=bind,from=" + tag + ",target=/m [\"/tool\",\"cat\",\"/m/secret\"]\n",
		"mount in quotes":   "FROM scratch\nCOPY --chmod=0755 tool /tool\nRUN --mount=type=tmpfs,target=/t --mount=\\\"FROM=" + tag + "\\\",target=/m [\"/tool\",\"cat\",\"/m/secret\"]\n",
		"unused stage":      "FROM " + tag + " AS x\nFROM scratch\nCOPY tool /\n",
		"later":             "FROM scratch\nCOPY tool /\nONBUILD COPY --from=" + tag + " /secret /\n",
		"after a heredoc":   "FROM scratch\nCOPY <<\"COPY tool /x\" /y\nCOPY --from=" + tag + " /secret /\nCOPY tool /x\n",
		"not an argument's": "ARG A=alpine\nFROM scratch AS x\nARG A=b\nFROM " + tag + "\nENV A=1\n",
		"frontend":          "# syntax=" + tag + "\nFROM scratch\nCOPY tool /\n",
	}
}

// TestImagesOfOthersAreNotNamed: a repository cannot read what was built from another one.
func TestImagesOfOthersAreNotNamed(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	tag, _ := victim(t, e)
	for what, dockerfile := range named(tag) {
		dir := toolDir(t, "", map[string]string{"Dockerfile": dockerfile})
		spec := deploy.BuildSpec{Dir: dir, Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("x"), Args: map[string]string{"GIVEN": tag, "ELSE": tag}}
		var log bytes.Buffer
		id, err := e.Build(t.Context(), spec, &log)
		if err == nil {
			t.Errorf("%s: built %s", what, id)
			_ = e.RemoveImage(t.Context(), spec.Tag)
			continue
		}
		if text := failure(t, err); !strings.HasPrefix(text, "Build failed: ") || !strings.Contains(text, "is refused: tinyforge/ is what was built here") {
			t.Errorf("%s: %s", what, text)
		}
		if strings.Contains(log.String(), "sesame") {
			t.Errorf("%s: the log says %s", what, log.String())
		}
	}
	dir := toolDir(t, "", map[string]string{"Dockerfile": "FROM scratch\nCOPY tool /\n"})
	_, err := e.Build(t.Context(), deploy.BuildSpec{Dir: dir, Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("x"), Args: map[string]string{"BUILDKIT_SYNTAX": tag + " x"}}, io.Discard)
	if text := failure(t, err); !strings.HasPrefix(text, "Build failed: BUILDKIT_SYNTAX: "+tag) {
		t.Error(text)
	}
}

// TestImagesOfTheRegistryAreNotNamed: nor can it read what was pushed for another one, and neither a build nor a pull asks the registry.
func TestImagesOfTheRegistryAreNotNamed(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	e.pushTo(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the registry is asked for %s", r.URL) }))
	e.cfg.Registry.Host = strings.Replace(e.cfg.Registry.Host, "127.0.0.1", "localhost", 1)
	own := e.cfg.Registry.repository("")
	other := own + "other"
	for _, ref := range []string{other, other + ":17.x", other + "@sha256:" + strings.Repeat("ab", 32), strings.Replace(other, "localhost", "LOCALHOST", 1)} {
		want := "is refused: " + own + " is what was built here"
		_, err := e.Pull(t.Context(), deploy.PullSpec{Ref: ref, Auth: &account}, io.Discard)
		if text := failure(t, err); !strings.HasPrefix(text, "Image ") || !strings.Contains(text, want) {
			t.Errorf("pulled: %s", text)
		}
		for _, dockerfile := range []string{"FROM " + ref + "\n", "FROM scratch\nCOPY --from=" + ref + " /secret /\n"} {
			_, err = e.Build(t.Context(), deploy.BuildSpec{Dir: toolDir(t, "", map[string]string{"Dockerfile": dockerfile}), Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("x")}, io.Discard)
			if text := failure(t, err); !strings.Contains(text, want) {
				t.Errorf("%q: %s", dockerfile, text)
			}
		}
		r := release(e, ref)
		if _, err := e.Push(t.Context(), r, io.Discard); !strings.Contains(failure(t, err), "is refused: ") {
			t.Errorf("pushed: %v", err)
		}
	}
	if why := e.refused(must(reference.ParseNormalizedNamed(e.cfg.Registry.Host + "/team/base"))); why != "" {
		t.Errorf("what is not below the prefix %s", why)
	}
	_, err := e.Pull(t.Context(), deploy.PullSpec{Ref: "docker.io/tinyforge/other:17"}, io.Discard)
	if text := failure(t, err); text != "Image tinyforge/other:17 is refused: tinyforge/ is what was built here, for others too; name another image" {
		t.Error(text)
	}
}

// TestImagesThatMayBeNamed: stages, those of registries with a like name, and the one that the build is told of.
func TestImagesThatMayBeNamed(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	tag, _ := victim(t, e)
	for what, text := range map[string]string{
		"the base":                "FROM " + tag + "\nENV A=1\n",
		"a stage":                 "FROM scratch AS tinyforge\nCOPY tool /\nFROM tinyforge\nCOPY --from=tinyforge /tool /x\nCOPY --from=0 /tool /y\n",
		"an argument of a stage":  "FROM scratch\nARG A=tinyforge/x\nENV B=$A\nCOPY tool /\n",
		"what is not a name":      "FROM scratch\nENV A=tinyforge/x:1\nLABEL b=\"FROM tinyforge/x:1\"\nCOPY tool /tinyforge/x\n# FROM tinyforge/x\n",
		"what is of no such name": "FROM scratch\nCOPY --from=" + "base" + " /secret /\n",
	} {
		spec := deploy.BuildSpec{Dir: toolDir(t, "", map[string]string{"Dockerfile": text}), Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("x"), Base: tag}
		if strings.Contains(text, "from=base ") {
			local := "mine-" + e.cfg.Instance + ":1"
			if err := e.docker.ImageTag(t.Context(), tag, local); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = e.untag(context.WithoutCancel(t.Context()), local) }()
			write(t, spec.Dir, "Dockerfile", strings.ReplaceAll(text, "from=base", "from="+local))
		}
		if _, err := e.Build(t.Context(), spec, io.Discard); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if err := e.RemoveImage(t.Context(), spec.Tag); err != nil {
			t.Error(err)
		}
	}
	large := toolDir(t, strings.Repeat("# more\n", mostDockerfile/7), nil)
	_, err := e.Build(t.Context(), deploy.BuildSpec{Dir: large, Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("x")}, io.Discard)
	if text := failure(t, err); !strings.Contains(text, "larger than 1 MiB") {
		t.Error(text)
	}
}

// TestWhatCannotBeReadIsNotBuilt: a builder might read it, and find a name in it that nobody looked at.
func TestWhatCannotBeReadIsNotBuilt(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	for what, dockerfile := range map[string]string{
		"check twice": "# check=skip=all\n# check=skip=all\nFROM scratch\nCOPY tool /\n",
		"a long line": "FROM scratch\nCOPY tool /\nENV A=" + strings.Repeat("a", 64<<10) + "\n",
	} {
		spec := deploy.BuildSpec{Dir: toolDir(t, "", map[string]string{"Dockerfile": dockerfile}), Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("x")}
		_, err := e.Build(t.Context(), spec, io.Discard)
		if text := failure(t, err); !strings.HasPrefix(text, "Build failed: the Dockerfile cannot be read: ") {
			t.Errorf("%s: %s", what, text)
		}
	}
}

// TestImagesByID: BuildKit does not look for them among the images of the engine.
func TestImagesByID(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	_, id := victim(t, e)
	for _, name := range []string{id, id[len("sha256:"):], id[len("sha256:"):][:9]} {
		for _, dockerfile := range []string{"FROM " + name + "\nENV A=1\n", "FROM scratch\nCOPY --from=" + name + " /secret /\n"} {
			spec := deploy.BuildSpec{Dir: toolDir(t, "", map[string]string{"Dockerfile": dockerfile}), Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("x")}
			if _, err := e.Build(t.Context(), spec, io.Discard); failure(t, err) == "" {
				t.Errorf("%q is built", dockerfile)
			}
		}
	}
}

// TestVariablesInWhichBuildersDiffer: another builder than ours could find a name in them that is refused.
func TestVariablesInWhichBuildersDiffer(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	e.cfg.Registry = &Registry{Host: "registry.test:5000", Prefix: "team/apps"}
	for dockerfile, refused := range map[string]bool{
		"FROM ${TARGETSTAGE:-registry.test:5000}/team/apps/web\n":                          true,
		"FROM regi${TARGETSTAGE}stry.test:5000/team/apps/web\n":                            true,
		"FROM regi${TARGETSTAGE}stry.test:5000/team/apps/web@sha256:0\n":                   true,
		"FROM ${TARGETVARIANT:-a}registry.test:5000/team/apps/web\n":                       true,
		"FROM regi${TARGETARCH#arm64}stry.test:5000/team/apps/web\n":                       true,
		"ARG A=${BUILDOSVERSION:-x}\nFROM regi${A}stry.test:5000/team/apps/web\n":          true,
		"ARG A=$TARGETARCH\nFROM regi${A#arm64}stry.test:5000/team/apps/web\n":             true,
		"ARG A=x\nARG A\nFROM regi${A}stry.test:5000/team/apps/web\n":                      true,
		"FROM regi${A?}stry.test:5000/team/apps/web\n":                                     true,
		"ARG TARGETARCH\nFROM scratch AS base-amd64\nCOPY tool /\nFROM base-$TARGETARCH\n": false,
		"ARG A\nARG B=scratch\nFROM --platform=${TARGETPLATFORM:-linux} ${A:-$B}\n":        false,
	} {
		spec := deploy.BuildSpec{Dir: toolDir(t, "", map[string]string{"Dockerfile": dockerfile}), Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("x")}
		err := e.checkNamed(spec)
		if !refused && err != nil || refused && !strings.Contains(failure(t, err), "builders differ") {
			t.Errorf("%q: %v", dockerfile, err)
		}
	}
}
