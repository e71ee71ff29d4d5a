package deploy_test

import (
	"context"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
)

// TestGateSaysWhomItDidNotReach: with a healthcheck and without one, of an address that nobody refuses either.
func TestGateSaysWhomItDidNotReach(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{"probed": blueGreen, "watched": unchecked} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "dockerfile", config)
			w.live("a")
			w.deployer.Runtime = unreached{w.runtime}
			dep := w.push("b")
			w.run(dep)
			dep = w.await(dep.ID, func(d db.Deployment) bool { return d.Phase.Final() })
			if want := "could not connect to " + nobody + " (is it open to Tinyforge?) for "; dep.Phase != db.PhaseFailed || !strings.Contains(dep.Error, want) {
				t.Errorf("%s: %q, want %q in it", dep.Phase, dep.Error, want)
			}
			if dep.Fault == nil || dep.Fault.Code != "unreachable" || dep.Fault.Values["address"] != nobody {
				t.Errorf("its fault is %+v", dep.Fault)
			}
		})
	}
}

// nobody is an address that no connection can be made to: it is everybody's.
const nobody = "255.255.255.255:8080"

// unreached is a runtime whose releases answer at nobody's address.
type unreached struct{ deploy.Runtime }

func (u unreached) Inspect(ctx context.Context, id db.ReleaseID) (deploy.Instance, error) {
	in, err := u.Runtime.Inspect(ctx, id)
	in.Upstream.Addr = nobody
	return in, err
}
