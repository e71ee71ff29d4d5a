//go:build chaos

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tinyforge/app/forgetest"
	"tinyforge/db/dbtest"
	"tinyforge/deploy/deploytest"
)

// faultWorld is a world that is disturbed.
func faultWorld(t *testing.T, sum *tally, name string, env ...string) *world {
	return newWorld(t, setting{"builtin", name}, sum, rand.New(rand.NewPCG(sum.seed, 0)), env...)
}

// TestChaosDocker disturbs Docker in the middle of deployments, as TestChaosFaults does other things. Nothing is beside it:
// the address of its Docker is in the environment.
func TestChaosDocker(t *testing.T) {
	sum := newTally(t, "faults")
	daemon := newDaemon(t)
	x := faultWorld(t, sum, "Docker restarted, killed, full", "TINYFORGE_MIN_FREE=10MB")
	for _, disturb := range []func(){func() { daemon.restart(syscall.SIGTERM) }, func() { daemon.restart(syscall.SIGKILL) }, func() { daemon.disk.full(3 * time.Second) }} {
		x.disturbEach(disturb, "", true)
	}
	x.conclude()
	sum.print(os.Stdout)
}

// TestChaosFaults disturbs what else Tinyforge stands on in the middle of deployments: the database, the forge, the disk. A
// deployment may fail then, and has to say so; whatever its last status says has to be true.
func TestChaosFaults(t *testing.T) {
	t.Parallel()
	sum := newTally(t, "faults")
	t.Run("faults", func(t *testing.T) {
		t.Run("the forge is down for ten minutes", func(t *testing.T) {
			t.Parallel()
			faultWorld(t, sum, "forge down").forgeDown(10 * time.Minute)
		})
		t.Run("PostgreSQL", func(t *testing.T) {
			t.Parallel()
			server := dbtest.NewServer(t)
			x := faultWorld(t, sum, "PostgreSQL cut, restarted", "TINYFORGE_DATABASE="+server.URL())
			for _, disturb := range []func(){server.Cut, server.Restart, server.Cut, server.Restart} {
				x.disturbEach(func() {
					disturb()
					x.open() // our own connections were cut too
				}, "success", false)
			}
			x.conclude()
		})
		t.Run("the disk is full", func(t *testing.T) {
			t.Parallel()
			disk := newDisk(t, 64<<20)
			x := faultWorld(t, sum, "disk full", "TINYFORGE_DATA="+disk.dir, "TINYFORGE_MIN_FREE=1MB")
			for range 3 {
				x.disturbEach(func() { disk.full(3 * time.Second) }, "", false)
			}
			x.conclude()
		})
	})
	sum.print(os.Stdout)
}

// disturbEach pushes to each workload and disturbs something at some time afterwards. state is how the commits have to end, ""
// when they may fail. cuts is whether requests fail while all is not at rest again.
func (x *world) disturbEach(disturb func(), state string, cuts bool) {
	for _, w := range x.workloads {
		commit := w.push(true)
		after := time.Duration(x.random.Int64N(int64(4 * time.Second)))
		time.Sleep(after)
		x.Logf("%s: disturbed %s after the push", w.strategy, after.Round(time.Millisecond))
		x.sum.kill(w.strategy)
		if cuts {
			x.nobodyAnswers()
		}
		disturb()
		last := x.ended(w, commit)
		x.Logf("%s: %s", last.State, last.Description)
		if w.ends[commit] = last.State; last.State == "success" {
			w.serving = commit
		}
		if state != "" && last.State != state {
			x.fault(&x.sum.wrong, "%s ended in %s: %s", commit, last.State, last.Description)
		}
		x.check()
		if cuts {
			x.somebodyAnswers()
		}
	}
}

// ended waits for the last status of a commit.
func (x *world) ended(w *target, commit string) (last forgetest.Status) {
	x.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for time.Now().Before(deadline) {
		if last = w.clone.last(commit); last.State == "success" || last.State == "failure" {
			return last
		}
		time.Sleep(50 * time.Millisecond)
	}
	x.Fatalf("%s has no last status: %+v", commit, last)
	return last
}

// forgeDown lets the forge's API answer nothing good for some time. Deployments go on; the commits are told afterwards.
func (x *world) forgeDown(during time.Duration) {
	x.forge.Fault(func(r *http.Request) *forgetest.Fault {
		if strings.HasPrefix(r.URL.Path, "/api/") && strings.Contains(r.URL.Path, "/statuses/") {
			return &forgetest.Fault{Status: http.StatusBadGateway}
		}
		return nil
	})
	until := time.Now().Add(during)
	for good := false; time.Now().Before(until); good = !good {
		for _, w := range x.workloads {
			commit := w.push(good)
			w.ends[commit] = "failure"
			if good {
				w.ends[commit], w.serving = "success", commit
			}
			x.sum.kill(w.strategy)
			x.expect(&x.sum.wrong, w.name+" has one release that serves", func() string { return x.oneServes(w) })
			time.Sleep(min(20*time.Second, time.Until(until)))
		}
	}
	x.forge.Fault(nil)
	for _, w := range x.workloads {
		for commit := range w.ends {
			x.ended(w, commit)
		}
	}
	x.check()
	x.conclude()
}

// disk is a small file system.
type disk struct {
	*testing.T
	dir string
}

func newDisk(t *testing.T, size int) *disk {
	t.Helper()
	d := &disk{t, t.TempDir()}
	if err := syscall.Mount("tmpfs", d.dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Fatalf("mount a small disk, which needs root: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(d.dir, syscall.MNT_DETACH) })
	return d
}

// full leaves no byte free for some time.
func (d *disk) full(during time.Duration) {
	d.Helper()
	file, err := os.Create(filepath.Join(d.dir, "full"))
	if err != nil {
		d.Fatal(err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	defer file.Close()
	end := time.Now().Add(during)
	for block := make([]byte, 64<<10); time.Now().Before(end); { // what others free is taken too
		if _, err := file.Write(block); errors.Is(err, syscall.ENOSPC) {
			time.Sleep(10 * time.Millisecond)
		} else if err != nil {
			d.Fatal(err)
		}
	}
}

// takesOver makes an image of the sample program in the Docker of a test's own.
func takesOver(t *testing.T) {
	t.Helper()
	program := filepath.Join(deploytest.SampleCheckout(t), "sampleapp")
	newDockerAPI(t).importImage(sampleImage(), map[string]string{"sampleapp": program}, `ENTRYPOINT ["/sampleapp"]`)
}
