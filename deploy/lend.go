package deploy

import "context"

// lend leaves the workload to the recovery while do works, which may take long and must touch neither what serves nor what
// leads to it; while that is stopped or replaced on purpose, the recovery does not either. It returns when the recovery has
// given the workload back, which does not hang on a context: what follows moves routes.
func (j *job) lend(do func() error) error {
	j.busy.unlock(j.workload.ID)
	defer func() { _ = j.busy.lock(context.Background(), j.workload.ID) }()
	return do()
}
