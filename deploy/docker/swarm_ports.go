package docker

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/swarm"

	"tinyforge/db"
)

// Swarm forgets on which ports tasks answer: when a manager was started anew, or another one leads, nodes tell again of the tasks they
// run, and leave the ports out for as long as those live. So they are written, as soon as they are told, into the labels of a config of
// the release's name, which outlives that, and every Tinyforge too.

// labelTask and a task's id is the label that says on which port of its node it answers.
const labelTask = "tinyforge.task."

// configsOf are those of our releases, or of one of them, by the release.
func (s *Swarm) configsOf(ctx context.Context, of ...filters.KeyValuePair) (map[db.ReleaseID]swarm.Config, error) {
	of = append(of, filters.Arg("label", labelInstance+"="+s.engine.cfg.Instance))
	list, err := s.engine.docker.ConfigList(ctx, swarm.ConfigListOptions{Filters: filters.NewArgs(of...)})
	configs := make(map[db.ReleaseID]swarm.Config, len(list))
	for _, c := range list {
		if id := db.ReleaseID(c.Spec.Labels[labelRelease]); string(id) == c.Spec.Name {
			configs[id] = c
		}
	}
	return configs, err
}

// keepPorts writes down what v's tasks tell and its config does not say yet, and forgets tasks that are gone.
func (s *Swarm) keepPorts(ctx context.Context, v *view) error {
	if !v.news() {
		return nil
	}
	id := db.ReleaseID(v.service.Spec.Name)
	_, err := retried(ctx, func() (struct{}, error) { return struct{}{}, s.writePorts(ctx, id, v) })
	return err
}

func (s *Swarm) writePorts(ctx context.Context, id db.ReleaseID, v *view) error {
	of := filters.Arg("label", labelRelease+"="+string(id))
	configs, err := s.configsOf(ctx, of)
	if err != nil {
		return err
	}
	config, there := configs[id]
	if !there {
		config.Spec = swarm.ConfigSpec{Data: []byte("The labels say where the tasks of the service of this name answer.\n")}
		config.Spec.Name, config.Spec.Labels = string(id), maps.Clone(v.service.Spec.Labels)
	}
	v.config = config
	if there && !v.news() { // somebody else has written it
		return nil
	}
	labels := maps.Clone(config.Spec.Labels)
	maps.DeleteFunc(labels, func(label, _ string) bool { return strings.HasPrefix(label, labelTask) })
	for _, t := range v.tasks {
		if port := v.port(t); port != "" {
			labels[labelTask+t.ID] = port
		}
	}
	v.config.Spec.Labels = labels
	if there {
		err = s.engine.docker.ConfigUpdate(ctx, config.ID, config.Version, v.config.Spec)
	} else if _, err = s.engine.docker.ConfigCreate(ctx, v.config.Spec); errdefs.IsConflict(err) {
		if configs, listed := s.configsOf(ctx, of); listed == nil && configs[id].ID == "" {
			return failedSwarm(fmt.Sprintf("A config named %s exists in the Swarm and is not ours: remove it, then deploy again", id))
		}
	}
	if isChanged(err) {
		return errAgain
	}
	return err
}

// news tells whether a task says where it answers and the config does not.
func (v *view) news() bool {
	for _, t := range v.tasks {
		if v.runs(t) && toldPort(t) != "" && v.config.Spec.Labels[labelTask+t.ID] == "" {
			return true
		}
	}
	return false
}

// port is where on its node a task answers, "" where nobody knows.
func (v *view) port(t swarm.Task) string {
	if port := toldPort(t); port != "" {
		return port
	}
	return v.config.Spec.Labels[labelTask+t.ID]
}

func toldPort(t swarm.Task) string {
	for _, c := range t.Status.PortStatus.Ports { // one for IPv4 and one for IPv6, of the same number
		if c.PublishedPort != 0 {
			return strconv.FormatUint(uint64(c.PublishedPort), 10)
		}
	}
	return ""
}

// removeConfig removes where a release's tasks answered.
func (s *Swarm) removeConfig(ctx context.Context, id db.ReleaseID) error {
	configs, err := s.configsOf(ctx, filters.Arg("label", labelRelease+"="+string(id)))
	for _, c := range configs {
		if err := s.engine.docker.ConfigRemove(ctx, c.ID); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
	}
	return err
}
