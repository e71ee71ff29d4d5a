package main

import (
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tinyforge/deploy/deploytest"
)

// sampleImage is the name of an image of the sample program. Repositories build on it, so that pushes, fetches and builds
// are as small as most are.
var sampleImage = sync.OnceValue(func() string { return "tinyforge-test-sample:" + strings.ToLower(rand.Text()[:10]) })

var sampleOnce sync.Once

// sampleRepository is what a new repository holds: a Dockerfile of the sample program, and a file to copy.
func sampleRepository(t *testing.T) string {
	t.Helper()
	sampleOnce.Do(func() {
		program := filepath.Join(deploytest.SampleCheckout(t), "sampleapp")
		newDockerAPI(t).importImage(sampleImage(), map[string]string{"sampleapp": program}, `ENTRYPOINT ["/sampleapp"]`)
	})
	dir := t.TempDir()
	for name, text := range map[string]string{"Dockerfile": dockerfile(), "notes": "copied by each build\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// removeSampleImage removes the image, if it was made.
func removeSampleImage() {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodDelete, "http://docker/images/"+sampleImage()+"?force=1", nil)
	if err != nil {
		panic(err)
	}
	transport := &http.Transport{DialContext: dialDocker, DisableKeepAlives: true}
	if response, err := transport.RoundTrip(request); err == nil {
		_ = response.Body.Close()
	}
}
