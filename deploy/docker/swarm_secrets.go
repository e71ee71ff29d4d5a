package docker

import (
	"context"
	"fmt"
	"maps"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/shorten"
)

// ensureSecrets makes the secrets of a release that its containers find as files below /run/secrets. A secret cannot be changed: what
// another config needs has another name.
func (s *Swarm) ensureSecrets(ctx context.Context, r db.Release) ([]*swarm.SecretReference, error) {
	if len(r.SecretFiles) == 0 {
		return nil, nil
	}
	there, err := s.secretsOf(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	var list []*swarm.SecretReference
	for i, variable := range r.SecretFiles {
		value, known := r.Env[variable]
		if !known {
			return nil, &deploy.Failure{Text: fmt.Sprintf("secret_files: there is no environment variable %q: set it for the workload", shorten.Typed(variable))}
		}
		name := fmt.Sprintf("%s-%d-%.8s", r.ID, i, s.templateHash(r))
		id := there[name]
		if id == "" {
			labels := s.engine.labels(r)
			delete(labels, labelProject)
			made, err := s.engine.docker.SecretCreate(ctx, swarm.SecretSpec{Annotations: swarm.Annotations{Name: name, Labels: labels}, Data: []byte(value)})
			if err != nil {
				return nil, againSecret(err)
			}
			id = made.ID
		}
		list = append(list, &swarm.SecretReference{SecretID: id, SecretName: name,
			File: &swarm.SecretReferenceFileTarget{Name: variable, UID: "0", GID: "0", Mode: 0o444}})
	}
	return list, nil
}

// againSecret is for who made the same secret at the same time.
func againSecret(err error) error {
	if errdefs.IsConflict(err) {
		return fmt.Errorf("make secret: another process starts this release too: %w", err)
	}
	return err
}

// secretsOf are the ids of a release's secrets, by name.
func (s *Swarm) secretsOf(ctx context.Context, id db.ReleaseID) (map[string]string, error) {
	found, err := s.engine.docker.SecretList(ctx, swarm.SecretListOptions{Filters: filters.NewArgs(
		filters.Arg("label", labelInstance+"="+s.engine.cfg.Instance), filters.Arg("label", labelRelease+"="+string(id)))})
	if err != nil {
		return nil, err
	}
	byName := map[string]string{}
	for _, secret := range found {
		byName[secret.Spec.Name] = secret.ID
	}
	return byName, nil
}

func (s *Swarm) removeSecrets(ctx context.Context, id db.ReleaseID) error {
	secrets, err := s.secretsOf(ctx, id)
	if err != nil {
		return err
	}
	for secret := range maps.Values(secrets) {
		if err := s.engine.docker.SecretRemove(ctx, secret); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// withLeft adds to the list of all services those releases that are no service any more: their removal was interrupted.
func (s *Swarm) withLeft(ctx context.Context, list []deploy.Instance) ([]deploy.Instance, error) {
	secrets, err := s.engine.docker.SecretList(ctx, swarm.SecretListOptions{Filters: filters.NewArgs(filters.Arg("label", labelInstance+"="+s.engine.cfg.Instance))})
	if err != nil {
		return nil, err
	}
	configs, err := s.configsOf(ctx)
	if err != nil {
		return nil, err
	}
	left := map[db.ReleaseID]map[string]string{} // their labels
	for _, secret := range secrets {
		left[db.ReleaseID(secret.Spec.Labels[labelRelease])] = secret.Spec.Labels
	}
	for id, config := range configs {
		left[id] = config.Spec.Labels
	}
	for _, in := range list {
		delete(left, in.ID)
	}
	for id, labels := range left {
		list = append(list, deploy.Instance{ID: id, WorkloadID: number(labels, labelWorkload), DeploymentID: number(labels, labelDeployment), State: deploy.Missing})
	}
	return list, nil
}

// ensureNetworks makes the networks over all nodes that a release's workload shares, and returns their ids. There is none that joins all
// releases: a network has some 250 addresses, and a proxy dials the nodes.
func (s *Swarm) ensureNetworks(ctx context.Context, r db.Release) ([]string, error) {
	ids := make([]string, len(r.Networks))
	for i, shared := range r.Networks {
		id, err := s.ensureNetwork(ctx, s.engine.swarmNetwork(shared))
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	return ids, nil
}

func (s *Swarm) ensureNetwork(ctx context.Context, name string) (id string, err error) {
	s.engine.networkMu.Lock()
	defer s.engine.networkMu.Unlock()
	for {
		found, err := s.engine.networks(ctx, name)
		if err != nil {
			return "", err
		}
		for _, n := range found {
			if n.Labels[labelInstance] != s.engine.cfg.Instance || n.Scope != "swarm" {
				return "", failedSwarm(fmt.Sprintf("The network %s exists in Docker and is not ours: take another name, or remove it", name))
			}
			return n.ID, nil
		}
		_, err = s.engine.docker.NetworkCreate(ctx, name, network.CreateOptions{
			Driver: "overlay", Scope: "swarm", Labels: map[string]string{labelInstance: s.engine.cfg.Instance},
		})
		if err != nil && !errdefs.IsConflict(err) {
			return "", err
		}
	}
}
