package deploy

import "tinyforge/db"

// scale makes the release that serves, as it is, one that runs as often as the workload's config says. It keeps its name: it is changed in
// place, and an undo changes it back.
func (j *job) scale() error {
	if j.blue == nil {
		return &Failure{Text: "Nothing of the workload is live: deploy it first"}
	}
	release := j.blue.Release
	replicas := j.workload.Replicas()
	if replicas == max(1, release.Replicas) {
		j.log.Printf("%s runs %d times already", release.ID, replicas)
		return errSkip
	}
	switch {
	case j.workload.Runtime != release.RuntimeKind():
		return &Failure{Text: "The config names another runtime than what is live runs on: deploy it first"}
	case release.Writes():
		return &Failure{Text: "What is live writes to a volume, which is for one at a time: deploy it without, or with volumes that are read_only"}
	case !j.scales(release):
		return &Failure{Text: "What is live runs on one Docker, once: set runtime in the config to swarm and deploy"}
	}
	j.log.Printf("%s is to run %d times, and ran %d times", release.ID, replicas, max(1, release.Replicas))
	release.Replicas = replicas
	j.dep.Strategy, j.dep.StrategyReason = db.Scale, ""
	j.dep.Release = &release
	return nil
}

// scales tells whether the runtime can have a release run several times.
func (j *job) scales(r db.Release) bool {
	s, ok := j.Runtime.(Scaler)
	return ok && !r.Writes() && s.Scales(r)
}

// anew is the strategy with which the release of an old deployment serves again, under a name of its own.
func anew(old db.Deployment) db.Strategy {
	if old.Strategy != db.Scale {
		return old.Strategy
	}
	if old.Release.Writes() {
		return db.Recreate
	}
	return db.BlueGreen
}
