package compose

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/moby/moby/client"

	"tinyforge/deploy"
)

// TestCutOffAnywhere cancels an up at every fourth call, as a kill would, and then starts either release.
func TestCutOffAnywhere(t *testing.T) {
	const moments, apiece = 6, 2 // an up has 22 calls
	for first := 0; first < moments; first += apiece {
		t.Run(fmt.Sprint("from ", first), func(t *testing.T) { cutOff(t, first, first+apiece) })
	}
}

func cutOff(t *testing.T, first, end int) {
	h := newHost(t)
	blue := h.from(1, two("one"))
	h.start(blue)
	for i := first; i < end; i++ {
		green := h.from(int64(2+i), two(fmt.Sprint("two", i), fmt.Sprintf("labels: {round: '%d'}", i)))
		ctx, cancel := context.WithCancel(t.Context())
		var calls atomic.Int64
		cut := int64(1 + i*4)
		docker := counting{h.rt.docker, func() {
			if calls.Add(1) == cut {
				cancel()
			}
		}}
		service, err := newService(docker, h.rt.cfg.ConfigDir)
		must(t, err)
		rt := &Runtime{inner: h.rt.inner, docker: docker, compose: service, cfg: h.rt.cfg}
		_, err = rt.Start(ctx, green)
		cancel()
		if calls.Load() < cut {
			t.Fatalf("an up has %d calls, so that nothing was cut off at call %d", calls.Load(), cut)
		}
		want, version := blue, "one"
		if i%2 == 1 {
			want, version = green, fmt.Sprint("two", i)
		}
		in := h.start(want)
		if got := h.get(in.Upstream, "/"); got != version || in.ID != want.ID || in.State != deploy.Running {
			t.Fatalf("cut off at call %d (%v), %+v answers %q, want %q", cut, err, in, got, version)
		}
		if ids := h.ids(); len(ids) != 2 {
			t.Fatalf("services %v", ids)
		}
		s, err := h.rt.stack(t.Context(), projectName(h.workload))
		must(t, err)
		if len(s.members) != 2 {
			t.Fatalf("%d containers", len(s.members))
		}
	}
}

// counting calls back before each change of a container.
type counting struct {
	client.APIClient
	call func()
}

func (c counting) ContainerCreate(ctx context.Context, o client.ContainerCreateOptions) (client.ContainerCreateResult, error) {
	c.call()
	return c.APIClient.ContainerCreate(ctx, o)
}

func (c counting) ContainerStart(ctx context.Context, id string, o client.ContainerStartOptions) (client.ContainerStartResult, error) {
	c.call()
	return c.APIClient.ContainerStart(ctx, id, o)
}

func (c counting) ContainerStop(ctx context.Context, id string, o client.ContainerStopOptions) (client.ContainerStopResult, error) {
	c.call()
	return c.APIClient.ContainerStop(ctx, id, o)
}

func (c counting) ContainerRemove(ctx context.Context, id string, o client.ContainerRemoveOptions) (client.ContainerRemoveResult, error) {
	c.call()
	return c.APIClient.ContainerRemove(ctx, id, o)
}

func (c counting) ContainerRename(ctx context.Context, id string, o client.ContainerRenameOptions) (client.ContainerRenameResult, error) {
	c.call()
	return c.APIClient.ContainerRename(ctx, id, o)
}

func (c counting) ContainerInspect(ctx context.Context, id string, o client.ContainerInspectOptions) (client.ContainerInspectResult, error) {
	c.call()
	return c.APIClient.ContainerInspect(ctx, id, o)
}
