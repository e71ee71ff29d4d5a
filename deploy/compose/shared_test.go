package compose

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/client"

	"tinyforge/deploy/deploytest"
)

// Shared is an image that all tests run or build on. It is made when it is first asked for, and removed by RemoveShared.
type Shared struct {
	once sync.Once
	name string
	err  error
}

// Sample is of the sample program, Keeper of testdata/keeper.
var Sample, Keeper Shared

// Name makes the image of a folder with the engine's classic builder, unless it is there: these tests are not about building.
func (s *Shared) Name(t *testing.T, folder func(t *testing.T) string) string {
	t.Helper()
	s.once.Do(func() { s.name, s.err = buildImage(t.Context(), folder(t)) })
	if s.err != nil || s.name == "" {
		t.Fatalf("the image of all tests was not made: %v", s.err)
	}
	return s.name
}

func sampleImage(t *testing.T) string {
	t.Helper()
	return Sample.Name(t, func(t *testing.T) string { return deploytest.SampleCheckout(t) })
}

func buildImage(ctx context.Context, dir string) (string, error) {
	docker, err := client.New(client.FromEnv)
	if err != nil {
		return "", err
	}
	defer docker.Close()
	var folder bytes.Buffer
	if err := tarFolder(&folder, dir); err != nil {
		return "", err
	}
	name := "tinyforge-test-compose:" + strings.ToLower(rand.Text()[:10])
	answer, err := docker.ImageBuild(ctx, &folder, client.ImageBuildOptions{Tags: []string{name}, Remove: true, ForceRemove: true})
	if err != nil {
		return "", err
	}
	told, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	if _, err := docker.ImageInspect(ctx, name); err != nil {
		return "", fmt.Errorf("%w: %s", err, told)
	}
	return name, nil
}

// RemoveShared removes the images that were made. It is called after all tests.
func RemoveShared() error {
	docker, err := client.New(client.FromEnv)
	if err != nil {
		return err
	}
	defer docker.Close()
	var errs []error
	for _, s := range []*Shared{&Sample, &Keeper} {
		if s.name != "" {
			_, err := docker.ImageRemove(context.Background(), s.name, client.ImageRemoveOptions{Force: true, PruneChildren: true})
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
