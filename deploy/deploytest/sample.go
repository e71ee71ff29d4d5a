package deploytest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"tinyforge/db"
)

// Sample is what the sample program answers, given the environment of a release: its VERSION at /, and at /up whether it
// is UNHEALTHY. It does not do STARTUP_DELAY, UP_AFTER and LISTEN_PORT.
func Sample(r db.Release) http.Handler {
	mux, version := http.NewServeMux(), r.Env["VERSION"]
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, version) })
	mux.HandleFunc("GET /up", func(w http.ResponseWriter, _ *http.Request) {
		if r.Env["UNHEALTHY"] == "1" {
			http.Error(w, "unhealthy", http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
		ms, _ := strconv.Atoi(r.URL.Query().Get("ms"))
		time.Sleep(time.Duration(ms) * time.Millisecond)
		fmt.Fprintln(w, version)
	})
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // whole: HTTP/1 ends the request's body when the answer begins
		_, _ = w.Write(body)
	})
	return mux
}

// SampleDockerfile makes an image of a folder that holds the sample program as "sampleapp". It needs no other image.
const SampleDockerfile = "FROM scratch\nCOPY sampleapp /sampleapp\nENTRYPOINT [\"/sampleapp\"]\n"

// BuildSample compiles the sample program, as a static binary, to a file. Its default VERSION is version.
func BuildSample(ctx context.Context, file, version string) error {
	return goBuild(ctx, file, "-ldflags=-s -w -X 'main.version="+version+"'", "tinyforge/deploy/deploytest/sampleapp")
}

// SampleCheckout returns a folder with the sample program and its Dockerfile. The program is compiled once per process.
func SampleCheckout(t testing.TB) string {
	t.Helper()
	binary, err := sampleBinary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sampleapp"), binary, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(SampleDockerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// BuildStatic compiles a main package, as a static binary, to a file.
func BuildStatic(t testing.TB, file, pkg string) {
	t.Helper()
	if err := goBuild(t.Context(), file, "-ldflags=-s -w", pkg); err != nil {
		t.Fatal(err)
	}
}

var sampleBinary = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "tinyforge-sample-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "sampleapp")
	if err := BuildSample(context.Background(), file, "1"); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

func goBuild(ctx context.Context, file, ldflags, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", ldflags, "-o", file, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", pkg, err, out)
	}
	return nil
}
