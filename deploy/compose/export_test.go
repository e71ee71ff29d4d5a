package compose

import (
	"context"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/compose/v5/pkg/api"
	"github.com/moby/moby/client"
)

// Sweep removes all that an instance made, whose only workload has its name.
func Sweep(t *testing.T, r *Runtime, name string) {
	t.Helper()
	ctx, d := context.WithoutCancel(t.Context()), r.docker
	note := func(err error) {
		if err != nil && !errdefs.IsNotFound(err) {
			t.Errorf("clean up: %v", err)
		}
	}
	for _, label := range []string{labelInstance + "=" + name, api.ProjectLabel + "=" + projectName(name)} {
		filters := client.Filters{}.Add("label", label)
		containers, err := d.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
		note(err)
		for _, c := range containers.Items {
			_, err := d.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			note(err)
		}
		volumes, err := d.VolumeList(ctx, client.VolumeListOptions{Filters: filters})
		note(err)
		for _, v := range volumes.Items {
			_, err := d.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true})
			note(err)
		}
		networks, err := d.NetworkList(ctx, client.NetworkListOptions{Filters: filters})
		note(err)
		for _, n := range networks.Items {
			note(removeNetwork(ctx, d, n.ID))
		}
	}
	note(removeNetwork(ctx, d, r.cfg.Network))
	images, err := d.ImageList(ctx, client.ImageListOptions{Filters: client.Filters{}.Add("label", "tinyforge.built-by="+name)})
	note(err)
	for _, i := range images.Items {
		_, err := d.ImageRemove(ctx, i.ID, client.ImageRemoveOptions{Force: true, PruneChildren: true})
		note(err)
	}
}

// removeNetwork removes a network. Docker 20.10 keeps the endpoint of a container that was removed while it was connected.
func removeNetwork(ctx context.Context, d client.APIClient, name string) error {
	found, err := d.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
	if err != nil {
		return err
	}
	for _, endpoint := range found.Network.Containers {
		if _, err := d.NetworkDisconnect(ctx, name, client.NetworkDisconnectOptions{Container: endpoint.Name, Force: true}); err != nil {
			return err
		}
	}
	_, err = d.NetworkRemove(ctx, name, client.NetworkRemoveOptions{})
	return err
}

// HasVolume tells whether there is a volume of that name.
func HasVolume(t *testing.T, r *Runtime, name string) bool {
	t.Helper()
	_, err := r.docker.VolumeInspect(t.Context(), name, client.VolumeInspectOptions{})
	if err != nil && !errdefs.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

// StopService stops the container of one service, as somebody at the machine would.
func StopService(t *testing.T, r *Runtime, workload, service string) {
	t.Helper()
	s, err := r.stack(t.Context(), projectName(workload))
	must(t, err)
	for _, m := range s.members {
		if m.service() == service {
			_, err := r.docker.ContainerStop(t.Context(), m.ID, client.ContainerStopOptions{})
			must(t, err)
		}
	}
}
