package deploy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

const imageConfig = `{"image":"registry.test/web","healthcheck":{"path":"/up","interval":"100ms","attempts":1}%s}`

// published tells of a new image and works the queue until its deployment is finished.
func (w *world) published() db.Deployment {
	w.t.Helper()
	w.pushes++
	out, err := w.db.EnqueuePackage(w.t.Context(), &db.Delivery{
		ForgeID: w.repo.ForgeID, ExternalID: fmt.Sprint("package ", w.pushes), Event: "package", Ref: "registry.test/web:latest",
	}, []db.Deployment{{WorkloadID: w.workload.ID}})
	must(w.t, err)
	if len(out.Deployments) != 1 {
		w.t.Fatalf("package: %s", out.Decision)
	}
	return w.run(w.deployment(out.Deployments[0]))
}

// TestPackage: a new image under the same tag is deployed as the commit that is live. What is live already is not started
// a second time, however often it is told.
func TestPackage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "image", fmt.Sprintf(imageConfig, ""))
	first := w.live("a")
	var points []string
	w.deployer.Runtime = w.runtime.With(deploytest.Record(func(point string) { points = append(points, point) }))
	dep := w.published()
	if dep.Phase != db.PhaseSkipped || dep.Status != db.StatusSuccess || len(points) > 0 {
		t.Errorf("the same image again is %s after %q", dep.Phase, points)
	}
	if !strings.Contains(w.logText(dep.ID), "What the registry has is live already") {
		t.Errorf("the log is\n%s", w.logText(dep.ID))
	}
	w.serves("a")

	w.builds.digest = strings.Repeat("ef", 32)
	dep = w.published()
	if dep.Phase != db.PhaseLive || dep.Commit != first.Commit || dep.Release.Image != "registry.test/web:latest@sha256:"+w.builds.digest {
		t.Errorf("another image is %s: %+v", dep.Phase, dep.Release)
	}
	w.serves("a")

	w.workload.Config = json.RawMessage(fmt.Sprintf(imageConfig, `,"env":{"A":"b"}`))
	must(t, w.db.SaveWorkload(t.Context(), &w.workload))
	if dep = w.published(); dep.Phase != db.PhaseLive || dep.Release.Env["A"] != "b" {
		t.Errorf("the same image with another config is %s: %+v", dep.Phase, dep.Release)
	}
	if dep = w.published(); dep.Phase != db.PhaseSkipped {
		t.Errorf("the same image with the same config is %s", dep.Phase)
	}
	w.serves("a")
}

// accounts is a forge with a registry.
type accounts struct {
	host string
	err  error
}

func (a accounts) RegistryAuth(_ context.Context, repo db.Repository, host string) (*deploy.RegistryAuth, error) {
	if host != a.host || a.err != nil {
		return nil, a.err
	}
	return &deploy.RegistryAuth{Username: repo.FullName, Password: "token"}, nil
}

func TestTheForgesAccountReachesTheRegistry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "image", fmt.Sprintf(imageConfig, ""))
	for n, tt := range []struct {
		accounts deploy.Accounts
		want     string
		log      string
	}{
		{nil, "", ""},
		{accounts{host: "registry.test"}, "acme/web", ""},
		{accounts{host: "other.test"}, "", ""},
		{accounts{err: &deploy.Failure{Text: "the forge answered 502"}}, "", "no account for its registry registry.test: the forge answered 502"},
		{accounts{err: errors.New("secret")}, "", "no account for its registry registry.test: internal error"},
	} {
		w.deployer.Accounts = tt.accounts
		dep := w.live(string(rune('a' + n)))
		got := ""
		if auth := w.builds.auths[n]; auth != nil {
			got = auth.Username
		}
		if got != tt.want {
			t.Errorf("%+v: pulled as %q, want %q", tt.accounts, got, tt.want)
		}
		if log := w.logText(dep.ID); !strings.Contains(log, tt.log) || strings.Contains(log, "secret") {
			t.Errorf("%+v: the log is\n%s", tt.accounts, log)
		}
	}
}
