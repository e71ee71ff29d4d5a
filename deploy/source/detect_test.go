package source

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func mapFS(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return m
}

const composeExample = `
services:
  db:
    image: postgres
    volumes: [data:/var/lib/postgresql/data]
    expose: ["5432"]
  web:
    build: .
    ports:
      - "127.0.0.1:8080:3000/tcp"
      - target: 9000
volumes: {data: {}}
`

const dockerfileExample = `FROM golang AS build
EXPOSE 1
VOLUME /nothing
FROM alpine
EXPOSE 53/udp 3000/tcp
VOLUME ["/data", "/data/", "/proc/x"]
VOLUME /cache \
  /more
HEALTHCHECK --interval=5s CMD wget -qO- http://localhost:3000/up?full=1 || exit 1
`

func TestDetect(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  []string // "source folder config"
	}{
		{"nothing", map[string]string{"README.md": "", "main.go": ""}, nil},
		{"all at once, in order", map[string]string{
			"compose.yaml": composeExample, "Dockerfile": dockerfileExample, "deno.json": `{}`, "main.ts": "", "public/index.html": "",
		}, []string{
			`compose . {"service":"web","port":3000}`,
			`dockerfile . {"port":3000,"healthcheck":{"path":"/up?full=1"},"volumes":[{"name":"data","path":"/data"},{"name":"data2","path":"/cache"},{"name":"data3","path":"/more"}]}`,
			`static . {"mode":"deno","entrypoint":"main.ts"}`,
			`static . {"mode":"static","root":"public"}`,
		}},
		{"one level down", map[string]string{
			"api/Containerfile": "FROM x\nEXPOSE $PORT\n", "web/docker-compose.yml": "services:\n  app:\n    image: x\n", "site/dist/index.html": "", "a/b/Dockerfile": "FROM x",
			"node_modules/x/index.html": "", ".github/Dockerfile": "FROM x", "Dockerfile/x": "a folder",
		}, []string{
			`dockerfile api {"context":"api","dockerfile":"api/Containerfile"}`,
			`static site {"mode":"static","root":"site/dist"}`,
			`compose web {"files":["web/docker-compose.yml"],"service":"app"}`,
		}},
		{"public is a root, not a site of its own", map[string]string{"public/index.html": "", "docs/index.html": ""}, []string{
			`static . {"mode":"static","root":"public"}`, `static docs {"mode":"static","root":"docs"}`,
		}},
		{"deno with comments", map[string]string{"deno.jsonc": `{
			// what "deno task" knows
			"tasks": { "start": "deno run -A ./src/app.ts --x", /* and */ "build": {"command": "vite build"}, },
		}`, "src/app.ts": "export default { fetch() {} }"}, []string{
			`static . {"mode":"deno","entrypoint":"src/app.ts","task":"build","serve":true}`,
		}},
		{"deno for linting alone", map[string]string{"deno.json": `{"fmt":{}}`, "index.html": ""}, []string{`static . {"mode":"static"}`}},
		{"deno that cannot be read", map[string]string{"deno.json": `{`, "main.ts": ""}, []string{`static . {"mode":"deno","entrypoint":"main.ts"}`}},
		{"a task that starts what is not there", map[string]string{"deno.json": `{"tasks":{"start":"deno run ../x.ts","dev":"deno run none.ts"}}`}, nil},
		{"compose without ports", map[string]string{"compose.yml": "services: {one: {image: x}, two: {image: y}}"}, []string{`compose . {"service":"one"}`}},
		{"compose that cannot be read", map[string]string{"compose.yml": "services: ["}, []string{`compose . {"service":"web"}`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, err := Detect(mapFS(tt.files))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range found {
				got = append(got, fmt.Sprintf("%s %s %s", c.Source, c.Folder, c.Config))
				if len(c.Evidence) == 0 || c.Evidence[0] == "" {
					t.Errorf("%s has no evidence", c.Source)
				}
				if check := validators[c.Source]; check != nil {
					if err := check(c.Config); err != nil {
						t.Errorf("%s proposes what it does not accept: %v", c.Source, err)
					}
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// validators are the sources of this package.
var validators = map[string]func(json.RawMessage) error{
	"dockerfile": NewDockerfile(&builds{}).Validate, "static": NewStatic(&builds{}, "").Validate,
}

func TestDetectTellsWhatItFound(t *testing.T) {
	found, err := Detect(mapFS(map[string]string{
		"compose.yaml": composeExample, "Dockerfile": dockerfileExample, "deno.json": `{"tasks":{"start":"deno serve app.ts","build":"x"}}`, "app.ts": "export default {}",
		"index.html": "", "package.json": "{}", "_redirects": "",
	}))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range found {
		all = append(all, strings.Join(c.Evidence, "; "))
	}
	want := []string{
		"compose.yaml: 2 services; service db, port 5432, 1 volume; service web, port 3000; " +
			`beware: service web asks for port 8080 of the machine, which is refused. The route needs none: write the port in the container alone, or allow: ["web:ports"] in the config`,
		"Dockerfile; EXPOSE 3000: the port; HEALTHCHECK asks /up?full=1: the healthcheck; VOLUME /data: a volume that outlives deployments; " +
			"VOLUME /cache: a volume that outlives deployments; VOLUME /more: a volume that outlives deployments",
		`deno.json; task "start" starts app.ts; task "build": run when the image is built; app.ts exports what answers requests: run with deno serve`,
		"index.html; _redirects; package.json is there too: when the site has to be built, commit what is built, or use a Dockerfile",
	}
	if !slices.Equal(all, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(all, "\n"), strings.Join(want, "\n"))
	}
}

// TestDetectTellsOfFixedPorts: in each form in which a Compose file can ask for one, and in no other.
func TestDetectTellsOfFixedPorts(t *testing.T) {
	for ports, want := range map[string]string{
		`["8080:80"]`: "port 8080 of", `["127.0.0.1:8080:80/tcp", "[::1]:8081:80"]`: "ports 8080, 8081 of", `["8000-8010:80"]`: "port 8000-8010 of",
		"[{target: 80, published: 8080}]": "port 8080 of", `[{target: 80, published: "8080"}]`: "port 8080 of", `["53:53/udp"]`: "port 53 of", "\n      - 3000:3000\n      - 8080:80\n": "ports 3000, 8080 of",
		`["80"]`: "", "[80]": "", "[80/tcp]": "", "[{target: 80}]": "", `["0:80"]`: "", `["${PORT}:80"]`: "", `[":80"]`: "", "[*a]": "", "[{published: {}}]": "",
	} {
		found, err := Detect(mapFS(map[string]string{"compose.yaml": "services:\n  web:\n    image: x\n    ports: " + ports}))
		if err != nil || len(found) != 1 {
			t.Fatalf("ports %s: %v, %v", ports, found, err)
		}
		text := strings.Join(found[0].Evidence, "; ")
		if strings.Contains(text, "beware") != (want != "") || !strings.Contains(text, want) {
			t.Errorf("ports %s: %s, want %q", ports, text, want)
		}
	}
}

// A checkout is somebody else's: links that leave it are as good as absent, and nothing in it makes looking take long.
func TestDetectStaysInside(t *testing.T) {
	outside := checkout(t, map[string]string{"Dockerfile": "FROM x\nEXPOSE 1234\n", "index.html": ""})
	dir := checkout(t, map[string]string{
		"Dockerfile": "-> " + outside + "/Dockerfile", "sub": "-> " + outside, "deno.json": "-> deno.json", "real/index.html": "", "linked": "-> real",
	})
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	found, err := Detect(root.FS())
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, c := range found {
		folders = append(folders, c.Source+" "+c.Folder)
	}
	if !slices.Equal(folders, []string{"static linked", "static real"}) {
		t.Errorf("found %q", folders)
	}
}

func TestDetectIsBounded(t *testing.T) {
	bombs := map[string]string{
		"deep":     "services: " + strings.Repeat("[", 30_000),
		"nested":   "services:\n  " + strings.Repeat("- ", 30_000),
		"anchors":  "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nservices: {web: {ports: [*b,*b,*b]}}\n",
		"services": "services:\n" + strings.Repeat("  s: {image: x}\n", 3_000),
		"large":    "services:\n" + strings.Repeat("#", 10<<20),
		"aliased":  "services: &s\n  web: *s\n",
		"comments": strings.Repeat("/*", 30_000),
	}
	for name, text := range bombs {
		done := make(chan error, 1)
		go func() {
			found, err := Detect(mapFS(map[string]string{"compose.yaml": text, "Dockerfile": text, "deno.json": text, "main.ts": text}))
			if err == nil && len(found) != 3 {
				err = fmt.Errorf("found %v", found)
			}
			done <- err
		}()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s takes too long", name)
		}
	}
	many := fstest.MapFS{}
	for i := range 3000 {
		many[fmt.Sprintf("folder-%04d/Dockerfile", i)] = &fstest.MapFile{Mode: 0o644}
	}
	if found, err := Detect(many); err != nil || len(found) != maxFolders {
		t.Errorf("in many folders it finds %d, %v", len(found), err)
	}
	if _, err := Detect(mapFS(nil)); err != nil {
		t.Errorf("an empty checkout: %v", err)
	}
	if _, err := Detect(brokenFS{}); err == nil {
		t.Error("a folder that cannot be read is no error")
	}
}

type brokenFS struct{}

func (brokenFS) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
}
