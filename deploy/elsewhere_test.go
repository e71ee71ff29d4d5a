package deploy_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
)

// forgetful is a runtime that does not know any more where some of what runs answers.
type forgetful struct {
	deploy.Runtime
	knows     int    // addresses
	elsewhere string // the hosts of the others
	starts    atomic.Int64
}

func (f *forgetful) Start(ctx context.Context, r db.Release) (deploy.Instance, error) {
	f.starts.Add(1)
	return f.Runtime.Start(ctx, r)
}

func (f *forgetful) Inspect(ctx context.Context, id db.ReleaseID) (deploy.Instance, error) {
	in, err := f.Runtime.Inspect(ctx, id)
	return f.forget(in), err
}

func (f *forgetful) List(ctx context.Context) ([]deploy.Instance, error) {
	list, err := f.Runtime.List(ctx)
	for n, in := range list {
		list[n] = f.forget(in)
	}
	return list, err
}

func (f *forgetful) forget(in deploy.Instance) deploy.Instance {
	if addrs := in.Upstream.Addrs(); f.starts.Load() == 0 && len(addrs) > f.knows {
		in.Elsewhere, in.Upstream.Addr = f.elsewhere, strings.Join(addrs[:f.knows], ",")
	}
	return in
}

// TestAddressesThatARuntimeForgot: the routes keep them for as long as their hosts run something, and nothing is started for that.
func TestAddressesThatARuntimeForgot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", strings.Replace(blueGreen, "{", `{"runtime":"swarm","replicas":2,`, 1))
	w.live("a")
	leads := func() string {
		up, err := w.router.Current(t.Context(), w.workload.Routes()[0])
		must(t, err)
		return up.Addr
	}
	all := leads()
	one, _, _ := strings.Cut(all, ",")
	for name, tt := range map[string]struct {
		knows     int
		elsewhere string
		leads     string
		starts    int64
	}{
		"all":                        {0, "127.0.0.1", all, 0},
		"one":                        {1, "127.0.0.1", all, 0},
		"one, on another host":       {1, "192.168.0.1", one, 0},
		"all, and the routes do too": {0, "192.168.0.1", all, 1},
	} {
		f := &forgetful{Runtime: w.runtime, knows: tt.knows, elsewhere: tt.elsewhere}
		w.deployer.Runtime = f
		w.pass()
		if got := leads(); got != tt.leads || f.starts.Load() != tt.starts {
			t.Errorf("%s: the route leads to %q, want %q; %d starts", name, got, tt.leads, f.starts.Load())
		}
		w.deployer.Runtime = w.runtime
		w.pass()
	}
	w.serves("a")
}
