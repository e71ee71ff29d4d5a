package docker

import (
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/volume"

	"tinyforge/db"
	"tinyforge/deploy"
)

// TestRemoveVolumes removes those of one workload that we made, once nothing uses them.
func TestRemoveVolumes(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	image := sampleImage(t, e)
	mine, other := release(e, image), release(e, image)
	mine.Volumes = []db.Volume{{Name: "a", Path: "/a"}, {Name: "b", Path: "/b"}}
	other.Workload += "x" // whose volumes' names begin alike
	other.Volumes = mine.Volumes
	start(t, e, mine)
	start(t, e, other)
	if err := e.RemoveVolumes(t.Context(), mine.Workload); err == nil {
		t.Error("volumes in use were removed")
	}
	for _, r := range []db.Release{mine, other} {
		if err := e.Remove(t.Context(), r.ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.RemoveVolumes(t.Context(), mine.Workload); err != nil {
		t.Fatal(err)
	}
	if err := e.RemoveVolumes(t.Context(), mine.Workload); err != nil {
		t.Errorf("again: %v", err)
	}
	found, err := e.docker.VolumeList(t.Context(), volume.ListOptions{Filters: filters.NewArgs(filters.Arg("label", labelInstance+"="+e.cfg.Instance))})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, v := range found.Volumes {
		left = append(left, strings.TrimPrefix(v.Name, "tf-"+other.Workload+"-"))
	}
	if slices.Sort(left); !slices.Equal(left, []string{"a", "b"}) {
		t.Errorf("left %q, want the other workload's", left)
	}
}

// TestNotTakenForAStack: the labels by which Compose knows its containers are not those of the image.
func TestNotTakenForAStack(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	image := mustBuild(t, e, deploy.BuildSpec{
		Dir:     toolDir(t, "LABEL com.docker.compose.project=tfstack-other com.docker.compose.service=web\nENTRYPOINT [\"/tool\", \"say\", \"hello\"]\n", nil),
		Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("disguised"),
	})
	start(t, e, release(e, image))
	found, err := e.docker.ContainerList(t.Context(), container.ListOptions{All: true,
		Filters: filters.NewArgs(filters.Arg("label", labelProject+"=tfstack-other"))})
	if err != nil || len(found) > 0 {
		t.Errorf("found %+v, %v", found, err)
	}
}
