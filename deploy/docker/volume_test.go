package docker

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/volume"

	"tinyforge/db"
)

func TestVolumesOutliveReleases(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	image := toolImage(t, e, "keep", "/data/file", "again")
	for range 2 {
		r := release(e, image)
		r.Volumes = []db.Volume{{Name: "data", Path: "/data"}}
		start(t, e, r)
		awaitLines(t, e, r.ID, func(lines []string) bool { return len(lines) > 0 })
		if err := e.Remove(t.Context(), r.ID); err != nil {
			t.Fatal(err)
		}
	}
	r := release(e, image)
	r.Volumes = []db.Volume{{Name: "data", Path: "/data"}}
	start(t, e, r)
	awaitLines(t, e, r.ID, func(lines []string) bool { return slices.Equal(lines, []string{"again", "again", "again"}) })
}

func TestVolumeOfSomebodyElse(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	image := sampleImage(t, e)
	volumeOf := func(name string, labels map[string]string) {
		if _, err := e.docker.VolumeCreate(t.Context(), volume.CreateOptions{Name: name, Labels: labels}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := e.docker.VolumeRemove(context.WithoutCancel(t.Context()), name, true); err != nil {
				t.Error(err)
			}
		})
	}
	prefix := "tf-" + e.cfg.Instance + "-"
	volumeOf(prefix+"foreign", map[string]string{labelInstance: "other"})
	volumeOf(prefix+"joined", map[string]string{labelInstance: e.cfg.Instance, labelVolume: "a/b"})
	volumeOf(prefix+"restored", nil)
	for name, want := range map[string]string{"foreign": "another Tinyforge (other)", "joined": "belongs to a/b", "restored": ""} {
		r := release(e, image)
		r.Volumes = []db.Volume{{Name: name, Path: "/data"}}
		_, err := e.Start(t.Context(), r)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if text := failure(t, err); !strings.Contains(text, want) {
			t.Errorf("%s: failure is %q", name, text)
		}
		if err := e.Remove(t.Context(), r.ID); err != nil {
			t.Error(err)
		}
	}
}
