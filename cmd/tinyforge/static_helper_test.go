package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"testing"

	"tinyforge/deploy/deploytest"
)

// siteProgram is a tinyforge for the images of sites: the program of a test does not serve them.
func siteProgram(t *testing.T) string {
	t.Helper()
	dir, err := siteProgramDir()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "tinyforge")
	siteProgramOnce.Do(func() { deploytest.BuildStatic(t, file, "tinyforge/cmd/tinyforge") })
	if _, err := os.Stat(file); err != nil {
		t.Fatal(err)
	}
	return file
}

var (
	siteProgramDir  = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "tinyforge-test-site-") })
	siteProgramOnce sync.Once
)

// removeSiteProgram removes what siteProgram has made.
func removeSiteProgram() {
	if dir, err := siteProgramDir(); err == nil {
		_ = os.RemoveAll(dir)
	}
}

// newSiteService is a service that can build static sites.
func newSiteService(t *testing.T) *service {
	t.Helper()
	return newService(t, "TINYFORGE_SITE_PROGRAM="+siteProgram(t))
}

// denoImage is the name of an image that holds Deno and nothing else, which is made when it is absent. It stays for the next
// run: it is large, and the same each time.
func denoImage(t *testing.T) string {
	t.Helper()
	program := denoProgram(t)
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	image := fmt.Sprintf("tinyforge-test-deno:%x", info.Size())
	denoOnce.Do(func() {
		docker := newDockerAPI(t)
		var found []struct{ ID string }
		docker.call(http.MethodGet, "/images/json?"+filter("reference", image), &found)
		if len(found) == 0 {
			docker.importImage(image, denoFiles(t, program))
		}
	})
	return image
}

var denoOnce sync.Once

// denoProgram is the Deno that scripts/setup has installed.
func denoProgram(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cpu := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	program := filepath.Join(cache, "tinyforge-test", "deno", "node_modules", "@deno", "linux-"+cpu+"-glibc", "deno")
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("this test needs Deno: run scripts/setup test (%v)", err)
	}
	return program
}

// denoFiles are the program and the libraries that it needs, by their paths in an image.
func denoFiles(t *testing.T, program string) map[string]string {
	t.Helper()
	needs, err := exec.CommandContext(t.Context(), "ldd", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"usr/bin/deno": program}
	for _, library := range regexp.MustCompile(`/\S+`).FindAllString(string(needs), -1) {
		files[library[1:]] = library
	}
	return files
}

// importImage makes an image of files, given by their paths in it. changes are lines of a Dockerfile.
func (d dockerAPI) importImage(image string, files map[string]string, changes ...string) {
	d.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, file := range files {
		text, err := os.ReadFile(file)
		header := &tar.Header{Name: name, Mode: 0o755, Size: int64(len(text))}
		if err = errors.Join(err, w.WriteHeader(header)); err == nil {
			_, err = w.Write(text)
		}
		if err != nil {
			d.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		d.Fatal(err)
	}
	address := "http://docker/images/create?fromSrc=-&repo=" + url.QueryEscape(image)
	for _, change := range changes {
		address += "&changes=" + url.QueryEscape(change)
	}
	request, err := http.NewRequestWithContext(context.WithoutCancel(d.Context()), http.MethodPost, address, &archive)
	if err != nil {
		d.Fatal(err)
	}
	response, err := d.client.Do(request)
	if err != nil {
		d.Fatal(err)
	}
	defer response.Body.Close()
	if answer, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK || bytes.Contains(answer, []byte("error")) {
		d.Fatalf("import %s: %d %s, %v", image, response.StatusCode, answer, err)
	}
}

// page is an answer of a site.
type page struct {
	status int
	header http.Header
	body   string
}

// visit asks a workload's site; fields are names and values.
func (s *service) visit(workload, path string, fields ...string) page {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.site+path, nil)
	s.must(err)
	request.Host = workload + ".test"
	for i := 0; i < len(fields); i += 2 {
		request.Header.Set(fields[i], fields[i+1])
	}
	response, err := (&http.Transport{DisableCompression: true, DisableKeepAlives: true}).RoundTrip(request)
	s.must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	s.must(err)
	return page{response.StatusCode, response.Header, string(body)}
}

// pushAll commits files and pushes them to main.
func (c *clone) pushAll(files map[string]string) (commit string) {
	c.Helper()
	for name, text := range files {
		if err := c.tree.Write(name, text, 0); err != nil {
			c.Fatal(err)
		}
	}
	commit, err := c.tree.Commit(c.Context(), "Change the site")
	if err != nil {
		c.Fatal(err)
	}
	c.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
	return commit
}

// confined demands of the container of a site that it is nobody's, can write nothing beside its volumes, and has no
// capabilities.
func (s *service) confined(workload string) {
	s.Helper()
	var c struct {
		Config     struct{ User string }
		HostConfig struct {
			ReadonlyRootfs, Privileged   bool
			CapAdd, CapDrop, SecurityOpt []string
		}
	}
	newDockerAPI(s.T).call(http.MethodGet, "/containers/"+s.releases(workload)[0].ID+"/json", &c)
	h := c.HostConfig
	if c.Config.User != "65532:65532" || !h.ReadonlyRootfs || h.Privileged || len(h.CapAdd) > 0 || !slices.Contains(h.CapDrop, "ALL") ||
		!slices.Contains(h.SecurityOpt, "no-new-privileges") {
		s.Errorf("the container is %+v", c)
	}
}
