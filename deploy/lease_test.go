package deploy_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// stuck is a fetcher that goes on until it is told to end.
type stuck struct{ begun, ended chan struct{} }

func (s stuck) Fetch(ctx context.Context, _ db.Repository, _, _ string) (db.CommitText, error) {
	close(s.begun)
	<-ctx.Done()
	close(s.ended)
	return db.CommitText{}, ctx.Err()
}

// TestLeaseLost: a process ends its work when another one has it, and when it cannot know whether another one has.
func TestLeaseLost(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct {
		lease time.Duration
		lose  func(*world, db.Deployment)
	}{
		"to another process": {4 * time.Second, func(w *world, _ db.Deployment) {
			must2(w.t)(w.db.BreakLeases(w.t.Context()))
			must2(w.t)(w.db.Claim(w.t.Context(), "another", time.Hour))
		}},
		"the database is gone": {2 * time.Second, func(w *world, _ db.Deployment) { must(w.t, w.db.Close()) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "dockerfile", blueGreen)
			s := stuck{make(chan struct{}), make(chan struct{})}
			w.deployer.Config.Lease, w.deployer.Fetcher = k.lease, s
			w.deployer.Config.Workers = 1 // another one would take what the other process is to have
			dep := w.push("a")
			defer w.runInBackground()()
			<-s.begun
			k.lose(w, dep)
			select {
			case <-s.ended:
			case <-time.After(20 * time.Second):
				t.Error("it works on")
			}
		})
	}
}

// TestLeaseOverBeforeTheClaimIsAnswered: a lease counts from before the claim. Who gets the answer when it is over does not work
// on it: another process may have it.
func TestLeaseOverBeforeTheClaimIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.deployer.Config.Lease, w.deployer.Fetcher = time.Hour, stuck{make(chan struct{}), make(chan struct{})}
	dep := w.push("a")
	claimed, err := w.db.Claim(t.Context(), "slow", time.Hour)
	must(t, err)
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(ended)
		deploy.NewRunner(w.deployer, "slow").Work(ctx, claimed, time.Now().Add(-time.Second))
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("it works on")
	}
	cancel()
	<-ended
	if got := w.deployment(dep.ID); got.Phase != db.PhaseBuilding || got.LeaseOwner != claimed.LeaseOwner {
		t.Errorf("it is %s of %q: %s", got.Phase, got.LeaseOwner, got.Error)
	}
}

// TestTriesAgain: what cannot be removed at first is removed all the same, by an undo and after the commit.
func TestTriesAgain(t *testing.T) {
	t.Parallel()
	for letter, ends := range map[string]db.Phase{"z": db.PhaseFailed, "b": db.PhaseLive} {
		w := newWorld(t, "dockerfile", blueGreen)
		w.live("a")
		w.deployer.Runtime = w.runtime.With(deploytest.FailOnce("runtime.remove:before", &deploy.Failure{Text: "Docker is busy"}))
		if dep := w.run(w.push(letter)); dep.Phase != ends {
			t.Errorf("it is %s: %s", dep.Phase, dep.Error)
		}
		w.serves(map[bool]string{true: "b", false: "a"}[ends == db.PhaseLive])
	}
}

// TestLeaseIsRenewed while a build takes longer than that.
func TestLeaseIsRenewed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.deployer.Config.Lease = 2 * time.Second
	s := stuck{make(chan struct{}), make(chan struct{})}
	w.deployer.Fetcher = s
	dep := w.push("a")
	stop := w.runInBackground()
	<-s.begun
	first, until := w.deployment(dep.ID).LeaseUntil, time.Now().Add(20*time.Second)
	for !w.deployment(dep.ID).LeaseUntil.After(first) {
		if time.Now().After(until) {
			t.Fatal("it is not renewed")
		}
	}
	stop()
}

// TestClaimIsWrittenOnce: the row of a deployment that was claimed says that it is building; nothing has to be written before
// that begins.
func TestClaimIsWrittenOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	dep := w.push("a")
	w.deployer.Point = func(point string) {
		if point != "building:before" {
			return
		}
		if row := w.deployment(dep.ID); row.Phase != db.PhaseBuilding || !row.UpdatedAt.Equal(row.StartedAt) {
			t.Errorf("it is %s, was claimed at %s and written again at %s", row.Phase, row.StartedAt, row.UpdatedAt)
		}
	}
	w.run(dep)
}

// TestReapLeavesLaterDeployments: a process that lost its lease and was not told yet looks at Docker once more when another one
// has finished its deployment, and has begun the next.
func TestReapLeavesLaterDeployments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	next := db.Release{ID: "the-next", WorkloadID: w.workload.ID, DeploymentID: 99, Commit: strings.Repeat("c", 40)}
	fails := deploytest.FailOnce("runtime.remove:before", &deploy.Failure{Text: "Docker is busy"})
	w.deployer.Runtime = w.runtime.With(func(point string) error {
		err := fails(point)
		if err != nil {
			must2(t)(w.runtime.Start(t.Context(), next))
		}
		return err
	})
	w.run(w.push("b"))
	if in, err := w.runtime.Inspect(t.Context(), next.ID); err != nil || in.State != deploy.Running {
		t.Errorf("what the other process starts is %s, %v", in.State, err)
	}
}
