package settings_test

import (
	"context"
	"crypto/sha1" //nolint:gosec // git's own hash
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"tinyforge/app/settings"
	"tinyforge/db"
)

// hash is a commit's, by a short name of it.
func hash(name string) string {
	sum := sha1.Sum([]byte(name)) //nolint:gosec // git's own hash
	return hex.EncodeToString(sum[:])
}

// shop is a workload whose history a test makes.
type shop struct {
	*world
	workload db.Workload
	repo     db.Repository
	pushes   int
	before   string
	commits  string // where the repository is shown
}

func newShop(w *world) *shop {
	w.t.Helper()
	s := &shop{world: w, repo: w.repository("acme/shop")}
	s.workload = db.Workload{Name: "shop", RepositoryID: s.repo.ID, Source: "dockerfile", Config: []byte(`{"port":8080}`),
		RefPattern: "main", Host: "shop.example.com", Enabled: true}
	must(w.t, w.db.SaveWorkload(w.t.Context(), &s.workload))
	s.commits = "https://git.example.com/acme/shop/commit/"
	return s
}

// push queues a deployment by a delivery.
func (s *shop) push(name, message string) db.Deployment {
	s.t.Helper()
	s.pushes++
	after := hash(name)
	out, err := s.db.Enqueue(s.t.Context(), &db.Delivery{ForgeID: s.repo.ForgeID, ExternalID: strconv.Itoa(s.pushes), Event: "push",
		RepositoryID: s.repo.ID, Ref: "refs/heads/main", Before: s.before, After: after},
		[]db.Deployment{{WorkloadID: s.workload.ID, Ref: "refs/heads/main", Commit: after, Message: message, Author: "Ann"}})
	must(s.t, err)
	s.before = after
	if len(out.Deployments) != 1 {
		s.t.Fatalf("push of %s: %s", name, out.Decision)
	}
	dep, err := s.db.Deployment(s.t.Context(), out.Deployments[0])
	must(s.t, err)
	return dep
}

func (s *shop) claim() *db.Deployment {
	s.t.Helper()
	dep, err := s.db.Claim(s.t.Context(), "test", time.Hour)
	must(s.t, err)
	if dep == nil {
		s.t.Fatal("nothing to claim")
	}
	return dep
}

// through takes a deployment through phases.
func (s *shop) through(dep *db.Deployment, phases ...db.Phase) {
	s.t.Helper()
	for _, phase := range phases {
		dep.Phase = phase
		must(s.t, s.db.Save(s.t.Context(), dep))
	}
}

// finish makes a claimed deployment serve.
func (s *shop) finish(dep *db.Deployment) {
	s.t.Helper()
	s.finishOn("", 0, dep)
}

// finishOn makes a claimed deployment serve, on a runtime, so many times.
func (s *shop) finishOn(runtime string, replicas int, dep *db.Deployment, volumes ...db.Volume) {
	s.t.Helper()
	dep.Strategy = db.BlueGreen
	if dep.Cause == db.CauseScale {
		dep.Strategy = db.Scale
	}
	dep.Release = &db.Release{ID: db.ReleaseID(fmt.Sprintf("tf-shop-%d", dep.ID)), WorkloadID: dep.WorkloadID, Workload: "shop", DeploymentID: dep.ID,
		Commit: dep.Commit, Image: "sha256:" + dep.Commit, Port: 8080, Env: map[string]string{"PASSWORD": "release secret"}, Runtime: runtime, Replicas: replicas, Volumes: volumes, Origin: s.saved("shop").Origin()}
	s.through(dep, db.PhaseStarting, db.PhaseGating, db.PhaseRouting, db.PhaseCommitting)
	served, refused := int64(1354), int64(0)
	dep.Served, dep.Refused = &served, &refused
	dep.Phase = db.PhaseDraining
	must(s.t, s.db.Commit(s.t.Context(), dep, db.RuntimeState{WorkloadID: dep.WorkloadID, DeploymentID: dep.ID, ReleaseID: dep.Release.ID,
		Commit: dep.Commit, Release: *dep.Release}))
	s.through(dep, db.PhaseReaping, db.PhaseLive)
}

// live pushes a commit and makes it serve.
func (s *shop) live(name, message string) *db.Deployment {
	s.t.Helper()
	s.push(name, message)
	dep := s.claim()
	s.log(dep, "building", "built")
	s.finish(dep)
	return dep
}

// failed pushes a commit whose copy does not listen.
func (s *shop) failed(name, message string) *db.Deployment {
	s.t.Helper()
	s.push(name, message)
	dep := s.claim()
	dep.Strategy = db.BlueGreen
	s.through(dep, db.PhaseStarting, db.PhaseGating)
	s.log(dep, "starting", "Gate failed: nothing listens on port 8080 after 5 s")
	dep.Error = "Gate failed: nothing listens on port 8080 after 5 s; the previous release still serves"
	dep.Fault = &db.Fault{Code: "port_refused", Values: map[string]string{"port": "8080"}}
	s.through(dep, db.PhaseUndoing)
	s.log(dep, "Last lines of tf-shop:")
	s.through(dep, db.PhaseFailed)
	return dep
}

func (s *shop) log(dep *db.Deployment, texts ...string) {
	s.t.Helper()
	var lines []db.LogLine
	for _, text := range texts {
		lines = append(lines, db.LogLine{DeploymentID: dep.ID, Phase: dep.Phase, At: time.Now(), Text: text})
	}
	for len(lines) > 0 {
		n := min(len(lines), 1000)
		must(s.t, s.db.AppendLog(s.t.Context(), lines[:n]...))
		lines = lines[n:]
	}
}

func (s *shop) path(id int64) string { return fmt.Sprintf("/workloads/shop/deployments/%d", id) }

// releases are what runs. Those of the images that are gone cannot be started.
type releases struct {
	gone string
	err  error
}

func (r *releases) Inspect(_ context.Context, _ db.ReleaseID) (settings.Running, error) {
	return settings.Running{Running: true, Restarts: 2, Tail: []string{"listening on \x1b[32m:8080\x1b[0m", "<script>alert(1)</script>"}}, r.err
}

func (r *releases) Ready(_ context.Context, release db.Release) error {
	if r.gone != "" && release.Commit == r.gone {
		return errors.New("The image of release " + string(release.ID) + " was removed") //nolint:staticcheck // it is shown as it is
	}
	return nil
}

// newRunningShop is a shop whose releases can be asked.
func newRunningShop(t testing.TB) (*shop, *releases) {
	t.Helper()
	r := &releases{}
	return newShop(newWorldOf(t, func(c *settings.Config) { c.Releases = r })), r
}
