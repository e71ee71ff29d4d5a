package deploy

import (
	"bytes"
	"context"
	"encoding/json"

	"tinyforge/db"
)

// registryAuth is BuildInput.RegistryAuth.
func (j *job) registryAuth(ctx context.Context, host string) (*RegistryAuth, error) {
	if j.Accounts == nil {
		return nil, nil
	}
	auth, err := j.Accounts.RegistryAuth(ctx, j.repo, host)
	if auth != nil {
		j.learn([]db.Secret{{Name: "token", Value: auth.Password}})
	}
	return auth, err
}

// serves tells whether a release, as a Source made it, is what serves: the same images for the same commit, run in the same
// way.
func (j *job) serves(r db.Release) bool {
	if j.blue == nil {
		return false
	}
	old := j.blue.Release
	old.Origin, r.Origin = nil, nil
	r.ID, r.WorkloadID, r.Workload, r.DeploymentID, r.Commit = old.ID, old.WorkloadID, old.Workload, old.DeploymentID, j.dep.Commit
	before, errBefore := json.Marshal(old)
	after, errAfter := json.Marshal(r)
	return errBefore == nil && errAfter == nil && bytes.Equal(before, after)
}
