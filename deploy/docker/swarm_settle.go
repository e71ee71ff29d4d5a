package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/swarm"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/shorten"
)

// settling waits until a service is what it was made to be.
type settling struct {
	spec  swarm.ServiceSpec
	rolls bool // its tasks are replaced one after the other, and Swarm may take that back

	begun    time.Time
	rejected map[string]bool // the tasks that nodes could not begin, by id
}

// mostRejected is how often nodes may refuse a replica before that is a failure: Swarm tries another node only after the fifth.
const mostRejected = 8

// settle looks again and again until all replicas run or something says that they will not.
func (s *Swarm) settle(ctx context.Context, id db.ReleaseID, w settling) (deploy.Instance, error) {
	w.begun, w.rejected = time.Now(), map[string]bool{}
	pause := 50 * time.Millisecond
	for {
		v, err := s.look(ctx, id)
		if err != nil {
			return deploy.Instance{}, err
		}
		if v == nil {
			return deploy.Instance{}, &deploy.Failure{Text: fmt.Sprintf("Somebody removed the service %s while it was started: deploy again", id)}
		}
		if done, err := s.settled(v, &w); done || err != nil {
			return v.instance(id), err
		}
		if err := deploy.Sleep(ctx, pause); err != nil {
			return deploy.Instance{}, err
		}
		pause = min(pause*2, 500*time.Millisecond)
	}
}

// settled tells whether there is nothing more to wait for.
func (s *Swarm) settled(v *view, w *settling) (bool, error) {
	status := v.service.UpdateStatus
	undone := status != nil && strings.HasPrefix(string(status.State), "rollback")
	if undone && w.rolls || v.service.Spec.Labels[labelConfig] != w.spec.Labels[labelConfig] {
		text := "somebody changed the service meanwhile"
		if undone {
			text = status.Message
		}
		return false, failedSwarm("Swarm took the change back: " + v.why(text))
	}
	if w.rolls && status != nil && status.State == swarm.UpdateStatePaused {
		return false, failedSwarm("Swarm stopped in the middle of the change: " + v.why(status.Message))
	}
	if isStopped(v.service.Spec.TaskTemplate) {
		return false, failedSwarm("Somebody stopped the service while it was started: deploy again")
	}
	running := v.current(v.runs)
	wanted := replicasOf(w.spec)
	switch {
	case v.takesBack(): // which ends some of what runs
		return false, nil
	case len(running) == wanted && v.running() == wanted && (!w.rolls || v.updated()):
		return true, nil
	case w.rolls:
	case len(v.ended()) > 0: // whoever waits for it to be ready says how
		return true, nil
	}
	return false, s.hopeless(v, w, len(running), wanted)
}

// running is how many tasks do, those that are to be replaced included.
func (v *view) running() (n int) {
	for _, t := range v.tasks {
		if v.runs(t) {
			n++
		}
	}
	return n
}

// takesBack tells whether Swarm is still undoing a change.
func (v *view) takesBack() bool {
	return v.service.UpdateStatus != nil && v.service.UpdateStatus.State == swarm.UpdateStateRollbackStarted
}

// rolls tells whether Swarm replaces tasks, or is about to, and may take that back. Until it begins it has no status, only what was before.
func (v *view) rolls() bool {
	is, was, status := v.service.Spec, v.service.PreviousSpec, v.service.UpdateStatus
	switch {
	case is.UpdateConfig == nil || is.UpdateConfig.FailureAction != swarm.UpdateFailureActionRollback:
		return false
	case status != nil:
		return status.State == swarm.UpdateStateUpdating
	}
	return was != nil && (templateOf(*was) != templateOf(is) || was.TaskTemplate.ForceUpdate != is.TaskTemplate.ForceUpdate)
}

// updated tells whether Swarm has watched the last new task for long enough.
func (v *view) updated() bool {
	return v.service.UpdateStatus != nil && v.service.UpdateStatus.State == swarm.UpdateStateCompleted
}

// hopeless is an error when the replicas that do not run yet never will.
func (s *Swarm) hopeless(v *view, w *settling, running, wanted int) error {
	slots, nodes := map[int]int{}, map[string]bool{}
	for _, t := range v.current(func(t swarm.Task) bool { return t.Status.State == swarm.TaskStateRejected }) {
		w.rejected[t.ID] = true
		slots[t.Slot]++
		nodes[t.NodeID] = true
	}
	waited := time.Since(w.begun)
	switch {
	case w.rolls:
	case len(w.rejected) > 0 && running == 0 && len(nodes) >= v.usable(), len(w.rejected) >= mostRejected*len(slots) && len(slots) > 0:
		return failedSwarm("No node could start the container: " + v.why("Docker refused it"))
	case waited > s.cfg.Homeless && v.homeless() != "":
		return failedSwarm(fmt.Sprintf("Swarm finds no node for %d of %d replicas: %s; look at constraints, memory and cpus of the config, and at docker node ls",
			wanted-running, wanted, v.homeless()))
	}
	if waited > s.cfg.Patience {
		return failedSwarm(fmt.Sprintf("%d of %d replicas run after %s: %s", running, wanted, s.cfg.Patience, v.why("Swarm gives no reason")))
	}
	return nil
}

// usable is how many nodes could run a task, whatever its constraints.
func (v *view) usable() (n int) {
	for _, node := range v.nodes {
		if node.Status.State == swarm.NodeStateReady && node.Spec.Availability == swarm.NodeAvailabilityActive {
			n++
		}
	}
	return n
}

// homeless is what Swarm says of a task that it finds no node for, "" when there is none.
func (v *view) homeless() string {
	for _, t := range v.current(func(t swarm.Task) bool {
		return isWanted(t) && t.Status.State == swarm.TaskStatePending
	}) {
		if t.Status.Err != "" {
			return cleanLine(t.Status.Err)
		}
	}
	return ""
}

// why is what the last task that came to nothing says of it, or else other; not what its image is pinned to.
func (v *view) why(other string) string {
	failed := slices.DeleteFunc(slices.Clone(v.tasks), func(t swarm.Task) bool { return t.Status.Err == "" })
	if len(failed) == 0 {
		return cleanLine(other)
	}
	last := slices.MaxFunc(failed, func(a, b swarm.Task) int { return a.Status.Timestamp.Compare(b.Status.Timestamp) })
	text := last.Status.Err
	if name := v.nodes[last.NodeID].Description.Hostname; name != "" {
		text = "on " + name + ": " + text
	}
	return cleanLine(unpinned(text))
}

// failedSwarm says nothing of what the image is pinned to.
func failedSwarm(text string) error {
	return &deploy.Failure{Text: shorten.To(unpinned(text), textLimit)}
}
