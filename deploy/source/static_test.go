package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
	"tinyforge/deploy/site"
)

const storage1 = `"storage":{"enabled":true}`

func TestStaticConfigs(t *testing.T) {
	const deno = `"mode":"deno","entrypoint":"main.ts",`
	s := NewStatic(&builds{}, "")
	for _, fine := range []string{
		``, `"mode":""`, `"mode":"static","root":"public","spa":true`, `"not_found":"errors/404.html"`, `"storage":{"enabled":false,"mount":"/x"}`,
		`"headers":{"/*":{"X-A":"b","X-B":""}},"redirects":[{"from":"/a","to":"/b"},{"from":"/c/*","to":"https://example.com/:splat","status":308,"force":true}]`,
		`"healthcheck":{"path":"/"},"port":80,"memory":"64MB","cpus":0.5,"report_commit_status":false,"deploy_strategy":"blue-green"`,
		deno + storage1 + `,"task":"build:all","serve":true,"env":{"A":"b"},"deno_image":"example.com/deno@sha256:` + strings.Repeat("0", 64) + `"`,
		deno + `"storage":{"enabled":true,"mount":"/app/data","name":"kv"},"permissions":{"net":["*"],"env":["TZ","APP_*"],"read":["/etc/hosts","public"],"write":["data/x","/tmp"]}`,
		deno + `"user":"1000:1000","tmpfs":["/run/x","/tmp"],"permissions":{"write":["/run/x/y"]},"networks":["db"],"log":{"max_files":1},"capabilities":[],"read_only":true`,
		deno + `"permissions":{"net":["api.example.com","10.0.0.7:5432","[::1]:80","*.example.com"]}`,
	} {
		if err := s.Validate(json.RawMessage("{" + fine + "}")); err != nil {
			t.Errorf("%s: %v", fine, err)
		}
	}
	const forDeno, forStatic = `is for mode "deno": leave it out, or set mode to "deno"`, `is for mode "static": leave it out, or set mode to "static"`
	for _, tt := range []struct{ members, path, text string }{
		{`"mode":"spa"`, "mode", `"spa" is not known: use "static" for files, or "deno" for a program`},
		{`"mode":1`, "mode", "must be a string, in quotes"},
		{`"root":"../x"`, "root", tagTexts["repopath"]},
		{`"root":"/etc"`, "root", tagTexts["repopath"]},
		{`"roots":"x"`, "roots", `is not a known key: did you mean "root"?`},
		{`"spa":"yes"`, "spa", "must be true or false"},
		{`"spa":true,"not_found":"404.html"`, "not_found", "is never shown with spa, which answers index.html instead: leave one of them out"},
		{`"not_found":"/404.html"`, "not_found", tagTexts["repopath"]},
		{`"headers":[]`, "headers", "must be an object"},
		{`"headers":{"/*":"X"}`, "headers./*", "must be an object"},
		{`"headers":{"/*":{"X":1}}`, "headers./*.X", "must be a string, in quotes"},
		{`"headers":{"/*":{"X Y":"1"}}`, "headers./*.X Y", ""},
		{`"headers":{"assets":{"X":"1"}}`, "headers.assets", `"assets" must be a path that begins with "/"`},
		{`"headers":{"/*":{"Content-Length":"1"}}`, "headers./*.Content-Length", `"Content-Length" cannot be set: the server decides about it`},
		{`"redirects":{}`, "redirects", "must be a list"},
		{`"redirects":[{"to":"/b"}]`, "redirects[0].from", "is required"},
		{`"redirects":[{"from":"/b"}]`, "redirects[0].to", "is required"},
		{`"redirects":[{"from":"b","to":"/b"}]`, "redirects[0].from", `must be a path that begins with "/"`},
		{`"redirects":[{"from":"/a","to":"/b","status":418}]`, "redirects[0].status", "is not a status of a rule: use 301, 302, 303, 307 or 308 to redirect, 200 to answer another file, or 404"},
		{`"redirects":[{"from":"/a","to":"/b","status":"301"}]`, "redirects[0].status", "must be a whole number, without quotes"},
		{`"redirects":[{"from":"/a","to":"/b","forced":true}]`, "redirects[0].forced", `is not a known key: did you mean "force"?`},
		{`"entrypoint":"main.ts"`, "entrypoint", forDeno},
		{storage1, "storage", forDeno},
		{`"permissions":{"net":["*"]}`, "permissions", forDeno},
		{`"task":"build"`, "task", forDeno},
		{`"serve":true`, "serve", forDeno},
		{`"deno_image":"x"`, "deno_image", forDeno},
		{`"env":{"A":"b"}`, "env", forDeno},
		{`"volumes":[{"name":"a","path":"/a"}]`, "volumes", forDeno},
		{`"user":"app"`, "user", forDeno},
		{`"tmpfs":["/x"]`, "tmpfs", forDeno},
		{`"capabilities":["CHOWN"]`, "capabilities", forDeno},
		{deno + storage1 + `,"tmpfs":["/x","/data"]`, "tmpfs[1]", "is the same as storage.mount"},
		{deno + `"tmpfs":["/app/"]`, "tmpfs[0]", "would hide the program"},
		{deno + `"spa":true`, "spa", forStatic},
		{deno + `"not_found":"x.html"`, "not_found", forStatic},
		{deno + `"headers":{"/*":{"X":"1"}}`, "headers", forStatic},
		{deno + `"redirects":[{"from":"/a","to":"/b"}]`, "redirects", forStatic},
		{`"mode":"deno"`, "entrypoint", `is required in mode "deno": the program's file in root, such as "main.ts"`},
		{`"mode":"deno","entrypoint":"../main.ts"`, "entrypoint", tagTexts["repopath"]},
		{deno + `"task":"-x"`, "task", tagTexts["task"]},
		{deno + `"task":":x"`, "task", tagTexts["task"]},
		{deno + `"deno_image":"x y"`, "deno_image", `is not a valid image name: write one such as "denoland/deno:2.9.6"`},
		{deno + `"deno_image":"x\nRUN y"`, "deno_image", `is not a valid image name: write one such as "denoland/deno:2.9.6"`},
		{deno + `"env":{"PORT":"1"}`, "env.PORT", "follows from port: set that instead"},
		{deno + `"storage":true`, "storage", "must be an object"},
		{deno + `"storage":{"enabled":"yes"}`, "storage.enabled", "must be true or false"},
		{deno + `"storage":{"enabled":true,"mount":"data"}`, "storage.mount", tagTexts["mountpath"]},
		{deno + `"storage":{"enabled":true,"mount":"/tmp/x"}`, "storage.mount", `is a place of the system's: use another one, such as "/data"`},
		{deno + `"storage":{"enabled":true,"mount":"/app/"}`, "storage.mount", "would hide the program, which is in /app: use a folder in it, or another one"},
		{deno + `"storage":{"enabled":true,"mount":"/a b"}`, "storage.mount", `may hold only letters, digits, "/", "_", "." and "-"`},
		{deno + `"storage":{"enabled":true,"mount":"/$X"}`, "storage.mount", `may hold only letters, digits, "/", "_", "." and "-"`},
		{deno + `"storage":{"enabled":true,"name":"../x"}`, "storage.name", tagTexts["name"]},
		{deno + `"storage":{"enable":true}`, "storage.enable", `is not a known key: did you mean "enabled"?`},
		{deno + storage1 + `,"volumes":[{"name":"a","path":"/data/"}]`, "volumes[0].path", "is the same as storage.mount"},
		{deno + `"volumes":[{"name":"a","path":"/usr/x"}]`, "volumes[0].path", `is a place of the system's: use another one, such as "/data"`},
		{deno + `"permissions":{"net":"*"}`, "permissions.net", "must be a list"},
		{deno + `"permissions":{"run":["sh"]}`, "permissions.run", `is not a known key: use env, net, read, write`},
		{deno + `"permissions":{"net":["x,y"]}`, "permissions.net[0]", `must be a host, such as "api.example.com" or "10.0.0.7:5432", or "*" for everywhere`},
		{deno + `"permissions":{"net":["--allow-all"]}`, "permissions.net[0]", `must be a host, such as "api.example.com" or "10.0.0.7:5432", or "*" for everywhere`},
		{deno + `"permissions":{"net":["x","https://x"]}`, "permissions.net[1]", `must be a host, such as "api.example.com" or "api.example.com:443", not a URL`},
		{deno + `"permissions":{"net":[""]}`, "permissions.net[0]", `must be a host, such as "api.example.com" or "10.0.0.7:5432", or "*" for everywhere`},
		{deno + `"permissions":{"env":["*"]}`, "permissions.env[0]", `must be the name of a variable, such as "TZ", or the beginning of names, such as "APP_*"`},
		{deno + `"permissions":{"env":["A,B"]}`, "permissions.env[0]", `must be the name of a variable, such as "TZ", or the beginning of names, such as "APP_*"`},
		{deno + `"permissions":{"read":["a,/"]}`, "permissions.read[0]", `must be a file or folder, such as "/data" or "public", without "," and "*"`},
		{deno + `"permissions":{"read":["../x"]}`, "permissions.read[0]", `must not leave the program's folder with "..": write an absolute path`},
		{deno + `"permissions":{"write":["/app"]}`, "permissions.write[0]", "cannot be written, whatever is permitted: only storage, volumes that are not read_only, /tmp and tmpfs can"},
		{deno + `"permissions":{"write":["/tmp/../app"]}`, "permissions.write[0]", "cannot be written, whatever is permitted: only storage, volumes that are not read_only, /tmp and tmpfs can"},
		{deno + storage1 + `,"permissions":{"write":["/database"]}`, "permissions.write[0]", "cannot be written, whatever is permitted: only storage, volumes that are not read_only, /tmp and tmpfs can"},
	} {
		err := s.Validate(json.RawMessage("{" + tt.members + "}"))
		if tt.text == "" {
			if got := pathsOf(t, err); len(got) != 1 {
				t.Errorf("%s: faults at %q", tt.members, got)
			}
			continue
		}
		wantFaults(t, err, Fault{tt.path, tt.text})
	}
}

// TestS5_StorageForcesRecreate: storage decides, whatever is asked, and is not refused.
func TestS5_StorageForcesRecreate(t *testing.T) {
	s := NewStatic(&builds{}, "")
	const deno = `{"mode":"deno","entrypoint":"main.ts"`
	for _, tt := range []struct {
		config string
		want   db.Strategy
		why    string
	}{
		{`{}`, db.Recreate, ""},
		{`{"deploy_strategy":"blue-green"}`, db.BlueGreen, ""},
		{deno + `}`, db.Recreate, ""},
		{deno + `,"deploy_strategy":"blue-green"}`, db.BlueGreen, ""},
		{deno + `,"deploy_strategy":"blue-green","storage":{"enabled":false}}`, db.BlueGreen, ""},
		{deno + `,` + storage1 + `}`, db.Recreate, ""},
		{deno + `,"deploy_strategy":"recreate",` + storage1 + `}`, db.Recreate, ""},
		{
			deno + `,"deploy_strategy":"blue-green","storage":{"enabled":true,"name":"kv"}}`, db.Recreate,
			`the site has storage, and blue-green would mount its volume "kv" into two containers at once`,
		},
	} {
		if err := s.Validate(json.RawMessage(tt.config)); err != nil {
			t.Errorf("%s: %v", tt.config, err)
		}
		got, why, err := s.Strategy(json.RawMessage(tt.config))
		if got != tt.want || why != tt.why || err != nil {
			t.Errorf("%s: got %q, %q, %v, want %q, %q", tt.config, got, why, err, tt.want, tt.why)
		}
	}
}

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
		ID: "tf-web-17", Workload: db.Workload{Name: "web", Config: json.RawMessage(config), Env: map[string]string{"SECRET": "hunter2"}},
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
		if string(dockerfile) != want || spec.Tag != "tinyforge/web:17" {
			t.Errorf("the tag is %s, the Dockerfile\n%s\nwant\n%s", spec.Tag, dockerfile, want)
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
	b.look = func(spec deploy.BuildSpec) error {
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

func TestDenoBuild(t *testing.T) {
	b := &builds{}
	b.look = func(spec deploy.BuildSpec) error {
		dockerfile, err := os.ReadFile(filepath.Join(spec.Dir, spec.Dockerfile))
		if err != nil {
			return err
		}
		want := `FROM example.com/deno:2
USER 0:0
ENV DENO_DIR=/deno-dir DENO_NO_UPDATE_CHECK=1 NO_COLOR=1
WORKDIR /app
COPY app /app
RUN ["deno","install"]
RUN ["deno","task","build"]
RUN ["deno","install","--entrypoint","./src/\u003c\u003cmain\".ts"]
COPY --chown=65532:65532 ["empty","/cache/"]
COPY --chown=65532:65532 ["empty","/data/"]
USER 65532:65532
ENTRYPOINT ["deno","run","--cached-only","--no-prompt","--allow-net=0.0.0.0:9000,[::]:9000,db:5432","--allow-env=GREETING,PORT,SECRET,TZ","--allow-read=/app,/cache,/data,/app/public","--allow-write=/data,/tmp","./src/\u003c\u003cmain\".ts"]
`
		if string(dockerfile) != want {
			t.Errorf("the Dockerfile is\n%s\nwant\n%s", dockerfile, want)
		}
		var copied []string
		err = filepath.WalkDir(filepath.Join(spec.Dir, spec.Context, "app"), func(at string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				copied = append(copied, filepath.Base(at))
			}
			return err
		})
		if !slices.Equal(copied, []string{"_headers", "deno.json", "package.json", `<<main".ts`}) {
			t.Errorf("copied %q", copied)
		}
		return err
	}
	dir := checkout(t, map[string]string{`src/<<main".ts`: "", "deno.json": "{}", "package.json": "{}", ".env": "SECRET", "src/.git/config": "x", "_headers": "", "out": "-> /etc"})
	release, _, err := buildStatic(t, b, `{"mode":"deno","entrypoint":"src/<<main\".ts","deno_image":"example.com/deno:2","task":"build","port":9000,
		"storage":{"enabled":true},"volumes":[{"name":"cache","path":"/cache","read_only":true}],"env":{"GREETING":"hi"},
		"permissions":{"net":["db:5432"],"env":["TZ"],"read":["public"],"write":["/tmp"]}}`, dir)
	if err != nil {
		t.Fatal(err)
	}
	wantMap(t, "env", release.Env, map[string]string{"GREETING": "hi", "SECRET": "hunter2", "PORT": "9000", "DENO_SERVE_ADDRESS": "tcp:0.0.0.0:9000"})
	if !slices.Equal(release.Volumes, []db.Volume{{Name: "cache", Path: "/cache", ReadOnly: true}, {Name: "data", Path: "/data"}}) ||
		!slices.Equal(release.Tmpfs, []string{"/tmp"}) || !release.ReadOnly || release.User != siteUser || release.Healthcheck != nil {
		t.Errorf("the release is %+v", release)
	}
}

func TestDenoServe(t *testing.T) {
	var c staticConfig
	if err := newChecker().decode(json.RawMessage(`{"mode":"deno","entrypoint":"main.ts","serve":true,"permissions":{"net":["x","*"]}}`), &c); err != nil {
		t.Fatal(err)
	}
	want := `ENTRYPOINT ["deno","serve","--cached-only","--no-prompt","--host","0.0.0.0","--port","8080","--allow-net","--allow-env=PORT","--allow-read=/app","./main.ts"]`
	c.User = "app"
	if got := c.denoDockerfile(nil, false); !strings.Contains(got, "\nUSER app\n") || !strings.Contains(got, want) || !strings.HasPrefix(got, "FROM "+defaultDenoImage+"\n") {
		t.Errorf("the Dockerfile is\n%s", got)
	}
}
