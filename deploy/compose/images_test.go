package compose

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"tinyforge/deploy"
)

func TestBuilds(t *testing.T) {
	l := loadFiles(t, map[string]string{
		"compose.yaml": `
services:
  web:
    build:
      context: ./app
      dockerfile: ../docker/web.Dockerfile
      target: prod
      args: {A: '${A}', B: , C: c}
      labels: {color: blue}
      secrets: [npm, {source: pip, target: pip_token}]
      tags: [somebody/else:latest]
      cache_from: [x]
  inline:
    build: {context: ., dockerfile_inline: "FROM scratch\n"}
  other: {image: 'r.test/a/b:1'}
  same: {image: 'r.test/a/b:1'}
secrets: {npm: {environment: NPM}, pip: {file: pip.txt}}
`,
		"app/x": "", "docker/web.Dockerfile": "FROM scratch\n# web\n", "pip.txt": "from a file",
	}, func(in *deploy.StackInput) {
		in.Env = map[string]string{"A": "a", "NPM": "hush-hush"}
		in.Auth = func(_ context.Context, host string) (*deploy.RegistryAuth, error) {
			if host != "r.test" {
				t.Errorf("an account for %s is asked for", host)
			}
			return nil, nil
		}
	})
	must(t, l.err)
	if !slices.Equal(l.images.pulled, []string{"r.test/a/b:1"}) || len(l.images.specs) != 2 {
		t.Fatalf("pulled %q, built %+v", l.images.pulled, l.images.specs)
	}
	inline, web := l.images.specs[0], l.images.specs[1]
	if web.Context != "app" || web.Dockerfile != "docker/web.Dockerfile" || web.Target != "prod" || web.Tag != "tinyforge/web:17-web" || web.CacheNamespace != "web" ||
		!maps.Equal(web.Args, map[string]string{"A": "a", "C": "c"}) || !maps.Equal(web.Secrets, map[string]string{"npm": "hush-hush", "pip_token": "from a file"}) ||
		!maps.Equal(web.Labels, map[string]string{"color": "blue", "tinyforge.workload": "web"}) {
		t.Errorf("web is built as %+v", web)
	}
	if inline.Context != "." || l.images.files[0] != "FROM scratch\n" || inline.Tag != "tinyforge/web:17-inline" {
		t.Errorf("inline is built as %+v of %q", inline, l.images.files[0])
	}
	if strings.Contains(string(l.Stack.Project), "hush-hush") || strings.Contains(l.log, "hush-hush") {
		t.Error("a build secret is kept in the stack or told in the log")
	}
	want := []string{"r.test/a/b@sha256:" + strings.Repeat("ab", 32), "sha256:tinyforge/web:17-inline", "sha256:tinyforge/web:17-web"}
	if !slices.Equal(l.Stack.Images, want) {
		t.Errorf("images %q, want %q", l.Stack.Images, want)
	}
}

func TestFilesBecomeALayer(t *testing.T) {
	l := loadFiles(t, map[string]string{
		"compose.yaml": web("volumes: ['./conf.d:/etc/conf.d:ro', './a.conf:/etc/conf.d/z/a.conf', 'data:/data']",
			"configs: [{source: c, target: /c, uid: '10', gid: '20', mode: 0440}]", "secrets: [s]") +
			"configs: {c: {file: a.conf}}\nsecrets: {s: {environment: S}}\nvolumes: {data: {}}\n",
		"conf.d/x": "", "a.conf": "",
	}, func(in *deploy.StackInput) { in.Env = map[string]string{"S": "hush"} })
	must(t, l.err)
	want := "FROM docker.io/library/nginx@sha256:" + strings.Repeat("ab", 32) + "\n" +
		`COPY --chown=10:20 ["f0", "/c"]` + "\n" + `COPY ["f1/", "/etc/conf.d/"]` + "\n" + `COPY ["f2", "/etc/conf.d/z/a.conf"]` + "\n"
	if len(l.images.files) != 1 || l.images.files[0] != want || !strings.HasPrefix(want, "FROM "+l.images.specs[0].Base+"\n") {
		t.Errorf("built of %q on %s, want %q", l.images.files, l.images.specs[0].Base, want)
	}
	web := l.project.Services["web"]
	if len(web.Volumes) != 1 || web.Volumes[0].Source != "data" || len(web.Configs) > 0 || len(web.Secrets) != 1 ||
		l.project.Secrets["s"].Content != "hush" || web.Image != "sha256:tinyforge/web:17_web" {
		t.Errorf("web is %s", asJSON(t, web))
	}
}

func TestFilesThatCannotBeKept(t *testing.T) {
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"absent":       {map[string]string{"compose.yaml": web("volumes: ['./data:/data']")}, "volumes: data is not in the repository at this commit; what a program writes belongs into a named volume"},
		"writable":     {map[string]string{"compose.yaml": web("volumes: ['./data:/data']"), "data/.keep": ""}, "what it writes would be lost: add :ro, or use a named volume"},
		"hidden":       {map[string]string{"compose.yaml": web("volumes: ['./a:/data/a:ro', 'data:/data']") + "volumes: {data: {}}\n", "a": ""}, "would be hidden by what is mounted at /data"},
		"in tmpfs":     {map[string]string{"compose.yaml": web("volumes: ['./a:/tmp/a:ro']", "tmpfs: ['/tmp:size=1m']"), "a": ""}, "would be hidden by what is mounted at /tmp"},
		"injection":    {map[string]string{"compose.yaml": web(`volumes: [{type: bind, source: ./a, target: "/a\"]\nRUN x", read_only: true}]`), "a": ""}, "cannot be put at"},
		"variable":     {map[string]string{"compose.yaml": web(`volumes: [{type: bind, source: ./a, target: "/a$$PATH", read_only: true}]`), "a": ""}, "cannot be put at"},
		"owner":        {map[string]string{"compose.yaml": web("configs: [{source: c, uid: 'root --from=x'}]") + "configs: {c: {file: a}}\n", "a": ""}, "cannot be put at"},
		"no variable":  {map[string]string{"compose.yaml": web("secrets: [s]") + "secrets: {s: {environment: S}}\n"}, "secret s is the variable S, which is not set"},
		"read only":    {map[string]string{"compose.yaml": web("configs: [c]", "read_only: true") + "configs: {c: {content: x}}\n"}, "config c cannot be put into a container with read_only"},
		"too much":     {map[string]string{"compose.yaml": web("volumes: ['./a:/a:ro']"), "a/big": strings.Repeat("x", maxCopied+1)}, "is too much: at most 64 MiB"},
		"of a service": {map[string]string{"compose.yaml": web("configs: [absent]")}, "absent"},
	} {
		t.Run(name, func(t *testing.T) {
			l := loadFiles(t, tt.files, nil)
			if got := refusal(t, l.err); !strings.Contains(got, tt.want) {
				t.Errorf("it says %q, want %q", got, tt.want)
			}
			if len(l.images.specs) > 0 {
				t.Error("an image was built")
			}
		})
	}
}

// TestImagesArePulledByTheirWholeName: which of them are refused is the engine's to say.
func TestImagesArePulledByTheirWholeName(t *testing.T) {
	l := loadOne(t, web()+"  db: {image: 'r.test/tinyforge/other:17'}\n  more: {image: tinyforged/x}\n", nil)
	if want := []string{"r.test/tinyforge/other:17", "docker.io/tinyforged/x:latest", "docker.io/library/nginx:1"}; l.err != nil || !slices.Equal(l.images.pulled, want) {
		t.Errorf("pulled %q, %v", l.images.pulled, l.err)
	}
}
