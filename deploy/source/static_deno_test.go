package source

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
)

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

// TestDenoTmpfs: /tmp is always there, with the size that the config gives it.
func TestDenoTmpfs(t *testing.T) {
	for tmpfs, want := range map[string][]string{
		`[]`: {"/tmp"}, `["/run/x:1MB"]`: {"/tmp", "/run/x:1048576"}, `["/tmp:64MB"]`: {"/tmp:67108864"},
	} {
		var c staticConfig
		if err := newChecker().decode(json.RawMessage(`{"mode":"deno","entrypoint":"main.ts","tmpfs":`+tmpfs+`}`), &c); err != nil {
			t.Fatal(err)
		}
		var r db.Release
		denoMode{}.run(&c, &r)
		if !slices.Equal(r.Tmpfs, want) {
			t.Errorf("%s becomes %q, want %q", tmpfs, r.Tmpfs, want)
		}
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
