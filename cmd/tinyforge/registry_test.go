package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/docker"
)

// imageHouse is a tinyforge registry that runs, and a Docker that pushes to it.
type imageHouse struct {
	*testing.T
	*process
	engine   *docker.Engine
	other    *docker.Engine // has another registry, and so may pull from this one
	data     string
	address  string
	password string
	reading  string // the password of the account that may only pull
}

// newImageHouse starts one with a data folder that does not exist yet.
func newImageHouse(t *testing.T) *imageHouse {
	t.Helper()
	h := &imageHouse{T: t, data: filepath.Join(t.TempDir(), "data"), address: freeAddresses(t, 1)[0]}
	h.start()
	h.password, h.reading = h.made("registry-password"), h.made("registry-pull-password")
	h.engine = h.served(h.address+"/apps", h.password)
	h.other = h.served("elsewhere.example.com", h.password)
	return h
}

// made is what a file of the data folder says.
func (h *imageHouse) made(name string) string {
	h.Helper()
	text, err := os.ReadFile(filepath.Join(h.data, name))
	h.must(err)
	return strings.TrimSpace(string(text))
}

// served is the engine of a tinyforge serve that has this registry and password.
func (h *imageHouse) served(registry, password string) *docker.Engine {
	h.Helper()
	c, _, err := readConfig("serve", []string{"--data", h.TempDir(), "--registry", registry},
		[]string{"TINYFORGE_REGISTRY_USER=tinyforge", "TINYFORGE_REGISTRY_PASSWORD=" + password}, io.Discard)
	h.must(err)
	engine, _, end, err := openRuntime(c, unique("house"), nil, slog.New(slog.DiscardHandler))
	h.must(err)
	h.Cleanup(end)
	return engine
}

func (h *imageHouse) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// start starts the process, and waits until it answers.
func (h *imageHouse) start(options ...string) {
	h.Helper()
	h.process = startProcess(h.T, nil, append([]string{"registry", "--data", h.data, "--registry-listen", h.address}, options...)...)
	p := h.process
	h.Cleanup(func() {
		if h.Failed() {
			h.Logf("the registry's log:\n%s", p.log.String())
		}
	})
	await(h.T, "the registry answers", func() bool {
		select {
		case <-p.ended:
			h.Fatalf("it ended: %v\n%s", p.err, p.log.String())
		default:
		}
		answer, err := http.Get("http://" + h.address + "/v2/")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusUnauthorized
	})
}

// build makes an image that holds so many random bytes.
func (h *imageHouse) build(deployment, size int64) db.Release {
	h.Helper()
	dir, name := h.TempDir(), unique("web")
	content := make([]byte, size)
	_, _ = rand.Read(content)
	h.must(os.WriteFile(filepath.Join(dir, "content"), content, 0o644))
	h.must(os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nCOPY content /\nCMD [\"/content\"]\n"), 0o644))
	r := db.Release{ID: deploy.BuildGreenName(name, deployment), Workload: name, DeploymentID: deployment, Image: deploy.BuiltPrefix + name + ":1"}
	_, err := h.engine.Build(h.Context(), deploy.BuildSpec{Dir: dir, Context: ".", Dockerfile: "Dockerfile", Tag: r.Image}, io.Discard)
	h.must(err)
	h.Cleanup(func() { newDockerAPI(h.T).removeImage(r.Image) })
	return r
}

func (h *imageHouse) push(r db.Release) db.Release {
	h.Helper()
	pushed, err := h.engine.Push(h.Context(), r, io.Discard)
	h.must(err)
	return pushed
}

// pull fetches what was pushed and is not here any more.
func (h *imageHouse) pull(r, pushed db.Release) {
	h.Helper()
	api := newDockerAPI(h.T)
	api.removeImage(r.Image)
	_, err := h.other.Pull(h.Context(), deploy.PullSpec{Ref: pushed.Image, Auth: &deploy.RegistryAuth{Username: registryPullUser, Password: h.reading}}, io.Discard)
	h.must(err)
	var there struct {
		ID string `json:"Id"`
	}
	api.call(http.MethodGet, "/images/"+pushed.Image+"/json", &there)
	api.removeImage(there.ID) // with all its names
}

// files calls do for each file of the registry, with its size.
func (h *imageHouse) files(do func(path string, size int64)) {
	h.Helper()
	err := filepath.WalkDir(filepath.Join(h.data, "registry"), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && d.IsDir() {
			return nil // what ends while one looks
		}
		if info, infoErr := d.Info(); infoErr == nil {
			do(path, info.Size())
		}
		return err
	})
	h.must(err)
}

func (h *imageHouse) onDisk() (all int64) {
	h.Helper()
	h.files(func(_ string, size int64) { all += size })
	return all
}

// TestRegistry: dockerd pushes to a tinyforge registry and pulls from it, it is killed in the middle of a push and goes on, and
// what nobody can go back to any more frees the disk.
func TestRegistry(t *testing.T) {
	t.Parallel()
	h := newImageHouse(t)
	for name, password := range map[string]string{"registry-password": h.password, "registry-pull-password": h.reading} {
		if info, err := os.Stat(filepath.Join(h.data, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the password's file is %v, %v", info, err)
		}
		if text := h.log.String(); !strings.Contains(text, name) || strings.Contains(text, password) {
			t.Errorf("the log does not say where the password is, or tells it:\n%s", text)
		}
	}
	kept := h.build(1, 1000)
	keptThere := h.push(kept)
	h.pull(kept, keptThere)

	const size = 32 << 20
	old := h.build(2, size)
	pushed, pushErr := make(chan db.Release, 1), make(chan error, 1)
	go func() {
		r, err := h.engine.Push(t.Context(), old, io.Discard)
		pushed <- r
		pushErr <- err
	}()
	await(t, "the layer is on its way", func() (underWay bool) {
		h.files(func(path string, size int64) {
			underWay = underWay || strings.Contains(path, "/_uploads/") && filepath.Base(path) == "data" && size > 0
		})
		return underWay
	})
	h.kill()
	h.start() // before Docker has tried for the last time
	oldThere := <-pushed
	h.must(<-pushErr)
	if again := h.push(old); again.Image != oldThere.Image {
		t.Errorf("pushed again it is %s, and was %s", again.Image, oldThere.Image)
	}
	h.pull(old, oldThere)
	h.pull(kept, keptThere)

	h.kept(keptThere)
	h.terminate(time.Minute)
	before := h.onDisk()
	h.start("--registry-keep", "1s")
	await(t, "the disk is free", func() bool { return before-h.onDisk() >= size })
	h.pull(kept, keptThere)
	await(t, "it says so", func() bool { return regexp.MustCompile(`swept.*"bytes":[1-9]`).MatchString(h.log.String()) })
	if text := h.log.String(); strings.Contains(text, h.password) || strings.Contains(text, `"level":"WARN"`) {
		t.Errorf("the log tells the password, or complains:\n%s", text)
	}
}

// kept lets go of all but one release.
func (h *imageHouse) kept(r db.Release) {
	h.Helper()
	removed, err := h.engine.PruneImages(h.Context(), func(context.Context) (deploy.Kept, error) {
		return deploy.Kept{Images: []string{r.Image}, Releases: []db.ReleaseID{r.ID}}, nil
	})
	h.must(err)
	if len(removed) == 0 || !strings.HasPrefix(removed[len(removed)-1], h.address+"/apps/") {
		h.Errorf("removed %q", removed)
	}
}

// TestRegistryRefuses: each way in which it cannot begin says what to do.
func TestRegistryRefuses(t *testing.T) {
	t.Parallel()
	h := newImageHouse(t)
	_, err := h.served(h.address+"/apps", "wrong").Push(t.Context(), h.build(1, 10), io.Discard)
	if f, ok := errors.AsType[*deploy.Failure](err); !ok || !strings.Contains(f.Text, "TINYFORGE_REGISTRY_USER") {
		t.Errorf("with a wrong password the push says %v", err)
	}
	other := filepath.Join(t.TempDir(), "other")
	open := filepath.Join(t.TempDir(), "open")
	h.must(os.MkdirAll(open, 0o700))
	h.must(os.WriteFile(filepath.Join(open, "registry-password"), []byte("x\n"), 0o644))
	for words, options := range map[string][]string{
		"another tinyforge registry keeps its images in": {"--data", h.data, "--registry-listen", freeAddresses(t, 1)[0]},
		"choose another address with --registry-listen":  {"--data", other, "--registry-listen", h.address},
		"chmod 600":               {"--data", open},
		"no such file":            {"--data", other, "--registry-cert", "/nowhere/x.pem", "--registry-key", "/nowhere/x.key"},
		"belong together":         {"--data", other, "--registry-cert", "/nowhere/x.pem"},
		"give an address such as": {"--data", other, "--registry-listen", "5000"},
	} {
		p := startProcess(t, nil, append([]string{"registry"}, options...)...)
		if p.wait(time.Minute) == nil || !strings.Contains(p.log.String(), words) {
			t.Errorf("%q says\n%s", options, p.log.String())
		}
	}
}
