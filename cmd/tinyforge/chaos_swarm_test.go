//go:build chaos

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tinyforge/db"
)

// victim is a Tinyforge on three nodes that is killed at the points of its deployments.
type victim struct {
	*onSwarm
	killFile string
	serving  string // the version
	pushes   int
}

// TestKilledOnASwarm: serve is killed at every named point of what it does to a Swarm, and the proxy apart goes on. No visitor may
// notice; afterwards one release runs, as often as it should, and the commit's status is true.
func TestKilledOnASwarm(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kill")
	v := &victim{onSwarm: newOnSwarm(t, "TINYFORGE_TEST_KILL="+file), killFile: file}
	for _, strategy := range []db.Strategy{db.BlueGreen, db.Recreate} {
		v.configure(fmt.Sprintf(onNodes, strategy))
		v.clone.ends(v.push(true), "success")
		good, bad := points(strategy)
		v.story(fmt.Sprintf("serve is killed at each of %d points of a push, %s", len(good)+len(bad), strategy), func() {
			for _, point := range good {
				v.killedAt(point, true)
			}
			for _, point := range bad {
				v.killedAt(point, false)
			}
		})
	}
	all, _ := points(db.Scale)
	v.story(fmt.Sprintf("serve is killed at each of %d points of a change of replicas", len(all)), func() {
		for i, point := range all {
			v.killedScaling(point, 2+i%2)
		}
	})
	v.printTable()
}

// push pushes a version that is to serve, or one that never gets ready.
func (v *victim) push(good bool) (commit string) {
	v.pushes++
	version := fmt.Sprint("k", v.pushes)
	if !good {
		return v.version(version, "UNHEALTHY=1")
	}
	v.serving = version
	return v.version(version)
}

func (v *victim) killedAt(point string, good bool) {
	v.Helper()
	v.arm(point)
	commit, state := v.push(good), "failure"
	if good {
		state = "success"
	}
	v.diesAt(point)
	v.clone.ends(commit, state)
	v.answers(v.serving)
	v.runs(swarm, 3)
	v.swept()
}

func (v *victim) killedScaling(point string, replicas int) {
	v.Helper()
	v.arm(point)
	v.ask("scale", v.name, fmt.Sprint(replicas))
	v.diesAt(point)
	v.answers(v.serving)
	if dep := v.deployments(v.name)[0]; dep.Phase != db.PhaseLive || dep.Strategy != db.Scale {
		v.Errorf("killed at %s, scaling to %d is %s: %s", point, replicas, dep.Phase, dep.Error)
	}
	v.runs(swarm, replicas)
}

func (v *victim) arm(point string) {
	v.Helper()
	v.must(os.WriteFile(v.killFile, []byte(point), 0o600))
}

// diesAt waits for the end of the process, and starts the next one.
func (v *victim) diesAt(point string) {
	v.Helper()
	select {
	case <-v.process.ended:
	case <-time.After(time.Minute):
		v.Fatalf("%s was never reached\n%s", point, v.process.log.String())
	}
	v.start()
}
