package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
	"tinyforge/deploy/site"
)

// checkout is a folder of files, and of links, which are written "-> target".
func checkout(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(at), 0o700)
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			err = errors.Join(err, os.Symlink(target, at))
		} else {
			err = errors.Join(err, os.WriteFile(at, []byte(text), 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// buildStatic builds a checkout, and returns what was built, with the log.
func buildStatic(t *testing.T, b *builds, config, dir string) (db.Release, string, error) {
	t.Helper()
	var log bytes.Buffer
	in := deploy.BuildInput{
		Tag: "tinyforge/web:17",
		ID:  "tf-web-17", Workload: db.Workload{Name: "web", Config: json.RawMessage(config), Env: map[string]string{"SECRET": "hunter2"}},
		Checkout: func(context.Context) (string, error) { return dir, nil },
	}
	release, err := NewStatic(b, staticProgram(t)).Build(t.Context(), in, &log)
	return release, log.String(), err
}

// staticProgram is a program that is linked statically.
func staticProgram(t *testing.T) string {
	t.Helper()
	return filepath.Join(deploytest.SampleCheckout(t), "sampleapp")
}

func TestStaticBuild(t *testing.T) {
	dir := checkout(t, map[string]string{
		"public/index.html": "hi", "public/.env": "SECRET", "public/_headers": "/*\n  X-A: file\n", "public/_redirects": "/a /file\n",
		"public/out": "-> ../secret.txt", "secret.txt": "secret", ".dockerignore": "*",
	})
	b := &builds{}
	b.look = func(spec deploy.BuildSpec) error {
		context := filepath.Join(spec.Dir, spec.Context)
		dockerfile, err := os.ReadFile(filepath.Join(spec.Dir, spec.Dockerfile))
		if err != nil {
			return err
		}
		if len(b.specs) == 1 { // of the server
			info, err := os.Stat(filepath.Join(context, "tinyforge"))
			if err != nil || info.Mode() != 0o755 || string(dockerfile) != siteServerDockerfile || !strings.HasPrefix(spec.Tag, "tinyforge/site_server:") {
				t.Errorf("the server's program is %v, %v, its tag %s, its Dockerfile\n%s", info, err, spec.Tag, dockerfile)
			}
			return nil
		}
		var config site.Config
		text, err := os.ReadFile(filepath.Join(context, site.ConfigFile))
		if err := errors.Join(err, json.Unmarshal(text, &config)); err != nil {
			return err
		}
		if config.Port != 80 || len(config.Files) != 1 || config.Redirects[0].To != "/config" || config.Redirects[1].To != "/file" ||
			config.Headers[0].Fields[0].Value != "file" || config.Headers[1].Fields[0].Value != "config" {
			t.Errorf("the site's config is %s", text)
		}
		if files, err := os.ReadDir(filepath.Join(context, site.FilesFolder)); err != nil || len(files) != 1 {
			t.Errorf("the files are %v, %v", files, err)
		}
		want := "FROM " + b.specs[0].Tag + "\nCOPY site.json /site/site.json\nCOPY files /site/files\n"
		if string(dockerfile) != want || spec.Tag != "tinyforge/web:17" || spec.Base != b.specs[0].Tag {
			t.Errorf("the tag is %s, the base %s, the Dockerfile\n%s\nwant\n%s", spec.Tag, spec.Base, dockerfile, want)
		}
		return nil
	}
	release, log, err := buildStatic(t, b, `{"root":"public","port":80,"redirects":[{"from":"/a","to":"/config"}],"headers":{"/*":{"X-A":"config"}}}`, dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(b.specs) != 2 {
		t.Fatalf("%d images were built", len(b.specs))
	}
	if release.User != "65532:65532" || !release.ReadOnly || release.Capabilities == nil || len(release.Capabilities) > 0 || release.Env != nil ||
		release.Port != 80 || release.Healthcheck.Path != site.ReadyPath || release.Image != "sha256:built" {
		t.Errorf("the release is %+v", release)
	}
	for _, want := range []string{`Left out ".env": its name begins with a dot`, `Left out "out": it is a link that leads out of the site's folder`, "Serving 1 file of public"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %q:\n%s", want, log)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".tinyforge-*", "tinyforge")); err != nil || len(left) > 0 {
		t.Errorf("left over: %q, %v", left, err)
	}
}

func TestStaticBuildUsesTheServerThatIsThere(t *testing.T) {
	program := staticProgram(t)
	sum, err := checkProgram(program)
	if err != nil {
		t.Fatal(err)
	}
	b := &builds{has: map[string]bool{"tinyforge/site_server:" + sum: true}}
	if _, _, err := buildStatic(t, b, `{"healthcheck":{"path":"/up"}}`, checkout(t, map[string]string{"a.html": "a"})); err != nil || len(b.specs) != 1 {
		t.Errorf("%d images were built, %v", len(b.specs), err)
	}
}

// Somebody who removes images may take the server's away between the two builds.
func TestStaticBuildMakesTheServerAgain(t *testing.T) {
	b := &builds{}
	b.look = func(deploy.BuildSpec) error {
		if len(b.specs) == 2 {
			return &deploy.Failure{Text: "no such image"}
		}
		return nil
	}
	if _, _, err := buildStatic(t, b, `{}`, checkout(t, map[string]string{"a.html": "a"})); err != nil || len(b.specs) != 4 {
		t.Errorf("%d images were built, %v", len(b.specs), err)
	}
}

func TestStaticBuildFailures(t *testing.T) {
	files := map[string]string{"index.html": "hi", "main.ts": "", "out": "-> ..", "file": "", "folder/x": "", "empty/.keep": ""}
	with := func(name, text string) map[string]string {
		all := map[string]string{name: text}
		for n, text := range files {
			all[n] = text
		}
		return all
	}
	for _, tt := range []struct {
		config string
		files  map[string]string
		want   string
	}{
		{`{"root":"none"}`, files, `root: "none" is not in the repository at this commit`},
		{`{"root":"file"}`, files, `root: "file" is not a folder`},
		{`{"root":"out"}`, files, `root: "out" cannot be used: it must be inside the repository`},
		{`{"root":"empty"}`, files, `root: the folder "empty" has no files to serve at this commit`},
		{`{"not_found":"none.html"}`, files, `not_found: the site has no file "none.html"`},
		{`{"root":"folder","spa":true}`, files, "spa: the site has no index.html"},
		{`{"redirects":[{"from":"/a","to":"/b"},{"from":"/b","to":"/a"}]}`, files, `redirects[0].from: never arrives: /a -> /b -> /a`},
		{`{}`, with("_redirects", "/a /b\n/b /a"), `_redirects, line 1: "/a" never arrives: /a -> /b -> /a`},
		{`{}`, with("_redirects", "/a /b\n/c /d Country=de"), `_redirects, line 2: has the condition "Country=de"`},
		{`{}`, with("_headers", "X-A: b"), `_headers, line 1: "X-A: b" is no path`},
		{`{}`, with("_redirects", "-> ../x"), "_redirects cannot be read: it must be a file inside the site's folder"},
		{`{}`, with("_headers/x", ""), "_headers cannot be read: it must be a file inside the site's folder"},
		{`{}`, with("_redirects", strings.Repeat("#", 3<<20)), "_redirects: is larger than 1024 KiB"},
		{`{"mode":"deno","entrypoint":"none.ts"}`, files, `entrypoint: "none.ts" is not a file of the repository at this commit`},
		{`{"mode":"deno","entrypoint":"folder"}`, files, `entrypoint: "folder" is not a file of the repository at this commit`},
		{`{"mode":"deno","entrypoint":"main.ts","root":"folder"}`, files, `entrypoint: "main.ts" is not a file of folder at this commit`},
		{`{"spa":1}`, files, "the workload's config is not valid: spa: must be true or false"},
	} {
		b := &builds{}
		_, _, err := buildStatic(t, b, tt.config, checkout(t, tt.files))
		wantFailure(t, err, tt.want)
		if len(b.specs) > 0 {
			t.Errorf("%s: something is built", tt.config)
		}
	}
}

func TestSitesNeedAStaticProgram(t *testing.T) {
	for program, want := range map[string]string{
		"/bin/sh":        "this one needs libraries that their images do not have: build Tinyforge with CGO_ENABLED=0",
		"static_test.go": "this one is not for Linux: name one with --site-program",
	} {
		in := deploy.BuildInput{Workload: db.Workload{Name: "web"}, ID: "tf-web-1", Checkout: func(context.Context) (string, error) {
			return checkout(t, map[string]string{"index.html": ""}), nil
		}}
		_, err := NewStatic(&builds{}, program).Build(t.Context(), in, io.Discard)
		wantFailure(t, err, want)
	}
}
