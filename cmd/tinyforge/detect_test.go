package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// detectIn runs the command on a folder of files.
func detectIn(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for file, text := range files {
		at := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"detect", dir}, nil, &out, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// What detect prints is an entry for the file of apply, and is read as one.
func TestDetect(t *testing.T) {
	out := detectIn(t, filepath.Join(t.TempDir(), "My Shop!"), map[string]string{
		"Dockerfile": "FROM scratch\nEXPOSE 3000\nHEALTHCHECK CMD curl http://localhost:3000/up\n", "site/public/index.html": "", "main.ts": "", "deno.json": "{}",
	})
	const want = `workloads:
  # Dockerfile
  # EXPOSE 3000: the port
  # HEALTHCHECK asks /up: the healthcheck
  - name: my-shop
    forge: FORGE
    repository: OWNER/NAME
    source: dockerfile
    host: my-shop.example.com
    config:
      port: 3000
      healthcheck:
        path: /up
  # or, instead of the one above:
  # # deno.json
  # # main.ts
  # - name: my-shop
  #   forge: FORGE
  #   repository: OWNER/NAME
  #   source: static
  #   host: my-shop.example.com
  #   config:
  #     mode: deno
  #     entrypoint: main.ts
  # site/public/index.html
  - name: site
    forge: FORGE
    repository: OWNER/NAME
    source: static
    host: site.example.com
    config:
      mode: static
      root: site/public
`
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	r := &manifestReader{references: newReferences(t.TempDir()), sources: sourceKinds(nil, ""), known: []string{"FORGE"}}
	if r.read([]byte("forges: []\n" + out)); len(r.faults) > 0 {
		t.Errorf("it is not accepted: %v", r.faults)
	}
}

func TestDetectFindsNothing(t *testing.T) {
	if out := detectIn(t, t.TempDir(), map[string]string{"README.md": ""}); !strings.HasPrefix(out, "Nothing was found that can be built") {
		t.Errorf("got %s", out)
	}
	var out bytes.Buffer
	for want, args := range map[string][]string{
		"detect takes one folder": {"detect", "a", "b"},
		"detect has no option -x": {"detect", "-x"},
		"no such file":            {"detect", filepath.Join(t.TempDir(), "none")},
		"site takes the folder":   {"site"},
		"read site":               {"site", t.TempDir()},
	} {
		if err := run(t.Context(), args, nil, &out, &out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", args, err, want)
		}
	}
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

// TestDetectNamesTheRepository: as its clone does, and only where what is found lies as in the repository.
func TestDetectNamesTheRepository(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{"index.html": "", "below/index.html": ""}
	if out := detectIn(t, dir, files); !strings.Contains(out, "repository: OWNER/NAME\n") {
		t.Errorf("without git:\n%s", out)
	}
	git(t, dir, "init", "--quiet")
	if out := detectIn(t, dir, files); !strings.Contains(out, "repository: OWNER/NAME\n") {
		t.Errorf("without a remote:\n%s", out)
	}
	git(t, dir, "remote", "add", "origin", "https://dana:s3cret@git.example.com/acme/tools/site.git")
	out := detectIn(t, dir, files)
	if !strings.Contains(out, "repository: acme/tools/site\n") || strings.Contains(out, "s3cret") || strings.Contains(out, placeholder) {
		t.Errorf("in a clone:\n%s", out)
	}
	if out := detectIn(t, filepath.Join(dir, "below"), files); !strings.Contains(out, "repository: OWNER/NAME\n") {
		t.Errorf("below the top of a clone:\n%s", out)
	}
}

func TestRepositoryAt(t *testing.T) {
	for address, want := range map[string]string{
		"https://git.example.com/acme/site.git": "acme/site", "https://git.example.com/acme/site": "acme/site", "ssh://git@git.example.com:22/acme/site.git/": "acme/site",
		"git@git.example.com:acme/site.git": "acme/site", "git.example.com:/acme/site": "acme/site", "http://[::1]:3000/acme/a/b": "acme/a/b",
		"/srv/git/acme/site.git": "", "file:///srv/git/site.git": "", "../acme/site": "", "./a:b/c": "", "https://git.example.com/site": "", "": "", "https://git.example.com/ac me/x": "",
	} {
		if got := repositoryAt(address); got != want {
			t.Errorf("%q is %q, want %q", address, got, want)
		}
	}
}
